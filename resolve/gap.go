package resolve

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// RuleGap is a kind or object that could not be read where a stage would use it.
const RuleGap RuleID = "gap/not-read"

var gapRules = []Rule{{
	ID: RuleGap, Stage: StageSource,
	Says:     "What the tool may not or cannot read is taken not to exist, and the outcome behind it is assumed.",
	Template: "%s could not be read (%s: %s): taken not to exist",
	Source:   "assumption of the tool",
}}

// stageKinds are the kinds each stage asks for.
var stageKinds = map[Stage][]schema.GroupKind{
	StageSidecar:               {{Group: "networking.istio.io", Kind: "Sidecar"}},
	StageGateway:               {{Group: "networking.istio.io", Kind: "Gateway"}},
	StageDNS:                   {{Kind: "Service"}, {Group: "networking.istio.io", Kind: "ServiceEntry"}},
	StageHost:                  {{Group: "networking.istio.io", Kind: "VirtualService"}},
	StageDestinationRule:       {{Group: "networking.istio.io", Kind: "DestinationRule"}},
	StageLoadBalance:           {{Group: "discovery.k8s.io", Kind: "EndpointSlice"}, {Kind: "Pod"}, {Group: "networking.istio.io", Kind: "WorkloadEntry"}},
	StagePeerAuthentication:    {{Group: "security.istio.io", Kind: "PeerAuthentication"}},
	StageRequestAuthentication: {{Group: "security.istio.io", Kind: "RequestAuthentication"}},
	StageAuthorizationPolicy:   {{Group: "security.istio.io", Kind: "AuthorizationPolicy"}},
	StageExtension: {
		{Group: "networking.istio.io", Kind: "EnvoyFilter"}, {Group: "extensions.istio.io", Kind: "WasmPlugin"}, {Group: "extensions.istio.io", Kind: "TrafficExtension"},
	},
}

// GapSteps returns a warning step for everything a stage would have asked for and
// the loader could not read, in one of the namespaces.
func (s *Snapshot) GapSteps(stage Stage, namespaces ...string) []Step {
	if len(s.Gaps) == 0 {
		return nil
	}
	var steps []Step
	for _, gk := range stageKinds[stage] {
		for _, g := range s.GapsOf(gk, namespaces...) {
			step := NewStep(RuleGap, Warned, Ref{Group: gk.Group, Kind: gk.Kind, Namespace: g.Namespace, Name: g.Name}, gapName(g), string(g.Reason), g.Detail)
			step.Stage = stage
			steps = append(steps, step)
		}
	}
	return steps
}

func gapName(g Gap) string {
	switch {
	case g.Name != "":
		return g.GroupKind.Kind + " " + g.Namespace + "/" + g.Name
	case g.Namespace != "":
		return "the " + g.GroupKind.Kind + " resources of namespace " + g.Namespace
	}
	return "the " + g.GroupKind.Kind + " resources"
}
