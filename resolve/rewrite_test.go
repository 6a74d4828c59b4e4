package resolve

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRewrite(t *testing.T) {
	tests := []struct {
		name, entry, path string
		want              string
		steps             []string
	}{
		{name: "none", entry: "name: x", path: "/x", want: "a.com/x?q"},
		{
			name: "prefix", entry: "match: [{uri: {prefix: /api/}}]\nrewrite: {uri: /}", path: "/api/x", want: "a.com/x?q",
			steps: []string{"applied route/rewrite-uri shop/v spec.http[0].rewrite.uri: path /api/x becomes /x"},
		},
		{
			name: "prefix without its slash", entry: "match: [{uri: {prefix: /foo}}]\nrewrite: {uri: /}", path: "/foo/bar", want: "a.com//bar?q",
			steps: []string{"applied route/rewrite-uri shop/v spec.http[0].rewrite.uri: path /foo/bar becomes //bar"},
		},
		{
			name: "plain prefix", entry: "match: [{uri: {prefix: /foo}}]\nrewrite: {uri: /}", path: "/foobar", want: "a.com/bar?q",
			steps: []string{"applied route/rewrite-uri shop/v spec.http[0].rewrite.uri: path /foobar becomes /bar"},
		},
		{
			name: "prefix in another case", entry: "match: [{uri: {prefix: /foo}, ignoreUriCase: true}]\nrewrite: {uri: /z}", path: "/FOO/bar", want: "a.com/z/bar?q",
			steps: []string{"applied route/rewrite-uri shop/v spec.http[0].rewrite.uri: path /FOO/bar becomes /z/bar"},
		},
		{
			name: "exact", entry: "match: [{uri: {exact: /foo}}]\nrewrite: {uri: /z}", path: "/foo", want: "a.com/z?q",
			steps: []string{"applied route/rewrite-uri shop/v spec.http[0].rewrite.uri: path /foo becomes /z"},
		},
		{
			name: "regex", entry: "match: [{uri: {regex: /foo.*}}]\nrewrite: {uri: /z}", path: "/foo/bar", want: "a.com/z?q",
			steps: []string{"applied route/rewrite-uri shop/v spec.http[0].rewrite.uri: path /foo/bar becomes /z"},
		},
		{
			name: "no match", entry: "rewrite: {uri: /pre}", path: "/k", want: "a.com/prek?q",
			steps: []string{"applied route/rewrite-uri shop/v spec.http[0].rewrite.uri: path /k becomes /prek"},
		},
		{
			name: "regex rewrite before uri", entry: "rewrite: {uri: /z, uriRegexRewrite: {match: \"/v(\\\\d)/(.*)\", rewrite: \"/\\\\2/$1/\\\\\\\\/\\\\1\"}}", path: "/v1/a", want: `a.com/a/$1/\/1?q`,
			steps: []string{`applied route/rewrite-uri-regex shop/v spec.http[0].rewrite.uriRegexRewrite: path /v1/a becomes /a/$1/\/1 (regex "/v(\\d)/(.*)")`},
		},
		{
			name: "every place", entry: "rewrite: {uriRegexRewrite: {match: a, rewrite: b}}", path: "/a/a", want: "a.com/b/b?q",
			steps: []string{`applied route/rewrite-uri-regex shop/v spec.http[0].rewrite.uriRegexRewrite: path /a/a becomes /b/b (regex "a")`},
		},
		{
			name: "refused regex", entry: "rewrite: {uriRegexRewrite: {match: \"(\", rewrite: b}}", path: "/a", want: "a.com/a?q",
			steps: []string{`warning route/rewrite-undecidable shop/v spec.http[0].rewrite.uriRegexRewrite.match: regex "(" is not valid RE2; the path is shown as it was`},
		},
		{
			name: "authority", entry: "rewrite: {authority: b.com}", path: "/a", want: "b.com/a?q",
			steps: []string{"applied route/rewrite-authority shop/v spec.http[0].rewrite.authority: Host a.com becomes b.com"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := &HTTPRequest{Authority: "a.com", Path: tt.path, Query: "q"}
			got, steps := Rewrite(routeOf(t, tt.entry), q)
			if diff := cmp.Diff(tt.want, got.Authority+got.PathAndQuery()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.steps, routeStepLines(t, steps)); diff != "" {
				t.Error(diff)
			}
			if q.Path != tt.path || q.Authority != "a.com" {
				t.Errorf("the request was changed: %v", q)
			}
		})
	}
}

func TestRewriteOfGatewayAPIRoutes(t *testing.T) {
	for path, want := range map[string]string{"/foo": "/", "/foo/": "/", "/foo/bar": "/bar", "/foo//bar": "//bar"} {
		r := routeOf(t, "match: [{uri: {prefix: /foo}}]\nrewrite: {uri: /}")
		r.VirtualService.Semantics = SemanticsGateway
		if got, _ := Rewrite(r, &HTTPRequest{Path: path}); got.Path != want {
			t.Errorf("%s: want %s, got %s", path, want, got.Path)
		}
	}
}

func TestForward(t *testing.T) {
	const second = "- {destination: {host: b}, weight: 1}"
	tests := []struct {
		name, entry string
		host        string
		want        map[string]string
		steps       []string
	}{
		{
			name: "one destination: remove, set, add, the destination's last",
			entry: `
headers: {request: {remove: [Gone, host, ":path", none], set: {X-A: r, x-b: r}, add: {X-A: r2}}}
route: [{destination: {host: a}, headers: {request: {set: {x-a: d}, add: {x-b: d2}, remove: [x-b]}}}]`,
			host: "a.com", want: map[string]string{"x-a": "d,r2", "x-b": "r,d2"},
			steps: []string{
				"applied route/header-remove shop/v spec.http[0].headers.request.remove: removes header gone",
				"applied route/header-remove shop/v spec.http[0].route[0].headers.request.remove: removes header x-b",
				`applied route/header-set shop/v spec.http[0].headers.request.set[X-A]: sets header x-a to "r"`,
				`applied route/header-set shop/v spec.http[0].headers.request.set[x-b]: sets header x-b to "r"`,
				`applied route/header-set shop/v spec.http[0].route[0].headers.request.set[x-a]: sets header x-a to "d"`,
				`applied route/header-add shop/v spec.http[0].headers.request.add[X-A]: adds "r2" to header x-a`,
				`applied route/header-add shop/v spec.http[0].route[0].headers.request.add[x-b]: adds "d2" to header x-b`,
			},
		},
		{
			name: "several destinations: the route's come last and win",
			entry: `
headers: {request: {set: {x-a: r}}}
route:
- {destination: {host: a}, weight: 1, headers: {request: {set: {x-a: d, x-c: "50%%"}, remove: [gone]}}}
` + second,
			host: "a.com", want: map[string]string{"x-a": "r", "x-b": "sent", "x-c": "50%"},
			steps: []string{
				"applied route/header-remove shop/v spec.http[0].route[0].headers.request.remove: removes header gone",
				`applied route/header-set shop/v spec.http[0].route[0].headers.request.set[x-a]: sets header x-a to "d"`,
				`applied route/header-set shop/v spec.http[0].route[0].headers.request.set[x-c]: sets header x-c to "50%"`,
				`applied route/header-set shop/v spec.http[0].headers.request.set[x-a]: sets header x-a to "r"`,
			},
		},
		{
			name: "Host: the destination's", entry: "route: [{destination: {host: a}, headers: {request: {set: {Host: d.com}}}}]",
			host: "d.com", want: map[string]string{"gone": "sent", "x-b": "sent"},
			steps: []string{"applied route/header-authority shop/v spec.http[0].route[0].headers.request.set[Host]: Host a.com becomes d.com"},
		},
		{
			name: "Host: the route's first, set before add", entry: "headers: {request: {add: {host: add.com}, set: {\":authority\": r.com}}}\nroute: [{destination: {host: a}, headers: {request: {set: {Host: d.com}}}}]",
			host: "r.com", want: map[string]string{"gone": "sent", "x-b": "sent"},
			steps: []string{"applied route/header-authority shop/v spec.http[0].headers.request.set[:authority]: Host a.com becomes r.com"},
		},
		{
			name: "Host: rewrite before all", entry: "headers: {request: {set: {Host: r.com}}}\nrewrite: {authority: w.com}\nroute: [{destination: {host: a}}]",
			host: "w.com", want: map[string]string{"gone": "sent", "x-b": "sent"},
			steps: []string{"applied route/rewrite-authority shop/v spec.http[0].rewrite.authority: Host a.com becomes w.com"},
		},
		{
			name: "computed, and empty", entry: "headers: {request: {set: {x-b: \"%REQ(a)%\", gone: \"\"}}}\nroute: [{destination: {host: a}}]",
			host: "a.com", want: map[string]string{"gone": "sent", "x-b": "%REQ(a)%"},
			steps: []string{`warning route/header-computed shop/v spec.http[0].headers.request.set[x-b]: header x-b is computed by Envoy from "%REQ(a)%"`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := routeOf(t, tt.entry)
			q := &HTTPRequest{Authority: "a.com", Path: "/", Headers: map[string]string{"gone": "sent", "x-b": "sent"}}
			got, steps := Forward(r, Destinations(r)[0], q)
			if diff := cmp.Diff(tt.want, got.Headers); diff != "" || got.Authority != tt.host {
				t.Errorf("host %s, %s", got.Authority, diff)
			}
			if diff := cmp.Diff(tt.steps, routeStepLines(t, steps)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(map[string]string{"gone": "sent", "x-b": "sent"}, q.Headers); diff != "" {
				t.Errorf("the request was changed: %s", diff)
			}
		})
	}
}
