package conformance

import (
	"fmt"
	"strings"
)

// kube makes meshes whose gateways and routes are those of the Gateway API: listeners that contend for ports and
// hostnames, routes of every kind with parents of every kind, backends that are not in order, and Istio's
// own Gateways and VirtualServices beside them.
type kube struct {
	edge
	// asked is set once the conversion was asked for.
	asked bool
	// parents are the Gateways and ListenerSets, as a parentRef names them, with their listeners.
	parents []kubeParent
}

// kubeParent is a Gateway or ListenerSet.
type kubeParent struct {
	kind, namespace, name string
	sections              []string
}

// kubeGenerator differs from the other meshes of the same seed.
func kubeGenerator(seed uint64) *kube {
	return &kube{edge: edge{generator: newGenerator(seed + 2<<32)}}
}

const gatewayAPI = "gateway.networking.k8s.io/v1"

// mesh is a list of documents.
func (k *kube) mesh() []string {
	docs := []string{
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled, team: front}}\n",
		fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: team%s}\n", k.when(70, ", labels: {istio-injection: enabled, team: back}")),
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: edge, labels: {istio-injection: enabled}}\n",
	}
	docs = append(docs, "apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n")
	head := len(docs)
	docs = append(docs, applications()...)
	docs = append(docs, k.kubeServices()...)
	docs = append(docs, k.backends()...)
	docs = append(docs, k.kubeGateways()...)
	for i := range 2 + k.IntN(4) {
		docs = append(docs, k.httpRouteObject(i))
	}
	for i := range k.IntN(3) {
		docs = append(docs, k.grpcRouteObject(i))
	}
	for i := range k.IntN(3) {
		docs = append(docs, k.streamRouteObject("TLSRoute", i))
	}
	for i := range k.IntN(3) {
		docs = append(docs, k.streamRouteObject("TCPRoute", i))
	}
	for i := range k.IntN(3) {
		docs = append(docs, k.referenceGrant(i))
	}
	if k.chance(50) {
		docs = append(docs, k.beside()...)
	}
	if k.chance(40) {
		docs = append(docs, k.backendPolicies()...)
	}
	for i := range k.IntN(2) {
		docs = append(docs, k.destinationRule(i))
	}
	var mesh []string
	if k.chance(30) {
		ingresses, settings := k.ingresses()
		docs, mesh = append(docs, ingresses...), append(mesh, settings...)
	}
	if k.chance(15) {
		mesh = append(mesh, k.one("pathNormalization: {normalization: MERGE_SLASHES}", "defaultVirtualServiceExportTo: ['.']", "defaultServiceExportTo: ['.']", "outboundTrafficPolicy: {mode: REGISTRY_ONLY}"))
	}
	if len(mesh) > 0 {
		docs = append(docs, object("v1", "ConfigMap", "istio-system", "istio", "data:\n  mesh: |\n    "+strings.Join(mesh, "\n    ")))
	}
	k.Shuffle(len(docs)-head, func(i, j int) { docs[i+head], docs[j+head] = docs[j+head], docs[i+head] })
	return k.age(distinct(docs))
}

// kubeServices mostly have ports of HTTP.
func (k *kube) kubeServices() []string {
	service := func(namespace, name, app string) string {
		labels := k.when(5, ", labels: {istio.io/use-waypoint: "+k.one("gw0", "none", "gw1")+"}")
		ports := []string{"{name: " + k.one("http", "http", "http", "grpc", "web") + ", port: 80, targetPort: 8080}"}
		if k.chance(60) {
			ports = append(ports, "{name: "+k.one("tcp", "tls", "http", "https")+"-2, port: "+k.one("9000", "443", "8080")+", targetPort: 9000}")
		}
		export := k.when(6, ", annotations: {networking.istio.io/exportTo: \""+k.one(".", "team", "shop")+"\"}")
		return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: %s%s%s}\nspec: {selector: {app: %s}, ports: %s}\n", name, namespace, labels, export, app, list(ports))
	}
	docs := []string{service("shop", "a", "a"), service("shop", "b", "b"), service("team", "c", "c"), service("shop", "web", "web")}
	if k.chance(50) {
		docs = append(docs, service("shop", "empty", "nobody"))
	}
	return docs
}

// kubeGateways are Gateways with the workloads that serve them, GatewayClasses and ListenerSets.
func (k *kube) kubeGateways() []string {
	var docs []string
	if k.chance(20) {
		docs = append(docs, "apiVersion: "+gatewayAPI+"\nkind: GatewayClass\nmetadata: {name: own}\nspec: {controllerName: "+k.one("istio.io/gateway-controller", "istio.io/gateway-controller", "example.com/other")+"}\n")
	}
	for i := range 1 + k.IntN(3) {
		docs = append(docs, k.kubeGateway(i)...)
	}
	for i := range k.IntN(3) {
		docs = append(docs, k.listenerSet(i))
	}
	return docs
}

func (k *kube) kubeGateway(i int) []string {
	namespace, name := k.one("edge", "edge", "shop", "team"), fmt.Sprintf("gw%d", i)
	class := k.one("istio", "istio", "istio", "istio", "istio", "own", "istio-remote", "istio-waypoint")
	parent := kubeParent{kind: "Gateway", namespace: namespace, name: name}
	var listeners []string
	for j := range 1 + k.IntN(4) {
		section := fmt.Sprintf("%s%d", k.one("l", "m", "a"), j)
		parent.sections = append(parent.sections, section)
		listeners = append(listeners, k.listener(namespace+"/"+name, section))
	}
	k.parents = append(k.parents, parent)
	workload, address := name+"-"+class, ""
	if class == "istio-waypoint" { // istiod would call it as the Gateway
		workload = name
	}
	if k.chance(20) { // bound to a Service of one's own
		workload = "front" + k.one("", fmt.Sprint(i))
		address = "addresses: [{type: Hostname, value: " + k.one(workload, workload+"."+namespace+".svc.cluster.local") + "}]"
	}
	k.doors = append(k.doors, namespace+"/"+workload)
	spec := fields("gatewayClassName: "+class, address, "listeners: "+list(listeners),
		k.when(60, "allowedListeners: {namespaces: {from: "+k.one("All", "All", "Same", "None")+"}}"),
		k.when(6, "tls: {frontend: {default: {validation: {caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]"+k.when(40, ", mode: AllowInsecureFallback")+"}}}}"))
	labels := "{gateway.networking.k8s.io/gateway-name: " + name + ", front: " + workload + "}"
	ports := []string{"{name: status-port, port: 15021}"}
	for _, n := range []string{"80", "8080", "443", "8443", "9000"} {
		target := n
		if address != "" {
			target = map[string]string{"80": "8080", "443": "8443"}[n]
			if target == "" {
				target = n
			}
		}
		if k.chance(92) {
			ports = append(ports, fmt.Sprintf("{name: p-%s, port: %s, targetPort: %s}", n, n, target))
		}
	}
	return []string{
		object(gatewayAPI, "Gateway", namespace, name, "spec: "+spec),
		object("apps/v1", "Deployment", namespace, workload, fmt.Sprintf("spec: {selector: {matchLabels: %s}, template: {metadata: {labels: %s}, spec: {serviceAccountName: %s, containers: [{name: istio-proxy, image: istio/proxyv2:1.31.0, args: [proxy, router]}]}}}", labels, labels, workload)),
		object("v1", "Service", namespace, workload, "spec: {selector: {front: "+workload+"}, ports: "+list(ports)+"}"),
	}
}

// listener is one of a Gateway or ListenerSet.
func (k *kube) listener(gateway, section string) string {
	hostname := k.one("", "", "'*.example.com'", "'*.example.com'", "shop.example.com", "shop.example.com", "api.example.com", "'*.shop.example.com'", "'*.com'", "x.example.com")
	aimed := strings.Trim(hostname, "'")
	if aimed == "" {
		aimed = "*"
	}
	with := func(protocol, scheme, tls string, ports ...string) string {
		port := k.one(ports...)
		k.servers = append(k.servers, target{gateway: gateway, scheme: scheme, port: port, mode: tls, hosts: []string{aimed}})
		if hostname != "" {
			hostname = "hostname: " + hostname
		}
		if tls != "" {
			tls = "tls: " + tls
		}
		return fields("name: "+section, "protocol: "+protocol, "port: "+port, hostname, tls, k.allowedRoutes())
	}
	switch n := k.IntN(100); {
	case n < 52:
		return with("HTTP", "http", "", "80", "80", "80", "8080")
	case n < 76:
		return with("HTTPS", k.one("https", "https", "grpcs"), k.termination(), "443", "443", "443", "8443", "80")
	case n < 86:
		return with("TLS", "tls", "{mode: Passthrough}", "443", "443", "8443")
	case n < 91:
		return with("TLS", "tls", k.termination(), "443", "8443", "9000")
	case n < 98:
		hostname, aimed = "", "*"
		return with("TCP", "tcp", "", "9000", "9000", "8080", "80")
	}
	return with(k.one("UDP", "http", "HTTPS", "TLS"), "http", "", "80", "443")
}

func (k *kube) termination() string {
	refs := k.one("[{name: one}]", "[{name: one}]", "[{name: one}, {name: two}]", "[{name: one, namespace: team}]", "[{name: one, namespace: team}, {name: two}]", "[{kind: ConfigMap, name: one}]")
	return fields("mode: Terminate", "certificateRefs: "+refs, k.when(8, "options: {gateway.istio.io/tls-terminate-mode: "+k.one("MUTUAL", "OPTIONAL_MUTUAL", "ISTIO_MUTUAL", "ISTIO_SIMPLE")+"}"))
}

func (k *kube) allowedRoutes() string {
	namespaces := k.one("", "{from: All}", "{from: All}", "{from: All}", "{from: Same}", "{from: Selector, selector: {matchLabels: {team: front}}}",
		"{from: Selector, selector: {matchExpressions: [{key: team, operator: "+k.one("Exists", "DoesNotExist")+"}]}}", "{from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: team}}}")
	if namespaces != "" {
		namespaces = "namespaces: " + namespaces
	}
	kinds := k.when(12, "kinds: "+list(k.some(2, "{kind: HTTPRoute}", "{kind: GRPCRoute}", "{kind: TCPRoute}", "{kind: TLSRoute}", "{kind: Other}")))
	if namespaces+kinds == "" {
		return ""
	}
	return "allowedRoutes: " + fields(namespaces, kinds)
}

func (k *kube) listenerSet(i int) string {
	namespace, name := k.one("edge", "shop", "team"), fmt.Sprintf("set%d", i)
	of := k.parents[k.IntN(len(k.parents))]
	parent := kubeParent{kind: "ListenerSet", namespace: namespace, name: name}
	var listeners []string
	for j := range 1 + k.IntN(2) {
		section := fmt.Sprintf("s%d", j)
		parent.sections = append(parent.sections, section)
		listeners = append(listeners, k.listener(of.namespace+"/"+of.name, section))
	}
	k.parents = append(k.parents, parent)
	return object(gatewayAPI, "ListenerSet", namespace, name, fmt.Sprintf("spec: {parentRef: {kind: Gateway, group: gateway.networking.k8s.io, name: %s, namespace: %s}, listeners: %s}", of.name, of.namespace, list(listeners)))
}

// referenceGrant lets routes or Gateways of one namespace refer to objects of another.
func (k *kube) referenceGrant(i int) string {
	return object("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", k.one("shop", "team"), fmt.Sprintf("grant%d", i), fmt.Sprintf("spec: {from: [{group: gateway.networking.k8s.io, kind: %s, namespace: %s}], to: [%s]}",
		k.one("HTTPRoute", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "Gateway", "ListenerSet"), k.one("shop", "team", "edge"),
		k.one("{group: '', kind: Service}", "{group: '', kind: Service}", "{group: '', kind: Service, name: c}", "{group: '', kind: Secret}", "{group: '', kind: Secret, name: one}")))
}

// beside are Istio's own resources on the workload of a Gateway, and VirtualServices of the mesh.
func (k *kube) beside() []string {
	of := k.parents[0]
	var docs []string
	if k.chance(60) {
		k.gateways = append(k.gateways, of.namespace+"/own", of.namespace+"/"+of.name, of.namespace+"/"+of.name+"-istio-autogenerated-k8s-gateway-"+of.sections[0])
		docs = append(docs, object("networking.istio.io/v1", "Gateway", k.one(of.namespace, of.namespace, "shop"), "own",
			"spec: {selector: {gateway.networking.k8s.io/gateway-name: "+of.name+"}, servers: ["+k.server(of.namespace+"/own", 0)+"]}"))
	}
	for i := range k.IntN(3) {
		if len(k.gateways) > 0 {
			docs = append(docs, k.edge.virtualService(i))
		}
	}
	for i := range k.IntN(3) {
		docs = append(docs, object("networking.istio.io/v1", "VirtualService", k.one("shop", "team"), fmt.Sprintf("mesh%d", i), "spec: {hosts: ["+k.one("a.shop.svc.cluster.local", "a.shop.svc.cluster.local", "c.team.svc.cluster.local", "ext.example.com", "api.example.com")+"], http: [{"+
			k.when(30, "match: [{uri: {prefix: /a}}], ")+"route: [{destination: {host: b.shop.svc.cluster.local}}]}]"+k.when(40, ", exportTo: ["+k.one("'.'", "'.'", "team", "shop")+"]")+"}"))
	}
	return docs
}
