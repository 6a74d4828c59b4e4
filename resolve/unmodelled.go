package resolve

import (
	"slices"
	"strings"

	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Rules for resources that stand on the way and that this release does not evaluate.
const (
	RuleUnmodelledRoute   RuleID = "unmodelled/gateway-api-route"
	RuleUnmodelledIngress RuleID = "unmodelled/ingress"
	RuleAmbientClient     RuleID = "unmodelled/ambient-client"
	RuleAmbientServer     RuleID = "unmodelled/ambient-server"
)

var unmodelledRules = []Rule{
	{
		ID: RuleUnmodelledRoute, Stage: StageHost,
		Says:     "Gateway API routes are not evaluated by this release; one that could take the request makes the outcome undetermined.",
		Template: "this %s could take the request for %s, and Gateway API routes are not evaluated by this release",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleUnmodelledIngress, Stage: StageHost,
		Says:     "Ingress resources are not evaluated by this release; one that could take the request makes the outcome undetermined.",
		Template: "this Ingress could take the request for %s, and Ingress is not evaluated by this release",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleAmbientClient, Stage: StageCapture,
		Says:     "The ambient data plane is not evaluated by this release; an ambient client is walked as if it had no proxy.",
		Template: "%s is in ambient mode, which this release does not evaluate: walked as if it had no proxy",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleAmbientServer, Stage: StageCapture,
		Says:     "The ambient data plane is not evaluated by this release; an ambient server is walked as if it had no proxy.",
		Template: "%s is in ambient mode, which this release does not evaluate: walked as if it had no proxy",
		Source:   "assumption of the tool",
	},
}

// UnmodelledMeshRoutes warns of Gateway API routes that have the service as a parent.
func (s *Snapshot) UnmodelledMeshRoutes(svc *Service) []Step {
	if svc == nil {
		return nil
	}
	var steps []Step
	for _, r := range s.kubeRoutes() {
		for _, parent := range r.parents {
			if parent.Kind != nil && (*parent.Kind == "Service" || *parent.Kind == "ServiceEntry") &&
				string(parent.Name) == svc.Name && parentNamespace(parent, r.ref.Namespace) == svc.Namespace {
				steps = append(steps, NewStep(RuleUnmodelledRoute, Warned, r.ref.At("spec.parentRefs"), r.ref.Kind, svc.Hostname))
				break
			}
		}
	}
	return steps
}

// UnmodelledGatewayRoutes warns of Gateway API routes and Ingresses on gateways whose hosts overlap the request's.
func (s *Snapshot) UnmodelledGatewayRoutes(host string) []Step {
	var steps []Step
	for _, r := range s.kubeRoutes() {
		onGateway := slices.ContainsFunc(r.parents, func(p k8sgateway.ParentReference) bool {
			return p.Kind == nil || *p.Kind == "Gateway" || *p.Kind == "ListenerSet"
		})
		if onGateway && takesHost(r.hosts, host) {
			steps = append(steps, NewStep(RuleUnmodelledRoute, Warned, r.ref, r.ref.Kind, host))
		}
	}
	for _, ing := range s.Ingresses {
		var hosts []string
		for _, rule := range ing.Spec.Rules {
			if rule.Host == "" {
				hosts = append(hosts, "*")
			}
			hosts = append(hosts, rule.Host)
		}
		if len(hosts) > 0 && takesHost(hosts, host) {
			steps = append(steps, NewStep(RuleUnmodelledIngress, Warned, refOf("networking.k8s.io", "Ingress", ing), host))
		}
	}
	return steps
}

type kubeRoute struct {
	ref     Ref
	parents []k8sgateway.ParentReference
	hosts   []string
}

func (s *Snapshot) kubeRoutes() []kubeRoute {
	out := make([]kubeRoute, 0, len(s.HTTPRoutes)+len(s.GRPCRoutes)+len(s.TLSRoutes)+len(s.TCPRoutes))
	for _, r := range s.HTTPRoutes {
		out = append(out, kubeRoute{refOf(k8sgateway.GroupName, "HTTPRoute", r), r.Spec.ParentRefs, hostnames(r.Spec.Hostnames)})
	}
	for _, r := range s.GRPCRoutes {
		out = append(out, kubeRoute{refOf(k8sgateway.GroupName, "GRPCRoute", r), r.Spec.ParentRefs, hostnames(r.Spec.Hostnames)})
	}
	for _, r := range s.TLSRoutes {
		out = append(out, kubeRoute{refOf(k8sgateway.GroupName, "TLSRoute", r), r.Spec.ParentRefs, hostnames(r.Spec.Hostnames)})
	}
	for _, r := range s.TCPRoutes {
		out = append(out, kubeRoute{ref: refOf(k8sgateway.GroupName, "TCPRoute", r), parents: r.Spec.ParentRefs})
	}
	return out
}

func hostnames(list []k8sgateway.Hostname) []string {
	var out []string
	for _, h := range list {
		out = append(out, strings.ToLower(string(h)))
	}
	return out
}

// takesHost reports whether one of the hosts covers the name; no hosts take every name.
func takesHost(hosts []string, name string) bool {
	return len(hosts) == 0 || slices.ContainsFunc(hosts, func(h string) bool { return HostMatches(h, name) })
}

func parentNamespace(p k8sgateway.ParentReference, own string) string {
	if p.Namespace != nil {
		return string(*p.Namespace)
	}
	return own
}
