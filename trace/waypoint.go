package trace

import (
	"cmp"
	"net/netip"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// A waypoint, which takes the connections to services and workloads out of HBONE, and sends them on.
//
//  1. It knows the client by the certificate of HBONE, and its address.
//  2. What is addressed to a service takes the filter chain of the service's port, what is addressed to a workload that for
//     all workloads. Anything else is closed.
//  3. On an HTTP chain: external authorization, tokens, policies, then CORS, faults and routes. On a TCP chain: policies,
//     then tls and tcp routes. Policies see the client, and the address and port that it dialled.
//  4. What it sends bears its own identity and address: whoever receives does not see the client.
//  5. What is addressed to a workload it sends to that, by HBONE and not otherwise.
//
// Source: pilot/pkg/networking/core/listener_waypoint.go, buildWaypointInbound.

// throughWaypoint is a waypoint that ends HBONE and dispatches by what it was asked for.
func (w *walk) throughWaypoint(p *path, a arrival, to tunnelled) {
	if w.survey.within() {
		w.end(p, Outcome{Decision: Delivered, By: p.by, Reason: "reaches waypoint " + a.workload.Owner.QualifiedName() + ", which has a table of its own"})
		return
	}
	if w.repeats(p) {
		return
	}
	hop := w.enterWaypoint(p, a)
	w.meshConfig(p)
	p.note(resolve.NewStep(resolve.RuleWaypointTunnel, resolve.Matched, a.workload.Owner, to.String(), cmp.Or(hop.Peer, "any client")))
	if !w.beforeTunnel(p, a) {
		return
	}
	hop.Envoy.Listener = "main_internal"
	v := &waypoint{arrival: a, to: to, proxy: w.snapshot.Serving(a.workload, to.service)}
	hop.met.proxy = v.proxy
	if !w.chooseWaypointChain(p, v) {
		return
	}
	hop.Envoy.FilterChain, hop.Envoy.RouteConfig = v.chain.FilterChain, v.chain.RouteConfig
	w.extensions(p, resolve.PatchPlace{Proxy: v.proxy, Side: resolve.SideInbound, Port: to.port, HTTP: v.chain.HTTP})
	p.originate, p.declared = nil, resolve.Ref{}
	if to.service != nil {
		p.declared = to.service.Ref.At(v.chain.Port.Field)
	}
	var request *resolve.HTTPRequest
	if v.chain.HTTP {
		p.readsHTTP()
		if !w.cleaned(p, a.workload) {
			return
		}
		p.readsScheme(false, true, w.request.Scheme.IsGRPC())
		request = p.http
		request.Reserved = nil
	}
	if request != nil && to.service != nil {
		p.lookAhead(func() (*resolve.VirtualHost, func() []*resolve.VirtualHost) {
			vh := w.snapshot.WaypointVirtualHost(v.workload, to.service, v.chain.Port)
			if _, takes := vh.Takes(p.http.Hostname()); !takes {
				return nil, nil
			}
			return vh, nil
		})
	}
	if !w.filters(p, v.proxy, v.connection(p, request), request) {
		return
	}
	w.sendFrom(p, a.workload)
	switch {
	case to.service == nil:
		w.waypointToWorkload(p, v)
	case v.chain.HTTP:
		w.waypointRoutes(p, v)
	default:
		w.waypointStream(p, v)
	}
}

// enterWaypoint opens the hop of a waypoint, which knows who sends.
func (w *walk) enterWaypoint(p *path, a arrival) *Hop {
	hop := p.enter(Hop{Proxy: resolve.DataplaneWaypoint, Direction: AtGateway, Workload: a.workload.Owner, TLS: TLSHBONE, met: met{proxy: a.workload}})
	if p.sender != nil {
		hop.Peer = p.sender.Principal(w.snapshot.Mesh.GetTrustDomain())
	}
	return hop
}

// forNobody is HBONE for the waypoint itself, which it takes for no one.
func (w *walk) forNobody(p *path, a arrival) {
	w.enterWaypoint(p, a).Envoy.Listener = "main_internal"
	w.broken(p, CodeNoFilterChain, "UC", closedByPeer, resolve.NewStep(resolve.RuleWaypointDirect, resolve.None, w.snapshot.GatewayOf(a.workload), a.workload.Owner.String(), a.port))
}

// waypoint is a connection at a waypoint.
type waypoint struct {
	arrival
	to tunnelled
	// proxy is the waypoint as it stands before the service.
	proxy *resolve.Workload
	chain resolve.WaypointPort
}

// repeats ends a request that comes back to proxies it has passed.
func (w *walk) repeats(p *path) bool {
	if len(p.hops) <= maxHops {
		return false
	}
	w.endAt(p, Outcome{Decision: Reset, Code: CodeTooManyHops, By: p.by}, resolve.NewStep(resolve.RuleTooManyHops, resolve.None, resolve.Ref{}, maxHops))
	return true
}

// beforeTunnel is what a waypoint makes of the connection that carries the request, where istiod has it look at that.
func (w *walk) beforeTunnel(p *path, a arrival) bool {
	proxy, steps := w.snapshot.BeforeTunnel(a.workload)
	if proxy == nil || w.survey != nil {
		return true
	}
	p.note(steps...)
	p.hop().Envoy.Listener, p.hop().Envoy.FilterChain = "connect_terminate", "default"
	c := &resolve.Connection{
		Peer: p.hop().Peer, SourceIP: p.senderIP, RemoteIP: p.senderIP,
		DestinationIP: firstAddress(a.workload), DestinationPort: a.port, TLS: resolve.TLSOpened,
	}
	w.asked.judged(p, proxy, c, nil)
	return w.authorized(p, w.snapshot.AuthorizeLocal(proxy, c, nil), nil)
}

// chooseWaypointChain is rule 2; it reports whether a chain takes the connection.
func (w *walk) chooseWaypointChain(p *path, v *waypoint) bool {
	if v.to.service == nil {
		v.chain = resolve.WaypointWorkloadPort(p.payload())
		return true
	}
	if v.to.nameless && !v.to.service.Headless() { // waypoints know it by the address that istiod allocated
		step := resolve.NewStep(resolve.RuleWaypointNoAddress, resolve.Warned, v.to.service.Ref, v.to.service.Hostname, v.to.port)
		w.broken(p, CodeNoFilterChain, "UC", closedByPeer, step)
		return false
	}
	p.note(w.snapshot.GapSteps(resolve.StageHost)...)
	chain, step, takes := w.snapshot.WaypointServicePort(v.to.service, v.to.port, p.payload())
	v.chain = chain
	if takes {
		p.note(step)
		return true
	}
	p.hop().Envoy.FilterChain = chain.FilterChain
	code := CodeProtocolError
	if step.Verdict == resolve.None {
		code = CodeNoFilterChain
	}
	w.broken(p, code, "UC", closedByPeer, step)
	return false
}

// connection is what policies see.
func (v *waypoint) connection(p *path, request *resolve.HTTPRequest) *resolve.Connection {
	c := &resolve.Connection{
		Peer: p.hop().Peer, SourceIP: p.senderIP, RemoteIP: p.sidecarRemoteIP(request), DestinationPort: v.to.port, TLS: resolve.TLSOpened,
	}
	switch {
	case v.to.dialled.Address.Prefix.IsValid() && v.to.dialled.Address.Prefix.IsSingleIP():
		c.DestinationIP = v.to.dialled.Address.Prefix.Addr()
	case v.to.service != nil:
		c.DestinationIP = v.to.service.DialledIP()
	default:
		c.DestinationIP = firstAddress(v.to.workload)
	}
	if v.chain.Port.Protocol.IsTLS() && p.sealed {
		c.SNI = p.sni // the others are not looked into
	}
	return c
}

// waypointRoutes looks for a route of the service.
func (w *walk) waypointRoutes(p *path, v *waypoint) {
	vh := w.snapshot.WaypointVirtualHost(v.workload, v.to.service, v.chain.Port)
	p.note(w.snapshot.HiddenVirtualServices(v.to.service.Hostname)...)
	p.note(vh.Steps...)
	p.note(w.snapshot.StatusOfMeshRoutes(v.to.service)...)
	if step, takes := vh.Takes(p.http.Hostname()); !takes {
		if !w.passes(p, resolve.BeforeRouter) {
			return
		}
		o := Outcome{Decision: NotRouted, HTTPStatus: 404, ResponseFlags: "NR", ResponseCodeDetails: "route_not_found", Code: CodeNoVirtualHost}
		w.endAt(p, o, step)
		return
	}
	if vh = w.patchedHost(p, vh, nil); vh == nil {
		w.noHost(p)
		return
	}
	p.hop().Envoy.VirtualHost, p.stream = vh.Name, false
	w.route(p, w.waypointRouter(v), vh)
}

// waypointRouter looks destinations up among all services that the waypoint sees.
func (w *walk) waypointRouter(v *waypoint) *router {
	scope, _ := w.snapshot.Scope(v.workload)
	return &router{workload: v.workload, scope: scope, port: v.to.port, allPorts: true, waypoint: true, nameless: v.to.nameless, dialled: v.to.dialled}
}

// waypointStream forwards bytes: to a tls or tcp route, else to the service itself.
func (w *walk) waypointStream(p *path, v *waypoint) {
	p.stream = true
	svc, port := v.to.service, v.chain.Port
	r := w.waypointRouter(v)
	route, steps := w.snapshot.WaypointStream(v.workload, svc, port)
	p.note(steps...)
	p.note(w.snapshot.StatusOfMeshRoutes(svc)...)
	switch {
	case route != nil && w.survey != nil:
		w.surveyL4(p, r, []*resolve.L4Route{route})
	case route != nil:
		w.toL4(p, r, route)
	default:
		p.by = svc.Ref
		w.toHost(p, r, target{host: svc.Hostname, port: port.Number, ref: svc.Ref.At(port.Field), chain: v.chain.Cluster})
	}
}

// waypointToWorkload is rule 5.
func (w *walk) waypointToWorkload(p *path, v *waypoint) {
	p.stream = !v.chain.HTTP
	if v.chain.HTTP && !w.passes(p, resolve.BeforeRouter) {
		return
	}
	server := v.to.workload
	hop := p.hop()
	hop.Envoy.Cluster = v.chain.Cluster
	if v.chain.HTTP {
		hop.Envoy.VirtualHost, hop.Envoy.Route = v.chain.VirtualHost, "default"
	}
	p.note(resolve.NewStep(resolve.RuleWaypointUnrouted, resolve.None, server.Owner, server.Owner.String()))
	p.dest = Destination{
		Host: w.request.Host, Port: v.to.port, EnvoyCluster: v.chain.Cluster, TargetPort: v.to.port,
		Workloads: []resolve.Ref{server.Owner}, Endpoints: 1,
	}
	e := &resolve.Endpoint{Port: v.to.port, Workload: server, Ref: server.Owner, Labels: server.Labels}
	if ip := firstAddress(server); ip != (netip.Addr{}) {
		e.Address = ip.String()
	}
	tls := w.snapshot.ZtunnelSends(e)
	if !tls.HBONE {
		// The proxy connects to a listener of its own, which then can not connect to the pod.
		o := p.failed(Outcome{Decision: Unavailable, Code: CodeMTLSRefused}, "UC", closedByPeer)
		w.endAt(p, o, resolve.NewStep(resolve.RuleWaypointSentBack, resolve.None, server.Owner, server.Owner.String()))
		return
	}
	p.note(tls.Step)
	w.receive(p, arrival{workload: server, port: v.to.port, tls: tls})
}
