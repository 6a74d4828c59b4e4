package gatewayapi

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// controller is the name of istiod in conditions.
const controller = k8sgateway.GatewayController("istio.io/gateway-controller")

// verdicts are the tracer's, by object or field.
type verdicts map[resolve.Ref][]resolve.KubeCondition

// of is one of them; zero for none.
func (v verdicts) of(ref resolve.Ref, kind string) resolve.KubeCondition {
	for _, k := range v[ref] {
		if k.Type == kind {
			return k
		}
	}
	return resolve.KubeCondition{}
}

// say writes what the tracer says of an object or field.
func say(all *[]metav1.Condition, generation int64, told []resolve.KubeCondition) {
	for _, k := range told {
		if k.Status != "" { // a count has none
			condition(all, generation, k.Type, k.Status == metav1.ConditionTrue, k.Reason)
		}
	}
}

// publish writes into the status of the objects what the tracer says istiod would.
func (c *Cluster) publish(ctx context.Context, w *world) error {
	v := verdicts{}
	for _, k := range w.snapshot.KubeConditions() {
		v[k.Ref] = append(v[k.Ref], k)
	}
	for _, step := range []func(context.Context, *resolve.Snapshot, verdicts) error{c.publishClasses, c.publishGateways, c.publishListenerSets, c.publishRoutes, c.publishPolicies} {
		if err := step(ctx, w.snapshot, v); err != nil {
			return err
		}
	}
	return nil
}

// write stores the status that set makes.
func write[T client.Object](ctx context.Context, c *Cluster, key client.ObjectKey, o T, set func(T)) error {
	if err := c.raw.Get(ctx, key, o); err != nil {
		return err
	}
	set(o)
	if err := c.raw.Status().Update(ctx, o); err != nil {
		return fmt.Errorf("status of %s: %w", key, err)
	}
	return nil
}

func (c *Cluster) publishClasses(ctx context.Context, s *resolve.Snapshot, _ verdicts) error {
	for _, class := range s.GatewayClasses {
		if class.Spec.ControllerName != controller {
			continue
		}
		if err := write(ctx, c, client.ObjectKeyFromObject(class), &k8sgateway.GatewayClass{}, func(o *k8sgateway.GatewayClass) {
			condition(&o.Status.Conditions, o.Generation, "Accepted", true, "Accepted")
		}); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) publishGateways(ctx context.Context, s *resolve.Snapshot, v verdicts) error {
	for _, gw := range s.KubeGateways {
		ref := objectRef("Gateway", gw)
		if err := c.onGateway(c.addressOf(gw), gw); err != nil {
			return err
		}
		if err := write(ctx, c, client.ObjectKeyFromObject(gw), &k8sgateway.Gateway{}, func(o *k8sgateway.Gateway) {
			ip := k8sgateway.IPAddressType
			o.Status.Addresses = []k8sgateway.GatewayStatusAddress{{Type: &ip, Value: c.addressOf(o)}}
			condition(&o.Status.Conditions, o.Generation, "Accepted", true, "Accepted")
			condition(&o.Status.Conditions, o.Generation, "Programmed", true, "Programmed")
			say(&o.Status.Conditions, o.Generation, v[ref])
			if t := o.Spec.TLS; t != nil && t.Frontend != nil && insecure(t.Frontend) {
				condition(&o.Status.Conditions, o.Generation, string(k8sgateway.GatewayConditionInsecureFrontendValidationMode), true, string(k8sgateway.GatewayReasonConfigurationChanged))
			}
			o.Status.Listeners = listenerStatuses(o.Spec.Listeners, o.Status.Listeners, o.Generation, ref, v)
			sets := int32(0)
			for _, set := range s.ListenerSets {
				if name := set.Spec.ParentRef.Name; string(name) == o.Name && anyAccepted(v, objectRef("ListenerSet", set), len(set.Spec.Listeners)) {
					sets++
				}
			}
			o.Status.AttachedListenerSets = &sets
		}); err != nil {
			return err
		}
	}
	return nil
}

// insecure reports whether some port takes clients whose certificate proves nothing.
func insecure(f *k8sgateway.FrontendTLSConfig) bool {
	falls := func(c k8sgateway.TLSConfig) bool {
		return c.Validation != nil && c.Validation.Mode == k8sgateway.AllowInsecureFallback
	}
	return falls(f.Default) || slices.ContainsFunc(f.PerPort, func(p k8sgateway.TLSPortConfig) bool { return falls(p.TLS) })
}

func anyAccepted(v verdicts, set resolve.Ref, listeners int) bool {
	for i := range listeners {
		if v.of(at(set, "spec.listeners", i), "Accepted").Status == metav1.ConditionTrue {
			return true
		}
	}
	return false
}

func (c *Cluster) publishListenerSets(ctx context.Context, s *resolve.Snapshot, v verdicts) error {
	for _, set := range s.ListenerSets {
		ref := objectRef("ListenerSet", set)
		if err := write(ctx, c, client.ObjectKeyFromObject(set), &k8sgateway.ListenerSet{}, func(o *k8sgateway.ListenerSet) {
			entries, before := make([]k8sgateway.Listener, len(o.Spec.Listeners)), make([]k8sgateway.ListenerStatus, len(o.Status.Listeners))
			for i, l := range o.Spec.Listeners {
				entries[i] = k8sgateway.Listener(l)
			}
			for i, l := range o.Status.Listeners {
				before[i] = k8sgateway.ListenerStatus(l)
			}
			accepted, reason := anyAccepted(v, ref, len(entries)), "Accepted"
			switch {
			case len(v[at(ref, "spec.listeners", 0)]) == 0:
				reason = "NotAllowed"
			case !accepted:
				reason = "ListenersNotValid"
			}
			condition(&o.Status.Conditions, o.Generation, "Accepted", accepted, reason)
			if accepted {
				reason = "Programmed"
			}
			condition(&o.Status.Conditions, o.Generation, "Programmed", accepted, reason)
			o.Status.Listeners = nil
			if len(v[at(ref, "spec.listeners", 0)]) > 0 {
				for _, l := range listenerStatuses(entries, before, o.Generation, ref, v) {
					o.Status.Listeners = append(o.Status.Listeners, k8sgateway.ListenerEntryStatus(l))
				}
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

func listenerStatuses(listeners []k8sgateway.Listener, before []k8sgateway.ListenerStatus, generation int64, parent resolve.Ref, v verdicts) []k8sgateway.ListenerStatus {
	var out []k8sgateway.ListenerStatus
	for i, l := range listeners {
		ref := at(parent, "spec.listeners", i)
		one := k8sgateway.ListenerStatus{Name: l.Name, SupportedKinds: supportedKinds(l)}
		for _, b := range before {
			if b.Name == l.Name {
				one.Conditions = b.Conditions
			}
		}
		routes, _ := strconv.Atoi(v.of(ref, "attachedRoutes").Reason)
		one.AttachedRoutes = int32(routes)
		say(&one.Conditions, generation, v[ref])
		out = append(out, one)
	}
	return out
}

// supportedKinds are the routes that Istio takes at a listener.
// Source: pilot/pkg/config/kube/gatewaycommon/conversion.go, GenerateGatewaySupportedKinds.
func supportedKinds(l k8sgateway.Listener) []k8sgateway.RouteGroupKind {
	names := map[k8sgateway.ProtocolType][]k8sgateway.Kind{
		k8sgateway.HTTPProtocolType: {"HTTPRoute", "GRPCRoute"}, k8sgateway.HTTPSProtocolType: {"HTTPRoute", "GRPCRoute"},
		k8sgateway.TCPProtocolType: {"TCPRoute"}, k8sgateway.TLSProtocolType: {"TLSRoute", "TCPRoute"},
	}[l.Protocol]
	if l.Protocol == k8sgateway.TLSProtocolType && l.TLS != nil && l.TLS.Mode != nil && *l.TLS.Mode == k8sgateway.TLSModePassthrough {
		names = names[:1]
	}
	out := []k8sgateway.RouteGroupKind{}
	group := k8sgateway.Group(k8sgateway.GroupName)
	for _, name := range names {
		allowed := l.AllowedRoutes == nil || len(l.AllowedRoutes.Kinds) == 0
		if !allowed {
			for _, k := range l.AllowedRoutes.Kinds {
				allowed = allowed || k.Kind == name && (k.Group == nil || *k.Group == group)
			}
		}
		if allowed {
			out = append(out, k8sgateway.RouteGroupKind{Group: &group, Kind: name})
		}
	}
	return out
}

func (c *Cluster) publishRoutes(ctx context.Context, s *resolve.Snapshot, v verdicts) error {
	for _, r := range s.HTTPRoutes {
		if err := write(ctx, c, client.ObjectKeyFromObject(r), &k8sgateway.HTTPRoute{}, func(o *k8sgateway.HTTPRoute) {
			o.Status.RouteStatus = routeStatus(o.Spec.ParentRefs, o.Status.RouteStatus, o.Generation, objectRef("HTTPRoute", o), v)
		}); err != nil {
			return err
		}
	}
	for _, r := range s.GRPCRoutes {
		if err := write(ctx, c, client.ObjectKeyFromObject(r), &k8sgateway.GRPCRoute{}, func(o *k8sgateway.GRPCRoute) {
			o.Status.RouteStatus = routeStatus(o.Spec.ParentRefs, o.Status.RouteStatus, o.Generation, objectRef("GRPCRoute", o), v)
		}); err != nil {
			return err
		}
	}
	for _, r := range s.TLSRoutes {
		if err := write(ctx, c, client.ObjectKeyFromObject(r), &k8sgateway.TLSRoute{}, func(o *k8sgateway.TLSRoute) {
			o.Status.RouteStatus = routeStatus(o.Spec.ParentRefs, o.Status.RouteStatus, o.Generation, objectRef("TLSRoute", o), v)
		}); err != nil {
			return err
		}
	}
	for _, r := range s.TCPRoutes {
		if err := write(ctx, c, client.ObjectKeyFromObject(r), &k8sgateway.TCPRoute{}, func(o *k8sgateway.TCPRoute) {
			o.Status.RouteStatus = routeStatus(o.Spec.ParentRefs, o.Status.RouteStatus, o.Generation, objectRef("TCPRoute", o), v)
		}); err != nil {
			return err
		}
	}
	return nil
}

func routeStatus(parents []k8sgateway.ParentReference, before k8sgateway.RouteStatus, generation int64, route resolve.Ref, v verdicts) k8sgateway.RouteStatus {
	out := k8sgateway.RouteStatus{Parents: []k8sgateway.RouteParentStatus{}}
	for i, p := range parents {
		told := v[at(route, "spec.parentRefs", i)]
		if told == nil {
			continue
		}
		one := k8sgateway.RouteParentStatus{ParentRef: p, ControllerName: controller}
		if i < len(before.Parents) {
			one.Conditions = before.Parents[i].Conditions
		}
		say(&one.Conditions, generation, told)
		out.Parents = append(out.Parents, one)
	}
	return out
}

func condition(all *[]metav1.Condition, generation int64, kind string, holds bool, reason string) {
	status := metav1.ConditionFalse
	if holds {
		status = metav1.ConditionTrue
	}
	if reason == "" {
		reason = "Unknown"
	}
	meta.SetStatusCondition(all, metav1.Condition{Type: kind, Status: status, Reason: reason, ObservedGeneration: generation, Message: "as the trace says"})
}

func objectRef(kind string, o client.Object) resolve.Ref {
	return resolve.Ref{Group: k8sgateway.GroupName, Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}
}

func at(ref resolve.Ref, list string, i int) resolve.Ref {
	return ref.At(fmt.Sprintf("%s[%d]", list, i))
}
