package resolve

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	api "istio.io/api/networking/v1alpha3"
)

// Rules of the receiving side of a sidecar.
const (
	RuleInboundPort       RuleID = "inbound/service-port"
	RuleInboundSlice      RuleID = "inbound/address-in-slice"
	RuleInboundNoSlice    RuleID = "inbound/slice-does-not-count"
	RuleInboundConflict   RuleID = "inbound/older-service-wins"
	RuleInboundUndeclared RuleID = "inbound/undeclared-port"
	RuleInboundReserved   RuleID = "inbound/reserved-port"
	RuleInboundIngress    RuleID = "inbound/sidecar-ingress"
	RuleInboundUnlisted   RuleID = "inbound/sidecar-ingress-unlisted"
	RuleInboundProxy      RuleID = "inbound/proxy"
)

var inboundRules = []Rule{
	{
		ID: RuleInboundPort, Stage: StageListener, Detail: true,
		Says:     "The receiving sidecar has a filter chain for each pod port that a Service (or ServiceEntry) of the workload targets; the Service's port gives the protocol.",
		Template: "pod port %d is %s, as port %s of Service %s says",
		Source:   "pilot/pkg/networking/core/listener_inbound.go, buildInboundChainConfigs",
	},
	{
		ID: RuleInboundProxy, Stage: StageCapture,
		Says:     "A workload with a sidecar receives through it: what is running, or what Istio's webhook injects.",
		Template: "the receiver has a proxy: %s",
		Source:   "pkg/kube/inject/inject.go, injectRequired",
		Detail:   true,
	},
	{
		ID: RuleInboundSlice, Stage: StageListener, Detail: true,
		Says:     "Where no Service selects the workload, Services without a selector count that have its first address in an EndpointSlice.",
		Template: "has the address of %s: Service %s is one of it",
		Source:   "pilot/pkg/serviceregistry/kube/controller/endpointslice.go, GetProxyServiceTargets",
	},
	{
		ID: RuleInboundNoSlice, Stage: StageListener, Detail: true,
		Says:     "Where a Service selects the workload, Services without a selector that have its address do not count.",
		Template: "selects %s: Service %s, which has its address but no selector, does not count",
		Source:   "pilot/pkg/serviceregistry/kube/controller/controller.go, GetProxyServiceTargets",
	},
	{
		ID: RuleInboundConflict, Stage: StageListener,
		Says:     "Where several Services target one pod port, the oldest gives the protocol.",
		Template: "also targets pod port %d, as %s, but Service %s is older and gives the protocol",
		Source:   "pilot/pkg/networking/core/listener_inbound.go, reportInboundConflict",
		Detail:   true,
	},
	{
		ID: RuleInboundReserved, Stage: StageListener,
		Says:     "A pod port on which the proxy itself listens has no filter chain, though a Service targets it: it takes the passthrough chains.",
		Template: "targets pod port %d, which is the proxy's own: it has no filter chain for it and takes the passthrough chain, protocol detected",
		Source:   "pilot/pkg/model/context.go, CanBindToPort",
	},
	{
		ID: RuleInboundUndeclared, Stage: StageListener,
		Says:     "A pod port that no Service targets takes the passthrough chains: the protocol is detected, PeerAuthentication and AuthorizationPolicy still apply.",
		Template: "no Service of the workload targets pod port %d: it takes the passthrough chain, protocol detected",
		Source:   "pilot/pkg/networking/core/listener_inbound.go, buildInboundPassthroughChains",
	},
	{
		ID: RuleInboundIngress, Stage: StageListener,
		Says:     "Sidecar.ingress replaces all chains made from Services; the port is the pod port, the protocol the Sidecar's.",
		Template: "pod port %d is %s and goes to %s",
		Source:   "pilot/pkg/networking/core/listener_inbound.go, buildInboundChainConfigs",
	},
	{
		ID: RuleInboundUnlisted, Stage: StageListener,
		Says:     "A port that Sidecar.ingress does not list is still open: it takes the passthrough chains.",
		Template: "spec.ingress does not list pod port %d: it takes the passthrough chain, protocol detected",
		Source:   "pilot/pkg/networking/core/listener_inbound.go, buildInboundPassthroughChains",
	},
}

// InboundPort is what the receiving sidecar makes of a pod port.
type InboundPort struct {
	Port     int
	Protocol Protocol
	// Declared is false for a port that takes the passthrough chains.
	Declared bool
	// Ref is the port of the Service, or the listener of the Sidecar, that gives the protocol; zero if none does.
	Ref Ref
	// FilterChain, RouteConfig, VirtualHost and Cluster are Envoy's names.
	FilterChain, RouteConfig, VirtualHost, Cluster string
	// Endpoint is Sidecar.ingress's defaultEndpoint in words; empty for the pod port itself.
	Endpoint string
	// TargetPort is the port that the application is reached on.
	TargetPort int
}

// Inbound returns the receiving side of a workload's pod port. Host and
// VirtualServices play no part there.
//
//  1. Sidecar.ingress, where it is set, replaces everything made from Services.
//  2. Else the oldest Service that targets the port gives the protocol. A UDP port is one of them: for
//     connections to its number there is then a TCP filter chain. A port of the proxy's own has none.
//  3. Every other port takes the passthrough chains.
//
// Source: pilot/pkg/networking/core/listener_inbound.go, buildInboundListeners.
func (s *Snapshot) Inbound(w *Workload, sc *Scope, port int) (InboundPort, []Step) {
	a := s.known(w).inbound.of(inboundKey{sc, port}, func() inboundAnswer {
		p, steps := s.findInbound(w, sc, port)
		return inboundAnswer{p, slices.Clip(steps)}
	})
	return a.port, a.steps
}

// inboundKey is what Inbound is asked of one workload.
type inboundKey struct {
	scope *Scope
	port  int
}

// inboundAnswer is what Inbound answers.
type inboundAnswer struct {
	port  InboundPort
	steps []Step
}

func (s *Snapshot) findInbound(w *Workload, sc *Scope, port int) (InboundPort, []Step) {
	if sc != nil && sc.Sidecar != nil && len(sc.Sidecar.Spec.GetIngress()) > 0 {
		return inboundFromSidecar(sc, w, port)
	}
	var steps []Step
	var out InboundPort
	var winner *Service
	for _, t := range s.ServiceTargets(w) {
		svc, p := t.Service, t.Port
		if t.TargetPort != port {
			continue
		}
		if reservedPorts[port] {
			return passthroughPort(port), []Step{NewStep(RuleInboundReserved, None, svc.Ref.At(p.Field), port)}
		}
		if winner != nil {
			steps = append(steps, NewStep(RuleInboundConflict, Skipped, svc.Ref.At(p.Field), port, describeProtocol(p.Protocol), winner.Ref.QualifiedName()))
			continue
		}
		winner = svc
		if !t.Slice.IsZero() {
			steps = append(steps, NewStep(RuleInboundSlice, Applied, t.Slice, w.Owner, svc.Ref.QualifiedName()))
		}
		out = InboundPort{
			Port: port, Protocol: p.Protocol, Declared: true, TargetPort: port, Ref: svc.Ref.At(p.Field),
			FilterChain: fmt.Sprintf("0.0.0.0_%d", port),
			RouteConfig: fmt.Sprintf("inbound|%d||", port),
			VirtualHost: fmt.Sprintf("inbound|http|%d", p.Number),
			Cluster:     fmt.Sprintf("inbound|%d||", port),
		}
		steps = append(steps, NewStep(RuleInboundPort, Matched, svc.Ref.At(p.Field), port, describeProtocol(p.Protocol), portName(p), svc.Ref.QualifiedName()))
	}
	if winner == nil {
		steps = append(steps, s.slicesPassedBy(w, port)...)
		return passthroughPort(port), append(steps, NewStep(RuleInboundUndeclared, None, w.Owner, port))
	}
	return out, steps
}

func portName(p Port) string {
	if p.Name == "" {
		return fmt.Sprint(p.Number)
	}
	return fmt.Sprintf("%d (%s)", p.Number, p.Name)
}

func passthroughPort(port int) InboundPort {
	return InboundPort{
		Port: port, TargetPort: port, Protocol: ProtocolUnsupported, FilterChain: "virtualInbound",
		RouteConfig: "InboundPassthroughCluster", VirtualHost: "inbound|http|0", Cluster: "InboundPassthroughCluster",
	}
}

func inboundFromSidecar(sc *Scope, w *Workload, port int) (InboundPort, []Step) {
	for i, in := range sc.Sidecar.Spec.GetIngress() {
		if int(in.GetPort().GetNumber()) != port {
			continue
		}
		protocol := ParseProtocol(in.GetPort().GetProtocol())
		address := "podIP"
		if len(w.Addresses) > 0 {
			address = w.Addresses[0].String()
		}
		endpoint := ingressEndpoint(in, port)
		step := NewStep(RuleInboundIngress, Matched, sc.Ref.At(fmt.Sprintf("spec.ingress[%d]", i)), port, describeProtocol(protocol), endpoint)
		return InboundPort{
			Port: port, Protocol: protocol, Declared: true, TargetPort: ingressPort(in, port), Ref: step.Ref,
			FilterChain: fmt.Sprintf("%s_%d", address, port),
			RouteConfig: fmt.Sprintf("inbound|%d||", port),
			VirtualHost: fmt.Sprintf("inbound|http|%d", port),
			Cluster:     fmt.Sprintf("inbound|%d||", port),
			Endpoint:    endpoint,
		}, []Step{step}
	}
	return passthroughPort(port), []Step{NewStep(RuleInboundUnlisted, None, sc.Ref.At("spec.ingress"), port)}
}

// ingressEndpoint reads defaultEndpoint: empty is the port itself, 0.0.0.0 the pod's address.
// Source: pilot/pkg/networking/core/cluster.go, buildInboundCluster for Sidecar ingress.
func ingressEndpoint(in *api.IstioIngressListener, port int) string {
	e := in.GetDefaultEndpoint()
	switch {
	case e == "":
		return fmt.Sprintf("the pod's port %d", port)
	case strings.HasPrefix(e, "0.0.0.0:"):
		return "the pod's port " + strings.TrimPrefix(e, "0.0.0.0:")
	}
	return e
}

// ingressPort is the port of defaultEndpoint; a Unix socket has none, and the pod port stands for it.
func ingressPort(in *api.IstioIngressListener, port int) int {
	if n, err := strconv.Atoi(in.GetDefaultEndpoint()[strings.LastIndex(in.GetDefaultEndpoint(), ":")+1:]); err == nil {
		return n
	}
	return port
}
