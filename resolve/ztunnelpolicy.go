package resolve

import (
	"cmp"
	"net/netip"
	"slices"

	apisecurity "istio.io/api/security/v1beta1"
	typev1beta1 "istio.io/api/type/v1beta1"
)

// What the ztunnel of a captured workload enforces on the connections that the workload receives.
//
//  1. istiod sends AuthorizationPolicies of action ALLOW and DENY without targetRefs. CUSTOM and AUDIT it does not send, and dry-run
//     policies only where AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY is set.
//  2. Policies without a selector count in their namespace or, in the root namespace, everywhere. Those with a selector are attached
//     to the pods it selects, of their namespace or, in the root namespace, of all. A selector that is there and empty is attached
//     to nothing, and a pod without any label gets every policy that has a selector.
//  3. Their rules are those of ztunnelRules, and PeerAuthentications become DENY policies about plaintext (ztunnelMTLS).
//  4. A DENY policy that matches denies. Without an ALLOW policy the rest is allowed; with one, a rule that matches allows, and
//     else the connection is denied.
//  5. The peer is who sent HBONE: a waypoint, for what came through one. Plaintext has no peer.
//
// Source: pilot/pkg/serviceregistry/ambient/authorization.go, convertAuthorizationPolicy; workloads.go, buildWorkloadPolicies;
// ztunnel: src/state.rs, assert_rbac; src/state/policy.rs.

// ZtunnelConnection is what arrives at the ztunnel of the workload that receives.
type ZtunnelConnection struct {
	// Peer is the identity of who sent HBONE, without "spiffe://"; empty for plaintext.
	Peer string
	// SourceIP is the direct TCP peer, and DestinationIP and DestinationPort are the pod's; invalid, or 0, if not known.
	SourceIP, DestinationIP netip.Addr
	DestinationPort         int
	HBONE                   bool
	// Original is the identity of the client where Peer is that of a waypoint; empty otherwise.
	Original string
	// Request is what the connection is for, if that is HTTP. ztunnel does not see it: it tells which steps are Meant.
	Request *HTTPRequest
}

const (
	// ztunnelRejected is how ztunnel's access log begins to tell of a connection that policies refuse.
	// Source: ztunnel: src/proxy.rs, Error::AuthorizationPolicyRejection, AuthorizationRejectionError.
	ztunnelRejected   = "connection closed due to policy rejection: "
	ztunnelNotAllowed = ztunnelRejected + "allow policies exist, but none allowed"
	ztunnelDeniedBy   = ztunnelRejected + "explicitly denied by: "
)

// ZtunnelRejection is the error that ztunnel logs where a policy, NAMESPACE/NAME, denies a connection, or with NoPolicy none allows it.
func ZtunnelRejection(policy string) string {
	if policy == NoPolicy {
		return ztunnelNotAllowed
	}
	return ztunnelDeniedBy + policy
}

// AuthorizeAtZtunnel tells what the ztunnel of the workload that receives makes of a connection. A refusal by a PeerAuthentication has
// it as Policy, and as EnvoyPolicy the name of the policy that istiod makes of it.
func (s *Snapshot) AuthorizeAtZtunnel(server *Workload, c ZtunnelConnection) Authorization {
	a := s.authorizer(server, &Connection{
		Peer: c.Peer, SourceIP: c.SourceIP, DestinationIP: c.DestinationIP, DestinationPort: c.DestinationPort,
	}, nil)
	if c.HBONE {
		a.in.conn.TLS = TLSOpened
	}
	a.at, a.unseen = ztunnel, &c
	mtls := s.ztunnelMTLS(server, c.DestinationPort, c.HBONE)
	a.Gaps = mtls.Gaps
	on := s.ztunnelPolicies(server)
	a.PassedOver = append(a.relevant(on.passedOver), s.tokensAtZtunnel(a.target, c)...)
	deny, allow := on.byAction[apisecurity.AuthorizationPolicy_DENY], on.byAction[apisecurity.AuthorizationPolicy_ALLOW]
	switch {
	case a.deny(deny.enforced):
		if mtls.refuses && len(a.Hint) > 0 {
			a.Hint = append(a.Hint, mtls.permit()...)
		}
		a.hintBehindDeny(allow.enforced)
	case mtls.refuses:
		a.refuse(mtls.Ref, mtls.policy)
		a.Hint = mtls.permit()
		a.hintBehindDeny(allow.enforced)
	case s.feature(featureAllowWaypoint).on:
		a.allowWaypoints(s.waypointPeers(server), allow.enforced, len(deny.enforced) > 0)
	default:
		a.allow(allow.enforced, len(deny.enforced) > 0)
	}
	a.throughWaypoint(slices.Concat(deny.enforced, allow.enforced))
	a.dryRun(deny.dryRun, RuleAuthorizationDryRunDeny)
	a.dryRun(allow.dryRun, RuleAuthorizationDryRunAllow)
	if a.Decision != AccessDenied || a.EnvoyPolicy == NoPolicy {
		a.unreadable()
		a.Gaps = slices.Concat(mtls.Gaps, a.Gaps)
	}
	if a.Decision == AccessDenied {
		a.Details = ZtunnelRejection(a.EnvoyPolicy)
	}
	a.Steps = slices.Concat(mtls.Steps, a.PassedOver, a.Steps)
	a.PassedOver = nil
	return a.Authorization
}

// ztunnelPolicies are the AuthorizationPolicies that istiod gives ztunnel for a workload, in ztunnel's order: those of the namespace,
// of the mesh, and those with a selector.
func (s *Snapshot) ztunnelPolicies(w *Workload) policiesOn {
	return s.known(w).ztunnelPolicies.of(struct{}{}, func() policiesOn { return s.findZtunnelPolicies(w) })
}

func (s *Snapshot) findZtunnelPolicies(w *Workload) policiesOn {
	target := s.policyTarget(w)
	out := policiesOn{byAction: map[apisecurity.AuthorizationPolicy_Action]attachedPolicies{}, passedOver: s.hiddenAuthorizationPolicies(target)}
	var found []*authorizationPolicy
	for _, ns := range target.namespaces() {
		for _, p := range slices.Concat(s.index.policies().custom[ns], s.index.policies().authorization[ns]) {
			sent, steps := s.reachesZtunnel(target, p, w)
			out.passedOver = append(out.passedOver, steps...)
			if sent {
				found = append(found, p)
			}
			switch {
			case s.targets(p, w):
				out.passedOver = append(out.passedOver, s.waypointStatus(p)...)
			case sent || p.selector.selects(target.labels):
				out.passedOver = append(out.passedOver, s.ztunnelStatus(p)...)
			}
		}
	}
	slices.SortStableFunc(found, func(x, y *authorizationPolicy) int {
		return cmp.Or(cmp.Compare(x.scope(target), y.scope(target)), cmp.Compare(x.ref.QualifiedName(), y.ref.QualifiedName()))
	})
	for _, p := range found {
		out.add(p)
	}
	out.passedOver = slices.Clip(out.passedOver)
	return out
}

// ztunnelScope is where a policy counts, in the order in which ztunnel asks.
type ztunnelScope int

const (
	ztunnelNamespaceScope ztunnelScope = iota
	ztunnelMeshScope
	ztunnelSelectorScope
)

func (p *authorizationPolicy) scope(t policyTarget) ztunnelScope {
	switch {
	case p.spec.GetSelector() != nil:
		return ztunnelSelectorScope
	case p.ref.Namespace == t.rootNamespace:
		return ztunnelMeshScope
	}
	return ztunnelNamespaceScope
}

// reachesZtunnel reports whether ztunnel has a policy for the target, and the steps that say why not, or why all the same.
func (s *Snapshot) reachesZtunnel(t policyTarget, p *authorizationPolicy, w *Workload) (bool, []Step) {
	who := w.Owner.String()
	refs := targetRefsOf(p.spec)
	labels := p.spec.GetSelector().GetMatchLabels()
	switch {
	case len(refs) > 0:
		names, field := namesOf(p.spec)
		return false, []Step{NewStep(RuleZtunnelTargetRefs, Skipped, p.ref.At(field), names).meantFor(s.targets(p, w))}
	case p.spec.GetSelector() != nil && labels == nil:
		return false, []Step{NewStep(RuleZtunnelEmptySelector, Skipped, p.ref.At("spec.selector"), who).meantFor(true)}
	case !p.selector.selects(t.labels) && len(t.labels) > 0:
		expected, actual := p.selector.miss(t.labels)
		return false, []Step{NewStep(RuleAuthorizationOtherLabels, Skipped, p.ref.At("spec.selector.matchLabels"), expected, who).Unlike(expected, actual)}
	}
	switch {
	case p.dryRun && !s.feature(featureZtunnelDryRun).on:
		f := s.feature(featureZtunnelDryRun)
		return false, []Step{NewStep(RuleZtunnelDryRun, Skipped, p.ref.At("metadata.annotations[istio.io/dry-run]"), f.off())}
	case !p.forZtunnel():
		action := p.spec.GetAction()
		return false, []Step{NewStep(RuleZtunnelAction, Skipped, p.ref.At("spec.action"), action.String()).meantFor(action == apisecurity.AuthorizationPolicy_CUSTOM)}
	case !p.selector.selects(t.labels):
		return true, []Step{NewStep(RuleZtunnelNoLabels, Applied, p.ref.At("spec.selector.matchLabels"), who)}
	}
	return true, nil
}

// targets reports whether a policy is for a Service that selects the workload: its waypoint would enforce it.
func (s *Snapshot) targets(p *authorizationPolicy, w *Workload) bool {
	if p.ref.Namespace != w.Namespace {
		return false
	}
	names := map[string]bool{}
	for _, svc := range s.ServicesOf(w) {
		names[svc.Ref.Name] = svc.Registry == RegistryKubernetes
	}
	return slices.ContainsFunc(targetRefsOf(p.spec), func(r *typev1beta1.PolicyTargetReference) bool {
		return r.GetGroup() == "" && r.GetKind() == serviceKind.Kind && names[r.GetName()]
	})
}

// relevant are the steps of policies that ztunnel does not have. One of which no rule is about the request was not meant for it, nor
// one for a waypoint through which it came. ALLOW policies for a waypoint would not have held up what a rule of theirs allows, and
// all else they would.
func (a *authorizing) relevant(steps []Step) []Step {
	hangs := func(step Step) bool { return step.Meant && step.Rule != RuleZtunnelEmptySelector }
	if !slices.ContainsFunc(steps, hangs) {
		return steps
	}
	steps = slices.Clone(steps)
	allow, allowed := map[int]bool{}, false
	for i, step := range steps {
		if !hangs(step) {
			continue
		}
		p := a.snapshot.index.policies().named(step.Ref)
		if p == nil {
			continue
		}
		elsewhere := step.Rule == RuleZtunnelTargetRefs
		about := slices.ContainsFunc(p.rulesAt(ztunnel), a.concerns)
		if allow[i] = elsewhere && p.spec.GetAction() == apisecurity.AuthorizationPolicy_ALLOW; allow[i] {
			allowed = allowed || about
		}
		steps[i].Meant = about && (!elsewhere || a.unseen.Original == "")
	}
	for i := range steps {
		if allow[i] {
			steps[i].Meant = !allowed && a.unseen.Original == ""
		}
	}
	return steps
}

// named is the AuthorizationPolicy of which a field is meant; nil for none.
func (x *policyIndex) named(ref Ref) *authorizationPolicy {
	for _, p := range slices.Concat(x.custom[ref.Namespace], x.authorization[ref.Namespace]) {
		if p.ref == ref.Object() {
			return p
		}
	}
	return nil
}

// tokensAtZtunnel tells of RequestAuthentications that select the workload, of which ztunnel knows nothing.
func (s *Snapshot) tokensAtZtunnel(t policyTarget, c ZtunnelConnection) []Step {
	var steps []Step
	for _, ns := range t.namespaces() {
		for _, p := range s.index.policies().request[ns] {
			if len(targetRefsOf(p.spec)) == 0 && p.selector.selects(t.labels) {
				steps = append(steps, NewStep(RuleZtunnelTokens, Skipped, p.ref).meantFor(c.Request != nil))
			}
		}
	}
	return steps
}
