package resolve

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// The rules of matching, one for each kind of clause.
const (
	RuleMatchURI           RuleID = "route/match-uri"
	RuleMatchPseudoHeader  RuleID = "route/match-method-scheme-authority"
	RuleMatchHeader        RuleID = "route/match-header"
	RuleMatchWithoutHeader RuleID = "route/match-without-header"
	RuleMatchClaim         RuleID = "route/match-claim"
	RuleMatchQueryParam    RuleID = "route/match-query-param"
	RuleMatchUndecidable   RuleID = "route/match-undecidable"
)

const missTemplate = "%s is %s; the rule asks for %s"

var httpMatchRules = []Rule{
	{
		ID: RuleMatchURI, Stage: StageRoute,
		Says:     "uri is compared with the normalized path without the query; a prefix is a plain string, not a path segment; a regex must match the whole path.",
		Template: missTemplate,
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateRouteMatch",
	},
	{
		ID: RuleMatchPseudoHeader, Stage: StageRoute,
		Says:     "method, scheme and authority are compared case-sensitively; authority includes the port as it was sent.",
		Template: missTemplate,
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateRouteMatch",
	},
	{
		ID: RuleMatchHeader, Stage: StageRoute,
		Says:     "Every header of a match must be there and have the value; several values of one header are compared as one, joined with a comma.",
		Template: missTemplate,
		Source:   "pilot/pkg/networking/core/route/route.go, translateHeaderMatch",
	},
	{
		ID: RuleMatchWithoutHeader, Stage: StageRoute,
		Says:     "No header of withoutHeaders may have the value; a missing header counts as an empty one.",
		Template: missTemplate,
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateRouteMatch",
	},
	{
		ID: RuleMatchClaim, Stage: StageRoute,
		Says:     "A header named @request.auth.claims is compared with a claim of the token this proxy has verified: a string, or one member of a list.",
		Template: missTemplate,
		Source:   "pilot/pkg/networking/core/route/route.go, translateMetadataMatch",
	},
	{
		ID: RuleMatchQueryParam, Stage: StageRoute,
		Says:     "Every query parameter of a match must be there; its first value is compared as it was sent, without decoding.",
		Template: missTemplate,
		Source:   "pilot/pkg/networking/core/route/route.go, translateQueryParamMatch",
	},
	{
		ID: RuleMatchUndecidable, Stage: StageRoute,
		Says:     "A clause that Envoy refuses takes the whole route configuration with it; whether it matches is not known.",
		Template: "%s can not be decided: %s",
		Source:   "Envoy, config/route/v3/route_components.proto",
	},
}

// Matches reports whether Envoy's route takes the request, and if not, by which
// clause. All clauses must hold: uri, then method, scheme and authority, then
// headers, withoutHeaders and queryParams by name. Port, gateways, sourceLabels
// and sourceNamespace were decided when the route was built.
//
// Source: pilot/pkg/networking/core/route/route.go, TranslateRouteMatch; Envoy,
// source/common/router/config_impl.cc, matchRoute.
func (r *Route) Matches(q *HTTPRequest) (Truth, Miss) {
	if r.Match == nil {
		return True, Miss{}
	}
	answer, doubt := True, Miss{}
	for _, clauses := range []func(*Route, *HTTPRequest) (Truth, Miss){
		matchURI, matchPseudoHeaders, matchHeaders, matchWithoutHeaders, matchQueryParams,
	} {
		switch t, miss := clauses(r, q); {
		case t == False:
			return False, miss
		case t == Unknown && answer == True:
			answer, doubt = Unknown, miss
		}
	}
	return answer, doubt
}

// matchURI compares the path without the query.
func matchURI(r *Route, q *HTTPRequest) (Truth, Miss) {
	uri := r.Match.GetUri()
	path, want := q.Path, func(s string) string { return s }
	if r.Match.GetIgnoreUriCase() {
		path, want = lowerASCII(path), lowerASCII
	}
	answer, doubt := True, ""
	switch p := uri.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		answer = TruthOf(path == want(p.Exact))
	case *networking.StringMatch_Prefix:
		if r.segmentPrefix() {
			prefix := want(strings.TrimSuffix(p.Prefix, "/"))
			answer = TruthOf(path == prefix || strings.HasPrefix(path, prefix+"/"))
			break
		}
		answer = TruthOf(strings.HasPrefix(path, want(p.Prefix)))
	case *networking.StringMatch_Regex:
		answer, doubt = fullMatch(p.Regex, q.Path)
	}
	if answer == True {
		return True, Miss{}
	}
	miss := newMiss(RuleMatchURI, "uri", "uri", describeStringMatch(uri))
	miss.subject, miss.Actual, miss.Doubt = "path", strconv.Quote(q.Path), doubt
	return answer, miss
}

// segmentPrefix reports whether the route's uri prefix ends at a path segment.
func (r *Route) segmentPrefix() bool {
	p, ok := r.Match.GetUri().GetMatchType().(*networking.StringMatch_Prefix)
	return ok && p.Prefix != "/" && r.VirtualService != nil && r.VirtualService.Semantics != SemanticsVirtualService
}

// lowerASCII folds as Envoy does, which knows no other letters.
func lowerASCII(s string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, s)
}

func matchPseudoHeaders(r *Route, q *HTTPRequest) (Truth, Miss) {
	answer, doubt := True, Miss{}
	for _, c := range []struct {
		field, value string
		match        *networking.StringMatch
	}{
		{"method", q.Method, r.Match.GetMethod()},
		{"scheme", q.Scheme, r.Match.GetScheme()},
		{"authority", q.Authority, r.Match.GetAuthority()},
	} {
		if c.match == nil || asksForPresence(c.match) {
			continue
		}
		t, why := matchString(c.match, c.value)
		miss := newMiss(RuleMatchPseudoHeader, c.field, c.field, describeStringMatch(c.match))
		miss.Actual, miss.Doubt = strconv.Quote(c.value), why
		switch {
		case t == False:
			return False, miss
		case t == Unknown && answer == True:
			answer, doubt = Unknown, miss
		}
	}
	return answer, doubt
}

func matchHeaders(r *Route, q *HTTPRequest) (Truth, Miss) {
	return matchNamed(r.Match.GetHeaders(), func(name string, m *networking.StringMatch) (Truth, Miss) {
		field, want := "headers["+name+"]", describeStringMatch(m)
		if path, ok := routedClaim(name); ok {
			miss := newMiss(RuleMatchClaim, field, "claim "+strings.Join(path, "."), want)
			t, actual, why := matchClaim(m, q.Token, path)
			miss.Actual, miss.Doubt = actual, why
			return t, miss
		}
		miss := newMiss(RuleMatchHeader, field, "header "+name, want)
		if q.unknown(name) && !asksForPresence(m) {
			miss.Actual, miss.Doubt = notKnown, valueNotKnown
			return Unknown, miss
		}
		value, present := q.Header(name)
		return matchValue(m, value, present, miss)
	})
}

func matchWithoutHeaders(r *Route, q *HTTPRequest) (Truth, Miss) {
	return matchNamed(r.Match.GetWithoutHeaders(), func(name string, m *networking.StringMatch) (Truth, Miss) {
		field, want := "withoutHeaders["+name+"]", "not "+describeStringMatch(m)
		if path, ok := routedClaim(name); ok {
			miss := newMiss(RuleMatchClaim, field, "claim "+strings.Join(path, "."), want)
			t, actual, why := matchClaim(m, q.Token, path)
			miss.Actual, miss.Doubt = actual, why
			return t.Not(), miss
		}
		miss := newMiss(RuleMatchWithoutHeader, field, "header "+name, want)
		if q.unknown(name) && !asksForPresence(m) {
			miss.Actual, miss.Doubt = notKnown, valueNotKnown
			return Unknown, miss
		}
		value, present := q.Header(name)
		// A missing header is an empty one, unless only presence is asked for.
		t, miss := matchValue(m, value, present || !asksForPresence(m), miss)
		if !present {
			miss.Actual = "absent, which counts as empty"
		}
		return t.Not(), miss
	})
}

// valueNotKnown is why a match on a header that is there cannot be decided.
const valueNotKnown = "the value of the header is not known from here"

func matchQueryParams(r *Route, q *HTTPRequest) (Truth, Miss) {
	return matchNamed(r.Match.GetQueryParams(), func(name string, m *networking.StringMatch) (Truth, Miss) {
		value, present := firstQueryParam(q.Query, name)
		miss := newMiss(RuleMatchQueryParam, "queryParams["+name+"]", "query parameter "+name, describeStringMatch(m))
		return matchValue(m, value, present, miss)
	})
}

func newMiss(rule RuleID, field, subject, want string) Miss {
	return Miss{Rule: rule, Field: field, Expected: subject + " " + want, subject: subject, want: want}
}

// matchNamed evaluates the clauses of a map in the order of their names.
func matchNamed(clauses map[string]*networking.StringMatch, eval func(string, *networking.StringMatch) (Truth, Miss)) (Truth, Miss) {
	if len(clauses) == 0 {
		return True, Miss{}
	}
	answer, doubt := True, Miss{}
	for _, name := range slices.Sorted(maps.Keys(clauses)) {
		switch t, miss := eval(name, clauses[name]); {
		case t == False:
			return False, miss
		case t == Unknown && answer == True:
			answer, doubt = Unknown, miss
		}
	}
	return answer, doubt
}

func matchValue(m *networking.StringMatch, value string, present bool, miss Miss) (Truth, Miss) {
	if !present {
		miss.Actual = "absent"
		return False, miss
	}
	miss.Actual = strconv.Quote(value)
	if asksForPresence(m) {
		return True, miss
	}
	t, why := matchString(m, value)
	miss.Doubt = why
	return t, miss
}

// firstQueryParam finds a parameter by its name as sent; neither names nor values are decoded.
// Source: Envoy, source/common/http/utility.cc, parseQueryString.
func firstQueryParam(query, name string) (value string, present bool) {
	if query == "" {
		return "", false
	}
	for param := range strings.SplitSeq(query, "&") {
		if k, v, _ := strings.Cut(param, "="); k == name {
			return v, true
		}
	}
	return "", false
}
