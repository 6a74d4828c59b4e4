package krew

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestArchive builds and packs what .goreleaser.yaml says for this machine, and
// installs it as krew would with the manifest.
func TestArchive(t *testing.T) {
	if testing.Short() {
		t.Skip("links a binary")
	}
	build, archive := parseRelease(t)
	var entry *platform
	for _, p := range parse(t).Spec.Platforms {
		if p.fits(runtime.GOOS, runtime.GOARCH) {
			entry = &p
		}
	}
	if entry == nil {
		t.Skipf("there is no archive for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	packed := pack(t, archive, compile(t, build, entry.Bin), entry.Bin)
	if kind := http.DetectContentType(packed); kind != "application/x-gzip" {
		t.Errorf("krew would take the archive for %s", kind)
	}
	installed := install(t, unpack(t, packed), *entry)
	if !hasLicense(t, installed) {
		t.Error("no licence is installed")
	}
	out, err := exec.Command(filepath.Join(installed, entry.Bin), "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "kubectl-mesh_trace "+tag+", commit c0ffee, 2026-01-02T03:04:05Z, ") {
		t.Errorf("version: %v\n%s", err, out)
	}
}

// compile is the binary of the release.
func compile(t *testing.T, build releaseBuild, bin string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), bin)
	args := append([]string{"build", "-o", file}, build.Flags...)
	for _, f := range build.Ldflags {
		args = append(args, "-ldflags="+render(t, f, runtime.GOOS, runtime.GOARCH))
	}
	command := exec.Command("go", append(args, build.Main)...)
	command.Dir = ".."
	command.Env = append(os.Environ(), build.Env...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// pack makes the archive.
func pack(t *testing.T, archive releaseArchive, binary, bin string) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	w := tar.NewWriter(zipped)
	add := func(name, file string, mode int64) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: mode}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	add(bin, binary, archive.BuildsInfo.Mode)
	for _, f := range archive.Files {
		add(f.Src, filepath.Join("..", f.Src), f.Info.Mode)
	}
	if err := errors.Join(w.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpack unpacks as krew does (internal/download): directories and regular
// files alone, nothing outside, modes as in the archive.
func unpack(t *testing.T, packed []byte) string {
	t.Helper()
	dir := t.TempDir()
	zipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir {
			t.Fatalf("%s is neither a directory nor a regular file", h.Name)
		}
		if !filepath.IsLocal(h.Name) || path.Clean(h.Name) != h.Name {
			t.Fatalf("%s leaves the archive", h.Name)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, h.Name), data, os.FileMode(h.Mode)); err != nil {
			t.Fatal(err)
		}
	}
}

// install moves the manifest's files (internal/installation, moveToInstallDir).
func install(t *testing.T, unpacked string, entry platform) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range entry.Files {
		found, err := filepath.Glob(filepath.Join(unpacked, f.From))
		if err != nil || len(found) == 0 {
			t.Fatalf("the archive has no %s (%v)", f.From, err)
		}
		for _, file := range found {
			if err := os.Rename(file, filepath.Join(dir, f.To, filepath.Base(file))); err != nil {
				t.Fatal(err)
			}
		}
	}
	info, err := os.Stat(filepath.Join(dir, entry.Bin))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && (!info.Mode().IsRegular() || info.Mode()&0o111 == 0) {
		t.Errorf("%s can not be executed: %v", entry.Bin, info.Mode())
	}
	return dir
}

// license is what the index's CI takes for one.
var license = regexp.MustCompile(`(?i)^(license|licenses|copying)(\.txt|\.md)?$`)

func hasLicense(t *testing.T, dir string) bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() && license.MatchString(e.Name()) {
			return true
		}
	}
	return false
}
