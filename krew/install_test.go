package krew

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// krewRoot is a directory in which plugins are installed as krew does it (internal/installation, install):
// download, compare the sum, unpack, move what files says into the store, and link bin.
type krewRoot string

// store is where a version of the plugin lies, and link what kubectl finds.
func (r krewRoot) store(m manifest) string {
	return filepath.Join(string(r), "store", m.Metadata.Name, m.Spec.Version)
}

func (r krewRoot) link(m manifest, p platform) string {
	return filepath.Join(string(r), "bin", "kubectl-"+strings.ReplaceAll(m.Metadata.Name, "-", "_")+filepath.Ext(p.Bin))
}

// install installs one platform's archive.
func (r krewRoot) install(m manifest, p platform, archive []byte) error {
	if got := fmt.Sprintf("%x", sha256.Sum256(archive)); got != p.Sha256 {
		return fmt.Errorf("the sum is %s, not %s", got, p.Sha256)
	}
	staging, err := os.MkdirTemp(string(r), "staging")
	if err != nil {
		return err
	}
	defer os.RemoveAll(staging)
	if err := unpack(staging, archive); err != nil {
		return err
	}
	files := p.Files
	if files == nil {
		files = []fileMove{{From: "*", To: "."}}
	}
	for _, f := range files {
		if err := f.move(staging, r.store(m)); err != nil {
			return err
		}
	}
	bin := filepath.Join(r.store(m), filepath.FromSlash(p.Bin))
	if !within(r.store(m), bin) {
		return fmt.Errorf("bin %s is outside of the plugin", p.Bin)
	}
	info, err := os.Stat(bin)
	if err != nil {
		return fmt.Errorf("no bin: %w", err)
	}
	// krew would link this as well; nobody could run it.
	if !info.Mode().IsRegular() || filepath.Ext(p.Bin) != ".exe" && info.Mode()&0o111 != 0o111 {
		return fmt.Errorf("%s can not be executed: %v", p.Bin, info.Mode())
	}
	link := r.link(m, p)
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return err
	}
	if err := os.Symlink(bin, link); err != nil {
		return err
	}
	return r.license(m)
}

// unpack takes an archive apart (internal/download): what it is is seen from its content, not its name; entries are
// directories and regular files, with the modes the archive gives them, and stay inside.
func unpack(dir string, archive []byte) error {
	if kind := http.DetectContentType(archive); kind != "application/x-gzip" {
		return fmt.Errorf("the archive is %s", kind) // krew takes zip too, which is not made here
	}
	zipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return err
	}
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if strings.Contains(h.Name, "..") || strings.HasPrefix(h.Name, "/") || strings.HasPrefix(h.Name, `\`) {
			return fmt.Errorf("entry %s leaves the archive", h.Name)
		}
		file := filepath.Join(dir, filepath.FromSlash(h.Name))
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(file, os.FileMode(h.Mode))
		case tar.TypeReg:
			var data []byte
			if data, err = io.ReadAll(r); err == nil {
				err = errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, data, os.FileMode(h.Mode)))
			}
		default:
			err = fmt.Errorf("entry %s is neither a directory nor a regular file", h.Name)
		}
		if err != nil {
			return err
		}
	}
}

// move moves what from names (internal/installation, findMoveTargets): one file to a name of its own, or what a
// pattern matches into a directory.
func (f fileMove) move(from, to string) error {
	if f.To != filepath.Clean(f.To) {
		return fmt.Errorf("to %s is not clean", f.To)
	}
	source, target := filepath.Join(from, filepath.FromSlash(f.From)), filepath.Join(to, filepath.FromSlash(f.To))
	if _, err := os.Stat(source); err == nil {
		if f.To == "." {
			target = filepath.Join(target, filepath.Base(source))
		}
		return rename(from, to, source, target)
	}
	found, err := filepath.Glob(source)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("nothing in the archive is %s", f.From)
	}
	for _, file := range found {
		if err := rename(from, to, file, filepath.Join(target, filepath.Base(file))); err != nil {
			return err
		}
	}
	return nil
}

func rename(from, to, source, target string) error {
	if !within(from, source) || !within(to, target) {
		return fmt.Errorf("%s or %s is outside", source, target)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	return os.Rename(source, target)
}

// within reports whether a path is below a directory (internal/pathutil, IsSubPath).
func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && !strings.HasPrefix(rel, "..")
}

// licenseName is what the index's CI takes for one (cmd/validate-krew-manifest, licenseFiles).
var licenseName = regexp.MustCompile(`(?i)^((license|licenses)(\.txt|\.md)?|copying(\.txt)?)$`)

// license holds that one was installed.
func (r krewRoot) license(m manifest) error {
	found := false
	err := filepath.WalkDir(r.store(m), func(_ string, entry fs.DirEntry, err error) error {
		found = found || err == nil && entry.Type().IsRegular() && licenseName.MatchString(entry.Name())
		return err
	})
	if err == nil && !found {
		err = errors.New("no licence is installed")
	}
	return err
}

// packed is an archive of the entries; one without a type is a regular file.
func packed(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	w := tar.NewWriter(zipped)
	for _, h := range entries {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Each check of the installation refuses what it is for: a plugin without fault, broken in one place.
func TestInstallRefuses(t *testing.T) {
	bin := tar.Header{Name: "kubectl-mesh_trace", Mode: 0o755}
	license := tar.Header{Name: "LICENSE", Mode: 0o644}
	all := []fileMove{{From: "kubectl-mesh_trace", To: "."}, {From: "LICENSE", To: "."}}
	for _, tc := range []struct {
		name    string
		entries []tar.Header
		spoil   func(*platform)
		want    string
	}{
		{"nothing", []tar.Header{bin, license}, nil, ""},
		{"nothing, by a pattern", []tar.Header{bin, license}, func(p *platform) { p.Files = []fileMove{{From: "*", To: "."}} }, ""},
		{"nothing, without files", []tar.Header{bin, license}, func(p *platform) { p.Files = nil }, ""},
		{"nothing, under another name", []tar.Header{bin, license}, func(p *platform) {
			p.Files = []fileMove{{From: "kubectl-mesh_trace", To: "mesh_trace"}, {From: "LICENSE", To: "COPYING"}}
			p.Bin = "mesh_trace"
		}, ""},
		{"a licence in a directory", []tar.Header{bin, {Name: "docs", Mode: 0o755, Typeflag: tar.TypeDir}, {Name: "docs/License.md", Mode: 0o644}}, func(p *platform) {
			p.Files = []fileMove{{From: "*", To: "."}}
		}, ""},
		{"another sum", []tar.Header{bin, license}, func(p *platform) { p.Sha256 = strings.Repeat("0a", 32) }, "the sum is"},
		{"a file that is not there", []tar.Header{bin}, nil, "nothing in the archive is LICENSE"},
		{"no bin", []tar.Header{bin, license}, func(p *platform) { p.Bin = "mesh_trace" }, "no bin"},
		{"bin outside", []tar.Header{bin, license}, func(p *platform) { p.Bin = "../../../bin/sh" }, "is outside of the plugin"},
		{"bin is a directory", []tar.Header{{Name: "kubectl-mesh_trace", Mode: 0o755, Typeflag: tar.TypeDir}, license}, nil, "can not be executed"},
		{"bin without the bit", []tar.Header{{Name: "kubectl-mesh_trace", Mode: 0o644}, license}, nil, "can not be executed"},
		{"no licence", []tar.Header{bin, license}, func(p *platform) { p.Files = all[:1] }, "no licence is installed"},
		{"a licence that is a directory", []tar.Header{bin, {Name: "LICENSE", Mode: 0o755, Typeflag: tar.TypeDir}}, nil, "no licence is installed"},
		{"unclean to", []tar.Header{bin, license}, func(p *platform) { p.Files = []fileMove{{From: "*", To: "./"}} }, "is not clean"},
		{"to outside", []tar.Header{bin, license}, func(p *platform) { p.Files = []fileMove{{From: "*", To: "../other"}} }, "is outside"},
		{"from outside", []tar.Header{bin, license}, func(p *platform) { p.Files = []fileMove{{From: "../../*", To: "."}} }, "is outside"},
		{"an entry above", []tar.Header{bin, license, {Name: "../evil"}}, nil, "leaves the archive"},
		{"an entry above, within", []tar.Header{bin, license, {Name: "a/../../evil"}}, nil, "leaves the archive"},
		{"an absolute entry", []tar.Header{bin, license, {Name: "/etc/evil"}}, nil, "leaves the archive"},
		{"an absolute entry of windows", []tar.Header{bin, license, {Name: `\evil`}}, nil, "leaves the archive"},
		{"a symbolic link", []tar.Header{bin, license, {Name: "kubectl_complete-mesh_trace", Typeflag: tar.TypeSymlink, Linkname: "kubectl-mesh_trace"}}, nil, "is neither a directory nor a regular file"},
		{"a hard link", []tar.Header{bin, license, {Name: "kubectl_complete-mesh_trace", Typeflag: tar.TypeLink, Linkname: "kubectl-mesh_trace"}}, nil, "is neither a directory nor a regular file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			archive := packed(t, tc.entries...)
			p := platform{Bin: "kubectl-mesh_trace", Files: all, Sha256: fmt.Sprintf("%x", sha256.Sum256(archive))}
			if tc.spoil != nil {
				tc.spoil(&p)
			}
			err := krewRoot(t.TempDir()).install(example(t), p, archive)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// A bare binary, or an archive of another kind, is none that krew unpacks.
func TestUnpackRefusesWhatIsNoArchive(t *testing.T) {
	for _, content := range []string{"\x7fELF\x02\x01\x01", "BZh91AY&SY", "#!/bin/sh\n", ""} {
		if err := unpack(t.TempDir(), []byte(content)); err == nil {
			t.Errorf("%q was unpacked", content)
		}
	}
}
