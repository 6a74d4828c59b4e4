package resolve

import (
	"net/netip"
	"strings"
	"testing"
)

// authz writes AuthorizationPolicies: "namespace/name[!] spec", one each; "!" marks a dry run.
func authz(lines ...string) string {
	var docs []string
	for _, l := range lines {
		id, spec, _ := strings.Cut(l, " ")
		id, dry := strings.CutSuffix(id, "!")
		namespace, name, _ := strings.Cut(id, "/")
		annotations := ""
		if dry {
			annotations = ", annotations: {istio.io/dry-run: \"true\"}"
		}
		docs = append(docs, "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: \""+name+"\", namespace: "+namespace+annotations+"}\nspec: "+spec+"\n")
	}
	return strings.Join(docs, "---\n")
}

// One condition in a DENY rule: denied means that it holds.
func TestConditions(t *testing.T) {
	peer := func(p string) Connection { return Connection{Peer: p} }
	from := func(ip string) Connection { return Connection{SourceIP: netip.MustParseAddr(ip)} }
	remote := func(ip string) Connection { return Connection{RemoteIP: netip.MustParseAddr(ip)} }
	get := func(path string) HTTPRequest { return HTTPRequest{Method: "GET", Authority: "web", Path: path} }
	host := func(h string) HTTPRequest { return HTTPRequest{Method: "GET", Authority: h, Path: "/"} }
	header := func(kv ...string) HTTPRequest {
		q := HTTPRequest{Method: "GET", Authority: "web:80", Path: "/p", Query: "a=b", Headers: map[string]string{}}
		for i := 0; i < len(kv); i += 2 {
			q.Headers[kv[i]] = kv[i+1]
		}
		return q
	}
	with := func(claims ...any) HTTPRequest { return HTTPRequest{Method: "GET", Path: "/", Token: token(claims...)} }
	const x = "cluster.local/ns/a/sa/x"
	tests := []struct {
		rule string
		conn Connection
		q    HTTPRequest
		want Truth
	}{
		// principals
		{rule: "from: [{source: {principals: [cluster.local/ns/a/sa/x]}}]", conn: peer(x), want: True},
		{rule: "from: [{source: {principals: [cluster.local/ns/a/sa/y]}}]", conn: peer(x), want: False},
		{rule: "from: [{source: {principals: [cluster.local/ns/a/sa/X]}}]", conn: peer(x), want: False},
		{rule: "from: [{source: {principals: [cluster.local/ns/a/*]}}]", conn: peer(x), want: True},
		{rule: "from: [{source: {principals: [\"*/sa/x\"]}}]", conn: peer(x), want: True},
		{rule: "from: [{source: {principals: [\"*/ns/a/sa/x\"]}}]", conn: peer("td9/ns/a/sa/x"), want: True},
		{rule: "from: [{source: {principals: [\"cluster.local/ns/*/sa/x\"]}}]", conn: peer(x), want: False},
		{rule: "from: [{source: {principals: [\"*\"]}}]", conn: peer(x), want: True},
		{rule: "from: [{source: {principals: [\"*\"]}}]", want: False},
		{rule: "from: [{source: {principals: [\"*\"]}}]", conn: peer("client.example.com"), want: True},
		{rule: "from: [{source: {principals: [client.example.com]}}]", conn: peer("client.example.com"), want: False},
		{rule: "from: [{source: {notPrincipals: [\"*\"]}}]", want: True},
		{rule: "from: [{source: {notPrincipals: [\"*\"]}}]", conn: peer(x), want: False},
		{rule: "when: [{key: source.principal, values: [cluster.local/ns/a/sa/x]}]", conn: peer(x), want: True},
		// namespaces
		{rule: "from: [{source: {namespaces: [a]}}]", conn: peer(x), want: True},
		{rule: "from: [{source: {namespaces: [b]}}]", conn: peer(x), want: False},
		{rule: "from: [{source: {namespaces: [a]}}]", want: False},
		{rule: "from: [{source: {notNamespaces: [a]}}]", want: True},
		{rule: "from: [{source: {namespaces: [\"a*b\"]}}]", conn: peer("cluster.local/ns/axxb/sa/x"), want: True},
		{rule: "from: [{source: {namespaces: [\"a*b\"]}}]", conn: peer("cluster.local/ns/axxc/sa/x"), want: False},
		{rule: "from: [{source: {namespaces: [\"a.b\"]}}]", conn: peer("cluster.local/ns/axb/sa/x"), want: False},
		{rule: "from: [{source: {namespaces: [\"*\"]}}]", conn: peer(x), want: True},
		{rule: "when: [{key: source.namespace, notValues: [a]}]", conn: peer(x), want: False},
		// serviceAccounts
		{rule: "from: [{source: {serviceAccounts: [x]}}]", conn: peer("cluster.local/ns/shop/sa/x"), want: True},
		{rule: "from: [{source: {serviceAccounts: [x]}}]", conn: peer(x), want: False},
		{rule: "from: [{source: {serviceAccounts: [a/x]}}]", conn: peer("td9/ns/a/sa/x"), want: True},
		{rule: "from: [{source: {serviceAccounts: [a/x]}}]", conn: peer("td9/ns/a/sa/x-more"), want: False},
		{rule: "from: [{source: {serviceAccounts: [a/x]}}]", conn: peer("td9/ns/a/k/v/sa/x/more"), want: True},
		{rule: "from: [{source: {serviceAccounts: [\"a/*\"]}}]", conn: peer(x), want: False},
		{rule: "from: [{source: {notServiceAccounts: [a/x]}}]", want: True},
		{rule: "when: [{key: source.serviceAccount, values: [a/x]}]", conn: peer(x), want: True},
		// trustDomains
		{rule: "from: [{source: {trustDomains: [cluster.local]}}]", conn: peer(x), want: True},
		{rule: "from: [{source: {trustDomains: [cluster]}}]", conn: peer(x), want: False},
		{rule: "from: [{source: {trustDomains: [\"*.local\"]}}]", conn: peer(x), want: True},
		{rule: "from: [{source: {trustDomains: [\"clus*\"]}}]", conn: peer(x), want: True},
		{rule: "from: [{source: {trustDomains: [\"*\"]}}]", want: False},
		{rule: "from: [{source: {notTrustDomains: [cluster.local]}}]", conn: peer("td9/ns/a/sa/x"), want: True},
		{rule: "when: [{key: source.trustDomain, values: [cluster.local]}]", conn: peer(x), want: True},
		// IPs
		{rule: "from: [{source: {ipBlocks: [10.0.0.0/8]}}]", conn: from("10.1.2.3"), want: True},
		{rule: "from: [{source: {ipBlocks: [10.0.0.0/8]}}]", conn: from("::ffff:10.1.2.3"), want: True},
		{rule: "from: [{source: {ipBlocks: [10.1.2.3]}}]", conn: from("10.1.2.4"), want: False},
		{rule: "from: [{source: {ipBlocks: [10.0.0.0/8]}}]", want: Unknown},
		{rule: "from: [{source: {notIpBlocks: [10.0.0.0/8]}}]", want: Unknown},
		{rule: "from: [{source: {ipBlocks: [10.0.0.0/8]}}]", conn: remote("10.1.2.3"), want: Unknown},
		{rule: "from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]", conn: remote("10.1.2.3"), want: True},
		{rule: "when: [{key: remote.ip, values: [\"2001:db8::/32\"]}]", conn: remote("2001:db8::1"), want: True},
		{rule: "when: [{key: source.ip, notValues: [10.0.0.0/8]}]", conn: from("10.1.2.3"), want: False},
		{rule: "when: [{key: destination.ip, values: [10.0.0.0/8]}]", conn: Connection{DestinationIP: netip.MustParseAddr("10.9.9.9")}, want: True},
		{rule: "when: [{key: destination.ip, values: [10.0.0.0/8]}]", want: Unknown},
		// ports
		{rule: "to: [{operation: {ports: [\"8080\"]}}]", conn: Connection{DestinationPort: 8080}, want: True},
		{rule: "to: [{operation: {ports: [\"80\"]}}]", conn: Connection{DestinationPort: 8080}, want: False},
		{rule: "to: [{operation: {notPorts: [\"80\"]}}]", conn: Connection{DestinationPort: 8080}, want: True},
		{rule: "when: [{key: destination.port, values: [\"8080\"]}]", conn: Connection{DestinationPort: 8080}, want: True},
		{rule: "when: [{key: destination.port, values: [\"8080\"]}]", want: Unknown},
		// SNI
		{rule: "when: [{key: connection.sni, values: [\"*.example.com\"]}]", conn: Connection{SNI: "a.example.com"}, want: True},
		{rule: "when: [{key: connection.sni, values: [\"*\"]}]", want: False},
		// requestPrincipals, C5a
		{rule: "from: [{source: {requestPrincipals: [\"*\"]}}]", q: with(), want: True},
		{rule: "from: [{source: {requestPrincipals: [\"*\"]}}]", q: with("sub", ""), want: False},
		{rule: "from: [{source: {requestPrincipals: [\"*\"]}}]", want: False},
		{rule: "from: [{source: {notRequestPrincipals: [\"*\"]}}]", want: True},
		{rule: "from: [{source: {requestPrincipals: [\"https://idp/*\"]}}]", q: with("iss", "https://idp"), want: True},
		{rule: "from: [{source: {requestPrincipals: [\"https://idp*\"]}}]", q: with("iss", "https://idp"), want: False},
		{rule: "from: [{source: {requestPrincipals: [\"https://idp\"]}}]", q: with("iss", "https://idp"), want: False},
		{rule: "from: [{source: {requestPrincipals: [\"https://idp/jas*\"]}}]", q: with("iss", "https://idp"), want: True},
		{rule: "from: [{source: {requestPrincipals: [idp/jason]}}]", q: with(), want: True},
		{rule: "from: [{source: {requestPrincipals: [\"*/jason\"]}}]", q: with("iss", "any"), want: True},
		{rule: "from: [{source: {requestPrincipals: [\"*dp/jason\"]}}]", q: with(), want: True},
		{rule: "from: [{source: {requestPrincipals: [\"*x/jason\"]}}]", q: with(), want: False},
		{rule: "from: [{source: {requestPrincipals: [\"id*\"]}}]", q: with(), want: True},
		{rule: "from: [{source: {requestPrincipals: [\"*son\"]}}]", q: with(), want: True},
		{rule: "from: [{source: {requestPrincipals: [idp]}}]", q: with(), want: False},
		{rule: "from: [{source: {requestPrincipals: [idp]}}]", q: with("sub", ""), want: True},
		{rule: "from: [{source: {requestPrincipals: [\"idp/a/b\"]}}]", q: with("sub", "a/b"), want: False},
		{rule: "when: [{key: request.auth.principal, values: [idp/jason]}]", q: with(), want: True},
		// claims
		{rule: "when: [{key: \"request.auth.audiences\", values: [a]}]", q: with("aud", []any{"b", "a"}), want: True},
		{rule: "when: [{key: \"request.auth.presenter\", values: [a]}]", q: with("azp", "a"), want: True},
		{rule: "when: [{key: \"request.auth.claims[role]\", values: [admin]}]", q: with("role", "admin"), want: True},
		{rule: "when: [{key: \"request.auth.claims[role]\", values: [\"ad*\"]}]", q: with("role", []any{"x", "admin"}), want: True},
		{rule: "when: [{key: \"request.auth.claims[a][b]\", values: [c]}]", q: with("a", map[string]any{"b": "c"}), want: True},
		{rule: "when: [{key: \"request.auth.claims[a][b]\", values: [c]}]", q: with("a", "b"), want: False},
		{rule: "when: [{key: \"request.auth.claims[a[b]\", values: [c]}]", q: with("a[b", "c"), want: True},
		{rule: "when: [{key: \"request.auth.claims[n]\", values: [\"1\"]}]", q: with("n", 1.0), want: False},
		{rule: "when: [{key: \"request.auth.claims[n]\", values: [\"true\"]}]", q: with("n", true), want: False},
		{rule: "when: [{key: \"request.auth.claims[n]\", notValues: [a]}]", want: True},
		// hosts
		{rule: "to: [{operation: {hosts: [web]}}]", q: host("WEB"), want: True},
		{rule: "to: [{operation: {hosts: [web]}}]", q: host("web:8080"), want: False},
		{rule: "to: [{operation: {hosts: [\"web:*\"]}}]", q: host("web:8080"), want: True},
		{rule: "to: [{operation: {hosts: [\"*.Example.com\"]}}]", q: host("a.example.com"), want: True},
		{rule: "to: [{operation: {notHosts: [web]}}]", q: host("api"), want: True},
		// methods
		{rule: "to: [{operation: {methods: [GET]}}]", q: get("/"), want: True},
		{rule: "to: [{operation: {methods: [get]}}]", q: get("/"), want: False},
		{rule: "to: [{operation: {notMethods: [POST]}}]", q: get("/"), want: True},
		// paths
		{rule: "to: [{operation: {paths: [/a]}}]", q: get("/a"), want: True},
		{rule: "to: [{operation: {paths: [/a]}}]", q: get("/a#f"), want: True},
		{rule: "to: [{operation: {paths: [/a]}}]", q: get("/A"), want: False},
		{rule: "to: [{operation: {paths: [\"/a*\"]}}]", q: get("/ab/c"), want: True},
		{rule: "to: [{operation: {paths: [\"*b\"]}}]", q: get("/a/b"), want: True},
		{rule: "to: [{operation: {paths: [\"/m*n\"]}}]", q: get("/mxn"), want: False},
		{rule: "to: [{operation: {paths: [\"/a/{*}/b\"]}}]", q: get("/a/x/b"), want: True},
		{rule: "to: [{operation: {paths: [\"/a/{*}/b\"]}}]", q: get("/a/x/y/b"), want: False},
		{rule: "to: [{operation: {paths: [\"/a/{*}/b\"]}}]", q: get("/a//b"), want: False},
		{rule: "to: [{operation: {paths: [\"/a/{**}\"]}}]", q: get("/a/x/y"), want: True},
		{rule: "to: [{operation: {paths: [\"/a/{**}\"]}}]", q: get("/a"), want: False},
		{rule: "to: [{operation: {paths: [\"/{*}/*/c\"]}}]", q: get("/a/b/c"), want: True},
		{rule: "to: [{operation: {paths: [\"/{*}/x.y\"]}}]", q: get("/a/xzy"), want: False},
		{rule: "to: [{operation: {paths: [\"/{**}.txt\"]}}]", q: get("/a/b.txt"), want: True},
		{rule: "to: [{operation: {notPaths: [\"/a*\"]}}]", q: get("/b"), want: True},
		// headers
		{rule: "when: [{key: \"request.headers[X-User]\", values: [jason]}]", q: header("x-user", "jason"), want: True},
		{rule: "when: [{key: \"request.headers[x-user]\", values: [\"*\"]}]", q: header("x-user", ""), want: True},
		{rule: "when: [{key: \"request.headers[x-user]\", values: [\"*\"]}]", q: header(), want: False},
		{rule: "when: [{key: \"request.headers[x-user]\", notValues: [jason]}]", q: header(), want: True},
		{rule: "when: [{key: \"request.headers[x-user]\", values: [\"j*\"], notValues: [jane]}]", q: header("x-user", "jane"), want: False},
		{rule: "when: [{key: \"request.headers[:path]\", values: [\"/p?a=b\"]}]", q: header(), want: True},
		{rule: "when: [{key: \"request.headers[:authority]\", values: [\"web:80\"]}]", q: header(), want: True},
		{rule: "when: [{key: \"request.headers[:method]\", values: [GET]}]", q: header(), want: True},
		// metadata of other filters
		{rule: "when: [{key: \"experimental.envoy.filters.http.x[key]\", values: [v]}]", want: Unknown},
		// C4
		{rule: "from: [{source: {namespaces: [a], principals: [\"*/sa/y\"]}}]", conn: peer(x), want: False},
		{rule: "from: [{source: {namespaces: [b]}}, {source: {principals: [\"*/sa/x\"]}}]", conn: peer(x), want: True},
		{rule: "from: [{source: {namespaces: [a]}}], to: [{operation: {methods: [POST]}}]", conn: peer(x), q: get("/"), want: False},
		{rule: "to: [{operation: {methods: [POST]}}, {operation: {paths: [/]}}]", q: get("/"), want: True},
		{rule: "from: [{source: {ipBlocks: [10.0.0.0/8]}}, {source: {namespaces: [a]}}]", conn: peer(x), want: True},
		{rule: "from: [{source: {ipBlocks: [10.0.0.0/8]}}], to: [{operation: {methods: [POST]}}]", q: get("/"), want: False},
		{rule: "from: [{source: {ipBlocks: [10.0.0.0/8]}}, {source: {namespaces: [b]}}]", conn: peer(x), want: Unknown},
		{rule: "", want: True},
	}
	access := map[Truth]Access{True: AccessDenied, False: AccessAllowed, Unknown: AccessUndetermined}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.rule, "/", "|"), func(t *testing.T) {
			s := snapshotOf(t, authz("shop/p {action: DENY, rules: [{"+tt.rule+"}]}"))
			a := s.Authorize(guarded(), &tt.conn, &tt.q)
			if a.Decision != access[tt.want] {
				t.Errorf("DENY: got %s, want %s\n%s", a.Decision, access[tt.want], strings.Join(stepLines(a.Steps), "\n"))
			}
			// The same rule in an ALLOW policy gives the opposite.
			s = snapshotOf(t, authz("shop/p {action: ALLOW, rules: [{"+tt.rule+"}]}"))
			if a = s.Authorize(guarded(), &tt.conn, &tt.q); a.Decision != access[tt.want.Not()] {
				t.Errorf("ALLOW: got %s, want %s", a.Decision, access[tt.want.Not()])
			}
		})
	}
}

func TestPrincipalsOfAliases(t *testing.T) {
	s := snapshotOf(t, "kind: MeshConfig\ntrustDomain: td1\ntrustDomainAliases: [td2]\n---\n"+
		authz("shop/p {action: ALLOW, rules: [{from: [{source: {principals: [cluster.local/ns/a/sa/x], trustDomains: [td2]}}]}]}"))
	for peer, want := range map[string]Access{
		"td1/ns/a/sa/x": AccessAllowed, "td2/ns/a/sa/x": AccessAllowed, "cluster.local/ns/a/sa/x": AccessDenied,
	} {
		if a := s.Authorize(guarded(), &Connection{Peer: peer}, nil); a.Decision != want {
			t.Errorf("%s: got %s, want %s", peer, a.Decision, want)
		}
	}
}
