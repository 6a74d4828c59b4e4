package conformance

import (
	"fmt"
	"strings"
)

func (g generator) destination() string {
	return fields("host: "+g.host(), g.when(30, "subset: "+g.one("v1", "v1", "v2", "v3")), g.when(35, "port: {number: "+g.one("80", "80", "80", "9090", "443", "8080")+"}"))
}

func (g generator) virtualService(i int) string {
	hosts := quoted(g.some(2, "a", "a", "b", "c", "db", "a.shop.svc.cluster.local", "a.shop.svc.cluster.local", "c.team.svc.cluster.local", "a.shop", "alias.shop.svc.cluster.local", "manual.shop.svc.cluster.local",
		"*.example.com", "*.wild.example.com", "api.example.com", "ext.example.com", "shop.example.com", "*", "*.shop.svc.cluster.local", "*.local", "virtual.example.net"))
	gateways := g.when(35, "gateways: "+quoted(g.some(2, "mesh", "mesh", "istio-system/gw0", "shop/gw1", "gw0")))
	if gateways == "" || strings.Contains(gateways, "mesh") {
		hosts = strings.ReplaceAll(hosts, `"*"`, `"*.example.com"`)
	}
	http := ""
	if g.chance(90) {
		http = "http: " + list(g.lot(3, g.httpRoute))
	}
	return object("networking.istio.io/v1", "VirtualService", g.namespace(), fmt.Sprintf("vs%d", i), "spec: "+fields("hosts: "+hosts, gateways, g.exportTo(), http,
		g.when(25, "tcp: "+list(g.lot(2, g.tcpRoute))), g.when(20, "tls: "+list(g.lot(2, g.tlsRoute)))))
}

// delegate is a VirtualService that others take their routes from.
func (g generator) delegate(i int) string {
	return object("networking.istio.io/v1", "VirtualService", g.one("shop", "team", "istio-system"), fmt.Sprintf("leaf%d", i), "spec: "+fields(g.exportTo(), "http: "+list(g.lot(3, g.httpRoute))))
}

// streamMatch is what tcp and tls routes match on alike.
func (g generator) streamMatch() []string {
	return []string{
		g.when(40, "port: "+g.one("80", "80", "443", "9090")), g.when(12, "sourceLabels: {app: "+g.one("web", "d")+"}"), g.when(8, "sourceNamespace: "+g.one("shop", "team")),
		g.when(8, "destinationSubnets: ["+g.one("10.96.0.0/16", "192.0.2.0/24", "198.51.100.0/24")+"]"), g.when(8, "gateways: ["+g.one("mesh", "istio-system/gw0")+"]"),
	}
}

func (g generator) streamRoute() string {
	if g.chance(25) {
		return fmt.Sprintf("route: [{destination: %s, weight: 30}, {destination: %s, weight: 70}]", g.destination(), g.destination())
	}
	return fmt.Sprintf("route: [{destination: %s}]", g.destination())
}

func (g generator) tcpRoute() string {
	match := ""
	if m := fields(g.streamMatch()...); m != "{}" {
		match = "match: [" + m + "]"
	}
	return fields(match, g.streamRoute())
}

func (g generator) tlsRoute() string {
	sni := "sniHosts: " + quoted(g.some(2, "a.shop.svc.cluster.local", "b.shop.svc.cluster.local", "api.example.com", "ext.example.com", "*.example.com", "shop.example.com", "*.shop.svc.cluster.local"))
	return fields("match: ["+fields(append([]string{sni}, g.streamMatch()...)...)+"]", g.streamRoute())
}

func (g generator) httpRoute() string {
	match := ""
	if g.chance(65) {
		match = "match: " + list(g.lot(2, g.match))
	}
	name := g.when(10, "name: "+g.one("r", "main"))
	switch {
	case g.chance(8):
		return fields(name, match, "redirect: "+g.redirect())
	case g.chance(6):
		return fields(name, match, "directResponse: {status: "+g.one("418", "200", "503")+"}")
	case g.chance(12):
		return fields(name, match, "delegate: "+fields("name: leaf"+g.one("0", "0", "1"), g.when(60, "namespace: "+g.one("shop", "team", "istio-system"))))
	}
	return fields(name, match, g.when(14, "rewrite: "+g.rewrite()), g.when(12, "fault: "+g.fault()), g.when(14, "headers: "+g.headers()), g.when(10, "corsPolicy: "+g.cors()),
		g.when(8, "timeout: 5s"), g.when(8, "retries: {attempts: "+g.one("0", "2")+g.when(50, ", retryOn: \"5xx,503\"")+"}"), g.when(8, "mirror: "+g.destination()), g.when(5, "mirrors: [{destination: "+g.destination()+", percentage: {value: 40}}]"),
		"route: "+g.httpDestinations())
}

func (g generator) httpDestinations() string {
	if g.chance(25) {
		w := 10 * g.IntN(11)
		return fmt.Sprintf("[{destination: %s, weight: %d}, {destination: %s, weight: %d%s}]", g.destination(), w, g.destination(), 100-w, g.when(15, ", headers: "+g.headers()))
	}
	return "[" + fields("destination: "+g.destination(), g.when(10, "headers: "+g.headers())) + "]"
}

func (g generator) redirect() string {
	return fields(g.when(70, "uri: "+g.one("/new", "/", "/new?x=1")), g.when(50, "authority: "+g.one("new.example.com", "new.example.com:81")), g.when(25, "redirectCode: "+g.one("302", "307", "308")), g.when(25, "scheme: "+g.one("https", "http")),
		g.one("", "", "", "port: 8443", "port: 443", "port: 80", "derivePort: FROM_REQUEST_PORT", "derivePort: FROM_PROTOCOL_DEFAULT"))
}

func (g generator) rewrite() string {
	return g.one("{uri: /r}", "{uri: /}", "{authority: other.example.com}", "{uri: /r, authority: other.example.com}", `{uriRegexRewrite: {match: "/(a)(.*)", rewrite: "\\2/\\1"}}`, `{uriRegexRewrite: {match: "^/", rewrite: "/x/"}, authority: b.shop}`)
}

func (g generator) fault() string {
	return fields(g.when(80, fmt.Sprintf("abort: {%s, percentage: {value: %s}}", g.one("httpStatus: 500", "httpStatus: 418", `grpcStatus: "UNAVAILABLE"`), g.one("100", "30", "0.5", "0"))), g.when(30, "delay: {fixedDelay: 1s, percentage: {value: 50}}"))
}

func (g generator) headers() string {
	return "{" + g.one("request", "request", "request", "response") + ": {" + g.one("set: {x-a: one}", "add: {x-q: two}", "remove: [x-q]", "set: {host: h.example.com}", "set: {':authority': h.example.com}", "add: {x-q: '%PROTOCOL%'}", "set: {x-a: '50%%'}") + "}}"
}

func (g generator) cors() string {
	return fields("allowOrigins: [{"+g.one("exact: https://a.example", "exact: https://b.example", "prefix: https://a", "regex: 'https://.*'")+"}]", g.when(20, "unmatchedPreflights: "+g.one("IGNORE", "FORWARD")), g.when(20, "allowMethods: [POST]"))
}

func (g generator) match() string {
	all := []string{
		g.when(65, fmt.Sprintf("uri: {%s}", g.one("prefix: /", "prefix: /a", "exact: /a", "exact: /", "regex: '/a.*'", "prefix: /a/", "regex: '.*'", "regex: '/.*'", "exact: /A"))),
		g.when(22, fmt.Sprintf("headers: {x-q: %s}", g.one("{exact: one}", "{prefix: o}", "{regex: '.*'}", "{exact: two}", "{}", "{exact: ''}"))),
		g.when(8, "withoutHeaders: {x-q: "+g.one("{exact: one}", "{regex: '.*'}", "{}", "{prefix: t}")+"}"), g.when(8, "queryParams: {q: "+g.one("{exact: '1'}", "{prefix: '1'}", "{regex: '.'}", "{exact: ''}")+"}"),
		g.when(8, "method: {"+g.one("exact: GET", "exact: POST", "regex: 'GET|PUT'", "prefix: P")+"}"), g.when(6, "authority: {"+g.one("exact: a.shop", "prefix: a", "regex: '.*:80'", "exact: b.shop")+"}"), g.when(5, "scheme: {"+g.one("exact: http", "exact: https", "prefix: h")+"}"),
		g.when(10, "port: "+g.one("80", "80", "9090", "8080")), g.when(8, "sourceLabels: {app: "+g.one("web", "d", "b")+"}"), g.when(6, "sourceNamespace: "+g.one("shop", "team")), g.when(8, "gateways: ["+g.one("mesh", "istio-system/gw0")+"]"),
		g.when(4, "name: m"), g.when(3, "statPrefix: s"),
	}
	if all[0] != "" {
		all = append(all, g.when(10, "ignoreUriCase: true"))
	}
	text := fields(all...)
	if text == "{}" || text == "{name: m}" || text == "{statPrefix: s}" {
		return "{uri: {prefix: /}}"
	}
	return text
}
