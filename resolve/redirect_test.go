package resolve

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRedirectLocation(t *testing.T) {
	plain := HTTPRequest{Scheme: "http", Authority: "a.com", Path: "/x/y", Query: "q=1"}
	tests := []struct {
		name, entry string
		change      func(*HTTPRequest)
		want        string
	}{
		{"no redirect", "name: x", nil, "0 "},
		{"code alone", "redirect: {redirectCode: 302}", nil, "302 http://a.com/x/y?q=1"},
		{"a code that is none", "redirect: {redirectCode: 305}", nil, "0 "},
		{"uri replaces the path", "redirect: {uri: /new}", nil, "301 http://a.com/new?q=1"},
		{"uri with a query of its own", "redirect: {uri: \"/new?z\"}", nil, "301 http://a.com/new?z"},
		{"authority", "redirect: {authority: b.com}", nil, "301 http://b.com/x/y?q=1"},
		{"authority replaces the port too", "redirect: {authority: b.com}", func(q *HTTPRequest) { q.Authority = "a.com:81" }, "301 http://b.com/x/y?q=1"},
		{"scheme", "redirect: {scheme: https}", nil, "301 https://a.com/x/y?q=1"},
		{"scheme, contradicting port", "redirect: {scheme: https}", func(q *HTTPRequest) { q.Authority = "a.com:80" }, "301 https://a.com/x/y?q=1"},
		{"scheme, other port stays", "redirect: {scheme: https}", func(q *HTTPRequest) { q.Authority = "a.com:81" }, "301 https://a.com:81/x/y?q=1"},
		{"from https to http", "redirect: {scheme: http}", func(q *HTTPRequest) { q.Scheme, q.Authority = "https", "a.com:443" }, "301 http://a.com/x/y?q=1"},
		{"the request's scheme", "redirect: {uri: /}", func(q *HTTPRequest) { q.Scheme = "https" }, "301 https://a.com/?q=1"},
		{"port", "redirect: {port: 8443}", func(q *HTTPRequest) { q.Authority = "a.com:81" }, "301 http://a.com:8443/x/y?q=1"},
		{"default port", "redirect: {port: 80}", nil, "301 http://a.com/x/y?q=1"},
		{"default port of the scheme", "redirect: {port: 443, scheme: https}", nil, "301 https://a.com/x/y?q=1"},
		{"the other scheme's port", "redirect: {port: 443}", nil, "301 http://a.com:443/x/y?q=1"},
		{"derived from the request's port", "redirect: {derivePort: FROM_REQUEST_PORT}", nil, "301 http://a.com:8080/x/y?q=1"},
		{"derived from the protocol", "redirect: {derivePort: FROM_PROTOCOL_DEFAULT}", nil, "301 http://a.com/x/y?q=1"},
		{"prefix rewrite", "match: [{uri: {prefix: /x}}]\nredirect: {prefixRewrite: /z}", nil, "301 http://a.com/z/y?q=1"},
		{"IPv6", "redirect: {port: 81}", func(q *HTTPRequest) { q.Authority = "[::1]:80" }, "301 http://[::1]:81/x/y?q=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := plain
			if tt.change != nil {
				tt.change(&q)
			}
			status, location := RedirectLocation(routeOf(t, tt.entry), &q)
			if diff := cmp.Diff(tt.want, fmt.Sprintf("%d %s", status, location)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
