package resolve

import (
	"encoding/binary"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Rules of a gateway's route tables.
const (
	RuleGatewayRoutes         RuleID = "gatewayroute/virtual-service"
	RuleGatewayRoutesAge      RuleID = "gatewayroute/age-unknown"
	RuleGatewayHTTPSRedirect  RuleID = "gatewayroute/https-redirect"
	RuleGatewayRoutePort      RuleID = "gatewayroute/port-of-server"
	RuleGatewayRouteNamedPort RuleID = "gatewayroute/port-of-own-namespace"
	RuleGatewayRouteTableVoid RuleID = "gatewayroute/no-virtual-host"
)

var gatewayRouteRules = []Rule{
	{
		ID: RuleGatewayRoutes, Stage: StageHost, Detail: true,
		Says:     "A virtual host of a gateway collects the routes of every VirtualService that is bound to the Gateway, visible to the gateway pod's namespace, and names the host or a wildcard over it: server by server, private ones first, then oldest first.",
		Template: "brings %d routes to virtual host %s, through %s",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayHTTPRouteConfig",
	},
	{
		ID: RuleGatewayRoutesAge, Stage: StageHost,
		Says:     "VirtualServices of equal creation time come in the order of name, then namespace.",
		Template: "its routes come after those of %s because of the name: the two have the same creation time or none; in a cluster the older one comes first",
		Source:   "pilot/pkg/model/config.go, configCompareByCreationTime",
	},
	{
		ID: RuleGatewayHTTPSRedirect, Stage: StageHost,
		Says:     "A server with tls.httpsRedirect marks every virtual host of its hosts, those of other servers included: plaintext requests are answered 301 to https.",
		Template: "virtual host %s redirects plaintext requests to https",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayHTTPRouteConfig",
	},
	{
		ID: RuleGatewayRoutePort, Stage: StageRoute,
		Says:     "A gateway sends a destination without a port to the port number of the server that the route was made for, unless the service has only one port.",
		Template: "destination %s names no port and has several: it gets port %d, the server's",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayHTTPRouteConfig; route/route.go, GetDestinationCluster",
	},
	{
		ID: RuleGatewayRouteNamedPort, Stage: StageRoute,
		Says:     "The port that a destination does not name is found by the service of that host in the VirtualService's own namespace, if the gateway sees it, even where the gateway's clusters are those of another namespace's.",
		Template: "is looked up for the port that destination %s does not name, because it is in the VirtualService's own namespace: %d",
		Source:   "pilot/pkg/networking/core/gateway.go, buildNameToServiceMapForHTTPRoutes",
	},
	{
		ID: RuleGatewayRouteTableVoid, Stage: StageHost,
		Says:     "A route configuration to which no VirtualService brings a host has one virtual host, blackhole, without routes.",
		Template: "no %s brings a host to route configuration %s: virtual host %s answers 404 to everything",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayHTTPRouteConfig",
	},
}

// GatewayRouteTable is one Envoy route configuration of a gateway.
type GatewayRouteTable struct {
	// Name is as Envoy shows it: http.8080, https.443.https.gateway.namespace.
	Name string
	// VirtualHosts are ordered by name.
	VirtualHosts []*VirtualHost
	// Servers are those the table was made of, in merge order.
	Servers []*GatewayServer

	snapshot *Snapshot
	workload *Workload
	gateways map[string]bool
	// exact is by domain; suffix is by what follows "*" in a wildcard domain.
	exact, suffix map[string]*VirtualHost
	// withoutRoutes are the VirtualServices of which no route applies here, with the reasons.
	withoutRoutes map[*VirtualService][]Step
	// void is set where the table has nothing but the blackhole virtual host.
	void bool
}

// GatewayVirtualHosts is the route table of a filter chain; nil for a chain that does not
// route HTTP. It is built once for all workloads of the class and all chains that share it.
//
//  1. Servers of the table in the order they were merged; for each the VirtualServices of its gateway
//     (VirtualServicesForGateway).
//  2. The hosts are the intersection of the server's hosts, as far as they are for the namespace of the
//     VirtualService, and the VirtualService's: of two that overlap the narrower.
//  3. Its routes are made once for a gateway and VirtualService, with the port number of the first server that
//     gave any: match.port of later servers of the same table is compared with that number. None: it is left out.
//  4. There is one virtual host for a host; further VirtualServices append their routes.
//  5. A server with httpsRedirect marks the virtual hosts it brings routes to and those named as its hosts, and
//     makes one where there is none.
//  6. No virtual host at all: blackhole:PORT for every name, without routes.
//  7. Virtual hosts with the very same routes are joined under the most specific name.
//  8. In every virtual host catch-all routes move to the end.
//
// Source: pilot/pkg/networking/core/gateway.go, buildGatewayHTTPRouteConfig, collapseDuplicateRoutes.
func (s *Snapshot) GatewayVirtualHosts(g *MergedGateway, chain *GatewayFilterChain) *GatewayRouteTable {
	if g == nil || chain == nil || !chain.HTTP() {
		return nil
	}
	build := sync.OnceValue(func() *GatewayRouteTable { return buildGatewayTable(s, g, chain) })
	cached, _ := g.tables.LoadOrStore(chain.RouteConfig, build)
	return cached.(func() *GatewayRouteTable)()
}

// gatewayHost is a virtual host while it is being collected.
type gatewayHost struct {
	*VirtualHost
	domain string
	from   []*VirtualService
}

type gatewayTableBuilder struct {
	table  *GatewayRouteTable
	routes map[gatewayRoutesKey][]*Route
	hosts  map[string]*gatewayHost
}

type gatewayRoutesKey struct {
	gateway string
	vs      *VirtualService
}

func buildGatewayTable(s *Snapshot, g *MergedGateway, chain *GatewayFilterChain) *GatewayRouteTable {
	servers := g.byRoute[chain.RouteConfig]
	if len(servers) == 0 {
		servers = chain.Servers
	}
	b := &gatewayTableBuilder{
		table: &GatewayRouteTable{
			Name: chain.RouteConfig, Servers: servers, snapshot: s, workload: g.Workload, gateways: map[string]bool{},
			exact: map[string]*VirtualHost{}, suffix: map[string]*VirtualHost{}, withoutRoutes: map[*VirtualService][]Step{},
		},
		routes: map[gatewayRoutesKey][]*Route{},
		hosts:  map[string]*gatewayHost{},
	}
	for _, server := range servers {
		b.table.gateways[server.Gateway.FullName()] = true
		for _, vs := range s.VirtualServicesForGateway(server.Gateway.FullName(), g.Workload.Namespace) {
			b.addVirtualService(server, vs)
		}
		b.addRedirects(server)
	}
	b.finish()
	return b.table
}

// addVirtualService is steps 2 to 4.
func (b *gatewayTableBuilder) addVirtualService(server *GatewayServer, vs *VirtualService) {
	hosts := intersectHosts(serverHostsFor(server.Hosts, vs.Ref.Namespace), vs.Spec.GetHosts())
	if len(hosts) == 0 {
		return
	}
	key := gatewayRoutesKey{server.Gateway.FullName(), vs}
	routes, ok := b.routes[key]
	var steps []Step
	if !ok {
		routes, steps = BuildRoutes(vs, server.Port(), map[string]bool{key.gateway: true}, b.table.workload)
		if len(routes) == 0 {
			b.table.withoutRoutes[vs] = steps
			return
		}
		for _, r := range routes {
			r.Server = server.Ref
		}
		delete(b.table.withoutRoutes, vs)
		b.routes[key] = routes
	}
	for _, h := range hosts {
		host := b.host(strings.ToLower(h), server)
		host.bring(server, vs, routes, steps)
		if server.Spec.GetTls().GetHttpsRedirect() {
			host.redirect(server)
		}
	}
}

// addRedirects is step 5 for the hosts as the server writes them: "namespace/host" becomes
// a domain that no request ever has.
func (b *gatewayTableBuilder) addRedirects(server *GatewayServer) {
	if !server.Spec.GetTls().GetHttpsRedirect() {
		return
	}
	for _, h := range server.Hosts {
		b.host(strings.ToLower(h), server).redirect(server)
	}
}

// host is the virtual host of the domain; a new one is named after the port of the server that brings it.
func (b *gatewayTableBuilder) host(domain string, server *GatewayServer) *gatewayHost {
	h := b.hosts[domain]
	if h == nil {
		name := net.JoinHostPort(domain, strconv.Itoa(server.Port()))
		h = &gatewayHost{VirtualHost: &VirtualHost{Name: name, Domains: []string{domain}}, domain: domain}
		b.hosts[domain] = h
	}
	return h
}

func (h *gatewayHost) bring(server *GatewayServer, vs *VirtualService, routes []*Route, steps []Step) {
	h.Routes = append(h.Routes, routes...)
	again := slices.Contains(h.from, vs)
	if !again {
		h.Steps = append(h.Steps, NewStep(RuleGatewayRoutes, Applied, vs.Ref, len(routes), h.Name, server.Ref))
	}
	h.Steps = append(h.Steps, steps...)
	if again {
		return
	}
	if len(h.from) > 0 {
		before := h.from[len(h.from)-1]
		if before.Created.Equal(vs.Created) && !before.ageless() && before.ExportTo.Public() == vs.ExportTo.Public() {
			h.Steps = append(h.Steps, NewStep(RuleGatewayRoutesAge, Applied, vs.Ref, before.Ref))
		}
	}
	h.from = append(h.from, vs)
}

func (h *gatewayHost) redirect(server *GatewayServer) {
	if h.RequireTLS.IsZero() {
		h.RequireTLS = server.At("tls.httpsRedirect")
		h.Steps = append(h.Steps, NewStep(RuleGatewayHTTPSRedirect, Applied, h.RequireTLS, h.Name))
	}
}

// finish is steps 6 to 8.
func (b *gatewayTableBuilder) finish() {
	t := b.table
	if len(b.hosts) == 0 {
		name := "blackhole:" + strconv.Itoa(t.Servers[0].Port())
		void := &VirtualHost{Name: name, Domains: []string{"*"}}
		void.Steps = []Step{NewStep(RuleGatewayRouteTableVoid, None, t.Servers[0].Ref, t.Servers[0].Gateway.takes(), t.Name, name)}
		t.VirtualHosts, t.suffix[""], t.void = []*VirtualHost{void}, void, true
		return
	}
	joined := map[string]*VirtualHost{}
	number := map[*Route]uint64{}
	for _, domain := range slices.SortedFunc(maps.Keys(b.hosts), CompareHostSpecificity) {
		h := b.hosts[domain]
		key := routesKey(h.VirtualHost, number)
		if first := joined[key]; first != nil && first.RequireTLS.IsZero() == h.RequireTLS.IsZero() {
			first.Domains = append(first.Domains, domain)
			t.index(domain, first)
			continue
		}
		joined[key] = h.VirtualHost
		t.VirtualHosts = append(t.VirtualHosts, h.VirtualHost)
		t.index(domain, h.VirtualHost)
	}
	for _, vh := range t.VirtualHosts {
		sorted, steps := SortCatchAllLast(vh.Routes)
		if len(steps) > 0 {
			vh.written = vh.Routes
		}
		vh.Routes, vh.Steps = sorted, append(vh.Steps, steps...)
	}
	slices.SortStableFunc(t.VirtualHosts, func(a, b *VirtualHost) int { return strings.Compare(a.Name, b.Name) })
}

// routesKey is equal for virtual hosts that hold the very same routes in the same order.
func routesKey(vh *VirtualHost, number map[*Route]uint64) string {
	key := make([]byte, 0, 8*len(vh.Routes))
	for _, r := range vh.Routes {
		n, ok := number[r]
		if !ok {
			n = uint64(len(number))
			number[r] = n
		}
		key = binary.LittleEndian.AppendUint64(key, n)
	}
	return string(key)
}

func (t *GatewayRouteTable) index(domain string, vh *VirtualHost) {
	if IsWildcardHost(domain) {
		t.suffix[domain[1:]] = vh
	} else {
		t.exact[domain] = vh
	}
}

// serverHostsFor are the hosts of a server that VirtualServices of the namespace may use, without namespaces.
// Source: pkg/config/host/names.go, NamesForNamespace.
func serverHostsFor(hosts []string, namespace string) []string {
	out := make([]string, 0, len(hosts))
	for _, h := range hosts {
		if ns, host, qualified := strings.Cut(h, "/"); qualified {
			if ns != namespace && ns != "*" {
				continue
			}
			h = host
		}
		out = append(out, h)
	}
	return out
}

// intersectHosts are, of every pair of hosts that overlap, the narrower one.
// Source: pkg/config/host/names.go, Intersection.
func intersectHosts(a, b []string) []string {
	var out []string
	add := func(h string) {
		if !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	for _, x := range a {
		for _, y := range b {
			switch {
			case HostSubsetOf(x, y):
				add(x)
			case HostSubsetOf(y, x):
				add(y)
			}
		}
	}
	return out
}
