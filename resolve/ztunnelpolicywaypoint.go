package resolve

import (
	"slices"

	"istio.io/api/label"
	apisecurity "istio.io/api/security/v1beta1"
)

// What a waypoint is to the ztunnel behind it: the peer, in place of the client that came through it, and where istiod has
// PILOT_AUTO_ALLOW_WAYPOINT_POLICY, one of those that are allowed without being named.

// waypointPeer is a pod of a waypoint: its Gateway, and its identity.
type waypointPeer struct {
	gateway   Ref
	principal string
}

// waypointPeers are the pods of the waypoints of a workload and of the Services that select it.
// Source: pilot/pkg/serviceregistry/ambient/workloads.go, implicitWaypointPolicies; waypoints.go, makeWaypoint.
func (s *Snapshot) waypointPeers(w *Workload) []waypointPeer {
	bindings := []WaypointBinding{s.WorkloadWaypoint(w)}
	for _, svc := range s.ServicesOf(w) {
		bindings = append(bindings, s.ServiceWaypoint(svc))
	}
	var out []waypointPeer
	for _, b := range bindings {
		if b.Waypoint == nil {
			continue
		}
		for _, pod := range s.WorkloadsIn(b.Waypoint.Ref.Namespace) {
			peer := waypointPeer{b.Waypoint.Ref, pod.Principal(s.Mesh.GetTrustDomain())}
			if pod.Labels[label.IoK8sNetworkingGatewayGatewayName.Name] == b.Waypoint.Ref.Name && !slices.Contains(out, peer) {
				out = append(out, peer)
			}
		}
	}
	return out
}

// allowWaypoints is allow with the policies that allow the waypoints among the others.
func (a *authorizing) allowWaypoints(waypoints []waypointPeer, policies []*authorizationPolicy, denyApplies bool) {
	if len(waypoints) > 0 {
		a.Steps = append(a.Steps, a.snapshot.feature(featureAllowWaypoint).told()...)
	}
	i := slices.IndexFunc(waypoints, func(w waypointPeer) bool { return a.in.conn.Peer == w.principal })
	switch {
	case len(waypoints) == 0, i < 0 && len(policies) > 0:
		a.allow(policies, denyApplies)
	case i < 0:
		a.refuse(waypoints[0].gateway, NoPolicy)
		a.Steps = append(a.Steps, NewStep(RuleZtunnelOnlyWaypoint, DeniedBy, waypoints[0].gateway, featureAllowWaypoint, a.who))
	case !a.undecided.IsZero():
		a.Decision, a.Policy, a.EnvoyPolicy = AccessUndetermined, a.undecided, a.undecidedName
	default:
		a.Steps = append(a.Steps, NewStep(RuleZtunnelAllowWaypoint, Allowed, waypoints[i].gateway, featureAllowWaypoint, waypoints[i].principal))
	}
}

// throughWaypoint tells of rules that would answer otherwise to the client than to the waypoint through which it came.
func (a *authorizing) throughWaypoint(policies []*authorizationPolicy) {
	original := a.unseen.Original
	if original == "" || original == a.in.conn.Peer {
		return
	}
	in := a.in
	in.conn.Peer = original
	for _, p := range policies {
		deny := p.spec.GetAction() == apisecurity.AuthorizationPolicy_DENY
		for _, r := range p.rulesAt(ztunnel) {
			if r.dropped != nil {
				continue
			}
			client, waypoint := r.evaluate(&in).truth, r.evaluate(&a.in).truth
			// That an ALLOW rule lets the waypoint in and not the client is how a waypoint is made the only way.
			if client == waypoint || !deny && (client != True || a.Decision != AccessDenied) {
				continue
			}
			verdict := Skipped
			if waypoint == True {
				verdict = Applied
			}
			a.Steps = append(a.Steps, NewStep(RuleZtunnelWaypointPeer, verdict, r.ref, p.spec.GetAction().String(), matchWord[client], original, a.in.conn.Peer, matchWord[waypoint]).meantFor(true))
		}
	}
}

// matchWord is what a rule does to a peer.
var matchWord = map[Truth]string{True: "matches", False: "does not match", Unknown: "may match"}
