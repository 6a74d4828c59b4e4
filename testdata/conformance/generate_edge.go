package conformance

import (
	"fmt"
	"strings"
)

// edge makes meshes that are mostly gateways, and requests that mostly enter by one: several
// workloads, several Gateways on each, servers that contend for ports and hosts, and routes of every
// kind bound to them.
type edge struct {
	generator
	// gateways are those of the mesh, "namespace/name".
	gateways []string
	// doors are what --gateway may name.
	doors []string
	// servers are what a client may aim at.
	servers []target
}

// target is a server as a client sees it.
type target struct {
	gateway, scheme, port, mode string
	hosts                       []string
}

// aimed is a host that fits one that a server or VirtualService names.
func (e *edge) aimed(hosts []string) string {
	h := e.one(hosts...)
	if _, name, ok := strings.Cut(h, "/"); ok {
		h = name
	}
	switch {
	case h == "*", h == "*.com":
		return e.one("shop.example.com", "shop.example.com", "api.example.com", "other.org")
	case strings.HasPrefix(h, "*"):
		return e.one("x", "y") + h[1:]
	}
	return h
}

// edgeGenerator differs from the mesh of the same seed.
func edgeGenerator(seed uint64) *edge { return &edge{generator: newGenerator(seed + 1<<32)} }

// mesh is a list of documents.
func (e *edge) mesh() []string {
	docs := []string{
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n",
		fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: team%s}\n", e.when(70, ", labels: {istio-injection: enabled}")),
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: edge, labels: {istio-injection: enabled}}\n",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n",
	}
	docs = append(docs, applications()...)
	docs = append(docs, e.services()...)
	docs = append(docs, e.backends()...)
	docs = append(docs, e.workloads()...)
	for i := range 1 + e.IntN(4) {
		docs = append(docs, e.gateway(i))
	}
	if e.chance(40) {
		docs = append(docs, e.exit()...)
	}
	for i := range 2 + e.IntN(5) {
		docs = append(docs, e.virtualService(i))
	}
	for i := range e.IntN(3) {
		docs = append(docs, e.destinationRule(i))
	}
	for i := range e.IntN(2) {
		docs = append(docs, e.peerAuthentication(i))
	}
	if e.chance(20) {
		docs = append(docs, e.sidecar(0))
	}
	if e.chance(15) {
		docs = append(docs, e.authorization())
	}
	if e.chance(25) {
		docs = append(docs, object("v1", "ConfigMap", "istio-system", "istio", "data:\n  mesh: |\n    "+e.one(
			"pathNormalization: {normalization: NONE}", "pathNormalization: {normalization: MERGE_SLASHES}",
			"pathNormalization: {normalization: DECODE_AND_MERGE_SLASHES}", "defaultConfig: {gatewayTopology: {numTrustedProxies: 1}}",
			"defaultConfig: {gatewayTopology: {numTrustedProxies: 2}}", "outboundTrafficPolicy: {mode: REGISTRY_ONLY}",
			"defaultVirtualServiceExportTo: ['.']", "defaultServiceExportTo: ['.']", "enableAutoMtls: false")))
	}
	e.Shuffle(len(docs)-4, func(i, j int) { docs[i+4], docs[j+4] = docs[j+4], docs[i+4] })
	return e.age(distinct(docs))
}

// applications are the workloads that are no gateways.
func applications() []string {
	var docs []string
	for _, d := range []struct{ namespace, name, labels string }{
		{"shop", "web", "{app: web}"},
		{"shop", "a-v1", "{app: a, version: v1}"},
		{"shop", "a-v2", "{app: a, version: v2}"},
		{"shop", "b", "{app: b}"},
		{"team", "c", "{app: c}"},
	} {
		docs = append(docs, object("apps/v1", "Deployment", d.namespace, d.name,
			fmt.Sprintf("spec: {selector: {matchLabels: %s}, template: {metadata: {labels: %s}, spec: {containers: [{name: app, image: app, ports: [{name: api, containerPort: 8080}]}]}}}", d.labels, d.labels)))
	}
	return docs
}

// backends are destinations other than ordinary Services.
func (e *edge) backends() []string {
	var docs []string
	if e.chance(30) {
		docs = append(docs, object("v1", "Service", "shop", "none", "spec: {clusterIP: None, selector: {app: web}, ports: [{name: "+e.one("http", "tcp", "x")+", port: "+e.one("8080", "80")+", targetPort: 8080}]}"))
	}
	if e.chance(25) {
		docs = append(docs, object("v1", "Service", "shop", "alias", "spec: {type: ExternalName, externalName: "+e.one("ext.example.com", "a.shop.svc.cluster.local", "unknown.example.net")+e.when(60, ", ports: [{name: http, port: 80}]")+"}"))
	}
	for i := range e.IntN(3) {
		// Of two entries of a host, that of exit and one with addresses, it is not Istio's to say which DNS follows.
		if doc := e.serviceEntry(i); !strings.Contains(doc, "ext.example.com") || !strings.Contains(doc, "addresses") {
			docs = append(docs, doc)
		}
	}
	return docs
}

// workloads are gateways as Istio's charts install them, or as someone has changed them.
func (e *edge) workloads() []string {
	var docs []string
	add := func(namespace, name, labels, account, kind string) {
		container := "{name: istio-proxy, image: auto, ports: [{name: metrics, containerPort: 15020}, {name: web, containerPort: 8080}]}"
		annotations := ", annotations: {inject.istio.io/templates: gateway}"
		injected := strings.Replace(labels, "}", ", sidecar.istio.io/inject: 'true'}", 1)
		if e.chance(50) {
			container, annotations = "{name: istio-proxy, image: istio/proxyv2:1.31.0, args: [proxy, router], ports: [{name: web, containerPort: 8080}]}", ""
			injected = labels
		}
		docs = append(docs, object("apps/v1", "Deployment", namespace, name,
			fmt.Sprintf("spec: {selector: {matchLabels: %s}, template: {metadata: {labels: %s%s}, spec: {serviceAccountName: %s, containers: [%s]}}}", labels, injected, annotations, account, container)))
		ports := []string{"{name: http2, port: 80, targetPort: " + e.one("8080", "8080", "80", "web") + "}", "{name: https, port: 443, targetPort: " + e.one("8443", "8443", "443") + "}"}
		for _, p := range e.some(9, "{name: alt, port: 8080, targetPort: 8080}", "{name: alt, port: 8080, targetPort: 9080}", "{name: tcp, port: 31400, targetPort: 31400}", "{name: tls, port: 15443, targetPort: 15443}", "{name: mq, port: 9000, targetPort: 9000}", "{name: alt-tls, port: 8443, targetPort: 8443}") {
			if !strings.Contains(strings.Join(ports, ""), strings.SplitAfter(p, ",")[0]) {
				ports = append(ports, p)
			}
		}
		e.doors = append(e.doors, namespace+"/"+name)
		docs = append(docs, object("v1", "Service", namespace, name, fmt.Sprintf("spec: {type: %s, selector: %s, ports: [%s]}", kind, labels, strings.Join(ports, ", "))))
		if e.chance(12) {
			docs = append(docs, object("v1", "Service", namespace, name+"-2", fmt.Sprintf("spec: {selector: %s, ports: [{name: http, port: %s, targetPort: %s}]}", labels, e.one("80", "8080", "81"), e.one("8080", "9090"))))
		}
	}
	if e.chance(85) {
		add("istio-system", "istio-ingressgateway", "{istio: ingressgateway, app: istio-ingressgateway}", "ingress", "LoadBalancer")
	}
	if e.chance(50) {
		add("edge", "edge-gateway", e.one("{istio: ingressgateway, gw: edge}", "{gw: edge}"), "edge", e.one("NodePort", "LoadBalancer", "ClusterIP"))
	}
	if e.chance(50) {
		add("istio-system", "istio-egressgateway", "{istio: egressgateway}", "egress", "ClusterIP")
	}
	return docs
}

// gateway is a Gateway with up to four servers, biased to the same few ports and hosts.
func (e *edge) gateway(i int) string {
	namespace := e.one("istio-system", "istio-system", "shop", "edge", "team")
	name := fmt.Sprintf("gw%d", i)
	e.gateways = append(e.gateways, namespace+"/"+name)
	var servers []string
	for j := range 1 + e.IntN(3) {
		servers = append(servers, e.server(namespace+"/"+name, j))
	}
	selector := e.one("selector: {istio: ingressgateway}, ", "selector: {istio: ingressgateway}, ", "selector: {istio: ingressgateway}, ", "selector: {app: istio-ingressgateway}, ", "", "selector: {istio: ingressgateway}, ")
	if e.chance(25) {
		selector = "selector: {" + e.one("gw: edge", "istio: egressgateway", "istio: other") + "}, "
	}
	return object("networking.istio.io/v1", "Gateway", namespace, name, fmt.Sprintf("spec: {%sservers: [%s]}", selector, strings.Join(servers, ", ")))
}

func (e *edge) server(gateway string, j int) string {
	names := e.some(2, "*", "*", "shop.example.com", "shop.example.com", "*.example.com", "api.example.com", "*.shop.example.com", "shop/*", "./shop.example.com", "team/api.example.com", "*/api.example.com", "./*", "*/*", "Shop.Example.com", "*.com", "a.shop.svc.cluster.local", "team/*")
	if e.chance(3) {
		names = append(names, "*-api.example.com")
	}
	hosts := quoted(names)
	bind := e.when(4, ", bind: "+e.one("0.0.0.0", "127.0.0.1"))
	at := func(protocol, settings string, ports ...string) string {
		number := e.one(ports...)
		scheme := map[string]string{"HTTPS": "https", "TLS": e.one("https", "tls"), "GRPC": "grpc", "TCP": "tcp", "MONGO": "tcp", "MYSQL": "tcp"}[protocol]
		if scheme == "" {
			scheme = "http"
		}
		e.servers = append(e.servers, target{gateway: gateway, scheme: scheme, port: number, mode: settings, hosts: names})
		return fmt.Sprintf("{port: {number: %s, name: %s-%d, protocol: %s}%s%s, hosts: %s}", number, strings.ToLower(protocol), j, protocol, settings, bind, hosts)
	}
	switch n := e.IntN(100); {
	case n < 38:
		return at(e.one("HTTP", "HTTP", "HTTP", "HTTP2", "GRPC", "http"), e.when(4, ", tls: {}"), "80", "80", "80", "8080", "443", "9000")
	case n < 48:
		return at("HTTP", ", tls: {httpsRedirect: true}", "80", "80", "8080")
	case n < 72:
		return at("HTTPS", e.terminating(), "443", "443", "443", "8443", "80", "15443")
	case n < 82:
		return at(e.one("TLS", "TLS", "HTTPS"), ", tls: {mode: PASSTHROUGH}", "443", "443", "15443", "8443")
	case n < 89:
		return at("TLS", e.terminating(), "443", "15443", "8443", "31400")
	case n < 92:
		hosts = quoted(e.some(1, "*.local", "*", "*.shop.svc.cluster.local", "team/*.local"))
		return at("TLS", ", tls: {mode: AUTO_PASSTHROUGH}", "15443", "15443", "443")
	}
	return at(e.one("TCP", "TCP", "MONGO", "MYSQL"), "", "31400", "31400", "9000", "80", "443")
}

// terminating are the settings of a server that decrypts.
func (e *edge) terminating() string {
	mode := e.one("SIMPLE", "SIMPLE", "SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL", "ISTIO_MUTUAL")
	text := ", tls: {mode: " + mode
	if mode != "ISTIO_MUTUAL" {
		text += e.one(", credentialName: one", ", credentialName: two", ", credentialName: one", ", serverCertificate: /etc/c.pem, privateKey: /etc/k.pem, caCertificates: /etc/ca.pem")
		if mode != "SIMPLE" {
			text += e.when(30, ", subjectAltNames: [\"spiffe://cluster.local/ns/shop/sa/web\"]")
		}
	}
	return text + e.when(15, ", httpsRedirect: true") + "}"
}

// exit is traffic that leaves by an egress gateway: a ServiceEntry, the Gateway, and what leads
// there from the mesh and on from there.
func (e *edge) exit() []string {
	const host = "ext.example.com"
	e.gateways = append(e.gateways, "istio-system/exit")
	service := e.one("istio-egressgateway.istio-system.svc.cluster.local", "istio-egressgateway.istio-system.svc.cluster.local", "istio-egressgateway")
	entry := fmt.Sprintf("spec: {hosts: [%s], resolution: %s, ports: [{number: 80, name: http, protocol: HTTP%s}, {number: 443, name: tls, protocol: %s}]}",
		host, e.one("DNS", "DNS", "NONE"), e.when(30, ", targetPort: 443"), e.one("TLS", "HTTPS"))
	var server, toward, on string
	number := "80"
	switch e.IntN(3) {
	case 0: // TLS of the client's, passed through
		number = "443"
		server = "{port: {number: 443, name: tls, protocol: TLS}, tls: {mode: PASSTHROUGH}, hosts: [" + host + "]}"
		toward = fmt.Sprintf("tls: [{match: [{gateways: [mesh], port: 443, sniHosts: [%s]}], route: [{destination: {host: %s, port: {number: 443}}}]}", host, service)
		on = fmt.Sprintf("{match: [{gateways: [exit], port: 443, sniHosts: [%s]}], route: [{destination: {host: %s, port: {number: 443}}}]}]", host, host)
	case 1: // plaintext to the gateway, mTLS where the rule says so
		server = "{port: {number: 80, name: http, protocol: HTTP}, hosts: [" + host + "]}"
	default: // mTLS to the gateway
		number = "443"
		server = "{port: {number: 443, name: https, protocol: " + e.one("HTTPS", "HTTPS", "TLS") + "}, tls: {mode: ISTIO_MUTUAL}, hosts: [" + host + "]}"
	}
	if toward == "" {
		toward = fmt.Sprintf("http: [{match: [{gateways: [mesh], port: 80}], route: [{destination: {host: %s%s, port: {number: %s}}}]}", service, e.when(30, ", subset: x"), number)
		on = fmt.Sprintf("{match: [{gateways: [exit]%s}], route: [{destination: {host: %s, port: {number: %s}}}]}]", e.when(70, ", port: "+number), host, e.one("80", "443"))
		if e.chance(20) {
			on += fmt.Sprintf(", tcp: [{match: [{gateways: [exit], port: %s}], route: [{destination: {host: %s, port: {number: 443}}}]}]", number, host)
		}
	}
	docs := []string{
		object("networking.istio.io/v1", "ServiceEntry", e.one("istio-system", "istio-system", "shop"), "exit", entry),
		object("networking.istio.io/v1", "Gateway", "istio-system", "exit", "spec: {selector: {istio: egressgateway}, servers: ["+server+"]}"),
		object("networking.istio.io/v1", "VirtualService", "istio-system", "exit", fmt.Sprintf("spec: {hosts: [%s], gateways: [%s], %s, %s}", host, e.one("mesh, exit", "mesh, exit", "exit, mesh", "exit"), toward, on)),
	}
	if e.chance(60) {
		docs = append(docs, object("networking.istio.io/v1", "DestinationRule", "istio-system", "exit", "spec: {host: "+service+", subsets: [{name: x"+
			e.when(50, ", trafficPolicy: {portLevelSettings: [{port: {number: "+number+"}, tls: {mode: ISTIO_MUTUAL, sni: "+e.one(host, host, "other.example.com")+"}}]}")+"}]"+
			e.when(50, ", trafficPolicy: {tls: {mode: "+e.one("ISTIO_MUTUAL", "DISABLE", "SIMPLE")+e.when(50, ", sni: "+host)+"}}")+"}"))
	}
	if e.chance(60) {
		docs = append(docs, object("networking.istio.io/v1", "DestinationRule", e.one("istio-system", "istio-system", "shop"), "origin", "spec: {host: "+host+", trafficPolicy: {"+
			e.one("tls: {mode: SIMPLE}", "portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE, sni: "+host+"}}]", "tls: {mode: MUTUAL, credentialName: out}")+"}}"))
	}
	return docs
}

// authorization is a policy at a gateway.
func (e *edge) authorization() string {
	rule := e.one(`{to: [{operation: {hosts: ["shop.example.com*"]}}]}`, `{to: [{operation: {paths: ["/a*"]}}]}`, `{from: [{source: {ipBlocks: ["203.0.113.0/24"]}}]}`,
		`{from: [{source: {remoteIpBlocks: ["203.0.113.0/24"]}}]}`, `{when: [{key: connection.sni, values: ["shop.example.com"]}]}`, `{to: [{operation: {ports: ["8080", "443"]}}]}`,
		`{from: [{source: {principals: ["cluster.local/ns/shop/sa/*"]}}]}`, `{when: [{key: destination.port, notValues: ["8443"]}]}`)
	return object("security.istio.io/v1", "AuthorizationPolicy", e.one("istio-system", "edge"), "ap0",
		fmt.Sprintf("spec: {%saction: %s, rules: [%s]}", e.when(70, "selector: {matchLabels: {istio: "+e.one("ingressgateway", "egressgateway")+"}}, "), e.one("ALLOW", "DENY"), rule))
}
