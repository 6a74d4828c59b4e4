package krew

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Whoever builds a commit gets the bytes of the release: twice the same from two clones in two directories, and the
// same as the program that goreleaser has made, where it has.
func TestBuildIsReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("links two binaries")
	}
	if _, err := os.Stat("../.git"); err != nil {
		t.Skip("not a git checkout: a build without one has other bytes, as Go records the commit")
	}
	commit := git(t, "..", "rev-parse", "HEAD")
	here, there := clone(t, "a"), clone(t, filepath.Join("another", "directory"))
	first, second := compile(t, here, commit), compile(t, there, commit)
	if !bytes.Equal(first, second) {
		t.Error("two builds of one commit differ")
	}
	for _, dir := range []string{here, there} {
		if bytes.Contains(first, []byte(dir)) || bytes.Contains(second, []byte(dir)) {
			t.Errorf("the program names the directory %s", dir)
		}
	}
	t.Run("the release", func(t *testing.T) {
		d := dist(t)
		found, err := filepath.Glob("../dist/kubectl-mesh_trace_" + runtime.GOOS + "_" + runtime.GOARCH + "*/kubectl-mesh_trace*")
		if err != nil || len(found) != 1 {
			t.Fatalf("%q, %v", found, err)
		}
		released, err := os.ReadFile(found[0])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, released) {
			t.Errorf("the program of %s differs from one built of its commit", d.tag)
		}
	})
}

// clone is a checkout of the commit at hand, tags included, below a directory of the test.
func clone(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	git(t, "..", "clone", "--quiet", ".", dir)
	return dir
}

// compile is the program that the release's build makes of a checkout of the commit.
func compile(t *testing.T, dir, commit string) []byte {
	t.Helper()
	build := parseRelease(t).Builds[0]
	date, err := time.Parse(time.RFC3339, git(t, dir, "show", "-s", "--format=%cI", commit))
	if err != nil {
		t.Fatal(err)
	}
	version := strings.TrimPrefix(git(t, dir, "describe", "--tags", "--always"), "v")
	values := map[string]string{"Version": version, "FullCommit": commit, "CommitDate": date.UTC().Format(time.RFC3339)}
	file := filepath.Join(t.TempDir(), build.Binary)
	args := append([]string{"build", "-o", file}, build.Flags...)
	for _, f := range build.Ldflags {
		args = append(args, "-ldflags="+render(t, f, values))
	}
	command := exec.Command("go", append(args, build.Main)...)
	command.Dir = dir
	command.Env = append(os.Environ(), build.Env...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// The build is the one kubectl finds.
func TestBuildIsWhatKubectlFinds(t *testing.T) {
	build := parseRelease(t).Builds[0]
	if diff := cmp.Diff([]string{"kubectl-mesh_trace", "./cmd/kubectl-mesh_trace"}, []string{build.Binary, build.Main}); diff != "" {
		t.Error(diff)
	}
}
