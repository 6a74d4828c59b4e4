package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/simulation"
)

// simulations are the tests of Istio's whose situations are judged, beneath its core package. The one of
// loadbalancer is left out: it makes no call, and turns endpoints over to Go functions with settings
// that no manifest holds.
var simulations = []string{
	"gateway_simulation_test.go", "peer_authentication_simulation_test.go",
	"serviceentry_simulation_test.go", "sidecar_simulation_test.go",
}

const standIn = "github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/simulation"

// rewritten are the imports for which this module has a stand-in.
var rewritten = strings.NewReplacer(
	`"istio.io/istio/pilot/pkg/simulation"`, `"`+standIn+`"`,
	`"istio.io/istio/pilot/test/xds"`, `"`+standIn+`/xds"`,
	`"istio.io/istio/pkg/test"`, `test "`+standIn+`/flags"`,
)

// TestSimulations holds the calls of Istio's simulation tests against what these expect: the
// evaluator's answer, which checks the judge itself, and the trace's.
func TestSimulations(t *testing.T) {
	cases := situations(t)
	if len(cases) == 0 {
		t.Fatal("Istio's simulation tests made no calls")
	}
	byEvaluator := begin(t, "Istio's simulation tests: evaluator")
	byTrace := begin(t, "Istio's simulation tests: trace")
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			question := fmt.Sprintf("%s %s port %d", c.Call.Protocol, c.Call.TLS, c.Call.Port)
			if !c.Derived {
				byEvaluator.record(t, c.Name, question, evaluated(c), unplayed(c))
			}
			diff, err := situated(t.TempDir(), c)
			byTrace.record(t, c.Name, question, diff, err)
		})
	}
}

func unplayed(c simulation.Case) error {
	if c.Unplayed != "" {
		return skipped{"not played: " + c.Unplayed}
	}
	return nil
}

func evaluated(c simulation.Case) string {
	return cmp.Diff(c.Want, ofInterest(c.Want, c.Got, c.Strict))
}

// situations lets Istio's tests run with the stand-ins, and reads what they wrote down.
func situations(t *testing.T) []simulation.Case {
	t.Helper()
	edit := func(_, text string) string { return rewritten.Replace(text) }
	path := overlay(t, "istio.io/istio/pilot/pkg/networking/core", simulations, edit, "simulation/core")
	file := filepath.Join(t.TempDir(), "situations.json")
	run := exec.Command("go", "test", "-count=1", "-vet=off", "-overlay", path, "./simulation/core")
	run.Env = append(os.Environ(), simulation.File+"="+file)
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("Istio's simulation tests: %v\n%s", err, last(out, 4000))
	}
	cases, err := simulation.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// overlay is a file that has the go command find tests of Istio's in a folder here, with some of
// their text replaced. The tests are read from the module.
func overlay(t *testing.T, from string, names []string, edit func(name, text string) string, to string) string {
	t.Helper()
	dir, source := t.TempDir(), directoryOf(t, from)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	files := struct{ Replace map[string]string }{map[string]string{}}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			t.Fatal(err)
		}
		file := strings.ReplaceAll(name, "/", "_")
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(edit(name, string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
		files.Replace[filepath.Join(here, filepath.FromSlash(to), file)] = path
	}
	text, err := json.Marshal(files)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// directoryOf is where a package of Istio's lies.
func directoryOf(t *testing.T, pkg string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-e", "-find", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func last(b []byte, n int) []byte {
	return bytes.ToValidUTF8(b[max(0, len(b)-n):], nil)
}
