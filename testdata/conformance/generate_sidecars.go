package conformance

import (
	"fmt"
	"slices"
	"strings"
)

func (g generator) sidecar(i int) string {
	namespace := g.one("shop", "shop", "team", "istio-system")
	selector := ""
	if namespace != "istio-system" {
		selector = g.when(45, "workloadSelector: {labels: {app: "+g.one("web", "web", "a", "b", "c")+"}}")
	}
	ingress := ""
	if selector != "" && g.chance(40) {
		ingress = "ingress: " + list(g.lot(2, g.ingressListener))
	}
	egress := ""
	if g.chance(90) {
		listeners := g.lot(3, g.egressListener)
		// A listener without a port catches what the others leave: it stands last.
		slices.SortStableFunc(listeners, func(a, b string) int { return strings.Compare(b[:3], a[:3]) })
		egress = "egress: " + list(listeners)
	}
	return object("networking.istio.io/v1", "Sidecar", namespace, fmt.Sprintf("sc%d", i), "spec: "+fields(selector, egress, ingress, g.outboundPolicy()))
}

func (g generator) outboundPolicy() string {
	if g.chance(75) {
		return ""
	}
	return "outboundTrafficPolicy: " + g.one("{mode: REGISTRY_ONLY}", "{mode: ALLOW_ANY}", "{}", "{mode: ALLOW_ANY, egressProxy: {host: b.shop.svc.cluster.local, port: {number: 80}}}", "{mode: ALLOW_ANY, egressProxy: {host: api.example.com, port: {number: 80}, subset: v1}}")
}

func (g generator) egressListener() string {
	port := ""
	if g.chance(30) {
		protocol := g.one("HTTP", "HTTP", "HTTP", "TCP", "TLS", "GRPC", "HTTPS")
		port = fmt.Sprintf("port: {number: %s, name: p, protocol: %s}", g.one("80", "80", "9090", "443", "8080"), protocol)
	}
	bind := ""
	if port != "" {
		bind = g.one("", "", "", "", "bind: 192.0.2.1", "bind: 127.0.0.1", "captureMode: IPTABLES", "captureMode: NONE")
	}
	return fields(port, bind, "hosts: "+quoted(g.some(3, "./*", "*/*", "shop/*", "team/*", "istio-system/*", "./a.shop.svc.cluster.local", "shop/a.shop.svc.cluster.local", "shop/b.shop.svc.cluster.local", "*/api.example.com", "*/*.example.com", "*/*.shop.svc.cluster.local", "*/alias.shop.svc.cluster.local", "~/*", "./db.shop.svc.cluster.local")))
}

func (g generator) ingressListener() string {
	return fields(fmt.Sprintf("port: {number: %s, name: in, protocol: %s}", g.one("8080", "8080", "80", "9090"), g.one("HTTP", "HTTP", "TCP", "GRPC", "TLS")),
		g.when(70, "defaultEndpoint: "+g.one("127.0.0.1:8080", "127.0.0.1:9999", "0.0.0.0:8081", "unix:///var/run/app.sock")))
}
