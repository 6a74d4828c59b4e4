package conformance

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// requestAuthentication has one to three rules.
func (g *guarded) requestAuthentication(i int) string {
	namespace, attachment := g.at()
	return object("security.istio.io/v1", "RequestAuthentication", namespace, fmt.Sprintf("ra%d", i), "spec: "+fields(attachment, "jwtRules: "+list(g.lot(3, g.jwtRule))))
}

func (g *guarded) jwtRule() string {
	issuer := "issuer: " + g.one("https://idp.example.com", "https://idp.example.com", "https://idp.example.com", "issuer@example.com", "https://other.example.com")
	keys := "jwksUri: https://idp.example.com/keys"
	if g.chance(7) {
		issuer = ""
	}
	return fields(issuer, keys,
		g.when(25, "audiences: "+quoted(g.some(2, "shop", "team", "https://shop/", "http://team"))),
		g.when(22, "fromHeaders: "+list(g.some(2, "{name: x-token}", "{name: X-Token, prefix: \"Token \"}", "{name: authorization, prefix: \"Bearer \"}", "{name: authorization}", "{name: x-jwt, prefix: jwt=}"))),
		g.when(18, "fromParams: "+quoted(g.some(2, "access_token", "token", "t"))),
		g.when(12, "fromCookies: "+quoted(g.some(2, "session", "s"))),
		g.when(40, "forwardOriginalToken: true"),
		g.when(20, "outputPayloadToHeader: "+g.one("x-payload", "X-Payload", "x-user")),
		g.when(35, "outputClaimToHeaders: "+list(g.some(3, "{header: x-user, claim: sub}", "{header: X-Level, claim: level}", "{header: x-admin, claim: admin}", "{header: x-team, claim: org.team}", "{header: x-q, claim: sub}", "{header: x-groups, claim: groups}", "{header: x-user, claim: org.team}", "{header: x-scope, claim: scope}"))),
		g.when(15, "spaceDelimitedClaims: [perms]"))
}

// claims are those of one of a few people.
func (g *guarded) claims() map[string]any {
	c := map[string]any{"iss": g.one("https://idp.example.com", "https://idp.example.com", "https://idp.example.com", "https://idp.example.com", "issuer@example.com", "issuer@example.com", "https://other.example.com", "https://evil.example.com"), "sub": g.one("alice", "alice", "bob", "svc/one")}
	set := func(percent int, name string, values ...any) {
		if g.chance(percent) {
			c[name] = values[g.IntN(len(values))]
		}
	}
	if g.chance(5) {
		delete(c, g.one("iss", "sub"))
	}
	set(55, "aud", "shop", "team", []any{"shop", "team"}, []any{"other"}, "https://shop", 7.0)
	set(50, "groups", "testers", []any{"users", "testers"}, []any{"users"}, []any{}, []any{7.0, "testers"}, map[string]any{"a": "testers"})
	set(40, "scope", "read write", "read", "", []any{"read"})
	set(25, "permission", "read users", "users")
	set(25, "perms", "read blue", "blue")
	set(35, "org", map[string]any{"team": "blue", "roles": []any{"r1", "r2"}}, map[string]any{"team": "red"}, "blue")
	set(20, "admin", true, "true", false)
	set(25, "level", 7.0, 7.5, "7", -1.0, 1e21)
	set(15, "azp", "cli")
	set(5, "a.b", "blue")
	set(10, "exp", 4102444800.0, 1000000000.0)
	if g.chance(6) { // at no time is it valid
		c["exp"], c[g.one("nbf", "iat")] = 1000000000.0, 1000000300.0
	}
	return c
}

// token is a token as a client sends it.
func (g *guarded) token() string {
	payload, err := json.Marshal(g.claims())
	if err != nil {
		return "" // a client without one
	}
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(`{"alg":"RS256"}`)) + "." + encode(payload) + ".c2ln"
	switch g.IntN(40) {
	case 0:
		return "none"
	case 1:
		return strings.Replace(token, ".", "", 1)
	case 2:
		return "e30.bm9uZQ.c2ln"
	case 3:
		return "!!." + token
	}
	return token
}

// credentials are the flags and the query parameters by which a request brings tokens.
func (g *guarded) credentials() (flags, params []string) {
	if !g.tokens && g.chance(80) || g.chance(25) {
		return nil, nil
	}
	if g.chance(10) {
		flags = append(flags, "--claim", "iss="+g.one("https://idp.example.com", "issuer@example.com"), "--claim", "sub="+g.one("alice", "bob"))
		flags = append(flags, strings.Fields(g.when(50, "--claim groups="+g.one("testers", `["users","testers"]`)))...)
	} else if g.chance(75) {
		if t := g.token(); strings.HasPrefix(t, "eyJ") && strings.Count(t, ".") == 2 && g.chance(70) {
			flags = append(flags, "--jwt", t)
		} else {
			flags = append(flags, "-H", g.one("authorization: Bearer ", "Authorization: Bearer ", "authorization: bearer ", "authorization: ", "authorization: Bearer  ", "authorization: x Bearer ")+t)
		}
	}
	for g.chance(30) {
		switch g.IntN(4) {
		case 0:
			flags = append(flags, "-H", g.one("x-token: ", "x-token: Token ", "x-jwt: jwt=", "x-jwt: ")+g.token())
		case 1, 2:
			params = append(params, g.one("access_token", "access_token", "token", "t")+"="+g.one(g.token(), g.token(), strings.ReplaceAll(g.token(), ".", "%2E")))
		default:
			flags = append(flags, "-H", "cookie: "+g.one("session=", "s=", "a=b; session=", "session=\"")+g.token()+g.one("", "", "; s=x", "\""))
		}
	}
	return flags, params
}
