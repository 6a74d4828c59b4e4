package cmd

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// samplesOf is the module version of Istio whose samples the table was judged against.
const samplesOf = "istio.io/istio@v0.0.0-20260827124520-eed52ebb66ad"

// injected is the Namespace the samples are applied to, as the documentation has its reader label it.
const injected = `apiVersion: v1
kind: Namespace
metadata: {name: default, labels: {istio-injection: enabled}}
`

// sample is one request to Istio's own samples.
type sample struct {
	// files are paths under samples/, separated by spaces; args the command line.
	files, args string
	// bare leaves the Namespace out.
	bare bool
	// want has an item for each outcome: weight, decision, status and flags, subset, who answers, certainty.
	want []string
	// because says why that is right, for docs/samples.md.
	because string
}

// samplesDir is where the samples are, or the reason why they are not there.
func samplesDir() (dir, reason string) {
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return "", "no go command to ask for the module cache: " + err.Error()
	}
	dir = filepath.Join(strings.TrimSpace(string(out)), filepath.FromSlash(samplesOf), "samples")
	if _, err := os.Stat(dir); err != nil {
		return "", "the module cache has no " + samplesOf + " (go mod download " + samplesOf + " fetches it)"
	}
	return dir, ""
}

// TestSamples traces requests over Istio's own samples, read where the module cache has them.
func TestSamples(t *testing.T) {
	dir, reason := samplesDir()
	if reason != "" {
		t.Skip(reason)
	}
	namespace := filepath.Join(t.TempDir(), "namespace.yaml")
	if err := os.WriteFile(namespace, []byte(injected), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		t.Run(s.name(), func(t *testing.T) {
			args := []string{"-o", "json"}
			if !s.bare {
				args = append(args, "-f", namespace)
			}
			for _, f := range strings.Fields(s.files) {
				args = append(args, "-f", filepath.Join(dir, filepath.FromSlash(f)+".yaml"))
			}
			request, err := splitArgs(s.args)
			if err != nil {
				t.Fatal(err)
			}
			got := runWith(t, join(), append(args, request...)...)
			if got.Code != 0 {
				t.Fatalf("exit code %d: %s", got.Code, got.ErrOut)
			}
			var d render.Document
			if err := json.Unmarshal([]byte(got.Out), &d); err != nil {
				t.Fatal(err)
			}
			var outcomes []string
			for _, o := range d.Outcomes {
				outcomes = append(outcomes, inShort(o))
			}
			if diff := cmp.Diff(s.want, outcomes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func (s sample) name() string {
	name := s.files + " " + s.args
	if s.bare {
		name += " without a Namespace"
	}
	return name
}

// inShort is "80% Delivered v1 reviews-v1".
func inShort(o render.Outcome) string {
	words := []string{fmt.Sprintf("%g%%", o.Weight), o.Decision}
	if o.HTTPStatus != 0 {
		words = append(words, fmt.Sprint(o.HTTPStatus))
	}
	words = append(words, o.ResponseFlags)
	if o.Destination.Subset != "" {
		words = append(words, "subset", o.Destination.Subset)
	}
	for _, w := range o.Destination.Workloads {
		words = append(words, w.Name)
	}
	if o.Decision == "Delivered" && len(o.Destination.Workloads) == 0 {
		words = append(words, o.Destination.EnvoyCluster)
	}
	if o.Code != "" {
		words = append(words, o.Code)
	}
	if o.Certainty != "certain" {
		words = append(words, "("+o.Certainty+")")
	}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}
