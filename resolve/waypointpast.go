package resolve

import (
	"slices"

	"istio.io/api/label"
	networking "istio.io/api/networking/v1alpha3"
)

// What a request misses that goes past the waypoint of the service it is addressed to, or finds that there is none.
//
//  1. AuthorizationPolicies and RequestAuthentications with targetRefs to the service, or to the Gateway that its label
//     istio.io/use-waypoint names, are enforced by that waypoint and by nobody else. Those that would refuse the request are missed.
//  2. A ztunnel follows no routes, and applies no DestinationRule: VirtualServices for the mesh, Gateway API routes with the service
//     as parent, and the DestinationRule that the waypoint would have are missed.
//  3. A gateway follows its own routes and not these: it misses what the waypoint would follow behind it.
//  4. A sidecar follows them by itself.
//
// Source: pilot/pkg/model/policyattachment.go, ShouldAttachPolicy; pilot/pkg/networking/core/listener_waypoint.go,
// getVirtualServiceForWaypoint; ztunnel, src/proxy/outbound.rs, build_request.

// Rules of requests that go past a waypoint.
const (
	RuleWaypointPolicyMissed RuleID = "waypoint/policy-passed-by"
	RuleWaypointRouteMissed  RuleID = "waypoint/routes-passed-by"
	RuleZtunnelNoRule        RuleID = "ztunnel/no-destination-rule"
)

var waypointPastRules = []Rule{
	{
		ID: RuleWaypointPolicyMissed, Stage: StageAuthorizationPolicy,
		Says:     "A policy with targetRefs to a Service, or to a waypoint, is enforced by the waypoint alone: requests that go past the waypoint go past the policy.",
		Template: "a waypoint would refuse the request by it, and the request passes none: nobody enforces it",
		Source:   "pilot/pkg/model/policyattachment.go, ShouldAttachPolicy",
	},
	{
		ID: RuleWaypointRouteMissed, Stage: StageRoute,
		Says:     "A gateway follows the routes that name it; those for the mesh are followed by the waypoint behind it, if it sends through one.",
		Template: "the waypoint would follow its routes for %s; the gateway goes past the waypoint, and past them",
		Source:   "pilot/pkg/networking/core/listener_waypoint.go, getVirtualServiceForWaypoint",
	},
	{
		ID: RuleZtunnelNoRule, Stage: StageDestinationRule,
		Says:     "A ztunnel applies no DestinationRule: subsets, load balancing, limits and TLS of one need a waypoint, also where routes do not matter.",
		Template: "has no effect: ztunnel applies no DestinationRule, and no waypoint takes the request",
		Source:   ztunnelOutbound,
	},
}

// PastWaypoint is a request to a service that does not pass a waypoint of the service.
type PastWaypoint struct {
	Service *Service
	Port    int
	Binding WaypointBinding
	// Sender is the data plane of the proxy that sends; DataplaneNone for a client without one.
	Sender Dataplane
	// Connection is what the waypoint would see of it, and Payload what the bytes look like.
	Connection Connection
	Payload    Payload
	// Request is nil for what is no HTTP, or not to be seen.
	Request *HTTPRequest
}

// Missed are the steps for what the waypoint would have made of the request.
func (s *Snapshot) Missed(q PastWaypoint) []Step {
	steps := s.missed(q)
	if len(steps) == 0 { // istiod's Deployment is not read where nothing is missed
		return nil
	}
	if _, off := s.AmbientOff(); off {
		return nil
	}
	return steps
}

func (s *Snapshot) missed(q PastWaypoint) []Step {
	switch q.Sender {
	case DataplaneAmbient:
		return slices.Concat(s.missedRoutes(q, RuleZtunnelL4Only), s.missedDestinationRule(q), s.missedPolicy(q))
	case DataplaneGateway:
		if q.Binding.Named.IsZero() {
			return s.missedPolicy(q)
		}
		return append(s.missedPolicy(q), s.missedRoutes(q, RuleWaypointRouteMissed, q.Service.Hostname)...)
	case DataplaneSidecar, DataplaneNone, DataplaneWaypoint:
	}
	return s.missedPolicy(q)
}

// missedPolicy is rule 1.
func (s *Snapshot) missedPolicy(q PastWaypoint) []Step {
	targeted := s.index.policies().targeted
	if !targeted[q.Service.Namespace] && !targeted[q.Binding.Named.Namespace] && !targeted[s.Mesh.GetRootNamespace()] {
		return nil // no policy is any waypoint's
	}
	chain, _, takes := s.WaypointServicePort(q.Service, q.Port, q.Payload)
	if !takes {
		return nil
	}
	request := q.Request
	if !chain.HTTP {
		request = nil
	}
	waypoint := s.waypointBefore(q)
	if request != nil {
		request = request.Clone()
		tokens := s.RequestAuthentication(waypoint, request)
		if tokens.Status != 0 && !tokens.Rule.IsZero() {
			step := NewStep(RuleWaypointPolicyMissed, Skipped, tokens.Rule).meantFor(true)
			step.Stage = StageRequestAuthentication
			return []Step{step}
		}
		tokens.Carry(request)
	}
	a := s.Authorize(waypoint, &q.Connection, request)
	if a.Decision == AccessAllowed || a.Policy.IsZero() {
		return nil
	}
	return []Step{NewStep(RuleWaypointPolicyMissed, Skipped, a.Policy).meantFor(true)}
}

// missedDestinationRule is rule 2. Of TLS that nobody originates the answer hangs.
func (s *Snapshot) missedDestinationRule(q PastWaypoint) []Step {
	match := s.destinationRuleFor(s.waypointBefore(q), q.Service, false)
	if match.Rule == nil {
		return nil
	}
	policy, _ := policyAt{policy: match.Rule.GetTrafficPolicy()}.forPort(uint32(q.Port))
	mode := policy.policy.GetTls().GetMode()
	originates := mode == networking.ClientTLSSettings_SIMPLE || mode == networking.ClientTLSSettings_MUTUAL
	return []Step{NewStep(RuleZtunnelNoRule, Skipped, match.Ref).meantFor(originates)}
}

// waypointBefore is a pod of the waypoint that the service names, as it would stand before the service.
func (s *Snapshot) waypointBefore(q PastWaypoint) *Workload {
	gateway := q.Binding.Named
	if gateway.IsZero() {
		gateway.Namespace = q.Service.Namespace
	}
	return &Workload{
		Owner: gateway, Namespace: gateway.Namespace, Dataplane: DataplaneWaypoint, serving: q.Service,
		Labels: map[string]string{label.IoK8sNetworkingGatewayGatewayName.Name: gateway.Name},
	}
}

// missedRoutes are rules 2 and 3. One that is bound to gateways as well is likely what the gateway follows.
func (s *Snapshot) missedRoutes(q PastWaypoint, rule RuleID, facts ...any) []Step {
	var steps []Step
	for _, vs := range s.virtualServicesOverlapping(q.Service.Hostname) {
		if !slices.Contains(vs.Gateways, MeshGateway) || rule == RuleWaypointRouteMissed && len(vs.Gateways) > 1 {
			continue
		}
		if near := q.Binding.Named.Namespace; vs.Ref.Namespace != q.Service.Namespace && vs.Ref.Namespace != near && rule == RuleWaypointRouteMissed {
			continue
		}
		steps = append(steps, NewStep(rule, Skipped, vs.Ref, facts...).meantFor(slices.Contains(lowerHosts(vs), q.Service.Hostname)))
	}
	return steps
}
