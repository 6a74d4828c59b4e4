package render

import (
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// mostAcross is how many boxes stand beside each other on a wide screen.
const mostAcross = 4

// depth is how many boxes the longest way has.
func depth(s *stop) int {
	n := 0
	for _, l := range s.onward {
		n = max(n, depth(l.to))
	}
	return n + 1
}

// node is a box of the diagram and what follows it.
func (p *page) node(s *stop) *nodeData {
	n := &nodeData{Target: p.targets[s], Name: p.plain(s.name)}
	if at := strings.LastIndex(n.Name, " ("); at > 0 && s.role != asAnswer {
		n.Name, n.Facts = n.Name[:at], strings.Trim(n.Name[at:], " ()")
	}
	switch s.role {
	case asClient:
		n.Kind, n.Name, n.As = "client", strings.TrimPrefix(n.Name, "client "), "client"
	case asProxy:
		n.Kind, n.Name, n.As = p.plain(s.name), escape(workloadName(s.workload)), "proxy"
	case asApplication:
		n.Kind, n.As = "application", "proxy"
		if s.hop != nil {
			n.Kind, n.Name = "application, no proxy", escape(workloadName(s.workload))
		}
	case asAnswer:
		n.Kind = "answer"
	}
	for _, i := range s.ends {
		o := p.trace.Outcomes[i]
		n.As = asClass(o)
		if s.role != asAnswer {
			sign := map[string]string{"ok": "✓ ", "fail": "✗ "}[n.As]
			n.Ends = append(n.Ends, endData{Text: sign + p.plain(p.verdict(o)), As: n.As})
		} else {
			n.Kind = map[bool]string{true: "✗ refused", false: "a proxy answers"}[n.As == "fail"]
			if o.Decision == trace.Unavailable || o.Decision == trace.Reset || o.Decision == trace.NotRouted {
				n.Kind = "✗ ends here"
			}
		}
	}
	for _, l := range s.onward {
		d := linkData{Broken: l.to.unreached || l.to.role == asAnswer && asClass(p.trace.Outcomes[l.to.ends[0]]) == "fail", To: p.node(l.to)}
		d.Over, d.Under = p.twoLines(l.says)
		if len(s.onward) > 1 {
			d.Share = p.percentOf(l.outcomes)
		}
		n.Links = append(n.Links, d)
	}
	return n
}

// twoLines are what stands over an arrow, and behind the first comma or identity what stands below.
func (p *page) twoLines(says line) (over, under string) {
	text := p.plain(says)
	if before, peer, found := strings.Cut(text, " as "); found {
		return before, "as " + peer
	}
	if i := strings.LastIndex(text, ", "); i > 0 {
		return text[:i], text[i+2:]
	}
	return text, ""
}

// hops are the sections of the boxes that are hops, in the order of the diagram.
func (p *page) hops(root *stop) []hopData {
	var out []hopData
	var visit func(*stop)
	visit = func(s *stop) {
		if s.hop != nil {
			n := strconv.Itoa(len(out) + 1)
			p.targets[s] = "hop-" + n
			out = append(out, p.hop(s, n))
		}
		for _, l := range s.onward {
			visit(l.to)
		}
	}
	visit(root)
	return out
}

func (p *page) hop(s *stop, number string) hopData {
	bad := p.endsBadly(s)
	shared := sharedNames(s.hops)
	d := hopData{
		ID: "hop-" + number, Name: number + " " + p.plain(p.proxy(s.hop)),
		Names: namesData(namesOf(s.hop)[:shared]), Steps: p.steps(s.rows, s.outcomes, bad),
	}
	if len(s.onward) > 1 {
		for _, l := range s.onward {
			d.Branches = append(d.Branches, branchData{Share: p.plain(p.shareOf(l.outcomes)), Steps: p.steps(l.rows, l.outcomes, bad)})
			if names := p.namesBehind(s, l); len(names) > shared {
				d.Branches[len(d.Branches)-1].Names = namesData(names[shared:])
			}
		}
	}
	d.Silent = len(d.Steps) == 0 && len(d.Branches) == 0
	return d
}

// namesBehind are the Envoy names of a hop that the outcomes of a link share.
func (p *page) namesBehind(s *stop, l *link) []envoyName {
	var hops []*trace.Hop
	for i, outcome := range s.outcomes {
		for _, o := range l.outcomes {
			if o == outcome && i < len(s.hops) {
				hops = append(hops, s.hops[i])
			}
		}
	}
	if len(hops) == 0 {
		return nil
	}
	return namesOf(hops[0])[:sharedNames(hops)]
}

func namesData(names []envoyName) []nameData {
	var out []nameData
	for _, n := range names {
		out = append(out, nameData{Label: n.label, Value: escape(n.value)})
	}
	return out
}

// steps are the rows of a hop; candidates that were rejected one after the other stand together.
func (p *page) steps(rows []mark, outcomes []int, bad bool) []stepData {
	var out []stepData
	var rejected []stepData
	settle := func() {
		if n := len(rejected); n > 0 {
			out = append(out, stepData{Rejected: "Considered and rejected: " + count(n, "candidate"), Steps: rejected, Open: bad})
			rejected = nil
		}
	}
	for _, m := range rows {
		switch {
		case m.omitted != nil:
			settle()
			out = append(out, stepData{Omitted: escape(string(m.omitted.Stage)) + ": " + count(m.omitted.Count, "other") + " rejected; --explain full shows them"})
		case m.step.Verdict == resolve.Skipped && !p.overlooks(m.step):
			rejected = append(rejected, p.step(m.step, outcomes))
		default:
			settle()
			out = append(out, p.step(m.step, outcomes))
		}
	}
	settle()
	return out
}

func (p *page) step(s *resolve.Step, outcomes []int) stepData {
	sign, as := signOf(s.Verdict)
	rule := resolve.LookupRule(s.Rule)
	d := stepData{
		Sign: sign, As: map[meaning]string{asOK: "ok", asFail: "fail", asWarn: "warn"}[as], Stage: escape(string(s.Stage)), Verdict: escape(string(s.Verdict)),
		Resource: p.plain(p.named(s.Ref)), Reason: escape(p.reason(*s)), Place: strings.Trim(p.located(s.Ref), "()"),
		Expected: escape(s.Expected), Actual: escape(s.Actual), Rule: escape(string(s.Rule)), Says: rule.Says, Source: rule.Source,
		Decides: p.decides(s, outcomes), Excerpt: p.excerpt(s.Ref, aroundField),
	}
	if d.As == "" {
		d.As = "dim"
	}
	d.Open = d.Decides && s.Verdict == resolve.DeniedBy
	return d
}
