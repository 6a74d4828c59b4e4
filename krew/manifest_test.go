// Package krew holds the template of the plugin's manifest for the krew index, and the tests of a release: every check
// that the index's CI makes (kubernetes-sigs/krew-index, .github/workflows/ci.yml: validate-krew-manifest, which
// installs the archive of each platform) on the archives that goreleaser makes.
package krew

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"text/template"

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

// rendered is the manifest of a release as krew-release-bot makes it of the template (rajatjindal/krew-release-bot,
// pkg/source/template.go); sum is that of the archive at an address.
func rendered(t *testing.T, tag string, sum func(uri string) string) []byte {
	t.Helper()
	text, err := os.ReadFile(manifestFile)
	if err != nil {
		t.Fatal(err)
	}
	release := map[string]string{"TagName": tag}
	funcs := template.FuncMap{
		"addURIAndSha": func(uri, tag string) (string, error) {
			var b strings.Builder
			parsed, err := template.New("uri").Option("missingkey=error").Parse(uri)
			if err == nil {
				err = parsed.Execute(&b, map[string]string{"TagName": tag})
			}
			return fmt.Sprintf("uri: %s\n    sha256: %s", b.String(), sum(b.String())), err
		},
	}
	var b bytes.Buffer
	if err := template.Must(template.New(manifestFile).Option("missingkey=error").Funcs(funcs).Parse(string(text))).Execute(&b, release); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
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

// example is the manifest of a release that was never made.
func example(t *testing.T) manifest {
	t.Helper()
	return decode(t, rendered(t, exampleTag, func(string) string { return strings.Repeat("0a", 32) }))
}

const exampleTag = "v1.2.3"

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
