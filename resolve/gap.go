package resolve

import (
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Rules of what could not be read.
const (
	// RuleGap is a kind or object that could not be read where a stage would use it.
	RuleGap RuleID = "gap/not-read"
	// RuleGapMeshConfig is a mesh config that could not be read.
	RuleGapMeshConfig RuleID = "gap/mesh-config"
	// RuleGapNamespaces are namespaces whose labels discovery selectors would ask for.
	RuleGapNamespaces RuleID = "gap/namespaces"
)

var gapRules = []Rule{
	{
		ID: RuleGap, Stage: StageSource,
		Says:     "What the tool may not or cannot read is taken not to exist, and the outcome behind it is assumed.",
		Template: "%s could not be read (%s: %s): taken not to exist",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleGapMeshConfig, Stage: StageSource,
		Says:     "A mesh config that the tool may not or cannot read is taken to be Istio's default, and every outcome behind a proxy is assumed.",
		Template: "the mesh config could not be read (%s: %s)",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleGapNamespaces, Stage: StageSource,
		Says:     "Where namespaces may not or cannot be read, meshConfig.discoverySelectors is taken to select each of them.",
		Template: "namespaces could not be read (%s: %s): meshConfig.discoverySelectors is taken to select each of them",
		Source:   "assumption of the tool",
	},
}

var (
	namespaceKind    = schema.GroupKind{Kind: "Namespace"}
	meshConfigKind   = schema.GroupKind{Kind: "ConfigMap"}
	serviceKind      = schema.GroupKind{Kind: "Service"}
	serviceEntryKind = schema.GroupKind{Group: "networking.istio.io", Kind: "ServiceEntry"}
)

// stageKinds are the kinds each stage asks for. DestinationRule and the policies
// are not among them: their lookups know in which namespaces they looked, and
// have rules of their own for what they could not read.
var stageKinds = map[Stage][]schema.GroupKind{
	StageSidecar: {{Group: "networking.istio.io", Kind: "Sidecar"}},
	StageGateway: {
		{Group: "networking.istio.io", Kind: "Gateway"},
		{Group: "networking.k8s.io", Kind: "Ingress"},
		{Group: kubeGatewayGroup, Kind: "Gateway"},
		{Group: kubeGatewayGroup, Kind: "GatewayClass"},
		{Group: kubeGatewayGroup, Kind: "ListenerSet"},
		{Group: kubeGatewayGroup, Kind: "ReferenceGrant"},
	},
	StageHost: {
		{Group: "networking.istio.io", Kind: "VirtualService"},
		{Group: kubeGatewayGroup, Kind: "HTTPRoute"},
		{Group: kubeGatewayGroup, Kind: "GRPCRoute"},
		{Group: kubeGatewayGroup, Kind: "TLSRoute"},
		{Group: kubeGatewayGroup, Kind: "TCPRoute"},
	},
	StageExtension: {
		{Group: "networking.istio.io", Kind: "EnvoyFilter"}, {Group: "extensions.istio.io", Kind: "WasmPlugin"}, {Group: "extensions.istio.io", Kind: "TrafficExtension"},
	},
}

// GapSteps returns a warning step for everything a stage would have asked for and
// the loader could not read, in one of the namespaces; none stands for all.
func (s *Snapshot) GapSteps(stage Stage, namespaces ...string) []Step {
	if len(s.Gaps) == 0 {
		return nil
	}
	var steps []Step
	for _, gk := range stageKinds[stage] {
		steps = append(steps, s.gapSteps(stage, gk, namespaces...)...)
	}
	return steps
}

// NameGaps returns a warning step for every kind that could not be read and could
// hold the host, where it is no service otherwise. A Kubernetes Service of that name
// is in the client's namespace or in one that the name itself tells.
func (s *Snapshot) NameGaps(stage Stage, host, clientNamespace string) []Step {
	if len(s.Gaps) == 0 {
		return nil
	}
	namespaces := append(strings.Split(host, ".")[1:], clientNamespace)
	return append(s.gapSteps(stage, serviceKind, namespaces...), s.gapSteps(stage, serviceEntryKind)...)
}

// AddressGaps returns a warning step for every kind that could not be read and
// could have the address, where nothing else has it.
func (s *Snapshot) AddressGaps(stage Stage, ip netip.Addr) []Step {
	_, gaps := s.runningWith(Sought{Kind: podKind, Address: ip})
	return slices.Concat(s.gapSteps(stage, serviceKind), s.gapSteps(stage, serviceEntryKind), s.gapSteps(stage, podKind), stepsOf(stage, gaps))
}

// GatewayWorkloadGaps returns a warning step for every kind that could not be read
// and could be a gateway, or lead to one, where none is found.
func (s *Snapshot) GatewayWorkloadGaps() []Step {
	s.gatewayCandidates()
	return slices.Concat(s.gapSteps(StageGateway, podKind), stepsOf(StageGateway, s.index.gateways.gaps), s.gapSteps(StageGateway, serviceKind))
}

// ServiceGaps returns a warning step for Services that could not be read in the
// namespace, where no Service leads to a gateway's port.
func (s *Snapshot) ServiceGaps(namespace string) []Step {
	return s.gapSteps(StageGateway, serviceKind, namespace)
}

// MeshConfigGaps returns a warning step where the mesh config, or what it selects by, could not be read.
func (s *Snapshot) MeshConfigGaps() []Step {
	var steps []Step
	if len(s.Mesh.GetDiscoverySelectors()) > 0 {
		for _, g := range s.GapsOf(namespaceKind) {
			steps = append(steps, NewStep(RuleGapNamespaces, Warned, g.ref(), string(g.Reason), g.Detail))
		}
	}
	for _, g := range s.GapsOf(meshConfigKind) {
		steps = append(steps, NewStep(RuleGapMeshConfig, Warned, g.ref(), string(g.Reason), g.Detail))
	}
	return steps
}

func (s *Snapshot) gapSteps(stage Stage, gk schema.GroupKind, namespaces ...string) []Step {
	return stepsOf(stage, s.GapsOf(gk, namespaces...))
}

func stepsOf(stage Stage, gaps []Gap) []Step {
	var steps []Step
	for _, g := range gaps {
		step := NewStep(RuleGap, Warned, g.ref(), g.subject(), string(g.Reason), g.Detail)
		step.Stage = stage
		steps = append(steps, step)
	}
	return steps
}

func (g Gap) ref() Ref {
	return Ref{Group: g.GroupKind.Group, Cluster: g.Cluster, Kind: g.GroupKind.Kind, Namespace: g.Namespace, Name: g.Name}
}

func sameGap(a, b Gap) bool {
	return a.GroupKind == b.GroupKind && a.Namespace == b.Namespace && a.Name == b.Name && a.Cluster == b.Cluster && a.Reason == b.Reason && a.Detail == b.Detail &&
		slices.Equal(a.Except, b.Except)
}

// subject is what could not be read, as a sentence begins.
func (g Gap) subject() string {
	kind := g.GroupKind.Kind
	switch {
	case g.Name != "":
		return g.ref().String()
	case g.Namespace != "":
		return "kind " + kind + " in namespace " + g.Namespace + g.inCluster()
	case len(g.Except) > 0:
		return "kind " + kind + " outside of " + strings.Join(slices.Sorted(slices.Values(g.Except)), ", ")
	}
	return "kind " + kind + g.inCluster()
}

// inCluster is the remote cluster, for a sentence.
func (g Gap) inCluster() string {
	if g.Cluster == "" {
		return ""
	}
	return " of cluster " + g.Cluster
}
