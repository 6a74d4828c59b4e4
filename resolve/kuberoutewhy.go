package resolve

import (
	"slices"
	"strings"
)

// Why a Gateway API route has no part in a table.

// Rules of routes that have no part.
const (
	RuleKubeRouteRefused   RuleID = "kuberoute/rules-dropped"
	RuleKubeRouteListener  RuleID = "kuberoute/other-listener"
	RuleKubeRouteElsewhere RuleID = "kuberoute/namespace-apart"
	RuleKubeGatewayByVS    RuleID = "kubegateway/named-by-virtual-service"
)

var kubeRouteWhyRules = []Rule{
	{
		ID: RuleKubeRouteRefused, Stage: StageHost,
		Says:     "A rule that cannot be converted drops all rules of the route, for gateways and for the mesh apart; the route is Accepted all the same.",
		Template: "none of its rules counts: %s",
		Source:   "pilot/pkg/config/kube/gateway/route_collections.go, computeRoute",
	},
	{
		ID: RuleKubeRouteListener, Stage: StageHost,
		Says:     "A route is served by the listeners it attaches to.",
		Template: "names the host, but is attached to %s; route configuration %s is made of %s",
		Source:   "pilot/pkg/config/kube/gateway/route_collections.go, HTTPRouteCollection",
	},
	{
		ID: RuleKubeRouteElsewhere, Stage: StageHost,
		Says:     "A route with a Service as parent is for clients of the route's own namespace, or for all if it is in the Service's namespace.",
		Template: "is of namespace %s, which is neither the client's (%s) nor the service's: it has no effect here",
		Source:   "pilot/pkg/networking/core/route/route.go, buildSidecarVirtualHostsForVirtualService",
	},
	{
		ID: RuleKubeGatewayByVS, Stage: StageHost,
		Says:     "A VirtualService that names a Gateway of the Gateway API has no effect: istiod knows its listeners under other names.",
		Template: "names %s, a Gateway of the Gateway API, to which no VirtualService can be bound",
		Source:   "pilot/pkg/config/kube/gateway/gateway_collection.go, GatewayCollection; pkg/config/gateway/kube/gatewayapi.go, InternalGatewayName",
	},
}

// reasons from the one that comes closest to attaching.
// Source: pilot/pkg/config/kube/gateway/conditions.go, createRouteStatus.
var refusalRank = map[RuleID]int{
	RuleRouteNamespace: 1, RuleRouteKind: 1, RuleRouteOtherHostname: 2, RuleRouteOtherPort: 3, RuleRouteOtherSection: 3,
	RuleRouteNoParent: 4, RuleRouteForeign: 4,
}

// notAttached is why a parentRef of the route attaches to nothing, by the listener that comes closest; nothing
// where it attaches to one.
func (r *kubeRoute) notAttached(index int) (Step, bool) {
	var nearest *Step
	for _, a := range r.attachments {
		switch {
		case a.index != index:
		case a.refused == nil:
			return Step{}, false
		case nearest == nil || refusalRank[a.refused.Rule] < refusalRank[nearest.Rule]:
			nearest = a.refused
		}
	}
	if nearest == nil {
		return Step{}, false
	}
	return *nearest, true
}

// takes reports whether the route is for the host.
func (r *kubeRoute) takes(host string) bool {
	return slices.ContainsFunc(r.hosts(), func(h string) bool { return HostSubsetOf(host, strings.ToLower(h)) })
}

// routesApart tells of the routes that are for the host, have a Gateway of the table as parent, and bring nothing to it.
func (t *GatewayRouteTable) routesApart(hostname string) []Step {
	var steps []Step
	parents := map[Ref]bool{}
	for _, s := range t.Servers {
		parents[s.Gateway.Ref] = true
	}
	for _, r := range t.snapshot.index.kube().routes {
		if !r.takes(hostname) {
			continue
		}
		for i := range r.parents {
			if step, apart := r.notAttached(i); apart && parents[r.target(i)] {
				steps = append(steps, step)
			}
		}
		attached := false
		for _, a := range r.attachments {
			if a.refused == nil && parents[a.target] {
				attached = true
				steps = append(steps, a.steps...)
			}
		}
		if refused := r.rules[false].refused; attached && refused != nil {
			steps = append(steps, *refused, NewStep(RuleKubeRouteRefused, Skipped, r.ref.At("spec.rules"), refused.Reason()))
		}
	}
	return steps
}

// target is the object that a parentRef names.
func (r *kubeRoute) target(index int) Ref {
	for _, a := range r.attachments {
		if a.index == index {
			return a.target
		}
	}
	return Ref{}
}

// routesWithParent tells of the routes that have the service as parent and bring nothing to the mesh.
func (s *Snapshot) routesWithParent(svc *Service) []Step {
	if svc == nil {
		return nil
	}
	var steps []Step
	for _, r := range s.index.kube().routes {
		for i := range r.parents {
			if target := r.target(i); target != svc.Ref {
				continue
			}
			if step, apart := r.notAttached(i); apart {
				steps = append(steps, step)
			} else if refused := r.rules[true].refused; refused != nil {
				steps = append(steps, *refused, NewStep(RuleKubeRouteRefused, Skipped, r.ref.At("spec.rules"), refused.Reason()))
			}
		}
	}
	return steps
}

// shownListener is the name of an internal Gateway as NAMESPACE/GATEWAY listener LISTENER.
func shownListener(name string) string {
	gateway, listener, made := strings.Cut(name, "~"+kubeGatewayInfix+"~")
	if !made {
		return name
	}
	return gateway + " listener " + listener
}

// shownGateways are the gateways of a VirtualService as users know them.
func shownGateways(names []string) []string {
	var out []string
	for _, name := range names {
		out = append(out, shownListener(name))
	}
	return out
}

// kubeGatewayNamed is the Gateway of the Gateway API that a VirtualService names.
func (s *Snapshot) kubeGatewayNamed(vs *VirtualService) (int, string) {
	for i, name := range vs.Gateways {
		namespace, gateway, _ := strings.Cut(name, "/")
		ref := Ref{Group: gatewayKind("").group, Kind: "Gateway", Namespace: namespace, Name: gateway}
		if s.index.kube().gateways[ref] != nil && s.gatewayNamed(name) == nil {
			return i, name
		}
	}
	return -1, ""
}
