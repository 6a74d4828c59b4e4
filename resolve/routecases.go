package resolve

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// Which routes take, only together, every request that a later one would take.
//
// What the later one asks for is parted into cases that leave nothing out, and for each case an earlier route has to take all of it:
//
//  1. A regex of plain words, such as GET|PUT, is one of its words.
//  2. A header has what a clause asks for, or it has not: that is what headers and withoutHeaders say of it. With a clause that the
//     empty value matches this is not so, for withoutHeaders takes a header that is not there to be empty, and headers does not.
//  3. A case that can not be, a header with two exact values say, asks for nothing.
//
// Only headers of which one earlier route says what another forbids are worth a case: with one that all ask for, whatever they leave
// is left when it is not there. Methods and schemes make no cases: both have values of which no rule speaks, and Envoy lets a
// client choose them. Beyond a number of cases there is no proof.
//
// Source: pilot/pkg/networking/core/route/route.go, TranslateRouteMatch; the rest is logic.

// These bound the cases: words of a regex, parts by words, clauses on headers, and routes that are asked for each.
const (
	mostWords   = 16
	mostDemands = 64
	mostClauses = 6
	mostNear    = 32
)

// takenTogether are the routes that together take every request of the demand; nil where there is no proof.
func takenTogether(routes []*Route, d demand) []int {
	var taken []int
	for _, part := range byWords(d) {
		more := takenPart(routes, &part)
		if more == nil {
			return nil
		}
		taken = append(taken, more...)
	}
	slices.Sort(taken)
	return slices.Compact(taken)
}

// takenPart parts what is asked by headers.
func takenPart(routes []*Route, d *demand) []int {
	var near []int
	for j, r := range routes {
		if r.takesBut(d) {
			near = append(near, j)
		}
	}
	clauses := headerCases(routes, near)
	near = slices.DeleteFunc(near, func(j int) bool { return !routes[j].decided(d, clauses) })
	taken, ok := takenCase(routes, near[:min(len(near), mostNear)], d, clauses)
	if !ok {
		return nil
	}
	return taken
}

// decided reports whether the route speaks of no header but those of the demand and of the clauses.
func (r *Route) decided(d *demand, clauses []namedClause) bool {
	for _, of := range []map[string]*networking.StringMatch{r.Match.GetHeaders(), r.Match.GetWithoutHeaders()} {
		for name := range of {
			named := func(c namedClause) bool { return foldedName(c.name, name) }
			if !slices.ContainsFunc(clauses, named) && !slices.ContainsFunc(d.headers, named) && !slices.ContainsFunc(d.without, named) {
				return false
			}
		}
	}
	return true
}

// takenCase takes a case, or parts it further by the first of the clauses.
func takenCase(routes []*Route, near []int, d *demand, clauses []namedClause) (taken []int, ok bool) {
	for _, j := range near {
		if routes[j].takes(d) {
			return []int{j}, true
		}
	}
	if len(clauses) == 0 {
		return nil, false
	}
	for _, has := range []bool{true, false} {
		part := *d
		if has {
			part.headers = append(slices.Clip(d.headers), clauses[0])
		} else {
			part.without = append(slices.Clip(d.without), clauses[0])
		}
		if part.impossible() {
			continue
		}
		more, ok := takenCase(routes, near, &part, clauses[1:])
		if !ok {
			return nil, false
		}
		taken = append(taken, more...)
	}
	return taken, len(taken) > 0
}

// headerCases are the clauses worth a case, each once.
func headerCases(routes []*Route, near []int) []namedClause {
	asked, forbidden := map[string]bool{}, map[string]bool{}
	for _, j := range near {
		for name := range routes[j].Match.GetHeaders() {
			asked[strings.ToLower(name)] = true
		}
		for name := range routes[j].Match.GetWithoutHeaders() {
			forbidden[strings.ToLower(name)] = true
		}
	}
	var out []namedClause
	for _, j := range near {
		m := routes[j].Match
		for _, c := range slices.Concat(namedClauses(m.GetHeaders()), namedClauses(m.GetWithoutHeaders())) {
			same := func(have namedClause) bool { return foldedName(have.name, c.name) && sameDecided(have.match, c.match) }
			if name := strings.ToLower(c.name); asked[name] && forbidden[name] && hasComplement(c) && !slices.ContainsFunc(out, same) && len(out) < mostClauses {
				out = append(out, c)
			}
		}
	}
	return out
}

// hasComplement reports whether a header that does not have what headers asks for has what withoutHeaders does: rule 2.
func hasComplement(c namedClause) bool {
	if _, claim := routedClaim(c.name); claim {
		return false
	}
	return asksForPresence(c.match) || excludes(c.match, "")
}

// impossible is rule 3, of the clauses on headers.
func (d *demand) impossible() bool {
	for i, wanted := range d.headers {
		exact, isExact := wanted.match.GetMatchType().(*networking.StringMatch_Exact)
		for _, other := range d.headers[:i] {
			e, otherExact := other.match.GetMatchType().(*networking.StringMatch_Exact)
			if foldedName(wanted.name, other.name) && (isExact && excludes(other.match, exact.Exact) || otherExact && excludes(wanted.match, e.Exact)) {
				return true
			}
		}
		for _, f := range d.without {
			if !foldedName(wanted.name, f.name) {
				continue
			}
			if asksForPresence(f.match) || sameDecided(wanted.match, f.match) || valueFollows(f.match, wanted.match) {
				return true
			}
		}
	}
	return false
}

// byWords is rule 1.
func byWords(d demand) []demand {
	out := []demand{d}
	for _, clause := range []func(*demand) **networking.StringMatch{
		func(d *demand) **networking.StringMatch { return &d.uri },
		func(d *demand) **networking.StringMatch { return &d.method },
		func(d *demand) **networking.StringMatch { return &d.scheme },
		func(d *demand) **networking.StringMatch { return &d.authority },
	} {
		out = eachWord(out, *clause(&d), func(d *demand, word *networking.StringMatch) { *clause(d) = word })
	}
	for i, c := range d.headers {
		if _, claim := routedClaim(c.name); claim {
			continue
		}
		out = eachWord(out, c.match, func(d *demand, word *networking.StringMatch) {
			d.headers = slices.Clone(d.headers)
			d.headers[i].match = word
		})
	}
	return out
}

// eachWord multiplies the demands by the words of a clause; it leaves them where there would be too many.
func eachWord(demands []demand, m *networking.StringMatch, set func(*demand, *networking.StringMatch)) []demand {
	words := wordsOf(m)
	if len(words) == 0 || len(words)*len(demands) > mostDemands {
		return demands
	}
	var out []demand
	for _, d := range demands {
		for _, word := range words {
			part := d
			set(&part, exactMatch(word))
			out = append(out, part)
		}
	}
	return out
}

// wordsOf are the words of a regex that is nothing but words; nil for any other clause.
func wordsOf(m *networking.StringMatch) []string {
	regex, ok := m.GetMatchType().(*networking.StringMatch_Regex)
	if !ok {
		return nil
	}
	words := strings.Split(regex.Regex, "|")
	plain := func(c rune) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '/'
	}
	for _, word := range words {
		if word == "" || strings.TrimFunc(word, plain) != "" {
			return nil
		}
	}
	if len(words) > mostWords {
		return nil
	}
	return words
}
