package cluster

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// Binaries are built once and kept, since kube-apiserver takes minutes:
//
//  1. The module testdata/e2e/binaries fixes the versions. It is a module of its own, so that what these programs
//     require and what the tests require do not move each other.
//  2. They are kept in os.UserCacheDir()/kubectl-mesh-trace-e2e/VERSION-HASH, where the hash is of that module's
//     go.mod and go.sum; where a machine has no such directory, in a temporary one.
//  3. A lock file keeps two tests from building the same.

const (
	mainModule = "github.com/mesh-trace/kubectl-mesh-trace"
	e2eModule  = mainModule + "/testdata/e2e"
	// versionVariables is where Kubernetes keeps its version; without them kubectl calls itself v0.0.0.
	versionVariables = "k8s.io/component-base/version"
)

// packages are the programs and what they are built from.
var packages = []struct{ program, path string }{
	{"etcd", "go.etcd.io/etcd/server/v3"},
	{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"},
	{"kubectl", "k8s.io/kubernetes/cmd/kubectl"},
}

// binaries is the directory that has etcd, kube-apiserver and kubectl.
var binaries = sync.OnceValues(func() (string, error) {
	source, err := moduleDir(e2eModule)
	if err != nil {
		return "", err
	}
	source = filepath.Join(source, "binaries")
	version, err := command(source, "go", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", err
		}
		hash.Write(text)
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, fmt.Sprintf("%s-%.4x", version, hash.Sum(nil)))
	unlock, err := lockedfile.MutexAt(dir + ".lock").Lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	for _, p := range packages {
		if err := build(source, version, p.path, filepath.Join(dir, p.program)); err != nil {
			return "", err
		}
	}
	return dir, nil
})

// build makes one program, if it is not there.
func build(source, version, path, to string) error {
	if _, err := os.Stat(to); err == nil || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	major, minor, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	flags := fmt.Sprintf("-s -w -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s", versionVariables, version, major, minor)
	// The name a build in progress has is not the one that is looked for.
	unfinished := to + ".unfinished"
	if _, err := command(source, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags", flags, "-o", unfinished, path); err != nil {
		return err
	}
	return os.Rename(unfinished, to)
}

// plugin is a directory with kubectl and, built from the working tree, kubectl-mesh_trace.
var plugin = sync.OnceValues(func() (string, error) {
	from, err := binaries()
	if err != nil {
		return "", err
	}
	source, err := moduleDir(mainModule)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	// Two working trees have two plugins.
	dir := filepath.Join(cache, fmt.Sprintf("plugin-%.4x", sha256.Sum256([]byte(source))))
	unlock, err := lockedfile.MutexAt(dir + ".lock").Lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := command(source, "go", "build", "-o", filepath.Join(dir, "kubectl-mesh_trace"), "./cmd/kubectl-mesh_trace"); err != nil {
		return "", err
	}
	kubectl := filepath.Join(dir, "kubectl")
	if err := os.Remove(kubectl); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return dir, os.Symlink(filepath.Join(from, "kubectl"), kubectl)
})

// cacheDir is where programs are kept from one run to the next.
func cacheDir() (string, error) {
	if user, err := os.UserCacheDir(); err == nil {
		dir := filepath.Join(user, "kubectl-mesh-trace-e2e")
		return dir, os.MkdirAll(dir, 0o755)
	}
	return temporaryCache()
}

var temporaryCache = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "kubectl-mesh-trace-e2e-") })

// moduleDir is where a module's files are, as the module whose tests run requires it.
func moduleDir(module string) (string, error) {
	return command("", "go", "list", "-m", "-f", "{{.Dir}}", module)
}

// command is what a program prints, without the space around it.
func command(dir, name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	c.Dir = dir
	if dir != "" {
		c.Env = append(os.Environ(), "PWD="+dir)
	}
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", c, err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
