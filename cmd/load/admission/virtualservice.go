package admission

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// virtualService checks a VirtualService; one without hosts is a delegate.
// Source: pkg/config/validation/validation.go, ValidateVirtualService.
func (c *checker) virtualService(namespace string, spec *networking.VirtualService) {
	delegate := len(spec.GetHosts()) == 0
	if delegate {
		if len(spec.GetGateways()) > 0 {
			c.refuse("spec.gateways", "delegate virtual service must have no gateways specified")
		}
		if len(spec.GetTls()) > 0 {
			c.refuse("spec.tls", "delegate virtual service must have no tls route specified")
		}
		if len(spec.GetTcp()) > 0 {
			c.refuse("spec.tcp", "delegate virtual service must have no tcp route specified")
		}
	}
	atGateway := boundToGateway(spec)
	c.gatewayNames("spec.gateways", spec.GetGateways())
	c.virtualHosts(spec, atGateway)
	if len(spec.GetHttp()) == 0 && len(spec.GetTcp()) == 0 && len(spec.GetTls()) == 0 {
		c.refuse("spec", "http, tcp or tls must be provided in virtual service")
	}
	for i, route := range spec.GetHttp() {
		field := entry("spec.http", i)
		if route == nil {
			c.refuse(field, "http route may not be null")
			continue
		}
		c.claims(field, route, spec.GetGateways(), atGateway)
		c.httpRoute(field, route, delegate)
	}
	for i, route := range spec.GetTls() {
		if route != nil {
			c.tlsRoute(entry("spec.tls", i), route, spec)
		}
	}
	for i, route := range spec.GetTcp() {
		if route != nil {
			c.tcpRoute(entry("spec.tcp", i), route)
		}
	}
	c.exportTo(namespace, spec.GetExportTo(), exporting{})
}

// boundToGateway reports whether the VirtualService is for gateways alone.
func boundToGateway(spec *networking.VirtualService) bool {
	return len(spec.GetGateways()) > 0 && !slices.Contains(spec.GetGateways(), "mesh")
}

// virtualHosts checks the hosts: names of DNS, "*" at gateways alone, none that covers another.
func (c *checker) virtualHosts(spec *networking.VirtualService, atGateway bool) {
	valid := true
	for i, host := range spec.GetHosts() {
		field := entry("spec.hosts", i)
		wrong := domain(host)
		if atGateway && len(spec.GetTls()) > 0 && strings.HasPrefix(host, "outbound_") {
			continue // the names that istiod gives between clusters have rules of their own
		}
		switch {
		case isAddress(host):
		case wrong != "":
			c.refuse(field, "%s", wrong)
			valid = false
		case host == "*" && !atGateway:
			c.refuse(field, "wildcard host * is not allowed for virtual services bound to the mesh gateway")
			valid = false
		}
	}
	if !valid {
		return
	}
	for i, a := range spec.GetHosts() {
		for j, b := range spec.GetHosts()[i+1:] {
			if overlap(a, b) {
				c.refuse(entry("spec.hosts", i+1+j), "duplicate hosts in virtual service: %s & %s", a, b)
			}
		}
	}
}

// overlap reports whether two hosts have a name in common.
// Source: pkg/config/host/name.go, Matches.
func overlap(a, b string) bool {
	wildA, wildB := strings.HasPrefix(a, "*"), strings.HasPrefix(b, "*")
	switch {
	case wildA && wildB:
		return strings.HasSuffix(a[1:], b[1:]) || strings.HasSuffix(b[1:], a[1:])
	case wildA:
		return strings.HasSuffix(b, a[1:])
	case wildB:
		return strings.HasSuffix(a, b[1:])
	}
	return a == b
}

// gatewayNames checks names of gateways: NAMESPACE/NAME, a name, or the old style with dots. The first without a slash
// is the last that istiod looks at.
// Source: pkg/config/validation/validation.go, validateGatewayNames.
func (c *checker) gatewayNames(field string, names []string) {
	for i, full := range names {
		namespace, name, qualified := strings.Cut(full, "/")
		if !qualified {
			c.refuseIf(entry(field, i), fqdn(full))
			return
		}
		if namespace == "" || name == "" {
			c.refuse(entry(field, i), "config namespace and gateway name cannot be empty")
		}
		if !isLabel(namespace) {
			c.refuse(entry(field, i), "invalid value for namespace: %q", namespace)
		}
		if !isLabel(name) {
			c.refuse(entry(field, i), "invalid value for gateway name: %q", name)
		}
	}
}

// claims checks that nothing but a gateway routes by the claims of a token.
func (c *checker) claims(field string, route *networking.HTTPRoute, gateways []string, atGateway bool) {
	if atGateway {
		return
	}
	for i, m := range route.GetMatch() {
		for _, headers := range []map[string]*networking.StringMatch{m.GetHeaders(), m.GetWithoutHeaders()} {
			for _, name := range sortedKeys(headers) {
				if resolve.IsClaimHeader(name) {
					c.refuse(entry(field+".match", i), "JWT claim based routing (key: %s) is only supported for gateway, found no gateways: %v", name, gateways)
				}
			}
		}
	}
}

// tlsRoute checks a route by server name.
// Source: pkg/config/validation/validation.go, validateTLSRoute, validateTLSMatch, validateSniHost.
func (c *checker) tlsRoute(field string, route *networking.TLSRoute, spec *networking.VirtualService) {
	if len(route.GetMatch()) == 0 {
		c.refuse(field+".match", "TLS route must have at least one match condition")
	}
	for i, m := range route.GetMatch() {
		at := entry(field+".match", i)
		if m == nil {
			c.refuse(at, "TLS match may not be null")
			continue
		}
		if len(m.GetSniHosts()) == 0 {
			c.refuse(at+".sniHosts", "TLS match must have at least one SNI host")
		}
		for j, sni := range m.GetSniHosts() {
			c.sniHost(entry(at+".sniHosts", j), sni, spec)
		}
		c.streamMatch(at, m)
	}
	if len(route.GetRoute()) == 0 {
		c.refuse(field+".route", "TLS route is required")
	}
	c.destinations(field+".route", route.GetRoute())
}

// sniHost checks a server name: one of those that the VirtualService is for.
func (c *checker) sniHost(field, sni string, spec *networking.VirtualService) {
	if isAddress(sni) || boundToGateway(spec) && strings.HasPrefix(sni, "outbound_") {
		return
	}
	if wrong := domain(sni); wrong != "" {
		c.refuse(field, "%s", wrong)
		return
	}
	for _, host := range spec.GetHosts() {
		if within(sni, host) {
			return
		}
	}
	c.refuse(field, "SNI host %q is not a compatible subset of any of the virtual service hosts: [%s]", sni, strings.Join(spec.GetHosts(), ", "))
}

// within reports whether every name of a is one of b.
// Source: pkg/config/host/name.go, SubsetOf.
func within(a, b string) bool {
	suffix, wildcard := strings.CutPrefix(b, "*")
	if !wildcard {
		return a == b
	}
	return strings.HasSuffix(strings.TrimPrefix(a, "*"), suffix)
}

// tcpRoute checks a route of plain TCP.
// Source: pkg/config/validation/validation.go, validateTCPRoute, validateTCPMatch.
func (c *checker) tcpRoute(field string, route *networking.TCPRoute) {
	for i, m := range route.GetMatch() {
		at := entry(field+".match", i)
		if m == nil {
			c.refuse(at, "tcp match may not be nil")
			continue
		}
		c.streamMatch(at, m)
	}
	if len(route.GetRoute()) == 0 {
		c.refuse(field+".route", "TCP route is required")
	}
	c.destinations(field+".route", route.GetRoute())
}

// streamMatch checks what the matches of tcp and tls routes have alike.
// Source: pkg/config/validation/validation.go, validateTCPMatch, validateTLSMatch.
func (c *checker) streamMatch(at string, m interface {
	GetDestinationSubnets() []string
	GetPort() uint32
	GetSourceLabels() map[string]string
	GetGateways() []string
},
) {
	for j, s := range m.GetDestinationSubnets() {
		c.refuseIf(entry(at+".destinationSubnets", j), subnet(s))
	}
	if m.GetPort() != 0 {
		c.refuseIf(at+".port", portNumber(m.GetPort()))
	}
	c.labels(at+".sourceLabels", m.GetSourceLabels())
	c.gatewayNames(at+".gateways", m.GetGateways())
}

// weighted is a destination of a route, of HTTP or not.
type weighted interface {
	GetDestination() *networking.Destination
	GetWeight() int32
}

// destinations checks where a tls or tcp route sends to.
// Source: pkg/config/validation/validation.go, validateRouteDestinations.
func (c *checker) destinations(field string, routes []*networking.RouteDestination) {
	all := make([]weighted, 0, len(routes))
	for i, r := range routes {
		if r == nil {
			c.refuse(entry(field, i), "weight may not be nil")
			continue
		}
		all = append(all, r)
		c.weighted(entry(field, i), r)
	}
	c.weights(field, len(routes), all)
}

func (c *checker) weighted(field string, w weighted) {
	if w.GetDestination() == nil {
		c.refuse(field+".destination", "destination is required")
	}
	c.destination(field+".destination", w.GetDestination())
	if w.GetWeight() < 0 {
		c.refuse(field+".weight", "weight %d < 0", w.GetWeight())
	}
}

func (c *checker) weights(field string, count int, all []weighted) {
	var total int32
	for _, w := range all {
		total += w.GetWeight()
	}
	if count > 1 && total == 0 {
		c.refuse(field, "total destination weight = 0")
	}
}

// destination checks one destination.
// Source: pkg/config/validation/validation.go, validateDestination.
func (c *checker) destination(field string, d *networking.Destination) {
	if d == nil {
		return
	}
	if d.GetHost() == "*" {
		c.refuse(field+".host", "invalid destination host *")
	} else {
		c.refuseIf(field+".host", domain(d.GetHost()))
	}
	if d.GetSubset() != "" && !isLabel(d.GetSubset()) {
		c.refuse(field+".subset", "subset name is invalid: %s", d.GetSubset())
	}
	if d.GetPort() != nil {
		c.refuseIf(field+".port.number", portNumber(d.GetPort().GetNumber()))
	}
}
