package resolve

import (
	"slices"

	"istio.io/api/label"
	mesh "istio.io/api/mesh/v1alpha1"
	apimeta "istio.io/api/meta/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What istiod writes about waypoints into statuses, in an ambient mesh (AMBIENT_ENABLE_STATUS), held against what the trace finds.
//
//  1. istio.io/WaypointBound of a Service, ServiceEntry or WorkloadEntry: True (WaypointAccepted) where a waypoint is used, with a
//     canary that is refused, too; False, with the reason, where the one that is named can not be used; nothing where none is named,
//     and for a workload whose namespace names one that takes Services alone.
//  2. WaypointAccepted of an AuthorizationPolicy with targetRefs: whether each target is bound. A Gateway is, if it has an address; a
//     Service or ServiceEntry, if it uses a waypoint; a GatewayClass, if it is of waypoints and the policy of the root namespace. Of
//     several targets one that is bound makes it True, PartiallyInvalid where another is not; with none it is Invalid.
//  3. Nothing written says nothing. What is written carries the generation that istiod has read in 2 alone.
//
// Source: pilot/pkg/model/service.go, ServiceInfo.GetConditions, WorkloadInfo.GetConditions, flattenConditions;
// pilot/pkg/serviceregistry/ambient/policies.go, WaypointPolicyStatusCollection; status.go.

const (
	conditionWaypointBound    = "istio.io/WaypointBound"
	conditionWaypointAccepted = "WaypointAccepted"

	reasonInvalid          = "Invalid"
	reasonPartiallyInvalid = "PartiallyInvalid"
	reasonNotBound         = "AncestorNotBound"
	reasonTargetNotFound   = "TargetNotFound"
)

// waypointReasons are the reasons of what keeps an object from the waypoint that is named.
var waypointReasons = map[RuleID]string{
	RuleWaypointMissing: "WaypointIsNotReady", RuleWaypointNotReady: "WaypointIsNotReady", RuleWaypointDenied: "AttachmentDenied",
	RuleWaypointTraffic: "UnsupportedTrafficType", RuleWaypointVisibility: "CrossNamespaceWaypointForbidden",
}

// condition is the condition of 1 for the object at ref; none where istiod writes none.
func (b WaypointBinding) condition(ref Ref) []KubeCondition {
	if b.Waypoint != nil {
		return []KubeCondition{{ref, conditionWaypointBound, metav1.ConditionTrue, "WaypointAccepted"}}
	}
	for _, step := range b.Steps {
		inherited := b.By.Kind == "Namespace" && step.Rule == RuleWaypointTraffic
		if reason := waypointReasons[step.Rule]; reason != "" && (!inherited || ref.Kind == "Service" || ref.Kind == "ServiceEntry") {
			return []KubeCondition{{ref, conditionWaypointBound, metav1.ConditionFalse, reason}}
		}
	}
	return nil
}

// StatusOfServiceWaypoint holds what stands in the status of a Service or ServiceEntry about its waypoint against the binding.
func (s *Snapshot) StatusOfServiceWaypoint(svc *Service, b WaypointBinding) []Step {
	ix := s.index.endpoints()
	var said []metav1.Condition
	if svc.Registry == RegistryKubernetes {
		if o := ix.services[destinationKey{svc.Namespace, svc.Name}]; o != nil {
			said = o.Status.Conditions
		}
	} else if se := ix.serviceEntry[destinationKey{svc.Ref.Namespace, svc.Ref.Name}]; se != nil {
		said = kubeConditions(se.Status.GetConditions())
	}
	return s.statusOfBinding(svc.Ref.Object(), said, b)
}

// StatusOfWorkloadWaypoint is StatusOfServiceWaypoint for a WorkloadEntry.
func (s *Snapshot) StatusOfWorkloadWaypoint(w *Workload, b WaypointBinding) []Step {
	if w.Entry == nil {
		return nil
	}
	return s.statusOfBinding(w.Owner, kubeConditions(w.Entry.Status.GetConditions()), b)
}

func (s *Snapshot) statusOfBinding(ref Ref, said []metav1.Condition, b WaypointBinding) []Step {
	said = conditionsOf(said, conditionWaypointBound)
	if len(said) == 0 {
		return nil
	}
	if _, off := s.AmbientOff(); off {
		return nil // what stands there is of another day
	}
	p := published{about: ref, at: ref.At("status.conditions"), conditions: said, nothing: "no waypoint that is named for it"}
	return p.compare(StageWaypoint, b.condition(ref))
}

// kubeConditions are conditions of Istio's as those of Kubernetes.
func kubeConditions(list []*apimeta.IstioCondition) []metav1.Condition {
	var out []metav1.Condition
	for _, c := range list {
		out = append(out, metav1.Condition{
			Type: c.GetType(), Status: metav1.ConditionStatus(c.GetStatus()), Reason: c.GetReason(), Message: c.GetMessage(),
			ObservedGeneration: c.GetObservedGeneration(),
		})
	}
	return out
}

// conditionsOf are those of one type.
func conditionsOf(list []metav1.Condition, kind string) []metav1.Condition {
	return slices.DeleteFunc(slices.Clone(list), func(c metav1.Condition) bool { return c.Type != kind })
}

// waypointStatus holds the status of an AuthorizationPolicy with targetRefs against the condition of 2.
func (s *Snapshot) waypointStatus(p *authorizationPolicy) []Step {
	said := conditionsOf(kubeConditions(p.status), conditionWaypointAccepted)
	if len(said) == 0 {
		return nil
	}
	ours := s.waypointConditions(p)
	if len(ours) == 0 {
		return nil // it hangs on what is not among the objects
	}
	return published{about: p.ref, at: p.ref.At("status.conditions"), generation: p.generation, conditions: said}.compare(StageAuthorizationPolicy, ours)
}

// waypointConditions is the condition of 2: one, or none where it is not known or not written.
func (s *Snapshot) waypointConditions(p *authorizationPolicy) []KubeCondition {
	var reasons []string
	for _, r := range targetRefsOf(p.spec) {
		namespace := p.ref.Namespace
		if r.GetNamespace() != "" {
			namespace = r.GetNamespace()
		}
		reason, known := s.targetAccepted(r.GetKind(), namespace, r.GetName())
		if !known {
			return nil
		}
		reasons = append(reasons, reason)
	}
	bound := 0
	for _, r := range reasons {
		if r == reasonAccepted {
			bound++
		}
	}
	c := KubeCondition{p.ref, conditionWaypointAccepted, metav1.ConditionTrue, reasonAccepted}
	switch {
	case len(reasons) == 0:
		return nil
	case bound == 0 && len(reasons) == 1:
		c.Status, c.Reason = metav1.ConditionFalse, reasons[0]
	case bound == 0:
		c.Status, c.Reason = metav1.ConditionFalse, reasonInvalid
	case bound < len(reasons):
		c.Reason = reasonPartiallyInvalid
	}
	return []KubeCondition{c}
}

// targetAccepted is the reason for one target; known is false where its status is not among the objects.
func (s *Snapshot) targetAccepted(kind, namespace, name string) (reason string, known bool) {
	switch kind {
	case "GatewayClass":
		class, found := s.KubeGatewayClass(name)
		switch {
		case namespace != s.Mesh.GetRootNamespace():
			return reasonInvalid, true
		case !found:
			return reasonTargetNotFound, true
		case class.Controller != controllerWaypoint:
			return reasonInvalid, true
		}
		return reasonAccepted, true
	case "Gateway":
		o, found := objectNamed(s.waypointGateways(), namespace, name)
		switch {
		case s.waypointNamed(namespace, name) != nil:
			return reasonAccepted, true
		case found && len(o.Status.Addresses) == 0 && len(o.Status.Conditions) == 0:
			return "", false
		}
		return reasonTargetNotFound, true
	case "Service":
		o, found := objectNamed(s.KubeServices, namespace, name)
		if !found {
			return reasonTargetNotFound, true
		}
		return s.boundTarget(bound{ref: refOf("", "Service", o), namespace: namespace, labels: o.Labels, traffic: "service"}), true
	case "ServiceEntry":
		o, found := objectNamed(s.ServiceEntries, namespace, name)
		if !found {
			return reasonTargetNotFound, true
		}
		return s.boundTarget(bound{ref: refOf(istioNetworking, "ServiceEntry", o), namespace: namespace, labels: o.Labels, traffic: "service"}), true
	}
	return "unknown", true
}

// boundTarget is the reason for a Service or ServiceEntry.
func (s *Snapshot) boundTarget(o bound) string {
	m, w := o.labels[label.GatewayManaged.Name], s.waypointOf(o).Waypoint
	switch {
	case m == managedByWaypointController, m == managedByEastWestController, w == nil:
		return reasonNotBound
	case o.ref.Kind == "ServiceEntry" && w.Ref.Namespace != o.namespace &&
		entryVisibility(s.Mesh.GetServiceEntryVisibility(), s.namespaceLabels(o.namespace)) == mesh.ServiceEntryVisibility_NAMESPACE:
		return reasonNotBound
	}
	return reasonAccepted
}
