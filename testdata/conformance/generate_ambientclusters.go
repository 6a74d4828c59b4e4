package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// ambientClusterGenerator makes meshes of two or three clusters whose istiods run ambient over several networks: Services that are GLOBAL or not,
// with waypoints in some clusters, on one network or on several, with east-west gateways.
type ambientClusterGenerator struct{ clusterGenerator }

func newAmbientClusterGenerator(seed uint64) *ambientClusterGenerator {
	return &ambientClusterGenerator{*newClusterGenerator(seed)}
}

func (g *ambientClusterGenerator) mesh() []string {
	flags := ", {name: AMBIENT_ENABLE_MULTI_NETWORK, value: \"true\"}" +
		g.when(15, ", {name: AMBIENT_ENABLE_MULTI_NETWORK_WAYPOINT, value: \"false\"}")
	docs := slices.Concat(
		g.cluster("", 0, "net1"),
		[]string{
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: istiod, namespace: istio-system, labels: {app: istiod}}\nspec: {selector: {matchLabels: {app: istiod}}, template: {metadata: {labels: {app: istiod}}, spec: {containers: [{name: discovery, image: pilot, env: [{name: PILOT_ENABLE_AMBIENT, value: \"true\"}" + flags + "]}]}}}\n",
			object("v1", "ConfigMap", "istio-system", "istio", "data:\n  mesh: |\n    serviceScopeConfigs: ["+g.one(
				"{scope: GLOBAL, servicesSelector: {matchLabels: {istio.io/global: \"true\"}}}",
				"{scope: GLOBAL, servicesSelector: {matchLabels: {istio.io/global: \"true\"}}}",
				"{scope: GLOBAL, namespaceSelector: {matchLabels: {team: shop}}}",
				"{scope: GLOBAL}",
				"{scope: LOCAL}, {scope: GLOBAL, servicesSelector: {matchExpressions: [{key: istio.io/global, operator: Exists}]}, namespaceSelector: {matchLabels: {team: shop}}}",
			)+"]"),
		},
		g.repeat(2, func(i int) string {
			return object("security.istio.io/v1", "AuthorizationPolicy", "shop", fmt.Sprintf("ap%d", i), fmt.Sprintf("spec: {action: %s, rules: [{from: [{source: {principals: [%q]}}]}]}", g.one("ALLOW", "DENY"), "*/sa/"+g.one("web", "a", "wp", "eastwest")))
		}),
	)
	return g.withRemotes(docs, 60, g.cluster)
}

func (g *ambientClusterGenerator) cluster(id string, number int, network string) []string {
	docs := []string{
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system, labels: {team: any" + g.when(85, ", topology.istio.io/network: "+network) + "}}\n",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: " + g.one("shop", "shop", "other") + ", istio.io/dataplane-mode: " + g.one("ambient", "ambient", "ambient", "ambient", "none") + "}}\n",
	}
	for _, d := range []struct {
		app, name string
		percent   int
	}{{"web", "web", 85}, {"a", "a-v1", 80}, {"b", "b", 65}} {
		if !g.chance(d.percent) {
			continue
		}
		replicas := g.one("1", "1", "2", "2", "3")
		if d.app != "web" && g.chance(8) {
			replicas = "0"
		}
		docs = append(docs, object("apps/v1", "Deployment", "shop", d.name, fmt.Sprintf("spec: {replicas: %s, selector: {matchLabels: {app: %s}}, template: {metadata: {labels: {app: %[2]s}}, spec: {serviceAccountName: %[2]s, containers: [{name: app, image: app}]}}}", replicas, d.app)))
		if d.app == "web" {
			g.sources = append(g.sources, strings.TrimPrefix(id+":shop/deployment/web", ":"))
		}
	}
	for _, name := range []string{"a", "b"} {
		if g.chance(97) {
			labels := fields("part: mesh", g.when(75, "istio.io/global: \"true\""), g.when(40, "istio.io/use-waypoint: wp"))
			docs = append(docs, fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: shop, labels: %s}\nspec: %s\n", name, labels,
				fields("selector: {app: "+name+"}", g.when(10, "trafficDistribution: PreferClose"), "ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 90, targetPort: 9090}]")))
		}
	}
	if g.chance(75) {
		docs = append(docs, "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: wp, namespace: shop, labels: "+fields("part: mesh", g.when(40, "istio.io/global: \"true\""))+"}\nspec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}\n")
	}
	if g.chance(80) {
		docs = append(docs, fmt.Sprintf("apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: eastwest, namespace: istio-system, labels: {topology.istio.io/network: %s}}\nspec: {gatewayClassName: istio-east-west, listeners: [{name: mesh, port: 15008, protocol: HBONE%s}]}\nstatus: {addresses: [{type: IPAddress, value: 192.0.2.%d}]}\n",
			network, g.when(90, ", tls: {mode: Terminate, options: {gateway.istio.io/tls-terminate-mode: ISTIO_MUTUAL}}"), 8+number))
	}
	return docs
}

func (g *ambientClusterGenerator) request() []string {
	return []string{"--from", g.one(append(g.sources, "shop/deployment/web")...), g.one("http://a/", "http://a/", "http://b/", "tcp://a:90", "http://a.shop/x")}
}
