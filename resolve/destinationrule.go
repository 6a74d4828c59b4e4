package resolve

import (
	networking "istio.io/api/networking/v1alpha3"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Rules of the DestinationRule lookup.
const (
	RuleDestinationRuleClientNamespace  RuleID = "destinationrule/client-namespace"
	RuleDestinationRuleServiceNamespace RuleID = "destinationrule/service-namespace"
	RuleDestinationRuleRootNamespace    RuleID = "destinationrule/root-namespace"
	RuleDestinationRuleNone             RuleID = "destinationrule/none"
	RuleDestinationRuleOnlySelectors    RuleID = "destinationrule/only-selectors"
	RuleDestinationRuleSearchEnded      RuleID = "destinationrule/search-ended"
	RuleDestinationRuleLessSpecific     RuleID = "destinationrule/less-specific"
	RuleDestinationRuleExportTo         RuleID = "destinationrule/export-to"
	RuleDestinationRuleNoFallback       RuleID = "destinationrule/no-fallback"
	RuleDestinationRuleSelector         RuleID = "destinationrule/workload-selector"
	RuleDestinationRuleSelectorFirst    RuleID = "destinationrule/workload-selector-first"
	RuleDestinationRuleSelectorUnknown  RuleID = "destinationrule/workload-selector-unknown"
	RuleDestinationRuleSelectorPrivate  RuleID = "destinationrule/workload-selector-private"
	RuleDestinationRuleNewestExport     RuleID = "destinationrule/newest-export"
	RuleDestinationRuleExportLost       RuleID = "destinationrule/export-lost"
	RuleDestinationRuleOtherNamespace   RuleID = "destinationrule/other-namespace"
	RuleDestinationRuleShortHost        RuleID = "destinationrule/short-host"
	RuleDestinationRuleUnreadable       RuleID = "destinationrule/unreadable"
)

var destinationRuleRules = append([]Rule{
	{
		ID: RuleDestinationRuleClientNamespace, Stage: StageDestinationRule,
		Says:     "The client's own namespace is searched first; any DestinationRule there whose host covers the service, even \"*\", ends the search. Clients in the root namespace find only private rules at this step.",
		Template: "host %s: found in the client's namespace %s, which is searched first",
		Source:   "pilot/pkg/model/push_context.go, destinationRule",
	},
	{
		ID: RuleDestinationRuleServiceNamespace, Stage: StageDestinationRule,
		Says:     "Without a hit in the client's namespace, the service's namespace is searched for exported rules.",
		Template: "host %s: found in the service's namespace %s",
		Source:   "pilot/pkg/model/push_context.go, destinationRule",
	},
	{
		ID: RuleDestinationRuleRootNamespace, Stage: StageDestinationRule,
		Says:     "The root namespace is searched last, for exported rules.",
		Template: "host %s: found in the root namespace %s, which is searched last",
		Source:   "pilot/pkg/model/push_context.go, destinationRule",
	},
	{
		ID: RuleDestinationRuleNone, Stage: StageDestinationRule,
		Says:     "Without a DestinationRule a service has no subsets and Istio's default traffic policy.",
		Template: "no DestinationRule for %s applies to clients in namespace %s: no subsets, default traffic policy",
		Source:   "pilot/pkg/model/push_context.go, destinationRule",
	},
	{
		ID: RuleDestinationRuleOnlySelectors, Stage: StageDestinationRule,
		Says:     "Where the namespace that ended the search has only rules with a workloadSelector for the host and none selects the client, no DestinationRule applies; the next namespace is not asked.",
		Template: "namespace %s has only DestinationRules with a workloadSelector for %s and none selects the client: no DestinationRule applies, other namespaces are not searched",
		Source:   "pilot/pkg/model/sidecar.go, SidecarScope.DestinationRule",
	},
	{
		ID: RuleDestinationRuleSearchEnded, Stage: StageDestinationRule,
		Says:     "The first namespace with a hit ends the search; rules of different namespaces are never merged.",
		Template: "not reached: %s in namespace %s ended the search, and rules of different namespaces are not merged",
		Source:   "pilot/pkg/model/push_context.go, destinationRule",
	},
	{
		ID: RuleDestinationRuleLessSpecific, Stage: StageDestinationRule,
		Says:     "Within a namespace only the most specific host counts: an exact name before wildcards, a longer one before a shorter one.",
		Template: "host %s is less specific than %s of %s",
		Source:   "pilot/pkg/model/config.go, MostSpecificHostMatch",
	},
	{
		ID: RuleDestinationRuleExportTo, Stage: StageDestinationRule,
		Says:     "A DestinationRule applies only to clients of the namespaces in its exportTo.",
		Template: "exportTo %s does not include the client's namespace %s",
		Source:   "pilot/pkg/model/push_context.go, setDestinationRules, getExportedDestinationRuleFromNamespace",
	},
	{
		ID: RuleDestinationRuleNoFallback, Stage: StageDestinationRule,
		Says:     "The most specific host of a namespace is picked before exportTo is looked at; if exportTo then hides it, a wider host of that namespace is not tried.",
		Template: "host %s is wider than %s, which was picked first and is not exported to %s; Istio does not fall back",
		Source:   "pilot/pkg/model/push_context.go, getExportedDestinationRuleFromNamespace",
	},
	{
		ID: RuleDestinationRuleSelector, Stage: StageDestinationRule,
		Says:     "A DestinationRule with a workloadSelector applies only to clients with these labels.",
		Template: "workloadSelector %s does not select the client (%s)",
		Source:   "pilot/pkg/model/sidecar.go, SidecarScope.DestinationRule",
	},
	{
		ID: RuleDestinationRuleSelectorFirst, Stage: StageDestinationRule,
		Says:     "The first rule whose workloadSelector selects the client is used before rules without a workloadSelector.",
		Template: "%s has a workloadSelector that selects the client and goes first",
		Source:   "pilot/pkg/model/sidecar.go, SidecarScope.DestinationRule",
	},
	{
		ID: RuleDestinationRuleSelectorUnknown, Stage: StageDestinationRule,
		Says:     "The labels of an assumed client are not known, so a workloadSelector is taken as not selecting it.",
		Template: "workloadSelector %s: the labels of the assumed client are not known, taken as not selected; name a source with --from",
		Source:   "pilot/pkg/model/sidecar.go, SidecarScope.DestinationRule",
	},
	{
		ID: RuleDestinationRuleSelectorPrivate, Stage: StageDestinationRule,
		Says:     "A DestinationRule with a workloadSelector applies only to clients of its own namespace, whatever its exportTo says.",
		Template: "a DestinationRule with a workloadSelector works only for clients of its own namespace %s",
		Source:   "pilot/pkg/model/push_context.go, setDestinationRules",
	},
	{
		ID: RuleDestinationRuleNewestExport, Stage: StageDestinationRule,
		Says:     "DestinationRules of one host and namespace with different exportTo are not merged; a client that sees several gets the newest without workloadSelector.",
		Template: "%s has the same host and another exportTo, and comes later by age, then name: the last one is used",
		Source:   "pilot/pkg/model/destination_rule.go, mergeDestinationRule; sidecar.go, SidecarScope.DestinationRule",
	},
	{
		ID: RuleDestinationRuleExportLost, Stage: StageDestinationRule,
		Says:     "A DestinationRule that is merged into an older one of the same host is not kept by itself, so what only its own exportTo (or, merged into one with workloadSelector, only it without a selector) reaches gets nothing.",
		Template: "was merged into %s, which does not apply to this client; merged rules are not kept by themselves",
		Source:   "pilot/pkg/model/destination_rule.go, mergeDestinationRule",
	},
	{
		ID: RuleDestinationRuleOtherNamespace, Stage: StageDestinationRule,
		Says:     "DestinationRules outside the client's, the service's and the root namespace are never looked at.",
		Template: "namespace %s is neither the client's (%s), nor the service's (%s), nor the root namespace (%s)",
		Source:   "pilot/pkg/model/push_context.go, destinationRule",
	},
	{
		ID: RuleDestinationRuleShortHost, Stage: StageDestinationRule,
		Says:     "A host without a dot means the DestinationRule's own namespace; a host with a dot is taken as a full name.",
		Template: "host %s means %s, not %s",
		Source:   "pilot/pkg/model/config.go, ResolveShortnameToFQDN",
	},
	{
		ID: RuleDestinationRuleUnreadable, Stage: StageDestinationRule,
		Says:     "DestinationRules that could not be read could decide about subsets and TLS; they are taken as absent.",
		Template: "DestinationRules could not be read (%s): taken as absent",
		Source:   "assumption of the tool",
	},
}, destinationRuleMergeRules...)

var destinationRuleKind = schema.GroupKind{Group: istioNetworking, Kind: "DestinationRule"}

// DestinationRuleMatch is the DestinationRule that applies to a client for a service.
type DestinationRuleMatch struct {
	// Rule is what istiod merged from the objects in Merged; nil if none applies.
	Rule *networking.DestinationRule
	// Ref is the first of the merged objects: the one whose trafficPolicy and name count.
	Ref Ref
	// Merged are all objects Rule was merged from, Ref first.
	Merged []Ref
	// SubsetRefs holds, for every entry of Rule.Subsets, where it was written.
	SubsetRefs []Ref
	// PolicyRef is where Rule.TrafficPolicy was written; zero if there is none.
	PolicyRef Ref
	Steps     []Step
	// tlsRefs are where backend policies of the Gateway API wrote tls, by port, 0 for all ports.
	tlsRefs map[uint32]Ref
}

// Subset returns the first subset of that name and where it was written.
func (m DestinationRuleMatch) Subset(name string) (*networking.Subset, Ref) {
	for i, subset := range m.Rule.GetSubsets() {
		if subset.GetName() == name {
			return subset, m.SubsetRefs[i]
		}
	}
	return nil, Ref{}
}

// DestinationRule finds the DestinationRule for a service as the client sees it.
//
//  1. The client's namespace: all rules usable there, most specific host. Any hit
//     ends the search. A client in the root namespace (an ingress gateway, say)
//     finds only private rules of the root namespace at this step.
//  2. The service's namespace: exported rules, most specific host first, then
//     exportTo. If exportTo hides what was picked, a wider host is not tried.
//  3. The root namespace, as in 2.
//  4. From what the step found, the first rule whose workloadSelector selects the
//     client, else the last (newest) without a workloadSelector, else none.
//
// Rules of one namespace and host were merged before; rules of different
// namespaces never are. A gateway's namespace is that of its pod.
//
// Source: pilot/pkg/model/push_context.go, destinationRule; sidecar.go, SidecarScope.DestinationRule.
func (s *Snapshot) DestinationRule(client *Workload, svc *Service) DestinationRuleMatch {
	return s.destinationRuleFor(client, svc, true)
}

// destinationRuleFor is DestinationRule; without selectors rules with a workloadSelector never apply, as in the clusters of
// a waypoint's own services.
func (s *Snapshot) destinationRuleFor(client *Workload, svc *Service, selectors bool) DestinationRuleMatch {
	if svc == nil {
		return DestinationRuleMatch{}
	}
	if client == nil {
		client = &Workload{Anonymous: true}
	}
	ix := s.index.destinationRules()
	l := destinationRuleLookup{ix: ix, client: client, svc: svc, root: s.Mesh.GetRootNamespace(), selectors: selectors}
	l.search()
	l.choose()

	var match DestinationRuleMatch
	for _, gap := range s.GapsOf(destinationRuleKind, l.searched()...) {
		match.Steps = append(match.Steps, NewStep(RuleDestinationRuleUnreadable, Warned, gap.ref(), string(gap.Reason)))
	}
	match.Steps = append(match.Steps, s.hiddenDestinationRules(svc.Hostname, l.searched())...)
	match.Steps = append(match.Steps, l.passedOver()...)
	match.Steps = append(match.Steps, ix.policySteps[svc.Ref]...)
	if l.chosen == nil {
		match.Steps = append(match.Steps, l.none())
		return match
	}
	match.Rule, match.Ref, match.Merged = l.chosen.rule, l.chosen.from[0].ref, l.chosen.refs()
	match.SubsetRefs, match.PolicyRef = l.chosen.subsetRefs, l.chosen.policyRef
	match.tlsRefs = l.chosen.tlsRefs
	match.Steps = append(match.Steps, NewStep(l.level.rule(), Matched, match.Ref, l.chosen.rule.GetHost(), match.Ref.Namespace))
	match.Steps = append(match.Steps, l.chosen.steps...)
	return match
}

// lookupLevel is the namespace at which the search ended.
type lookupLevel int

const (
	levelNone lookupLevel = iota
	levelClient
	levelService
	levelRoot
)

func (l lookupLevel) rule() RuleID {
	switch l {
	case levelClient:
		return RuleDestinationRuleClientNamespace
	case levelService:
		return RuleDestinationRuleServiceNamespace
	case levelRoot:
		return RuleDestinationRuleRootNamespace
	case levelNone:
	}
	return RuleDestinationRuleNone
}

// destinationRuleLookup is one search and what it came to.
type destinationRuleLookup struct {
	ix     *destinationRuleIndex
	client *Workload
	svc    *Service
	root   string
	// selectors is set where a workloadSelector counts.
	selectors bool

	level lookupLevel
	// host is the most specific host at the level where the search ended.
	host   string
	found  []*mergedDestinationRule
	chosen *mergedDestinationRule
}

// search is steps 1 to 3.
func (l *destinationRuleLookup) search() {
	// 1. The client's namespace.
	own := l.ix.local[l.client.Namespace]
	if l.client.Namespace == l.root {
		own = l.ix.rootPrivate
	}
	if host, rules := own.mostSpecific(l.svc.Hostname); rules != nil {
		l.level, l.host, l.found = levelClient, host, rules
		return
	}
	// 2. The service's namespace.
	if host, rules := l.exported(l.svc.Namespace); rules != nil {
		l.level, l.host, l.found = levelService, host, rules
		return
	}
	// 3. The root namespace.
	if host, rules := l.exported(l.root); rules != nil {
		l.level, l.host, l.found = levelRoot, host, rules
	}
}

// searched are the namespaces that the search went through; it ends at the first that has a rule.
func (l *destinationRuleLookup) searched() []string {
	switch l.level {
	case levelClient:
		return []string{l.client.Namespace}
	case levelService:
		return []string{l.client.Namespace, l.svc.Namespace}
	case levelRoot, levelNone:
	}
	return []string{l.client.Namespace, l.svc.Namespace, l.root}
}

func (l *destinationRuleLookup) exported(namespace string) (string, []*mergedDestinationRule) {
	host, rules := l.ix.exported[namespace].mostSpecific(l.svc.Hostname)
	var visible []*mergedDestinationRule
	for _, rule := range rules {
		if rule.exportTo.reaches(l.client.Namespace) {
			visible = append(visible, rule)
		}
	}
	return host, visible
}

// choose is step 4.
func (l *destinationRuleLookup) choose() {
	for _, rule := range l.found {
		selector := rule.rule.GetWorkloadSelector()
		if selector == nil {
			l.chosen = rule
			continue
		}
		if l.selectors && rule.namespace() == l.client.Namespace && l.selects(selector.GetMatchLabels()) {
			l.chosen = rule
			return
		}
	}
}

func (l *destinationRuleLookup) selects(labels map[string]string) bool {
	if l.client.Anonymous && len(labels) > 0 {
		return false
	}
	return Selects(labels, l.client.Labels)
}

func (l *destinationRuleLookup) none() Step {
	if len(l.found) > 0 {
		return NewStep(RuleDestinationRuleOnlySelectors, None, l.found[0].from[0].ref, l.found[0].namespace(), l.svc.Hostname)
	}
	return NewStep(RuleDestinationRuleNone, None, Ref{}, l.svc.Hostname, l.client.Namespace)
}
