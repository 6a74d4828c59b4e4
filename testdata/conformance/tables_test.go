package conformance

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestTables holds the table of each scenario's requests, route by route in their order, against the virtual
// host that pilot generates.
func TestTables(t *testing.T) {
	compared := overScenarios(t, func(b *bench, args []string) (string, int, error) { return b.tables(args) })
	if whole := *scenarios == "../scenarios"; whole && compared < 1000 {
		t.Errorf("only %d routes were compared", compared)
	}
	t.Logf("%d routes compared", compared)
}

// overScenarios compares something of each request of each scenario, and returns how much was compared.
func overScenarios(t *testing.T, compare func(b *bench, args []string) (diff string, n int, err error)) int {
	t.Helper()
	compared := 0
	err := filepath.WalkDir(*scenarios, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".txtar" {
			return err
		}
		archive, err := txtar.ParseFile(path)
		if err != nil {
			return err
		}
		manifests, requests := map[string]string{}, ""
		for _, f := range archive.Files {
			switch f.Name {
			case "requests":
				requests = string(f.Data)
			case "want":
			default:
				manifests[f.Name] = string(f.Data)
			}
		}
		t.Run(strings.TrimSuffix(strings.TrimPrefix(path, *scenarios+"/"), ".txtar"), func(t *testing.T) {
			if holds(manifests, "EnvoyFilter") {
				t.Skip("not judged: what an EnvoyFilter patches stands in no table and is no fact")
			}
			b, err := newBench(t, t.TempDir(), manifests, "default")
			if reason, ok := reasonOf(err); ok {
				t.Skip("not judged: " + reason)
			} else if err != nil {
				t.Fatal(err)
			}
			for question := range strings.Lines(requests) {
				if question = strings.TrimSpace(question); question == "" || strings.HasPrefix(question, "#") {
					continue
				}
				diff, n, err := compare(b, words(question))
				if reason, ok := reasonOf(err); ok {
					t.Logf("not judged: %s: %s", question, reason)
				} else if err != nil {
					t.Error(err)
				}
				if compared += n; diff != "" {
					t.Errorf("%s (-pilot +ours):\n%s", question, diff)
				}
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return compared
}
