package resolve

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
)

// What runs a destination: how many pods there are to be, and who says so.
//
//  1. A Deployment, StatefulSet or DaemonSet tells how many pods are wanted, updated and ready; none wanted is scaled to zero.
//  2. A rollout stands still where the Deployment's condition Progressing is False, or it is paused.
//  3. The HorizontalPodAutoscalers whose scaleTargetRef names it tell what they want, within which limits; ScalingActive False is
//     one that does nothing, ScalingLimited True one that would go beyond a limit.
//  4. The PodDisruptionBudgets of the namespace that select the pods of its template tell how many may be evicted.
//  5. Of manifests nobody has written a status: then what is asked for is told alone.
//
// Source: k8s.io/api/apps/v1, DeploymentStatus; k8s.io/api/autoscaling/v2, HorizontalPodAutoscalerStatus; k8s.io/api/policy/v1,
// PodDisruptionBudgetStatus; k8s.io/kubernetes, pkg/controller/deployment/progress.go.

var (
	autoscalerKind       = schema.GroupKind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}
	disruptionBudgetKind = schema.GroupKind{Group: "policy", Kind: "PodDisruptionBudget"}
)

// Rules of what runs a destination.
const (
	RuleReplicas           RuleID = "replicas/workload"
	RuleReplicasAsked      RuleID = "replicas/asked-for"
	RuleReplicasZero       RuleID = "replicas/scaled-to-zero"
	RuleReplicasStuck      RuleID = "replicas/rollout-stuck"
	RuleReplicasPaused     RuleID = "replicas/rollout-paused"
	RuleReplicasGap        RuleID = "replicas/not-read"
	RuleAutoscaler         RuleID = "autoscaler/wants"
	RuleAutoscalerAsked    RuleID = "autoscaler/limits"
	RuleAutoscalerInactive RuleID = "autoscaler/inactive"
	RuleAutoscalerLimited  RuleID = "autoscaler/at-limit"
	RuleDisruption         RuleID = "disruptionbudget/allowed"
	RuleDisruptionAsked    RuleID = "disruptionbudget/selects"
)

var replicaRules = []Rule{
	{
		ID: RuleReplicas, Stage: StageReplicas,
		Says:     "A Deployment, StatefulSet or DaemonSet tells how many pods it wants, and how many of them are of its newest template, and ready.",
		Template: "%d wanted, %d of the newest template, %d ready",
		Source:   "k8s.io/api/apps/v1",
	},
	{
		ID: RuleReplicasAsked, Stage: StageReplicas,
		Says:     "Without a status it is known how many pods are asked for, and no more.",
		Template: "asks for %s; nobody has written how many there are",
		Source:   "k8s.io/api/apps/v1",
	},
	{
		ID: RuleReplicasZero, Stage: StageReplicas,
		Says:     "What is scaled to zero has no pods; an autoscaler leaves it alone.",
		Template: "scaled to 0: no pod of it is wanted%s",
		Source:   "k8s.io/kubernetes, pkg/controller/podautoscaler/horizontal.go, reconcileAutoscaler",
	},
	{
		ID: RuleReplicasStuck, Stage: StageReplicas,
		Says:     "A Deployment's condition Progressing is False where its rollout has not come on for progressDeadlineSeconds.",
		Template: "the rollout stands still: %s",
		Source:   "k8s.io/kubernetes, pkg/controller/deployment/progress.go, syncRolloutStatus",
	},
	{
		ID: RuleReplicasPaused, Stage: StageReplicas,
		Says:     "A Deployment that is paused rolls out no newer template.",
		Template: "the rollout is paused: a newer template is not rolled out",
		Source:   "k8s.io/api/apps/v1, DeploymentSpec",
	},
	{
		ID: RuleReplicasGap, Stage: StageReplicas,
		Says:     "What could not be read of autoscalers, disruption budgets and rollouts is not told, and changes no outcome.",
		Template: "%s could not be read (%s: %s): what it says of the replicas is not told",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleAutoscaler, Stage: StageReplicas,
		Says:     "A HorizontalPodAutoscaler sets the replicas of what its scaleTargetRef names, within minReplicas and maxReplicas.",
		Template: "wants %d of %d to %d, and there are %d",
		Source:   "k8s.io/api/autoscaling/v2",
	},
	{
		ID: RuleAutoscalerAsked, Stage: StageReplicas,
		Says:     "Without a status the limits of a HorizontalPodAutoscaler are known, and not what it wants.",
		Template: "may want %d to %d; nobody has written what it wants",
		Source:   "k8s.io/api/autoscaling/v2",
	},
	{
		ID: RuleAutoscalerInactive, Stage: StageReplicas,
		Says:     "A HorizontalPodAutoscaler whose condition ScalingActive is False sets nothing.",
		Template: "does not scale: %s",
		Source:   "k8s.io/api/autoscaling/v2, HorizontalPodAutoscalerConditionType",
	},
	{
		ID: RuleAutoscalerLimited, Stage: StageReplicas,
		Says:     "A HorizontalPodAutoscaler whose condition ScalingLimited is True would want more, or fewer, than its limits allow.",
		Template: "wants %d, and is kept there: %s",
		Source:   "k8s.io/api/autoscaling/v2, HorizontalPodAutoscalerConditionType",
	},
	{
		ID: RuleDisruption, Stage: StageReplicas,
		Says:     "A PodDisruptionBudget tells how many of the pods that it selects may be evicted now.",
		Template: "%d of its pods may be evicted now; %d are healthy, and %d have to be",
		Source:   "k8s.io/api/policy/v1",
	},
	{
		ID: RuleDisruptionAsked, Stage: StageReplicas,
		Says:     "Without a status of a PodDisruptionBudget it is known that it selects the pods, and no more.",
		Template: "limits how many of its pods may be evicted (%s)",
		Source:   "k8s.io/api/policy/v1",
	},
}

// replicaSource is what runs pods of a template.
type replicaSource struct {
	ref Ref
	// field is that of the number wanted.
	field string
	// labels are those of its pods.
	labels                 map[string]string
	wanted, updated, ready int32
	// known is set where somebody has written a status.
	known bool
	// rollout are steps about that.
	rollout []Step
}

// replicaSource is the resource of the Ref; false for one of another kind, or that is not there.
func (s *Snapshot) replicaSource(owner Ref) (replicaSource, bool) {
	for _, r := range s.replicaSources(owner.Namespace, schema.GroupKind{Group: owner.Group, Kind: owner.Kind}) {
		if r.ref == owner.Object() {
			return r, true
		}
	}
	return replicaSource{}, false
}

// replicaSources are those of a kind in a namespace, by age.
func (s *Snapshot) replicaSources(namespace string, kind schema.GroupKind) []replicaSource {
	running := s.RunningIn(namespace)
	var out []replicaSource
	switch kind {
	case deploymentKind:
		for _, d := range running.Deployments() {
			out = append(out, deploymentSource(d))
		}
	case statefulSetKind:
		for _, o := range running.StatefulSets() {
			out = append(out, replicaSource{
				ref: refOf(appsv1.GroupName, kind.Kind, o), field: "spec.replicas", labels: o.Spec.Template.Labels, wanted: ptr.Deref(o.Spec.Replicas, 1),
				updated: o.Status.UpdatedReplicas, ready: o.Status.ReadyReplicas, known: o.Status.ObservedGeneration > 0 || o.Status.Replicas > 0,
			})
		}
	case daemonSetKind:
		for _, o := range running.DaemonSets() {
			out = append(out, replicaSource{
				ref: refOf(appsv1.GroupName, kind.Kind, o), field: "status.desiredNumberScheduled", labels: o.Spec.Template.Labels, wanted: o.Status.DesiredNumberScheduled,
				updated: o.Status.UpdatedNumberScheduled, ready: o.Status.NumberReady, known: o.Status.ObservedGeneration > 0 || o.Status.DesiredNumberScheduled > 0,
			})
		}
	}
	return out
}

// deploymentSource is rule 2.
func deploymentSource(d *appsv1.Deployment) replicaSource {
	r := replicaSource{
		ref: refOf(appsv1.GroupName, deploymentKind.Kind, d), field: "spec.replicas", labels: d.Spec.Template.Labels, wanted: ptr.Deref(d.Spec.Replicas, 1),
		updated: d.Status.UpdatedReplicas, ready: d.Status.ReadyReplicas, known: d.Status.ObservedGeneration > 0 || d.Status.Replicas > 0,
	}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse {
			r.rollout = append(r.rollout, NewStep(RuleReplicasStuck, Warned, r.ref.At("status.conditions"), conditionText(c.Reason, c.Message)))
		}
	}
	if d.Spec.Paused {
		r.rollout = append(r.rollout, NewStep(RuleReplicasPaused, Applied, r.ref.At("spec.paused")))
	}
	return r
}

// conditionText is what a condition says for a person.
func conditionText(reason, message string) string {
	switch {
	case message == "":
		return reason
	case reason == "":
		return message
	}
	return reason + ", " + message
}

// ReplicaFacts tell of the resource that runs a destination; unavailable is set where nothing of it is left to send to.
func (s *Snapshot) ReplicaFacts(owner Ref, unavailable bool) []Step {
	r, found := s.replicaSource(owner)
	if !found {
		return nil
	}
	s.RunningIn(owner.Namespace).need(autoscalerKind, disruptionBudgetKind)
	autoscalers := s.autoscalersOf(owner)
	steps := []Step{r.state(autoscalers, unavailable)}
	steps = append(steps, r.rollout...)
	for _, h := range autoscalers {
		steps = append(steps, autoscalerFacts(h, r.wanted)...)
	}
	steps = append(steps, s.disruptionFacts(r)...)
	for _, kind := range []schema.GroupKind{autoscalerKind, disruptionBudgetKind} {
		for _, g := range s.GapsOf(kind, owner.Namespace) {
			steps = append(steps, NewStep(RuleReplicasGap, Warned, g.ref(), g.subject(), string(g.Reason), g.Detail))
		}
	}
	return steps
}

// state is rules 1 and 5.
func (r replicaSource) state(autoscalers []*autoscalingv2.HorizontalPodAutoscaler, unavailable bool) Step {
	verdict := Applied
	if unavailable {
		verdict = Warned // it explains the outcome
	}
	at := r.ref.At(r.field)
	daemons := r.ref.Kind == daemonSetKind.Kind
	switch {
	case r.wanted == 0 && !daemons:
		by := ""
		if len(autoscalers) > 0 {
			h := autoscalers[0]
			by = fmt.Sprintf("; %s (%d to %d) leaves it there until somebody scales it up", refOf(autoscalerKind.Group, autoscalerKind.Kind, h), ptr.Deref(h.Spec.MinReplicas, 1), h.Spec.MaxReplicas)
			if ptr.Deref(h.Spec.MinReplicas, 1) == 0 {
				by = fmt.Sprintf("; %s wants %d of 0 to %d", refOf(autoscalerKind.Group, autoscalerKind.Kind, h), h.Status.DesiredReplicas, h.Spec.MaxReplicas)
			}
		}
		return NewStep(RuleReplicasZero, Warned, at, by)
	case r.known:
		return NewStep(RuleReplicas, verdict, at, r.wanted, r.updated, r.ready)
	case daemons:
		return NewStep(RuleReplicasAsked, Applied, r.ref, "one pod on each node that fits")
	}
	return NewStep(RuleReplicasAsked, Applied, at, fmt.Sprintf("%d", r.wanted))
}

// autoscalersOf are those whose scaleTargetRef is the resource, oldest first.
func (s *Snapshot) autoscalersOf(owner Ref) []*autoscalingv2.HorizontalPodAutoscaler {
	var out []*autoscalingv2.HorizontalPodAutoscaler
	for _, h := range seenOf[*autoscalingv2.HorizontalPodAutoscaler](s.RunningIn(owner.Namespace), autoscalerKind) {
		target := h.Spec.ScaleTargetRef
		group := schema.FromAPIVersionAndKind(target.APIVersion, target.Kind).Group
		if target.Kind == owner.Kind && target.Name == owner.Name && (group == owner.Group || target.APIVersion == "") {
			out = append(out, h)
		}
	}
	return out
}

// autoscalerFacts are rule 3.
func autoscalerFacts(h *autoscalingv2.HorizontalPodAutoscaler, wanted int32) []Step {
	ref := refOf(autoscalerKind.Group, autoscalerKind.Kind, h)
	least, most := ptr.Deref(h.Spec.MinReplicas, 1), h.Spec.MaxReplicas
	var steps []Step
	switch {
	case len(h.Status.Conditions) > 0 || h.Status.CurrentReplicas+h.Status.DesiredReplicas > 0:
		steps = append(steps, NewStep(RuleAutoscaler, Applied, ref.At("status"), h.Status.DesiredReplicas, least, most, h.Status.CurrentReplicas))
	default:
		steps = append(steps, NewStep(RuleAutoscalerAsked, Applied, ref.At("spec"), least, most))
	}
	for _, c := range h.Status.Conditions {
		switch {
		case c.Type == autoscalingv2.ScalingActive && c.Status == corev1.ConditionFalse && wanted != 0:
			steps = append(steps, NewStep(RuleAutoscalerInactive, Warned, ref.At("status.conditions"), conditionText(c.Reason, c.Message)))
		case c.Type == autoscalingv2.ScalingLimited && c.Status == corev1.ConditionTrue:
			steps = append(steps, NewStep(RuleAutoscalerLimited, Warned, ref.At("status.conditions"), h.Status.DesiredReplicas, conditionText(c.Reason, c.Message)))
		}
	}
	return steps
}

// disruptionFacts are rule 4.
func (s *Snapshot) disruptionFacts(r replicaSource) []Step {
	var steps []Step
	for _, b := range seenOf[*policyv1.PodDisruptionBudget](s.RunningIn(r.ref.Namespace), disruptionBudgetKind) {
		if b.Spec.Selector == nil {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil || !selector.Matches(labels.Set(r.labels)) {
			continue
		}
		ref := refOf(disruptionBudgetKind.Group, disruptionBudgetKind.Kind, b)
		if b.Status.ExpectedPods == 0 && b.Status.ObservedGeneration == 0 {
			steps = append(steps, NewStep(RuleDisruptionAsked, Applied, ref.At("spec"), budgetText(b)))
			continue
		}
		steps = append(steps, NewStep(RuleDisruption, Applied, ref.At("status"), b.Status.DisruptionsAllowed, b.Status.CurrentHealthy, b.Status.DesiredHealthy))
	}
	return steps
}

func budgetText(b *policyv1.PodDisruptionBudget) string {
	switch {
	case b.Spec.MinAvailable != nil:
		return "minAvailable " + b.Spec.MinAvailable.String()
	case b.Spec.MaxUnavailable != nil:
		return "maxUnavailable " + b.Spec.MaxUnavailable.String()
	}
	return "neither minAvailable nor maxUnavailable is set"
}

// RunsBehind are what would run the endpoints of a cluster that has none that can be sent to: what the Service selects, and its
// subset.
func (s *Snapshot) RunsBehind(c *Cluster) []Ref {
	svc := c.Service
	if svc == nil || svc.Registry != RegistryKubernetes || len(svc.Selector) == 0 {
		return nil
	}
	var out []Ref
	for _, kind := range []schema.GroupKind{deploymentKind, statefulSetKind, daemonSetKind} {
		for _, r := range s.replicaSources(svc.Namespace, kind) {
			if Selects(svc.Selector, r.labels) && Selects(c.SubsetLabels, r.labels) {
				out = append(out, r.ref)
			}
		}
	}
	return out
}
