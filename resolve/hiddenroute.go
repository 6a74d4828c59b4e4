package resolve

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// RuleHiddenCRD names the CRD for whose age a kind of the Gateway API is not watched.
const RuleHiddenCRD RuleID = "hidden/crd"

// HiddenKubeRoutes tells of every route of the Gateway API that has a Gateway of the workload as parent and that istiod does not see.
// Those of a ListenerSet are left out.
func (s *Snapshot) HiddenKubeRoutes(w *Workload) []Step {
	var steps []Step
	served := s.gatewaysServedBy(w)
	for _, h := range s.Hidden {
		if !slices.ContainsFunc(routeParents(h.object), func(p k8sgateway.ParentReference) bool {
			return slices.ContainsFunc(served, func(g *kubeGateway) bool {
				return string(ptr.Deref(p.Kind, "Gateway")) == g.ref.Kind && string(p.Name) == g.ref.Name &&
					string(ptr.Deref(p.Namespace, k8sgateway.Namespace(h.Ref.Namespace))) == g.ref.Namespace
			})
		}) {
			continue
		}
		steps = append(steps, h.step(StageGateway))
		if h.rule == RuleHiddenBundle {
			needs, _ := NeedsBundle(schema.GroupKind{Group: h.Ref.Group, Kind: h.Ref.Kind})
			crd := Ref{Group: CRDKind.Group, Kind: CRDKind.Kind, Name: needs.CRD}
			steps = append(steps, NewStep(RuleHiddenCRD, Skipped, crd.At("metadata.annotations"), h.facts[1], h.Ref.Kind, needs.Minimum))
		}
	}
	return slices.CompactFunc(steps, func(a, b Step) bool { return a.Rule == b.Rule && a.Ref == b.Ref })
}

// routeParents are the parentRefs of a route of the Gateway API; none for another object.
func routeParents(object Object) []k8sgateway.ParentReference {
	switch o := object.(type) {
	case *k8sgateway.HTTPRoute:
		return o.Spec.ParentRefs
	case *k8sgateway.GRPCRoute:
		return o.Spec.ParentRefs
	case *k8sgateway.TLSRoute:
		return o.Spec.ParentRefs
	case *k8sgateway.TCPRoute:
		return o.Spec.ParentRefs
	}
	return nil
}
