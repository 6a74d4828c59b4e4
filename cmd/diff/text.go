package diff

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

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

// Text is the comparison for a person; wide lists every request of a group.
func (c *Comparison) Text(wide bool) []byte {
	var b bytes.Buffer
	put := func(indent int, text string) {
		fmt.Fprintf(&b, "%s%s\n", strings.Repeat(" ", indent), oneLine(text))
	}
	put(0, c.summary())
	put(0, "before: "+c.Before.Name)
	put(0, "after:  "+c.After.Name)
	if c.From != "" {
		put(0, "requests: "+c.From)
	}
	var last Result
	for _, g := range c.Groups {
		if g.Result != last {
			b.WriteByte('\n')
			put(0, says[g.Result])
			last = g.Result
		}
		put(2, count(len(g.Requests), "request")+g.cause())
		c.textGroup(put, g)
		if wide {
			for _, r := range g.Requests {
				put(6, asked(r))
			}
		}
	}
	return trace.Redact(b.Bytes())
}

func (c *Comparison) textGroup(put func(int, string), g *Group) {
	if g.Result == Untraced {
		put(4, g.Before[0])
		put(4, "e.g.    "+c.example(g))
		return
	}
	for i, l := range g.Before {
		put(4, label(i, "before  ")+l)
	}
	for i, l := range g.After {
		put(4, label(i, "after   ")+l)
	}
	if g.Result == Changed || g.Result == Uncertain || g.Result == Undetermined {
		for i, d := range g.Differences {
			put(4, label(i, "differs ")+d)
		}
	}
	put(4, "e.g.    "+c.example(g))
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
func (c *Comparison) summary() string {
	var parts []string
	for _, r := range Results() {
		if n := c.Counts[r]; n > 0 {
			part := strconv.Itoa(n) + " " + string(r)
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
