package conformance

import "strings"

// request is a command line.
func (g generator) request() []string {
	if g.chance(25) {
		return g.externalRequest()
	}
	return g.internalRequest()
}

// internalRequest comes from a workload.
func (g generator) internalRequest() []string {
	args := []string{"--from", g.one("shop/deployment/web", "shop/deployment/web", "team/deployment/d", "shop/deployment/b")}
	scheme := g.one("http", "http", "http", "http", "http", "http", "https", "grpc", "tcp")
	host := g.one("a.shop", "a.shop", "b.shop.svc.cluster.local", "c.team", "a.shop.svc", "ext.example.com", "api.example.com", "nowhere.example.org")
	port := g.one("", "", "", ":9090", ":8080", ":443")
	if scheme == "tcp" && port == "" {
		port = ":80"
	}
	return g.details(args, scheme+"://"+host+port)
}

// details are the path, method and headers.
func (g generator) details(args []string, url string) []string {
	if strings.HasPrefix(url, "grpc") {
		return append(args, url+"/p.S/M")
	}
	if !strings.HasPrefix(url, "tcp") {
		url += g.one("/", "/", "/a", "/a/x", "/A", "/?q=1", "/b//c/../x")
	}
	if g.chance(30) {
		args = append(args, "-H", "x-q: "+g.one("one", "two"))
	}
	if g.chance(10) {
		args = append(args, "-H", "host: "+g.one("b.shop", "api.example.com", "a.shop:80", "a"))
	}
	switch {
	case g.chance(10):
		args = append(args, "-X", "POST")
	case g.chance(8):
		args = append(args, "-X", "OPTIONS", "-H", "origin: https://a.example", "-H", "access-control-request-method: GET")
	}
	return append(args, url)
}
