package evaluator

import (
	"net"
	"net/netip"
	"strconv"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	snidfp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3"
)

// A cluster of type dynamic_forward_proxy resolves the host of the request itself: that of the Host
// header, with port 80 where it has none (443 where the cluster speaks TLS), or the server name, with
// the port of the filter that looked it up.
// See Envoy's documentation, HTTP dynamic forward proxy, and SNI dynamic forward proxy.

func dynamicForward(c *cluster.Cluster) bool {
	return c.GetClusterType().GetName() == "envoy.clusters.dynamic_forward_proxy"
}

// forwardTo is the one target that the host resolves to.
func (k *walk) forwardTo(v *visit, c *cluster.Cluster, x *exchange) []target {
	host, port := v.sni, v.sniPort
	if x != nil {
		host, port = x.q.Authority, 80
		if c.GetTransportSocket() != nil && c.GetTransportSocket().GetName() != "envoy.transport_sockets.raw_buffer" {
			port = 443
		}
		if h, p, err := net.SplitHostPort(host); err == nil {
			n, _ := strconv.Atoi(p)
			host, port = h, n
		}
	}
	if host == "" {
		return nil
	}
	if ips, own := k.world.Resolve(v.machine.Address, host); own {
		var out []target
		for _, ip := range ips {
			out = append(out, target{address: netip.AddrPortFrom(ip, uint16(port)), part: 1 / float64(len(ips))})
		}
		return out
	}
	return []target{{name: host, address: netip.AddrPortFrom(netip.Addr{}, uint16(port)), part: 1}}
}

// lookUp is the network filter that resolves a server name.
func (v *visit) lookUp(f *snidfp.FilterConfig) { v.sniPort = int(f.GetPortValue()) }
