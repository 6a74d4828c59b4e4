package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// mixed makes meshes in which some workloads have sidecars, some are captured by ztunnel, and some are neither, with waypoints
// that are nearly bound, and policies that are enforced where they were not meant to be.
//
//  1. Namespaces: shop and far are ambient, team has sidecars, outer is outside of the mesh; each of them may be otherwise, and a
//     pod may be otherwise than its namespace.
//  2. Waypoints are in shop and in far. Namespaces, Services, ServiceEntries and pods name them, name none, or name one that is not there.
//  3. Requests go from each kind of workload, and from outside, to each kind: by name, and where pods run already by address.
type mixed struct {
	generator
	// running is set where the pods are there already, with addresses.
	running bool
	// routed is set where a gateway is there.
	routed bool
}

// mixedGenerator differs from the meshes of the same seed.
func mixedGenerator(seed uint64) *mixed {
	g := &mixed{generator: newGenerator(seed + 3<<32)}
	g.running, g.routed = g.chance(50), g.chance(60)
	return g
}

// mesh is a list of documents.
func (g *mixed) mesh() []string {
	docs := slices.Concat(g.mixedMeshConfig(), g.spaces(), g.servers(), g.published(), g.waypoints(), g.repeat(2, g.hostOutside), g.repeat(2, g.entryOf),
		g.repeat(3, g.meshRoute), g.repeat(2, g.otherRoute), g.repeat(2, g.subsets), g.repeat(2, g.inside), g.repeat(3, g.peerMode), g.repeat(7, g.mixedPolicy), g.repeat(2, g.tokenRule))
	if g.routed {
		docs = append(docs, g.entrances()...)
	}
	return g.age(distinct(docs))
}

// waypointLabels are those that name a waypoint.
func (g *mixed) waypointLabels(percent int) string {
	if !g.chance(percent) {
		return ""
	}
	switch g.IntN(14) {
	case 0:
		return "istio.io/use-waypoint: none"
	case 1:
		return "istio.io/use-waypoint: bogus"
	case 2, 3, 4:
		return "istio.io/use-waypoint: wp, istio.io/use-waypoint-namespace: " + g.one("far", "far", "shop", "nowhere")
	case 5:
		return "istio.io/use-waypoint-namespace: far"
	}
	return "istio.io/use-waypoint: wp"
}

func (g *mixed) ingressLabel(percent int) string {
	return g.when(percent, "istio.io/ingress-use-waypoint: \""+g.one("true", "true", "true", "false")+"\"")
}

// spaces are the namespaces of step 1.
func (g *mixed) spaces() []string {
	ambient := func() string {
		return g.one("istio.io/dataplane-mode: ambient", "istio.io/dataplane-mode: ambient", "istio.io/dataplane-mode: ambient", "istio.io/dataplane-mode: ambient", "istio.io/dataplane-mode: none", "istio-injection: enabled")
	}
	var docs []string
	for _, n := range []struct{ name, mode string }{
		{"shop", "istio.io/dataplane-mode: ambient"},
		{"far", ambient()},
		{"team", "istio-injection: enabled" + g.when(20, ", istio.io/dataplane-mode: ambient")},
		{"outer", g.when(15, "istio.io/dataplane-mode: none")},
		{"edge", g.when(30, "istio.io/dataplane-mode: ambient")},
	} {
		docs = append(docs, fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: %s}\n", n.name, fields(n.mode, g.waypointLabels(30), g.ingressLabel(15), "kind: "+n.name)))
	}
	return append(docs, "apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n")
}

// servers are the workloads.
func (g *mixed) servers() []string {
	var docs []string
	for i, w := range []struct{ namespace, name, labels, mode string }{
		{"shop", "web", "app: web", "ambient"},
		{"shop", "a", "app: a, version: v1", "ambient"},
		{"shop", "a-v2", "app: a, version: v2", g.one("ambient", "ambient", "", "sidecar")},
		{"shop", "b", "app: b", "ambient"},
		{"team", "c", "app: c", "sidecar"},
		{"team", "d", "app: d", g.one("sidecar", "sidecar", "ambient", "")},
		{"outer", "e", "app: e", g.one("", "", "ambient")},
		{"far", "f", "app: f", g.one("ambient", "ambient", "ambient", "sidecar", "")},
	} {
		labels := fields(w.labels, g.waypointLabels(12), g.when(6, "istio.io/dataplane-mode: "+g.one("none", "ambient")), g.when(5, "sidecar.istio.io/inject: \""+g.one("true", "false")+"\""))
		account := strings.TrimSuffix(w.name, "-v2")
		if g.running {
			docs = append(docs, g.runningPod(i, w.namespace, w.name, labels, account, w.mode))
			continue
		}
		annotations := g.when(4, ", annotations: {ambient.istio.io/bypass-inbound-capture: \"true\"}")
		if w.namespace == "team" && g.chance(15) {
			labels = strings.TrimSuffix(labels, "}") + ", networking.istio.io/tunnel: http}"
			annotations = ", annotations: {proxy.istio.io/config: \"proxyMetadata: {ISTIO_META_ENABLE_HBONE: 'true'}\"}"
		}
		docs = append(docs, object("apps/v1", "Deployment", w.namespace, w.name,
			fmt.Sprintf("spec: {%sselector: {matchLabels: {app: %s}}, template: {metadata: {labels: %s%s}, spec: {serviceAccountName: %s, containers: [{name: app, image: app}]}}}",
				g.when(6, "replicas: "+g.one("0", "2")+", "), account, labels, annotations, account)))
	}
	return docs
}

// runningPod shows in its status what it is.
func (g *mixed) runningPod(i int, namespace, name, labels, account, mode string) string {
	containers, annotations := "{name: app, image: app}", ""
	switch mode {
	case "sidecar":
		containers += ", {name: istio-proxy, image: istio/proxyv2:1.31.0, args: [proxy, sidecar]}"
		labels = strings.TrimSuffix(labels, "}") + ", security.istio.io/tlsMode: istio}"
	case "ambient":
		annotations = ", annotations: {ambient.istio.io/redirection: enabled}"
	}
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: %s, labels: %s%s}\nspec: {serviceAccountName: %s, containers: [%s]}\nstatus: {phase: Running, podIP: 10.244.3.%d, podIPs: [{ip: 10.244.3.%d}], conditions: [{type: Ready, status: \"%s\"}]}\n",
		name, namespace, labels, annotations, account, containers, i+1, i+1, g.one("True", "True", "True", "True", "True", "True", "False"))
}

// published are Services, of which each has HTTP, TCP and a port that does not say, and hosts outside.
func (g *mixed) published() []string {
	var docs []string
	for i, s := range []struct{ namespace, name string }{{"shop", "a"}, {"shop", "b"}, {"team", "c"}, {"team", "d"}, {"outer", "e"}, {"far", "f"}} {
		canary, annotations := "", ""
		if g.chance(10) {
			canary = "istio.io/use-waypoint-canary: " + g.one("wp", "next", "next", "bogus")
			annotations = g.when(85, ", annotations: {istio.io/use-waypoint-canary-weight: \""+g.one("0", "25", "100", "101", "some")+"\"}")
		}
		address := fmt.Sprintf(", clusterIP: 10.96.3.%d", i+1)
		if g.chance(5) {
			address = ", clusterIP: None"
		}
		docs = append(docs, fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: %s, labels: %s%s}\nspec: {selector: {app: %s}%s%s, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 9000}, {name: x, port: 7000}]}\n",
			s.name, s.namespace, fields("kind: any", g.waypointLabels(70), g.ingressLabel(50), canary), annotations, s.name, address,
			g.when(5, ", publishNotReadyAddresses: true")+g.when(8, ", trafficDistribution: "+g.one("PreferClose", "PreferSameZone"))))
	}
	if g.chance(60) {
		docs = append(docs, fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: out, namespace: %s, labels: %s}\nspec: {hosts: [out.example.com], addresses: [198.51.100.7], location: %s, resolution: %s, ports: [{number: 80, name: http, protocol: HTTP}, {number: 9000, name: tcp, protocol: TCP}], endpoints: [{address: 203.0.113.80}]}\n",
			g.one("shop", "far"), fields("kind: any", g.waypointLabels(70)), g.one("MESH_EXTERNAL", "MESH_EXTERNAL", "MESH_INTERNAL"), "STATIC"))
	}
	return docs
}

// waypoints are step 2.
func (g *mixed) waypoints() []string {
	var docs []string
	if g.chance(25) {
		docs = append(docs, object(gatewayAPI, "Gateway", "shop", "next", "spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}"))
	}
	for _, namespace := range []string{"shop", "far"} {
		if g.chance(10) {
			continue
		}
		from := g.one("", "", ", allowedRoutes: {namespaces: {from: All}}", ", allowedRoutes: {namespaces: {from: All}}", ", allowedRoutes: {namespaces: {from: Same}}", ", allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {kind: "+g.one("team", "shop", "far")+"}}}}")
		labels := fields("kind: any", g.when(50, "istio.io/waypoint-for: "+g.one("service", "workload", "all", "all", "none")))
		docs = append(docs, fmt.Sprintf("apiVersion: %s\nkind: Gateway\nmetadata: {name: wp, namespace: %s, labels: %s}\nspec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE%s}]}\n", gatewayAPI, namespace, labels, from))
		if g.chance(6) {
			docs = append(docs, object("apps/v1", "Deployment", namespace, "wp", "spec: {replicas: 0, selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: wp}}, template: {metadata: {labels: {gateway.networking.k8s.io/gateway-name: wp, gateway.istio.io/managed: istio.io-mesh-controller}}, spec: {containers: [{name: istio-proxy, image: proxyv2, args: [proxy, waypoint]}]}}}"))
		}
	}
	return docs
}

// meshRoute is an HTTPRoute or TCPRoute of a Service.
func (g *mixed) meshRoute(i int) string {
	namespace, parent := g.one("shop", "shop", "far", "team"), g.one("a", "b", "f", "c")
	backend := func() string {
		return "{" + g.one("name: a, namespace: shop", "name: b, namespace: shop", "name: f, namespace: far", "name: c, namespace: team", "name: e, namespace: outer", "name: none") + ", port: " + g.one("80", "80", "9000") + g.when(40, ", weight: "+g.one("1", "2", "0")) + "}"
	}
	home := map[string]string{"a": "shop", "b": "shop", "f": "far", "c": "team"}[parent]
	ref := "parentRefs: [{group: \"\", kind: Service, name: " + parent + g.when(95, ", namespace: "+home) + g.when(30, ", port: "+g.one("80", "9000", "7000")) + "}]"
	if g.chance(15) {
		return object("gateway.networking.k8s.io/v1alpha2", "TCPRoute", namespace, fmt.Sprintf("tr%d", i), "spec: {"+ref+", rules: [{backendRefs: "+list(g.lot(2, backend))+"}]}")
	}
	rules := g.lot(2, func() string {
		match := g.when(60, "matches: [{path: {type: "+g.one("PathPrefix", "PathPrefix", "Exact")+", value: "+g.one("/a", "/b", "/")+"}}]")
		filters := g.when(20, "filters: ["+g.one("{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-q, value: one}]}}", "{type: RequestRedirect, requestRedirect: {hostname: other.example.com}}")+"]")
		if strings.Contains(filters, "Redirect") {
			return fields(match, filters)
		}
		return fields(match, filters, "backendRefs: "+list(g.lot(2, backend)))
	})
	return object(gatewayAPI, "HTTPRoute", namespace, fmt.Sprintf("hr%d", i), "spec: {"+ref+", rules: "+list(rules)+"}")
}

// subsets is a DestinationRule.
func (g *mixed) subsets(i int) string {
	tls := g.when(25, "tls: {mode: "+g.one("DISABLE", "ISTIO_MUTUAL", "SIMPLE")+"}")
	policy := ""
	if tls != "" {
		policy = "trafficPolicy: {" + tls + "}"
	}
	return object("networking.istio.io/v1", "DestinationRule", g.one("shop", "shop", "far", "istio-system"), fmt.Sprintf("dr%d", i),
		"spec: "+fields("host: "+g.destination(), policy, "subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]"))
}

func (g *mixed) destination() string {
	return g.one("a.shop", "a.shop", "b.shop", "f.far", "c.team") + ".svc.cluster.local"
}

// inside is a VirtualService for the mesh.
func (g *mixed) inside(i int) string {
	host := g.destination()
	to := func() string {
		return "{destination: " + fields("host: "+g.one(host, host, g.destination()), g.when(45, "subset: "+g.one("v1", "v2"))) + "}"
	}
	rules := append(g.repeat(3, func(int) string {
		return fields("match: [{uri: {prefix: "+g.one("/a", "/b")+"}"+g.when(20, ", sourceNamespace: "+g.one("shop", "far"))+g.when(15, ", sourceLabels: {app: web}")+g.when(10, ", port: "+g.one("80", "7000"))+"}]",
			g.when(20, "fault: {abort: {httpStatus: 418, percentage: {value: 100}}}"), "route: ["+to()+"]")
	}), "{route: ["+to()+"]}")
	return object("networking.istio.io/v1", "VirtualService", g.one("shop", "shop", "far", "team"), fmt.Sprintf("vs%d", i),
		"spec: "+fields("hosts: ["+host+"]", "http: "+list(rules), g.when(20, "tcp: [{route: ["+to()+"]}]")))
}

// entrances are a gateway with a route for each Service.
func (g *mixed) entrances() []string {
	docs := []string{object(gatewayAPI, "Gateway", "edge", "in", "spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]}")}
	for _, s := range []struct{ namespace, name string }{{"shop", "a"}, {"shop", "b"}, {"team", "c"}, {"far", "f"}, {"outer", "e"}} {
		docs = append(docs, object(gatewayAPI, "HTTPRoute", s.namespace, "in-"+s.name, "spec: {parentRefs: [{name: in, namespace: edge}], hostnames: ["+s.name+".example.com], rules: [{backendRefs: [{name: "+s.name+", port: "+g.one("80", "80", "80", "7000")+"}]}]}"))
	}
	return docs
}
