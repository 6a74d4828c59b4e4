package resolve

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/utils/ptr"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Which proxies serve a Gateway of the Gateway API, and why none does.

// servesGateway reports whether the workload is behind a Service of the Gateway.
func (s *Snapshot) servesGateway(w *Workload, g *kubeGateway) bool {
	c := GatewayConfig{services: g.services, proxyNamespace: g.ref.Namespace}
	return w.Namespace == g.ref.Namespace && len(c.boundTo(s.gatewayTargets(w))) > 0
}

// gatewaysServedBy are the Gateways of the Gateway API that the workload serves.
func (s *Snapshot) gatewaysServedBy(w *Workload) []*kubeGateway {
	var out []*kubeGateway
	for _, g := range s.index.kube().ordered {
		if s.servesGateway(w, g) {
			out = append(out, g)
		}
	}
	return out
}

// GatewayDeployment tells what of the workload and its Services istiod is taken to make, because manifests leave it out.
func (s *Snapshot) GatewayDeployment(w *Workload) []Step {
	var steps []Step
	for _, g := range s.gatewaysServedBy(w) {
		var made, ports []string
		if _, ok := s.originOf(w.Owner).(deployedOrigin); ok {
			made = append(made, w.Owner.String())
		}
		for _, svc := range s.gatewayServices(w) {
			if o, ok := s.origins[svc.Ref].(deployedOrigin); ok && o.gateway == g.ref {
				made = append(made, svc.Ref.String())
			}
			if svc.Name == g.deployedName() {
				for _, p := range svc.Ports {
					ports = append(ports, strconv.Itoa(p.Number))
				}
			}
		}
		if len(made) == 0 {
			continue
		}
		steps = append(steps, NewStep(RuleKubeGatewayDeployed, Applied, g.ref, strings.Join(made, " and "), g.class.Name, strings.Join(ports, ", ")))
		if infra := g.object.Spec.Infrastructure; infra != nil && infra.ParametersRef != nil {
			at := g.ref.At("spec.infrastructure.parametersRef")
			steps = append(steps, NewStep(RuleKubeGatewayParameters, Warned, at, string(infra.ParametersRef.Kind), infra.ParametersRef.Name))
		}
	}
	return steps
}

// notServed tells why no proxy serves the Gateway; nothing if one does.
func (s *Snapshot) notServed(g *kubeGateway) []Step {
	if len(g.services) == 0 {
		return g.steps
	}
	if slices.ContainsFunc(s.gatewayWorkloads(), func(w *Workload) bool { return s.servesGateway(w, g) }) {
		return nil
	}
	steps := slices.Clone(g.steps)
	at := g.ref.At("spec.gatewayClassName")
	if !g.managed {
		at = g.ref.At("spec.addresses")
	}
	if object, other := s.ofOtherController(g.class.Name); other && g.managed {
		steps = append(steps, otherClass(object), NewStep(RuleKubeGatewayNotDeployed, Skipped, at, g.class.Name, string(object.Spec.ControllerName)))
	}
	for _, host := range g.services {
		services := slices.DeleteFunc(s.ServicesForHost(host), func(svc *Service) bool { return svc.Namespace != g.ref.Namespace })
		if len(services) == 0 {
			steps = append(steps, NewStep(RuleKubeGatewayNoService, Skipped, at, host, g.ref.Namespace))
			continue
		}
		steps = append(steps, NewStep(RuleKubeGatewayServiceApart, Skipped, services[0].Ref), NewStep(RuleKubeGatewayNoProxy, Skipped, at, host))
	}
	return steps
}

// KubeListenersWithoutTraffic tells of the listeners that would be on the workload's pod port for the host, and take no
// traffic; an empty host is taken by every listener.
func (s *Snapshot) KubeListenersWithoutTraffic(w *Workload, podPort int, host string) []Step {
	targets := s.gatewayTargets(w)
	var steps []Step
	for _, g := range s.gatewaysServedBy(w) {
		for _, l := range g.listeners {
			there := slices.ContainsFunc(targets, func(t ServiceTarget) bool { return t.Port.Number == int(l.spec.Port) && t.TargetPort == podPort })
			if there && (host == "" || HostSubsetOf(host, strings.ToLower(cmp.Or(string(ptr.Deref(l.spec.Hostname, "")), "*")))) {
				steps = append(steps, l.steps...)
			}
		}
	}
	return steps
}

// takes reports whether a listener of the Gateway is for the host; an empty host is for every one.
func (g *kubeGateway) takes(host string) bool {
	return slices.ContainsFunc(g.object.Spec.Listeners, func(l k8sgateway.Listener) bool {
		own := strings.ToLower(cmp.Or(string(ptr.Deref(l.Hostname, "")), "*"))
		return host == "" || HostSubsetOf(host, own)
	})
}

// gatewaysNotServed tells of the Gateways that are for the host and that no proxy serves; of the one that
// --gateway names, if it does.
func (s *Snapshot) gatewaysNotServed(q GatewayQuestion) []Step {
	var steps []Step
	for _, g := range s.index.kube().ordered {
		named := q.Gateway == g.ref.Name || q.Gateway == g.ref.QualifiedName()
		if named || q.Gateway == "" && g.takes(q.Host) {
			steps = append(steps, s.notServed(g)...)
		}
	}
	return steps
}
