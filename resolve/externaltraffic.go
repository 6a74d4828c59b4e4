package resolve

import corev1 "k8s.io/api/core/v1"

// How a client outside the cluster reaches a Service, and which address is then seen as the client's.
//
//  1. A port of a Service of type NodePort or LoadBalancer has a node port, too: the same port of the Service, on every
//     node; with externalTrafficPolicy Local only on the nodes that run one of its pods.
//  2. With externalTrafficPolicy Cluster, the default, the node that a connection comes in by passes it on to a pod of any
//     node, and puts an address of its own in place of the client's.
//  3. With Local it keeps the client's address.
//
// A load balancer that sends to the pods themselves keeps the address, too, or tells it by the PROXY protocol or
// X-Forwarded-For; which one there is no resource says. So with Cluster the address that a gateway sees is not known.
//
// Source: Kubernetes, Service, externalTrafficPolicy; virtual IPs and service proxies.

// Rules of the way into the cluster.
const (
	RuleGatewayEntryNodePort RuleID = "gatewayentry/node-port"
	RuleSourceReplaced       RuleID = "gatewayentry/source-replaced"
	RuleSourceKept           RuleID = "gatewayentry/source-kept"
)

const externalTrafficSource = "Kubernetes, Service, externalTrafficPolicy"

var externalTrafficRules = []Rule{
	{
		ID: RuleGatewayEntryNodePort, Stage: StageGateway,
		Says:     "A node port of a Service leads to its port: on every node, or with externalTrafficPolicy Local on those that run one of its pods.",
		Template: "port %d of %s is port %d of the Service, which leads to pod port %d of %s",
		Source:   externalTrafficSource,
	},
	{
		ID: RuleSourceReplaced, Stage: StageGateway,
		Says:     "With externalTrafficPolicy Cluster a node puts its own address in place of the client's, unless the load balancer sends to the pods themselves.",
		Template: "externalTrafficPolicy %s: the gateway sees the address of a node in place of %s, unless the load balancer sends to the pods themselves; which of them is not known",
		Source:   externalTrafficSource,
	},
	{
		ID: RuleSourceKept, Stage: StageGateway, Detail: true,
		Says:     "With externalTrafficPolicy Local the client's address stays.",
		Template: "externalTrafficPolicy %s: the gateway sees the client's address %s",
		Source:   externalTrafficSource,
	},
}

// externalPolicy is how a Service is reached from outside; empty for one that is not.
func externalPolicy(svc *corev1.Service) corev1.ServiceExternalTrafficPolicy {
	switch {
	case svc.Spec.Type != corev1.ServiceTypeNodePort && svc.Spec.Type != corev1.ServiceTypeLoadBalancer:
		return ""
	case svc.Spec.ExternalTrafficPolicy == "":
		return corev1.ServiceExternalTrafficPolicyCluster
	}
	return svc.Spec.ExternalTrafficPolicy
}

// byPort is the step by which a client's port leads to the pod port; false where it is neither the port nor its node port.
func (s *Service) byPort(p Port, client, podPort int, gateway string) (Step, bool) {
	ref := s.Ref.Object().At(p.Field)
	switch {
	case p.Number == client:
		return NewStep(RuleGatewayEntryPort, Matched, ref, client, podPort, gateway), true
	case p.NodePort != client || client == 0:
		return Step{}, false
	}
	nodes := "every node"
	if s.External == corev1.ServiceExternalTrafficPolicyLocal {
		nodes = "the nodes that run one of its pods"
	}
	return NewStep(RuleGatewayEntryNodePort, Matched, ref.At(p.Field+".nodePort"), client, nodes, p.Number, podPort, gateway), true
}

// SeesSource reports whether the gateway of the entry sees the client's address, and the step that says why; ok is false where nothing says.
func (e *GatewayEntry) SeesSource(client string) (sees bool, step Step, ok bool) {
	if e.external == "" {
		return true, Step{}, false
	}
	ref := e.Service.At("spec.externalTrafficPolicy")
	if e.external == corev1.ServiceExternalTrafficPolicyLocal {
		return true, NewStep(RuleSourceKept, Applied, ref, e.external, client), true
	}
	return false, NewStep(RuleSourceReplaced, Applied, ref, e.external, client), true
}
