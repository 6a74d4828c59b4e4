package resolve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	apisecurity "istio.io/api/security/v1beta1"
)

// policiesOn are the AuthorizationPolicies that apply to a proxy.
type policiesOn struct {
	byAction map[apisecurity.AuthorizationPolicy_Action]attachedPolicies
	// passedOver says why the others do not apply.
	passedOver []Step
}

// attachedPolicies are the policies of one action that apply, oldest first.
type attachedPolicies struct{ enforced, dryRun []*authorizationPolicy }

// policiesOn returns those of action CUSTOM, or all others.
func (s *Snapshot) policiesOn(w *Workload, custom bool) policiesOn {
	return s.known(w).policies.of(custom, func() policiesOn { return s.findPolicies(w, custom) })
}

// add puts a policy behind those of its action.
func (o policiesOn) add(p *authorizationPolicy) {
	of := o.byAction[p.spec.GetAction()]
	if p.dryRun {
		of.dryRun = append(of.dryRun, p)
	} else {
		of.enforced = append(of.enforced, p)
	}
	o.byAction[p.spec.GetAction()] = of
}

func (s *Snapshot) findPolicies(w *Workload, custom bool) policiesOn {
	target := s.policyTarget(w)
	out := policiesOn{byAction: map[apisecurity.AuthorizationPolicy_Action]attachedPolicies{}}
	policies := s.index.policies().custom
	if !custom {
		policies, out.passedOver = s.index.policies().authorization, s.hiddenAuthorizationPolicies(target)
	}
	var who any = w.Owner.String()
	for _, ns := range target.namespaces() {
		for _, p := range policies[ns] {
			if at := target.attach(ns, p.spec, p.selector); at != attached {
				step := target.passedOver(at, p.ref, p.spec, p.selector, attachmentRules{
					otherLabels: RuleAuthorizationOtherLabels, targetRefs: RuleAuthorizationTargetRefs,
					waypoint: RuleAuthorizationWaypoint,
				}, who)
				out.passedOver = append(out.passedOver, step.meantFor(step.Meant && !p.fitsZtunnel()))
				continue
			}
			out.add(p)
			out.passedOver = append(out.passedOver, s.waypointStatus(p)...)
		}
	}
	out.passedOver = slices.Clip(out.passedOver)
	return out
}

// evaluated is a rule with its result.
type evaluated struct {
	*authorizationRule
	ruleResult
}

// matchedText names the values by which a rule matched, and the fields that are not there to be looked at.
func (e evaluated) matchedText(in *policyInput) string {
	text := e.ruleResult.matchedText(in)
	if fields := e.vanished(); len(fields) > 0 {
		text += "; " + e.vanishedText(fields)
	}
	return text
}

// vanished are the HTTP fields of a rule that do not exist on a TCP filter chain, nor for ztunnel.
func (r *authorizationRule) vanished() []string {
	var out []string
	for _, s := range r.narrowed {
		http := s.Rule == RuleAuthorizationHTTPInTCP || s.Rule == RuleZtunnelHTTPLeftOut
		if name := fmt.Sprint(s.Args...); http && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// vanishedText says where the fields are left out.
func (r *authorizationRule) vanishedText(fields []string) string {
	where := "on this TCP port"
	if r.at == ztunnel {
		where = "at ztunnel"
	}
	return "left out " + where + ": " + strings.Join(fields, ", ")
}

// evaluate evaluates all rules of the policies in the order in which Envoy tries
// them: by name, as text; ztunnel has them in its own. Rules that istiod leaves out, and parts of rules, become steps.
func (a *authorizing) evaluate(policies []*authorizationPolicy) []evaluated {
	var out []evaluated
	for _, p := range policies {
		for _, r := range p.rulesAt(a.at) {
			a.Steps = append(a.Steps, a.leftOut(r)...)
			if r.dropped != nil {
				continue
			}
			out = append(out, evaluated{r, r.evaluate(&a.in)})
		}
	}
	if a.at != ztunnel {
		slices.SortStableFunc(out, func(x, y evaluated) int { return cmp.Compare(x.name, y.name) })
	}
	return out
}

// missed adds a step for each clause by which a rule does not match, or cannot be decided.
func (a *authorizing) missed(rule RuleID, r evaluated) {
	for _, c := range r.unknown {
		a.Steps = append(a.Steps, NewStep(RuleAuthorizationUnknown, Warned, r.ref.At(c.field), r.ref.Field, c.short, c.attribute.actual(&a.in)).
			Unlike(c.expected(), c.attribute.actual(&a.in)))
	}
	if r.truth != False {
		return
	}
	for _, c := range r.missed {
		actual := c.attribute.actual(&a.in)
		a.Steps = append(a.Steps, NewStep(rule, Skipped, r.ref.At(c.field), r.ref.Field, c.short, actual).
			Unlike(c.expected(), actual))
	}
}

// withoutRules adds a step for policies, other than ALLOW, that match nothing.
func (a *authorizing) withoutRules(policies []*authorizationPolicy) {
	for _, p := range policies {
		if len(p.spec.GetRules()) == 0 {
			a.Steps = append(a.Steps, NewStep(RuleAuthorizationDenyNothing, Skipped, p.ref.At("spec"), p.spec.GetAction().String()))
		}
	}
}
