package resolve

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHint(t *testing.T) {
	const web = "cluster.local/ns/shop/sa/web"
	get := &HTTPRequest{Method: "GET", Authority: "cart.shop", Path: "/a?b=c", Headers: map[string]string{}}
	tests := []struct {
		name     string
		policies string
		peer     string
		token    map[string]any
		want     []string
	}{
		{
			name: "a value to add", peer: web, policies: authz("shop/a {rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/other]}}]}]}"),
			want: []string{`add "cluster.local/ns/shop/sa/web" to spec.rules[0].from[0].source.principals of AuthorizationPolicy shop/a`},
		},
		{
			name: "the query is no part of the path", policies: authz("shop/a {rules: [{to: [{operation: {paths: [/b]}}]}]}"),
			want: []string{`add "/a" to spec.rules[0].to[0].operation.paths of AuthorizationPolicy shop/a`},
		},
		{
			name: "a value to remove", policies: authz("shop/a {rules: [{to: [{operation: {notMethods: [PUT, GET, \"G*\"]}}]}]}"),
			want: []string{
				`remove "GET" from spec.rules[0].to[0].operation.notMethods of AuthorizationPolicy shop/a`,
				`remove "G*" from spec.rules[0].to[0].operation.notMethods of AuthorizationPolicy shop/a`,
			},
		},
		{
			name: "a header to send", policies: authz("shop/a {rules: [{when: [{key: \"request.headers[x-team]\", values: [cart]}]}]}"),
			want: []string{"send the header x-team: cart"},
		},
		{name: "no header is known to send for a pattern", policies: authz("shop/a {rules: [{when: [{key: \"request.headers[x-team]\", values: [\"c*\"]}]}]}")},
		{name: "a peer without identity gets none here", policies: authz("shop/a {rules: [{from: [{source: {namespaces: [shop]}}]}]}")},
		{name: "a token cannot be made up", policies: authz("shop/a {rules: [{from: [{source: {requestPrincipals: [\"*\"]}}]}]}")},
		{
			name: "a claim that is there", token: map[string]any{"group": "b"}, policies: authz("shop/a {rules: [{when: [{key: \"request.auth.claims[group]\", values: [a]}]}]}"),
			want: []string{`add "b" to spec.rules[0].when[0].values of AuthorizationPolicy shop/a`},
		},
		{
			name: "the nearest rule lacks the fewest clauses", peer: web,
			policies: authz("shop/a {rules: [{from: [{source: {namespaces: [a]}}], to: [{operation: {methods: [PUT]}}]}, {from: [{source: {serviceAccounts: [other]}}], to: [{operation: {methods: [GET]}}]}]}"),
			want:     []string{`add "shop/web" to spec.rules[1].from[0].source.serviceAccounts of AuthorizationPolicy shop/a`},
		},
		{
			name: "of equals the one about this source", peer: web,
			policies: authz("shop/a {rules: [{from: [{source: {serviceAccounts: [other]}}]}, {from: [{source: {serviceAccounts: [web]}}], to: [{operation: {methods: [PUT]}}]}]}"),
			want:     []string{`add "GET" to spec.rules[1].to[0].operation.methods of AuthorizationPolicy shop/a`},
		},
		{
			name: "of alternatives the nearer one", peer: web,
			policies: authz("shop/a {rules: [{to: [{operation: {methods: [PUT], paths: [/x]}}, {operation: {methods: [GET], paths: [/x]}}]}]}"),
			want:     []string{`add "/a" to spec.rules[0].to[1].operation.paths of AuthorizationPolicy shop/a`},
		},
		{
			name: "two clauses need two changes", peer: web,
			policies: authz("shop/a {rules: [{from: [{source: {namespaces: [a]}}], to: [{operation: {methods: [PUT]}}]}]}"),
			want: []string{
				`add "shop" to spec.rules[0].from[0].source.namespaces of AuthorizationPolicy shop/a`,
				`add "GET" to spec.rules[0].to[0].operation.methods of AuthorizationPolicy shop/a`,
			},
		},
		{
			name: "a default deny gets a rule", peer: web, policies: authz("shop/a {}"),
			want: []string{`add {from: [{source: {principals: ["cluster.local/ns/shop/sa/web"]}}]} to spec.rules of AuthorizationPolicy shop/a`},
		},
		{
			name: "a peer is excepted from DENY", peer: web, policies: authz("shop/d {action: DENY, rules: [{to: [{operation: {paths: [\"/a*\"]}}]}]}"),
			want: []string{`add "cluster.local/ns/shop/sa/web" to spec.rules[0].from[0].source.notPrincipals of AuthorizationPolicy shop/d`},
		},
		{
			name: "beside service accounts by its account", peer: web, policies: authz("shop/d {action: DENY, rules: [{from: [{source: {serviceAccounts: [web]}}]}]}"),
			want: []string{`add "shop/web" to spec.rules[0].from[0].source.notServiceAccounts of AuthorizationPolicy shop/d`},
		},
		{
			name: "without an identity the DENY rule goes", policies: authz("shop/d {action: DENY, rules: [{}, {to: [{operation: {methods: [PUT]}}]}]}"),
			want: []string{"delete spec.rules[0] of AuthorizationPolicy shop/d"},
		},
		{
			name: "behind a DENY rule stands an ALLOW policy", peer: web, policies: authz("shop/d {action: DENY, rules: [{}]}", "shop/e {rules: [{to: [{operation: {methods: [PUT]}}]}]}"),
			want: []string{
				`add "cluster.local/ns/shop/sa/web" to spec.rules[0].from[0].source.notPrincipals of AuthorizationPolicy shop/d`,
				`add "GET" to spec.rules[0].to[0].operation.methods of AuthorizationPolicy shop/e`,
			},
		},
		{name: "what nothing mends behind a DENY rule leaves no hint", peer: web, policies: authz("shop/d {action: DENY, rules: [{}]}", "shop/e {rules: [{from: [{source: {requestPrincipals: [\"*\"]}}]}]}")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := get.Clone()
			if tt.token != nil {
				q.Token = &Token{Claims: tt.token}
			}
			a := snapshotOf(t, tt.policies).Authorize(guarded(), &Connection{Peer: tt.peer, DestinationPort: 80}, q)
			if a.Decision != AccessDenied {
				t.Fatalf("not denied: %s", a.Decision)
			}
			var got []string
			for _, c := range a.Hint {
				got = append(got, c.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
