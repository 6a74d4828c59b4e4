package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Dot is the trace as a graph for Graphviz: a box for each hop, those of a workload in a frame.
//
//  1. An edge says how the request gets there, and its share where the way forks; one that is dashed and ends in a bar
//     is a connection that breaks, or the refusal that the caller sees.
//  2. The end has a word, a shape and a colour: an application that answers has a double line, a proxy's own answer a
//     folded corner, and a refusal is an octagon.
//  3. Boxes say what decided there, and what else PictureOptions.Detail asks for.
//
// No token of the request is in it.
func Dot(t *trace.Trace, opts PictureOptions) []byte {
	return graph(newPicture(t, opts), opts.Detail)
}

func graph(r *renderer, detail trace.Detail) []byte {
	d := &dot{renderer: r, detail: detail, ids: map[*stop]string{}}
	root := d.boxes()
	d.collect(root)
	title := []line{d.summary(), d.asked()}
	if unknown := d.unknown(); len(unknown) > 0 {
		title = append(append(title, line{}.text(asPlain, unknownTitle+":")), unknown...)
	}
	fmt.Fprintf(&d.out, "digraph trace {\n  graph [rankdir=LR, labelloc=t, labeljust=l, fontname=\"Helvetica\", label=%s]\n", dotLabel(wrapped(title, 2*dotWidth, 2), `\l`))
	d.out.WriteString("  node [shape=box, style=rounded, fontname=\"Helvetica\", fontsize=11]\n  edge [fontname=\"Helvetica\", fontsize=10]\n")
	d.nodes()
	for _, s := range d.stops {
		for _, l := range s.onward {
			d.edge(s, l)
		}
	}
	d.out.WriteString("}\n")
	return d.out.Bytes()
}

// dotWidth is where texts are folded, in characters.
const dotWidth = 48

// dot holds what one call needs.
type dot struct {
	*renderer
	detail trace.Detail
	stops  []*stop
	ids    map[*stop]string
}

func (d *dot) collect(s *stop) {
	d.stops = append(d.stops, s)
	d.ids[s] = fmt.Sprintf("n%d", len(d.stops))
	for _, l := range s.onward {
		d.collect(l.to)
	}
}

// nodes writes the boxes, those of a workload in one frame.
func (d *dot) nodes() {
	var done []resolve.Ref
	for _, s := range d.stops {
		if s.workload.IsZero() {
			d.node(s, "  ")
			continue
		}
		if slices.Contains(done, s.workload) {
			continue
		}
		done = append(done, s.workload)
		name := line{}.text(asPlain, s.workload.Kind).then(" ", line{}.text(asName, workloadName(s.workload)))
		fmt.Fprintf(&d.out, "  subgraph cluster_%d {\n    label=%s\n    style=rounded\n    color=\"#6e7781\"\n", len(done), dotLabel(wrapped([]line{name}, dotWidth, 2), `\n`))
		for _, other := range d.stops {
			if other.workload == s.workload {
				d.node(other, "    ")
			}
		}
		d.out.WriteString("  }\n")
	}
}

func (d *dot) node(s *stop, indent string) {
	lines := []line{s.name}
	lines = append(lines, d.remarks(s.rows, s.outcomes, d.endsBadly(s), d.detail)...)
	for _, i := range s.ends {
		o := d.trace.Outcomes[i]
		if s.role == asApplication {
			sign := line{}.text(asOK, "✓ ").add(d.verdict(o))
			lines = slices.Insert(lines, 0, sign)
		}
		if o.Decision == trace.Unavailable && o.Destination.Host != "" {
			lines = append(lines, line{}.text(asPlain, "towards ").add(d.whereTo(o.Destination)))
		}
		lines = append(lines, d.closing(i)...)
	}
	fmt.Fprintf(&d.out, "%s%s [label=%s%s]\n", indent, d.ids[s], dotLabel(wrapped(lines, dotWidth, 2), `\l`), d.look(s))
}

// look is the shape and the colour of a box. A colour only repeats what the words and the shape say.
func (d *dot) look(s *stop) string {
	if s.role == asClient {
		return `, shape=cds, style=solid`
	}
	if len(s.ends) == 0 {
		return ""
	}
	o := d.trace.Outcomes[s.ends[0]]
	as := decisionMeaning(o.Decision)
	if o.Certainty != trace.Certain {
		as = asWarn
	}
	colour := map[meaning]string{
		asOK: `, color="#1a7f37", fillcolor="#dafbe1"`, asWarn: `, color="#9a6700", fillcolor="#fff8c5"`, asFail: `, color="#cf222e", fillcolor="#ffebe9"`,
	}[as]
	shape := "shape=note"
	switch decisionMeaning(o.Decision) {
	case asOK:
		shape = "peripheries=2"
	case asFail:
		shape = "shape=octagon"
	case asPlain, asWarn, asName, asDim:
	}
	return ", " + shape + ", style=filled" + colour
}

func (d *dot) edge(from *stop, l *link) {
	var lines []line
	if len(from.onward) > 1 {
		lines = append(lines, line{}.text(asPlain, d.percentOf(l.outcomes)))
	}
	if len(l.says) > 0 {
		lines = append(lines, l.says)
	}
	lines = append(lines, d.remarks(l.rows, l.outcomes, d.endsBadly(from) && l.to.role == asAnswer, d.detail)...)
	look := ""
	if l.to.unreached || l.to.role == asAnswer && decisionMeaning(d.trace.Outcomes[l.to.ends[0]].Decision) == asFail {
		look = ", style=dashed, arrowhead=tee"
	}
	fmt.Fprintf(&d.out, "  %s -> %s [label=%s%s]\n", d.ids[from], d.ids[l.to], dotLabel(wrapped(lines, dotWidth, 2), `\l`), look)
}

// dotLabel writes texts as the lines of one quoted label, each ended as the alignment asks (\l left, \n centred).
//
// A quote and a backslash are escaped by a backslash, which else begins what stands for the name of the node; "&" would
// begin an HTML entity.
//
// Source: https://graphviz.org/doc/info/lang.html; https://graphviz.org/docs/attr-types/escString/.
func dotLabel(lines []string, end string) string {
	escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "&", "&amp;")
	var b strings.Builder
	b.WriteByte('"')
	for i, l := range lines {
		b.WriteString(escaped.Replace(l))
		if end == `\l` && len(lines) > 1 || i < len(lines)-1 {
			b.WriteString(end)
		}
	}
	b.WriteByte('"')
	return b.String()
}
