package resolve

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/mesh-trace/kubectl-mesh-trace"

// listed is a package as `go list` shows it.
type listed struct {
	ImportPath string
	Imports    []string
}

// forbidden says what a package may not import, or may not reach by any way.
type forbidden struct {
	// direct are import paths (and what is below them) that no file may name.
	direct []string
	// reached are those that no dependency may import either.
	reached []string
}

// The domain knows no command line, no client, no terminal and no network, so
// that it can be used and tested alone. apimachinery's types bring os, net/http
// and klog along: what counts there is that the domain does not call them.
var outside = forbidden{
	direct: []string{
		"github.com/spf13/cobra", "github.com/spf13/pflag", "k8s.io/cli-runtime",
		"k8s.io/klog", "k8s.io/client-go", "os", "net/http",
	},
	reached: []string{
		"k8s.io/client-go", "k8s.io/cli-runtime", "github.com/spf13/cobra",
		"istio.io/client-go/pkg/clientset", "istio.io/client-go/pkg/informers", "istio.io/client-go/pkg/listers",
		"sigs.k8s.io/gateway-api/pkg/client", module + "/cmd",
	},
}

// TestDependencyDirection holds cmd -> trace/render -> trace -> resolve.
func TestDependencyDirection(t *testing.T) {
	packages := list(t)
	for _, tc := range []struct {
		name, path string
		above      []string
	}{
		{"resolve", module + "/resolve", []string{module + "/trace"}},
		{"trace", module + "/trace", []string{module + "/trace/render"}},
		{"render", module + "/trace/render", nil},
		{"reach", module + "/trace/reach", []string{module + "/trace/render"}},
		{"show", module + "/trace/reach/show", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, ok := packages[tc.path]; !ok {
				t.Fatalf("%s is not in the tree", tc.path)
			}
			for _, i := range packages[tc.path].Imports {
				if within(i, outside.direct) {
					t.Errorf("%s imports %s", tc.path, i)
				}
			}
			if chain := chainTo(packages, tc.path, slices.Concat(outside.reached, tc.above)); chain != nil {
				t.Errorf("%s must not depend on %s:\n  %s", tc.path, chain[len(chain)-1], strings.Join(chain, "\n  -> "))
			}
		})
	}
}

// TestChainTo shows that the test above can fail.
func TestChainTo(t *testing.T) {
	packages := map[string]listed{
		"a": {Imports: []string{"b", "c"}},
		"b": {Imports: []string{"c"}},
		"c": {Imports: []string{"k8s.io/client-go/rest"}},
	}
	got := chainTo(packages, "a", []string{"k8s.io/client-go"})
	if want := []string{"a", "c", "k8s.io/client-go/rest"}; !slices.Equal(want, got) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := chainTo(packages, "a", []string{"k8s.io/client"}); got != nil {
		t.Errorf("a prefix that ends within a path element matched: %q", got)
	}
}

// list is every package the domain is made of, with what it imports.
func list(t *testing.T) map[string]listed {
	t.Helper()
	command := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports", "./resolve/...", "./trace/...")
	command.Dir = ".."
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	packages := map[string]listed{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

// chainTo is the shortest chain of imports from a package to one of the paths; nil if there is none.
func chainTo(packages map[string]listed, from string, paths []string) []string {
	cameFrom := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at != from && within(at, paths) {
			var chain []string
			for ; at != ""; at = cameFrom[at] {
				chain = append(chain, at)
			}
			slices.Reverse(chain)
			return chain
		}
		for _, i := range packages[at].Imports {
			if _, seen := cameFrom[i]; !seen {
				cameFrom[i] = at
				queue = append(queue, i)
			}
		}
	}
	return nil
}

// within reports whether an import path is one of the paths or below one.
func within(path string, paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}
