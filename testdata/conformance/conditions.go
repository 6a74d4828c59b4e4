package conformance

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"istio.io/istio/pilot/pkg/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
)

// The status that istiod writes, held against what the tracer says it would be: for each parent of a route and each
// target of a BackendTLSPolicy Accepted and ResolvedRefs, for each listener Accepted, ResolvedRefs, Programmed, Conflicted and
// attachedRoutes, for each Gateway and ListenerSet Accepted; status and reason. Messages, and what depends on the addresses a
// cloud gives, are not compared, nor Gateways of ambient mode, nor a Gateway whose parameters are in a ConfigMap.

func conditions(s *resolve.Snapshot, c *apiserver.Cluster, statuses map[status.Resource]any) string {
	var ours []string
	ambient, inMap := map[resolve.Ref]bool{}, map[string]bool{}
	for _, gw := range s.KubeGateways {
		name := gw.Spec.GatewayClassName
		if infra := gw.Spec.Infrastructure; infra != nil && infra.ParametersRef != nil && infra.ParametersRef.Kind == "ConfigMap" {
			inMap[gw.Namespace+"/"+gw.Name] = true
		}
		ambient[resolve.Ref{Group: k8sgateway.GroupName, Kind: "Gateway", Namespace: gw.Namespace, Name: gw.Name}] = name == "istio-waypoint" || name == "istio-east-west"
	}
	for _, k := range s.KubeConditions() {
		if ambient[k.Ref.Object()] {
			continue
		}
		ours = append(ours, conditionLine(k.Ref.String(), k.Type, string(k.Status), k.Reason))
	}
	p := &published{written: map[string]any{}}
	for r, written := range statuses {
		p.written[r.Resource+" "+r.Namespace+"/"+r.Name] = written
	}
	for _, o := range c.Objects {
		if r, ok := routeOf(o); ok {
			p.route(r)
		}
		switch x := o.(type) {
		case *k8sgateway.BackendTLSPolicy:
			if st, ok := written[k8sgateway.PolicyStatus](p, "backendtlspolicies", x); ok {
				p.policy(x, st.Ancestors)
			}
		case *k8sgateway.Gateway:
			st, ok := written[k8sgateway.GatewayStatus](p, "gateways", x)
			if ambient := x.Spec.GatewayClassName == "istio-waypoint" || x.Spec.GatewayClassName == "istio-east-west"; ok && !ambient {
				p.listeners("Gateway "+x.Namespace+"/"+x.Name, st.Listeners)
				if !inMap[x.Namespace+"/"+x.Name] {
					p.accepted("Gateway "+x.Namespace+"/"+x.Name, st.Conditions)
				}
			}
		case *k8sgateway.ListenerSet:
			if st, ok := written[k8sgateway.ListenerSetStatus](p, "listenersets", x); ok {
				var all []k8sgateway.ListenerStatus
				for _, l := range st.Listeners {
					all = append(all, k8sgateway.ListenerStatus{Name: l.Name, AttachedRoutes: l.AttachedRoutes, Conditions: l.Conditions})
				}
				p.listeners("ListenerSet "+x.Namespace+"/"+x.Name, all)
				p.accepted("ListenerSet "+x.Namespace+"/"+x.Name, st.Conditions)
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

// written is the status of an object of that resource.
func written[T any](p *published, resource string, o metav1.Object) (*T, bool) {
	st, ok := p.written[resource+" "+o.GetNamespace()+"/"+o.GetName()].(*T)
	return st, ok
}

// policy is what is said of the targets of a policy, in their order; what is said of Gateways on the way is not compared.
func (p *published) policy(o *k8sgateway.BackendTLSPolicy, ancestors []k8sgateway.PolicyAncestorStatus) {
	i := 0
	for _, a := range ancestors {
		if a.ControllerName != "istio.io/mesh-controller" {
			continue
		}
		for _, c := range a.Conditions {
			p.lines = append(p.lines, conditionLine(fmt.Sprintf("BackendTLSPolicy %s/%s spec.targetRefs[%d]", o.Namespace, o.Name, i), c.Type, string(c.Status), c.Reason))
		}
		i++
	}
}

func (p *published) route(r kubeRoute) {
	name := r.namespace + "/" + r.name
	for _, parent := range routeParents(p.written[strings.ToLower(r.kind)+"s "+name]) {
		at := slices.IndexFunc(r.parents, func(ref k8sgateway.ParentReference) bool { return reflect.DeepEqual(ref, parent.ParentRef) })
		if at < 0 || parent.ControllerName != "istio.io/gateway-controller" {
			continue
		}
		for _, c := range parent.Conditions {
			if c.Type == "Accepted" || c.Type == "ResolvedRefs" {
				p.lines = append(p.lines, conditionLine(fmt.Sprintf("%s %s spec.parentRefs[%d]", r.kind, name, at), c.Type, string(c.Status), c.Reason))
			}
		}
	}
}

func (p *published) listeners(name string, listeners []k8sgateway.ListenerStatus) {
	for i, l := range listeners {
		at := name + " spec.listeners[" + strconv.Itoa(i) + "]"
		for _, c := range l.Conditions {
			if c.Type == "Accepted" || c.Type == "Conflicted" || c.Type == "Programmed" || c.Type == "ResolvedRefs" {
				p.lines = append(p.lines, conditionLine(at, c.Type, string(c.Status), c.Reason))
			}
		}
		p.lines = append(p.lines, conditionLine(at, "attachedRoutes", "", strconv.Itoa(int(l.AttachedRoutes))))
	}
}

// accepted is the condition of a Gateway or ListenerSet itself.
func (p *published) accepted(name string, conditions []metav1.Condition) {
	for _, c := range conditions {
		if c.Type == "Accepted" {
			p.lines = append(p.lines, conditionLine(name, c.Type, string(c.Status), c.Reason))
		}
	}
}

func conditionLine(of, kind, status, reason string) string {
	return fmt.Sprintf("%s %s: %s %s", of, kind, status, reason)
}
