package resolve

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChooseRoute(t *testing.T) {
	tests := []struct {
		name, http, path string
		want             string
		certain          Truth
		steps            []string
	}{
		{
			name: "the first that matches", path: "/v2/x", certain: True,
			http: "- match: [{uri: {prefix: /v1}}]\n- match: [{uri: {prefix: /v2}}]\n- name: rest",
			want: "spec.http[1].match[0]",
			steps: []string{
				`skipped route/match-uri shop/v spec.http[0].match[0].uri: path is "/v2/x"; the rule asks for prefix "/v1" [uri prefix "/v1" | "/v2/x"]`,
				`matched route/first-match shop/v spec.http[1].match[0]: the first rule that matches: uri prefix "/v2"`,
				`skipped route/also-matches shop/v spec.http[2]: it would match too (it takes every request), but VirtualService shop/v spec.http[1].match[0] comes first`,
			},
		},
		{
			name: "a plain prefix swallows a longer name", path: "/policy-author", certain: True,
			http: "- match: [{uri: {prefix: /policy}}]\n- match: [{uri: {prefix: /x}}]\n- match: [{uri: {prefix: /policy-author}, headers: {h: {}}}]\n- match: [{uri: {prefix: /policy-author}}]\n- name: rest",
			want: "spec.http[0].match[0]",
			steps: []string{
				`matched route/first-match shop/v spec.http[0].match[0]: the first rule that matches: uri prefix "/policy"`,
				`applied route/plain-prefix shop/v spec.http[0].match[0].uri: prefix "/policy" takes "/policy-author" too: it is compared as a plain string, not by path segments`,
				`skipped route/not-reached shop/v spec.http[1].match[0]: not looked at: VirtualService shop/v spec.http[0].match[0] comes first`,
				`skipped route/not-reached shop/v spec.http[2].match[0]: not looked at: VirtualService shop/v spec.http[0].match[0] comes first`,
				`skipped route/closer-match-behind shop/v spec.http[3].match[0]: it would match more closely (uri prefix "/policy-author"), but VirtualService shop/v spec.http[0].match[0] comes first`,
				`skipped route/not-reached shop/v spec.http[4]: not looked at: VirtualService shop/v spec.http[0].match[0] comes first`,
			},
		},
		{
			name: "none", path: "/x", certain: True,
			http: "- match: [{uri: {exact: /}, headers: {a: {}, b: {}}}]",
			steps: []string{
				`skipped route/match-uri shop/v spec.http[0].match[0].uri: path is "/x"; the rule asks for exact "/" [uri exact "/" | "/x"]`,
				`none route/no-match: the only rule for this host does not match GET /x`,
			},
		},
		{
			name: "every kind of clause", path: "/x", certain: True,
			http: "- match: [{method: {exact: PUT}}, {headers: {h: {exact: a}}}, {withoutHeaders: {h: {exact: \"\"}}}, {headers: {\"@request.auth.claims[a]\": {exact: b}}}, {queryParams: {q: {exact: \"2\"}}}]",
			steps: []string{
				`skipped route/match-method-scheme-authority shop/v spec.http[0].match[0].method: method is "GET"; the rule asks for exact "PUT" [method exact "PUT" | "GET"]`,
				`skipped route/match-header shop/v spec.http[0].match[1].headers[h]: header h is absent; the rule asks for exact "a" [header h exact "a" | absent]`,
				`skipped route/match-without-header shop/v spec.http[0].match[2].withoutHeaders[h]: header h is absent, which counts as empty; the rule asks for not exact "" [header h not exact "" | absent, which counts as empty]`,
				`skipped route/match-claim shop/v spec.http[0].match[3].headers[@request.auth.claims[a]]: claim a is absent: this proxy has verified no token; the rule asks for exact "b" [claim a exact "b" | absent: this proxy has verified no token]`,
				`skipped route/match-query-param shop/v spec.http[0].match[4].queryParams[q]: query parameter q is "1"; the rule asks for exact "2" [query parameter q exact "2" | "1"]`,
				`none route/no-match: none of the 5 rules for this host matches GET /x`,
			},
		},
		{
			name: "what can not be decided makes the choice uncertain", path: "/x", certain: Unknown,
			http: "- match: [{uri: {regex: \"(\"}}]\n- match: [{uri: {prefix: /x}, method: {exact: GET}, scheme: {prefix: h}, authority: {prefix: r}, withoutHeaders: {a: {}}, queryParams: {q: {exact: \"1\"}, r: {}}}]",
			want: "spec.http[1].match[0]",
			steps: []string{
				`warning route/match-undecidable shop/v spec.http[0].match[0].uri: uri regex "(" can not be decided: regex "(" is not valid RE2`,
				`matched route/first-match shop/v spec.http[1].match[0]: the first rule that matches: uri prefix "/x", method exact "GET", scheme prefix "h", authority prefix "r", without header a present, query parameter q exact "1", query parameter r present`,
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			routes, _ := routesOf(t, tt.http, 80, MeshGateway, &Workload{})
			q := &HTTPRequest{Method: "GET", Scheme: "http", Authority: "reviews", Path: tt.path, Query: "q=1&r"}
			chosen, steps, certain := ChooseRoute(routes, q)
			got := ""
			if chosen != nil {
				got = chosen.Ref.Field
			}
			if got != tt.want || certain != tt.certain {
				t.Errorf("want %q (certain %d), got %q (%d)", tt.want, tt.certain, got, certain)
			}
			if diff := cmp.Diff(tt.steps, routeStepLines(t, steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestChooseDefaultRoute(t *testing.T) {
	svc := &Service{Hostname: "reviews.shop.svc.cluster.local", Ref: Ref{Kind: "Service", Namespace: "shop", Name: "reviews"}}
	r := DefaultRoute(svc, 9080)
	chosen, steps, certain := ChooseRoute([]*Route{r}, &HTTPRequest{Path: "/x"})
	if chosen != r || certain != True {
		t.Errorf("want the default route for certain, got %v (%d)", chosen, certain)
	}
	want := []string{"matched route/default shop/reviews : no VirtualService applies, so the request goes to reviews.shop.svc.cluster.local port 9080"}
	if diff := cmp.Diff(want, routeStepLines(t, steps)); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkChooseRoute(b *testing.B) {
	http := ""
	for range 100 {
		http += "- match: [{uri: {prefix: /other}, headers: {x: {exact: a}}}]\n"
	}
	routes, _ := routesOf(b, http+"- match: [{uri: {regex: \"/re.*\"}}]", 80, MeshGateway, &Workload{})
	q := &HTTPRequest{Method: "GET", Path: "/reviews/0"}
	b.ReportAllocs()
	for b.Loop() {
		if chosen, _, _ := ChooseRoute(routes, q); chosen == nil {
			b.Fatal("nothing chosen")
		}
	}
}
