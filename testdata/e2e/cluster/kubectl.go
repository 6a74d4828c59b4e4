package cluster

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// commandTime ends a command that hangs.
const commandTime = 2 * time.Minute

// Plugin is the directory, to be put on PATH, that has the kubectl-mesh_trace of this working tree, and the kubectl that finds it.
func Plugin(t testing.TB) string {
	t.Helper()
	dir, err := plugin()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Kubectl runs kubectl as the user of a kubeconfig file, with nothing else in its environment than a PATH that has the plugin.
func (c *Cluster) Kubectl(t testing.TB, kubeconfig string, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	return Kubectl(t, kubeconfig, args...)
}

// Kubectl is [Cluster.Kubectl] where a kubeconfig file, or a test of files, needs no cluster.
func Kubectl(t testing.TB, kubeconfig string, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	dir := Plugin(t)
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(dir, "kubectl"), args...)
	command.Env = []string{"PATH=" + dir, "HOME=" + t.TempDir(), "KUBECONFIG=" + kubeconfig}
	var out, errOut bytes.Buffer
	command.Stdout, command.Stderr = &out, &errOut
	err := command.Run()
	var exited *exec.ExitError
	if err != nil && (!errors.As(err, &exited) || ctx.Err() != nil) {
		t.Fatalf("%s: %v\n%s", command, err, errOut.String())
	}
	return out.String(), errOut.String(), command.ProcessState.ExitCode()
}
