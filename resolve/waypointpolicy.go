package resolve

// Which AuthorizationPolicies and RequestAuthentications a waypoint enforces.
//
//  1. Those whose targetRefs name its Gateway, or, in the root namespace, GatewayClass istio-waypoint.
//  2. For a request to a Service, or to a host of a ServiceEntry, also those of its namespace whose targetRefs name
//     that. A request to a workload sees none of these.
//  3. No others: one without targetRefs is enforced at the ztunnel of the pod, or nowhere.
//  4. The peer and the source address are those of the client that sent to the waypoint; destination address and port
//     are those of the Service, or of the workload that was addressed.
//  5. With istiod's ENABLE_LAYERED_WAYPOINT_AUTHORIZATION_POLICIES the connection that carries the request is looked at
//     before it: by policies without targetRefs that select the waypoint's pod, and by those of its Gateway, as on a TCP port.
//
// Source: pilot/pkg/networking/core/listener_waypoint.go, buildWaypointHTTPFilters, buildHCMConnectTerminateChain;
// pilot/pkg/model/policyattachment.go, ShouldAttachPolicy; pilot/pkg/model/authorization.go, ListAuthorizationPolicies.

// Serving returns the waypoint as it stands before one service: the policies of that service are its own. A nil
// service is for requests that are addressed to a workload.
func (s *Snapshot) Serving(waypoint *Workload, svc *Service) *Workload {
	if svc == nil {
		return waypoint
	}
	return s.known(waypoint).serving.of(svc, func() *Workload {
		w := *waypoint
		w.serving = svc
		s.remember(&w)
		return &w
	})
}

// BeforeTunnel returns the waypoint as it takes the connections that carry requests, with the step that says so; nil where
// istiod has it look at the requests alone, as it does by default.
func (s *Snapshot) BeforeTunnel(waypoint *Workload) (*Workload, []Step) {
	f := s.feature(featureLayeredWaypoint)
	if !f.on {
		return nil, nil
	}
	w := *waypoint
	w.layered = true
	s.remember(&w)
	return &w, f.told()
}
