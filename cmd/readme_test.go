package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The README and the pages written by hand show what their commands print, byte for byte.
func TestShownOutput(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a POSIX shell")
	}
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	total := 0
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```console\n$ ")[1:]
		total += len(blocks)
		for _, block := range blocks {
			block, _, _ = strings.Cut(block, "```")
			line, want, _ := strings.Cut(block, "\n")
			t.Run(page+" "+line, func(t *testing.T) {
				if diff := cmp.Diff(want, shown(t, line)); diff != "" {
					t.Errorf("%s shows something else than %s prints:\n%s", page, line, diff)
				}
			})
		}
	}
	if total < 30 {
		t.Errorf("%d blocks of output were found", total)
	}
}

// shown is what a command line of a page prints, run from the root of the repository.
func shown(t *testing.T, line string) string {
	t.Helper()
	// kubectl would find the plugin by this name, which TestMain puts on PATH.
	command := exec.Command("sh", "-c", strings.Replace(line, "kubectl mesh-trace", "kubectl-mesh_trace", 1))
	command.Dir = ".."
	command.Env = append(os.Environ(), "KUBECONFIG=/nonexistent")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if !strings.HasSuffix(string(out), "\n") {
		return string(out) + "\n" // jsonpath ends no line, and a block of Markdown does
	}
	return string(out)
}

// The README's exit codes are those of the help.
func TestReadmeExitCodes(t *testing.T) {
	var inHelp, inReadme []string
	for _, row := range regexp.MustCompile(`(?m)^  (\d)  (.+)$`).FindAllStringSubmatch(rootExit, -1) {
		inHelp = append(inHelp, row[1]+" "+row[2])
	}
	for _, row := range regexp.MustCompile(`(?m)^\| (\d) \| (.+) \|$`).FindAllStringSubmatch(readme(t), -1) {
		inReadme = append(inReadme, row[1]+" "+strings.ReplaceAll(row[2], "`", ""))
	}
	if diff := cmp.Diff(inHelp, inReadme); diff != "" || len(inHelp) == 0 {
		t.Error(diff)
	}
}

// The README's tables are those of the last whole runs of the modules that judge and measure; -update puts them there.
func TestReadmeTables(t *testing.T) {
	for file, head := range map[string]string{
		"../testdata/conformance/fidelity.md":          `\| category \|`,
		"../testdata/gatewayapi-conformance/report.md": `\| tests of \|`,
		"../testdata/e2e/scale/report.md":              `\| mesh \| one trace \|`,
	} {
		t.Run(file, func(t *testing.T) {
			run, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			table, text := regexp.MustCompile(`(?m)^`+head+`.*\n(\|.*\n)+`), readme(t)
			if *update {
				text = table.ReplaceAllLiteralString(text, table.FindString(string(run)))
				if err := os.WriteFile("../README.md", []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(table.FindString(string(run)), table.FindString(text)); diff != "" || !table.MatchString(text) {
				t.Errorf("the README shows another table:\n%s", diff)
			}
		})
	}
}

// The diagram that docs/pictures.md draws is the one whose source it shows.
func TestDrawnDiagram(t *testing.T) {
	page, err := os.ReadFile("../docs/pictures.md")
	if err != nil {
		t.Fatal(err)
	}
	_, drawn, found := strings.Cut(string(page), "```mermaid\n")
	drawn, _, _ = strings.Cut(drawn, "```")
	if !found || !strings.Contains(strings.Replace(string(page), drawn, "", 1), "\n"+drawn) {
		t.Errorf("docs/pictures.md draws something else than it shows:\n%s", drawn)
	}
}
