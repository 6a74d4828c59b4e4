package resolve

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// The rules of tls and tcp routes. What they share with http routes (port,
// gateways, sourceLabels, sourceNamespace) is in route.go.
const (
	RuleL4Matched       RuleID = "l4route/matched"
	RuleL4NoneMatches   RuleID = "l4route/none-matches"
	RuleL4NoneApplies   RuleID = "l4route/none-applies"
	RuleL4SNI           RuleID = "l4route/sni"
	RuleL4Subnet        RuleID = "l4route/destination-subnets"
	RuleL4SubnetUnknown RuleID = "l4route/destination-subnets-unknown"
	RuleL4SubnetCarried RuleID = "l4route/destination-subnets-carried-over"
	RuleL4SourceSubnet  RuleID = "l4route/source-subnet-unread"
	RuleL4NoDestination RuleID = "l4route/no-destination"
	RuleL4Duplicate     RuleID = "l4route/duplicate"
	RuleL4Refused       RuleID = "l4route/listener-refused"
	RuleL4BehindFirst   RuleID = "l4route/behind-first"
	RuleL4HTTPIgnored   RuleID = "l4route/http-rules"
)

var l4RouteRules = []Rule{
	{
		ID: RuleL4Matched, Stage: StageRoute,
		Says:     "The connection goes to the tls or tcp route whose filter chain Envoy chooses.",
		Template: "this rule takes the connection",
		Source:   "pilot/pkg/networking/core/tls.go",
	},
	{
		ID: RuleL4NoneMatches, Stage: StageRoute,
		Says:     "Once some tls match applies to a proxy and port there is no chain for other server names; what tcp rules with destinationSubnets leave goes to the service.",
		Template: "%s this connection",
		Source:   "pilot/pkg/networking/core/tls.go, buildSidecarOutboundTLSFilterChainOpts",
	},
	{
		ID: RuleL4NoneApplies, Stage: StageRoute,
		Says:     "Without a tls or tcp rule that applies, a sidecar sends the connection to the service it was addressed to.",
		Template: "no VirtualService has a %s rule that applies here",
		Source:   "pilot/pkg/networking/core/tls.go",
	},
	{
		ID: RuleL4SNI, Stage: StageRoute,
		Says:     "A tls match takes the server names it lists: exact before the longest wildcard.",
		Template: "its match is for server names %s, and this connection's is %s",
		Source:   "Envoy, docs, FilterChainMatch",
	},
	{
		ID: RuleL4Subnet, Stage: StageRoute,
		Says:     "destinationSubnets take connections by the address they were sent to, the narrowest subnet first.",
		Template: "its match is for destinations %s; %s goes elsewhere",
		Source:   "pilot/pkg/networking/core/tls.go; Envoy, docs, FilterChainMatch",
	},
	{
		ID: RuleL4SubnetUnknown, Stage: StageRoute,
		Says:     "destinationSubnets can not be decided where the destination's address is not known.",
		Template: "its match is for destinations %s; the address of this destination is not known, so it is taken not to apply",
		Source:   "pilot/pkg/networking/core/tls.go",
	},
	{
		ID: RuleL4SubnetCarried, Stage: StageRoute,
		Says:     "The destinationSubnets of a tls match stay in force for later matches without any.",
		Template: "the destinationSubnets %s of an earlier match stay in force here",
		Source:   "pilot/pkg/networking/core/tls.go, buildSidecarOutboundTLSFilterChainOpts",
	},
	{
		ID: RuleL4SourceSubnet, Stage: StageRoute,
		Says:     "sourceSubnet of a tcp match is not read.",
		Template: "sourceSubnet %s is not read by Istio; the match applies to every source",
		Source:   "pilot/pkg/networking/core/tls.go, matchTCP",
	},
	{
		ID: RuleL4NoDestination, Stage: StageRoute,
		Says:     "A tls or tcp rule without route is left out.",
		Template: "the rule has no route",
		Source:   "pilot/pkg/networking/core/tls.go",
	},
	{
		ID: RuleL4Duplicate, Stage: StageRoute,
		Says:     "A tls match with the same server names and subnets as an earlier one is left out.",
		Template: "%s has the same server names and subnets and comes first",
		Source:   "pilot/pkg/networking/core/tls.go, hashRuntimeTLSMatchPredicates",
	},
	{
		ID: RuleL4Refused, Stage: StageRoute,
		Says:     "Envoy refuses a listener in which two filter chains have the same server name and subnets.",
		Template: "%s claims the same connections: Envoy refuses the listener",
		Source:   "Envoy, docs, FilterChainMatch",
	},
	{
		ID: RuleL4BehindFirst, Stage: StageRoute,
		Says:     "Behind a tcp rule that takes every address nothing more is looked at.",
		Template: "it stands after %s, which takes every connection",
		Source:   "pilot/pkg/networking/core/tls.go, buildSidecarOutboundTCPFilterChainOpts",
		Detail:   true,
	},
	{
		ID: RuleL4HTTPIgnored, Stage: StageRoute,
		Says:     "http rules count on ports whose protocol is HTTP, or is to be found out.",
		Template: "its http rules do not apply on port %d (%s), which is %s",
		Source:   "pilot/pkg/networking/core/listener.go, buildSidecarOutboundListener; pilot/pkg/networking/core/tls.go",
	},
}

// L4Query is a connection as a sidecar's listener sees it; what gateways do is in gatewayl4.go.
type L4Query struct {
	// Host is the service's hostname.
	Host string
	// Port is the service port.
	Port     int
	Gateways map[string]bool
	Proxy    *Workload
	// SNI is the server name of the TLS handshake.
	SNI string
	// DestinationIP is the address that was dialled; invalid if it is not known.
	DestinationIP netip.Addr
}

// L4Route is one filter chain made of a tls or tcp rule.
type L4Route struct {
	// Ref is spec.tls[i].match[j] or spec.tcp[i].match[j], or the entry where it has no match.
	Ref Ref
	// Entry is spec.tls[i] or spec.tcp[i].
	Entry Ref
	// SNIHosts and Subnets limit the chain; empty means all.
	SNIHosts, Subnets []string
	Routes            []*networking.RouteDestination
	VirtualService    *VirtualService
}

// Destinations are where the route sends connections; weights as for http routes.
// Source: pilot/pkg/networking/core/networkfilter.go, buildOutboundNetworkFilters.
func (r *L4Route) Destinations() []WeightedDestination {
	at := func(j int) Ref { return r.Entry.At(fmt.Sprintf("%s.route[%d]", r.Entry.Field, j)) }
	if origin, made := r.origin(); made {
		at = func(j int) Ref { return r.VirtualService.At(pathIndex(origin.entry+".route", j)) }
	}
	return shareOut(r.Routes, at, func(*networking.RouteDestination, *WeightedDestination) {})
}

// origin is the rule of a TCPRoute or TLSRoute that istiod made the route of, if it did.
func (r *L4Route) origin() (l4Origin, bool) {
	if r.VirtualService == nil {
		return l4Origin{}, false
	}
	origin, made := r.VirtualService.l4[r.Entry]
	return origin, made
}

// Made reports whether istiod made the route of something else than a VirtualService.
func (r *L4Route) Made() bool {
	_, made := r.origin()
	return made
}

// Conversion tells what was not in order in the rule that the route was made of.
func (r *L4Route) Conversion() []Step {
	origin, _ := r.origin()
	return origin.steps
}

// InvalidBackend is the step that tells why the backend written there cannot be used; zero if it can.
func (r *L4Route) InvalidBackend(ref Ref) Step { return stepAt(r.Conversion(), ref) }

// stepAt is the first step about the field.
func stepAt(steps []Step, ref Ref) Step {
	for _, s := range steps {
		if s.Ref == ref {
			return s
		}
	}
	return Step{}
}

// L4Match is which rule takes a connection.
type L4Match struct {
	// Route is nil if no rule takes it.
	Route *L4Route
	// Chains are all that were made of rules, in order.
	Chains []*L4Route
	// Exclusive is set where nothing but the rules takes connections: what they
	// leave does not go to the service's own cluster.
	Exclusive bool
	// Certain is Unknown where the choice hangs on something not known.
	Certain Truth
	Steps   []Step
}

// overlaps reports whether a host of the VirtualService overlaps the service's.
// Source: pilot/pkg/networking/core/tls.go, getConfigsForHost.
func (q *L4Query) overlaps(vs *VirtualService) bool {
	return slices.ContainsFunc(vs.Spec.GetHosts(), func(own string) bool { return HostMatches(own, q.Host) })
}

// IgnoredHTTPRules tells of VirtualServices that have http rules for a host, and the port it is called on is not HTTP.
func IgnoredHTTPRules(vss []*VirtualService, q L4Query, port Port) []Step {
	if port.Protocol.IsAuto() {
		return nil
	}
	var steps []Step
	for _, vs := range vss {
		if len(vs.Spec.GetHttp()) > 0 && slices.Contains(lowerHosts(vs), q.Host) && slices.ContainsFunc(vs.Gateways, func(g string) bool { return q.Gateways[g] }) {
			steps = append(steps, NewStep(RuleL4HTTPIgnored, Skipped, vs.At("spec.http"), port.Number, port.Name, string(port.Protocol)).meantFor(true))
		}
	}
	return steps
}

// Describe is what the route asks of a connection, in a few words.
func (r *L4Route) Describe() string {
	var parts []string
	if len(r.SNIHosts) > 0 {
		parts = append(parts, "server name "+strings.Join(r.SNIHosts, ", "))
	}
	if len(r.Subnets) > 0 {
		parts = append(parts, "to "+strings.Join(r.Subnets, ", "))
	}
	if len(parts) == 0 {
		return "it takes every connection"
	}
	return strings.Join(parts, ", ")
}
