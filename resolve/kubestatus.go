package resolve

import (
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// What istiod writes into the status of routes, Gateways, ListenerSets and backend policies, as far as a trace decides it.
//
//  1. A route has conditions for each of its parents that is Istio's; for others there is nothing.
//  2. Accepted: if one listener took it; else the reason of the listener that came closest.
//  3. ResolvedRefs: of several backends and filters that are not in order the last one is told; one that drops all
//     rules is told alone.
//  4. A listener: whether it lost a conflict, which kinds, protocols and certificates it has, and how many routes are attached.
//     It is Programmed unless it lost a conflict or its TLS is not in order, even where its protocol is not supported.
//  5. A Gateway is Accepted unless no listener of its own is in order, an address is no Hostname where it needs to be, or its
//     parameters are of another kind than ConfigMap. A ListenerSet is so unless its Gateway does not take it, has such an
//     address, or no listener of the set is in order.
//  6. A BackendTLSPolicy, for each of its targets: whether it counts, and its CA (backendtlspolicy.go).
//
// Gateways of waypoints and of east-west gateways are left out; so is whether a Gateway is Programmed, which
// hangs on the addresses that a cloud gives.
//
// Source: pilot/pkg/config/kube/gateway/conditions.go, createRouteStatus; conversion.go, buildListener, reportGatewayStatus;
// backend_policies.go, BackendTLSPolicyCollection; pilot/pkg/config/kube/gatewaycommon/conversion.go,
// ReportListenerConflict, ReportListenerSetStatus.

// KubeCondition is one condition, or the count attachedRoutes of a listener.
type KubeCondition struct {
	// Ref is spec.parentRefs[i] of a route, spec.listeners[i], spec.targetRefs[i] of a policy, or a Gateway or ListenerSet.
	Ref Ref
	// Type is Accepted, ResolvedRefs, Programmed, Conflicted or attachedRoutes.
	Type string
	// Status is True or False; empty for attachedRoutes.
	Status metav1.ConditionStatus
	// Reason is as Istio writes it; the number for attachedRoutes.
	Reason string
}

// condition is one whose status follows from the reason: what has none of its own is fine.
func condition(ref Ref, kind, fine, reason string) KubeCondition {
	if reason == "" || reason == fine {
		return KubeCondition{ref, kind, metav1.ConditionTrue, fine}
	}
	return KubeCondition{ref, kind, metav1.ConditionFalse, reason}
}

const attachedRoutes = "attachedRoutes"

// publishedReasons are the reasons of what is no match.
var publishedReasons = map[RuleID]string{
	RuleRouteNamespace: string(k8sgateway.RouteReasonNotAllowedByListeners), RuleRouteKind: string(k8sgateway.RouteReasonNotAllowedByListeners),
	RuleRouteOtherHostname: string(k8sgateway.RouteReasonNoMatchingListenerHostname),
	RuleRouteOtherPort:     string(k8sgateway.RouteReasonNoMatchingParent), RuleRouteOtherSection: string(k8sgateway.RouteReasonNoMatchingParent),
	RuleRouteNoParent: string(k8sgateway.RouteReasonNoMatchingParent),

	RuleBackendNotGranted: string(k8sgateway.RouteReasonRefNotPermitted), RuleBackendMissing: string(k8sgateway.RouteReasonBackendNotFound),
	RuleBackendElsewhere: string(k8sgateway.RouteReasonBackendNotFound),
	RuleBackendKind:      string(k8sgateway.RouteReasonInvalidKind), RuleBackendInference: string(k8sgateway.RouteReasonInvalidKind),
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
		out = append(out, g.conditions()...)
		for _, l := range g.listeners {
			out = append(out, l.conditions()...)
			out = append(out, KubeCondition{Ref: l.ref, Type: attachedRoutes, Reason: strconv.Itoa(attached[l.ref])})
		}
	}
	out = append(out, s.backendTLSPolicies().conditions...)
	for _, o := range s.ListenerSets {
		out = append(out, s.listenerSetConditions(o)...)
	}
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
	accepted := ""
	if step, apart := r.notAttached(parent); apart {
		accepted = publishedReasons[step.Rule]
	}
	return []KubeCondition{
		condition(ref, string(k8sgateway.RouteConditionAccepted), string(k8sgateway.RouteReasonAccepted), accepted),
		condition(ref, string(k8sgateway.RouteConditionResolvedRefs), string(k8sgateway.RouteReasonResolvedRefs), r.rules[mesh].unresolved),
	}
}

// conditions are step 4.
func (l *kubeListener) conditions() []KubeCondition {
	if l.gateway.class.Controller != controllerGateway {
		return nil
	}
	resolved, programmed := l.resolved, ""
	switch {
	case l.conflict:
		programmed = l.conflicted
	case l.resolved != "" || l.server == nil && l.parent.Kind == "ListenerSet":
		programmed = string(k8sgateway.ListenerReasonInvalid)
	}
	if allowed := l.spec.AllowedRoutes; allowed != nil && len(allowed.Kinds) > 0 && len(listenerKinds(l.spec)) != len(allowed.Kinds) {
		resolved = string(k8sgateway.ListenerReasonInvalidRouteKinds)
	}
	conflicted := KubeCondition{l.ref, string(k8sgateway.ListenerConditionConflicted), metav1.ConditionFalse, string(k8sgateway.ListenerReasonNoConflicts)}
	if l.conflict {
		conflicted.Status, conflicted.Reason = metav1.ConditionTrue, l.conflicted
	}
	out := []KubeCondition{
		condition(l.ref, string(k8sgateway.ListenerConditionAccepted), string(k8sgateway.ListenerReasonAccepted), l.accepted),
		conflicted,
		condition(l.ref, string(k8sgateway.ListenerConditionProgrammed), string(k8sgateway.ListenerReasonProgrammed), programmed),
	}
	if l.conflict && resolved == "" {
		return out // istiod then leaves ResolvedRefs out
	}
	return append(out, condition(l.ref, string(k8sgateway.ListenerConditionResolvedRefs), string(k8sgateway.ListenerReasonResolvedRefs), resolved))
}

// valid reports whether istiod counts the listener as one in order.
func (l *kubeListener) valid() bool { return l.accepted == "" && l.resolved == "" }

// conditions are step 5 for a Gateway.
func (g *kubeGateway) conditions() []KubeCondition {
	fine, reason := string(k8sgateway.GatewayReasonAccepted), ""
	kind := string(k8sgateway.GatewayConditionAccepted)
	switch g.class.Controller {
	case controllerRemote:
		return []KubeCondition{condition(g.ref, kind, fine, "")}
	case controllerGateway:
	default:
		return nil
	}
	inOrder := 0
	for _, l := range g.listeners {
		if l.parent == g.ref && l.valid() {
			inOrder++
		}
	}
	switch infra := g.object.Spec.Infrastructure; {
	case g.addressRefused() != "":
		reason = g.addressRefused()
	case infra != nil && infra.ParametersRef != nil && (infra.ParametersRef.Kind != "ConfigMap" || infra.ParametersRef.Group != ""):
		reason = string(k8sgateway.GatewayReasonInvalidParameters)
	case infra != nil && infra.ParametersRef != nil:
		return nil // whether the ConfigMap exists decides
	case len(g.object.Spec.Listeners) > 0 && inOrder == 0:
		reason = string(k8sgateway.GatewayReasonListenersNotValid)
	case inOrder < len(g.object.Spec.Listeners):
		return []KubeCondition{{g.ref, kind, metav1.ConditionTrue, string(k8sgateway.GatewayReasonListenersNotValid)}}
	}
	return []KubeCondition{condition(g.ref, kind, fine, reason)}
}

// addressRefused is the reason why the addresses are not in order; empty if they are.
func (g *kubeGateway) addressRefused() string {
	if g.managed {
		return ""
	}
	if slices.ContainsFunc(g.steps, func(step Step) bool { return step.Rule == RuleKubeGatewayAddress }) {
		return string(k8sgateway.GatewayReasonUnsupportedAddress)
	}
	if _, set := g.object.Annotations["networking.istio.io/service-type"]; set {
		return "DeprecatedField"
	}
	return ""
}

// listenerSetConditions are step 5 for a ListenerSet.
func (s *Snapshot) listenerSetConditions(o *k8sgateway.ListenerSet) []KubeCondition {
	g := s.index.kube().gateways[listenerSetParent(o)]
	if g == nil || g.class.Controller == "" {
		return nil
	}
	ref, reason := refOf(k8sgateway.GroupName, "ListenerSet", o), ""
	inOrder := slices.ContainsFunc(g.listeners, func(l *kubeListener) bool { return l.parent == ref && l.valid() })
	switch {
	case len(s.listenerSetRefused(ref, g)) > 0:
		reason = string(k8sgateway.ListenerSetReasonNotAllowed)
	case g.addressRefused() != "":
		reason = g.addressRefused()
	case !inOrder:
		reason = string(k8sgateway.ListenerSetReasonListenersNotValid)
	}
	return []KubeCondition{condition(ref, string(k8sgateway.ListenerSetConditionAccepted), string(k8sgateway.ListenerSetReasonAccepted), reason)}
}
