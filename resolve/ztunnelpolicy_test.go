package resolve

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// captured is the pod that the tests below send to: shop/web, with the labels app=web.
func captured() *Workload {
	w := guarded()
	w.Dataplane = DataplaneAmbient
	return w
}

// atZtunnel is a connection by HBONE from the identity, or in plaintext without one, to pod port 8080.
func atZtunnel(peer string) ZtunnelConnection {
	return ZtunnelConnection{
		Peer: peer, HBONE: peer != "", SourceIP: netip.MustParseAddr("10.0.0.9"),
		DestinationIP: netip.MustParseAddr("10.0.0.1"), DestinationPort: 8080,
	}
}

const (
	clientA = "cluster.local/ns/a/sa/b"
	clientB = "cluster.local/ns/b/sa/c"
)

func TestAuthorizeAtZtunnel(t *testing.T) {
	const notAllowed = "connection closed due to policy rejection: allow policies exist, but none allowed"
	deniedBy := func(policy string) string {
		return "connection closed due to policy rejection: explicitly denied by: " + policy
	}
	tests := []struct {
		name     string
		policies string
		peer     string // clientA
		plain    bool
		want     string // Details; empty where it is allowed
	}{
		{name: "no policy"},
		{name: "E-8 ALLOW by path denies everything", policies: authz("shop/p {rules: [{to: [{operation: {paths: [/a]}}]}]}"), want: notAllowed},
		{name: "E-9 DENY by method has no effect", policies: authz("shop/p {action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]}")},
		{name: "E-10 DENY by port and method denies the port", policies: authz("shop/p {action: DENY, rules: [{to: [{operation: {ports: [\"8080\"], methods: [POST]}}]}]}"), want: deniedBy("shop/p")},
		{name: "E-10 and no other port", policies: authz("shop/p {action: DENY, rules: [{to: [{operation: {ports: [\"80\"], methods: [POST]}}]}]}")},
		{name: "E-11 DENY of a namespace and a method has no effect", policies: authz("shop/p {action: DENY, rules: [{from: [{source: {namespaces: [a]}}], to: [{operation: {methods: [POST]}}]}]}")},
		{name: "E-12 DENY of a namespace", policies: authz("shop/p {action: DENY, rules: [{from: [{source: {namespaces: [a]}}]}]}"), want: deniedBy("shop/p")},
		{name: "E-12 and of no other", policies: authz("shop/p {action: DENY, rules: [{from: [{source: {namespaces: [a]}}]}]}"), peer: clientB},
		{name: "E-13 ALLOW of an empty rule", policies: authz("shop/p {rules: [{}]}"), plain: true},
		{name: "E-13 ALLOW without rules", policies: authz("shop/p {}"), want: notAllowed},
		{name: "E-13 DENY of an empty rule", policies: authz("shop/p {action: DENY, rules: [{}]}"), want: deniedBy("shop/p")},
		{name: "E-13 DENY without rules", policies: authz("shop/p {action: DENY}")},
		{name: "E-14 the rule without HTTP stays", policies: authz("shop/p {rules: [{from: [{source: {namespaces: [a]}}]}, {to: [{operation: {paths: [/x]}}]}]}")},
		{name: "E-14 and is the only one", policies: authz("shop/p {rules: [{from: [{source: {namespaces: [a]}}]}, {to: [{operation: {paths: [/x]}}]}]}"), peer: clientB, want: notAllowed},
		{name: "E-15 no trust domain stands for another", policies: "kind: MeshConfig\ntrustDomain: td1\ntrustDomainAliases: [td2]\n---\n" + authz("shop/p {rules: [{from: [{source: {principals: [cluster.local/ns/a/sa/b, td2/ns/a/sa/b]}}]}]}"), peer: "td1/ns/a/sa/b", want: notAllowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			peer := tt.peer
			if peer == "" && !tt.plain {
				peer = clientA
			}
			a := snapshotOf(t, tt.policies).AuthorizeAtZtunnel(captured(), atZtunnel(peer))
			if (a.Decision == AccessAllowed) != (tt.want == "") || a.Details != tt.want {
				t.Errorf("%s %q, want %q\n%s", a.Decision, a.Details, tt.want, strings.Join(stepLines(a.Steps), "\n"))
			}
		})
	}
}

// TestZtunnelConditions: each condition in a DENY rule of its own; denied means that it holds.
func TestZtunnelConditions(t *testing.T) {
	from := func(source string) string { return "from: [{source: {" + source + "}}]" }
	to := func(operation string) string { return "to: [{operation: {" + operation + "}}]" }
	when := func(condition string) string { return "when: [{" + condition + "}]" }
	tests := []struct {
		rule        string
		hbone, open bool // whether it holds for clientA by HBONE, and for plaintext
	}{
		{from("principals: [cluster.local/ns/a/sa/b]"), true, false},
		{from("principals: [\"*\"]"), true, false},
		{from("principals: [\"*/sa/b\"]"), true, false},
		{from("principals: [\"cluster.local/ns/a/*\"]"), true, false},
		{from("principals: [\"*/ns/*/sa/b\"]"), false, false},
		{from("principals: [\"spiffe://cluster.local/ns/a/sa/b\"]"), false, false},
		{from("notPrincipals: [\"spiffe://cluster.local/ns/a/sa/b\"]"), true, true},
		{from("notPrincipals: [\"*\"]"), false, true},
		{from("namespaces: [a]"), true, false},
		{from("namespaces: [\"a*\"]"), true, false},
		{from("namespaces: [\"*\"]"), true, false},
		{from("namespaces: [\"*a*\"]"), false, false},
		{from("notNamespaces: [a]"), false, true},
		{from("serviceAccounts: [a/b]"), true, false},
		{from("serviceAccounts: [b]"), false, false}, // of the policy's namespace
		{from("serviceAccounts: [\"a/*\"]"), false, false},
		{from("notServiceAccounts: [a/b]"), false, true},
		{from("trustDomains: [cluster.local]"), false, false},
		{from("notTrustDomains: [td2]"), false, false},
		{from("namespaces: [a], trustDomains: [td2]"), true, false},
		{from("ipBlocks: [10.0.0.0/24]"), true, true},
		{from("notIpBlocks: [10.0.0.9]"), false, false},
		{from("ipBlocks: [bad]"), false, false},
		{from("namespaces: [a], ipBlocks: [bad]"), true, false},
		{from("remoteIpBlocks: [10.0.0.9]"), false, false},
		{from("notRequestPrincipals: [\"*\"]"), false, false},
		{"from: [{source: {notRequestPrincipals: [\"*\"]}}, {source: {namespaces: [a]}}]", true, false},
		{to("ports: [\"8080\"]"), true, true},
		{to("ports: [\"70000\"]"), false, false},
		{to("notPorts: [\"80\"], hosts: [web]"), true, true},
		{to("notHosts: [web]"), false, false},
		{to("paths: [/a]") + ", " + from("namespaces: [a]"), false, false},
		{when("key: source.ip, values: [10.0.0.9]"), true, true},
		{when("key: source.namespace, values: [a], notValues: [b]"), true, false},
		{when("key: source.principal, notValues: [cluster.local/ns/a/sa/b]"), false, true},
		{when("key: destination.ip, values: [10.0.0.1]"), true, true},
		{when("key: destination.port, values: [\"8080\", bad]"), true, true},
		{when("key: destination.port, values: [bad]"), false, false},
		{when("key: source.serviceAccount, values: [a/b]"), false, false},
		{when("key: source.trustDomain, values: [cluster.local]"), false, false},
		{when("key: connection.sni, notValues: [x]"), false, false},
		{when("key: remote.ip, values: [10.0.0.9]"), false, false},
		{when("key: \"request.headers[x]\", values: [a]"), false, false},
		{when("key: source.namespace, values: [a]}, {key: \"request.headers[x]\", values: [a]"), false, false},
		{when("key: source.color, values: [red]"), false, false},
	}
	for _, tt := range tests {
		s := snapshotOf(t, authz("shop/p {action: DENY, rules: [{"+tt.rule+"}]}"))
		for peer, want := range map[string]bool{clientA: tt.hbone, "": tt.open} {
			if a := s.AuthorizeAtZtunnel(captured(), atZtunnel(peer)); (a.Decision == AccessDenied) != want {
				t.Errorf("%s from %q: %s\n%s", tt.rule, peer, a.Decision, strings.Join(stepLines(a.Steps), "\n"))
			}
		}
	}
}

// TestZtunnelAttachment: which policies a workload gets, and what is said of the others. All deny everything.
func TestZtunnelAttachment(t *testing.T) {
	deny := func(id, more string) string { return authz(id + " {" + more + "action: DENY, rules: [{}]}") }
	tests := []struct {
		name     string
		policies string
		labels   map[string]string
		want     string // the policy that denies
		steps    []string
	}{
		{name: "of the namespace", policies: deny("shop/p", ""), want: "shop/p"},
		{name: "of the mesh", policies: deny("istio-system/p", ""), want: "istio-system/p"},
		{name: "of another namespace", policies: deny("other/p", ""), steps: []string{}},
		{name: "that selects it", policies: deny("shop/p", "selector: {matchLabels: {app: web}}, "), want: "shop/p"},
		{name: "that selects it from the root namespace", policies: deny("istio-system/p", "selector: {matchLabels: {app: web}}, "), want: "istio-system/p"},
		{
			name: "that selects another", policies: deny("shop/p", "selector: {matchLabels: {app: api}}, "),
			steps: []string{"skipped authorizationpolicy/other-labels shop/p spec.selector.matchLabels: selects app=api; Deployment shop/web is another workload (want app=api, got app=web)"},
		},
		{
			name: "that selects another, for a pod without labels", policies: deny("shop/p", "selector: {matchLabels: {app: api}}, "), labels: map[string]string{}, want: "shop/p",
			steps: []string{"applied ztunnelpolicy/no-labels shop/p spec.selector.matchLabels: Deployment shop/web has no labels at all, so istiod attaches the policy for ztunnel whatever it selects"},
		},
		{
			name: "with an empty selector", policies: deny("shop/p", "selector: {}, "),
			steps: []string{"skipped ztunnelpolicy/empty-selector shop/p spec.selector: the selector is there and empty: ztunnel attaches the policy to no workload, and so not to Deployment shop/web; without selector it is for the namespace"},
		},
		{name: "with empty matchLabels", policies: deny("shop/p", "selector: {matchLabels: {}}, "), want: "shop/p"},
		{
			name: "with targetRefs", policies: deny("shop/p", "targetRefs: [{kind: Service, name: web}], "),
			steps: []string{"skipped ztunnelpolicy/target-refs shop/p spec.targetRefs: targets Service web: ztunnel does not have it, a waypoint or gateway enforces it"},
		},
		{
			name: "of action CUSTOM", policies: authz("shop/p {action: CUSTOM, provider: {name: ext}, rules: [{}]}"),
			steps: []string{"skipped ztunnelpolicy/action shop/p spec.action: ztunnel does not have action CUSTOM: the policy has no effect here; it needs a waypoint, and targetRefs"},
		},
		{
			name: "of action AUDIT", policies: authz("shop/p {action: AUDIT, rules: [{}]}"),
			steps: []string{"skipped ztunnelpolicy/action shop/p spec.action: ztunnel does not have action AUDIT: the policy has no effect here; it needs a waypoint, and targetRefs"},
		},
		{
			name: "as a dry run", policies: deny("shop/p!", ""),
			steps: []string{"skipped ztunnelpolicy/dry-run shop/p metadata.annotations[istio.io/dry-run]: ztunnel does not get dry-run policies: istiod is taken to run without AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY, its default"},
		},
		{
			name: "as a dry run that istiod sends", policies: deny("shop/p!", "") + "---\n" + istiodWith("AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY"),
			steps: []string{"applied authorizationpolicy/dry-run-deny shop/p spec.rules[0]: dry-run: would deny: every request"},
		},
		{name: "of the namespace comes first", policies: deny("istio-system/a", "") + "---\n" + deny("shop/b", "selector: {matchLabels: {app: web}}, ") + "---\n" + deny("shop/c", ""), want: "shop/c"},
		{name: "of the mesh comes before one that selects", policies: deny("istio-system/b", "") + "---\n" + deny("shop/a", "selector: {matchLabels: {app: web}}, "), want: "istio-system/b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := captured()
			if tt.labels != nil {
				w.Labels = tt.labels
			}
			a := snapshotOf(t, tt.policies).AuthorizeAtZtunnel(w, atZtunnel(clientA))
			if a.EnvoyPolicy != tt.want {
				t.Errorf("denied by %q, want %q\n%s", a.EnvoyPolicy, tt.want, strings.Join(stepLines(a.Steps), "\n"))
			}
			lines := slices.DeleteFunc(stepLines(a.Steps), func(l string) bool {
				return strings.Contains(l, "peerauthentication/") || strings.HasPrefix(l, "denied") || strings.HasPrefix(l, "none")
			})
			if diff := cmp.Diff(tt.steps, lines); tt.steps != nil && len(tt.steps)+len(lines) > 0 && diff != "" {
				t.Error(diff)
			}
		})
	}
}

// istiodWith is an istiod that has the variable set.
func istiodWith(variable string) string {
	return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: istiod, namespace: istio-system, labels: {app: istiod, istio.io/rev: default}}\n" +
		"spec: {template: {spec: {containers: [{name: discovery, env: [{name: PILOT_ENABLE_AMBIENT, value: \"true\"}, {name: " + variable + ", value: \"true\"}]}]}}}\n"
}

// TestZtunnelMeant: a step is Meant where somebody wrote the rule for such a request.
func TestZtunnelMeant(t *testing.T) {
	const service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n"
	post := &HTTPRequest{Method: "POST", Authority: "web", Path: "/a"}
	get := &HTTPRequest{Method: "GET", Authority: "web", Path: "/a"}
	waypoint := "cluster.local/ns/shop/sa/waypoint"
	denyPost := authz("shop/p {action: DENY, rules: [{from: [{source: {namespaces: [a]}}], to: [{operation: {methods: [POST]}}]}]}")
	custom := authz("shop/p {action: CUSTOM, provider: {name: ext}, rules: [{to: [{operation: {methods: [POST]}}]}]}")
	toService := authz("shop/p {targetRefs: [{kind: Service, name: web}], action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]}") + service
	tests := []struct {
		name           string
		policies       string
		peer, original string
		request        *HTTPRequest
		want           []RuleID
	}{
		{name: "the rule is about the request", policies: denyPost, peer: clientA, request: post, want: []RuleID{RuleZtunnelNever}},
		{name: "about another method", policies: denyPost, peer: clientA, request: get},
		{name: "about another client", policies: denyPost, peer: clientB, request: post},
		{name: "about the client behind the waypoint", policies: denyPost, peer: waypoint, original: clientA, request: post, want: []RuleID{RuleZtunnelNever}},
		{name: "where the request is not known, about the client", policies: denyPost, peer: clientA, want: []RuleID{RuleZtunnelNever}},
		{name: "where the request is not known, about another client", policies: denyPost, peer: clientB},
		{name: "CUSTOM", policies: custom, peer: clientA, request: post, want: []RuleID{RuleZtunnelAction}},
		{name: "CUSTOM for another method", policies: custom, peer: clientA, request: get},
		{name: "for the waypoint that was passed by", policies: toService, peer: clientA, request: post, want: []RuleID{RuleZtunnelTargetRefs}},
		{name: "for the waypoint that was passed by, another method", policies: toService, peer: clientA, request: get},
		{name: "for the waypoint it came through", policies: toService, peer: waypoint, original: clientA, request: post},
		{name: "tokens", policies: "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: p, namespace: shop}\nspec: {jwtRules: [{issuer: a}]}\n", peer: clientA, request: get, want: []RuleID{RuleZtunnelTokens}},
		{name: "ALLOW names the client and the peer is the waypoint", policies: authz("shop/p {rules: [{from: [{source: {principals: [" + clientA + "]}}]}]}"), peer: waypoint, original: clientA, want: []RuleID{RuleZtunnelWaypointPeer}},
		{name: "ALLOW names another client", policies: authz("shop/p {rules: [{from: [{source: {principals: [" + clientB + "]}}]}]}"), peer: waypoint, original: clientA},
		{name: "ALLOW names the waypoint", policies: authz("shop/p {rules: [{from: [{source: {principals: [" + waypoint + "]}}]}]}"), peer: waypoint, original: clientA},
		{name: "DENY names the client and the peer is the waypoint", policies: authz("shop/p {action: DENY, rules: [{from: [{source: {namespaces: [a]}}]}]}"), peer: waypoint, original: clientA, want: []RuleID{RuleZtunnelWaypointPeer}},
		{name: "DENY names another client", policies: authz("shop/p {action: DENY, rules: [{from: [{source: {namespaces: [b]}}]}]}"), peer: waypoint, original: clientA},
		{name: "DENY names all but the client", policies: authz("shop/p {action: DENY, rules: [{from: [{source: {notNamespaces: [a]}}]}]}"), peer: waypoint, original: clientA, want: []RuleID{RuleZtunnelWaypointPeer}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := atZtunnel(tt.peer)
			c.Original, c.Request = tt.original, tt.request
			a := snapshotOf(t, tt.policies).AuthorizeAtZtunnel(captured(), c)
			var got []RuleID
			for _, s := range a.Steps {
				if s.Meant {
					got = append(got, s.Rule)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s\n%s", diff, strings.Join(stepLines(a.Steps), "\n"))
			}
		})
	}
}

func TestZtunnelHints(t *testing.T) {
	tests := []struct{ name, policies, peer, want string }{
		{"the waypoint's principal", authz("shop/p {rules: [{from: [{source: {principals: [" + clientA + "]}}]}]}"), clientB, `add "` + clientB + `" to spec.rules[0].from[0].source.principals of AuthorizationPolicy shop/p`},
		{"the exception", authz("shop/p {action: DENY, rules: [{from: [{source: {namespaces: [\"*\"]}}]}]}"), clientA, `add "` + clientA + `" to spec.rules[0].from[0].source.notPrincipals of AuthorizationPolicy shop/p`},
		{"plaintext", peers("shop/m {mtls: {mode: STRICT}}"), "", "set spec.mtls.mode of PeerAuthentication shop/m to PERMISSIVE"},
		{"plaintext, and no identity", peers("shop/m {mtls: {mode: STRICT}}") + "---\n" + authz("shop/p {rules: [{from: [{source: {namespaces: [a]}}]}]}"), "", ""},
		{
			"plaintext, and another port", peers("shop/m {mtls: {mode: STRICT}}") + "---\n" + authz("shop/p {rules: [{to: [{operation: {ports: [\"80\"]}}]}]}"), "",
			`set spec.mtls.mode of PeerAuthentication shop/m to PERMISSIVE; add "8080" to spec.rules[0].to[0].operation.ports of AuthorizationPolicy shop/p`,
		},
		{
			"plaintext, and DENY", peers("shop/m {mtls: {mode: STRICT}}") + "---\n" + authz("shop/p {action: DENY, rules: [{}]}"), "",
			"delete AuthorizationPolicy shop/p; set spec.mtls.mode of PeerAuthentication shop/m to PERMISSIVE",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := snapshotOf(t, tt.policies).AuthorizeAtZtunnel(captured(), atZtunnel(tt.peer))
			var got []string
			for _, c := range a.Hint {
				got = append(got, c.String())
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, "; ")); diff != "" || a.Decision != AccessDenied {
				t.Errorf("%s %s", a.Decision, diff)
			}
		})
	}
}

// TestZtunnelAllowsWaypoint: PILOT_AUTO_ALLOW_WAYPOINT_POLICY.
func TestZtunnelAllowsWaypoint(t *testing.T) {
	gateway := Ref{Group: kubeGatewayGroup, Kind: "Gateway", Namespace: "shop", Name: "waypoint"}
	const waypoint = "cluster.local/ns/shop/sa/waypoint"
	allowA := "---\n" + authz("shop/p {rules: [{from: [{source: {namespaces: [a]}}]}]}")
	bound := "---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}\n" +
		"spec: {selector: {app: web}, ports: [{port: 80}]}\n" +
		"---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: waypoint, namespace: shop}\n" +
		"spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}\n"
	on := istiodWith("PILOT_AUTO_ALLOW_WAYPOINT_POLICY") + bound
	tests := []struct {
		name, manifests, peer string
		want                  Access
		policy                Ref
	}{
		{"the waypoint", on, waypoint, AccessAllowed, Ref{}},
		{"another", on, clientA, AccessDenied, gateway},
		{"plaintext", on, "", AccessDenied, gateway},
		{"another, where the switch is off", istiodWith("OTHER") + bound, clientA, AccessAllowed, Ref{}},
		{"another that an ALLOW policy names", on + allowA, clientA, AccessAllowed, apRef("shop", "p", "spec.rules[0]")},
		{"another that no ALLOW policy names", on + allowA, clientB, AccessDenied, apRef("shop", "p", "spec.rules")},
		{"the waypoint, that no ALLOW policy names", on + allowA, waypoint, AccessAllowed, Ref{}},
		{"the waypoint, that a DENY policy names", on + "---\n" + authz("shop/d {action: DENY, rules: [{}]}"), waypoint, AccessDenied, apRef("shop", "d", "spec.rules[0]")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := snapshotOf(t, tt.manifests).AuthorizeAtZtunnel(captured(), atZtunnel(tt.peer))
			if a.Decision != tt.want || a.Policy != tt.policy {
				t.Errorf("%s by %s, want %s by %s", a.Decision, a.Policy, tt.want, tt.policy)
			}
		})
	}
}

// TestZtunnelGaps: what could not be read lowers a decision, but for one by a rule that denies.
func TestZtunnelGaps(t *testing.T) {
	tests := []struct {
		kind     schema.GroupKind
		policies string
		want     Access
	}{
		{authorizationPolicyKind, "", AccessUndetermined},
		{authorizationPolicyKind, authz("shop/p {}"), AccessUndetermined},
		{authorizationPolicyKind, authz("shop/p {action: DENY, rules: [{}]}"), AccessDenied},
		{peerAuthenticationKind, "", AccessAllowed},
	}
	for _, tt := range tests {
		s := snapshotOf(t, tt.policies)
		s.Gaps = []Gap{{GroupKind: tt.kind, Reason: GapForbidden}}
		a := s.AuthorizeAtZtunnel(captured(), atZtunnel(clientA))
		if a.Decision != tt.want || (len(a.Gaps) == 1) != (tt.want != AccessDenied) {
			t.Errorf("%s with %q: %s, %d gaps; want %s", tt.kind, tt.policies, a.Decision, len(a.Gaps), tt.want)
		}
	}
}

func BenchmarkAuthorizeAtZtunnel(b *testing.B) {
	var lines, modes []string
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("shop/p%d {selector: {matchLabels: {app: app-%d}}, rules: [{from: [{source: {principals: [%s]}}]}]}", i, i, clientA))
		modes = append(modes, fmt.Sprintf("shop/m%d {selector: {matchLabels: {app: app-%d}}, mtls: {mode: STRICT}}", i, i))
	}
	s := snapshotOf(b, authz(lines...)+"---\n"+peers(modes...))
	w := captured()
	w.Labels["app"] = "app-500"
	s.remember(w)
	c := atZtunnel(clientA)
	b.ReportAllocs()
	for b.Loop() {
		if a := s.AuthorizeAtZtunnel(w, c); a.Decision != AccessAllowed {
			b.Fatal(a.Decision)
		}
	}
}
