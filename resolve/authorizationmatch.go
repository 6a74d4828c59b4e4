package resolve

import (
	"fmt"
	"regexp"
	"strings"
)

// How values of AuthorizationPolicies are compared.

// matchWildcard is Istio's comparison: "*" is everything, "*x" a suffix, "x*" a
// prefix, anything else itself. A "*" in another place is literal.
// Source: pilot/pkg/security/authz/matcher/header.go, HeaderMatcher.
func matchWildcard(value, actual string) bool {
	switch {
	case value == "*":
		return true
	case strings.HasPrefix(value, "*"):
		return strings.HasSuffix(actual, value[1:])
	case strings.HasSuffix(value, "*"):
		return strings.HasPrefix(actual, value[:len(value)-1])
	}
	return actual == value
}

// matchPresent is matchWildcard where "*" stands for at least one character.
// Source: pilot/pkg/security/authz/matcher/string.go, StringMatcherWithPrefix.
func matchPresent(value, actual string) bool {
	return (value != "*" || actual != "") && matchWildcard(value, actual)
}

// matchParts reports whether s is the parts in their order with anything between them.
func matchParts(parts []string, s string) bool {
	last := len(parts) - 1
	if !strings.HasPrefix(s, parts[0]) || len(s) < len(parts[0])+len(parts[last]) {
		return false
	}
	s = s[len(parts[0]):]
	for _, p := range parts[1:last] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return len(s) >= len(parts[last]) && strings.HasSuffix(s, parts[last])
}

// isPathTemplate reports whether a path has {*} or {**}.
// Source: pkg/config/security/security.go, ContainsPathTemplate.
func isPathTemplate(value string) bool {
	return strings.Contains(value, "{*}") || strings.Contains(value, "{**}")
}

// pathTemplate matches a template: {*} is one segment of at least one character,
// {**} is any characters, "/" included. In a template a bare "*" or "**" is the same. Since 1.31.8 an Envoy takes an asterisk
// for a character of a path too (uri_template_match_on_asterisk).
// Source: pilot/pkg/security/authz/matcher/template.go; Envoy:
// source/extensions/path/uri_template_lib/uri_template_internal.cc.
func pathTemplate(value string) func(path string) bool {
	const segment = `[a-zA-Z0-9\-._~%!$&'()+,;:@=*]`
	value = strings.NewReplacer("{**}", "**", "{*}", "*").Replace(value)
	var expr strings.Builder
	expr.WriteString("^")
	for i, part := range strings.Split(value, "/") {
		if i > 0 {
			expr.WriteString("/")
		}
		switch rest := part; {
		case strings.HasPrefix(part, "**"):
			expr.WriteString(`[a-zA-Z0-9\-._~%!$&'()+,;:@=*/]*`)
			expr.WriteString(regexp.QuoteMeta(rest[2:]))
		case strings.HasPrefix(part, "*"):
			expr.WriteString(segment + "+")
			expr.WriteString(regexp.QuoteMeta(rest[1:]))
		default:
			expr.WriteString(regexp.QuoteMeta(part))
		}
	}
	expr.WriteString("$")
	re, err := regexp.Compile(expr.String())
	if err != nil {
		return func(string) bool { return false }
	}
	return re.MatchString
}

// pathOnly cuts query and fragment off, as Envoy's path matcher does.
func pathOnly(path string) string {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		return path[:i]
	}
	return path
}

// inBrackets is the name in "[name]".
func inBrackets(s string) (string, error) {
	if !strings.HasPrefix(s, "[") || !strings.HasSuffix(s, "]") {
		return "", fmt.Errorf("expected [name], found %q", s)
	}
	return strings.TrimPrefix(strings.TrimSuffix(s, "]"), "["), nil
}

// claimPath reads "[a][b]"; what is not a chain of brackets is one name, brackets in it included.
// Source: pilot/pkg/security/authz/model/util.go, extractNameInNestedBrackets.
func claimPath(s string) ([]string, error) {
	var path []string
	for rest := s; rest != ""; {
		end := strings.IndexByte(rest, ']')
		if rest[0] != '[' || end < 0 || strings.IndexByte(rest[1:end], '[') >= 0 {
			name, err := inBrackets(s)
			return []string{name}, err
		}
		path = append(path, rest[1:end])
		rest = rest[end+1:]
	}
	return path, nil
}

// requestPrincipalAttribute is the iss and sub of the verified token.
//
//  1. "*" asks for both.
//  2. A value is split at its last "/" into iss and sub.
//  3. If the value begins with "*", iss is a suffix and sub is exact.
//  4. Else, if it ends with "*", iss is exact and sub is a prefix.
//  5. A value without "/" that begins with "*" is a suffix of sub; one that ends
//     with "*" is a prefix of iss; another one is an iss whose sub is empty.
//
// Source: pilot/pkg/security/authz/model/generator.go, requestPrincipalGenerator.
var requestPrincipalAttribute = attribute{
	http: true,
	parse: func(value string) (predicate, error) {
		matchIss, matchSub := requestPrincipalPatterns(value)
		return func(in *policyInput) Truth {
			if in.token == nil {
				return False
			}
			iss, ok1 := in.token.Claims["iss"].(string)
			sub, ok2 := in.token.Claims["sub"].(string)
			return TruthOf(ok1 && ok2 && matchIss(iss) && matchSub(sub))
		}, nil
	},
	actual: func(in *policyInput) string {
		if in.token == nil {
			return in.withoutToken()
		}
		return requestPrincipal(in.token)
	},
	value: func(in *policyInput) string {
		if in.token == nil {
			return ""
		}
		return requestPrincipal(in.token)
	},
	claims: principalClaims,
}

func requestPrincipalPatterns(value string) (iss, sub func(string) bool) {
	anything := func(s string) bool { return s != "" }
	exact := func(want string) func(string) bool { return func(s string) bool { return s == want } }
	// An end of nothing but the wildcard asks for a value that is not empty.
	prefix := func(want string) func(string) bool {
		if want == "" {
			return anything
		}
		return func(s string) bool { return strings.HasPrefix(s, want) }
	}
	suffix := func(want string) func(string) bool {
		if want == "" {
			return anything
		}
		return func(s string) bool { return strings.HasSuffix(s, want) }
	}
	i := strings.LastIndexByte(value, '/')
	begins, ends := strings.HasPrefix(value, "*"), strings.HasSuffix(value, "*")
	switch {
	case value == "*":
		return anything, anything
	case i >= 0 && begins:
		return suffix(value[1:i]), exact(value[i+1:])
	case i >= 0 && ends:
		return exact(value[:i]), prefix(value[i+1 : len(value)-1])
	case i >= 0:
		return exact(value[:i]), exact(value[i+1:])
	case begins:
		return anything, suffix(value[1:])
	case ends:
		return prefix(value[:len(value)-1]), anything
	}
	return exact(value), exact("")
}

// claimAttribute is a claim: a string, or a list of which one member matches.
// Numbers and booleans never match. err is that of the key.
func claimAttribute(path []string, err error) attribute {
	return attribute{
		http: true,
		parse: func(value string) (predicate, error) {
			return func(in *policyInput) Truth {
				if in.token == nil {
					return False
				}
				claim, _ := claimAt(in.token.Claims, path)
				for _, s := range stringsOf(claim) {
					if matchPresent(value, s) {
						return True
					}
				}
				return False
			}, err
		},
		actual: func(in *policyInput) string {
			if in.token == nil {
				return in.withoutToken()
			}
			claim, ok := claimAt(in.token.Claims, path)
			switch claim.(type) {
			case string, []any:
				return fmt.Sprint(claim)
			}
			if !ok {
				return "absent"
			}
			return fmt.Sprintf("%v (only strings match)", claim)
		},
		value: func(in *policyInput) string {
			if in.token == nil {
				return ""
			}
			claim, _ := claimAt(in.token.Claims, path)
			for _, s := range stringsOf(claim) {
				return s
			}
			return ""
		},
		claims: claimsAt(path),
	}
}
