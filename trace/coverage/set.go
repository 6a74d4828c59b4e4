package coverage

import (
	"maps"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Set are the fields that have decided in the traces added so far. The zero value is empty.
type Set struct {
	decided map[resolve.Ref]bool
}

// deciding are the rules of Istio whose steps tell that what they are about took part in the decision, unless it was skipped.
var deciding = []resolve.RuleID{
	resolve.RuleRouteFirstMatch, resolve.RuleGatewayL4Route, resolve.RuleL4Matched, resolve.RuleCORSAnswered,
	resolve.RuleSubset, resolve.RuleGatewayAutoPassthroughSubset,
	resolve.RulePeerAuthenticationPort, resolve.RulePeerAuthenticationWorkload,
	resolve.RulePeerAuthenticationNamespace, resolve.RulePeerAuthenticationMesh,
	resolve.RuleRequestAuthenticationAccepted, resolve.RuleRequestAuthenticationRefused,
	resolve.RuleAuthorizationDeny, resolve.RuleAuthorizationAllow, resolve.RuleAuthorizationNoAllowMatched, resolve.RuleAuthorizationAudit,
	resolve.RuleAuthorizationDryRunDeny, resolve.RuleAuthorizationDryRunAllow,
	resolve.RuleAuthorizationCustom, resolve.RuleAuthorizationCustomUnusable, resolve.RuleAuthorizationCustomUnknown,
	resolve.RuleAuthorizationCustomProviders, resolve.RuleAuthorizationCustomDryRun,
}

// Add adds what decided in a trace of [trace.DetailFull] on that snapshot, also for a part of the requests only.
func (c *Set) Add(s *resolve.Snapshot, t *trace.Trace) {
	if c.decided == nil {
		c.decided = map[resolve.Ref]bool{}
	}
	for i := range t.Hops {
		steps := t.Hops[i].Steps
		for j := range steps {
			step := &steps[j]
			if step.Verdict == resolve.Skipped || step.Ref.Kind == "EnvoyFilter" || !slices.Contains(deciding, step.Rule) {
				continue
			}
			c.decided[step.Ref] = true
			if root, leaf, ok := s.WrittenEntries(steps, step.Ref); ok && root != leaf {
				c.decided[root], c.decided[leaf] = true, true
			}
		}
	}
}

// Join adds what decided in another set.
func (c *Set) Join(other *Set) {
	if c.decided == nil {
		c.decided = map[resolve.Ref]bool{}
	}
	maps.Copy(c.decided, other.decided)
}

// fieldsOf are the fields of each object that decided.
func (c *Set) fieldsOf() map[resolve.Ref][]string {
	out := map[resolve.Ref][]string{}
	for ref := range c.decided {
		out[ref.Object()] = append(out[ref.Object()], ref.Field)
	}
	return out
}

// covers reports whether one of the fields is the rule, or a part of it.
func covers(fields []string, rule string) bool {
	return slices.ContainsFunc(fields, func(field string) bool {
		rest, ok := strings.CutPrefix(field, rule)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// Stray are the fields that have decided and are part of no rule of the list, for a test to find that the list lacks one. What decides by being
// empty has no rule: an AuthorizationPolicy none of whose rules matched.
func (c *Set) Stray(rules []Rule) []resolve.Ref {
	var out []resolve.Ref
	for ref := range c.decided {
		known := ref.IsZero() || ref.Field == "spec.rules" ||
			(ref.Kind == "TLSRoute" || ref.Kind == "TCPRoute") && (ref.Field == "spec.hostnames" || covers([]string{ref.Field}, "spec.parentRefs"))
		for _, r := range rules {
			known = known || r.Ref.Object() == ref.Object() && (covers([]string{ref.Field}, r.Ref.Field) || covers([]string{r.Ref.Field}, ref.Field))
		}
		if !known {
			out = append(out, ref)
		}
	}
	slices.SortFunc(out, resolve.CompareRefs)
	return out
}
