package fromlog

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// says is what a verdict means, as a heading.
var says = map[Verdict]string{
	Disagrees:   "The log says something else than the trace",
	AtRunTime:   "Sent as traced; what came then, no configuration decides",
	Unknown:     "The trace can not tell",
	NotCompared: "Not compared",
	Unread:      "No access-log lines that are known",
	Agrees:      "The log says what the trace says",
}

// shownLine is how much of a line is shown.
const shownLine = 300

// Text is the result for a person; wide shows the lines that agree, too.
func (r *Result) Text(wide bool) []byte {
	var b bytes.Buffer
	put := func(indent int, text string) {
		fmt.Fprintf(&b, "%s%s\n", strings.Repeat(" ", indent), render.EscapeLines(strings.ReplaceAll(text, "\n", `\n`)))
	}
	put(0, r.summary())
	var last Verdict
	for _, g := range r.Groups {
		if g.Verdict == Agrees && !wide {
			continue
		}
		if g.Verdict != last {
			b.WriteByte('\n')
			put(0, says[g.Verdict])
			last = g.Verdict
		}
		g.text(put)
	}
	return trace.Redact(b.Bytes())
}

func (g *Group) text(put func(int, string)) {
	places := strings.Join(g.Lines[:min(len(g.Lines), 3)], ", ")
	if g.Count > 3 {
		places += ", …"
	}
	put(2, count(g.Count, "line")+": "+places)
	if g.Verdict == Unread {
		put(4, clip(g.First))
		return
	}
	put(4, "log    "+g.Happened)
	for i, l := range g.Traced {
		label := "trace  "
		if i > 0 {
			label = "       "
		}
		put(4, label+l)
	}
	for i, e := range g.Explanations {
		label := "maybe  "
		if i > 0 {
			label = "       "
		}
		if g.Verdict == NotCompared {
			label = "why    "
		}
		put(4, label+e)
	}
	if g.Command != "" {
		put(4, "e.g.   "+g.Command)
	}
}

func clip(text string) string {
	if runes := []rune(text); len(runes) > shownLine {
		return string(runes[:shownLine]) + "…"
	}
	return text
}

// summary is "3 lines: 1 disagrees, 2 agree".
func (r *Result) summary() string {
	var parts []string
	for _, v := range Verdicts() {
		if n := r.Counts[v]; n > 0 {
			word := string(v)
			if n != 1 && strings.HasSuffix(word, "agrees") {
				word = strings.TrimSuffix(word, "s")
			}
			parts = append(parts, strconv.Itoa(n)+" "+word)
		}
	}
	if len(parts) == 0 {
		return "no line"
	}
	return count(r.Total(), "line") + ": " + strings.Join(parts, ", ")
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
