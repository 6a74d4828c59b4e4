package conformance

import (
	"flag"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var scenarios = flag.String("scenarios", "../scenarios", "the folder of the scenarios to judge")

// TestScenarios holds each request of each scenario of the tracer against Istio.
func TestScenarios(t *testing.T) {
	c := begin(t, "scenarios")
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
		name := strings.TrimSuffix(strings.TrimPrefix(path, *scenarios+"/"), ".txtar")
		t.Run(name, func(t *testing.T) {
			b, refused := newBench(t, t.TempDir(), manifests, "default")
			for line := range strings.Lines(requests) {
				line = strings.TrimSpace(line)
				if line == "" || strings.HasPrefix(line, "#") {
					continue
				}
				diff, err := "", refused
				if err == nil {
					diff, err = b.judge(words(line))
				}
				c.record(t, name, line, diff, err)
				c.ask(t, b, name, line)
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if envoyBinary != "" && *scenarios == "../scenarios" {
		c.envoy.checkAsked(t)
		c.envoy.checkStatements(t)
	}
}

// words splits a command line at spaces; quotes keep words together.
func words(line string) []string {
	var out []string
	var word strings.Builder
	var quote rune
	in := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, in = r, true
		case quote == 0 && r == ' ':
			if in {
				out, in = append(out, word.String()), false
				word.Reset()
			}
		default:
			word.WriteRune(r)
			in = true
		}
	}
	if in {
		out = append(out, word.String())
	}
	return out
}
