package resolve

import (
	"fmt"
	"slices"

	networking "istio.io/client-go/pkg/apis/networking/v1"
)

// Rules of the Sidecar resource.
const (
	RuleSidecarSelected     RuleID = "sidecar/selected"
	RuleSidecarRootDefault  RuleID = "sidecar/root-default"
	RuleSidecarNone         RuleID = "sidecar/none"
	RuleSidecarOtherLabels  RuleID = "sidecar/selector-differs"
	RuleSidecarOlderWins    RuleID = "sidecar/older-wins"
	RuleSidecarAnonymous    RuleID = "sidecar/anonymous-source"
	RuleSidecarBadHost      RuleID = "sidecar/bad-egress-host"
	RuleSidecarNotImported  RuleID = "sidecar/service-not-imported"
	RuleSidecarNotExported  RuleID = "service/not-exported"
	RuleSidecarImported     RuleID = "sidecar/service-imported"
	RuleSidecarOtherService RuleID = "service/same-host-other-namespace"
)

var sidecarRules = []Rule{
	{
		ID: RuleSidecarSelected, Stage: StageSidecar,
		Says:     "In the workload's namespace a Sidecar with a workloadSelector that fits comes before one without, older before younger; Sidecars never merge.",
		Template: "scopes what this proxy sees: %s",
		Source:   "pilot/pkg/model/push_context.go, initSidecarScopes, doGetSidecarScope",
	},
	{
		ID: RuleSidecarRootDefault, Stage: StageSidecar,
		Says:     "Without a Sidecar in the namespace, the oldest selector-less Sidecar of the root namespace applies; its \"./\" means the workload's namespace.",
		Template: "the root namespace's default scopes what this proxy sees: %s",
		Source:   "pilot/pkg/model/push_context.go, doGetSidecarScope",
	},
	{
		ID: RuleSidecarNone, Stage: StageSidecar,
		Says:     "Without any Sidecar resource a proxy sees everything that is exported to its namespace.",
		Template: "no Sidecar applies in namespace %s: the proxy sees everything exported to it",
		Source:   "pilot/pkg/model/sidecar.go, DefaultSidecarScopeForNamespace",
		Detail:   true,
	},
	{
		ID: RuleSidecarOtherLabels, Stage: StageSidecar,
		Says:     "A Sidecar whose workloadSelector does not fit the workload's labels is passed over.",
		Template: "its workloadSelector does not fit this workload",
		Source:   "pilot/pkg/model/push_context.go, doGetSidecarScope",
	},
	{
		ID: RuleSidecarOlderWins, Stage: StageSidecar,
		Says:     "Of several Sidecars that would apply, only the first counts: with workloadSelector before without, then the oldest.",
		Template: "%s comes first, and Sidecars never merge",
		Source:   "pilot/pkg/model/push_context.go, initSidecarScopes",
	},
	{
		ID: RuleSidecarAnonymous, Stage: StageSidecar,
		Says:     "The labels of an assumed client are not known, so a Sidecar with a workloadSelector is taken not to apply.",
		Template: "the labels of the assumed client are not known; taken as not selected",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleSidecarBadHost, Stage: StageSidecar,
		Says:     "An egress host that is not of the form namespace/dnsName is ignored.",
		Template: "egress host %q is not of the form namespace/dnsName; istiod ignores it",
		Source:   "pilot/pkg/model/sidecar.go, convertIstioListenerToWrapper",
	},
	{
		ID: RuleSidecarNotImported, Stage: StageSidecar,
		Says:     "A service that no egress host of the Sidecar lists has no virtual host and no listener on that proxy.",
		Template: "%s is not among its egress hosts (%s): this proxy does not know the service",
		Source:   "pilot/pkg/model/sidecar.go, selectServices",
	},
	{
		ID: RuleSidecarImported, Stage: StageSidecar,
		Says:     "An egress host of the Sidecar brings the service in.",
		Template: "imports %s",
		Source:   "pilot/pkg/model/sidecar.go, selectServices",
		Detail:   true,
	},
	{
		ID: RuleSidecarNotExported, Stage: StageSidecar,
		Says:     "A Service or ServiceEntry is known only in the namespaces it is exported to.",
		Template: "%s is not exported to namespace %s",
		Source:   "pilot/pkg/model/push_context.go, initServiceRegistry",
	},
	{
		ID: RuleSidecarOtherService, Stage: StageSidecar,
		Says:     "Of several services with one hostname a sidecar takes the one of its own namespace, then a Kubernetes Service, then the oldest.",
		Template: "%s has the same hostname and comes first for namespace %s",
		Source:   "pilot/pkg/model/sidecar.go, selectServices",
	},
}

// Scope returns what the workload's proxy sees, and how the Sidecar was chosen.
//
//  1. Gateways and waypoints ignore Sidecars.
//  2. In the workload's namespace: Sidecars with a workloadSelector first, then
//     those without, each oldest first; the first one whose labels fit.
//  3. Else the oldest selector-less Sidecar of the root namespace.
//  4. Else everything that is exported to the namespace.
//
// Source: pilot/pkg/model/push_context.go, initSidecarScopes, doGetSidecarScope.
func (s *Snapshot) Scope(w *Workload) (*Scope, []Step) {
	a := s.known(w).scope.of(struct{}{}, func() scopeAnswer { return s.findScope(w) })
	return a.scope, a.steps
}

// scopeAnswer is what Scope answers.
type scopeAnswer struct {
	scope *Scope
	steps []Step
}

func (s *Snapshot) findScope(w *Workload) scopeAnswer {
	if w.Dataplane == DataplaneGateway || w.Dataplane == DataplaneWaypoint {
		return scopeAnswer{scope: s.scopeOf(scopeKey{namespace: w.Namespace, gateway: true}, nil)}
	}
	chosen, steps := s.sidecarOf(w)
	captured, by := s.capturesDNS(w)
	return scopeAnswer{s.scopeOf(scopeKey{namespace: w.Namespace, captured: captured}, chosen), slices.Clip(slices.Concat(by, steps))}
}

func (s *Snapshot) sidecarOf(w *Workload) (*networking.Sidecar, []Step) {
	steps := append(s.GapSteps(StageSidecar, w.Namespace), s.hiddenSidecars(w)...)
	var chosen *networking.Sidecar
	own := s.sidecarsIn(w.Namespace)
	for _, sc := range own {
		ref := refOf("networking.istio.io", "Sidecar", sc)
		selector := sc.Spec.GetWorkloadSelector()
		switch {
		case chosen != nil:
			steps = append(steps, NewStep(RuleSidecarOlderWins, Skipped, ref, chosen.Namespace+"/"+chosen.Name))
		case selector == nil:
			chosen = sc
			steps = append(steps, NewStep(RuleSidecarSelected, Applied, ref, describeSidecar(sc)))
		case w.Anonymous && len(selector.GetLabels()) > 0:
			steps = append(steps, NewStep(RuleSidecarAnonymous, Warned, ref.At("spec.workloadSelector.labels")))
		case Selects(selector.GetLabels(), w.Labels):
			chosen = sc
			steps = append(steps, NewStep(RuleSidecarSelected, Applied, ref, describeSidecar(sc)))
		default:
			want, got := labelMiss(selector.GetLabels(), w.Labels)
			steps = append(steps, NewStep(RuleSidecarOtherLabels, Skipped, ref.At("spec.workloadSelector.labels")).
				Unlike(want, got))
		}
	}
	if chosen != nil {
		return chosen, append(steps, badEgressHosts(chosen)...)
	}
	if root := s.Mesh.GetRootNamespace(); root != w.Namespace {
		steps = append(steps, s.rootSidecarGaps(w.Namespace, root)...)
		for _, sc := range s.sidecarsIn(root) {
			if sc.Spec.GetWorkloadSelector() == nil {
				ref := refOf("networking.istio.io", "Sidecar", sc)
				steps = append(steps, NewStep(RuleSidecarRootDefault, Applied, ref, describeSidecar(sc)))
				return sc, append(steps, badEgressHosts(sc)...)
			}
		}
	}
	return nil, append(steps, NewStep(RuleSidecarNone, None, Ref{}, w.Namespace))
}

// rootSidecarGaps are the gaps of the root namespace that are not those of the workload's as well.
func (s *Snapshot) rootSidecarGaps(own, root string) []Step {
	told := s.GapSteps(StageSidecar, own)
	return slices.DeleteFunc(s.GapSteps(StageSidecar, root), func(step Step) bool {
		return slices.ContainsFunc(told, func(t Step) bool { return t.Ref == step.Ref })
	})
}

// badEgressHosts names the egress hosts that count for nothing.
func badEgressHosts(sc *networking.Sidecar) []Step {
	var steps []Step
	ref := refOf("networking.istio.io", "Sidecar", sc)
	for i, e := range sc.Spec.GetEgress() {
		_, bad := parseEgressHosts(e.GetHosts(), sc.Namespace)
		for _, h := range bad {
			steps = append(steps, NewStep(RuleSidecarBadHost, Skipped, ref.At(fmt.Sprintf("spec.egress[%d].hosts[%d]", i, slices.Index(e.GetHosts(), h))), h))
		}
	}
	return steps
}

// sidecarsIn returns the namespace's Sidecars in the order in which they are tried.
func (s *Snapshot) sidecarsIn(namespace string) []*networking.Sidecar {
	return s.index.sidecars()[namespace]
}

func indexSidecars(s *Snapshot) map[string][]*networking.Sidecar {
	out := map[string][]*networking.Sidecar{}
	for _, with := range []bool{true, false} {
		for _, sc := range s.Sidecars {
			if (sc.Spec.GetWorkloadSelector() != nil) == with {
				out[sc.Namespace] = append(out[sc.Namespace], sc)
			}
		}
	}
	return out
}

// describeSidecar names what a Sidecar lets through, for the step that chose it.
func describeSidecar(sc *networking.Sidecar) string {
	var hosts []string
	for _, e := range sc.Spec.GetEgress() {
		hosts = append(hosts, e.GetHosts()...)
	}
	text := "egress to everything"
	if len(hosts) > 0 {
		text = "egress to " + joinLimited(hosts, 5)
	}
	if n := len(sc.Spec.GetIngress()); n > 0 {
		text += fmt.Sprintf(", %d ingress listeners of its own", n)
	}
	return text
}
