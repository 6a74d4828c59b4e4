package resolve

import (
	"cmp"
	"maps"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What istiod does not see at all.
//
//  1. meshConfig.discoverySelectors are OR-ed label selectors on namespaces;
//     nothing in a namespace that none selects exists for istiod. The root
//     namespace is not exempt. An empty list selects every namespace.
//  2. An Istio resource with the label istio.io/rev counts only for the control
//     plane of that very revision; tags are not resolved. Without the label it counts for all.
//  3. So it is with the kinds of the Gateway API, but for Gateway: every control plane builds the configuration of
//     every Gateway, whichever deploys it.
//  4. A kind of the Gateway API whose CRD is too old is not watched (gatewaycrd.go).
//
// Source: pkg/kube/namespace/filter.go; pkg/config/model.go, LabelsInRevision;
// pilot/pkg/config/kube/gateway/controller.go, buildClient.

// visible says whether istiod sees the resource, and if not, why.
func (s *Snapshot) visible(r Sourced) (hidden Hidden, ok bool) {
	hidden = Hidden{Ref: refOf(r.GroupKind.Group, r.GroupKind.Kind, r.Object), object: r.Object}
	if rev, has := r.Object.GetLabels()["istio.io/rev"]; has && s.Revision != "" && rev != s.Revision && ofRevision(r.GroupKind) {
		hidden.rule, hidden.facts = RuleHiddenRevision, []any{rev, s.Revision}
		return hidden, false
	}
	if ns := r.Object.GetNamespace(); ns != "" && !s.discovered(ns) {
		hidden.rule, hidden.facts = RuleHiddenNamespace, []any{ns}
		return hidden, false
	}
	if bundle, needs, ok := s.watched(r.GroupKind); !ok {
		hidden.rule, hidden.facts = RuleHiddenBundle, []any{needs.CRD, cmp.Or(bundle, "none"), needs.Minimum}
		return hidden, false
	}
	return Hidden{}, true
}

// ofRevision reports whether the label istio.io/rev on a resource says which control plane reads it.
func ofRevision(gk schema.GroupKind) bool {
	switch gk.Group {
	case kubeGatewayGroup:
		return gk.Kind != "Gateway"
	case "gateway.networking.x-k8s.io", "inference.networking.k8s.io",
		"networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io":
		return true
	}
	return false
}

// discovered reports whether a discovery selector takes the namespace.
func (s *Snapshot) discovered(namespace string) bool {
	selectors := s.Mesh.GetDiscoverySelectors()
	if len(selectors) == 0 {
		return true
	}
	if _, known := s.Namespaces[namespace]; !known && len(s.GapsOf(namespaceKind)) > 0 {
		return true // see RuleGapNamespaces
	}
	set := s.namespaceLabels(namespace)
	for _, sel := range selectors {
		if selects(sel, set) {
			return true
		}
	}
	return false
}

// namespaceLabels are a namespace's labels, with the one that Kubernetes gives each of them.
func (s *Snapshot) namespaceLabels(namespace string) labels.Set {
	set := labels.Set{"kubernetes.io/metadata.name": namespace}
	if ns, known := s.Namespaces[namespace]; known {
		maps.Copy(set, ns.Labels)
	}
	return set
}
