package cmd

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const puzzlesHead = `# Puzzles

What people ask again and again about a request in a mesh, each as a scenario: the manifests, the command, and how its
answer begins. The first line names what somebody would have found after an hour, and the second says why. The title links to the scenario, with the manifests in mesh.yaml and
the whole output. This page is generated from them; a test keeps it so.

| puzzle | what it is | kubectl mesh-trace -f mesh.yaml … | how the answer begins | asked in |
|---|---|---|---|---|
`

// asks is the line that repeats the question.
var asks = regexp.MustCompile(`^[A-Z]+ https?://`)

// TestDocsPuzzles holds docs/puzzles.md to the scenarios of puzzle.
func TestDocsPuzzles(t *testing.T) {
	var page strings.Builder
	page.WriteString(puzzlesHead)
	for _, s := range loadScenarios(t) {
		file := strings.TrimPrefix(s.path, "../")
		if filepath.Base(filepath.Dir(file)) != "puzzle" {
			continue
		}
		prose := strings.Split(strings.TrimSpace(string(s.archive.Comment)), "\n")
		if len(prose) != 3 || len(s.requests) != 1 {
			t.Fatalf("%s: expected the puzzle, where it was asked, what it is, each on a line, and one request", s.path)
		}
		_, asked, found := strings.Cut(prose[1], ". ")
		if !found || !strings.HasPrefix(prose[1], "Pain: ") {
			t.Fatalf("%s: where was it asked?", s.path)
		}
		lines := strings.Split(s.want, "\n")
		answer := "`" + cell(lines[0]) + "`"
		if !asks.MatchString(lines[1]) {
			answer += "<br>`" + cell(lines[1]) + "`"
		}
		var request string
		for _, f := range s.archive.Files {
			if f.Name == "requests" {
				request = strings.TrimSpace(string(f.Data))
			}
		}
		fmt.Fprintf(&page, "| [%s](../%s) | %s | `%s` | %s | %s |\n", cell(prose[0]), file, cell(prose[2]), cell(request), answer, cell(strings.TrimSuffix(asked, ".")))
	}
	generated(t, "puzzles.md", page.String())
}
