package krew

import (
	"os"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// release is what .goreleaser.yaml says, as far as the tests of a release ask. `goreleaser check` in .ci/run reads
// all of it, strictly.
type release struct {
	Builds   []releaseBuild   `json:"builds"`
	Archives []releaseArchive `json:"archives"`
	Checksum struct {
		NameTemplate string `json:"name_template"`
	} `json:"checksum"`
	SBOMs []struct {
		Artifacts string `json:"artifacts"`
		Cmd       string `json:"cmd"`
	} `json:"sboms"`
	Signs []struct {
		Artifacts string   `json:"artifacts"`
		Cmd       string   `json:"cmd"`
		Signature string   `json:"signature"`
		Args      []string `json:"args"`
	} `json:"signs"`
	Release struct {
		GitHub struct {
			Owner string `json:"owner"`
			Name  string `json:"name"`
		} `json:"github"`
	} `json:"release"`
}

type releaseBuild struct {
	Main    string   `json:"main"`
	Binary  string   `json:"binary"`
	Env     []string `json:"env"`
	Flags   []string `json:"flags"`
	Ldflags []string `json:"ldflags"`
	Goos    []string `json:"goos"`
	Goarch  []string `json:"goarch"`
}

type releaseArchive struct {
	Formats      []string `json:"formats"`
	NameTemplate string   `json:"name_template"`
}

func parseRelease(t *testing.T) release {
	t.Helper()
	data, err := os.ReadFile("../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var r release
	if err := yaml.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Builds) != 1 || len(r.Archives) != 1 {
		t.Fatalf("expected one build and one archive, got %+v", r)
	}
	return r
}

// render fills a template of goreleaser.
func render(t *testing.T, text string, values map[string]string) string {
	t.Helper()
	var b strings.Builder
	if err := template.Must(template.New("").Option("missingkey=error").Parse(text)).Execute(&b, values); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The manifest offers each archive that a release makes, and no other, and the binary in it by its name.
func TestManifestNamesTheReleasedArchives(t *testing.T) {
	r := parseRelease(t)
	build, archive := r.Builds[0], r.Archives[0]
	if diff := cmp.Diff([]string{"tar.gz"}, archive.Formats); diff != "" {
		t.Error(diff)
	}
	downloads := "https://github.com/" + r.Release.GitHub.Owner + "/" + r.Release.GitHub.Name + "/releases/download/"
	var made, offered []string
	for _, goos := range build.Goos {
		for _, goarch := range build.Goarch {
			bin := build.Binary
			if goos == "windows" {
				bin += ".exe"
			}
			name := render(t, archive.NameTemplate, map[string]string{"Version": strings.TrimPrefix(exampleTag, "v"), "Os": goos, "Arch": goarch})
			made = append(made, strings.Join([]string{downloads + exampleTag + "/" + name + ".tar.gz", goos, goarch, bin}, " "))
		}
	}
	for _, p := range example(t).Spec.Platforms {
		offered = append(offered, strings.Join([]string{p.URI, p.Selector.MatchLabels["os"], p.Selector.MatchLabels["arch"], p.Bin}, " "))
	}
	slices.Sort(made)
	slices.Sort(offered)
	if diff := cmp.Diff(made, offered); diff != "" {
		t.Error(diff)
	}
}

// What no machine without syft and cosign can make is at least asked for: a bill of materials of each archive, and a
// signature of the checksums with the identity of the workflow.
func TestReleaseIsSigned(t *testing.T) {
	r := parseRelease(t)
	if len(r.SBOMs) != 1 || r.SBOMs[0].Artifacts != "archive" || r.SBOMs[0].Cmd != "syft" {
		t.Errorf("sboms: %+v", r.SBOMs)
	}
	if len(r.Signs) != 1 || r.Signs[0].Artifacts != "checksum" || r.Signs[0].Cmd != "cosign" {
		t.Fatalf("signs: %+v", r.Signs)
	}
	// cosign 3 writes a bundle, and asks before it uploads.
	want := []string{"sign-blob", "--bundle=${signature}", "${artifact}", "--yes"}
	if diff := cmp.Diff(want, r.Signs[0].Args); diff != "" || r.Signs[0].Signature != "${artifact}.sigstore.json" {
		t.Errorf("signature %s, args %s", r.Signs[0].Signature, diff)
	}
	if r.Checksum.NameTemplate != "checksums.txt" {
		t.Errorf("checksums in %s", r.Checksum.NameTemplate)
	}
}
