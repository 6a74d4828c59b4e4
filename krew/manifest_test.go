package krew

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const manifestFile = "mesh-trace.yaml"

// manifest is krew's Plugin (kubernetes-sigs/krew, pkg/index/types.go).
type manifest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Version          string     `json:"version"`
		Homepage         string     `json:"homepage"`
		ShortDescription string     `json:"shortDescription"`
		Description      string     `json:"description"`
		Caveats          string     `json:"caveats"`
		Platforms        []platform `json:"platforms"`
	} `json:"spec"`
}

type platform struct {
	URI      string                `json:"uri"`
	Sha256   string                `json:"sha256"`
	Bin      string                `json:"bin"`
	Files    []fileMove            `json:"files"`
	Selector *metav1.LabelSelector `json:"selector"`
}

type fileMove struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// decode reads strictly: krew ignores a field it does not know, so a typo would pass there.
func decode(t *testing.T, text []byte) manifest {
	t.Helper()
	var m manifest
	if err := yaml.UnmarshalStrict(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

const exampleTag = "v1.2.3"

// exampleSums are those of a release that was never made.
func exampleSums() map[string]string {
	sums := map[string]string{}
	for _, goos := range []string{"linux", "darwin", "windows"} {
		for _, goarch := range []string{"amd64", "arm64"} {
			sums["kubectl-mesh-trace_"+exampleTag+"_"+goos+"_"+goarch+".tar.gz"] = strings.Repeat("0a", 32)
		}
	}
	return sums
}

// example is the manifest of that release.
func example(t *testing.T) manifest {
	t.Helper()
	text, err := Manifest(exampleTag, exampleSums())
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

// An archive without a sum is none that a manifest can offer.
func TestManifestNeedsEverySum(t *testing.T) {
	sums := exampleSums()
	delete(sums, "kubectl-mesh-trace_v1.2.3_darwin_arm64.tar.gz")
	if text, err := Manifest(exampleTag, sums); err == nil || !strings.Contains(err.Error(), "no sum of kubectl-mesh-trace_v1.2.3_darwin_arm64.tar.gz") {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestChecksums(t *testing.T) {
	got, err := Checksums(strings.NewReader("0a  one.tar.gz\n0b  two.tar.gz\n"))
	if diff := cmp.Diff(map[string]string{"one.tar.gz": "0a", "two.tar.gz": "0b"}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if _, err := Checksums(strings.NewReader("<html>\n")); err == nil {
		t.Error("a page was read as sums")
	}
}

func TestManifest(t *testing.T) {
	m := example(t)
	if diff := cmp.Diff([]string(nil), problems(manifestFile, m)); diff != "" {
		t.Error(diff)
	}
	var offered []string
	for _, p := range m.Spec.Platforms {
		offered = append(offered, p.Selector.MatchLabels["os"]+"/"+p.Selector.MatchLabels["arch"])
	}
	want := []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"}
	if diff := cmp.Diff(want, offered); diff != "" {
		t.Error(diff)
	}
	for _, word := range []string{"docs/rbac.yaml", "kubectl_complete-mesh_trace"} {
		if !strings.Contains(m.Spec.Caveats, word) {
			t.Errorf("the caveats do not mention %s", word)
		}
	}
}
