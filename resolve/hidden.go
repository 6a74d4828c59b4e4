package resolve

import (
	"net/netip"
	"slices"
	"strings"

	networking "istio.io/client-go/pkg/apis/networking/v1"
	security "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
)

// Rules of resources that exist and that istiod does not see.
const (
	RuleHiddenRevision  RuleID = "hidden/revision"
	RuleHiddenNamespace RuleID = "hidden/discovery-selectors"
	RuleHiddenBundle    RuleID = "hidden/gateway-api-bundle"
	RuleHiddenService   RuleID = "hidden/service"
)

var hiddenRules = []Rule{
	{
		ID: RuleHiddenRevision, Stage: StageSource,
		Says:     "An Istio resource with the label istio.io/rev counts only for the control plane of that very revision.",
		Template: "is for control plane revision %s (label istio.io/rev); this trace follows revision %s, which ignores it",
		Source:   "pkg/config/model.go, LabelsInRevision",
	},
	{
		ID: RuleHiddenNamespace, Stage: StageSource,
		Says:     "Nothing in a namespace that meshConfig.discoverySelectors does not select exists for istiod.",
		Template: "lives in namespace %s, which meshConfig.discoverySelectors does not select: istiod does not know it",
		Source:   "pkg/kube/namespace/filter.go",
	},
	{
		ID: RuleHiddenBundle, Stage: StageSource,
		Says:     "istiod watches some kinds of the Gateway API only if their CRD names a bundle-version that is new enough.",
		Template: "is of a kind that istiod does not watch: the CRD %s has bundle-version %s, and Istio needs %s or later",
		Source:   "pkg/kube/kclient/crdwatcher.go, minimumVersionFilter; pkg/config/schema/gatewayapi/minimumversions.go",
	},
	{
		ID: RuleHiddenCRD, Stage: StageGateway,
		Says:     "The CRD of a kind tells by its annotation of which release of the Gateway API it is.",
		Template: "has bundle-version %s: istiod watches %ss from %s on",
		Source:   "pkg/config/schema/gatewayapi/minimumversions.go",
	},
	{
		ID: RuleHiddenService, Stage: StageDNS,
		Says:     "Cluster DNS resolves the name of every Service, also of one that istiod does not know; the sidecar then has no listener and no route for it.",
		Template: "%s resolves to Service %s (%s), which the sidecar does not know: namespace %s is not selected by meshConfig.discoverySelectors",
		Source:   "Kubernetes, DNS for Services and Pods; pkg/kube/namespace/filter.go",
	},
}

// Hidden is a resource that exists and that istiod does not see.
type Hidden struct {
	Ref    Ref
	object Object
	rule   RuleID
	facts  []any
}

// Reason says why istiod does not see it.
func (h Hidden) Reason() string { return h.step(StageSource).Reason() }

func (h Hidden) step(stage Stage) Step {
	step := NewStep(h.rule, Skipped, h.Ref, h.facts...)
	step.Stage = stage
	return step
}

// hidden are the steps of the resources of one type that would have counted.
func hidden[T Object](s *Snapshot, stage Stage, counts func(T) bool) []Step {
	var steps []Step
	for _, h := range s.Hidden {
		if o, ok := h.object.(T); ok && counts(o) {
			steps = append(steps, h.step(stage))
		}
	}
	return steps
}

// HiddenVirtualServices tells of every VirtualService that names one of the hosts and that istiod does not see.
func (s *Snapshot) HiddenVirtualServices(hosts ...string) []Step {
	return hidden(s, StageHost, func(vs *networking.VirtualService) bool {
		return slices.ContainsFunc(vs.Spec.GetHosts(), func(h string) bool {
			full := strings.ToLower(ExpandHost(h, vs.Namespace, s.Mesh.Domain))
			return slices.ContainsFunc(hosts, func(host string) bool { return HostMatches(full, strings.ToLower(host)) })
		})
	})
}

// HiddenGateways tells of every Gateway that selects the workload and that istiod does not see.
func (s *Snapshot) HiddenGateways(w *Workload) []Step {
	return hidden(s, StageGateway, func(g *networking.Gateway) bool { return Selects(g.Spec.GetSelector(), w.Labels) })
}

// HiddenServices tells of every Service and ServiceEntry of that host that istiod does not see.
func (s *Snapshot) HiddenServices(stage Stage, host string) []Step {
	host = strings.ToLower(host)
	steps := hidden(s, stage, func(svc *corev1.Service) bool {
		return host == svc.Name+"."+svc.Namespace+".svc."+s.Mesh.Domain
	})
	return append(steps, hidden(s, stage, func(se *networking.ServiceEntry) bool {
		return slices.ContainsFunc(se.Spec.GetHosts(), func(h string) bool { return HostMatches(strings.ToLower(h), host) })
	})...)
}

func (s *Snapshot) hiddenDestinationRules(host string, namespaces []string) []Step {
	return hidden(s, StageDestinationRule, func(dr *networking.DestinationRule) bool {
		full := strings.ToLower(ExpandHost(dr.Spec.GetHost(), dr.Namespace, s.Mesh.Domain))
		return slices.Contains(namespaces, dr.Namespace) && HostMatches(full, host)
	})
}

func (s *Snapshot) hiddenSidecars(w *Workload) []Step {
	return hidden(s, StageSidecar, func(sc *networking.Sidecar) bool {
		return sc.Namespace == w.Namespace && Selects(sc.Spec.GetWorkloadSelector().GetLabels(), w.Labels) ||
			sc.Namespace == s.Mesh.GetRootNamespace() && sc.Spec.GetWorkloadSelector() == nil
	})
}

func (s *Snapshot) hiddenPeerAuthentications(w *Workload) []Step {
	return hidden(s, StagePeerAuthentication, func(p *security.PeerAuthentication) bool {
		return s.policyTarget(w).reaches(p.Namespace, p.Spec.GetSelector().GetMatchLabels())
	})
}

func (s *Snapshot) hiddenRequestAuthentications(w *Workload) []Step {
	return hidden(s, StageRequestAuthentication, func(p *security.RequestAuthentication) bool {
		return s.policyTarget(w).reaches(p.Namespace, p.Spec.GetSelector().GetMatchLabels())
	})
}

func (s *Snapshot) hiddenAuthorizationPolicies(t policyTarget) []Step {
	return hidden(s, StageAuthorizationPolicy, func(p *security.AuthorizationPolicy) bool {
		return t.reaches(p.Namespace, p.Spec.GetSelector().GetMatchLabels())
	})
}

// reaches reports whether a policy of that namespace and selector is about the target, were it seen.
func (t policyTarget) reaches(namespace string, selector map[string]string) bool {
	return slices.Contains(t.namespaces(), namespace) && Selects(selector, t.labels)
}

// hiddenService finds a Kubernetes Service that cluster DNS knows under the name and istiod does not.
func (s *Snapshot) hiddenService(name, namespace string) *corev1.Service {
	for _, h := range s.Hidden {
		svc, ok := h.object.(*corev1.Service)
		if !ok {
			continue
		}
		full := svc.Name + "." + svc.Namespace
		switch name {
		case full, full + ".svc", full + ".svc." + s.Mesh.Domain:
			return svc
		case svc.Name:
			if svc.Namespace == namespace {
				return svc
			}
		}
	}
	return nil
}

// hiddenPod finds the headless Service, not known to istiod, of which the name is that of a pod.
func (s *Snapshot) hiddenPod(name, namespace string) *corev1.Service {
	_, parent, _ := strings.Cut(name, ".")
	if svc := s.hiddenService(parent, namespace); svc != nil && svc.Spec.ClusterIP == corev1.ClusterIPNone {
		return svc
	}
	return nil
}

// hiddenServiceAt finds a Kubernetes Service that has the ClusterIP and that istiod does not know.
func (s *Snapshot) hiddenServiceAt(ip netip.Addr) *corev1.Service {
	for _, h := range s.Hidden {
		svc, ok := h.object.(*corev1.Service)
		if !ok {
			continue
		}
		for _, text := range append(slices.Clone(svc.Spec.ClusterIPs), svc.Spec.ClusterIP) {
			if own, err := netip.ParseAddr(text); err == nil && own == ip {
				return svc
			}
		}
	}
	return nil
}
