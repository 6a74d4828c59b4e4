package resolve

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// Which routes of a virtual host no request ever reaches.
//
// Envoy takes the first route that matches, so a route behind one that takes every request which it would take
// itself is dead. That is said only where it is proven, clause by clause:
//
//  1. Every clause of the earlier route must follow from a clause of the later one: what the later one asks for is
//     at least as narrow.
//  2. A prefix follows from every exact value and every prefix that begin with it, within its path segment where
//     it ends at one; a regex from itself and from every exact value that it matches; presence from every clause
//     on the same header or query parameter.
//  3. A header that the earlier route forbids must be forbidden by the later one as well, or be asked for with an exact value
//     that is not the forbidden one.
//  4. Port, gateways, sourceLabels and sourceNamespace were decided when the routes were made: all routes of one
//     virtual host have passed them.
//  5. A clause that can not be decided, a regex that is not valid say, proves nothing. Nor do several earlier
//     routes together.
//
// Source: Envoy, source/common/router/config_impl.cc, getRouteFromEntries; the rest is logic.

// ShadowedBy returns, for each route, the index of the first earlier route that provably takes every request which
// it would take; -1 where there is none.
func ShadowedBy(routes []*Route) []int {
	out := make([]int, len(routes))
	for i, r := range routes {
		out[i] = -1
		for j, earlier := range routes[:i] {
			if earlier.Covers(r) {
				out[i] = j
				break
			}
		}
	}
	return out
}

// TakesAll reports whether one of the routes provably takes every request.
func TakesAll(routes []*Route) bool {
	return slices.ContainsFunc(routes, func(r *Route) bool { return r.Covers(&Route{Match: &networking.HTTPMatchRequest{}}) })
}

// Covers reports whether the route provably takes every request that the other one takes. False means that
// there is no proof.
func (r *Route) Covers(other *Route) bool {
	if r.Match == nil {
		return true
	}
	m, o := r.Match, other.Match
	return uriFollows(r, other) &&
		pseudoFollows(m.GetMethod(), o.GetMethod()) && pseudoFollows(m.GetScheme(), o.GetScheme()) && pseudoFollows(m.GetAuthority(), o.GetAuthority()) &&
		namedFollow(m.GetHeaders(), o.GetHeaders(), foldedName) && namedFollow(m.GetQueryParams(), o.GetQueryParams(), exactName) &&
		forbiddenFollow(m.GetWithoutHeaders(), o)
}

// uriFollows reports whether every path that the other route's uri takes is one of this route's.
func uriFollows(r, other *Route) bool {
	m, o := r.Match.GetUri(), other.Match.GetUri()
	if m.GetMatchType() == nil {
		return true
	}
	folds, otherFolds := r.Match.GetIgnoreUriCase(), other.Match.GetIgnoreUriCase()
	if otherFolds && !folds {
		return false // it takes paths in other letters too
	}
	fold := func(s string) string { return s }
	if folds {
		fold = lowerASCII
	}
	switch p := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		e, ok := o.GetMatchType().(*networking.StringMatch_Exact)
		return ok && fold(e.Exact) == fold(p.Exact)
	case *networking.StringMatch_Prefix:
		if p.Prefix == "/" && o.GetMatchType() == nil {
			return true // every path begins so
		}
		return prefixFollows(fold(p.Prefix), r.segmentPrefix(), o, other.segmentPrefix(), fold)
	case *networking.StringMatch_Regex:
		return p.Regex == ".*" || regexFollows(p.Regex, o, otherFolds)
	}
	return false
}

// prefixFollows reports whether a uri asks for paths with the prefix; within a segment where segments counts.
func prefixFollows(prefix string, segments bool, o *networking.StringMatch, otherSegments bool, fold func(string) string) bool {
	under := func(path string) bool { return strings.HasPrefix(path, prefix) }
	if segments {
		prefix = strings.TrimSuffix(prefix, "/")
		under = func(path string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }
	}
	switch q := o.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return under(fold(q.Exact))
	case *networking.StringMatch_Prefix:
		inner := fold(q.Prefix)
		if !otherSegments {
			return under(inner) && (!segments || strings.HasPrefix(inner, prefix+"/"))
		}
		return under(strings.TrimSuffix(inner, "/")) // and so is what is under it
	}
	return false
}

// regexFollows reports whether a value that o asks for is sure to match the regex.
func regexFollows(pattern string, o *networking.StringMatch, folded bool) bool {
	switch q := o.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		t, _ := fullMatch(pattern, q.Exact)
		return t == True && !folded
	case *networking.StringMatch_Regex:
		return q.Regex == pattern && compiled(pattern) != nil
	}
	return false
}

// valueFollows reports whether a value that o takes is sure to be one that m takes; both are of something present.
func valueFollows(m, o *networking.StringMatch) bool {
	if asksForPresence(m) {
		return true
	}
	if asksForPresence(o) {
		return false
	}
	switch p := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		e, ok := o.GetMatchType().(*networking.StringMatch_Exact)
		return ok && e.Exact == p.Exact
	case *networking.StringMatch_Prefix:
		return p.Prefix != "" && prefixFollows(p.Prefix, false, o, false, func(s string) string { return s })
	case *networking.StringMatch_Regex:
		return regexFollows(p.Regex, o, false)
	}
	return false
}

// pseudoFollows compares clauses on what every request has.
func pseudoFollows(m, o *networking.StringMatch) bool {
	return m == nil || asksForPresence(m) || o != nil && valueFollows(m, o)
}

// foldedName and exactName tell whether two names of clauses are the same: headers are in any letters.
func foldedName(a, b string) bool { return strings.EqualFold(a, b) }
func exactName(a, b string) bool  { return a == b }

// namedFollow reports whether each clause of a map follows from one of the other map's. A clause on a claim
// of a token says nothing but what its very text says.
func namedFollow(clauses, others map[string]*networking.StringMatch, same func(a, b string) bool) bool {
	for name, m := range clauses {
		found := false
		_, claim := routedClaim(name)
		for other, o := range others {
			switch {
			case claim:
				found = found || name == other && sameDecided(m, o)
			case same(name, other):
				found = found || valueFollows(m, o)
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// sameDecided reports whether two clauses are written alike, and such that Envoy takes them.
func sameDecided(m, o *networking.StringMatch) bool {
	if describeStringMatch(m) != describeStringMatch(o) || m == nil || o == nil {
		return false
	}
	if p, ok := m.GetMatchType().(*networking.StringMatch_Regex); ok && p.Regex != "*" {
		return compiled(p.Regex) != nil
	}
	p, ok := m.GetMatchType().(*networking.StringMatch_Prefix)
	return !ok || p.Prefix != ""
}

// forbiddenFollow reports whether no request that the other match takes has a forbidden header.
func forbiddenFollow(forbidden map[string]*networking.StringMatch, o *networking.HTTPMatchRequest) bool {
	for name, m := range forbidden {
		_, claim := routedClaim(name)
		found := false
		for other, theirs := range o.GetWithoutHeaders() {
			if claim {
				found = found || name == other && sameDecided(m, theirs)
				continue
			}
			found = found || foldedName(name, other) && sameDecided(m, theirs)
		}
		for other, wanted := range o.GetHeaders() {
			exact, ok := wanted.GetMatchType().(*networking.StringMatch_Exact)
			if claim || !ok || !foldedName(name, other) || asksForPresence(m) {
				continue
			}
			t, _ := matchString(m, exact.Exact)
			found = found || t == False
		}
		if !found {
			return false
		}
	}
	return true
}
