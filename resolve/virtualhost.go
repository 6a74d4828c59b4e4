package resolve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	networking "istio.io/client-go/pkg/apis/networking/v1"
)

// Rules of virtual hosts on a sidecar.
const (
	RuleHostVirtualService  RuleID = "host/virtual-service"
	RuleHostServiceDefault  RuleID = "host/service-default"
	RuleHostSniffed         RuleID = "host/own-listener"
	RuleHostUnknown         RuleID = "host/unknown"
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
		ID: RuleHostUnknown, Stage: StageHost,
		Says:     "A Host that no virtual host of the port has goes to the catch-all, which the outbound traffic policy decides about; it is not a 404.",
		Template: "no virtual host of route configuration %s has %s%s",
		Source:   "pilot/pkg/networking/core/httproute.go, buildCatchAllVirtualHost",
	},
	{
		ID: RuleHostNotMesh, Stage: StageHost,
		Says:     "A VirtualService applies to sidecars only if its gateways are empty or list mesh.",
		Template: "not for sidecars: spec.gateways (%s) lacks mesh",
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
		Template: "ignored: host %s already belongs to VirtualService %s (%s), and on sidecars VirtualServices never merge",
		Source:   "pilot/pkg/networking/core/httproute.go, BuildSidecarOutboundVirtualHosts (duplicate domain)",
	},
	{
		ID: RuleHostMoreSpecific, Stage: StageHost,
		Says:     "Of the VirtualService hosts that cover a service only the most specific counts; the next best is never tried.",
		Template: "ignored: host %s of VirtualService %s is more specific than %s, and the next best is never tried",
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
}

// fate is what became of one VirtualService on a table.
type fate struct {
	routes []*Route
	steps  []Step
	// owns are the virtual hosts it got, lost those it did not get because another had them.
	owns, lost []string
}

// RouteTable returns the route configuration of a listener's HTTP chain, made once for
// each port and set of workload labels.
//
//  1. Only services with the port take part; for ports other than 80 only
//     VirtualServices that overlap one of them.
//  2. VirtualServices in order: each takes the virtual hosts of its hosts that are
//     still free. One without a route for this proxy and port takes nothing.
//  3. Every HTTP or auto-detected service that is left gets its default route.
//
// Source: pilot/pkg/networking/core/httproute.go, BuildSidecarOutboundVirtualHosts.
func (sc *Scope) RouteTable(l *OutboundListener, w *Workload) *RouteTable {
	key := fmt.Sprintf("%s\x00%d\x00%s", l.RouteConfig, l.Port, labelKey(w))
	sc.tables.Lock()
	defer sc.tables.Unlock()
	if t := sc.tables.routes[key]; t != nil {
		return t
	}
	t := sc.buildRouteTable(l, w)
	if sc.tables.routes == nil {
		sc.tables.routes = map[string]*RouteTable{}
	}
	sc.tables.routes[key] = t
	return t
}

// labelKey tells workloads apart that source matches could tell apart.
func labelKey(w *Workload) string {
	if w.Anonymous {
		return "anonymous"
	}
	words := make([]string, 0, len(w.Labels))
	for k, v := range w.Labels {
		words = append(words, k+"="+v)
	}
	slices.Sort(words)
	return strings.Join(words, ",")
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
		byDomain: map[string]*VirtualHost{}, fates: map[*VirtualService]*fate{},
	}
	byName := map[string]*Service{}
	for _, svc := range e.Services {
		if p, ok := svc.PortByNumber(l.Port); ok {
			byName[svc.Hostname] = withPorts(svc, []Port{p})
		}
	}
	names := sortedKeys(byName)
	var wildcards []string
	for _, name := range names {
		if IsWildcardHost(name) {
			wildcards = append(wildcards, name)
		}
	}
	taken := map[string]bool{}
	var owned []*VirtualHost
	for _, vs := range e.VirtualServices {
		if l.Port != 80 && !overlapsService(vs, byName, names, wildcards) {
			continue
		}
		f := &fate{}
		t.fates[vs] = f
		f.routes, f.steps = BuildRoutes(vs, l.Port, map[string]bool{"mesh": true}, w)
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
		route := &Route{Name: "default", Default: svc, DefaultPort: p.Number, ListenPort: p.Number, Ref: svc.Ref, Entry: svc.Ref, CatchAll: true}
		owned = append(owned, &VirtualHost{Name: domainName(svc.Hostname, p.Number), Routes: []*Route{route}, Service: svc})
	}
	domains := map[string]bool{}
	for _, vh := range owned {
		t.addDomains(vh, w, known, domains)
	}
	slices.SortFunc(t.suffixes, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	if l.HTTPService != nil {
		t.Single = t.byDomain[l.HTTPService.Hostname]
	}
	return t
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

// hostsOf returns the virtual hosts a VirtualService gets: one for each service
// it stands for, and one for each host that is no service, on port 80 or beside such services.
// Source: pilot/pkg/networking/core/route/route.go, separateVSHostsAndServices.
func (t *RouteTable) hostsOf(vs *VirtualService, f *fate, byName map[string]*Service, names []string, taken map[string]bool) []*VirtualHost {
	var literal []string
	var services []*Service
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
			if !HostMatches(name, h) {
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
	var out []*VirtualHost
	take := func(name string, svc *Service) {
		if taken[name] {
			f.lost = append(f.lost, name)
			return
		}
		taken[name] = true
		f.owns = append(f.owns, name)
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

// addDomains gives a virtual host its domains, without those an earlier one has.
// Source: pilot/pkg/networking/core/httproute.go, generateVirtualHostDomains, dedupeDomains.
func (t *RouteTable) addDomains(vh *VirtualHost, w *Workload, known, taken map[string]bool) {
	domains, short := []string{strings.TrimSuffix(vh.Name, fmt.Sprintf(":%d", t.Port))}, map[string]bool{}
	if vh.Service != nil {
		domains, short = serviceDomains(vh.Service, w.Namespace, t.scope.snapshot.Mesh.Domain)
	}
	for _, d := range domains {
		if taken[d] || short[d] && known[d] {
			continue
		}
		taken[d] = true
		vh.Domains = append(vh.Domains, d)
		t.byDomain[d] = vh
		if IsWildcardHost(d) {
			t.suffixes = append(t.suffixes, d[1:])
		}
	}
}

// serviceDomains lists the names a service answers to on a proxy of the
// namespace, and which of them are short forms.
//
//	same namespace     FQDN, FQDN., a, a.ns, a.ns.svc, VIPs
//	other namespace    FQDN, FQDN., a.ns, a.ns.svc, VIPs
//	headless (K8s)     all of these, each with "*." too
//	aliases            as if they were the service
//
// Source: pilot/pkg/networking/core/httproute.go, generateVirtualHostDomains, GenerateAltVirtualHosts.
func serviceDomains(svc *Service, namespace, clusterDomain string) (domains []string, short map[string]bool) {
	short = map[string]bool{}
	hosts := []string{svc.Hostname}
	for _, a := range svc.Aliases {
		hosts = append(hosts, a.Hostname)
	}
	for _, h := range hosts {
		domains = append(domains, h)
		for _, a := range shortForms(h, namespace, clusterDomain) {
			short[a] = true
			domains = append(domains, a)
		}
	}
	if svc.Headless() {
		for _, d := range slices.Clone(domains) {
			domains = append(domains, "*."+d)
		}
	}
	for _, a := range svc.Addresses {
		if a.Prefix.IsValid() {
			domains = append(domains, bracketIPv6(a.String()))
		}
	}
	return domains, short
}

// shortForms are the other names of a host on a proxy of the namespace.
// Source: pilot/pkg/networking/core/httproute.go, GenerateAltVirtualHosts.
func shortForms(host, namespace, clusterDomain string) []string {
	forms := []string{host + "."}
	base, ok := strings.CutSuffix(host, ".svc."+clusterDomain)
	if !ok {
		return forms
	}
	name, ns, ok := strings.Cut(base, ".")
	if !ok {
		return forms
	}
	if ns == namespace {
		forms = append(forms, name)
	}
	return append(forms, base, base+".svc")
}

func bracketIPv6(h string) string {
	if strings.Contains(h, ":") {
		return "[" + h + "]"
	}
	return h
}

func domainName(host string, port int) string { return fmt.Sprintf("%s:%d", bracketIPv6(host), port) }

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
		steps = append(steps, NewStep(RuleHostShortName, Skipped, vs.Ref.At("spec.hosts"), short, ExpandHost(short, vs.Ref.Namespace, t.scope.snapshot.Mesh.Domain), target))
	}
	names := append([]string{target, hostname}, t.aliasesCalled(vh, hostname)...)
	for _, vs := range t.scope.snapshot.virtualServicesOverlapping(names...) {
		if vs == owner {
			steps = append(steps, NewStep(RuleHostVirtualService, Matched, vs.Ref.At(hostField(vs, target)), target, t.Port))
			if f := t.fates[vs]; f != nil {
				steps = append(steps, f.steps...)
			}
			continue
		}
		i := slices.IndexFunc(names, func(name string) bool { return overlappingHost(vs, name) != "" })
		steps = append(steps, t.whyNot(vs, owner, names[max(i, 0)])...)
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
		return []Step{NewStep(rule, Skipped, vs.Ref.At(field), args...)}
	}
	switch {
	case !slices.Contains(vs.Gateways, "mesh"):
		return skip(RuleHostNotMesh, "spec.gateways", joinLimited(vs.Gateways, 3))
	case !vs.ExportTo.VisibleIn(sc.Namespace):
		return skip(RuleHostNotExported, "spec.exportTo", sc.Namespace)
	case !slices.Contains(t.Egress.VirtualServices, vs):
		return []Step{NewStep(RuleHostNotImported, Skipped, vs.Ref, sc.Ref.QualifiedName(), vs.Ref.Namespace)}
	case f == nil:
		return skip(RuleHostOtherPort, hostField(vs, target), host, t.Port)
	case len(f.routes) == 0:
		return append(slices.Clone(f.steps), skip(RuleHostNoRoutes, "spec.http", t.Port)...)
	case owner != nil && slices.Contains(f.lost, target):
		return skip(RuleHostOlderOwns, hostField(vs, target), target, owner.Ref.QualifiedName(), orderOf(owner, vs, sc.Namespace))
	case IsWildcardHost(host) && best != nil && best != vs:
		return skip(RuleHostMoreSpecific, hostField(vs, target), overlappingHost(best, target), best.Ref.QualifiedName(), host)
	case owner != nil && IsWildcardHost(host):
		return skip(RuleHostMoreSpecific, hostField(vs, target), overlappingHost(owner, target), owner.Ref.QualifiedName(), host)
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

// virtualServicesOverlapping returns the VirtualServices one of whose hosts overlaps one of the names.
func (s *Snapshot) virtualServicesOverlapping(names ...string) []*VirtualService {
	ix := s.index.virtualServiceHosts()
	seen := map[*VirtualService]bool{}
	for _, name := range names {
		for _, vs := range ix.exact[name] {
			seen[vs] = true
		}
		for _, w := range ix.wildcards {
			if HostMatches(w.host, name) {
				seen[w.vs] = true
			}
		}
	}
	out := make([]*VirtualService, 0, len(seen))
	for _, vs := range s.VirtualServices() {
		if seen[vs] {
			out = append(out, vs)
			if len(out) == len(seen) {
				break
			}
		}
	}
	return out
}

// virtualServiceHostIndex finds VirtualServices by host.
type virtualServiceHostIndex struct {
	exact     map[string][]*VirtualService
	wildcards []wildcardVirtualService
	// short holds, for a name without a dot, the VirtualServices that name a host so.
	short map[string][]*VirtualService
}

type wildcardVirtualService struct {
	host string
	vs   *VirtualService
}

func indexVirtualServiceHosts(s *Snapshot) *virtualServiceHostIndex {
	ix := &virtualServiceHostIndex{exact: map[string][]*VirtualService{}, short: map[string][]*VirtualService{}}
	written := make(map[Ref]*networking.VirtualService, len(s.RawVirtualServices))
	for _, vs := range s.RawVirtualServices {
		written[refOf("networking.istio.io", "VirtualService", vs)] = vs
	}
	for _, vs := range s.VirtualServices() {
		if raw := written[vs.Ref.Object()]; raw != nil {
			for _, h := range raw.Spec.GetHosts() {
				if !strings.ContainsAny(h, ".*:") {
					ix.short[h] = append(ix.short[h], vs)
				}
			}
		}
		for _, h := range lowerHosts(vs) {
			if IsWildcardHost(h) {
				ix.wildcards = append(ix.wildcards, wildcardVirtualService{h, vs})
			} else {
				ix.exact[h] = append(ix.exact[h], vs)
			}
		}
	}
	return ix
}

// shortNameElsewhere returns the VirtualServices that name the host's first
// label without a namespace, but live in another namespace, so that they mean another service.
func (s *Snapshot) shortNameElsewhere(host string) []*VirtualService {
	base, ok := strings.CutSuffix(host, ".svc."+s.Mesh.Domain)
	if !ok {
		return nil
	}
	name, namespace, _ := strings.Cut(base, ".")
	var out []*VirtualService
	for _, vs := range s.index.virtualServiceHosts().short[name] {
		if vs.Ref.Namespace != namespace && len(s.ServicesForHost(ExpandHost(name, vs.Ref.Namespace, s.Mesh.Domain))) == 0 {
			out = append(out, vs)
		}
	}
	return out
}

// lowerHosts are a VirtualService's hosts as virtual host domains: in lower case.
func lowerHosts(vs *VirtualService) []string {
	hosts := vs.Spec.GetHosts()
	for _, h := range hosts {
		if h != strings.ToLower(h) {
			lower := make([]string, len(hosts))
			for i, h := range hosts {
				lower[i] = strings.ToLower(h)
			}
			return lower
		}
	}
	return hosts
}
