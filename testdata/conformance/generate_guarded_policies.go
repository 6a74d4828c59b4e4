package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// pool are the values that a field of a policy takes.
type pool struct {
	name   string
	values []string
}

// at is where a policy attaches: namespace, and selector or targetRefs.
func (g *guarded) at() (namespace, attachment string) {
	switch g.IntN(12) {
	case 0, 1, 2:
		return "shop", "selector: {matchLabels: {app: " + g.one("a", "a", "b") + g.when(15, ", version: v1") + "}}"
	case 3, 4:
		return "shop", g.when(10, "selector: {}")
	case 5:
		return "team", g.when(60, "selector: {matchLabels: {app: "+g.one("c", "c", "a")+"}}")
	case 6:
		return "istio-system", ""
	case 7:
		return "istio-system", "selector: {matchLabels: {app: " + g.one("a", "b") + "}}"
	case 8:
		return "istio-system", "targetRefs: [{" + g.one("group: gateway.networking.k8s.io, kind: Gateway, name: ingress", "group: gateway.networking.k8s.io, kind: Gateway, name: ingress", "group: gateway.networking.k8s.io, kind: Gateway, name: other", "group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint", "kind: Service, group: \"\", name: ingress") + "}]"
	case 9:
		if g.chance(30) {
			return "istio-system", "targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: ingress}"
		}
		return g.one("shop", "team"), "targetRefs: [{group: \"\", kind: Service, name: " + g.one("a", "c") + "}]"
	}
	return "istio-system", "selector: {matchLabels: {istio: ingressgateway}}"
}

// policy is an AuthorizationPolicy.
func (g *guarded) policy(i int) string {
	namespace, attachment := g.at()
	action := g.one("ALLOW", "ALLOW", "ALLOW", "ALLOW", "DENY", "DENY", "DENY", "DENY", "CUSTOM", "CUSTOM", "AUDIT", "dry-run")
	provider, dry := "", ""
	switch action {
	case "CUSTOM":
		provider = "provider: {name: " + g.one(g.provider, g.provider, g.provider, g.provider, g.provider, g.provider, "ask", "lost", "metrics", "undefined") + "}"
	case "dry-run":
		action, dry = g.one("ALLOW", "DENY"), ", annotations: {istio.io/dry-run: \""+g.one("true", "true", "true", "false", "maybe")+"\"}"
	}
	rules := ""
	switch {
	case g.chance(95):
		rules = "rules: " + list(g.lot(3, func() string { return g.rule(action == "CUSTOM") }))
	case g.chance(40):
		rules = "rules: [{}]"
	case g.chance(50):
		rules = "rules: []"
	}
	if action == "ALLOW" && g.chance(20) { // the default
		action = ""
	}
	revision := g.when(5, ", labels: {istio.io/rev: "+g.one("canary", "default")+"}")
	return fmt.Sprintf("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ap%d, namespace: %s%s%s}\nspec: %s\n", i, namespace, dry, revision, fields(attachment, g.when(100*len(action), "action: "+action), provider, rules))
}

// rule is one rule; before the token is known, a CUSTOM one may not ask who it is.
func (g *guarded) rule(custom bool) string {
	var parts []string
	if g.chance(55) {
		parts = append(parts, "from: "+list(g.lot(2, func() string { return "{source: " + g.clauses(g.sources(custom)) + "}" })))
	}
	if g.chance(35) {
		parts = append(parts, "when: "+list(g.lot(2, func() string { return g.condition(custom) })))
	}
	if len(parts) == 0 || g.chance(45) {
		parts = append(parts, "to: "+list(g.lot(2, func() string { return "{operation: " + g.clauses(operations) + "}" })))
	}
	return fields(parts...)
}

// clauses are one or two fields, each with one to three values, some of them negated.
func (g *guarded) clauses(all []pool) string {
	first := g.IntN(len(all))
	chosen := []pool{all[first]}
	if second := all[g.IntN(len(all))]; second.name != all[first].name && g.chance(35) {
		chosen = append(chosen, second)
	}
	var parts []string
	for _, p := range chosen {
		values := quoted(g.some(2, p.values...))
		if negated := "not" + strings.ToUpper(p.name[:1]) + p.name[1:] + ": "; g.chance(25) {
			parts = append(parts, negated+values)
			if g.chance(80) {
				continue
			}
			values = quoted(g.some(2, p.values...))
		}
		parts = append(parts, p.name+": "+values)
	}
	return fields(parts...)
}

// sources are the fields of a source.
func (g *guarded) sources(custom bool) []pool {
	addresses := []string{"10.244.0.0/24", "10.244.0.1", "10.244.0.7/32", "10.244.0.8", "203.0.113.0/24", "203.0.113.7", "198.51.100.0/25", "2001:db8::/32"}
	ips := []pool{{"ipBlocks", addresses}, {"remoteIpBlocks", addresses}}
	if custom {
		return ips
	}
	return slices.Concat(ips, []pool{
		{"principals", g.principals()},
		{"principals", g.principals()},
		{"namespaces", []string{"shop", "team", "istio-system", "sh*", "*", "s*p", "*m"}},
		{"serviceAccounts", []string{"web", "shop/web", "team/d", "d", "istio-system/ingress", "ingress"}},
		{"trustDomains", []string{"cluster.local", "td.example.com", "old.example.com", "*", "*.example.com", "cluster*"}},
		{"requestPrincipals", requestPrincipals},
		{"requestPrincipals", requestPrincipals},
	})
}

func (g *guarded) principals() []string {
	return []string{
		g.domain + "/ns/shop/sa/web", g.domain + "/ns/shop/sa/web", "cluster.local/ns/shop/sa/web", "old.example.com/ns/shop/sa/web", "other.example.com/ns/shop/sa/web", "*/ns/shop/sa/web", "*/sa/web", "*",
		g.domain + "/ns/shop/*", "cluster.local/ns/*/sa/web", g.domain + "/ns/istio-system/sa/ingress", "*/sa/ingress", "cluster.local/ns/team/sa/d", "client.example.com", "spiffe://" + g.domain + "/ns/shop/sa/web",
	}
}

var requestPrincipals = []string{
	"*", "*", "https://idp.example.com/alice", "https://idp.example.com/*", "https://idp.example.com/a*", "*/alice", "*/bob", "https://idp.example.com", "https://idp*", "issuer@example.com/*", "issuer@example.com/bob", "issuer*", "*bob", "*.com/alice",
}

var operations = []pool{
	{"methods", []string{"GET", "POST", "P*", "*", "OPTIONS", "*T"}},
	{"paths", securePaths},
	{"paths", securePaths},
	{"hosts", []string{"a.shop", "a.shop*", "*.shop", "shop.example.com", "SHOP.example.com", "*.example.com", "*", "a.shop:7000", "*:7000", "shop.example.com:*", "b.shop.svc.cluster.local*"}},
	{"ports", []string{"8080", "80", "9000", "7000", "8443", "443", "31400", "15443", "7070"}},
}

var securePaths = []string{
	"/a", "/a*", "*/x", "/admin*", "/admin", "*", "/{*}/x", "/a/{**}", "/a/{*}", "/{**}", "/{*}", "/a/b", "/A", "/a//x", "/a%2Fx", "/m*n", "/", "/p.S/*", "*.html", "/a/{*}/x", "/admin/{**}",
}

// condition is one item of when.
func (g *guarded) condition(custom bool) string {
	all := []pool{
		{"request.headers[x-q]", []string{"one", "two", "t*", "*", "*ne", ""}},
		{"request.headers[X-User]", []string{"alice", "*", "a*"}},
		{"request.headers[x-level]", []string{"7", "*"}},
		{"request.headers[x-forwarded-proto]", []string{"https", "http", "*"}},
		{"request.headers[:path]", []string{"/a", "/a?*", "/admin*", "*q=1"}},
		{"request.headers[:method]", []string{"GET", "P*"}},
		{"request.headers[:authority]", []string{"a.shop", "shop.example.com"}},
		{"request.headers[x-forwarded-for]", []string{"203.0.113.7*", "*10.244.0.8"}},
		{"source.ip", []string{"10.244.0.0/24", "10.244.0.1", "203.0.113.0/24"}},
		{"remote.ip", []string{"10.244.0.0/24", "203.0.113.7", "198.51.100.0/24"}},
		{"destination.ip", []string{"10.244.0.2", "10.244.0.0/29", "10.244.0.8"}},
		{"destination.port", []string{"8080", "80", "9000", "7000", "8443"}},
		{"connection.sni", []string{"outbound_.80_._.a.shop.svc.cluster.local", "*.shop.svc.cluster.local", "shop.example.com", "*", "outbound_.9000*"}},
	}
	if !custom {
		claims := []string{"testers", "users", "*", "read", "r*", "blue", "*e", "r1", "alice", "true", "7"}
		for _, key := range []string{"groups", "groups", "scope", "permission", "perms", "org][team", "org][roles", "admin", "level", "sub", "iss", "none", "a.b"} {
			all = append(all, pool{"request.auth.claims[" + key + "]", claims})
		}
		all = append(all, pool{"request.auth.principal", requestPrincipals}, pool{"request.auth.audiences", []string{"shop", "team", "*", "s*"}}, pool{"request.auth.presenter", []string{"cli", "*"}},
			pool{"source.namespace", []string{"shop", "team", "*", "s*"}}, pool{"source.principal", g.principals()}, pool{"source.serviceAccount", []string{"web", "shop/web", "ingress"}}, pool{"source.trustDomain", []string{"cluster.local", "*.com", "*"}})
	}
	p := all[g.IntN(len(all))]
	values, notValues := "values: "+quoted(g.some(2, p.values...)), ""
	if g.chance(25) {
		notValues = "notValues: " + quoted(g.some(2, p.values...))
		if g.chance(75) {
			values = ""
		}
	}
	return fields(fmt.Sprintf("key: %q", p.name), values, notValues)
}
