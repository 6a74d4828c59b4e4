package krew

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// workflow is what the workflows use of GitHub's language; they are read strictly, so that a typo is refused.
type workflow struct {
	Name        string                 `json:"name"`
	On          map[string]*trigger    `json:"true"` // YAML 1.1 takes on for a boolean
	Permissions map[string]string      `json:"permissions"`
	Jobs        map[string]workflowJob `json:"jobs"`
}

type trigger struct {
	Branches []string `json:"branches"`
	Tags     []string `json:"tags"`
}

type workflowJob struct {
	Uses           string            `json:"uses"`
	Needs          string            `json:"needs"`
	If             string            `json:"if"`
	RunsOn         string            `json:"runs-on"`
	TimeoutMinutes int               `json:"timeout-minutes"`
	Permissions    map[string]string `json:"permissions"`
	Env            map[string]string `json:"env"`
	Steps          []workflowStep    `json:"steps"`
}

type workflowStep struct {
	Uses string         `json:"uses"`
	Run  string         `json:"run"`
	With map[string]any `json:"with"`
}

func readText(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func parseWorkflow(t *testing.T, file string) workflow {
	t.Helper()
	var w workflow
	if err := yaml.UnmarshalStrict([]byte(readText(t, file)), &w); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return w
}

// Every action is pinned to a commit, with its release beside it; every job says how long it may take, and a checkout
// leaves no credentials behind.
func TestWorkflowsArePinned(t *testing.T) {
	files, err := filepath.Glob("../.github/workflows/*")
	if err != nil || len(files) != 2 {
		t.Fatalf("%q, %v", files, err)
	}
	pinned := regexp.MustCompile(`^ *-? *uses: (\./\S+|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$`)
	for _, file := range files {
		for line := range strings.Lines(readText(t, file)) {
			if strings.Contains(line, "uses:") && !pinned.MatchString(strings.TrimRight(line, "\n")) {
				t.Errorf("%s: not pinned: %s", file, line)
			}
		}
		for name, job := range parseWorkflow(t, file).Jobs {
			if job.Uses == "" && (job.TimeoutMinutes == 0 || job.RunsOn == "") {
				t.Errorf("%s: job %s may take for ever, on %q", file, name, job.RunsOn)
			}
			for _, step := range job.Steps {
				if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["persist-credentials"] != false {
					t.Errorf("%s: job %s keeps the token in the checkout", file, name)
				}
			}
		}
	}
}

// No job may do more than it has to.
func TestWorkflowPermissions(t *testing.T) {
	read := map[string]string{"contents": "read"}
	ci, release := parseWorkflow(t, "../.github/workflows/ci.yaml"), parseWorkflow(t, "../.github/workflows/release.yaml")
	got := map[string]map[string]string{"ci": ci.Permissions, "release": release.Permissions}
	for name, job := range release.Jobs {
		got["release/"+name] = job.Permissions
	}
	for name, job := range ci.Jobs {
		if job.Permissions != nil {
			got["ci/"+name] = job.Permissions
		}
	}
	want := map[string]map[string]string{
		"ci": read, "release": {},
		"release/ci": read, "release/krew": read,
		"release/release": {"contents": "write", "id-token": "write", "attestations": "write"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The tags that make a release are versions as krew takes them, and no others.
func TestReleaseTags(t *testing.T) {
	tags := parseWorkflow(t, "../.github/workflows/release.yaml").On["push"].Tags
	released := func(tag string) bool {
		return slices.ContainsFunc(tags, func(pattern string) bool {
			// GitHub's patterns: * is anything but a slash, + repeats what is before it, and brackets are a class.
			expression := strings.NewReplacer(".", `\.`, "*", "[^/]*").Replace(pattern)
			return regexp.MustCompile("^" + expression + "$").MatchString(tag)
		})
	}
	for tag, want := range map[string]bool{
		"v1.2.3": true, "v10.20.30": true, "v1.2.3-rc.1": true,
		"v1": false, "v1.2": false, "1.2.3": false, "vendor": false, "v1.2.3.4": false,
	} {
		m := example(t)
		m.Spec.Version = tag
		if got := released(tag); got != want || got != (len(problems(manifestFile, m)) == 0) {
			t.Errorf("%s makes a release: %v", tag, got)
		}
	}
}

// The release is made as it was rehearsed: by the same goreleaser, after all of .ci/run, with Go of the same release as
// go.mod, and with the tools that .goreleaser.yaml asks for.
func TestReleaseIsWhatWasRehearsed(t *testing.T) {
	ci, release := parseWorkflow(t, "../.github/workflows/ci.yaml"), parseWorkflow(t, "../.github/workflows/release.yaml")
	rehearsal, job := readText(t, "../.ci/run"), release.Jobs["release"]
	if release.Jobs["ci"].Uses != "./.github/workflows/ci.yaml" || job.Needs != "ci" || release.Jobs["krew"].Needs != "release" {
		t.Error("a release does not wait for the tests")
	}
	var steps []string
	for _, s := range append(slices.Clone(ci.Jobs["run"].Steps), job.Steps...) {
		action, _, _ := strings.Cut(s.Uses, "@")
		steps = append(steps, action+s.Run)
		minor := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(readText(t, "../go.mod"))[1]
		if action == "actions/setup-go" && s.With["go-version"] != minor+".x" {
			t.Errorf("Go %v, and %s in go.mod", s.With["go-version"], minor)
		}
	}
	goreleaser := regexp.MustCompile(`github.com/goreleaser/goreleaser/v2@v[\d.]+`)
	want := []string{"go run " + goreleaser.FindString(rehearsal) + " release --clean", ".ci/run", "go test ./krew -made"}
	for _, tool := range []string{parseRelease(t).SBOMs[0].Cmd, parseRelease(t).Signs[0].Cmd} {
		want = append(want, map[string]string{"syft": "anchore/sbom-action/download-syft", "cosign": "sigstore/cosign-installer"}[tool])
	}
	for _, step := range want {
		if !slices.Contains(steps, step) {
			t.Errorf("no step %q in %q", step, steps)
		}
	}
	if !strings.Contains(rehearsal, "go test ./krew -made") {
		t.Error(".ci/run does not hold the archives against krew")
	}
}

// krew-release-bot gets the template that the tests render, and the provenance is of the checksums that are signed.
func TestReleaseUsesTheFilesThereAre(t *testing.T) {
	var got []any
	for _, job := range parseWorkflow(t, "../.github/workflows/release.yaml").Jobs {
		for _, step := range job.Steps {
			for _, input := range []string{"krew_template_file", "subject-checksums"} {
				if value, ok := step.With[input]; ok {
					got = append(got, value)
				}
			}
		}
	}
	slices.SortFunc(got, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	if diff := cmp.Diff([]any{"dist/" + parseRelease(t).Checksum.NameTemplate, "krew/" + manifestFile}, got); diff != "" {
		t.Error(diff)
	}
}
