package resolve

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const testAuthority = `-----BEGIN CERTIFICATE-----
MIIBcjCCARegAwIBAgIUZVhtj6sOr+cdX+HhnzvrEhs7YyMwCgYIKoZIzj0EAwIw
DTELMAkGA1UEAwwCY2EwIBcNMjYxMTIzMDQzNDE3WhgPMjEyNjEwMzAwNDM0MTda
MA0xCzAJBgNVBAMMAmNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgmz4e2Jq
+KoVt0FdGa1YkP/CUqW1mJK7LoXZyKPNR6xOPBKs5A9lvhQvZAAUHAkox5g5EoF1
ZTw2Pu5CluK2UKNTMFEwHQYDVR0OBBYEFAPJIoWugT1zBjamR3ddNxGGh9iYMB8G
A1UdIwQYMBaAFAPJIoWugT1zBjamR3ddNxGGh9iYMA8GA1UdEwEB/wQFMAMBAf8w
CgYIKoZIzj0EAwIDSQAwRgIhAOb8J7hS6PQPH1LQqpd/LcjYkI8XgVGgwjacgAIy
7rc4AiEA+XWn88WoueTwlePyKjAYitzSPtXvSGv1tUEi4drTzh4=
-----END CERTIFICATE-----
`

// TestAuthorityInAConfigMap: what is known of one in a cluster, and what is taken to be so.
func TestAuthorityInAConfigMap(t *testing.T) {
	gap := &Gap{GroupKind: schema.GroupKind{Kind: "ConfigMap"}, Namespace: "shop", Name: "ca", Reason: GapForbidden, Detail: "no"}
	for _, tc := range []struct {
		name    string
		answer  ConfigMap
		wrong   string
		rules   []RuleID
		warned  bool
		refused bool
	}{
		{"in order", ConfigMap{Found: true, Authority: testAuthority}, "", nil, false, false},
		{"absent", ConfigMap{}, "ConfigMap shop/ca does not exist", nil, false, true},
		{"without the keys", ConfigMap{Found: true}, "ConfigMap shop/ca has no certificate under cacert or ca.crt", []RuleID{RuleConfigMapWrong}, false, true},
		{"malformed", ConfigMap{Found: true, Authority: "x"}, "ConfigMap shop/ca holds no certificate that can be read", []RuleID{RuleConfigMapWrong}, false, true},
		{"not to be read", ConfigMap{Unknown: gap}, "", []RuleID{RuleConfigMapUnread}, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := snapshotOf(t, clientAuthorityYAML)
			s.askConfigMap = func(namespace, name string) ConfigMap { return tc.answer }
			got := s.authority("shop", "ca")
			var rules []RuleID
			warned := false
			for _, step := range got.steps {
				rules, warned = append(rules, step.Rule), warned || step.Verdict == Warned
			}
			if diff := cmp.Diff(tc.rules, rules); diff != "" || got.wrong != tc.wrong || warned != tc.warned {
				t.Errorf("%q, warned %t, rules %s", got.wrong, warned, diff)
			}
			l := s.index.kube().gateways[Ref{Group: kubeGatewayGroup, Kind: "Gateway", Namespace: "shop", Name: "web"}].listeners[0]
			if l.programmed == tc.refused {
				t.Errorf("the listener takes traffic: %t", l.programmed)
			}
		})
	}
}

const clientAuthorityYAML = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: shop}
spec:
  gatewayClassName: istio
  tls: {frontend: {default: {validation: {caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]}}}}
  listeners:
  - {name: https, protocol: HTTPS, port: 443, tls: {mode: Terminate, certificateRefs: [{name: cert}]}}
`
