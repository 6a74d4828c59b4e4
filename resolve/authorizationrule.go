package resolve

import (
	"fmt"
	"strings"

	apisecurity "istio.io/api/security/v1beta1"
)

// authorizationRule is one rule of an AuthorizationPolicy as istiod gives it to a
// proxy, for HTTP or for TCP filter chains.
type authorizationRule struct {
	policy *authorizationPolicy
	// ref is spec.rules[i], and name what Envoy calls the rule.
	ref  Ref
	name string
	// from and to hold alternatives, of which one must hold; none means anything.
	from, to []alternative
	when     []clause
	// dropped is the step that says why istiod leaves the rule out; nil for rules that are there.
	dropped *Step
	// narrowed are steps about parts that istiod leaves out.
	narrowed []Step
	// at is ztunnel for a rule that is there as ztunnel has it, and http is then whether a field was written that it does not see.
	at   enforcer
	http bool
}

// alternative is one entry of from or to: all clauses must hold.
type alternative []clause

// clause is one list of values: one of them must match, or, negated, none of them.
type clause struct {
	// field is the path in the policy, and short its last part.
	field, short string
	negated      bool
	values       []string
	predicates   []predicate
	// written are the values the predicates were made of.
	written   []string
	attribute attribute
}

// prepareRules makes the rules of a policy ready for a filter chain.
//
//  1. A rule with a key under when that Istio does not know is left out.
//  2. On a TCP filter chain HTTP attributes do not exist. An ALLOW rule that has one,
//     anywhere, is left out as a whole; of other rules only the HTTP parts are.
//  3. A value that does not parse (CIDR, port, key) does the same: it takes an ALLOW
//     rule with it, of other rules it alone is left out. A list of which nothing is left asks for nothing.
//  4. Trust domains of principals are replaced by all trust domains of the mesh.
//
// Source: pilot/pkg/security/authz/model/model.go, New, MigrateTrustDomain, Generate, checkError;
// pilot/pkg/security/authz/builder/builder.go, build.
func prepareRules(p *authorizationPolicy, tcp bool, trustDomains []string) []*authorizationRule {
	allow := p.spec.GetAction() == apisecurity.AuthorizationPolicy_ALLOW
	out := make([]*authorizationRule, 0, len(p.spec.GetRules()))
	for i, spec := range p.spec.GetRules() {
		if spec == nil {
			continue
		}
		field := fmt.Sprintf("spec.rules[%d]", i)
		b := ruleBuilder{
			rule: &authorizationRule{policy: p, ref: p.ref.At(field), name: envoyPolicyName(p.ref, i)},
			tcp:  tcp, allow: allow, trustDomains: trustDomains,
		}
		b.build(field, spec)
		out = append(out, b.rule)
	}
	return out
}

// envoyPolicyName is the name a rule has in Envoy's RBAC filter and in its logs.
// Source: pilot/pkg/security/authz/builder/builder.go, policyName.
func envoyPolicyName(policy Ref, rule int) string {
	return fmt.Sprintf("ns[%s]-policy[%s]-rule[%d]", policy.Namespace, policy.Name, rule)
}

type ruleBuilder struct {
	rule         *authorizationRule
	tcp, allow   bool
	trustDomains []string
}

func (b *ruleBuilder) build(field string, spec *apisecurity.Rule) {
	namespace := b.rule.ref.Namespace
	for i, f := range spec.GetFrom() {
		at, s := fmt.Sprintf("%s.from[%d].source.", field, i), f.GetSource()
		var a alternative
		a = b.add(a, at, "principals", sourcePrincipal, s.GetPrincipals(), s.GetNotPrincipals())
		a = b.add(a, at, "requestPrincipals", requestPrincipalAttribute, s.GetRequestPrincipals(), s.GetNotRequestPrincipals())
		a = b.add(a, at, "serviceAccounts", sourceServiceAccount(namespace), s.GetServiceAccounts(), s.GetNotServiceAccounts())
		a = b.add(a, at, "trustDomains", sourceTrustDomain, s.GetTrustDomains(), s.GetNotTrustDomains())
		a = b.add(a, at, "namespaces", sourceNamespace, s.GetNamespaces(), s.GetNotNamespaces())
		a = b.add(a, at, "remoteIpBlocks", remoteIP, s.GetRemoteIpBlocks(), s.GetNotRemoteIpBlocks())
		a = b.add(a, at, "ipBlocks", sourceIP, s.GetIpBlocks(), s.GetNotIpBlocks())
		b.rule.from = append(b.rule.from, a)
	}
	for i, t := range spec.GetTo() {
		at, o := fmt.Sprintf("%s.to[%d].operation.", field, i), t.GetOperation()
		var a alternative
		a = b.add(a, at, "hosts", operationHost, o.GetHosts(), o.GetNotHosts())
		a = b.add(a, at, "methods", operationMethod, o.GetMethods(), o.GetNotMethods())
		a = b.add(a, at, "paths", operationPath, o.GetPaths(), o.GetNotPaths())
		a = b.add(a, at, "ports", destinationPort, o.GetPorts(), o.GetNotPorts())
		b.rule.to = append(b.rule.to, a)
	}
	for i, w := range spec.GetWhen() {
		at, key := fmt.Sprintf("%s.when[%d]", field, i), w.GetKey()
		attr, ok := attributeOfKey(key, namespace)
		if !ok {
			b.drop(NewStep(RuleAuthorizationUnknownKey, Skipped, b.rule.ref.At(at+".key"), key))
			continue
		}
		b.rule.when = b.list(b.rule.when, at+".values", key, attr, false, w.GetValues())
		b.rule.when = b.list(b.rule.when, at+".notValues", "not "+key, attr, true, w.GetNotValues())
	}
}

// add appends the clauses of one field and of its negation.
func (b *ruleBuilder) add(a alternative, at, name string, attr attribute, values, notValues []string) alternative {
	a = b.list(a, at+name, name, attr, false, values)
	return b.list(a, at+negation(name), negation(name), attr, true, notValues)
}

// list appends the clause of one list of values, if there is something left of it.
func (b *ruleBuilder) list(clauses []clause, field, short string, attr attribute, negated bool, values []string) []clause {
	if len(values) == 0 {
		return clauses
	}
	ref := b.rule.ref.At(field)
	if b.tcp && attr.http {
		if b.allow {
			b.drop(NewStep(RuleAuthorizationHTTPInTCPAllow, Skipped, ref, short))
		} else {
			b.rule.narrowed = append(b.rule.narrowed, NewStep(RuleAuthorizationHTTPInTCP, Applied, ref, short))
		}
		return clauses
	}
	c := clause{field: field, short: short, negated: negated, values: values, attribute: attr}
	for _, v := range values {
		migrated := []string{v}
		if attr.migrate != nil {
			migrated = attr.migrate(migrated, b.trustDomains)
		}
		for _, m := range migrated {
			p, err := attr.parse(m)
			switch {
			case err == nil:
				c.predicates, c.written = append(c.predicates, p), append(c.written, v)
			case b.allow:
				b.drop(NewStep(RuleAuthorizationBadValueAllow, Skipped, ref, m))
				return clauses
			default:
				b.rule.narrowed = append(b.rule.narrowed, NewStep(RuleAuthorizationBadValue, Applied, ref, m))
			}
		}
	}
	if len(c.predicates) == 0 {
		return clauses
	}
	return append(clauses, c)
}

// drop leaves the whole rule out; the first reason is kept.
func (b *ruleBuilder) drop(why Step) {
	if b.rule.dropped == nil {
		b.rule.dropped = &why
	}
}

// holds evaluates a clause. A negated clause holds where the attribute is missing.
func (c *clause) holds(in *policyInput) Truth {
	t := False
	for _, p := range c.predicates {
		if t = t.Or(p(in)); t == True {
			break
		}
	}
	if c.negated {
		return t.Not()
	}
	return t
}

// expected is what the clause asks for, as written.
func (c *clause) expected() string {
	if c.negated {
		return "none of " + strings.Join(c.values, ", ")
	}
	return strings.Join(c.values, ", ")
}

// ruleResult is a rule evaluated for one request.
type ruleResult struct {
	truth Truth
	// matched are the clauses that hold, one alternative of from and of to.
	matched []*clause
	// missed are the clauses that do not hold: for from and to the first of each
	// alternative where no alternative holds, and each of when.
	missed []*clause
	// unknown are clauses that hang on something not known.
	unknown []*clause
}

// evaluate tells whether a rule matches: any from, any to, and all of when.
// Source: pilot/pkg/security/authz/model/model.go, New, Generate.
func (r *authorizationRule) evaluate(in *policyInput) ruleResult {
	result := ruleResult{truth: True}
	result.anyOf(r.from, in)
	result.anyOf(r.to, in)
	for i := range r.when {
		result.allOf(r.when[i:i+1], in)
	}
	if result.truth != Unknown {
		result.unknown = nil
	}
	return result
}

// anyOf takes one group of alternatives into the result.
func (r *ruleResult) anyOf(group []alternative, in *policyInput) {
	if len(group) == 0 {
		return
	}
	best := ruleResult{truth: False}
	for _, a := range group {
		one := ruleResult{truth: True}
		one.allOf(a, in)
		switch {
		case one.truth == True:
			r.matched = append(r.matched, one.matched...)
			return
		case one.truth == Unknown:
			best.truth = Unknown
			best.unknown = append(best.unknown, one.unknown...)
		default:
			best.missed = append(best.missed, one.missed...)
		}
	}
	r.truth = r.truth.And(best.truth)
	if best.truth == False {
		r.missed = append(r.missed, best.missed...)
	}
	r.unknown = append(r.unknown, best.unknown...)
}

// allOf takes clauses that must all hold into the result, up to the first that does not.
func (r *ruleResult) allOf(clauses []clause, in *policyInput) {
	for i := range clauses {
		c := &clauses[i]
		t := c.holds(in)
		r.truth = r.truth.And(t)
		switch t {
		case True:
			r.matched = append(r.matched, c)
		case Unknown:
			r.unknown = append(r.unknown, c)
		case False:
			r.missed = append(r.missed, c)
			return
		}
	}
}

// matchedText names the values by which a rule matched.
func (r ruleResult) matchedText(in *policyInput) string {
	if len(r.matched) == 0 {
		return "every request"
	}
	parts := make([]string, len(r.matched))
	for i, c := range r.matched {
		parts[i] = c.short + " " + c.attribute.actual(in)
		if c.negated {
			parts[i] = fmt.Sprintf("%s %s (got %s)", c.short, strings.Join(c.values, ", "), c.attribute.actual(in))
		}
	}
	return strings.Join(parts, ", ")
}
