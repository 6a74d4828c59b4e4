package resolve

import (
	"cmp"
	"slices"
	"strings"
)

// Rules of Gateways that are bound to services.
const (
	RuleGatewayOfService       RuleID = "gateway/bound-to-service"
	RuleGatewayOfOtherService  RuleID = "gateway/bound-to-other-service"
	RuleGatewayServerNotServed RuleID = "gateway/server-port-not-of-service"
)

var gatewayServiceRules = []Rule{
	{
		ID: RuleGatewayOfService, Stage: StageGateway, Detail: true,
		Says:     "A Gateway with the annotation internal.istio.io/gateway-service applies to the gateway workloads behind the services it names, if they are of the Gateway's namespace. Its selector does not matter.",
		Template: "it is bound to service %s, which leads to %s",
		Source:   "pilot/pkg/model/push_context.go, mergeGateways",
	},
	{
		ID: RuleGatewayOfOtherService, Stage: StageGateway,
		Says:     "A Gateway with the annotation internal.istio.io/gateway-service does not apply to a workload behind none of the services it names.",
		Template: "it is bound to %s, and no service of that name in namespace %s leads to %s",
		Source:   "pilot/pkg/model/push_context.go, mergeGateways",
	},
	{
		ID: RuleGatewayServerNotServed, Stage: StageGateway,
		Says:     "A server of a Gateway that is bound to services is ignored where none of them has its port.",
		Template: "no port %d among the services to which %s is bound: its server is ignored",
		Source:   "pilot/pkg/model/gateway.go, resolvePorts",
	},
}

// gatewayServiceAnnotation names services by their hosts, with commas between them. Istiod writes it
// on what it makes of a Gateway of the Gateway API, and reads it on any Gateway.
const gatewayServiceAnnotation = "internal.istio.io/gateway-service"

func boundServices(annotations map[string]string) []string {
	if text, ok := annotations[gatewayServiceAnnotation]; ok {
		return strings.Split(text, ",")
	}
	return nil
}

// boundTo are the targets that are ports of the services the Gateway is bound to.
func (c *GatewayConfig) boundTo(targets []ServiceTarget) []ServiceTarget {
	var out []ServiceTarget
	for _, t := range targets {
		if t.Service.Namespace == c.proxyNamespace && slices.Contains(c.services, t.Service.Hostname) {
			out = append(out, t)
		}
	}
	return out
}

// selectedByService reports, with a step, whether a Gateway that is bound to services applies to the workload.
func (c *GatewayConfig) selectedByService(w *Workload, targets []ServiceTarget) (bool, Step) {
	ref := c.At("metadata.annotations[" + gatewayServiceAnnotation + "]")
	bound := c.boundTo(targets)
	if len(bound) == 0 {
		return false, NewStep(RuleGatewayOfOtherService, Skipped, ref, joinLimited(c.services, 3), c.proxyNamespace, w.Owner.QualifiedName())
	}
	return true, NewStep(RuleGatewayOfService, Matched, ref, bound[0].Service.Hostname, w.Owner.QualifiedName())
}

// portsOfServices is step 2 of resolvePorts.
func (m *gatewayMerge) portsOfServices(s *GatewayServer) []resolvedPort {
	var ports []resolvedPort
	bound := s.Gateway.boundTo(m.targets)
	for _, t := range bound {
		known := slices.ContainsFunc(ports, func(r resolvedPort) bool { return r.port == t.TargetPort })
		if t.Port.Number == s.Port() && !known {
			ports = append(ports, resolvedPort{t.TargetPort, NewStep(RuleGatewayServerPort, Applied, t.Service.Ref.At(t.Port.Field), s.Port(), t.Service.Ref.QualifiedName(), t.TargetPort)})
		}
	}
	if len(ports) == 0 {
		return []resolvedPort{{s.Port(), NewStep(RuleGatewayServerNotServed, Skipped, bound[0].Service.Ref, s.Port(), s.Ref)}}
	}
	slices.SortFunc(ports, func(a, b resolvedPort) int { return cmp.Compare(a.port, b.port) })
	return ports
}
