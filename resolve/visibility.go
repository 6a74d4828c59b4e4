package resolve

import (
	"slices"

	networking "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// What istiod does not see at all.
//
//  1. meshConfig.discoverySelectors are OR-ed label selectors on namespaces;
//     nothing in a namespace that none selects exists for istiod. The root
//     namespace is not exempt. An empty list selects every namespace.
//  2. An Istio resource with the label istio.io/rev counts only for the control
//     plane of that very revision; tags are not resolved. Without the label it counts for all.
//
// Source: pkg/kube/namespace/filter.go; pkg/config/model.go, LabelsInRevision.

// Rules of what istiod does not see.
const (
	RuleHiddenRevision      RuleID = "visibility/other-revision"
	RuleHiddenNamespace     RuleID = "visibility/namespace-not-discovered"
	RuleNamespaceDiscovered RuleID = "visibility/namespace-discovered"
)

var visibilityRules = []Rule{
	{
		ID: RuleHiddenRevision, Stage: StageHost,
		Says:     "An Istio resource with the label istio.io/rev counts only for the control plane of that very revision; tags are not resolved.",
		Template: "is for control plane revision %s (label istio.io/rev); this trace follows revision %s, which ignores it",
		Source:   "pkg/config/model.go, LabelsInRevision",
	},
	{
		ID: RuleHiddenNamespace, Stage: StageHost,
		Says:     "Nothing in a namespace that no discovery selector takes exists for istiod.",
		Template: "lives in namespace %s, which meshConfig.discoverySelectors does not select: istiod does not know it",
		Source:   "pkg/kube/namespace/filter.go",
	},
	{
		ID: RuleNamespaceDiscovered, Stage: StageHost, Detail: true,
		Says:     "A namespace that a discovery selector takes is known to istiod with all that is in it.",
		Template: "meshConfig.discoverySelectors selects namespace %s",
		Source:   "pkg/kube/namespace/filter.go",
	},
}

// hidden is a resource that istiod does not see, and why.
type hidden struct {
	object Object
	why    Step
}

// HiddenFor says of the Services, ServiceEntries and VirtualServices for one of the
// names, as a pod of the namespace writes them, that istiod does not see them, and why.
func (s *Snapshot) HiddenFor(namespace string, written ...string) []Step {
	if len(s.hidden) == 0 {
		return nil
	}
	var names []string
	for _, name := range written {
		for _, suffix := range searchDomains(namespace, s.Mesh.Domain) {
			names = append(names, name+suffix)
		}
	}
	var steps []Step
	for _, h := range s.hidden {
		if slices.ContainsFunc(s.hostsOfHidden(h.object), func(host string) bool {
			return slices.ContainsFunc(names, func(name string) bool { return HostMatches(host, name) })
		}) {
			steps = append(steps, h.why)
		}
	}
	return steps
}

func (s *Snapshot) hostsOfHidden(o Object) []string {
	switch o := o.(type) {
	case *corev1.Service:
		return []string{o.Name + "." + o.Namespace + ".svc." + s.Mesh.Domain}
	case *networking.ServiceEntry:
		return o.Spec.GetHosts()
	case *networking.VirtualService:
		var hosts []string
		for _, h := range o.Spec.GetHosts() {
			hosts = append(hosts, ExpandHost(h, o.Namespace, s.Mesh.Domain))
		}
		return hosts
	}
	return nil
}

// hiddenService finds a Service that cluster DNS knows and istiod does not.
func (s *Snapshot) hiddenService(name, namespace string) *corev1.Service {
	for _, suffix := range searchDomains(namespace, s.Mesh.Domain) {
		for _, h := range s.hidden {
			if svc, ok := h.object.(*corev1.Service); ok && slices.Contains(s.hostsOfHidden(svc), name+suffix) {
				return svc
			}
		}
	}
	return nil
}

// visible says whether istiod sees the resource, and if not, why.
func (s *Snapshot) visible(r Sourced) (why Step, ok bool) {
	ref := refOf(r.GroupKind.Group, r.GroupKind.Kind, r.Object)
	if rev, has := r.Object.GetLabels()["istio.io/rev"]; has && s.Revision != "" && rev != s.Revision && isIstioConfig(r.GroupKind.Group) {
		return NewStep(RuleHiddenRevision, Skipped, ref.At("metadata.labels[istio.io/rev]"), rev, s.Revision), false
	}
	if ns := r.Object.GetNamespace(); ns != "" && !s.discovered(ns) {
		return NewStep(RuleHiddenNamespace, Skipped, ref, ns), false
	}
	return Step{}, true
}

func isIstioConfig(group string) bool {
	switch group {
	case "networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io":
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
	set := labels.Set{"kubernetes.io/metadata.name": namespace}
	if ns := s.Namespaces[namespace]; ns != nil {
		for k, v := range ns.Labels {
			set[k] = v
		}
	}
	for _, sel := range selectors {
		ls := &metav1.LabelSelector{MatchLabels: sel.GetMatchLabels()}
		for _, e := range sel.GetMatchExpressions() {
			ls.MatchExpressions = append(ls.MatchExpressions, metav1.LabelSelectorRequirement{
				Key: e.GetKey(), Operator: metav1.LabelSelectorOperator(e.GetOperator()), Values: e.GetValues(),
			})
		}
		if selector, err := metav1.LabelSelectorAsSelector(ls); err == nil && selector.Matches(set) {
			return true
		}
	}
	return false
}
