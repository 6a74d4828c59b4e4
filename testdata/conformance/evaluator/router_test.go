package evaluator

import (
	"fmt"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// Source: docs + "api-v3/config/route/v3/route_components.proto", RedirectAction.
func TestRedirect(t *testing.T) {
	for _, row := range []struct{ says, action, scheme, authority, path, want string }{
		{"301 by default", `{host_redirect: b}`, "http", "a", "/p?q", "301 http://b/p?q"},
		{"another code", `{host_redirect: b, response_code: PERMANENT_REDIRECT}`, "http", "a", "/", "308 http://b/"},
		{"to HTTPS", `{https_redirect: true}`, "http", "a", "/", "301 https://a/"},
		{"to HTTPS, the default port goes", `{https_redirect: true}`, "http", "a:80", "/", "301 https://a/"},
		{"to HTTPS, another port stays", `{https_redirect: true}`, "http", "a:8080", "/", "301 https://a:8080/"},
		{"to a scheme", `{scheme_redirect: http}`, "https", "a:443", "/", "301 http://a/"},
		{"to a port", `{port_redirect: 81}`, "http", "a:80", "/", "301 http://a:81/"},
		{"to a path, the query stays", `{path_redirect: /x}`, "http", "a", "/p?q", "301 http://a/x?q"},
		{"to a path with a query of its own", `{path_redirect: "/x?y"}`, "http", "a", "/p?q", "301 http://a/x?y"},
		{"without the query", `{path_redirect: /x, strip_query: true}`, "http", "a", "/p?q", "301 http://a/x"},
		{"to a prefix", `{prefix_rewrite: /x}`, "http", "a", "/p/z", "301 http://a/x/z"},
		{"to what a regex makes", `{regex_rewrite: {pattern: {regex: "^/(.*)$"}, substitution: "/\\1/\\1"}}`, "http", "a", "/p", "301 http://a/p/p"},
	} {
		t.Run(row.says, func(t *testing.T) {
			m := xds(t, "{prefix: /p}", &route.RouteMatch{})
			status, location := redirect(xds(t, row.action, &route.RedirectAction{}), m, &Request{Scheme: row.scheme, Authority: row.authority, Path: row.path})
			if got := fmt.Sprint(status, " ", location); got != row.want {
				t.Errorf("%s, not %s", got, row.want)
			}
		})
	}
}

// Source: docs + "api-v3/config/route/v3/route_components.proto", RouteAction.prefix_rewrite, regex_rewrite,
// host_rewrite_literal, host_rewrite_header.
func TestRewrite(t *testing.T) {
	for _, row := range []struct{ says, match, action, want string }{
		{"the prefix", `{prefix: /p}`, `{prefix_rewrite: /x}`, "a /x/z?q"},
		{"a prefix and a slash make two", `{prefix: /p}`, `{prefix_rewrite: /x/}`, "a /x//z?q"},
		{"a separated prefix", `{path_separated_prefix: /p}`, `{prefix_rewrite: /x}`, "a /x/z?q"},
		{"of an exact match all", `{path: /p/z}`, `{prefix_rewrite: /x}`, "a /x?q"},
		{"a regex, every match, not the query", `{prefix: /}`, `{regex_rewrite: {pattern: {regex: "[pzq]"}, substitution: "y"}}`, "a /y/y?q"},
		{"a regex with groups", `{prefix: /}`, `{regex_rewrite: {pattern: {regex: "^/(p)/(z)$"}, substitution: "/\\2/\\1"}}`, "a /z/p?q"},
		{"the host", `{prefix: /}`, `{host_rewrite_literal: b}`, "b /p/z?q"},
		{"the host, from a header", `{prefix: /}`, `{host_rewrite_header: X}`, "c /p/z?q"},
		{"the host, from a header that is absent", `{prefix: /}`, `{host_rewrite_header: none}`, "a /p/z?q"},
	} {
		t.Run(row.says, func(t *testing.T) {
			q := &Request{Authority: "a", Path: "/p/z?q", Headers: map[string]string{"x": "c"}}
			rewrite(xds(t, row.action, &route.RouteAction{}), xds(t, row.match, &route.RouteMatch{}), q)
			if got := q.Authority + " " + q.Path; got != row.want {
				t.Errorf("%s, not %s", got, row.want)
			}
		})
	}
}

// Source: docs + "api-v3/config/core/v3/base.proto", HeaderValueOption.HeaderAppendAction; docs +
// "configuration/http/http_conn_man/headers", custom request headers: "%%" is a percent sign.
func TestMutateHeaders(t *testing.T) {
	for _, row := range []struct{ says, option, had, want string }{
		{"append", `{header: {key: H, value: b}}`, "a", "a,b"},
		{"append to none", `{header: {key: H, value: b}}`, "", "b"},
		{"add if absent", `{header: {key: h, value: b}, append_action: ADD_IF_ABSENT}`, "a", "a"},
		{"overwrite or add", `{header: {key: h, value: b}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}`, "a", "b"},
		{"overwrite if it exists", `{header: {key: h, value: b}, append_action: OVERWRITE_IF_EXISTS}`, "", ""},
		{"a percent sign", `{header: {key: h, value: "5%%"}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}`, "a", "5%"},
	} {
		t.Run(row.says, func(t *testing.T) {
			q := &Request{Headers: map[string]string{"gone": "x"}}
			if row.had != "" {
				q.Headers["h"] = row.had
			}
			mutate(q, []*core.HeaderValueOption{xds(t, row.option, &core.HeaderValueOption{})}, []string{"Gone"})
			if _, stays := q.Headers["gone"]; stays || q.Headers["h"] != row.want {
				t.Errorf("%v, not %s", q.Headers, row.want)
			}
		})
	}
}
