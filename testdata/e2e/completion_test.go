package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// What a shell asks of kubectl when somebody presses Tab behind kubectl mesh-trace: kubectl finds
// kubectl_complete-mesh_trace, which asks the plugin, which asks the cluster.
func TestKubectlCompletesFromTheCluster(t *testing.T) {
	c := withShop(t)
	jane := asDocumented(t, c)
	dir := t.TempDir()
	link(t, filepath.Join(cluster.Plugin(t), "kubectl"), filepath.Join(dir, "kubectl"))
	link(t, filepath.Join(cluster.Plugin(t), "kubectl-mesh_trace"), filepath.Join(dir, "kubectl-mesh_trace"))
	link(t, "../../cmd/kubectl_complete-mesh_trace", filepath.Join(dir, "kubectl_complete-mesh_trace"))
	for typed, want := range map[string][]string{
		"rat":                        {"ratings.shop:9080"},
		"-n shop rat":                {"ratings.shop:9080", "ratings:9080"},
		"http://shop":                {"http://shop.example.com"},
		"-n inf":                     {"infra"},
		"--gateway infra/":           {"infra/api"},
		"--from shop/deployment/rev": {"shop/deployment/reviews-v1", "shop/deployment/reviews-v2"},
		"ver":                        {"version"},
	} {
		command := exec.CommandContext(t.Context(), filepath.Join(dir, "kubectl"), append([]string{"__complete", "mesh-trace"}, words(typed)...)...)
		command.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "KUBECONFIG=" + jane}
		var out, errOut bytes.Buffer
		command.Stdout, command.Stderr = &out, &errOut
		if err := command.Run(); err != nil {
			t.Errorf("%s: %v: %s", typed, err, errOut.String())
			continue
		}
		var got []string
		for line := range strings.Lines(out.String()) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			if word != "" && !strings.HasPrefix(word, ":") {
				got = append(got, word)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s%s", typed, diff, errOut.String())
		}
	}
}

// link is a symbolic link to a file by its absolute name.
func link(t *testing.T, to, name string) {
	t.Helper()
	to, err := filepath.Abs(to)
	if err == nil {
		err = os.Symlink(to, name)
	}
	if err != nil {
		t.Fatal(err)
	}
}
