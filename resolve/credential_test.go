package resolve

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	meshconfig "istio.io/api/mesh/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// inNamespace is a gateway, and a namespace of it, with a server whose tls is that.
func inNamespace(t *testing.T, tls string) (*Snapshot, *GatewayFilterChain) {
	t.Helper()
	s := snapshotOf(t, ingressGateway+gatewayYAML("default/a", server(443, "HTTPS", "tls: "+tls+`, hosts: [a.com]`)))
	l, _ := s.MergedGateway(ingressOf(t, s)).Listener(8443)
	c, _ := l.FilterChain(true, "a.com")
	return s, c
}

func TestServerCertificates(t *testing.T) {
	there := func(names ...string) map[string]Secret {
		out := map[string]Secret{}
		for _, n := range names {
			out[n] = Secret{Found: true, Type: "kubernetes.io/tls"}
		}
		return out
	}
	const ns = "istio-system/"
	for _, tt := range []struct {
		name, tls string
		// secrets are those of a cluster.
		secrets map[string]Secret
		want    string
		asked   []string
	}{
		{"a Secret", `{mode: SIMPLE, credentialName: c}`, there(ns + "c"), "true [credential/there]", []string{ns + "c"}},
		{"of the gateway's namespace", `{mode: SIMPLE, credentialName: c}`, there("default/c"), "false [credential/kept credential/absent]", []string{ns + "c"}},
		{"that is written", `{mode: SIMPLE, credentialName: kubernetes://istio-system/c}`, there(ns + "c"), "true [credential/there]", []string{ns + "c"}},
		{"another namespace", `{mode: SIMPLE, credentialName: kubernetes://default/c}`, there("default/c"), "false [credential/other-namespace]", []string{ns + "c"}},
		{"without a name", `{mode: SIMPLE, credentialName: "kubernetes://"}`, nil, "false [credential/no-certificate]", nil},
		{"invalid", `{mode: SIMPLE, credentialName: "invalid://c"}`, nil, "false [credential/no-certificate]", nil},
		{"of the Gateway API without a namespace", `{mode: SIMPLE, credentialName: "kubernetes-gateway://c"}`, nil, "false [credential/no-certificate]", nil},
		{"of the Gateway API", `{mode: SIMPLE, credentialName: "kubernetes-gateway://istio-system/c"}`, there(ns + "c"), "false [credential/gateway-of-other-namespace]", nil},
		{"a ConfigMap", `{mode: SIMPLE, credentialName: "configmap://istio-system/c"}`, nil, "false [credential/no-certificate]", nil},
		{"the mesh's own", `{mode: MUTUAL, credentialName: "builtin://"}`, nil, "true []", nil},
		{"from beside istiod", `{mode: MUTUAL, credentialName: "sds://c"}`, nil, "true []", nil},
		{"files", `{mode: SIMPLE, serverCertificate: /c, privateKey: /k}`, nil, "true []", nil},
		{"ISTIO_MUTUAL", `{mode: ISTIO_MUTUAL, credentialName: c}`, nil, "true []", nil},
		{"an authority's name", `{mode: SIMPLE, credentialName: c-cacert}`, there(ns + "c-cacert"), "false [credential/no-certificate]", nil},
		{"of two the second", `{mode: SIMPLE, credentialNames: [c, d]}`, there(ns + "d"), "true [credential/kept credential/absent credential/there]", []string{ns + "c", ns + "d"}},
		{"of two none", `{mode: SIMPLE, credentialNames: [c, d]}`, nil, "false [credential/kept credential/absent credential/kept credential/absent]", []string{ns + "c", ns + "d"}},
		{"with an authority", `{mode: MUTUAL, credentialName: c}`, there(ns + "c"), "true [credential/there credential/authority]", []string{ns + "c", ns + "c-cacert"}},
		{"with an authority of its own", `{mode: OPTIONAL_MUTUAL, credentialName: c}`, there(ns+"c", ns+"c-cacert"), "true [credential/there credential/authority]", []string{ns + "c", ns + "c-cacert"}},
		{"with the authority alone", `{mode: MUTUAL, credentialName: c}`, there(ns + "c-cacert"), "false [credential/kept credential/absent]", []string{ns + "c"}},
		{"of a type that is not read", `{mode: SIMPLE, credentialName: c}`, map[string]Secret{ns + "c": {Found: true, Type: "kubernetes.io/service-account-token"}}, "false [credential/type]", []string{ns + "c"}},
		{"that is not read", `{mode: SIMPLE, credentialName: c}`, map[string]Secret{ns + "c": {Unknown: &Gap{Reason: GapForbidden}}}, "true [credential/not-read]", []string{ns + "c"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, c := inNamespace(t, tt.tls)
			var asked []string
			s.Offline, s.askSecret = false, func(namespace, name string) Secret {
				if at := namespace + "/" + name; !slices.Contains(asked, at) {
					asked = append(asked, at)
				}
				return tt.secrets[namespace+"/"+name]
			}
			got := c.ServerCertificates(s)
			rules := []RuleID{}
			for _, step := range got.Steps {
				rules = append(rules, step.Rule)
			}
			if diff := cmp.Diff(tt.want, fmt.Sprint(got.Given, " ", rules)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.asked, asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if last := len(got.Steps) - 1; !got.Given && got.Steps[last].Verdict != DeniedBy {
				t.Error("the last step does not say why")
			}
		})
	}
}

// TestSecretsOfManifests has what manifests say of a Secret that they do not hold where it is asked for.
func TestSecretsOfManifests(t *testing.T) {
	const secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: c, namespace: %s}\ntype: kubernetes.io/tls\n"
	for _, tt := range []struct {
		name, manifests string
		want            RuleID
	}{
		{"in none", "", RuleCredentialAssumed},
		{"there", fmt.Sprintf(secret, "istio-system"), RuleCredentialThere},
		{"elsewhere", fmt.Sprintf(secret, "default"), RuleCredentialAbsent},
		{"there and elsewhere", fmt.Sprintf(secret, "default") + fmt.Sprintf(secret, "istio-system"), RuleCredentialThere},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, ingressGateway+tt.manifests)
			got := s.supply(credentialOf("c", "istio-system"), use{proxy: ingressOf(t, s)})
			if last := len(got.Steps) - 1; last < 0 || got.Steps[last].Rule != tt.want {
				t.Error(got)
			}
		})
	}
	t.Run("in a namespace that istiod does not discover", func(t *testing.T) {
		s := snapshotOf(t, ingressGateway+fmt.Sprintf(secret, "istio-system"))
		proxy := ingressOf(t, s)
		s.Mesh = newMesh(&meshconfig.MeshConfig{DiscoverySelectors: []*meshconfig.LabelSelector{{MatchLabels: map[string]string{"istio": "yes"}}}}, Ref{})
		if got := s.supply(credentialOf("c", "istio-system"), use{proxy: proxy}); got.Given || got.Steps[0].Rule != RuleCredentialAbsent {
			t.Error(got)
		}
	})
}

// TestSecretHasNoData: what a snapshot keeps of a Secret is its name and type, whatever it was handed.
func TestSecretHasNoData(t *testing.T) {
	full := NewSecret("shop", "c", "Opaque")
	full.Data, full.StringData, full.Annotations = map[string][]byte{"k": []byte("v")}, map[string]string{"k": "v"}, map[string]string{"k": "v"}
	s := NewSnapshot(Input{Resources: []Sourced{{Object: full, GroupKind: full.GroupVersionKind().GroupKind()}}})
	want := NewSecret("shop", "c", "Opaque")
	want.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}
	if diff := cmp.Diff(want, s.Secrets[0]); diff != "" {
		t.Error(diff)
	}
}
