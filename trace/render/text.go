package render

import (
	"bytes"
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Options are how a text is laid out.
type Options struct {
	// Colour adds colours; the text is the same without.
	Colour bool
	// Width folds longer lines; 0 folds none, as for a file or a pipe.
	Width int
	// Wide adds what few need: Envoy's names in full, rule ids, codes, identities, the release.
	Wide bool
	// Locate says where a resource's field was read, "file:line" or "cluster"; nil if it is not known.
	Locate func(resolve.Ref) string
}

// Text is the trace for a person.
//
//  1. The answer: the decision and what decided, a line for each outcome where the way forks.
//  2. The way: hop after hop with its steps. What several outcomes share stands once, up to the fork.
//  3. What was not known.
//
// No token of the request is in it.
func Text(t *trace.Trace, opts Options) []byte {
	r := newRenderer(t, opts)
	return trace.Redact(r.render())
}

// renderer holds what one call needs.
type renderer struct {
	trace    *trace.Trace
	opts     Options
	palette  palette
	percents []float64
	reason   func(resolve.Step) string
	// stageWidth is the width of the stage column, the same for the whole text.
	stageWidth int
	// allFacts is set where facts are shown that explain no outcome.
	allFacts bool
	out      bytes.Buffer
}

func newRenderer(t *trace.Trace, opts Options) *renderer {
	if t == nil {
		t = &trace.Trace{}
	}
	r := &renderer{
		trace: t, opts: opts, palette: newPalette(opts.Colour),
		percents: percents(t.Outcomes), reason: resolve.Step.Reason,
	}
	for i, h := range t.Hops {
		for _, s := range h.Steps {
			r.stageWidth = max(r.stageWidth, line{}.text(asPlain, string(s.Stage)).width())
		}
		for _, s := range r.facts(&t.Hops[i]) {
			r.stageWidth = max(r.stageWidth, line{}.text(asPlain, string(s.Stage)).width())
		}
	}
	return r
}

func (r *renderer) render() []byte {
	r.answer()
	r.way()
	r.unknowns()
	if r.opts.Wide {
		r.circumstances()
	}
	return r.out.Bytes()
}

// put writes a line, folded where a width is given.
func (r *renderer) put(l line, hang int) {
	for _, folded := range l.fold(r.opts.Width, hang) {
		r.out.WriteString(folded.paint(r.palette))
		r.out.WriteByte('\n')
	}
}

func (r *renderer) blank() { r.out.WriteByte('\n') }

// resource is "VirtualService shop/reviews spec.http[0] (reviews.yaml:31)".
func (r *renderer) resource(ref resolve.Ref) line {
	return r.named(ref).then(" ", line{}.text(asDim, r.located(ref)))
}

// named is "VirtualService shop/reviews spec.http[0]". Only wide needs to tell Istio's Gateway from the Gateway API's.
func (r *renderer) named(ref resolve.Ref) line {
	if ref.IsZero() {
		return nil
	}
	kind := ref.Kind
	if r.opts.Wide && ref.Kind == "Gateway" && ref.Group != "" {
		kind += "." + ref.Group
	}
	return line{}.text(asName, kind).then(" ", line{}.text(asName, ref.QualifiedName())).then(" ", line{}.text(asPlain, ref.Field))
}

// located is "(reviews.yaml:31)". That something was read from the cluster is worth a word in wide only.
func (r *renderer) located(ref resolve.Ref) string {
	if r.opts.Locate == nil || ref.IsZero() {
		return ""
	}
	switch place := r.opts.Locate(ref); {
	case place == "", place == "cluster" && !r.opts.Wide:
		return ""
	default:
		return "(" + place + ")"
	}
}

// unknowns says what was not known.
func (r *renderer) unknowns() {
	unknown := r.unknown()
	if len(unknown) == 0 {
		return
	}
	r.blank()
	r.put(line{}.text(asPlain, unknownTitle), 0)
	for _, l := range unknown {
		r.put(line{}.text(asWarn, "  ! ").add(l), 4)
	}
}

const unknownTitle = "Not known, or assumed"

// unknown is what was not known, each thing once.
func (r *renderer) unknown() []line {
	var out []line
	if assumed := r.trace.Source.Assumed; assumed != "" {
		out = append(out, line{}.text(asPlain, "the source: ").text(asPlain, assumed))
	}
	for i, w := range r.trace.Warnings {
		if slices.Contains(r.trace.Warnings[:i], w) {
			continue
		}
		var l line
		if what := r.resource(w.Ref); len(what) > 0 {
			l = l.add(what).text(asPlain, ": ")
		}
		out = append(out, l.text(asPlain, w.Message))
	}
	return out
}
