package resolve

import (
	"fmt"
	"slices"
	"strings"
)

// ExplainHost says how the virtual host was found: which VirtualService owns the
// host, and for every other one that names it why it does not count.
func (t *RouteTable) ExplainHost(hostname string, vh *VirtualHost) []Step {
	var steps []Step
	target := hostname
	switch {
	case vh == nil:
	case vh.Service != nil:
		target = vh.Service.Hostname
	default:
		target = strings.TrimSuffix(vh.Name, fmt.Sprintf(":%d", t.Port))
	}
	var owner *VirtualService
	if vh != nil && len(vh.Routes) > 0 {
		owner = vh.Routes[0].VirtualService
	}
	for _, vs := range t.scope.snapshot.shortNameElsewhere(target) {
		short, _, _ := strings.Cut(target, ".")
		steps = append(steps, NewStep(RuleHostShortName, Skipped, vs.At("spec.hosts"), short, ExpandHost(short, vs.Ref.Namespace, t.scope.snapshot.Mesh.Domain), target).
			meantFor(owner == nil))
	}
	names := append([]string{target, hostname}, t.aliasesCalled(vh, hostname)...)
	for _, vs := range t.scope.snapshot.virtualServicesOverlapping(names...) {
		if vs == owner {
			steps = append(steps, NewStep(RuleHostVirtualService, Matched, vs.At(hostField(vs, target)), target, t.Port))
			if t.Egress.proxies() && vh != nil && vh.Service != nil {
				steps = append(steps, NewStep(RuleHostProxyService, Applied, vh.Service.Ref, vs.Ref))
			}
			if f := t.fates[vs]; f != nil {
				steps = append(steps, f.steps...)
			}
			continue
		}
		i := slices.IndexFunc(names, func(name string) bool { return overlappingHost(vs, name) != "" })
		name := names[max(i, 0)]
		for _, s := range t.whyNot(vs, owner, name) {
			// One that another VirtualService stands in for was meant for other callers.
			steps = append(steps, s.meantFor(slices.Contains(lowerHosts(vs), name) && (owner == nil || s.Rule == RuleHostOlderOwns)))
		}
	}
	if vh != nil {
		steps = append(steps, t.scope.snapshot.routesWithParent(vh.Service)...)
	}
	switch {
	case vh == nil:
		steps = append(steps, NewStep(RuleHostUnknown, None, Ref{}, t.Name, hostname, t.portHint(hostname)))
	case t.Single != nil && owner == nil:
		steps = append(steps, NewStep(RuleHostSniffed, Matched, vh.Service.Ref, vh.Service.Hostname, hostname))
	case owner == nil:
		steps = append(steps, NewStep(RuleHostServiceDefault, Matched, vh.Service.Ref, vh.Service.Hostname))
	}
	return steps
}

// aliasesCalled are the ExternalName services of a virtual host that the Host could be written for.
func (t *RouteTable) aliasesCalled(vh *VirtualHost, hostname string) []string {
	if vh == nil || vh.Service == nil {
		return nil
	}
	var out []string
	for _, a := range vh.Service.Aliases {
		if slices.Contains(shortForms(a.Hostname, t.scope.Namespace, t.scope.snapshot.Mesh.Domain), hostname) {
			out = append(out, a.Hostname)
		}
	}
	return out
}

// whyNot says why a VirtualService that names the host has no say in it.
func (t *RouteTable) whyNot(vs, owner *VirtualService, target string) []Step {
	sc := t.scope
	f := t.fates[vs]
	host := overlappingHost(vs, target)
	best := t.Egress.bestVirtualService[target]
	skip := func(rule RuleID, field string, args ...any) []Step {
		return []Step{NewStep(rule, Skipped, vs.At(field), args...)}
	}
	switch {
	case !slices.Contains(vs.Gateways, "mesh"):
		return skip(RuleHostNotMesh, "spec.gateways", joinLimited(shownGateways(vs.Gateways), 3))
	case !vs.ExportTo.VisibleIn(sc.Namespace):
		return skip(RuleHostNotExported, "spec.exportTo", sc.Namespace)
	case !slices.Contains(t.Egress.VirtualServices, vs):
		return []Step{NewStep(RuleHostNotImported, Skipped, vs.Ref, sc.Ref.QualifiedName(), vs.Ref.Namespace)}
	case vs.Semantics == SemanticsGateway && IsWildcardHost(host):
		return skip(RuleKubeRouteWildcard, "spec.gateways", host)
	case vs.Semantics == SemanticsGateway && f != nil && len(f.routes) > 0 && len(f.owns)+len(f.lost) == 0:
		return skip(RuleKubeRouteElsewhere, "spec.gateways", vs.Ref.Namespace, sc.Namespace)
	case f == nil:
		return skip(RuleHostOtherPort, hostField(vs, target), host, t.Port)
	case len(f.routes) == 0:
		return append(slices.Clone(f.steps), skip(RuleHostNoRoutes, "spec.http", t.Port)...)
	case owner != nil && slices.Contains(f.lost, target):
		return skip(RuleHostOlderOwns, hostField(vs, target), target, owner.Ref.Object(), orderOf(owner, vs, sc.Namespace))
	case IsWildcardHost(host) && best != nil && best != vs:
		return skip(RuleHostMoreSpecific, hostField(vs, target), overlappingHost(best, target), best.Ref.Object(), host)
	case owner != nil && IsWildcardHost(host):
		return skip(RuleHostMoreSpecific, hostField(vs, target), overlappingHost(owner, target), owner.Ref.Object(), host)
	case IsWildcardHost(host) && !slices.Contains(f.owns, host):
		return skip(RuleHostServiceWildcard, hostField(vs, target), host, t.Port, target)
	case slices.Contains(f.owns, host):
		return skip(RuleHostLiteral, hostField(vs, target), host, t.Port)
	}
	return skip(RuleHostOtherPort, hostField(vs, target), host, t.Port)
}

// orderOf says why one VirtualService comes before another.
func orderOf(first, second *VirtualService, namespace string) string {
	rank := func(vs *VirtualService) int {
		switch {
		case vs.ExportTo.Public():
			return 2
		case vs.Ref.Namespace == namespace:
			return 0
		}
		return 1
	}
	switch {
	case rank(first) != rank(second):
		return "not public, so before public ones"
	case first.Created.Before(second.Created):
		return "older"
	case first.Created.IsZero():
		return "no creationTimestamp here, so by name"
	}
	return "same age, so by name"
}

// hostField is the spec.hosts entry of a VirtualService that covers the host.
func hostField(vs *VirtualService, target string) string {
	for i, h := range lowerHosts(vs) {
		if h == target {
			return fmt.Sprintf("spec.hosts[%d]", i)
		}
	}
	for i, h := range lowerHosts(vs) {
		if HostMatches(h, target) {
			return fmt.Sprintf("spec.hosts[%d]", i)
		}
	}
	return "spec.hosts"
}

func overlappingHost(vs *VirtualService, target string) string {
	best := ""
	for _, h := range lowerHosts(vs) {
		if HostMatches(h, target) && (best == "" || CompareHostSpecificity(h, best) < 0) {
			best = h
		}
	}
	return best
}

// portHint names the ports on which the host is an HTTP service, for a host that is unknown on this one.
func (t *RouteTable) portHint(hostname string) string {
	if t.Egress.proxies() {
		return " (of HTTP_PROXY, it has those whose port 80 comes first)"
	}
	svc := t.scope.byHost[hostname]
	if svc == nil {
		return ""
	}
	var ports []string
	for _, p := range svc.Ports {
		if p.Number == t.Port {
			return fmt.Sprintf(" (port %d of %s is %s, which has no virtual host)", p.Number, svc.Hostname, describeProtocol(p.Protocol))
		}
		ports = append(ports, fmt.Sprintf("%d %s", p.Number, describeProtocol(p.Protocol)))
	}
	return fmt.Sprintf(" (%s has %s)", svc.Hostname, joinLimited(ports, 5))
}
