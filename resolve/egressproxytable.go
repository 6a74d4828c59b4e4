package resolve

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The route table of an egress listener of protocol HTTP_PROXY.
//
//  1. It has the hosts of all services on all their HTTP ports, and of the VirtualServices that overlap one of them;
//     their routes are made for port 0.
//  2. Each host is spelled without port and with it; who comes first has the spelling without. Of a service's ports the
//     one written first comes first; of the ports of a VirtualService's services, one that istiod happens on.
//  3. Only port 80 keeps the spellings without port. Envoy drops the port of the Host header before it looks, so that
//     the others are never found.
//
// Source: pilot/pkg/networking/core/httproute.go, BuildSidecarOutboundVirtualHosts, generateVirtualHostDomains,
// mergeAllVirtualHosts; route/route.go, buildSidecarVirtualHostsForVirtualService; Envoy, RouteConfiguration
// ignore_port_in_host_matching.

// Rules of step 1, and of the second half of step 2.
const (
	RuleHostProxyService RuleID = "host/proxy-service"
	RuleHostProxyPort    RuleID = "host/proxy-port-by-chance"
)

var egressProxyRules = []Rule{
	{
		ID: RuleHostProxyService, Stage: StageHost, Detail: true,
		Says:     "On a listener of HTTP_PROXY a VirtualService counts if one of its hosts is a service there.",
		Template: "is a service on the egress listener, and so %s counts",
		Source:   "pilot/pkg/networking/core/route/route.go, BuildSidecarVirtualHostWrapper",
	},
	{
		ID: RuleHostProxyPort, Stage: StageHost,
		Says:     "On a listener of HTTP_PROXY a host is found only if its port 80 comes first; of the ports of a VirtualService's services istiod happens on one.",
		Template: "its services have the HTTP ports %s: whether port 80 comes first, and Host %s is found, is left to chance",
		Source:   "pilot/pkg/networking/core/route/route.go, buildSidecarVirtualHostsForVirtualService",
	},
}

// fillProxy makes the virtual hosts.
func (t *RouteTable) fillProxy(w *Workload) {
	byName := map[string]*Service{}
	for _, svc := range t.Egress.Services {
		byName[svc.Hostname] = svc
	}
	names, wildcards := serviceNames(byName)
	taken, known := map[string]bool{}, map[string]bool{}
	var hosts []proxyHost
	add := func(name string, port int, svc *Service, routes []*Route) bool {
		full := domainName(name, port)
		if taken[full] {
			return false
		}
		taken[full] = true
		if svc != nil {
			known[svc.Hostname], known[full] = true, true
		}
		hosts = append(hosts, proxyHost{port, &VirtualHost{Name: full, Routes: routes, Service: svc}})
		return true
	}
	done := map[string]bool{}
	for _, vs := range t.Egress.VirtualServices {
		if !overlapsService(vs, byName, names, wildcards) {
			continue
		}
		f := &fate{}
		t.fates[vs] = f
		f.routes, f.steps = BuildRoutes(vs, 0, map[string]bool{"mesh": true}, w)
		if len(f.routes) == 0 {
			continue
		}
		literal, services := t.split(vs, byName, names)
		byPort := httpPorts(services)
		for _, port := range sortedPorts(byPort) {
			for _, h := range literal {
				f.take(h, add(h, port, nil, f.routes))
			}
			for _, svc := range byPort[port] {
				done[svc.Hostname] = true
				f.take(svc.Hostname, add(svc.Hostname, port, svc, f.routes))
			}
		}
		if len(byPort) > 1 && byPort[80] != nil {
			for _, port := range sortedPorts(byPort) {
				t.chances[vs] = append(t.chances[vs], strconv.Itoa(port))
			}
		}
	}
	for _, name := range names {
		svc := byName[name]
		if done[name] || svc.Resolution == Alias {
			continue
		}
		for _, p := range svc.Ports {
			if p.Protocol.IsHTTP() || p.Protocol.IsAuto() {
				add(name, p.Number, svc, []*Route{DefaultRoute(svc, p.Number)})
			}
		}
	}
	domains := map[string]bool{}
	for _, h := range hosts {
		t.addProxyDomains(h, known, domains)
	}
}

// proxyHost is a virtual host of one port.
type proxyHost struct {
	port int
	*VirtualHost
}

// addProxyDomains is steps 2 and 3.
func (t *RouteTable) addProxyDomains(h proxyHost, known, taken map[string]bool) {
	domains, short := []string{strings.TrimSuffix(h.Name, fmt.Sprintf(":%d", h.port))}, map[string]bool{}
	if h.Service != nil {
		bare, alternatives := t.scope.serviceDomains(h.Service)
		domains = nil
		for _, d := range bare {
			full := fmt.Sprintf("%s:%d", d, h.port)
			domains = append(domains, d, full)
			short[d], short[full] = alternatives[d], alternatives[d]
		}
	}
	for _, d := range domains {
		if taken[d] || short[d] && known[d] {
			continue
		}
		taken[d] = true
		if h.port == 80 || strings.Contains(d, ":") {
			t.own(h.VirtualHost, d)
		}
	}
}

// byChance reports whether the virtual host is that of a VirtualService of several ports, 80 among them.
func (t *RouteTable) byChance(vh *VirtualHost, hostname string) (Step, bool) {
	if vh == nil || len(vh.Routes) == 0 || t.chances[vh.Routes[0].VirtualService] == nil {
		return Step{}, false
	}
	vs := vh.Routes[0].VirtualService
	return NewStep(RuleHostProxyPort, Warned, vs.Ref, joinLimited(t.chances[vs], 5), hostname), true
}

// httpPorts are the services by each HTTP port that they have.
func httpPorts(services []*Service) map[int][]*Service {
	out := map[int][]*Service{}
	for _, svc := range services {
		for _, p := range svc.Ports {
			if p.Protocol.IsHTTP() || p.Protocol.IsAuto() {
				out[p.Number] = append(out[p.Number], svc)
			}
		}
	}
	return out
}

// sortedPorts has port 80 first, then the others in order.
func sortedPorts(byPort map[int][]*Service) []int {
	var out []int
	for port := range byPort {
		out = append(out, port)
	}
	slices.SortFunc(out, func(a, b int) int { return cmp.Or(boolFirst(a == 80)-boolFirst(b == 80), cmp.Compare(a, b)) })
	return out
}
