package resolve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// The status that istiod has written into objects of the Gateway API, held against what the trace finds.
//
//  1. Of a route that is what stands under status.parents with Istio's controllerName, for each parentRef; of a Gateway and of
//     a ListenerSet the conditions, and status.listeners by name. What is Unknown for the reason Pending has been
//     written by the API server.
//  2. istiod writes the generation that it has read (metadata.generation) into every condition, each time. An older
//     one says that it has not seen the object as it is.
//  3. Nothing at all, for an object that has been in an API server and of which istiod would tell, says that istiod
//     has not come to it, or writes no status.
//  4. Else status and reason of each condition that both have are compared (kubestatus.go).
//  5. The trace goes by the object, never by the status.
//
// Source: pilot/pkg/config/kube/gateway/conditions.go, createRouteStatus; conversion.go, reportGatewayStatus;
// pilot/pkg/config/kube/gatewaycommon/conversion.go, SetListenerConditions; pkg/kube/kstatus, UpdateConditionIfChanged.

// Rules of published status.
const (
	RulePublishedSame   RuleID = "kubestatus/same"
	RulePublishedOther  RuleID = "kubestatus/other"
	RulePublishedStale  RuleID = "kubestatus/stale"
	RulePublishedAbsent RuleID = "kubestatus/absent"
)

var kubePublishedRules = []Rule{
	{
		ID: RulePublishedSame, Stage: StageGateway, Detail: true,
		Says:     "What istiod has written into the status of a Gateway, ListenerSet or route, or in an ambient mesh of an AuthorizationPolicy, Service, ServiceEntry or WorkloadEntry, is what the trace finds.",
		Template: "istiod has written the same about %s: %s",
		Source:   "pilot/pkg/config/kube/gateway/conditions.go, createRouteStatus; conversion.go, reportGatewayStatus",
	},
	{
		ID: RulePublishedOther, Stage: StageGateway,
		Says:     "What istiod has written about this very generation of such an object is not what the trace finds; the trace goes by its own reading.",
		Template: "istiod has written about %s: %s; this trace finds %s, and goes by that",
		Source:   "pilot/pkg/config/kube/gateway/conditions.go, createRouteStatus; conversion.go, reportGatewayStatus",
	},
	{
		ID: RulePublishedStale, Stage: StageGateway,
		Says:     "istiod writes the generation that it has read into each condition (observedGeneration); one older than the object's says that it has not seen the object as it is.",
		Template: "the status about %s is of generation %d, and the object is of generation %d: istiod has not seen the change yet; this trace goes by the object",
		Source:   "pilot/pkg/config/kube/gatewaycommon/conversion.go, SetListenerConditions; pkg/kube/kstatus, UpdateConditionIfChanged",
	},
	{
		ID: RulePublishedAbsent, Stage: StageGateway,
		Says:     "istiod writes a status about every Gateway, ListenerSet and parentRef of a route that is its own; none says that it does not run, has not come to it, or writes no status (PILOT_ENABLE_GATEWAY_API_STATUS).",
		Template: "istiod has written no status about %s%s: it does not run, has not seen the object yet, or writes no status; this trace takes the object to be read",
		Source:   "pilot/pkg/config/kube/gateway/conditions.go, createRouteStatus; controller.go, SetStatusWrite",
	},
}

// published is what stands in a status about one field of an object.
type published struct {
	// about is the field, and at the place in the status; the field again where there is nothing.
	about, at  Ref
	generation int64
	conditions []metav1.Condition
	// others are the controllers that have written about the field instead.
	others []string
	// nothing is what the trace finds where it finds no condition; empty for the words of a Gateway or route.
	nothing string
}

// compare is steps 2 to 4; stage is where the object counts.
func (p published) compare(stage Stage, ours []KubeCondition) []Step {
	said := slices.DeleteFunc(slices.Clone(p.conditions), func(c metav1.Condition) bool {
		return c.Status == metav1.ConditionUnknown && c.Reason == string(k8sgateway.GatewayReasonPending)
	})
	var step Step
	switch {
	case len(said) == 0 && (p.generation == 0 || len(ours) == 0):
		return nil // no API server has had the object, or it is not Istio's
	case len(said) == 0:
		step = NewStep(RulePublishedAbsent, Warned, p.about, p.about, onlyBy(p.others))
	default:
		step = p.compareConditions(said, ours)
	}
	step.Stage = stage
	return []Step{step}
}

func (p published) compareConditions(said []metav1.Condition, ours []KubeCondition) Step {
	var same, theirs, own []string
	for _, c := range said {
		if c.ObservedGeneration > 0 && c.ObservedGeneration < p.generation {
			return NewStep(RulePublishedStale, Warned, p.at, p.about, c.ObservedGeneration, p.generation)
		}
	}
	for _, our := range ours {
		i := slices.IndexFunc(said, func(c metav1.Condition) bool { return c.Type == our.Type })
		switch {
		case i < 0:
		case said[i].Status == our.Status && said[i].Reason == our.Reason:
			same = append(same, conditionWords(our.Type, our.Status, our.Reason))
		default:
			theirs = append(theirs, conditionWords(our.Type, said[i].Status, said[i].Reason)+messageWords(said[i].Message))
			own = append(own, conditionWords(our.Type, our.Status, our.Reason))
		}
	}
	if len(ours) == 0 {
		for _, c := range said {
			theirs = append(theirs, conditionWords(c.Type, c.Status, c.Reason)+messageWords(c.Message))
		}
		own = []string{cmp.Or(p.nothing, "nothing that is Istio's")}
	}
	if len(own) > 0 {
		step := NewStep(RulePublishedOther, Warned, p.at, p.about, strings.Join(theirs, ", "), strings.Join(own, ", "))
		return step.Unlike(strings.Join(own, ", "), strings.Join(theirs, ", "))
	}
	return NewStep(RulePublishedSame, Applied, p.at, p.about, strings.Join(same, ", "))
}

// conditionWords is a condition, with its reason where that says more than the type.
func conditionWords(kind string, status metav1.ConditionStatus, reason string) string {
	if reason == kind {
		return kind + " " + string(status)
	}
	return fmt.Sprintf("%s %s (%s)", kind, status, reason)
}

func messageWords(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

func onlyBy(controllers []string) string {
	if len(controllers) == 0 {
		return ""
	}
	return ", " + strings.Join(controllers, " and ") + " has"
}

// StatusAtGateway holds the status of the Gateways that the workload serves against the trace: each Gateway, and of the
// listeners and ListenerSets those that are on the pod port and take the host; an empty host is taken by every one.
func (s *Snapshot) StatusAtGateway(w *Workload, podPort int, host string) []Step {
	targets := s.gatewayTargets(w)
	var steps []Step
	for _, g := range s.gatewaysServedBy(w) {
		whole := map[Ref][]Step{g.ref: published{
			about: g.ref, at: g.ref.At("status.conditions"), generation: g.object.Generation, conditions: withoutProgrammed(g.object.Status.Conditions),
		}.compare(StageGateway, g.conditions())}
		steps = append(append(steps, s.kubeRelease(g.ref, StageGateway)...), whole[g.ref]...)
		for _, l := range g.listeners {
			there := slices.ContainsFunc(targets, func(t ServiceTarget) bool { return t.Port.Number == int(l.spec.Port) && t.TargetPort == podPort })
			if !there || host != "" && !HostSubsetOf(host, strings.ToLower(listenerHostname(l.spec))) {
				continue
			}
			if _, told := whole[l.parent]; !told {
				whole[l.parent] = s.listenerSetStatus(l.parent)
				steps = append(steps, whole[l.parent]...)
			}
			if !unread(whole[l.parent]) {
				steps = append(steps, s.listenerStatus(l)...)
			}
		}
	}
	return s.withLeader(steps)
}

// unread reports whether istiod is told not to have seen an object as it is, which goes for its listeners, too.
func unread(steps []Step) bool {
	return slices.ContainsFunc(steps, func(step Step) bool { return step.Rule == RulePublishedStale || step.Rule == RulePublishedAbsent })
}

// withoutProgrammed leaves out whether a Gateway or ListenerSet is programmed: that hangs on addresses, and is istiod's to say.
func withoutProgrammed(conditions []metav1.Condition) []metav1.Condition {
	return slices.DeleteFunc(slices.Clone(conditions), func(c metav1.Condition) bool { return c.Type != string(k8sgateway.GatewayConditionAccepted) })
}

func (s *Snapshot) listenerSetStatus(ref Ref) []Step {
	o, ok := objectNamed(s.ListenerSets, ref.Namespace, ref.Name)
	if !ok || ref.Kind != "ListenerSet" {
		return nil
	}
	return published{
		about: ref, at: ref.At("status.conditions"), generation: o.Generation, conditions: withoutProgrammed(o.Status.Conditions),
	}.compare(StageGateway, s.listenerSetConditions(o))
}

// listenerStatus tells of one listener. Where nothing is said of the whole object, nothing is said of its listeners.
func (s *Snapshot) listenerStatus(l *kubeListener) []Step {
	listeners, generation := l.gateway.object.Status.Listeners, l.gateway.object.Generation
	if o, ok := objectNamed(s.ListenerSets, l.parent.Namespace, l.parent.Name); ok && l.parent.Kind == "ListenerSet" {
		generation, listeners = o.Generation, nil
		for _, status := range o.Status.Listeners {
			listeners = append(listeners, k8sgateway.ListenerStatus{Name: status.Name, Conditions: status.Conditions})
		}
	}
	for i, status := range listeners {
		if status.Name == l.spec.Name {
			p := published{about: l.ref, at: l.parent.At(pathIndex("status.listeners", i)), generation: generation, conditions: status.Conditions}
			return p.compare(StageGateway, l.conditions())
		}
	}
	return nil
}

// StatusOfRoutes holds the status of the routes that are for the host against the trace, as far as it is about a parent that the
// workload serves.
func (s *Snapshot) StatusOfRoutes(w *Workload, host string, kinds ...string) []Step {
	var steps []Step
	for _, r := range s.index.kube().routesFor(host) {
		if !slices.Contains(kinds, r.ref.Kind) {
			continue
		}
		for i := range r.parents {
			if g := s.index.kube().gateways[s.gatewayOf(r.target(i))]; g != nil && s.servesGateway(w, g) {
				steps = append(steps, r.compareStatus(i)...)
			}
		}
	}
	return s.withLeader(steps)
}

// StatusOfMeshRoutes does so for the routes that have the service as parent.
func (s *Snapshot) StatusOfMeshRoutes(svc *Service) []Step {
	if svc == nil {
		return nil
	}
	var steps []Step
	for i, p := range s.index.kube().byParent[svc.Ref] {
		if i == 0 {
			steps = s.kubeRelease(p.route.ref, StageHost)
		}
		steps = append(steps, p.route.compareStatus(p.index)...)
	}
	return s.withLeader(steps)
}

// compareStatus is about one parentRef of a route.
func (r *kubeRoute) compareStatus(index int) []Step {
	about := r.ref.At(pathIndex("spec.parentRefs", index))
	p := published{about: about, at: about, generation: r.generation}
	for i, status := range r.status {
		switch {
		case parentKey(status.ParentRef, r.ref.Namespace) != parentKey(r.parents[index], r.ref.Namespace):
		case status.ControllerName != controllerGateway:
			p.others = append(p.others, string(status.ControllerName))
		default:
			p.at, p.conditions = r.ref.At(pathIndex("status.parents", i)), status.Conditions
		}
	}
	return p.compare(StageHost, r.conditions(index))
}
