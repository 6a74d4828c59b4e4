package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// bindings are the gateways of a VirtualService, in the spellings that there are; some miss.
func (e *edge) bindings(namespace string) string {
	var names []string
	for range 1 + e.IntN(2) {
		names = append(names, e.spelled(namespace))
	}
	if e.chance(20) {
		names = append(names, "mesh")
	}
	return quoted(names)
}

// spelled is a Gateway's name as a VirtualService of the namespace would write it.
func (e *edge) spelled(namespace string) string {
	name := e.one(e.gateways...)
	of, short, _ := strings.Cut(name, "/")
	switch n := e.IntN(20); {
	case of == namespace && n < 10, n == 19:
		return short
	case n == 18:
		return short + "." + of
	case n == 17:
		return short + "." + of + ".svc.cluster.local"
	}
	return name
}

// to is a destination that mostly exists.
func (e *edge) to() string {
	host := e.one("a.shop.svc.cluster.local", "a.shop.svc.cluster.local", "b.shop.svc.cluster.local", "c.team.svc.cluster.local", "a.shop.svc.cluster.local", "b.shop.svc.cluster.local", "a", "b", "ext.example.com", "api.example.com", "none.shop.svc.cluster.local", "alias.shop.svc.cluster.local", "missing")
	return fmt.Sprintf("{host: %s%s%s}", host, e.when(20, ", subset: "+e.one("v1", "v2", "v3")), e.when(45, ", port: {number: "+e.one("80", "80", "80", "9090", "443", "8080")+"}"))
}

// virtualService has routes of one kind or several, mostly for gateways.
func (e *edge) virtualService(i int) string {
	namespace := e.one("istio-system", "shop", "shop", "team", "edge")
	gateways := ", gateways: " + e.bindings(namespace)
	var hosts []string
	http, tls, tcp := 75, 35, 30 // percent
	if s := e.servers[e.IntN(len(e.servers))]; e.chance(60) {
		hosts = []string{e.aimed(s.hosts)}
		gateways = ", gateways: " + quoted([]string{s.gateway})
		switch {
		case strings.Contains(s.mode, "PASSTHROUGH"):
			http, tls = 20, 95
		case s.scheme == "tcp" || s.scheme == "tls":
			http, tcp = 30, 95
		}
	} else {
		hosts = e.some(2, "shop.example.com", "shop.example.com", "*.example.com", "api.example.com", "*", "*.shop.example.com", "SHOP.example.com", "x.shop.example.com", "a.shop.svc.cluster.local", "*.com", "ext.example.com")
	}
	if e.chance(6) {
		gateways, hosts = "", e.some(2, "shop.example.com", "a.shop.svc.cluster.local", "ext.example.com", "api.example.com")
	}
	var parts []string
	if e.chance(http) {
		var routes []string
		for range 1 + e.IntN(3) {
			routes = append(routes, e.route(namespace))
		}
		parts = append(parts, "http: ["+strings.Join(routes, ", ")+"]")
	}
	if e.chance(tls) {
		var routes []string
		for range 1 + e.IntN(2) {
			var matches []string
			for range 1 + e.IntN(2) {
				matches = append(matches, fmt.Sprintf("{sniHosts: %s%s%s}", quoted(e.some(2, append(slices.Repeat(hosts, 3), "shop.example.com", "api.example.com", "*.example.com")...)),
					e.when(35, ", port: "+e.one("443", "443", "15443", "8443")), e.when(10, ", gateways: ["+e.spelled(namespace)+"]")))
			}
			routes = append(routes, fmt.Sprintf("{match: [%s], route: [%s]}", strings.Join(matches, ", "), e.streams()))
		}
		parts = append(parts, "tls: ["+strings.Join(routes, ", ")+"]")
	}
	if e.chance(tcp) || len(parts) == 0 {
		var routes []string
		for range 1 + e.IntN(2) {
			match := e.when(60, fmt.Sprintf("match: [{port: %s%s}], ", e.one("31400", "31400", "9000", "80", "443", "15443"), e.one("", "", "", ", gateways: ["+e.spelled(namespace)+"]", ", sourceLabels: {app: web}", ", destinationSubnets: [10.0.0.0/8]", ", sourceNamespace: team")))
			routes = append(routes, fmt.Sprintf("{%sroute: [%s]}", match, e.streams()))
		}
		parts = append(parts, "tcp: ["+strings.Join(routes, ", ")+"]")
	}
	text := fmt.Sprintf("spec: {hosts: %s%s%s, %s}", quoted(hosts), gateways, e.when(15, ", exportTo: "+quoted(e.some(2, ".", "*", "istio-system", "edge", "shop"))), strings.Join(parts, ", "))
	doc := object("networking.istio.io/v1", "VirtualService", namespace, fmt.Sprintf("vs%d", i), text)
	if strings.Contains(text, "delegate:") {
		doc += "---\n" + object("networking.istio.io/v1", "VirtualService", e.one("shop", "shop", namespace), fmt.Sprintf("vs%d-leaf", i),
			fmt.Sprintf("spec: {%shttp: [%s]}", e.when(20, "exportTo: ["+e.one("'.'", "'*'", "istio-system")+"], "), e.httpRoute()))
	}
	return doc
}

func (e *edge) streams() string {
	if e.chance(20) {
		return fmt.Sprintf("{destination: %s, weight: 30}, {destination: %s, weight: 70}", e.to(), e.to())
	}
	return fmt.Sprintf("{destination: %s}", e.to())
}

// route is one entry of http.
func (e *edge) route(namespace string) string {
	var parts []string
	if e.chance(45) {
		var matches []string
		for range 1 + e.IntN(2) {
			matches = append(matches, e.condition(namespace))
		}
		parts = append(parts, "match: ["+strings.Join(matches, ", ")+"]")
	}
	parts = append(parts, e.when(15, "name: n"+e.one("1", "2", "3")))
	if e.chance(10) {
		parts = append(parts, e.when(20, "headers: {request: {set: {x-root: one}}}"), "delegate: {name: "+fmt.Sprintf("vs%d-leaf", e.IntN(5))+", namespace: shop}")
		return fields(parts...)
	}
	switch n := e.IntN(100); {
	case n < 12:
		parts = append(parts, "redirect: {"+e.one("uri: /new", "authority: new.example.com", "scheme: https", "scheme: https, redirectCode: 308", "port: 8443", "derivePort: FROM_REQUEST_PORT, scheme: https", "derivePort: FROM_PROTOCOL_DEFAULT, scheme: https", "authority: \"new.example.com:8443\", uri: /x, redirectCode: 302", "uri: \"/new?x=1\"")+"}")
		return fields(parts...)
	case n < 18:
		parts = append(parts, "directResponse: {status: "+e.one("200", "418", "503")+"}")
		return fields(parts...)
	}
	parts = append(parts,
		e.when(18, "rewrite: {"+e.one("uri: /r", "uri: /", "authority: other.example.com", "uri: /r, authority: other.example.com", "uriRegexRewrite: {match: \"^/a(.*)$\", rewrite: '/z\\1'}")+"}"),
		e.when(8, "fault: {abort: {httpStatus: 500, percentage: {value: "+e.one("100", "30")+"}}}"),
		e.when(12, "corsPolicy: {allowOrigins: [{"+e.one("exact: https://a.example", "prefix: https://a", "regex: .*", "exact: '*'")+"}]"+e.when(30, ", unmatchedPreflights: "+e.one("IGNORE", "FORWARD"))+"}"),
		e.when(12, "headers: {request: {"+e.one("set: {x-a: one}", "add: {x-q: two}", "remove: [x-q]", "set: {host: h.example.com}", "set: {Host: h.example.com}")+"}}"),
	)
	if e.chance(20) {
		parts = append(parts, fmt.Sprintf("route: [{destination: %s, weight: 20}, {destination: %s, weight: 80}]", e.to(), e.to()))
	} else {
		parts = append(parts, fmt.Sprintf("route: [{destination: %s%s}]", e.to(), e.when(8, ", headers: {request: {set: {x-d: three}}}")))
	}
	return fields(parts...)
}

func (e *edge) condition(namespace string) string {
	parts := []string{
		e.when(70, "uri: {"+e.one("prefix: /", "prefix: /a", "exact: /a", "prefix: /a/", "regex: '/a.*'", "regex: '.*'", "exact: /")+"}"),
		e.when(15, "port: "+e.one("80", "80", "443", "8080", "8443")),
		e.when(12, "gateways: ["+e.one(e.spelled(namespace), e.spelled(namespace), "mesh")+"]"),
		e.when(8, "sourceLabels: {"+e.one("istio: ingressgateway", "app: web")+"}"),
		e.when(8, "sourceNamespace: "+e.one("istio-system", "edge", "shop")),
		e.when(8, "authority: {"+e.one("exact: shop.example.com", "prefix: shop", "regex: '.*:8080'")+"}"),
		e.when(8, "scheme: {exact: "+e.one("http", "https")+"}"),
		e.when(15, "headers: {x-q: {"+e.one("exact: one", "prefix: o", "regex: '.*'")+"}}"),
		e.when(6, "withoutHeaders: {x-q: {"+e.one("exact: one", "regex: '.*'")+"}}"),
		e.when(6, "method: {"+e.one("exact: GET", "regex: 'GET|POST'")+"}"),
		e.when(6, "queryParams: {q: {exact: '1'}}"),
	}
	if strings.Join(parts, "") == "" {
		return "{uri: {prefix: /}}"
	}
	return fields(append(parts, e.when(6, "ignoreUriCase: true"))...)
}
