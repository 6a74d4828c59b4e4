package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// benchServices is the size of the generated mesh.
const benchServices = 1000

// generatedMesh writes a mesh of services, twenty to a namespace, each with a
// Deployment, a VirtualService of two weighted subsets, a DestinationRule and an
// AuthorizationPolicy; one gateway serves all of them.
func generatedMesh(tb testing.TB) string {
	tb.Helper()
	var b strings.Builder
	b.WriteString(benchGateway)
	for i := range benchServices {
		ns := fmt.Sprintf("team-%02d", i/20)
		if i%20 == 0 {
			fmt.Fprintf(&b, "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {istio-injection: enabled}}\n", ns)
		}
		b.WriteString(strings.NewReplacer("NAME", fmt.Sprintf("svc-%04d", i), "NS", ns).Replace(benchService))
	}
	path := filepath.Join(tb.TempDir(), "mesh.yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

const benchGateway = `apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  ports: [{name: http2, port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  template:
    metadata: {labels: {istio: ingressgateway}, annotations: {inject.istio.io/templates: gateway}}
    spec: {containers: [{name: istio-proxy, image: auto}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
`

const benchService = `---
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: NS}
spec:
  selector: {app: NAME}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: NS}
spec:
  replicas: 2
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME, version: v1}}
    spec: {containers: [{name: app, image: app}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: NAME, namespace: NS}
spec:
  hosts: [NAME, NAME.example.com]
  gateways: [mesh, istio-system/front]
  http:
  - match: [{headers: {x-canary: {exact: "1"}}}]
    route: [{destination: {host: NAME, subset: v2}}]
  - route:
    - {destination: {host: NAME, subset: v1}, weight: 90}
    - {destination: {host: NAME, subset: v2}, weight: 10}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: NAME, namespace: NS}
spec:
  host: NAME
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: NAME, namespace: NS}
spec:
  selector: {matchLabels: {app: NAME}}
  rules:
  - from: [{source: {namespaces: [NS, istio-system]}}]
    to: [{operation: {methods: [GET]}}]
`

func loadBench(tb testing.TB, path string) resolve.Input {
	tb.Helper()
	in, err := load.Manifests(load.ManifestOptions{Paths: []string{path}, DefaultNamespace: "team-00"})
	if err != nil {
		tb.Fatal(err)
	}
	return in
}

func benchRequest(tb testing.TB, url, from string) trace.Request {
	tb.Helper()
	q, err := trace.NewRequest(trace.Typed{URL: url, From: from, Namespace: "team-00"})
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

// BenchmarkLoad reads the manifests of the whole mesh.
func BenchmarkLoad(b *testing.B) {
	path := generatedMesh(b)
	b.ReportAllocs()
	for b.Loop() {
		loadBench(b, path)
	}
}

// BenchmarkIndex makes a snapshot and walks the first request, which builds every index it needs.
func BenchmarkIndex(b *testing.B) {
	in := loadBench(b, generatedMesh(b))
	q := benchRequest(b, "http://svc-0007.team-00/", "team-00/deployment/svc-0001")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := trace.Walk(resolve.NewSnapshot(in), q); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTrace walks one request on a snapshot whose indexes are there.
func BenchmarkTrace(b *testing.B) {
	s := resolve.NewSnapshot(loadBench(b, generatedMesh(b)))
	for _, c := range []struct{ name, url, from string }{
		{"sidecar", "http://svc-0007.team-00/", "team-00/deployment/svc-0001"},
		{"gateway", "http://svc-0007.example.com/", "external"},
	} {
		b.Run(c.name, func(b *testing.B) {
			q := benchRequest(b, c.url, c.from)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := trace.Walk(s, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMemory reports what a snapshot of the mesh keeps, with all indexes built.
func BenchmarkMemory(b *testing.B) {
	path := generatedMesh(b)
	q := benchRequest(b, "http://svc-0007.team-00/", "team-00/deployment/svc-0001")
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := resolve.NewSnapshot(loadBench(b, path))
		if _, err := trace.Walk(s, q); err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB-kept")
		runtime.KeepAlive(s)
	}
}
