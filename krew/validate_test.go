package krew

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/version"
)

// machine is what a selector chooses by.
type machine struct{ os, arch string }

// supported are the machines krew knows (cmd/validate-krew-manifest, allPlatforms).
var supported = []machine{
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

// fits reports whether krew would take this entry on that machine.
func (p platform) fits(m machine) bool {
	selector, err := metav1.LabelSelectorAsSelector(p.Selector)
	return err == nil && selector.Matches(labels.Set{"os": m.os, "arch": m.arch})
}

var (
	pluginName    = regexp.MustCompile(`^[\w-]+$`)
	windowsDevice = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[1-9]|lpt[1-9])$`)
	lowerSum      = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// problems are the reasons for which the index would refuse the manifest before it installs it
// (internal/index/validation, ValidatePlugin; cmd/validate-krew-manifest, validateManifestFile), or a reviewer would.
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
	_, err := version.ParseSemantic(m.Spec.Version)
	check(strings.HasPrefix(m.Spec.Version, "v") && err == nil, "version %q is not vX.Y.Z", m.Spec.Version)
	check(len(m.Spec.Platforms) > 0, "no platform")
	for i, p := range m.Spec.Platforms {
		for _, problem := range p.problems() {
			out = append(out, fmt.Sprintf("platform %d: %s", i, problem))
		}
	}
	for _, on := range supported {
		n := 0
		for _, p := range m.Spec.Platforms {
			if p.fits(on) {
				n++
			}
		}
		check(n <= 1, "%d platforms fit %s/%s", n, on.os, on.arch)
	}
	// What reviewers ask for.
	check(len(short) <= 50 && !strings.HasSuffix(short, "."), "shortDescription is longer than 50 characters or ends in a full stop")
	for line := range strings.Lines(m.Spec.Description) {
		check(len(strings.TrimRight(line, "\n")) <= 80, "the description has a line of over 80 columns")
	}
	check(strings.HasPrefix(m.Spec.Homepage, "https://"), "no homepage")
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
	check(lowerSum.MatchString(p.Sha256), "sha256 is not 64 lower-case hex digits")
	check(p.Bin != "", "no bin")
	check(p.Files == nil || len(p.Files) > 0, "files is empty")
	for _, f := range p.Files {
		check(f.From != "" && f.To != "", "a file without from or to")
	}
	out = append(out, selectorProblems(p.Selector)...)
	check(slices.ContainsFunc(supported, p.fits), "the selector fits no machine krew knows")
	// What works nowhere, and krew does not ask.
	windows := slices.ContainsFunc(supported, func(m machine) bool { return m.os == "windows" && p.fits(m) })
	check(!windows || strings.HasSuffix(p.Bin, ".exe"), "bin of windows is no .exe")
	return out
}

func selectorProblems(s *metav1.LabelSelector) []string {
	if s == nil || s.MatchLabels == nil && len(s.MatchExpressions) == 0 {
		return []string{"no selector"}
	}
	var out []string
	var keys []string
	for key := range s.MatchLabels {
		keys = append(keys, key)
	}
	for _, e := range s.MatchExpressions {
		keys = append(keys, e.Key)
	}
	if slices.ContainsFunc(keys, func(key string) bool { return key != "os" && key != "arch" }) {
		out = append(out, "a selector key other than os and arch")
	}
	if s.MatchLabels != nil && len(s.MatchLabels) == 0 || s.MatchExpressions != nil && len(s.MatchExpressions) == 0 {
		out = append(out, "a part of the selector is empty")
	}
	return out
}

// Each check refuses what it is for: a manifest without fault, broken in one place.
func TestProblems(t *testing.T) {
	const named = manifestFile
	expression := func(key, value string) []metav1.LabelSelectorRequirement {
		return []metav1.LabelSelectorRequirement{{Key: key, Operator: metav1.LabelSelectorOpIn, Values: []string{value}}}
	}
	for _, tc := range []struct {
		name, file string
		spoil      func(*manifest)
		want       string
	}{
		{"extension", "mesh-trace.yml", nil, "the file is no .yaml"},
		{"file name", "trace.yaml", nil, "the file is not named as the plugin"},
		{"name", named, func(m *manifest) { m.Metadata.Name = "mesh.trace" }, "the name is not allowed"},
		{"device", "con.yaml", func(m *manifest) { m.Metadata.Name = "con" }, "the name is not allowed"},
		{"apiVersion", named, func(m *manifest) { m.APIVersion = "v1" }, `apiVersion "v1"`},
		{"kind", named, func(m *manifest) { m.Kind = "plugin" }, `kind "plugin"`},
		{"no description", named, func(m *manifest) { m.Spec.ShortDescription = "" }, "shortDescription is empty or has several lines"},
		{"two lines", named, func(m *manifest) { m.Spec.ShortDescription = "a\nb" }, "shortDescription is empty or has several lines"},
		{"full stop", named, func(m *manifest) { m.Spec.ShortDescription = "a." }, "shortDescription is longer than 50 characters or ends in a full stop"},
		{"long", named, func(m *manifest) { m.Spec.ShortDescription = strings.Repeat("a", 51) }, "shortDescription is longer than 50 characters or ends in a full stop"},
		{"wide", named, func(m *manifest) { m.Spec.Description = strings.Repeat("a", 81) }, "the description has a line of over 80 columns"},
		{"homepage", named, func(m *manifest) { m.Spec.Homepage = "" }, "no homepage"},
		{"no v", named, func(m *manifest) { m.Spec.Version = "1.2.3" }, `version "1.2.3" is not vX.Y.Z`},
		{"no semver", named, func(m *manifest) { m.Spec.Version = "v1.2" }, `version "v1.2" is not vX.Y.Z`},
		{"no platform", named, func(m *manifest) { m.Spec.Platforms = nil }, "no platform"},
		{"uri", named, func(m *manifest) { m.Spec.Platforms[0].URI = "" }, "platform 0: no uri"},
		{"no sum", named, func(m *manifest) { m.Spec.Platforms[0].Sha256 = "" }, "platform 0: sha256 is not 64 lower-case hex digits"},
		{"upper-case sum", named, func(m *manifest) { m.Spec.Platforms[0].Sha256 = strings.Repeat("0A", 32) }, "platform 0: sha256 is not 64 lower-case hex digits"},
		{"no bin", named, func(m *manifest) { m.Spec.Platforms[0].Bin = "" }, "platform 0: no bin"},
		{"empty files", named, func(m *manifest) { m.Spec.Platforms[0].Files = []fileMove{} }, "platform 0: files is empty"},
		{"no from", named, func(m *manifest) { m.Spec.Platforms[0].Files[0].From = "" }, "platform 0: a file without from or to"},
		{"no to", named, func(m *manifest) { m.Spec.Platforms[0].Files[0].To = "" }, "platform 0: a file without from or to"},
		{"no selector", named, func(m *manifest) { m.Spec.Platforms[0].Selector = nil }, "platform 0: no selector"},
		{"empty selector", named, func(m *manifest) { m.Spec.Platforms[0].Selector = &metav1.LabelSelector{} }, "platform 0: no selector"},
		{"empty labels", named, func(m *manifest) {
			m.Spec.Platforms[0].Selector.MatchLabels = map[string]string{}
			m.Spec.Platforms[0].Selector.MatchExpressions = expression("os", "linux")
		}, "platform 0: a part of the selector is empty"},
		{"empty expressions", named, func(m *manifest) {
			m.Spec.Platforms[0].Selector.MatchExpressions = []metav1.LabelSelectorRequirement{}
		}, "platform 0: a part of the selector is empty"},
		{"unknown key", named, func(m *manifest) { m.Spec.Platforms[0].Selector.MatchLabels["libc"] = "musl" }, "platform 0: a selector key other than os and arch"},
		{"unknown key of an expression", named, func(m *manifest) {
			m.Spec.Platforms[0].Selector.MatchExpressions = expression("libc", "musl")
		}, "platform 0: a selector key other than os and arch"},
		{"unknown machine", named, func(m *manifest) { m.Spec.Platforms[0].Selector.MatchLabels["arch"] = "s390x" }, "platform 0: the selector fits no machine krew knows"},
		{"two fit", named, func(m *manifest) { m.Spec.Platforms[1].Selector.MatchLabels["arch"] = "amd64" }, "2 platforms fit linux/amd64"},
		{"two fit by an expression", named, func(m *manifest) {
			m.Spec.Platforms[1].Selector = &metav1.LabelSelector{MatchExpressions: expression("os", "darwin")}
		}, "2 platforms fit darwin/arm64"},
		{"no exe", named, func(m *manifest) { m.Spec.Platforms[4].Bin = "kubectl-mesh_trace" }, "platform 4: bin of windows is no .exe"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := example(t)
			if tc.spoil != nil {
				tc.spoil(&m)
			}
			if got := problems(tc.file, m); !slices.Contains(got, tc.want) {
				t.Errorf("got %q, want %q among them", got, tc.want)
			}
		})
	}
}
