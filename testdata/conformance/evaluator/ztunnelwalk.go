package evaluator

import (
	"net"
	"net/netip"
	"strconv"

	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"istio.io/istio/pkg/workloadapi"
)

// A connection at the ztunnels of both sides. HBONE is TLS with the mesh's certificates around an HTTP CONNECT, in which the
// connection travels.
//
//  1. The client's ztunnel sends as ztunnel.go says. It is no Envoy: what fails behind it, it ends without a word. Why it can send
//     nowhere, it logs.
//  2. At port 15008 the server's takes HBONE of its own trust domain for its own address, and no other bytes.
//  3. At other ports it takes what comes, as of no one.
//  4. Both then go by the policies (ztunnelrules.go), for the port that is meant. HBONE that is refused is answered with 401, and
//     the connection in it ends; other connections are closed. The log has the flag DENY and the error.
//
// Source: https://github.com/istio/ztunnel, src/proxy/inbound.rs, src/proxy/inbound_passthrough.rs, src/tls/workload.rs.

// resolver has the addresses for a name; known is false for names of other networks.
type resolver func(name string) (ips []netip.Addr, known bool)

// illegal are the ports that a ztunnel keeps for itself.
var illegal = map[uint16]bool{15001: true, 15006: true, hbonePort: true}

// captured is step 1.
func (k *walk) captured(p *path, m *Machine, to netip.AddrPort) {
	p.hops = append(p.hops, Hop{Machine: m.Name, Kind: "ztunnel", Direction: "outbound", TLS: "plaintext"})
	client := m.Ztunnel.byUID(m.UID)
	if client == nil {
		k.unknown(p, "ztunnel does not know its own workload "+m.UID)
		return
	}
	for _, x := range m.Ztunnel.outbound(client, to, k.lookUp(&visit{machine: m})) {
		branch := p.fork(x.part)
		switch {
		case x.failure == "another network":
			k.unknown(branch, x.failure)
		case x.failure != "":
			k.end(branch, Outcome{Decision: Unavailable, Details: x.failure})
		case x.name != "":
			branch.endpoint = x.name
			k.application(branch, x.name, x.to)
		case x.within != nil:
			own := identityOf(client)
			branch.bytes = tunnelled(branch.bytes, x.authority, &Handshake{Mesh: true, Identity: own, Accepts: exactly(x.within), ALPN: []string{"h2"}})
			branch.bytes = tunnelled(branch.bytes, x.authority, &Handshake{Mesh: true, Identity: own, Accepts: exactly(x.accepts), ALPN: []string{"h2"}})
			k.connect(branch, target{address: x.to})
		case x.asked, x.authority == "": // what a name resolved to may be a Service's address
			k.dial(branch, x.to)
		default:
			branch.bytes = tunnelled(branch.bytes, x.authority, &Handshake{Mesh: true, Identity: identityOf(client), Accepts: exactly(x.accepts), ALPN: []string{"h2"}})
			k.arrive(branch, x.to)
		}
	}
}

// tunnelled are bytes within HBONE.
func tunnelled(b *Bytes, authority string, h *Handshake) *Bytes {
	connect := &Request{Method: "CONNECT", Authority: authority, HTTP2: true, Headers: map[string]string{}}
	return &Bytes{TLS: h, Inner: &Bytes{HTTP: connect, Inner: b}}
}

// tunnel is what the bytes carry if they are HBONE.
func (b *Bytes) tunnel() (connect *Request, inner *Bytes, ok bool) {
	if b.TLS == nil || b.Inner == nil || b.Inner.TLS != nil || b.Inner.HTTP == nil || b.Inner.HTTP.Method != "CONNECT" || b.Inner.Inner == nil {
		return nil, nil, false
	}
	return b.Inner.HTTP, b.Inner.Inner, true
}

func exactly(names []string) []*matcher.StringMatcher {
	var out []*matcher.StringMatcher
	for _, n := range names {
		out = append(out, &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Exact{Exact: n}})
	}
	return out
}

// guarded is a connection that reaches a captured pod.
func (k *walk) guarded(p *path, m *Machine, to netip.AddrPort) {
	server := m.Ztunnel.byUID(m.UID)
	if server == nil {
		k.unknown(p, "ztunnel does not know its own workload "+m.UID)
		return
	}
	p.hops = append(p.hops, Hop{Machine: m.Name, Kind: "ztunnel", Direction: "inbound", TLS: wireTLS(p.bytes)})
	f := inboundFacts{from: p.peer, to: to}
	if to.Port() == hbonePort { // 2.
		connect, inner, ok := p.bytes.tunnel()
		if !ok {
			k.broken(p, Reset, noHandshake, "no HBONE at the port of HBONE")
			return
		}
		hello, own := p.bytes.TLS, identityOf(server)
		switch {
		case !hello.Mesh, hello.Identity == "", len(hello.Accepts) > 0 && !accepts(hello.Accepts, own), trustDomain(hello.Identity) != trustDomain(own):
			k.broken(p, Reset, noHandshake, "the certificates are not what the parties want")
			return
		}
		p.hop().TLS, p.hop().Peer = "HBONE", hello.Identity
		target, ok := m.Ztunnel.meant(server, connect.Authority, to.Addr())
		if !ok {
			k.broken(p, Reset, closed, "HBONE for another address")
			return
		}
		p.bytes = inner
		f.to, f.identity = target, hello.Identity
	}
	if illegal[f.to.Port()] {
		k.broken(p, Reset, closed, "a port of ztunnel's own")
		return
	}
	if ok, why := m.Ztunnel.verdict(server, f); !ok { // 4.
		o := Outcome{Decision: Denied, Flag: "DENY", Details: "connection closed due to policy rejection: " + why}
		if p.http {
			o.Status = 503
		}
		k.end(p, o)
		return
	}
	k.application(p, m.Name, f.to)
}

// meant is the port of the pod that HBONE is for: its own address says so, or a host and port of a service that it is behind.
//
// Source: https://github.com/istio/ztunnel, src/proxy/inbound.rs, validate_destination, find_inbound_upstream.
func (z *Ztunnel) meant(server *workloadapi.Workload, authority string, own netip.Addr) (netip.AddrPort, bool) {
	if target, err := netip.ParseAddrPort(authority); err == nil {
		return target, target.Addr() == own
	}
	host, text, err := net.SplitHostPort(authority)
	port, wrong := strconv.ParseUint(text, 10, 16)
	if err != nil || wrong != nil {
		return netip.AddrPort{}, false
	}
	for _, s := range z.Services {
		if s.GetHostname() != host {
			continue
		}
		at := endpointPort(server, s, uint32(port))
		for _, p := range s.GetPorts() {
			if at == 0 && p.GetServicePort() == uint32(port) {
				at = p.GetTargetPort()
			}
		}
		return netip.AddrPortFrom(own, uint16(at)), at != 0
	}
	return netip.AddrPort{}, false
}
