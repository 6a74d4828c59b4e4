package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// guarded makes meshes with little to route and much to be refused by: policies of every kind and field at sidecars
// and at a gateway; and requests of clients that nearly may.
//
//  1. What has an address in the manifests is known to both parties; where pods come of Deployments, policies on
//     addresses are not decidable, and such requests are not judged.
//  2. Values of policies and of requests are drawn from the same few, so that most requests reach a decision.
//  3. In front of a policy or behind it stands what else answers: faults, CORS, redirects, direct responses.
type guarded struct {
	generator
	// running is set where the pods are there already, with addresses.
	running bool
	// domain is the mesh's trust domain.
	domain string
	// provider is the authorizer that nearly all CUSTOM policies name: several deny.
	provider string
	// tokens is set where a RequestAuthentication is there.
	tokens bool
}

// guardedGenerator differs from the meshes of the same seed.
func guardedGenerator(seed uint64) *guarded {
	g := &guarded{generator: newGenerator(seed + 2<<32)}
	g.running, g.domain = g.chance(65), g.one("cluster.local", "cluster.local", "td.example.com")
	g.provider = g.one("ask", "ask", "ask-grpc")
	return g
}

// mesh is a list of documents.
func (g *guarded) mesh() []string {
	docs := slices.Concat(
		[]string{
			"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n",
			"apiVersion: v1\nkind: Namespace\nmetadata: {name: team, labels: {istio-injection: enabled}}\n",
			"apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n",
		},
		g.meshConfig(), g.machines(), g.ports(), g.doors(), g.routes(),
		g.repeat(5, g.requestAuthentication),
		g.repeat(3, g.peerMode),
	)
	for i := range 2 + g.IntN(6) {
		docs = append(docs, g.policy(i))
	}
	g.tokens = strings.Contains(strings.Join(docs, ""), "kind: RequestAuthentication")
	return g.age(docs)
}

// meshConfig has the authorizers, of which not all can be used.
func (g *guarded) meshConfig() []string {
	lines := []string{"    trustDomain: " + g.domain}
	add := func(percent int, line string) {
		if g.chance(percent) {
			lines = append(lines, "    "+line)
		}
	}
	add(50, "trustDomainAliases: [old.example.com]")
	add(10, "rootNamespace: "+g.one("team", "shop"))
	add(50, "pathNormalization: {normalization: "+g.one("NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")+"}")
	add(40, "defaultConfig: {gatewayTopology: {numTrustedProxies: "+g.one("1", "1", "2")+"}}")
	add(8, "enableAutoMtls: false")
	add(5, "discoverySelectors: [{matchLabels: {"+g.one("istio-injection: enabled", "kubernetes.io/metadata.name: shop")+"}}]")
	add(85, "extensionProviders: "+list([]string{
		"{name: ask, envoyExtAuthzHttp: {service: authz.shop.svc.cluster.local, port: 8000" + g.when(25, ", failOpen: true") + g.when(10, ", pathPrefix: "+g.one("/check", "check")) + "}}",
		"{name: ask-grpc, envoyExtAuthzGrpc: {service: " + g.one("shop/authz.shop.svc.cluster.local", "authz.shop.svc.cluster.local", "team/authz.shop.svc.cluster.local") + ", port: 9000" + g.when(15, ", statusOnError: "+g.one("\"503\"", "\"999\"")) + "}}",
		"{name: lost, envoyExtAuthzHttp: {service: nowhere.example.com, port: 80}}",
		"{name: metrics, prometheus: {}}",
	}))
	return []string{object("v1", "ConfigMap", "istio-system", "istio", "data:\n  mesh: |\n"+strings.Join(lines, "\n"))}
}

// machines are clients, one of them outside the mesh, servers and a gateway.
func (g *guarded) machines() []string {
	var docs []string
	for i, m := range []struct{ namespace, name, labels, proxy string }{
		{"shop", "web", "{app: web}", "sidecar"},
		{"shop", "a", "{app: a, version: v1}", "sidecar"},
		{"shop", "b", "{app: b}", "sidecar"},
		{"team", "c", "{app: c}", "sidecar"},
		{"team", "d", "{app: d}", "sidecar"},
		{"shop", "authz", "{app: authz}", "sidecar"},
		{"shop", "old", "{app: old}", ""},
		{"istio-system", "ingress", "{istio: ingressgateway" + g.when(40, ", gateway.networking.k8s.io/gateway-name: ingress") + "}", "router"},
	} {
		proxy, labels := "", m.labels
		if m.proxy != "" {
			proxy = "{name: istio-proxy, image: istio/proxyv2:1.31.0, args: [proxy, " + m.proxy + "]}"
		}
		containers := "{name: app, image: app}"
		switch {
		case m.proxy == "router":
			containers = proxy
		case g.running && proxy != "":
			containers += ", " + proxy
			labels = strings.Replace(labels, "}", ", security.istio.io/tlsMode: istio}", 1)
		case m.proxy == "":
			labels = strings.Replace(labels, "}", ", sidecar.istio.io/inject: \"false\"}", 1)
		}
		annotations := ""
		if m.proxy == "router" {
			annotations = g.when(15, ", annotations: {proxy.istio.io/config: \"gatewayTopology: {numTrustedProxies: "+g.one("1", "2")+"}\"}")
		}
		spec := fmt.Sprintf("{serviceAccountName: %s, containers: [%s]}", m.name, containers)
		if g.running {
			docs = append(docs, fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: %s, labels: %s%s}\nspec: %s\nstatus: {phase: Running, podIP: 10.244.0.%d, podIPs: [{ip: 10.244.0.%d}], conditions: [{type: Ready, status: \"True\"}]}\n",
				m.name, m.namespace, labels, annotations, spec, i+1, i+1))
			continue
		}
		docs = append(docs, object("apps/v1", "Deployment", m.namespace, m.name,
			fmt.Sprintf("spec: {selector: {matchLabels: %s}, template: {metadata: {labels: %s%s}, spec: %s}}", m.labels, labels, annotations, spec)))
	}
	return docs
}

// ports are Services of which each has HTTP, TCP, gRPC and a port that does not say.
func (g *guarded) ports() []string {
	var docs []string
	for _, s := range []struct{ namespace, name string }{{"shop", "a"}, {"shop", "b"}, {"team", "c"}} {
		docs = append(docs, object("v1", "Service", s.namespace, s.name, fmt.Sprintf("spec: {selector: {app: %s}%s, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 9000}, {name: x, port: 7000}, {name: grpc, port: 7070}]}",
			s.name, g.when(8, ", clusterIP: None"))))
	}
	return append(docs,
		object("v1", "Service", "shop", "authz", "spec: {selector: {app: authz}, ports: [{name: http, port: 8000}, {name: grpc, port: 9000}]}"),
		object("v1", "Service", "istio-system", "ingress", "spec: {type: LoadBalancer, selector: {istio: ingressgateway}, ports: [{name: http2, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}, {name: mutual, port: 15443}, {name: pass, port: 15444}, {name: tcp, port: 31400}]}"))
}

// peerMode is a PeerAuthentication at any level.
func (g *guarded) peerMode(i int) string {
	namespace, selector := g.one("shop", "shop", "team", "istio-system"), ""
	ports := ""
	if g.chance(60) {
		selector = "selector: {matchLabels: {app: " + g.one("a", "b", "c") + "}}, "
		ports = g.when(35, fmt.Sprintf(", portLevelMtls: {%s: {mode: %s}}", g.one("8080", "9000", "7000", "80"), g.one("STRICT", "PERMISSIVE", "DISABLE")))
	}
	return object("security.istio.io/v1", "PeerAuthentication", namespace, fmt.Sprintf("pa%d", i), fmt.Sprintf("spec: {%smtls: {mode: %s}%s}", selector, g.one("STRICT", "PERMISSIVE", "PERMISSIVE", "DISABLE", "UNSET"), ports))
}
