package resolve

import (
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"sync"

	networking "istio.io/api/networking/v1alpha3"
)

// A StringMatch compares a value by exact, prefix or regex.
//
// 1. No value at all ({}, or null) and the regex "*" only ask for presence.
// 2. exact and prefix are case-sensitive.
// 3. regex is RE2 and must match the whole value.
// 4. Envoy refuses an empty prefix, an empty regex and one that RE2 does not
// understand, together with the whole configuration they stand in: whether they
// match is then not known.
//
// Source: pilot/pkg/networking/core/route/route.go, translateHeaderMatch,
// canBeConvertedToPresentMatch; pilot/pkg/networking/util/util.go,
// ConvertToEnvoyMatch; Envoy, type/matcher/v3/string.proto.

// asksForPresence reports whether any value, even an empty one, fulfils the match.
func asksForPresence(m *networking.StringMatch) bool {
	if m.GetMatchType() == nil {
		return true
	}
	r, ok := m.GetMatchType().(*networking.StringMatch_Regex)
	return ok && r.Regex == "*"
}

// matchString compares a value that is present; doubt says why the answer is Unknown.
func matchString(m *networking.StringMatch, value string) (t Truth, doubt string) {
	switch p := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return TruthOf(value == p.Exact), ""
	case *networking.StringMatch_Prefix:
		if p.Prefix == "" {
			return Unknown, "Envoy refuses an empty prefix"
		}
		return TruthOf(strings.HasPrefix(value, p.Prefix)), ""
	case *networking.StringMatch_Regex:
		return fullMatch(p.Regex, value)
	}
	return True, ""
}

// describeStringMatch is the match as a person reads it: exact "a", prefix "/b", present.
func describeStringMatch(m *networking.StringMatch) string {
	switch p := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return "exact " + strconv.Quote(p.Exact)
	case *networking.StringMatch_Prefix:
		return "prefix " + strconv.Quote(p.Prefix)
	case *networking.StringMatch_Regex:
		if p.Regex != "*" {
			return "regex " + strconv.Quote(p.Regex)
		}
	}
	return "present"
}

// fullMatch reports whether the regex matches the whole value.
func fullMatch(pattern, value string) (t Truth, doubt string) {
	re := compiled(pattern)
	if re == nil {
		return Unknown, "regex " + strconv.Quote(pattern) + " is not valid RE2"
	}
	return TruthOf(re.MatchString(value)), ""
}

// fullRegexes holds every regex of the configuration once, compiled to match
// whole values; nil for those that do not compile. It is a memo: what it holds
// follows from its keys alone.
var fullRegexes sync.Map

func compiled(pattern string) *regexp.Regexp {
	if re, ok := fullRegexes.Load(pattern); ok {
		return re.(*regexp.Regexp)
	}
	var re *regexp.Regexp
	// Parsed first, so that an unbalanced pattern can not close the group around it.
	if tree, err := syntax.Parse(pattern, syntax.Perl); err == nil && pattern != "" {
		re, _ = regexp.Compile(`\A(?:` + tree.String() + `)\z`)
	}
	fullRegexes.Store(pattern, re)
	return re
}
