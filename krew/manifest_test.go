// Package krew holds the plugin's manifest for the krew index, and its tests:
// every check of the index's CI (kubernetes-sigs/krew, validate-krew-manifest)
// that needs no download, against the archives of .goreleaser.yaml.
package krew

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/version"
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
	URI      string     `json:"uri"`
	Sha256   string     `json:"sha256"`
	Bin      string     `json:"bin"`
	Files    []fileMove `json:"files"`
	Selector struct {
		MatchLabels map[string]string `json:"matchLabels"`
	} `json:"selector"`
}

type fileMove struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// fits reports whether krew would take this entry on that machine.
func (p platform) fits(goos, goarch string) bool {
	has := map[string]string{"os": goos, "arch": goarch}
	for key, value := range p.Selector.MatchLabels {
		if has[key] != value {
			return false
		}
	}
	return true
}

// supported are the machines krew knows (internal/installation, allPlatforms).
var supported = [][2]string{
	{"windows", "386"},
	{"windows", "amd64"},
	{"windows", "arm64"},
	{"linux", "386"},
	{"linux", "amd64"},
	{"linux", "arm"},
	{"linux", "arm64"},
	{"linux", "ppc64le"},
	{"darwin", "386"},
	{"darwin", "amd64"},
	{"darwin", "arm64"},
}

var (
	pluginName    = regexp.MustCompile(`^[\w-]+$`)
	windowsDevice = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])$`)
	sha256        = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// problems are the reasons for which the index would refuse the manifest.
func problems(file string, m manifest) []string {
	var out []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	check(path.Ext(file) == ".yaml", "the file is no .yaml")
	check(strings.TrimSuffix(file, ".yaml") == m.Metadata.Name, "the file is not named as the plugin")
	check(pluginName.MatchString(m.Metadata.Name) && !windowsDevice.MatchString(m.Metadata.Name), "the name is not allowed")
	check(m.APIVersion == "krew.googlecontainertools.github.com/v1alpha2", "apiVersion %q", m.APIVersion)
	check(m.Kind == "Plugin", "kind %q", m.Kind)
	short := m.Spec.ShortDescription
	check(short != "" && !strings.ContainsAny(short, "\r\n"), "shortDescription is empty or has several lines")
	// The reviewers' standing message, not the CI.
	check(len(short) <= 50 && !strings.HasSuffix(short, "."), "shortDescription is longer than 50 characters or ends in a full stop")
	for line := range strings.Lines(m.Spec.Description) {
		check(len(strings.TrimRight(line, "\n")) <= 80, "the description has a line of over 80 columns")
	}
	check(strings.HasPrefix(m.Spec.Homepage, "https://"), "no homepage")
	_, err := version.ParseSemantic(strings.TrimPrefix(m.Spec.Version, "v"))
	check(strings.HasPrefix(m.Spec.Version, "v") && err == nil, "version %q is not vX.Y.Z", m.Spec.Version)
	check(len(m.Spec.Platforms) > 0, "no platform")
	for i, p := range m.Spec.Platforms {
		for _, problem := range p.problems() {
			out = append(out, fmt.Sprintf("platform %d: %s", i, problem))
		}
	}
	for _, pair := range supported {
		n := 0
		for _, p := range m.Spec.Platforms {
			if p.fits(pair[0], pair[1]) {
				n++
			}
		}
		check(n <= 1, "%d platforms fit %s/%s", n, pair[0], pair[1])
	}
	return out
}

func (p platform) problems() []string {
	var out []string
	check := func(ok bool, problem string) {
		if !ok {
			out = append(out, problem)
		}
	}
	check(strings.HasPrefix(p.URI, "https://"), "no uri")
	check(sha256.MatchString(p.Sha256), "sha256 is not 64 lower-case hex digits")
	check(p.Bin != "", "no bin")
	check(p.Bin == path.Clean(p.Bin) && !path.IsAbs(p.Bin) && !strings.HasPrefix(p.Bin, ".."), "bin is outside the plugin")
	check(p.Files == nil || len(p.Files) > 0, "files is empty")
	for _, f := range p.Files {
		check(f.From != "" && f.To != "", "a file without from or to")
		check(f.To == path.Clean(f.To), "to is not clean")
	}
	check(len(p.Selector.MatchLabels) > 0, "no selector")
	for key := range p.Selector.MatchLabels {
		check(key == "os" || key == "arch", "a selector key other than os and arch")
	}
	known := slices.ContainsFunc(supported, func(pair [2]string) bool { return p.fits(pair[0], pair[1]) })
	check(known, "the selector fits no machine krew knows")
	check(p.Selector.MatchLabels["os"] != "windows" || strings.HasSuffix(p.Bin, ".exe"), "bin of windows is no .exe")
	return out
}

const tag = "v1.2.3"

// rendered is the manifest as krew-release-bot makes it of the template
// (rajatjindal/krew-release-bot, pkg/source/template.go), with a made-up sum.
func rendered(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(manifestFile)
	if err != nil {
		t.Fatal(err)
	}
	release := map[string]string{"TagName": tag}
	funcs := template.FuncMap{
		"addURIAndSha": func(uri, _ string) (string, error) {
			var b strings.Builder
			if err := template.Must(template.New("uri").Parse(uri)).Execute(&b, release); err != nil {
				return "", err
			}
			return fmt.Sprintf("uri: %s\n    sha256: %s", b.String(), strings.Repeat("0a", 32)), nil
		},
	}
	var b bytes.Buffer
	if err := template.Must(template.New(manifestFile).Option("missingkey=error").Funcs(funcs).Parse(string(text))).Execute(&b, release); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// parse reads strictly: krew ignores a field it does not know, so a typo would pass there.
func parse(t *testing.T) manifest {
	t.Helper()
	var m manifest
	if err := yaml.UnmarshalStrict(rendered(t), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestManifest(t *testing.T) {
	m := parse(t)
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

// Each check refuses what it is for: a manifest without fault, broken in one place.
func TestProblems(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		spoil      func(*manifest)
		want       string
	}{
		{"extension", "mesh-trace.yml", nil, "the file is no .yaml"},
		{"file name", "trace.yaml", nil, "the file is not named as the plugin"},
		{"name", manifestFile, func(m *manifest) { m.Metadata.Name = "mesh.trace" }, "the name is not allowed"},
		{"device", "con.yaml", func(m *manifest) { m.Metadata.Name = "con" }, "the name is not allowed"},
		{"apiVersion", manifestFile, func(m *manifest) { m.APIVersion = "v1" }, `apiVersion "v1"`},
		{"kind", manifestFile, func(m *manifest) { m.Kind = "plugin" }, `kind "plugin"`},
		{"no description", manifestFile, func(m *manifest) { m.Spec.ShortDescription = "" }, "shortDescription is empty or has several lines"},
		{"two lines", manifestFile, func(m *manifest) { m.Spec.ShortDescription = "a\nb" }, "shortDescription is empty or has several lines"},
		{"full stop", manifestFile, func(m *manifest) { m.Spec.ShortDescription = "a." }, "shortDescription is longer than 50 characters or ends in a full stop"},
		{"long", manifestFile, func(m *manifest) { m.Spec.ShortDescription = strings.Repeat("a", 51) }, "shortDescription is longer than 50 characters or ends in a full stop"},
		{"wide", manifestFile, func(m *manifest) { m.Spec.Description = strings.Repeat("a", 81) }, "the description has a line of over 80 columns"},
		{"homepage", manifestFile, func(m *manifest) { m.Spec.Homepage = "" }, "no homepage"},
		{"no v", manifestFile, func(m *manifest) { m.Spec.Version = "1.2.3" }, `version "1.2.3" is not vX.Y.Z`},
		{"no semver", manifestFile, func(m *manifest) { m.Spec.Version = "v1.2" }, `version "v1.2" is not vX.Y.Z`},
		{"no platform", manifestFile, func(m *manifest) { m.Spec.Platforms = nil }, "no platform"},
		{"uri", manifestFile, func(m *manifest) { m.Spec.Platforms[0].URI = "" }, "platform 0: no uri"},
		{"upper-case sum", manifestFile, func(m *manifest) { m.Spec.Platforms[0].Sha256 = strings.Repeat("0A", 32) }, "platform 0: sha256 is not 64 lower-case hex digits"},
		{"no bin", manifestFile, func(m *manifest) { m.Spec.Platforms[0].Bin = "" }, "platform 0: no bin"},
		{"bin outside", manifestFile, func(m *manifest) { m.Spec.Platforms[0].Bin = "../sh" }, "platform 0: bin is outside the plugin"},
		{"empty files", manifestFile, func(m *manifest) { m.Spec.Platforms[0].Files = []fileMove{} }, "platform 0: files is empty"},
		{"half a file", manifestFile, func(m *manifest) { m.Spec.Platforms[0].Files[0].From = "" }, "platform 0: a file without from or to"},
		{"unclean to", manifestFile, func(m *manifest) { m.Spec.Platforms[0].Files[0].To = "./" }, "platform 0: to is not clean"},
		{"no selector", manifestFile, func(m *manifest) { m.Spec.Platforms[0].Selector.MatchLabels = nil }, "platform 0: no selector"},
		{"unknown key", manifestFile, func(m *manifest) { m.Spec.Platforms[0].Selector.MatchLabels["libc"] = "musl" }, "platform 0: a selector key other than os and arch"},
		{"unknown machine", manifestFile, func(m *manifest) { m.Spec.Platforms[0].Selector.MatchLabels["arch"] = "s390x" }, "platform 0: the selector fits no machine krew knows"},
		{"two fit", manifestFile, func(m *manifest) { m.Spec.Platforms[1].Selector.MatchLabels["arch"] = "amd64" }, "2 platforms fit linux/amd64"},
		{"no exe", manifestFile, func(m *manifest) { m.Spec.Platforms[4].Bin = "kubectl-mesh_trace" }, "platform 4: bin of windows is no .exe"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := parse(t)
			if tc.spoil != nil {
				tc.spoil(&m)
			}
			if got := problems(tc.file, m); !slices.Contains(got, tc.want) {
				t.Errorf("got %q, want %q among them", got, tc.want)
			}
		})
	}
}
