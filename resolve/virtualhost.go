package resolve

import (
	"cmp"
	"slices"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
)

// Rules of virtual hosts on a sidecar.
const (
	RuleHostVirtualService  RuleID = "host/virtual-service"
	RuleHostServiceDefault  RuleID = "host/service-default"
	RuleHostSniffed         RuleID = "host/own-listener"
	RuleHostUnknown         RuleID = "host/unknown"
	RuleHostUnsettled       RuleID = "host/one-of-several-addresses"
	RuleHostEmptyTable      RuleID = "host/empty-table"
	RuleHostNotMesh         RuleID = "virtualservice/not-bound-to-mesh"
	RuleHostNotExported     RuleID = "virtualservice/not-exported"
	RuleHostNotImported     RuleID = "virtualservice/not-imported"
	RuleHostNoRoutes        RuleID = "virtualservice/no-route-for-proxy"
	RuleHostOlderOwns       RuleID = "virtualservice/older-owns-host"
	RuleHostMoreSpecific    RuleID = "virtualservice/more-specific-owns-host"
	RuleHostOtherPort       RuleID = "virtualservice/host-unknown-on-port"
	RuleHostShortName       RuleID = "virtualservice/short-name-elsewhere"
	RuleHostServiceWildcard RuleID = "virtualservice/wildcard-covers-services"
	RuleHostLiteral         RuleID = "virtualservice/literal-host"
)

var virtualHostRules = []Rule{
	{
		ID: RuleHostVirtualService, Stage: StageHost,
		Says:     "On a sidecar exactly one VirtualService owns an exact host: the first in the order private, exported to the namespace, public, each oldest first. Nothing merges.",
		Template: "owns host %s for this proxy on port %d",
		Source:   "pilot/pkg/networking/core/route/route.go, BuildSidecarVirtualHostWrapper; httproute.go, BuildSidecarOutboundVirtualHosts",
	},
	{
		ID: RuleHostServiceDefault, Stage: StageHost, Detail: true,
		Says:     "A service without a VirtualService that yields a route has one default route to itself.",
		Template: "no VirtualService routes %s here: the default route goes to the service itself",
		Source:   "pilot/pkg/networking/core/route/route.go, buildSidecarVirtualHostForService",
	},
	{
		ID: RuleHostSniffed, Stage: StageHost,
		Says:     "On the listener of one service's own address every Host belongs to that service.",
		Template: "the listener belongs to %s alone: Host %s is not looked at",
		Source:   "pilot/pkg/networking/core/httproute.go, getVirtualHostsForSniffedServicePort",
	},
	{
		ID: RuleHostEmptyTable, Stage: StageHost,
		Says:     "The listener of an auto-detected port has a route table with its service alone. It is made from the Sidecar's first egress listener for the port; if that does not import the service the table is empty, and every request gets 404.",
		Template: "route table %s is made from the Sidecar's first egress listener for port %d, which does not import %s: it is empty",
		Source:   "pilot/pkg/networking/core/httproute.go, getVirtualHostsForSniffedServicePort; model/sidecar.go, GetEgressListenerForRDS",
	},
	{
		ID: RuleHostUnsettled, Stage: StageHost,
		Says:     "Of several addresses of a ServiceEntry one alone is a domain of its virtual host: the one that istiod happens to list last.",
		Template: "%s is one of %d addresses of %s, and only the one that istiod happens to list last is a domain of its virtual host",
		Source:   "pilot/pkg/serviceregistry/serviceentry/conversion.go, convertServices; networking/core/httproute.go, BuildSidecarOutboundVirtualHosts",
	},
	{
		ID: RuleHostUnknown, Stage: StageHost,
		Says:     "A Host that no virtual host of the port has goes to the catch-all, which the outbound traffic policy decides about; it is not a 404.",
		Template: "no virtual host of route configuration %s has %s%s",
		Source:   "pilot/pkg/networking/core/httproute.go, buildCatchAllVirtualHost",
	},
	{
		ID: RuleHostNotMesh, Stage: StageHost,
		Says:     "A VirtualService applies to sidecars only if its gateways are empty or list mesh.",
		Template: "not for sidecars: it is bound to %s, not to mesh",
		Source:   "pilot/pkg/model/push_context.go, initVirtualServices",
	},
	{
		ID: RuleHostNotExported, Stage: StageHost,
		Says:     "A VirtualService is known only in the namespaces its exportTo names.",
		Template: "not exported to namespace %s",
		Source:   "pilot/pkg/model/push_context.go, initVirtualServices",
	},
	{
		ID: RuleHostNotImported, Stage: StageHost,
		Says:     "A Sidecar's egress hosts select VirtualServices by the namespace they live in and by host overlap.",
		Template: "the egress hosts of Sidecar %s do not import VirtualServices of namespace %s for this host",
		Source:   "pilot/pkg/model/virtualservice.go, SelectVirtualServices",
	},
	{
		ID: RuleHostNoRoutes, Stage: StageHost,
		Says:     "A VirtualService none of whose entries fits the proxy and port has no effect there.",
		Template: "none of its http entries is for this proxy on port %d",
		Source:   "pilot/pkg/networking/core/route/route.go, buildSidecarVirtualHostsForVirtualService",
	},
	{
		ID: RuleHostOlderOwns, Stage: StageHost,
		Says:     "A further VirtualService for an exact host that is already owned is ignored on sidecars.",
		Template: "ignored: host %s already belongs to %s (%s), and on sidecars VirtualServices never merge",
		Source:   "pilot/pkg/networking/core/httproute.go, BuildSidecarOutboundVirtualHosts (duplicate domain)",
	},
	{
		ID: RuleHostMoreSpecific, Stage: StageHost,
		Says:     "Of the VirtualService hosts that cover a service only the most specific counts; the next best is never tried.",
		Template: "ignored: host %s of %s is more specific than %s, and the next best is never tried",
		Source:   "pilot/pkg/model/sidecar.go, computeWildcardHostVirtualServiceIndex",
	},
	{
		ID: RuleHostOtherPort, Stage: StageHost,
		Says:     "A VirtualService host that is no service of the port has a virtual host only on port 80, or on ports of services the same VirtualService names.",
		Template: "its host %s is no HTTP service on port %d, so it has no virtual host there",
		Source:   "pilot/pkg/networking/core/route/route.go, buildSidecarVirtualHostsForVirtualService",
	},
	{
		ID: RuleHostShortName, Stage: StageHost,
		Says:     "A host without a dot belongs to the namespace of the VirtualService that names it.",
		Template: "its host %q means %s, not %s",
		Source:   "pilot/pkg/model/config.go, ResolveShortnameToFQDN",
	},
	{
		ID: RuleHostLiteral, Stage: StageHost,
		Says:     "A VirtualService host that is no service of the port takes that one spelling, and no short form of it.",
		Template: "its host %s is no service on port %d: it takes that spelling only",
		Source:   "pilot/pkg/networking/core/route/route.go, separateVSHostsAndServices; httproute.go, BuildSidecarOutboundVirtualHosts",
	},
	{
		ID: RuleHostServiceWildcard, Stage: StageHost,
		Says:     "A wildcard VirtualService host that overlaps services of the port applies to those services and has no virtual host of its own.",
		Template: "its host %s covers services of port %d and applies to those only, not to %s",
		Source:   "pilot/pkg/networking/core/route/route.go, separateVSHostsAndServices",
	},
}

// RouteTable is one Envoy route configuration of a sidecar.
type RouteTable struct {
	Name string
	Port int
	// Egress is the egress listener the table was made from.
	Egress *Egress
	// Single is set on the table of one service's own listener: it takes every Host.
	Single *VirtualHost

	byDomain map[string]*VirtualHost
	// suffixes are the wildcard domains without "*", longest first.
	suffixes []string
	fates    map[*VirtualService]*fate
	scope    *Scope
	// chances are the VirtualServices whose place is left to chance, see fillProxy, and the ports they are for.
	chances map[*VirtualService][]string
}

// Destined is the port of a destination that names none: the table's own, 0 where it has the services of all ports.
func (t *RouteTable) Destined() (port int, all bool) {
	if t.Egress.proxies() {
		return 0, true
	}
	return t.Port, false
}

// fate is what became of one VirtualService on a table.
type fate struct {
	routes []*Route
	steps  []Step
	// owns are the virtual hosts it got, lost those it did not get because another had them.
	owns, lost []string
}

// take notes whether the virtual host of that name was got.
func (f *fate) take(name string, got bool) {
	if got {
		f.owns = append(f.owns, name)
	} else {
		f.lost = append(f.lost, name)
	}
}

// RouteTable returns the route configuration of a listener's HTTP chain, made once for
// each port and, where a VirtualService asks for labels of the caller, each workload.
//
//  1. Only services with the port take part, and not by UDP; for ports other than 80 only
//     VirtualServices that overlap one of them.
//  2. VirtualServices in order: each takes the virtual hosts of its hosts that are
//     still free. One without a route for this proxy and port takes nothing.
//  3. Every HTTP or auto-detected service that is left gets its default route.
//
// Source: pilot/pkg/networking/core/httproute.go, BuildSidecarOutboundVirtualHosts.
func (sc *Scope) RouteTable(l *OutboundListener, w *Workload) *RouteTable {
	key := tableKey{name: l.RouteConfig, port: l.Port}
	if sc.egressFor(l.Port).asksLabels {
		key.caller = labelKey(w)
	}
	sc.tables.Lock()
	defer sc.tables.Unlock()
	if t := sc.tables.routes[key]; t != nil {
		return t
	}
	t := sc.buildRouteTable(l, w)
	if sc.tables.routes == nil {
		sc.tables.routes = map[tableKey]*RouteTable{}
	}
	sc.tables.routes[key] = t
	return t
}

// tableKey is what route tables of a scope differ in.
type tableKey struct {
	name string
	port int
	// caller is empty where nothing asks for its labels.
	caller string
}

// labelKey tells workloads apart that source matches, or the steps about them, could tell apart.
func labelKey(w *Workload) string {
	if w.Anonymous {
		return "anonymous"
	}
	words := make([]string, 0, len(w.Labels)+1)
	for k, v := range w.Labels {
		words = append(words, k+"="+v)
	}
	slices.Sort(words)
	return strings.Join(append(words, w.Owner.QualifiedName()), ",")
}

// egressFor is the egress listener whose services and VirtualServices a port's table is made of.
// Source: pilot/pkg/model/sidecar.go, GetEgressListenerForRDS.
func (sc *Scope) egressFor(port int) *Egress {
	for _, e := range sc.Egress {
		if e.Port() == 0 || e.Port() == port {
			return e
		}
	}
	return &Egress{}
}

func (sc *Scope) buildRouteTable(l *OutboundListener, w *Workload) *RouteTable {
	e := sc.egressFor(l.Port)
	t := &RouteTable{
		Name: l.RouteConfig, Port: l.Port, Egress: e, scope: sc,
		byDomain: map[string]*VirtualHost{}, fates: map[*VirtualService]*fate{}, chances: map[*VirtualService][]string{},
	}
	if e.proxies() {
		t.fillProxy(w)
	} else {
		t.fill(w)
	}
	slices.SortFunc(t.suffixes, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	if l.HTTPService != nil {
		t.Single = t.byDomain[l.HTTPService.Hostname]
		if t.Single == nil { // httproute.go, getVirtualHostsForSniffedServicePort
			t.byDomain, t.suffixes = map[string]*VirtualHost{}, nil
		}
	}
	return t
}

// fill makes the virtual hosts.
func (t *RouteTable) fill(w *Workload) {
	byName := map[string]*Service{}
	for _, svc := range t.Egress.Services {
		if p, ok := svc.PortByNumber(t.Port); ok && p.Protocol != ProtocolUDP {
			byName[svc.Hostname] = withPorts(svc, []Port{p})
		}
	}
	names, wildcards := serviceNames(byName)
	taken := map[string]bool{}
	var owned []*VirtualHost
	for _, vs := range t.Egress.VirtualServices {
		if t.Port != 80 && !overlapsService(vs, byName, names, wildcards) {
			continue
		}
		f := &fate{}
		t.fates[vs] = f
		f.routes, f.steps = BuildRoutes(vs, t.Port, map[string]bool{"mesh": true}, w)
		if len(f.routes) == 0 {
			continue
		}
		owned = append(owned, t.hostsOf(vs, f, byName, names, taken)...)
	}
	for _, vh := range owned {
		if vh.Service != nil {
			delete(byName, vh.Service.Hostname)
		}
	}
	// Expanded short forms give way to hosts that are really called so.
	known := map[string]bool{}
	for _, vh := range owned {
		if vh.Service != nil {
			known[vh.Service.Hostname] = true
		}
	}
	for _, name := range names {
		svc := byName[name]
		if svc == nil || svc.Resolution == Alias {
			continue
		}
		p := svc.Ports[0]
		if !p.Protocol.IsHTTP() && !p.Protocol.IsAuto() {
			continue
		}
		known[svc.Hostname] = true
		owned = append(owned, &VirtualHost{Name: domainName(svc.Hostname, p.Number), Routes: []*Route{DefaultRoute(svc, p.Number)}, Service: svc})
	}
	domains := map[string]bool{}
	for _, vh := range owned {
		t.addDomains(vh, known, domains)
	}
}

// serviceNames are the hosts of services in order, and those that are wildcards.
func serviceNames(byName map[string]*Service) (names, wildcards []string) {
	names = sortedKeys(byName)
	for _, name := range names {
		if IsWildcardHost(name) {
			wildcards = append(wildcards, name)
		}
	}
	return names, wildcards
}

// overlapsService reports whether a VirtualService host is, or overlaps, a service of the port.
// Source: pilot/pkg/networking/core/httproute.go, selectVirtualServices.
func overlapsService(vs *VirtualService, byName map[string]*Service, names, wildcards []string) bool {
	for _, h := range lowerHosts(vs) {
		if byName[h] != nil {
			return true
		}
		candidates := wildcards
		if IsWildcardHost(h) {
			candidates = names
		}
		for _, name := range candidates {
			if HostMatches(h, name) {
				return true
			}
		}
	}
	return false
}

// split tells the hosts of a VirtualService that are no services from the services it stands for; neither counts where
// a route of the Gateway API is of neither the client's nor a service's namespace.
// Source: pilot/pkg/networking/core/route/route.go, separateVSHostsAndServices.
func (t *RouteTable) split(vs *VirtualService, byName map[string]*Service, names []string) (literal []string, services []*Service) {
	for _, h := range lowerHosts(vs) {
		if IsWildcardHost(h) {
			continue
		}
		if svc := byName[h]; svc != nil {
			services = append(services, svc)
		} else {
			literal = append(literal, h)
		}
	}
	for _, h := range lowerHosts(vs) {
		if !IsWildcardHost(h) {
			continue
		}
		found := false
		for _, name := range names {
			if vs.Semantics == SemanticsGateway || !HostMatches(name, h) {
				continue
			}
			found = true
			if t.Egress.bestVirtualService[name] == vs {
				services = append(services, byName[name])
			}
		}
		if !found {
			literal = append(literal, h)
		}
	}
	if vs.Semantics == SemanticsGateway && !slices.ContainsFunc(services, func(svc *Service) bool {
		return svc.Namespace == vs.Ref.Namespace || t.scope.Namespace == vs.Ref.Namespace
	}) {
		return nil, nil
	}
	return literal, services
}

// hostsOf returns the virtual hosts a VirtualService gets: one for each service
// it stands for, and one for each host that is no service, on port 80 or beside such services.
// Source: pilot/pkg/networking/core/route/route.go, buildSidecarVirtualHostsForVirtualService.
func (t *RouteTable) hostsOf(vs *VirtualService, f *fate, byName map[string]*Service, names []string, taken map[string]bool) []*VirtualHost {
	literal, services := t.split(vs, byName, names)
	if len(literal)+len(services) == 0 {
		return nil
	}
	var out []*VirtualHost
	take := func(name string, svc *Service) {
		f.take(name, !taken[name])
		if taken[name] {
			return
		}
		taken[name] = true
		out = append(out, &VirtualHost{Name: domainName(name, t.Port), Routes: f.routes, Service: svc})
	}
	httpServices := slices.DeleteFunc(slices.Clone(services), func(svc *Service) bool {
		return !svc.Ports[0].Protocol.IsHTTP() && !svc.Ports[0].Protocol.IsAuto()
	})
	if len(httpServices) > 0 || t.Port == 80 {
		for _, h := range literal {
			take(h, nil)
		}
	}
	for _, svc := range httpServices {
		take(svc.Hostname, svc)
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Lookup returns the virtual host for a Host, as Envoy chooses it: the exact
// domain, else the longest "*" suffix; nil is the catch-all. The choice is final.
// Source: Envoy, config.route.v3.VirtualHost.domains.
func (t *RouteTable) Lookup(hostname string) *VirtualHost {
	if t.Single != nil {
		return t.Single
	}
	if vh := t.byDomain[hostname]; vh != nil {
		return vh
	}
	for _, suffix := range t.suffixes {
		if len(hostname) > len(suffix) && strings.HasSuffix(hostname, suffix) {
			return t.byDomain["*"+suffix]
		}
	}
	return nil
}

// VirtualHosts are all of the table, by name, with the one that refuses unknown hosts where the outbound traffic policy does.
func (t *RouteTable) VirtualHosts() []*VirtualHost {
	var out []*VirtualHost
	for _, domain := range sortedKeys(t.byDomain) {
		if vh := t.byDomain[domain]; !slices.Contains(out, vh) {
			out = append(out, vh)
		}
	}
	slices.SortStableFunc(out, func(a, b *VirtualHost) int { return strings.Compare(a.Name, b.Name) })
	if t.Single != nil {
		return append(out, &VirtualHost{Name: "allow_any"})
	}
	return append(out, t.CatchAll())
}

// CatchAll is the virtual host that takes the hosts of no service, as the outbound traffic policy says.
// Source: pilot/pkg/networking/core/httproute.go, buildCatchAllVirtualHost.
func (t *RouteTable) CatchAll() *VirtualHost {
	policy, _ := t.scope.OutboundPolicy()
	name, http := "allow_any", (*networking.HTTPRoute)(nil)
	switch {
	case policy.GetMode() == networking.OutboundTrafficPolicy_REGISTRY_ONLY:
		name, http = "block_all", &networking.HTTPRoute{DirectResponse: &networking.HTTPDirectResponse{Status: 502}}
	case policy.GetMode() == networking.OutboundTrafficPolicy_Mode(meshconfig.MeshConfig_OutboundTrafficPolicy_ALLOW_ANY_DYNAMIC_DNS):
		name = "allow_any_dynamic_dns"
	}
	return &VirtualHost{Name: name, Domains: []string{"*"}, Unnamed: true, Routes: []*Route{{Name: name, CatchAll: true, HTTP: http}}}
}
