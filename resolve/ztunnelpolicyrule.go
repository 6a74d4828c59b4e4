package resolve

import (
	"fmt"
	"slices"
	"strings"

	apisecurity "istio.io/api/security/v1beta1"
)

// What istiod makes of the rules of an AuthorizationPolicy for ztunnel, which sees addresses, ports and identities alone.
//
//  1. HTTP fields are hosts, methods, paths, remoteIpBlocks, requestPrincipals, their negations, and every condition under when
//     but source.ip, source.namespace, source.principal, destination.ip and destination.port.
//  2. An ALLOW rule that has one, anywhere, is left out as a whole. The policy stays, and with it deny-by-default.
//  3. Of a DENY rule the HTTP fields alone are left out.
//  4. trustDomains and notTrustDomains are left out of every rule, and so is a value that cannot be read.
//  5. A source, operation or condition of which nothing is left never matches; a rule of which all sources, all operations, or
//     a condition never match, matches nothing. That is the contrary of what an Envoy does on a TCP port, where nothing left asks
//     for nothing.
//  6. Values mean what they say: neither "spiffe://" nor aliases of trust domains are taken into account, a service account or a
//     namespace is compared with that of the identity, and "*" is a wildcard at the ends alone.
//
// Source: pilot/pkg/serviceregistry/ambient/authorization.go, handleRule, stringToMatch, stringToIP, stringToPort;
// ztunnel: src/rbac.rs, Authorization::matches, RbacMatch::is_empty.

// ztunnelRules are the rules of a policy as ztunnel has them.
func ztunnelRules(p *authorizationPolicy) []*authorizationRule {
	out := make([]*authorizationRule, 0, len(p.spec.GetRules()))
	for i, spec := range p.spec.GetRules() {
		if spec == nil {
			continue
		}
		field := fmt.Sprintf("spec.rules[%d]", i)
		b := ztunnelRuleBuilder{
			rule:  &authorizationRule{policy: p, ref: p.ref.At(field), name: p.ref.QualifiedName(), at: ztunnel},
			allow: p.spec.GetAction() == apisecurity.AuthorizationPolicy_ALLOW,
		}
		b.build(field, spec)
		out = append(out, b.rule)
	}
	return out
}

type ztunnelRuleBuilder struct {
	rule  *authorizationRule
	allow bool
}

// ztunnelKeys are the conditions that ztunnel has.
var ztunnelKeys = map[string]attribute{
	"source.ip": sourceIP, "source.namespace": ztunnelNamespace, "source.principal": ztunnelPrincipal,
	"destination.ip": destinationIP, "destination.port": destinationPort,
}

func (b *ztunnelRuleBuilder) build(field string, spec *apisecurity.Rule) {
	for i, f := range spec.GetFrom() {
		at, s := fmt.Sprintf("%s.from[%d].source.", field, i), f.GetSource()
		b.http(at, "remoteIpBlocks", s.GetRemoteIpBlocks(), s.GetNotRemoteIpBlocks())
		b.http(at, "requestPrincipals", s.GetRequestPrincipals(), s.GetNotRequestPrincipals())
		b.trustDomains(at, s)
		var a alternative
		a = b.add(a, at, "principals", ztunnelPrincipal, s.GetPrincipals(), s.GetNotPrincipals())
		a = b.add(a, at, "serviceAccounts", ztunnelServiceAccount(b.rule.ref.Namespace), s.GetServiceAccounts(), s.GetNotServiceAccounts())
		a = b.add(a, at, "namespaces", ztunnelNamespace, s.GetNamespaces(), s.GetNotNamespaces())
		a = b.add(a, at, "ipBlocks", sourceIP, s.GetIpBlocks(), s.GetNotIpBlocks())
		if len(a) > 0 {
			b.rule.from = append(b.rule.from, a)
		}
	}
	for i, t := range spec.GetTo() {
		at, o := fmt.Sprintf("%s.to[%d].operation.", field, i), t.GetOperation()
		b.http(at, "hosts", o.GetHosts(), o.GetNotHosts())
		b.http(at, "methods", o.GetMethods(), o.GetNotMethods())
		b.http(at, "paths", o.GetPaths(), o.GetNotPaths())
		if a := b.add(nil, at, "ports", destinationPort, o.GetPorts(), o.GetNotPorts()); len(a) > 0 {
			b.rule.to = append(b.rule.to, a)
		}
	}
	if len(spec.GetFrom()) > 0 && len(b.rule.from) == 0 {
		b.never(field + ".from")
	}
	if len(spec.GetTo()) > 0 && len(b.rule.to) == 0 {
		b.never(field + ".to")
	}
	for i, w := range spec.GetWhen() {
		b.when(fmt.Sprintf("%s.when[%d]", field, i), w)
	}
}

// when takes in one condition.
func (b *ztunnelRuleBuilder) when(at string, w *apisecurity.Condition) {
	attr, ok := ztunnelKeys[w.GetKey()]
	if !ok {
		b.leaveOut(at+".key", w.GetKey())
		b.never(at)
		return
	}
	before := len(b.rule.when)
	b.rule.when = b.list(b.rule.when, at+".values", w.GetKey(), attr, false, w.GetValues())
	b.rule.when = b.list(b.rule.when, at+".notValues", "not "+w.GetKey(), attr, true, w.GetNotValues())
	if len(b.rule.when) == before {
		b.never(at)
	}
}

// http leaves out a field that needs HTTP, and its negation.
func (b *ztunnelRuleBuilder) http(at, name string, values, notValues []string) {
	if len(values) > 0 {
		b.leaveOut(at+name, name)
	}
	if len(notValues) > 0 {
		b.leaveOut(at+negation(name), negation(name))
	}
}

// leaveOut leaves out what needs HTTP; of an ALLOW rule all.
func (b *ztunnelRuleBuilder) leaveOut(field, name string) {
	b.rule.http = true
	if b.allow {
		b.drop(NewStep(RuleZtunnelHTTPAllow, Skipped, b.rule.ref.At(field), name))
		return
	}
	b.rule.narrowed = append(b.rule.narrowed, NewStep(RuleZtunnelHTTPLeftOut, Applied, b.rule.ref.At(field), name))
}

// trustDomains leaves out trust domains.
func (b *ztunnelRuleBuilder) trustDomains(at string, s *apisecurity.Source) {
	for _, f := range []struct {
		name   string
		values []string
	}{{"trustDomains", s.GetTrustDomains()}, {"notTrustDomains", s.GetNotTrustDomains()}} {
		if len(f.values) > 0 {
			b.rule.narrowed = append(b.rule.narrowed, NewStep(RuleZtunnelTrustDomains, Applied, b.rule.ref.At(at+f.name), f.name).meantFor(true))
		}
	}
}

// never leaves out a rule that cannot match.
func (b *ztunnelRuleBuilder) never(field string) {
	b.drop(NewStep(RuleZtunnelNever, Skipped, b.rule.ref.At(field), field))
}

// drop leaves the whole rule out; the first reason is kept. The clauses stay for what the rule was meant to match.
func (b *ztunnelRuleBuilder) drop(why Step) {
	if b.rule.dropped == nil {
		why.Meant = true
		b.rule.dropped = &why
	}
}

// add appends the clauses of one field and of its negation.
func (b *ztunnelRuleBuilder) add(a alternative, at, name string, attr attribute, values, notValues []string) alternative {
	a = b.list(a, at+name, name, attr, false, values)
	return b.list(a, at+negation(name), negation(name), attr, true, notValues)
}

// list appends the clause of one list of values, if one of them can be read.
func (b *ztunnelRuleBuilder) list(clauses []clause, field, short string, attr attribute, negated bool, values []string) []clause {
	c := clause{field: field, short: short, negated: negated, values: values, attribute: attr}
	for _, v := range values {
		p, err := attr.parse(v)
		if err != nil {
			b.rule.narrowed = append(b.rule.narrowed, NewStep(RuleZtunnelBadValue, Applied, b.rule.ref.At(field), v))
			continue
		}
		c.predicates, c.written = append(c.predicates, p), append(c.written, v)
	}
	if len(c.predicates) == 0 {
		return clauses
	}
	return append(clauses, c)
}

// negation is the field for what must not be: notPorts for ports.
func negation(name string) string { return "not" + strings.ToUpper(name[:1]) + name[1:] }

// ztunnelPrincipal is the identity as it is: no trust domain stands for another.
var ztunnelPrincipal = attribute{
	source: true,
	parse: onPeer(func(value string) func(string) bool {
		return func(peer string) bool { return matchPresent(value, peer) }
	}),
	actual: peerText,
	value:  sourcePrincipal.value,
}

// ztunnelNamespace is the namespace of the identity, which is empty without one.
var ztunnelNamespace = attribute{
	source: true,
	parse: func(value string) (predicate, error) {
		return func(in *policyInput) Truth { return TruthOf(matchPresent(value, peerSegment(in.conn.Peer, "ns"))) }, nil
	},
	actual: peerText,
	value:  sourceNamespace.value,
}

// ztunnelServiceAccount is NAME, in the policy's namespace, or NAMESPACE/NAME.
func ztunnelServiceAccount(policyNamespace string) attribute {
	attr := sourceServiceAccount(policyNamespace)
	attr.parse = onPeer(func(value string) func(string) bool {
		if !strings.Contains(value, "/") {
			value = policyNamespace + "/" + value
		}
		return func(peer string) bool { return peerSegment(peer, "ns")+"/"+peerSegment(peer, "sa") == value }
	})
	return attr
}

// leftOut are the steps of what is left out of a rule. ztunnel has less of a rule than is written: a step says so as Meant where
// the rule, as an Envoy reads it, is about the request.
func (a *authorizing) leftOut(r *authorizationRule) []Step {
	steps := r.narrowed
	if r.dropped != nil {
		steps = append(slices.Clip(steps), *r.dropped)
	}
	if r.at != ztunnel || len(steps) == 0 || a.concerns(r) {
		return steps
	}
	steps = slices.Clone(steps)
	for i := range steps {
		steps[i].Meant = false
	}
	return steps
}

// concerns reports whether a rule as it is written may be about the request; where that is not known, whether what ztunnel has
// of it may be about the connection. A request that came through a waypoint is still its client's.
func (a *authorizing) concerns(r *authorizationRule) bool {
	in := a.in
	if a.unseen.Original != "" {
		in.conn.Peer = a.unseen.Original
	}
	if in.q = a.unseen.Request; in.q == nil {
		return r.evaluate(&in).truth != False
	}
	in.token = in.q.Token
	for _, written := range r.policy.rulesAt(envoyHTTP) {
		if written.ref == r.ref {
			return written.evaluate(&in).truth != False
		}
	}
	return true
}
