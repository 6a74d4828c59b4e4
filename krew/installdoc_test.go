package krew

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const installPage = "../docs/install.md"

// stubs stand for what is not on this machine. Downloads come out of dist, where there is no signature; krew and cosign
// write down what they are asked.
var stubs = map[string]string{
	"curl": `for last; do :; done
file=${last##*/}
case $file in
*.sigstore.json) : >"$file" ;;
*) cp "$DIST/$file" "$file" ;;
esac
echo "curl $*" >>"$LOG"
`,
	"cosign": `test -s "$2" && test -e "$4" || exit 1
echo "cosign $*" >>"$LOG"
`,
	"kubectl": `case $1 in
krew) echo "kubectl $*" >>"$LOG" ;;
mesh-trace) shift; exec kubectl-mesh_trace "$@" ;;
*) exit 1 ;;
esac
`,
}

// holds is what has to be true after the blocks of a section.
var holds = map[string]string{
	"From an archive": `test "$(kubectl-mesh_trace version | cut -d' ' -f2)" = "$VERSION,"; test "$(kubectl_complete-mesh_trace --explain fu)" = 'full
:4'`,
	"From source": `"$GOBIN/kubectl-mesh_trace" version >/dev/null`,
	"Completion": `test "$(kubectl_complete-mesh_trace --explain fu)" = 'full
:4'; grep -q __complete ~/.local/bin/kubectl_complete-mesh_trace`,
	"Upgrading and removing": `test -z "$(ls ~/.local/bin)"`,
}

// The page's commands, run in their order in a new home, do what it says.
func TestInstallPage(t *testing.T) {
	d := dist(t)
	if runtime.GOOS == "windows" {
		t.Skip("needs a POSIX shell")
	}
	page := readText(t, installPage)
	var script strings.Builder
	script.WriteString("set -eu\n")
	for _, section := range strings.Split(page, "\n## ")[1:] {
		title, _, _ := strings.Cut(section, "\n")
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
			script.WriteString(strings.ReplaceAll(block[1], "VERSION=v1.0.0", "VERSION="+d.tag))
		}
		fmt.Fprintf(&script, "%s\n", holds[title])
	}
	home := t.TempDir()
	manifest, err := Manifest(d.tag, d.sums)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, manifestFile), string(manifest), 0o644)
	for name, text := range stubs {
		write(t, filepath.Join(home, "stubs", name), "#!/bin/sh\n"+text, 0o755)
	}
	log := filepath.Join(home, "log")
	run := exec.Command("sh", "-c", script.String())
	run.Dir, run.Env = home, installEnv(t, home, log)
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := strings.ReplaceAll(`kubectl krew install --manifest-url=REPO/releases/latest/download/mesh-trace.yaml
kubectl krew index add team https://git.example.com/team/index.git
kubectl krew install team/mesh-trace
curl -fsSLO REPO/releases/download/TAG/kubectl-mesh-trace_TAG_OS_ARCH.tar.gz
curl -fsSLO REPO/releases/download/TAG/checksums.txt
curl -fsSLO REPO/releases/download/TAG/checksums.txt.sigstore.json
cosign verify-blob checksums.txt --bundle checksums.txt.sigstore.json --certificate-identity REPO/.github/workflows/release.yaml@refs/tags/TAG --certificate-oidc-issuer https://token.actions.githubusercontent.com
kubectl krew uninstall mesh-trace
`, "TAG", d.tag)
	gh := parseRelease(t).Release.GitHub
	want = strings.NewReplacer("REPO", "https://github.com/"+gh.Owner+"/"+gh.Name, "OS", runtime.GOOS, "ARCH", runtime.GOARCH).Replace(want)
	if diff := cmp.Diff(want, readText(t, log)); diff != "" {
		t.Error(diff)
	}
	// The index that was made holds a manifest that krew takes.
	indexed := decode(t, []byte(git(t, filepath.Join(home, "index"), "show", "HEAD:plugins/"+manifestFile)))
	if diff := cmp.Diff([]string(nil), problems(manifestFile, indexed)); diff != "" {
		t.Error(diff)
	}
}

// installEnv is a new home, with the caches of this one, in which the repository is this checkout.
func installEnv(t *testing.T, home, log string) []string {
	t.Helper()
	checkout, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	env := os.Environ()
	for _, name := range []string{"GOPATH", "GOMODCACHE", "GOCACHE"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(out)))
	}
	return append(env,
		"HOME="+home, "LOG="+log, "DIST="+filepath.Join(checkout, "dist"), "GOBIN="+filepath.Join(home, "gobin"), "KREW_ROOT="+filepath.Join(home, "krew"),
		"PATH="+strings.Join([]string{filepath.Join(home, "stubs"), filepath.Join(home, ".local", "bin"), os.Getenv("PATH")}, ":"),
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url."+checkout+".insteadOf", "GIT_CONFIG_VALUE_0=https://github.com/mesh-trace/kubectl-mesh-trace")
}

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// What `go install` is given is the program of this module.
func TestInstallPageNamesThePackage(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{.Name}}", "../cmd/kubectl-mesh_trace").Output()
	if err != nil {
		t.Fatal(err)
	}
	path, name, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if name != "main" || !strings.Contains(readText(t, installPage), "\n    go install "+path+"@latest\n") {
		t.Errorf("the page does not install %s", path)
	}
}

// The manifest that the page names is the one that the release workflow uploads.
func TestReleaseUploadsTheManifest(t *testing.T) {
	for _, step := range parseWorkflow(t, "../.github/workflows/release.yaml").Jobs["release"].Steps {
		if strings.Contains(step.Run, `go run ./krew/manifest "$TAG" <dist/checksums.txt >`+manifestFile) && strings.Contains(step.Run, `gh release upload "$TAG" `+manifestFile) {
			return
		}
	}
	t.Errorf("no step makes and uploads %s", manifestFile)
}
