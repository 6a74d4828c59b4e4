package krew

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var made = flag.Bool("made", false, "fail, rather than skip, where goreleaser has made no archives of this commit in ../dist")

// distribution is what goreleaser has made of this commit.
type distribution struct {
	tag, commit string
	date        time.Time
	// sums are those of checksums.txt.
	sums map[string]string
}

// dist reads ../dist. A test that needs it is skipped where it is not there, unless -made asks for it.
func dist(t *testing.T) distribution {
	t.Helper()
	absent := func(reason string) {
		t.Helper()
		if *made {
			t.Fatal(reason)
		}
		t.Skip(reason + "; .ci/run makes them")
	}
	data, err := os.ReadFile("../dist/metadata.json")
	if err != nil {
		absent("goreleaser has made no archives")
	}
	var metadata struct{ Version, Commit string }
	if err := json.Unmarshal(data, &metadata); err != nil {
		t.Fatal(err)
	}
	if commit := git(t, "..", "rev-parse", "HEAD"); commit != metadata.Commit {
		absent("the archives in dist are of another commit, " + metadata.Commit)
	}
	date, err := time.Parse(time.RFC3339, git(t, "..", "show", "-s", "--format=%cI", "HEAD"))
	if err != nil {
		t.Fatal(err)
	}
	d := distribution{tag: "v" + metadata.Version, commit: metadata.Commit, date: date.UTC()}
	checksums, err := os.Open("../dist/checksums.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer checksums.Close()
	if d.sums, err = Checksums(checksums); err != nil {
		t.Fatal(err)
	}
	return d
}

// manifest is the one that the index would get.
func (d distribution) manifest(t *testing.T) manifest {
	t.Helper()
	text, err := Manifest(d.tag, d.sums)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).Output()
	if err != nil {
		t.Fatalf("git %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

// Every archive passes what the index's CI asks of it, and has what it should.
func TestArchives(t *testing.T) {
	d := dist(t)
	m := d.manifest(t)
	if diff := cmp.Diff([]string(nil), problems(manifestFile, m)); diff != "" {
		t.Fatal(diff)
	}
	archives := slices.DeleteFunc(slices.Collect(maps.Keys(d.sums)), func(file string) bool { return !strings.HasSuffix(file, ".tar.gz") })
	if len(archives) != len(m.Spec.Platforms) {
		t.Errorf("%d archives are made, %d are offered: %q", len(archives), len(m.Spec.Platforms), archives)
	}
	for _, p := range m.Spec.Platforms {
		on := machine{p.Selector.MatchLabels["os"], p.Selector.MatchLabels["arch"]}
		t.Run(on.os+"/"+on.arch, func(t *testing.T) {
			t.Parallel()
			archive, err := os.ReadFile(filepath.Join("../dist", path.Base(p.URI)))
			if err != nil {
				t.Fatal(err)
			}
			d.entries(t, p, archive)
			root := krewRoot(t.TempDir())
			if err := root.install(m, p, archive); err != nil {
				t.Fatal(err)
			}
			link := root.link(m, p)
			d.executable(t, link, on)
			if on == (machine{runtime.GOOS, runtime.GOARCH}) {
				d.runs(t, link)
				completes(t, m, string(root))
			}
		})
	}
}

// entries are the files of the archive, and nothing in them tells when or by whom they were packed.
func (d distribution) entries(t *testing.T, p platform, archive []byte) {
	t.Helper()
	zipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	if !zipped.ModTime.IsZero() || zipped.Name != "" {
		t.Errorf("the archive is of %v, named %q", zipped.ModTime, zipped.Name)
	}
	var got []string
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%#o %s", h.Mode, h.Name))
		if !h.ModTime.Equal(d.date) || h.Uid != 0 || h.Gid != 0 || h.Uname != "root" || h.Gname != "root" {
			t.Errorf("%s is of %v, of %s (%d) and %s (%d); the commit is of %v", h.Name, h.ModTime, h.Uname, h.Uid, h.Gname, h.Gid, d.date)
		}
	}
	if diff := cmp.Diff([]string{"0644 LICENSE", "0644 README.md", "0755 kubectl_complete-mesh_trace", "0755 " + p.Bin}, got); diff != "" {
		t.Error(diff)
	}
}

// executable holds that a file is a program for the machine, built of this commit without C and without paths of
// whoever built it.
func (d distribution) executable(t *testing.T, file string, on machine) {
	t.Helper()
	if got, err := machineOf(file); err != nil || got != on {
		t.Errorf("the program is for %v (%v)", got, err)
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range info.Settings {
		got[s.Key] = s.Value
	}
	for key, want := range map[string]string{
		"GOOS": on.os, "GOARCH": on.arch, "CGO_ENABLED": "0", "-trimpath": "true",
		"vcs.revision": d.commit, "vcs.modified": "false",
	} {
		if got[key] != want {
			t.Errorf("built with %s=%s, want %s", key, got[key], want)
		}
	}
}

// machineOf reads for which machine a program is, from the head of the file.
func machineOf(file string) (machine, error) {
	if f, err := elf.Open(file); err == nil {
		defer f.Close()
		return machine{"linux", map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}[f.Machine]}, nil
	}
	if f, err := macho.Open(file); err == nil {
		defer f.Close()
		return machine{"darwin", map[macho.Cpu]string{macho.CpuAmd64: "amd64", macho.CpuArm64: "arm64"}[f.Cpu]}, nil
	}
	f, err := pe.Open(file)
	if err != nil {
		return machine{}, fmt.Errorf("neither ELF nor Mach-O nor PE: %w", err)
	}
	defer f.Close()
	return machine{"windows", map[uint16]string{pe.IMAGE_FILE_MACHINE_AMD64: "amd64", pe.IMAGE_FILE_MACHINE_ARM64: "arm64"}[f.Machine]}, nil
}

// runs runs the program: it knows which release it is, and traces.
func (d distribution) runs(t *testing.T, file string) {
	t.Helper()
	want := fmt.Sprintf("kubectl-mesh_trace %s, commit %s, %s, ", d.tag, d.commit, d.date.Format(time.RFC3339))
	if out, err := exec.Command(file, "version").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("version: %v\n%swant\n%s", err, out, want)
	}
	trace := exec.Command(file, "-f", "testdata/shop", "--from", "shop/deployment/web", "-o", "jsonpath={.outcomes[*].weight}", "http://reviews:9080/")
	trace.Dir = ".."
	if out, err := trace.CombinedOutput(); err != nil || string(out) != "90 10" {
		t.Errorf("trace: %v\n%s", err, out)
	}
}

// completes does what the caveats say, and completes.
func completes(t *testing.T, m manifest, root string) {
	t.Helper()
	_, command, ok := strings.Cut(m.Spec.Caveats, "\n  ln ")
	if !ok {
		t.Fatal("the caveats say nothing of a link")
	}
	link := exec.Command("sh", "-c", "ln "+command)
	link.Env = append(os.Environ(), "KREW_ROOT="+root)
	if out, err := link.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(filepath.Join(root, "bin", "kubectl_complete-mesh_trace"), "--explain", "fu").Output()
	if err != nil || string(out) != "full\n:4\n" {
		t.Errorf("completion: %v\n%s", err, out)
	}
}

// What is no program, or one for another machine, is seen.
func TestMachineOf(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := machineOf(self); err != nil || got != (machine{runtime.GOOS, runtime.GOARCH}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := machineOf("mesh-trace.yaml"); err == nil {
		t.Errorf("a manifest is a program for %v", got)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if data[18] != byte(elf.EM_X86_64) && data[18] != byte(elf.EM_AARCH64) || data[0] != 0x7f {
		t.Skip("the head of this machine's programs is not ELF's")
	}
	other := map[byte]elf.Machine{byte(elf.EM_X86_64): elf.EM_AARCH64, byte(elf.EM_AARCH64): elf.EM_X86_64}[data[18]]
	data[18] = byte(other)
	file := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := machineOf(file); err != nil || got.arch == runtime.GOARCH || got.arch == "" {
		t.Errorf("%v, %v", got, err)
	}
}
