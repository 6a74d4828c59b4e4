package resolve

import (
	"slices"
	"strings"

	apisecurity "istio.io/api/security/v1beta1"
)

// ProxyPolicies are the policies of one proxy, in the order in which it asks them.
type ProxyPolicies struct {
	// Tokens are the rules of its RequestAuthentications, by issuer.
	Tokens []TokenRule
	// Authorization are its AuthorizationPolicies: CUSTOM, which come before the tokens, then AUDIT, DENY and ALLOW.
	Authorization []AttachedPolicy
	// PassedOver says why others do not apply.
	PassedOver []Step
}

// Custom are the policies that are asked before the tokens, and the rest, which are asked after them.
func (p ProxyPolicies) Custom() (before, after []AttachedPolicy) {
	n := slices.IndexFunc(p.Authorization, func(a AttachedPolicy) bool { return a.Action != customAction })
	if n < 0 {
		n = len(p.Authorization)
	}
	return p.Authorization[:n], p.Authorization[n:]
}

var customAction = apisecurity.AuthorizationPolicy_CUSTOM.String()

// TokenRule is one rule of a RequestAuthentication.
type TokenRule struct {
	Ref    Ref
	Issuer string
}

// AttachedPolicy is an AuthorizationPolicy that applies to a proxy.
type AttachedPolicy struct {
	Ref    Ref
	Action string
	// Provider is whom a CUSTOM policy asks.
	Provider string
	DryRun   bool
	// Rules are as Envoy has them; none for a policy that matches nothing.
	Rules []PolicyRule
}

// PolicyRule is one rule of an AuthorizationPolicy.
type PolicyRule struct {
	Ref Ref
	// Text is what the rule asks for, in a line.
	Text string
	// LeftOut says why istiod leaves the rule out; empty for one that is there.
	LeftOut string
}

// PoliciesAt returns the policies that apply to a workload's proxy, on a filter chain for TCP or for HTTP.
// They are those of [Snapshot.Authorize] and [Snapshot.RequestAuthentication], and in their order. For a captured workload
// they are those of its ztunnel, [Snapshot.AuthorizeAtZtunnel].
func (s *Snapshot) PoliciesAt(w *Workload, tcp bool) ProxyPolicies {
	if w.Dataplane == DataplaneAmbient {
		return s.policiesAtZtunnel(w)
	}
	var out ProxyPolicies
	custom, local := s.policiesOn(w, true), s.policiesOn(w, false)
	add := func(policies attachedPolicies) {
		for i, p := range slices.Concat(policies.enforced, policies.dryRun) {
			out.Authorization = append(out.Authorization, p.attachedAs(i >= len(policies.enforced), chainOf(tcp)))
		}
	}
	add(custom.byAction[apisecurity.AuthorizationPolicy_CUSTOM])
	for _, action := range []apisecurity.AuthorizationPolicy_Action{
		apisecurity.AuthorizationPolicy_AUDIT, apisecurity.AuthorizationPolicy_DENY, apisecurity.AuthorizationPolicy_ALLOW,
	} {
		add(local.byAction[action])
	}
	out.PassedOver = slices.Concat(custom.passedOver, local.passedOver)
	if tcp {
		return out // tokens are HTTP's
	}
	for _, r := range s.jwtRulesOf(w) {
		out.Tokens = append(out.Tokens, TokenRule{Ref: r.ref, Issuer: r.spec.GetIssuer()})
	}
	return out
}

func (s *Snapshot) policiesAtZtunnel(w *Workload) ProxyPolicies {
	on := s.ztunnelPolicies(w)
	out := ProxyPolicies{PassedOver: slices.Concat(on.passedOver, s.tokensAtZtunnel(s.policyTarget(w), ZtunnelConnection{}))}
	for _, action := range []apisecurity.AuthorizationPolicy_Action{apisecurity.AuthorizationPolicy_DENY, apisecurity.AuthorizationPolicy_ALLOW} {
		policies := on.byAction[action]
		for i, p := range slices.Concat(policies.enforced, policies.dryRun) {
			out.Authorization = append(out.Authorization, p.attachedAs(i >= len(policies.enforced), ztunnel))
		}
	}
	return out
}

func (p *authorizationPolicy) attachedAs(dryRun bool, at enforcer) AttachedPolicy {
	out := AttachedPolicy{Ref: p.ref, Action: p.spec.GetAction().String(), Provider: p.spec.GetProvider().GetName(), DryRun: dryRun}
	for _, r := range p.rulesAt(at) {
		rule := PolicyRule{Ref: r.ref, Text: r.describe()}
		if r.dropped != nil {
			rule.LeftOut = r.dropped.Reason()
		}
		out.Rules = append(out.Rules, rule)
	}
	return out
}

// describe is what the rule asks for: from one of its sources, to one of its operations, when all conditions hold.
func (r *authorizationRule) describe() string {
	var parts []string
	for _, side := range []struct {
		word  string
		group []alternative
	}{{"from ", r.from}, {"to ", r.to}} {
		var any []string
		for _, a := range side.group {
			any = append(any, describeClauses(a))
		}
		if len(any) > 0 {
			parts = append(parts, side.word+strings.Join(any, ", or "))
		}
	}
	if len(r.when) > 0 {
		parts = append(parts, "when "+describeClauses(r.when))
	}
	if fields := r.vanished(); len(fields) > 0 && r.dropped == nil {
		parts = append(parts, r.vanishedText(fields))
	}
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, "; ")
}

// describeClauses are clauses that must all hold.
func describeClauses(clauses []clause) string {
	if len(clauses) == 0 {
		return "anything"
	}
	parts := make([]string, 0, len(clauses))
	for _, c := range clauses {
		parts = append(parts, c.short+" "+strings.Join(c.values, ", "))
	}
	return strings.Join(parts, " and ")
}
