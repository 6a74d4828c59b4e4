package render

import (
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

const (
	// verdictWidth is the width of the longest verdict.
	verdictWidth = 7
	// widestResource is where the resource column stops growing; a longer cell pushes its own row only.
	widestResource = 80
	// narrowestReason is the least room for a reason beside its resource; with less it goes below.
	narrowestReason = 30
)

// row is one line of a hop: mark, stage, verdict, resource, reason and place, and
// below the reason what was expected and what was found.
type row struct {
	verdict          resolve.Verdict
	stage            string
	resource, reason line
	evidence         line
}

// rows writes steps as aligned columns.
func (r *renderer) rows(marks []mark, indent int) {
	var rows []row
	column := 0
	for _, m := range marks {
		w := r.row(m)
		rows = append(rows, w)
		if n := w.resource.width(); n <= widestResource {
			column = max(column, n)
		}
	}
	for _, w := range rows {
		r.putRow(w, column, indent)
	}
}

func (r *renderer) row(m mark) row {
	if m.omitted != nil {
		return row{
			verdict: resolve.Skipped, stage: string(m.omitted.Stage),
			resource: line{}.text(asDim, count(m.omitted.Count, "other")), reason: line{}.text(asDim, "--explain full shows them"),
		}
	}
	s := m.step
	w := row{verdict: s.Verdict, stage: string(s.Stage), resource: r.named(s.Ref), reason: line{}.text(asPlain, r.reason(*s))}
	w.reason = w.reason.then("  ", line{}.text(asDim, r.located(s.Ref)))
	if len(w.resource) == 0 {
		w.resource = line{}.text(asDim, "-")
	}
	if r.opts.Wide {
		w.reason = w.reason.then("  ", line{}.text(asDim, "["+string(s.Rule)+"]"))
	}
	if !r.opts.Wide && saysAll(r.reason(*s), s.Expected, s.Actual) {
		return w
	}
	if s.Expected != "" {
		w.evidence = line{}.text(asDim, "expected ").text(asPlain, s.Expected)
	}
	if s.Actual != "" {
		w.evidence = w.evidence.then(", ", line{}.text(asDim, "got ").text(asPlain, s.Actual))
	}
	return w
}

func (r *renderer) putRow(w row, column, indent int) {
	sign, as := signOf(w.verdict)
	l := line{}.text(asPlain, spaces(indent+2)).text(as, sign).text(asPlain, " ")
	start := l.width()
	l = l.text(asPlain, w.stage).gap(start + r.stageWidth + 2)
	l = l.text(as, string(w.verdict)).gap(start + r.stageWidth + 2 + verdictWidth + 2)
	resourceAt := l.width()
	reasonAt := resourceAt + column + 2
	l = l.add(w.resource)
	if r.opts.Width > 0 && r.opts.Width-max(reasonAt, l.width()+2) < narrowestReason {
		reasonAt = resourceAt + 2
		r.put(l, resourceAt)
		if len(w.reason) > 0 {
			r.put(line{}.text(asPlain, spaces(reasonAt)).add(w.reason), reasonAt)
		}
	} else {
		r.put(l.gap(reasonAt).add(w.reason), reasonAt)
	}
	if len(w.evidence) > 0 {
		r.put(line{}.text(asPlain, spaces(reasonAt)).add(w.evidence), reasonAt)
	}
}

// signOf is the sign in front of a row, and its meaning.
func signOf(v resolve.Verdict) (string, meaning) {
	switch v {
	case resolve.Matched, resolve.Applied, resolve.Allowed:
		return "✓", asOK
	case resolve.DeniedBy:
		return "✗", asFail
	case resolve.Skipped:
		return "·", asDim
	case resolve.Warned:
		return "!", asWarn
	case resolve.None:
		return "–", asPlain
	}
	return "?", asPlain
}

// saysAll reports whether a reason has all that was expected and found, which then need not follow
// it. The first of several words says what was compared, and a reason has words of its own for that.
func saysAll(reason string, evidence ...string) bool {
	words := func(s string) []string {
		return strings.FieldsFunc(s, func(c rune) bool { return strings.ContainsRune(" ,;:()", c) })
	}
	said := words(reason)
	for _, e := range evidence {
		for i, w := range words(e) {
			if (i > 0 || len(words(e)) == 1) && !slices.Contains(said, w) {
				return false
			}
		}
	}
	return true
}
