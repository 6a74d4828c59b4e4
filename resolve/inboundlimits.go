package resolve

import (
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// Limits of a sidecar towards its own application. None of them decides about one request.
//
//  1. The DestinationRule that applies to the sidecar's own workload, as to a client of the service, gives its connectionPool there, too:
//     that of the port level, else the top level. Subsets and rules with a workloadSelector do not count.
//  2. Without one it is that of the mesh's defaultTrafficPolicy.
//  3. Sidecar.ingress[].connectionPool of the port, else Sidecar.inboundConnectionPool, replaces the whole.
//
// Source: pilot/pkg/networking/core/cluster_builder.go, buildInboundCluster; pilot/pkg/model/sidecar.go, InboundConnectionPoolForPort.

// InboundLimits are the limits on what the sidecar sends to its own application at the port, as far as somebody sets any.
func (s *Snapshot) InboundLimits(w *Workload, sc *Scope, port InboundPort, http bool) []Step {
	if !port.Declared {
		return nil
	}
	c, field := s.inboundPolicy(w, sc, port), "connectionPool"
	if own, ref := inboundPool(sc, port.Port); own != nil {
		c.Policy = copyPolicy(c.Policy)
		c.Policy.ConnectionPool, c.poolAt = own, ref
		if ref.Field == "spec" {
			field = "inboundConnectionPool"
		}
	}
	var steps []Step
	pool := c.Policy.GetConnectionPool()
	for _, step := range append(s.connectionFacts(c, pool, false), s.breakerFacts(c, pool, http)...) {
		if step.Verdict == Applied && step.Rule != RuleBreakerRetries {
			step.Ref.Field = strings.Replace(step.Ref.Field, "connectionPool", field, 1)
			steps = append(steps, step)
		}
	}
	return steps
}

// inboundPolicy is rules 1 and 2, for the service that declares the port.
func (s *Snapshot) inboundPolicy(w *Workload, sc *Scope, port InboundPort) *Cluster {
	c := &Cluster{}
	for _, t := range s.ServiceTargets(w) {
		if t.TargetPort != port.Port {
			continue
		}
		if _, imported := sc.Service(t.Service.Hostname); imported {
			match := s.destinationRuleFor(w, t.Service, false)
			top := policyAt{policy: match.Rule.GetTrafficPolicy(), ref: match.PolicyRef, tlsRefs: match.tlsRefs}
			at, _ := top.forPort(uint32(t.Port.Number))
			c.Policy = at.policy
			c.placed(at, false)
		}
		break
	}
	s.meshTrafficPolicy(c)
	return c
}

// inboundPool is rule 3.
func inboundPool(sc *Scope, port int) (*networking.ConnectionPoolSettings, Ref) {
	if sc == nil || sc.Sidecar == nil {
		return nil, Ref{}
	}
	for i, in := range sc.Sidecar.Spec.GetIngress() {
		if int(in.GetPort().GetNumber()) == port && in.GetConnectionPool() != nil {
			return in.GetConnectionPool(), sc.Ref.At(pathIndex("spec.ingress", i))
		}
	}
	return sc.Sidecar.Spec.GetInboundConnectionPool(), sc.Ref.At("spec")
}
