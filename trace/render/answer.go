package render

import (
	"maps"
	"slices"
	"strconv"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// answer writes the verdict and the culprit: for one outcome in the first line,
// with the reason and what was asked below, for several a line each below a summary.
// Where a workload answers for certain, the first line has said it all and no reason follows.
func (r *renderer) answer() {
	if len(r.trace.Outcomes) == 1 {
		r.verdictOf(r.trace.Outcomes[0])
		r.question()
		r.afterthoughts(r.trace.Outcomes[0], 0)
		return
	}
	r.summaryLine()
	r.question()
	weight, verdict := 0, 0
	for i, o := range r.trace.Outcomes {
		weight = max(weight, len(r.percent(i)))
		verdict = max(verdict, r.verdict(o).width())
	}
	for i, o := range r.trace.Outcomes {
		l := line{}.text(asPlain, "  ").text(asPlain, padLeft(r.percent(i), weight)).text(asPlain, "  ")
		start := l.width()
		l = l.add(r.verdict(o)).gap(start + verdict + 2)
		r.put(l.add(r.fate(o)), start+2)
		r.afterthoughts(o, start)
	}
}

// overlooked is the first of what was overlooked: "see VirtualService shop/reviews spec.hosts (routes.yaml:4)", and a line that says why it
// does not count.
func (r *renderer) overlooked() (see, why line) {
	if steps := r.trace.Overlooked(); len(steps) > 0 {
		s := steps[0]
		see = line{}.text(asPlain, "see ").add(r.resource(s.Ref))
		why = line{}.text(asPlain, s.Ref.Object().String()).text(asPlain, ": ").text(asPlain, r.reason(s))
	}
	return see, why
}

// verdictOf writes the verdict of the one outcome there is, the culprit and the reason.
func (r *renderer) verdictOf(o trace.Outcome) {
	see, why := r.overlooked()
	r.put(r.verdict(o).then("  ", r.towards(o)).then("  ", r.decider(o)).then("; ", see), 2)
	if o.Reason != "" && (o.Decision != trace.Delivered || o.Code != "" || o.Certainty != trace.Certain) {
		r.put(line{}.text(asPlain, o.Reason), 2)
	}
	if len(why) > 0 {
		r.put(why, 2)
	}
}

// summaryLine writes the summary of several outcomes, with what decided them all.
func (r *renderer) summaryLine() {
	first := r.summary()
	if by, same := r.sameDecider(); same {
		first = first.then("  ", by)
	}
	see, why := r.overlooked()
	r.put(first.then("; ", see), 2)
	if len(why) > 0 {
		r.put(why, 2)
	}
}

// question writes what was asked.
func (r *renderer) question() {
	if asked := r.asked(); len(asked) > 0 {
		r.put(asked, 2)
	}
	r.headersSent()
}

// summary is "Delivered 80%, Unavailable 503 20%": the outcomes by decision, status and certainty, in their order.
func (r *renderer) summary() line {
	if len(r.trace.Outcomes) == 0 {
		return line{}.text(asWarn, "No outcome")
	}
	type end struct {
		decision  trace.Decision
		status    int
		certainty trace.Certainty
	}
	var order []end
	exact, rounded := map[end]float64{}, map[end]float64{}
	for i, o := range r.trace.Outcomes {
		e := end{o.Decision, o.HTTPStatus, o.Certainty}
		if !slices.Contains(order, e) {
			order = append(order, e)
		}
		exact[e] += o.Weight
		rounded[e] += r.percents[i]
	}
	var l line
	for _, e := range order {
		part := r.verdict(trace.Outcome{Decision: e.decision, HTTPStatus: e.status, Certainty: e.certainty})
		if len(order) > 1 {
			part = part.text(asPlain, " "+percentText(exact[e], twoDecimals(rounded[e])))
		}
		l = l.then(", ", part)
	}
	return l
}

// verdict is "Unavailable 503 NC", and how sure that is where it is not certain.
func (r *renderer) verdict(o trace.Outcome) line {
	as, certainty := decisionMeaning(o.Decision), ""
	word := string(o.Decision)
	switch o.Certainty {
	case trace.Certain:
	case trace.Assumed:
		certainty = "(assumed)"
	case trace.Undetermined:
		word, certainty = word+"?", "(undetermined)"
		as = asWarn
	}
	if o.HTTPStatus != 0 {
		word += " " + strconv.Itoa(o.HTTPStatus)
	}
	l := line{}.text(as, word).then(" ", line{}.text(as, o.ResponseFlags))
	return l.then(" ", line{}.text(asWarn, certainty))
}

func decisionMeaning(d trace.Decision) meaning {
	switch d {
	case trace.Delivered:
		return asOK
	case trace.Redirected, trace.Responded:
		return asWarn
	case trace.NotRouted, trace.Denied, trace.Unavailable, trace.Reset:
		return asFail
	}
	return asPlain
}

// fate is what a line for one of several outcomes says behind its verdict.
func (r *renderer) fate(o trace.Outcome) line {
	switch {
	case o.Location != "":
		return line{}.text(asPlain, "→ ").text(asName, o.Location).text(asPlain, " ").add(r.culprit(o))
	case o.Decision != trace.Delivered:
		return r.culprit(o)
	}
	l := line{}.text(asPlain, "→ ").add(r.whereTo(o.Destination))
	if o.Certainty != trace.Certain {
		l = l.text(asPlain, ": ").text(asPlain, o.Reason)
	}
	return l
}

// culprit is "by AuthorizationPolicy shop/deny-web spec.rules[0] (policies.yaml:12): reason".
func (r *renderer) culprit(o trace.Outcome) line {
	l := r.decider(o)
	switch {
	case o.Reason == "":
		return l
	case len(l) == 0:
		return line{}.text(asPlain, o.Reason)
	}
	return l.text(asPlain, ": ").text(asPlain, o.Reason)
}

// decider is "by AuthorizationPolicy shop/deny-web spec.rules[0] (policies.yaml:12)"; empty where no resource decided.
func (r *renderer) decider(o trace.Outcome) line {
	by := r.resource(o.By)
	if len(by) == 0 {
		return nil
	}
	return line{}.text(asPlain, "by ").add(by)
}

// sameDecider is what decided all the outcomes, where one resource did: the rule that splits the load, as a rule.
func (r *renderer) sameDecider() (by line, same bool) {
	for i, o := range r.trace.Outcomes {
		if o.By.IsZero() || i > 0 && o.By != r.trace.Outcomes[0].By {
			return nil, false
		}
		by = r.decider(o)
	}
	return by, len(by) > 0
}

// towards is "to shop/reviews-v1 (subset v1, 2 endpoints)", or where a redirect leads.
func (r *renderer) towards(o trace.Outcome) line {
	switch {
	case o.Location != "":
		return line{}.text(asPlain, "to ").text(asName, o.Location)
	case o.Decision == trace.Delivered:
		return line{}.text(asPlain, "to ").add(r.whereTo(o.Destination))
	}
	return nil
}

// whereTo is "shop/reviews-v1 (subset v1, 2 endpoints)", or the host where no workload is known.
func (r *renderer) whereTo(d trace.Destination) line {
	const most = 3
	shown := d.Workloads
	if !r.opts.Wide && len(shown) > most {
		shown = shown[:most]
	}
	var l line
	for _, w := range shown {
		l = l.then(", ", line{}.text(asName, w.QualifiedName()))
	}
	if more := len(d.Workloads) - len(shown); more > 0 {
		l = l.text(asPlain, " and "+strconv.Itoa(more)+" more")
	}
	if len(l) == 0 {
		l = l.text(asName, hostPort(d.Host, d.Port))
	}
	var facts line
	if d.Subset != "" {
		facts = facts.text(asPlain, "subset ").text(asPlain, d.Subset)
	}
	if d.Endpoints > 0 {
		facts = facts.then(", ", line{}.text(asPlain, count(d.Endpoints, "endpoint")))
	}
	if r.opts.Wide && d.TargetPort != 0 {
		facts = facts.then(", ", line{}.text(asPlain, "port "+strconv.Itoa(d.TargetPort)))
	}
	if len(facts) > 0 {
		l = l.text(asPlain, " (").add(facts).text(asPlain, ")")
	}
	return l
}

// afterthoughts are the lines below an outcome: what arrives after rewrites, and
// what to look for in an access log.
func (r *renderer) afterthoughts(o trace.Outcome, indent int) {
	margin := line{}.text(asPlain, spaces(indent))
	if arrives := r.arrives(o.Forwarded); len(arrives) > 0 {
		r.put(margin.text(asPlain, "arrives as ").add(arrives), indent+2)
	}
	if log := r.logged(o); len(log) > 0 {
		r.put(margin.add(log), indent+2)
	}
	for _, a := range o.Otherwise {
		r.put(margin.add(r.otherwise(a)), indent+2)
	}
	if hint := r.hint(o.Hint); len(hint) > 0 {
		r.put(margin.add(hint), indent+2)
	}
	if r.opts.Wide && o.Destination.EnvoyCluster != "" {
		d := o.Destination
		l := margin.text(asDim, "towards ").text(asPlain, hostPort(d.Host, d.Port)).text(asDim, ", cluster ")
		r.put(l.text(asPlain, d.EnvoyCluster), indent+2)
	}
}

// logged is what to look for: access log rbac_access_denied_matched_policy[none], code POLICY_NO_ALLOW.
func (r *renderer) logged(o trace.Outcome) line {
	var log line
	if o.Decision != trace.Delivered {
		log = log.text(asPlain, o.ResponseFlags).then(" ", line{}.text(asPlain, o.ResponseCodeDetails))
	}
	if len(log) > 0 {
		log = line{}.text(asDim, "access log ").add(log)
	}
	if o.Code != "" {
		log = log.then(", ", line{}.text(asDim, "code ").text(asPlain, string(o.Code)))
	}
	return log
}

// otherwise is another end: or Denied 403 UAEX ext_authz_denied  by …: if the authorizer refuses.
func (r *renderer) otherwise(a trace.Alternative) line {
	end := trace.Outcome{Decision: a.Decision, HTTPStatus: a.HTTPStatus, ResponseFlags: a.ResponseFlags, Certainty: trace.Certain, By: a.By}
	l := line{}.text(asDim, "or ").add(r.verdict(end)).then(" ", line{}.text(asPlain, a.ResponseCodeDetails))
	return l.then("  ", r.decider(end)).text(asPlain, ", if ").text(asPlain, a.Reason)
}

// hint is what would turn a refusal: hint add "x" to … of AuthorizationPolicy shop/a (a.yaml:7), and ….
func (r *renderer) hint(changes []resolve.Change) line {
	var l line
	for _, c := range changes {
		l = l.then(", and ", line{}.text(asPlain, c.String()).then(" ", line{}.text(asDim, r.located(c.Ref))))
	}
	if len(l) == 0 {
		return nil
	}
	return line{}.text(asDim, "hint ").add(l)
}

// arrives is the request as it arrives, where configuration changed it.
func (r *renderer) arrives(f *trace.Forwarded) line {
	if f == nil {
		return nil
	}
	q := r.trace.Request
	host := []string{"", q.Host, q.Authority(), q.Headers["host"], hostPort(q.Host, q.Port)}
	var l line
	if f.Method != "" && f.Method != q.Method {
		l = l.then(" ", line{}.text(asPlain, f.Method))
	}
	if !slices.Contains(host, f.Host) {
		l = l.then(" ", line{}.text(asPlain, "host ").text(asPlain, f.Host))
	}
	if f.Path != "" && f.Path != pathQuery(q) {
		l = l.then(" ", line{}.text(asPlain, f.Path))
	}
	for _, k := range slices.Sorted(maps.Keys(f.Headers)) {
		l = l.then("  ", line{}.text(asPlain, "+").text(asPlain, k).text(asPlain, ": ").text(asPlain, Disclose(k, f.Headers[k])))
	}
	for _, k := range f.Removed {
		l = l.then("  ", line{}.text(asPlain, "-").text(asPlain, k))
	}
	return l
}

func workloadName(w resolve.Ref) string {
	if w.Name == "" {
		return w.Namespace
	}
	return w.QualifiedName()
}
