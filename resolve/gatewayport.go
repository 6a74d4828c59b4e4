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

// gatewayTarget is a port of a Service that selects the gateway workload.
type gatewayTarget struct {
	service       Ref
	port, podPort int
}

// disablePortTranslation on a Service takes its ports out of the translation.
const disablePortTranslation = "experimental.istio.io/disable-gateway-port-translation"

// gatewayTargets are the Service ports that lead to the workload, oldest Service first.
//
//  1. Services are ordered by creation time, then host name.
//  2. A named target port is looked up in the workload's containers; undeclared, the port is left out.
//  3. Of several ports of one Service with the same target port and protocol only the first counts.
//  4. A Service that disables the translation is left out.
//
// Source: pilot/pkg/serviceregistry/kube/controller/controller.go, GetProxyServiceTargetsByPod;
// pilot/pkg/model/context.go, SetServiceTargets; pilot/pkg/model/gateway.go, resolvePorts.
func (s *Snapshot) gatewayTargets(w *Workload) []gatewayTarget {
	type target struct {
		port     int
		protocol Protocol
	}
	var out []gatewayTarget
	for _, svc := range s.gatewayServices(w) {
		if _, disabled := svc.Labels[disablePortTranslation]; disabled {
			continue
		}
		seen := map[target]bool{}
		for _, p := range svc.Ports {
			podPort := gatewayTargetPort(w, p)
			t := target{podPort, p.Protocol}
			if podPort == 0 || seen[t] {
				continue
			}
			seen[t] = true
			out = append(out, gatewayTarget{service: svc.Ref.Object(), port: p.Number, podPort: podPort})
		}
	}
	return out
}

// gatewayServices are the Services of the workload, in pilot's order.
func (s *Snapshot) gatewayServices(w *Workload) []*Service {
	services := s.ServicesOf(w)
	if a := s.assumedGateway(w); a != nil && len(services) == 0 {
		return []*Service{a.service}
	}
	services = slices.Clone(services)
	slices.SortStableFunc(services, func(a, b *Service) int {
		return cmp.Or(compareTimes(a.Created, b.Created), cmp.Compare(a.Hostname, b.Hostname))
	})
	return services
}

// gatewayTargetPort is the pod port behind a Service port; 0 if its name is declared by no container.
// Source: pilot/pkg/serviceregistry/kube/controller/util.go, FindPort.
func gatewayTargetPort(w *Workload, p Port) int {
	if len(w.Containers) == 0 { // an assumed workload has no containers to look in
		p.TargetName = ""
	}
	n, _ := p.TargetOn(w)
	return n
}

// resolvePort is step 1.
func (m *gatewayMerge) resolvePort(s *GatewayServer) int {
	for _, t := range m.targets {
		if t.port == s.Port() {
			m.tell(s, NewStep(RuleGatewayServerPort, Applied, s.Ref.At(s.Ref.Field+".port.number"), s.Port(), t.service.QualifiedName(), t.podPort))
			return t.podPort
		}
	}
	m.tell(s, NewStep(RuleGatewayServerPortAsIs, Applied, s.Ref.At(s.Ref.Field+".port.number"), m.gateway.Workload.Owner.QualifiedName(), s.Port()))
	return s.Port()
}
