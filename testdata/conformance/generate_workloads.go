package conformance

import "fmt"

func (g generator) namespaces() []string {
	injected := func(percent int) string {
		if g.chance(percent) {
			return "istio-injection: enabled"
		}
		return g.one("istio-injection: disabled", "istio.io/rev: default", "team: any", "team: any")
	}
	discovered := func() string { return g.when(80, "discovered: \"yes\"") }
	return []string{
		fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: %s}\n", fields(injected(92), discovered())),
		fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: team, labels: %s}\n", fields(injected(70), discovered())),
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system, labels: {discovered: \"yes\"}}\n",
	}
}

// workloads are those of the mesh, one that is outside it, and in some meshes pods on nodes of
// different zones.
func (g generator) workloads() []string {
	var docs []string
	zones := g.chance(25)
	if zones {
		for i, zone := range []string{"r1/z1", "r1/z2", "r2/z3"} {
			docs = append(docs, fmt.Sprintf("apiVersion: v1\nkind: Node\nmetadata: {name: n%d, labels: {topology.kubernetes.io/region: %s, topology.kubernetes.io/zone: %s}}\n", i, zone[:2], zone[3:]))
		}
	}
	for _, d := range []struct{ kind, namespace, name, labels, account string }{
		{"Deployment", "shop", "web", "app: web", "web"},
		{"Deployment", "shop", "a-v1", "app: a, version: v1", "a"},
		{"Deployment", "shop", "a-v2", "app: a, version: v2", "a"},
		{"Deployment", "shop", "b", "app: b", "b"},
		{"Deployment", "team", "c", "app: c", "c"},
		{"Deployment", "team", "d", "app: d", "d"},
		{"StatefulSet", "shop", "db", "app: db", "db"},
		{"Deployment", "shop", "old", "app: old, sidecar.istio.io/inject: \"false\"", "old"},
	} {
		selector := "app: " + d.account
		labels := d.labels
		if d.name != "old" {
			labels += g.when(5, ", sidecar.istio.io/inject: \""+g.one("true", "false")+"\"") + g.when(4, ", istio.io/rev: default")
		}
		node := ""
		if zones {
			node = "nodeName: n" + g.one("0", "1", "2")
		}
		replicas := ""
		if d.name != "web" && d.name != "d" && d.name != "old" {
			replicas = g.when(15, "replicas: "+g.one("0", "2"))
		}
		service := ""
		if d.kind == "StatefulSet" {
			service = "serviceName: db"
		}
		pod := fields("serviceAccountName: "+d.account, node, "containers: [{name: app, image: app, ports: [{name: api, containerPort: 8080}]}]")
		docs = append(docs, object("apps/v1", d.kind, d.namespace, d.name,
			"spec: "+fields(replicas, service, "selector: {matchLabels: {"+selector+"}}", "template: {metadata: {labels: {"+labels+"}}, spec: "+pod+"}")))
	}
	return append(docs, g.repeat(3, func(i int) string {
		node := ""
		if zones {
			node = "nodeName: n" + g.one("0", "1", "2")
		}
		return g.pod(i, node)
	})...)
}

// pod is one that runs already: its address is known, and whether it is ready.
func (g generator) pod(i int, node string) string {
	owner := g.one("a", "b", "c", "db", "manual")
	namespace := "shop"
	if owner == "c" {
		namespace = "team"
	}
	proxy := g.when(75, ", {name: istio-proxy, image: proxyv2, args: [proxy, sidecar]}")
	labels := fields("app: "+owner, g.when(40, "version: "+g.one("v1", "v2")))
	if proxy != "" {
		labels = fields("app: "+owner, g.when(40, "version: "+g.one("v1", "v2")), "security.istio.io/tlsMode: istio")
	}
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: p%d, namespace: %s, labels: %s}\nspec: %s\nstatus: {phase: Running, podIP: 10.244.7.%d, podIPs: [{ip: 10.244.7.%d}], conditions: [{type: Ready, status: \"%s\"}]}\n",
		i, namespace, labels, fields("serviceAccountName: "+owner, node, "containers: [{name: app, image: app, ports: [{name: api, containerPort: 8080}]}"+proxy+"]"), i+1, i+1, g.one("True", "True", "False"))
}
