package trace

import (
	"slices"
	"strconv"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// filters runs what stands before the router of a proxy, in Envoy's order: external
// authorization, tokens, then AUDIT, DENY and ALLOW policies. It reports whether the
// request goes on. request is nil on a TCP filter chain.
// Source: pilot/pkg/networking/core/listener_builder.go, buildHTTPConnectionManager.
func (w *walk) filters(p *path, proxy *resolve.Workload, c *resolve.Connection, request *resolve.HTTPRequest) bool {
	if w.survey != nil {
		w.surveyGuard(proxy, c.DestinationPort, request == nil)
		return true
	}
	w.asked.judged(p, proxy, c, request)
	p.extended.connection = c
	if !w.passes(p, resolve.BeforeCustom) || !w.askAuthorizers(p, proxy, c, request) || !w.passes(p, resolve.BeforeTokens) {
		return false
	}
	var before *resolve.HTTPRequest
	if request != nil {
		before = request.Clone()
		if !w.without(p, resolve.FilterJWT) && !w.authenticate(p, proxy, c, request) {
			return false
		}
	}
	return w.passes(p, resolve.BeforePolicies) && w.judge(p, proxy, c, request, before)
}

// askAuthorizers is what CUSTOM policies do; it reports whether the request goes on.
func (w *walk) askAuthorizers(p *path, proxy *resolve.Workload, c *resolve.Connection, request *resolve.HTTPRequest) bool {
	if w.withoutPolicies(p) {
		return true
	}
	custom := w.snapshot.AuthorizeCustom(proxy, c, request)
	if !w.authorized(p, custom, request) {
		return false
	}
	if w.without(p, resolve.FilterExtAuthz) {
		return true
	}
	for _, check := range custom.Custom {
		p.lower(Undetermined)
		p.suppose("the external authorizer of "+check.Rule.Object().String()+" allows it", refusedByAuthorizer(check, request))
	}
	return true
}

// withoutPolicies reports whether a patch took the filter of AuthorizationPolicies out, or off for the route.
func (w *walk) withoutPolicies(p *path) bool {
	_, taken := p.extended.filters.Without(resolve.FilterRBAC)
	_, off, _ := w.filterConfigs(p).Own(resolve.FilterRBAC)
	return taken || off
}

// judge is what AUDIT, DENY and ALLOW policies do; it reports whether the request goes on. before is the request as it was
// before tokens were looked at.
func (w *walk) judge(p *path, proxy *resolve.Workload, c *resolve.Connection, request, before *resolve.HTTPRequest) bool {
	if w.without(p, resolve.FilterRBAC) {
		return true
	}
	local := w.snapshot.AuthorizeLocal(proxy, c, request)
	if local.Decision == resolve.AccessDenied {
		local.Hint = w.policyHint(p, proxy, c, request, before, local)
	}
	return w.authorized(p, local, request)
}

// authenticate runs the RequestAuthentications of a proxy; it reports whether the request goes on.
func (w *walk) authenticate(p *path, proxy *resolve.Workload, c *resolve.Connection, request *resolve.HTTPRequest) bool {
	result := w.snapshot.RequestAuthentication(proxy, request)
	p.note(result.Steps...)
	if result.Status != 0 {
		o := Outcome{Decision: Denied, HTTPStatus: result.Status, ResponseCodeDetails: result.Details, Code: CodeJWTRejected, By: result.Rule}
		o.Hint = w.tokenHint(p, proxy, c, request)
		result.Carry(request)
		w.rejected(p, o, result.Steps)
		return false
	}
	if len(result.Consumed) > 0 {
		p.consumed = &consumed{place: result.Consumed[0], rule: result.Rule, before: request.Clone(), hop: len(p.hops)}
	}
	result.Carry(request)
	return true
}

// authorized ends the path where policies refuse; it reports whether the request goes on.
func (w *walk) authorized(p *path, result resolve.Authorization, request *resolve.HTTPRequest) bool {
	p.note(result.PassedOver...)
	p.note(result.Steps...)
	switch result.Decision {
	case resolve.AccessAllowed:
		return true
	case resolve.AccessUndetermined:
		p.lower(Undetermined)
		p.suppose(result.Policy.Object().String()+" lets it pass", refusedByPolicy(result, request))
		return true
	case resolve.AccessDenied:
		if !result.Undecided.IsZero() {
			first := resolve.Authorization{Policy: result.Undecided, EnvoyPolicy: result.UndecidedPolicy}
			p.suppose(result.Undecided.Object().String()+" does not deny before", refusedByPolicy(first, request))
		}
	}
	o := Outcome{Decision: Denied, ResponseCodeDetails: result.Details, By: result.Policy, Code: CodePolicyDeny, Hint: result.Hint}
	if result.EnvoyPolicy == resolve.NoPolicy {
		o.Code = CodePolicyNoAllow
	}
	switch {
	case request != nil:
		o.HTTPStatus = 403
	case p.routed:
		// HTTP over a TCP filter chain: the caller's own proxy sees the connection close.
		o.HTTPStatus = 503
	}
	w.rejected(p, o, result.Steps)
	return false
}

// refusedByAuthorizer is the end of a request that an external authorizer refuses. The
// status is the authorizer's own; 403 is what Envoy answers where it names none.
// Source: Envoy, ext_authz filter, "denied_response"; response flags UAEX.
func refusedByAuthorizer(check resolve.CustomCheck, request *resolve.HTTPRequest) Alternative {
	a := Alternative{
		Decision: Denied, ResponseFlags: "UAEX", ResponseCodeDetails: "ext_authz_denied", Code: CodeAuthorizerDenied, By: check.Rule,
	}
	who := "external authorizer " + strconv.Quote(check.Provider)
	if request != nil {
		a.HTTPStatus = 403
	}
	switch {
	case check.FailOpen:
		a.Reason = who + " refuses (one that cannot be reached lets it pass: failOpen)"
	case request != nil && check.StatusOnError != a.HTTPStatus:
		a.Reason = who + " refuses, or cannot be reached (then " + strconv.Itoa(check.StatusOnError) + " ext_authz_error: statusOnError)"
	default:
		a.Reason = who + " refuses, or cannot be reached (ext_authz_error)"
	}
	return a
}

// refusedByPolicy is the end of a request that a policy refuses which could not be decided.
func refusedByPolicy(result resolve.Authorization, request *resolve.HTTPRequest) Alternative {
	a, name := refused(result)
	if name != "" {
		a.ResponseCodeDetails = "rbac_access_denied_matched_policy[" + name + "]"
	}
	if request != nil {
		a.HTTPStatus = 403
	}
	return a
}

// refused is the end by a policy that could not be decided, with the name under which a log has that.
func refused(result resolve.Authorization) (Alternative, string) {
	a := Alternative{Decision: Denied, Code: CodePolicyDeny, By: result.Policy, Reason: result.Policy.Object().String() + " refuses"}
	if !result.OpenAllow {
		return a, result.EnvoyPolicy
	}
	a.Code, a.Reason = CodePolicyNoAllow, "no rule allows it"
	return a, resolve.NoPolicy
}

// keptOut are the rules of the clauses that keep a request out without being the refusal itself.
var keptOut = map[Code][]resolve.RuleID{
	CodePolicyDeny:    {resolve.RuleZtunnelWaypointPeer},
	CodePolicyNoAllow: {resolve.RuleZtunnelWaypointPeer},
	CodeJWTRejected: {
		resolve.RuleRequestAuthenticationIssuer, resolve.RuleRequestAuthenticationAudience,
		resolve.RuleRequestAuthenticationUndecoded, resolve.RuleRequestAuthenticationExpired,
	},
}

// rejected closes a path at a denial: the last denying step gives the reason. Where one
// clause of one rule alone kept the request out, that is told with it.
func (w *walk) rejected(p *path, o Outcome, steps []resolve.Step) {
	var missed []string
	for _, s := range steps {
		if s.Verdict == resolve.DeniedBy {
			o.Reason = s.Reason()
			if o.By.IsZero() {
				o.By = s.Ref
			}
		}
	}
	for _, s := range steps {
		if slices.Contains(keptOut[o.Code], s.Rule) {
			missed = append(missed, s.Reason())
		}
	}
	if len(missed) == 1 {
		o.Reason += "; " + missed[0]
	}
	w.end(p, o)
}
