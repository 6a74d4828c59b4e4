package resolve

import (
	"strconv"
	"strings"
)

// An AUTO_PASSTHROUGH server forwards mutual TLS of the mesh, unopened, by the cluster that the server name spells.
//
//  1. For each service inside the mesh that the gateway sees and the server's hosts take, each port but those of
//     UDP is a filter chain; so is each subset of the service's DestinationRule, on each port.
//  2. A chain's server name is outbound_.PORT_.SUBSET_.HOST, and it is taken with an ALPN of Istio's alone.
//  3. AuthorizationPolicies do not apply to these chains.
//  4. The name of a service with a wildcard host has the wildcard within it: Envoy rejects the whole listener.
//  5. Where there is no such service the server makes no chain, and a listener without one is not made.
//
// Source: pilot/pkg/networking/core/gateway.go, builtAutoPassthroughFilterChains.

// Rules of AUTO_PASSTHROUGH servers.
const (
	RuleGatewayALPN                  RuleID = "gatewaylistener/istio-alpn"
	RuleGatewayAutoPassthroughNone   RuleID = "gatewaylistener/auto-passthrough-no-service"
	RuleGatewayAutoPassthroughSubset RuleID = "gatewaylistener/auto-passthrough-subset"
	RuleGatewayAutoPassthroughPort   RuleID = "gatewaylistener/auto-passthrough-no-port"
	RuleGatewayPassedOn              RuleID = "gateway/passed-on"
	RuleGatewayPassedOnPlain         RuleID = "gateway/passed-on-mtls-only"
)

var gatewayAutoPassthroughRules = []Rule{
	{
		ID: RuleGatewayAutoPassthroughSubset, Stage: StageDestinationRule,
		Says:     "Each subset of a service's DestinationRule is a filter chain of an AUTO_PASSTHROUGH server.",
		Template: "subset %s of %s has a filter chain",
		Source:   "pilot/pkg/networking/core/gateway.go, builtAutoPassthroughFilterChains",
	},
	{
		ID: RuleGatewayPassedOn, Stage: StageRoute,
		Says:     "An AUTO_PASSTHROUGH gateway sends a proxy's mTLS on, unopened, to an endpoint of the cluster that the server name spells; routes do not apply.",
		Template: "sends the mTLS on, unopened, to cluster %s",
		Source:   "pilot/pkg/networking/core/cluster.go, buildOutboundSniDnatClusters",
	},
	{
		ID: RuleGatewayPassedOnPlain, Stage: StageLoadBalance,
		Says:     "An AUTO_PASSTHROUGH gateway sends mTLS on to endpoints that take Istio mTLS alone; others are left out.",
		Template: "%s takes no Istio mTLS (%s), and nothing else is sent on: left out",
		Source:   "pilot/pkg/xds/endpoints/ep_filters.go, EndpointsWithMTLSFilter",
	},
	{
		ID: RuleGatewayALPN, Stage: StageTLS,
		Says:     "A chain of an AUTO_PASSTHROUGH server is taken only with an ALPN of Istio's mutual TLS.",
		Template: "taken only if the client sends an ALPN of Istio's mutual TLS, as proxies of the mesh do",
		Source:   "pilot/pkg/networking/core/gateway.go, builtAutoPassthroughFilterChains",
	},
	{
		ID: RuleGatewayAutoPassthroughPort, Stage: StageTLS,
		Says:     "An AUTO_PASSTHROUGH server has a filter chain for each port of the service that its gateway sees by the host; a Kubernetes Service hides a ServiceEntry of the same host.",
		Template: "is what the gateway sees by host %s, and there is no filter chain for port %s of it",
		Source:   "pilot/pkg/networking/core/gateway.go, builtAutoPassthroughFilterChains; pilot/pkg/model/sidecar.go, appendSidecarServices",
	},
	{
		ID: RuleGatewayAutoPassthroughNone, Stage: StageListener,
		Says:     "An AUTO_PASSTHROUGH server whose hosts take no service of the mesh gets no filter chain, and a listener without one is not made.",
		Template: "hosts %s take no service of the mesh: no filter chain",
		Source:   "pilot/pkg/networking/core/gateway.go, builtAutoPassthroughFilterChains",
	},
}

// autoPassthroughChains are the chains of an AUTO_PASSTHROUGH server, as one that looks the service up.
func (g *MergedGateway) autoPassthroughChains(s *GatewayServer) ([]*GatewayFilterChain, []Step) {
	for _, svc := range g.snapshot.Services() {
		if _, ok := g.autoPassthroughPort(svc, 0); ok && s.takesService(svc) {
			return []*GatewayFilterChain{{Kind: GatewayAutoPassthrough, Servers: []*GatewayServer{s}}}, nil
		}
	}
	return nil, []Step{NewStep(RuleGatewayAutoPassthroughNone, None, s.At("hosts"), strings.Join(s.Hosts, ", "))}
}

// rejectWildcard is rule 4.
func (l *GatewayListener) rejectWildcard(c *GatewayFilterChain) {
	for _, svc := range l.gateway.snapshot.Services() {
		p, ok := l.gateway.autoPassthroughPort(svc, 0)
		if !ok || l.Rejected != nil || !IsWildcardHost(svc.Hostname) || !c.Server().takesService(svc) {
			continue
		}
		step := NewStep(RuleGatewayListenerWildcard, DeniedBy, svc.Ref, l.Name, "outbound_."+strconv.Itoa(p.Number)+"_._."+svc.Hostname)
		l.Rejected = &step
	}
}

// autoPassthroughPort is the port of the number, or for 0 any, if the service has chains at all: of several of one host the
// one that the gateway sees.
// Source: pilot/pkg/model/sidecar.go, DefaultSidecarScopeForGateway, appendSidecarServices.
func (g *MergedGateway) autoPassthroughPort(svc *Service, number int) (Port, bool) {
	scope, _ := g.snapshot.Scope(g.Workload)
	if seen := scope.byHost[svc.Hostname]; svc.MeshExternal || seen == nil || seen.Ref != svc.Ref {
		return Port{}, false
	}
	for _, p := range svc.Ports {
		if p.Protocol != ProtocolUDP && (number == 0 || p.Number == number) {
			return p, true
		}
	}
	return Port{}, false
}

// takesService reports whether a host of the server has the service's hostname within it.
func (s *GatewayServer) takesService(svc *Service) bool {
	for _, h := range s.Hosts {
		if _, host, qualified := strings.Cut(h, "/"); qualified {
			h = host
		}
		if HostSubsetOf(svc.Hostname, h) {
			return true
		}
	}
	return false
}

// autoPassthrough is the AUTO_PASSTHROUGH server that has a chain for the server name; nil without one.
func (l *GatewayListener) autoPassthrough(sni string) *GatewayFilterChain {
	if len(l.auto) == 0 {
		return nil
	}
	svc, _, _ := l.gateway.spelledService(sni)
	if svc == nil {
		return nil
	}
	for _, c := range l.auto {
		if c.Server().takesService(svc) {
			return c
		}
	}
	return nil
}

// withoutPassthrough tells why a server name that spells a service has no chain of an AUTO_PASSTHROUGH server.
func (l *GatewayListener) withoutPassthrough(sni string) []Step {
	parts := strings.SplitN(sni, "_.", 4)
	if len(l.auto) == 0 || len(parts) != 4 {
		return nil
	}
	scope, _ := l.gateway.snapshot.Scope(l.gateway.Workload)
	seen := scope.byHost[parts[3]]
	if seen == nil {
		return nil
	}
	what := parts[1]
	if parts[2] != "" {
		what += ", subset " + parts[2] + ","
	}
	return []Step{NewStep(RuleGatewayAutoPassthroughPort, Skipped, seen.Ref, parts[3], what)}
}

// SpelledService is the service of the mesh, and its port, whose cluster a server name of Istio's mTLS
// spells: outbound_.PORT_.SUBSET_.HOST. It is nil if there is none. The step is about the subset, zero without one.
// Source: pilot/pkg/model/service.go, BuildDNSSrvSubsetKey.
func (c *GatewayFilterChain) SpelledService(sni string) (*Service, Port, Step) {
	return c.listener.gateway.spelledService(strings.ToLower(sni))
}

func (g *MergedGateway) spelledService(sni string) (*Service, Port, Step) {
	parts := strings.SplitN(sni, "_.", 4)
	if len(parts) != 4 || parts[0] != "outbound" {
		return nil, Port{}, Step{}
	}
	number, err := strconv.Atoi(parts[1])
	if err != nil || number == 0 {
		return nil, Port{}, Step{}
	}
	for _, svc := range g.snapshot.Services() {
		if svc.Hostname != parts[3] {
			continue
		}
		p, ok := g.autoPassthroughPort(svc, number)
		step, named := g.spelledSubset(svc, parts[2])
		if ok && named {
			return svc, p, step
		}
	}
	return nil, Port{}, Step{}
}

// spelledSubset reports whether the DestinationRule that the gateway follows for the service names the subset.
func (g *MergedGateway) spelledSubset(svc *Service, subset string) (Step, bool) {
	if subset == "" {
		return Step{}, true
	}
	named, ref := g.snapshot.DestinationRule(g.Workload, svc).Subset(subset)
	if named == nil {
		return Step{}, false
	}
	return NewStep(RuleGatewayAutoPassthroughSubset, Matched, ref, subset, svc.Hostname), true
}

// SpelledSubset is the subset in such a server name; empty without one.
func SpelledSubset(sni string) string {
	if parts := strings.SplitN(sni, "_.", 4); len(parts) == 4 {
		return parts[2]
	}
	return ""
}

// PassedOn are those of a cluster's endpoints to which a gateway sends mTLS on: as far as networks go, and those that take it.
// Source: pilot/pkg/xds/endpoints/ep_filters.go, EndpointsWithMTLSFilter.
func (s *Snapshot) PassedOn(gw *Workload, c *Cluster, eps []*Endpoint) ([]*Endpoint, []Step) {
	reached, steps := s.AcrossNetworks(gw, c, eps)
	var kept []*Endpoint
	for _, e := range reached {
		if why, plain := s.endpointPlain(c, e); plain && e.Gateway == nil {
			steps = append(steps, NewStep(RuleGatewayPassedOnPlain, Skipped, e.Ref, e.name(), why.Reason()))
			continue
		}
		kept = append(kept, e)
	}
	if len(kept) == 0 && len(reached) > 0 {
		steps = append(steps, NewStep(RuleNetworkNone, None, c.Service.Ref, podCount(eps), c.Service.Hostname, steps[len(steps)-1].Reason()))
	}
	return kept, steps
}
