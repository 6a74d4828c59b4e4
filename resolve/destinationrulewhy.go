package resolve

// passedOver has a step for every DestinationRule that covers the service, or
// looks as if it were meant to, and was not used.
func (l *destinationRuleLookup) passedOver() []Step {
	var steps []Step
	for _, source := range l.ix.covering(l.svc.Hostname) {
		if l.chosen == nil || !l.chosen.contains(source) {
			steps = append(steps, l.why(source))
		}
	}
	for _, source := range l.ix.written[l.svc.Name] {
		if l.misnames(source) {
			steps = append(steps, NewStep(RuleDestinationRuleShortHost, Skipped, source.ref.At("spec.host"),
				source.spec.GetHost(), source.host, l.svc.Hostname).Unlike(l.svc.Hostname, source.host))
		}
	}
	return steps
}

// misnames reports whether the rule's host looks as if it were meant for the
// service and stands for something else: a half-qualified name, or a short name
// in the client's or the root namespace that has no such Service.
func (l *destinationRuleLookup) misnames(d *destinationRuleSource) bool {
	if d.host == l.svc.Hostname {
		return false
	}
	qualified := l.svc.Name + "." + l.svc.Namespace
	switch d.spec.GetHost() {
	case qualified, qualified + ".svc":
		return true
	case l.svc.Name:
		near := d.ref.Namespace == l.client.Namespace || d.ref.Namespace == l.root
		return near && !l.ix.services[destinationKey{d.ref.Namespace, l.svc.Name}]
	}
	return false
}

// why says why a DestinationRule that covers the service was not used.
func (l *destinationRuleLookup) why(d *destinationRuleSource) Step {
	ns := d.ref.Namespace
	at := levelNone
	switch {
	case ns == l.client.Namespace && (ns != l.root || d.private(l.ix.defaultPrivate)):
		at = levelClient
	case ns == l.svc.Namespace:
		at = levelService
	case ns == l.root:
		at = levelRoot
	default:
		return NewStep(RuleDestinationRuleOtherNamespace, Skipped, d.ref, ns, l.client.Namespace, l.svc.Namespace, l.root).meantFor(d.host == l.svc.Hostname)
	}
	switch selector := d.spec.GetWorkloadSelector(); {
	case at != levelClient && selector != nil:
		return NewStep(RuleDestinationRuleSelectorPrivate, Skipped, d.ref.At("spec.workloadSelector"), ns).Unlike("client in "+ns, "client in "+l.client.Namespace)
	case at == levelClient && !d.usableAtHome():
		return l.hiddenByExport(d)
	case l.level != levelNone && at > l.level:
		winner := l.found[0]
		if l.chosen != nil {
			winner = l.chosen
		}
		return NewStep(RuleDestinationRuleSearchEnded, Skipped, d.ref, winner.from[0].ref.String(), winner.namespace())
	case at == l.level:
		return l.whyAtLevel(d)
	}
	// The search passed this namespace by: exportTo hid what was most specific there.
	if d.private(l.ix.defaultPrivate) {
		return l.hiddenByExport(d)
	}
	host, rules := l.ix.exported[ns].mostSpecific(l.svc.Hostname)
	if len(rules) > 0 && host != d.host {
		return NewStep(RuleDestinationRuleNoFallback, Skipped, d.ref.At("spec.host"), d.host, host, l.client.Namespace)
	}
	return l.lostInMerge(d, rules)
}

// whyAtLevel is for a rule of the namespace where the search ended.
func (l *destinationRuleLookup) whyAtLevel(d *destinationRuleSource) Step {
	if l.level != levelClient && d.private(l.ix.defaultPrivate) {
		return l.hiddenByExport(d)
	}
	if d.host != l.host {
		return NewStep(RuleDestinationRuleLessSpecific, Skipped, d.ref.At("spec.host"), d.host, l.host, l.found[0].from[0].ref.String())
	}
	if selector := d.spec.GetWorkloadSelector(); selector != nil {
		if !l.selectors {
			return NewStep(RuleWaypointSelector, Skipped, d.ref.At("spec.workloadSelector"), l.svc.Hostname).meantFor(l.selects(selector.GetMatchLabels()))
		}
		if l.client.Anonymous && len(selector.GetMatchLabels()) > 0 {
			return NewStep(RuleDestinationRuleSelectorUnknown, Warned, d.ref.At("spec.workloadSelector"), labelsText(selector.GetMatchLabels()))
		}
		if !l.selects(selector.GetMatchLabels()) {
			want, got := labelMiss(selector.GetMatchLabels(), l.client.Labels)
			return NewStep(RuleDestinationRuleSelector, Skipped, d.ref.At("spec.workloadSelector"), labelsText(selector.GetMatchLabels()), got).Unlike(want, got)
		}
	}
	if !l.kept(d) {
		return l.lostInMerge(d, l.rulesAtLevel())
	}
	if l.chosen != nil && l.chosen.rule.GetWorkloadSelector() != nil {
		return NewStep(RuleDestinationRuleSelectorFirst, Skipped, d.ref, l.chosen.from[0].ref.String())
	}
	winner := l.found[len(l.found)-1]
	if l.chosen != nil {
		winner = l.chosen
	}
	return NewStep(RuleDestinationRuleNewestExport, Skipped, d.ref.At("spec.exportTo"), winner.from[0].ref.String())
}

func (l *destinationRuleLookup) rulesAtLevel() []*mergedDestinationRule {
	if l.level == levelClient {
		return l.found
	}
	_, rules := l.ix.exported[l.found[0].namespace()].mostSpecific(l.svc.Hostname)
	return rules
}

// kept reports whether the source is the head of one of the rules that the client sees.
func (l *destinationRuleLookup) kept(d *destinationRuleSource) bool {
	for _, rule := range l.found {
		if rule.from[0] == d {
			return true
		}
	}
	return false
}

// lostInMerge is for a rule that the client would see if it had not been merged
// into another; for any other it is exportTo that hides it.
func (l *destinationRuleLookup) lostInMerge(d *destinationRuleSource, rules []*mergedDestinationRule) Step {
	seen := d.exportTo.reaches(l.client.Namespace) || d.ref.Namespace == l.client.Namespace
	for _, rule := range rules {
		if seen && rule.from[0] != d && rule.contains(d) {
			return NewStep(RuleDestinationRuleExportLost, Skipped, d.ref.At("spec.exportTo"), rule.from[0].ref.String())
		}
	}
	return l.hiddenByExport(d)
}

func (l *destinationRuleLookup) hiddenByExport(d *destinationRuleSource) Step {
	list := d.exportTo.String()
	if len(d.exportTo) == 0 && l.ix.defaultPrivate {
		list = "(unset; the mesh default is \".\")"
	}
	return NewStep(RuleDestinationRuleExportTo, Skipped, d.ref.At("spec.exportTo"), list, l.client.Namespace).
		Unlike(l.client.Namespace, list)
}
