package cmd

import (
	"crypto/sha256"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	meshconfig "istio.io/api/mesh/v1alpha1"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// traced is one request of a scenario, ready to be walked over changed resources.
type traced struct {
	name    string
	input   resolve.Input
	request trace.Request
}

// tracedScenarios are the requests of all scenarios that give a trace.
func tracedScenarios(t *testing.T) iter.Seq[traced] {
	t.Helper()
	return func(yield func(traced) bool) {
		found := false
		for _, s := range loadScenarios(t) {
			dir := t.TempDir()
			flags := s.write(t, dir, s.files)
			for i, args := range s.requests {
				var one traced
				deps := join()
				deps.Trace = func(snapshot *resolve.Snapshot, q trace.Request, d trace.Detail) (*trace.Trace, error) {
					one.request = q
					return trace.WalkView(snapshot, q, d)
				}
				manifests := deps.Manifests
				deps.Manifests = func(o load.ManifestOptions) (resolve.Input, error) {
					o.Defer = false // all resources are wanted here, to be changed
					in, err := manifests(o)
					one.input = in
					return in, err
				}
				readMesh := deps.MeshConfig
				deps.MeshConfig = func(data []byte, name string) (*meshconfig.MeshConfig, []string, error) {
					mesh, notes, err := readMesh(data, name)
					one.input.MeshConfig = mesh
					return mesh, notes, err
				}
				readNetworks := deps.MeshNetworks
				deps.MeshNetworks = func(data []byte, name string) (*meshconfig.MeshNetworks, []string, error) {
					networks, notes, err := readNetworks(data, name)
					one.input.MeshNetworks, one.input.MeshNetworksRef = networks, resolve.Ref{Kind: "MeshNetworks", Name: name}
					return networks, notes, err
				}
				if runWith(t, deps, append(slices.Clone(flags), args...)...).Code == 0 && one.request.Scheme != "" {
					one.name = fmt.Sprintf("%s#%d", strings.TrimPrefix(s.path, scenarioRoot+"/"), i)
					found = true
					if !yield(one) {
						return
					}
				}
			}
		}
		if !found {
			t.Fatal("no scenario gives a trace")
		}
	}
}

func (c traced) walk(resources []resolve.Sourced) (*trace.Trace, error) {
	in := c.input
	in.Resources = resources
	s := resolve.NewSnapshot(in)
	t, err := trace.Walk(s, c.request)
	t.AddFacts(s, trace.FactsOfAll)
	return t, err
}

// TestWalkViewIsTheViewOfAWalk walks every scenario at each detail: it is what the view of the whole walk
// is, and no later walk changes it.
func TestWalkViewIsTheViewOfAWalk(t *testing.T) {
	t.Parallel()
	var views []*trace.Trace
	var sums [][sha256.Size]byte
	sum := func(t *trace.Trace) [sha256.Size]byte { return sha256.Sum256(fmt.Appendf(nil, "%+v", *t)) }
	for c := range tracedScenarios(t) {
		snapshot := resolve.NewSnapshot(c.input)
		whole, err := trace.Walk(snapshot, c.request)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for _, d := range []trace.Detail{trace.DetailNone, trace.DetailFails, trace.DetailFull} {
			got, err := trace.WalkView(snapshot, c.request, d)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			want := whole.View(d)
			if !reflect.DeepEqual(want, got) {
				t.Errorf("%s, %s: %s", c.name, d, cmp.Diff(render.NewDocument(want, snapshot.Locate), render.NewDocument(got, snapshot.Locate)))
			}
			views, sums = append(views, got), append(sums, sum(got))
		}
	}
	for i, v := range views {
		if sum(v) != sums[i] {
			t.Errorf("a later walk changed a trace, now: %+v", *v)
		}
	}
}

// TestOrderOfManifestsDoesNotMatter shuffles the resources: not a byte changes.
func TestOrderOfManifestsDoesNotMatter(t *testing.T) {
	t.Parallel()
	for c := range tracedScenarios(t) {
		want, err := c.walk(c.input.Resources)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for seed := range uint64(3) {
			shuffled := slices.Clone(c.input.Resources)
			rand.New(rand.NewPCG(seed, 1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			got, err := c.walk(shuffled)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if diff := cmp.Diff(string(render.Text(want, render.Options{Wide: true})), string(render.Text(got, render.Options{Wide: true}))); diff != "" {
				t.Errorf("%s, seed %d (-ordered +shuffled):\n%s", c.name, seed, diff)
			}
		}
	}
}

// TestUncitedResourcesDoNotMatter removes each resource that no step names: no outcome changes.
func TestUncitedResourcesDoNotMatter(t *testing.T) {
	t.Parallel()
	for c := range tracedScenarios(t) {
		whole, err := c.walk(c.input.Resources)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		cited := citedBy(whole)
		for i, r := range c.input.Resources {
			ref := resolve.Ref{Group: r.GroupKind.Group, Cluster: resolve.ClusterOf(r.Object), Kind: r.GroupKind.Kind, Namespace: r.Object.GetNamespace(), Name: r.Object.GetName()}
			if cited[ref] {
				continue
			}
			without, err := c.walk(slices.Delete(slices.Clone(c.input.Resources), i, i+1))
			if err != nil {
				t.Errorf("%s: without %s, which no step names: %v", c.name, ref, err)
				continue
			}
			if diff := cmp.Diff(fates(whole), fates(without)); diff != "" {
				t.Errorf("%s: no step names %s, but without it (-with +without):\n%s", c.name, ref, diff)
			}
		}
	}
}

// TestCulpritMatters removes the resource an outcome is by: the outcome or its reason changes.
func TestCulpritMatters(t *testing.T) {
	t.Parallel()
	for c := range tracedScenarios(t) {
		whole, err := c.walk(c.input.Resources)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for _, o := range whole.Outcomes {
			i := slices.IndexFunc(c.input.Resources, func(r resolve.Sourced) bool {
				return r.GroupKind.Kind == o.By.Kind && r.GroupKind.Group == o.By.Group && r.Object.GetNamespace() == o.By.Namespace && r.Object.GetName() == o.By.Name
			})
			if i < 0 {
				continue
			}
			without, err := c.walk(slices.Delete(slices.Clone(c.input.Resources), i, i+1))
			if err == nil && cmp.Equal(fates(whole), fates(without)) {
				t.Errorf("%s: %s is said to have decided, but without it nothing changes: %s", c.name, o.By, o.Reason)
			}
		}
	}
}

// citedBy are the resources a trace names anywhere.
func citedBy(t *trace.Trace) map[resolve.Ref]bool {
	cited := map[resolve.Ref]bool{}
	for _, h := range t.Hops {
		cited[h.Workload.Object()] = true
		for _, s := range h.Steps {
			cited[s.Ref.Object()] = true
		}
	}
	for _, o := range t.Outcomes {
		cited[o.By.Object()] = true
		for _, c := range o.Hint {
			cited[c.Ref.Object()] = true
		}
		for _, w := range o.Destination.Workloads {
			cited[w.Object()] = true
		}
	}
	for _, w := range t.Warnings {
		cited[w.Ref.Object()] = true
	}
	return cited
}

// fates are the outcomes of a trace without the way there, and without hints: these look behind a refusal, where no
// step has come. TestHintsHold tries them.
func fates(t *trace.Trace) []trace.Outcome {
	out := slices.Clone(t.Outcomes)
	for i := range out {
		out[i].Hops, out[i].Hint = nil, nil
	}
	return out
}
