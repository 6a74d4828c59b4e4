package resolve

import (
	"slices"

	extensions "istio.io/api/extensions/v1alpha1"
	api "istio.io/api/networking/v1alpha3"
	typev1beta1 "istio.io/api/type/v1beta1"
)

// Rules of extensions whose effect is not modelled.
const (
	RuleEnvoyFilter      RuleID = "extension/envoyfilter"
	RuleWasmPlugin       RuleID = "extension/wasmplugin"
	RuleTrafficExtension RuleID = "extension/trafficextension"
	RuleExtensionUntaken RuleID = "extension/waypoint-selector"
)

var extensionRules = []Rule{
	{
		ID: RuleEnvoyFilter, Stage: StageExtension,
		Says:     "An EnvoyFilter of the root namespace or the proxy's own, whose workloadSelector fits, or whose targetRefs name the proxy's Gateway, patches the proxy's configuration.",
		Template: "patches this proxy (%s); its effect is not modelled, the trace takes it to change nothing",
		Source:   "pilot/pkg/model/push_context.go, EnvoyFilters",
	},
	{
		ID: RuleWasmPlugin, Stage: StageExtension,
		Says:     "A WasmPlugin of the root namespace or the proxy's own, whose selector fits or whose targetRefs name the proxy's Gateway, or at a waypoint the Service behind it, runs in the proxy.",
		Template: "runs in this proxy (phase %s); what it decides is not known, the trace takes it to let the request pass",
		Source:   "pilot/pkg/model/extensions.go",
	},
	{
		ID: RuleTrafficExtension, Stage: StageExtension,
		Says:     "A TrafficExtension of the root namespace or the proxy's own, whose selector fits or whose targetRefs name the proxy's Gateway, or at a waypoint the Service behind it, runs in the proxy.",
		Template: "runs in this proxy; what it decides is not known, the trace takes it to let the request pass",
		Source:   "pilot/pkg/model/extensions.go",
	},
	{
		ID: RuleExtensionUntaken, Stage: StageExtension,
		Says:     "A waypoint takes no EnvoyFilter, WasmPlugin and TrafficExtension without targetRefs, whatever that selects.",
		Template: "has no targetRefs, and the waypoint %s takes only extensions with targetRefs",
		Source:   attachSource,
	},
}

// ProxySide is the part of a proxy's configuration an extension can touch.
type ProxySide string

// The closed list.
const (
	SideOutbound ProxySide = "outbound"
	SideInbound  ProxySide = "inbound"
	SideGateway  ProxySide = "gateway"
)

// Extensions returns a warning step for every extension that stands on the way
// through one side of the workload's proxy, and for those that could not be read.
// An outcome behind one is assumed.
// Source: pilot/pkg/model/push_context.go, EnvoyFilters, TrafficExtensionsByListenerInfo; policyattachment.go.
func (s *Snapshot) Extensions(w *Workload, side ProxySide) []Step {
	x := extensionsAt{target: s.policyTarget(w), who: w.Owner, steps: s.GapSteps(StageExtension, w.Namespace, s.Mesh.GetRootNamespace())}
	of := x.target
	x.target.service = nil // no EnvoyFilter is attached to a Service
	for _, ef := range s.EnvoyFilters {
		if patches := patchesOf(&ef.Spec, side); len(patches) > 0 {
			ref := refOf("networking.istio.io", "EnvoyFilter", ef).At("spec.configPatches")
			x.add(NewStep(RuleEnvoyFilter, Warned, ref, joinLimited(patches, 3)), ef.Spec.GetTargetRefs(), ef.Spec.GetWorkloadSelector().GetLabels())
		}
	}
	x.target = of
	for _, wp := range s.WasmPlugins {
		refs := wp.Spec.GetTargetRefs()
		if one := wp.Spec.GetTargetRef(); len(refs) == 0 && one != nil {
			refs = []*typev1beta1.PolicyTargetReference{one}
		}
		if runsOn(wp.Spec.GetMatch(), side) {
			ref := refOf("extensions.istio.io", "WasmPlugin", wp)
			x.add(NewStep(RuleWasmPlugin, Warned, ref, wp.Spec.GetPhase().String()), refs, wp.Spec.GetSelector().GetMatchLabels())
		}
	}
	for _, te := range s.TrafficExtensions {
		ref := refOf("extensions.istio.io", "TrafficExtension", te)
		x.add(NewStep(RuleTrafficExtension, Warned, ref), te.Spec.GetTargetRefs(), te.Spec.GetSelector().GetMatchLabels())
	}
	return x.steps
}

// extensionsAt collects the extensions of one proxy.
type extensionsAt struct {
	target policyTarget
	who    Ref
	steps  []Step
}

// add adds the step about an extension that the proxy takes, or the one that says why a waypoint does not.
func (x *extensionsAt) add(step Step, refs []*typev1beta1.PolicyTargetReference, labels map[string]string) {
	if !slices.Contains(x.target.namespaces(), step.Ref.Namespace) {
		return
	}
	switch x.target.attachRefs(step.Ref.Namespace, refs, selectorOf(labels)) {
	case attached:
		x.steps = append(x.steps, step)
	case selectorOnWaypoint:
		x.steps = append(x.steps, NewStep(RuleExtensionUntaken, Skipped, step.Ref.Object(), x.who.String()).meantFor(true))
	case otherLabels, targetRefsElsewhere:
	}
}

// runsOn reports whether one of the traffic selectors names the side: CLIENT is outbound and gateways, SERVER inbound.
func runsOn(match []*extensions.WasmPlugin_TrafficSelector, side ProxySide) bool {
	for _, m := range match {
		switch m.GetMode().String() {
		case "CLIENT":
			if side != SideInbound {
				return true
			}
		case "SERVER":
			if side == SideInbound {
				return true
			}
		default:
			return true
		}
	}
	return len(match) == 0
}

// patchesOf names what an EnvoyFilter patches on one side of a proxy.
func patchesOf(spec *api.EnvoyFilter, side ProxySide) []string {
	context := map[ProxySide]api.EnvoyFilter_PatchContext{
		SideOutbound: api.EnvoyFilter_SIDECAR_OUTBOUND,
		SideInbound:  api.EnvoyFilter_SIDECAR_INBOUND,
		SideGateway:  api.EnvoyFilter_GATEWAY,
	}[side]
	var out []string
	for _, p := range spec.GetConfigPatches() {
		if c := p.GetMatch().GetContext(); c == api.EnvoyFilter_ANY || c == context {
			out = append(out, p.GetApplyTo().String())
		}
	}
	return out
}
