package resolve

import (
	extensions "istio.io/api/extensions/v1alpha1"
	api "istio.io/api/networking/v1alpha3"
)

// Rules of extensions whose effect is not modelled.
const (
	RuleEnvoyFilter      RuleID = "extension/envoyfilter"
	RuleWasmPlugin       RuleID = "extension/wasmplugin"
	RuleTrafficExtension RuleID = "extension/trafficextension"
)

var extensionRules = []Rule{
	{
		ID: RuleEnvoyFilter, Stage: StageExtension,
		Says:     "An EnvoyFilter of the root namespace or the proxy's own, whose workloadSelector fits, patches the proxy's configuration.",
		Template: "patches this proxy (%s); its effect is not modelled, the trace takes it to change nothing",
		Source:   "pilot/pkg/model/push_context.go, EnvoyFilters",
	},
	{
		ID: RuleWasmPlugin, Stage: StageExtension,
		Says:     "A WasmPlugin of the root namespace or the proxy's own, whose selector fits, runs in the proxy.",
		Template: "runs in this proxy (phase %s); what it decides is not known, the trace takes it to let the request pass",
		Source:   "pilot/pkg/model/extensions.go",
	},
	{
		ID: RuleTrafficExtension, Stage: StageExtension,
		Says:     "A TrafficExtension of the root namespace or the proxy's own, whose selector fits, runs in the proxy.",
		Template: "runs in this proxy; what it decides is not known, the trace takes it to let the request pass",
		Source:   "pilot/pkg/model/extensions.go",
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
// Source: pilot/pkg/model/push_context.go, EnvoyFilters; extensions.go; policyattachment.go.
func (s *Snapshot) Extensions(w *Workload, side ProxySide) []Step {
	steps := s.GapSteps(StageExtension, w.Namespace, s.Mesh.GetRootNamespace())
	here := func(namespace string) bool {
		return namespace == w.Namespace || namespace == s.Mesh.GetRootNamespace()
	}
	for _, ef := range s.EnvoyFilters {
		if !here(ef.Namespace) || len(ef.Spec.GetTargetRefs()) > 0 || !Selects(ef.Spec.GetWorkloadSelector().GetLabels(), w.Labels) {
			continue
		}
		if patches := patchesOf(&ef.Spec, side); len(patches) > 0 {
			steps = append(steps, NewStep(RuleEnvoyFilter, Warned, refOf("networking.istio.io", "EnvoyFilter", ef).At("spec.configPatches"), joinLimited(patches, 3)))
		}
	}
	for _, wp := range s.WasmPlugins {
		if here(wp.Namespace) && len(wp.Spec.GetTargetRefs()) == 0 && wp.Spec.GetTargetRef() == nil &&
			Selects(wp.Spec.GetSelector().GetMatchLabels(), w.Labels) && runsOn(wp.Spec.GetMatch(), side) {
			steps = append(steps, NewStep(RuleWasmPlugin, Warned, refOf("extensions.istio.io", "WasmPlugin", wp), wp.Spec.GetPhase().String()))
		}
	}
	for _, te := range s.TrafficExtensions {
		if here(te.Namespace) && len(te.Spec.GetTargetRefs()) == 0 && Selects(te.Spec.GetSelector().GetMatchLabels(), w.Labels) {
			steps = append(steps, NewStep(RuleTrafficExtension, Warned, refOf("extensions.istio.io", "TrafficExtension", te)))
		}
	}
	return steps
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
