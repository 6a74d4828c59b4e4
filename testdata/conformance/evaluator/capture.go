package evaluator

import (
	"net/netip"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
)

// Outgoing is the listener of a sidecar to which the pod's traffic rules lead a connection of its program; nil where none
// has it.
func (m *Machine) Outgoing(to netip.AddrPort) *listener.Listener {
	if m.Proxy == nil || m.Proxy.Kind != "sidecar" {
		return nil
	}
	if to.Addr() == m.Address || to.Addr().IsLoopback() {
		return socket(m.Proxy.Listeners, to)
	}
	if !m.Iptables.outbound(to) {
		return nil
	}
	return capturing(m.Proxy.Listeners, "virtualOutbound")
}

// Incoming is the listener that has a connection to the machine; nil where its program has it. open is false where no one
// listens.
func (m *Machine) Incoming(to netip.AddrPort) (l *listener.Listener, open bool) {
	switch {
	case m.Proxy == nil:
		return nil, true
	case m.Proxy.Kind != "sidecar" || m.hboneListener(to) != nil:
		l = bound(m.Proxy.Listeners, to)
		return l, l != nil
	case !m.Iptables.inbound(to.Port()):
		return nil, true
	}
	return capturing(m.Proxy.Listeners, "virtualInbound"), true
}
