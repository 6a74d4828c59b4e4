package resolve

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Rules of the choice of a gateway's virtual host.
const (
	RuleGatewayHost            RuleID = "gatewayhost/most-specific"
	RuleGatewayHostWider       RuleID = "gatewayhost/wider"
	RuleGatewayHostNone        RuleID = "gatewayhost/none"
	RuleGatewayHostMeshOnly    RuleID = "gatewayhost/bound-to-mesh-only"
	RuleGatewayHostReference   RuleID = "gatewayhost/gateway-reference"
	RuleGatewayHostElsewhere   RuleID = "gatewayhost/bound-to-other-gateway"
	RuleGatewayHostNotExported RuleID = "gatewayhost/not-exported"
	RuleGatewayHostNotServed   RuleID = "gatewayhost/server-hosts"
	RuleGatewayHostNoRoutes    RuleID = "gatewayhost/no-routes"
	RuleGatewayHostOtherHosts  RuleID = "gatewayhost/other-server-hosts"
	RuleGatewayHostNearest     RuleID = "gatewayhost/nearest"
	RuleGatewayHostServer      RuleID = "gatewayhost/server"
)

var gatewayHostRules = []Rule{
	{
		ID: RuleGatewayHost, Stage: StageHost,
		Says:     "Envoy takes the virtual host with the exact name, else the longest wildcard; ports in the Host header are ignored, and the choice is final.",
		Template: "host %s is taken by virtual host %s (domain %s)",
		Source:   "Envoy, route.v3.VirtualHost domains; pilot/pkg/networking/core/gateway.go, IgnorePortInHostMatching",
	},
	{
		ID: RuleGatewayHostWider, Stage: StageHost,
		Says:     "A wider virtual host is never consulted once a more specific one is chosen, even if no route of that one matches.",
		Template: "virtual host %s (domain %s) covers %s too, but the more specific %s is chosen and there is no falling back",
		Source:   "Envoy, route.v3.VirtualHost domains",
	},
	{
		ID: RuleGatewayHostNone, Stage: StageHost,
		Says:     "A host that no virtual host of the route configuration has is answered 404.",
		Template: "no virtual host of route configuration %s has host %s",
		Source:   "Envoy, route.v3.VirtualHost domains",
	},
	{
		ID: RuleGatewayHostMeshOnly, Stage: StageHost,
		Says:     "A VirtualService without gateways, or with mesh alone, applies to sidecars and to no gateway.",
		Template: "names the host, but for sidecars only: its gateways lack %s",
		Source:   "pilot/pkg/model/push_context.go, initVirtualServices",
	},
	{
		ID: RuleGatewayHostReference, Stage: StageHost,
		Says:     "A gateway named without a namespace is looked for in the VirtualService's own namespace.",
		Template: "names the host, but its gateway %q means %s, which does not exist; %s does",
		Source:   "pilot/pkg/model/config.go, resolveGatewayName",
	},
	{
		ID: RuleGatewayHostElsewhere, Stage: StageHost,
		Says:     "A VirtualService applies only to the Gateways it names.",
		Template: "names the host, but is bound to %s; route configuration %s is made of %s",
		Source:   "pilot/pkg/model/push_context.go, VirtualServicesForGateway",
	},
	{
		ID: RuleGatewayHostNotExported, Stage: StageHost,
		Says:     "A VirtualService must be exported to the namespace of the gateway's pods.",
		Template: "names the host, but is not exported to namespace %s of the gateway's pods",
		Source:   "pilot/pkg/model/push_context.go, initVirtualServices",
	},
	{
		ID: RuleGatewayHostNotServed, Stage: StageHost,
		Says:     "A VirtualService is served for the hosts that its namespace may use of the server's hosts.",
		Template: "names the host, but no server of %s opens it to namespace %s",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayHTTPRouteConfig; pkg/config/host/names.go, NamesForNamespace",
	},
	{
		ID: RuleGatewayHostServer, Stage: StageHost, Detail: true,
		Says:     "Where servers of several Gateways share a route configuration, each opens its hosts to the VirtualServices bound to it.",
		Template: "opens host %s to %s",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayHTTPRouteConfig",
	},
	{
		ID: RuleGatewayHostNearest, Stage: StageHost, Detail: true,
		Says:     "Of a host that no virtual host has, the nearest names there are.",
		Template: "brings virtual host %s, which does not take %s",
		Source:   "Envoy, route.v3.VirtualHost domains",
	},
	{
		ID: RuleGatewayHostOtherHosts, Stage: StageHost,
		Says:     "A VirtualService is served for the hosts it shares with the server; an https server has a route configuration of its own, and no host of another.",
		Template: "names the host, but route configuration %s is for %s alone",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayHTTPRouteConfig",
	},
	{
		ID: RuleGatewayHostNoRoutes, Stage: StageHost,
		Says:     "A VirtualService of which no http route applies to the gateway brings no virtual host.",
		Template: "names the host, but none of its http routes applies to this gateway and port",
		Source:   "pilot/pkg/networking/core/route/route.go, BuildHTTPRoutesForVirtualService",
	},
}

// Lookup is the virtual host that Envoy takes for a host name (lower case, without
// port); nil if there is none and the answer is 404.
//
//  1. The exact domain.
//  2. Else the longest wildcard: "*" stands for at least one character.
//  3. Else "*".
//
// The steps tell which virtual hosts also cover the name and are not consulted, and why
// VirtualServices that name the host bring nothing to this table.
//
// Source: Envoy, route.v3.VirtualHost domains.
func (t *GatewayRouteTable) Lookup(hostname string) (*VirtualHost, []Step) {
	type candidate struct {
		vh     *VirtualHost
		domain string
	}
	var found []candidate
	if vh := t.exact[hostname]; vh != nil {
		found = append(found, candidate{vh, hostname})
	}
	for i := 1; i < len(hostname); i++ {
		if vh := t.suffix[hostname[i:]]; vh != nil {
			found = append(found, candidate{vh, "*" + hostname[i:]})
		}
	}
	if vh := t.suffix[""]; vh != nil {
		found = append(found, candidate{vh, "*"})
	}
	var steps []Step
	if len(found) == 0 {
		return nil, append(t.notServed(hostname, false), t.noHost(hostname)...)
	}
	chosen := found[0]
	for _, c := range found[1:] {
		steps = append(steps, NewStep(RuleGatewayHostWider, Skipped, hostRef(c.vh), c.vh.Name, c.domain, hostname, chosen.domain))
	}
	steps = append(steps, t.notServed(hostname, !t.void)...)
	if t.void {
		return chosen.vh, append(steps, chosen.vh.Steps...)
	}
	steps = append(steps, NewStep(RuleGatewayHost, Matched, hostRef(chosen.vh), hostname, chosen.vh.Name, chosen.domain))
	steps = append(steps, t.openedBy(chosen.vh, hostname)...)
	return chosen.vh, append(steps, chosen.vh.Steps...)
}

// openedBy names the servers, other than the table's first, that open the host to the virtual host's VirtualServices.
func (t *GatewayRouteTable) openedBy(vh *VirtualHost, hostname string) []Step {
	var steps []Step
	for _, server := range t.Servers[1:] {
		seen := map[*VirtualService]bool{}
		for _, r := range vh.Routes {
			vs := r.VirtualService
			if vs == nil || seen[vs] || !slices.Contains(vs.Gateways, server.Gateway.FullName()) {
				continue
			}
			seen[vs] = true
			if slices.ContainsFunc(serverHostsFor(server.Hosts, vs.Ref.Namespace), func(h string) bool { return HostSubsetOf(hostname, strings.ToLower(h)) }) {
				steps = append(steps, NewStep(RuleGatewayHostServer, Applied, server.Ref, hostname, vs.Ref.Object()))
			}
		}
	}
	return steps
}

// Covers reports whether a virtual host, other than the blackhole, takes the name, and by which domain.
func (t *GatewayRouteTable) Covers(hostname string) (domain string, ok bool) {
	if t.void {
		return "", false
	}
	if t.exact[hostname] != nil {
		return hostname, true
	}
	for i := 1; i < len(hostname); i++ {
		if t.suffix[hostname[i:]] != nil {
			return "*" + hostname[i:], true
		}
	}
	return "*", t.suffix[""] != nil
}

// hostRef is the hosts field that brought the virtual host: that of the VirtualService of its first route, else the redirecting server's.
func hostRef(vh *VirtualHost) Ref {
	if len(vh.Routes) > 0 && vh.Routes[0].VirtualService != nil {
		return vh.Routes[0].VirtualService.At("spec.hosts")
	}
	return vh.RequireTLS
}

func (t *GatewayRouteTable) noHost(hostname string) []Step {
	var domains []string
	for _, vh := range t.VirtualHosts {
		domains = append(domains, vh.Domains...)
	}
	nearest := nearestNames(hostname, domains, 3)
	var steps []Step
	for _, domain := range nearest {
		for _, vh := range t.VirtualHosts {
			if slices.Contains(vh.Domains, domain) && !hostRef(vh).IsZero() {
				steps = append(steps, NewStep(RuleGatewayHostNearest, Skipped, hostRef(vh), vh.Name, hostname).Unlike(hostname, domain))
			}
		}
	}
	return append(steps, NewStep(RuleGatewayHostNone, None, t.Servers[0].Ref, t.Name, hostname).
		Unlike(strings.Join(nearest, " or "), hostname))
}

// notServed tells for every VirtualService and route that names the host why it brings nothing to this table; found
// is set where another one does.
func (t *GatewayRouteTable) notServed(hostname string, found bool) []Step {
	var steps []Step
	for _, vs := range t.snapshot.virtualServicesNaming(hostname) {
		steps = append(steps, t.whyNotServed(vs, hostname)...)
	}
	return slices.Concat(steps, t.routesApart(hostname, found), t.snapshot.IngressesApart(hostname))
}

func (t *GatewayRouteTable) whyNotServed(vs *VirtualService, hostname string) []Step {
	bound := slices.ContainsFunc(vs.Gateways, func(g string) bool { return t.gateways[g] })
	switch {
	case !bound:
		return []Step{t.whyNotBound(vs)}
	case !vs.ExportTo.VisibleIn(t.workload.Namespace):
		return []Step{NewStep(RuleGatewayHostNotExported, Skipped, vs.At("spec.exportTo"), t.workload.Namespace).
			Unlike(t.workload.Namespace, exportedTo(vs.ExportTo))}
	}
	for _, server := range t.Servers {
		if !slices.Contains(vs.Gateways, server.Gateway.FullName()) {
			continue
		}
		for _, h := range intersectHosts(serverHostsFor(server.Hosts, vs.Ref.Namespace), vs.Spec.GetHosts()) {
			if HostSubsetOf(hostname, strings.ToLower(h)) {
				if steps, none := t.withoutRoutes[vs]; none {
					return append(slices.Clone(steps), NewStep(RuleGatewayHostNoRoutes, Skipped, vs.At("spec.http")))
				}
				return nil
			}
		}
	}
	if !slices.ContainsFunc(t.Servers, func(s *GatewayServer) bool { return s.hasHost(hostname) }) {
		return []Step{NewStep(RuleGatewayHostOtherHosts, Skipped, vs.At("spec.hosts"), t.Name, t.serverHostList()).
			Unlike(hostname, t.serverHostList())}
	}
	return []Step{NewStep(RuleGatewayHostNotServed, Skipped, vs.At("spec.hosts"), t.Name, vs.Ref.Namespace).
		Unlike(hostname, t.serverHostList())}
}

// hasHost reports whether a host of the server covers the name, for whichever namespace.
func (s *GatewayServer) hasHost(name string) bool {
	return slices.ContainsFunc(s.Hosts, func(h string) bool {
		if _, host, qualified := strings.Cut(h, "/"); qualified {
			h = host
		}
		return HostSubsetOf(name, strings.ToLower(h))
	})
}

func (t *GatewayRouteTable) whyNotBound(vs *VirtualService) Step {
	tables := strings.Join(shownGateways(t.gatewayNames()), ", ")
	if vs.Semantics == SemanticsGateway {
		bound := strings.Join(shownGateways(vs.Gateways), ", ")
		return NewStep(RuleKubeRouteListener, Skipped, vs.At("spec.gateways"), bound, t.Name, tables).Unlike(tables, bound)
	}
	if i, name := t.snapshot.kubeGatewayNamed(vs); i >= 0 {
		return NewStep(RuleKubeGatewayByVS, Skipped, vs.At(pathIndex("spec.gateways", i)), name).Unlike(tables, name)
	}
	if len(vs.Gateways) == 0 || len(vs.Gateways) == 1 && vs.Gateways[0] == "mesh" {
		return NewStep(RuleGatewayHostMeshOnly, Skipped, vs.At("spec.gateways"), tables).Unlike(tables, "mesh")
	}
	for i, g := range vs.Gateways {
		_, name, _ := strings.Cut(g, "/")
		if g == "mesh" || t.snapshot.gatewayNamed(g) != nil {
			continue
		}
		for _, other := range t.gatewayNames() {
			if strings.HasSuffix(other, "/"+name) {
				ref := vs.At("spec.gateways[" + strconv.Itoa(i) + "]")
				return NewStep(RuleGatewayHostReference, Skipped, ref, t.snapshot.gatewayAsWritten(vs, i), g, other).Unlike(other, g)
			}
		}
	}
	return NewStep(RuleGatewayHostElsewhere, Skipped, vs.At("spec.gateways"), strings.Join(vs.Gateways, ", "), t.Name, tables).
		Unlike(tables, strings.Join(vs.Gateways, ", "))
}

// gatewayNames are the Gateways the table is made of, in merge order.
func (t *GatewayRouteTable) gatewayNames() []string {
	var names []string
	for _, s := range t.Servers {
		if name := s.Gateway.FullName(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (t *GatewayRouteTable) serverHostList() string {
	var hosts []string
	for _, s := range t.Servers {
		for _, h := range s.Hosts {
			if !slices.Contains(hosts, h) {
				hosts = append(hosts, h)
			}
		}
	}
	return strings.Join(hosts, ", ")
}

func exportedTo(e ExportTo) string {
	if len(e.Namespaces()) == 0 {
		return "nobody"
	}
	return strings.Join(e.Namespaces(), ", ")
}

// nearestNames are up to n of the names, those first that share most of their beginning and end with the wanted one.
func nearestNames(want string, names []string, n int) []string {
	likeness := func(name string) int {
		shortest := min(len(want), len(name))
		head := 0
		for head < shortest && want[head] == name[head] {
			head++
		}
		tail := 0
		for tail < shortest-head && want[len(want)-1-tail] == name[len(name)-1-tail] {
			tail++
		}
		return head + tail
	}
	names = slices.Clone(names)
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(likeness(b), likeness(a)), strings.Compare(a, b))
	})
	names = slices.Compact(names)
	return names[:min(n, len(names))]
}
