package resolve

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// istioNetworking is the API group of DestinationRule, ServiceEntry and their kin.
const istioNetworking = "networking.istio.io"

// Rules of merging DestinationRules.
const (
	RuleDestinationRuleMerged          RuleID = "destinationrule/merged"
	RuleDestinationRuleDuplicateSubset RuleID = "destinationrule/duplicate-subset"
	RuleDestinationRuleSecondPolicy    RuleID = "destinationrule/second-traffic-policy"
)

var destinationRuleMergeRules = []Rule{
	{
		ID: RuleDestinationRuleMerged, Stage: StageDestinationRule,
		Says:     "DestinationRules of one namespace and host with the same exportTo are merged: subsets are appended, the first trafficPolicy counts as a whole.",
		Template: "merged into %s, which is older (with equal or no creation time: first by name) and has the same host",
		Source:   "pilot/pkg/model/destination_rule.go, mergeDestinationRule",
	},
	{
		ID: RuleDestinationRuleDuplicateSubset, Stage: StageDestinationRule,
		Says:     "A subset name that an earlier merged DestinationRule has is ignored.",
		Template: "subset %s is defined by %s already; the first definition counts",
		Source:   "pilot/pkg/model/destination_rule.go, mergeDestinationRule",
	},
	{
		ID: RuleDestinationRuleSecondPolicy, Stage: StageDestinationRule,
		Says:     "Of merged DestinationRules the first trafficPolicy counts as a whole; a later one is ignored, field by field merging does not happen.",
		Template: "trafficPolicy is ignored: %s has one, and only the first counts",
		Source:   "pilot/pkg/model/destination_rule.go, mergeDestinationRule",
	},
}

// mergedDestinationRule is what istiod made of one or several objects.
type mergedDestinationRule struct {
	rule       *networking.DestinationRule
	from       []*destinationRuleSource
	exportTo   exportSet
	subsetRefs []Ref
	policyRef  Ref
	// policy is set while it is made of backend policies alone; tlsRefs are where these wrote tls, by port.
	policy  bool
	tlsRefs map[uint32]Ref
	// steps tell what was merged in and what of it was dropped.
	steps []Step
}

func (m *mergedDestinationRule) namespace() string { return m.from[0].ref.Namespace }

func (m *mergedDestinationRule) contains(d *destinationRuleSource) bool {
	return slices.Contains(m.from, d)
}

func (m *mergedDestinationRule) refs() []Ref {
	refs := make([]Ref, len(m.from))
	for i, d := range m.from {
		refs[i] = d.ref
	}
	return refs
}

func newMergedDestinationRule(d *destinationRuleSource) *mergedDestinationRule {
	m := &mergedDestinationRule{
		rule: &networking.DestinationRule{
			Host:             d.host,
			TrafficPolicy:    d.spec.GetTrafficPolicy(),
			Subsets:          slices.Clone(d.spec.GetSubsets()),
			ExportTo:         d.spec.GetExportTo(),
			WorkloadSelector: d.spec.GetWorkloadSelector(),
		},
		from:     []*destinationRuleSource{d},
		exportTo: d.exportTo, policy: d.policy, tlsRefs: d.tlsRefs,
	}
	for i := range d.spec.GetSubsets() {
		m.subsetRefs = append(m.subsetRefs, d.ref.At(pathIndex("spec.subsets", i)))
	}
	if d.spec.GetTrafficPolicy() != nil {
		m.policyRef = d.ref.At("spec.trafficPolicy")
	}
	return m
}

// merge takes the subsets that are new, and the trafficPolicy if there is none yet.
func (m *mergedDestinationRule) merge(d *destinationRuleSource) {
	m.steps = append(m.steps, NewStep(RuleDestinationRuleMerged, Applied, d.ref, m.from[0].ref.String()))
	for i, subset := range d.spec.GetSubsets() {
		ref := d.ref.At(pathIndex("spec.subsets", i))
		if at := slices.IndexFunc(m.rule.Subsets, func(s *networking.Subset) bool { return s.GetName() == subset.GetName() }); at >= 0 {
			m.steps = append(m.steps, NewStep(RuleDestinationRuleDuplicateSubset, Skipped, ref, subset.GetName(), m.subsetRefs[at].Object().String()))
			continue
		}
		m.rule.Subsets = append(m.rule.Subsets, subset)
		m.subsetRefs = append(m.subsetRefs, ref)
	}
	switch {
	case d.policy != m.policy:
		m.fillGaps(d)
	case d.spec.GetTrafficPolicy() == nil:
	case m.rule.TrafficPolicy == nil:
		m.rule.TrafficPolicy, m.policyRef = d.spec.GetTrafficPolicy(), d.ref.At("spec.trafficPolicy")
	default:
		m.steps = append(m.steps, NewStep(RuleDestinationRuleSecondPolicy, Skipped, d.ref.At("spec.trafficPolicy"), m.policyRef.Object().String()))
	}
	m.from = append(m.from, d)
}

// fillGaps merges a user's rule and one made of backend policies, in whichever order they come.
func (m *mergedDestinationRule) fillGaps(d *destinationRuleSource) {
	user, policy, policyRef, tlsRefs := m.rule.TrafficPolicy, d.spec.GetTrafficPolicy(), d.ref, d.tlsRefs
	if m.policy {
		user, policy, policyRef, tlsRefs = policy, user, m.from[0].ref, m.tlsRefs
		m.policyRef = Ref{}
		if user != nil {
			m.policyRef = d.ref.At("spec.trafficPolicy")
		}
	}
	merged, ports := fillGaps(user, policy)
	m.rule.TrafficPolicy, m.policy, m.tlsRefs = merged, false, map[uint32]Ref{}
	var filled []string
	for _, port := range ports {
		m.tlsRefs[port] = tlsRefs[port]
		if port == 0 {
			filled = append(filled, "tls")
		} else {
			filled = append(filled, "tls of port "+strconv.Itoa(int(port)))
		}
	}
	user0 := m.from[0].ref
	if user0 == policyRef {
		user0 = d.ref
	}
	m.steps = append(m.steps, NewStep(RuleBackendPolicyGap, Applied, policyRef, user0, cmp.Or(strings.Join(filled, ", "), "nothing")))
}

// add merges a rule into those of the same host, or keeps it by itself.
//
//  1. A rule merges into an earlier one with the same exportTo set, or with a set
//     that its own includes. Sets are compared literally.
//  2. Rules with different workloadSelectors do not merge.
//  3. Two rules without selector, or with the same one, become one. A rule
//     without selector that merges into one with a selector is kept by itself as
//     well only if its exportTo is the larger set.
//
// Source: pilot/pkg/model/destination_rule.go, mergeDestinationRule.
func (r *destinationRulesByHost) add(d *destinationRuleSource) {
	byHost := r.exact
	if IsWildcardHost(d.host) {
		byHost = r.wildcard
	}
	keep := true
	for _, m := range byHost[d.host] {
		// 1.
		switch {
		case slices.Equal(d.exportTo, m.exportTo):
			keep = false
		case len(m.exportTo) > 0 && d.exportTo.supersetOf(m.exportTo):
			keep = true
		default:
			keep = true
			continue
		}
		// 2.
		mine, theirs := d.spec.GetWorkloadSelector(), m.rule.GetWorkloadSelector()
		same := maps.Equal(mine.GetMatchLabels(), theirs.GetMatchLabels())
		if mine != nil && theirs != nil && !same {
			keep = true
			continue
		}
		// 3.
		if (mine == nil && theirs == nil) || (mine != nil && theirs != nil) {
			keep = false
		}
		m.merge(d)
	}
	if keep {
		byHost[d.host] = append(byHost[d.host], newMergedDestinationRule(d))
	}
}
