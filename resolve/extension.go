package resolve

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	extensions "istio.io/api/extensions/v1alpha1"
	typev1beta1 "istio.io/api/type/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Which WasmPlugins and TrafficExtensions run in a proxy, and in which order.
//
//  1. istiod makes a TrafficExtension of a WasmPlugin: both are one kind. One without a module and without code is left out.
//  2. Those of the proxy's namespace and of the root namespace, whose selector its labels fulfil or whose targetRefs name its
//     Gateway; a waypoint takes none without targetRefs, and takes those whose targetRefs name the Service that the request is for.
//  3. One of the entries of match must fit: mode CLIENT is what the workload sends and all at a gateway, SERVER what it receives,
//     which all at a waypoint is. ports are the Service's on the way out, the pod's on the way in and at gateways; at a waypoint no
//     port ever fits.
//  4. A module of type NETWORK sees the bytes of a connection, before HTTP is read; any other, and Lua, sees HTTP requests alone.
//  5. By phase (httpfilterchain.go); in one phase by priority, greater first and none last; then those of the proxy's namespace,
//     then the root namespace's; then the older.
//
// Source: pilot/pkg/config/kube/extensions/translate.go; pilot/pkg/model/push_context.go, TrafficExtensionsByListenerInfo;
// pilot/pkg/model/extensions.go.

// Rules of WasmPlugins and TrafficExtensions.
const (
	RuleWasmPlugin       RuleID = "extension/wasmplugin"
	RuleTrafficExtension RuleID = "extension/trafficextension"
	RuleExtensionUntaken RuleID = "extension/waypoint-selector"
	RuleExtensionMode    RuleID = "extension/other-mode"
	RuleExtensionPort    RuleID = "extension/other-port"
	RuleExtensionType    RuleID = "extension/other-type"
	RuleExtensionEmpty   RuleID = "extension/nothing-to-run"
)

var extensionRules = []Rule{
	{
		ID: RuleWasmPlugin, Stage: StageExtension,
		Says:     "A WasmPlugin of the root namespace or the proxy's own, whose selector fits or whose targetRefs name the proxy's Gateway, or at a waypoint the Service behind it, runs in the proxy.",
		Template: "runs in this proxy (phase %s, %s); what it decides is not known, the trace takes it to let the request pass; %s",
		Source:   "pilot/pkg/model/extensions.go",
	},
	{
		ID: RuleTrafficExtension, Stage: StageExtension,
		Says:     "A TrafficExtension of the root namespace or the proxy's own, whose selector fits or whose targetRefs name the proxy's Gateway, or at a waypoint the Service behind it, runs in the proxy.",
		Template: "runs in this proxy (phase %s, %s); what it decides is not known, the trace takes it to let the request pass; %s",
		Source:   "pilot/pkg/model/extensions.go",
	},
	{
		ID: RuleExtensionUntaken, Stage: StageExtension,
		Says:     "A waypoint takes no EnvoyFilter, WasmPlugin and TrafficExtension without targetRefs, whatever that selects.",
		Template: "has no targetRefs, and the waypoint %s takes only extensions with targetRefs",
		Source:   attachSource,
	},
	{
		ID: RuleExtensionMode, Stage: StageExtension,
		Says:     "An extension of mode CLIENT runs for what a workload sends and at gateways, one of mode SERVER for what a workload receives and at waypoints.",
		Template: "does not run here: its mode is %s, and this is %s",
		Source:   "pilot/pkg/model/extensions.go, matchMode",
	},
	{
		ID: RuleExtensionPort, Stage: StageExtension,
		Says:     "match.ports are compared with the Service's port on the way out, and with the pod's port on the way in and at gateways. At a waypoint no port fits: an extension with ports never runs there.",
		Template: "does not run here: it is for port %s, and this is %s",
		Source:   "pilot/pkg/model/extensions.go, matchPorts; pilot/pkg/networking/core/listener_waypoint.go, buildWaypointHTTPFilters",
	},
	{
		ID: RuleExtensionType, Stage: StageExtension,
		Says:     "A Wasm module runs on HTTP requests unless its type is NETWORK; Lua runs on HTTP requests alone.",
		Template: "does not run here: it is for HTTP requests, and the bytes of this connection are not read",
		Source:   "pilot/pkg/model/extensions.go, MatchType",
	},
	{
		ID: RuleExtensionEmpty, Stage: StageExtension,
		Says:     "istiod leaves out a plugin without url, and an extension with neither a module nor code.",
		Template: "names nothing to run: istiod leaves it out",
		Source:   "pilot/pkg/model/extensions.go, convertToTrafficExtensionWrapper",
	},
}

// phase is where among istiod's filters an extension runs; the numbers are those of the API.
type phase int32

const (
	phaseNone phase = iota
	phaseAuthn
	phaseAuthz
	phaseStats
)

var phaseNames = map[phase]string{phaseAuthn: "AUTHN", phaseAuthz: "AUTHZ", phaseStats: "STATS"}

func (p phase) String() string { return cmp.Or(phaseNames[p], "UNSPECIFIED") }

// extension is a WasmPlugin or TrafficExtension.
type extension struct {
	ref      Ref
	rule     RuleID
	object   metav1.Object
	selector *typev1beta1.WorkloadSelector
	refs     []*typev1beta1.PolicyTargetReference
	match    []trafficSelector
	phase    phase
	priority int64
	network  bool
	lua      bool
	empty    bool
	fails    extensions.FailStrategy
}

// trafficSelector is an entry of match.
type trafficSelector interface {
	GetMode() typev1beta1.WorkloadMode
	GetPorts() []*typev1beta1.PortSelector
}

const noPriority = math.MinInt32

// extensions are those of the snapshot, as one kind.
func (s *Snapshot) extensions() []*extension {
	var out []*extension
	for _, wp := range s.WasmPlugins {
		x := &extension{
			ref: refOf("extensions.istio.io", "WasmPlugin", wp), rule: RuleWasmPlugin, object: wp, selector: wp.Spec.GetSelector(), refs: wp.Spec.GetTargetRefs(),
			phase: phase(wp.Spec.GetPhase()), priority: noPriority, network: wp.Spec.GetType() == extensions.PluginType_NETWORK,
			empty: wp.Spec.GetUrl() == "", fails: wp.Spec.GetFailStrategy(),
		}
		if one := wp.Spec.GetTargetRef(); len(x.refs) == 0 && one != nil {
			x.refs = []*typev1beta1.PolicyTargetReference{one}
		}
		if wp.Spec.GetPriority() != nil {
			x.priority = int64(wp.Spec.GetPriority().GetValue())
		}
		for _, m := range wp.Spec.GetMatch() {
			x.match = append(x.match, m)
		}
		out = append(out, x)
	}
	for _, te := range s.TrafficExtensions {
		x := &extension{
			ref: refOf("extensions.istio.io", "TrafficExtension", te), rule: RuleTrafficExtension, object: te, selector: te.Spec.GetSelector(), refs: te.Spec.GetTargetRefs(),
			phase: phase(te.Spec.GetPhase()), priority: noPriority, network: te.Spec.GetWasm().GetType() == extensions.PluginType_NETWORK,
			lua: te.Spec.GetLua() != nil, fails: te.Spec.GetWasm().GetFailStrategy(),
			empty: te.Spec.GetWasm().GetUrl() == "" && te.Spec.GetLua().GetInlineCode() == "",
		}
		if te.Spec.GetPriority() != nil {
			x.priority = int64(te.Spec.GetPriority().GetValue())
		}
		for _, m := range te.Spec.GetMatch() {
			x.match = append(x.match, m)
		}
		out = append(out, x)
	}
	return out
}

// extensionsOn are the extensions of a chain by phase, each in its order, and the steps about those that are not for it.
func (s *Snapshot) extensionsOn(l *PatchPlace) (map[phase][]*addedFilter, []Step) {
	if len(s.WasmPlugins)+len(s.TrafficExtensions) == 0 {
		return nil, nil
	}
	target, who := s.policyTarget(l.Proxy), l.Proxy.Owner.String()
	namespaces := target.namespaces()
	var taken []*extension
	var steps []Step
	for _, x := range s.extensions() {
		if !slices.Contains(namespaces, x.ref.Namespace) {
			continue
		}
		switch target.attachRefs(x.ref.Namespace, x.refs, selectorOf(x.selector.GetMatchLabels())) {
		case attached:
			if step, runs := x.runs(l); !runs {
				steps = append(steps, step)
				continue
			}
			taken = append(taken, x)
		case selectorOnWaypoint:
			steps = append(steps, NewStep(RuleExtensionUntaken, Skipped, x.ref, who).meantFor(true))
		case otherLabels, targetRefsElsewhere:
		}
	}
	place := func(namespace string) int {
		if namespace == target.namespace {
			return -1
		}
		return slices.Index(namespaces, namespace)
	}
	slices.SortStableFunc(taken, func(a, b *extension) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(place(a.ref.Namespace), place(b.ref.Namespace)), byAge(a.object, b.object))
	})
	out := map[phase][]*addedFilter{}
	for _, x := range taken {
		name := "extensions.istio.io/trafficextension/" + x.ref.Namespace + "." + x.ref.Name
		if x.rule == RuleWasmPlugin {
			name += "~istio-translated-wasmplugin"
		}
		if x.network == l.HTTP {
			continue // networkExtensions has those
		}
		out[x.phase] = append(out[x.phase], &addedFilter{name: name, step: x.step()})
	}
	return out, steps
}

// networkExtensions are the steps of modules that see the bytes of the connection before anything else does.
func (s *Snapshot) networkExtensions(l *PatchPlace) []Step {
	bytes := *l
	bytes.HTTP = false
	found, steps := s.extensionsOn(&bytes)
	if l.HTTP {
		steps = nil // HTTPFilters tells of those
	}
	for _, p := range []phase{phaseAuthn, phaseAuthz, phaseStats, phaseNone} {
		for _, x := range found[p] {
			steps = append(steps, x.step)
		}
	}
	return steps
}

// runs is rules 3 and 4, and that there is something to run.
func (x *extension) runs(l *PatchPlace) (Step, bool) {
	switch {
	case x.empty:
		return NewStep(RuleExtensionEmpty, Skipped, x.ref).meantFor(true), false
	case !l.HTTP && !x.network:
		return NewStep(RuleExtensionType, Skipped, x.ref), false
	}
	side, port := typev1beta1.WorkloadMode_CLIENT, l.Port
	waypoint := l.Proxy.Dataplane == DataplaneWaypoint
	if l.Side == SideInbound {
		side = typev1beta1.WorkloadMode_SERVER
	}
	if waypoint {
		port = 0
	}
	var modes, ports []string
	for _, m := range x.match {
		mode := m.GetMode()
		if mode == typev1beta1.WorkloadMode_CLIENT && side != mode || mode == typev1beta1.WorkloadMode_SERVER && side != mode {
			modes = append(modes, mode.String())
			continue
		}
		if len(m.GetPorts()) == 0 {
			return Step{}, true
		}
		for _, p := range m.GetPorts() {
			if p.GetNumber() != 0 && int(p.GetNumber()) == port {
				return Step{}, true
			}
			ports = append(ports, strconv.Itoa(int(p.GetNumber())))
		}
	}
	at := x.ref.At("spec.match")
	switch {
	case len(x.match) == 0:
		return Step{}, true
	case len(ports) == 0:
		here := map[ProxySide]string{SideOutbound: "the client's side", SideInbound: "the server's side", SideGateway: "a gateway, which counts as CLIENT"}[l.Side]
		if waypoint {
			here = "a waypoint, which counts as SERVER"
		}
		return NewStep(RuleExtensionMode, Skipped, at, strings.Join(modes, ", "), here).Unlike(strings.Join(modes, ", "), side.String()), false
	}
	here := "port " + strconv.Itoa(port)
	if waypoint {
		here = "a waypoint, where no port fits"
	}
	return NewStep(RuleExtensionPort, Skipped, at, joinLimited(ports, 3), here).Unlike(joinLimited(ports, 3), strconv.Itoa(port)).meantFor(waypoint), false
}

// step is the warning that the extension runs.
func (x *extension) step() Step {
	what, otherwise := "Wasm", "a module that cannot be loaded refuses every request (FAIL_CLOSE)"
	switch {
	case x.lua:
		what, otherwise = "Lua", "code that fails lets the request pass"
	case x.fails == extensions.FailStrategy_FAIL_OPEN:
		otherwise = "one that cannot be loaded lets every request pass (FAIL_OPEN)"
	case x.fails == extensions.FailStrategy_FAIL_RELOAD:
		otherwise = "one that cannot be loaded refuses every request, one that breaks down is started anew (FAIL_RELOAD)"
	}
	return NewStep(x.rule, Warned, x.ref, x.phase.String(), what, otherwise)
}
