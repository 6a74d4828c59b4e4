package caserun

import (
	"fmt"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/trace/coverage"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Verbosity is how much the text says. It is a closed list.
type Verbosity int

// The verbosities.
const (
	// Quiet has the cases that failed, and nothing where none did.
	Quiet Verbosity = iota - 1
	// Normal has a line for each suite as well.
	Normal
	// Verbose has a line for each case as well.
	Verbose
)

// Text is the report for a person, as go test words it.
func (r *Report) Text(v Verbosity) []byte {
	var b strings.Builder
	for _, g := range r.groups() {
		g.text(&b, v)
	}
	if v >= Normal {
		b.WriteString(r.summary() + "\n")
	}
	if r.Coverage != nil && v >= Normal {
		b.WriteString(CoverageText(r.Coverage))
	}
	return []byte(render.EscapeLines(b.String()))
}

func (g *group) text(b *strings.Builder, v Verbosity) {
	failed, skipped := 0, 0
	for i := range g.results {
		one := &g.results[i]
		title := fmt.Sprintf("%s/%s (%s)", oneLine(one.Suite), oneLine(one.Name), one.Source)
		switch one.Verdict {
		case Failed:
			failed++
			fmt.Fprintf(b, "--- FAIL: %s\n", title)
			for _, line := range one.lines() {
				fmt.Fprintf(b, "    %s\n", oneLine(line))
			}
		case Skipped:
			skipped++
			if v == Verbose {
				fmt.Fprintf(b, "--- SKIP: %s: it expects nothing\n", title)
			}
		case Passed:
			if v == Verbose {
				fmt.Fprintf(b, "--- PASS: %s\n", title)
			}
		}
	}
	if v < Normal {
		return
	}
	word := "ok  "
	if failed > 0 {
		word = "FAIL"
	}
	fmt.Fprintf(b, "%s  %s  %s\n", word, oneLine(g.name), counts(len(g.results)-failed-skipped, failed, skipped))
}

// oneLine keeps a name from standing for a line of our own.
func oneLine(text string) string { return lineBreaks.Replace(text) }

var lineBreaks = strings.NewReplacer("\n", `\n`, "\r", `\r`)

func counts(passed, failed, skipped int) string {
	out := fmt.Sprintf("%d passed", passed)
	if failed > 0 {
		out += fmt.Sprintf(", %d failed", failed)
	}
	if skipped > 0 {
		out += fmt.Sprintf(", %d skipped", skipped)
	}
	return out
}

// summary is the last word on all cases.
func (r *Report) summary() string {
	word := "PASS"
	if r.Count(Failed) > 0 {
		word = "FAIL"
	}
	return word + "  " + counts(r.Count(Passed), r.Count(Failed), r.Count(Skipped))
}

// CoverageText is the share of the rules that decided something, and those that did not.
func CoverageText(c *coverage.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "coverage: %.1f%% of rules (%d of %d)\n", c.Percent(), c.Covered(), len(c.Rules))
	for _, rule := range c.Rules {
		if !rule.Covered {
			fmt.Fprintf(&b, "  not covered: %s (%s)\n", oneLine(rule.Ref.String()), oneLine(rule.Place))
		}
	}
	return b.String()
}
