package resolve

import (
	"slices"

	mesh "istio.io/api/mesh/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// How far meshConfig.serviceEntryVisibility lets a ServiceEntry be seen.
//
//  1. The first policy whose rules all select the labels of the ServiceEntry's namespace gives the
//     visibility; a policy without rules takes every namespace. Where none does, defaultVisibility counts.
//  2. ztunnels and waypoints heed it always. Sidecars and gateways heed it only with applyToSidecars. It takes away and never adds:
//     NAMESPACE leaves of exportTo the own namespace, if that is in it; NONE leaves nothing.
//
// Source: pilot/pkg/model/serviceentry_visibility.go, VisibilityFor; push_context.go, serviceExportTo.

// RuleServiceEntryVisibility is of a ServiceEntry that the mesh config hides.
const RuleServiceEntryVisibility RuleID = "service/entry-visibility"

var serviceEntryVisibilityRules = []Rule{
	{
		ID: RuleServiceEntryVisibility, Stage: StageSidecar,
		Says:     "meshConfig.serviceEntryVisibility with applyToSidecars keeps a ServiceEntry to its own namespace (NAMESPACE) or from all (NONE), whatever its exportTo says.",
		Template: "meshConfig.serviceEntryVisibility gives ServiceEntry %s visibility %s: namespace %s does not know it",
		Source:   "pilot/pkg/model/push_context.go, serviceExportTo",
	},
}

// capExport limits the export of a ServiceEntry's services.
func (s *Snapshot) capExport(services []*Service) {
	config := s.Mesh.GetServiceEntryVisibility()
	if !config.GetApplyToSidecars() {
		return
	}
	for _, svc := range services {
		visibility := entryVisibility(config, s.namespaceLabels(svc.Namespace))
		switch {
		case svc.ExportTo.none: // its own doing
		case visibility == mesh.ServiceEntryVisibility_NAMESPACE && svc.ExportTo.VisibleIn(svc.Namespace):
			svc.capped, svc.ExportTo = visibility, ExportTo{namespaces: []string{svc.Namespace}}
		case visibility == mesh.ServiceEntryVisibility_NAMESPACE, visibility == mesh.ServiceEntryVisibility_NONE:
			svc.capped, svc.ExportTo = visibility, ExportTo{none: true}
		}
	}
}

// visibilityAtZtunnel is how far ztunnels and waypoints see a ServiceEntry's host.
func (s *Snapshot) visibilityAtZtunnel(svc *Service) mesh.ServiceEntryVisibility_Visibility {
	return entryVisibility(s.Mesh.GetServiceEntryVisibility(), s.namespaceLabels(svc.Namespace))
}

func entryVisibility(config *mesh.ServiceEntryVisibility, namespace labels.Set) mesh.ServiceEntryVisibility_Visibility {
	outside := func(r *mesh.ServiceEntryVisibility_MatchRule) bool {
		return r.GetNamespaceSelector() == nil || !selects(r.GetNamespaceSelector(), namespace)
	}
	for _, p := range config.GetPolicies() {
		if !slices.ContainsFunc(p.GetMatchingRules(), outside) {
			return p.GetVisibility()
		}
	}
	return config.GetDefaultVisibility()
}

// CappedFor says that the mesh config, and not exportTo, hides the service from a namespace.
func (s *Snapshot) CappedFor(svc *Service, namespace string, v Verdict) (Step, bool) {
	if svc.capped == mesh.ServiceEntryVisibility_VISIBILITY_UNSPECIFIED || svc.ExportTo.VisibleIn(namespace) {
		return Step{}, false
	}
	return NewStep(RuleServiceEntryVisibility, v, s.Mesh.Ref.At("serviceEntryVisibility"), svc.Ref.QualifiedName(), svc.capped.String(), namespace), true
}

// selects reports whether a selector of the mesh config takes a namespace's labels; a selector that cannot be read takes none.
func selects(sel *mesh.LabelSelector, namespace labels.Set) bool {
	ls := &metav1.LabelSelector{MatchLabels: sel.GetMatchLabels()}
	for _, e := range sel.GetMatchExpressions() {
		ls.MatchExpressions = append(ls.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: e.GetKey(), Operator: metav1.LabelSelectorOperator(e.GetOperator()), Values: e.GetValues(),
		})
	}
	selector, err := metav1.LabelSelectorAsSelector(ls)
	return err == nil && selector.Matches(namespace)
}
