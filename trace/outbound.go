package trace

import (
	"cmp"
	"net/netip"
	"strings"

	api "istio.io/api/networking/v1alpha3"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// router is the proxy that routes the request: its workload and what it sees.
type router struct {
	workload *resolve.Workload
	scope    *resolve.Scope
	gateway  bool
	// dialled is where the application connected to, on a sidecar and at a waypoint.
	dialled resolve.Dialled
	// port is the listener's: the service port on a sidecar, the server's port number on a gateway.
	port int
	// tls is set where the client's TLS was terminated here.
	tls bool
	// allPorts is set where routes look destinations up among services of all ports.
	allPorts bool
	// waypoint is set where a waypoint routes what is addressed to one of its services, and nameless where that was asked for
	// without an address.
	waypoint, nameless bool
	// socket is set where the application connected to the sidecar itself.
	socket bool
}

// outbound is the sidecar on the client's side: listener, filter chain, virtual host, route. With socket
// the application connected to the sidecar itself.
func (w *walk) outbound(p *path, client *resolve.Workload, scope *resolve.Scope, resolved resolve.Resolved, socket bool) {
	r := &router{workload: client, scope: scope, dialled: resolved.Dialled, port: resolved.Port}
	hop := p.hop()
	services := w.snapshot.ServicesForHost(strings.ToLower(w.request.Host))
	if resolved.Service != nil {
		services = []*resolve.Service{resolved.Service}
	}
	for _, svc := range services {
		p.note(scope.ExplainService(svc, resolved.Port)...)
	}
	w.crashes(p, client)
	listener, steps := scope.Listener(resolved.Dialled)
	own := w.snapshot.OwnOutboundPort(resolved.Port)
	if listener == nil && own != nil {
		w.ownPort(p, own)
		return
	}
	p.note(steps...)
	place := resolve.PatchPlace{Proxy: client, Side: resolve.SideOutbound, Port: resolved.Port}
	if listener == nil {
		hop.Envoy.Listener, hop.Envoy.FilterChain = "virtualOutbound", "virtualOutbound-catchall-tcp"
		w.extensions(p, place)
		w.unmatched(p, r, false)
		return
	}
	hop.Envoy.Listener, r.socket = listener.Name, socket
	if resolved.Assumed && !listener.Wildcard {
		p.lower(Assumed)
	}
	unsure(p, listener, client, resolved.Address)
	chain := listener.Chain(p.payload(), resolved.Address, client)
	switch {
	case chain.HTTP && !p.speaksHTTP():
		w.notHTTP(p, listener)
	case chain.HTTP:
		hop.Envoy.RouteConfig, place.HTTP, place.Port = listener.RouteConfig, true, listener.Port
		w.extensions(p, place)
		p.extended.connection = &resolve.Connection{SourceIP: p.senderIP, RemoteIP: p.senderIP, DestinationIP: addressOf(resolved.Address), DestinationPort: resolved.Port}
		p.note(resolve.NewStep(resolve.RuleListenerHTTPChain, resolve.Matched, resolve.Ref{}, listener.RouteConfig))
		w.virtualHost(p, r, listener)
	case len(chain.TCP) > 0:
		w.extensions(p, place)
		w.stream(p, r, listener, chain)
	default:
		hop.Envoy.FilterChain = "PassthroughFilterChain"
		w.extensions(p, place)
		p.note(resolve.NewStep(resolve.RuleListenerNoChain, resolve.None, chain.Range, string(p.payload()), listener.Name))
		w.unmatched(p, r, false)
	}
}

// crashes notes that istiod cannot make the proxy's configuration.
func (w *walk) crashes(p *path, proxy *resolve.Workload) {
	if step, crashes := w.snapshot.CrashOfClusters(proxy); crashes {
		p.note(step)
		p.lower(Undetermined)
	}
}

// unsure notes what leaves open where the listener sends a connection.
func unsure(p *path, listener *resolve.OutboundListener, client *resolve.Workload, address resolve.Address) {
	for _, question := range []func() (resolve.Step, bool){
		func() (resolve.Step, bool) { return listener.Rejected(client) },
		func() (resolve.Step, bool) { return listener.Unsettled(address) },
		func() (resolve.Step, bool) {
			if p.payload() != resolve.PayloadHTTP {
				return resolve.Step{}, false // a stream asks for itself
			}
			return listener.SubnetsUnknown(address, client)
		},
	} {
		if step, open := question(); open {
			p.note(step)
			p.lower(Undetermined)
		}
	}
}

// notHTTP is a connection that a filter chain reads as HTTP and that is not.
func (w *walk) notHTTP(p *path, listener *resolve.OutboundListener) {
	step := resolve.NewStep(resolve.RuleListenerNotHTTP, resolve.DeniedBy, listener.Ref(),
		listener.Port, listener.Title(), string(listener.OwnerPort.Protocol), listener.Name, describeBytes(p))
	o := Outcome{Decision: Reset, Code: CodeProtocolError}
	o.ResponseFlags, o.ResponseCodeDetails = closedBy(o.Code)
	w.endAt(p, o, step)
}

// ownPort is a connection to a port of the proxy's own. A proxy that sent it there sees it close.
func (w *walk) ownPort(p *path, own *resolve.OwnPort) {
	hop := p.hop()
	hop.Envoy.Listener, hop.Envoy.FilterChain, hop.Envoy.Cluster = own.Listener, own.FilterChain, "BlackHoleCluster"
	o := Outcome{Decision: Unavailable, Code: CodeOwnPort, ResponseFlags: "UH"}
	switch {
	case hop.Direction == Outbound:
		p.dest.EnvoyCluster = hop.Envoy.Cluster
	case p.proxied:
		o = p.failed(o, "UC", closedByPeer)
	}
	w.endAt(p, o, own.Step)
}

// virtualHost looks the Host up in the listener's route configuration.
func (w *walk) virtualHost(p *path, r *router, listener *resolve.OutboundListener) {
	p.readsHTTP()
	p.readsScheme(false, true, w.request.Scheme.IsGRPC())
	if p.http.Scheme != "http" {
		p.note(resolve.NewStep(resolve.RuleSchemeForwarded, resolve.Applied, resolve.Ref{}, p.http.Scheme, "http"))
	}
	if !w.cleaned(p, r.workload) {
		return
	}
	p.note(w.snapshot.GapSteps(resolve.StageHost)...)
	table := r.scope.RouteTable(listener, r.workload)
	if port, all := table.Destined(); all {
		r.port, r.allPorts = port, true
	}
	host := p.http.Hostname()
	vh := table.Lookup(host)
	p.note(w.snapshot.HiddenVirtualServices(virtualHostNames(host, vh)...)...)
	p.note(table.ExplainHost(host, vh)...)
	if vh != nil {
		p.note(w.snapshot.StatusOfMeshRoutes(vh.Service)...)
	}
	if step, open := table.Unsettled(host); open {
		p.note(step)
		p.lower(Undetermined)
	}
	if vh == nil && listener.HTTPService == nil {
		vh = table.CatchAll()
	}
	made := vh
	if vh = w.patchedHost(p, vh, table.VirtualHosts); vh == nil && made != nil {
		w.noHost(p)
		return
	}
	if vh == nil && !w.passes(p, resolve.BeforeRouter) {
		return
	}
	if vh == nil && listener.HTTPService != nil {
		step := resolve.NewStep(resolve.RuleHostEmptyTable, resolve.None, r.scope.Ref, listener.RouteConfig, table.Port, listener.HTTPService.Hostname)
		w.endAt(p, Outcome{Decision: NotRouted, HTTPStatus: 404, ResponseFlags: "NR", ResponseCodeDetails: "route_not_found", Code: CodeNoVirtualHost, By: r.scope.Ref}, step)
		return
	}
	if vh.Unnamed {
		if !strings.EqualFold(host, w.request.Host) {
			w.unnamed(p, resolve.StageHost, host, r.workload)
		}
		w.unnamedHost(p, r, vh)
		return
	}
	p.hop().Envoy.VirtualHost = vh.Name
	w.route(p, r, vh)
}

// noHost ends a request whose virtual host a patch took away, where no other one takes the host.
func (w *walk) noHost(p *path) {
	if !w.passes(p, resolve.BeforeRouter) {
		return
	}
	hop := p.hop()
	hop.Envoy.VirtualHost, hop.Envoy.Route, hop.Envoy.Cluster = "", "", ""
	o := Outcome{Decision: NotRouted, HTTPStatus: 404, ResponseFlags: "NR", ResponseCodeDetails: "route_not_found", Code: CodeNoVirtualHost}
	for _, s := range hop.Steps {
		lost := s.Rule == resolve.RuleVirtualHostTakenOut || s.Rule == resolve.RuleVirtualHostDomains
		if lost || s.Rule == resolve.RuleEnvoyFilterElsewhere {
			o.By, o.Reason = s.Ref, s.Ref.Object().String()+": "+s.Reason()
		}
		if lost {
			break
		}
	}
	w.end(p, o)
}

// unnamedHost is the virtual host for hosts that no service has.
func (w *walk) unnamedHost(p *path, r *router, vh *resolve.VirtualHost) {
	hop := p.hop()
	hop.Envoy.VirtualHost = vh.Name
	if w.survey != nil {
		w.unmatched(p, r, true)
		return
	}
	chosen, steps, certain := vh.Choose(p.asRouted())
	if certain == resolve.Unknown {
		p.lower(Undetermined)
	}
	switch {
	case chosen == nil:
		if w.passes(p, resolve.BeforeRouter) {
			w.noRoute(p, vh, steps)
		}
	case !chosen.Entry.IsZero(): // a patch's own
		p.note(steps...)
		w.take(p, r, chosen)
	case w.passesOwn(p, chosen):
		w.takenRoute(p, chosen)
		hop.Envoy.Route = chosen.Name
		p.note(chosen.PatchRemovals(p.http)...)
		p.note(chosen.PatchHeaders(vh, p.http)...)
		w.unmatched(p, r, true)
	}
}

// addressOf is the IP of an address, where it is one.
func addressOf(a resolve.Address) netip.Addr {
	if a.Prefix.IsValid() && a.Prefix.IsSingleIP() {
		return a.Prefix.Addr()
	}
	return netip.Addr{}
}

// virtualHostNames are the names under which a VirtualService can take the virtual host.
func virtualHostNames(host string, vh *resolve.VirtualHost) []string {
	if vh == nil || vh.Service == nil {
		return []string{host}
	}
	return []string{host, vh.Service.Hostname}
}

// unmatched is traffic that no service of the proxy takes: the outbound traffic policy decides.
func (w *walk) unmatched(p *path, r *router, http bool) {
	policy, ref := r.scope.OutboundPolicy()
	hop := p.hop()
	p.stream, p.retries = !http, resolve.RetryPolicy{}
	dynamic := policy.GetMode() == allowAnyDynamicDNS
	if dynamic && p.payload() == resolve.PayloadHTTP && (http || hop.Envoy.Listener == "virtualOutbound") {
		w.dynamicDNS(p, r, ref)
		return
	}
	mode := policy.GetMode().String()
	if dynamic {
		mode = "ALLOW_ANY_DYNAMIC_DNS"
	}
	switch policy.GetMode() {
	case api.OutboundTrafficPolicy_REGISTRY_ONLY:
		o := Outcome{Decision: Unavailable, Code: CodeRegistryOnly}
		answer := "the connection is closed (BlackHoleCluster)"
		if http {
			hop.Envoy.VirtualHost, hop.Envoy.Route = "block_all", cmp.Or(hop.Envoy.Route, "block_all")
			o.HTTPStatus, o.ResponseCodeDetails = 502, "direct_response"
			answer = "the proxy answers 502 (block_all)"
		} else {
			hop.Envoy.Cluster = "BlackHoleCluster"
			p.dest.EnvoyCluster = hop.Envoy.Cluster
			o.ResponseFlags = "UH"
		}
		w.endAt(p, o, resolve.NewStep(resolve.RuleListenerBlackhole, resolve.None, ref, "REGISTRY_ONLY", answer))
	default:
		if http {
			hop.Envoy.Route = cmp.Or(hop.Envoy.Route, "allow_any")
		}
		if proxy := policy.GetEgressProxy(); proxy != nil {
			field := ref.At(ref.Field + ".egressProxy")
			p.note(resolve.NewStep(resolve.RuleListenerEgressProxy, resolve.Applied, field, proxy.GetHost()))
			p.by = field
			w.toHost(p, r, target{host: proxy.GetHost(), port: int(proxy.GetPort().GetNumber()), subset: proxy.GetSubset(), ref: field})
			return
		}
		hop.Envoy.Cluster = "PassthroughCluster"
		if step, removed := w.patchedCluster(p, hop.Envoy.Cluster); removed {
			p.note(step)
			p.lower(Undetermined)
		}
		p.note(resolve.NewStep(resolve.RuleListenerPassthrough, resolve.None, ref, mode))
		if r.socket {
			w.noOriginal(p, ref)
			return
		}
		p.via, p.by = CodePassthrough, ref
		w.dial(p, r.dialled, w.request.Host)
	}
}

// noOriginal is a cluster that keeps the address which the application dialled, where that is the sidecar's own.
// Source: Envoy, docs, service discovery, original destination.
func (w *walk) noOriginal(p *path, by resolve.Ref) {
	step := resolve.NewStep(resolve.RuleListenerNoOriginal, resolve.None, by, p.hop().Envoy.Cluster)
	p.note(step)
	p.dest.EnvoyCluster = p.hop().Envoy.Cluster
	w.unavailableBy(p, CodeNoEndpoints, "UH", "no_healthy_upstream", step, by)
}

// dial connects to the address of a host without Istio's routing: kube-proxy for a
// ClusterIP, the pod for a pod IP, or a host outside.
func (w *walk) dial(p *path, d resolve.Dialled, host string) {
	p.dest = Destination{Host: hostOf(d, host), Port: d.Port, EnvoyCluster: p.hop().Envoy.Cluster, TargetPort: d.Port}
	w.connect(p, d, resolve.ClientTLS{Mode: resolve.ClientPlaintext})
}

func hostOf(d resolve.Dialled, host string) string {
	if d.Service != nil && !resolve.IsWildcardHost(d.Service.Hostname) {
		return d.Service.Hostname
	}
	return host
}

// known brings a connection to whoever has the address in the cluster: a Service, by kube-proxy, or a
// workload. It reports whether anyone has it.
func (w *walk) known(p *path, ip netip.Addr, port int, tls resolve.ClientTLS) bool {
	if !ip.IsValid() {
		return false
	}
	if svc := w.snapshot.ClusterIPAt(ip); svc != nil {
		w.dialService(p, resolve.Dialled{Service: svc, Port: port}, tls)
		return true
	}
	if workload := w.snapshot.WorkloadAt(ip); workload != nil {
		p.dest.Workloads, p.dest.Endpoints = []resolve.Ref{workload.Owner}, 1
		w.receive(p, arrival{workload: workload, port: port, tls: tls})
		return true
	}
	return false
}

// taken reports whether anyone in the cluster has the address.
func (w *walk) taken(ip netip.Addr) bool {
	return w.snapshot.ClusterIPAt(ip) != nil || w.snapshot.WorkloadAt(ip) != nil
}

// dialService is a connection to a Service's ClusterIP, or to a headless Service's pods, as kube-proxy and DNS make it.
func (w *walk) dialService(p *path, d resolve.Dialled, tls resolve.ClientTLS) {
	w.asked.dials(d)
	svc := w.snapshot.OwnService(d.Service)
	if svc == nil {
		p.lower(Undetermined)
		w.endAt(p, w.refused(p, CodeNoEndpoints), resolve.NewStep(resolve.RuleClusterAddress, resolve.Warned, d.Service.Ref, d.Address, d.Service.Ref.QualifiedName()))
		return
	}
	port, ok := svc.PortByNumber(d.Port)
	if !ok && !d.Headless {
		w.endAt(p, w.refused(p, CodePortNotInService), resolve.NewStep(resolve.RuleServicePortMissing, resolve.None, svc.Ref.At("spec.ports"), svc.Ref.QualifiedName(), d.Port, listPorts(svc)))
		return
	}
	ready, steps := w.snapshot.Backends(p.sender, svc, port)
	p.note(steps...)
	if d.Headless {
		// A pod IP is dialled with the port as it is: there is no kube-proxy to translate it.
		ready = othersOnly(w.snapshot.Meant(d), p.sender, d)
	}
	if len(ready) == 0 {
		o := w.refused(p, CodeNoEndpoints)
		o.Decision = Unavailable
		o.Reason, o.By = decisive(steps).Reason(), svc.Ref
		w.end(p, o)
		return
	}
	for _, g := range w.groupEndpoints(ready) {
		g.key = w.likeness(g.first).String() // where another way leads to the pods as well, they count once
		branch := p.branch(g.part)
		branch.dest.TargetPort = g.first.Port
		w.arrive(branch, g, tls)
	}
}

// refused is a TCP connection that fails: 503 UF behind an Envoy that reads HTTP, refused without one.
func (w *walk) refused(p *path, code Code) Outcome {
	o := Outcome{Decision: NotRouted, Code: code}
	if p.proxied {
		o.Decision = Unavailable
		o = p.failed(o, "UF", notConnected)
	}
	return o
}
