package resolve

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
)

// Claims of a verified token, as Envoy's metadata holds them.

// claimAt walks into nested claims.
func claimAt(claims map[string]any, path []string) (any, bool) {
	var v any = claims
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// stringsOf is a claim that is a string, or the strings of one that is a list;
// numbers and booleans are no strings and never match.
func stringsOf(claim any) []string {
	switch v := claim.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// claimText is a claim as outputClaimToHeaders writes it: strings, numbers and booleans as they are, lists and
// objects as JSON in base64.
// Source: Envoy: source/extensions/filters/http/jwt_authn/authenticator.cc, addJWTClaimToHeader.
func claimText(claims map[string]any, path []string) (string, bool) {
	v, ok := claimAt(claims, path)
	if !ok {
		return "", false
	}
	switch v := v.(type) {
	case string:
		return v, v != ""
	case bool:
		return fmt.Sprint(v), true
	case float64:
		if v >= 0 && v == math.Trunc(v) && v < math.MaxUint64 {
			return fmt.Sprintf("%.0f", v), true
		}
		return fmt.Sprintf("%f", v), true
	case []any, map[string]any:
		text, err := json.Marshal(v)
		return base64.StdEncoding.EncodeToString(text), err == nil
	}
	return "", false
}

// requestPrincipal is iss/sub of a verified token, or why there is none.
func requestPrincipal(t *Token) string {
	if t == nil {
		return noToken
	}
	iss, _ := t.Claims["iss"].(string)
	sub, _ := t.Claims["sub"].(string)
	switch {
	case iss == "":
		return "none: the token has no iss"
	case sub == "":
		return "none: the token has no sub"
	}
	return iss + "/" + sub
}

// noToken is what conditions on claims find where no token was verified.
const (
	noToken     = "none: no verified token"
	noTokenYet  = "none: tokens are verified after CUSTOM policies"
	noTokenRule = "none: no RequestAuthentication here verifies tokens"
)
