package conformance

import (
	"fmt"
	"strings"
)

func (g generator) services() []string {
	var docs []string
	for _, s := range []struct{ namespace, name string }{{"shop", "a"}, {"shop", "b"}, {"team", "c"}} {
		port := fmt.Sprintf("{name: %s, port: 80, targetPort: %s}", g.one("http", "http", "http-x", "tcp", "web", "https", "tls", "grpc"), g.one("8080", "8080", "api", "80"))
		if g.chance(40) {
			port += fmt.Sprintf(", {name: %s, port: %s, targetPort: %s%s}", g.one("http2", "tcp-2", "admin"), g.one("9090", "443", "8080"), g.one("9090", "8443"), g.when(20, ", appProtocol: "+g.one("http", "tcp", "https")))
		}
		docs = append(docs, object("v1", "Service", s.namespace, s.name, fmt.Sprintf("spec: {selector: {app: %s}, %sports: [%s]}", s.name, g.when(12, "clusterIP: None, "), port)))
	}
	return docs
}

func (g generator) serviceEntry(i int) string {
	// A ServiceEntry with the host of a Service is left out: which of the two a sidecar sees is a known disagreement.
	host := g.one("ext.example.com", "api.example.com", "api.example.com")
	resolution := g.one("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN")
	protocol, number := "HTTP", g.one("80", "80", "8080")
	if g.chance(25) {
		protocol, number = g.one("HTTPS", "TLS", "TCP"), g.one("443", "80")
	}
	text := fmt.Sprintf("hosts: [%s], resolution: %s, location: %s, ports: [{number: %s, name: %s-%s, protocol: %s%s}]%s", host, resolution, g.one("MESH_EXTERNAL", "MESH_INTERNAL"), number, strings.ToLower(protocol), number, protocol, g.when(20, ", targetPort: 8888"), g.exportTo())
	if g.chance(30) {
		text += ", addresses: [192.0.2." + g.one("1", "2") + "]"
	}
	switch resolution {
	case "STATIC":
		if g.chance(30) {
			text += ", workloadSelector: {labels: {app: " + g.one("b", "c") + "}}"
		} else {
			text += ", endpoints: [{address: 198.51.100.1}" + g.when(30, ", {address: 198.51.100.2, labels: {version: v1}}") + "]"
		}
	case "DNS", "DNS_ROUND_ROBIN":
		text += g.when(30, ", endpoints: [{address: backend.example.net}]")
	}
	return object("networking.istio.io/v1", "ServiceEntry", g.one("shop", "team", "istio-system"), fmt.Sprintf("se%d", i), "spec: {"+text+"}")
}
