package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ingressGateway is a gateway workload with its Service, 80 to 8080 and 443 to 8443.
const ingressGateway = `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  template:
    metadata:
      labels: {istio: ingressgateway, sidecar.istio.io/inject: "true"}
      annotations: {inject.istio.io/templates: gateway}
    spec:
      containers: [{name: istio-proxy, image: auto, ports: [{name: http2, containerPort: 8090}]}]
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: 8443}
  - {name: tcp, port: 9000, targetPort: 9000}
---
`

// gatewayYAML is a Gateway that selects ingressGateway, with servers in flow style.
func gatewayYAML(name string, servers ...string) string {
	ns, name, _ := strings.Cut(name, "/")
	return fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: %q, namespace: %s}\nspec:\n  selector: {istio: ingressgateway}\n  servers:\n  - %s\n",
		name, ns, strings.Join(servers, "\n  - "))
}

// virtualServiceYAML is a VirtualService with a spec in flow style.
func virtualServiceYAML(name, spec string) string {
	ns, name, _ := strings.Cut(name, "/")
	return fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: %q, namespace: %s}\nspec: %s\n", name, ns, spec)
}

// ingressOf is the workload of ingressGateway.
func ingressOf(t testing.TB, s *Snapshot) *Workload {
	t.Helper()
	for _, w := range s.gatewayWorkloads() {
		if w.Owner.Name == "istio-ingressgateway" {
			return w
		}
	}
	t.Fatal("no gateway workload")
	return nil
}

// stepLines are rule, resource and field of steps with one of the verdicts (any if none is
// named); a reason whose template does not fit its facts fails the test.
func gatewayStepLines(t testing.TB, steps []Step, verdicts ...Verdict) []string {
	t.Helper()
	var out []string
	for _, s := range steps {
		if r := s.Reason(); strings.Contains(r, "%!") || strings.Contains(r, "unlisted rule") {
			t.Errorf("reason of %s: %s", s.Rule, r)
		}
		wanted := len(verdicts) == 0
		for _, v := range verdicts {
			wanted = wanted || s.Verdict == v
		}
		if wanted {
			out = append(out, strings.TrimSpace(string(s.Rule)+" "+s.Ref.QualifiedName()+" "+s.Ref.Field))
		}
	}
	return out
}

func TestGatewaySelection(t *testing.T) {
	gateway := func(name, selector string) string {
		ns, name, _ := strings.Cut(name, "/")
		return fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: %q, namespace: %s}\nspec: {%s}\n", name, ns, selector)
	}
	tests := []struct {
		name, gateway string
		want          string
		miss          string
	}{
		{"labels match in another namespace", gateway("shop/a", "selector: {istio: ingressgateway}"), "gateway/selects-workload", ""},
		{"no selector", gateway("shop/a", "servers: []"), "gateway/selects-workload", ""},
		{"label has another value", gateway("shop/a", "selector: {istio: egressgateway}"), "gateway/does-not-select-workload", "istio=egressgateway / istio=ingressgateway"},
		{"label is absent", gateway("shop/a", "selector: {team: shop}"), "gateway/does-not-select-workload", "team=shop / label team is absent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, ingressGateway+tt.gateway)
			g := s.MergedGateway(ingressOf(t, s))
			want := []string{tt.want + " shop/a spec.selector"}
			if tt.miss != "" {
				want = append(want, "gateway/none-selects-workload")
				if got := g.Steps[0].Expected + " / " + g.Steps[0].Actual; got != tt.miss {
					t.Errorf("want %q, got %q", tt.miss, got)
				}
			}
			if diff := cmp.Diff(want, gatewayStepLines(t, g.Steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMergedGatewayIsShared(t *testing.T) {
	s := snapshotOf(t, ingressGateway+gatewayYAML("shop/a", `{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}`))
	w := ingressOf(t, s)
	same := *w
	if s.MergedGateway(w) != s.MergedGateway(&same) {
		t.Error("workloads of one class have different gateways")
	}
	other := *w
	other.Labels = map[string]string{"istio": "egressgateway"}
	if s.MergedGateway(w) == s.MergedGateway(&other) {
		t.Error("workloads with other labels share a gateway")
	}
	if g := s.MergedGateway(nil); len(g.Gateways) != 0 {
		t.Error("no workload has gateways")
	}
}
