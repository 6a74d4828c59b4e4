package resolve

import (
	"maps"
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
//  5. A clause that can not be decided, a regex that is not valid say, proves nothing.
//  6. Several earlier routes together are asked case by case (routecases.go).
//
// Source: Envoy, source/common/router/config_impl.cc, getRouteFromEntries; the rest is logic.

// ShadowedBy returns, for each route, the indexes of the first earlier routes that provably take every request which it would
// take, in order: one as a rule, several where only together they do; none where there is no proof.
func ShadowedBy(routes []*Route) [][]int {
	out := make([][]int, len(routes))
	for i, r := range routes {
		out[i] = takenBy(routes[:i], demandOf(r.Match, r.segmentPrefix()))
	}
	return out
}

// TakesAll reports whether the routes provably take every request.
func TakesAll(routes []*Route) bool {
	return takenBy(routes, demandOf(nil, false)) != nil
}

// takenBy are the routes that provably take every request of the demand; nil where there is no proof.
func takenBy(routes []*Route, d demand) []int {
	for j, r := range routes {
		if r.takes(&d) {
			return []int{j}
		}
	}
	return takenTogether(routes, d)
}

// Covers reports whether the route provably takes every request that the other one takes. False means that
// there is no proof.
func (r *Route) Covers(other *Route) bool {
	d := demandOf(other.Match, other.segmentPrefix())
	return r.takes(&d)
}

// demand is what is known of the requests that a route would take: its clauses, and in a case of several what was added.
type demand struct {
	uri *networking.StringMatch
	// folded is set where the uri stands for itself in any letters, and segments where its prefix ends at a segment.
	folded, segments          bool
	method, scheme, authority *networking.StringMatch
	headers, without, params  []namedClause
}

// namedClause is a clause on a header or a query parameter.
type namedClause struct {
	name  string
	match *networking.StringMatch
}

func demandOf(m *networking.HTTPMatchRequest, segments bool) demand {
	return demand{
		uri: m.GetUri(), folded: m.GetIgnoreUriCase(), segments: segments, method: m.GetMethod(), scheme: m.GetScheme(), authority: m.GetAuthority(),
		headers: namedClauses(m.GetHeaders()), without: namedClauses(m.GetWithoutHeaders()), params: namedClauses(m.GetQueryParams()),
	}
}

func namedClauses(clauses map[string]*networking.StringMatch) []namedClause {
	var out []namedClause
	for _, name := range slices.Sorted(maps.Keys(clauses)) {
		out = append(out, namedClause{name, clauses[name]})
	}
	return out
}

// takes reports whether the route provably takes every request of the demand.
func (r *Route) takes(d *demand) bool {
	m := r.Match
	return m == nil || r.takesBut(d) && namedFollow(m.GetHeaders(), d.headers, foldedName) && forbiddenFollow(m.GetWithoutHeaders(), d)
}

// takesBut is takes but for the clauses of which there are cases, those on headers.
func (r *Route) takesBut(d *demand) bool {
	m := r.Match
	return m == nil || r.uriFollows(d) && pseudoFollows(m.GetMethod(), d.method) && pseudoFollows(m.GetScheme(), d.scheme) && pseudoFollows(m.GetAuthority(), d.authority) &&
		namedFollow(m.GetQueryParams(), d.params, exactName)
}

// uriFollows reports whether every path of the demand is one of this route's.
func (r *Route) uriFollows(d *demand) bool {
	m := r.Match.GetUri()
	if m.GetMatchType() == nil {
		return true
	}
	folds := r.Match.GetIgnoreUriCase()
	if d.folded && !folds {
		return false // it takes paths in other letters too
	}
	fold := func(s string) string { return s }
	if folds {
		fold = lowerASCII
	}
	switch p := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		e, ok := d.uri.GetMatchType().(*networking.StringMatch_Exact)
		return ok && fold(e.Exact) == fold(p.Exact)
	case *networking.StringMatch_Prefix:
		if p.Prefix == "/" && d.uri.GetMatchType() == nil {
			return true // every path begins so
		}
		return prefixFollows(fold(p.Prefix), r.segmentPrefix(), d.uri, d.segments, fold)
	case *networking.StringMatch_Regex:
		return p.Regex == ".*" || regexFollows(p.Regex, d.uri, d.folded)
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

// namedFollow reports whether each clause follows from one of the others. A clause on a claim
// of a token says nothing but what its very text says.
func namedFollow(clauses map[string]*networking.StringMatch, others []namedClause, same func(a, b string) bool) bool {
	for name, m := range clauses {
		found := false
		_, claim := routedClaim(name)
		for _, o := range others {
			switch {
			case claim:
				found = found || name == o.name && sameDecided(m, o.match)
			case same(name, o.name):
				found = found || valueFollows(m, o.match)
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

// forbiddenFollow reports whether no request of the demand has a forbidden header. One that is not there has the empty value.
func forbiddenFollow(forbidden map[string]*networking.StringMatch, d *demand) bool {
	for name, m := range forbidden {
		_, claim := routedClaim(name)
		found := false
		for _, theirs := range d.without {
			switch {
			case claim:
				found = found || name == theirs.name && sameDecided(m, theirs.match)
			case foldedName(name, theirs.name):
				found = found || sameDecided(m, theirs.match) || asksForPresence(theirs.match) && excludes(m, "")
			}
		}
		for _, wanted := range d.headers {
			exact, ok := wanted.match.GetMatchType().(*networking.StringMatch_Exact)
			found = found || !claim && ok && foldedName(name, wanted.name) && excludes(m, exact.Exact)
		}
		if !found {
			return false
		}
	}
	return true
}

// excludes reports whether the value is sure not to match.
func excludes(m *networking.StringMatch, value string) bool {
	if asksForPresence(m) {
		return false
	}
	t, _ := matchString(m, value)
	return t == False
}
