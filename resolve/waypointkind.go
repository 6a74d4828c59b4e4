package resolve

import (
	"slices"
	"strconv"
	"strings"

	"istio.io/api/annotation"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Waypoints that are no Envoys which istiod runs by itself. They are bound like others.
//
//  1. A binding does not look at the class of a Gateway. What another implementation than istio-waypoint does with a request
//     (agentgateway, a vendor's) is its own: it is not modelled.
//  2. ambient.istio.io/waypoint-inbound-binding of the Gateway, else of its GatewayClass, is PROTOCOL or PROTOCOL/PORT, with protocol
//     PROXY or NONE: the ztunnel of the waypoint's own pods takes HBONE for them, and hands on what is inside, with a PROXY header or
//     without. Between two ztunnels a waypoint sees the client by that header alone: not modelled.
//  3. With such a binding the listener of its port, or without a port (PROXY) that of protocol istio.io/PROXY, says which namespaces
//     may use the waypoint. Where there is none, and without a binding, the listener HBONE on port 15008 does.
//
// Source: pilot/pkg/serviceregistry/ambient/waypoints.go, makeInboundBinding, makeAllowedRoutes, findBoundListener; workloads.go,
// podWorkloadBuilder.

// Rules of waypoints that are not modelled.
const (
	RuleWaypointForeign    RuleID = "waypoint/other-implementation"
	RuleWaypointSandwiched RuleID = "waypoint/inbound-binding"
)

var waypointKindRules = []Rule{
	{
		ID: RuleWaypointForeign, Stage: StageWaypoint,
		Says:     "A Gateway of another class than istio-waypoint can be a waypoint, of agentgateway or a vendor's; what it does with a request is not modelled.",
		Template: "waypoint %s is of class %s, and no waypoint that istiod configures as an Envoy: what it does with the request is not known",
		Source:   waypointSource + "gatewayToWaypointTransform",
	},
	{
		ID: RuleWaypointSandwiched, Stage: StageWaypoint,
		Says:     "ambient.istio.io/waypoint-inbound-binding puts a waypoint behind a ztunnel of its own, which takes HBONE for it; that is not modelled.",
		Template: "waypoint %s takes its connections from a ztunnel of its own (%s): what it does with the request is not modelled",
		Source:   waypointSource + "makeInboundBinding",
	},
}

// sandwichProtocol is that of the listener by which a waypoint takes connections with a PROXY header.
const sandwichProtocol k8sgateway.ProtocolType = "istio.io/PROXY"

// UnmodelledWaypoint says why it is not known what a waypoint does; false for one that is.
func (s *Snapshot) UnmodelledWaypoint(w *Waypoint) (Step, bool) {
	if value, at := s.inboundBinding(w.gateway); value != "" {
		return NewStep(RuleWaypointSandwiched, Warned, at, w.Name(), value), true
	}
	name := string(w.gateway.Spec.GatewayClassName)
	if class, ours := s.KubeGatewayClass(name); ours && class.Controller == controllerWaypoint {
		return Step{}, false
	}
	return NewStep(RuleWaypointForeign, Warned, w.Ref.At("spec.gatewayClassName"), w.Name(), name), true
}

// inboundBinding is the annotation of step 2, and where it stands; empty for none, and for one that istiod can not read.
func (s *Snapshot) inboundBinding(gateway *k8sgateway.Gateway) (string, Ref) {
	name := annotation.AmbientWaypointInboundBinding.Name
	value, own := gateway.Annotations[name]
	at := refOf(k8sgateway.GroupName, "Gateway", gateway)
	if class, found := objectNamed(s.GatewayClasses, "", string(gateway.Spec.GatewayClassName)); !own && found {
		value, at = class.Annotations[name], refOf(k8sgateway.GroupName, "GatewayClass", class)
	}
	if protocol, rest, _ := strings.Cut(value, "/"); protocol != "PROXY" && protocol != "NONE" || strings.Contains(rest, "/") {
		return "", Ref{}
	}
	return value, at.At("metadata.annotations[" + name + "]")
}

// inboundListener is step 3: the listener of a waypoint, below 0 for none.
func (s *Snapshot) inboundListener(gateway *k8sgateway.Gateway) int {
	value, _ := s.inboundBinding(gateway)
	protocol, port, _ := strings.Cut(value, "/")
	number, _ := strconv.ParseUint(port, 10, 32) // one that can not be read is none
	i := slices.IndexFunc(gateway.Spec.Listeners, func(l k8sgateway.Listener) bool {
		if number != 0 {
			return uint64(l.Port) == number
		}
		return protocol == "PROXY" && l.Protocol == sandwichProtocol
	})
	if i >= 0 {
		return i
	}
	return slices.IndexFunc(gateway.Spec.Listeners, func(l k8sgateway.Listener) bool { return l.Protocol == "HBONE" && l.Port == hbonePort })
}
