package conformance

import (
	"fmt"
	"strings"
)

// doors are the servers of the gateway.
func (g *guarded) doors() []string {
	servers := []string{"{port: {number: 80, name: http, protocol: HTTP}, hosts: [\"" + g.one("*", "*", "shop.example.com") + "\"]" + g.when(10, ", tls: {httpsRedirect: true}") + "}"}
	for _, s := range []string{
		"{port: {number: 443, name: https, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: one}, hosts: [\"*.example.com\"]}",
		"{port: {number: 15443, name: mutual, protocol: HTTPS}, tls: {mode: " + g.one("MUTUAL", "MUTUAL", "OPTIONAL_MUTUAL") + ", credentialName: one}, hosts: [\"*.example.com\"]}",
		"{port: {number: 15444, name: pass, protocol: TLS}, tls: {mode: PASSTHROUGH}, hosts: [shop.example.com]}",
		"{port: {number: 31400, name: tcp, protocol: TCP}, hosts: [\"*\"]}",
	} {
		if g.chance(85) {
			servers = append(servers, s)
		}
	}
	return []string{object("networking.istio.io/v1", "Gateway", "istio-system", "gw", "spec: {selector: {istio: ingressgateway}, servers: "+list(servers)+"}")}
}

// routes are what the gateway and the sidecars do with requests that policies let pass.
func (g *guarded) routes() []string {
	rules := append(g.repeat(4, func(int) string { return g.guardedRoute(true) }), "{route: [{destination: "+g.served(80)+"}]}")
	docs := []string{object("networking.istio.io/v1", "VirtualService", "istio-system", "shop", "spec: "+fields("hosts: [shop.example.com]", "gateways: [gw]", "http: "+list(rules),
		"tcp: [{match: [{port: 31400}], route: [{destination: "+g.served(9000)+"}]}]",
		"tls: [{match: [{port: 15444, sniHosts: [shop.example.com]}], route: [{destination: "+g.served(9000)+"}]}]"))}
	if g.chance(40) {
		host := g.server()
		rules := append(g.lot(2, func() string { return g.guardedRoute(false) }), "{route: [{destination: {host: "+host+"}}]}")
		docs = append(docs, object("networking.istio.io/v1", "VirtualService", g.one("shop", "team"), "inside", "spec: {hosts: ["+host+"], http: "+list(rules)+"}"))
	}
	return docs
}

// served is a destination, nearly always with its port, of which a gateway knows nothing.
func (g *guarded) served(port int) string {
	return fields("host: "+g.server(), g.when(95, fmt.Sprintf("port: {number: %d}", port)))
}

func (g *guarded) server() string {
	return g.one("a", "b", "a") + ".shop.svc.cluster.local"
}

// guardedRoute is a route; those of a gateway may ask for claims.
func (g *guarded) guardedRoute(claims bool) string {
	matches := g.lot(2, func() string {
		text := fields(g.when(45, "uri: {"+g.one("prefix: /a", "exact: /admin", "prefix: /", "regex: '/a.*'")+"}"), g.when(12, "method: {exact: "+g.one("GET", "POST", "OPTIONS")+"}"),
			g.when(25, "headers: {"+g.header(claims)+"}"), g.when(12, "withoutHeaders: {"+g.header(claims)+"}"))
		if text == "{}" {
			return "{uri: {prefix: /admin}}"
		}
		return text
	})
	match := "match: " + list(matches)
	switch g.IntN(6) {
	case 0:
		return fields(match, "redirect: "+g.one("{uri: /new}", "{authority: other.example.com}", "{scheme: https}"))
	case 1:
		return fields(match, "directResponse: {status: "+g.one("418", "200")+"}")
	}
	return fields(match, g.when(30, "fault: {abort: {httpStatus: "+g.one("500", "418")+", percentage: {value: "+g.one("100", "40")+"}}}"), g.when(35, "corsPolicy: "+g.cors()),
		g.when(20, "rewrite: {uri: "+g.one("/a/b", "/admin", "/")+"}"), g.when(20, "headers: {request: {"+g.one("set: {x-q: one}", "remove: [x-q]", "remove: [authorization]", "set: {x-user: alice}", "set: {x-forwarded-for: 203.0.113.7}")+"}}"),
		"route: [{destination: "+g.served(80)+"}]")
}

// header is what a match asks of a header or, at a gateway, of a claim.
func (g *guarded) header(claims bool) string {
	if !claims || g.chance(30) {
		return g.one("x-q", "x-user", "x-level", "x-forwarded-for") + ": {" + g.one("exact: one", "exact: alice", "prefix: a", "regex: '.+'", "exact: '7'") + "}"
	}
	name := g.one("groups", "groups", "sub", "iss", "scope", "permission", "org.team", "org.roles", "admin", "level", "perms", "aud")
	key := "@request.auth.claims." + name
	if g.chance(35) {
		key = "@request.auth.claims[" + strings.ReplaceAll(name, ".", "][") + "]"
	}
	return fmt.Sprintf("%q: {%s}", key, g.one("exact: alice", "exact: testers", "exact: read", "prefix: t", "regex: '.*'", "exact: 'https://idp.example.com'", "exact: blue", "exact: r1", "prefix: r", "exact: 'true'", "exact: '7'"))
}
