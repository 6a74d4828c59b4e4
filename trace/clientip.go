package trace

import (
	"net/netip"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Who the client is, for a proxy that reads X-Forwarded-For:
//
//  1. A gateway with N trusted proxies before it takes the Nth entry from the right; with none,
//     or with too few entries, the TCP peer. It then adds the TCP peer to the header, before policies and
//     routes look at it.
//  2. A sidecar takes the last entry, whoever wrote it, else the TCP peer.
//  3. On a TCP filter chain there is no header: the TCP peer.
//
// An address that is not known here is not known behind the gateway that adds it either.
//
// Source: Envoy, x-forwarded-for (use_remote_address, xff_num_trusted_hops);
// pilot/pkg/networking/core/gateway.go, buildGatewayConnectionManager; Istio, gatewayTopology.numTrustedProxies.

// remoteIP is the client at a gateway with so many trusted proxies before it.
func (p *path) remoteIP(trusted int) netip.Addr {
	if trusted == 0 {
		return p.senderIP
	}
	return p.forwardedFor(trusted)
}

// sidecarRemoteIP is the client at a sidecar; request is nil on a TCP filter chain.
func (p *path) sidecarRemoteIP(request *resolve.HTTPRequest) netip.Addr {
	if request == nil {
		return p.senderIP
	}
	return p.forwardedFor(1)
}

// forwardedFor is the nth entry of X-Forwarded-For from the right, or the TCP peer.
func (p *path) forwardedFor(n int) netip.Addr {
	if p.hidden && n > p.shown {
		return netip.Addr{}
	}
	xff, ok := p.http.Header("x-forwarded-for")
	if !ok {
		return p.senderIP
	}
	entries := strings.Split(xff, ",")
	if len(entries) < n {
		return p.senderIP
	}
	ip, err := netip.ParseAddr(strings.TrimSpace(entries[len(entries)-n]))
	if err != nil {
		return p.senderIP
	}
	return ip
}

// forwardedByGateway adds the TCP peer to X-Forwarded-For, as gateways do.
func (p *path) forwardedByGateway() {
	if !p.senderIP.IsValid() {
		p.hidden, p.shown = true, 0
		p.http.Unknown = []string{"x-forwarded-for"}
		return
	}
	p.shown++
	list := p.senderIP.String()
	if old, ok := p.http.Header("x-forwarded-for"); ok && old != "" {
		list = old + "," + list
	}
	p.http.Headers["x-forwarded-for"] = list
}
