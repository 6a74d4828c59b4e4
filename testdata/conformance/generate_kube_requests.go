package conformance

import "strings"

// request is a command line: most enter by one of the listeners, some come from a workload. The first question of a mesh
// is what becomes of its objects.
func (k *kube) request() []string {
	if !k.asked {
		k.asked = true
		return []string{conversionQuestion}
	}
	if k.chance(30) {
		return k.withinKube()
	}
	args := []string{"--from", "external"}
	s := k.servers[k.IntN(len(k.servers))]
	scheme, port := s.scheme, s.port
	if k.chance(10) {
		port = k.one("80", "443", "8080", "8443", "9000")
	}
	if scheme == "http" && k.chance(20) {
		scheme = "grpc"
	}
	if k.chance(70) {
		args = append(args, "--gateway", s.gateway)
	}
	host := k.aimed(s.hosts)
	if k.chance(25) {
		host = k.one("shop.example.com", "api.example.com", "x.shop.example.com", "x.example.com", "other.org")
	}
	if strings.Contains(s.mode, "MUTUAL") && k.chance(70) {
		args = append(args, "--client-cert", "spiffe://cluster.local/ns/shop/sa/web")
	}
	return append(args, k.bytes(scheme, host+":"+port)...)
}

// withinKube is a workload that calls a Service, or a gateway.
func (k *kube) withinKube() []string {
	args := []string{"--from", k.one("shop/deployment/web", "shop/deployment/web", "team/deployment/c", "shop/deployment/b")}
	host := k.one("a.shop", "a.shop", "c.team", "c.team", "b.shop", "a.shop.svc.cluster.local", "ext.example.com")
	port := k.one(":80", ":80", ":80", ":9000", ":443", ":8080")
	if k.chance(12) {
		namespace, name, _ := strings.Cut(k.one(k.doors...), "/")
		host = name + "." + namespace
	}
	scheme := k.one("http", "http", "http", "grpc", "tcp", "https", "tls")
	out := append(args, k.bytes(scheme, host+port)...)
	for i, a := range out {
		if a == "--client-cert" { // an application's own certificate is not of the mesh's authority
			out[i+1] = "client.example.com"
		}
	}
	return out
}
