package resolve

import (
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// Rules of outbound clusters.
const (
	RuleClusterAlias         RuleID = "cluster/alias"
	RuleClusterProtocol      RuleID = "cluster/protocol"
	RuleClusterDNSNoEndpoint RuleID = "cluster/dns-no-endpoint"
	RuleClusterRejected      RuleID = "cluster/logical-dns-rejected"
	RuleClusterPassthrough   RuleID = "cluster/load-balancer-passthrough"
	RuleClusterNoSubsets     RuleID = "cluster/dynamic-dns-no-subsets"
	RuleSubset               RuleID = "subset/defined"
	RuleSubsetUndefined      RuleID = "subset/undefined"
)

var clusterRules = append([]Rule{
	{
		ID: RuleClusterAlias, Stage: StageDestinationRule,
		Says:     "A Service of type ExternalName has no cluster of its own.",
		Template: "Service %s is an ExternalName for %s: Envoy has no cluster for it",
		Source:   "pilot/pkg/networking/core/cluster.go, buildOutboundClusters",
	},
	{
		ID: RuleClusterProtocol, Stage: StageDestinationRule,
		Says:     "No cluster is made for UDP ports, nor, with resolution DYNAMIC_DNS, for ports other than HTTP, HTTP2, GRPC and TLS.",
		Template: "port %d of %s is %s: Envoy has no cluster for it",
		Source:   "pilot/pkg/networking/core/cluster.go, buildOutboundClusters",
	},
	{
		ID: RuleClusterDNSNoEndpoint, Stage: StageDestinationRule,
		Says:     "A cluster that resolves DNS is not sent to Envoy when it has no endpoint (after subset labels, and of the networks that the proxy asks for).",
		Template: "%s resolves by DNS and has no endpoint%s: Envoy has no cluster %s",
		Source:   "pilot/pkg/networking/core/cluster_builder.go, buildCluster",
	},
	{
		ID: RuleClusterRejected, Stage: StageDestinationRule,
		Says:     "A cluster of type LOGICAL_DNS has exactly one endpoint; one that has more Envoy rejects, and keeps the cluster as it was before, if it had one.",
		Template: "%s has %d endpoints, and %s takes but one: Envoy rejects cluster %s",
		Source:   "pilot/pkg/networking/core/cluster.go, convertResolution; Envoy, source/extensions/clusters/logical_dns/logical_dns_cluster.cc",
	},
	{
		ID: RuleClusterPassthrough, Stage: StageDestinationRule,
		Says:     "loadBalancer.simple PASSTHROUGH makes the cluster ORIGINAL_DST: the connection goes to the address that the application dialled, and subset labels are not looked at.",
		Template: "loadBalancer.simple PASSTHROUGH: %s goes to the address the application dialled",
		Source:   "pilot/pkg/networking/core/cluster_traffic_policy.go, applyLoadBalancer",
	},
	{
		ID: RuleClusterNoSubsets, Stage: StageDestinationRule,
		Says:     "A ServiceEntry with resolution DYNAMIC_DNS has no subset clusters.",
		Template: "%s resolves by DYNAMIC_DNS, which has no subsets: Envoy has no cluster %s",
		Source:   "pilot/pkg/networking/core/cluster_builder.go, applyDestinationRule",
	},
	{
		ID: RuleSubset, Stage: StageDestinationRule, Detail: true,
		Says:     "A subset is looked up by name in the DestinationRule that applies to the client.",
		Template: "subset %s is %s",
		Source:   "pilot/pkg/networking/core/cluster_builder.go, buildSubsetCluster",
	},
	{
		ID: RuleSubsetUndefined, Stage: StageDestinationRule,
		Says:     "A subset that the DestinationRule applying to the client does not define has no cluster: 503 with flag NC.",
		Template: "no subset %s for this client: %s; Envoy has no cluster %s",
		Source:   "pilot/pkg/networking/core/cluster_builder.go, applyDestinationRule",
	},
}, trafficPolicyRules...)

// ClusterType is how Envoy finds the endpoints of a cluster.
type ClusterType string

// The cluster types istiod generates.
const (
	ClusterEDS         ClusterType = "EDS"
	ClusterStrictDNS   ClusterType = "STRICT_DNS"
	ClusterLogicalDNS  ClusterType = "LOGICAL_DNS"
	ClusterOriginalDst ClusterType = "ORIGINAL_DST"
	ClusterDynamicDNS  ClusterType = "DYNAMIC_FORWARD_PROXY"
)

// Cluster is an outbound Envoy cluster as one proxy has it.
type Cluster struct {
	// Name is outbound|PORT|SUBSET|HOST, or at a waypoint what waypointcluster.go says.
	Name string
	// Own is set at a waypoint for the services that are bound to it.
	Own     bool
	Type    ClusterType
	Service *Service
	Port    Port
	Subset  string
	// SubsetLabels select endpoints; empty means all of them.
	SubsetLabels map[string]string
	// SubsetRef is where the subset was written; zero without one.
	SubsetRef Ref
	// Rule is the DestinationRule that applies to the client; zero if none does.
	Rule Ref
	// Policy is the effective policy for the port and subset; nil if there is none.
	Policy *networking.TrafficPolicy
	// TLSRef is the field that set Policy.Tls; zero if it is not set.
	TLSRef Ref
	// EndpointTLS is the tls mode that the endpoint code reads, which differs
	// from Policy.Tls when portLevelSettings leave tls out
	// (pilot/pkg/xds/endpoints/mtls_checker.go, trafficPolicyTLSModeForPort); nil if unset.
	EndpointTLS *networking.ClientTLSSettings
	// EndpointTLSRef is the field that set EndpointTLS; zero if it is not set.
	EndpointTLSRef Ref
	// SimplePassthrough is loadBalancer.simple PASSTHROUGH.
	SimplePassthrough bool
	// InferPassthrough is the PASSTHROUGH that counts when istiod infers whether
	// the service can do mTLS: trafficPolicy.loadBalancer without port level, and
	// for a subset only the subset's own (BestEffortInferServiceMTLSMode).
	InferPassthrough bool
	// HasWorkloadSelector is set where the DestinationRule has a workloadSelector.
	HasWorkloadSelector bool
	// MeshOutlierDetection is set where Policy.OutlierDetection is
	// meshConfig.defaultTrafficPolicy's, which does not switch locality failover
	// on for EDS clusters.
	MeshOutlierDetection bool

	// poolAt, outlierAt and budgetAt are the policies that connectionPool, outlierDetection and retryBudget of
	// Policy stand in; zero where they are not set.
	poolAt, outlierAt, budgetAt Ref
	// portLevel is set where the DestinationRule's policy is that of a port, which has no retryBudget.
	portLevel bool
}

// Health is whether an endpoint gets traffic.
type Health string

// Endpoint health. Draining endpoints are not sent to Envoy at all.
const (
	Healthy   Health = "healthy"
	Unhealthy Health = "unhealthy"
)

// Endpoint is one address behind a service port, or, where pods are assumed
// from a template, Count of them.
type Endpoint struct {
	// Address is an IP, a DNS name, or empty where a template's pods have no address yet.
	Address string
	Port    int
	Health  Health
	// Labels are the endpoint's: the pod's or the WorkloadEntry's.
	Labels map[string]string
	// TLSMode is "istio" or "disabled" (label security.istio.io/tlsMode).
	TLSMode string
	// Workload is who answers there; nil outside the mesh.
	Workload *Workload
	// Described is what a ServiceEntry says of the endpoint where another one answers; nil otherwise.
	Described *Workload
	Locality  Locality
	Network   string
	// Cluster is the one that the endpoint is in; empty for the one at hand.
	Cluster string
	// Gateway is set where the endpoint is a gateway of another network, in place of Behind endpoints there.
	Gateway *NetworkGateway
	Behind  int
	// Weight is the endpoint's share among its equals (WorkloadEntry weight; 1 otherwise).
	Weight int
	// Count is the number of pods the endpoint stands for.
	Count int
	// Ref is the resource that brought the endpoint: the EndpointSlice, Pod, workload template, ServiceEntry or WorkloadEntry.
	Ref Ref
}

// ClientTLS is what the client's proxy puts on the connection to one endpoint.
type ClientTLS struct {
	Mode ClientTLSMode
	// HBONE is set where the connection goes inside HBONE; Mode is then what is within.
	HBONE bool
	// SNI is the server name sent; empty for plaintext, and where Envoy takes the
	// name from the request's Host (auto_sni).
	SNI  string
	Step Step
	// cluster is the one whose TLS it is; nil for plaintext.
	cluster *Cluster
}

// ClientTLSMode is the closed list of what a client's proxy sends.
type ClientTLSMode string

// The modes.
const (
	// ClientPlaintext sends the bytes as they are.
	ClientPlaintext ClientTLSMode = "plaintext"
	// ClientMTLS is Istio mutual TLS with the workload's identity.
	ClientMTLS ClientTLSMode = "mTLS"
	// ClientTLSOrigination is TLS as a DestinationRule of mode SIMPLE asks for it.
	ClientTLSOrigination ClientTLSMode = "TLS"
	// ClientMutualTLSOrigination is TLS with a client certificate of the user's own (mode MUTUAL).
	ClientMutualTLSOrigination ClientTLSMode = "mutual TLS"
)

// ClusterName is the name of an outbound cluster. A backend of the Gateway API that is not in order has no host.
//
// Source: pilot/pkg/model/service.go, BuildSubsetKey; pilot/pkg/networking/core/route/route.go, GetDestinationCluster.
func ClusterName(port int, subset, host string) string {
	if host == "" {
		return "UnknownService"
	}
	return "outbound|" + strconv.Itoa(port) + "|" + subset + "|" + host
}

// Cluster is the outbound cluster for a service port and subset as the client's
// proxy has it, with the DestinationRule that shapes it. A nil Cluster means
// that Envoy has none (503, flag NC); the steps say why.
//
//  1. ExternalName Services and UDP ports have no cluster; DYNAMIC_DNS has one only
//     for some protocols, and none for subsets.
//  2. The DestinationRule that applies to the client; a named subset must be in it.
//  3. The type follows from the service's resolution. A cluster that resolves DNS
//     and has no endpoint is left out, and so is its subset without endpoint.
//  4. The effective trafficPolicy. Its loadBalancer.simple PASSTHROUGH turns the
//     type into ORIGINAL_DST, for a subset also where the top level says it. A
//     LOGICAL_DNS cluster that has several endpoints is rejected.
//
// Source: pilot/pkg/networking/core/cluster.go, buildOutboundClusters;
// cluster_builder.go, applyDestinationRule, buildSubsetCluster.
func (s *Snapshot) Cluster(client *Workload, svc *Service, port Port, subset string) (*Cluster, []Step) {
	if svc == nil {
		return nil, nil
	}
	if client == nil {
		return s.findCluster(client, svc, port, subset)
	}
	a := s.known(client).clusters.of(clusterKey{svc, port, subset}, func() clusterAnswer {
		cluster, steps := s.findCluster(client, svc, port, subset)
		return clusterAnswer{cluster, slices.Clip(steps)}
	})
	return a.cluster, a.steps
}

// clusterKey is what Cluster is asked of one client.
type clusterKey struct {
	svc    *Service
	port   Port
	subset string
}

// clusterAnswer is what Cluster answers.
type clusterAnswer struct {
	cluster *Cluster
	steps   []Step
}

func (s *Snapshot) findCluster(client *Workload, svc *Service, port Port, subset string) (*Cluster, []Step) {
	// 1. Services without clusters.
	if step, none := withoutCluster(svc, port); none {
		return nil, []Step{step}
	}
	c := &Cluster{Name: ClusterName(port.Number, subset, svc.Hostname), Service: svc, Port: port, Subset: subset}
	var steps []Step
	if client != nil && client.Dataplane == DataplaneWaypoint {
		c.Own = s.ServedBy(client, svc)
		c.Name = s.WaypointClusterName(client, svc, port.Number, subset, svc.Hostname)
		why, none := s.withoutWaypointCluster(client, c)
		if none {
			return nil, why
		}
		if c.Own {
			steps = append(steps, why...)
		}
		steps = append(steps, c.atWaypoint())
	}

	// 2. DestinationRule and subset.
	match := s.destinationRuleFor(client, svc, !c.Own)
	steps = append(steps, match.Steps...)
	c.Rule, c.HasWorkloadSelector = match.Ref, match.Rule.GetWorkloadSelector() != nil
	var sub *networking.Subset
	if subset != "" {
		var step Step
		sub, c.SubsetRef, step = chooseSubset(c, match)
		steps = append(steps, step)
		if sub == nil {
			return nil, steps
		}
		c.SubsetLabels = sub.GetLabels()
	}

	// 3. Type.
	c.Type = s.clusterType(client, svc)
	if step, named := c.namedAsProtocol(match); named {
		steps = append(steps, step)
	}
	if step, none := s.dnsWithoutEndpoint(client, c, match.Rule, sub); none {
		return nil, append(steps, step)
	}

	// 4. Policy.
	steps = append(steps, s.applyTrafficPolicy(c, match, sub)...)
	if step, rejected := s.rejected(client, c, sub); rejected {
		return nil, append(steps, step)
	}
	return c, steps
}

func withoutCluster(svc *Service, port Port) (Step, bool) {
	if svc.Resolution == Alias {
		return NewStep(RuleClusterAlias, None, svc.Ref, svc.Ref.QualifiedName(), svc.ExternalName), true
	}
	unsupported := port.Protocol == ProtocolUDP
	if svc.Resolution == DynamicDNS && IsWildcardHost(svc.Hostname) {
		unsupported = !slices.Contains([]Protocol{ProtocolHTTP, ProtocolTLS, ProtocolGRPC, ProtocolHTTP2}, port.Protocol)
	}
	if unsupported {
		return NewStep(RuleClusterProtocol, None, svc.Ref.At(port.Field), port.Number, svc.Hostname, string(port.Protocol)), true
	}
	return Step{}, false
}

// chooseSubset finds the subset by name; nil if the DestinationRule has none of that name.
func chooseSubset(c *Cluster, match DestinationRuleMatch) (*networking.Subset, Ref, Step) {
	if c.Service.Resolution == DynamicDNS && IsWildcardHost(c.Service.Hostname) {
		return nil, Ref{}, NewStep(RuleClusterNoSubsets, None, c.Service.Ref, c.Service.Hostname, c.Name)
	}
	if sub, ref := match.Subset(c.Subset); sub != nil {
		labels := "every endpoint of the service (it has no labels)"
		if len(sub.GetLabels()) > 0 {
			labels = labelsText(sub.GetLabels())
		}
		return sub, ref, NewStep(RuleSubset, Matched, ref, c.Subset, labels)
	}
	if match.Rule == nil {
		return nil, Ref{}, NewStep(RuleSubsetUndefined, None, Ref{}, c.Subset, "no DestinationRule applies", c.Name).Unlike(c.Subset, "(no subsets)")
	}
	defined := "(no subsets)"
	if names := subsetNames(match.Rule); len(names) > 0 {
		defined = strings.Join(names, ", ")
	}
	return nil, Ref{}, NewStep(RuleSubsetUndefined, None, match.Ref.At("spec.subsets"), c.Subset,
		match.Ref.String()+" defines "+strings.Trim(defined, "()"), c.Name).Unlike(c.Subset, defined)
}

func subsetNames(rule *networking.DestinationRule) []string {
	var names []string
	for _, subset := range rule.GetSubsets() {
		names = append(names, subset.GetName())
	}
	return names
}

// clusterType is the type before trafficPolicy.
//
// Source: pilot/pkg/networking/core/cluster.go, convertResolution.
func (s *Snapshot) clusterType(client *Workload, svc *Service) ClusterType {
	switch svc.Resolution {
	case ClientSideLB, Alias:
		return ClusterEDS
	case DNSLB:
		if s.racesFirstConnect(svc) {
			return ClusterLogicalDNS
		}
		return ClusterStrictDNS
	case DNSRoundRobinLB:
		return ClusterLogicalDNS
	case DynamicDNS:
		if IsWildcardHost(svc.Hostname) {
			return ClusterDynamicDNS
		}
		return ClusterEDS
	case Passthrough:
		if client != nil && client.Dataplane == DataplaneGateway { // a gateway has no original destination
			return ClusterEDS
		}
		return ClusterOriginalDst
	}
	return ClusterEDS
}

// dnsWithoutEndpoint reports whether a DNS cluster is left out, or its subset is.
// A subset that PASSTHROUGH turns into ORIGINAL_DST needs no endpoint.
func (s *Snapshot) dnsWithoutEndpoint(client *Workload, c *Cluster, rule *networking.DestinationRule, sub *networking.Subset) (Step, bool) {
	if c.Type != ClusterStrictDNS && c.Type != ClusterLogicalDNS {
		return Step{}, false
	}
	all, _ := s.instances(c.Service, c.Port)
	labels, eps := "", s.inView(client, all)
	if len(eps) == 0 && len(all) > 0 {
		labels = " on a network that it asks for"
	}
	if len(eps) > 0 {
		top, _ := policyAt{policy: rule.GetTrafficPolicy()}.forPort(uint32(c.Port.Number))
		if sub == nil || isPassthrough(sub.GetTrafficPolicy()) || isPassthrough(top.policy) {
			return Step{}, false
		}
		if slices.ContainsFunc(eps, func(e *Endpoint) bool { return endpointLabels(e).selectedBy(sub.GetLabels()) }) {
			return Step{}, false
		}
		labels = " with labels " + labelsText(sub.GetLabels())
	}
	return NewStep(RuleClusterDNSNoEndpoint, None, c.Service.Ref, c.Service.Hostname, labels, c.Name), true
}

// rejected reports whether the cluster has more endpoints than its type allows.
func (s *Snapshot) rejected(client *Workload, c *Cluster, sub *networking.Subset) (Step, bool) {
	if c.Type != ClusterLogicalDNS {
		return Step{}, false
	}
	eps, _ := s.instances(c.Service, c.Port)
	n := 0
	for _, e := range s.inView(client, eps) {
		if sub == nil || endpointLabels(e).selectedBy(sub.GetLabels()) {
			n += e.Count
		}
	}
	return NewStep(RuleClusterRejected, None, c.Service.Ref, c.Service.Hostname, n, string(c.Type), c.Name), n > 1
}
