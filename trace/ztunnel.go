package trace

import (
	"fmt"
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// The ztunnels of a captured client and of a captured server. Both forward connections and read no HTTP.
//
// On the client's side:
//  1. A call to the pod's own address or to loopback, and whatever is UDP, is not captured.
//  2. The service that has the address dialled; its waypoint takes the connection, if it has one.
//  3. Without one: an endpoint of the service, by HBONE if it takes that, else in plaintext.
//  4. A workload's address: its waypoint, if it has one for workloads, else the workload.
//  5. All else is passed through.
//
// On the server's side:
//  6. HBONE shows who sends; plaintext shows nobody.
//  7. Policies decide about the connection (resolve/ztunnelpolicy.go), and it reaches the application.
//
// A connection that fails is closed: the application that sent it sees no HTTP status.
//
// Source: ztunnel, src/proxy/outbound.rs, inbound.rs, inbound_passthrough.rs.

// What ztunnel logs as the error of a connection.
const (
	ztunnelNoUpstream      = "no healthy upstream"
	ztunnelUnknownWaypoint = "unknown waypoint"
	ztunnelUnresolved      = "no ip addresses were resolved for workload"
)

// fromZtunnel is steps 1 to 5.
func (w *walk) fromZtunnel(p *path, client *resolve.Workload, dialled resolve.Resolved) {
	d := dialled.Dialled
	if w.request.Scheme == UDP {
		w.dial(p, d, w.request.Host)
		return
	}
	switch ip := d.Address.Prefix.Addr(); {
	case d.Headless:
		for _, g := range w.groupEndpoints(othersOnly(w.snapshot.Meant(d), client, d)) {
			w.ztunnelToPod(p.branch(g.part), client, d, g)
		}
	case d.Service != nil:
		w.ztunnelToService(p, client, d)
	case ip.IsValid() && w.snapshot.WorkloadAt(ip) != nil:
		server := w.snapshot.WorkloadAt(ip)
		e := &resolve.Endpoint{Address: ip.String(), Port: d.Port, Workload: server, Labels: server.Labels, Count: 1, Weight: 1, Ref: server.Owner}
		w.ztunnelToPod(p, client, d, w.groupEndpoints([]*resolve.Endpoint{e})[0])
	case ip.IsValid() && w.snapshot.ZtunnelRange(client, ip) != nil:
		d.Service = w.snapshot.ZtunnelRange(client, ip)
		w.ztunnelToService(p, client, d)
	default:
		p.note(resolve.NewStep(resolve.RuleZtunnelPassthrough, resolve.None, resolve.Ref{}, hostOf(d, w.request.Host)))
		p.via = CodePassthrough
		w.dial(p, d, w.request.Host)
	}
}

// ztunnelToService is steps 2 and 3.
func (w *walk) ztunnelToService(p *path, client *resolve.Workload, d resolve.Dialled) {
	svc := d.Service
	p.dest = Destination{Host: hostOf(d, w.request.Host), Port: d.Port}
	address := d.Address.String() + " is"
	if d.Address.Symbol != "" {
		address = w.request.Host + " resolves to"
	}
	p.note(resolve.NewStep(resolve.RuleZtunnelService, resolve.Matched, svc.Ref, address, svc.Ref.Object().String()))
	binding := w.waypointOf(svc)
	if binding.Waypoint != nil {
		p.note(binding.Steps...)
		w.toWaypoints(p, client, binding, tunnelled{service: svc, port: d.Port, dialled: d})
		return
	}
	w.withoutWaypoint(p, svc, d.Port, binding)
	port, declared := svc.PortByNumber(d.Port)
	switch {
	case svc.Resolution == resolve.Passthrough:
		p.via = CodePassthrough
		w.dial(p, d, w.request.Host)
		return
	case svc.Resolution == resolve.DynamicDNS && resolve.IsWildcardHost(svc.Hostname):
		w.ztunnelCloses(p, CodeNoEndpoints, ztunnelUnresolved, resolve.NewStep(resolve.RuleZtunnelDynamic, resolve.None, svc.Ref, svc.Ref.Object().String()))
		return
	case !declared || port.Protocol == resolve.ProtocolUDP:
		step := resolve.NewStep(resolve.RuleZtunnelNoPort, resolve.None, svc.Ref.At("spec.ports"), svc.Ref.Object().String(), d.Port, listPorts(svc))
		w.ztunnelCloses(p, CodePortNotInService, ztunnelNoUpstream, step)
		return
	}
	endpoints, steps := w.snapshot.ZtunnelEndpoints(client, svc, port)
	p.noteNetworks(steps)
	if len(endpoints) == 0 {
		w.ztunnelCloses(p, CodeNoEndpoints, ztunnelNoUpstream, resolve.NewStep(resolve.RuleZtunnelNone, resolve.None, svc.Ref, svc.Ref.Object().String(), d.Port))
		return
	}
	for _, g := range w.groupEndpoints(endpoints) {
		if g.first.Gateway != nil {
			w.ztunnelAcross(p.branch(g.part), g, w.nest(svc, svc, d.Port))
			continue
		}
		w.ztunnelToEndpoint(p.branch(g.part), g)
	}
}

// ztunnelAcross sends to the gateway of another network.
func (w *walk) ztunnelAcross(p *path, g *group, in nested) {
	tls := resolve.EastWestTLS(g.first, in.service.Hostname, in.port)
	p.note(tls.Step)
	if steps := g.first.Gateway.OneOfSeveral(); len(steps) > 0 {
		p.note(steps...)
		p.lower(Undetermined)
	}
	p.dest.Endpoints, p.endpoints = g.first.Behind, g.key
	w.byEastWest(p, g.first.Gateway, in)
}

// ztunnelToPod is step 4.
func (w *walk) ztunnelToPod(p *path, client *resolve.Workload, d resolve.Dialled, g *group) {
	p.dest = Destination{Host: hostOf(d, w.request.Host), Port: d.Port}
	if server := g.first.Workload; server != nil {
		binding := w.snapshot.WorkloadWaypoint(server)
		var missed []resolve.Step
		if binding.Waypoint == nil {
			missed = w.missedByPod(p, d, server)
		}
		step := resolve.NewStep(resolve.RuleZtunnelWorkload, resolve.Matched, server.Owner, w.request.Host, server.Owner.String(), wouldRefuse(missed))
		step.Meant = slices.ContainsFunc(missed, meant)
		p.note(step)
		p.note(binding.Steps...)
		p.note(w.snapshot.StatusOfWorkloadWaypoint(server, binding)...)
		p.note(missed...)
		if binding.Waypoint != nil {
			w.toWaypoints(p, client, binding, tunnelled{workload: server, port: d.Port})
			return
		}
	}
	w.ztunnelToEndpoint(p, g)
}

func (w *walk) ztunnelToEndpoint(p *path, g *group) {
	p.dest.TargetPort = g.first.Port
	tls := w.snapshot.ZtunnelSends(g.first)
	p.note(tls.Step)
	w.arrive(p, g, tls)
}

// tunnelled is what HBONE is asked for, its CONNECT authority: a service and its port, or a workload and one of its own.
type tunnelled struct {
	service  *resolve.Service
	workload *resolve.Workload
	port     int
	// dialled is the address of the service that the authority has. nameless is set where it has none, and the authority is 0.0.0.0.
	dialled  resolve.Dialled
	nameless bool
}

// String names it as the log does.
func (t tunnelled) String() string {
	if t.service != nil {
		return fmt.Sprintf("%s:%d", t.service.Hostname, t.port)
	}
	return fmt.Sprintf("%s:%d", t.workload.Owner, t.port)
}

// toWaypoints brings a connection to the waypoint that is bound, or a part of such connections to its canary.
func (w *walk) toWaypoints(p *path, client *resolve.Workload, b resolve.WaypointBinding, to tunnelled) {
	through := func(p *path, waypoint *resolve.Waypoint) {
		if !w.toWaypoint(p, client, waypoint, to) {
			w.ztunnelCloses(p, CodeNoWaypoint, ztunnelUnknownWaypoint, resolve.NewStep(resolve.RuleZtunnelNoWaypoint, resolve.None, waypoint.Ref, waypoint.Name()))
		}
	}
	if b.Canary == nil || b.CanaryWeight == 0 {
		through(p, b.Waypoint)
		return
	}
	part := float64(b.CanaryWeight) / 100
	if part < 1 {
		through(p.fork(1-part), b.Waypoint)
	}
	through(p.fork(part), b.Canary)
}

// toWaypoint brings a connection to one of the pods of a waypoint; false where there is none, which the sender decides about.
func (w *walk) toWaypoint(p *path, client *resolve.Workload, waypoint *resolve.Waypoint, to tunnelled) bool {
	p.note(resolve.NewStep(resolve.RuleZtunnelToWaypoint, resolve.Applied, waypoint.Ref, waypoint.Name(), to.String()))
	pods, steps := w.snapshot.WaypointEndpoints(client, waypoint)
	p.note(steps...)
	if len(pods) == 0 {
		return false
	}
	unmodelled, ends := w.snapshot.UnmodelledWaypoint(waypoint)
	for _, g := range w.groupEndpoints(pods) {
		branch := p.branch(g.part)
		if ends {
			w.intoUnmodelled(branch, g, unmodelled)
			continue
		}
		if g.first.Gateway != nil && to.service != nil {
			w.ztunnelAcross(branch, g, w.nest(to.service, w.snapshot.WaypointService(waypoint), to.port))
			continue
		}
		if g.first.Workload == nil {
			branch.lower(Undetermined)
			w.outside(branch, g.first, resolve.ClientTLS{Mode: resolve.ClientPlaintext})
			continue
		}
		w.throughWaypoint(branch, arrival{workload: g.first.Workload, port: g.first.Port, tls: w.snapshot.ZtunnelSends(g.first)}, to)
	}
	return true
}

// intoUnmodelled ends at a waypoint of which it is not known what it does, as the step says.
func (w *walk) intoUnmodelled(p *path, g *group, step resolve.Step) {
	if pod := g.first.Workload; pod != nil {
		p.enter(Hop{Proxy: resolve.DataplaneWaypoint, Direction: AtGateway, Workload: pod.Owner, TLS: TLSHBONE})
		p.dest.Workloads, p.dest.Endpoints = []resolve.Ref{pod.Owner}, g.count
	}
	w.endAt(p, Outcome{Decision: Delivered, Certainty: Undetermined, By: p.by}, step)
}

// ztunnelCloses ends a connection that the client's ztunnel can send nowhere.
func (w *walk) ztunnelCloses(p *path, code Code, details string, step resolve.Step) {
	w.endAt(p, Outcome{Decision: Unavailable, Code: code, ResponseCodeDetails: details}, step)
}

// intoZtunnel is steps 6 and 7.
func (w *walk) intoZtunnel(p *path, a arrival) {
	server := a.workload
	if step, past := w.snapshot.BypassesZtunnel(server); past && !a.tls.HBONE {
		w.uncaptured(p, a, a.tls.Step.Ref, server.DataplaneStep, step)
		return
	}
	c := resolve.ZtunnelConnection{
		SourceIP: p.senderIP, DestinationIP: firstAddress(server), DestinationPort: a.port, HBONE: a.tls.HBONE,
		Original: p.beforeWaypoint(),
	}
	if p.speaksHTTP() {
		c.Request = p.http
	}
	hop := p.enter(Hop{Proxy: resolve.DataplaneAmbient, Direction: Inbound, Workload: server.Owner, TLS: p.reachedBy(a.tls.Mode), met: met{proxy: server}})
	p.note(server.DataplaneStep)
	if a.tls.HBONE {
		hop.TLS = TLSHBONE
		peer := p.sender.Principal(w.snapshot.Mesh.GetTrustDomain())
		p.note(resolve.NewStep(resolve.RuleZtunnelHBONEIn, resolve.Matched, server.Owner, peer))
		hop.Peer, c.Peer = peer, peer
	} else {
		p.note(resolve.NewStep(resolve.RuleZtunnelPlainIn, resolve.Matched, server.Owner))
	}
	w.asked.judgedAtZtunnel(p, w.snapshot, server)
	if w.survey != nil {
		w.surveyGuard(server, a.port, true)
	} else if !w.admitted(p, w.snapshot.AuthorizeAtZtunnel(server, c)) {
		return
	}
	if a.tls.Mode == resolve.ClientMTLS && !a.tls.HBONE {
		w.refusesMTLS(p, a.tls, p.refusedTLS(), resolve.NewStep(resolve.RuleZtunnelOpaqueMTLS, resolve.None, a.tls.Step.Ref, server.Owner.String()))
		return
	}
	w.deliver(p, a)
}

// beforeWaypoint is the identity of the client whose connection the last hop, a waypoint, passes on; empty where that is none.
func (p *path) beforeWaypoint() string {
	if len(p.hops) > 0 && p.hop().Proxy == resolve.DataplaneWaypoint {
		return p.hop().Peer
	}
	return ""
}

// admitted ends a connection that the server's ztunnel refuses: an Envoy that sent HTTP answers 503, and a ztunnel closes
// what its application opened.
func (w *walk) admitted(p *path, result resolve.Authorization) bool {
	p.note(result.PassedOver...)
	p.note(result.Steps...)
	switch result.Decision {
	case resolve.AccessAllowed:
		return true
	case resolve.AccessUndetermined:
		p.lower(Undetermined)
		p.suppose(result.Policy.Object().String()+" lets it pass", p.rejectedByPolicy(result))
		return true
	case resolve.AccessDenied:
		if !result.Undecided.IsZero() {
			first := resolve.Authorization{Policy: result.Undecided, EnvoyPolicy: result.UndecidedPolicy}
			p.suppose(result.Undecided.Object().String()+" does not deny before", p.rejectedByPolicy(first))
		}
	}
	o := Outcome{Decision: Denied, ResponseFlags: "DENY", ResponseCodeDetails: result.Details, By: result.Policy, Code: CodePolicyDeny, Hint: result.Hint}
	if result.EnvoyPolicy == resolve.NoPolicy {
		o.Code = CodePolicyNoAllow
	}
	if p.routed {
		o.HTTPStatus = 503
	}
	w.rejected(p, o, result.Steps)
	return false
}

// rejectedByPolicy is the end of a connection that a policy of ztunnel's refuses which could not be decided.
func (p *path) rejectedByPolicy(result resolve.Authorization) Alternative {
	a, name := refused(result)
	a.ResponseFlags, a.ResponseCodeDetails = "DENY", resolve.ZtunnelRejection(name)
	if p.routed {
		a.HTTPStatus = 503
	}
	return a
}
