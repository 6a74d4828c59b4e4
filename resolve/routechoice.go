package resolve

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// The rules by which Envoy chooses among the routes of a virtual host.
const (
	RuleRouteFirstMatch  RuleID = "route/first-match"
	RuleRoutePlainPrefix RuleID = "route/plain-prefix"
	RuleRouteNotReached  RuleID = "route/not-reached"
	RuleRouteAlsoMatches RuleID = "route/also-matches"
	RuleRouteCloserMatch RuleID = "route/closer-match-behind"
	RuleRouteNoMatch     RuleID = "route/no-match"
	RuleRouteDefault     RuleID = "route/default"
)

var routeChoiceRules = []Rule{
	{
		ID: RuleRouteFirstMatch, Stage: StageRoute,
		Says:     "Envoy takes the first route of the virtual host that matches; how closely it matches does not count.",
		Template: "the first rule that matches: %s",
		Source:   "Envoy, source/common/router/config_impl.cc, VirtualHostImpl::getRouteFromEntries",
	},
	{
		ID: RuleRoutePlainPrefix, Stage: StageRoute,
		Says:     "A uri prefix is a plain string: /policy takes /policy-author too.",
		Template: "prefix %q takes %q too: it is compared as a plain string, not by path segments",
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateRouteMatch",
	},
	{
		ID: RuleRouteNotReached, Stage: StageRoute,
		Says:     "Routes behind the first that matches are not looked at.",
		Template: "not looked at: %s comes first",
		Source:   "Envoy, source/common/router/config_impl.cc, VirtualHostImpl::getRouteFromEntries",
		Detail:   true,
	},
	{
		ID: RuleRouteAlsoMatches, Stage: StageRoute,
		Says:     "A later route that would match too is never asked.",
		Template: "it would match too (%s), but %s comes first",
		Source:   "Envoy, source/common/router/config_impl.cc, VirtualHostImpl::getRouteFromEntries",
		Detail:   true,
	},
	{
		ID: RuleRouteCloserMatch, Stage: StageRoute,
		Says:     "A later route whose uri is closer to the path than that of the first match is never asked.",
		Template: "it would match more closely (%s), but %s comes first",
		Source:   "Envoy, source/common/router/config_impl.cc, VirtualHostImpl::getRouteFromEntries",
	},
	{
		ID: RuleRouteNoMatch, Stage: StageRoute,
		Says:     "A virtual host in which no route matches answers 404; no other virtual host is tried.",
		Template: "%s %s",
		Source:   "Envoy, source/common/router/config_impl.cc, VirtualHostImpl::getRouteFromEntries",
	},
	{
		ID: RuleRouteDefault, Stage: StageRoute,
		Says:     "A service without a VirtualService that applies gets one route, to itself.",
		Template: "no VirtualService applies, so the request goes to %s port %d",
		Source:   "pilot/pkg/networking/core/route/route.go, BuildDefaultHTTPOutboundRoute",
	},
}

// ChooseRoute is Envoy's choice among the routes of one virtual host.
//
// 1. The first route in order whose match holds is taken; specificity does not count.
// 2. If none does, the answer is 404.
// 3. A route whose match can not be decided leaves the choice uncertain: chosen
// is then what is taken if that route does not match.
//
// Source: Envoy, source/common/router/config_impl.cc, getRouteFromEntries.
func ChooseRoute(routes []*Route, q *HTTPRequest) (chosen *Route, steps []Step, certain Truth) {
	certain = True
	shadowed := false
	for _, r := range routes {
		if chosen != nil {
			steps = append(steps, notReached(r, chosen, q, &shadowed))
			continue
		}
		switch t, miss := r.Matches(q); t {
		case True:
			chosen = r
			steps = append(steps, chosenSteps(r, q)...)
		case False:
			step := NewStep(miss.Rule, Skipped, r.clauseRef(miss.Field), miss.subject, miss.Actual, miss.want)
			steps = append(steps, step.Unlike(miss.Expected, miss.Actual))
		case Unknown:
			certain = Unknown
			steps = append(steps, NewStep(RuleMatchUndecidable, Warned, r.clauseRef(miss.Field), miss.Expected, miss.Doubt))
		}
	}
	if chosen == nil {
		steps = append(steps, NewStep(RuleRouteNoMatch, None, Ref{}, noneOf(len(routes), "rule for this host", "match"), q.Method+" "+q.Path))
	}
	return chosen, steps, certain
}

// Choose is [ChooseRoute] among the routes of the virtual host. A catch-all that was moved behind the chosen one is a step about
// what was meant.
func (vh *VirtualHost) Choose(q *HTTPRequest) (chosen *Route, steps []Step, certain Truth) {
	chosen, steps, certain = ChooseRoute(vh.Routes, q)
	for i, s := range steps {
		first := slices.IndexFunc(vh.written, func(r *Route) bool { return r == chosen || r.Ref == s.Ref })
		if s.Rule == RuleRouteAlsoMatches && first >= 0 && vh.written[first] != chosen {
			steps[i] = s.meantFor(true)
		}
	}
	return chosen, steps, certain
}

// noneOf says in words that none of n things does it.
func noneOf(n int, noun, verb string) string {
	switch n {
	case 0:
		return "no " + noun + " " + verb + "es"
	case 1:
		return "the only " + noun + " does not " + verb
	}
	first, rest, _ := strings.Cut(noun, " ")
	return "none of the " + strconv.Itoa(n) + " " + first + "s " + rest + " " + verb + "es"
}

func chosenSteps(r *Route, q *HTTPRequest) []Step {
	if r.Default != nil {
		return []Step{NewStep(RuleRouteDefault, Matched, r.Default.Ref, r.Default.Hostname, r.DefaultPort)}
	}
	steps := []Step{NewStep(RuleRouteFirstMatch, Matched, r.Ref, r.Describe())}
	if p, ok := r.Match.GetUri().GetMatchType().(*networking.StringMatch_Prefix); ok && !r.segmentPrefix() {
		rest := q.Path[min(len(p.Prefix), len(q.Path)):]
		if rest != "" && rest[0] != '/' && p.Prefix != "" && !strings.HasSuffix(p.Prefix, "/") {
			steps = append(steps, NewStep(RuleRoutePlainPrefix, Applied, r.clauseRef("uri"), p.Prefix, q.Path))
		}
	}
	return steps
}

// notReached is the step of a route behind the chosen one; the first of them
// that would have matched too is named as such.
func notReached(r, chosen *Route, q *HTTPRequest, shadowed *bool) Step {
	if !*shadowed {
		if t, _ := r.Matches(q); t == True {
			*shadowed = true
			if r.Match.GetUri() != nil && chosen.matchedLiteral() < r.matchedLiteral() {
				return NewStep(RuleRouteCloserMatch, Skipped, r.Ref, r.Describe(), chosen.Ref).meantFor(true)
			}
			return NewStep(RuleRouteAlsoMatches, Skipped, r.Ref, r.Describe(), chosen.Ref)
		}
	}
	return NewStep(RuleRouteNotReached, Skipped, r.Ref, chosen.Ref)
}

// matchedLiteral is how much of a path the route spells out.
func (r *Route) matchedLiteral() int {
	switch p := r.Match.GetUri().GetMatchType().(type) {
	case *networking.StringMatch_Prefix:
		return len(p.Prefix)
	case *networking.StringMatch_Exact:
		return len(p.Exact) + 1
	}
	return 0
}

// Describe is the route's match in a few words.
func (r *Route) Describe() string {
	m := r.Match
	var parts []string
	if m.GetUri().GetMatchType() != nil {
		parts = append(parts, "uri "+describeStringMatch(m.GetUri()))
	}
	for _, c := range []struct {
		name  string
		match *networking.StringMatch
	}{{"method", m.GetMethod()}, {"scheme", m.GetScheme()}, {"authority", m.GetAuthority()}} {
		if c.match != nil {
			parts = append(parts, c.name+" "+describeStringMatch(c.match))
		}
	}
	for _, c := range []struct {
		noun    string
		matches map[string]*networking.StringMatch
	}{
		{"header", m.GetHeaders()},
		{"without header", m.GetWithoutHeaders()},
		{"query parameter", m.GetQueryParams()},
	} {
		for _, name := range slices.Sorted(maps.Keys(c.matches)) {
			parts = append(parts, c.noun+" "+name+" "+describeStringMatch(c.matches[name]))
		}
	}
	if len(parts) == 0 {
		return "it takes every request"
	}
	return strings.Join(parts, ", ")
}
