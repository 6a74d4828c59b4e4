package cmd

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

var update = flag.Bool("update", false, "rewrite the want sections of the scenarios")

// A scenario is one txtar file under testdata/scenarios: prose, the command
// lines (-- requests --, one a line, without the program's name and -f), the
// manifests, and what each command prints (-- want --). mesh-config.yaml, where
// there is one, is the mesh config, mesh-networks.yaml the networks of the mesh, and remote-west.yaml what the remote
// cluster west has.
type scenario struct {
	path     string
	archive  *txtar.Archive
	requests [][]string
	// files are the manifests by name.
	files map[string]string
	want  string
}

const scenarioRoot = "../testdata/scenarios"

func loadScenarios(t testing.TB) []*scenario {
	t.Helper()
	var out []*scenario
	err := filepath.WalkDir(scenarioRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".txtar" {
			return err
		}
		archive, err := txtar.ParseFile(path)
		if err != nil {
			return err
		}
		s := &scenario{path: path, archive: archive, files: map[string]string{}}
		for _, f := range archive.Files {
			switch f.Name {
			case "requests":
				for line := range strings.Lines(string(f.Data)) {
					if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
						args, err := splitArgs(line)
						if err != nil {
							return fmt.Errorf("%s: %w", path, err)
						}
						s.requests = append(s.requests, args)
					}
				}
			case "want":
				s.want = string(f.Data)
			default:
				s.files[f.Name] = string(f.Data)
			}
		}
		if len(s.requests) == 0 || len(s.files) == 0 {
			return fmt.Errorf("%s: a scenario needs requests and manifests", path)
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("no scenarios found")
	}
	return out
}

// splitArgs splits a command line at spaces; single and double quotes keep words together.
func splitArgs(line string) ([]string, error) {
	var args []string
	var word strings.Builder
	var quote rune
	inWord := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ':
			if inWord {
				args = append(args, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("unclosed quote in %q", line)
	}
	if inWord {
		args = append(args, word.String())
	}
	return args, nil
}

// write puts the scenario's files into a folder and returns the flags that read them.
func (s *scenario) write(t testing.TB, dir string, files map[string]string) []string {
	t.Helper()
	var flags []string
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(files[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		switch name {
		case "mesh-config.yaml":
			flags = append(flags, "--mesh-config", path)
		case "mesh-networks.yaml":
			flags = append(flags, "--mesh-networks", path)
		default:
			if id, remote := strings.CutPrefix(strings.TrimSuffix(name, ".yaml"), "remote-"); remote {
				flags = append(flags, "--remote", id+"="+path)
				continue
			}
			flags = append(flags, "-f", path)
		}
	}
	return flags
}

// run executes one command line and returns what it prints, with the folder's name taken out.
func runScenario(dir string, args []string) string {
	var out, errOut bytes.Buffer
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}
	code := run(context.Background(), append([]string{"kubectl-mesh_trace"}, args...), streams, Build{}, join())
	text := out.String()
	if errOut.Len() > 0 {
		text += errOut.String()
	}
	if code != 0 {
		text += fmt.Sprintf("exit code %d\n", code)
	}
	return strings.ReplaceAll(text, dir+string(filepath.Separator), "")
}

func TestScenarios(t *testing.T) {
	for _, s := range loadScenarios(t) {
		name := strings.TrimSuffix(strings.TrimPrefix(s.path, scenarioRoot+"/"), ".txtar")
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			flags := s.write(t, dir, s.files)
			var got strings.Builder
			for i, request := range s.requests {
				if i > 0 {
					got.WriteString("\n")
				}
				if len(s.requests) > 1 {
					fmt.Fprintf(&got, "$ %s\n", strings.Join(request, " "))
				}
				got.WriteString(runScenario(dir, append(slices.Clone(flags), request...)))
			}
			if *update {
				s.rewrite(t, got.String())
				return
			}
			if diff := cmp.Diff(s.want, got.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", s.path, diff)
			}
		})
	}
}

func (s *scenario) rewrite(t *testing.T, want string) {
	t.Helper()
	files := slices.DeleteFunc(s.archive.Files, func(f txtar.File) bool { return f.Name == "want" })
	s.archive.Files = append(files, txtar.File{Name: "want", Data: []byte(want)})
	if err := os.WriteFile(s.path, txtar.Format(s.archive), 0o600); err != nil {
		t.Fatal(err)
	}
}
