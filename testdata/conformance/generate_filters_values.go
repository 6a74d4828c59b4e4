package conformance

const httpFilterTypes, networkFilterTypes = "'@type': type.googleapis.com/envoy.extensions.filters.http.", "'@type': type.googleapis.com/envoy.extensions.filters.network."

// httpFilter is one of those that people insert.
func (g *filtered) httpFilter() string {
	switch g.IntN(9) {
	case 0:
		return "{name: envoy.filters.http.lua, typed_config: {" + httpFilterTypes + "lua.v3.Lua, default_source_code: {inline_string: 'function envoy_on_request(h) end'}}}"
	case 1:
		return "{name: envoy.filters.http.local_ratelimit, typed_config: {" + httpFilterTypes + "local_ratelimit.v3.LocalRateLimit, stat_prefix: l" +
			g.when(70, ", token_bucket: {max_tokens: 5, fill_interval: 60s}, filter_enabled: {default_value: {numerator: "+g.one("100", "0")+"}}, filter_enforced: {default_value: {numerator: 100}}") + "}}"
	case 2, 3, 4:
		return "{name: " + g.one("own-rbac", "own-rbac", "envoy.filters.http.rbac") + g.when(6, ", disabled: true") + ", typed_config: {" + httpFilterTypes + "rbac.v3.RBAC" + g.when(95, ", "+g.rbacRules(g.one("x", "z"))) + "}}"
	case 5, 6:
		return "{name: header-to, typed_config: {" + httpFilterTypes + "header_mutation.v3.HeaderMutation, mutations: {request_mutations: [" +
			g.one("{append: {header: {key: x-q, value: one}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}}", "{remove: x-q}", "{append: {header: {key: x-p, value: new}}}, {remove: x-user}", "{append: {header: {key: x-user, value: root}, append_action: ADD_IF_ABSENT}}") + "]}}}"
	case 7:
		return g.one(
			"{name: envoy.filters.http.fault, typed_config: {"+httpFilterTypes+"fault.v3.HTTPFault, abort: {http_status: 418, percentage: {numerator: "+g.one("100", "40")+", denominator: HUNDRED}}}}",
			"{name: own-fault, typed_config: {"+httpFilterTypes+"fault.v3.HTTPFault, abort: {http_status: 418, percentage: {numerator: 100, denominator: HUNDRED}}, headers: [{name: x-q, string_match: {exact: one}}]}}",
			"{name: envoy.filters.http.cors, typed_config: {"+httpFilterTypes+"cors.v3.Cors}}")
	}
	return g.one(
		"{name: envoy.filters.http.compressor, typed_config: {"+httpFilterTypes+"compressor.v3.Compressor, compressor_library: {name: g, typed_config: {'@type': type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip}}}}",
		"{name: envoy.filters.http.ext_authz, typed_config: {"+httpFilterTypes+"ext_authz.v3.ExtAuthz, grpc_service: {envoy_grpc: {cluster_name: own}}}}",
		"{name: envoy.filters.http.buffer, typed_config: {"+httpFilterTypes+"buffer.v3.Buffer, max_request_bytes: 1000}}",
	)
}

// networkFilter is one of those that people insert.
func (g *filtered) networkFilter() string {
	return g.one(
		"{name: own-network, typed_config: {"+networkFilterTypes+"rbac.v3.RBAC, stat_prefix: net, "+g.networkRules()+"}}",
		"{name: own-network, typed_config: {"+networkFilterTypes+"rbac.v3.RBAC, stat_prefix: net, "+g.networkRules()+"}}",
		"{name: envoy.filters.network.rbac, typed_config: {"+networkFilterTypes+"rbac.v3.RBAC, stat_prefix: net, "+g.networkRules()+"}}",
		"{name: envoy.filters.network.local_ratelimit, typed_config: {"+networkFilterTypes+"local_ratelimit.v3.LocalRateLimit, stat_prefix: l, token_bucket: {max_tokens: 5, fill_interval: 60s}}}",
		"{name: envoy.filters.network.connection_limit, typed_config: {"+networkFilterTypes+"connection_limit.v3.ConnectionLimit, stat_prefix: l, max_connections: 5}}",
	)
}

// rbacRules are rules of an RBAC filter with one policy of that name.
func (g *filtered) rbacRules(name string) string {
	permission := func() string {
		return g.one("{url_path: {path: {prefix: /admin}}}", "{url_path: {path: {exact: /a}}}", "{header: {name: x-q, string_match: {exact: one}}}", "{header: {name: ':method', string_match: {exact: GET}}}", "{any: true}", "{destination_port: "+g.one("8080", "80")+"}",
			"{not_rule: {url_path: {path: {prefix: /a}}}}", "{and_rules: {rules: [{any: true}, {header: {name: x-user, present_match: true}}]}}", "{or_rules: {rules: [{header: {name: x-q, present_match: true}}, {url_path: {path: {prefix: /b}}}]}}")
	}
	principal := g.one("{any: true}", "{any: true}", "{any: true}", "{authenticated: {principal_name: {exact: 'spiffe://"+g.domain+"/ns/shop/sa/web'}}}", "{not_id: {authenticated: {principal_name: {prefix: 'spiffe://"+g.domain+"/ns/team'}}}}", "{header: {name: x-q, string_match: {prefix: o}}}", "{authenticated: {}}")
	return g.one(
		"rules: {action: "+g.one("DENY", "DENY", "ALLOW", "LOG")+", policies: {"+name+": {permissions: "+list(g.lot(2, permission))+", principals: ["+principal+"]}}}",
		"rules: {policies: {"+name+": {permissions: "+list(g.lot(2, permission))+", principals: ["+principal+"]}}}",
	)
}

// networkRules are rules of an RBAC filter that sees connections.
func (g *filtered) networkRules() string {
	permission := g.one("{any: true}", "{destination_port: "+g.one("8080", "9000", "9000")+"}", "{not_rule: {destination_port: 9000}}", "{requested_server_name: {exact: shop.example.com}}")
	principal := g.one("{any: true}", "{any: true}", "{authenticated: {principal_name: {exact: 'spiffe://"+g.domain+"/ns/shop/sa/web'}}}", "{authenticated: {}}")
	return "rules: {action: " + g.one("DENY", "ALLOW") + ", policies: {streams: {permissions: [" + permission + "], principals: [" + principal + "]}}}"
}

// request is a command line.
func (g *filtered) request() []string {
	kind := "deployment"
	if g.running {
		kind = "pod"
	}
	if g.chance(30) {
		args := []string{"--from", "external"}
		switch n := g.IntN(10); {
		case n < 6:
			return append(args, g.details("http://"+g.one("shop.example.com", "shop.example.com", "shop.example.com", "own.example.com", "other.example.com"))...)
		case n < 8:
			return append(args, g.details("https://shop.example.com")...)
		}
		return append(args, "tcp://shop.example.com:31400")
	}
	from := g.one("shop/"+kind+"/web", "shop/"+kind+"/web", "shop/"+kind+"/web", "team/"+kind+"/d", "shop/"+kind+"/old", "shop/"+kind+"/b")
	if g.ambient && g.chance(25) {
		return append([]string{"--from", g.one(from, "far/deployment/e", "far/deployment/e", "far/deployment/e")}, g.details("http://f.far")...)
	}
	args := []string{"--from", from}
	switch n := g.IntN(100); {
	case n < 60:
		return append(args, g.details("http://"+g.one("a.shop", "a.shop", "a.shop", "b.shop", "c.team", "a.shop.svc.cluster.local"))...)
	case n < 78:
		return append(args, "tcp://"+g.one("a.shop", "a.shop", "b.shop")+g.one(":9000", ":9000", ":7000"))
	case n < 86:
		return append(args, "grpc://"+g.one("a.shop", "b.shop")+":7070/p.S/M")
	case n < 90:
		return append(args, g.details("http://"+g.one("a.shop:7000", "b.shop:7000", "a.shop:9000"))...)
	}
	return append(args, g.details("http://"+g.one("out0.example.com", "own.example.com", "added.shop", "unknown.example.com", "more.shop"))...)
}

// details are those of an HTTP request.
func (g *filtered) details(to string) []string {
	var args []string
	if g.chance(35) {
		args = append(args, "-H", "x-q: "+g.one("one", "one", "two"))
	}
	if g.chance(12) {
		args = append(args, "-H", g.one("x-user: alice", "x-p: old"))
	}
	switch {
	case g.chance(10):
		args = append(args, "-X", "POST")
	case g.chance(8):
		args = append(args, "-X", "OPTIONS", "-H", "origin: "+g.one("https://a.example", "https://b.example"), "-H", "access-control-request-method: GET")
	}
	return append(args, to+g.one("", "/a", "/a", "/a/x", "/admin", "/b", "/b/x")+g.when(10, "?q=1"))
}
