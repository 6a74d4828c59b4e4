package conformance

import "strings"

// routeTable matches route configurations and, where any is given, a virtual host in them.
func (g *filtered) routeTable(context, vhost string) string {
	name, port := "", ""
	switch context {
	case "SIDECAR_OUTBOUND":
		name, port = g.when(15, "name: '"+g.one("80", "80", "7070", "a.shop.svc.cluster.local:80")+"'"), g.when(20, "portNumber: "+g.one("80", "80", "7070"))
	case "SIDECAR_INBOUND":
		name, port = g.when(12, "name: '"+g.one("inbound|8080||", "inbound|80||")+"'"), g.when(12, "portNumber: "+g.one("8080", "80"))
	case "GATEWAY":
		name, port = g.when(15, "name: '"+g.one("http.8080", "http.8080", "http.80", "https.443.https.gw.istio-system")+"'"),
			g.when(20, "portNumber: "+g.one("80", "80", "8080", "443"))+g.when(5, ", portName: https")+g.when(5, ", gateway: istio-system/gw")
		port = strings.TrimPrefix(port, ", ")
	}
	m := fields(name, port, vhost)
	if m == "{}" {
		return ""
	}
	return "routeConfiguration: " + m
}

// hostMatch matches a virtual host and, where any is given, a route in it.
func (g *filtered) hostMatch(context, route string) string {
	names := map[string][]string{
		"SIDECAR_OUTBOUND": {"a.shop.svc.cluster.local:80", "a.shop.svc.cluster.local:80", "b.shop.svc.cluster.local:80", "f.far.svc.cluster.local:80", "allow_any", "nobody:80"},
		"SIDECAR_INBOUND":  {"inbound|http|80", "inbound|http|80", "inbound|8080||"}, "GATEWAY": {"shop.example.com:80", "shop.example.com:80", "shop.example.com:8080", "shop.example.com:443", "blackhole:80"},
	}[context]
	name := ""
	if names != nil {
		name = g.when(65, "name: '"+g.one(names...)+"'")
	}
	domain := g.when(12, "domainName: '"+g.one("a.shop", "shop.example.com", "*", "b.shop.svc.cluster.local")+"'")
	m := fields(name, domain, route)
	if m == "{}" {
		return ""
	}
	return "vhost: " + m
}

func (g *filtered) virtualHostPatch(context string) (match, operation, value string) {
	operation = g.one("MERGE", "MERGE", "MERGE", "MERGE", "ADD", "ADD", "REMOVE", "REPLACE", "INSERT_FIRST", "MERGE_AND_REPLACE_LIST")
	match = g.routeTable(context, g.hostMatch(context, ""))
	switch operation {
	case "ADD", "INSERT_FIRST":
		return g.routeTable(context, g.when(20, g.hostMatch(context, ""))), operation, "{name: own, domains: [" + g.one("own.example.com", "own.example.com", "added.shop", "'*.example.com'", "a.shop", "'*'") + "], routes: " + list(g.lot(2, g.wholeRoute)) + "}"
	case "REPLACE":
		return match, operation, "{name: " + g.one("replaced", "'a.shop.svc.cluster.local:80'", "'inbound|http|80'") + ", domains: [" + g.one("'*'", "a.shop", "a.shop, a.shop.svc.cluster.local", "shop.example.com", "'*.example.com'") + "], routes: " + list(g.lot(2, g.wholeRoute)) + "}"
	}
	return match, operation, fields(g.headersToAdd(), g.when(20, g.perFilter()), g.when(10, "retry_policy: {num_retries: 4, retry_on: 5xx}"), g.when(8, "domains: ["+g.one("more.example.com", "more.shop")+"]"), g.when(8, "routes: ["+g.wholeRoute()+"]"), g.when(5, "name: other"), g.when(5, "require_tls: ALL"))
}

func (g *filtered) routePatch(context string) (match, operation, value string) {
	route := g.when(55, "route: "+fields(g.when(60, "name: "+g.one("default", "default", "r", "added", "nope")), g.when(35, "action: "+g.one("ROUTE", "ROUTE", "REDIRECT", "DIRECT_RESPONSE", "ANY"))))
	if strings.Contains(route, "{}") {
		route = "route: {name: default}"
	}
	match = g.routeTable(context, g.hostMatch(context, route))
	operation = g.one("MERGE", "MERGE", "MERGE", "MERGE", "INSERT_FIRST", "INSERT_FIRST", "INSERT_BEFORE", "INSERT_AFTER", "ADD", "REMOVE", "MERGE_AND_REPLACE_LIST", "REPLACE")
	switch operation {
	case "MERGE", "MERGE_AND_REPLACE_LIST":
		return match, operation, g.routeMerge()
	}
	return match, operation, g.wholeRoute()
}

// routeMerge is what is merged into a route.
func (g *filtered) routeMerge() string {
	switch g.IntN(6) {
	case 0:
		return "{route: {timeout: 3s}}"
	case 1:
		return "{route: " + fields("retry_policy: {num_retries: "+g.one("0", "5")+g.when(60, ", retry_on: "+g.one("5xx", "connect-failure", "'reset,503'"))+"}") + "}"
	case 2:
		return "{direct_response: {status: " + g.one("503", "418") + "}}"
	case 3:
		return "{redirect: {" + g.one("host_redirect: other.example.com", "path_redirect: /moved", "https_redirect: true") + "}}"
	case 4:
		return fields(g.perFilter())
	}
	return fields(g.headersToAdd(), g.when(10, "name: renamed"), g.when(10, "match: {prefix: /b}"), g.when(10, "route: {prefix_rewrite: /z}"), g.when(10, "route: {cluster: 'outbound|80||b.shop.svc.cluster.local'}"))
}

// wholeRoute is a route of a patch's own.
func (g *filtered) wholeRoute() string {
	match := "match: " + fields(g.one("prefix: /a", "prefix: /", "path: /admin", "safe_regex: {regex: '/a.*'}", "path_separated_prefix: /a", "prefix: /b"),
		g.when(20, "headers: [{name: x-q, "+g.one("string_match: {exact: one}", "present_match: true", "string_match: {prefix: o}, invert_match: true", "string_match: {suffix: e}")+"}]"),
		g.when(8, "query_parameters: [{name: q, "+g.one("string_match: {exact: '1'}", "present_match: true")+"}]"), g.when(5, "case_sensitive: false"))
	action := ""
	switch g.IntN(4) {
	case 0:
		action = "redirect: {" + g.one("host_redirect: new.example.com", "path_redirect: /x, response_code: FOUND", "prefix_rewrite: /p") + "}"
	case 1, 2:
		action = "direct_response: {status: " + g.one("503", "200", "418") + "}"
	default:
		action = "route: " + fields("cluster: '"+g.one("outbound|80||a.shop.svc.cluster.local", "outbound|80||a.shop.svc.cluster.local", "outbound|80||b.shop.svc.cluster.local", "inbound|8080||", "own", "outbound|80||none.shop.svc.cluster.local")+"'", g.when(15, "timeout: 2s"), g.when(15, "prefix_rewrite: /q"), g.when(10, "host_rewrite_literal: h.example.com"))
	}
	return fields(g.when(40, "name: "+g.one("added", "r")), match, action, g.when(15, g.headersToAdd()), g.when(10, g.perFilter()))
}

func (g *filtered) headersToAdd() string {
	return g.one(
		"request_headers_to_add: [{header: {key: x-p, value: "+g.one("one", "two")+"}"+g.when(50, ", append_action: "+g.one("APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS"))+"}]",
		"request_headers_to_remove: ["+g.one("x-q", "x-p", "x-user")+"]",
		"request_headers_to_add: [{header: {key: x-q, value: three}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}], request_headers_to_remove: [x-p]",
		"response_headers_to_add: [{header: {key: x-r, value: one}}]")
}

// perFilter configures a filter for a route or a virtual host.
func (g *filtered) perFilter() string {
	return "typed_per_filter_config: {" + g.one(
		"own-rbac: {'@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute"+g.when(60, ", rbac: {"+g.rbacRules("x")+"}")+"}",
		"own-rbac: {'@type': type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}",
		"envoy.filters.http.rbac: {'@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute}",
		"envoy.filters.http.fault: {'@type': type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, abort: {http_status: 418, percentage: {numerator: "+g.one("100", "40")+", denominator: HUNDRED}}}",
		"envoy.filters.http.cors: {'@type': type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy, allow_origin_string_match: [{exact: 'https://a.example'}], allow_methods: GET}",
		"envoy.filters.http.local_ratelimit: {'@type': type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, stat_prefix: l, token_bucket: {max_tokens: 5, fill_interval: 60s}, filter_enabled: {default_value: {numerator: 100}}, filter_enforced: {default_value: {numerator: 100}}}",
	) + "}"
}
