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

// release is what .goreleaser.yaml may say. It is read strictly, so that a key
// that goreleaser has given up (archives[].format, archives[].builds) or a typo
// is refused here.
type release struct {
	Version     int              `json:"version"`
	ProjectName string           `json:"project_name"`
	Builds      []releaseBuild   `json:"builds"`
	Archives    []releaseArchive `json:"archives"`
	Checksum    struct {
		NameTemplate string `json:"name_template"`
		Algorithm    string `json:"algorithm"`
	} `json:"checksum"`
	Snapshot struct {
		VersionTemplate string `json:"version_template"`
	} `json:"snapshot"`
	Changelog struct {
		Use  string `json:"use"`
		Sort string `json:"sort"`
	} `json:"changelog"`
	Release struct {
		Prerelease string `json:"prerelease"`
	} `json:"release"`
	ReportSizes bool `json:"report_sizes"`
}

type releaseBuild struct {
	ID           string   `json:"id"`
	Main         string   `json:"main"`
	Binary       string   `json:"binary"`
	Env          []string `json:"env"`
	Flags        []string `json:"flags"`
	Ldflags      []string `json:"ldflags"`
	ModTimestamp string   `json:"mod_timestamp"`
	Goos         []string `json:"goos"`
	Goarch       []string `json:"goarch"`
}

type releaseArchive struct {
	ID              string        `json:"id"`
	IDs             []string      `json:"ids"`
	Formats         []string      `json:"formats"`
	NameTemplate    string        `json:"name_template"`
	WrapInDirectory bool          `json:"wrap_in_directory"`
	BuildsInfo      releaseInfo   `json:"builds_info"`
	Files           []releaseFile `json:"files"`
}

type releaseFile struct {
	Src  string      `json:"src"`
	Info releaseInfo `json:"info"`
}

type releaseInfo struct {
	Mode  int64  `json:"mode"`
	Mtime string `json:"mtime"`
}

func parseRelease(t *testing.T) (releaseBuild, releaseArchive) {
	t.Helper()
	data, err := os.ReadFile("../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var r release
	if err := yaml.UnmarshalStrict(data, &r); err != nil {
		t.Fatal(err)
	}
	if r.Version != 2 || len(r.Builds) != 1 || len(r.Archives) != 1 {
		t.Fatalf("expected version 2 with one build and one archive, got %+v", r)
	}
	return r.Builds[0], r.Archives[0]
}

// render fills a template of goreleaser for a release of the tag.
func render(t *testing.T, text, goos, goarch string) string {
	t.Helper()
	var b strings.Builder
	err := template.Must(template.New("").Option("missingkey=error").Parse(text)).Execute(&b, map[string]string{
		"Tag": tag, "Version": strings.TrimPrefix(tag, "v"), "Os": goos, "Arch": goarch,
		"FullCommit": "c0ffee", "CommitDate": "2026-01-02T03:04:05Z", "CommitTimestamp": "1767323045",
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The manifest offers each archive that a release makes, and no other, and the
// binary in it by its name.
func TestManifestNamesTheReleasedArchives(t *testing.T) {
	build, archive := parseRelease(t)
	if diff := cmp.Diff([]string{"tar.gz"}, archive.Formats); diff != "" {
		t.Error(diff)
	}
	var made, offered []string
	for _, goos := range build.Goos {
		for _, goarch := range build.Goarch {
			bin := build.Binary
			if goos == "windows" {
				bin += ".exe"
			}
			made = append(made, "https://github.com/mesh-trace/kubectl-mesh-trace/releases/download/"+tag+"/"+
				render(t, archive.NameTemplate, goos, goarch)+".tar.gz "+goos+" "+goarch+" "+bin)
		}
	}
	for _, p := range parse(t).Spec.Platforms {
		offered = append(offered, strings.Join([]string{p.URI, p.Selector.MatchLabels["os"], p.Selector.MatchLabels["arch"], p.Bin}, " "))
	}
	slices.Sort(made)
	slices.Sort(offered)
	if diff := cmp.Diff(made, offered); diff != "" {
		t.Error(diff)
	}
}

// The build is the one kubectl finds, reproducible and without C.
func TestBuild(t *testing.T) {
	build, archive := parseRelease(t)
	if build.Binary != "kubectl-mesh_trace" || build.Main != "./cmd/kubectl-mesh_trace" {
		t.Errorf("binary %q of %q", build.Binary, build.Main)
	}
	if !slices.Contains(build.Env, "CGO_ENABLED=0") || !slices.Contains(build.Flags, "-trimpath") {
		t.Errorf("env %q, flags %q", build.Env, build.Flags)
	}
	const commitDate = "{{ .CommitDate }}"
	if build.ModTimestamp != "{{ .CommitTimestamp }}" || archive.BuildsInfo.Mtime != commitDate {
		t.Error("the archive's times depend on when it is made")
	}
	for _, f := range archive.Files {
		if f.Info.Mtime != commitDate {
			t.Errorf("the time of %s depends on when it is packed", f.Src)
		}
	}
}
