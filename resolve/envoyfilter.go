package resolve

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	api "istio.io/api/networking/v1alpha3"
	networkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
)

// Which EnvoyFilters a proxy takes, and in which order their patches are done.
//
//  1. Those of the root namespace and of the proxy's own, whose workloadSelector its labels fulfil, or whose targetRefs name its
//     Gateway, or the GatewayClass of waypoints. A waypoint takes none without targetRefs.
//  2. By priority, smaller first; of one priority those of the root namespace first; then the older; then by name.
//  3. Of one EnvoyFilter, patches of a kind are done as they are written; and all patches of a kind, on one object, in that order.
//  4. match.proxy must fit: proxyVersion is a regex that is found anywhere in the version, metadata must be equal.
//  5. match.context must be ANY or the side of the proxy. No proxy has context WAYPOINT; a waypoint's own listeners are SIDECAR_INBOUND.
//  6. match.listener, routeConfiguration and cluster narrow it down (envoyfiltermatch.go).
//  7. A patch that istiod cannot read is left out. That is not looked at here: the API server refuses it.
//
// Source: pilot/pkg/model/push_context.go, EnvoyFilters; pilot/pkg/model/envoyfilter.go, proxyMatch;
// pilot/pkg/networking/core/envoyfilter.

// Rules of the selection of EnvoyFilters.
const (
	RuleEnvoyFilter             RuleID = "extension/envoyfilter"
	RuleEnvoyFilterOtherLabels  RuleID = "envoyfilter/other-labels"
	RuleEnvoyFilterTargets      RuleID = "envoyfilter/other-target"
	RuleEnvoyFilterTargetKind   RuleID = "envoyfilter/target-kind"
	RuleEnvoyFilterContext      RuleID = "envoyfilter/other-context"
	RuleEnvoyFilterWaypoint     RuleID = "envoyfilter/context-waypoint"
	RuleEnvoyFilterVersion      RuleID = "envoyfilter/other-version"
	RuleEnvoyFilterProxyUnknown RuleID = "envoyfilter/proxy-unknown"
	RuleEnvoyFilterElsewhere    RuleID = "envoyfilter/elsewhere"
	RuleEnvoyFilterNothing      RuleID = "envoyfilter/matches-nothing"
	RuleEnvoyFilterOperation    RuleID = "envoyfilter/no-such-operation"
	RuleEnvoyFilterHarmless     RuleID = "envoyfilter/setting"
	RuleEnvoyFilterRejected     RuleID = "envoyfilter/rejected"
	RuleEnvoyFilterOpen         RuleID = "envoyfilter/open"
)

var envoyFilterRules = slices.Concat(envoyFilterSelectionRules, httpFilterRules, routeFilterRules, routePatchRules, clusterPatchRules)

var envoyFilterSelectionRules = []Rule{
	{
		ID: RuleEnvoyFilter, Stage: StageExtension,
		Says:     "An EnvoyFilter of the root namespace or the proxy's own, whose workloadSelector fits, or whose targetRefs name the proxy's Gateway, patches the proxy's configuration.",
		Template: "patches this proxy (%s); its effect is not modelled, the trace takes it to change nothing",
		Source:   "pilot/pkg/model/push_context.go, EnvoyFilters",
	},
	{
		ID: RuleEnvoyFilterOtherLabels, Stage: StageExtension, Detail: true,
		Says:     "A workloadSelector must be fulfilled by the labels of the proxy's pod.",
		Template: "its workloadSelector asks for %s, which %s does not have",
		Source:   attachSource,
	},
	{
		ID: RuleEnvoyFilterTargets, Stage: StageExtension, Detail: true,
		Says:     "targetRefs attach an EnvoyFilter to the proxies of that Gateway, or from the root namespace to waypoints of a GatewayClass.",
		Template: "its targetRefs name %s, and not %s",
		Source:   attachSource,
	},
	{
		ID: RuleEnvoyFilterTargetKind, Stage: StageExtension,
		Says:     "An EnvoyFilter attaches to a Gateway or GatewayClass; one whose targetRefs name another kind attaches nowhere.",
		Template: "its targetRefs name %s: an EnvoyFilter attaches to Gateways and GatewayClasses alone",
		Source:   attachSource,
	},
	{
		ID: RuleEnvoyFilterContext, Stage: StageExtension, Detail: true,
		Says:     "match.context names a side of proxies: SIDECAR_OUTBOUND, SIDECAR_INBOUND (which a waypoint counts as) or GATEWAY; ANY, and none, is all of them.",
		Template: "%s patch is for context %s, and this is %s",
		Source:   "pilot/pkg/networking/core/envoyfilter/listener_patch.go, patchContextMatch",
	},
	{
		ID: RuleEnvoyFilterWaypoint, Stage: StageExtension,
		Says:     "istiod patches no proxy in context WAYPOINT: a waypoint's listeners and routes are those of context SIDECAR_INBOUND.",
		Template: "%s patch is for context WAYPOINT, in which istiod patches no proxy: a waypoint is patched as SIDECAR_INBOUND",
		Source:   "pilot/pkg/networking/core/listener_builder.go, patchListeners",
	},
	{
		ID: RuleEnvoyFilterVersion, Stage: StageExtension,
		Says:     "match.proxy.proxyVersion is a regular expression that must be found in the version of the proxy.",
		Template: "%s patch is for proxies of version %s, and this one is %s",
		Source:   "pilot/pkg/model/envoyfilter.go, proxyMatch",
	},
	{
		ID: RuleEnvoyFilterProxyUnknown, Stage: StageExtension,
		Says:     "Whether match.proxy fits can hang on the exact version of the proxy or on its metadata, which are not known from resources.",
		Template: "%s patch asks for %s of the proxy, which is not known from here: the trace takes it not to apply",
		Source:   "pilot/pkg/model/envoyfilter.go, proxyMatch",
	},
	{
		ID: RuleEnvoyFilterElsewhere, Stage: StageExtension,
		Says:     "A patch changes the listeners, filter chains, virtual hosts, routes and clusters that its match names; a request that passes none of them is not touched.",
		Template: "%s patch does not touch this request: it is for %s, and here it is %s",
		Source:   "pilot/pkg/networking/core/envoyfilter/listener_patch.go, rc_patch.go, cluster_patch.go",
	},
	{
		ID: RuleEnvoyFilterNothing, Stage: StageExtension,
		Says:     "A patch whose match names something that the proxy does not have is left out without a word.",
		Template: "%s patch does nothing here: it is for %s, which %s does not have%s",
		Source:   "pilot/pkg/networking/core/envoyfilter/listener_patch.go, rc_patch.go, cluster_patch.go",
	},
	{
		ID: RuleEnvoyFilterOperation, Stage: StageExtension,
		Says:     "Each kind of object has its operations; another one is left out without a word, as is REMOVE or REPLACE of a filter without a match that names it.",
		Template: "%s patch does nothing: istiod does not carry out %s for it%s",
		Source:   "pilot/pkg/networking/core/envoyfilter/listener_patch.go, rc_patch.go",
	},
	{
		ID: RuleEnvoyFilterHarmless, Stage: StageExtension,
		Says:     "Timeouts, limits, statistics, logs and the like decide nothing about where a request goes and whether it gets there.",
		Template: "%s patch sets %s: nothing of that decides where the request goes",
		Source:   "Envoy, api, config.listener.v3, config.cluster.v3, http_connection_manager.v3, config.route.v3",
	},
	{
		ID: RuleEnvoyFilterRejected, Stage: StageExtension,
		Says:     "What Envoy does not accept it leaves out, and keeps the configuration that it had before: what that was is not known.",
		Template: "%s patch %s: Envoy rejects that and keeps what it had before",
		Source:   "Envoy, source/common/filter/config_provider_manager, validateTerminalFilters",
	},
	{
		ID: RuleEnvoyFilterOpen, Stage: StageExtension,
		Says:     "A patch can take a listener or filter chain away, change which connections it takes, its TLS or where a cluster's endpoints are: what becomes of the request is then not known.",
		Template: "%s patch %s: what becomes of the request is not known, the trace goes on without it",
		Source:   "pilot/pkg/networking/core/envoyfilter/listener_patch.go, cluster_patch.go, rc_patch.go",
	},
}

// ProxySide is the part of a proxy's configuration that an extension can touch.
type ProxySide string

// The closed list.
const (
	SideOutbound ProxySide = "outbound"
	SideInbound  ProxySide = "inbound"
	SideGateway  ProxySide = "gateway"
)

// context is what EnvoyFilters call the side.
func (side ProxySide) context() api.EnvoyFilter_PatchContext {
	switch side {
	case SideOutbound:
		return api.EnvoyFilter_SIDECAR_OUTBOUND
	case SideInbound:
		return api.EnvoyFilter_SIDECAR_INBOUND
	}
	return api.EnvoyFilter_GATEWAY
}

// envoyPatch is one patch of an EnvoyFilter.
type envoyPatch struct {
	*api.EnvoyFilter_EnvoyConfigObjectPatch
	// ref is spec.configPatches[i].
	ref Ref
	// value is what it puts there; nil without one. Whoever reads it gets an unread copy.
	value func() *envoyValue
	// unsure is why it is open whether the proxy is one that match.proxy asks for; zero where it is.
	unsure Step
}

// operation is what is done: where a place in a list says nothing, istiod takes INSERT_FIRST, INSERT_BEFORE and INSERT_AFTER for ADD.
// Source: pilot/pkg/model/envoyfilter.go, convertToEnvoyFilterWrapper.
func (p *envoyPatch) operation() api.EnvoyFilter_Patch_Operation {
	operation := p.GetPatch().GetOperation()
	switch operation {
	case api.EnvoyFilter_Patch_INSERT_FIRST, api.EnvoyFilter_Patch_INSERT_BEFORE, api.EnvoyFilter_Patch_INSERT_AFTER:
		switch p.GetApplyTo() {
		case api.EnvoyFilter_HTTP_FILTER, api.EnvoyFilter_NETWORK_FILTER, api.EnvoyFilter_HTTP_ROUTE, api.EnvoyFilter_LISTENER_FILTER:
		default:
			return api.EnvoyFilter_Patch_ADD
		}
	}
	return operation
}

// merges reports whether the patch is merged into what is there.
func (p *envoyPatch) merges() bool {
	return p.operation() == api.EnvoyFilter_Patch_MERGE || p.operation() == api.EnvoyFilter_Patch_MERGE_AND_REPLACE_LIST
}

// field is a place in the patch.
func (p *envoyPatch) field(name string) Ref { return p.ref.At(p.ref.Field + "." + name) }

// named is the operation and kind, as the patch writes it.
func (p *envoyPatch) named() string {
	return p.GetPatch().GetOperation().String() + " " + p.GetApplyTo().String()
}

// notModelled is the warning that the patch counts here, and what of it is not known.
func (p *envoyPatch) notModelled(what ...string) Step {
	text := p.named()
	if len(what) > 0 {
		text += ": " + joinLimited(what, 3)
	}
	return NewStep(RuleEnvoyFilter, Warned, p.ref, text)
}

func (p *envoyPatch) rejected(why string) Step {
	return NewStep(RuleEnvoyFilterRejected, Warned, p.ref, p.named(), why)
}

// open is the warning that the patch decides what is not known.
func (p *envoyPatch) open(what string) Step {
	return NewStep(RuleEnvoyFilterOpen, Warned, p.ref, p.named(), what)
}

func (p *envoyPatch) harmless(names []string) Step {
	return NewStep(RuleEnvoyFilterHarmless, Applied, p.field("patch.value"), p.named(), joinLimited(names, 4))
}

// proxyPatches are the patches of one proxy, of all contexts, in the order in which they are done, and the steps about EnvoyFilters
// that it does not take.
type proxyPatches struct {
	patches []*envoyPatch
	steps   []Step
}

// envoyPatches are the patches that the workload's proxy takes.
func (s *Snapshot) envoyPatches(w *Workload) proxyPatches {
	if len(s.EnvoyFilters) == 0 {
		return proxyPatches{}
	}
	return s.known(w).patches.of(struct{}{}, func() proxyPatches { return s.findEnvoyPatches(w) })
}

func (s *Snapshot) findEnvoyPatches(w *Workload) proxyPatches {
	target := s.policyTarget(w)
	target.service = nil // no EnvoyFilter is attached to a Service
	var out proxyPatches
	var taken []*networkingv1alpha3.EnvoyFilter
	for _, ef := range s.EnvoyFilters {
		if !slices.Contains(target.namespaces(), ef.Namespace) {
			continue
		}
		selector := selectorOf(ef.Spec.GetWorkloadSelector().GetLabels())
		at := target.attachRefs(ef.Namespace, ef.Spec.GetTargetRefs(), selector)
		if at == attached {
			taken = append(taken, ef)
			continue
		}
		out.steps = append(out.steps, target.envoyFilterPassedOver(at, ef, selector, w))
	}
	root := s.Mesh.GetRootNamespace()
	slices.SortStableFunc(taken, func(a, b *networkingv1alpha3.EnvoyFilter) int {
		return cmp.Or(cmp.Compare(a.Spec.GetPriority(), b.Spec.GetPriority()), -compareBool(a.Namespace == root, b.Namespace == root), byAge(a, b))
	})
	for _, ef := range taken {
		for i, written := range ef.Spec.GetConfigPatches() {
			if written.GetPatch() == nil {
				continue
			}
			ref := refOf("networking.istio.io", "EnvoyFilter", ef).At("spec.configPatches[" + strconv.Itoa(i) + "]")
			p := &envoyPatch{EnvoyFilter_EnvoyConfigObjectPatch: written, ref: ref}
			p.value = func() *envoyValue { return newEnvoyValue(written.GetPatch().GetValue(), "") }
			fits, step := s.forProxy(p)
			switch fits {
			case False:
				out.steps = append(out.steps, step)
				continue
			case Unknown:
				p.unsure = step
			case True:
			}
			out.patches = append(out.patches, p)
		}
	}
	out.patches, out.steps = slices.Clip(out.patches), slices.Clip(out.steps)
	return out
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// envoyFilterPassedOver says why an EnvoyFilter is not for the proxy.
func (t policyTarget) envoyFilterPassedOver(at attachment, ef *networkingv1alpha3.EnvoyFilter, selector labelSelector, w *Workload) Step {
	ref := refOf("networking.istio.io", "EnvoyFilter", ef)
	switch at {
	case selectorOnWaypoint:
		return NewStep(RuleExtensionUntaken, Skipped, ref, w.Owner.String()).meantFor(true)
	case otherLabels:
		expected, actual := selector.miss(t.labels)
		return NewStep(RuleEnvoyFilterOtherLabels, Skipped, ref.At("spec.workloadSelector"), expected, w.Owner.String()).Unlike(expected, actual)
	case targetRefsElsewhere, attached:
	}
	var names []string
	attachable := false
	for _, r := range ef.Spec.GetTargetRefs() {
		names = append(names, r.GetKind()+" "+r.GetName())
		attachable = attachable || r.GetGroup() == targetRefGatewayGroup && (r.GetKind() == "Gateway" || r.GetKind() == "GatewayClass")
	}
	list := strings.Join(names, ", ")
	if !attachable {
		return NewStep(RuleEnvoyFilterTargetKind, Skipped, ref.At("spec.targetRefs"), list).meantFor(true)
	}
	return NewStep(RuleEnvoyFilterTargets, Skipped, ref.At("spec.targetRefs"), list, w.Owner.String())
}

// patchReleases are the last numbers of versions that a release may have: the release alone is known.
const patchReleases = 30

// forProxy is rule 4. Of the proxy's version the release is known, and not the patch: a regex that takes all of a release fits,
// one that takes none does not.
func (s *Snapshot) forProxy(p *envoyPatch) (Truth, Step) {
	match := p.GetMatch().GetProxy()
	if keys := sortedKeys(match.GetMetadata()); len(keys) > 0 {
		return Unknown, NewStep(RuleEnvoyFilterProxyUnknown, Warned, p.field("match.proxy.metadata"), p.named(), "metadata "+joinLimited(keys, 3))
	}
	version := match.GetProxyVersion()
	if version == "" {
		return True, Step{}
	}
	re, err := regexp.Compile(version)
	if err != nil {
		return True, Step{} // istiod leaves the condition out; the API server refuses it
	}
	fits := 0
	for patch := range patchReleases {
		if re.MatchString(s.Version.Release + "." + strconv.Itoa(patch)) {
			fits++
		}
	}
	at := p.field("match.proxy.proxyVersion")
	switch fits {
	case patchReleases:
		return True, Step{}
	case 0:
		return False, NewStep(RuleEnvoyFilterVersion, Skipped, at, p.named(), version, s.Version.Release).Unlike(version, s.Version.Release)
	}
	return Unknown, NewStep(RuleEnvoyFilterProxyUnknown, Warned, at, p.named(), "version "+version)
}
