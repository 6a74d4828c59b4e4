package resolve

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// How near a rule is to another answer, and what would bring it there.
//
//  1. Of the ALLOW rules that do not match, the nearest is the one with the fewest
//     clauses that fail; for from and to the alternative with the fewest counts. Of
//     equals one that is about this source comes first, then Envoy's order.
//  2. A clause that fails is mended by adding what the request has to its values; a
//     negated one by removing the values that match. A header that the request lacks can be sent,
//     unless the proxy writes it itself.
//  3. Where there is no ALLOW rule, or istiod leaves out all there are, a rule for this request is added to the first policy.
//  4. A DENY rule that matches is narrowed by excepting the peer where it has an identity. Without one a rule that matches
//     more than it says, its HTTP fields left out on a TCP port, loses the port, and any other rule goes.
//  5. Where a clause cannot be mended, as for an identity that the peer has not
//     got, there is no hint here.

// nearest is how far a rule is from matching.
type nearest struct {
	rule *authorizationRule
	// failed are the clauses in the way, and source how many of them are about the source.
	failed []clause
	source int
}

// nearestRule is the ALLOW rule that lacks the fewest clauses; false where there is no rule to look at.
func (a *authorizing) nearestRule(rules []evaluated) (nearest, bool) {
	var best nearest
	for _, r := range rules {
		if r.truth != False {
			continue
		}
		failed, source := r.failing(&a.in)
		if best.rule == nil || cmp.Or(cmp.Compare(len(failed), len(best.failed)), cmp.Compare(source, best.source)) < 0 {
			best = nearest{rule: r.authorizationRule, failed: failed, source: source}
		}
	}
	return best, best.rule != nil
}

// failing are all clauses that keep a rule from matching, and how many of them stand under from.
func (r *authorizationRule) failing(in *policyInput) (failed []clause, source int) {
	from := fewestFailing(r.from, in)
	return slices.Concat(from, fewestFailing(r.to, in), failingOf(r.when, in)), len(from)
}

// fewestFailing are the clauses that fail of the alternative with the fewest.
func fewestFailing(group []alternative, in *policyInput) []clause {
	var least []clause
	for i, alternative := range group {
		if failed := failingOf(alternative, in); i == 0 || len(failed) < len(least) {
			least = failed
		}
	}
	return least
}

func failingOf(clauses []clause, in *policyInput) []clause {
	var out []clause
	for _, c := range clauses {
		if c.holds(in) == False {
			out = append(out, c)
		}
	}
	return out
}

// uncertain reports whether a clause of the rule cannot be decided.
func (r *authorizationRule) uncertain(in *policyInput) bool {
	for _, alternative := range slices.Concat(r.from, r.to, []alternative{r.when}) {
		if slices.ContainsFunc(alternative, func(c clause) bool { return c.holds(in) == Unknown }) {
			return true
		}
	}
	return false
}

// text says what the nearest rule wants and what it got.
func (n nearest) text(in *policyInput) string {
	parts := make([]string, len(n.failed))
	for i, c := range n.failed {
		parts[i] = fmt.Sprintf("%s %s, got %s", c.short, strings.Join(c.values, ", "), c.attribute.actual(in))
	}
	return strings.Join(parts, "; ")
}

// mend are the changes that make the rule match; false where there is none.
func (n nearest) mend(in *policyInput) ([]Change, bool) {
	if n.rule.uncertain(in) {
		return nil, false
	}
	var out []Change
	for _, c := range n.failed {
		changes, ok := c.mend(n.rule.ref, in)
		if !ok {
			return nil, false
		}
		out = append(out, changes...)
	}
	return out, true
}

// mend are the changes that make a clause hold.
func (c clause) mend(policy Ref, in *policyInput) ([]Change, bool) {
	at := policy.At(c.field)
	if c.negated {
		var out []Change
		for i, p := range c.predicates {
			remove := Change{Op: ChangeRemove, Ref: at, Value: strconv.Quote(c.written[i])}
			if p(in) == True && !slices.Contains(out, remove) {
				out = append(out, remove)
			}
		}
		return out, len(out) > 0
	}
	if value, ok := c.attribute.fitting(in); ok {
		return []Change{{Op: ChangeAdd, Ref: at, Value: strconv.Quote(value)}}, true
	}
	return c.send(in)
}

// send is the header that would make a clause hold which the request has not got, unless the proxy takes it from no client.
func (c clause) send(in *policyInput) ([]Change, bool) {
	if in.q != nil && slices.Contains(in.q.Reserved, strings.ToLower(c.attribute.header)) {
		return nil, false
	}
	for _, v := range c.values {
		if c.attribute.header != "" && !strings.Contains(v, "*") {
			return []Change{{Op: ChangeSend, Value: c.attribute.header + ": " + v}}, true
		}
	}
	return nil, false
}

// fitting is a value that what the request has would match.
func (a attribute) fitting(in *policyInput) (string, bool) {
	if a.value == nil {
		return "", false
	}
	value := a.value(in)
	if value == "" {
		return "", false
	}
	p, err := a.parse(value)
	return value, err == nil && p(in) == True
}

// allowHint is what would let a request pass that no ALLOW rule matches.
func (a *authorizing) allowHint(rules []evaluated, first Ref) []Change {
	if n, ok := a.nearestRule(rules); ok {
		changes, _ := n.mend(&a.in)
		return changes
	}
	return []Change{{Op: ChangeAdd, Ref: first.At("spec.rules"), Value: a.ruleForThis()}}
}

// ruleForThis is a rule that matches the request: its source where that is known, else what it asks for.
func (a *authorizing) ruleForThis() string {
	switch {
	case a.in.conn.Peer != "":
		return fmt.Sprintf("{from: [{source: {principals: [%q]}}]}", a.in.conn.Peer)
	case a.in.q != nil:
		return fmt.Sprintf("{to: [{operation: {methods: [%q], paths: [%q]}}]}", a.in.q.Method, pathOnly(a.in.q.Path))
	}
	return fmt.Sprintf("{to: [{operation: {ports: [\"%d\"]}}]}", a.in.conn.DestinationPort)
}

// denyHint is what would take the request out of the DENY rules that match.
func (a *authorizing) denyHint(rules []evaluated) []Change {
	var out []Change
	for _, r := range rules {
		switch {
		case r.truth != True:
		case a.in.conn.Peer == "" && len(r.vanished()) > 0:
			out = append(out, a.leaveOut([]evaluated{r})...)
		default:
			out = append(out, r.except(&a.in)...)
		}
	}
	return out
}

// except takes the request out of a rule that matches it.
func (r *authorizationRule) except(in *policyInput) []Change {
	if in.conn.Peer == "" || !strings.Contains(in.conn.Peer, "/") {
		if len(r.policy.spec.GetRules()) == 1 {
			return []Change{{Op: ChangeDelete, Ref: r.policy.ref.Object()}}
		}
		return []Change{{Op: ChangeDelete, Ref: r.ref}}
	}
	if len(r.from) == 0 {
		return []Change{r.exceptPeer(0, nil, in)}
	}
	var out []Change
	for i, alternative := range r.from {
		if len(failingOf(alternative, in)) == 0 {
			out = append(out, r.exceptPeer(i, alternative, in))
		}
	}
	return out
}

// exceptPeer excepts the peer from a source. Istio refuses principals beside service accounts.
// Source: pkg/config/validation/validation.go, validateAuthorizationPolicy.
func (r *authorizationRule) exceptPeer(i int, source alternative, in *policyInput) Change {
	field, value := "notPrincipals", in.conn.Peer
	if slices.ContainsFunc(source, func(c clause) bool {
		return strings.EqualFold(strings.TrimPrefix(c.short, "not"), "serviceAccounts")
	}) {
		field, value = "notServiceAccounts", peerSegment(in.conn.Peer, "ns")+"/"+peerSegment(in.conn.Peer, "sa")
	}
	return Change{Op: ChangeAdd, Ref: r.ref.At(fmt.Sprintf("%s.from[%d].source.%s", r.ref.Field, i, field)), Value: strconv.Quote(value)}
}

// hintBehindDeny adds to the hint what else stands behind a DENY rule that is out of the way.
func (a *authorizing) hintBehindDeny(allow []*authorizationPolicy) {
	if len(allow) == 0 {
		return
	}
	behind := &authorizing{snapshot: a.snapshot, target: a.target, who: a.who, at: a.at, in: a.in, unseen: a.unseen}
	behind.Decision = AccessAllowed
	behind.allow(allow, true)
	switch {
	case behind.Decision == AccessAllowed:
	case len(behind.Hint) == 0:
		a.Hint = nil
	default:
		a.Hint = append(a.Hint, behind.Hint...)
	}
}

// nearestText tells the clauses that the nearest ALLOW rule misses or, where no policy
// has a rule, that this is the default deny.
func (a *authorizing) nearestText(policies []*authorizationPolicy, rules []evaluated) string {
	n, ok := a.nearestRule(rules)
	switch {
	case !ok && !anyRule(policies):
		return " (without rules, ALLOW is the default deny)"
	case !ok:
		return a.droppedText(policies)
	case len(rules) == 1:
		return ": wanted " + n.text(&a.in)
	}
	return fmt.Sprintf("; nearest is %s of %s: wanted %s", n.rule.ref.Field, n.rule.ref.QualifiedName(), n.text(&a.in))
}

// droppedText tells why istiod leaves out a rule, where none is left.
func (a *authorizing) droppedText(policies []*authorizationPolicy) string {
	for _, p := range policies {
		for _, r := range p.rulesAt(a.at) {
			if r.dropped != nil {
				return fmt.Sprintf("; %s of %s: %s", r.ref.Field, r.ref.QualifiedName(), r.dropped.Reason())
			}
		}
	}
	return ""
}

func anyRule(policies []*authorizationPolicy) bool {
	return slices.ContainsFunc(policies, func(p *authorizationPolicy) bool { return len(p.spec.GetRules()) > 0 })
}

// split tells of a rule that matched although its policy most likely meant it together
// with the next one: from alone and to alone, in two list items, are an OR.
func (a *authorizing) split(r evaluated) {
	rules := r.policy.spec.GetRules()
	for i := range len(rules) - 1 {
		first, second := rules[i], rules[i+1]
		if len(first.GetFrom()) == 0 || len(first.GetTo()) > 0 || len(second.GetFrom()) > 0 || len(second.GetTo()) == 0 {
			continue
		}
		for _, of := range []int{i, i + 1} {
			if at := fmt.Sprintf("spec.rules[%d]", of); at == r.ref.Field {
				a.Steps = append(a.Steps, NewStep(RuleAuthorizationSplit, Applied, r.ref, i, i+1).meantFor(true))
			}
		}
	}
}
