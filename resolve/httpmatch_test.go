package resolve

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	networking "istio.io/api/networking/v1alpha3"
)

func TestRouteMatches(t *testing.T) {
	q := &HTTPRequest{
		Method: "GET", Scheme: "http", Authority: "Reviews:9080", Path: "/Foo/bar", Query: "a=1&b=&c&a=2&d=x%20y&=e",
		Headers: map[string]string{"end-user": "Jason", "empty": "", "many": "a,b"},
		Token: &Token{Claims: map[string]any{
			"sub": "u1", "groups": []any{"dev", "ops", 1.0}, "n": 3.0, "scope": "read write",
			"org": map[string]any{"id": "o1", "scope": "a b"}, "a.b": "dotted",
		}},
	}
	tests := []struct {
		name, match string
		want        Truth
		// miss is "field: expected | actual".
		miss string
	}{
		{"nothing asked", `{}`, True, ""},
		{"uri exact", `{uri: {exact: /Foo/bar}}`, True, ""},
		{"uri exact ignores the query, not the case", `{uri: {exact: /foo/bar}}`, False, `uri: uri exact "/foo/bar" | "/Foo/bar"`},
		{"uri exact, ignoreUriCase", `{uri: {exact: /foo/BAR}, ignoreUriCase: true}`, True, ""},
		{"uri prefix is a plain string", `{uri: {prefix: /Fo}}`, True, ""},
		{"uri prefix", `{uri: {prefix: /fo}}`, False, `uri: uri prefix "/fo" | "/Foo/bar"`},
		{"uri prefix, ignoreUriCase", `{uri: {prefix: /fO}, ignoreUriCase: true}`, True, ""},
		{"empty uri prefix", `{uri: {prefix: ""}}`, True, ""},
		{"uri regex, whole path", `{uri: {regex: "/Foo/b.*"}}`, True, ""},
		{"uri regex, part", `{uri: {regex: "/Foo"}}`, False, `uri: uri regex "/Foo" | "/Foo/bar"`},
		{"uri regex, alternatives", `{uri: {regex: "/Foo|/Foo/bar"}}`, True, ""},
		{"uri regex is not told of ignoreUriCase", `{uri: {regex: "/foo/bar"}, ignoreUriCase: true}`, False, `uri: uri regex "/foo/bar" | "/Foo/bar"`},
		{"uri regex that folds case by itself", `{uri: {regex: "(?i)/foo/bar"}}`, True, ""},
		{"uri regex with a quote that stays open", `{uri: {regex: "\\Q/Foo/bar"}}`, True, ""},
		{"uri regex that would close a group", `{uri: {regex: "x)|(.*"}}`, Unknown, `uri: uri regex "x)|(.*" | "/Foo/bar"`},
		{"uri regex that RE2 lacks", `{uri: {regex: "/(?=x)"}}`, Unknown, `uri: uri regex "/(?=x)" | "/Foo/bar"`},
		{"empty uri regex", `{uri: {regex: ""}}`, Unknown, `uri: uri regex "" | "/Foo/bar"`},
		{"a certain miss beats what is not known", `{uri: {regex: "("}, method: {exact: PUT}}`, False, `method: method exact "PUT" | "GET"`},
		{"method", `{method: {exact: GET}}`, True, ""},
		{"method's case", `{method: {exact: get}}`, False, `method: method exact "get" | "GET"`},
		{"presence of method", `{method: {}}`, True, ""},
		{"method that Envoy refuses", `{method: {prefix: ""}}`, Unknown, `method: method prefix "" | "GET"`},
		{"scheme", `{scheme: {exact: https}}`, False, `scheme: scheme exact "https" | "http"`},
		{"authority has its port", `{authority: {exact: Reviews}}`, False, `authority: authority exact "Reviews" | "Reviews:9080"`},
		{"authority", `{authority: {exact: "Reviews:9080"}}`, True, ""},
		{"authority's case", `{authority: {prefix: reviews}}`, False, `authority: authority prefix "reviews" | "Reviews:9080"`},
		{"header name in any case", `{headers: {End-User: {exact: Jason}}}`, True, ""},
		{"header value's case", `{headers: {end-user: {exact: jason}}}`, False, `headers[end-user]: header end-user exact "jason" | "Jason"`},
		{"header prefix", `{headers: {end-user: {prefix: Ja}}}`, True, ""},
		{"header regex, whole value", `{headers: {end-user: {regex: Ja}}}`, False, `headers[end-user]: header end-user regex "Ja" | "Jason"`},
		{"header absent", `{headers: {x: {exact: a}}}`, False, `headers[x]: header x exact "a" | absent`},
		{"header absent is not an empty one", `{headers: {x: {exact: ""}}}`, False, `headers[x]: header x exact "" | absent`},
		{"header present and empty", `{headers: {empty: {exact: ""}}}`, True, ""},
		{"header present", `{headers: {empty: {}}}`, True, ""},
		{"header present by regex *", `{headers: {empty: {regex: "*"}}}`, True, ""},
		{"header not present", `{headers: {x: {regex: "*"}}}`, False, `headers[x]: header x present | absent`},
		{"several values are one", `{headers: {many: {exact: "a,b"}}}`, True, ""},
		{"header prefix that Envoy refuses", `{headers: {end-user: {prefix: ""}}}`, Unknown, `headers[end-user]: header end-user prefix "" | "Jason"`},
		{"the first header by name is named", `{headers: {b: {exact: "1"}, a: {exact: "1"}}}`, False, `headers[a]: header a exact "1" | absent`},
		{"pseudo-header", `{headers: {":path": {regex: "/Foo/bar\\?a=1.*"}}}`, True, ""},
		{"host", `{headers: {host: {exact: "Reviews:9080"}}}`, True, ""},
		{"withoutHeaders, other value", `{withoutHeaders: {end-user: {exact: a}}}`, True, ""},
		{"withoutHeaders, the value", `{withoutHeaders: {end-user: {exact: Jason}}}`, False, `withoutHeaders[end-user]: header end-user not exact "Jason" | "Jason"`},
		{"withoutHeaders, absent is empty", `{withoutHeaders: {x: {regex: ".*"}}}`, False, `withoutHeaders[x]: header x not regex ".*" | absent, which counts as empty`},
		{"withoutHeaders, absent", `{withoutHeaders: {x: {exact: a}}}`, True, ""},
		{"withoutHeaders, presence, absent", `{withoutHeaders: {x: {}}}`, True, ""},
		{"withoutHeaders, presence, present", `{withoutHeaders: {empty: {}}}`, False, `withoutHeaders[empty]: header empty not present | ""`},
		{"withoutHeaders, refused regex", `{withoutHeaders: {x: {regex: "("}}}`, Unknown, `withoutHeaders[x]: header x not regex "(" | absent, which counts as empty`},
		{"query, the first value", `{queryParams: {a: {exact: "1"}}}`, True, ""},
		{"query, another value", `{queryParams: {a: {exact: "2"}}}`, False, `queryParams[a]: query parameter a exact "2" | "1"`},
		{"query, empty value", `{queryParams: {b: {exact: ""}, c: {exact: ""}}}`, True, ""},
		{"query, present", `{queryParams: {c: {}}}`, True, ""},
		{"query, absent", `{queryParams: {z: {}}}`, False, `queryParams[z]: query parameter z present | absent`},
		{"query is not decoded", `{queryParams: {d: {exact: "x y"}}}`, False, `queryParams[d]: query parameter d exact "x y" | "x%20y"`},
		{"query regex", `{queryParams: {a: {regex: "[0-9]"}}}`, True, ""},
		{"claim", `{headers: {"@request.auth.claims.sub": {exact: u1}}}`, True, ""},
		{"claim prefix in any case", `{headers: {"@Request.Auth.Claims[sub]": {exact: u1}}}`, True, ""},
		{"claim name's case", `{headers: {"@request.auth.claims.SUB": {exact: u1}}}`, False, `headers[@request.auth.claims.SUB]: claim SUB exact "u1" | absent`},
		{"claim, list member", `{headers: {"@request.auth.claims.groups": {exact: ops}}}`, True, ""},
		{"claim, not in the list", `{headers: {"@request.auth.claims.groups": {exact: hr}}}`, False, `headers[@request.auth.claims.groups]: claim groups exact "hr" | ["dev", "ops", 1]`},
		{"claim, nested", `{headers: {"@request.auth.claims.org.id": {exact: o1}}}`, True, ""},
		{"claim, nested in brackets", `{headers: {"@request.auth.claims[org][id]": {prefix: o}}}`, True, ""},
		{"claim with a dot needs brackets", `{headers: {"@request.auth.claims[a.b]": {exact: dotted}}}`, True, ""},
		{"claim with a dot, dotted", `{headers: {"@request.auth.claims.a.b": {exact: dotted}}}`, False, `headers[@request.auth.claims.a.b]: claim a.b exact "dotted" | absent`},
		{"claim below a string", `{headers: {"@request.auth.claims.sub.x": {exact: u1}}}`, False, `headers[@request.auth.claims.sub.x]: claim sub.x exact "u1" | absent`},
		{"claim that is a number", `{headers: {"@request.auth.claims.n": {exact: "3"}}}`, False, `headers[@request.auth.claims.n]: claim n exact "3" | 3`},
		{"claim that is an object", `{headers: {"@request.auth.claims.org": {prefix: o}}}`, False, `headers[@request.auth.claims.org]: claim org prefix "o" | an object`},
		{"scope is a list", `{headers: {"@request.auth.claims.scope": {exact: write}}}`, True, ""},
		{"scope as a whole", `{headers: {"@request.auth.claims.scope": {exact: "read write"}}}`, False, `headers[@request.auth.claims.scope]: claim scope exact "read write" | ["read", "write"]`},
		{"nested scope is a string", `{headers: {"@request.auth.claims.org.scope": {exact: "a b"}}}`, True, ""},
		{"claim without value", `{headers: {"@request.auth.claims.sub": {}}}`, Unknown, `headers[@request.auth.claims.sub]: claim sub present | `},
		{"withoutHeaders, claim", `{withoutHeaders: {"@request.auth.claims.sub": {exact: u1}}}`, False, `withoutHeaders[@request.auth.claims.sub]: claim sub not exact "u1" | "u1"`},
		{"withoutHeaders, other claim", `{withoutHeaders: {"@request.auth.claims.sub": {exact: u2}}}`, True, ""},
		{"no claim name: a plain header", `{headers: {"@request.auth.claims": {exact: a}}}`, False, `headers[@request.auth.claims]: header @request.auth.claims exact "a" | absent`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &networking.HTTPMatchRequest{}
			protoYAML(t, tt.match, m)
			got, miss := (&Route{Match: m}).Matches(q)
			if got != tt.want {
				t.Errorf("want %d, got %d", tt.want, got)
			}
			line := ""
			if miss.Field != "" {
				line = fmt.Sprintf("%s: %s | %s", miss.Field, miss.Expected, miss.Actual)
			}
			if diff := cmp.Diff(tt.miss, line); diff != "" {
				t.Error(diff)
			}
			if (got == Unknown) != (miss.Doubt != "") {
				t.Errorf("an unknown answer and a doubt go together: %d, %q", got, miss.Doubt)
			}
		})
	}
}

func TestRouteMatchesClaimsWithoutToken(t *testing.T) {
	with, without := &networking.HTTPMatchRequest{}, &networking.HTTPMatchRequest{}
	protoYAML(t, `{headers: {"@request.auth.claims.a": {exact: b}}}`, with)
	protoYAML(t, `{withoutHeaders: {"@request.auth.claims.a": {exact: b}}}`, without)
	if got, miss := (&Route{Match: with}).Matches(&HTTPRequest{}); got != False || miss.Actual != "absent: this proxy has verified no token" {
		t.Errorf("want a miss for lack of a token, got %d, %q", got, miss.Actual)
	}
	if got, _ := (&Route{Match: without}).Matches(&HTTPRequest{}); got != True {
		t.Errorf("want a match, got %d", got)
	}
}

func TestRouteMatchesPathSegments(t *testing.T) {
	tests := []struct {
		prefix, path string
		written, api Truth
	}{
		{"/foo", "/foo", True, True},
		{"/foo", "/foo/", True, True},
		{"/foo", "/foo/x", True, True},
		{"/foo", "/foobar", True, False},
		{"/foo/", "/foo", False, True},
		{"/foo/", "/foo/x", True, True},
		{"/", "/x", True, True},
	}
	for _, tt := range tests {
		t.Run(tt.prefix+" "+tt.path, func(t *testing.T) {
			m := &networking.HTTPMatchRequest{Uri: &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: tt.prefix}}}
			for semantics, want := range map[RouteSemantics]Truth{
				SemanticsVirtualService: tt.written, SemanticsIngress: tt.api, SemanticsGateway: tt.api,
			} {
				r := &Route{Match: m, VirtualService: &VirtualService{Semantics: semantics}}
				if got, _ := r.Matches(&HTTPRequest{Path: tt.path}); got != want {
					t.Errorf("%q: want %d, got %d", semantics, want, got)
				}
			}
		})
	}
}

func TestRegexesAreSharedSafely(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 50 {
				if got, _ := fullMatch(fmt.Sprintf("a{%d}", i+1), "a"); got != TruthOf(i == 0) {
					t.Errorf("a{%d}: %d", i+1, got)
				}
			}
		})
	}
	wg.Wait()
}
