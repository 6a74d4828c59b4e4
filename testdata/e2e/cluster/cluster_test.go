package cluster

import (
	"strings"
	"testing"
)

func TestAppliedObjectsAreThereWithTheirStatusUntilReset(t *testing.T) {
	c := Start(t)
	admin := c.Kubeconfig(t, "")
	c.Apply(t, `
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec: {containers: [{name: app, image: app}]}
status: {phase: Running, podIP: 10.1.1.1, podIPs: [{ip: 10.1.1.1}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: istio}
spec: {controllerName: istio.io/gateway-controller}
status: {conditions: [{type: Accepted, status: "True", reason: Accepted, message: "", lastTransitionTime: "2026-01-01T00:00:00Z"}]}
`)
	for _, q := range []struct{ resource, path, want string }{
		{"pod/web", "{.status.podIP}", "10.1.1.1"},
		{"virtualservice/web", "{.spec.hosts[0]}", "web"},
		{"gatewayclass/istio", "{.status.conditions[0].reason}", "Accepted"},
	} {
		out, errOut, code := c.Kubectl(t, admin, "-n", "shop", "get", q.resource, "-o", "jsonpath="+q.path)
		if out != q.want || code != 0 {
			t.Errorf("%s has %s %q, want %q; exit %d, %s", q.resource, q.path, out, q.want, code, errOut)
		}
	}
	if err := c.Reset(); err != nil {
		t.Fatal(err)
	}
	out, _, _ := c.Kubectl(t, admin, "get", "pods,virtualservices,gatewayclasses,namespaces", "-A", "-o", "name")
	if strings.Contains(out, "web") || strings.Contains(out, "shop") || !strings.Contains(out, "namespace/default") {
		t.Errorf("after Reset there are:\n%s", out)
	}
}

func TestKubectlRunsThePluginAsTheUserOfTheKubeconfig(t *testing.T) {
	c := Start(t, WithCRDs())
	jane := c.Kubeconfig(t, "jane", "oncall")
	if out, errOut, code := c.Kubectl(t, jane, "mesh-trace", "http://web.shop/"); code != 0 || !strings.Contains(out, `User "jane" cannot list`) {
		t.Errorf("a user who may nothing gets exit %d, %q and %q", code, out, errOut)
	}
	asked := c.Audit(t)
	last := asked[len(asked)-1]
	if last.User.Username != "jane" || !strings.HasPrefix(last.UserAgent, "kubectl-mesh_trace/") {
		t.Errorf("the audit log ends with %+v", last)
	}
	if token := WriteKubeconfig(t, c.ConfigWithToken(Token)); token != "" {
		out, errOut, _ := c.Kubectl(t, token, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
		if out != "token-user" {
			t.Errorf("the token is %q's: %s", out, errOut)
		}
	}
}
