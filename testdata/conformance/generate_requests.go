package conformance

import "strings"

// request is a command line.
func (g generator) request() []string {
	if g.chance(5) {
		return g.externalRequest()
	}
	return g.internalRequest()
}

// internalRequest comes from a workload.
func (g generator) internalRequest() []string {
	args := []string{"--from", g.one("shop/deployment/web", "shop/deployment/web", "shop/deployment/web", "team/deployment/d", "shop/deployment/b", "shop/deployment/old")}
	if g.chance(4) {
		args = []string{"-n", g.one("shop", "team")}
	}
	scheme := g.one("http", "http", "http", "http", "http", "http", "https", "grpc", "tcp", "tls")
	host := g.dialled()
	port := g.one("", "", "", "", ":80", ":9090", ":8080", ":443", ":3306", ":81")
	if (scheme == "tcp" || scheme == "tls") && port == "" {
		port = g.one(":80", ":443")
	}
	if scheme == "tls" || scheme == "https" {
		args = append(args, strings.Fields(g.when(15, "--sni "+g.one("api.example.com", "a.shop.svc.cluster.local", "shop.example.com")))...)
	}
	return g.details(args, scheme+"://"+host+port)
}

// dialled is a host in the URL: a name of a Service that the mesh has, or something from outside.
func (g generator) dialled() string {
	if g.chance(60) {
		for range 20 {
			name := g.one("a.shop", "a.shop", "a.shop", "b.shop", "b.shop", "c.team", "c.team", "db.shop", "alias.shop", "manual.shop", "a2.shop")
			if g.names[name] {
				return g.one("", "", "", strings.Repeat("db-0.", strings.Count(name, "db."))) + g.one(name, name, name+".svc", name+".svc.cluster.local", strings.ToUpper(name), name+".svc.cluster.local.")
			}
		}
	}
	return g.one("ext.example.com", "ext.example.com", "api.example.com", "api.example.com", "api.example.com", "x.wild.example.com", "nowhere.example.org", "virtual.example.net", "other.example.com",
		"10.96.7.1", "10.244.7.1", "192.0.2.1", "192.0.2.77", "198.51.100.10", "198.51.100.100")
}

// details are the path, method and headers.
func (g generator) details(args []string, url string) []string {
	if strings.HasPrefix(url, "tcp") || strings.HasPrefix(url, "tls") {
		return append(args, url)
	}
	if strings.HasPrefix(url, "grpc") {
		url += "/p.S/M"
	} else {
		url += g.one("", "/", "/", "/a", "/a", "/a/x", "/A", "/ab", "/?q=1", "/a?q=", "/b//c/../x", "/a%2Fb", "/new")
	}
	if g.chance(30) {
		args = append(args, "-H", "x-q: "+g.one("one", "two", "other"))
	}
	if g.chance(14) {
		args = append(args, "-H", "host: "+g.one("b.shop", "api.example.com", "a.shop:80", "a", "B.shop", "a.shop.svc.cluster.local.", "c.team:9090", "10.96.7.2", "db-0.db.shop.svc.cluster.local", "shop.example.com", "alias.shop.svc.cluster.local", "db.shop"))
	}
	switch {
	case strings.HasPrefix(url, "grpc"):
	case g.chance(12):
		args = append(args, "-X", g.one("POST", "PUT", "HEAD", "DELETE"))
	case g.chance(8):
		args = append(args, "-X", "OPTIONS", "-H", "origin: https://a.example", "-H", "access-control-request-method: GET")
	}
	return append(args, url)
}
