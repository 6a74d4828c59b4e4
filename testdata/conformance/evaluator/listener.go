package evaluator

import (
	"net/netip"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
)

// capturing is the listener to which the pod's traffic rules lead, by its name.
func capturing(all []*listener.Listener, name string) *listener.Listener {
	for _, l := range all {
		if l.GetName() == name {
			return l
		}
	}
	return nil
}

// originalDestination hands the connection on where the listener asks for it (use_original_dst):
// to the listener of exactly that address and port, else to that of the wildcard address and
// the port, else it stays.
func originalDestination(all []*listener.Listener, l *listener.Listener, to netip.AddrPort) *listener.Listener {
	if !l.GetUseOriginalDst().GetValue() {
		return l
	}
	if exact := at(all, to, false); exact != nil {
		return exact
	}
	if wildcard := at(all, to, true); wildcard != nil {
		return wildcard
	}
	return l
}

// Bound is the address at which the proxy has a socket for the port: the one preferred, unless there are
// sockets for others only. A loopback address is none for who is outside the machine.
func (p *Proxy) Bound(preferred netip.Addr, port uint16) netip.Addr {
	if bound(p.Listeners, netip.AddrPortFrom(preferred, port)) != nil {
		return preferred
	}
	for _, l := range p.Listeners {
		s := l.GetAddress().GetSocketAddress()
		if ip, err := netip.ParseAddr(s.GetAddress()); err == nil && s.GetPortValue() == uint32(port) && !ip.IsLoopback() {
			return ip
		}
	}
	return preferred
}

// bound is the listener that has a socket for the address.
func bound(all []*listener.Listener, to netip.AddrPort) *listener.Listener {
	if exact := at(all, to, false); exact != nil {
		return exact
	}
	return at(all, to, true)
}

// socket is the outbound listener that has a socket for an address of the pod itself.
// Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/listener/v3/listener.proto, bind_to_port.
func socket(all []*listener.Listener, to netip.AddrPort) *listener.Listener {
	l := bound(all, to)
	if l == nil || l.GetTrafficDirection() != core.TrafficDirection_OUTBOUND || l.GetUseOriginalDst().GetValue() ||
		l.GetBindToPort() != nil && !l.GetBindToPort().GetValue() {
		return nil
	}
	return l
}

func at(all []*listener.Listener, to netip.AddrPort, wildcard bool) *listener.Listener {
	for _, l := range all {
		addresses := []*core.Address{l.GetAddress()}
		for _, more := range l.GetAdditionalAddresses() {
			addresses = append(addresses, more.GetAddress())
		}
		for _, a := range addresses {
			s := a.GetSocketAddress()
			ip, err := netip.ParseAddr(s.GetAddress())
			if err != nil || s.GetPortValue() != uint32(to.Port()) || s.GetProtocol() != core.SocketAddress_TCP {
				continue
			}
			if !wildcard && ip == to.Addr() || wildcard && ip.IsUnspecified() {
				return l
			}
		}
	}
	return nil
}

// inspects reports whether a listener filter runs for the destination port.
func inspects(l *listener.Listener, name string, port int) bool {
	for _, f := range l.GetListenerFilters() {
		if f.GetName() == name {
			return f.GetFilterDisabled() == nil || !predicate(f.GetFilterDisabled(), port)
		}
	}
	return false
}

func predicate(m *listener.ListenerFilterChainMatchPredicate, port int) bool {
	switch r := m.GetRule().(type) {
	case *listener.ListenerFilterChainMatchPredicate_OrMatch:
		for _, x := range r.OrMatch.GetRules() {
			if predicate(x, port) {
				return true
			}
		}
		return false
	case *listener.ListenerFilterChainMatchPredicate_AndMatch:
		for _, x := range r.AndMatch.GetRules() {
			if !predicate(x, port) {
				return false
			}
		}
		return true
	case *listener.ListenerFilterChainMatchPredicate_NotMatch:
		return !predicate(r.NotMatch, port)
	case *listener.ListenerFilterChainMatchPredicate_AnyMatch:
		return r.AnyMatch
	case *listener.ListenerFilterChainMatchPredicate_DestinationPortRange:
		return port >= int(r.DestinationPortRange.GetStart()) && port < int(r.DestinationPortRange.GetEnd())
	}
	return false
}
