package cmd

import (
	"context"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/reach"
)

// BenchmarkMatrix asks all workloads of the mesh of 1,000 services for each of these services: 1,000,000 cells.
func BenchmarkMatrix(b *testing.B) {
	path := benchMesh(b, 1_000)
	b.ReportAllocs()
	for b.Loop() {
		m := matrixOf(b, resolve.NewSnapshot(loadBench(b, path)), "team-*")
		if len(m.Sources) != 1_000 || len(m.Questions) != 1_000 {
			b.Fatalf("%d sources, %d requests", len(m.Sources), len(m.Questions))
		}
		b.ReportMetric(float64(m.Walks), "walks/op")
	}
}

// matrixOf is the matrix of all workloads, and the first port of all Services, in namespaces of that name.
func matrixOf(tb testing.TB, s *resolve.Snapshot, namespaces string) *reach.Matrix {
	tb.Helper()
	pattern, err := reach.ParseService(namespaces)
	if err != nil {
		tb.Fatal(err)
	}
	sources, err := reach.Sources(s, []reach.Pattern{pattern})
	if err != nil {
		tb.Fatal(err)
	}
	urls, err := reach.URLs(s, []reach.Pattern{pattern}, "/api/")
	if err != nil {
		tb.Fatal(err)
	}
	var requests []trace.Request
	seen := map[string]bool{}
	for _, url := range urls {
		q, err := trace.NewRequest(trace.Typed{URL: url, Method: "GET"})
		if err != nil {
			tb.Fatal(err)
		}
		if !seen[q.Host] {
			seen[q.Host] = true
			requests = append(requests, q)
		}
	}
	m, err := reach.NewMatrix(context.Background(), s, sources, reach.Questions(s, requests...))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}
