package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What snapshot writes of a cluster is replayed to the same trace, and has nothing of a Secret even where the user may read it.

func TestSnapshotOfAClusterIsReplayedToItsTrace(t *testing.T) {
	c := withShop(t)
	c.Apply(t, aside)
	admin := c.Kubeconfig(t, "")
	for _, request := range append(shopRequests, shopRouteRequest) {
		file := filepath.Join(t.TempDir(), "mesh.yaml")
		args := append([]string{"mesh-trace", "snapshot", "-n", "shop", "-o", file}, words(request)...)
		if out, errOut, code := c.Kubectl(t, admin, args...); code != 0 || out != "" {
			t.Errorf("%s: exit %d: %s%s", request, code, out, errOut)
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if holdsSecret(text) {
			t.Errorf("%s: the snapshot has what a Secret holds", request)
		}
		live := ask(t, admin, request, "-n", "shop", "--explain", "full")
		replayed := ask(t, os.DevNull, request, "-n", "shop", "--explain", "full", "-f", file)
		if live.exit != 0 {
			t.Fatalf("%s: %s", request, live.stderr)
		}
		if diff := cmp.Diff(origin.ReplaceAllString(live.stdout, ""), origin.ReplaceAllString(replayed.stdout, "")); diff != "" || replayed.exit != 0 {
			t.Errorf("%s: exit %d %s (-cluster +snapshot):\n%s", request, replayed.exit, replayed.stderr, diff)
		}
	}
}
