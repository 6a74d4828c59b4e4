package trace

import (
	"net/netip"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// enterGateway brings a request from outside to the gateway workload that takes it.
func (w *walk) enterGateway(p *path) error {
	host := w.request.HTTPRequest().Hostname()
	entries, steps := w.snapshot.GatewayEntries(resolve.GatewayQuestion{
		Host: host, Port: w.request.Port, TLS: w.request.Scheme.IsTLS(), SNI: p.sni, HTTP: w.request.Scheme.IsHTTP(), Gateway: w.request.Gateway,
	})
	if len(entries) == 0 {
		if w.request.Gateway != "" && len(steps) > 0 {
			step := steps[len(steps)-1]
			return &SourceError{Input: InputGateway, Problem: step.Reason(), Nearest: step.Expected}
		}
		p.note(steps...)
		p.note(w.snapshot.UnmodelledGatewayRoutes(host)...)
		w.end(p, Outcome{Decision: NotRouted, Code: CodeNoGateway, Reason: lastReason(steps)})
		return nil
	}
	entry := entries[0]
	p.enter(Hop{Proxy: resolve.DataplaneGateway, Direction: AtGateway, Workload: entry.Workload.Owner, TLS: clientTLS(w.request)})
	p.note(w.snapshot.GapSteps(resolve.StageGateway)...)
	p.note(entry.Steps...)
	if entry.PodPort == 0 {
		p.dest = Destination{Host: host, Port: w.request.Port}
		w.end(p, Outcome{Decision: NotRouted, Code: CodeNoGatewayPort, Reason: lastReason(entry.Steps), By: entry.Service})
		return nil
	}
	w.gateway(p, entry.Workload, entry.PodPort, arrivingTLS{on: p.sealed, cert: strings.TrimPrefix(p.clientCert, "spiffe://")})
	return nil
}

func clientTLS(r Request) HopTLS {
	switch {
	case r.Scheme.IsTLS() && r.ClientCert != "":
		return TLSMutual
	case r.Scheme.IsTLS():
		return TLSSimple
	}
	return TLSPlaintext
}

// arrivingTLS is the TLS a gateway meets on the wire.
type arrivingTLS struct {
	on bool
	// cert is the identity in the client's certificate; empty without one.
	cert string
}

// throughGateway is a gateway that a request from inside the mesh reaches (an egress gateway, say).
func (w *walk) throughGateway(p *path, a arrival) {
	p.enter(Hop{Proxy: resolve.DataplaneGateway, Direction: AtGateway, Workload: a.workload.Owner, TLS: hopTLS(a.tls.Mode)})
	tls := arrivingTLS{on: p.sealed}
	if a.tls.Mode != resolve.ClientPlaintext {
		tls.on = true
		p.sni = a.tls.SNI
	}
	if a.tls.Mode == resolve.ClientMTLS && p.sender != nil {
		tls.cert = p.sender.Principal(w.snapshot.Mesh.GetTrustDomain())
	}
	p.wrapped = a.tls.Mode != resolve.ClientPlaintext
	w.gateway(p, a.workload, a.port, tls)
}

// gateway is a gateway's listener on the pod port: filter chain by server name,
// handshake, then filters and routes of the chosen server.
func (w *walk) gateway(p *path, gw *resolve.Workload, podPort int, tls arrivingTLS) {
	hop := p.hop()
	merged := w.snapshot.MergedGateway(gw)
	listener, steps := merged.Listener(podPort)
	p.note(steps...)
	if listener == nil {
		o := Outcome{Decision: NotRouted, Code: CodeNoGatewayPort}
		if p.proxied {
			o = w.refused(p, CodeNoGatewayPort)
		}
		o.Reason, o.By = lastReason(steps), gw.Owner
		w.end(p, o)
		return
	}
	hop.Envoy.Listener = listener.Name
	chain, steps := listener.FilterChain(tls.on, p.sni)
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
		w.broken(p, code, "UC", "upstream_reset_before_response_started{connection_termination}", steps[len(steps)-1])
		return
	}
	p.note(steps...)
	hop.Envoy.RouteConfig = chain.RouteConfig
	if tls.on && chain.Terminates() {
		done, steps := chain.Handshake(tls.cert != "")
		if !done {
			p.note(steps[:len(steps)-1]...)
			w.broken(p, CodeClientCertRequired, "UF,URX", "upstream_reset_before_response_started{remote_connection_failure|TLS_error}", steps[len(steps)-1])
			return
		}
		p.note(steps...)
		if chain.ClientCertificate() != resolve.ClientCertificateIgnored {
			hop.Peer = tls.cert
		}
		if !p.wrapped {
			p.sealed = false
		}
	}
	p.wrapped = false
	p.note(w.snapshot.Extensions(gw, resolve.SideGateway)...)
	connection := &resolve.Connection{
		Peer: hop.Peer, SourceIP: p.senderIP, DestinationIP: firstAddress(gw), DestinationPort: podPort,
		RemoteIP: remoteIP(p.http, p.senderIP, w.snapshot.TrustedProxies(gw)),
	}
	if tls.on {
		connection.SNI = p.sni
	}
	if !chain.HTTP() {
		if w.filters(p, gw, connection, nil) {
			w.gatewayStream(p, gw, chain)
		}
		return
	}
	if !p.speaksHTTP() {
		w.broken(p, CodeProtocolError, "DPE", "", resolve.NewStep(resolve.RuleGatewayNotHTTP, resolve.DeniedBy, chain.Server().Ref, string(p.payload()), listener.Name))
		return
	}
	p.readsHTTP()
	p.normalize(w.snapshot.Mesh)
	p.http.Scheme = "http"
	if chain.Terminates() {
		p.http.Scheme = "https"
	}
	if w.filters(p, gw, connection, p.http) {
		w.gatewayHost(p, gw, merged, chain)
	}
}

// gatewayHost looks the Host up in the server's route table and takes a route.
func (w *walk) gatewayHost(p *path, gw *resolve.Workload, merged *resolve.MergedGateway, chain *resolve.GatewayFilterChain) {
	table := w.snapshot.GatewayVirtualHosts(merged, chain)
	host := p.http.Hostname()
	vh, steps := table.Lookup(host)
	p.note(w.snapshot.GapSteps(resolve.StageHost)...)
	p.note(steps...)
	if unmodelled := w.snapshot.UnmodelledGatewayRoutes(host); len(unmodelled) > 0 {
		p.note(unmodelled...)
		p.lower(Undetermined)
	}
	if vh == nil {
		o := Outcome{Decision: NotRouted, HTTPStatus: 404, ResponseFlags: "NR", ResponseCodeDetails: "route_not_found", Code: CodeNoVirtualHost, Reason: lastReason(steps), By: chain.Server().Ref}
		w.end(p, o)
		return
	}
	p.hop().Envoy.VirtualHost = vh.Name
	scope, _ := w.snapshot.Scope(gw)
	w.sendFrom(p, gw)
	w.route(p, &router{workload: gw, scope: scope, gateway: true, port: chain.Server().Port(), tls: chain.Terminates()}, vh)
}

// sendFrom makes the gateway the sender of what follows: the next hop sees its
// identity and address, and its client only in X-Forwarded-For.
func (w *walk) sendFrom(p *path, gw *resolve.Workload) {
	if p.http != nil && p.senderIP.IsValid() {
		list := p.senderIP.String()
		if old, ok := p.http.Header("x-forwarded-for"); ok {
			list = old + "," + list
		}
		p.http.Headers["x-forwarded-for"] = list
	}
	p.sender, p.proxied = gw, true
	p.senderIP = firstAddress(gw)
	p.sni = ""
}

// remoteIP is the client as a gateway tells it: with N trusted proxies the Nth entry of
// X-Forwarded-For from the right; with none, or with too few entries, the TCP peer.
// Source: Envoy, x-forwarded-for; Istio, gatewayTopology.numTrustedProxies.
func remoteIP(q *resolve.HTTPRequest, peer netip.Addr, trusted int) netip.Addr {
	if q == nil || trusted == 0 {
		return peer
	}
	return forwardedFor(q, peer, trusted)
}

// forwardedFor is the nth entry of X-Forwarded-For from the right, or the peer.
func forwardedFor(q *resolve.HTTPRequest, peer netip.Addr, n int) netip.Addr {
	xff, ok := q.Header("x-forwarded-for")
	if !ok {
		return peer
	}
	entries := strings.Split(xff, ",")
	if len(entries) < n {
		return peer
	}
	ip, err := netip.ParseAddr(strings.TrimSpace(entries[len(entries)-n]))
	if err != nil {
		return peer
	}
	return ip
}
