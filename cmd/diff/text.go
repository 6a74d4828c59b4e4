package diff

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// says is what a result means, as a heading.
var says = map[Result]string{
	Broken:       "Broken: delivered before, not after",
	Repaired:     "Repaired: not delivered before, delivered after",
	Moved:        "Moved to another backend, or split otherwise",
	Changed:      "Changed otherwise",
	Uncertain:    "Uncertain: decided alike, but how sure that is has changed, or what is not modelled",
	Undetermined: "Undetermined: they differ, and what is decided on a side can not be known from here",
	Untraced:     "Not traced",
}

// painted is how a result looks; its words say the same.
func (r Result) painted(c render.Colours, text string) string {
	switch r {
	case Broken:
		return c.Fail(text)
	case Repaired:
		return c.OK(text)
	case Moved, Changed, Uncertain, Undetermined, Untraced:
		return c.Warn(text)
	case Unchanged:
	}
	return text
}

// TextOptions are how a text is laid out.
type TextOptions struct {
	// Wide lists every request of a group.
	Wide bool
	// Colour adds colours; the text is the same without.
	Colour bool
}

// Text is the comparison for a person.
func (c *Comparison) Text(opts TextOptions) []byte {
	var b bytes.Buffer
	colours := render.NewColours(opts.Colour)
	put := func(indent int, text string) {
		fmt.Fprintf(&b, "%s%s\n", strings.Repeat(" ", indent), text)
	}
	putRow := func(r row) {
		text := oneLine(r.text)
		if opts.Colour && r.trace != nil {
			text = r.coloured()
		}
		put(4, colours.Dim(r.label)+text)
	}
	put(0, c.summary(colours))
	put(0, oneLine("before: "+c.Before.Name))
	put(0, oneLine("after:  "+c.After.Name))
	if c.From != "" {
		put(0, oneLine("requests: "+c.From))
	}
	var last Result
	for _, g := range c.Groups {
		if g.Result != last {
			b.WriteByte('\n')
			put(0, g.Result.painted(colours, says[g.Result]))
			last = g.Result
		}
		put(2, count(len(g.Requests), "request")+colours.Name(oneLine(g.cause())))
		for _, r := range c.rows(g) {
			putRow(r)
		}
		if opts.Wide {
			for _, r := range g.Requests {
				put(6, oneLine(asked(r)))
			}
		}
	}
	return trace.Redact(b.Bytes())
}

// row is a line of a group behind its label. Line number line of the headline of a trace is one, which has colours of its own.
type row struct {
	label, text string
	trace       *trace.Trace
	line        int
	locate      func(resolve.Ref) string
}

func (r row) coloured() string {
	return render.Headline(r.trace, render.Options{Locate: r.locate, Colour: true})[r.line]
}

// rows are what is said of a group.
func (c *Comparison) rows(g *Group) []row {
	example := row{label: "e.g.    ", text: c.example(g)}
	if g.Result == Untraced {
		return []row{{text: g.Before[0]}, example}
	}
	var out []row
	for i, l := range g.Before {
		out = append(out, row{label: label(i, "before  "), text: l, trace: g.before, line: i, locate: c.Before.Snapshot.Locate})
	}
	for i, l := range g.After {
		out = append(out, row{label: label(i, "after   "), text: l, trace: g.after, line: i, locate: c.After.Snapshot.Locate})
	}
	if g.Result == Changed || g.Result == Uncertain || g.Result == Undetermined {
		for i, d := range g.Differences {
			out = append(out, row{label: label(i, "differs "), text: d})
		}
	}
	return append(out, example)
}

// label stands before the first line of several.
func label(i int, text string) string {
	if i == 0 {
		return text
	}
	return strings.Repeat(" ", len(text))
}

// cause is ", AuthorizationPolicy shop/deny spec.rules (policies.yaml:3)".
func (g *Group) cause() string {
	if g.By.IsZero() {
		return ""
	}
	text := ": " + g.By.String()
	if g.Location != "" && g.Location != "cluster" {
		text += " (" + g.Location + ")"
	}
	return text
}

// summary is "2 broken, 1 moved, 3 unchanged (1 of them undetermined on both sides)".
func (c *Comparison) summary(colours render.Colours) string {
	var parts []string
	for _, r := range Results() {
		if n := c.Counts[r]; n > 0 {
			part := r.painted(colours, strconv.Itoa(n)+" "+string(r))
			if r == Unchanged && c.Unknown > 0 {
				part += fmt.Sprintf(" (%d of them undetermined on both sides)", c.Unknown)
			}
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ") + " of " + count(c.Total(), "request")
}

// asked is the request in a line, with where it came from.
func asked(r Request) string {
	method := r.Method
	if method != "" {
		method += " "
	}
	text := method + r.URL
	for _, h := range r.Headers {
		text += ", " + h
	}
	for _, claim := range r.Claims {
		text += ", claim " + claim
	}
	if r.JWT != "" {
		text += ", with a token"
	}
	if r.From != "" {
		text += "  from " + r.From
	}
	if r.Gateway != "" {
		text += "  by gateway " + r.Gateway
	}
	if r.Why != "" {
		text += "  (" + r.Why + ")"
	}
	return text
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// oneLine is a text safe on a terminal, in one line.
func oneLine(text string) string {
	return render.EscapeLines(strings.ReplaceAll(text, "\n", `\n`))
}
