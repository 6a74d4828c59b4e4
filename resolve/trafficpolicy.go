package resolve

import (
	"cmp"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// Rules of the effective traffic policy.
const (
	RuleTrafficPolicyPortLevel RuleID = "trafficpolicy/port-level"
	RuleTrafficPolicyLost      RuleID = "trafficpolicy/port-level-lost"
	RuleTrafficPolicySubset    RuleID = "trafficpolicy/subset"
	RuleTrafficPolicyMesh      RuleID = "trafficpolicy/mesh-default"
	RuleTrafficPolicyTopLevel  RuleID = "trafficpolicy/destination"
)

var trafficPolicyRules = []Rule{
	{
		ID: RuleTrafficPolicyTopLevel, Stage: StageDestinationRule, Detail: true,
		Says:     "spec.trafficPolicy applies to every port and subset.",
		Template: "trafficPolicy sets %s",
		Source:   "pilot/pkg/networking/util/util.go, MergeSubsetTrafficPolicy",
	},
	{
		ID: RuleTrafficPolicyPortLevel, Stage: StageDestinationRule, Detail: true,
		Says:     "portLevelSettings for the service port replace connectionPool, loadBalancer, outlierDetection and tls as a whole.",
		Template: "portLevelSettings for port %d replace connectionPool, loadBalancer, outlierDetection and tls; they set %s",
		Source:   "pilot/pkg/networking/util/util.go, GetPortLevelTrafficPolicy",
	},
	{
		ID: RuleTrafficPolicyLost, Stage: StageDestinationRule,
		Says:     "What portLevelSettings leave out falls back to Istio's default, not to the trafficPolicy around them.",
		Template: "portLevelSettings for port %d do not repeat %s, so it does not apply to this port",
		Source:   "pilot/pkg/networking/util/util.go, GetPortLevelTrafficPolicy",
	},
	{
		ID: RuleTrafficPolicySubset, Stage: StageDestinationRule, Detail: true,
		Says:     "A subset's trafficPolicy overrides the DestinationRule's field by field.",
		Template: "subset %s overrides %s",
		Source:   "pilot/pkg/model/destination_rule.go, MergeTrafficPolicy",
	},
	{
		ID: RuleTrafficPolicyMesh, Stage: StageDestinationRule, Detail: true,
		Says:     "meshConfig.defaultTrafficPolicy gives connectionPool and outlierDetection where the DestinationRule sets none.",
		Template: "meshConfig.defaultTrafficPolicy gives %s",
		Source:   "pilot/pkg/networking/core/cluster_traffic_policy.go, applyDefaultTrafficPolicy",
	},
}

// policyAt is a traffic policy and where it was written.
type policyAt struct {
	policy *networking.TrafficPolicy
	ref    Ref
	// portLevel is set where the policy is an entry of portLevelSettings.
	portLevel bool
	port      uint32
	// tlsRefs are where backend policies wrote tls, by port, 0 for all ports.
	tlsRefs map[uint32]Ref
}

func isPassthrough(p *networking.TrafficPolicy) bool {
	return p.GetLoadBalancer().GetSimple() == networking.LoadBalancerSettings_PASSTHROUGH
}

// applyTrafficPolicy fills the cluster's effective policy.
//
//  1. spec.trafficPolicy; if portLevelSettings has the service port, that entry
//     replaces connectionPool, loadBalancer, outlierDetection and tls as a whole.
//  2. meshConfig.defaultTrafficPolicy gives connectionPool and outlierDetection
//     where 1 left them unset.
//  3. The subset's trafficPolicy overrides field by field what it sets; the
//     subset's portLevelSettings for the port replace again as a whole.
//  4. The endpoint code reads tls by another rule: the port level's if it has one,
//     else the top level's, and the subset's before the destination's.
//
// Source: pilot/pkg/networking/util/util.go, MergeSubsetTrafficPolicy;
// pilot/pkg/model/destination_rule.go, MergeTrafficPolicy;
// pilot/pkg/xds/endpoints/mtls_checker.go, tlsModeForDestinationRule.
func (s *Snapshot) applyTrafficPolicy(c *Cluster, match DestinationRuleMatch, sub *networking.Subset) []Step {
	port := uint32(c.Port.Number)

	// 1. The destination's policy.
	top := policyAt{policy: match.Rule.GetTrafficPolicy(), ref: match.PolicyRef, tlsRefs: match.tlsRefs}
	effective, steps := top.forPort(port)
	c.Policy, c.TLSRef = effective.policy, tlsRef(effective)
	c.placed(effective, false)
	c.portLevel = effective.portLevel
	if isPassthrough(c.Policy) {
		c.SimplePassthrough = true
	}

	// 2. The mesh's.
	steps = append(steps, s.meshTrafficPolicy(c)...)

	// 3. The subset's.
	c.InferPassthrough = isPassthrough(top.policy)
	own := policyAt{policy: sub.GetTrafficPolicy(), ref: c.SubsetRef.At(c.SubsetRef.Field + ".trafficPolicy")}
	if sub != nil {
		c.InferPassthrough = isPassthrough(own.policy)
	}
	if own.policy != nil {
		steps = append(steps, c.applySubsetPolicy(own, port)...)
	}
	// A top level PASSTHROUGH stays in the type even where the subset sets another load balancer.
	if (c.SimplePassthrough || isPassthrough(c.Policy) || isPassthrough(own.policy)) && c.Type != ClusterDynamicDNS {
		c.SimplePassthrough = true
		c.Type = ClusterOriginalDst
		steps = append(steps, NewStep(RuleClusterPassthrough, Applied, c.Rule, c.Name))
	}

	// 4. What the endpoint code reads.
	if c.EndpointTLS, c.EndpointTLSRef = own.endpointTLS(port); c.EndpointTLS == nil {
		c.EndpointTLS, c.EndpointTLSRef = top.endpointTLS(port)
	}
	return steps
}

// forPort is the policy for the service port.
func (p policyAt) forPort(port uint32) (policyAt, []Step) {
	if p.policy == nil {
		return p, nil
	}
	for i, entry := range p.policy.GetPortLevelSettings() {
		if entry.GetPort() == nil || entry.GetPort().GetNumber() != port {
			continue
		}
		at := policyAt{
			policy: &networking.TrafficPolicy{
				ConnectionPool: entry.GetConnectionPool(), LoadBalancer: entry.GetLoadBalancer(),
				OutlierDetection: entry.GetOutlierDetection(), Tls: entry.GetTls(),
			},
			ref:       p.ref.At(pathIndex(p.ref.Field+".portLevelSettings", i)),
			portLevel: true, port: port, tlsRefs: p.tlsRefs,
		}
		if ref, ok := p.tlsRefs[port]; ok {
			at.ref = ref
		}
		steps := []Step{NewStep(RuleTrafficPolicyPortLevel, Applied, at.ref, port, cmp.Or(policyFields(at.policy), "nothing"))}
		for _, lost := range lostFields(p.policy, at.policy) {
			steps = append(steps, NewStep(RuleTrafficPolicyLost, Skipped, p.ref.At(p.ref.Field+"."+lost), port, lost))
		}
		return at, steps
	}
	if fields := policyFields(p.policy); fields != "" {
		return p, []Step{NewStep(RuleTrafficPolicyTopLevel, Applied, p.ref, fields)}
	}
	return p, nil
}

func (s *Snapshot) meshTrafficPolicy(c *Cluster) []Step {
	mesh := s.Mesh.GetDefaultTrafficPolicy()
	pool := mesh.GetConnectionPool() != nil && c.Policy.GetConnectionPool() == nil
	outlier := mesh.GetOutlierDetection() != nil && c.Policy.GetOutlierDetection() == nil
	if !pool && !outlier {
		return nil
	}
	c.Policy = copyPolicy(c.Policy)
	if pool {
		c.Policy.ConnectionPool, c.poolAt = mesh.GetConnectionPool(), s.Mesh.Ref.At("defaultTrafficPolicy")
	}
	if outlier {
		c.outlierAt = s.Mesh.Ref.At("defaultTrafficPolicy")
		c.Policy.OutlierDetection = mesh.GetOutlierDetection()
		c.MeshOutlierDetection = true
	}
	given := &networking.TrafficPolicy{}
	if pool {
		given.ConnectionPool = mesh.GetConnectionPool()
	}
	if outlier {
		given.OutlierDetection = mesh.GetOutlierDetection()
	}
	return []Step{NewStep(RuleTrafficPolicyMesh, Applied, s.Mesh.Ref.At("defaultTrafficPolicy"), policyFields(given))}
}

// applySubsetPolicy lays the subset's policy over the cluster's.
func (c *Cluster) applySubsetPolicy(own policyAt, port uint32) []Step {
	own, steps := own.forPort(port)
	if !own.portLevel {
		steps = nil
	}
	sub, merged := own.policy, copyPolicy(c.Policy)
	if sub.GetConnectionPool() != nil || own.portLevel {
		merged.ConnectionPool = sub.GetConnectionPool()
	}
	if sub.GetOutlierDetection() != nil || own.portLevel {
		merged.OutlierDetection = sub.GetOutlierDetection()
		c.MeshOutlierDetection = false
	}
	if sub.GetLoadBalancer() != nil || own.portLevel {
		merged.LoadBalancer = sub.GetLoadBalancer()
	}
	if sub.GetTls() != nil || own.portLevel {
		merged.Tls, c.TLSRef = sub.GetTls(), tlsRef(own)
	}
	if sub.GetTunnel() != nil {
		merged.Tunnel = sub.GetTunnel()
	}
	if sub.GetProxyProtocol() != nil {
		merged.ProxyProtocol = sub.GetProxyProtocol()
	}
	if sub.GetRetryBudget() != nil {
		merged.RetryBudget = sub.GetRetryBudget()
	}
	c.Policy = merged
	c.placed(own, own.portLevel)
	if fields := policyFields(sub); fields != "" {
		steps = append(steps, NewStep(RuleTrafficPolicySubset, Applied, own.ref, c.Subset, fields))
	}
	return steps
}

// placed keeps where the parts of a policy were written that no later one has replaced; whole is set for one that
// replaces also what it leaves out.
func (c *Cluster) placed(at policyAt, whole bool) {
	for _, part := range []struct {
		set bool
		ref *Ref
	}{
		{at.policy.GetConnectionPool() != nil, &c.poolAt},
		{at.policy.GetOutlierDetection() != nil, &c.outlierAt},
	} {
		switch {
		case part.set:
			*part.ref = at.ref
		case whole:
			*part.ref = Ref{}
		}
	}
	if at.policy.GetRetryBudget() != nil {
		c.budgetAt = at.ref
	}
}

func tlsRef(at policyAt) Ref {
	if at.policy.GetTls() == nil {
		return Ref{}
	}
	if ref, ok := at.tlsRefs[at.port]; ok {
		return ref
	}
	return at.ref.At(at.ref.Field + ".tls")
}

// endpointTLS is the tls block that the endpoint code reads in one policy, and
// where it was written: the port level's if it has one, else the one around it.
//
// Source: pilot/pkg/xds/endpoints/mtls_checker.go, trafficPolicyTLSModeForPort.
func (p policyAt) endpointTLS(port uint32) (*networking.ClientTLSSettings, Ref) {
	for i, entry := range p.policy.GetPortLevelSettings() {
		if entry.GetPort().GetNumber() == port && entry.GetTls() != nil {
			if ref, ok := p.tlsRefs[port]; ok {
				return entry.GetTls(), ref
			}
			return entry.GetTls(), p.ref.At(pathIndex(p.ref.Field+".portLevelSettings", i) + ".tls")
		}
	}
	return p.policy.GetTls(), tlsRef(p)
}

// copyPolicy copies one level deep, without portLevelSettings; nil gives an empty policy.
func copyPolicy(p *networking.TrafficPolicy) *networking.TrafficPolicy {
	return &networking.TrafficPolicy{
		ConnectionPool: p.GetConnectionPool(), LoadBalancer: p.GetLoadBalancer(), OutlierDetection: p.GetOutlierDetection(),
		Tls: p.GetTls(), Tunnel: p.GetTunnel(), ProxyProtocol: p.GetProxyProtocol(), RetryBudget: p.GetRetryBudget(),
	}
}

// setFields are the names of the four fields that port level and subset deal with.
func setFields(p *networking.TrafficPolicy) []string {
	var fields []string
	if p.GetConnectionPool() != nil {
		fields = append(fields, "connectionPool")
	}
	if p.GetLoadBalancer() != nil {
		fields = append(fields, "loadBalancer")
	}
	if p.GetOutlierDetection() != nil {
		fields = append(fields, "outlierDetection")
	}
	if p.GetTls() != nil {
		fields = append(fields, "tls")
	}
	return fields
}

func policyFields(p *networking.TrafficPolicy) string { return strings.Join(setFields(p), ", ") }

// lostFields are set around portLevelSettings and not in them.
func lostFields(around, entry *networking.TrafficPolicy) []string {
	var lost []string
	kept := policyFields(entry)
	for _, field := range setFields(around) {
		if !strings.Contains(kept, field) {
			lost = append(lost, field)
		}
	}
	return lost
}
