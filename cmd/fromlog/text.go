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

// painted is how a verdict looks; its words say the same.
func (v Verdict) painted(c render.Colours, text string) string {
	switch v {
	case Disagrees:
		return c.Fail(text)
	case Agrees:
		return c.OK(text)
	case AtRunTime, Unknown:
		return c.Warn(text)
	case NotCompared, Unread:
		return c.Dim(text)
	}
	return text
}

// TextOptions are how a text is laid out.
type TextOptions struct {
	// Wide shows the lines that agree, too.
	Wide bool
	// Colour adds colours; the text is the same without.
	Colour bool
}

// Text is the result for a person.
func (r *Result) Text(opts TextOptions) []byte {
	var b bytes.Buffer
	colours := render.NewColours(opts.Colour)
	b.WriteString(r.summary(colours) + "\n")
	var last Verdict
	for _, g := range r.Groups {
		if g.Verdict == Agrees && !opts.Wide {
			continue
		}
		if g.Verdict != last {
			fmt.Fprintf(&b, "\n%s\n", g.Verdict.painted(colours, says[g.Verdict]))
			last = g.Verdict
		}
		g.text(func(indent int, label, text string) {
			fmt.Fprintf(&b, "%s%s%s\n", strings.Repeat(" ", indent), colours.Dim(label), text)
		}, opts.Colour)
	}
	return trace.Redact(b.Bytes())
}

// text puts the lines of a group, each behind its label; all but the headline of the trace are escaped here.
func (g *Group) text(put func(indent int, label, text string), colour bool) {
	places := strings.Join(g.Lines[:min(len(g.Lines), 3)], ", ")
	if g.Count > 3 {
		places += ", …"
	}
	put(2, "", oneLine(count(g.Count, "line")+": "+places))
	if g.Verdict == Unread {
		put(4, "", oneLine(clip(g.First)))
		return
	}
	put(4, "log    ", oneLine(g.Happened))
	traced := g.Traced
	if colour && g.headline != nil {
		traced = g.headline(true)
	}
	for i, l := range traced {
		put(4, behind(i, "trace  "), l)
	}
	why := "maybe  "
	if g.Verdict == NotCompared {
		why = "why    "
	}
	for i, e := range g.Explanations {
		put(4, behind(i, why), oneLine(e))
	}
	if g.Command != "" {
		put(4, "e.g.   ", oneLine(g.Command))
	}
}

// behind is the label of the first of several lines, and room for it before the others.
func behind(i int, label string) string {
	if i == 0 {
		return label
	}
	return strings.Repeat(" ", len(label))
}

// oneLine is a text safe on a terminal, in one line.
func oneLine(text string) string {
	return render.EscapeLines(strings.ReplaceAll(text, "\n", `\n`))
}

func clip(text string) string {
	if runes := []rune(text); len(runes) > shownLine {
		return string(runes[:shownLine]) + "…"
	}
	return text
}

// summary is "3 lines: 1 disagrees, 2 agree".
func (r *Result) summary(colours render.Colours) string {
	var parts []string
	for _, v := range Verdicts() {
		if n := r.Counts[v]; n > 0 {
			word := string(v)
			if n != 1 && strings.HasSuffix(word, "agrees") {
				word = strings.TrimSuffix(word, "s")
			}
			parts = append(parts, v.painted(colours, strconv.Itoa(n)+" "+word))
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
