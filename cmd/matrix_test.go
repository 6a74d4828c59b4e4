package cmd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/reach"
)

// TestMatrixIsEachOfItsCells asks the requests of every scenario, and every port of every Service there, of all sources: each
// cell is what a trace of that request from that source says.
func TestMatrixIsEachOfItsCells(t *testing.T) {
	cells := 0
	for c := range tracedScenarios(t) {
		snapshot := resolve.NewSnapshot(c.input)
		cells += compareCells(t, c.name, c.input, reach.Questions(snapshot, c.request), everyService(t, snapshot))
	}
	t.Logf("%d cells", cells)
}

// TestMatrixOfAMeshIsEachOfItsCells is the same of a generated mesh of five namespaces.
func TestMatrixOfAMeshIsEachOfItsCells(t *testing.T) {
	in := loadBench(t, benchMesh(t, 100))
	compareCells(t, "bigmesh", in, nil, everyService(t, resolve.NewSnapshot(in)))
}

func everyService(t *testing.T, s *resolve.Snapshot) []reach.Question {
	t.Helper()
	all, err := reach.ParseService(reach.All)
	if err != nil {
		t.Fatal(err)
	}
	urls, err := reach.URLs(s, []reach.Pattern{all}, "/api/")
	if err != nil {
		return nil // there is no Service
	}
	var requests []trace.Request
	for _, url := range urls {
		q, err := trace.NewRequest(trace.Typed{URL: url})
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		requests = append(requests, q)
	}
	return reach.Questions(s, requests...)
}

// compareCells holds a matrix against walks in a snapshot of their own, and returns how many cells it has.
func compareCells(t *testing.T, name string, in resolve.Input, lists ...[]reach.Question) int {
	t.Helper()
	questions := slices.Concat(lists...)
	snapshot := resolve.NewSnapshot(in)
	var patterns []reach.Pattern
	for _, text := range []string{reach.All, reach.Unmeshed, reach.External} {
		p, err := reach.ParseSource(text, "default")
		if err != nil {
			t.Fatal(err)
		}
		patterns = append(patterns, p)
	}
	sources, _, err := reach.MatrixSources(snapshot, patterns, questions)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	m, err := reach.NewMatrix(context.Background(), snapshot, sources, questions)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	plain := resolve.NewSnapshot(in)
	for i, source := range sources {
		for j, q := range questions {
			if diff := cmp.Diff(sharesOf(plainAnswers(t, plain, source, q)), sharesOf([]*reach.Answer{m.At(i, j)})); diff != "" {
				t.Errorf("%s: %s, %s (-walked +cell):\n%s", name, source.Name(), q.Request.Host, diff)
			}
		}
	}
	return len(sources) * len(questions)
}

// plainAnswers are those of each pod of the source.
func plainAnswers(t *testing.T, s *resolve.Snapshot, source *reach.Source, q reach.Question) []*reach.Answer {
	t.Helper()
	if source.Kind == reach.ExternalSource {
		req := q.Request
		req.From, req.Gateway = trace.SourceSpec{External: true}, ""
		walked, err := trace.Walk(s, req)
		if err != nil {
			t.Fatal(err)
		}
		return []*reach.Answer{reach.Sum(walked)}
	}
	var out []*reach.Answer
	for _, client := range source.Clients() {
		walked, err := trace.WalkFrom(s, q.Request, client.Workload, trace.DetailFull)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, reach.Sum(walked))
	}
	return out
}

// sharesOf is how much of the requests ends how, without the words about it.
func sharesOf(answers []*reach.Answer) map[string]string {
	shares := map[reach.End]float64{}
	for _, a := range answers {
		for _, e := range a.Ends {
			weight := e.Weight / float64(len(answers))
			e.Weight, e.Reason = 0, ""
			shares[e] += weight
		}
	}
	out := map[string]string{}
	for e, share := range shares {
		out[fmt.Sprintf("%+v", e)] = fmt.Sprintf("%.2f", share)
	}
	return out
}

// TestCrowdTellsNodesAndAddressesApart: what no scenario has two clients for.
func TestCrowdTellsNodesAndAddressesApart(t *testing.T) {
	const mesh = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Node
metadata: {name: one, labels: {topology.kubernetes.io/region: r, topology.kubernetes.io/zone: z}}
---
apiVersion: v1
kind: Node
metadata: {name: two, labels: {topology.kubernetes.io/region: r, topology.kubernetes.io/zone: z}}
---
apiVersion: v1
kind: Pod
metadata: {name: near, namespace: shop, labels: {app: near}}
spec: {nodeName: one, containers: [{name: a}, {name: istio-proxy}]}
status: {phase: Running, podIP: 10.0.0.1, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: far, namespace: shop, labels: {app: far}}
spec: {nodeName: two, containers: [{name: a}, {name: istio-proxy}]}
status: {phase: Running, podIP: 10.0.9.1, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: shop, labels: {app: server}}
spec: {nodeName: one, containers: [{name: a}, {name: istio-proxy}]}
status: {phase: Running, podIP: 10.0.0.2, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: open, namespace: shop, labels: {app: open}}
spec: {nodeName: one, containers: [{name: a}, {name: istio-proxy}]}
status: {phase: Running, podIP: 10.0.0.3, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Service
metadata: {name: local, namespace: shop}
spec: {clusterIP: 10.96.0.1, internalTrafficPolicy: Local, selector: {app: open}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: judged, namespace: shop}
spec: {clusterIP: 10.96.0.2, selector: {app: server}, ports: [{name: http, port: 81}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: addresses, namespace: shop}
spec:
  selector: {matchLabels: {app: server}}
  rules:
  - from: [{source: {remoteIpBlocks: [10.0.0.0/24]}}]
`
	path := filepath.Join(t.TempDir(), "mesh.yaml")
	if err := os.WriteFile(path, []byte(mesh), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := load.Manifests(load.ManifestOptions{Paths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	snapshot := resolve.NewSnapshot(in)
	for _, tc := range []struct {
		url       string
		near, far trace.Decision
	}{
		{"http://local.shop", trace.Delivered, trace.Unavailable},
		{"http://judged.shop:81", trace.Delivered, trace.Denied},
	} {
		q, err := trace.NewRequest(trace.Typed{URL: tc.url})
		if err != nil {
			t.Fatal(err)
		}
		crowd := trace.NewCrowd(snapshot, q)
		for _, client := range []struct {
			pod  string
			want trace.Decision
		}{{"near", tc.near}, {"far", tc.far}} {
			pod, want := client.pod, client.want
			found, err := snapshot.FindWorkload("pod", "shop", pod)
			if err != nil {
				t.Fatal(err)
			}
			got, err := crowd.Trace(trace.NewClient(snapshot, found[0]))
			if err != nil {
				t.Fatal(err)
			}
			if got.Outcomes[0].Decision != want {
				t.Errorf("%s from %s: want %s, got %s: %s", tc.url, pod, want, got.Outcomes[0].Decision, got.Outcomes[0].Reason)
			}
		}
	}
}
