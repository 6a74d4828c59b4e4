package resolve

import (
	"fmt"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	corev1 "k8s.io/api/core/v1"
)

// Rules of choosing among the endpoints of a cluster.
const (
	RuleBalanceNone             RuleID = "loadbalance/no-healthy-endpoint"
	RuleBalanceNoneLeft         RuleID = "loadbalance/no-locality-left"
	RuleBalanceGateway          RuleID = "loadbalance/gateway-passthrough"
	RuleLocalityUnknown         RuleID = "locality/unknown"
	RuleLocalityOtherNetwork    RuleID = "locality/other-network"
	RuleLocalityFailover        RuleID = "locality/failover"
	RuleLocalityFartherEndpoint RuleID = "locality/lower-priority"
	RuleLocalitySpill           RuleID = "locality/spill-over"
	RuleLocalityDistribute      RuleID = "locality/distribute"
	RuleLocalityUnready         RuleID = "locality/distribute-unready"
	RuleLocalityNotListed       RuleID = "locality/not-distributed-to"
	RuleLocalityZoneAware       RuleID = "locality/zone-aware"
	RuleLocalityNode            RuleID = "locality/node"
)

const applyLocality = "pilot/pkg/networking/core/loadbalancer/loadbalancer.go, ApplyLocalityLoadBalancer"

var localityRules = []Rule{
	{
		ID: RuleLocalityOtherNetwork, Stage: StageLoadBalance,
		Says:     "trafficDistribution compares networks first: endpoints of another network get nothing while one of the client's is healthy.",
		Template: "%s is on network %s, the client on %s",
		Source:   "pilot/pkg/networking/core/loadbalancer/loadbalancer.go, applyFailoverPriorityPerLocality",
	},
	{
		ID: RuleBalanceNone, Stage: StageLoadBalance,
		Says:     "A cluster without a healthy endpoint answers 503 with flag UH.",
		Template: "%s of %s %s ready",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go; Envoy, router (UH no_healthy_upstream)",
	},
	{
		ID: RuleBalanceNoneLeft, Stage: StageLoadBalance,
		Says:     "Where no locality that gets requests has a healthy endpoint, the answer is 503 with flag UH.",
		Template: "%d behind %s, and none in a locality that gets requests",
		Source:   "Envoy, load balancing, locality weighted load balancing",
	},
	{
		ID: RuleBalanceGateway, Stage: StageLoadBalance,
		Says:     "A gateway has no original destination, so a cluster of load balancer PASSTHROUGH has no host there.",
		Template: "%s goes to the dialled address, and at a gateway there is none: no host",
		Source:   "Envoy, original destination cluster",
	},
	{
		ID: RuleLocalityUnknown, Stage: StageLoadBalance,
		Says:     "Where localities are not known, a locality setting can not be followed and all endpoints are kept.",
		Template: "%s prefers endpoints by locality, but %s is not known: all endpoints are kept",
		Source:   applyLocality,
	},
	{
		ID: RuleLocalityFailover, Stage: StageLoadBalance,
		Says:     "Outlier detection (or trafficDistribution) switches locality failover on: the nearest locality gets all requests while it is healthy.",
		Template: "%s: the nearest endpoints get the requests, %d of %d",
		Source:   applyLocality,
	},
	{
		ID: RuleLocalityFartherEndpoint, Stage: StageLoadBalance,
		Says:     "Endpoints of a lower priority get nothing while those before them are healthy.",
		Template: "%s (%s) has a lower priority than healthy endpoints near %s",
		Source:   applyLocality,
	},
	{
		ID: RuleLocalitySpill, Stage: StageLoadBalance,
		Says:     "If less than about 72 percent of a priority is healthy (times the overprovisioning factor 1.4), the rest of the requests goes to the next.",
		Template: "%d of %d endpoints of priority %d are healthy: it gets %d%% of the requests",
		Source:   "Envoy, priority levels",
	},
	{
		ID: RuleLocalityDistribute, Stage: StageLoadBalance,
		Says:     "localityLbSetting.distribute gives each listed locality its weight; localities not listed get none.",
		Template: "distribute from %s: %s",
		Source:   "pilot/pkg/networking/core/loadbalancer/loadbalancer.go, applyLocalityWeights",
	},
	{
		ID: RuleLocalityUnready, Stage: StageLoadBalance,
		Says:     "If less than about 72 percent of a locality is healthy (times the overprovisioning factor 1.4), its weight counts for less.",
		Template: "%d of %d endpoints in %s are healthy: its weight %g counts as %.3g",
		Source:   "Envoy, locality weighted load balancing",
	},
	{
		ID: RuleLocalityNotListed, Stage: StageLoadBalance,
		Says:     "localityLbSetting.distribute sends nothing to a locality that it does not list.",
		Template: "%s is in %s, which distribute from %s does not list",
		Source:   "pilot/pkg/networking/core/loadbalancer/loadbalancer.go, applyLocalityWeights",
	},
	{
		ID: RuleLocalityNode, Stage: StageLoadBalance, Detail: true,
		Says:     "A pod is where its node's topology labels say.",
		Template: "node %s is in %s",
		Source:   "pilot/pkg/serviceregistry/kube/controller/controller.go, getPodLocality",
	},
	{
		ID: RuleLocalityZoneAware, Stage: StageLoadBalance,
		Says:     "Zone aware load balancing keeps requests in the client's region; which zone they go to depends on the number of pods of each side.",
		Template: "zoneAwareLbSetting: how requests spread over the zones of a region is not modelled",
		Source:   "pilot/pkg/networking/core/loadbalancer/loadbalancer.go, ApplyZoneAwareLoadBalancer",
	},
}

// Balance keeps the endpoints that get requests, with their weights.
//
//  1. At a gateway a cluster that goes to the dialled address has no host.
//  2. Endpoints that are not ready are sent to Envoy as well, unless minHealthPercent is set. Of those with
//     one address the first counts (see withoutDuplicates).
//  3. The locality setting: the DestinationRule's, else the Service's
//     trafficDistribution, else the mesh's (on by default).
//  4. distribute gives weights to localities (see distribute). Else, with outlierDetection or
//     trafficDistribution, endpoints get priorities (see prioritize).
//  5. Envoy takes the healthy endpoints of the first priority, and of the next as
//     far as too few there are healthy.
//
// Where a setting applies and localities are not known all healthy endpoints
// stay, with a warning if they belong to different workloads.
//
// Source: pilot/pkg/xds/endpoints/endpoint_builder.go, BuildClusterLoadAssignment;
// pilot/pkg/networking/core/loadbalancer/loadbalancer.go, GetEffectiveLbSetting.
func (s *Snapshot) Balance(client *Workload, c *Cluster, eps []*Endpoint) ([]*Endpoint, []Step) {
	if c == nil || c.Service == nil {
		return nil, nil
	}
	if client == nil {
		client = &Workload{Anonymous: true}
	}
	// 1.
	if c.Type == ClusterOriginalDst && client.Dataplane == DataplaneGateway {
		return nil, []Step{NewStep(RuleBalanceGateway, None, c.Rule, c.Name)}
	}
	var steps []Step
	for _, e := range eps {
		if e.Health == Unhealthy {
			steps = append(steps, NewStep(RuleEndpointNotReady, Skipped, e.Ref, e.name()))
		}
	}
	// 2.
	sent := eps
	if s.sendsHealthyOnly(c) {
		sent = healthyOf(eps)
	}
	sent, more := withoutDuplicates(c, sent)
	steps = append(steps, more...)
	healthy := healthyOf(sent)
	if len(healthy) == 0 {
		which, are := "the only endpoint", "is not"
		if n := podCount(eps); n > 1 {
			which, are = fmt.Sprintf("none of the %d endpoints", n), "is"
		}
		return nil, append(steps, NewStep(RuleBalanceNone, None, c.Service.Ref, which, c.Service.Hostname, are))
	}
	// 3.
	b := balancer{client: client, mine: s.proxyLabels(client), cluster: c, eps: sent, node: s.node}
	if c.Type != ClusterOriginalDst && c.Type != ClusterDynamicDNS {
		b.setting = s.localitySetting(c)
	}
	// 4. and 5.
	kept, more := b.balance()
	steps = append(steps, more...)
	if len(kept) == 0 {
		steps = append(steps, NewStep(RuleBalanceNoneLeft, None, c.Service.Ref, podCount(eps), c.Service.Hostname))
	}
	return kept, steps
}

// sendsHealthyOnly reports whether endpoints that are not ready are kept from Envoy.
// Source: pilot/pkg/xds/endpoints/endpoint_builder.go, supportsUnhealthyEndpoints.
func (s *Snapshot) sendsHealthyOnly(c *Cluster) bool {
	distribution, _ := s.trafficDistribution(c.Service)
	return distribution == nil && c.Policy.GetOutlierDetection().GetMinHealthPercent() > 0
}

func healthyOf(eps []*Endpoint) []*Endpoint {
	var out []*Endpoint
	for _, e := range eps {
		if e.Health != Unhealthy {
			out = append(out, e)
		}
	}
	return out
}

// localitySetting is the one setting that counts for a cluster.
type localitySetting struct {
	ref  Ref
	name string
	// locality and zoneAware: at most one is set; neither means that localities do not count.
	locality  *networking.LocalityLoadBalancerSetting
	zoneAware *networking.ZoneAwareLoadBalancerSetting
	// failover is set where priorities are assigned.
	failover bool
}

// localitySetting finds the setting.
//
//  1. The DestinationRule's loadBalancer: zoneAwareLbSetting, then localityLbSetting
//     (enabled: false switches everything off).
//  2. The Service's trafficDistribution, which needs no outlierDetection.
//  3. The mesh's zoneAwareLbSetting, then localityLbSetting; on by default.
//
// Failover otherwise needs outlierDetection. EDS clusters look for it in the
// DestinationRule alone, DNS clusters also in meshConfig.defaultTrafficPolicy.
//
// Source: pilot/pkg/networking/core/loadbalancer/loadbalancer.go, GetEffectiveLbSetting.
func (s *Snapshot) localitySetting(c *Cluster) localitySetting {
	outlier := c.Policy.GetOutlierDetection() != nil && (c.Type != ClusterEDS || !c.MeshOutlierDetection)
	lb := c.Policy.GetLoadBalancer()
	// 1.
	if z := lb.GetZoneAwareLbSetting(); z != nil {
		return zoneAwareSetting(z, c.Rule, "zoneAwareLbSetting")
	}
	if l := lb.GetLocalityLbSetting(); l != nil {
		if l.GetEnabled() != nil && !l.GetEnabled().GetValue() {
			return localitySetting{}
		}
		return localitySetting{ref: c.Rule, name: "localityLbSetting", locality: l, failover: outlier}
	}
	// 2.
	if priority, name := s.trafficDistribution(c.Service); priority != nil {
		return trafficDistributionSetting(c.Service, priority, name)
	}
	// 3.
	if z := s.Mesh.GetZoneAwareLbSetting(); z != nil {
		return zoneAwareSetting(z, s.Mesh.Ref.At("zoneAwareLbSetting"), "meshConfig.zoneAwareLbSetting")
	}
	l := s.Mesh.GetLocalityLbSetting()
	if l == nil { // Istio's default is {enabled: true}
		l = &networking.LocalityLoadBalancerSetting{}
	}
	if l.GetEnabled() != nil && !l.GetEnabled().GetValue() {
		return localitySetting{}
	}
	return localitySetting{ref: c.Rule, name: "outlierDetection with the mesh's localityLbSetting", locality: l, failover: outlier}
}

// trafficDistributionSetting is failover by the labels that make an endpoint near.
func trafficDistributionSetting(svc *Service, priority []string, name string) localitySetting {
	return localitySetting{
		ref: svc.Ref, name: name, failover: true,
		locality: &networking.LocalityLoadBalancerSetting{FailoverPriority: priority},
	}
}

func zoneAwareSetting(z *networking.ZoneAwareLoadBalancerSetting, ref Ref, name string) localitySetting {
	if z.GetEnabled() != nil && !z.GetEnabled().GetValue() {
		return localitySetting{}
	}
	return localitySetting{ref: ref, name: name, zoneAware: z, failover: true}
}

const trafficDistributionAnnotation = "networking.istio.io/traffic-distribution"

// The labels that make an endpoint near.
var (
	sameZone = []string{topologyNetwork, topologyRegion, topologyZone}
	sameNode = []string{topologyNetwork, topologyRegion, topologyZone, topologySubZone, topologyNode}
)

// trafficDistribution is spec.trafficDistribution, else the annotation on the
// Service or ServiceEntry, else the one on its namespace: the labels that make
// an endpoint near.
//
// Source: pilot/pkg/model/service.go, GetTrafficDistribution.
func (s *Snapshot) trafficDistribution(svc *Service) (priority []string, name string) {
	spec, annotation := "", s.serviceAnnotations(svc)[trafficDistributionAnnotation]
	if o := s.serviceObject(svc); o != nil && o.Spec.TrafficDistribution != nil {
		spec = *o.Spec.TrafficDistribution
	}
	switch spec {
	case corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone:
		return sameZone, "trafficDistribution " + spec
	case corev1.ServiceTrafficDistributionPreferSameNode:
		return sameNode, "trafficDistribution " + spec
	}
	if annotation == "" {
		if ns := s.Member(svc.Ref.Cluster).Namespaces[svc.Namespace]; ns != nil {
			annotation = ns.Annotations[trafficDistributionAnnotation]
		}
	}
	switch strings.ToLower(annotation) {
	case "preferclose", "prefersamezone":
		return sameZone, "annotation " + trafficDistributionAnnotation + " " + annotation
	case "prefersamenode":
		return sameNode, "annotation " + trafficDistributionAnnotation + " " + annotation
	}
	return nil, ""
}

// serviceAnnotations are those of the Service or ServiceEntry.
func (s *Snapshot) serviceAnnotations(svc *Service) map[string]string {
	ix := s.index.endpoints()
	if svc.Registry == RegistryKubernetes {
		if o := s.serviceObject(svc); o != nil {
			return o.Annotations
		}
		return nil
	}
	if se := ix.serviceEntry[destinationKey{svc.Ref.Namespace, svc.Ref.Name}]; se != nil {
		return se.Annotations
	}
	return nil
}
