package conformance

import (
	"fmt"
	"strings"
)

// peerMode is a PeerAuthentication at any level.
func (g *mixed) peerMode(i int) string {
	namespace, selector, ports := g.one("shop", "shop", "team", "far", "istio-system"), "", ""
	if g.chance(55) {
		selector = "selector: {matchLabels: {app: " + g.one("a", "b", "c", "f") + "}}, "
		ports = g.when(40, fmt.Sprintf(", portLevelMtls: {%s: {mode: %s}}", g.one("8080", "9000", "7000", "80"), g.one("STRICT", "PERMISSIVE", "DISABLE")))
	}
	return object("security.istio.io/v1", "PeerAuthentication", namespace, fmt.Sprintf("pa%d", i), fmt.Sprintf("spec: {%smtls: {mode: %s}%s}", selector, g.one("STRICT", "STRICT", "PERMISSIVE", "DISABLE", "UNSET"), ports))
}

// attached is where a policy attaches: namespace, and selector or targetRefs.
func (g *mixed) attached() (namespace, attachment string) {
	switch g.IntN(12) {
	case 0, 1, 2:
		return "shop", "selector: {matchLabels: {app: " + g.one("a", "a", "b") + g.when(15, ", version: v1") + "}}"
	case 3:
		return g.one("shop", "far", "team"), g.when(15, "selector: {}")
	case 4:
		return "istio-system", g.when(50, "selector: {matchLabels: {app: "+g.one("a", "b", "c")+"}}")
	case 5:
		return "istio-system", "targetRefs: [{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}]"
	case 6, 7:
		return g.one("shop", "shop", "far"), "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: " + g.one("wp", "wp", "other") + "}]"
	case 8:
		return g.one("shop", "far"), "selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: wp}}"
	case 9:
		return "shop", "targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: out}]"
	}
	return g.one("shop", "shop", "far"), "targetRefs: [{group: \"\", kind: Service, name: " + g.one("a", "b", "f") + "}]"
}

// mixedPolicy is an AuthorizationPolicy.
func (g *mixed) mixedPolicy(i int) string {
	namespace, attachment := g.attached()
	rules := ""
	switch {
	case g.chance(90):
		rules = "rules: " + list(g.lot(2, g.mixedRule))
	case g.chance(50):
		rules = "rules: [{}]"
	}
	dry := g.when(5, ", annotations: {istio.io/dry-run: \"true\"}")
	return fmt.Sprintf("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ap%d, namespace: %s%s}\nspec: %s\n", i, namespace, dry,
		fields(attachment, "action: "+g.one("ALLOW", "ALLOW", "ALLOW", "DENY", "DENY", "AUDIT"), rules))
}

// mixedRule asks for what ztunnel knows of, what only a waypoint does, or both.
func (g *mixed) mixedRule() string {
	p := &guarded{generator: g.generator}
	var parts []string
	if g.chance(65) {
		parts = append(parts, "from: "+list(g.lot(2, func() string { return "{source: " + p.clauses(g.peers()) + "}" })))
	}
	if g.chance(20) {
		parts = append(parts, "when: "+list(g.lot(2, g.mixedCondition)))
	}
	if len(parts) == 0 || g.chance(35) {
		parts = append(parts, "to: "+list(g.lot(2, func() string { return "{operation: " + p.clauses(mixedOperations) + "}" })))
	}
	return fields(parts...)
}

var mixedAddresses = []string{"10.244.3.0/24", "10.244.3.1", "10.244.3.6/32", "203.0.113.0/24", "10.244.0.0/16"}

// peers are the fields of a source.
func (g *mixed) peers() []pool {
	all := []pool{
		{"principals", mixedPrincipals},
		{"principals", mixedPrincipals},
		{"namespaces", []string{"shop", "team", "far", "edge", "outer", "sh*", "*", "*m"}},
		{"serviceAccounts", []string{"web", "shop/web", "shop/wp", "far/wp", "team/d"}},
		{"trustDomains", []string{"cluster.local", "other.example.com"}},
		{"requestPrincipals", []string{"*"}},
	}
	if g.running { // else no one knows who has what address
		all = append(all, pool{"ipBlocks", mixedAddresses}, pool{"remoteIpBlocks", mixedAddresses})
	}
	return all
}

var mixedPrincipals = []string{
	"cluster.local/ns/shop/sa/web", "cluster.local/ns/shop/sa/web", "cluster.local/ns/shop/sa/wp", "cluster.local/ns/far/sa/wp", "cluster.local/ns/team/sa/d", "cluster.local/ns/edge/sa/in-istio",
	"*/ns/shop/sa/web", "*/sa/wp", "*", "cluster.local/ns/shop/*", "spiffe://cluster.local/ns/shop/sa/web", "other/ns/shop/sa/web",
}

var mixedOperations = []pool{
	{"ports", []string{"80", "8080", "9000", "7000", "15008"}},
	{"ports", []string{"80", "8080", "9000", "7000"}},
	{"methods", []string{"GET", "POST"}},
	{"paths", []string{"/a", "/a*", "/b*", "*"}},
	{"hosts", []string{"a.shop", "*.shop", "*.example.com"}},
}

func (g *mixed) mixedCondition() string {
	all := []pool{
		{"source.namespace", []string{"shop", "team", "edge", "*"}},
		{"source.principal", mixedPrincipals},
		{"destination.port", []string{"80", "8080", "9000"}},
		{"request.headers[x-q]", []string{"one", "*"}},
		{"source.serviceAccount", []string{"shop/web", "shop/wp"}},
		{"connection.sni", []string{"*"}},
	}
	if g.running {
		all = append(all, pool{"source.ip", mixedAddresses}, pool{"destination.ip", mixedAddresses})
	}
	p := all[g.IntN(len(all))]
	field := g.one("values: ", "values: ", "values: ", "notValues: ")
	return fields(fmt.Sprintf("key: %q", p.name), field+quoted(g.some(2, p.values...)))
}

// request is a command line.
func (g *mixed) request() []string {
	if g.routed && g.chance(25) {
		return append(append(g.bearer(), "--from", "external", "--gateway", "edge/in"), "http://"+g.one("a", "a", "b", "c", "f", "e")+".example.com"+g.path())
	}
	kind := "deployment"
	if g.running {
		kind = "pod"
	}
	args := append(g.bearer(), "--from", strings.ReplaceAll(g.one("shop/KIND/web", "shop/KIND/web", "shop/KIND/web", "shop/KIND/web", "team/KIND/d", "team/KIND/c", "outer/KIND/e", "outer/KIND/e", "far/KIND/f", "shop/KIND/a"), "KIND", kind))
	host := g.one("a.shop", "a.shop", "a.shop", "b.shop", "c.team", "d.team", "e.outer", "f.far", "f.far")
	switch n := g.IntN(100); {
	case n < 55:
		return append(args, "http://"+host+g.one("", "", "", ":7000")+g.path())
	case n < 70:
		return append(args, "tcp://"+host+g.one(":9000", ":9000", ":7000", ":9001"))
	case n < 76:
		return append(args, "http://"+host+g.one(":9000", ":8081")+g.path())
	case n < 80:
		return append(args, "https://"+host+g.one(":7000", ":9000")+g.path())
	case n < 90:
		return append(args, g.one("http://out.example.com", "http://out.example.com", "tcp://out.example.com:9000", "http://one.example.com", "http://one.example.com/a", "tcp://one.example.com:9000", "https://one.example.com", "http://x.wild.example.com", "https://one.example.com:7000"))
	case n < 93:
		return append(args, "grpc://"+host+g.one("", ":7000")+g.one("/p.S/M", "/p.S/N"))
	}
	if g.running {
		return append(args, "http://10.244.3."+g.one("2", "3", "4", "5", "7", "8")+g.one(":8080", ":7000")+g.path())
	}
	return append(args, "-X", "POST", "-H", "x-q: one", "http://"+host+g.path())
}

func (g *mixed) path() string { return g.one("", "/a", "/a", "/b", "/c", "/a/x") }
