package trace

import (
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// stream is a connection that a sidecar forwards as bytes: to a tls or tcp route
// of a VirtualService, else to the service itself.
// Source: pilot/pkg/networking/core/tls.go, buildSidecarOutboundTCPTLSFilterChainOpts.
func (w *walk) stream(p *path, r *router, listener *resolve.OutboundListener, chain resolve.Chain) {
	p.stream = true
	p.note(w.snapshot.GapSteps(resolve.StageHost)...)
	if w.survey != nil && w.surveyStream(p, r, listener, chain) {
		return
	}
	for _, c := range bySpecificity(chain.TCP, p.sni) {
		match := w.l4Match(p, r, listener, c)
		p.note(match.Steps...)
		p.note(w.snapshot.StatusOfMeshRoutes(c.Service)...)
		if match.Certain == resolve.Unknown {
			p.lower(Undetermined)
		}
		if match.Route != nil {
			w.toL4(p, r, match.Route)
			return
		}
		if match.Exclusive || !servesName(c, p.sni) {
			continue
		}
		w.toService(p, r, listener, c)
		return
	}
	if chain.Unsniffed {
		w.notHTTP(p, listener)
		return
	}
	p.hop().Envoy.FilterChain = "PassthroughFilterChain"
	p.note(resolve.NewStep(resolve.RuleListenerNoChain, resolve.None, chain.Range, describeBytes(p), listener.Name))
	w.unmatched(p, r, false)
}

// toService sends the connection to the service of a chain itself.
func (w *walk) toService(p *path, r *router, listener *resolve.OutboundListener, c resolve.TCPChain) {
	p.note(resolve.IgnoredHTTPRules(listener.Egress.VirtualServices, w.l4Query(p, r, c), c.Port)...)
	p.note(w.chainStep(p, c))
	p.by = c.Service.Ref
	w.toHost(p, r, target{host: c.Service.Hostname, port: c.Port.Number, ref: c.Service.Ref.At(c.Port.Field)})
}

func (w *walk) l4Match(p *path, r *router, listener *resolve.OutboundListener, c resolve.TCPChain) resolve.L4Match {
	q := w.l4Query(p, r, c)
	if c.Port.Protocol.IsTLS() {
		return resolve.MatchTLSRoute(listener.Egress.VirtualServices, q)
	}
	return resolve.MatchTCPRoute(listener.Egress.VirtualServices, q)
}

// l4Query is the connection as the tls and tcp rules of a sidecar see it.
func (w *walk) l4Query(p *path, r *router, c resolve.TCPChain) resolve.L4Query {
	q := resolve.L4Query{
		Host: c.Service.Hostname, Port: c.Port.Number, Gateways: map[string]bool{"mesh": true}, Proxy: r.workload,
	}
	if p.sealed {
		q.SNI = p.sni
	}
	if r.dialled.Address.Prefix.IsValid() {
		q.DestinationIP = r.dialled.Address.Prefix.Addr()
	}
	return q
}

// bySpecificity puts the chains with the most specific server name for the
// connection first, as Envoy chooses them; chains without server names come last.
func bySpecificity(chains []resolve.TCPChain, sni string) []resolve.TCPChain {
	best := func(c resolve.TCPChain) string {
		name := "*"
		for _, h := range c.SNI {
			if resolve.HostSubsetOf(sni, h) && resolve.CompareHostSpecificity(h, name) < 0 {
				name = h
			}
		}
		return name
	}
	return slices.SortedStableFunc(slices.Values(chains), func(a, b resolve.TCPChain) int {
		return resolve.CompareHostSpecificity(best(a), best(b))
	})
}

// servesName reports whether a chain without tls routes takes the server name.
func servesName(c resolve.TCPChain, sni string) bool {
	if len(c.SNI) == 0 {
		return true
	}
	for _, name := range c.SNI {
		if resolve.HostSubsetOf(sni, name) {
			return true
		}
	}
	return false
}

func (w *walk) chainStep(p *path, c resolve.TCPChain) resolve.Step {
	ref := c.Service.Ref.At(c.Port.Field)
	if c.Port.Protocol.IsTLS() && p.sealed {
		return resolve.NewStep(resolve.RuleListenerSNIChain, resolve.Matched, ref, p.sni, c.Service.Hostname)
	}
	return resolve.NewStep(resolve.RuleListenerTCPChain, resolve.Matched, ref, string(p.payload()), c.Service.Hostname, w.httpIgnored(p, c))
}

// httpIgnored says for HTTP bytes that nobody reads them.
func (w *walk) httpIgnored(p *path, c resolve.TCPChain) string {
	if p.payload() != resolve.PayloadHTTP {
		return ""
	}
	if c.Port.Protocol.IsAuto() {
		return ": http routes do not apply to a range of addresses"
	}
	return ": http routes do not apply on a " + string(c.Port.Protocol) + " port"
}

func describeBytes(p *path) string {
	if p.sealed && p.sni != "" {
		return "TLS with server name " + p.sni
	}
	return string(p.payload())
}

// toL4 sends the connection to the destinations of a tls or tcp route.
func (w *walk) toL4(p *path, r *router, route *resolve.L4Route) {
	p.by = route.Entry
	p.note(route.Conversion()...)
	destinations := route.Destinations()
	for _, d := range destinations {
		branch := p
		if len(destinations) > 1 {
			branch = p.fork(d.Weight / 100)
			branch.note(resolve.NewStep(resolve.RuleRouteWeight, resolve.Applied, d.Ref, formatPercent(d.Weight), d.Destination.GetHost(), subsetNote(d.Destination.GetSubset())))
		}
		to := target{
			host: d.Destination.GetHost(), port: int(d.Destination.GetPort().GetNumber()), subset: d.Destination.GetSubset(),
			ref: d.Ref, made: route.Made(), invalid: route.InvalidBackend(d.Ref),
		}
		if !to.made {
			to.ref = d.Ref.At(d.Ref.Field + ".destination")
		}
		w.toHost(branch, r, to)
	}
}

// gatewayStream is a connection that a gateway forwards as bytes.
func (w *walk) gatewayStream(p *path, gw *resolve.Workload, chain *resolve.GatewayFilterChain) {
	scope, _ := w.snapshot.Scope(gw)
	r := &router{workload: gw, scope: scope, gateway: true, port: chain.Server().Port()}
	p.stream = true
	w.sendFrom(p, gw)
	route := &resolve.L4Route{Ref: chain.L4.Ref, Entry: chain.L4.Entry, Routes: chain.L4.Destinations, VirtualService: chain.L4.VirtualService}
	if w.survey != nil {
		route.SNIHosts = chain.ServerNames
		w.surveyL4(p, r, []*resolve.L4Route{route})
		return
	}
	w.toL4(p, r, route)
}

// autoPassthrough is an east-west gateway: the server name is the cluster's name. What is no proxy's mTLS goes no further here.
func (w *walk) autoPassthrough(p *path, gw *resolve.Workload, chain *resolve.GatewayFilterChain, sni string) {
	p.stream = true
	ref := chain.Server().Ref
	p.hop().Envoy.Cluster = sni
	if svc, port, step := chain.SpelledService(sni); svc != nil {
		if !step.Ref.IsZero() {
			p.note(step)
		}
		ref, p.dest = svc.Ref.At(port.Field), Destination{Host: svc.Hostname, Port: port.Number, EnvoyCluster: sni}
		if p.wrapper != nil && p.wrapper.tls.Mode == resolve.ClientMTLS {
			p.note(resolve.NewStep(resolve.RuleGatewayPassedOn, resolve.Matched, ref, sni))
			p.dest.Subset = resolve.SpelledSubset(strings.ToLower(sni))
			w.sendFrom(p, gw)
			w.passOn(p, gw, svc, port)
			return
		}
	}
	p.via = CodePassthrough
	w.endAt(p, Outcome{Decision: Delivered, Certainty: Assumed, By: chain.Server().Ref},
		resolve.NewStep(resolve.RuleGatewayAutoPassthrough, resolve.Warned, ref, sni))
}
