package resolve

import (
	"cmp"
	"slices"
)

// Rules of the pod port of a server.
const (
	RuleGatewayServerPort     RuleID = "gateway/server-port-of-service"
	RuleGatewayServerPortAsIs RuleID = "gateway/server-port-as-it-is"
)

var gatewayPortRules = []Rule{
	{
		ID: RuleGatewayServerPort, Stage: StageGateway, Detail: true,
		Says:     "A server's port number is looked for among the ports of the Services that select the gateway workload, oldest Service first; the gateway listens on the target port.",
		Template: "port %d is a port of Service %s: the gateway listens on pod port %d",
		Source:   "pilot/pkg/model/gateway.go, resolvePorts",
	},
	{
		ID: RuleGatewayServerPortAsIs, Stage: StageGateway,
		Says:     "Where no Service of the gateway workload has the server's port number, the gateway listens on that number itself.",
		Template: "no Service of %s has port %d: the gateway listens on pod port %[2]d itself",
		Source:   "pilot/pkg/model/gateway.go, resolvePorts",
		Detail:   true,
	},
}

// disablePortTranslation on a Service takes its ports out of the translation.
const disablePortTranslation = "experimental.istio.io/disable-gateway-port-translation"

// gatewayTargets are the service ports that lead to the workload, oldest service first.
func (s *Snapshot) gatewayTargets(w *Workload) []ServiceTarget {
	targets := s.ServiceTargets(w)
	if a := s.assumedGateway(w); a != nil && len(targets) == 0 {
		return selectedTargets(a.service, w)
	}
	return targets
}

// gatewayServices are the Services by which the workload is reached, in pilot's order.
func (s *Snapshot) gatewayServices(w *Workload) []*Service {
	services := slices.DeleteFunc(slices.Clone(s.ServicesOf(w)), func(svc *Service) bool { return svc.Registry != RegistryKubernetes })
	if a := s.assumedGateway(w); a != nil && len(services) == 0 {
		return []*Service{a.service}
	}
	slices.SortStableFunc(services, func(a, b *Service) int {
		return cmp.Or(compareTimes(a.Created, b.Created), cmp.Compare(a.Hostname, b.Hostname))
	})
	return services
}

// resolvedPort is a pod port of a server, or the server's own port where it gets none.
type resolvedPort struct {
	port int
	step Step
}

// resolvePorts is step 1: the pod ports of a server.
//
//  1. The target port of the first service that has the port, unless that service disables the
//     translation; else the port itself.
//  2. Of a Gateway that is bound to services: every target port that these have for it.
//
// Source: pilot/pkg/model/gateway.go, resolvePorts.
func (m *gatewayMerge) resolvePorts(s *GatewayServer) []resolvedPort {
	if len(s.Gateway.services) > 0 {
		return m.portsOfServices(s)
	}
	for _, t := range m.targets {
		if _, disabled := t.Service.Labels[disablePortTranslation]; t.Port.Number == s.Port() && !disabled {
			return []resolvedPort{{t.TargetPort, NewStep(RuleGatewayServerPort, Applied, t.Service.Ref.At(t.Port.Field), s.Port(), t.Service.Ref.QualifiedName(), t.TargetPort)}}
		}
	}
	return []resolvedPort{{s.Port(), NewStep(RuleGatewayServerPortAsIs, Applied, s.At("port.number"), m.gateway.Workload.Owner.QualifiedName(), s.Port())}}
}
