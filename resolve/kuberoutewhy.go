package resolve

import (
	"slices"
	"strings"

	"k8s.io/utils/ptr"
)

// Why a Gateway API route has no part in a table.

// Rules of routes that have no part.
const (
	RuleKubeRouteRefused   RuleID = "kuberoute/rules-dropped"
	RuleKubeRouteListener  RuleID = "kuberoute/other-listener"
	RuleKubeRouteElsewhere RuleID = "kuberoute/namespace-apart"
	RuleKubeRouteWildcard  RuleID = "kuberoute/wildcard-host"
	RuleKubeGatewayByVS    RuleID = "kubegateway/named-by-virtual-service"
)

var kubeRouteWhyRules = []Rule{
	{
		ID: RuleKubeRouteRefused, Stage: StageHost,
		Says:     "A rule that cannot be converted drops all rules of the route, for gateways and for the mesh apart; the route is Accepted all the same.",
		Template: "has no rule that counts, because of one: %s",
		Source:   "pilot/pkg/config/kube/gateway/route_collections.go, computeRoute",
	},
	{
		ID: RuleKubeRouteListener, Stage: StageHost,
		Says:     "A route is served by the listeners it attaches to.",
		Template: "takes the host, but is attached to %s; route configuration %s is made of %s",
		Source:   "pilot/pkg/config/kube/gateway/route_collections.go, HTTPRouteCollection",
	},
	{
		ID: RuleKubeRouteElsewhere, Stage: StageHost,
		Says:     "A route with a Service as parent is for clients of the route's own namespace, or for all if it is in the Service's namespace.",
		Template: "is of namespace %s, which is neither the client's (%s) nor the service's: it has no effect here",
		Source:   "pilot/pkg/networking/core/route/route.go, buildSidecarVirtualHostsForVirtualService",
	},
	{
		ID: RuleKubeRouteWildcard, Stage: StageHost,
		Says:     "Of a ServiceEntry that is a route's parent, hosts with a wildcard have no part in the route.",
		Template: "its parent's host %s is a wildcard, with which a route has no effect",
		Source:   "pilot/pkg/networking/core/route/route.go, separateVSHostsAndServices, buildSidecarVirtualHostsForVirtualService",
	},
	{
		ID: RuleKubeGatewayByVS, Stage: StageHost,
		Says:     "A VirtualService that names a Gateway of the Gateway API has no effect: istiod knows its listeners under other names.",
		Template: "names %s, a Gateway of the Gateway API: no VirtualService can be bound to it, only its own kinds of routes",
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

// routesApart tells of the routes that are for the host and bring nothing to the table: those with a parent that
// the table's workload serves, and, where no virtual host was found, those whose parent is no parent.
func (t *GatewayRouteTable) routesApart(hostname string, found bool) []Step {
	var steps []Step
	for _, r := range t.snapshot.index.kube().routesFor(hostname) {
		if r.ref.Kind != "HTTPRoute" && r.ref.Kind != "GRPCRoute" {
			continue
		}
		attached := false
		for i := range r.parents {
			served := t.serves(r.target(i))
			step, apart := t.nearestRefusal(r, i)
			if apart && (served || !found && step.Rule == RuleRouteNoParent) {
				steps = append(append(steps, t.barredListeners(r, i)...), step)
			}
			attached = attached || served && !apart
		}
		for _, a := range r.attachments {
			if a.refused != nil || !t.serves(a.target) {
				continue
			}
			steps = append(steps, a.steps...)
			for _, h := range r.hosts() {
				if step, apart := a.apart[h]; apart && HostSubsetOf(hostname, strings.ToLower(h)) {
					steps = append(steps, step)
				}
			}
		}
		if attached {
			steps = append(steps, r.dropped(false)...)
		}
		if r.defaulted && !found {
			step := NewStep(RuleKubeInertField, Skipped, r.ref.At("spec.useDefaultGateways"), "useDefaultGateways")
			step.Stage = StageHost
			steps = append(steps, step)
		}
	}
	return steps
}

// serves reports whether a Gateway, or that of a ListenerSet, is served by the table's workload.
func (t *GatewayRouteTable) serves(target Ref) bool {
	s := t.snapshot
	g := s.index.kube().gateways[s.gatewayOf(target)]
	return g != nil && s.servesGateway(t.workload, g)
}

// nearestRefusal is why a parentRef attaches to nothing: by a listener of this table, else by the one that comes closest.
func (t *GatewayRouteTable) nearestRefusal(r *kubeRoute, index int) (Step, bool) {
	step, apart := r.notAttached(index)
	if !apart {
		return step, false
	}
	if section := r.parents[index].SectionName; section != nil {
		for _, l := range t.snapshot.index.kube().listeners(r.target(index)) {
			if l.spec.Name == *section && l.server == nil && len(l.steps) > 0 {
				why := "has no listener " + string(*section) + ": " + lastOf(l.steps)
				return NewStep(RuleRouteNoParent, Skipped, step.Ref, r.target(index), why), true
			}
		}
	}
	for _, a := range r.attachments {
		own := slices.ContainsFunc(t.Servers, func(s *GatewayServer) bool { return s.Gateway.FullName() == a.gateway })
		if a.index == index && own {
			return *a.refused, true
		}
	}
	return step, true
}

// barredListeners tells why listeners of other ports that a parentRef means are none, or its ListenerSet is not
// accepted. Those of the table's own port have been told of.
func (t *GatewayRouteTable) barredListeners(r *kubeRoute, index int) []Step {
	s, target, parent := t.snapshot, r.target(index), r.parents[index]
	g := s.index.kube().gateways[s.gatewayOf(target)]
	if g == nil {
		return nil
	}
	var steps []Step
	for _, l := range g.listeners {
		if section := ptr.Deref(parent.SectionName, l.spec.Name); l.parent == target && l.server == nil && section == l.spec.Name && int(l.spec.Port) != t.Servers[0].Port() {
			steps = append(steps, l.steps...)
		}
	}
	return append(steps, s.listenerSetRefused(target, g)...)
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
	for _, p := range s.index.kube().byParent[svc.Ref] {
		if step, apart := p.route.notAttached(p.index); apart {
			steps = append(append(steps, p.route.notes(p.index)...), step)
		} else {
			steps = append(steps, p.route.dropped(true)...)
		}
	}
	return steps
}

// dropped tells why no rule of the route counts, for gateways or for the mesh; nothing if they do.
func (r *kubeRoute) dropped(mesh bool) []Step {
	refused := r.rules[mesh].refused
	if refused == nil {
		return nil
	}
	return []Step{*refused, NewStep(RuleKubeRouteRefused, Skipped, r.ref.At("spec.rules"), strings.TrimSuffix(refused.Reason(), allRulesDropped))}
}

// shownListener is the name of an internal Gateway as NAMESPACE/GATEWAY listener LISTENER, or that of its Ingress.
func shownListener(name string) string {
	if ingress, namespace, made := strings.Cut(name, "-"+ingressInfix+"-"); made {
		return "Ingress " + namespace + "/" + strings.TrimPrefix(ingress, ingressNamespace+"/")
	}
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

// notes are what else the attachments of a parentRef hang on.
func (r *kubeRoute) notes(index int) []Step {
	var steps []Step
	for _, a := range r.attachments {
		if a.index == index {
			steps = append(steps, a.steps...)
		}
	}
	return steps
}
