package derive

import (
	"regexp"
	"regexp/syntax"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// beside is what a value that is just not taken, or just still is, gets at its end.
const beside = "x"

// pathEdges are paths around a match: taken is one it takes, around are those beside it, on both sides of its edges.
//
//  1. exact: the path; with a slash at its end, and with a letter more.
//  2. prefix: the path; with a slash, with a segment and with a letter more; where it ends with a slash, without it.
//  3. regex: an example of it; with a letter more.
func pathEdges(m *networking.StringMatch) (taken string, around []string) {
	switch p := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return p.Exact, []string{strings.TrimSuffix(p.Exact, "/") + "/", p.Exact + beside}
	case *networking.StringMatch_Prefix:
		bare := strings.TrimSuffix(p.Prefix, "/")
		return p.Prefix, []string{bare, bare + "/", bare + "/" + beside, bare + beside}
	case *networking.StringMatch_Regex:
		if example, ok := exampleOf(p.Regex); ok && strings.HasPrefix(example, "/") {
			return example, []string{example + beside}
		}
	}
	return "", nil
}

// valueEdges are values around a match; present is set where the match is of presence alone.
func valueEdges(m *networking.StringMatch) (taken string, around []string) {
	switch p := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return p.Exact, []string{p.Exact + beside}
	case *networking.StringMatch_Prefix:
		return p.Prefix + beside, []string{p.Prefix, beside + p.Prefix}
	case *networking.StringMatch_Regex:
		if example, ok := exampleOf(p.Regex); ok {
			return example, []string{example + beside}
		}
	}
	return beside, nil
}

// longestExample bounds what stands for a regular expression.
const longestExample = 200

// exampleOf is a short text that the whole of a regular expression matches, if one is found.
func exampleOf(pattern string) (string, bool) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	if !example(&b, tree.Simplify()) || b.Len() > longestExample {
		return "", false
	}
	whole, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil || !whole.MatchString(b.String()) {
		return "", false
	}
	return b.String(), true
}

func example(b *strings.Builder, r *syntax.Regexp) bool {
	if b.Len() > longestExample {
		return false
	}
	switch r.Op {
	case syntax.OpLiteral:
		b.WriteString(string(r.Rune))
	case syntax.OpCharClass:
		c, ok := oneOf(r.Rune)
		b.WriteRune(c)
		return ok
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteString(beside)
	case syntax.OpCapture, syntax.OpPlus:
		return example(b, r.Sub[0])
	case syntax.OpRepeat:
		for range r.Min {
			if !example(b, r.Sub[0]) {
				return false
			}
		}
	case syntax.OpConcat:
		for _, sub := range r.Sub {
			if !example(b, sub) {
				return false
			}
		}
	case syntax.OpAlternate:
		return example(b, r.Sub[0])
	case syntax.OpNoMatch, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return false
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpStar, syntax.OpQuest:
	}
	return true
}

// oneOf is a character of a class, a letter or a digit where it has one.
func oneOf(ranges []rune) (rune, bool) {
	for _, want := range "xXa1" {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= want && want <= ranges[i+1] {
				return want, true
			}
		}
	}
	for i := 0; i+1 < len(ranges); i += 2 {
		if c := max(ranges[i], '!'); c <= min(ranges[i+1], '~') {
			return c, true
		}
	}
	return 0, false
}
