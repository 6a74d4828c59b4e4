package simulation

import (
	"net/netip"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// nowhere is a world with nothing in it: what is behind the proxy does not matter.
type nowhere struct{}

func (nowhere) At(netip.Addr) *evaluator.Machine { return nil }

func (nowhere) Service(netip.Addr, netip.AddrPort) (backends []netip.AddrPort, port, ok bool) {
	return nil, false, false
}

func (nowhere) Resolve(netip.Addr, string) (ips []netip.Addr, own bool) { return nil, false }

// play lets the evaluator take the call at the proxy; only what that one proxy does is looked at.
func (sim *Simulation) play(call Call) Result {
	p := &evaluator.Proxy{
		Kind: "sidecar", Identity: "spiffe://cluster.local/ns/default/sa/proxy", Listeners: sim.Listeners,
		Routes: map[string]*route.RouteConfiguration{}, Clusters: map[string]*cluster.Cluster{},
	}
	for _, r := range sim.Routes {
		p.Routes[r.GetName()] = r
	}
	for _, c := range sim.Clusters {
		p.Clusters[c.GetName()] = c
	}
	own, _ := netip.ParseAddr(sim.situation.Proxy.Addresses[0])
	machine := &evaluator.Machine{Name: "proxy", Address: own, Proxy: p}
	client := &evaluator.Machine{Name: "client", Address: netip.MustParseAddr("192.0.2.1")}
	to, bytes := addressOf(call), bytesOf(call)
	if sim.situation.Proxy.Gateway {
		p.Kind = "gateway"
	}
	if sim.situation.Proxy.Gateway || call.CallMode == CallModeInbound {
		return resultOf(evaluator.Enter(nowhere{}, evaluator.Call{From: client, To: to, Bytes: bytes}, machine))
	}
	return resultOf(evaluator.Run(nowhere{}, evaluator.Call{From: machine, To: to, Bytes: bytes}))
}

func bytesOf(call Call) *evaluator.Bytes {
	b := &evaluator.Bytes{}
	if call.speaksHTTP() {
		b.HTTP = &evaluator.Request{
			Method: "GET", Scheme: "http", Authority: call.Headers.Get("Host"), Path: call.Path,
			HTTP2: call.Protocol == HTTP2, Headers: map[string]string{},
		}
	}
	if call.TLS == Plaintext {
		return b
	}
	h := &evaluator.Handshake{SNI: call.Sni}
	if call.Alpn != "" {
		h.ALPN = []string{call.Alpn}
	}
	if call.TLS == MTLS {
		h.Mesh = call.MtlsSecretConfigName == ""
		h.Identity = "spiffe://cluster.local/ns/default/sa/client"
	}
	return &evaluator.Bytes{TLS: h, Inner: b}
}

// errorOf are the evaluator's words for what ends a call at the proxy.
var errorOf = map[string]error{
	"the gateway does not listen there":                          ErrNoListener,
	"no filter chain":                                            ErrNoFilterChain,
	"two filter chains match the same: the listener is rejected": ErrMultipleFilterChain,
	"plaintext to TLS":                                           ErrTLSError,
	"server identity not accepted":                               ErrMTLSError,
	"server certificate is not the mesh's":                       ErrMTLSError,
	"client certificate required":                                ErrMTLSError,
	"client certificate is not the mesh's":                       ErrMTLSError,
	"not HTTP":                                                   ErrProtocolError,
}

// resultOf is the first hop. Shares of different clusters have no one name.
func resultOf(outcomes []evaluator.Outcome) Result {
	r := Result{}
	for i, o := range outcomes {
		if o.Decision == evaluator.Unknown {
			return Result{why: o.Why}
		}
		if len(o.Hops) == 0 {
			return Result{Error: errorOf[o.Why]}
		}
		h := o.Hops[0]
		if i > 0 && h.Cluster != r.ClusterMatched {
			r.ClusterMatched = ""
			continue
		}
		r = Result{
			ListenerMatched: h.Listener, FilterChainMatched: h.FilterChain, RouteConfigMatched: h.RouteConfig,
			VirtualHostMatched: h.VirtualHost, RouteMatched: h.Route, ClusterMatched: h.Cluster,
		}
		if len(o.Hops) == 1 && h.Cluster == "" {
			r.Error = ended(o, h)
		}
	}
	return r
}

// ended is why the proxy did not choose a cluster; nil where it answers as a route tells it.
func ended(o evaluator.Outcome, h evaluator.Hop) error {
	switch {
	case o.Decision == evaluator.Redirected && h.Route == "": // no test has a route that redirects
		return ErrTLSRedirect
	case o.Decision == evaluator.NotRouted && h.VirtualHost == "":
		return ErrNoVirtualHost
	case o.Decision == evaluator.NotRouted:
		return ErrNoRoute
	}
	return errorOf[o.Why]
}

func (nowhere) NetworkGateway(netip.AddrPort) (backends []netip.AddrPort, here, ok bool) {
	return nil, false, false
}
