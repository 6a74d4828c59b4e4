package conformance

import (
	"fmt"
	"strings"
)

func (g generator) destination() string {
	return fmt.Sprintf("{host: %s%s%s}", g.host(), g.when(35, ", subset: "+g.one("v1", "v2", "v3")), g.when(30, ", port: {number: "+g.one("80", "80", "9090", "443")+"}"))
}

func (g generator) virtualService(i int) string {
	hosts := quoted(g.some(2, "a", "b", "a.shop.svc.cluster.local", "c.team.svc.cluster.local", "c", "*.example.com", "api.example.com", "shop.example.com", "*", "*.shop.svc.cluster.local"))
	gateways := g.when(40, ", gateways: "+quoted(g.some(2, "mesh", "istio-system/gw0", "shop/gw1", "gw0")))
	if gateways == "" {
		hosts = strings.ReplaceAll(hosts, `"*"`, `"*.example.com"`)
	}
	var routes []string
	for range 1 + g.IntN(3) {
		routes = append(routes, g.httpRoute())
	}
	text := fmt.Sprintf("hosts: %s%s%s, http: [%s]", hosts, gateways, g.exportTo(), strings.Join(routes, ", "))
	if g.chance(15) {
		text += fmt.Sprintf(", tcp: [{%sroute: [{destination: %s}]}]", g.when(50, "match: [{port: 80}], "), g.destination())
	}
	if g.chance(10) {
		text += fmt.Sprintf(", tls: [{match: [{port: 443, sniHosts: %s}], route: [{destination: %s}]}]", quoted([]string{g.one("shop.example.com", "a.shop.svc.cluster.local", "api.example.com")}), g.destination())
	}
	return object("networking.istio.io/v1", "VirtualService", g.namespace(), fmt.Sprintf("vs%d", i), "spec: {"+text+"}")
}

func (g generator) httpRoute() string {
	var parts []string
	if g.chance(60) {
		var matches []string
		for range 1 + g.IntN(2) {
			matches = append(matches, g.match())
		}
		parts = append(parts, "match: ["+strings.Join(matches, ", ")+"]")
	}
	switch {
	case g.chance(8):
		return "{" + strings.Join(append(parts, fmt.Sprintf("redirect: {%suri: /new%s%s}", g.when(50, "authority: new.example.com, "), g.when(30, ", redirectCode: 307"), g.when(30, ", scheme: https"))), ", ") + "}"
	case g.chance(6):
		return "{" + strings.Join(append(parts, "directResponse: {status: 418}"), ", ") + "}"
	}
	if g.chance(12) {
		parts = append(parts, fmt.Sprintf("rewrite: {%s}", g.one("uri: /r", "uri: /", "authority: other.example.com", "uri: /r, authority: other.example.com")))
	}
	if g.chance(10) {
		parts = append(parts, fmt.Sprintf("fault: {abort: {httpStatus: 500, percentage: {value: %s}}}", g.one("100", "30", "0.5")))
	}
	if g.chance(12) {
		parts = append(parts, fmt.Sprintf("headers: {request: {%s}}", g.one("set: {x-a: one}", "add: {x-q: two}", "remove: [x-q]", "set: {host: h.example.com}")))
	}
	if g.chance(8) {
		parts = append(parts, fmt.Sprintf("corsPolicy: {allowOrigins: [{exact: %s}]}", g.one("https://a.example", "https://b.example")))
	}
	if g.chance(25) {
		w := 10 * (1 + g.IntN(9))
		parts = append(parts, fmt.Sprintf("route: [{destination: %s, weight: %d}, {destination: %s, weight: %d}]", g.destination(), w, g.destination(), 100-w))
	} else {
		parts = append(parts, fmt.Sprintf("route: [{destination: %s%s}]", g.destination(), g.when(8, ", headers: {request: {set: {x-d: three}}}")))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (g generator) match() string {
	var parts []string
	if g.chance(65) {
		parts = append(parts, fmt.Sprintf("uri: {%s}", g.one("prefix: /", "prefix: /a", "exact: /a", "exact: /", "regex: '/a.*'", "prefix: /a/")))
	}
	if g.chance(25) {
		parts = append(parts, fmt.Sprintf("headers: {x-q: {%s}}", g.one("exact: one", "prefix: o", "regex: '.*'", "exact: two")))
	}
	if g.chance(10) {
		parts = append(parts, "withoutHeaders: {x-q: {exact: one}}")
	}
	if g.chance(8) {
		parts = append(parts, "queryParams: {q: {exact: '1'}}")
	}
	if g.chance(8) {
		parts = append(parts, "method: {exact: "+g.one("GET", "POST")+"}")
	}
	if g.chance(8) {
		parts = append(parts, "ignoreUriCase: true")
	}
	if g.chance(10) {
		parts = append(parts, "port: "+g.one("80", "9090", "8080"))
	}
	if g.chance(10) {
		parts = append(parts, "sourceLabels: {app: "+g.one("web", "d")+"}")
	}
	if g.chance(6) {
		parts = append(parts, "sourceNamespace: "+g.one("shop", "team"))
	}
	if g.chance(8) {
		parts = append(parts, "gateways: ["+g.one("mesh", "istio-system/gw0")+"]")
	}
	if len(parts) == 0 || len(parts) == 1 && strings.HasPrefix(parts[0], "ignoreUriCase") {
		parts = []string{"uri: {prefix: /}"}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
