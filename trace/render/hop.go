package render

import (
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// heading is "1 sidecar of shop/web, outbound   0.0.0.0_9080 → 9080 → …": which
// proxy, how the request reached it, and Envoy's names from listener to cluster.
func (r *renderer) heading(p opened, indent int) {
	h := p.hop
	l := line{}.text(asPlain, spaces(indent)).text(asPlain, strconv.Itoa(p.hops)+" ").add(r.proxy(h))
	names := namesOf(h)[:p.named]
	if r.opts.Wide {
		r.put(l, indent+4)
		if len(names) > 0 {
			r.put(line{}.text(asPlain, spaces(indent+2)).add(r.chain(names, h)), indent+4)
		}
		return
	}
	r.put(l.then("   ", r.chain(names, h)), indent+4)
}

// proxy is "sidecar of shop/reviews-v1, inbound, mTLS from cluster.local/ns/shop/sa/web".
func (r *renderer) proxy(h *trace.Hop) line {
	workload := line{}.text(asName, workloadName(h.Workload))
	l := line{}.text(asPlain, proxyName(h.Proxy))
	switch h.Proxy {
	case resolve.DataplaneNone:
		l = workload.then(", ", line{}.text(asPlain, "no proxy"))
	case resolve.DataplaneSidecar, resolve.DataplaneAmbient:
		l = l.then(" of ", workload)
	case resolve.DataplaneGateway, resolve.DataplaneWaypoint:
		l = l.then(" ", workload)
	}
	if h.Direction != trace.AtGateway {
		l = l.then(", ", line{}.text(asPlain, string(h.Direction)))
	}
	// What an application hands to its own sidecar is plaintext as a rule and says nothing.
	if h.Direction == trace.Outbound && h.TLS == trace.TLSPlaintext {
		return l
	}
	l = l.then(", ", line{}.text(asPlain, string(h.TLS)))
	if h.Peer != "" {
		l = l.text(asPlain, " from ").text(asPlain, h.Peer)
	}
	return l
}

// envoyName is one of the names by which istioctl proxy-config knows a hop's objects.
type envoyName struct {
	label, value string
	// essential names stand in text too, not only in wide.
	essential bool
}

// namesOf are the hop's names in the order of the way through Envoy; those that are empty are left out.
func namesOf(h *trace.Hop) []envoyName {
	// Behind a sidecar's inbound listener the other names only say the port once more.
	routed := h.Proxy != resolve.DataplaneSidecar || h.Direction != trace.Inbound
	var out []envoyName
	for _, n := range []envoyName{
		{"listener", h.Envoy.Listener, true},
		{"filter chain", h.Envoy.FilterChain, false},
		{"route configuration", h.Envoy.RouteConfig, routed},
		{"virtual host", h.Envoy.VirtualHost, routed},
		{"route", h.Envoy.Route, false},
		{"cluster", h.Envoy.Cluster, true},
	} {
		if n.value != "" {
			out = append(out, n)
		}
	}
	return out
}

// sharedNames is how many names the hops have in common, from the first on.
func sharedNames(hops []*trace.Hop) int {
	first := namesOf(hops[0])
	n := len(first)
	for _, h := range hops[1:] {
		other := namesOf(h)
		i := 0
		for i < min(n, len(other)) && first[i] == other[i] {
			i++
		}
		n = i
	}
	return n
}

// chain is the names in their order; wide says what each one is.
func (r *renderer) chain(names []envoyName, h *trace.Hop) line {
	var l line
	for _, n := range names {
		switch {
		case r.opts.Wide:
			l = l.then(", ", line{}.text(asDim, n.label+" ").text(asPlain, n.value))
		case n.essential:
			l = l.then(" → ", line{}.text(asDim, shortCluster(n.value, h.Envoy.VirtualHost)))
		}
	}
	return l
}

// shortCluster is outbound|9080|v1|… where the virtual host has just named the cluster's host.
func shortCluster(value, virtualHost string) string {
	host, _, _ := strings.Cut(virtualHost, ":")
	if short, cut := strings.CutSuffix(value, "|"+host); cut && host != "" {
		return short + "|…"
	}
	return value
}
