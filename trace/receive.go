package trace

import (
	"cmp"
	"net/netip"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// arrival is a connection that reaches a workload.
type arrival struct {
	workload *resolve.Workload
	port     int
	tls      resolve.ClientTLS
}

// arrive brings the request to a group of endpoints.
func (w *walk) arrive(p *path, g *group, tls resolve.ClientTLS) {
	p.dest.Endpoints, p.endpoints = g.count, p.dest.EnvoyCluster+" "+g.key
	if w.repeats(p) {
		return
	}
	if back := w.enterCluster(p, g.first.Ref.Cluster); back != nil {
		defer back()
	}
	if g.first.Gateway != nil {
		w.toNetwork(p, g.first.Gateway, tls)
		return
	}
	if p.wrapper != nil {
		// A gateway passed a proxy's TLS on unopened: it ends here, inside the gateway's own where that adds any.
		if tls.Mode == resolve.ClientPlaintext {
			tls, p.sender = p.wrapper.tls, p.wrapper.sender
		} else {
			p.sealed = true
		}
		p.wrapper = nil
	}
	if found, steps, own := w.snapshot.NamedService(p.sender, g.first); own && found.Found {
		p.note(steps...)
		w.connect(p, found.Dialled, tls)
		return
	}
	if g.first.Workload == nil || g.first.Workload.Owner.Kind == "ServiceEntry" {
		ip, _ := netip.ParseAddr(g.first.Address)
		if w.known(p, ip, g.first.Port, tls) {
			return
		}
		if g.first.Workload == nil {
			w.outside(p, g.first, tls)
			return
		}
	}
	p.dest.Workloads = []resolve.Ref{g.first.Workload.Owner}
	w.receive(p, arrival{workload: g.first.Workload, port: g.first.Port, tls: tls})
}

// outside hands the request to an address that is no workload of the mesh.
func (w *walk) outside(p *path, e *resolve.Endpoint, tls resolve.ClientTLS) {
	if tls.Mode == resolve.ClientMTLS {
		w.refusesMTLS(p, tls, p.refusedTLS(), resolve.NewStep(resolve.RuleMTLSOutside, resolve.Warned, tls.Step.Ref, e.Address))
		return
	}
	originated := originates(tls)
	if originated && p.sealed {
		w.twice(p, tls, e.Address)
		return
	}
	if p.via == "" {
		p.via = CodeOutsideMesh
	}
	how := ""
	if originated {
		how = " over TLS that the proxy originates"
	}
	w.endAt(p, Outcome{Decision: Delivered, Forwarded: p.forwarded(), By: p.by},
		resolve.NewStep(resolve.RuleApplicationOutside, resolve.Matched, e.Ref, cmp.Or(e.Address, w.request.Host), e.Port, how))
}

// receive is the receiving side of a workload: its proxy where it has one that
// captures the port, else the application itself.
func (w *walk) receive(p *path, a arrival) {
	if w.deaf(p, a) {
		return
	}
	switch a.workload.Dataplane {
	case resolve.DataplaneGateway:
		w.throughGateway(p, a)
	case resolve.DataplaneSidecar:
		w.inbound(p, a)
	case resolve.DataplaneAmbient:
		w.intoZtunnel(p, a)
	case resolve.DataplaneWaypoint:
		if a.tls.HBONE {
			w.forNobody(p, a)
			return
		}
		p.enter(Hop{Proxy: a.workload.Dataplane, Direction: Inbound, Workload: a.workload.Owner, TLS: p.reachedBy(a.tls.Mode)})
		w.endAt(p, w.refused(p, CodeNoGatewayPort), resolve.NewStep(resolve.RuleWaypointDirect, resolve.None, a.workload.Owner, a.workload.Owner.String(), a.port))
	case resolve.DataplaneNone:
		w.withoutProxy(p, a)
	}
}

// deaf ends HBONE for a workload that does not listen for it; it reports whether it did. A proxy that sends it connects to a
// listener of its own, which then can not connect to the pod.
func (w *walk) deaf(p *path, a arrival) bool {
	if d := a.workload.Dataplane; !a.tls.HBONE || d == resolve.DataplaneAmbient || d == resolve.DataplaneWaypoint {
		return false
	}
	step, deaf := w.snapshot.DeafToHBONE(a.workload)
	if !deaf {
		return false
	}
	o := Outcome{Decision: Unavailable, Code: CodeMTLSRefused}
	if p.proxied {
		o = p.failed(o, "UC", closedByPeer)
	}
	w.endAt(p, o, step)
	return true
}

// withoutProxy is an application that reads the connection as it comes.
func (w *walk) withoutProxy(p *path, a arrival) {
	w.halfCaptured(p, a.workload)
	w.uncaptured(p, a, a.tls.Step.Ref, w.capture(a.workload)...)
}

// halfCaptured lowers the certainty where a pod is led to a ztunnel that does not have it yet: what comes of that is over in a moment,
// or not.
func (w *walk) halfCaptured(p *path, pod *resolve.Workload) {
	if pod.DataplaneStep.Rule == resolve.RuleWorkloadPending {
		p.lower(Undetermined)
	}
}

// uncaptured is a connection that no proxy takes before the application, as the steps say. Istio mTLS is the fault of culprit.
func (w *walk) uncaptured(p *path, a arrival, culprit resolve.Ref, steps ...resolve.Step) {
	p.enter(Hop{Proxy: resolve.DataplaneNone, Direction: Inbound, Workload: a.workload.Owner, TLS: p.reachedBy(a.tls.Mode), met: met{proxy: a.workload}})
	p.note(steps...)
	if a.tls.Mode == resolve.ClientMTLS {
		w.refusesMTLS(p, a.tls, p.refusedTLS(), resolve.NewStep(resolve.RuleMTLSToPlaintext, resolve.None, culprit, a.workload.Owner.String()))
		return
	}
	w.deliver(p, a)
}

// refusesMTLS ends mTLS that the receiver does not speak; the hint is that the sender's DestinationRule asks for none.
func (w *walk) refusesMTLS(p *path, tls resolve.ClientTLS, details string, step resolve.Step) {
	o := w.brokenOutcome(p, CodeMTLSRefused, "UF", details)
	o.Hint = tlsMode(tls.Step.Ref, "DISABLE")
	w.endAt(p, o, step)
}

// inbound is the sidecar on the server's side: capture, filter chain under the
// effective PeerAuthentication, then authentication and authorization.
func (w *walk) inbound(p *path, a arrival) {
	server := a.workload
	captured, step := w.snapshot.CapturesInbound(server, a.port, w.request.Scheme == UDP)
	if !captured {
		w.uncaptured(p, a, step.Ref, step)
		return
	}
	hop := p.enter(Hop{Proxy: resolve.DataplaneSidecar, Direction: Inbound, Workload: server.Owner, TLS: p.reachedBy(a.tls.Mode), met: met{proxy: server}})
	w.crashes(p, server)
	hop.Envoy.Listener = "virtualInbound"
	switch s := server.DataplaneStep; {
	case s.Verdict == resolve.Warned:
		p.note(s)
	case s.Rule != "":
		p.note(resolve.NewStep(resolve.RuleInboundProxy, resolve.Applied, s.Ref, s.Reason()))
	}
	if server.InjectorStep.Rule != "" {
		p.note(server.InjectorStep)
	}
	p.note(step)
	w.meshConfig(p)
	scope, steps := w.snapshot.Scope(server)
	p.sidecarGaps(steps)
	if own := w.snapshot.OwnInboundPort(a.port); own != nil {
		if a.tls.Mode != resolve.ClientPlaintext {
			// The chain opens no TLS: for the sender the handshake does not finish.
			hop.Envoy.FilterChain, hop.Envoy.Cluster = own.FilterChain, "BlackHoleCluster"
			w.refusesMTLS(p, a.tls, handshakeFailed, own.Step)
			return
		}
		w.ownPort(p, own)
		return
	}
	port, steps := w.snapshot.Inbound(server, scope, a.port)
	p.note(steps...)
	p.declared = port.Ref
	hop.met.scope, hop.met.inbound = scope, &port
	hop.Envoy.FilterChain = port.FilterChain
	mtls := w.snapshot.EffectiveMTLS(server, a.port)
	if a.tls.HBONE {
		mtls = w.tunnelEnds(p, a)
	}
	p.note(mtls.Steps...)
	bytes, stands := w.certified(p, a, mtls.Mode)
	if !stands {
		return
	}
	result := resolve.InboundChain(mtls.Mode, port.Protocol, bytes)
	result.Verified = result.Verified || a.tls.HBONE && result.Fate.Accepted()
	if result.Fate == resolve.InboundHTTP && !port.Declared {
		hop.Envoy.FilterChain = "virtualInbound-catchall-http"
	}
	if result.Verified && hop.Peer == "" && p.sender != nil {
		hop.Peer = p.sender.Principal(w.snapshot.Mesh.GetTrustDomain())
		if accepted, step := w.snapshot.AcceptsServer(a.tls, server); !accepted {
			hop.Peer, hop.Envoy.Cluster = "", "" // the client closes before it says who it is
			w.broken(p, CodeUntrustedPeer, "UF", handshakeFailed, step)
			return
		}
		trusted, step := w.snapshot.TrustsPeer(hop.Peer)
		if !trusted {
			flags, details := w.certificateRefused(p, a.tls, server)
			o := w.brokenOutcome(p, CodeUntrustedPeer, flags, details)
			o.Hint = trust(hop.Peer, w.snapshot.Mesh.Ref)
			w.endAt(p, o, step)
			return
		}
	}
	if !result.Fate.Accepted() {
		w.refusedByChain(p, result, mtls, a)
		return
	}
	p.note(result.Step)
	if result.Fate == resolve.InboundTCP {
		hop.Envoy.Cluster = port.Cluster
	}
	place := resolve.PatchPlace{Proxy: server, Side: resolve.SideInbound, Port: a.port, HTTP: result.Fate == resolve.InboundHTTP}
	if port.Declared {
		place.ChainPort = a.port
	}
	var request *resolve.HTTPRequest
	if result.Fate == resolve.InboundHTTP {
		hop.Envoy.RouteConfig = port.RouteConfig
		w.extensions(p, place)
		if !w.cleaned(p, server) {
			return
		}
		p.readsScheme(result.Verified, true, w.request.Scheme.IsGRPC())
		request = p.http
		request.Reserved = nil
		p.lookAhead(func() (*resolve.VirtualHost, func() []*resolve.VirtualHost) {
			return inboundHost(port.VirtualHost), nil
		})
		hop.Envoy.VirtualHost, hop.Envoy.Route, hop.Envoy.Cluster = port.VirtualHost, "default", port.Cluster
	} else {
		w.extensions(p, place)
	}
	connection := &resolve.Connection{
		Peer: hop.Peer, SourceIP: p.senderIP, RemoteIP: p.sidecarRemoteIP(request),
		DestinationIP: firstAddress(server), DestinationPort: a.port, SNI: p.inspected(a, mtls.Mode),
	}
	if result.Verified {
		connection.TLS = resolve.TLSOpened
	} else if p.hopEncrypted() {
		connection.TLS = resolve.TLSPassedOn
	}
	p.originate = originate(p, a)
	if mtls.Mode == resolve.MTLSDisable && !a.tls.HBONE {
		p.originate = append(p.originate, permit(mtls)...)
	}
	if !w.filters(p, server, connection, request) || request != nil && !w.inboundRoute(p, port.VirtualHost) {
		return
	}
	if step, removed := w.patchedCluster(p, port.Cluster, w.snapshot.InboundHosts(port)...); removed {
		p.note(step)
		o := p.failed(Outcome{Decision: Unavailable, Code: CodeNoCluster, Reason: step.Reason(), By: step.Ref}, "NC", "cluster_not_found")
		if request != nil {
			o.HTTPStatus = 503
		}
		w.end(p, o)
		return
	}
	if a.tls.Mode == resolve.ClientMTLS && !result.Verified {
		w.undecrypted(p, a, mtls)
		return
	}
	a.port = port.TargetPort
	w.deliver(p, a)
}

// tunnelEnds is HBONE that a sidecar ends: what was inside meets filter chains without mTLS, whatever PeerAuthentication says.
// Source: pilot/pkg/networking/core/listener_inbound.go, buildInboundHBONEListeners.
func (w *walk) tunnelEnds(p *path, a arrival) resolve.MTLS {
	p.hop().TLS, p.hop().Envoy.Listener = TLSHBONE, "main_internal"
	return resolve.MTLS{Mode: resolve.MTLSDisable, Steps: []resolve.Step{resolve.NewStep(resolve.RuleInboundHBONE, resolve.Applied, a.workload.Owner)}}
}

// inspected is the server name that a sidecar reads of a connection. In mode DISABLE it does not look for TLS.
// Source: pilot/pkg/networking/core/listener_inbound.go, populateListenerFilters.
func (p *path) inspected(a arrival, mode resolve.MTLSMode) string {
	switch {
	case mode == resolve.MTLSDisable, p.hop().TLS == TLSPlaintext:
		return ""
	case a.tls.Mode != resolve.ClientPlaintext:
		return strings.ToLower(a.tls.SNI)
	}
	return strings.ToLower(p.sni)
}

// undecrypted ends mTLS that a chain without TLS hands on: the application cannot read it.
func (w *walk) undecrypted(p *path, a arrival, mtls resolve.MTLS) {
	culprit := a.tls.Step.Ref
	if culprit.IsZero() {
		culprit = mtls.Ref
	}
	w.refusesMTLS(p, a.tls, p.refusedTLS(), resolve.NewStep(resolve.RuleMTLSUndecrypted, resolve.None, culprit, a.workload.Owner.String()))
}

// refusedByChain ends a connection that no filter chain takes, or whose bytes its
// chain cannot read. The PeerAuthentication that asks for mTLS is the culprit where
// plaintext is refused; else the client's TLS is.
func (w *walk) refusedByChain(p *path, result resolve.InboundResult, mtls resolve.MTLS, a arrival) {
	code, flags, details := CodeNoFilterChain, "UC", closedByPeer
	step := result.Step
	handshaken := step.Rule == resolve.RuleInboundChainNotHTTP || step.Rule == resolve.RuleInboundChainNotHTTP2
	switch {
	case handshaken:
		code, step.Ref = CodeProtocolError, p.by
	case a.tls.Mode == resolve.ClientMTLS:
		code, step.Ref = CodeMTLSRefused, a.tls.Step.Ref
	case result.Fate == resolve.InboundReset && !p.sealed && a.tls.Mode == resolve.ClientPlaintext:
		code, step.Ref = CodeMTLSRequired, mtls.Ref
	case result.Fate == resolve.InboundReset, result.Fate == resolve.InboundHandshakeFailure:
		code, step.Ref = CodeTLSRejected, mtls.Ref
	case result.Fate == resolve.InboundProtocolError:
		code = CodeProtocolError
	}
	if a.tls.Mode != resolve.ClientPlaintext && !handshaken {
		flags, details = "UF", handshakeFailed
		switch result.Fate {
		case resolve.InboundProtocolError:
			details = answeredInPlaintext
		case resolve.InboundHandshakeFailure:
			flags, details = w.certificateRefused(p, a.tls, a.workload)
		}
	}
	o := w.brokenOutcome(p, code, flags, details)
	if step.Rule == resolve.RuleInboundChainNotHTTP2 && !p.loggedBySender(flags) {
		o.ResponseCodeDetails = "" // those are of a request, and this connection has none yet
	}
	if result.Fate == resolve.InboundReset {
		p.hop().Envoy.FilterChain = ""
		if !p.loggedBySender(flags) {
			o.ResponseFlags, o.ResponseCodeDetails = noFilterChain()
		}
	}
	switch code {
	case CodeMTLSRefused:
		o.Hint = tlsMode(a.tls.Step.Ref, "DISABLE")
	case CodeMTLSRequired:
		o.Hint = w.withMTLS(p, a, mtls)
		o.Reason = step.Reason() + "; " + whyPlaintext(p, a)
	}
	w.endAt(p, o, step)
}

// whyPlaintext tells whose doing it is that a client sends plaintext.
func whyPlaintext(p *path, a arrival) string {
	switch {
	case !p.proxied:
		return "no proxy on the client's side sends mTLS"
	case a.tls.Step.Ref.IsZero():
		return "the client's proxy sends plaintext"
	}
	return "the client's proxy sends plaintext because of " + a.tls.Step.Ref.Object().String()
}

// originates reports whether a proxy opens TLS that is not the mesh's.
func originates(tls resolve.ClientTLS) bool {
	return tls.Mode == resolve.ClientTLSOrigination || tls.Mode == resolve.ClientMutualTLSOrigination
}

// twice ends TLS within TLS: the receiver ends the outer one, and closes on what it finds within.
func (w *walk) twice(p *path, tls resolve.ClientTLS, receiver string) {
	w.broken(p, CodeTLSTwice, "UC", closedByPeer,
		resolve.NewStep(resolve.RuleTLSTwice, resolve.Warned, tls.Step.Ref, receiver))
}

// deliver reaches the application.
func (w *walk) deliver(p *path, a arrival) {
	if originates(a.tls) {
		if p.sealed {
			w.twice(p, a.tls, a.workload.Owner.String())
			return
		}
		p.note(resolve.NewStep(resolve.RuleTLSTakenToSpeak, resolve.Warned, a.tls.Step.Ref, a.workload.Owner.String(), a.port))
	}
	p.dest.TargetPort = a.port
	w.endAt(p, Outcome{Decision: Delivered, Forwarded: p.forwarded(), By: p.by},
		resolve.NewStep(resolve.RuleApplicationDelivered, resolve.Matched, a.workload.Owner, a.workload.Owner.String(), a.port))
}

func firstAddress(w *resolve.Workload) netip.Addr {
	if len(w.Addresses) == 0 {
		return netip.Addr{}
	}
	return w.Addresses[0]
}
