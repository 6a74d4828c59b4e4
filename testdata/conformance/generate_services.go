package conformance

import (
	"fmt"
	"strings"
)

func (g generator) services() []string {
	docs := []string{g.service("shop", "a", "a"), g.service("shop", "b", "b"), g.service("team", "c", "c")}
	if g.chance(25) { // two Services of the same pods
		docs = append(docs, g.service("shop", "a2", "a"))
	}
	if g.chance(50) {
		docs = append(docs, object("v1", "Service", "shop", "db", "spec: {clusterIP: None, selector: {app: db}, ports: ["+g.servicePort(0)+"]}"))
	}
	if g.chance(35) {
		docs = append(docs, object("v1", "Service", g.one("shop", "shop", "team"), "alias", "spec: "+fields("type: ExternalName", "externalName: "+g.one("a.shop.svc.cluster.local", "b.shop.svc.cluster.local", "api.example.com", "other.example.org", "alias2.shop.svc.cluster.local"),
			g.when(50, "ports: [{name: "+g.one("http", "tcp", "web")+", port: 80}]"))))
		docs = append(docs, object("v1", "Service", "shop", "alias2", "spec: {type: ExternalName, externalName: "+g.one("a.shop.svc.cluster.local", "api.example.com", "alias.shop.svc.cluster.local")+"}"))
	}
	if g.chance(25) {
		docs = append(docs, g.manual()...)
	}
	return docs
}

func (g generator) service(namespace, name, app string) string {
	ports := []string{g.servicePort(0)}
	if g.chance(40) {
		ports = append(ports, g.servicePort(1))
	}
	annotations := g.when(12, ", annotations: {networking.istio.io/exportTo: \""+g.one(".", "*", "~", "team", "shop", "., team")+"\"}")
	clusterIP := g.when(20, fmt.Sprintf("clusterIP: 10.96.7.%d", map[string]int{"a": 1, "b": 2, "c": 3, "a2": 4}[name]))
	if g.chance(10) {
		clusterIP = "clusterIP: None"
	}
	return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: %s%s}\nspec: %s\n", name, namespace, annotations,
		fields("selector: {app: "+app+"}", clusterIP, g.when(5, "publishNotReadyAddresses: true"), g.when(5, "internalTrafficPolicy: Local"), g.when(8, "trafficDistribution: "+g.one("PreferClose", "PreferSameNode", "PreferSameZone")), "ports: "+list(ports)))
}

func (g generator) servicePort(i int) string {
	number := g.one("80", "80", "80", "80", "443", "3306")
	if i > 0 {
		number = g.one("9090", "8080", "8443", "81")
	}
	name := g.one("http", "http", "http-x", "tcp", "web", "https", "tls", "grpc", "http2", "mysql", "mongo", "redis", "httpfoo", "grpc-web", "x", "udp-x", "http-proxy")
	if i > 0 {
		name += "-2"
	}
	return fields("name: "+name, "port: "+number, g.when(75, "targetPort: "+g.one("8080", "8080", "8080", "api", "80", "9090", "nope")),
		g.when(15, "appProtocol: "+g.one("http", "tcp", "https", "grpc", "kubernetes.io/h2c", "kubernetes.io/ws", "foo.com/bar", "tls", "mongo")))
}

// manual is a Service whose endpoints are written by hand.
func (g generator) manual() []string {
	port := g.one("http", "http", "tcp", "web")
	endpoint := func(i int) string {
		return fields(fmt.Sprintf("addresses: [%s]", g.one(fmt.Sprintf("198.51.100.2%d", i), fmt.Sprintf("198.51.100.3%d", i), fmt.Sprintf("10.244.7.%d", 1+i))),
			g.when(40, "conditions: "+g.one("{ready: false}", "{ready: true}", "{ready: false, terminating: false}", "{}")))
	}
	return []string{
		object("v1", "Service", "shop", "manual", fmt.Sprintf("spec: %s", fields(g.when(25, "clusterIP: None"), fmt.Sprintf("ports: [{name: %s, port: 80, targetPort: 8080}]", port)))),
		fmt.Sprintf("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: manual-1, namespace: shop, labels: {kubernetes.io/service-name: manual}}\naddressType: IPv4\nports: [{name: %s, port: %s, protocol: TCP}]\nendpoints: [%s, %s]\n",
			g.one(port, port, port, "other"), g.one("8080", "8080", "9000"), endpoint(0), endpoint(1)),
	}
}

func (g generator) serviceEntry(i int) string {
	host := g.one("ext.example.com", "api.example.com", "api.example.com", "api.example.com", "'*.wild.example.com'", "x.wild.example.com", "a.shop.svc.cluster.local", "b.shop.svc.cluster.local", "db.shop.svc.cluster.local")
	resolution := g.one("NONE", "STATIC", "STATIC", "DNS", "DNS_ROUND_ROBIN")
	if strings.HasSuffix(host, ".local") {
		resolution = g.one("NONE", "STATIC", "DNS")
	}
	if strings.Contains(host, "*") {
		resolution = g.one("NONE", "STATIC", "DYNAMIC_DNS", "DYNAMIC_DNS")
	}
	hosts := []string{host}
	if g.chance(12) {
		hosts = append(hosts, g.one("other.example.com", "api2.example.com"))
	}
	ports := []string{g.entryPort(g.one("80", "80", "8080"))}
	if g.chance(25) {
		ports = append(ports, g.entryPort(g.one("443", "9090")))
	}
	spec := fields("hosts: "+list(hosts), "resolution: "+resolution, g.when(70, "location: "+g.one("MESH_EXTERNAL", "MESH_INTERNAL")), "ports: "+list(ports), g.exportTo(), g.entryAddresses(), g.entryEndpoints(resolution, i), g.when(5, "subjectAltNames: [spiffe://cluster.local/ns/shop/sa/b]"))
	return object("networking.istio.io/v1", "ServiceEntry", g.one("shop", "team", "istio-system"), fmt.Sprintf("se%d", i), "spec: "+spec)
}

func (g generator) entryPort(number string) string {
	protocol := g.one("HTTP", "HTTP", "HTTP", "HTTPS", "TLS", "TCP", "GRPC", "HTTP2", "", "MONGO")
	return fields("number: "+number, "name: "+g.one("http", "p", "tcp", "web")+"-"+number, g.when(100*len(protocol), "protocol: "+protocol), g.when(20, "targetPort: "+g.one("8888", "8080")))
}

func (g generator) entryAddresses() string {
	return g.when(35, "addresses: "+quoted(g.some(2, "192.0.2.1", "192.0.2.2", "192.0.2.0/24", "192.0.2.128/25")))
}

func (g generator) entryEndpoints(resolution string, i int) string {
	endpoint := func() string {
		return fields(fmt.Sprintf("address: %s", g.one(fmt.Sprintf("198.51.100.%d", 100+10*i), fmt.Sprintf("198.51.100.%d", 101+10*i), "10.244.7.1")), g.when(25, "labels: {version: "+g.one("v1", "v2")+"}"), g.when(15, "weight: "+g.one("1", "3")), g.when(15, "locality: "+g.one("r1/z1", "r2/z3")),
			g.when(15, "ports: {http-80: 8180, p-80: 8181}"), g.when(10, "serviceAccount: b"), g.when(5, "network: net2"))
	}
	switch resolution {
	case "STATIC":
		if g.chance(35) {
			return "workloadSelector: {labels: {app: " + g.one("b", "c", "vm", "vm") + "}}"
		}
		return g.when(90, "endpoints: "+list(g.lot(2, endpoint)))
	case "DNS":
		if g.chance(10) {
			return "workloadSelector: {labels: {app: " + g.one("b", "vm") + "}}"
		}
		return g.when(30, "endpoints: [{address: "+g.dnsName()+g.when(20, ", serviceAccount: b")+"}"+g.when(30, ", {address: "+g.one("backend2.example.net", g.dnsName())+", labels: {version: v2}}")+"]")
	case "DNS_ROUND_ROBIN":
		return g.when(30, "endpoints: [{address: "+g.dnsName()+"}]")
	case "NONE":
		return g.when(8, "workloadSelector: {labels: {app: vm}}")
	}
	return ""
}

// dnsName is where an endpoint is that a proxy looks up itself.
func (g generator) dnsName() string {
	return g.one("backend.example.net", "backend.example.net", "a.shop.svc.cluster.local", "c.team.svc.cluster.local", "db.shop.svc.cluster.local", "alias.shop.svc.cluster.local", "nobody.shop.svc.cluster.local")
}

// workloadEntry is a machine outside the cluster.
func (g generator) workloadEntry(i int) string {
	return object("networking.istio.io/v1", "WorkloadEntry", g.one("shop", "shop", "team", "istio-system"), fmt.Sprintf("we%d", i), "spec: "+fields(
		fmt.Sprintf("address: 198.51.100.1%d", i), "labels: {app: "+g.one("vm", "vm", "b", "c")+g.when(30, ", version: "+g.one("v1", "v2"))+g.when(10, ", security.istio.io/tlsMode: disabled")+"}",
		g.when(30, "serviceAccount: vm"), g.when(20, "weight: "+g.one("2", "5")), g.when(20, "locality: "+g.one("r1/z1", "r2/z3")), g.when(20, "ports: {http-80: 8180, http: 8182, p-80: 8181}"), g.when(5, "network: net2")))
}
