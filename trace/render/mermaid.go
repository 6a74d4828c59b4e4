package render

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Mermaid is the trace as a sequence diagram of Mermaid: who hands the request to whom, how it is secured, and where it ends.
//
//  1. The proxies and the application of a workload stand in one box.
//  2. An arrow with a head is a request that goes on, or an answer; one with a cross is a connection that breaks, or a refusal.
//  3. Where the way forks, each branch is one of "alt", under its share and its end.
//  4. Notes say what decided, and what else PictureOptions.Detail asks for.
//
// No token of the request is in it.
func Mermaid(t *trace.Trace, opts PictureOptions) []byte {
	return sequence(newPicture(t, opts), opts.Detail)
}

func sequence(r *renderer, detail trace.Detail) []byte {
	m := &mermaid{renderer: r, detail: detail, ids: map[string]string{}}
	root := m.boxes()
	m.root = root
	m.enlist(root, nil)
	m.participants()
	m.messages(root, nil, "  ")
	if unknown := m.unknown(); len(unknown) > 0 {
		m.note(root, append([]line{line{}.text(asPlain, unknownTitle)}, unknown...), "  ")
	}
	var b bytes.Buffer
	b.WriteString("sequenceDiagram\n")
	fmt.Fprintf(&b, "  accTitle: %s\n", mermaidLine(m.summary()))
	fmt.Fprintf(&b, "  accDescr: %s\n", mermaidLine(m.asked()))
	b.Write(m.out.Bytes())
	return b.Bytes()
}

// mermaidWidth is where texts are folded, in characters.
const mermaidWidth = 56

// mermaid holds what one call needs.
type mermaid struct {
	*renderer
	detail trace.Detail
	root   *stop
	// actors are in the order met; ids their names in the diagram, by what makes them one.
	actors []*actor
	ids    map[string]string
}

// actor is one participant.
type actor struct {
	id, label string
	workload  resolve.Ref
	person    bool
}

// enlist gives each box its participant. A proxy that is passed twice, out and in, is one.
func (m *mermaid) enlist(s, from *stop) {
	if s.role != asAnswer {
		m.participant(s)
	} else if m.misses(from, s) {
		m.participant(m.missed(s))
	}
	for _, l := range s.onward {
		m.enlist(l.to, s)
	}
}

// participant is the id of a box's participant, which is made where it is the first.
func (m *mermaid) participant(s *stop) string {
	name := s.name
	if s.hop != nil && s.role == asProxy {
		name = line{}.text(asPlain, proxyName(s.hop.Proxy)) // in both directions
	}
	key := fmt.Sprintf("%v %v %q", s.role == asClient, s.workload, name)
	if id, found := m.ids[key]; found {
		return id
	}
	id := fmt.Sprintf("p%d", len(m.ids)+1)
	m.ids[key] = id
	m.actors = append(m.actors, &actor{
		id: id, label: mermaidText(wrapped([]line{name}, mermaidWidth/2, 0)), workload: s.workload,
		person: s.role == asClient,
	})
	return id
}

// misses reports whether an answer is to a request that was to go on to a destination, and missed how that is drawn.
func (m *mermaid) misses(from, answer *stop) bool {
	o := m.trace.Outcomes[answer.ends[0]]
	if from.role == asClient {
		return true
	}
	broken := o.Decision == trace.Reset && !from.unreached && from.role == asProxy
	return o.Destination.Host != "" && (broken || o.Decision == trace.Unavailable)
}

func (m *mermaid) missed(answer *stop) *stop {
	o := m.trace.Outcomes[answer.ends[0]]
	d := o.Destination
	if d.Host == "" {
		d.Host, d.Port = m.trace.Request.Host, m.trace.Request.Port
	}
	return &stop{role: asApplication, name: m.whereTo(d)}
}

// participants declares them, those of a workload in one box.
func (m *mermaid) participants() {
	var done []resolve.Ref
	for _, a := range m.actors {
		if a.workload.IsZero() {
			m.declare(a, "  ")
			continue
		}
		if slices.Contains(done, a.workload) {
			continue
		}
		done = append(done, a.workload)
		// The word in front is a colour, as the first word of a name would be one if it were the name of one.
		fmt.Fprintf(&m.out, "  box transparent %s\n", mermaidLine(line{}.text(asName, workloadName(a.workload))))
		for _, b := range m.actors {
			if b.workload == a.workload {
				m.declare(b, "    ")
			}
		}
		m.out.WriteString("  end\n")
	}
}

func (m *mermaid) declare(a *actor, indent string) {
	kind := "participant"
	if a.person {
		kind = "actor"
	}
	fmt.Fprintf(&m.out, "%s%s %s as %s\n", indent, kind, a.id, a.label)
}

// messages draws what goes on from a box; before is the box the request came from.
func (m *mermaid) messages(s, before *stop, indent string) {
	m.note(s, m.remarks(s.rows, s.outcomes, m.endsBadly(s), m.detail), indent)
	for _, outcome := range s.ends {
		m.answered(s, outcome, indent)
	}
	inner := indent
	if len(s.onward) > 1 {
		inner += "  "
	}
	for i, l := range s.onward {
		if len(s.onward) > 1 {
			word := "else"
			if i == 0 {
				word = "alt"
			}
			fmt.Fprintf(&m.out, "%s%s %s\n", indent, word, mermaidLine(m.shareOf(l.outcomes)))
		}
		m.message(s, before, l, inner)
	}
	if len(s.onward) > 1 {
		m.out.WriteString(indent + "end\n")
	}
}

// message draws one link and what is behind it.
func (m *mermaid) message(s, before *stop, l *link, indent string) {
	m.note(s, m.remarks(l.rows, l.outcomes, m.endsBadly(s) && l.to.role == asAnswer, m.detail), indent)
	if l.to.role == asAnswer {
		m.answer(s, before, l.to, indent)
		return
	}
	arrow := "->>"
	if l.to.unreached {
		arrow = "-x"
	}
	m.arrow(s, arrow, l.to, []line{l.says}, indent)
	m.messages(l.to, s, indent)
}

// answer draws how an outcome ends that no application answers.
func (m *mermaid) answer(s, before, end *stop, indent string) {
	o := m.trace.Outcomes[end.ends[0]]
	if m.misses(s, end) {
		says := line{}.text(asPlain, "towards ").add(m.whereTo(m.destinationOf(o)))
		if s.role == asClient {
			says = m.sent()
		}
		m.arrow(s, "-x", m.missed(end), []line{says}, indent)
	}
	m.note(s, m.closing(end.ends[0]), indent)
	by := s
	// Of a connection that breaks, the client hears from the proxy in front of the hop that was not reached.
	if s.unreached && before != nil {
		by = before
	}
	if by.role == asClient {
		return
	}
	arrow := "-->>"
	if decisionMeaning(o.Decision) == asFail {
		arrow = "--x"
	}
	m.arrow(by, arrow, m.root, []line{m.verdict(o)}, indent)
}

func (m *mermaid) destinationOf(o trace.Outcome) trace.Destination {
	d := o.Destination
	d.Workloads, d.Endpoints = nil, 0
	return d
}

// answered draws the end of a delivery.
func (m *mermaid) answered(s *stop, outcome int, indent string) {
	m.note(s, m.closing(outcome), indent)
	if m.trace.Request.Scheme.IsHTTP() {
		says := line{}.text(asPlain, "the application answers")
		if o := m.trace.Outcomes[outcome]; o.Certainty != trace.Certain {
			says = m.verdict(o)
		}
		m.arrow(s, "-->>", m.root, []line{says}, indent)
	}
}

func (m *mermaid) arrow(from *stop, arrow string, to *stop, says []line, indent string) {
	fmt.Fprintf(&m.out, "%s%s%s%s: %s\n", indent, m.participant(from), arrow, m.participant(to), mermaidText(wrapped(says, mermaidWidth, 0)))
}

func (m *mermaid) note(s *stop, says []line, indent string) {
	if len(says) > 0 {
		fmt.Fprintf(&m.out, "%sNote over %s: %s\n", indent, m.participant(s), mermaidText(wrapped(says, mermaidWidth, 0)))
	}
}

func mermaidLine(l line) string { return mermaidText(wrapped([]line{l}, 0, 0)) }

// mermaidText writes texts as lines of a message or a note.
func mermaidText(lines []string) string {
	for i, l := range lines {
		lines[i] = mermaidEscape(l)
	}
	text := strings.Join(lines, "<br/>")
	if text == "" {
		return "#8203;" // no text at all is a mistake to the parser
	}
	return text
}

// mermaidEscape writes a text so that Mermaid reads it as text. Letters, digits and the marks listed stay; all else becomes
// the character's number between # and ;, which Mermaid takes for any character.
//
//  1. ";" and a line's end would end the statement, "#" begin a number, "%%" a comment or a directive, "<" and "&" HTML.
//  2. "ß" and "ﬂ" are letters with which Mermaid marks numbers inside.
//  3. In a line with "style" or "classDef", a colon and a number, Mermaid drops the last ";".
//  4. "wrap:" in front of a message is a setting of it.
//
// Source: mermaid, packages/mermaid/src/utils.ts, encodeEntities; src/diagrams/sequence/parser/sequenceDiagram.jison.
func mermaidEscape(text string) string {
	var b strings.Builder
	for i, c := range text {
		switch {
		case c == 's' && strings.HasPrefix(text[i:], "style"), c == 'c' && strings.HasPrefix(text[i:], "classDef"),
			(c == 'w' || c == 'W') && strings.HasPrefix(strings.ToLower(text[i:]), "wrap:"), c == 'ß', c == 'ﬂ':
			fmt.Fprintf(&b, "#%d;", c)
		case unicode.IsLetter(c), unicode.IsDigit(c), strings.ContainsRune(" .,:/_-()[]=+*?!|@'✓✗·–→…", c):
			b.WriteRune(c)
		default:
			fmt.Fprintf(&b, "#%d;", c)
		}
	}
	return b.String()
}
