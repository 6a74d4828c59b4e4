package resolve

import (
	"maps"
	"regexp/syntax"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// Example returns the request, changed in as little as makes the route take it, and whether it does: a
// clause on a claim, and one that asks for what can not be made up, leave that open.
func (r *Route) Example(q *HTTPRequest) (*HTTPRequest, bool) {
	example := q.Clone()
	if r.Match == nil {
		return example, true
	}
	m := r.Match
	if path, ok := exampleOf(m.GetUri()); ok && strings.HasPrefix(path, "/") { // as every path does
		example.Path = path
	}
	for _, c := range []struct {
		match *networking.StringMatch
		value *string
	}{{m.GetMethod(), &example.Method}, {m.GetScheme(), &example.Scheme}, {m.GetAuthority(), &example.Authority}} {
		if value, ok := exampleOf(c.match); ok {
			*c.value = value
		}
	}
	for name := range m.GetWithoutHeaders() {
		delete(example.Headers, strings.ToLower(name))
	}
	for name, match := range m.GetHeaders() {
		if _, claim := routedClaim(name); !claim {
			value, _ := exampleOf(match)
			example.Headers[strings.ToLower(name)] = value
		}
	}
	var query []string
	for _, name := range slices.Sorted(maps.Keys(m.GetQueryParams())) {
		value, _ := exampleOf(m.GetQueryParams()[name])
		query = append(query, name+"="+value)
	}
	if len(query) > 0 {
		example.Query = strings.Join(query, "&")
	}
	t, _ := r.Matches(example)
	return example, t == True
}

// exampleOf is a value that a match takes; not ok where any value will do, or none is found.
func exampleOf(m *networking.StringMatch) (string, bool) {
	switch p := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return p.Exact, true
	case *networking.StringMatch_Prefix:
		return p.Prefix, true
	case *networking.StringMatch_Regex:
		tree, err := syntax.Parse(p.Regex, syntax.Perl)
		if err != nil || p.Regex == "*" {
			return "", false
		}
		var b strings.Builder
		writeMatch(&b, tree)
		return b.String(), true
	}
	return "", false
}

// writeMatch writes one of the shortest texts that the expression matches, as far as it has no conditions on its surroundings.
func writeMatch(b *strings.Builder, re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		if len(re.Rune) > 0 {
			b.WriteRune(printableOf(re.Rune))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('a')
	case syntax.OpCapture, syntax.OpPlus, syntax.OpAlternate:
		writeMatch(b, re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			writeMatch(b, sub)
		}
	case syntax.OpRepeat:
		for range re.Min {
			writeMatch(b, re.Sub[0])
		}
	}
}

// printableOf is a letter of the class, a digit if it has none, else its first member.
func printableOf(ranges []rune) rune {
	for _, want := range []rune{'a', 'A', '1'} {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= want && want <= ranges[i+1] {
				return want
			}
		}
	}
	return ranges[0]
}
