package conformance

import (
	"cmp"
	"flag"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
)

var (
	meshes       = flag.Int("meshes", 90, "how many random meshes to judge")
	seed         = flag.Uint64("seed", 1, "the first random mesh")
	requestsEach = flag.Int("requests", 30, "how many requests on each mesh")
	shrinking    = flag.Bool("shrink", true, "show a difference with the fewest resources")
	failures     = flag.Int("failures", 5, "after how many differences to stop")
)

// source makes meshes and requests.
type source interface {
	mesh() []string
	request() []string
}

// TestRandom holds random requests on random meshes against Istio. A difference is shown with the
// fewest resources that still give it.
func TestRandom(t *testing.T) {
	judgeRandom(t, "random requests", *meshes, *requestsEach, func(seed uint64) source { return newGenerator(seed) }, nil)
}

// TestRandomGateways does so where there is more at the edge of the mesh than within it.
func TestRandomGateways(t *testing.T) {
	judgeRandom(t, "random requests at gateways", *meshes, *requestsEach, func(seed uint64) source { return edgeGenerator(seed) }, nil)
}

// TestRandomKube does so where gateways and routes are those of the Gateway API, and compares what becomes of them.
func TestRandomKube(t *testing.T) {
	judgeRandom(t, "random requests with the Gateway API", 3**meshes, *requestsEach, func(seed uint64) source { return kubeGenerator(seed) }, nil)
}

// judgeRandom asks so many requests on each of so many meshes; seen, if not nil, is shown those that were judged.
func judgeRandom(t *testing.T, category string, meshes, each int, from func(seed uint64) source, seen func(b *bench, args []string)) {
	c := begin(t, category)
	for i := range uint64(meshes) {
		g := from(*seed + i)
		docs := g.mesh()
		var requests [][]string
		for range each {
			requests = append(requests, g.request())
		}
		t.Run(fmt.Sprint(*seed+i), func(t *testing.T) {
			docs = taken(docs)
			b, refused := newBench(t, t.TempDir(), join(docs), "default")
			for _, args := range requests {
				diff, err := "", refused
				if err == nil {
					diff, err = outcome(b, args)
				}
				if diff != "" && *shrinking {
					t.Log("before it was made smaller:\n" + diff)
					smaller, shrunk := shrink(t, docs, args)
					diff = cmp.Or(shrunk, "only after other requests: "+diff) + "\n" + strings.Join(smaller, "---\n")
				}
				c.record(t, t.Name(), strings.Join(args, " "), diff, err)
				if diff != "" {
					return
				}
				if c.envoy.met() < *envoyRequests {
					c.ask(t, b, t.Name(), strings.Join(args, " "))
				}
				if err == nil && seen != nil {
					seen(b, args)
				}
			}
		})
		if c.failed >= *failures {
			break
		}
	}
}

// join makes files of documents: those of a remote cluster say so in their first line.
func join(docs []string) map[string]string {
	files := map[string][]string{"mesh.yaml": nil}
	for _, doc := range docs {
		name := "mesh.yaml"
		if rest, remote := strings.CutPrefix(doc, ofCluster); remote {
			id, _, _ := strings.Cut(rest, "\n")
			name = "remote-" + id + ".yaml"
		}
		files[name] = append(files[name], doc)
	}
	out := map[string]string{}
	for name, docs := range files {
		out[name] = strings.Join(docs, "---\n")
	}
	return out
}

// outcome is what they differ in. A panic of either party is a difference.
func outcome(b *bench, args []string) (diff string, err error) {
	defer func() {
		if r := recover(); r != nil {
			diff = fmt.Sprintf("panic: %v\n%s\n", r, debug.Stack())
		}
	}()
	if len(args) == 1 && args[0] == conversionQuestion {
		return b.conversion()
	}
	return b.judge(args)
}

// taken leaves out the resources that istiod's webhook would refuse.
func taken(docs []string) []string {
	return slices.DeleteFunc(docs, func(d string) bool {
		_, err := apiserver.New(map[string]string{"mesh.yaml": d})
		return err != nil
	})
}
