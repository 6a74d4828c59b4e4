package evaluator

import (
	"net"
	"net/netip"
	"strconv"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	snidfp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3"
	internalupstream "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/internal_upstream/v3"
	rawbuffer "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
)

// A cluster of type dynamic_forward_proxy resolves the host of the request itself: that of the Host
// header, with port 80 where it has none (443 where the cluster speaks TLS), or the server name, with
// the port of the filter that looked it up. The cluster needs no filter to find the host (since Envoy 1.34,
// envoy.reloadable_features.dfp_cluster_resolves_hosts).
// See Envoy's documentation, HTTP dynamic forward proxy, and SNI dynamic forward proxy.

func dynamicForward(c *cluster.Cluster) bool {
	return c.GetClusterType().GetName() == "envoy.clusters.dynamic_forward_proxy"
}

// forwardTo are the targets that the host resolves to; named is whether there is one.
func (k *walk) forwardTo(v *visit, c *cluster.Cluster, x *exchange) (out []target, named bool) {
	host, port := v.sni, 80
	if encrypts(c.GetTransportSocket()) {
		port = 443
	}
	if v.sniPort != 0 {
		port = v.sniPort
	}
	if x != nil {
		host = x.q.Authority
		if h, p, err := net.SplitHostPort(host); err == nil {
			n, _ := strconv.Atoi(p)
			host, port = h, n
		}
	}
	if host == "" {
		return nil, false
	}
	if ips, own := k.world.Resolve(v.machine.Address, host); own {
		for _, ip := range ips {
			out = append(out, target{address: netip.AddrPortFrom(ip, uint16(port)), part: 1 / float64(len(ips))})
		}
		return out, true
	}
	return []target{{name: host, address: netip.AddrPortFrom(netip.Addr{}, uint16(port)), part: 1}}, true
}

// encrypts reports whether a transport socket is TLS; one that leads to a listener of Envoy's own is what it wraps.
func encrypts(s *core.TransportSocket) bool {
	if _, plain := unpack(s.GetTypedConfig(), &rawbuffer.RawBuffer{}); s == nil || plain {
		return false
	}
	if inner, ok := unpack(s.GetTypedConfig(), &internalupstream.InternalUpstreamTransport{}); ok {
		return encrypts(inner.GetTransportSocket())
	}
	return true
}

// lookUp is the network filter that resolves a server name.
func (v *visit) lookUp(f *snidfp.FilterConfig) { v.sniPort = int(f.GetPortValue()) }
