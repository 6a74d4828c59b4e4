package conformance

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// kubeRoute is what routes of the Gateway API have in common, whatever their kind.
type kubeRoute struct {
	kind, namespace, name string
	parents               []k8sgateway.ParentReference
	hostnames             []k8sgateway.Hostname
}

// routeOf is the object as a route, if it is one.
func routeOf(o any) (kubeRoute, bool) {
	made := func(kind string, m metav1.ObjectMeta, spec k8sgateway.CommonRouteSpec, hostnames []k8sgateway.Hostname) (kubeRoute, bool) {
		return kubeRoute{kind, m.Namespace, m.Name, spec.ParentRefs, hostnames}, true
	}
	switch r := o.(type) {
	case *k8sgateway.HTTPRoute:
		return made("HTTPRoute", r.ObjectMeta, r.Spec.CommonRouteSpec, r.Spec.Hostnames)
	case *k8sgateway.GRPCRoute:
		return made("GRPCRoute", r.ObjectMeta, r.Spec.CommonRouteSpec, r.Spec.Hostnames)
	case *k8sgateway.TLSRoute:
		return made("TLSRoute", r.ObjectMeta, r.Spec.CommonRouteSpec, r.Spec.Hostnames)
	case *k8sgateway.TCPRoute:
		return made("TCPRoute", r.ObjectMeta, r.Spec.CommonRouteSpec, nil)
	}
	return kubeRoute{}, false
}

// routeParents are what a route's status says of its parents.
func routeParents(status any) []k8sgateway.RouteParentStatus {
	switch st := status.(type) {
	case *k8sgateway.HTTPRouteStatus:
		return st.Parents
	case *k8sgateway.GRPCRouteStatus:
		return st.Parents
	case *k8sgateway.TLSRouteStatus:
		return st.Parents
	case *k8sgateway.TCPRouteStatus:
		return st.Parents
	}
	return nil
}
