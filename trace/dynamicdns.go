package trace

import (
	meshconfig "istio.io/api/mesh/v1alpha1"
	api "istio.io/api/networking/v1alpha3"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// A proxy that resolves the host of the request itself, whatever address the application dialled.
//
//  1. outboundTrafficPolicy ALLOW_ANY_DYNAMIC_DNS: plaintext HTTP that no virtual host takes.
//  2. A ServiceEntry of resolution DYNAMIC_DNS with a wildcard host: everything it takes.
//  3. HTTP goes to the Host header, and to the port there: 80 without one, 443 if the proxy originates TLS.
//     TLS goes to its server name, and to the port of the ServiceEntry.
//
// Source: pilot/pkg/networking/core/cluster_builder.go, buildDFPCluster; networkfilter.go, buildSNIDFPFilter;
// Envoy, source/extensions/clusters/dynamic_forward_proxy/cluster.cc, chooseHost.

// allowAnyDynamicDNS is a value that MeshConfig has and the Sidecar resource has not.
const allowAnyDynamicDNS = api.OutboundTrafficPolicy_Mode(meshconfig.MeshConfig_OutboundTrafficPolicy_ALLOW_ANY_DYNAMIC_DNS)

// dynamicDNS is rule 1.
func (w *walk) dynamicDNS(p *path, r *router, ref resolve.Ref) {
	hop, host := p.hop(), p.http.Hostname()
	p.readsHTTP()
	if hop.Envoy.Listener == "virtualOutbound" {
		hop.Envoy.RouteConfig, hop.Envoy.FilterChain = "allow_any_dynamic_dns", "virtualOutbound-catchall-tcp-http"
		if !w.cleaned(p, r.workload) {
			return
		}
	}
	hop.Envoy.VirtualHost, hop.Envoy.Route, hop.Envoy.Cluster = "allow_any_dynamic_dns", "allow_any_dynamic_dns", "AllowAnyDynamicDNSCluster"
	p.note(resolve.NewStep(resolve.RuleListenerDynamicDNS, resolve.None, ref, host))
	p.via, p.by = CodePassthrough, ref
	w.toNamed(p, r, host, p.http.PortOr(80), ref, resolve.ClientTLS{Mode: resolve.ClientPlaintext})
}

// toOwnHost is rule 2.
func (w *walk) toOwnHost(p *path, r *router, cluster *resolve.Cluster) {
	svc := cluster.Service
	tls := w.snapshot.ClientTLSFor(r.workload, cluster, &resolve.Endpoint{Ref: svc.Ref})
	host, port := p.sni, cluster.Port.Number
	if !p.stream {
		host, port = p.http.Hostname(), p.http.PortOr(80)
		if tls.Mode != resolve.ClientPlaintext {
			port = p.http.PortOr(443)
		}
	}
	step := resolve.NewStep(resolve.RuleEndpointDynamicDNS, resolve.Applied, svc.Ref, host, port)
	p.note(step)
	if host == "" {
		w.unavailableBy(p, CodeNoEndpoints, "UH", "no_healthy_upstream", step, svc.Ref)
		return
	}
	p.note(tls.Step)
	if !w.originates(p, w.snapshot.ClientCertificates(r.workload, cluster, tls)) {
		return
	}
	w.toNamed(p, r, host, port, svc.Ref, tls)
}

// toNamed connects to what the proxy resolves the host to.
func (w *walk) toNamed(p *path, r *router, host string, port int, ref resolve.Ref, tls resolve.ClientTLS) {
	resolved, steps := w.snapshot.ResolveName(r.workload, nil, host, port)
	p.note(steps...)
	p.dest = Destination{Host: host, Port: port, Subset: p.dest.Subset, EnvoyCluster: p.hop().Envoy.Cluster}
	if !resolved.Found {
		w.unavailableBy(p, CodeNameNotFound, "DF", "dns_resolution_failure", decisive(steps), ref)
		return
	}
	p.dest.Host = hostOf(resolved.Dialled, host)
	w.connect(p, resolved.Dialled, tls)
}
