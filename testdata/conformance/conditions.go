package conformance

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"

	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/pilot"
)

// The status that istiod writes of routes and listeners, held against what the tracer says it would be: for each parent of a
// route Accepted and ResolvedRefs, for each listener Accepted, ResolvedRefs, Conflicted and
// attachedRoutes. Messages, and what
// depends on the addresses a cloud gives, are not compared, nor Gateways of ambient mode.

func conditions(s *resolve.Snapshot, c *apiserver.Cluster, w *pilot.World) string {
	var ours []string
	ambient := map[resolve.Ref]bool{}
	for _, gw := range s.KubeGateways {
		name := gw.Spec.GatewayClassName
		ambient[resolve.Ref{Group: k8sgateway.GroupName, Kind: "Gateway", Namespace: gw.Namespace, Name: gw.Name}] = name == "istio-waypoint" || name == "istio-east-west"
	}
	for _, k := range s.KubeConditions() {
		if ambient[k.Ref.Object()] {
			continue
		}
		ours = append(ours, fmt.Sprintf("%s %s: %s", k.Ref, k.Type, k.Reason))
	}
	p := published{written: map[string]any{}}
	for r, status := range w.Statuses() {
		p.written[r.Resource+" "+r.Namespace+"/"+r.Name] = status
	}
	for _, o := range c.Objects {
		switch x := o.(type) {
		case *k8sgateway.HTTPRoute:
			if st, ok := p.written["httproutes "+x.Namespace+"/"+x.Name].(*k8sgateway.HTTPRouteStatus); ok {
				p.route("HTTPRoute "+x.Namespace+"/"+x.Name, x.Spec.ParentRefs, st.Parents)
			}
		case *k8sgateway.GRPCRoute:
			if st, ok := p.written["grpcroutes "+x.Namespace+"/"+x.Name].(*k8sgateway.GRPCRouteStatus); ok {
				p.route("GRPCRoute "+x.Namespace+"/"+x.Name, x.Spec.ParentRefs, st.Parents)
			}
		case *k8sgateway.TLSRoute:
			if st, ok := p.written["tlsroutes "+x.Namespace+"/"+x.Name].(*k8sgateway.TLSRouteStatus); ok {
				p.route("TLSRoute "+x.Namespace+"/"+x.Name, x.Spec.ParentRefs, st.Parents)
			}
		case *k8sgateway.TCPRoute:
			if st, ok := p.written["tcproutes "+x.Namespace+"/"+x.Name].(*k8sgateway.TCPRouteStatus); ok {
				p.route("TCPRoute "+x.Namespace+"/"+x.Name, x.Spec.ParentRefs, st.Parents)
			}
		case *k8sgateway.Gateway:
			st, ok := p.written["gateways "+x.Namespace+"/"+x.Name].(*k8sgateway.GatewayStatus)
			if ambient := x.Spec.GatewayClassName == "istio-waypoint" || x.Spec.GatewayClassName == "istio-east-west"; ok && !ambient {
				p.listeners("Gateway "+x.Namespace+"/"+x.Name, st.Listeners)
			}
		case *k8sgateway.ListenerSet:
			if st, ok := p.written["listenersets "+x.Namespace+"/"+x.Name].(*k8sgateway.ListenerSetStatus); ok {
				var all []k8sgateway.ListenerStatus
				for _, l := range st.Listeners {
					all = append(all, k8sgateway.ListenerStatus{Name: l.Name, AttachedRoutes: l.AttachedRoutes, Conditions: l.Conditions})
				}
				p.listeners("ListenerSet "+x.Namespace+"/"+x.Name, all)
			}
		}
	}
	slices.Sort(ours)
	slices.Sort(p.lines)
	return difference(p.lines, ours)
}

// published collects what istiod writes.
type published struct {
	written map[string]any
	lines   []string
}

func (p *published) route(name string, refs []k8sgateway.ParentReference, parents []k8sgateway.RouteParentStatus) {
	for _, parent := range parents {
		at := slices.IndexFunc(refs, func(r k8sgateway.ParentReference) bool { return reflect.DeepEqual(r, parent.ParentRef) })
		if at < 0 || parent.ControllerName != "istio.io/gateway-controller" {
			continue
		}
		for _, c := range parent.Conditions {
			if c.Type == "Accepted" || c.Type == "ResolvedRefs" {
				p.lines = append(p.lines, fmt.Sprintf("%s spec.parentRefs[%d] %s: %s", name, at, c.Type, c.Reason))
			}
		}
	}
}

func (p *published) listeners(name string, listeners []k8sgateway.ListenerStatus) {
	for i, l := range listeners {
		at := name + " spec.listeners[" + strconv.Itoa(i) + "] "
		for _, c := range l.Conditions {
			if c.Type == "Accepted" || c.Type == "Conflicted" || c.Type == "ResolvedRefs" {
				p.lines = append(p.lines, at+c.Type+": "+c.Reason)
			}
		}
		p.lines = append(p.lines, fmt.Sprintf("%sattachedRoutes: %d", at, l.AttachedRoutes))
	}
}
