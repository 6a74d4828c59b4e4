package evaluator

import (
	"net/netip"
	"strings"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

const maxHops = 16

// walk follows one call.
type walk struct {
	world    World
	outcomes []Outcome
}

// path is the way of a share so far; it is copied at each fork.
type path struct {
	share float64
	hops  []Hop
	// original is where the application connected to.
	from *Machine
	// peer is the TCP peer of the next listener.
	peer netip.Addr
	// http is set once a proxy has read the request as HTTP: its caller gets an answer whatever happens.
	http bool
	// sent is set once an Envoy has sent the request on; stream, if the last that did took it for TCP; tunnel, if it did by HBONE.
	sent, stream, tunnel bool
	// retry is what the route taken last tries again.
	retry *route.RetryPolicy
	// delayed counts the hops up to the one that delayed the request.
	delayed int
	// endpoint is the member of a cluster, or the pod, where the connection was sent last.
	endpoint string
	// bytes are on the wire now.
	bytes *Bytes
}

func (p *path) fork(part float64) *path {
	c := *p
	c.share *= part
	c.hops = append([]Hop(nil), p.hops...)
	c.bytes = p.bytes.clone()
	return &c
}

// wrapped reports whether a proxy's own TLS is around what is sent.
func (p *path) wrapped() bool {
	b := p.bytes
	if _, inner, ok := b.tunnel(); ok {
		b = inner
	}
	return b.TLS != nil && b.TLS.ByProxy
}

func (p *path) hop() *Hop { return &p.hops[len(p.hops)-1] }

// Run follows a call that a workload makes through its own proxy, if it has one.
func Run(w World, c Call) []Outcome {
	k := &walk{world: w}
	p := &path{share: 1, from: c.From, peer: c.From.Address, bytes: c.Bytes.clone()}
	switch self := c.To.Addr() == c.From.Address || c.To.Addr().IsLoopback(); {
	case self && c.From.Proxy != nil && c.From.Proxy.Kind == "sidecar" && socket(c.From.Proxy.Listeners, c.To) != nil:
		k.dialled(p, c.From, socket(c.From.Proxy.Listeners, c.To), c.To)
	case self: // nor does ztunnel have it
		k.application(p, c.From.Name, c.To) // by the loopback device, where no rule captures what is not the proxy's
		return k.outcomes
	case c.From.Ztunnel != nil:
		k.captured(p, c.From, c.To)
	case c.From.Proxy == nil, c.From.Proxy.Kind != "sidecar", !c.From.Iptables.outbound(c.To):
		k.dial(p, c.To)
	default:
		k.outbound(p, c.From, c.To)
	}
	return k.outcomes
}

// Enter follows a call from outside that reaches a machine, whatever network led it there.
func Enter(w World, c Call, at *Machine) []Outcome {
	k := &walk{world: w}
	p := &path{share: 1, from: c.From, peer: c.From.Address, bytes: c.Bytes.clone()}
	k.enter(p, at, c.To)
	return k.outcomes
}

func (k *walk) end(p *path, o Outcome) {
	o.Share, o.Hops, o.Endpoint = p.share, p.hops, p.endpoint
	bySender := strings.Contains(o.Flag, "UF") || strings.Contains(o.Flag, "UC")
	if d := p.delayed; d > 0 && o.Decision != Delivered && (d == len(p.hops) || d == len(p.hops)-1 && bySender) {
		o.Flag = strings.TrimSuffix("DI,"+o.Flag, ",") // a flag stays, whatever comes after (RESPONSE_FLAGS, see broken)
	}
	k.outcomes = append(k.outcomes, o)
}

func (k *walk) unknown(p *path, why string) {
	k.end(p, Outcome{Decision: Unknown, Why: why})
}

// outbound is the listener that captures what the workload sends.
func (k *walk) outbound(p *path, m *Machine, to netip.AddrPort) {
	l := capturing(m.Proxy.Listeners, "virtualOutbound")
	if l == nil {
		k.unknown(p, "no listener captures outbound traffic")
		return
	}
	l = originalDestination(m.Proxy.Listeners, l, to)
	p.hops = append(p.hops, Hop{Machine: m.Name, Kind: m.Proxy.Kind, Direction: "outbound", Listener: l.GetName(), TLS: "plaintext"})
	k.connection(p, &visit{machine: m, proxy: m.Proxy, listener: l, destination: to})
}

// dialled is a listener of the workload's own proxy to which it connects as such.
func (k *walk) dialled(p *path, m *Machine, l *listener.Listener, to netip.AddrPort) {
	p.hops = append(p.hops, Hop{Machine: m.Name, Kind: m.Proxy.Kind, Direction: "outbound", Listener: l.GetName(), TLS: "plaintext"})
	k.connection(p, &visit{machine: m, proxy: m.Proxy, listener: l, destination: to, dialled: true})
}

// dial connects to an address without a proxy of one's own.
func (k *walk) dial(p *path, to netip.AddrPort) {
	if backends, port, ok := k.world.Service(p.peer, to); ok {
		if len(backends) == 0 {
			d := Unavailable
			if !port && !p.sent {
				d = NotRouted
			}
			k.broken(p, d, refused, "nothing behind the Service")
			return
		}
		for _, b := range backends {
			branch := p.fork(1 / float64(len(backends)))
			if len(backends) > 1 {
				branch.endpoint = b.String()
			}
			k.arrive(branch, b)
		}
		return
	}
	k.arrive(p, to)
}

// arrive is a connection that reaches an address.
func (k *walk) arrive(p *path, to netip.AddrPort) {
	if len(p.hops) > maxHops {
		k.broken(p, Reset, loop, Loop)
		return
	}
	if to.Addr().IsUnspecified() { // the sender itself, where no one is taken to listen
		k.broken(p, Unavailable, refused, "no one listens at "+to.String())
		return
	}
	m := k.world.At(to.Addr())
	if m == nil {
		k.application(p, to.Addr().String(), to)
		return
	}
	p.endpoint = to.String()
	k.enter(p, m, to)
}

// enter is a connection that reaches a machine.
func (k *walk) enter(p *path, m *Machine, to netip.AddrPort) {
	if m.Ztunnel != nil && (to.Port() == hbonePort || !m.InboundOpen) {
		k.guarded(p, m, to)
		return
	}
	tls := wireTLS(p.bytes)
	if l := m.hboneListener(to); l != nil {
		p.hops = append(p.hops, Hop{Machine: m.Name, Kind: m.Proxy.Kind, Direction: "inbound", Listener: l.GetName(), TLS: tls})
		k.connection(p, &visit{machine: m, proxy: m.Proxy, listener: l, destination: to, inbound: true})
		return
	}
	if m.Proxy == nil || m.Proxy.Kind == "sidecar" && !m.Iptables.inbound(to.Port()) {
		k.application(p, m.Name, to)
		return
	}
	if m.Proxy.Kind != "sidecar" {
		l := bound(m.Proxy.Listeners, to)
		if l == nil {
			d := NotRouted
			if p.sent {
				d = Unavailable // for the proxy that sends, an endpoint that does not answer
			}
			k.broken(p, d, refused, "the gateway does not listen there")
			return
		}
		p.hops = append(p.hops, Hop{Machine: m.Name, Kind: m.Proxy.Kind, Direction: "gateway", Listener: l.GetName(), TLS: tls})
		k.connection(p, &visit{machine: m, proxy: m.Proxy, listener: l, destination: to})
		return
	}
	l := capturing(m.Proxy.Listeners, "virtualInbound")
	if l == nil {
		k.unknown(p, "no listener captures inbound traffic")
		return
	}
	l = originalDestination(m.Proxy.Listeners, l, to)
	p.hops = append(p.hops, Hop{Machine: m.Name, Kind: m.Proxy.Kind, Direction: "inbound", Listener: l.GetName(), TLS: tls})
	k.connection(p, &visit{machine: m, proxy: m.Proxy, listener: l, destination: to, inbound: true})
}

// application is the end of the way: bytes reach a program. It is taken to speak its own TLS,
// but no certificate of the mesh.
func (k *walk) application(p *path, name string, to netip.AddrPort) {
	b := p.bytes
	if _, _, ok := b.tunnel(); ok && to.Port() == hbonePort {
		k.broken(p, Unavailable, refused, "no one takes HBONE there")
		return
	}
	if b.TLS != nil && b.TLS.Mesh {
		f := noHandshake
		if _, _, tunnel := b.tunnel(); b.Inner != nil && b.Inner.HTTP != nil && !tunnel {
			f = notHTTP // the program speaks HTTP, and answers TLS so
		}
		k.broken(p, Reset, f, "mesh certificates to a program")
		return
	}
	if b.TLS != nil && b.Inner != nil && b.Inner.TLS != nil {
		k.broken(p, Reset, closed, "TLS within TLS to a program")
		return
	}
	for b.TLS != nil && b.Inner != nil {
		b = b.Inner
	}
	k.end(p, Outcome{Decision: Delivered, Machine: name, Port: int(to.Port()), Forwarded: b.HTTP})
}

func wireTLS(b *Bytes) string {
	switch {
	case b.TLS == nil:
		return "plaintext"
	case b.TLS.Mesh:
		return "mTLS"
	}
	return "TLS"
}
