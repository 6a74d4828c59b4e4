package resolve

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	apisecurity "istio.io/api/security/v1beta1"
)

// What end-user token, or what reading of it, would let a refused request pass.
//
//  1. A token that a rule refuses is mended: the issuer is the rule's, the expiry comes after the beginning. Its
//     audience is added to the rule's, or, where it has none, is one of the rule's.
//  2. "Bearer " in a header for which the rule names no prefix becomes the prefix. Of several tokens one is left out,
//     and so is what can not be decoded: no token is required.
//  3. A token where no rule reads it is sent where one does.
//  4. A claim that policies want, or a token where there is none: the issuer of a rule, the rest as a policy's rule asks.
//  5. Each is tried: the tokens are read again, and the policies after them. Of those that pass, also by a hint of
//     the policies, the one with the fewest changes counts.
//
// Whether a token is signed with the keys of the issuer is known nowhere here.

// Carry takes over into the request what the JWT filter makes of it.
func (r *JWTResult) Carry(q *HTTPRequest) {
	for _, name := range r.Sanitized {
		delete(q.Headers, name)
	}
	q.Reserved = append(q.Reserved, r.Sanitized...)
	if r.Status != 0 {
		return
	}
	q.Token = r.Token
	maps.Copy(q.Headers, r.Headers)
	for _, place := range r.Consumed {
		q.DropToken(place)
	}
}

// TokenHint are the fewest changes by which the request, as it comes to the JWT filter, would pass that and the
// policies behind it; nil where no token helps.
func (s *Snapshot) TokenHint(w *Workload, c *Connection, q *HTTPRequest) []Change {
	rules := s.jwtRulesOf(w)
	if q == nil || len(rules) == 0 || q.IsPreflight() {
		return nil
	}
	var best []Change
	for _, t := range s.tokenTrials(w, c, q, rules) {
		behind, ok := s.passes(w, c, t.q, t.rules)
		if changes := slices.Concat(t.changes, behind); ok && (best == nil || len(changes) < len(best)) {
			best = changes
		}
	}
	return best
}

// Passes reports whether the request gets past the JWT filter and the policies behind it, with what policies lack then.
func (s *Snapshot) Passes(w *Workload, c *Connection, q *HTTPRequest) ([]Change, bool) {
	return s.passes(w, c, q, s.jwtRulesOf(w))
}

func (s *Snapshot) jwtRulesOf(w *Workload) []jwtRule {
	return s.known(w).jwt.of(struct{}{}, func() jwtRules { return s.findJWTRules(w) }).rules
}

func (s *Snapshot) passes(w *Workload, c *Connection, q *HTTPRequest, rules []jwtRule) ([]Change, bool) {
	f := jwtFilter{q: q.Clone()}
	if len(rules) > 0 {
		f.run(rules)
	}
	if f.Status != 0 {
		return nil, false
	}
	after := q.Clone()
	f.Carry(after)
	a := s.AuthorizeLocal(w, c, after)
	return a.Hint, a.Decision == AccessAllowed || a.Decision == AccessDenied && len(a.Hint) > 0
}

// tokenTrial is a request, and the rules that read it, after some changes.
type tokenTrial struct {
	changes []Change
	rules   []jwtRule
	q       *HTTPRequest
}

// tokenTrials are all that may be worth a try, rule by rule.
func (s *Snapshot) tokenTrials(w *Workload, c *Connection, q *HTTPRequest, rules []jwtRule) []tokenTrial {
	var out []tokenTrial
	carried := carriedTokens(q)
	for i, rule := range rules {
		found := tokensFor(rule.spec, q)
		if len(found) == 0 {
			for _, t := range carried {
				out = append(out, send(rules, rule, q, t.text, nil))
			}
			for _, claims := range s.wantedClaims(w, c, q, rule, nil) {
				if len(carried) == 0 {
					out = append(out, sendNew(rules, rule, q, claims))
				}
			}
			continue
		}
		for _, t := range slices.Backward(found) {
			token, status := readToken(t.text)
			if status != jwtOK {
				out = append(out, prefixed(rules, i, q, t)...)
			}
			if status != jwtOK || len(carried) > 1 {
				out = append(out, leaveOut(rules, q, t))
				continue
			}
			mended, audience := mendToken(rule.spec, token)
			out = append(out, accept(rules, i, q, t, token, mended, audience))
			for _, claims := range s.wantedClaims(w, c, q, rule, token) {
				out = append(out, accept(rules, i, q, t, token, claims, ""))
			}
		}
	}
	return out
}

// mendToken are the claims by which a rule would accept a token, and the audience of the token that the rule has to list.
func mendToken(rule *apisecurity.JWTRule, token *Token) (claims map[string]any, audience string) {
	claims = map[string]any{}
	if issuer := rule.GetIssuer(); issuer != "" && token.Claims["iss"] != issuer {
		claims["iss"] = issuer
	}
	if neverValid(token.Claims) != "" {
		begins, _ := token.Claims["nbf"].(float64)
		made, _ := token.Claims["iat"].(float64)
		claims["exp"] = max(begins, made)
	}
	has, want := stringsOf(token.Claims["aud"]), rule.GetAudiences()
	listed := func(a string) bool { return slices.ContainsFunc(want, sameAudience(a)) }
	switch {
	case len(want) == 0 || slices.ContainsFunc(has, listed):
	case len(has) > 0:
		audience = has[0]
	default:
		claims["aud"] = want[0]
	}
	return claims, audience
}

// accept is a token with other claims in its place, and its audience among those of the rule.
func accept(rules []jwtRule, i int, q *HTTPRequest, t foundToken, token *Token, claims map[string]any, audience string) tokenTrial {
	trial := tokenTrial{rules: rules, q: q.Clone()}
	if len(claims) > 0 {
		trial.changes = append(trial.changes, Change{Op: ChangeToken, Ref: rules[i].ref, Value: flow(claims)})
		trial.q.replaceToken(t, withClaims(token, claims))
	}
	if audience != "" {
		at := rules[i].ref.Field + ".audiences"
		trial.changes = append(trial.changes, Change{Op: ChangeAdd, Ref: rules[i].ref.At(at), Value: strconv.Quote(audience)})
		trial.rules = changed(rules, i, func(r *apisecurity.JWTRule) { r.Audiences = append(r.Audiences, audience) })
	}
	return trial
}

// prefixed is the rule with the word before the token as the prefix of its header.
func prefixed(rules []jwtRule, i int, q *HTTPRequest, t foundToken) []tokenTrial {
	word, _, ok := strings.Cut(t.text, " ")
	if t.Kind != TokenInHeader || !ok {
		return nil
	}
	at := slices.IndexFunc(rules[i].spec.GetFromHeaders(), func(h *apisecurity.JWTHeader) bool {
		return strings.EqualFold(h.GetName(), t.Name) && h.GetPrefix() == ""
	})
	if at < 0 {
		return nil
	}
	field := fmt.Sprintf("%s.fromHeaders[%d].prefix", rules[i].ref.Field, at)
	return []tokenTrial{{
		changes: []Change{{Op: ChangeSet, Ref: rules[i].ref.At(field), Value: strconv.Quote(word + " ")}}, q: q,
		rules: changed(rules, i, func(r *apisecurity.JWTRule) { r.FromHeaders[at].Prefix = word + " " }),
	}}
}

// leaveOut is the request without what stands in one place.
func leaveOut(rules []jwtRule, q *HTTPRequest, t foundToken) tokenTrial {
	without := q.Clone()
	if t.Kind == TokenInCookie {
		without.Headers["cookie"] = withoutCookie(without.Headers["cookie"], t.Name)
	}
	without.DropToken(t.TokenPlace)
	return tokenTrial{changes: []Change{{Op: ChangeOmit, Value: t.String()}}, rules: rules, q: without}
}

// sendNew is the request with a token of these claims where a rule reads it.
func sendNew(rules []jwtRule, rule jwtRule, q *HTTPRequest, claims map[string]any) tokenTrial {
	text := withClaims(&Token{}, claims)
	token := Change{Op: ChangeToken, Ref: rule.ref, Value: flow(claims)}
	if len(tokenPlaces(rule.spec)) > 0 {
		return send(rules, rule, q, text, []Change{token})
	}
	with := q.Clone()
	with.Headers["authorization"] = "Bearer " + text
	return tokenTrial{changes: []Change{token}, rules: rules, q: with}
}

// send is the request with a token in the first place that a rule reads.
func send(rules []jwtRule, rule jwtRule, q *HTTPRequest, text string, before []Change) tokenTrial {
	with, as := q.Clone(), ""
	switch headers, params, cookies := rule.spec.GetFromHeaders(), rule.spec.GetFromParams(), rule.spec.GetFromCookies(); {
	case len(headers) > 0:
		as = headers[0].GetName() + ": " + headers[0].GetPrefix() + tokenMark
		with.Headers[strings.ToLower(headers[0].GetName())] = headers[0].GetPrefix() + text
	case len(params) > 0:
		as = "?" + params[0] + "=" + tokenMark
		with.Query = strings.TrimPrefix(with.Query+"&"+params[0]+"="+text, "&")
	case len(cookies) > 0:
		as = "Cookie: " + cookies[0] + "=" + tokenMark
		with.Headers["cookie"] = strings.TrimPrefix(with.Headers["cookie"]+"; "+cookies[0]+"="+text, "; ")
	default:
		as = "Authorization: Bearer " + tokenMark
		with.Headers["authorization"] = "Bearer " + text
	}
	return tokenTrial{changes: append(before, Change{Op: ChangePlace, Ref: rule.ref, Value: as}), rules: rules, q: with}
}

// tokenMark stands for the token in a Change, which never holds one.
const tokenMark = "TOKEN"

// changed are the rules with one of them edited.
func changed(rules []jwtRule, i int, edit func(*apisecurity.JWTRule)) []jwtRule {
	out := slices.Clone(rules)
	spec, _ := proto.Clone(rules[i].spec).(*apisecurity.JWTRule)
	edit(spec)
	out[i].spec = spec
	return out
}

// carriedTokens are the tokens anywhere in a request, whether a rule reads them there or not.
func carriedTokens(q *HTTPRequest) []foundToken {
	var out []foundToken
	add := func(kind TokenPlaceKind, name, text string) {
		if _, status := readToken(text); status == jwtOK {
			out = append(out, foundToken{TokenPlace{kind, name}, text})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
		words := strings.Fields(q.Headers[name])
		if name != "cookie" && len(words) > 0 {
			add(TokenInHeader, name, words[len(words)-1])
		}
	}
	given := queryParams(q.Query)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		add(TokenInParameter, name, given[name][0])
	}
	baked := cookies(q.Headers["cookie"])
	for _, name := range slices.Sorted(maps.Keys(baked)) {
		add(TokenInCookie, name, baked[name])
	}
	return out
}

// replaceToken puts another token where one was found.
func (q *HTTPRequest) replaceToken(t foundToken, text string) {
	switch t.Kind {
	case TokenInHeader:
		q.Headers[t.Name] = strings.Replace(q.Headers[t.Name], t.text, text, 1)
	case TokenInParameter:
		q.Query = strings.Replace(q.Query, t.text, text, 1)
	case TokenInCookie:
		q.Headers["cookie"] = strings.Replace(q.Headers["cookie"], t.text, text, 1)
	}
}

// withoutCookie is a Cookie header without the cookies of a name.
func withoutCookie(header, name string) string {
	var rest []string
	for pair := range strings.SplitSeq(header, ";") {
		if key, _, _ := strings.Cut(strings.TrimLeft(pair, " \t"), "="); key != name {
			rest = append(rest, strings.TrimLeft(pair, " \t"))
		}
	}
	return strings.Join(rest, "; ")
}

// withClaims is the text of a token with some claims changed. It is unsigned: signatures are looked at nowhere.
func withClaims(token *Token, claims map[string]any) string {
	all := maps.Clone(token.Claims)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, claims)
	text, err := (&Token{Claims: all}).Encode()
	if err != nil {
		return ""
	}
	return text
}

// Encode is the token as JSON Web Tokens are written, without a signature.
func (t *Token) Encode() (string, error) {
	payload, err := json.Marshal(t.Claims)
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode(payload) + ".", nil
}

var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// flow is a map in YAML's flow style, its keys in order.
func flow(claims map[string]any) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(claims)) {
		var value string
		switch v := claims[k].(type) {
		case map[string]any:
			value = flow(v)
		case float64:
			value = strconv.FormatFloat(v, 'f', -1, 64)
		default:
			value = fmt.Sprintf("%q", v)
		}
		if !plainKey.MatchString(k) {
			k = strconv.Quote(k)
		}
		parts = append(parts, k+": "+value)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
