package render

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Surveys are tables for a person, one after the other:
//
//  1. What was asked, and the proxy that answers, with Envoy's names.
//  2. The rules in the order in which Envoy tries them: what each takes, where that leads, where it was written, and
//     below it what istiod made of it.
//  3. What names the host and is not used, with the reason.
//  4. The clusters behind the rules, and the proxies behind those, with what they ask for.
func Surveys(surveys []*trace.Survey, opts Options) []byte {
	var out bytes.Buffer
	for i, s := range surveys {
		if i > 0 {
			out.WriteByte('\n')
		}
		t := &trace.Trace{Request: s.Request, Source: s.Source, Istio: s.Istio, Warnings: s.Warnings}
		if s.Ends != nil && len(s.Tables) == 0 {
			t.Outcomes, t.Hops = s.Ends.Outcomes, s.Ends.Hops
		}
		r := newRenderer(t, opts)
		r.measure(s)
		out.Write(trace.Redact(r.survey(s)))
	}
	return out.Bytes()
}

// measure widens the stage column to what any step of the survey needs.
func (r *renderer) measure(s *trace.Survey) {
	for _, table := range s.Tables {
		for _, step := range table.Hop.Steps {
			r.stageWidth = max(r.stageWidth, len(step.Stage))
		}
	}
	if len(s.Tables) > 0 {
		r.stageWidth = max(r.stageWidth, len(resolve.StageDestinationRule))
	}
}

func (r *renderer) survey(s *trace.Survey) []byte {
	r.put(line{}.text(asName, surveyed(s.Request)).then("  ", r.from()), 2)
	if len(s.Tables) == 0 && len(r.trace.Outcomes) > 0 {
		r.put(line{}.text(asPlain, "no table: ").add(r.verdict(r.trace.Outcomes[0])).then("  ", r.culprit(r.trace.Outcomes[0])), 2)
		r.way()
	}
	for _, table := range s.Tables {
		r.blank()
		r.table(&table)
	}
	r.unknowns()
	return r.out.Bytes()
}

// surveyed is the URL without a path.
func surveyed(q trace.Request) string {
	return string(q.Scheme) + "://" + hostPort(q.Host, q.Port)
}

func (r *renderer) table(t *trace.Table) {
	l := line{}.add(r.proxy(&t.Hop))
	names := slices.DeleteFunc(namesOf(&t.Hop), func(n envoyName) bool { return n.label == "cluster" || n.label == "route" })
	r.put(l.then("   ", r.chain(names, &t.Hop)), 4)
	if len(t.Domains) > 0 {
		r.put(line{}.text(asDim, "  takes ").text(asPlain, strings.Join(t.Domains, ", ")), 4)
	}
	if !t.RedirectsPlaintext.IsZero() {
		r.put(line{}.text(asWarn, "  ! ").text(asPlain, "plaintext is redirected to https before any rule: ").add(r.resource(t.RedirectsPlaintext)), 4)
	}
	r.blank()
	r.rules(t)
	r.section("Not used here, and why", r.unused(t.Hop.Steps))
	r.clusters(t)
	r.guards(t)
}

// ruleRow is one line of the table of rules, and the lines below it.
type ruleRow struct {
	place, match line
	leads        []line
	written      line
	below        []line
}

func (r *renderer) rules(t *trace.Table) {
	var rows []ruleRow
	for i, rule := range t.Rules {
		rows = append(rows, r.ruleRow(i+1, &rule))
	}
	if t.Rest != nil {
		row := ruleRow{place: line{}.text(asDim, "–"), match: line{}.text(asPlain, "everything else"), leads: r.leads(t.Rest)}
		if t.HTTP {
			row.leads = []line{r.verdict(t.Rest.Outcomes[0])}
		}
		rows = append(rows, row)
	}
	const widest = 60
	var matchWidth, leadWidth int
	for _, row := range rows {
		if n := row.match.width(); n <= widest {
			matchWidth = max(matchWidth, n)
		}
		for _, l := range row.leads {
			if n := l.width(); n <= widest {
				leadWidth = max(leadWidth, n)
			}
		}
	}
	digits := len(strconv.Itoa(len(t.Rules)))
	matchAt := 2 + digits + 2
	leadAt := matchAt + matchWidth + 2
	for _, row := range rows {
		l := line{}.text(asPlain, "  ").add(row.place).gap(matchAt).add(row.match)
		for i, lead := range row.leads {
			if i > 0 {
				l = line{}
			}
			l = l.gap(leadAt).add(lead)
			if i == 0 && len(row.written) > 0 {
				l = l.gap(leadAt + leadWidth + 2).add(row.written)
			}
			r.put(l, leadAt)
		}
		for _, below := range row.below {
			r.put(line{}.text(asPlain, spaces(matchAt+2)).add(below), matchAt+4)
		}
	}
}

func (r *renderer) ruleRow(place int, rule *trace.Rule) ruleRow {
	row := ruleRow{
		place: line{}.text(asPlain, strconv.Itoa(place)), match: line{}.text(asPlain, matchWords(rule.Match)),
		leads: r.leads(rule.Leads), written: r.resource(rule.Ref),
	}
	note := func(as meaning, sign, text string, ref resolve.Ref) {
		row.below = append(row.below, line{}.text(as, sign+" ").text(asPlain, text).then(" ", r.resource(ref)))
	}
	if len(rule.DeadBy) > 0 {
		row.place = line{}.text(asWarn, strconv.Itoa(place))
		note(asWarn, "!", "dead: "+rule.TakenBy(strconv.Itoa)+" every request that this one would take", resolve.Ref{})
	}
	if rule.From > 0 {
		note(asPlain, "↓", "moved by istiod from place "+strconv.Itoa(rule.From)+" to "+strconv.Itoa(place)+": it takes every request", resolve.Ref{})
	}
	if !rule.Root.IsZero() {
		note(asPlain, "←", "delegated by", rule.Root)
	}
	for _, o := range rule.Leads.Outcomes {
		if decisionMeaning(o.Decision) == asFail {
			note(decisionMeaning(o.Decision), "✗", o.Reason, resolve.Ref{})
		}
	}
	for _, s := range r.filterSteps(rule.Leads) {
		sign, as := signOf(s.Verdict)
		note(as, sign, r.reason(s), resolve.Ref{})
	}
	return row
}

// matchWords is a match without the words that make it a sentence.
func matchWords(match string) string {
	if rest, all := strings.CutPrefix(match, "it takes "); all {
		return rest
	}
	return match
}

// leads is where a rule leads, a line for each outcome.
func (r *renderer) leads(t *trace.Trace) []line {
	var out []line
	rounded := percents(t.Outcomes)
	for i, o := range t.Outcomes {
		l := line{}
		if len(t.Outcomes) > 1 {
			l = l.text(asPlain, percentText(o.Weight, rounded[i])+" ")
		}
		if o.Decision != trace.Delivered {
			l = l.add(r.verdict(o)).then(" → ", line{}.text(asName, o.Location))
		} else {
			l = l.text(asPlain, "→ ").add(r.whereTo(o.Destination))
			if o.Destination.Host == "" {
				l = line{}.text(asPlain, o.Reason)
			}
		}
		out = append(out, l)
	}
	return out
}

// filterSteps are what a rule does to requests: each once, without those that say how the tool reads them.
func (r *renderer) filterSteps(t *trace.Trace) []resolve.Step {
	var out []resolve.Step
	var seen []string
	for _, h := range t.Hops {
		if h.Direction == trace.Inbound {
			continue
		}
		for _, s := range h.Steps {
			own := s.Stage == resolve.StageFilter || s.Stage == resolve.StageRoute && s.Rule != resolve.RuleRouteWeight
			written := s.Verdict == resolve.Applied && s.Ref.Field != "" // a default is written nowhere
			if !own || s.Verdict == resolve.None || s.Verdict == resolve.Matched || !r.opts.Wide && !written && resolve.LookupRule(s.Rule).Detail {
				continue
			}
			if text := r.reason(s); !slices.Contains(seen, text) {
				seen, out = append(seen, text), append(out, s)
			}
		}
	}
	return out
}

// unused are the steps that tell why something that names the host has no say here. What is not known stands at the end.
func (r *renderer) unused(steps []resolve.Step) []resolve.Step {
	if r.opts.Wide {
		return steps
	}
	return slices.DeleteFunc(slices.Clone(steps), func(s resolve.Step) bool {
		return s.Verdict != resolve.Skipped || resolve.LookupRule(s.Rule).Detail
	})
}

// section writes steps under a heading, where there are any.
func (r *renderer) section(heading string, steps []resolve.Step) {
	if len(steps) == 0 {
		return
	}
	r.blank()
	r.put(line{}.text(asPlain, "  "+heading), 4)
	r.rows(stepMarks(steps), 2)
}

// clusters tells for each cluster that rules lead to by which DestinationRule it is made, and which waypoint it leads to or past.
func (r *renderer) clusters(t *trace.Table) {
	var seen []string
	for _, lead := range t.Leads() {
		for _, h := range lead.Hops {
			if h.Direction == trace.Inbound || h.Envoy.Cluster == "" || slices.Contains(seen, h.Envoy.Cluster) {
				continue
			}
			steps := slices.DeleteFunc(slices.Clone(h.Steps), func(s resolve.Step) bool {
				of := slices.Contains([]resolve.Stage{resolve.StageDestinationRule, resolve.StageLoadBalance, resolve.StageTLS, resolve.StageWaypoint}, s.Stage)
				return !of || !r.opts.Wide && resolve.LookupRule(s.Rule).Detail && s.Verdict != resolve.Warned
			})
			seen = append(seen, h.Envoy.Cluster)
			r.section("Cluster "+h.Envoy.Cluster, steps)
		}
	}
}

// guards tells what the proxies behind the rules ask for, and a gateway itself; those that ask for the same together.
func (r *renderer) guards(t *trace.Table) {
	all := t.AllGuards()
	for i, g := range all {
		if slices.ContainsFunc(all[:i], g.AsksLike) {
			continue
		}
		l := line{}.text(asPlain, "  At ")
		for j, other := range all[i:] {
			if g.AsksLike(other) {
				if j > 0 {
					l = l.text(asPlain, ", ")
				}
				l = l.text(asName, other.Workload.String())
			}
		}
		r.guard(l, &g)
	}
}

// guard writes what one proxy asks for, in the order in which it is evaluated.
func (r *renderer) guard(heading line, g *trace.Guard) {
	kind := "HTTP"
	if g.TCP {
		kind = "TCP"
	}
	l := heading.text(asPlain, " port "+strconv.Itoa(g.Port)+", read as "+kind)
	if g.MTLS.Mode != "" {
		l = l.text(asPlain, ": mTLS ").text(asPlain, string(g.MTLS.Mode))
		if by := r.resource(g.MTLS.Ref); len(by) > 0 {
			l = l.text(asPlain, " by ").add(by)
		} else {
			l = l.text(asDim, ", Istio's default")
		}
	}
	r.blank()
	r.put(l, 4)
	indent := line{}.text(asPlain, "    ")
	first, rest := g.Policies.Custom()
	for _, p := range first {
		r.policy(p)
	}
	for _, token := range g.Policies.Tokens {
		r.put(indent.text(asPlain, "tokens of ").text(asPlain, strconv.Quote(token.Issuer)+"  ").add(r.resource(token.Ref)), 6)
	}
	for _, p := range rest {
		r.policy(p)
	}
	if len(g.Policies.Authorization) == 0 {
		r.put(indent.text(asDim, "no AuthorizationPolicy applies: every request passes"), 6)
	}
	if r.opts.Wide {
		r.rows(stepMarks(g.Policies.PassedOver), 2)
	}
}

// policy writes an AuthorizationPolicy with its rules.
func (r *renderer) policy(p resolve.AttachedPolicy) {
	word := p.Action
	if p.Provider != "" {
		word += " by " + p.Provider
	}
	if p.DryRun {
		word += " (dry run, decides nothing)"
	}
	indent := line{}.text(asPlain, "    ")
	r.put(indent.text(asPlain, word+"  ").add(r.resource(p.Ref)), 6)
	if len(p.Rules) == 0 {
		r.put(indent.text(asPlain, "  no rule: it matches nothing"), 6)
	}
	for _, rule := range p.Rules {
		l := indent.text(asPlain, "  ").text(asDim, rule.Ref.Field+"  ").text(asPlain, rule.Text)
		if rule.LeftOut != "" {
			l = l.text(asWarn, "  ! left out: ").text(asPlain, rule.LeftOut)
		}
		r.put(l, 8)
	}
}

func stepMarks(steps []resolve.Step) []mark {
	marks := make([]mark, len(steps))
	for i := range steps {
		marks[i].step = &steps[i]
	}
	return marks
}
