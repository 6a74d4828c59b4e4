package evaluator

import (
	"regexp"
	"strconv"
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

func stringMatches(m *matcher.StringMatcher, s string) bool {
	fold := func(t string) string {
		if m.GetIgnoreCase() {
			return strings.ToLower(t)
		}
		return t
	}
	switch v := m.GetMatchPattern().(type) {
	case *matcher.StringMatcher_Exact:
		return fold(s) == fold(v.Exact)
	case *matcher.StringMatcher_Prefix:
		return strings.HasPrefix(fold(s), fold(v.Prefix))
	case *matcher.StringMatcher_Suffix:
		return strings.HasSuffix(fold(s), fold(v.Suffix))
	case *matcher.StringMatcher_Contains:
		return strings.Contains(fold(s), fold(v.Contains))
	case *matcher.StringMatcher_SafeRegex:
		return regexMatches(v.SafeRegex, s)
	}
	return false
}

// regexMatches: the whole string has to match.
func regexMatches(m *matcher.RegexMatcher, s string) bool {
	r, err := regexp.Compile("^(?:" + m.GetRegex() + ")$")
	return err == nil && r.MatchString(s)
}

// headerMatches follows HeaderMatcher's documentation: a header that is absent matches nothing, even
// inverted, unless it counts as empty; presence can be inverted.
func headerMatches(m *route.HeaderMatcher, q *Request) bool {
	value, ok := q.header(strings.ToLower(m.GetName()))
	if present, is := m.GetHeaderMatchSpecifier().(*route.HeaderMatcher_PresentMatch); is {
		if !ok && m.GetTreatMissingHeaderAsEmpty() {
			ok = true
		}
		return (ok == present.PresentMatch) != m.GetInvertMatch()
	}
	if m.GetHeaderMatchSpecifier() == nil {
		return ok != m.GetInvertMatch()
	}
	if !ok && !m.GetTreatMissingHeaderAsEmpty() {
		return false
	}
	return headerValueMatches(m, value) != m.GetInvertMatch()
}

func headerValueMatches(m *route.HeaderMatcher, value string) bool {
	switch v := m.GetHeaderMatchSpecifier().(type) {
	case *route.HeaderMatcher_StringMatch:
		return stringMatches(v.StringMatch, value)
	case *route.HeaderMatcher_ExactMatch:
		return value == v.ExactMatch
	case *route.HeaderMatcher_PrefixMatch:
		return strings.HasPrefix(value, v.PrefixMatch)
	case *route.HeaderMatcher_SuffixMatch:
		return strings.HasSuffix(value, v.SuffixMatch)
	case *route.HeaderMatcher_ContainsMatch:
		return strings.Contains(value, v.ContainsMatch)
	case *route.HeaderMatcher_SafeRegexMatch:
		return regexMatches(v.SafeRegexMatch, value)
	case *route.HeaderMatcher_RangeMatch:
		n, err := strconv.ParseInt(value, 10, 64)
		return err == nil && n >= v.RangeMatch.GetStart() && n < v.RangeMatch.GetEnd()
	}
	return false
}

// valueMatches matches a value of dynamic metadata.
func valueMatches(m *matcher.ValueMatcher, v any) bool {
	switch x := m.GetMatchPattern().(type) {
	case *matcher.ValueMatcher_StringMatch:
		s, ok := v.(string)
		return ok && stringMatches(x.StringMatch, s)
	case *matcher.ValueMatcher_BoolMatch:
		b, ok := v.(bool)
		return ok && b == x.BoolMatch
	case *matcher.ValueMatcher_PresentMatch:
		return (v != nil) == x.PresentMatch
	case *matcher.ValueMatcher_ListMatch:
		list, ok := v.([]any)
		if !ok {
			return false
		}
		for _, e := range list {
			if valueMatches(x.ListMatch.GetOneOf(), e) {
				return true
			}
		}
		return false
	case *matcher.ValueMatcher_OrMatch:
		for _, o := range x.OrMatch.GetValueMatchers() {
			if valueMatches(o, v) {
				return true
			}
		}
		return false
	}
	return false
}
