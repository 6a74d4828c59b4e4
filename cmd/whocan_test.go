package cmd

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
)

// TestWhoCanOfAClusterAndOfFiles: all that differs is where it was read.
func TestWhoCanOfAClusterAndOfFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mesh.yaml")
	const edge = "apiVersion: v1\nkind: Namespace\nmetadata: {name: edge}\n"
	if err := os.WriteFile(file, []byte(clusterMesh+"---\n"+otherNamespace+"---\n"+edge), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	s := loadtest.New(t)
	s.Apply(t, clusterMesh)
	s.Apply(t, otherNamespace)
	s.Apply(t, edge)
	line := regexp.MustCompile(regexp.QuoteMeta(file) + `:\d+`)
	release := regexp.MustCompile(`"from": "(cluster|default)"`)
	for _, args := range [][]string{
		{"who-can", "-o", "json", "-X", "POST", "reviews:9080/"},
		{"matrix", "-o", "json", "--from", "all", "--from", "unmeshed", "--to", "shop", "http://shop.example.com/"},
	} {
		t.Run(args[0], func(t *testing.T) {
			fromFiles := runWith(t, join(), append(args, "-n", "shop", "-f", file)...)
			fromFiles.Out = line.ReplaceAllString(fromFiles.Out, "cluster")
			got := fromCluster(t, s, args...)
			got.Out, fromFiles.Out = release.ReplaceAllString(got.Out, ""), release.ReplaceAllString(fromFiles.Out, "")
			if diff := cmp.Diff(fromFiles, got); diff != "" || got.Code != 0 {
				t.Errorf("(-files +cluster):\n%s", diff)
			}
		})
	}
}

// TestWhoCanReadsWhatIsNamed: of what runs in a cluster, that of the namespaces of --from, and what the traces come by.
func TestWhoCanReadsWhatIsNamed(t *testing.T) {
	s := loadtest.New(t)
	s.Apply(t, clusterMesh)
	s.Apply(t, otherNamespace)
	got := fromCluster(t, s, "who-can", "--from", "shop", "reviews:9080/")
	if got.Code != 0 || !strings.HasPrefix(got.Out, "2 of 2 sources can GET http://reviews.shop:9080/\n") {
		t.Errorf("%+v", got)
	}
	for _, path := range s.Asked() {
		if whatRuns.MatchString(path) && strings.Contains(path, "/namespaces/other/") {
			t.Errorf("it has asked for %s", path)
		}
	}
}

// TestWhoCanTellsWhatItMayNotRead: sources that can not be listed are not lost silently.
func TestWhoCanTellsWhatItMayNotRead(t *testing.T) {
	for _, command := range [][]string{{"who-can", "reviews:9080/"}, {"matrix", "reviews:9080/"}} {
		s := loadtest.New(t)
		s.Apply(t, clusterMesh)
		s.Apply(t, otherNamespace)
		s.Refuse("/api/v1/namespaces/other/pods", http.StatusForbidden)
		got := fromCluster(t, s, command...)
		want := "! the kind Pod in namespace other could not be read (forbidden): what it would tell of is not among the sources\n"
		if got.Code != 0 || !strings.Contains(got.Out, want) {
			t.Errorf("%v does not warn: %+v", command, got)
		}
	}
}
