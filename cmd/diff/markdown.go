package diff

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// mostListed is how many requests of a group a comment lists.
const mostListed = 20

// Markdown is the comparison as a comment on a pull request: a table of what differs, and a folded block for each group. All
// that a mesh or a request says is within <code> or <pre>, escaped as HTML, so that none of it is Markdown.
func (c *Comparison) Markdown() []byte {
	var b bytes.Buffer
	if c.Differs() {
		fmt.Fprintf(&b, "### mesh-trace: %s\n\n", c.summary(render.Colours{}))
	} else {
		fmt.Fprintf(&b, "### mesh-trace: no decision differs (%s)\n\n", c.summary(render.Colours{}))
	}
	fmt.Fprintf(&b, "Before: %s. After: %s.", code(c.Before.Name), code(c.After.Name))
	if c.From != "" {
		fmt.Fprintf(&b, " Requests: %s.", code(c.From))
	}
	b.WriteString("\n")
	if len(c.Groups) > 0 {
		b.WriteString("\n| result | requests | decided by | before | after |\n|---|---:|---|---|---|\n")
		for _, g := range c.Groups {
			fmt.Fprintf(&b, "| %s | %d | %s | %s | %s |\n", g.Result, len(g.Requests), code(strings.TrimPrefix(g.cause(), ": ")), cell(g.Before, g.before), cell(g.After, g.after))
		}
	}
	for _, g := range c.Groups {
		c.markdownGroup(&b, g)
	}
	return trace.Redact(b.Bytes())
}

func (c *Comparison) markdownGroup(b *bytes.Buffer, g *Group) {
	fmt.Fprintf(b, "\n<details><summary>%s: %s%s</summary>\n\n<pre>\n", g.Result, count(len(g.Requests), "request"), inHTML(g.cause()))
	for _, r := range c.rows(g) {
		fmt.Fprintf(b, "%s\n", inHTML(r.label+r.text))
	}
	for _, r := range g.Requests[:min(len(g.Requests), mostListed)] {
		fmt.Fprintf(b, "  %s\n", inHTML(asked(r)))
	}
	if more := len(g.Requests) - mostListed; more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
	b.WriteString("</pre>\n</details>\n")
}

// cell is the first line of a side; all lines where it has several outcomes.
func cell(lines []string, t *trace.Trace) string {
	if t == nil || len(t.Outcomes) < 2 {
		return code(lines[0])
	}
	var out []string
	for _, l := range lines {
		out = append(out, code(l))
	}
	return strings.Join(out, "<br>")
}

// code is a text in a cell of a table, or in a sentence.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "<code>" + inHTML(text) + "</code>"
}

// references writes what HTML and Markdown could take for their own as character references: no tag, mention, link, emphasis
// or cell comes of it.
var references = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "|", "&#124;", "`", "&#96;", "*", "&#42;", "_", "&#95;", "[", "&#91;", "]", "&#93;",
	"~", "&#126;", `\`, "&#92;", "@", "&#64;", "#", "&#35;", "://", "&#58;//", "$", "&#36;", "www.", "www&#46;",
)

// inHTML is a text as HTML within Markdown, in one line.
func inHTML(text string) string { return references.Replace(oneLine(text)) }
