package trace

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseURL(t *testing.T) {
	for _, tc := range []struct {
		name, url string
		want      Target
	}{
		{"a short name", "reviews", Target{HTTP, "reviews", "reviews", 80, "/", ""}},
		{"a port", "reviews.shop:9080", Target{HTTP, "reviews.shop", "reviews.shop", 9080, "/", ""}},
		{"a path", "reviews/0", Target{HTTP, "reviews", "reviews", 80, "/0", ""}},
		{"path and query", "http://reviews:9080/a/b?c=d&e", Target{HTTP, "reviews", "reviews", 9080, "/a/b", "c=d&e"}},
		{"a query without a path", "reviews?x=1", Target{HTTP, "reviews", "reviews", 80, "/", "x=1"}},
		{"a second question mark belongs to the query", "reviews/?a?b", Target{HTTP, "reviews", "reviews", 80, "/", "a?b"}},
		{"a URL within the query is no scheme", "reviews?to=https://x/", Target{HTTP, "reviews", "reviews", 80, "/", "to=https://x/"}},
		{"a URL within the path is no scheme", "reviews/https://x/", Target{HTTP, "reviews", "reviews", 80, "/https://x/", ""}},
		{"escapes and dot segments stay as typed", "reviews/a%2Fb/../c//d", Target{HTTP, "reviews", "reviews", 80, "/a%2Fb/../c//d", ""}},
		{"https", "https://shop.example.com", Target{HTTPS, "shop.example.com", "shop.example.com", 443, "/", ""}},
		{"a scheme in capitals", "HTTPS://shop.example.com", Target{HTTPS, "shop.example.com", "shop.example.com", 443, "/", ""}},
		{"a host in capitals", "Shop.Example.com", Target{HTTP, "shop.example.com", "Shop.Example.com", 80, "/", ""}},
		{"a final dot", "reviews.shop.svc.cluster.local.", Target{HTTP, "reviews.shop.svc.cluster.local", "reviews.shop.svc.cluster.local.", 80, "/", ""}},
		{"an underscore", "my_svc", Target{HTTP, "my_svc", "my_svc", 80, "/", ""}},
		{"a namespace of digits", "reviews.1", Target{HTTP, "reviews.1", "reviews.1", 80, "/", ""}},
		{"grpc", "grpc://greeter/hello.v1.Greeter/SayHello", Target{GRPC, "greeter", "greeter", 80, "/hello.v1.Greeter/SayHello", ""}},
		{"grpc without a package", "grpcs://greeter/Greeter/SayHello", Target{GRPCS, "greeter", "greeter", 443, "/Greeter/SayHello", ""}},
		{"tcp", "tcp://mysql.shop:3306", Target{TCP, "mysql.shop", "mysql.shop", 3306, "", ""}},
		{"tcp with a bare slash", "tcp://mysql.shop:3306/", Target{TCP, "mysql.shop", "mysql.shop", 3306, "", ""}},
		{"tls", "tls://db.example.com", Target{TLS, "db.example.com", "db.example.com", 443, "", ""}},
		{"udp", "udp://dns:53", Target{UDP, "dns", "dns", 53, "", ""}},
		{"IPv4", "10.0.0.1:8080/x", Target{HTTP, "10.0.0.1", "10.0.0.1", 8080, "/x", ""}},
		{"IPv6", "http://[2001:DB8::0:1]:8080/x", Target{HTTP, "2001:db8::1", "2001:DB8::0:1", 8080, "/x", ""}},
		{"IPv6 without a port", "[::1]", Target{HTTP, "::1", "::1", 80, "/", ""}},
		{"the last port", "reviews:65535", Target{HTTP, "reviews", "reviews", 65535, "/", ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseURL(tc.url)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseURLRefusals(t *testing.T) {
	for _, tc := range []struct{ name, url, want string }{
		{"nothing", "", `URL is empty: expected [scheme://]host[:port][/path][?query]`},
		{"an unknown scheme", "ftp://reviews", `URL "ftp://reviews": scheme "ftp" is not known; expected one of http, https, grpc, grpcs, tcp, tls, udp`},
		{"no scheme before ://", "://reviews", `URL "://reviews": scheme "" is not known; expected one of http, https, grpc, grpcs, tcp, tls, udp`},
		{"no host", "http:///x", `URL "http:///x": has no host`},
		{"a port only", ":80", `URL ":80": has no host`},
		{"an empty port", "reviews:", `URL "reviews:": expected a port behind the colon, or scheme://host`},
		{"port 0", "reviews:0", `URL "reviews:0": port "0" is not a number from 1 to 65535`},
		{"a large port", "reviews:65536", `URL "reviews:65536": port "65536" is not a number from 1 to 65535`},
		{"a signed port", "reviews:+80", `URL "reviews:+80": port "+80" is not a number from 1 to 65535`},
		{"a named port", "reviews:http", `URL "reviews:http": port "http" is not a number from 1 to 65535`},
		{"tcp without a port", "tcp://mysql", `URL "tcp://mysql": tcp has no default port; expected tcp://mysql:PORT`},
		{"udp without a port", "udp://dns", `URL "udp://dns": udp has no default port; expected udp://dns:PORT`},
		{"tcp with a path", "tcp://mysql:3306/x", `URL "tcp://mysql:3306/x": a tcp connection has no path; expected tcp://mysql:3306`},
		{"udp with a query", "udp://dns:53?x", `URL "udp://dns:53?x": a udp connection has no path; expected udp://dns:53`},
		{"grpc without a method", "grpc://greeter", `URL "grpc://greeter": a gRPC call names its method: expected grpc://greeter/package.Service/Method`},
		{"grpc with half a method", "grpc://greeter/hello.Greeter", `URL "grpc://greeter/hello.Greeter": a gRPC call names its method: expected grpc://greeter/package.Service/Method`},
		{"grpc with a query", "grpc://greeter/a.B/C?d", `URL "grpc://greeter/a.B/C?d": a gRPC call names its method: expected grpc://greeter/package.Service/Method`},
		{"bare IPv6", "2001:db8::1", `URL "2001:db8::1": an IPv6 address stands in brackets: [2001:db8::1]:80`},
		{"open bracket", "[::1", `URL "[::1": expected an IPv6 address in the brackets`},
		{"a name in brackets", "[reviews]", `URL "[reviews]": expected an IPv6 address in the brackets`},
		{"IPv4 in brackets", "[10.0.0.1]", `URL "[10.0.0.1]": expected an IPv6 address in the brackets`},
		{"a zone", "[fe80::1%eth0]", `URL "[fe80::1%eth0]": expected an IPv6 address in the brackets`},
		{"text behind brackets", "[::1]x", `URL "[::1]x": expected a port or nothing after the brackets, not "x"`},
		{"almost IPv4", "10.0.0", `URL "10.0.0": "10.0.0" is neither an IP address nor a name`},
		{"too large IPv4", "10.0.0.256", `URL "10.0.0.256": "10.0.0.256" is neither an IP address nor a name`},
		{"a wildcard", "*.example.com", `URL "*.example.com": a request goes to one host, not to a wildcard`},
		{"an empty label", "a..b", `URL "a..b": "a..b" is not a host name`},
		{"other letters", "bücher.example", `URL "bücher.example": "bücher.example" is not a host name; a name in other letters is written in punycode: xn--…`},
		{"a long label", strings.Repeat("a", 64), `URL "` + strings.Repeat("a", 64) + `": "` + strings.Repeat("a", 64) + `" is not a host name`},
		{"a user", "http://me:secret@reviews", `URL has a user name before the host; send it with --header 'Authorization: Basic …'`},
		{"a fragment", "reviews/#top", `URL "reviews/#top": a client never sends the fragment (#…); leave it out`},
		{"a space", "reviews/a b", `URL "reviews/a b": has spaces or control characters; percent-encode them`},
		{"a control character", "reviews/\x1b[31m", `URL "reviews/\x1b[31m": has spaces or control characters; percent-encode them`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseURL(tc.url)
			if err == nil {
				t.Fatal("not refused")
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAuthority(t *testing.T) {
	for _, tc := range []struct {
		name, url string
		headers   []string
		want      string
	}{
		{"the default port is left out", "http://reviews:80", nil, "reviews"},
		{"another port is sent", "http://reviews:9080", nil, "reviews:9080"},
		{"443 is not http's", "http://reviews:443", nil, "reviews:443"},
		{"443 is https's", "https://reviews:443", nil, "reviews"},
		{"80 is grpc's", "grpc://reviews:80/a.B/C", nil, "reviews"},
		{"443 is grpcs's", "grpcs://reviews/a.B/C", nil, "reviews"},
		{"case and final dot are kept", "Reviews.Shop.:9080", nil, "Reviews.Shop.:9080"},
		{"IPv6 is bracketed", "[::1]:8080", nil, "[::1]:8080"},
		{"IPv6 without a port", "[::1]", nil, "[::1]"},
		{"a Host header replaces it", "http://10.0.0.1:8080", []string{"Host: shop.example.com"}, "shop.example.com"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q, err := NewRequest(Typed{URL: tc.url, Headers: tc.headers})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, q.Authority()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzParseURL checks what holds of every accepted URL: it has the parts its
// scheme needs, and written out it means the same again.
func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{
		"reviews", "http://Reviews.shop.:9080/a?b=c", "https://[2001:db8::1]:8443/", "grpc://g/a.B/C",
		"tcp://10.0.0.1:3306", "udp://dns:53", "tls://x", "a..b", "[::1", "x@y", "*", "://", "a?://", "1.2.3",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, url string) {
		target, err := ParseURL(url)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("the refusal of %q is not one clean line: %q", url, err)
			}
			return
		}
		if target.Host == "" || target.Host != strings.ToLower(target.Host) || target.Port < 1 || target.Port > 65535 {
			t.Errorf("%q became %+v", url, target)
		}
		if target.Scheme.IsHTTP() != strings.HasPrefix(target.Path, "/") {
			t.Errorf("%q became %+v", url, target)
		}
		q := Request{Scheme: target.Scheme, Host: target.Host, WrittenHost: target.WrittenHost, Port: target.Port}
		authority := q.Authority()
		if _, err := netip.ParseAddr(authority); err == nil && strings.Contains(authority, ":") {
			t.Errorf("%q has the authority %q without brackets", url, authority)
		}
		again := string(target.Scheme) + "://" + authority + target.Path
		if target.Query != "" {
			again += "?" + target.Query
		}
		second, err := ParseURL(again)
		if err != nil {
			t.Fatalf("%q was accepted and %q was not: %v", url, again, err)
		}
		if diff := cmp.Diff(target, second); diff != "" {
			t.Errorf("%q and %q differ:\n%s", url, again, diff)
		}
	})
}
