package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// networkGenerator makes meshes over several networks: machines, pods and gateways on each, as labels, MeshNetworks and addresses say, and
// often as they contradict each other.
type networkGenerator struct {
	generator
	// sources are what runs with a proxy, as --from names it.
	sources *[]string
}

func newNetworkGenerator(seed uint64) networkGenerator {
	return networkGenerator{newGenerator(seed), &[]string{}}
}

func (g networkGenerator) network() string { return g.one("net1", "net1", "net2", "net2", "net3") }

// onNetwork is a label, or none.
func (g networkGenerator) onNetwork(percent int) string {
	return g.when(percent, ", topology.istio.io/network: "+g.network())
}

func (g networkGenerator) mesh() []string {
	docs := slices.Concat(
		[]string{
			fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system, labels: {team: any%s}}\n", g.when(60, ", topology.istio.io/network: net1")),
			"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n",
		},
		g.networks(), g.machines(), g.eastWest(),
		[]string{
			g.deployment("web", "web", 30), g.deployment("a", "a-v1", 40), g.deployment("a", "a-v2", 40), g.deployment("b", "b", 20),
			g.networkService("a"), g.networkService("b"), g.entry(),
		},
		g.repeat(4, g.networkPod),
		g.repeat(2, g.networkRule),
		g.repeat(2, func(i int) string {
			return object("security.istio.io/v1", "PeerAuthentication", "shop", fmt.Sprintf("pa%d", i), "spec: "+fields(g.when(60, "selector: {matchLabels: {app: "+g.one("a", "b", "vm")+"}}"), "mtls: {mode: "+g.one("STRICT", "PERMISSIVE", "DISABLE")+"}"))
		}),
		g.repeat(2, func(i int) string {
			return object("security.istio.io/v1", "AuthorizationPolicy", "shop", fmt.Sprintf("ap%d", i), fmt.Sprintf("spec: {action: %s, rules: [{from: [{source: {principals: [%q]}}]}]}", g.one("ALLOW", "DENY"), "*/sa/"+g.one("web", "vm", "b")))
		}),
	)
	return g.age(docs)
}

// networks is the ConfigMap istio with MeshNetworks, in most meshes.
func (g networkGenerator) networks() []string {
	var lines []string
	for i, name := range []string{"net1", "net2", "net3"} {
		if !g.chance(60) {
			continue
		}
		var endpoints, gateways []string
		if g.chance(35) {
			endpoints = append(endpoints, fmt.Sprintf("{fromCidr: %s}", g.one(fmt.Sprintf("10.%d.0.0/16", i+1), "10.0.0.0/8", "10.1.0.0/24")))
		}
		if name == "net1" && g.chance(25) {
			endpoints = append(endpoints, "{fromRegistry: Kubernetes}")
		}
		for range g.IntN(3) {
			gateways = append(gateways, fmt.Sprintf("{address: %s, port: 15443}", g.one(fmt.Sprintf("203.0.113.%d", 10*i+5), fmt.Sprintf("203.0.113.%d", 10*i+6), fmt.Sprintf("203.0.113.%d", 10*i+7), fmt.Sprintf("\"2001:db8::%d\"", i+5))))
		}
		if name == "net1" && g.chance(40) {
			gateways = append(gateways, "{registryServiceName: eastwest.istio-system.svc.cluster.local, port: 15443}")
		}
		lines = append(lines, "      "+name+": "+fields("endpoints: "+list(endpoints), "gateways: "+list(slices.Compact(gateways))))
	}
	if len(lines) == 0 {
		return nil
	}
	mesh := g.when(30, "  mesh: |\n    "+g.one("enableAutoMtls: false", "localityLbSetting: "+g.locality(), "outboundTrafficPolicy: {mode: REGISTRY_ONLY}")+"\n")
	return []string{object("v1", "ConfigMap", "istio-system", "istio", "data:\n"+mesh+"  meshNetworks: |\n    networks:\n"+strings.Join(lines, "\n"))}
}

func (g networkGenerator) deployment(app, name string, percent int) string {
	*g.sources = append(*g.sources, "shop/deployment/"+name)
	version := strings.TrimPrefix(name, app+"-")
	labels := "app: " + app + g.onNetwork(percent) + g.when(8, ", sidecar.istio.io/inject: \"false\"")
	if version != name {
		labels += ", version: " + version
	}
	return object("apps/v1", "Deployment", "shop", name, "spec: "+fields(g.when(20, "replicas: 2"), "selector: {matchLabels: {app: "+app+"}}",
		"template: {metadata: {labels: {"+labels+"}}, spec: {serviceAccountName: "+app+", containers: [{name: app, image: app}]}}"))
}

func (g networkGenerator) networkService(name string) string {
	return object("v1", "Service", "shop", name, "spec: "+fields("selector: {app: "+name+"}", g.when(8, "clusterIP: None"), g.when(8, "trafficDistribution: PreferClose"), "ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 90, targetPort: 9090}]"))
}

// entry is a service of machines that a ServiceEntry lists, or selects.
func (g networkGenerator) entry() string {
	var endpoints []string
	for i := range 1 + g.IntN(3) {
		endpoints = append(endpoints, fields(fmt.Sprintf("address: 198.51.100.%d", 100+i), g.when(60, "network: "+g.network()), g.when(60, "serviceAccount: m"), g.when(20, "weight: 3"), g.when(15, "locality: "+g.one("r1/z1", "r2/z3"))))
	}
	from := "endpoints: " + list(endpoints)
	if g.chance(30) {
		from = "workloadSelector: {labels: {app: vm}}"
	}
	return object("networking.istio.io/v1", "ServiceEntry", "shop", "m", "spec: "+fields("hosts: [m.example.com]", "location: "+g.one("MESH_INTERNAL", "MESH_INTERNAL", "MESH_EXTERNAL"), "resolution: "+g.one("STATIC", "STATIC", "STATIC", "DNS"), "ports: [{name: http, number: 80, protocol: HTTP}]", from))
}

// networkPod runs already: its address is known, and what its proxy was told.
func (g networkGenerator) networkPod(i int) string {
	app := g.one("a", "b", "web")
	env := g.when(60, ", env: [{name: ISTIO_META_NETWORK, value: "+g.network()+"}"+g.when(10, ", {name: ISTIO_META_REQUESTED_NETWORK_VIEW, value: "+g.network()+"}")+"]")
	labels, proxy := "app: "+app+g.onNetwork(30), ""
	if g.chance(85) {
		labels, proxy = labels+", security.istio.io/tlsMode: istio", ", {name: istio-proxy, image: proxyv2, args: [proxy, sidecar]"+env+"}"
	}
	*g.sources = append(*g.sources, fmt.Sprintf("shop/pod/p%d", i))
	ip := fmt.Sprintf("10.%s.%d", g.one("1.0", "2.0", "3.0", "1.7"), i+1)
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: p%d, namespace: shop, labels: {%s}}\nspec: {serviceAccountName: %s, containers: [{name: app, image: app}%s]}\nstatus: {phase: Running, podIP: %s, podIPs: [{ip: %s}], conditions: [{type: Ready, status: \"%s\"}]}\n",
		i, labels, app, proxy, ip, ip, g.one("True", "True", "True", "False"))
}

// machines are WorkloadEntries.
func (g networkGenerator) machines() []string {
	return g.repeat(5, func(i int) string {
		address := fmt.Sprintf("address: 198.51.100.1%d", i)
		network := g.when(75, "network: "+g.network())
		account := g.when(70, "serviceAccount: vm")
		if network != "" && g.chance(10) {
			address = ""
		} else if account != "" {
			*g.sources = append(*g.sources, fmt.Sprintf("shop/workloadentry/vm%d", i))
		}
		return object("networking.istio.io/v1", "WorkloadEntry", "shop", fmt.Sprintf("vm%d", i), "spec: "+fields(address, network,
			"labels: {app: "+g.one("a", "a", "b", "vm")+g.when(30, ", version: v1")+g.onNetwork(10)+"}", account, g.when(20, "weight: "+g.one("2", "5")), g.when(15, "locality: "+g.one("r1/z1", "r2/z3"))))
	})
}

// eastWest is a gateway of the cluster's network.
func (g networkGenerator) eastWest() []string {
	if g.chance(25) {
		return nil
	}
	label := g.when(70, ", labels: {topology.istio.io/network: "+g.one("net1", "net1", "net1", "net2")+g.when(10, ", networking.istio.io/gatewayPort: \""+g.one("15444", "15021")+"\"")+"}")
	view := g.when(50, ", env: [{name: ISTIO_META_NETWORK, value: net1}, {name: ISTIO_META_REQUESTED_NETWORK_VIEW, value: net1}]")
	docs := []string{
		object("apps/v1", "Deployment", "istio-system", "eastwest", "spec: {template: {metadata: {labels: {istio: eastwest}}, spec: {serviceAccountName: eastwest, containers: [{name: istio-proxy, image: proxyv2, args: [proxy, router]"+view+"}]}}}"),
		fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: eastwest, namespace: istio-system%s}\nspec: {type: %s, selector: {istio: eastwest}, ports: [{name: status, port: 15021}, {name: tls, port: 15443}]}\n",
			label, g.one("LoadBalancer", "LoadBalancer", "LoadBalancer, externalIPs: [203.0.113.77]", "ClusterIP")),
	}
	if g.chance(85) {
		docs = append(docs, object("networking.istio.io/v1", "Gateway", "istio-system", "cross", "spec: {selector: {istio: eastwest}, servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ["+g.one("'*.local'", "'*'", "a.shop.svc.cluster.local")+"]}]}"))
	}
	return docs
}

func (g networkGenerator) networkRule(i int) string {
	policy := g.when(75, "trafficPolicy: "+fields(g.when(35, "tls: {mode: "+g.one("DISABLE", "ISTIO_MUTUAL", "SIMPLE")+"}"), g.when(35, "outlierDetection: "+g.one("{consecutive5xxErrors: 5}", "{minHealthPercent: 50}")),
		g.when(25, "loadBalancer: {localityLbSetting: "+g.one(g.locality(), "{failoverPriority: [topology.istio.io/network]}", "{failoverPriority: [topology.istio.io/network, version]}")+"}")))
	subsets := g.when(40, "subsets: [{name: v1, labels: "+g.one("{version: v1}", "{topology.istio.io/network: net1}", "{topology.istio.io/network: net2}")+"}]")
	return object("networking.istio.io/v1", "DestinationRule", "shop", fmt.Sprintf("dr%d", i), "spec: "+fields("host: "+g.one("a", "a", "b", "m.example.com"), policy, subsets))
}

func (g networkGenerator) request() []string {
	from := g.one(append([]string{"shop/deployment/web", "shop/deployment/web"}, *g.sources...)...)
	url := g.one("http://a/", "http://a/", "http://a/", "http://b/", "tcp://a:90", "http://m.example.com/", "http://a.shop/x")
	return []string{"--from", from, url}
}
