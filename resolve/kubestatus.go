package resolve

import (
	"cmp"
	"slices"
	"strconv"

	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// What istiod writes into the status of routes, listeners and backend policies, as far as a trace decides it.
//
//  1. A route has conditions for each of its parents that is Istio's; for others there is nothing.
//  2. Accepted: if one listener took it; else the reason of the listener that came closest.
//  3. ResolvedRefs: of several backends and filters that are not in order the last one is told; one that drops all
//     rules is told alone.
//  4. A listener: whether it lost a conflict, which kinds, protocols and certificates it has, and how many routes are attached.
//  5. A BackendTLSPolicy, for each of its targets: whether it counts, and its CA (backendtlspolicy.go).
//
// Source: pilot/pkg/config/kube/gateway/conditions.go, createRouteStatus; conversion.go, buildListener;
// backend_policies.go, BackendTLSPolicyCollection.

// KubeCondition is one condition, or the count attachedRoutes of a listener.
type KubeCondition struct {
	// Ref is spec.parentRefs[i] of a route, spec.listeners[i], or spec.targetRefs[i] of a policy.
	Ref Ref
	// Type is Accepted, ResolvedRefs, Conflicted or attachedRoutes.
	Type string
	// Reason is as Istio writes it; the number for attachedRoutes.
	Reason string
}

const attachedRoutes = "attachedRoutes"

// publishedReasons are the reasons of what is no match.
var publishedReasons = map[RuleID]string{
	RuleRouteNamespace: string(k8sgateway.RouteReasonNotAllowedByListeners), RuleRouteKind: string(k8sgateway.RouteReasonNotAllowedByListeners),
	RuleRouteOtherHostname: string(k8sgateway.RouteReasonNoMatchingListenerHostname),
	RuleRouteOtherPort:     string(k8sgateway.RouteReasonNoMatchingParent), RuleRouteOtherSection: string(k8sgateway.RouteReasonNoMatchingParent),
	RuleRouteNoParent: string(k8sgateway.RouteReasonNoMatchingParent),

	RuleBackendNotGranted: string(k8sgateway.RouteReasonRefNotPermitted), RuleBackendMissing: string(k8sgateway.RouteReasonBackendNotFound),
	RuleBackendKind: string(k8sgateway.RouteReasonInvalidKind), RuleBackendInference: string(k8sgateway.RouteReasonInvalidKind),
	RuleBackendInvalid: "InvalidDestination", RuleKubeRouteFilter: "InvalidFilter", RuleKubeRouteHeader: "InvalidFilter",
	RuleKubeRouteMatchType: "InvalidConfiguration",

	RuleBackendPolicyTarget: string(k8sgateway.PolicyReasonTargetNotFound), RuleBackendPolicyConflict: string(k8sgateway.PolicyReasonConflicted),
	RuleBackendPolicyIgnored: "IgnoredByIstio",
}

// KubeConditions are those of all routes, listeners and policies, ordered by object and field.
func (s *Snapshot) KubeConditions() []KubeCondition {
	ix := s.index.kube()
	var out []KubeCondition
	attached := map[Ref]int{}
	for _, r := range ix.routes {
		for i := range r.parents {
			out = append(out, r.conditions(i)...)
		}
		counted := map[Ref]bool{}
		for _, a := range r.attachments {
			if a.refused == nil && a.listener != nil && !counted[a.listener.ref] {
				counted[a.listener.ref] = true
				attached[a.listener.ref]++
			}
		}
	}
	for _, g := range ix.gateways {
		for _, l := range g.listeners {
			out = append(out, l.conditions(attached[l.ref])...)
		}
	}
	out = append(out, s.backendTLSPolicies().conditions...)
	slices.SortStableFunc(out, func(a, b KubeCondition) int { return CompareRefs(a.Ref, b.Ref) })
	return out
}

// conditions are steps 1 to 3.
func (r *kubeRoute) conditions(parent int) []KubeCondition {
	ours, mesh := false, false
	for _, a := range r.attachments {
		if a.index == parent && (a.listener != nil || a.mesh() && (a.refused == nil || a.refused.Rule != RuleRouteForeign)) {
			ours, mesh = true, a.mesh()
		}
	}
	if !ours {
		return nil
	}
	ref := r.ref.At(pathIndex("spec.parentRefs", parent))
	accepted, resolved := string(k8sgateway.RouteReasonAccepted), string(k8sgateway.RouteReasonResolvedRefs)
	if step, apart := r.notAttached(parent); apart {
		accepted = publishedReasons[step.Rule]
	}
	if reason := r.rules[mesh].unresolved; reason != "" {
		resolved = reason
	}
	return []KubeCondition{
		{ref, string(k8sgateway.RouteConditionAccepted), accepted},
		{ref, string(k8sgateway.RouteConditionResolvedRefs), resolved},
	}
}

// conditions are step 4.
func (l *kubeListener) conditions(routes int) []KubeCondition {
	resolved := cmp.Or(l.resolved, string(k8sgateway.ListenerReasonResolvedRefs))
	if allowed := l.spec.AllowedRoutes; allowed != nil && len(allowed.Kinds) > 0 && len(listenerKinds(l.spec)) != len(allowed.Kinds) {
		resolved = string(k8sgateway.ListenerReasonInvalidRouteKinds)
	}
	out := []KubeCondition{
		{l.ref, string(k8sgateway.ListenerConditionAccepted), cmp.Or(l.accepted, string(k8sgateway.ListenerReasonAccepted))},
		{l.ref, string(k8sgateway.ListenerConditionConflicted), cmp.Or(l.conflicted, string(k8sgateway.ListenerReasonNoConflicts))},
		{l.ref, attachedRoutes, strconv.Itoa(routes)},
	}
	if l.conflict && resolved == string(k8sgateway.ListenerReasonResolvedRefs) {
		return out // istiod then leaves ResolvedRefs out
	}
	return append(out, KubeCondition{l.ref, string(k8sgateway.ListenerConditionResolvedRefs), resolved})
}
