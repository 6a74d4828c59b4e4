package conformance

import (
	"fmt"
	"strings"
)

// mixedMeshConfig is one in some of the meshes.
func (g *mixed) mixedMeshConfig() []string {
	if g.chance(65) {
		return nil
	}
	lines := []string{"    enablePrometheusMerge: true"}
	add := func(percent int, line string) {
		if g.chance(percent) {
			lines = append(lines, "    "+line)
		}
	}
	add(30, "outboundTrafficPolicy: {mode: REGISTRY_ONLY}")
	add(20, "rootNamespace: "+g.one("shop", "far"))
	add(25, "trustDomain: td.example.com")
	add(20, "trustDomainAliases: [cluster.local]")
	add(15, "enableAutoMtls: false")
	add(15, "defaultVirtualServiceExportTo: [\".\"]")
	add(15, "defaultDestinationRuleExportTo: [\".\"]")
	add(10, "defaultServiceExportTo: [\".\"]")
	add(15, "pathNormalization: {normalization: "+g.one("NONE", "MERGE_SLASHES")+"}")
	add(10, "defaultHttpRetryPolicy: {attempts: 0}")
	return []string{object("v1", "ConfigMap", "istio-system", "istio", "data:\n  mesh: |\n"+strings.Join(lines, "\n"))}
}

// hostOutside is a ServiceEntry, with a waypoint in most cases.
func (g *mixed) hostOutside(i int) string {
	hosts, ports := "[one.example.com]", "[{number: 80, name: http, protocol: HTTP}, {number: 443, name: https, protocol: "+g.one("TLS", "HTTPS")+"}, {number: 9000, name: tcp, protocol: TCP}, {number: 7000, name: x}]"
	resolution, endpoints := g.one("STATIC", "STATIC", "DNS", "NONE", "DYNAMIC_DNS"), ""
	switch resolution {
	case "STATIC":
		endpoints = g.one("endpoints: [{address: 203.0.113.81}, {address: 203.0.113.82, labels: {version: v1}}]", "endpoints: [{address: 203.0.113.81, ports: {http: 8080}}]", "workloadSelector: {labels: {app: "+g.one("a", "b", "vm")+"}}")
	case "DNS":
		endpoints = g.when(40, "endpoints: [{address: "+g.one("two.example.com", "b.shop.svc.cluster.local")+"}]")
	case "DYNAMIC_DNS":
		hosts = "[\"*.wild.example.com\"]"
	}
	return fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: one%d, namespace: %s, labels: %s}\nspec: %s\n", i, g.one("shop", "far", "outer"), fields("kind: any", g.waypointLabels(70), g.ingressLabel(20)),
		fields("hosts: "+hosts, g.when(75, fmt.Sprintf("addresses: [198.51.100.%d]", 20+i)), "location: "+g.one("MESH_EXTERNAL", "MESH_INTERNAL"), "resolution: "+resolution, "ports: "+ports, endpoints, g.when(15, "exportTo: [\".\"]")))
}

// entryOf is a WorkloadEntry.
func (g *mixed) entryOf(i int) string {
	return fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: vm%d, namespace: shop, labels: %s}\nspec: {address: 172.16.0.%d, labels: {app: %s}}\n", i, fields("app: "+g.one("a", "vm"), g.waypointLabels(20)), i+1, g.one("a", "vm", "b"))
}

// otherRoute is a GRPCRoute or a TLSRoute of a Service, or an HTTPRoute of a ServiceEntry.
func (g *mixed) otherRoute(i int) string {
	backend := "backendRefs: [{name: " + g.one("a, namespace: shop", "b, namespace: shop", "f, namespace: far") + ", port: " + g.one("80", "7000") + "}]"
	switch g.IntN(3) {
	case 0:
		return object(gatewayAPI, "GRPCRoute", "shop", fmt.Sprintf("gr%d", i), "spec: {parentRefs: [{group: \"\", kind: Service, name: "+g.one("a", "b")+"}], rules: [{"+g.when(60, "matches: [{method: {service: p.S, method: M}}], ")+backend+"}]}")
	case 1:
		return object(gatewayAPI, "TLSRoute", "shop", fmt.Sprintf("tl%d", i), "spec: {parentRefs: [{group: \"\", kind: Service, name: "+g.one("a", "b")+"}], hostnames: ["+g.one("a.shop.svc.cluster.local", "a.shop")+"], rules: [{"+backend+"}]}")
	}
	return object(gatewayAPI, "HTTPRoute", g.one("shop", "far"), fmt.Sprintf("se%d", i), "spec: {parentRefs: [{group: networking.istio.io, kind: ServiceEntry, name: "+g.one("out", "one0")+"}], rules: [{"+g.when(50, "matches: [{path: {value: /a}}], ")+backend+"}]}")
}

// tokenRule is a RequestAuthentication, mostly where a waypoint is meant to ask.
func (g *mixed) tokenRule(i int) string {
	namespace, attachment := g.attached()
	return object("security.istio.io/v1", "RequestAuthentication", namespace, fmt.Sprintf("ra%d", i), "spec: "+fields(attachment, "jwtRules: [{issuer: https://idp.example.com, jwksUri: https://idp.example.com/keys}]"))
}

// bearer are the flags by which some requests bring a token.
func (g *mixed) bearer() []string {
	if g.chance(85) {
		return nil
	}
	return []string{"--claim", "iss=" + g.one("https://idp.example.com", "https://idp.example.com", "https://other.example.com"), "--claim", "sub=alice"}
}
