package resolve

import (
	"slices"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
)

// Which istiod writes the status of objects of the Gateway API: of each revision the one that holds a Lease. Where a status
// is missing or older than its object it is worth a look whether there is one.
//
// Nothing is said by the time of its last renewal: what is too long ago only a clock could tell.
//
// Source: pilot/pkg/bootstrap/configcontroller.go, initConfigSources; pilot/pkg/leaderelection/leaderelection.go, NewPerRevisionLeaderElection.

// Rules of istiod's election.
const (
	RuleStatusLeader   RuleID = "kubestatus/leader"
	RuleStatusNoLeader RuleID = "kubestatus/no-leader"
)

const leaderSource = "pilot/pkg/leaderelection/leaderelection.go, NewPerRevisionLeaderElection; GatewayStatusController"

var leaderRules = []Rule{
	{
		ID: RuleStatusLeader, Stage: StageGateway, Detail: true,
		Says:     "The istiod that holds the Lease istio-gateway-status-leader-REVISION writes the status of Gateway API objects.",
		Template: "%s leads, and writes the status of Gateway API objects for revision %s",
		Source:   leaderSource,
	},
	{
		ID: RuleStatusNoLeader, Stage: StageGateway,
		Says:     "Without an istiod that holds the Lease istio-gateway-status-leader-REVISION nobody writes the status of Gateway API objects: what stands there is old.",
		Template: "no istiod writes the status of Gateway API objects for revision %s: %s",
		Source:   leaderSource,
	},
}

const statusLease = "istio-gateway-status-leader-"

// withLeader adds to steps about a status who writes it, where one of them finds the status missing, old or other.
func (s *Snapshot) withLeader(steps []Step) []Step {
	i := slices.IndexFunc(steps, func(step Step) bool { return step.Verdict == Warned })
	if i < 0 {
		return steps
	}
	leader, known := s.statusLeader()
	if !known {
		return steps
	}
	leader.Stage = steps[i].Stage
	return append(steps, leader)
}

// statusLeader tells who leads, or why nobody does; not where manifests do not say.
func (s *Snapshot) statusLeader() (Step, bool) {
	namespace := s.Mesh.GetRootNamespace()
	if d := s.index.istiod(); d != nil {
		namespace = d.Namespace
	}
	running := s.RunningIn(namespace)
	name := statusLease + s.Revision
	ref := Ref{Group: coordinationv1.GroupName, Kind: "Lease", Namespace: namespace, Name: name}
	leases := objectsOf[*coordinationv1.Lease](running, leaseKind)
	i := slices.IndexFunc(leases, func(l *coordinationv1.Lease) bool { return l.Name == name })
	if i < 0 { // election may be switched off, and earlier releases hold a ConfigMap
		return Step{}, false
	}
	holder := leases[i].Spec.HolderIdentity
	if holder == nil || *holder == "" {
		return NewStep(RuleStatusNoLeader, Warned, ref.At("spec.holderIdentity"), s.Revision, "the Lease has no holder"), true
	}
	pods := objectsOf[*corev1.Pod](running, podKind)
	there := slices.ContainsFunc(pods, func(p *corev1.Pod) bool { return p.Name == *holder })
	if !there && !s.Offline && len(s.GapsOf(podKind, namespace)) == 0 {
		return NewStep(RuleStatusNoLeader, Warned, ref.At("spec.holderIdentity"), s.Revision, "its holder "+*holder+" is no pod of namespace "+namespace), true
	}
	return NewStep(RuleStatusLeader, Applied, ref.At("spec.holderIdentity"), *holder, s.Revision), true
}
