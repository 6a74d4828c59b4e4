package snapshot

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// A request is written with what its trace depends on:
//
//  1. A token, from --jwt or an Authorization header, is its claims; and of these those that change the trace.
//  2. For the value of such a claim, of a header and of a query parameter stands "redacted", unless the trace is another then.
//
// Both are tried: the trace of the request that is written is that of the one that was typed, but for the values that were
// replaced, where they are shown. What stays of a credential is a warning.

// redacted stands for a value that no trace depends on.
const redacted = "redacted"

// reduceRequest returns the request as it is written, and what the user should know of it.
func reduceRequest(s *resolve.Snapshot, typed trace.Typed) (trace.Typed, []string, error) {
	request, err := trace.NewRequest(typed)
	if err != nil {
		return typed, nil, err
	}
	walked, err := trace.WalkView(s, request, trace.DetailFull)
	if err != nil {
		return typed, nil, err
	}
	walked.AddFacts(s, trace.FactsOfAll)
	r := requestReducer{snapshot: s, want: body(walked), now: typed}
	if err := r.token(request); err != nil {
		return typed, nil, err
	}
	r.claims()
	r.headers()
	r.query()
	return r.now, r.warnings, nil
}

// requestReducer leaves out of a request what it can.
type requestReducer struct {
	snapshot *resolve.Snapshot
	want     []byte
	now      trace.Typed
	warnings []string
}

// body is a trace without what it says of the request itself.
func body(t *trace.Trace) []byte {
	without := *t
	without.Request.Headers, without.Request.Query, without.Request.Token = nil, "", nil
	return printed(&without)
}

// try takes the request if its trace is the same.
func (r *requestReducer) try(q trace.Typed) bool { return r.tryInstead(q, "", "") }

// tryInstead takes the request if its trace is the same, but that it shows to in place of from.
func (r *requestReducer) tryInstead(q trace.Typed, from, to string) bool {
	want := r.want
	if from != "" {
		want = bytes.ReplaceAll(want, []byte(from), []byte(to))
		want = bytes.ReplaceAll(want, inJSON(from), inJSON(to))
	}
	request, err := trace.NewRequest(q)
	if err != nil {
		return false
	}
	t, err := trace.WalkView(r.snapshot, request, trace.DetailFull)
	if err != nil {
		return false
	}
	t.AddFacts(r.snapshot, trace.FactsOfAll)
	if !bytes.Equal(body(t), want) {
		return false
	}
	r.now, r.want = q, want
	return true
}

// inJSON is a text as it stands within a JSON string.
func inJSON(text string) []byte {
	data, err := json.Marshal(text)
	if err != nil {
		return []byte(text)
	}
	return data[1 : len(data)-1]
}

func (r *requestReducer) warnf(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

// token writes the token as its claims.
func (r *requestReducer) token(request trace.Request) error {
	carries := func(line string) bool {
		name, value, _ := strings.Cut(line, ":")
		_, err := trace.ParseJWT(value)
		return strings.EqualFold(name, "authorization") && err == nil
	}
	if request.Token == nil || r.now.JWT == "" && !slices.ContainsFunc(r.now.Headers, carries) {
		return nil
	}
	q := r.now
	q.JWT, q.Claims = "", nil
	q.Headers = slices.DeleteFunc(slices.Clone(q.Headers), carries)
	for _, name := range slices.Sorted(maps.Keys(request.Token.Claims)) {
		q.Claims = append(q.Claims, name+"="+claimText(request.Token.Claims[name]))
	}
	if r.try(q) {
		return nil
	}
	return r.unsigned(q, request.Token)
}

// unsigned writes a token whose claims --claim does not take as they are (numbers): as a token without signature, with those
// of its claims that change the trace.
func (r *requestReducer) unsigned(q trace.Typed, token *resolve.Token) error {
	q.Claims = nil
	claims := maps.Clone(token.Claims)
	bare := false // a header that names no algorithm
	with := func(claims map[string]any, instead string) bool {
		to := ""
		if instead != "" {
			to = redacted
		}
		var err error
		q.JWT, err = (&resolve.Token{Claims: claims}).Encode()
		if _, payload, ok := strings.Cut(q.JWT, "."); ok && bare {
			q.JWT = "e30." + payload
		}
		return err == nil && r.tryInstead(q, instead, to)
	}
	if bare = !with(claims, ""); bare && !with(claims, "") {
		return errors.New("the token can not be written as its claims: the trace would be another one")
	}
	for _, name := range slices.Sorted(maps.Keys(token.Claims)) {
		fewer := maps.Clone(claims)
		delete(fewer, name)
		if with(fewer, "") {
			claims = fewer
			continue
		}
		if text, ok := claims[name].(string); ok && text != "" {
			fewer[name] = redacted
			if with(fewer, text) {
				claims = fewer
			}
		}
	}
	if data, err := json.Marshal(claims); err == nil {
		r.warnf("the token is written without its signature, with the claims that the trace depends on: %s", data)
	}
	return nil
}

// claimText is the value of a claim as --claim takes it.
func claimText(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	data, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(data)
}

func (r *requestReducer) claims() {
	for _, claim := range slices.Clone(r.now.Claims) {
		q := r.now
		q.Claims = slices.DeleteFunc(slices.Clone(q.Claims), func(c string) bool { return c == claim })
		if r.try(q) {
			continue
		}
		name, value, _ := strings.Cut(claim, "=")
		q = r.now
		q.Claims = slices.Clone(q.Claims)
		q.Claims[slices.Index(q.Claims, claim)] = name + "=" + redacted
		if !r.tryInstead(q, value, redacted) {
			r.warnf("claim %s of the token is written: the trace depends on it", name)
		}
	}
}

func (r *requestReducer) headers() {
	for i, line := range r.now.Headers {
		name, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(value) == "" || strings.EqualFold(name, "host") {
			continue
		}
		q := r.now
		q.Headers = slices.Clone(q.Headers)
		q.Headers[i] = name + ": " + redacted
		if !r.try(q) && !r.tryInstead(q, strings.TrimSpace(value), redacted) && isCredential(name) {
			r.warnf("the value of header %s is written: the trace depends on it", name)
		}
	}
}

// isCredential reports whether a header of that name carries what others must not know.
func isCredential(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"auth", "cookie", "token", "secret", "password", "session", "key", "credential"}, func(word string) bool {
		return strings.Contains(name, word)
	})
}

// query replaces the values of the query, one parameter after the other.
func (r *requestReducer) query() {
	before, query, ok := strings.Cut(r.now.URL, "?")
	if !ok {
		return
	}
	parameters := strings.Split(query, "&")
	for i, p := range parameters {
		name, value, _ := strings.Cut(p, "=")
		if value == "" {
			continue
		}
		q, fewer := r.now, slices.Clone(parameters)
		fewer[i] = name + "=" + redacted
		q.URL = before + "?" + strings.Join(fewer, "&")
		if r.try(q) || r.tryInstead(q, p, fewer[i]) {
			parameters = fewer
			continue
		}
		if decoded, err := url.QueryUnescape(name); err == nil {
			r.warnf("the value of query parameter %s is written: the trace depends on it", cmp.Or(decoded, name))
		}
	}
}
