package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// shopRequests come by each kind that testdata/shop has: gateways, routes, subsets, mTLS, and policies that allow and refuse.
var shopRequests = []string{
	"--from external http://shop.example.com/",
	"--from external https://shop.example.com/",
	"--from external https://shop.example.com/api/reviews/1",
	"--from shop/deployment/web http://reviews:9080/reviews/1",
	"--from shop/deployment/web -H 'x-canary: true' http://reviews:9080/reviews/1",
	"--from shop/deployment/web -H 'x-canary: next' http://reviews:9080/reviews/1",
	"--from shop/deployment/reviews-v1 http://ratings:9080/ratings/1",
	"--from shop/deployment/reviews-v2 http://ratings:9080/ratings/1",
	"--from shop/deployment/web http://outside.example.com/",
}

// shopRoute is a route of the Gateway API beside the Istio kinds of testdata/shop.
const shopRoute = `
apiVersion: v1
kind: Namespace
metadata: {name: infra}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: api, namespace: infra}
spec:
  gatewayClassName: istio
  listeners: [{name: http, port: 80, protocol: HTTP, hostname: api.example.com, allowedRoutes: {namespaces: {from: All}}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: api, namespace: shop}
spec:
  parentRefs: [{name: api, namespace: infra}]
  rules: [{backendRefs: [{name: web, port: 80}]}]
`

const shopRouteRequest = "--from external http://api.example.com/"

// controlPlane is istiod, by which a trace knows the release.
const controlPlane = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: istiod, namespace: istio-system, labels: {app: istiod, istio.io/rev: default}}
spec:
  selector: {matchLabels: {app: istiod}}
  template:
    metadata: {labels: {app: istiod, sidecar.istio.io/inject: "false"}}
    spec: {containers: [{name: discovery, image: "docker.io/istio/pilot:1.31.0"}]}
`

// manifestsIn are the manifests of a directory by name.
func manifestsIn(t testing.TB, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests in %s: %v", dir, err)
	}
	out := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(file)] = string(text)
	}
	return out
}

// shop is testdata/shop with a route of the Gateway API and a control plane.
func shop(t testing.TB) mesh {
	t.Helper()
	manifests := manifestsIn(t, "../shop")
	manifests["route.yaml"], manifests["istiod.yaml"] = shopRoute, controlPlane
	m, err := completed(manifests)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// withShop is the shared cluster with the shop in it; more is as in [shared].
func withShop(t *testing.T, more ...rbacv1.PolicyRule) *cluster.Cluster {
	t.Helper()
	c := shared(t, more...)
	c.Apply(t, shop(t).yaml(t))
	return c
}

// answer is what one run of the program gave.
type answer struct {
	stdout, stderr string
	exit           int
}

// ask traces a request, given as a command line, as the user of a kubeconfig file.
func ask(t testing.TB, kubeconfig, request string, more ...string) answer {
	t.Helper()
	args := append([]string{"mesh-trace", "-o", "json"}, words(request)...)
	var a answer
	a.stdout, a.stderr, a.exit = cluster.Kubectl(t, kubeconfig, append(args, more...)...)
	return a
}

// Fate is what an outcome says about the request, apart from how sure it is.
type Fate struct {
	Weight      float64
	Decision    string
	HTTPStatus  int
	Code        string
	Destination struct {
		Host     string
		Port     int
		Subset   string
		Workload *struct{ Kind, Namespace, Name string }
	}
}

// outcome is a fate and its certainty.
type outcome struct {
	Fate
	Certainty string
}

// outcomes reads the trace. It ends the test where there is none.
func (a answer) outcomes(t testing.TB) []outcome {
	t.Helper()
	var trace struct{ Outcomes []outcome }
	if a.exit != 0 {
		t.Fatalf("exit %d: %s", a.exit, a.stderr)
	}
	if err := json.Unmarshal([]byte(a.stdout), &trace); err != nil {
		t.Fatalf("no JSON: %v\n%s", err, a.stdout)
	}
	return trace.Outcomes
}

// fates are the outcomes without their certainty.
func (a answer) fates(t testing.TB) []Fate {
	t.Helper()
	var out []Fate
	for _, o := range a.outcomes(t) {
		out = append(out, o.Fate)
	}
	return out
}

// soundness of an answer by somebody who could read less than there is.
const (
	same    = "the same"
	lowered = "lowered"
	failed  = "failed"
)

// sound holds an answer against the one that knows everything: it is the same; or no outcome of it is certain; or it is one line on stderr, exit 1, and nothing on stdout.
// It returns which.
func sound(t testing.TB, what string, full, got answer) string {
	t.Helper()
	if got.exit != 0 {
		if got.exit != 1 || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 || !strings.HasPrefix(got.stderr, "error: ") {
			t.Errorf("%s: not one clear error: exit %d, stdout %q, stderr:\n%s", what, got.exit, got.stdout, got.stderr)
		}
		return failed
	}
	diff := cmp.Diff(full.fates(t), got.fates(t))
	verdict := same
	for _, o := range got.outcomes(t) {
		if o.Certainty != "certain" {
			verdict = lowered
		} else if diff != "" {
			t.Errorf("%s: wrong, and certain (-everything is known +this):\n%s\n%s", what, diff, got.stderr)
		}
	}
	return verdict
}
