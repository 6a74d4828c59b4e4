package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func apRef(namespace, name, field string) Ref {
	return Ref{Group: securityGroup, Kind: "AuthorizationPolicy", Namespace: namespace, Name: name, Field: field}
}

func TestAuthorize(t *testing.T) {
	const (
		allowGet  = "{rules: [{to: [{operation: {methods: [GET]}}]}]}"
		denyPath  = "{action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}"
		allowPeer = "{rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]}"
	)
	get := func(path string) *HTTPRequest { return &HTTPRequest{Method: "GET", Authority: "web", Path: path} }
	tests := []struct {
		name     string
		policies string
		conn     Connection
		request  *HTTPRequest
		want     Authorization // Steps apart
		steps    []string
	}{
		{
			name: "no policy", request: get("/"), want: Authorization{Decision: AccessAllowed},
			steps: []string{"none authorizationpolicy/none: no DENY or ALLOW policy applies to Deployment shop/web: everything is allowed"},
		},
		{
			name: "ALLOW matches", policies: authz("shop/a " + allowGet), request: get("/"),
			want: Authorization{Decision: AccessAllowed, Policy: apRef("shop", "a", "spec.rules[0]"), EnvoyPolicy: "ns[shop]-policy[a]-rule[0]"},
			steps: []string{
				"applied authorizationpolicy/any-source shop/a spec.rules[0]: the rule has no from: any source matches, with or without mTLS",
				"allowed authorizationpolicy/allow shop/a spec.rules[0]: ALLOW matches: methods GET",
			},
		},
		{
			name: "pain 17: no identity without mTLS", policies: authz("shop/a " + allowPeer), request: get("/"),
			want: Authorization{Decision: AccessDenied, Policy: apRef("shop", "a", "spec.rules"), EnvoyPolicy: "none", Details: "rbac_access_denied_matched_policy[none]"},
			steps: []string{
				"skipped authorizationpolicy/allow-rule-missed shop/a spec.rules[0].from[0].source.principals: spec.rules[0] does not match: principals is none: the connection is plaintext (want cluster.local/ns/shop/sa/web, got none: the connection is plaintext)",
				"denied authorizationpolicy/no-allow-matched shop/a spec.rules: denied: ALLOW policies apply to Deployment shop/web (shop/a) and no rule of them matches: wanted principals cluster.local/ns/shop/sa/web, got none: the connection is plaintext",
			},
		},
		{
			name: "one-way TLS has no identity either", policies: authz("shop/a " + allowPeer), conn: Connection{TLS: TLSOpened}, request: get("/"),
			want: Authorization{Decision: AccessDenied, Policy: apRef("shop", "a", "spec.rules"), EnvoyPolicy: "none", Details: "rbac_access_denied_matched_policy[none]"},
			steps: []string{
				"skipped authorizationpolicy/allow-rule-missed shop/a spec.rules[0].from[0].source.principals: spec.rules[0] does not match: principals is none: the client showed no certificate (want cluster.local/ns/shop/sa/web, got none: the client showed no certificate)",
				"denied authorizationpolicy/no-allow-matched shop/a spec.rules: denied: ALLOW policies apply to Deployment shop/web (shop/a) and no rule of them matches: wanted principals cluster.local/ns/shop/sa/web, got none: the client showed no certificate",
			},
		},
		{
			name: "every failed clause is told", request: get("/x"), conn: Connection{Peer: "cluster.local/ns/b/sa/y"},
			policies: authz("shop/a {rules: [{from: [{source: {namespaces: [a], notPrincipals: [\"*/sa/y\"]}}, {source: {notPrincipals: [\"*/sa/y\"]}}], to: [{operation: {methods: [GET], paths: [/a, /b]}}], when: [{key: \"request.headers[x-user]\", values: [jason]}]}]}"),
			want:     Authorization{Decision: AccessDenied, Policy: apRef("shop", "a", "spec.rules"), EnvoyPolicy: "none", Details: "rbac_access_denied_matched_policy[none]"},
			steps: []string{
				"skipped authorizationpolicy/allow-rule-missed shop/a spec.rules[0].from[0].source.notPrincipals: spec.rules[0] does not match: notPrincipals is cluster.local/ns/b/sa/y (want none of */sa/y, got cluster.local/ns/b/sa/y)",
				"skipped authorizationpolicy/allow-rule-missed shop/a spec.rules[0].from[1].source.notPrincipals: spec.rules[0] does not match: notPrincipals is cluster.local/ns/b/sa/y (want none of */sa/y, got cluster.local/ns/b/sa/y)",
				"skipped authorizationpolicy/allow-rule-missed shop/a spec.rules[0].to[0].operation.paths: spec.rules[0] does not match: paths is /x (want /a, /b, got /x)",
				"skipped authorizationpolicy/allow-rule-missed shop/a spec.rules[0].when[0].values: spec.rules[0] does not match: request.headers[x-user] is absent (want jason, got absent)",
				"denied authorizationpolicy/no-allow-matched shop/a spec.rules: denied: ALLOW policies apply to Deployment shop/web (shop/a) and no rule of them matches: wanted notPrincipals */sa/y, got cluster.local/ns/b/sa/y; paths /a, /b, got /x; request.headers[x-user] jason, got absent",
			},
		},
		{
			name: "DENY goes before ALLOW", policies: authz("shop/a "+allowGet, "shop/d "+denyPath), request: get("/admin"),
			want:  Authorization{Decision: AccessDenied, Policy: apRef("shop", "d", "spec.rules[0]"), EnvoyPolicy: "ns[shop]-policy[d]-rule[0]", Details: "rbac_access_denied_matched_policy[ns[shop]-policy[d]-rule[0]]"},
			steps: []string{"denied authorizationpolicy/deny shop/d spec.rules[0]: DENY matches: paths /admin"},
		},
		{
			name: "DENY that does not match, no ALLOW", policies: authz("shop/d " + denyPath), request: get("/"),
			want: Authorization{Decision: AccessAllowed},
			steps: []string{
				"skipped authorizationpolicy/rule-missed shop/d spec.rules[0].to[0].operation.paths: spec.rules[0] does not match: paths is / (want /admin, got /)",
				"none authorizationpolicy/no-allow-policy: no ALLOW policy applies to Deployment shop/web, and no DENY rule matches: allowed",
			},
		},
		{name: "scope gives no precedence", policies: authz("istio-system/d "+denyPath, "shop/a {rules: [{}]}"), request: get("/admin"), want: Authorization{Decision: AccessDenied, Policy: apRef("istio-system", "d", "spec.rules[0]"), EnvoyPolicy: "ns[istio-system]-policy[d]-rule[0]", Details: "rbac_access_denied_matched_policy[ns[istio-system]-policy[d]-rule[0]]"}},
		// C3
		{
			name: "empty spec denies", policies: authz("shop/a {}"), request: get("/"),
			want: Authorization{Decision: AccessDenied, Policy: apRef("shop", "a", "spec"), EnvoyPolicy: "none", Details: "rbac_access_denied_matched_policy[none]"},
			steps: []string{
				"skipped authorizationpolicy/allow-nothing shop/a spec: ALLOW policy without rules: allows nothing",
				"denied authorizationpolicy/no-allow-matched shop/a spec: denied: ALLOW policies apply to Deployment shop/web (shop/a) and no rule of them matches (without rules, ALLOW is the default deny)",
			},
		},
		{
			name: "one empty rule allows", policies: authz("shop/a {rules: [{}]}"), request: get("/"),
			want:  Authorization{Decision: AccessAllowed, Policy: apRef("shop", "a", "spec.rules[0]"), EnvoyPolicy: "ns[shop]-policy[a]-rule[0]"},
			steps: []string{"allowed authorizationpolicy/allow shop/a spec.rules[0]: ALLOW matches: every request"},
		},
		{
			name: "DENY without rules", policies: authz("shop/d {action: DENY}"), request: get("/"), want: Authorization{Decision: AccessAllowed},
			steps: []string{
				"skipped authorizationpolicy/matches-nothing shop/d spec: DENY policy without rules: matches nothing",
				"none authorizationpolicy/no-allow-policy: no ALLOW policy applies to Deployment shop/web, and no DENY rule matches: allowed",
			},
		},
		{name: "DENY with an empty rule", policies: authz("shop/d {action: DENY, rules: [{}]}"), request: get("/"), want: Authorization{Decision: AccessDenied, Policy: apRef("shop", "d", "spec.rules[0]"), EnvoyPolicy: "ns[shop]-policy[d]-rule[0]", Details: "rbac_access_denied_matched_policy[ns[shop]-policy[d]-rule[0]]"}},
		// C9
		{
			name: "dry-run ALLOW turns nothing on", policies: authz("shop/a! " + allowPeer), request: get("/"), want: Authorization{Decision: AccessAllowed},
			steps: []string{
				"none authorizationpolicy/none: no DENY or ALLOW policy applies to Deployment shop/web: everything is allowed",
				"skipped authorizationpolicy/rule-missed shop/a spec.rules[0].from[0].source.principals: spec.rules[0] does not match: principals is none: the connection is plaintext (want cluster.local/ns/shop/sa/web, got none: the connection is plaintext)",
				"none authorizationpolicy/dry-run-no-match shop/a: dry-run ALLOW: no rule matches",
			},
		},
		{
			name: "dry-run of both", policies: authz("shop/a! {rules: [{}]}", "shop/d! "+denyPath), request: get("/admin"), want: Authorization{Decision: AccessAllowed},
			steps: []string{
				"none authorizationpolicy/none: no DENY or ALLOW policy applies to Deployment shop/web: everything is allowed",
				"applied authorizationpolicy/dry-run-deny shop/d spec.rules[0]: dry-run: would deny: paths /admin",
				"applied authorizationpolicy/dry-run-allow shop/a spec.rules[0]: dry-run: would allow: every request",
			},
		},
		{
			name: "AUDIT decides nothing", policies: authz("shop/l {action: AUDIT, rules: [{}, {to: [{operation: {paths: [/x]}}]}]}"), request: get("/"), want: Authorization{Decision: AccessAllowed},
			steps: []string{
				"applied authorizationpolicy/audit shop/l spec.rules[0]: marks the request for auditing: every request",
				"skipped authorizationpolicy/rule-missed shop/l spec.rules[1].to[0].operation.paths: spec.rules[1] does not match: paths is / (want /x, got /)",
				"none authorizationpolicy/none: no DENY or ALLOW policy applies to Deployment shop/web: everything is allowed",
			},
		},
		// Unknown
		{
			name: "DENY that cannot be decided", policies: authz("shop/d {action: DENY, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}", "shop/a {rules: [{}]}"), request: get("/"),
			want: Authorization{Decision: AccessUndetermined, Policy: apRef("shop", "d", "spec.rules[0]"), EnvoyPolicy: "ns[shop]-policy[d]-rule[0]"},
			steps: []string{
				"warning authorizationpolicy/not-known shop/d spec.rules[0].from[0].source.ipBlocks: spec.rules[0] cannot be decided: ipBlocks is not known from here (want 10.0.0.0/8, got not known from here)",
				"allowed authorizationpolicy/allow shop/a spec.rules[0]: ALLOW matches: every request",
			},
		},
		{
			name: "undecided DENY, and no ALLOW matches", policies: authz("shop/d {action: DENY, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}", "shop/a {}"), request: get("/"),
			want: Authorization{Decision: AccessDenied, Policy: apRef("shop", "a", "spec"), EnvoyPolicy: "none", Details: "rbac_access_denied_matched_policy[none]", Undecided: apRef("shop", "d", "spec.rules[0]"), UndecidedPolicy: "ns[shop]-policy[d]-rule[0]"},
		},
		{
			name: "a DENY rule that matches behind an undecided one", policies: authz("shop/d {action: DENY, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}, {}]}"), request: get("/"),
			want: Authorization{Decision: AccessDenied, Policy: apRef("shop", "d", "spec.rules[1]"), EnvoyPolicy: "ns[shop]-policy[d]-rule[1]", Details: "rbac_access_denied_matched_policy[ns[shop]-policy[d]-rule[1]]", Undecided: apRef("shop", "d", "spec.rules[0]"), UndecidedPolicy: "ns[shop]-policy[d]-rule[0]"},
		},
		{
			name: "ALLOW that cannot be decided", policies: authz("shop/a {rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}"), request: get("/"),
			want: Authorization{Decision: AccessUndetermined, Policy: apRef("shop", "a", "spec.rules[0]"), EnvoyPolicy: "ns[shop]-policy[a]-rule[0]", OpenAllow: true},
		},
		// Unknown keys and values that do not parse
		{
			name: "unknown key drops an ALLOW rule", policies: authz("shop/a {rules: [{when: [{key: source.color, values: [red]}]}]}"), request: get("/"),
			want: Authorization{Decision: AccessDenied, Policy: apRef("shop", "a", "spec.rules"), EnvoyPolicy: "none", Details: "rbac_access_denied_matched_policy[none]"},
			steps: []string{
				"skipped authorizationpolicy/unknown-key shop/a spec.rules[0].when[0].key: the rule is left out: Istio knows no condition \"source.color\"",
				"denied authorizationpolicy/no-allow-matched shop/a spec.rules: denied: ALLOW policies apply to Deployment shop/web (shop/a) and no rule of them matches; spec.rules[0] of shop/a: the rule is left out: Istio knows no condition \"source.color\"",
			},
		},
		{name: "unknown key drops a DENY rule", policies: authz("shop/d {action: DENY, rules: [{when: [{key: source.color, notValues: [red]}]}]}"), request: get("/"), want: Authorization{Decision: AccessAllowed}},
		{
			name: "bad CIDR drops an ALLOW rule", policies: authz("shop/a {rules: [{from: [{source: {notIpBlocks: [bad]}}]}]}"), request: get("/"),
			want: Authorization{Decision: AccessDenied, Policy: apRef("shop", "a", "spec.rules"), EnvoyPolicy: "none", Details: "rbac_access_denied_matched_policy[none]"},
			steps: []string{
				"skipped authorizationpolicy/bad-value-drops-allow-rule shop/a spec.rules[0].from[0].source.notIpBlocks: the rule is left out: \"bad\" cannot be read",
				"denied authorizationpolicy/no-allow-matched shop/a spec.rules: denied: ALLOW policies apply to Deployment shop/web (shop/a) and no rule of them matches; spec.rules[0] of shop/a: the rule is left out: \"bad\" cannot be read",
			},
		},
		{
			name: "bad CIDR widens a DENY rule", policies: authz("shop/d {action: DENY, rules: [{from: [{source: {ipBlocks: [bad]}}]}]}"), request: get("/"),
			want: Authorization{Decision: AccessDenied, Policy: apRef("shop", "d", "spec.rules[0]"), EnvoyPolicy: "ns[shop]-policy[d]-rule[0]", Details: "rbac_access_denied_matched_policy[ns[shop]-policy[d]-rule[0]]"},
			steps: []string{
				"applied authorizationpolicy/bad-value-vanishes shop/d spec.rules[0].from[0].source.ipBlocks: \"bad\" cannot be read and is left out: the rule matches more than it says",
				"denied authorizationpolicy/deny shop/d spec.rules[0]: DENY matches: every request",
			},
		},
		{name: "one bad port of two", policies: authz("shop/d {action: DENY, rules: [{to: [{operation: {ports: [\"70000\", \"80\"]}}]}]}"), conn: Connection{DestinationPort: 8080}, request: get("/"), want: Authorization{Decision: AccessAllowed}},
		{name: "header key without brackets vanishes from DENY", policies: authz("shop/d {action: DENY, rules: [{when: [{key: request.headers, values: [a]}]}]}"), request: get("/"), want: Authorization{Decision: AccessDenied, Policy: apRef("shop", "d", "spec.rules[0]"), EnvoyPolicy: "ns[shop]-policy[d]-rule[0]", Details: "rbac_access_denied_matched_policy[ns[shop]-policy[d]-rule[0]]"}},
		{name: "metadata key without brackets drops ALLOW", policies: authz("shop/a {rules: [{when: [{key: experimental.envoy.filters.x, values: [a]}]}]}"), request: get("/"), want: Authorization{Decision: AccessDenied, Policy: apRef("shop", "a", "spec.rules"), EnvoyPolicy: "none", Details: "rbac_access_denied_matched_policy[none]"}},
		// C7: TCP
		{
			name: "HTTP-only ALLOW denies TCP", policies: authz("shop/a {rules: [{from: [{source: {namespaces: [a]}}, {source: {requestPrincipals: [\"*\"]}}]}]}"), conn: Connection{Peer: "cluster.local/ns/a/sa/x"},
			want: Authorization{Decision: AccessDenied, Policy: apRef("shop", "a", "spec.rules"), EnvoyPolicy: "none", Details: "rbac_access_denied_matched_policy[none]"},
			steps: []string{
				"skipped authorizationpolicy/http-field-drops-allow-rule shop/a spec.rules[0].from[1].source.requestPrincipals: the rule is left out on this TCP port: requestPrincipals needs HTTP",
				"denied authorizationpolicy/no-allow-matched shop/a spec.rules: denied: ALLOW policies apply to Deployment shop/web (shop/a) and no rule of them matches; spec.rules[0] of shop/a: the rule is left out on this TCP port: requestPrincipals needs HTTP",
			},
		},
		{
			name: "another rule of the policy stays", policies: authz("shop/a {rules: [{to: [{operation: {methods: [GET]}}]}, {from: [{source: {namespaces: [a]}}]}]}"), conn: Connection{Peer: "cluster.local/ns/a/sa/x"},
			want: Authorization{Decision: AccessAllowed, Policy: apRef("shop", "a", "spec.rules[1]"), EnvoyPolicy: "ns[shop]-policy[a]-rule[1]"},
		},
		{
			name: "DENY by method denies all of TCP", policies: authz("shop/d {action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}"),
			want: Authorization{Decision: AccessDenied, Policy: apRef("shop", "d", "spec.rules[0]"), EnvoyPolicy: "ns[shop]-policy[d]-rule[0]", Details: "rbac_access_denied_matched_policy[ns[shop]-policy[d]-rule[0]]"},
			steps: []string{
				"applied authorizationpolicy/http-field-vanishes shop/d spec.rules[0].to[0].operation.methods: methods needs HTTP and vanishes on this TCP port: the rest of the rule matches more than it says",
				"denied authorizationpolicy/deny shop/d spec.rules[0]: DENY matches: every request; left out on this TCP port: methods",
			},
		},
		{name: "DENY by port and method denies the port", policies: authz("shop/d {action: DENY, rules: [{to: [{operation: {ports: [\"80\"], methods: [GET]}}]}]}"), conn: Connection{DestinationPort: 80}, want: Authorization{Decision: AccessDenied, Policy: apRef("shop", "d", "spec.rules[0]"), EnvoyPolicy: "ns[shop]-policy[d]-rule[0]", Details: "rbac_access_denied_matched_policy[ns[shop]-policy[d]-rule[0]]"}},
		{name: "and no other port", policies: authz("shop/d {action: DENY, rules: [{to: [{operation: {ports: [\"80\"], methods: [GET]}}]}]}"), conn: Connection{DestinationPort: 81}, want: Authorization{Decision: AccessAllowed}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := snapshotOf(t, tt.policies).Authorize(guarded(), &tt.conn, tt.request)
			if got := stepLines(a.Steps); tt.steps != nil {
				if diff := cmp.Diff(tt.steps, got); diff != "" {
					t.Error(diff)
				}
			}
			a.Steps, a.Hint = nil, nil // TestHint has the hints
			if diff := cmp.Diff(tt.want, a); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// C10: Envoy tries rules by name as text, so rule[10] is reported before rule[2].
func TestReportedRule(t *testing.T) {
	rules := make([]string, 11)
	for i := range rules {
		rules[i] = "{to: [{operation: {methods: [POST]}}]}"
	}
	rules[2], rules[10] = "{}", "{}"
	s := snapshotOf(t, authz("shop/d {action: DENY, rules: ["+strings.Join(rules, ", ")+"]}"))
	a := s.Authorize(guarded(), &Connection{}, &HTTPRequest{Method: "GET"})
	if want := "ns[shop]-policy[d]-rule[10]"; a.EnvoyPolicy != want || a.Policy.Field != "spec.rules[10]" {
		t.Errorf("got %s at %s, want %s", a.EnvoyPolicy, a.Policy.Field, want)
	}
}

func BenchmarkAuthorize(b *testing.B) {
	var lines []string
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("shop/p%d {selector: {matchLabels: {app: app-%d}}, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/a]}}], to: [{operation: {methods: [GET], paths: [\"/a*\"]}}]}]}", i, i))
	}
	s := snapshotOf(b, authz(lines...))
	w := guarded()
	w.Labels["app"] = "app-500"
	c, q := &Connection{Peer: "cluster.local/ns/shop/sa/a"}, &HTTPRequest{Method: "GET", Path: "/abc"}
	b.ReportAllocs()
	for b.Loop() {
		if a := s.Authorize(w, c, q); a.Decision != AccessAllowed {
			b.Fatal(a.Decision)
		}
	}
}
