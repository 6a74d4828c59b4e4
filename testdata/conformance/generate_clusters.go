package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// clusterGenerator makes meshes of two or three clusters, on one network or on several: each with some of the Services and of the pods,
// which are not always the same, and often with an east-west gateway. The configuration is the first cluster's.
type clusterGenerator struct {
	networkGenerator
	// headless is the Service that is headless, in all clusters.
	headless string
	// sources are what runs, as --from names it.
	sources []string
}

func newClusterGenerator(seed uint64) *clusterGenerator {
	g := &clusterGenerator{networkGenerator: newNetworkGenerator(seed)}
	g.headless = g.one("", "", "", "", "", "", "a", "b")
	return g
}

// ofCluster marks documents of a remote cluster, for join.
const ofCluster = "# of cluster "

func (g *clusterGenerator) mesh() []string {
	docs := slices.Concat(
		g.cluster("", 0, "net1"), g.settings(),
		g.repeat(2, g.clusterRule),
		g.repeat(2, func(i int) string {
			return object("security.istio.io/v1", "PeerAuthentication", "shop", fmt.Sprintf("pa%d", i), "spec: "+fields(g.when(60, "selector: {matchLabels: {app: "+g.one("a", "b")+"}}"), "mtls: {mode: "+g.one("STRICT", "PERMISSIVE", "DISABLE")+"}"))
		}),
		g.repeat(2, func(i int) string {
			return object("security.istio.io/v1", "AuthorizationPolicy", "shop", fmt.Sprintf("ap%d", i), fmt.Sprintf("spec: {action: %s, rules: [{from: [{source: {principals: [%q]}}]}]}", g.one("ALLOW", "DENY"), "*/sa/"+g.one("web", "a", "b")))
		}),
		g.repeat(2, g.clusterRoute),
	)
	if g.chance(85) {
		docs = append(docs, object("networking.istio.io/v1", "Gateway", "istio-system", "cross", "spec: {selector: {istio: eastwest}, servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ["+g.one("'*.local'", "'*'", "a.shop.svc.cluster.local")+"]}]}"))
	}
	return g.withRemotes(docs, 55, g.cluster)
}

// withRemotes adds remote clusters to what is in the first: one, and a second but for so many percent.
func (g *clusterGenerator) withRemotes(docs []string, alone int, cluster func(id string, number int, network string) []string) []string {
	docs = g.age(docs)
	for i, id := range []string{"west", "north"} {
		if i > 0 && g.chance(alone) {
			continue
		}
		for _, doc := range g.age(cluster(id, i+1, g.one("net1", "net2", "net2", "net3"))) {
			docs = append(docs, ofCluster+id+"\n"+doc)
		}
	}
	return docs
}

// cluster is what runs in one; the number tells the addresses of its pods apart.
func (g *clusterGenerator) cluster(id string, number int, network string) []string {
	label := g.when(75, ", topology.istio.io/network: "+network)
	docs := []string{
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system, labels: {team: any" + label + "}}\n",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: " + g.one("enabled", "enabled", "enabled", "enabled", "disabled") + "}}\n",
	}
	source := func(name string) {
		if id != "" {
			name = id + ":" + name
		}
		g.sources = append(g.sources, name)
	}
	for _, d := range []struct {
		app, name string
		percent   int
	}{{"web", "web", 80}, {"a", "a-v1", 70}, {"a", "a-v2", 50}, {"b", "b", 60}} {
		if g.chance(d.percent) {
			docs = append(docs, g.deployment(d.app, d.name, 5))
			source("shop/deployment/" + d.name)
		}
	}
	for _, name := range []string{"a", "b"} {
		if g.chance(88) {
			docs = append(docs, g.clusterService(name))
		}
	}
	if g.chance(50) {
		docs = append(docs, g.networkPod(10*number))
		source(fmt.Sprintf("shop/pod/p%d", 10*number))
	}
	if label == "" || g.chance(25) {
		return docs
	}
	env := g.when(60, ", env: [{name: ISTIO_META_NETWORK, value: "+network+"}, {name: ISTIO_META_REQUESTED_NETWORK_VIEW, value: "+network+"}]")
	return append(docs,
		object("apps/v1", "Deployment", "istio-system", "eastwest", "spec: {template: {metadata: {labels: {istio: eastwest}}, spec: {serviceAccountName: eastwest, containers: [{name: istio-proxy, image: proxyv2, args: [proxy, router]"+env+"}]}}}"),
		"apiVersion: v1\nkind: Service\nmetadata: {name: eastwest, namespace: istio-system, labels: {topology.istio.io/network: "+network+"}}\nspec: {type: LoadBalancer, selector: {istio: eastwest}, ports: [{name: status, port: 15021}, {name: tls, port: 15443}]}\n")
}

// clusterService is a Service that is not the same in all clusters.
func (g *clusterGenerator) clusterService(name string) string {
	http := g.one("{name: http, port: 80, targetPort: 8080}", "{name: http, port: 80, targetPort: 8080}", "{name: http, port: 80, targetPort: 8080}", "{name: http, port: 80, targetPort: 8081}", "{name: http-web, port: 80, targetPort: 8080}", "{name: http, port: 81, targetPort: 8080}")
	headless := ""
	if name == g.headless {
		headless = "clusterIP: None"
	}
	spec := fields("selector: {app: "+name+g.when(10, ", version: v1")+"}", headless, g.when(5, "internalTrafficPolicy: Local"), g.when(8, "trafficDistribution: PreferClose"),
		"ports: ["+http+", {name: tcp, port: 90, targetPort: 9090}]")
	return object("v1", "Service", "shop", name, "spec: "+spec)
}

// settings are the mesh config.
func (g *clusterGenerator) settings() []string {
	var lines []string
	add := func(percent int, text string) {
		if g.chance(percent) {
			lines = append(lines, "    "+text)
		}
	}
	add(20, "serviceSettings: [{settings: {clusterLocal: true}, hosts: ["+g.one("a.shop.svc.cluster.local", "'*.shop.svc.cluster.local'", "'*'")+"]}]")
	add(15, "enableAutoMtls: false")
	add(15, "defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: \"true\"}}")
	add(15, "outboundTrafficPolicy: {mode: REGISTRY_ONLY}")
	if len(lines) == 0 {
		return nil
	}
	return []string{object("v1", "ConfigMap", "istio-system", "istio", "data:\n  mesh: |\n"+strings.Join(lines, "\n"))}
}

// clusterRule has subsets and priorities by cluster.
func (g *clusterGenerator) clusterRule(i int) string {
	priority := "{failoverPriority: [" + g.one("topology.istio.io/network", "topology.istio.io/cluster", "topology.istio.io/cluster, version", "topology.istio.io/network, topology.istio.io/cluster", "'topology.istio.io/cluster=west'") + "]}"
	policy := g.when(70, "trafficPolicy: "+fields(g.when(30, "tls: {mode: "+g.one("DISABLE", "ISTIO_MUTUAL")+"}"), "outlierDetection: {consecutive5xxErrors: 5}", g.when(60, "loadBalancer: {localityLbSetting: "+priority+"}")))
	subsets := g.when(60, "subsets: [{name: v1, labels: "+g.one("{version: v1}", "{topology.istio.io/cluster: west}", "{topology.istio.io/cluster: Kubernetes}", "{topology.istio.io/network: net2}", "{topology.istio.io/cluster: north, version: v2}")+"}]")
	return object("networking.istio.io/v1", "DestinationRule", "shop", fmt.Sprintf("dr%d", i), "spec: "+fields("host: "+g.one("a", "a", "b"), policy, subsets))
}

func (g *clusterGenerator) clusterRoute(i int) string {
	return object("networking.istio.io/v1", "VirtualService", "shop", fmt.Sprintf("vs%d", i), "spec: {hosts: ["+g.one("a", "b")+"], http: [{route: [{destination: {host: "+g.one("a", "a", "b")+g.when(60, ", subset: v1")+"}}]}]}")
}

func (g *clusterGenerator) request() []string {
	return []string{"--from", g.one(append(g.sources, "shop/deployment/web")...), g.one("http://a/", "http://a/", "http://a/", "http://b/", "tcp://a:90", "http://a.shop/x", "http://a:81/")}
}
