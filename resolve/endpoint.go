package resolve

import "fmt"

// Rules of finding the endpoints of a service port.
const (
	RuleEndpoints              RuleID = "endpoint/found"
	RuleEndpointsNone          RuleID = "endpoint/none"
	RuleEndpointAssumed        RuleID = "endpoint/assumed-from-pods"
	RuleEndpointSlicesMissing  RuleID = "endpoint/no-endpointslice"
	RuleEndpointPodsUnreadable RuleID = "endpoint/pods-unreadable"
	RuleEndpointPodMissing     RuleID = "endpoint/pod-missing"
	RuleEndpointTerminating    RuleID = "endpoint/terminating"
	RuleEndpointNotReady       RuleID = "endpoint/not-ready"
	RuleEndpointNoNamedPort    RuleID = "endpoint/no-named-port"
	RuleEndpointSlicePort      RuleID = "endpoint/slice-port"
	RuleEndpointScaledToZero   RuleID = "endpoint/scaled-to-zero"
	RuleEndpointFQDNSlice      RuleID = "endpoint/fqdn-slice"
	RuleEndpointHealthCheck    RuleID = "endpoint/workloadentry-health"
	RuleEndpointNotIP          RuleID = "endpoint/not-an-ip"
	RuleEndpointNoAddress      RuleID = "endpoint/without-address"
	RuleEndpointDNSHost        RuleID = "endpoint/dns-host"
	RuleEndpointRoundRobin     RuleID = "endpoint/dns-round-robin"
	RuleEndpointPooled         RuleID = "endpoint/pooled"
	RuleEndpointInline         RuleID = "endpoint/inline-workload"
	RuleEndpointAddressOf      RuleID = "endpoint/address-of-workload"
	RuleEndpointDialled        RuleID = "endpoint/as-dialled"
	RuleEndpointDynamicDNS     RuleID = "endpoint/dynamic-dns"
	RuleEndpointDialledPort    RuleID = "endpoint/port-as-dialled"
	RuleEndpointOtherNode      RuleID = "endpoint/other-node"
	RuleEndpointNodeUnknown    RuleID = "endpoint/node-unknown"
	RuleEndpointBehind         RuleID = "endpoint/behind"
)

var endpointRules = append(append([]Rule{
	{
		ID: RuleEndpoints, Stage: StageLoadBalance, Detail: true,
		Says:     "The endpoints of a service port are the addresses that its EndpointSlices, selected pods, WorkloadEntries and ServiceEntry endpoints give, matched by port name.",
		Template: "%d behind %s port %d",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, BuildClusterLoadAssignment",
	},
	{
		ID: RuleEndpointsNone, Stage: StageLoadBalance,
		Says:     "A service port without endpoints answers 503 with flag UH.",
		Template: "no endpoint behind %s port %d: %s",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, BuildClusterLoadAssignment",
	},
	{
		ID: RuleEndpointBehind, Stage: StageLoadBalance, Detail: true,
		Says:     "Where none of the endpoints of a service can be used, or the gateway of a network stands for them, each workload among them is named.",
		Template: "%s is behind %s",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, BuildClusterLoadAssignment",
	},
	{
		ID: RuleEndpointAssumed, Stage: StageLoadBalance, Detail: true,
		Says:     "In manifests a Service with a selector and no EndpointSlice has the matching pods behind it; a template stands for its replicas, all ready.",
		Template: "no EndpointSlice among the manifests: the pods that selector %s matches are taken",
		Source:   "Kubernetes, EndpointSlice controller",
	},
	{
		ID: RuleEndpointSlicesMissing, Stage: StageLoadBalance,
		Says:     "On a cluster, a Service with a selector has EndpointSlices; if none could be read the matching pods are taken instead.",
		Template: "no EndpointSlice of %s was read%s: the pods that selector %s matches are taken instead",
		Source:   "Kubernetes, EndpointSlice controller",
	},
	{
		ID: RuleEndpointPodsUnreadable, Stage: StageLoadBalance,
		Says:     "Where pods could not be read, the endpoints of EndpointSlices have no labels and no workload.",
		Template: "pod %s could not be read (%s): its labels and its proxy are not known",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleEndpointPodMissing, Stage: StageLoadBalance,
		Says:     "An endpoint whose targetRef names a pod that istiod does not know is left out.",
		Template: "%s refers to pod %s, which does not exist: left out",
		Source:   "pilot/pkg/serviceregistry/kube/controller/endpointslice.go, updateEndpointCacheForSlice",
	},
	{
		ID: RuleEndpointTerminating, Stage: StageLoadBalance,
		Says:     "An endpoint that is not ready and terminating (or does not say) is not sent to Envoy.",
		Template: "%s is terminating: not sent to Envoy",
		Source:   "pilot/pkg/serviceregistry/kube/controller/endpointslice.go, endpointHealthStatus",
	},
	{
		ID: RuleEndpointNotReady, Stage: StageLoadBalance,
		Says:     "An endpoint that is not ready is sent to Envoy as unhealthy and gets no traffic, since Istio sets the panic threshold to 0.",
		Template: "%s is not ready: gets no traffic",
		Source:   "pilot/pkg/serviceregistry/kube/controller/endpointslice.go, endpointHealthStatus; networking/core/cluster_traffic_policy.go, applyLoadBalancer",
	},
	{
		ID: RuleEndpointNoNamedPort, Stage: StageLoadBalance,
		Says:     "A pod or WorkloadEntry that does not declare the Service's named targetPort is no endpoint of that port.",
		Template: "%s declares no port named %s: no endpoint",
		Source:   "pilot/pkg/serviceregistry/kube/controller/util.go, FindPort",
	},
	{
		ID: RuleEndpointSlicePort, Stage: StageLoadBalance,
		Says:     "Ports of EndpointSlices are matched with the Service's by name, not by number.",
		Template: "%s has no port named %q, which Service port %d needs",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, BuildClusterLoadAssignment",
	},
	{
		ID: RuleEndpointScaledToZero, Stage: StageLoadBalance,
		Says:     "A workload with 0 replicas has no endpoint.",
		Template: "%s has 0 replicas (labels %s)",
		Source:   "Kubernetes",
	},
	{
		ID: RuleEndpointFQDNSlice, Stage: StageLoadBalance,
		Says:     "EndpointSlices of addressType FQDN are ignored.",
		Template: "addressType FQDN is ignored by Istio",
		Source:   "pilot/pkg/serviceregistry/kube/controller/endpointslice.go, updateEndpointCacheForSlice",
	},
	{
		ID: RuleEndpointHealthCheck, Stage: StageLoadBalance,
		Says:     "A WorkloadEntry with health checks switched on counts only once its condition Healthy is true.",
		Template: "%s has health checks and no condition Healthy=True: left out",
		Source:   "pilot/pkg/serviceregistry/serviceentry/controller.go, isHealthy",
	},
	{
		ID: RuleEndpointNotIP, Stage: StageLoadBalance,
		Says:     "An address that is not an IP is left out unless the service resolves by DNS.",
		Template: "address %s is not an IP, and %s does not resolve by DNS: left out",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, BuildClusterLoadAssignment; serviceregistry/serviceentry/conversion.go, services",
	},
	{
		ID: RuleEndpointNoAddress, Stage: StageLoadBalance,
		Says:     "A WorkloadEntry, or an endpoint written in a ServiceEntry, that has a network and no address is reached by the gateways of that network. Without one Envoy gets an endpoint without address, and refuses it with all the others.",
		Template: "has no address: taken to be reached by a gateway of network %q; without one Envoy refuses all the endpoints of %s",
		Source:   "pilot/pkg/xds/endpoints/ep_filters.go, EndpointsByNetworkFilter; Envoy, core.v3.SocketAddress",
	},
	{
		ID: RuleEndpointDNSHost, Stage: StageLoadBalance,
		Says:     "A ServiceEntry that resolves by DNS and has neither endpoints nor a workloadSelector has its host as the one endpoint, without mTLS.",
		Template: "no endpoints: Envoy resolves %s itself",
		Source:   "pilot/pkg/serviceregistry/serviceentry/conversion.go, convertServiceEntryToInstances",
	},
	{
		ID: RuleEndpointRoundRobin, Stage: StageLoadBalance,
		Says:     "An endpoint of a ServiceEntry of resolution DNS_ROUND_ROBIN counts only where no other of the host has the port before it.",
		Template: "resolution DNS_ROUND_ROBIN takes one endpoint; %s is left out",
		Source:   "pilot/pkg/serviceregistry/serviceentry/conversion.go, mergeServicesInstancesByNamespaceHost",
	},
	{
		ID: RuleEndpointPooled, Stage: StageLoadBalance,
		Says:     "Endpoints of all objects with the same host in the same namespace are pooled by port name.",
		Template: "has the same host and namespace as %s: its endpoints of port %s join",
		Source:   "pilot/pkg/model/endpointshards.go; serviceregistry/serviceentry/conversion.go, mergeServicesInstancesByNamespaceHost",
	},
	{
		ID: RuleEndpointInline, Stage: StageLoadBalance, Detail: true,
		Says:     "An endpoint written in a ServiceEntry speaks Istio mTLS if its label security.istio.io/tlsMode says so, else if it names a serviceAccount.",
		Template: "tlsMode %s, from %s",
		Source:   "pilot/pkg/serviceregistry/serviceentry/conversion.go, getTLSModeFromWorkloadEntry",
	},
	{
		ID: RuleEndpointAddressOf, Stage: StageLoadBalance, Detail: true,
		Says:     "An endpoint written in a ServiceEntry with the address of a workload leads to that workload and its proxy, which has an inbound filter chain for it if the namespace is the same.",
		Template: "%s is the address of %s",
		Source:   "pilot/pkg/serviceregistry/serviceentry/controller.go, GetProxyServiceTargets",
	},
	{
		ID: RuleEndpointDialled, Stage: StageLoadBalance,
		Says:     "With resolution NONE a sidecar sends the connection to the address that the application dialled.",
		Template: "resolution NONE: goes to the address the application dialled, port %d",
		Source:   "pilot/pkg/networking/core/cluster.go, convertResolution; cluster_builder.go, buildCluster",
	},
	{
		ID: RuleEndpointDynamicDNS, Stage: StageLoadBalance,
		Says:     "With resolution DYNAMIC_DNS the proxy resolves the Host header itself (of TLS that it does not open, the server name), whatever was dialled.",
		Template: "resolution DYNAMIC_DNS: the proxy resolves %s itself and goes to port %d",
		Source:   "pilot/pkg/networking/core/cluster_builder.go, buildDFPCluster; networkfilter.go, buildSNIDFPFilter",
	},
	{
		ID: RuleEndpointDialledPort, Stage: StageLoadBalance,
		Says:     "A sidecar sends connections for a headless Service to the pod IP and port that the application dialled; targetPort is not applied.",
		Template: "headless Service: the connection goes to port %d as dialled, targetPort %s is not applied",
		Source:   "pilot/pkg/networking/core/cluster.go, convertResolution",
	},
	{
		ID: RuleEndpointOtherNode, Stage: StageLoadBalance,
		Says:     "With internalTrafficPolicy Local only endpoints on the client's node count.",
		Template: "internalTrafficPolicy Local: %s is on %s, the client on %s",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, filterIstioEndpoint",
	},
	{
		ID: RuleEndpointNodeUnknown, Stage: StageLoadBalance,
		Says:     "internalTrafficPolicy Local can not be followed where nodes are not known; all endpoints are then taken.",
		Template: "internalTrafficPolicy Local of %s: the node of %s is not known, taken as the same",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, filterIstioEndpoint",
	},
}, append(subsetRules, endpointNameRules...)...), append(localityRules, duplicateRules...)...)

// endpointTLSIstio is the value of label security.istio.io/tlsMode that makes an
// endpoint one that understands Istio mTLS; endpointTLSDisabled stands for any endpoint without the label.
const (
	endpointTLSLabel    = "security.istio.io/tlsMode"
	endpointTLSIstio    = "istio"
	endpointTLSDisabled = "disabled"
)

// Endpoints are the addresses behind a service port as the client's proxy
// sends to them, unhealthy ones included. They are shared between traces: do
// not change them.
//
//  1. What istiod knows for the host, namespace and port: see instances; of a host that is local to its cluster those of the
//     client's.
//  2. A sidecar keeps the dialled address and port where the service's resolution
//     is Passthrough: the ServiceEntry's own host for resolution NONE, the pod with the
//     service port for a headless Service.
//  3. internalTrafficPolicy Local keeps those on the client's node.
//  4. A cluster that resolves DNS has those whose names resolve: see resolved.
//
// Source: pilot/pkg/xds/endpoints/endpoint_builder.go, BuildClusterLoadAssignment, filterIstioEndpoint.
func (s *Snapshot) Endpoints(client *Workload, svc *Service, port Port) ([]*Endpoint, []Step) {
	if svc == nil {
		return nil, nil
	}
	if client == nil {
		client = &Workload{Anonymous: true}
	}
	// 1. The instances.
	eps, steps := s.instances(svc, port)
	steps = steps[:len(steps):len(steps)]
	eps, whose := s.ofClusters(svc, eps)
	steps = append(steps, whose...)

	// 2. As dialled.
	if svc.Resolution == Passthrough && s.clusterType(client, svc) == ClusterOriginalDst {
		var more []Step
		eps, more = dialled(svc, port, eps)
		steps = append(steps, more...)
	}

	// 3. Node-local.
	if svc.InternalTrafficLocal {
		var more []Step
		eps, more = onNode(client, svc, eps)
		steps = append(steps, more...)
	}

	// 4. By name.
	if t := s.clusterType(client, svc); t == ClusterStrictDNS || t == ClusterLogicalDNS {
		var more []Step
		eps, more = s.resolved(client, eps)
		steps = append(steps, more...)
	}
	return s.counted(svc, port, eps, steps)
}

// Behind names the workloads of endpoints of which none can be used.
func Behind(svc *Service, eps []*Endpoint) []Step {
	var steps []Step
	for _, e := range eps {
		if e.Workload != nil {
			steps = append(steps, NewStep(RuleEndpointBehind, Applied, workloadRef(e.Workload), e.name(), svc.Hostname))
		}
	}
	return steps
}

// podCount is the number of pods or addresses the endpoints stand for.
func podCount(eps []*Endpoint) int {
	n := 0
	for _, e := range eps {
		n += e.Count
	}
	return n
}

// whyNone names the cause where no step about a single endpoint did.
func (s *Snapshot) whyNone(svc *Service, steps []Step) string {
	var left []Step
	for _, step := range steps {
		if step.Verdict == Skipped {
			left = append(left, step)
		}
	}
	switch {
	case len(left) == 1:
		return left[0].Reason()
	case len(left) > 1:
		return fmt.Sprintf("%s (and %d more left out)", left[0].Reason(), len(left)-1)
	}
	switch {
	case len(svc.Selector) == 0 && svc.Registry == RegistryKubernetes:
		return "it has no selector and no EndpointSlice"
	case len(svc.Selector) == 0:
		return "it lists none"
	}
	best, bestN := "no workload in namespace "+svc.Namespace+" matches", 0
	for _, w := range s.WorkloadsIn(svc.Namespace) {
		n := 0
		for k, v := range svc.Selector {
			if w.Labels[k] == v {
				n++
			}
		}
		if n > bestN {
			want, got := labelMiss(svc.Selector, w.Labels)
			best, bestN = fmt.Sprintf("the nearest is %s, which has %s, not %s", w.Owner, got, want), n
		}
	}
	return "selector " + labelsText(svc.Selector) + ": " + best
}

// dialled is step 2 of Endpoints.
func dialled(svc *Service, port Port, eps []*Endpoint) ([]*Endpoint, []Step) {
	if svc.Registry != RegistryKubernetes {
		number := port.Number
		if port.TargetPort > 0 {
			number = port.TargetPort
		}
		address := svc.Hostname
		if IsWildcardHost(address) {
			address = ""
		}
		return []*Endpoint{{Address: address, Port: number, Health: Healthy, TLSMode: endpointTLSDisabled, Weight: 1, Count: 1, Ref: svc.Ref}},
			[]Step{NewStep(RuleEndpointDialled, Applied, svc.Ref, number)}
	}
	var steps []Step
	out := make([]*Endpoint, len(eps))
	for i, e := range eps {
		out[i] = e
		if e.Port == port.Number {
			continue
		}
		if steps == nil {
			target := port.TargetName
			if target == "" {
				target = fmt.Sprint(e.Port)
			}
			steps = append(steps, NewStep(RuleEndpointDialledPort, Warned, svc.Ref.At(port.Field), port.Number, target))
		}
		moved := *e
		moved.Port = port.Number
		out[i] = &moved
	}
	return out, steps
}

// onNode is step 3 of Endpoints.
func onNode(client *Workload, svc *Service, eps []*Endpoint) ([]*Endpoint, []Step) {
	ref := svc.Ref.At("spec.internalTrafficPolicy")
	if client.NodeName == "" {
		if len(eps) == 0 {
			return eps, nil
		}
		return eps, []Step{NewStep(RuleEndpointNodeUnknown, Warned, ref, svc.Hostname, "the client")}
	}
	var out []*Endpoint
	var steps []Step
	for _, e := range eps {
		pod := e.Workload != nil && e.Workload.Owner.Group != istioNetworking
		switch {
		case pod && e.Workload.NodeName == "":
			steps = append(steps, NewStep(RuleEndpointNodeUnknown, Warned, ref, svc.Hostname, e.name()))
			out = append(out, e)
		case pod && e.Workload.NodeName == client.NodeName:
			out = append(out, e)
		default:
			node := "no node"
			if pod {
				node = e.Workload.NodeName
			}
			steps = append(steps, NewStep(RuleEndpointOtherNode, Skipped, ref, e.name(), node, client.NodeName).Unlike(client.NodeName, node))
		}
	}
	return out, steps
}

// name is how a person calls the endpoint: the pod, the workload, or the address.
func (e *Endpoint) name() string {
	switch {
	case e.Workload != nil && e.Workload.Pod != "":
		return "pod " + e.Workload.Pod
	case e.Workload != nil && e.Workload.Owner.Field == "":
		return e.Workload.Owner.String()
	case e.Address != "":
		return e.Address
	}
	return e.Ref.String()
}
