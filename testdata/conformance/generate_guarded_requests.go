package conformance

import "strings"

// request is a command line.
func (g *guarded) request() []string {
	if g.chance(40) {
		return g.fromOutside()
	}
	return g.fromInside()
}

func (g *guarded) fromInside() []string {
	kind := "deployment"
	if g.running {
		kind = "pod"
	}
	args := []string{"--from", strings.ReplaceAll(g.one("shop/KIND/web", "shop/KIND/web", "shop/KIND/web", "team/KIND/d", "team/KIND/d", "shop/KIND/old", "shop/KIND/b"), "KIND", kind)}
	host := g.one("a.shop", "a.shop", "a.shop", "b.shop", "b.shop", "c.team", "a.shop.svc.cluster.local")
	switch n := g.IntN(100); {
	case n < 62:
		return g.http(args, "http", host+g.one("", "", "", "", ":7000"))
	case n < 72:
		return append(args, "tcp://"+host+g.one(":9000", ":9000", ":7000"))
	case n < 80:
		return g.http(args, "grpc", host+":7070")
	case n < 85:
		return g.http(args, "http", host+":9000")
	case n < 88:
		return append(args, "tls://"+host+g.one(":9000", ":7000"))
	case n < 91 && g.running:
		return g.http(args, "http", g.one("10.244.0.2", "10.244.0.3", "10.244.0.4")+g.one(":8080", ":7000", ":8081"))
	}
	return g.http(append(args, "-H", "host: shop.example.com"), "http", "ingress.istio-system")
}

func (g *guarded) fromOutside() []string {
	args := []string{"--from", "external"}
	if g.chance(75) {
		args = append(args, "--source-ip", g.one("203.0.113.7", "203.0.113.9", "198.51.100.7", "10.0.0.1", "2001:db8::1"))
	}
	host := g.one("shop.example.com", "shop.example.com", "shop.example.com", "shop.example.com", "SHOP.example.com", "other.example.com")
	certificate := func(percent int) {
		if g.chance(percent) {
			args = append(args, "--client-cert", g.one("spiffe://"+g.domain+"/ns/shop/sa/web", "spiffe://"+g.domain+"/ns/shop/sa/web", "spiffe://elsewhere/ns/x/sa/y", "client.example.com"))
		}
	}
	switch n := g.IntN(100); {
	case n < 62:
		return g.http(args, "http", host)
	case n < 74:
		certificate(15)
		return g.http(args, "https", host)
	case n < 88:
		certificate(80)
		return g.http(args, "https", host+":15443")
	case n < 95:
		return append(args, "tcp://shop.example.com:31400")
	}
	return append(args, "tls://shop.example.com:15444")
}

// http is an HTTP request's details.
func (g *guarded) http(args []string, scheme, authority string) []string {
	credentials, params := g.credentials()
	args = append(args, credentials...)
	if g.chance(30) {
		args = append(args, "-H", "x-q: "+g.one("one", "two", "other", ""))
	}
	if g.chance(12) {
		args = append(args, "-H", g.one("x-user: alice", "x-user: root", "x-level: 7", "x-payload: e30"))
	}
	if g.chance(20) {
		args = append(args, "-H", "x-forwarded-for: "+g.one("203.0.113.7", "198.51.100.7, 203.0.113.7", "203.0.113.7,10.0.0.1", "192.0.2.1, 203.0.113.7, 10.0.0.1", "nonsense"))
	}
	if scheme == "grpc" {
		return append(args, "grpc://"+authority+g.one("/p.S/M", "/p.S/N", "/a.S/x"))
	}
	if g.chance(7) {
		args = append(args, "-H", g.one("x-forwarded-proto: https", "user-agent: curl", "accept: */*"))
	}
	if g.chance(4) && !strings.Contains(strings.Join(args, " "), "host: ") {
		args = append(args, "-H", "host: "+g.one("a.shop:80", "A.shop", "shop.example.com:8080", "b.shop.svc.cluster.local:80"))
	}
	switch {
	case g.chance(15):
		args = append(args, "-X", g.one("POST", "PUT", "DELETE"))
	case g.chance(12):
		args = append(args, "-X", "OPTIONS", "-H", "origin: "+g.one("https://a.example", "https://b.example"), "-H", "access-control-request-method: "+g.one("GET", "POST"))
	}
	if g.chance(15) {
		params = append(params, g.one("q=1", "q=a%20b", "z=2&b=1"))
	}
	query := ""
	if len(params) > 0 {
		query = "?" + strings.Join(params, "&")
	}
	return append(args, scheme+"://"+authority+g.one("", "/", "/a", "/a", "/a/x", "/a/b", "/a/b/x", "/admin", "/admin", "/admin/", "/A", "/b/x", "/a//x", "/a/../admin", "/admin/../a", "/a%2Fx", "/a%2fx", "/%61dmin", "/a/./b", "//a", "/a/x.html", "/a;v=1", "/b/..%2fadmin", "/a%5Cx", "/m*n", "/a/x/y", "/a/%2e%2e/admin", "/a/..", "/a/.", "/%41", "/a%20b", "/a/b/..;/x", "/a///x", "/a%2", "/..//admin", "/a/%2E/x")+query)
}
