package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/bigmesh"
)

// statusTime is how long istiod may take until it has written all status, on a machine that does other things.
const statusTime = time.Minute

// TestIstiod holds what kubectl mesh-trace says of a real API server against what a real istiod sends to the proxies, and writes into it.
func TestIstiod(t *testing.T) {
	c := begin(t, "a real istiod")
	for _, w := range []struct {
		name      string
		manifests map[string]string
		requests  []string
	}{
		{"shop", manifestsOf(t, "../shop"), []string{
			"--from shop/deployment/web http://reviews:9080/reviews/0",
			"--from shop/deployment/web -H x-canary:true http://reviews:9080/reviews/0",
			"--from shop/deployment/web -H x-canary:next http://reviews:9080/reviews/0",
			"--from shop/deployment/reviews-v1 http://ratings:9080/ratings/0",
			"--from shop/deployment/reviews-v2 http://ratings:9080/ratings/0",
			"--from shop/deployment/reviews-v1 -X POST http://ratings:9080/ratings/0",
			"--from shop/deployment/web http://web/", "--from shop/deployment/web http://reviews:81/",
			"http://shop.example.com/", "https://shop.example.com/", "https://shop.example.com/api/reviews/0", "https://shop.example.com/else",
		}},
		{"gatewayapi", leaveOut(manifestsOf(t, "../gatewayapi"), "published.yaml"), []string{
			"http://catalog.example.com/", "http://catalog.example.com/v2", "http://catalog.example.com/maintenance", "http://example.com/",
			"http://catalog.internal:8080/", "http://shop.example.com/policy", "http://shop.example.com/policyx", "http://shop.example.com/",
			"--from shop/deployment/frontend http://policies/policy", "--from shop/deployment/frontend http://policies/policyx",
			"--from shop/deployment/frontend http://catalog/",
		}},
		{"bigmesh", map[string]string{"mesh.yaml": generated(t, bigmesh.Mesh{Services: 60, PodsPerService: 2})}, []string{
			"--from team-001/deployment/svc-00021 http://svc-00020.team-001/api/", "--from team-001/deployment/svc-00021 -H x-canary:true http://svc-00020.team-001/api/",
			"--from team-001/deployment/svc-00022 http://svc-00021/api/", "--from team-000/deployment/svc-00005 http://svc-00021.team-001/api/",
			"--from team-001/deployment/svc-00022 -X DELETE http://svc-00021/api/", "http://svc-00020.example.com/api/", "http://svc-00024.example.com/api/",
		}},
	} {
		t.Run(w.name, func(t *testing.T) {
			l := newLive(t, w.manifests)
			t.Run("status", func(t *testing.T) { c.record(t, t.Name(), "status", l.settled(t), nil) })
			b, err := l.bench(t)
			if err != nil {
				t.Fatal(err)
			}
			for _, request := range w.requests {
				diff, err := b.judge(strings.Fields(request))
				c.record(t, t.Name(), request, diff, err)
			}
			l.noStaleStatus(t, w.requests)
		})
	}
	if len(c.skips) > 0 {
		t.Errorf("all requests can be judged: %v", c.skips)
	}
}

// settled waits until what istiod has written into status is what the tracer says that it would be, and returns what still differs.
func (l *live) settled(t *testing.T) (diff string) {
	t.Helper()
	for until := time.Now().Add(statusTime); time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
		now, err := l.cluster(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff = conditions(s, now, statuses(now)); diff == "" {
			return ""
		}
	}
	return diff
}

// noStaleStatus: where istiod has written a status, no trace says that it has not, or says something else.
func (l *live) noStaleStatus(t *testing.T, requests []string) {
	t.Helper()
	same := 0
	for _, request := range requests {
		stdout, stderr, exit := l.server.Kubectl(t, l.kubeconfig, append([]string{"mesh-trace", "-o", "json", "--explain", "full"}, strings.Fields(request)...)...)
		if exit != 0 {
			t.Fatalf("%s: exit %d: %s", request, exit, stderr)
		}
		for _, rule := range []resolve.RuleID{resolve.RulePublishedOther, resolve.RulePublishedStale, resolve.RulePublishedAbsent} {
			if strings.Contains(stdout, fmt.Sprintf("%q", rule)) {
				t.Errorf("%s: %s", request, rule)
			}
		}
		same += strings.Count(stdout, fmt.Sprintf("%q", resolve.RulePublishedSame))
	}
	if kube := slices.ContainsFunc(l.kinds, isHTTPRoute); kube && same == 0 {
		t.Errorf("no trace has read a status")
	}
}

func manifestsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", dir, err)
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

func leaveOut(manifests map[string]string, file string) map[string]string {
	delete(manifests, file)
	return manifests
}

func generated(t *testing.T, m bigmesh.Mesh) string {
	t.Helper()
	var b strings.Builder
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func isHTTPRoute(kind schema.GroupVersionKind) bool { return kind.Kind == "HTTPRoute" }
