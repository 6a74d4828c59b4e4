package render

import (
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// What the pictures (mermaid.go, dot.go, html.go) have in common: the way of all outcomes as a tree of boxes.
//
//  1. The root is the client. A hop is a box; outcomes that come to it alike share it.
//  2. A link leads on. It has the steps that only its outcomes take, still at the box it leaves: where a way forks in
//     the middle of a hop, these are the steps behind the fork. Forks of one hop become so many links of its box.
//  3. A way ends at an application or, where a proxy answers or nothing takes the request, at an answer.
//     An application without a proxy is a hop already, and no box follows it.

// PictureOptions are how a picture is drawn.
type PictureOptions struct {
	// Detail is what the trace was cut down to: none draws the way and what decided, fails also what took part and, where
	// a request ends badly, what did not match, full every step.
	Detail trace.Detail
	// Locate says where a resource's field was read, "file:line" or "cluster"; nil if it is not known.
	Locate func(resolve.Ref) string
	// Excerpt gives so many lines around a resource's field as they were written; nil if there are none. Only HTML shows them.
	Excerpt func(field resolve.Ref, around int) resolve.Excerpt
	// Command is the command line that gives this page again, for HTML; empty if it is not known.
	Command string
}

// role is what a box stands for.
type role int

const (
	asClient role = iota
	asProxy
	asApplication
	asAnswer
)

// stop is a box of a picture.
type stop struct {
	role role
	// hop is that of a proxy or of an application without one, and hops the same for each of the outcomes that come
	// here; their Envoy names may differ.
	hop  *trace.Hop
	hops []*trace.Hop
	// workload is what the box is a part of; zero for none.
	workload resolve.Ref
	name     line
	// rows are the steps that all outcomes take here.
	rows   []mark
	onward []*link
	// outcomes are those that come here, and ends those of them whose way ends here.
	outcomes, ends []int
	// unreached is set where the connection to the box breaks, for all that would come here.
	unreached bool
}

// link leads from one box to the next.
type link struct {
	to       *stop
	outcomes []int
	rows     []mark
	// says is how the request gets there.
	says line
}

func newPicture(t *trace.Trace, opts PictureOptions) *renderer {
	return newRenderer(t, Options{Locate: opts.Locate})
}

// boxes is the tree of the picture.
func (r *renderer) boxes() *stop {
	client := &stop{role: asClient, name: r.client()}
	for i := range r.trace.Outcomes {
		client.outcomes = append(client.outcomes, i)
	}
	if len(client.outcomes) > 0 {
		r.lead(client, r.stretches(), branch{})
	}
	client.workload = clientWorkload(client)
	return client
}

// branch is where a stretch begins: how many hops lie behind, and the steps since the way forked at the open one.
type branch struct {
	depth  int
	forked bool
	rows   []mark
}

// lead draws a stretch from a box on, and then its branches.
func (r *renderer) lead(at *stop, s *stretch, b branch) {
	for i, m := range s.paths[0].marks {
		switch {
		case m.step == nil && m.omitted == nil && m.heading == nil:
		case m.heading == nil && b.forked:
			b.rows = append(b.rows, m)
		case m.heading == nil:
			at.rows = append(at.rows, m)
		default:
			var hops []*trace.Hop
			for _, p := range s.paths {
				hops = append(hops, p.marks[i].heading)
			}
			at = r.enter(at, s.outcomes(), hops, b)
			b = branch{depth: b.depth + 1}
		}
	}
	for _, next := range s.branches {
		r.lead(at, next, branch{depth: b.depth, forked: true, rows: slices.Clone(b.rows)})
	}
	if len(s.branches) == 0 {
		r.arrive(at, s.paths[0].outcome, b.rows)
	}
}

// enter is the box of the next hop. A hop of the client itself, which has no proxy, is the client's box.
func (r *renderer) enter(from *stop, outcomes []int, hops []*trace.Hop, b branch) *stop {
	h := hops[0]
	if from.role == asClient && b.depth == 0 && !b.forked && h.Proxy == resolve.DataplaneNone && h.Direction == trace.Outbound {
		from.hop, from.hops = h, hops
		return from
	}
	next := &stop{role: asProxy, hop: h, hops: hops, workload: h.Workload, outcomes: outcomes, name: r.proxyOf(h)}
	if h.Proxy == resolve.DataplaneNone {
		next.role, next.name = asApplication, line{}.text(asPlain, "application")
	}
	next.unreached = r.breaksAt(next, b.depth+1)
	from.onward = append(from.onward, &link{to: next, outcomes: outcomes, rows: b.rows, says: r.reached(from, h)})
	return next
}

// breaksAt reports whether all that come to the box, which is that many hops from the client, are connections that break
// on the way to it. A hop from which a connection breaks has chosen a cluster to send to.
func (r *renderer) breaksAt(s *stop, depth int) bool {
	for i, outcome := range s.outcomes {
		if o := r.trace.Outcomes[outcome]; o.Decision != trace.Reset || len(o.Hops) != depth || s.hops[i].Envoy.Cluster != "" {
			return false
		}
	}
	return true
}

// arrive is the end of an outcome.
func (r *renderer) arrive(at *stop, outcome int, rows []mark) {
	o := r.trace.Outcomes[outcome]
	if o.Decision == trace.Delivered && at.role == asApplication {
		at.ends = append(at.ends, outcome)
		at.rows = append(at.rows, rows...)
		return
	}
	end := &stop{role: asAnswer, name: r.verdict(o), outcomes: []int{outcome}, ends: []int{outcome}}
	l := &link{to: end, outcomes: end.outcomes, rows: rows}
	if o.Decision == trace.Delivered {
		end.role, end.name, l.says = asApplication, r.whereTo(o.Destination), r.handedOver(at, o)
		if at.role == asProxy && at.hop.Direction == trace.Inbound {
			end.workload = at.workload
		}
	} else if at.role == asClient {
		l.says = r.sent()
	}
	at.onward = append(at.onward, l)
}

// client is who sends the request: "shop/web (Deployment)".
func (r *renderer) client() line {
	l := r.from()
	if len(l) == 0 {
		return line{}.text(asPlain, "client")
	}
	if r.trace.Source.Kind == "External" {
		return line{}.text(asPlain, "client outside the cluster")
	}
	first := l[0]
	first.text = strings.TrimPrefix(first.text, "from ")
	return append(line{first}, l[1:]...)
}

// clientWorkload is that of the client's own proxy, or of itself.
func clientWorkload(client *stop) resolve.Ref {
	if client.hop != nil {
		return client.hop.Workload
	}
	for _, l := range client.onward {
		if h := l.to.hop; h != nil && h.Proxy != resolve.DataplaneNone && h.Direction == trace.Outbound {
			return h.Workload
		}
	}
	return resolve.Ref{}
}

// proxyOf is "sidecar, outbound" or "gateway".
func (r *renderer) proxyOf(h *trace.Hop) line {
	l := line{}.text(asPlain, proxyName(h.Proxy))
	if h.Direction != trace.AtGateway {
		l = l.then(", ", line{}.text(asPlain, string(h.Direction)))
	}
	return l
}

// reached is how the request gets to a hop: what was asked for the first, how it is secured for all.
func (r *renderer) reached(from *stop, h *trace.Hop) line {
	var l line
	if from.role == asClient {
		l = r.sent()
		if h.Direction == trace.Outbound && h.TLS == trace.TLSPlaintext {
			return l
		}
	}
	l = l.then(", ", line{}.text(asPlain, string(h.TLS)))
	if h.Peer != "" {
		l = l.text(asPlain, " as ").text(asPlain, h.Peer)
	}
	return l
}

// handedOver is the request as the application gets it.
func (r *renderer) handedOver(at *stop, o trace.Outcome) line {
	f := o.Forwarded
	if f == nil {
		if at.role == asClient {
			return r.sent()
		}
		return line{}.text(asPlain, strings.ToUpper(string(r.trace.Request.Scheme)))
	}
	l := line{}.text(asPlain, f.Method).then(" ", line{}.text(asPlain, f.Path))
	changed := *f
	changed.Method, changed.Path = "", ""
	return l.then("  ", r.arrives(&changed))
}

// decides reports whether the step is about what decided one of the outcomes.
func (r *renderer) decides(s *resolve.Step, outcomes []int) bool {
	return s.Verdict != resolve.Skipped && slices.ContainsFunc(outcomes, func(i int) bool {
		by := r.trace.Outcomes[i].By
		return !by.IsZero() && s.Ref == by
	})
}

// overlooks reports whether the step is the one that the first line leads to: nothing happens by it, and a person looks for it.
func (r *renderer) overlooks(s *resolve.Step) bool {
	steps := r.trace.Overlooked()
	return len(steps) > 0 && s.Meant && s.Ref == steps[0].Ref && s.Rule == steps[0].Rule
}

// remarks are the steps that a picture without pages of its own shows beside a box; see PictureOptions.Detail.
func (r *renderer) remarks(rows []mark, outcomes []int, failed bool, detail trace.Detail) []line {
	var out []line
	for _, m := range rows {
		if m.omitted != nil {
			if failed {
				out = append(out, line{}.text(asPlain, "· "+string(m.omitted.Stage)+" "+count(m.omitted.Count, "other")))
			}
			continue
		}
		s := m.step
		decides := r.decides(s, outcomes) || s.Verdict == resolve.Warned || r.overlooks(s)
		sign, _ := signOf(s.Verdict)
		l := line{}.text(asPlain, sign)
		if string(s.Stage) != s.Ref.Kind {
			l = l.text(asPlain, " "+string(s.Stage))
		}
		l = l.then(" ", r.named(s.Ref))
		reason := line{}.text(asPlain, r.reason(*s))
		switch {
		case detail != trace.DetailFull && r.saidAtEnd(s, outcomes):
		case detail == trace.DetailFull, decides, s.Verdict == resolve.Skipped && failed && detail != trace.DetailNone:
			out = append(out, l.then(": ", reason))
		case detail == trace.DetailNone, s.Verdict == resolve.Skipped, s.Ref.IsZero():
		default:
			out = append(out, l)
		}
	}
	return out
}

// saidAtEnd reports whether the step's reason is that of the one outcome that comes here, which stands where it ends.
func (r *renderer) saidAtEnd(s *resolve.Step, outcomes []int) bool {
	return len(outcomes) == 1 && r.reason(*s) == r.trace.Outcomes[outcomes[0]].Reason && len(r.closing(outcomes[0])) > 0
}

// closing is what is said where an outcome ends: what decided, why, the code, and what would turn it. A plain
// delivery has said it all by where it ends.
func (r *renderer) closing(outcome int) []line {
	o := r.trace.Outcomes[outcome]
	if o.Decision == trace.Delivered && o.Code == "" && o.Certainty == trace.Certain {
		return nil
	}
	var out []line
	add := func(l line) {
		if len(l) > 0 {
			out = append(out, l)
		}
	}
	if o.Location != "" {
		add(line{}.text(asPlain, "to ").text(asName, o.Location))
	}
	add(r.decider(o))
	add(line{}.text(asPlain, o.Reason))
	add(r.logged(o))
	for _, a := range o.Otherwise {
		add(r.otherwise(a))
	}
	add(r.hint(o.Hint))
	return out
}

// endsBadly reports whether one of the outcomes is refused or lost, or not certain, at the box itself.
func (r *renderer) endsBadly(s *stop) bool {
	return slices.ContainsFunc(s.onward, func(l *link) bool {
		return l.to.role == asAnswer && decisionMeaning(r.trace.Outcomes[l.to.ends[0]].Decision) == asFail
	})
}

// longestText is where a text of a picture that is one label is cut.
const longestText = 240

// wrapped folds lines for a label, without tokens; what is too long for one is cut.
func wrapped(lines []line, width, hang int) []string {
	var out []string
	for _, l := range lines {
		var short line
		for _, s := range l {
			runes := []rune(string(trace.Redact([]byte(s.text))))
			if len(runes) > longestText {
				runes = append(runes[:longestText:longestText], '…')
			}
			short = append(short, span{s.as, string(runes)})
		}
		for _, folded := range short.fold(width, hang) {
			out = append(out, folded.String())
		}
	}
	return out
}
