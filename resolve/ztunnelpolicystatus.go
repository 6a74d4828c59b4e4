package resolve

import (
	"slices"

	apisecurity "istio.io/api/security/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The condition ZtunnelAccepted, which istiod writes into the status of AuthorizationPolicies in an ambient mesh (AMBIENT_ENABLE_STATUS).
//
//  1. A dry-run policy, where istiod gives ztunnel none, is False (UnsupportedValue).
//  2. A policy with targetRefs has no such condition. It has WaypointAccepted instead.
//  3. One of action CUSTOM or AUDIT is False (UnsupportedValue).
//  4. One with a field that needs HTTP, in any rule, is True (UnsupportedValue): what is left of it is enforced.
//  5. Any other is True (Accepted). That it is attached to a workload is not looked at.
//
// Source: pilot/pkg/serviceregistry/ambient/authorization.go, convertAuthorizationPolicy; pilot/pkg/model/service.go,
// WorkloadAuthorization.GetConditions.

const (
	conditionZtunnelAccepted = "ZtunnelAccepted"
	reasonUnsupportedValue   = "UnsupportedValue"
	reasonAccepted           = "Accepted"
)

// ZtunnelConditions are those of all AuthorizationPolicies, ordered by object.
func (s *Snapshot) ZtunnelConditions() []KubeCondition {
	var out []KubeCondition
	for _, policies := range []map[string][]*authorizationPolicy{s.index.policies().authorization, s.index.policies().custom} {
		for _, in := range policies {
			for _, p := range in {
				out = append(out, s.ztunnelConditions(p)...)
			}
		}
	}
	slices.SortFunc(out, func(a, b KubeCondition) int { return CompareRefs(a.Ref, b.Ref) })
	return out
}

// ztunnelConditions are those of one AuthorizationPolicy: one, or none.
func (s *Snapshot) ztunnelConditions(p *authorizationPolicy) []KubeCondition {
	c := KubeCondition{p.ref, conditionZtunnelAccepted, metav1.ConditionTrue, reasonAccepted}
	switch {
	case p.dryRun && !s.feature(featureZtunnelDryRun).on:
		c.Status, c.Reason = metav1.ConditionFalse, reasonUnsupportedValue
	case len(targetRefsOf(p.spec)) > 0:
		return nil
	case !p.forZtunnel():
		c.Status, c.Reason = metav1.ConditionFalse, reasonUnsupportedValue
	case !p.fitsZtunnel():
		c.Reason = reasonUnsupportedValue
	}
	return []KubeCondition{c}
}

// forZtunnel reports whether ztunnel has the action of the policy.
func (p *authorizationPolicy) forZtunnel() bool {
	action := p.spec.GetAction()
	return action == apisecurity.AuthorizationPolicy_ALLOW || action == apisecurity.AuthorizationPolicy_DENY
}

// fitsZtunnel reports whether ztunnel can enforce all of the policy: it needs no waypoint.
func (p *authorizationPolicy) fitsZtunnel() bool {
	return p.forZtunnel() && !slices.ContainsFunc(p.rulesAt(ztunnel), func(r *authorizationRule) bool { return r.http })
}

// ztunnelStatus holds the status of an AuthorizationPolicy against the condition.
func (s *Snapshot) ztunnelStatus(p *authorizationPolicy) []Step {
	said := published{
		about: p.ref, at: p.ref.At("status.conditions"), generation: p.generation,
		conditions: conditionsOf(kubeConditions(p.status), conditionZtunnelAccepted),
	}
	// istiod may be told to write none (AMBIENT_ENABLE_STATUS): that there is nothing says nothing.
	if ours := s.ztunnelConditions(p); len(ours) > 0 && len(said.conditions) > 0 {
		return said.compare(StageAuthorizationPolicy, ours)
	}
	return nil
}
