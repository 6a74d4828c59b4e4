package resolve

import (
	"cmp"
	"slices"
	"strings"

	apisecurity "istio.io/api/security/v1beta1"
)

// Access is the answer of authorization. It is a closed list.
type Access string

// The answers.
const (
	AccessAllowed Access = "allowed"
	AccessDenied  Access = "denied"
	// AccessUndetermined hangs on something the snapshot does not tell.
	AccessUndetermined Access = "undetermined"
)

// Authorization is what the AuthorizationPolicies of a proxy make of a request or connection.
type Authorization struct {
	Decision Access
	// Policy is the policy and rule that decided (spec.rules[0]); for a denial
	// because no ALLOW rule matches, the first ALLOW policy that applies. Zero where no policy did.
	Policy Ref
	// EnvoyPolicy is the rule's name in Envoy: ns[foo]-policy[bar]-rule[0], or
	// "none" where ALLOW policies apply and no rule matches; empty if allowed without a rule.
	// ztunnel has no names for rules: there it is that of the policy, foo/bar.
	EnvoyPolicy string
	// Details are the response code details of a denial; at ztunnel, the error in its access log.
	Details string
	// Undecided is a rule that would refuse before Policy does, were it known to match, and UndecidedPolicy its
	// name in Envoy; zero where none is open. The request is denied either way.
	Undecided       Ref
	UndecidedPolicy string
	// OpenAllow is set where what is open is whether the rule of Policy allows: if it does not, none does.
	OpenAllow bool
	// Custom are the CUSTOM rules that match: their external authorizer is asked and may refuse.
	Custom []CustomCheck
	// PassedOver are the steps of policies that do not apply to the proxy. They come before Steps; Authorize
	// has them among these.
	PassedOver []Step
	Steps      []Step
	// Gaps are what could not be read and might change the answer.
	Gaps []Gap
	// Hint are the fewest changes that together would turn a denial; empty where none is known.
	Hint []Change
}

// Authorize tells what the AuthorizationPolicies that apply to the workload's
// proxy make of a connection and, where q is not nil, of an HTTP request on it;
// q.Path is normalized and q.Token holds the claims after JWT authentication.
//
//  1. CUSTOM policies come first, before JWT authentication (AuthorizeCustom).
//  2. AUDIT policies only mark the request.
//  3. A DENY rule that matches denies.
//  4. Without an ALLOW policy the rest is allowed.
//  5. With one, a rule that matches allows.
//  6. Else the request is denied.
//
// Policies of the root namespace and of the workload's count alike. Dry-run
// policies are evaluated beside, and decide nothing.
//
// Source: pilot/pkg/security/authz/builder/builder.go, build;
// pilot/pkg/networking/core/listener_builder.go, buildHTTPConnectionManager;
// pilot/pkg/model/authorization.go, ListAuthorizationPolicies.
func (s *Snapshot) Authorize(w *Workload, c *Connection, q *HTTPRequest) Authorization {
	custom := s.AuthorizeCustom(w, c, q)
	if custom.Decision == AccessDenied {
		custom.Steps, custom.PassedOver = slices.Concat(custom.PassedOver, custom.Steps), nil
		return custom
	}
	a := s.AuthorizeLocal(w, c, q)
	a.Custom = custom.Custom
	a.Steps = slices.Concat(custom.PassedOver, custom.Steps, a.PassedOver, a.Steps)
	a.PassedOver = nil
	a.Gaps = append(custom.Gaps, a.Gaps...)
	if a.Decision == AccessAllowed && custom.Decision == AccessUndetermined {
		a.Decision, a.Policy, a.EnvoyPolicy = AccessUndetermined, custom.Policy, custom.EnvoyPolicy
	}
	return a
}

// AuthorizeLocal is Authorize without CUSTOM policies: what the proxy decides
// by itself, after JWT authentication.
func (s *Snapshot) AuthorizeLocal(w *Workload, c *Connection, q *HTTPRequest) Authorization {
	a := s.authorizer(w, c, q)
	if q != nil {
		a.in.token = q.Token
	}
	if len(s.jwtRulesOf(w)) == 0 {
		a.in.noToken = noTokenRule
	}
	on := s.policiesOn(w, false)
	policies := on.byAction
	a.PassedOver = on.passedOver
	a.audit(policies[apisecurity.AuthorizationPolicy_AUDIT])
	deny, allow := policies[apisecurity.AuthorizationPolicy_DENY], policies[apisecurity.AuthorizationPolicy_ALLOW]
	if a.deny(deny.enforced) {
		a.hintBehindDeny(allow.enforced)
	} else {
		a.allow(allow.enforced, len(deny.enforced) > 0)
	}
	a.dryRun(deny.dryRun, RuleAuthorizationDryRunDeny)
	a.dryRun(allow.dryRun, RuleAuthorizationDryRunAllow)
	// What could not be read may deny what is allowed here, or allow what no rule
	// allows; it takes nothing from a rule that denies.
	if a.Decision != AccessDenied || a.EnvoyPolicy == NoPolicy {
		a.unreadable()
	}
	return a.Authorization
}

// NoPolicy is what Envoy reports where no ALLOW rule matched.
const NoPolicy = "none"

// authorizing is one evaluation.
type authorizing struct {
	Authorization
	snapshot *Snapshot
	target   policyTarget
	who      string
	at       enforcer
	in       policyInput
	// unseen is what ztunnel does not see of a connection; nil at an Envoy.
	unseen *ZtunnelConnection
	// custom are the CUSTOM policies of the proxy.
	custom []*authorizationPolicy
	// undecided is set where a DENY rule could not be decided.
	undecided Ref
	// undecidedName is its name in Envoy.
	undecidedName string
}

func (s *Snapshot) authorizer(w *Workload, c *Connection, q *HTTPRequest) *authorizing {
	a := &authorizing{
		snapshot: s, target: s.policyTarget(w), who: w.Owner.String(), at: chainOf(q == nil),
		in: policyInput{q: q},
	}
	if c != nil {
		a.in.conn = *c
	}
	a.Decision = AccessAllowed
	return a
}

// unreadable records the gaps that may hide policies; the decision is open where there are any.
func (a *authorizing) unreadable() {
	a.Gaps = a.snapshot.GapsOf(authorizationPolicyKind, a.target.namespaces()...)
	if len(a.Gaps) == 0 {
		return
	}
	a.Decision, a.Details = AccessUndetermined, ""
	for _, g := range a.Gaps {
		a.Steps = append(a.Steps, NewStep(RuleAuthorizationUnreadable, Warned, g.ref(), string(g.Reason)))
	}
}

// audit tells which AUDIT rules mark the request.
func (a *authorizing) audit(policies attachedPolicies) {
	a.withoutRules(policies.enforced)
	for _, r := range a.evaluate(policies.enforced) {
		if r.truth == True {
			a.Steps = append(a.Steps, NewStep(RuleAuthorizationAudit, Applied, r.ref, r.matchedText(&a.in)))
		} else {
			a.missed(RuleAuthorizationMissed, r)
		}
	}
}

// deny evaluates the DENY policies and reports whether they denied.
func (a *authorizing) deny(policies []*authorizationPolicy) bool {
	a.withoutRules(policies)
	rules := a.evaluate(policies)
	if i := slices.IndexFunc(rules, func(r evaluated) bool { return r.truth == True }); i >= 0 {
		r := rules[i]
		a.undecide(rules[:i])
		a.refuse(r.ref, r.name)
		a.Hint = a.denyHint(rules)
		a.split(r)
		a.Steps = append(a.Steps, NewStep(RuleAuthorizationDeny, DeniedBy, r.ref, r.matchedText(&a.in)))
		return true
	}
	a.undecide(rules)
	served := a.pathAsServed()
	for _, r := range rules {
		a.missed(RuleAuthorizationMissed, r)
		if served != nil && r.truth == False && r.evaluate(served).truth == True {
			a.Steps = append(a.Steps, NewStep(RuleAuthorizationPathAsSent, Skipped, r.ref, served.q.Path, a.in.q.Path).meantFor(true))
		}
	}
	return false
}

// pathAsServed is the request with its path as a server may read it, which is in more ways than the proxy does; nil where that is
// the path as it is.
func (a *authorizing) pathAsServed() *policyInput {
	if a.in.q == nil {
		return nil
	}
	path := NormalizePath(a.in.q.Path, RequestCleaning{normalize: true, mergeSlashes: true, slashes: slashesDecoded})
	if path == a.in.q.Path {
		return nil
	}
	in, q := a.in, *a.in.q
	q.Path, in.q = path, &q
	return &in
}

// undecide keeps the first rule that cannot be decided.
func (a *authorizing) undecide(rules []evaluated) {
	for _, r := range rules {
		if r.truth == Unknown && a.undecided.IsZero() {
			a.undecided, a.undecidedName = r.ref, r.name
		}
	}
}

// allow evaluates the ALLOW policies after no DENY rule matched.
func (a *authorizing) allow(policies []*authorizationPolicy, denyApplies bool) {
	if !a.undecided.IsZero() {
		a.Decision, a.Policy, a.EnvoyPolicy = AccessUndetermined, a.undecided, a.undecidedName
	}
	if len(policies) == 0 {
		if denyApplies && a.undecided.IsZero() {
			a.Steps = append(a.Steps, NewStep(RuleAuthorizationNoAllowPolicy, None, Ref{}, a.who))
		} else if a.undecided.IsZero() {
			a.Steps = append(a.Steps, NewStep(RuleAuthorizationNone, None, Ref{}, a.who))
		}
		return
	}
	rules := a.evaluate(policies)
	for _, r := range rules {
		if len(r.from) == 0 && len(r.to) > 0 {
			a.Steps = append(a.Steps, NewStep(RuleAuthorizationAnySource, Applied, r.ref))
		}
	}
	if i := slices.IndexFunc(rules, func(r evaluated) bool { return r.truth == True }); i >= 0 {
		for j, r := range rules {
			if j != i && r.truth != True {
				a.missed(RuleAuthorizationMissed, r)
			}
		}
		r := rules[i]
		if a.Decision == AccessAllowed {
			a.Policy, a.EnvoyPolicy = r.ref, r.name
		}
		a.split(r)
		a.Steps = append(a.Steps, NewStep(RuleAuthorizationAllow, Allowed, r.ref, r.matchedText(&a.in)))
		return
	}
	a.notAllowed(policies, rules)
}

// notAllowed is the end where ALLOW policies apply and no rule of theirs is sure to match.
func (a *authorizing) notAllowed(policies []*authorizationPolicy, rules []evaluated) {
	undecided := -1
	for i, r := range rules {
		a.missed(RuleAuthorizationAllowMissed, r)
		if r.truth == Unknown && undecided < 0 {
			undecided = i
		}
	}
	names := make([]string, 0, len(policies))
	for _, p := range policies {
		names = append(names, p.ref.QualifiedName())
		if len(p.spec.GetRules()) == 0 {
			a.Steps = append(a.Steps, NewStep(RuleAuthorizationAllowNothing, Skipped, p.ref.At("spec")))
		}
	}
	if undecided >= 0 {
		if a.undecided.IsZero() {
			a.Decision, a.Policy, a.EnvoyPolicy = AccessUndetermined, rules[undecided].ref, rules[undecided].name
			a.OpenAllow = true
		}
		return
	}
	first := slices.MinFunc(policies, func(x, y *authorizationPolicy) int {
		return cmp.Compare(envoyPolicyName(x.ref, 0), envoyPolicyName(y.ref, 0))
	})
	field := "spec.rules"
	if len(first.spec.GetRules()) == 0 {
		field = "spec"
	}
	// Whether an undecided DENY rule matches or not, the request is denied.
	a.refuse(first.ref.At(field), NoPolicy)
	a.Hint = a.allowHint(rules, first.ref)
	a.Steps = append(a.Steps, NewStep(RuleAuthorizationNoAllowMatched, DeniedBy, a.Policy, a.who, strings.Join(names, ", "), a.nearestText(policies, rules)))
}

// refuse records the denial by a rule.
func (a *authorizing) refuse(policy Ref, name string) {
	a.Decision, a.Policy, a.EnvoyPolicy = AccessDenied, policy, name
	a.Details = "rbac_access_denied_matched_policy[" + name + "]"
	a.Undecided, a.UndecidedPolicy = a.undecided, a.undecidedName
}

// dryRun tells what dry-run policies of one action would have done.
func (a *authorizing) dryRun(policies []*authorizationPolicy, rule RuleID) {
	if len(policies) == 0 {
		return
	}
	rules := a.evaluate(policies)
	if i := slices.IndexFunc(rules, func(r evaluated) bool { return r.truth == True }); i >= 0 {
		a.Steps = append(a.Steps, NewStep(rule, Applied, rules[i].ref, rules[i].matchedText(&a.in)).meantFor(rule == RuleAuthorizationDryRunDeny))
		return
	}
	for _, r := range rules {
		a.missed(RuleAuthorizationMissed, r)
	}
	a.Steps = append(a.Steps, NewStep(RuleAuthorizationDryRunNone, None, policies[0].ref, policies[0].spec.GetAction().String()).meantFor(rule == RuleAuthorizationDryRunAllow))
}
