package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// A matrix of mTLS: what the client's proxy puts on a connection, against what the server's takes.
//
//  1. An axis is what one party can be or set; a cell is a value of each axis.
//  2. A namespace has one value of the axis of PeerAuthentications, and in it every server.
//  3. There, a server has a host for each value of the axis of DestinationRules, with a port of each protocol. Behind
//     them are the same pods, but for headless Services: those of one pod share its TCP listeners.
//  4. A gateway leads to each port of each host: HTTP at the ports from 10000, TLS that it passes on at those from
//     20000, and bytes in TLS that it opens at those from 30000.
type matrix struct {
	rules   []setting
	auths   []peerAuths
	servers []matrixServer
	// root is the root namespace's, and policies are resources besides.
	root       peerAuths
	policies   []string
	meshConfig string
	// certificates are of clients that open TLS themselves; there is always one without.
	certificates []string
}

// setting is a value of an axis, with what it is in YAML.
type setting struct{ name, yaml string }

// peerAuths are the specs of a namespace's PeerAuthentications.
type peerAuths struct {
	name  string
	specs []string
}

// matrixServer is a Service, or a ServiceEntry where entry is its spec but for hosts and ports.
type matrixServer struct {
	name string
	// pods are the labels of each of its workloads.
	pods     []string
	headless bool
	entry    string
}

// matrixPort is a port, whose name tells its protocol; that of "auto" tells none.
type matrixPort struct {
	name   string
	number int
}

// cell is a value of each axis.
type cell struct {
	client string
	rule   setting
	auth   string
	server matrixServer
	port   matrixPort
}

func (c cell) String() string {
	return strings.Join([]string{c.client, "to", c.port.name, "of", c.server.name, "DestinationRule", c.rule.name, "PeerAuthentication", c.auth}, " ")
}

// cells are all of them.
func (m matrix) cells() []cell {
	var out []cell
	for _, auth := range m.auths {
		for _, server := range m.servers {
			for _, rule := range m.rules {
				for _, port := range matrixPorts {
					for _, client := range matrixClients {
						out = append(out, cell{client, rule, auth.name, server, port})
					}
				}
			}
		}
	}
	return out
}

// ways are how a client speaks: HTTP, other bytes, and HTTP in TLS that it opens itself; at the gateway the second is
// in TLS too.
var ways = []struct {
	inside, outside string
	entrance        int
}{{"http://%s:%d/", "http://%s:%d/", 10000}, {"https://%s:%d/", "https://%s:%d/", 20000}, {"tcp://%s:%d", "tls://%s:%d", 30000}}

// requests are those of a cell.
func (m matrix) requests(c cell) [][]string {
	from := map[string]string{"sidecar": "client/deployment/web", "none": "legacy/deployment/old", "gateway": "external"}[c.client]
	var out [][]string
	for _, way := range ways {
		url := fmt.Sprintf(way.inside, c.host(), c.port.number)
		if c.client == "gateway" {
			url = fmt.Sprintf(way.outside, c.outer(), way.entrance+c.port.number)
		}
		out = append(out, []string{"--from", from, url})
		if strings.HasPrefix(url, "https:") {
			for _, name := range m.certificates {
				out = append(out, []string{"--from", from, "--client-cert", name, url})
			}
		}
	}
	return out
}

func (c cell) name() string { return c.server.name + "-" + c.rule.name }

func (c cell) host() string {
	if c.server.entry != "" {
		return c.name() + "." + c.auth + ".example.org"
	}
	return c.name() + "." + c.auth + ".svc.cluster.local"
}

// outer is the name of the cell's host at the gateway.
func (c cell) outer() string { return c.name() + "." + c.auth + ".example.com" }

// app is the label of the pods behind the cell's host.
func (c cell) app() string {
	if c.server.headless {
		return c.name()
	}
	return c.server.name
}

// manifests are those of all cells.
func (m matrix) manifests() map[string]string {
	docs := slices.Concat(matrixParties(), m.root.in("istio-system"), m.policies)
	for _, auth := range m.auths {
		docs = append(docs, namespace(auth.name, "istio-injection: enabled"))
		docs = append(docs, auth.in(auth.name)...)
	}
	for i, c := range m.cells() {
		if c.client == matrixClients[0] && c.port == matrixPorts[0] {
			docs = append(docs, c.workloads()...)
			docs = append(docs, c.target(i)...)
			docs = append(docs, c.entrance()...)
		}
	}
	files := join(distinct(docs))
	if m.meshConfig != "" {
		files["mesh-config.yaml"] = m.meshConfig
	}
	return files
}

// matrixParties are the clients and the gateway.
func matrixParties() []string {
	var ports []string
	for _, p := range matrixPorts {
		for _, way := range ways {
			ports = append(ports, fmt.Sprintf("{name: p%d, port: %d}", way.entrance+p.number, way.entrance+p.number))
		}
	}
	return []string{
		namespace("istio-system", "team: mesh"), namespace("client", "istio-injection: enabled"), namespace("legacy", "team: old"),
		deployment("client", "web", "app: web", "", "app"), deployment("legacy", "old", "app: old", "", "app"),
		deployment("istio-system", "ingress", `istio: ingressgateway, sidecar.istio.io/inject: "true"`, "annotations: {inject.istio.io/templates: gateway}", "istio-proxy"),
		object("v1", "Service", "istio-system", "ingress", "spec: {selector: {istio: ingressgateway}, ports: "+list(ports)+"}"),
	}
}

func (a peerAuths) in(namespace string) []string {
	var out []string
	for i, spec := range a.specs {
		out = append(out, object("security.istio.io/v1", "PeerAuthentication", namespace, fmt.Sprintf("pa%d", i), "spec: {"+spec+"}"))
	}
	return out
}

func (c cell) workloads() []string {
	var out []string
	for i, labels := range c.server.pods {
		out = append(out, deployment(c.auth, fmt.Sprintf("%s-v%d", c.app(), i), "side: server, app: "+c.app()+labels, "", "app"))
	}
	return out
}

// target is the cell's Service or ServiceEntry, with its DestinationRule. No other has the number.
func (c cell) target(number int) []string {
	var ports, portsOfEntry []string
	for _, p := range matrixPorts {
		ports = append(ports, fmt.Sprintf("{name: %s, port: %d}", p.name, p.number))
		protocol := "protocol: " + strings.ToUpper(p.name)
		if p.name == "auto" {
			protocol = ""
		}
		portsOfEntry = append(portsOfEntry, fields(fmt.Sprintf("number: %d, name: %s", p.number, p.name), protocol))
	}
	var docs []string
	switch {
	case c.server.entry != "":
		docs = append(docs, object("networking.istio.io/v1", "ServiceEntry", c.auth, c.name(), "spec: "+fields(
			"hosts: ["+c.host()+"]", fmt.Sprintf("addresses: [198.18.%d.%d]", number/250, number%250+1), "ports: "+list(portsOfEntry), c.server.entry)))
	case c.server.headless:
		docs = append(docs, object("v1", "Service", c.auth, c.name(), "spec: {clusterIP: None, selector: {app: "+c.app()+"}, ports: "+list(ports)+"}"))
	default:
		docs = append(docs, object("v1", "Service", c.auth, c.name(), "spec: {selector: {app: "+c.app()+"}, ports: "+list(ports)+"}"))
	}
	if c.rule.yaml != "" {
		docs = append(docs, object("networking.istio.io/v1", "DestinationRule", c.auth, c.name(), fmt.Sprintf("spec: {host: %s, trafficPolicy: {%s}}", c.host(), c.rule.yaml)))
	}
	return docs
}

// entrance is the Gateway and the VirtualService of the cell's host.
func (c cell) entrance() []string {
	var servers, http, tls, tcp []string
	for _, p := range matrixPorts {
		route := fmt.Sprintf("route: [{destination: {host: %s, port: {number: %d}}}]", c.host(), p.number)
		server := func(entrance int, protocol, tls string) {
			n := entrance + p.number
			servers = append(servers, fields(fmt.Sprintf("port: {number: %d, name: p%d, protocol: %s}, hosts: [%s]", n, n, protocol, c.outer()), tls))
		}
		server(10000, "HTTP", "")
		http = append(http, fmt.Sprintf("{match: [{port: %d}], %s}", 10000+p.number, route))
		server(20000, "TLS", "tls: {mode: PASSTHROUGH}")
		tls = append(tls, fmt.Sprintf("{match: [{port: %d, sniHosts: [%s]}], %s}", 20000+p.number, c.outer(), route))
		server(30000, "TLS", "tls: {mode: SIMPLE, credentialName: c}")
		tcp = append(tcp, fmt.Sprintf("{match: [{port: %d}], %s}", 30000+p.number, route))
	}
	return []string{
		object("networking.istio.io/v1", "Gateway", c.auth, c.name(), "spec: {selector: {istio: ingressgateway}, servers: "+list(servers)+"}"),
		object("networking.istio.io/v1", "VirtualService", c.auth, c.name(), "spec: "+fields("hosts: ["+c.outer()+"]", "gateways: ["+c.name()+"]",
			"http: "+list(http), "tls: "+list(tls), "tcp: "+list(tcp))),
	}
}

func namespace(name, labels string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {%s}}\n", name, labels)
}

// deployment has one container.
func deployment(namespace, name, labels, annotations, container string) string {
	spec := fmt.Sprintf("spec: {serviceAccountName: %s, containers: [{name: %s, image: auto}]}", name, container)
	return object("apps/v1", "Deployment", namespace, name, fmt.Sprintf("spec: {selector: {matchLabels: {%s}}, template: %s}", labels,
		fields("metadata: "+fields("labels: {"+labels+"}", annotations), spec)))
}

// among keeps the values of those names.
func among[T fmt.Stringer](values []T, names ...string) []T {
	return slices.DeleteFunc(slices.Clone(values), func(v T) bool { return !slices.Contains(names, v.String()) })
}

func (s setting) String() string      { return s.name }
func (a peerAuths) String() string    { return a.name }
func (s matrixServer) String() string { return s.name }
