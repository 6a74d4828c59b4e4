package conformance

import (
	"slices"
	"strings"
)

// request is a command line.
func (e *edge) request() []string {
	if e.chance(22) {
		return e.fromWithin()
	}
	args := []string{"--from", "external"}
	if e.chance(4) { // a proxy of another cluster, by the name of its cluster for a service here
		return append(args, "--sni", e.one("outbound_.80_._.a.shop.svc.cluster.local", "outbound_.80_.v1_.a.shop.svc.cluster.local", "outbound_.443_._.a.shop.svc.cluster.local", "outbound_.80_._.ext.example.com"),
			e.one("tls", "https")+"://"+e.name()+e.one(":15443", ":15443", ":443"))
	}
	if e.chance(70) {
		return append(args, e.aim()...)
	}
	if e.chance(60) {
		args = append(args, "--source-ip", e.one("203.0.113.5", "198.51.100.7"))
	}
	if len(e.doors) > 0 && e.chance(40) {
		args = append(args, "--gateway", e.one(e.doors...))
	}
	scheme := e.one("http", "http", "http", "http", "http", "https", "https", "https", "https", "grpc", "grpcs", "tls", "tls", "tcp", "tcp")
	port := map[string]string{
		"http": e.one("", "", "", "", ":8080", ":80", ":443", ":9000", ":31400", ":81"), "grpc": e.one("", "", ":8080", ":9000"),
		"https": e.one("", "", "", "", ":8443", ":443", ":15443", ":80"), "grpcs": e.one("", ":8443"),
		"tls": e.one("", "", ":15443", ":8443", ":31400"), "tcp": e.one(":31400", ":31400", ":9000", ":80", ":443"),
	}[scheme]
	return append(args, e.bytes(scheme, e.name()+port)...)
}

// aim is a request for one of the servers.
func (e *edge) aim() []string {
	s := e.servers[e.IntN(len(e.servers))]
	port := ":" + s.port
	if s.scheme == "http" && s.port == "80" || s.scheme != "http" && s.port == "443" && s.scheme != "tcp" {
		port = e.one("", port)
	}
	var args []string
	if len(e.doors) > 0 && e.chance(30) {
		args = append(args, "--gateway", e.one(e.doors...))
	}
	args = append(args, e.bytes(s.scheme, e.aimed(s.hosts)+port)...)
	if strings.Contains(s.mode, "MUTUAL") && e.chance(70) {
		args = append(args, "--client-cert", "spiffe://cluster.local/ns/shop/sa/web") // the last one counts
	}
	return args
}

func (e *edge) name() string {
	return e.one("shop.example.com", "shop.example.com", "shop.example.com", "api.example.com", "x.shop.example.com", "x.example.com", "other.org", "SHOP.example.com", "shop.example.com.", "ext.example.com", "a.shop.svc.cluster.local", "203.0.113.1")
}

// bytes are the flags that tell what the client sends, and the URL.
func (e *edge) bytes(scheme, authority string) []string {
	var args []string
	if strings.HasSuffix(scheme, "s") {
		if e.chance(15) {
			args = append(args, "--sni", e.one("shop.example.com", "api.example.com", "x.example.com"))
		}
		if e.chance(30) {
			args = append(args, "--client-cert", e.one("spiffe://cluster.local/ns/shop/sa/web", "spiffe://cluster.local/ns/shop/sa/web", "spiffe://elsewhere/ns/x/sa/y", "client.example.com"))
		}
	}
	url := scheme + "://" + authority
	switch scheme {
	case "tcp", "tls":
		return append(args, url)
	case "grpc", "grpcs":
		return append(args, url+"/p.S/M")
	}
	if e.chance(20) {
		args = append(args, "-H", "host: "+e.one("shop.example.com:8080", "api.example.com", "SHOP.example.com", "shop.example.com.", "x.shop.example.com:80", "other.org", "ext.example.com"))
	}
	if e.chance(12) {
		args = append(args, "-H", "x-forwarded-proto: "+e.one("https", "http"))
	}
	if e.chance(10) {
		args = append(args, "-H", "x-forwarded-for: "+e.one("192.0.2.1", "192.0.2.1, 203.0.113.9"))
	}
	if e.chance(25) {
		args = append(args, "-H", "x-q: "+e.one("one", "two"))
	}
	switch {
	case e.chance(8):
		args = append(args, "-X", "POST")
	case e.chance(8):
		args = append(args, "-X", "OPTIONS", "-H", "origin: "+e.one("https://a.example", "https://b.example"), "-H", "access-control-request-method: GET")
	}
	return append(args, url+e.one("", "/", "/a", "/a", "/a/x", "/A", "/?q=1", "/b//c/../x", "/%61", "/a%2Fx", "//a", "/a;x=1"))
}

// fromWithin is a workload that calls a gateway, or a name outside that may lead through one.
func (e *edge) fromWithin() []string {
	args := []string{"--from", e.one("shop/deployment/web", "shop/deployment/web", "team/deployment/c")}
	host := e.one("ext.example.com", "ext.example.com", "ext.example.com", "shop.example.com", "a.shop", "api.example.com")
	if len(e.doors) > 0 && e.chance(50) {
		namespace, name, _ := strings.Cut(e.one(e.doors...), "/")
		host = name + "." + namespace
	}
	scheme := e.one("http", "http", "http", "https", "tls", "tcp")
	port := map[string]string{"http": e.one("", "", ":443", ":8080"), "https": e.one("", "", ":15443"), "tls": e.one("", ":15443"), "tcp": e.one(":31400", ":80", ":443")}[scheme]
	args = append(args, e.bytes(scheme, host+port)...)
	if slices.Contains(args, "--client-cert") {
		// One of the mesh's authority, shown by an application itself, the tracer takes for foreign TLS at a sidecar.
		args = append(args, "--client-cert", "client.example.com")
	}
	return args
}
