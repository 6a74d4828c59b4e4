package evaluator

import (
	"testing"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// Source: docs + "api-v3/config/route/v3/route_components.proto", VirtualHost.domains.
func TestChooseHostByDomain(t *testing.T) {
	const config = `{virtual_hosts: [
		{name: any, domains: ["*"]}, {name: suffix, domains: ["*.foo.com"]}, {name: longer, domains: ["*-bar.foo.com"]},
		{name: prefix, domains: ["foo.*"]}, {name: exact, domains: ["www.foo.com", "six:80", "[::1]"]}]`
	for _, row := range []struct{ says, more, authority, want string }{
		{"an exact domain", "", "www.foo.com", "exact"},
		{"in any case", "", "WWW.foo.com", "exact"},
		{"a suffix", "", "a.foo.com", "suffix"},
		{"the longest suffix", "", "baz-bar.foo.com", "longer"},
		{"a suffix before a prefix", "", "foo.foo.com", "suffix"},
		{"a prefix", "", "foo.org", "prefix"},
		{"any", "", "else", "any"},
		{"the port counts", "", "www.foo.com:80", "any"},
		{"the port is ignored on demand", ", ignore_port_in_host_matching: true", "www.foo.com:80", "exact"},
		{"of an IPv6 address too", ", ignore_port_in_host_matching: true", "[::1]:80", "exact"},
	} {
		t.Run(row.says, func(t *testing.T) {
			if got := chooseHost(xds(t, config+row.more+"}", &route.RouteConfiguration{}), row.authority).GetName(); got != row.want {
				t.Errorf("%s, not %s", got, row.want)
			}
		})
	}
}

// Source: docs + "api-v3/config/route/v3/route_components.proto", RouteMatch, HeaderMatcher, QueryParameterMatcher.
func TestRouteMatch(t *testing.T) {
	request := func() *Request {
		return &Request{Method: "GET", Authority: "a", Path: "/Foo/bar?x=1&y", Headers: map[string]string{"n": "5", "h": "value", "empty": ""}}
	}
	for _, row := range []struct {
		says, match string
		want        bool
	}{
		{"prefix", `{prefix: /Foo}`, true},
		{"prefix of another case", `{prefix: /foo}`, false},
		{"prefix in any case", `{prefix: /foo, case_sensitive: false}`, true},
		{"path, without the query", `{path: /Foo/bar}`, true},
		{"path, in part", `{path: /Foo}`, false},
		{"regex, the whole path", `{safe_regex: {regex: "/Foo/b.r"}}`, true},
		{"regex, in part", `{safe_regex: {regex: "/Foo"}}`, false},
		{"separated prefix", `{path_separated_prefix: /Foo}`, true},
		{"separated prefix ends at a slash", `{path_separated_prefix: /Fo}`, false},
		{"CONNECT", `{connect_matcher: {}}`, false},
		{"header, exact", `{prefix: /, headers: [{name: h, string_match: {exact: value}}]}`, true},
		{"header names are in any case", `{prefix: /, headers: [{name: H, string_match: {exact: value}}]}`, true},
		{"header values are not", `{prefix: /, headers: [{name: h, string_match: {exact: VALUE}}]}`, false},
		{"unless on demand", `{prefix: /, headers: [{name: h, string_match: {exact: VALUE, ignore_case: true}}]}`, true},
		{"header, inverted", `{prefix: /, headers: [{name: h, string_match: {exact: other}, invert_match: true}]}`, true},
		{"a header that is absent matches nothing, even inverted", `{prefix: /, headers: [{name: none, string_match: {exact: x}, invert_match: true}]}`, false},
		{"unless it counts as empty", `{prefix: /, headers: [{name: none, string_match: {exact: x}, invert_match: true, treat_missing_header_as_empty: true}]}`, true},
		{"present", `{prefix: /, headers: [{name: empty, present_match: true}]}`, true},
		{"not present", `{prefix: /, headers: [{name: none, present_match: false}]}`, true},
		{"present, inverted", `{prefix: /, headers: [{name: none, present_match: true, invert_match: true}]}`, true},
		{"range, the start is inside", `{prefix: /, headers: [{name: "n", range_match: {start: 5, end: 6}}]}`, true},
		{"range, the end is outside", `{prefix: /, headers: [{name: "n", range_match: {start: 4, end: 5}}]}`, false},
		{"range of what is no number", `{prefix: /, headers: [{name: h, range_match: {start: 4, end: 5}}]}`, false},
		{"all headers", `{prefix: /, headers: [{name: h, present_match: true}, {name: none, present_match: true}]}`, false},
		{"pseudo headers", `{prefix: /, headers: [{name: ":method", string_match: {exact: GET}}]}`, true},
		{"parameter", `{prefix: /, query_parameters: [{name: x, string_match: {exact: "1"}}]}`, true},
		{"parameter of another value", `{prefix: /, query_parameters: [{name: x, string_match: {exact: "2"}}]}`, false},
		{"parameter without a value is present", `{prefix: /, query_parameters: [{name: "y", present_match: true}]}`, true},
		{"parameter that is absent", `{prefix: /, query_parameters: [{name: z, present_match: true}]}`, false},
		{"gRPC only", `{prefix: /, grpc: {}}`, false},
	} {
		t.Run(row.says, func(t *testing.T) {
			if got := routeMatches(xds(t, row.match, &route.RouteMatch{}), &exchange{q: request()}); got != row.want {
				t.Error(got)
			}
		})
	}
	t.Run("the first route that matches", func(t *testing.T) {
		vh := xds(t, `{routes: [{name: none, match: {path: /}}, {name: first, match: {prefix: /Foo}}, {name: longer, match: {prefix: /Foo/bar}}]}`, &route.VirtualHost{})
		if got := chooseRoute(vh, &exchange{q: request()}).GetName(); got != "first" {
			t.Error(got)
		}
	})
}
