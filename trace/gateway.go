package trace

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// enterGateway brings a request from outside to the gateway workload that takes it.
func (w *walk) enterGateway(p *path) error {
	entries, steps := w.snapshot.GatewayEntries(w.request.gatewayQuestion())
	if len(entries) == 0 {
		if step := steps[len(steps)-1]; w.request.Gateway != "" && whyNotServed(steps) == nil {
			return &SourceError{Input: InputGateway, Problem: step.Reason(), Nearest: step.Expected}
		}
		p.note(steps...)
		p.note(w.snapshot.GatewayWorkloadGaps()...)
		o := Outcome{Decision: NotRouted, Code: CodeNoGateway, Reason: lastReason(steps)}
		if nearest := whyNotServed(steps); nearest != nil {
			o.By, o.Reason = nearest.Ref, nearest.Ref.Object().String()+" "+nearest.Reason()
		}
		w.end(p, o)
		return nil
	}
	w.enter(p, entries[0], steps...)
	return nil
}

// gatewayQuestion asks for the gateways that the request could enter by.
func (req Request) gatewayQuestion() resolve.GatewayQuestion {
	return resolve.GatewayQuestion{
		Host: req.HTTPRequest().Hostname(), Port: req.Port, TLS: req.Scheme.IsTLS(), SNI: req.ServerName(), HTTP: req.Scheme.IsHTTP(), Gateway: req.Gateway,
	}
}

// enter brings a request from outside in by a gateway; the steps say why this one.
func (w *walk) enter(p *path, entry resolve.GatewayEntry, steps ...resolve.Step) {
	p.enter(Hop{Proxy: resolve.DataplaneGateway, Direction: AtGateway, Workload: entry.Workload.Owner, TLS: p.reachedBy(resolve.ClientPlaintext), met: met{proxy: entry.Workload}})
	p.note(steps...)
	p.note(entry.Steps...)
	p.unserved = whyNotServed(steps)
	if entry.PodPort == 0 {
		p.note(w.snapshot.ServiceGaps(entry.Workload.Namespace)...)
		p.note(w.snapshot.UDPRoutesAt(entry.Workload, w.request.Port)...)
		p.dest = Destination{Host: w.request.HTTPRequest().Hostname(), Port: w.request.Port}
		w.end(p, Outcome{Decision: NotRouted, Code: CodeNoGatewayPort, Reason: lastReason(entry.Steps) + p.orOther(), By: entry.Service})
		return
	}
	w.sourceSeen(p, &entry)
	w.gateway(p, entry.Workload, entry.PodPort, p.ownTLS())
}

// sourceSeen is the client's address as the gateway sees it: not known where a node may have put its own in its place.
func (w *walk) sourceSeen(p *path, entry *resolve.GatewayEntry) {
	if !p.senderIP.IsValid() {
		return
	}
	sees, step, ok := entry.SeesSource(p.senderIP.String())
	if ok {
		p.note(step)
	}
	if !sees {
		p.senderIP = netip.Addr{}
	}
}

// whyNotServed is the last step about a Gateway of the Gateway API that no proxy serves; nil without one.
func whyNotServed(steps []resolve.Step) *resolve.Step {
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i].Ref.Kind == "Gateway" && steps[i].Rule != resolve.RuleGatewayEntryNoProxy {
			return &steps[i]
		}
	}
	return nil
}

// orOther names a Gateway for the host that no proxy serves, where the request came in by another.
func (p *path) orOther() string {
	if p.unserved == nil {
		return ""
	}
	return "; " + p.unserved.Ref.Object().String() + " " + p.unserved.Reason()
}

// ownTLS is the handshake of the client itself.
func (p *path) ownTLS() arrivingTLS {
	identity, spiffe := strings.CutPrefix(p.clientCert, "spiffe://")
	return arrivingTLS{on: p.sealed, sni: p.sni, shown: p.clientCert != "", cert: identity, ofMesh: spiffe}
}

// arrivingTLS is the TLS a gateway meets on the wire.
type arrivingTLS struct {
	on  bool
	sni string
	// shown is whether the client has a certificate, and cert the identity in it, where that is known.
	shown bool
	cert  string
	// ofMesh is whether the mesh's authority may have signed it.
	ofMesh bool
}

// certificate says which one the client shows.
func (t arrivingTLS) certificate() string {
	if t.cert == "" {
		return "the certificate of a DestinationRule"
	}
	return "that of " + t.cert
}

// throughGateway is a gateway that a request from inside the mesh reaches (an egress gateway, say).
func (w *walk) throughGateway(p *path, a arrival) {
	if w.survey.within() {
		w.end(p, Outcome{Decision: Delivered, By: p.by, Reason: "reaches gateway " + a.workload.Owner.QualifiedName() + ", which has a table of its own"})
		return
	}
	w.asked.throughGateway()
	p.enter(Hop{Proxy: resolve.DataplaneGateway, Direction: AtGateway, Workload: a.workload.Owner, TLS: p.reachedBy(a.tls.Mode), met: met{proxy: a.workload}})
	p.note(w.snapshot.GatewayDeployment(a.workload)...)
	tls := p.ownTLS()
	if a.tls.Mode != resolve.ClientPlaintext {
		p.wrapper = &wrapper{tls: a.tls, sender: p.sender}
		tls = arrivingTLS{on: true, sni: a.tls.SNI, shown: a.tls.Mode != resolve.ClientTLSOrigination}
	}
	if a.tls.Mode == resolve.ClientMTLS && p.sender != nil {
		tls.cert, tls.ofMesh = p.sender.Principal(w.snapshot.Mesh.GetTrustDomain()), true
	}
	w.gateway(p, a.workload, a.port, tls)
}

// gateway is a gateway's listener on the pod port: filter chain by server name,
// handshake, then filters and routes of the chosen server.
func (w *walk) gateway(p *path, gw *resolve.Workload, podPort int, tls arrivingTLS) {
	hop := p.hop()
	w.meshConfig(p)
	p.note(w.snapshot.GapSteps(resolve.StageGateway)...)
	p.note(w.snapshot.HiddenGateways(gw)...)
	p.note(w.snapshot.HiddenKubeRoutes(gw)...)
	w.crashes(p, gw)
	merged := w.snapshot.MergedGateway(gw)
	if len(merged.Crashes) > 0 {
		p.note(merged.Crashes...)
		p.lower(Undetermined)
	}
	listener, steps := merged.Listener(podPort)
	host := p.wantedHost()
	if listener == nil {
		host = "" // no server is left: all there are count
	}
	passedBy := merged.PassedBy(host)
	p.note(passedBy...)
	silent := w.snapshot.KubeListenersWithoutTraffic(gw, podPort, host)
	p.note(silent...)
	p.note(merged.ServerSteps(podPort, host)...)
	p.note(w.snapshot.StatusAtGateway(gw, podPort, host)...)
	p.note(steps...)
	if listener == nil {
		o := Outcome{Decision: NotRouted, Code: CodeNoGatewayPort}
		if p.proxied {
			o = w.refused(p, CodeNoGatewayPort)
		}
		o.Reason, o.By = lastReason(steps), gw.Owner
		apart := w.snapshot.IngressesApart(p.wantedHost())
		p.note(apart...)
		if len(apart) > 0 && len(merged.Gateways) == 0 {
			o.By = apart[0].Ref
			o.Reason += "; " + apart[0].Reason()
		}
		if len(merged.Gateways) == 0 && len(passedBy) > 0 && passedBy[0].Rule == resolve.RuleGatewayNotSelected {
			nearest := passedBy[0]
			o.By = nearest.Ref
			o.Reason += "; " + nearest.Ref.Object().String() + " asks for " + nearest.Expected + ", and the pods have " + nearest.Actual
		}
		for _, s := range steps {
			switch s.Rule {
			case resolve.RuleGatewayL4NoRoute, resolve.RuleGatewayAutoPassthroughNone:
				o.Code, o.Reason, o.By = CodeNoL4Route, s.Reason(), s.Ref
			case resolve.RuleGatewayListenerWithin:
				o.Reason, o.By = s.Reason(), s.Ref
			}
		}
		if len(silent) > 0 {
			o.Reason, o.By = silent[len(silent)-1].Reason(), silent[len(silent)-1].Ref
		}
		o.Reason += p.orOther()
		w.end(p, o)
		return
	}
	hop.Envoy.Listener = listener.Name
	chain, steps := listener.FilterChain(tls.on, tls.sni)
	if chain == nil {
		p.note(steps[:len(steps)-1]...)
		code := CodeNoFilterChain
		switch {
		case listener.Rejected != nil:
			code = CodeListenerRejected
		case steps[len(steps)-1].Rule == resolve.RuleGatewayPlaintextToTLS:
			code = CodePlaintextToTLS
		case steps[len(steps)-1].Rule == resolve.RuleGatewayTLSToPlaintext:
			code = CodeTLSToPlaintext
		}
		flags, details := p.seenBySender()
		if code == CodeTLSToPlaintext && p.wrapper != nil {
			details = answeredInPlaintext
		}
		w.broken(p, code, flags, details, steps[len(steps)-1])
		return
	}
	if p.wrapper != nil && p.wrapper.tls.Mode == resolve.ClientMTLS { // a proxy sends Istio's ALPN
		steps = slices.DeleteFunc(slices.Clone(steps), func(s resolve.Step) bool { return s.Rule == resolve.RuleGatewayALPN })
	}
	p.note(steps...)
	announced := w.announced(p)
	if tls.on && !w.handshake(p, gw, chain, tls) {
		return
	}
	place := resolve.PatchPlace{Proxy: gw, Side: resolve.SideGateway, Port: podPort, ServerNames: chain.ServerNames, HTTP: chain.HTTP()}
	for _, server := range chain.Servers {
		place.ServerPorts = append(place.ServerPorts, server.Port())
	}
	connection := &resolve.Connection{
		Peer: hop.Peer, SourceIP: p.senderIP, RemoteIP: p.senderIP, DestinationIP: firstAddress(gw), DestinationPort: podPort,
	}
	if tls.on {
		connection.SNI, connection.TLS = tls.sni, resolve.TLSPassedOn
		if chain.Terminates() {
			connection.TLS = resolve.TLSOpened
		}
	}
	if !chain.HTTP() {
		w.extensions(p, place)
		if chain.Kind == resolve.GatewayAutoPassthrough {
			w.autoPassthrough(p, gw, chain, tls.sni)
			return
		}
		p.note(chain.L4.Steps...) // without its route there were no chain
		p.note(w.snapshot.StatusOfRoutes(gw, tls.sni, "TLSRoute", "TCPRoute")...)
		if w.filters(p, gw, connection, nil) {
			w.gatewayStream(p, gw, chain)
		}
		return
	}
	if announced != nil && chain.Terminates() && !w.request.Scheme.IsGRPC() {
		flags, details := p.seenBySender()
		o := w.brokenOutcome(p, CodeProtocolError, flags, details)
		if !p.loggedBySender(flags) {
			o.ResponseCodeDetails = ""
		}
		w.endAt(p, o, resolve.NewStep(resolve.RuleInboundChainNotHTTP2, resolve.DeniedBy, chain.Server().Ref, announced.Port.Number, announced.Service.Hostname).Unlike("HTTP/2", "other bytes"))
		return
	}
	if !p.speaksHTTP() {
		flags, details := p.seenBySender()
		w.broken(p, CodeProtocolError, flags, details, resolve.NewStep(resolve.RuleGatewayNotHTTP, resolve.DeniedBy, chain.Server().Ref, string(p.payload()), listener.Name))
		return
	}
	hop.Envoy.RouteConfig = chain.RouteConfig
	trustedByPatch := w.extensions(p, place)
	p.readsHTTP()
	if !w.cleaned(p, gw) {
		return
	}
	trusted := w.snapshot.TrustedProxies(gw)
	if trustedByPatch != nil {
		trusted = *trustedByPatch
	}
	connection.RemoteIP = p.remoteIP(trusted)
	p.forwardedByGateway()
	p.http.Reserved = []string{"x-forwarded-for"}
	if trusted == 0 {
		p.http.Reserved = append(p.http.Reserved, "x-forwarded-proto")
	}
	p.readsScheme(chain.Terminates(), trusted > 0, w.request.Scheme.IsGRPC())
	p.lookAhead(func() (*resolve.VirtualHost, func() []*resolve.VirtualHost) {
		table := w.snapshot.GatewayVirtualHosts(merged, chain)
		vh, _ := table.Lookup(p.http.Hostname())
		if vh != nil && !vh.RequireTLS.IsZero() && p.proto.value != "https" {
			return nil, nil // it redirects before any route
		}
		return vh, func() []*resolve.VirtualHost { return table.VirtualHosts }
	})
	if w.filters(p, gw, connection, p.http) {
		w.gatewayHost(p, gw, merged, chain, connection.SNI)
	}
}

// hostMissed are the rules by which a VirtualService that names a host misses a gateway's
// route table, those that look most like a mistake first.
var hostMissed = []resolve.RuleID{
	resolve.RuleKubeGatewayStrict, resolve.RuleKubeRouteRefused, resolve.RuleRouteNamespace, resolve.RuleRouteKind, resolve.RuleRouteOtherHostname,
	resolve.RuleRouteOtherPort, resolve.RuleRouteOtherSection, resolve.RuleRouteIsolated, resolve.RuleRouteNoTraffic, resolve.RuleKubeGatewayByVS,
	resolve.RuleGatewayHostReference, resolve.RuleGatewayHostOtherHosts, resolve.RuleGatewayHostNotServed, resolve.RuleGatewayHostNotExported,
	resolve.RuleGatewayHostNoRoutes, resolve.RuleGatewayHostMeshOnly, resolve.RuleGatewayHostElsewhere, resolve.RuleKubeRouteListener, resolve.RuleRouteNoParent,
	resolve.RuleKubeInertField,
}

// whyHostMissing is the step that best tells why a host has no virtual host; nil if no VirtualService names it.
func whyHostMissing(steps []resolve.Step) *resolve.Step {
	for _, rule := range hostMissed {
		for i := range steps {
			if steps[i].Rule == rule {
				return &steps[i]
			}
		}
	}
	return nil
}

// gatewayHost looks the Host up in the server's route table and takes a route. sni is the
// server name with which the connection was made.
func (w *walk) gatewayHost(p *path, gw *resolve.Workload, merged *resolve.MergedGateway, chain *resolve.GatewayFilterChain, sni string) {
	table := w.snapshot.GatewayVirtualHosts(merged, chain)
	host := p.http.Hostname()
	vh, steps := table.Lookup(host)
	p.note(w.snapshot.GapSteps(resolve.StageHost)...)
	p.note(w.snapshot.HiddenVirtualServices(host)...)
	p.note(steps...)
	p.note(w.snapshot.StatusOfRoutes(gw, host, "HTTPRoute", "GRPCRoute")...)
	vh = w.patchedHost(p, vh, func() []*resolve.VirtualHost { return table.VirtualHosts })
	if vh == nil || len(vh.Routes) == 0 && vh.RequireTLS.IsZero() {
		if !w.passes(p, resolve.BeforeRouter) {
			return
		}
		o := Outcome{Decision: NotRouted, HTTPStatus: 404, ResponseFlags: "NR", ResponseCodeDetails: "route_not_found", Code: CodeNoVirtualHost, By: chain.Server().Ref}
		if vh != nil {
			p.hop().Envoy.VirtualHost = vh.Name
		}
		o.Reason = lastReason(steps)
		if nearest := whyHostMissing(append(merged.PassedBy(host), steps...)); nearest != nil {
			o.By, o.Reason = nearest.Ref, nearest.Ref.Object().String()+" "+nearest.Reason()
			if strings.HasSuffix(nearest.Ref.Kind, "Route") && nearest.Expected != "" {
				o.Reason += ": expected " + nearest.Expected + ", got " + nearest.Actual
			}
		}
		if sni != "" && sni != host {
			o.Reason += "; the connection was made with server name " + sni
		}
		w.end(p, o)
		return
	}
	p.hop().Envoy.VirtualHost = vh.Name
	p.stream = false
	scope, _ := w.snapshot.Scope(gw)
	w.sendFrom(p, gw)
	w.route(p, &router{workload: gw, scope: scope, gateway: true, port: chain.Server().Port(), tls: p.proto.value == "https"}, vh)
}

// wantedHost is the name by which a gateway chooses a server: the Host header, or the
// server name of a connection that is no HTTP; empty without either.
func (p *path) wantedHost() string {
	if p.http != nil {
		return p.http.Hostname()
	}
	return p.sni
}

// announced is the cluster of a proxy that forwards bytes to the gateway if its mTLS says that they are HTTP/2.
func (w *walk) announced(p *path) *resolve.Cluster {
	if p.wrapper == nil || !p.stream {
		return nil
	}
	return w.snapshot.AnnouncesHTTP2(p.wrapper.tls)
}

// handshake is the TLS handshake with a filter chain of a gateway; it reports whether the connection goes on.
//
//  1. A chain that terminates TLS and has no certificate closes the connection.
//  2. It may ask for a client certificate, of certain names.
//  3. A proxy that sends Istio mTLS trusts certificates of the mesh alone, which a server
//     has with ISTIO_MUTUAL. One with a certificate of its own is taken not to be trusted.
//  4. TLS that is terminated is off the request: the client's own, or the sending proxy's.
//
// Source: pilot/pkg/networking/core/listener.go, BuildListenerTLSContext; pilot/pkg/networking/core/cluster_tls.go, constructUpstreamTLS.
func (w *walk) handshake(p *path, gw *resolve.Workload, chain *resolve.GatewayFilterChain, tls arrivingTLS) bool {
	flags, details := p.seenBySender()
	if !w.supplied(p, chain.ServerCertificates(w.snapshot), flags, details) {
		return false
	}
	done, steps := chain.Handshake(tls.shown)
	if done && tls.shown {
		trusted, more := chain.TrustsClient(tls.ofMesh, tls.certificate())
		done, steps = trusted, append(steps, more...)
	}
	if done && tls.ofMesh && p.wrapper == nil && chain.AsksOfMesh() {
		steps = append(steps, resolve.NewStep(resolve.RuleTrustDomainOwnCert, resolve.Warned, chain.Server().Ref, tls.cert))
	}
	if done && tls.cert != "" {
		named, more := chain.TakesClientName(tls.cert)
		done, steps = named, append(steps, more...)
	}
	if done && p.wrapper != nil && p.wrapper.tls.Mode == resolve.ClientMTLS {
		own, more := chain.MeshCertificate(p.wrapper.sender.Owner)
		done, steps = own, append(steps, more...)
	}
	if !done && w.survey == nil { // another client may have what it takes
		p.note(steps[:len(steps)-1]...)
		last := steps[len(steps)-1]
		code := CodeClientCertRequired
		switch {
		case last.Rule == resolve.RuleGatewayForeignCert:
			code = CodeServerCertRejected
		case p.wrapper != nil:
			flags, details = "UC", closedByPeer // a program's certificate is taken to be one that the sender accepts
			if chain.ShowsMesh() {
				flags, details = w.certificateRefused(p, p.wrapper.tls, gw)
			}
		}
		w.broken(p, code, flags, details, last)
		return false
	}
	p.note(steps...)
	if !chain.Terminates() {
		return true
	}
	if chain.ClientCertificate() != resolve.ClientCertificateIgnored && tls.shown {
		p.hop().Peer, p.hop().TLS = tls.cert, TLSMutual
	}
	if p.wrapper == nil {
		p.sealed, p.sni = false, ""
	}
	p.wrapper = nil
	return true
}

// sendFrom makes the gateway the sender of what follows: the next hop sees its identity and address.
func (w *walk) sendFrom(p *path, gw *resolve.Workload) {
	p.sender, p.proxied = gw, true
	p.senderIP = firstAddress(gw)
}
