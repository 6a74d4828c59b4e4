package resolve

import (
	"fmt"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// Claim routing: a header name of a match that begins with @request.auth.claims
// (in any case) is not a header.
//
// 1. ".a.b" and "[a][b]" both name claim b within claim a; the names are case-sensitive.
// 2. The claim matches if it is a string that matches, or a list with a string
// that does. Numbers and booleans never match.
// 3. Without a verified token no claim matches, and withoutHeaders always does.
// 4. scope and permission are lists, split at spaces.
// 5. A match without a value is refused by Envoy: not known.
//
// Source: pkg/jwt/routing.go, ToRoutingClaim; pilot/pkg/security/authz/model/util.go,
// MetadataMatcherForJWTClaims.

const claimHeader = "@request.auth.claims"

// routedClaim reads the claim that a header name stands for.
func routedClaim(header string) (path []string, ok bool) {
	if len(header) < len(claimHeader) || !strings.EqualFold(header[:len(claimHeader)], claimHeader) {
		return nil, false
	}
	name := header[len(claimHeader):]
	switch {
	case strings.HasPrefix(name, ".") && len(name) > 1:
		return strings.Split(name[1:], "."), true
	case strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") && len(name) > 2:
		return strings.Split(name[1:len(name)-1], "]["), true
	}
	return nil, false
}

// IsClaimHeader reports whether a header name of a match stands for a claim of a token.
// Source: pkg/jwt/routing.go, ToRoutingClaim.
func IsClaimHeader(name string) bool {
	_, ok := routedClaim(name)
	return ok
}

// matchClaim compares one claim of the token; actual is what the token has.
func matchClaim(m *networking.StringMatch, token *Token, path []string) (t Truth, actual, doubt string) {
	switch {
	case m.GetMatchType() == nil:
		return Unknown, "", "Envoy refuses a claim match without a value"
	case token == nil:
		return False, "absent: this proxy has verified no token", ""
	}
	claim, ok := claimAt(token.Claims, path)
	if !ok {
		return False, "absent", ""
	}
	if s, isString := claim.(string); isString && len(path) == 1 && (path[0] == "scope" || path[0] == "permission") {
		var list []any
		for _, part := range strings.Fields(s) {
			list = append(list, part)
		}
		claim = list
	}
	values, ok := claim.([]any)
	if !ok {
		values = []any{claim}
	}
	t = False
	for _, v := range values {
		if s, isString := v.(string); isString {
			one, why := matchString(m, s)
			t = t.Or(one)
			doubt = why
		}
	}
	return t, describeClaim(claim), doubt
}

func describeClaim(v any) string {
	switch c := v.(type) {
	case string:
		return strconv.Quote(c)
	case []any:
		parts := make([]string, len(c))
		for i, e := range c {
			parts[i] = describeClaim(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		return "an object"
	}
	return fmt.Sprint(v)
}
