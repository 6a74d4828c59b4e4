package cmd

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
)

// secretMesh is a gateway as a cluster has it, with three servers and a certificate for each.
const secretMesh = clusterMesh + `---
apiVersion: v1
kind: Pod
metadata: {name: ingress-1, namespace: istio-system, labels: {istio: ingressgateway}, annotations: {sidecar.istio.io/status: "{}", inject.istio.io/templates: gateway}}
spec:
  serviceAccountName: ingress
  nodeName: n1
  containers: [{name: istio-proxy, image: proxyv2, args: [proxy, router]}]
status: {phase: Running, podIP: 10.0.0.9, podIPs: [{ip: 10.0.0.9}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Service
metadata: {name: ingress, namespace: istio-system}
spec: {clusterIP: 10.1.0.9, clusterIPs: [10.1.0.9], selector: {istio: ingressgateway}, ports: [{name: https, port: 443, targetPort: 8443}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: [shop.example.com], tls: {mode: SIMPLE, credentialName: shop-cert}}
  - {port: {number: 443, name: https-b, protocol: HTTPS}, hosts: [partner.example.com], tls: {mode: MUTUAL, credentialName: partner-cert}}
  - {port: {number: 443, name: https-c, protocol: HTTPS}, hosts: [other.example.com], tls: {mode: SIMPLE, credentialName: other-cert}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: shop}
spec: {hosts: [shop.example.com, partner.example.com], gateways: [shop], http: [{route: [{destination: {host: reviews, port: {number: 9080}}}]}]}
`

// inSecret is what is in every Secret.
const inSecret = "aHVudGVyMg-the-private-key"

// secretQuestion is a request for a Secret, or Secrets, and what was answered.
type secretQuestion struct {
	Line, Accept, answer string
}

// secretServer has Secrets as an API server has them: it sends their data to whoever does not ask for a table without the
// object. types are the Secrets by path; nothing is found that is not among them.
func secretServer(t *testing.T, types map[string]string, answer func(path string, table bool) (status int, body string)) (*loadtest.Server, func() []secretQuestion) {
	t.Helper()
	s := loadtest.New(t)
	s.Apply(t, secretMesh)
	questions := make(chan secretQuestion, 100)
	s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/secrets") {
			return false
		}
		table := r.Header.Get("Accept") == "application/json;as=Table;v=v1;g=meta.k8s.io" && r.URL.Query().Get("includeObject") == "None"
		status, body := http.StatusNotFound, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`
		if kind, ok := types[r.URL.Path]; ok {
			status, body = http.StatusOK, secretBody(kind, table)
		}
		if answer != nil {
			status, body = answer(r.URL.Path, table)
		}
		questions <- secretQuestion{Line: r.Method + " " + r.URL.Path, Accept: r.Header.Get("Accept"), answer: body}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
	return s, func() []secretQuestion {
		var out []secretQuestion
		for len(questions) > 0 {
			out = append(out, <-questions)
		}
		return out
	}
}

// secretBody is the Secret itself, or kubectl's table of it.
func secretBody(kind string, table bool) string {
	if !table {
		return fmt.Sprintf(`{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"},"type":%q,"data":{"tls.key":%q}}`, kind, inSecret)
	}
	return fmt.Sprintf(`{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},
		"columnDefinitions":[{"name":"Name","type":"string"},{"name":"Type","type":"string"},{"name":"Data","type":"string"},{"name":"Age","type":"string"}],
		"rows":[{"cells":["x",%q,2,"5d"],"object":null}]}`, kind)
}

const (
	fateOf      = "jsonpath={.outcomes[0].decision} {.outcomes[0].certainty} {.outcomes[0].code}"
	tableAccept = "application/json;as=Table;v=v1;g=meta.k8s.io"
)

// TestSecretsAreAskedForWithoutTheirData records all that is asked of an API server about Secrets: the few that a trace
// needs, one by one, as a table without the object; and no answer has what is in one.
func TestSecretsAreAskedForWithoutTheirData(t *testing.T) {
	const at = "/api/v1/namespaces/istio-system/secrets/"
	for _, tc := range []struct {
		name  string
		types map[string]string
		args  []string
		want  string
		asked []string
	}{
		{
			name: "there", types: map[string]string{at + "shop-cert": "kubernetes.io/tls"}, args: []string{"https://shop.example.com/"},
			want: "Delivered certain ", asked: []string{"GET " + at + "shop-cert"},
		},
		{
			name: "absent", types: map[string]string{"/api/v1/namespaces/shop/secrets/shop-cert": "kubernetes.io/tls"}, args: []string{"https://shop.example.com/"},
			want: "Reset assumed NO_CERTIFICATE", asked: []string{"GET " + at + "shop-cert"},
		},
		{
			name: "of a type that istiod does not read", types: map[string]string{at + "shop-cert": "helm.sh/release.v1"}, args: []string{"https://shop.example.com/"},
			want: "Reset certain NO_CERTIFICATE", asked: []string{"GET " + at + "shop-cert"},
		},
		{
			name: "with an authority", types: map[string]string{at + "partner-cert": "Opaque"}, args: []string{"--client-cert", "spiffe://partner.example/a", "https://partner.example.com/"},
			want: "Delivered certain ", asked: []string{"GET " + at + "partner-cert", "GET " + at + "partner-cert-cacert"},
		},
		{
			name: "with an authority of its own", types: map[string]string{at + "partner-cert": "Opaque", at + "partner-cert-cacert": "Opaque"},
			args: []string{"--client-cert", "spiffe://partner.example/a", "https://partner.example.com/"},
			want: "Delivered certain ", asked: []string{"GET " + at + "partner-cert", "GET " + at + "partner-cert-cacert"},
		},
		{name: "not needed", args: []string{"reviews:9080/"}, want: "Delivered certain "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, questions := secretServer(t, tc.types, nil)
			if diff := cmp.Diff(result{Out: tc.want}, fromCluster(t, s, append([]string{"-o", fateOf}, tc.args...)...)); diff != "" {
				t.Error(diff)
			}
			var asked []string
			for _, q := range questions() {
				asked = append(asked, q.Line)
				if q.Accept != tableAccept {
					t.Errorf("%s accepts %q", q.Line, q.Accept)
				}
				if strings.Contains(q.answer, inSecret) {
					t.Errorf("%s was answered with data: %s", q.Line, q.answer)
				}
			}
			slices.Sort(asked)
			if diff := cmp.Diff(tc.asked, asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWithoutPermissionOnSecrets: whoever may not read Secrets, or whose server does not do as asked, gets a trace
// on the assumption that the Secret is there, and nothing of one in any output.
func TestWithoutPermissionOnSecrets(t *testing.T) {
	status := func(code int, reason string) func(string, bool) (int, string) {
		return func(string, bool) (int, string) {
			return code, fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":"the server says %s","code":%d}`, reason, reason, code)
		}
	}
	for _, tc := range []struct {
		name   string
		answer func(string, bool) (int, string)
		said   string
	}{
		{"forbidden", status(http.StatusForbidden, "Forbidden"), "Secret istio-system/shop-cert could not be asked for (forbidden: the server says Forbidden): taken to be there"},
		{"no tables", status(http.StatusNotAcceptable, "NotAcceptable"), "could not be asked for (failed: the server says NotAcceptable): taken to be there"},
		{"sends the Secret all the same", func(string, bool) (int, string) { return http.StatusOK, secretBody("kubernetes.io/tls", false) }, "could not be asked for (failed: the server has not answered with a table): taken to be there"},
		{"sends nonsense", func(string, bool) (int, string) { return http.StatusOK, inSecret }, "could not be asked for (failed: the server has not answered with a table): taken to be there"},
		{"a table without the column", func(string, bool) (int, string) {
			return http.StatusOK, `{"kind":"Table","columnDefinitions":[{"name":"Name"}],"rows":[{"cells":["` + inSecret + `"]}]}`
		}, "could not be asked for (failed: the server's table has no type): taken to be there"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := secretServer(t, nil, tc.answer)
			for _, format := range []string{"text", "wide", "json", "yaml", fateOf} {
				r := fromCluster(t, s, "-o", format, "--explain", "full", "https://shop.example.com/")
				if r.Code != 0 || strings.Contains(r.Out+r.ErrOut, inSecret) {
					t.Errorf("%s: %+v", format, r)
				}
				if format == fateOf && r.Out != "Delivered assumed " {
					t.Error(r.Out)
				}
				if format == "wide" && !strings.Contains(r.Out, tc.said) {
					t.Errorf("want %q:\n%s", tc.said, r.Out)
				}
			}
		})
	}
}
