package cmd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/bigmesh"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// benchSizes are the numbers of services of the meshes that are measured (testdata/bigmesh).
var benchSizes = []int{1_000, 10_000}

// bySize runs a benchmark on a file of each size.
func bySize(b *testing.B, run func(b *testing.B, path string)) {
	for _, services := range benchSizes {
		b.Run(fmt.Sprint(services), func(b *testing.B) {
			run(b, benchMesh(b, services))
		})
	}
}

// benchMesh is a file with a mesh of that many services.
func benchMesh(tb testing.TB, services int) string {
	tb.Helper()
	file, err := os.Create(filepath.Join(tb.TempDir(), "mesh.yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := bigmesh.Of(services).WriteTo(file); err != nil {
		tb.Fatal(err)
	}
	if err := file.Close(); err != nil {
		tb.Fatal(err)
	}
	return file.Name()
}

func loadBench(tb testing.TB, path string) resolve.Input {
	tb.Helper()
	in, err := load.Manifests(load.ManifestOptions{Paths: []string{path}, Defer: true})
	if err != nil {
		tb.Fatal(err)
	}
	return in
}

// benchRequests are a request from one workload to another of its namespace, and one from outside.
func benchRequests(tb testing.TB) map[string]trace.Request {
	tb.Helper()
	requests := map[string]trace.Request{}
	for name, typed := range map[string]trace.Typed{
		"sidecar": {URL: "http://svc-00004.team-000/api/", From: "team-000/deployment/svc-00005"},
		"gateway": {URL: "http://svc-00004.example.com/api/", From: "external"},
	} {
		typed.Namespace = "team-000"
		q, err := trace.NewRequest(typed)
		if err != nil {
			tb.Fatal(err)
		}
		requests[name] = q
	}
	return requests
}

// BenchmarkLoad reads the manifests of the whole mesh.
func BenchmarkLoad(b *testing.B) {
	bySize(b, func(b *testing.B, path string) {
		b.ReportAllocs()
		for b.Loop() {
			loadBench(b, path)
		}
	})
}

// BenchmarkIndex makes a snapshot and walks the first request, which builds every index it needs.
func BenchmarkIndex(b *testing.B) {
	bySize(b, func(b *testing.B, path string) {
		in := loadBench(b, path)
		q := benchRequests(b)["sidecar"]
		b.ReportAllocs()
		for b.Loop() {
			if _, err := trace.Walk(resolve.NewSnapshot(in), q); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkTrace walks one request on a snapshot whose indexes are there, without what was not chosen.
func BenchmarkTrace(b *testing.B) {
	bySize(b, func(b *testing.B, path string) {
		s := resolve.NewSnapshot(loadBench(b, path))
		for _, name := range []string{"sidecar", "gateway"} {
			b.Run(name, func(b *testing.B) {
				q := benchRequests(b)[name]
				if _, err := trace.Walk(s, q); err != nil { // builds the indexes
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := trace.WalkView(s, q, trace.DetailNone); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}

// benchCases is how many cases BenchmarkTest runs.
const benchCases = 10_000

// BenchmarkTest runs `test` from the reading of its files to its report, all cases in one file.
func BenchmarkTest(b *testing.B) {
	for _, flags := range [][]string{{}, {"--coverage"}} {
		b.Run(strings.Join(append([]string{"cases"}, flags...), ""), func(b *testing.B) {
			bySize(b, func(b *testing.B, path string) {
				cases := filepath.Join(filepath.Dir(path), "cases.yaml")
				var file bytes.Buffer
				if err := bigmesh.Of(benchSizes[0]).WriteCases(&file, filepath.Base(path), benchCases); err != nil {
					b.Fatal(err)
				}
				if err := os.WriteFile(cases, file.Bytes(), 0o600); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					var out bytes.Buffer
					streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out}
					args := append([]string{"kubectl-mesh_trace", "test", "-f", cases}, flags...)
					if code := run(context.Background(), args, streams, Build{}, join()); code != 0 {
						b.Fatal(out.String())
					}
				}
			})
		})
	}
}

// BenchmarkMemory reports what a snapshot of the mesh keeps, with all indexes built.
func BenchmarkMemory(b *testing.B) {
	bySize(b, func(b *testing.B, path string) {
		q := benchRequests(b)["sidecar"]
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
	})
}
