package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/bigmesh"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// requestOnly leaves of a scenario's command line what a snapshot takes: all but how the trace is printed.
func requestOnly(args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		switch {
		case slices.Contains([]string{"-o", "--output", "--explain", "--color"}, args[i]):
			i++
		case args[i] == "--exit-code" || strings.HasPrefix(args[i], "-o=") || strings.HasPrefix(args[i], "-o") && len(args[i]) > 2,
			strings.HasPrefix(args[i], "--output=") || strings.HasPrefix(args[i], "--explain="):
		default:
			out = append(out, args[i])
		}
	}
	return out
}

// TestSnapshotOfEveryScenarioReplays takes a snapshot of each request of each scenario. Its trace is that of the scenario.
func TestSnapshotOfEveryScenarioReplays(t *testing.T) {
	var requests, objects, of atomic.Int64
	eachTracedRequest(t, func(t *testing.T, at, dir string, flags, args []string, one *tracing) {
		requests.Add(1)
		file := filepath.Join(dir, "snapshot.yaml")
		taken := runWith(t, join(), append(append([]string{"snapshot", "-o", file}, flags...), args...)...)
		if taken.Code != 0 || strings.Contains(taken.ErrOut, "not all those") {
			t.Errorf("%s: %+v", at, taken)
			return
		}
		replayed := traceWith(t, append([]string{"-f", file}, withoutMeshFlags(args)...))
		if replayed == nil {
			t.Errorf("%s: the replay fails", at)
			return
		}
		objects.Add(int64(len(replayed.in.Resources)))
		of.Add(int64(len(one.in.Resources)))
		// A mesh config is named by its file, in a snapshot without the directory, which makes columns narrower.
		want := strings.ReplaceAll(one.text(), dir+string(filepath.Separator), "")
		if diff := cmp.Diff(spaces.ReplaceAllString(want, " "), spaces.ReplaceAllString(replayed.text(), " ")); diff != "" {
			t.Errorf("%s (-scenario +snapshot):\n%s", at, diff)
		}
	})
	t.Logf("%d requests; %d of %d objects are in the snapshots", requests.Load(), objects.Load(), of.Load())
	if requests.Load() < 1000 {
		t.Errorf("only %d requests", requests.Load())
	}
}

var spaces = regexp.MustCompile(" +")

// eachTracedRequest hands over each request of each scenario that has a trace, several at a time, and waits for all. Both
// the flags of the mesh and the command line of the request are without those of the output; the manifests are in dir.
func eachTracedRequest(t *testing.T, do func(t *testing.T, at, dir string, flags, args []string, one *tracing)) {
	t.Helper()
	t.Run("scenarios", func(t *testing.T) {
		for _, s := range loadScenarios(t) {
			t.Run(strings.TrimPrefix(s.path, scenarioRoot+"/"), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				flags := s.write(t, dir, s.files)
				for i, args := range s.requests {
					args := requestOnly(args)
					one := traceWith(t, append(slices.Clone(flags), args...))
					if one == nil {
						continue // a command line that is refused, or a source that is not there
					}
					do(t, fmt.Sprintf("%s#%d", s.path, i), dir, flags, args, one)
				}
			})
		}
	})
}

// withoutMeshFlags drops the flags whose effect a snapshot has in it.
func withoutMeshFlags(args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		switch {
		case slices.Contains([]string{"--revision", "--istio-version", "--mesh-config", "-i", "--istio-namespace"}, args[i]):
			i++
		case strings.HasPrefix(args[i], "--revision=") || strings.HasPrefix(args[i], "--istio-version="):
		default:
			out = append(out, args[i])
		}
	}
	return out
}

// tracing is one trace with what it was made from.
type tracing struct {
	in    resolve.Input
	trace *trace.Trace
}

// traceWith runs the command line and returns its trace at full detail; nil where there is none.
func traceWith(t *testing.T, args []string) *tracing {
	t.Helper()
	var out tracing
	deps := join()
	manifests := deps.Manifests
	deps.Manifests = func(o load.ManifestOptions) (resolve.Input, error) {
		o.Defer = false
		in, err := manifests(o)
		out.in = in
		return in, err
	}
	deps.Trace = func(s *resolve.Snapshot, q trace.Request, _ trace.Detail) (*trace.Trace, error) {
		walked, err := trace.Walk(s, q)
		out.trace = walked
		return walked, err
	}
	if r := runWith(t, deps, args...); r.Code != 0 || out.trace == nil {
		return nil
	}
	return &out
}

func (t *tracing) text() string {
	return string(render.Text(t.trace, render.Options{Wide: true}))
}

// TestSnapshotOfALargeMeshIsSmall takes a snapshot out of a mesh of 1,000 services: of its objects, a few in a thousand.
func TestSnapshotOfALargeMeshIsSmall(t *testing.T) {
	t.Chdir(t.TempDir())
	file, err := os.Create("mesh.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bigmesh.Of(1000).WriteTo(file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	request := []string{"-n", "team-000", "--from", "team-000/deployment/svc-00005", "http://svc-00004.team-000/api/"}
	if r := runWith(t, join(), append([]string{"snapshot", "-f", "mesh.yaml", "-o", "snapshot.yaml"}, request...)...); r.Code != 0 {
		t.Fatalf("%+v", r)
	}
	whole, part := traceWith(t, append([]string{"-f", "mesh.yaml"}, request...)), traceWith(t, append([]string{"-f", "snapshot.yaml"}, request...))
	if whole == nil || part == nil {
		t.Fatal("no trace")
	}
	if len(part.in.Resources)*100 > len(whole.in.Resources) {
		t.Errorf("%d of %d objects", len(part.in.Resources), len(whole.in.Resources))
	}
	if diff := cmp.Diff(whole.text(), part.text()); diff != "" {
		t.Errorf("(-whole +snapshot):\n%s", diff)
	}
}
