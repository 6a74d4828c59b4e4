package resolve

import (
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Classes of Gateway API Gateways.
//
//  1. A GatewayClass is Istio's by its controllerName, whatever its name.
//  2. Istio's own class names work without a GatewayClass object.
//  3. An object of such a name with another controller is not found by istiod, which then takes the built-in one
//     for routing.
//
// Source: pilot/pkg/config/kube/gatewaycommon/classinfo.go, GetClassInfos; gatewayclass_collection.go, FetchGatewayClass.

// Rules of classes.
const (
	RuleGatewayClass        RuleID = "gatewayclass/istio"
	RuleGatewayClassOther   RuleID = "gatewayclass/other-controller"
	RuleGatewayClassForeign RuleID = "gatewayclass/not-istio"
)

var gatewayClassRules = []Rule{{
	ID: RuleGatewayClass, Stage: StageGateway, Detail: true,
	Says:     "A GatewayClass is Istio's by its spec.controllerName, whatever its name.",
	Template: "controller %s is Istio's, and so is %s",
	Source:   "pilot/pkg/config/kube/gatewaycommon/gatewayclass_collection.go, GatewayClassesCollection",
}, {
	ID: RuleGatewayClassOther, Stage: StageGateway, Detail: true,
	Says:     "Istio does not read a GatewayClass of another controller.",
	Template: "controller %s is not Istio's",
	Source:   "pilot/pkg/config/kube/gatewaycommon/gatewayclass_collection.go, GatewayClassesCollection",
}, {
	ID: RuleGatewayClassForeign, Stage: StageGateway,
	Says:     "Istio reads the Gateways of its own GatewayClasses alone, told by spec.controllerName; the names istio, istio-remote, istio-waypoint and istio-east-west need no GatewayClass.",
	Template: "is of class %s, which is not Istio's (%s): another controller serves it",
	Source:   "pilot/pkg/config/kube/gatewaycommon/gatewayclass_collection.go, FetchGatewayClass",
}}

// The controllers of Istio's classes.
const (
	controllerGateway  = "istio.io/gateway-controller"
	controllerRemote   = "istio.io/unmanaged-gateway"
	controllerWaypoint = "istio.io/mesh-controller"
	controllerEastWest = "istio.io/eastwest-controller"
)

// GatewayClass is what istiod does for Gateways of one class.
type GatewayClass struct {
	Name       string
	Controller k8sgateway.GatewayController
	// Ref is the GatewayClass; zero for a built-in one.
	Ref Ref
	// Deploys is set where istiod makes a Deployment and a Service of its own for each Gateway.
	Deploys bool
	// ServiceType is that of the Service.
	ServiceType string
	// PlainName is set where they are called as the Gateway, without the class behind it.
	PlainName bool
	// ListenerSets is set where ListenerSets can add listeners.
	ListenerSets bool
	// Routes is set where routes attach to its listeners.
	Routes bool
}

var gatewayClasses = map[k8sgateway.GatewayController]GatewayClass{
	controllerGateway:  {Deploys: true, ServiceType: "LoadBalancer", ListenerSets: true, Routes: true},
	controllerRemote:   {},
	controllerWaypoint: {Deploys: true, ServiceType: "ClusterIP", PlainName: true},
	controllerEastWest: {Deploys: true, ServiceType: "LoadBalancer", PlainName: true, Routes: true},
}

var builtInGatewayClasses = map[string]k8sgateway.GatewayController{
	"istio": controllerGateway, "istio-remote": controllerRemote,
	"istio-waypoint": controllerWaypoint, "istio-east-west": controllerEastWest,
}

// KubeGatewayClass is the class of a name, if it is Istio's.
func (s *Snapshot) KubeGatewayClass(name string) (GatewayClass, bool) {
	controller, ref := builtInGatewayClasses[name], Ref{}
	if o, found := objectNamed(s.GatewayClasses, "", name); found {
		if _, known := gatewayClasses[o.Spec.ControllerName]; known {
			controller, ref = o.Spec.ControllerName, refOf(k8sgateway.GroupName, "GatewayClass", o)
		}
	}
	class, ok := gatewayClasses[controller]
	class.Name, class.Controller, class.Ref = name, controller, ref
	return class, ok
}

// foreignClass says that a Gateway's class is not Istio's, and by which object it is another's.
func (s *Snapshot) foreignClass(gateway Ref, name string) []Step {
	at, controller := gateway.At("spec.gatewayClassName"), "no GatewayClass of that name"
	object, found := objectNamed(s.GatewayClasses, "", name)
	if found {
		controller = "controller " + string(object.Spec.ControllerName)
	}
	step := NewStep(RuleGatewayClassForeign, Skipped, at, name, controller)
	if !found {
		return []Step{step}
	}
	return []Step{otherClass(object), step}
}

// otherClass tells of a GatewayClass that is not Istio's.
func otherClass(o *k8sgateway.GatewayClass) Step {
	return NewStep(RuleGatewayClassOther, Skipped, refOf(k8sgateway.GroupName, "GatewayClass", o).At("spec.controllerName"), string(o.Spec.ControllerName))
}

// ofOtherController is the GatewayClass of that name, if its controller is not Istio's.
func (s *Snapshot) ofOtherController(class string) (*k8sgateway.GatewayClass, bool) {
	o, found := objectNamed(s.GatewayClasses, "", class)
	if !found {
		return nil, false
	}
	_, known := gatewayClasses[o.Spec.ControllerName]
	return o, !known
}
