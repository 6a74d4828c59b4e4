package conformance

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// samplesFolder is where Istio's module has its samples.
func samplesFolder(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "istio.io/istio").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "samples")
}

// TestSamples holds the requests that Istio's own samples suggest against Istio.
func TestSamples(t *testing.T) {
	c := begin(t, "Istio's samples")
	folder := samplesFolder(t)
	for _, set := range sampleSets {
		name := strings.Join(set, " ")
		t.Run(name, func(t *testing.T) {
			manifests := map[string]string{"namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {istio-injection: enabled}}\n"}
			for _, file := range set {
				text, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(file)+".yaml"))
				if err != nil {
					t.Fatal(err)
				}
				manifests[strings.ReplaceAll(file, "/", "-")+".yaml"] = string(text)
			}
			b, err := newBench(t, t.TempDir(), manifests, "default")
			if err != nil {
				c.record(t, name, name, "", err)
				return
			}
			for _, args := range derived(b.mesh.cluster) {
				diff, err := outcome(b, args)
				c.record(t, name, strings.Join(args, " "), diff, err)
			}
		})
	}
}

// TestSampleSets fails where Istio has a sample that no one has decided about.
func TestSampleSets(t *testing.T) {
	folder := samplesFolder(t)
	used := map[string]bool{}
	for _, set := range sampleSets {
		for _, file := range set {
			used[file] = true
		}
	}
	met := map[string]bool{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		file := strings.TrimSuffix(filepath.ToSlash(strings.TrimPrefix(path, folder+string(filepath.Separator))), ".yaml")
		at := slices.IndexFunc(notJudged, func(n notJudgedSample) bool { return n.file == file || strings.HasPrefix(file, n.file+"/") })
		if at >= 0 {
			met[notJudged[at].file] = true
		}
		if used[file] == (at >= 0) {
			t.Errorf("%s: has to be in sampleSets or in notJudged, and not in both", file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range notJudged {
		if !met[n.file] {
			t.Errorf("%s: Istio has no such sample", n.file)
		}
	}
}
