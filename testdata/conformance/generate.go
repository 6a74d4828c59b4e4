package conformance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// generator makes meshes and requests that people would write on a bad day: names that are nearly
// right, several resources for one host, and settings that contradict each other.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 7))} }

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g generator) one(list ...string) string { return list[g.IntN(len(list))] }

// some picks up to n, without repeats.
func (g generator) some(n int, list ...string) []string {
	shuffled := slices.Clone(list)
	g.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	return shuffled[:min(1+g.IntN(n), len(list))]
}

// when is text in that many percent of the cases.
func (g generator) when(percent int, text string) string {
	if g.chance(percent) {
		return text
	}
	return ""
}

func quoted(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, fmt.Sprintf("%q", s))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func object(version, kind, namespace, name, rest string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: %s}\n%s\n", version, kind, name, namespace, rest)
}

// age gives each object its own time: of two of the same age istiod takes whichever it has read first.
func age(docs []string) []string {
	for i, d := range docs {
		docs[i] = strings.Replace(d, "}\n", fmt.Sprintf(", creationTimestamp: \"2024-01-01T00:%02d:00Z\"}\n", i), 1)
	}
	return docs
}

func (g generator) namespace() string { return g.one("shop", "shop", "team", "istio-system") }

// host is a destination as people write it.
func (g generator) host() string {
	return g.one("a", "a", "a", "b", "b", "c", "a.shop", "c.team", "a.shop.svc.cluster.local", "b.shop.svc.cluster.local", "c.team.svc.cluster.local", "ext.example.com", "api.example.com", "none")
}

// mesh is a list of documents.
func (g generator) mesh() []string {
	docs := []string{
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n",
		fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: team%s}\n", g.when(70, ", labels: {istio-injection: enabled}")),
	}
	for _, d := range []struct{ namespace, name, labels, account string }{
		{"shop", "web", "{app: web}", "web"},
		{"shop", "a-v1", "{app: a, version: v1}", "a"},
		{"shop", "a-v2", "{app: a, version: v2}", "a"},
		{"shop", "b", "{app: b}", "b"},
		{"team", "c", "{app: c}", "c"},
		{"team", "d", "{app: d}", "d"},
	} {
		docs = append(docs, object("apps/v1", "Deployment", d.namespace, d.name,
			fmt.Sprintf("spec: {selector: {matchLabels: %s}, template: {metadata: {labels: %s}, spec: {serviceAccountName: %s, containers: [{name: app, image: app, ports: [{name: api, containerPort: 8080}]}]}}}", d.labels, d.labels, d.account)))
	}
	docs = append(docs, g.services()...)
	for i := range g.IntN(4) {
		docs = append(docs, g.virtualService(i))
	}
	for i := range g.IntN(4) {
		docs = append(docs, g.destinationRule(i))
	}
	for i := range g.IntN(3) {
		docs = append(docs, g.serviceEntry(i))
	}
	for i := range g.IntN(3) {
		docs = append(docs, g.gateway(i))
	}
	for i := range g.IntN(2) {
		docs = append(docs, g.sidecar(i))
	}
	for i := range g.IntN(3) {
		docs = append(docs, g.peerAuthentication(i))
	}
	for i := range g.IntN(3) {
		docs = append(docs, g.authorizationPolicy(i))
	}
	return age(docs)
}

func (g generator) services() []string {
	var docs []string
	for _, s := range []struct{ namespace, name string }{{"shop", "a"}, {"shop", "b"}, {"team", "c"}} {
		port := fmt.Sprintf("{name: %s, port: 80, targetPort: %s}", g.one("http", "http", "http-x", "tcp", "web", "https", "tls", "grpc"), g.one("8080", "8080", "api", "80"))
		if g.chance(40) {
			port += fmt.Sprintf(", {name: %s, port: %s, targetPort: %s%s}", g.one("http2", "tcp-2", "admin"), g.one("9090", "443", "8080"), g.one("9090", "8443"), g.when(20, ", appProtocol: "+g.one("http", "tcp", "https")))
		}
		docs = append(docs, object("v1", "Service", s.namespace, s.name, fmt.Sprintf("spec: {selector: {app: %s}, %sports: [%s]}", s.name, g.when(12, "clusterIP: None, "), port)))
	}
	return docs
}

func (g generator) exportTo() string {
	return g.when(15, fmt.Sprintf(", exportTo: %s", quoted([]string{g.one(".", "*", "team", "shop")})))
}

func (g generator) destination() string {
	return fmt.Sprintf("{host: %s%s%s}", g.host(), g.when(35, ", subset: "+g.one("v1", "v2", "v3")), g.when(30, ", port: {number: "+g.one("80", "80", "9090", "443")+"}"))
}

func (g generator) virtualService(i int) string {
	hosts := quoted(g.some(2, "a", "b", "a.shop.svc.cluster.local", "c.team.svc.cluster.local", "c", "*.example.com", "api.example.com", "shop.example.com", "*", "*.shop.svc.cluster.local"))
	gateways := g.when(40, ", gateways: "+quoted(g.some(2, "mesh", "istio-system/gw0", "shop/gw1", "gw0")))
	if gateways == "" {
		hosts = strings.ReplaceAll(hosts, `"*"`, `"*.example.com"`)
	}
	var routes []string
	for range 1 + g.IntN(3) {
		routes = append(routes, g.httpRoute())
	}
	text := fmt.Sprintf("hosts: %s%s%s, http: [%s]", hosts, gateways, g.exportTo(), strings.Join(routes, ", "))
	if g.chance(15) {
		text += fmt.Sprintf(", tcp: [{%sroute: [{destination: %s}]}]", g.when(50, "match: [{port: 80}], "), g.destination())
	}
	if g.chance(10) {
		text += fmt.Sprintf(", tls: [{match: [{port: 443, sniHosts: %s}], route: [{destination: %s}]}]", quoted([]string{g.one("shop.example.com", "a.shop.svc.cluster.local", "api.example.com")}), g.destination())
	}
	return object("networking.istio.io/v1", "VirtualService", g.namespace(), fmt.Sprintf("vs%d", i), "spec: {"+text+"}")
}

func (g generator) httpRoute() string {
	var parts []string
	if g.chance(60) {
		var matches []string
		for range 1 + g.IntN(2) {
			matches = append(matches, g.match())
		}
		parts = append(parts, "match: ["+strings.Join(matches, ", ")+"]")
	}
	switch {
	case g.chance(8):
		return "{" + strings.Join(append(parts, fmt.Sprintf("redirect: {%suri: /new%s%s}", g.when(50, "authority: new.example.com, "), g.when(30, ", redirectCode: 307"), g.when(30, ", scheme: https"))), ", ") + "}"
	case g.chance(6):
		return "{" + strings.Join(append(parts, "directResponse: {status: 418}"), ", ") + "}"
	}
	if g.chance(12) {
		parts = append(parts, fmt.Sprintf("rewrite: {%s}", g.one("uri: /r", "uri: /", "authority: other.example.com", "uri: /r, authority: other.example.com")))
	}
	if g.chance(10) {
		parts = append(parts, fmt.Sprintf("fault: {abort: {httpStatus: 500, percentage: {value: %s}}}", g.one("100", "30", "0.5")))
	}
	if g.chance(12) {
		parts = append(parts, fmt.Sprintf("headers: {request: {%s}}", g.one("set: {x-a: one}", "add: {x-q: two}", "remove: [x-q]", "set: {host: h.example.com}")))
	}
	if g.chance(8) {
		parts = append(parts, fmt.Sprintf("corsPolicy: {allowOrigins: [{exact: %s}]}", g.one("https://a.example", "https://b.example")))
	}
	if g.chance(25) {
		w := 10 * (1 + g.IntN(9))
		parts = append(parts, fmt.Sprintf("route: [{destination: %s, weight: %d}, {destination: %s, weight: %d}]", g.destination(), w, g.destination(), 100-w))
	} else {
		parts = append(parts, fmt.Sprintf("route: [{destination: %s%s}]", g.destination(), g.when(8, ", headers: {request: {set: {x-d: three}}}")))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (g generator) match() string {
	var parts []string
	if g.chance(65) {
		parts = append(parts, fmt.Sprintf("uri: {%s}", g.one("prefix: /", "prefix: /a", "exact: /a", "exact: /", "regex: '/a.*'", "prefix: /a/")))
	}
	if g.chance(25) {
		parts = append(parts, fmt.Sprintf("headers: {x-q: {%s}}", g.one("exact: one", "prefix: o", "regex: '.*'", "exact: two")))
	}
	if g.chance(10) {
		parts = append(parts, "withoutHeaders: {x-q: {exact: one}}")
	}
	if g.chance(8) {
		parts = append(parts, "queryParams: {q: {exact: '1'}}")
	}
	if g.chance(8) {
		parts = append(parts, "method: {exact: "+g.one("GET", "POST")+"}")
	}
	if g.chance(8) {
		parts = append(parts, "ignoreUriCase: true")
	}
	if g.chance(10) {
		parts = append(parts, "port: "+g.one("80", "9090", "8080"))
	}
	if g.chance(10) {
		parts = append(parts, "sourceLabels: {app: "+g.one("web", "d")+"}")
	}
	if g.chance(6) {
		parts = append(parts, "sourceNamespace: "+g.one("shop", "team"))
	}
	if g.chance(8) {
		parts = append(parts, "gateways: ["+g.one("mesh", "istio-system/gw0")+"]")
	}
	if len(parts) == 0 || len(parts) == 1 && strings.HasPrefix(parts[0], "ignoreUriCase") {
		parts = []string{"uri: {prefix: /}"}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (g generator) clientTLS() string {
	return g.one("DISABLE", "ISTIO_MUTUAL", "SIMPLE", "ISTIO_MUTUAL")
}

func (g generator) destinationRule(i int) string {
	text := "host: " + g.one("a", "b", "c", "a.shop.svc.cluster.local", "c.team.svc.cluster.local", "'*.shop.svc.cluster.local'", "'*.example.com'", "ext.example.com", "'*.local'", "a.shop")
	text += g.exportTo()
	if g.chance(30) {
		text += ", trafficPolicy: {tls: {mode: " + g.clientTLS() + "}}"
	} else if g.chance(15) {
		text += ", trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: " + g.clientTLS() + "}}]}"
	}
	if g.chance(60) {
		var subsets []string
		for _, v := range g.some(2, "v1", "v2", "v3") {
			subsets = append(subsets, fmt.Sprintf("{name: %s, labels: {version: %s}%s}", v, g.one(v, v, "v9"), g.when(15, ", trafficPolicy: {tls: {mode: "+g.clientTLS()+"}}")))
		}
		text += ", subsets: [" + strings.Join(subsets, ", ") + "]"
	}
	if g.chance(10) {
		text += ", workloadSelector: {matchLabels: {app: " + g.one("web", "d") + "}}"
	}
	return object("networking.istio.io/v1", "DestinationRule", g.namespace(), fmt.Sprintf("dr%d", i), "spec: {"+text+"}")
}

func (g generator) serviceEntry(i int) string {
	// A ServiceEntry with the host of a Service is left out: which of the two a sidecar sees is a known disagreement.
	host := g.one("ext.example.com", "api.example.com", "api.example.com")
	resolution := g.one("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN")
	protocol, number := "HTTP", g.one("80", "80", "8080")
	if g.chance(25) {
		protocol, number = g.one("HTTPS", "TLS", "TCP"), g.one("443", "80")
	}
	text := fmt.Sprintf("hosts: [%s], resolution: %s, location: %s, ports: [{number: %s, name: %s-%s, protocol: %s%s}]%s", host, resolution, g.one("MESH_EXTERNAL", "MESH_INTERNAL"), number, strings.ToLower(protocol), number, protocol, g.when(20, ", targetPort: 8888"), g.exportTo())
	if g.chance(30) {
		text += ", addresses: [192.0.2." + g.one("1", "2") + "]"
	}
	switch resolution {
	case "STATIC":
		if g.chance(30) {
			text += ", workloadSelector: {labels: {app: " + g.one("b", "c") + "}}"
		} else {
			text += ", endpoints: [{address: 198.51.100.1}" + g.when(30, ", {address: 198.51.100.2, labels: {version: v1}}") + "]"
		}
	case "DNS", "DNS_ROUND_ROBIN":
		text += g.when(30, ", endpoints: [{address: backend.example.net}]")
	}
	return object("networking.istio.io/v1", "ServiceEntry", g.one("shop", "team", "istio-system"), fmt.Sprintf("se%d", i), "spec: {"+text+"}")
}

func (g generator) gateway(i int) string {
	var servers []string
	for j := range 1 + g.IntN(2) {
		hosts := quoted(g.some(2, "*", "shop.example.com", "*.example.com", "api.example.com", "shop/*", "./shop.example.com"))
		switch g.IntN(5) {
		case 0:
			servers = append(servers, fmt.Sprintf("{port: {number: 443, name: https%d, protocol: HTTPS}, tls: {mode: %s, credentialName: c}, hosts: %s}", j, g.one("SIMPLE", "SIMPLE", "MUTUAL"), hosts))
		case 1:
			servers = append(servers, fmt.Sprintf("{port: {number: 80, name: http%d, protocol: HTTP}, tls: {httpsRedirect: true}, hosts: %s}", j, hosts))
		default:
			servers = append(servers, fmt.Sprintf("{port: {number: %s, name: http%d, protocol: HTTP}, hosts: %s}", g.one("80", "80", "8080"), j, hosts))
		}
	}
	return object("networking.istio.io/v1", "Gateway", g.one("istio-system", "shop"), fmt.Sprintf("gw%d", i), fmt.Sprintf("spec: {selector: {istio: ingressgateway}, servers: [%s]}", strings.Join(servers, ", ")))
}

func (g generator) sidecar(i int) string {
	text := g.when(40, "workloadSelector: {labels: {app: "+g.one("web", "b")+"}}, ")
	namespace := g.one("shop", "team", "istio-system")
	if namespace == "istio-system" {
		text = ""
	}
	var egress []string
	for range 1 + g.IntN(2) {
		egress = append(egress, fmt.Sprintf("{%shosts: %s}", g.when(25, "port: {number: "+g.one("80", "9090")+", name: http, protocol: "+g.one("HTTP", "HTTP", "TCP")+"}, "),
			quoted(g.some(2, "./*", "*/*", "shop/*", "team/*", "istio-system/*", "./a.shop.svc.cluster.local", "shop/a.shop.svc.cluster.local", "*/api.example.com", "~/*"))))
	}
	// A listener without a port catches what the others leave: it stands last.
	slices.SortStableFunc(egress, func(a, b string) int { return strings.Compare(b[:2], a[:2]) })
	return object("networking.istio.io/v1", "Sidecar", namespace, fmt.Sprintf("sc%d", i), fmt.Sprintf("spec: {%segress: [%s]%s}", text, strings.Join(egress, ", "), g.when(20, ", outboundTrafficPolicy: {mode: REGISTRY_ONLY}")))
}

func (g generator) peerAuthentication(i int) string {
	selector := g.when(50, "selector: {matchLabels: {app: "+g.one("a", "b", "c")+"}}, ")
	namespace := g.namespace()
	ports := ""
	if selector != "" {
		ports = g.when(40, fmt.Sprintf(", portLevelMtls: {%s: {mode: %s}}", g.one("8080", "80", "8443"), g.one("STRICT", "PERMISSIVE", "DISABLE")))
	}
	return object("security.istio.io/v1", "PeerAuthentication", namespace, fmt.Sprintf("pa%d", i), fmt.Sprintf("spec: {%smtls: {mode: %s}%s}", selector, g.one("STRICT", "PERMISSIVE", "DISABLE", "UNSET"), ports))
}

func (g generator) authorizationPolicy(i int) string {
	var from, to, when []string
	if g.chance(50) {
		from = append(from, fmt.Sprintf("{source: {%s}}", g.one(`principals: ["cluster.local/ns/shop/sa/web"]`, `principals: ["*"]`, `namespaces: [shop]`, `notNamespaces: [shop]`, `ipBlocks: [10.244.0.0/16]`, `notPrincipals: ["*/sa/web"]`, `remoteIpBlocks: [203.0.113.0/24]`, `requestPrincipals: ["*"]`, `serviceAccounts: [shop/web]`)))
	}
	if g.chance(60) {
		to = append(to, fmt.Sprintf("{operation: {%s}}", g.one(`methods: [GET]`, `paths: ["/a*"]`, `ports: ["8080"]`, `hosts: ["a.shop*"]`, `notPaths: ["/a"]`, `methods: [POST], paths: ["/"]`, `notPorts: ["80"]`, `paths: ["/{*}/x"]`)))
	}
	if g.chance(20) {
		when = append(when, g.one(`{key: "request.headers[x-q]", values: [one]}`, `{key: destination.port, values: ["8080"]}`, `{key: source.namespace, notValues: [team]}`, `{key: "request.auth.claims[group]", values: [x]}`))
	}
	var rule []string
	for _, part := range []struct {
		name string
		list []string
	}{{"from", from}, {"to", to}, {"when", when}} {
		if len(part.list) > 0 {
			rule = append(rule, part.name+": ["+strings.Join(part.list, ", ")+"]")
		}
	}
	return object("security.istio.io/v1", "AuthorizationPolicy", g.one("shop", "shop", "team", "istio-system"), fmt.Sprintf("ap%d", i),
		fmt.Sprintf("spec: {%saction: %s, rules: [{%s}]}", g.when(50, "selector: {matchLabels: {app: "+g.one("a", "b", "c")+"}}, "), g.one("ALLOW", "DENY", "ALLOW", "DENY", "AUDIT"), strings.Join(rule, ", ")))
}

// request is a command line.
func (g generator) request() []string {
	var args []string
	url := ""
	if g.chance(25) {
		args = append(args, "--from", "external", "--source-ip", g.one("203.0.113.5", "198.51.100.7"))
		url = g.one("http", "http", "https") + "://" + g.one("shop.example.com", "api.example.com", "x.example.com", "other.org") + g.when(15, ":8080")
	} else {
		args = append(args, "--from", g.one("shop/deployment/web", "shop/deployment/web", "team/deployment/d", "shop/deployment/b"))
		scheme := g.one("http", "http", "http", "http", "http", "http", "https", "grpc", "tcp")
		host := g.one("a.shop", "a.shop", "b.shop.svc.cluster.local", "c.team", "a.shop.svc", "ext.example.com", "api.example.com", "nowhere.example.org")
		port := g.one("", "", "", ":9090", ":8080", ":443")
		if scheme == "tcp" && port == "" {
			port = ":80"
		}
		url = scheme + "://" + host + port
	}
	if strings.HasPrefix(url, "grpc") {
		return append(args, url+"/p.S/M")
	}
	if !strings.HasPrefix(url, "tcp") {
		url += g.one("/", "/", "/a", "/a/x", "/A", "/?q=1", "/b//c/../x")
	}
	if g.chance(30) {
		args = append(args, "-H", "x-q: "+g.one("one", "two"))
	}
	if g.chance(10) {
		args = append(args, "-H", "host: "+g.one("b.shop", "api.example.com", "a.shop:80", "a"))
	}
	switch {
	case g.chance(10):
		args = append(args, "-X", "POST")
	case g.chance(8):
		args = append(args, "-X", "OPTIONS", "-H", "origin: https://a.example", "-H", "access-control-request-method: GET")
	}
	return append(args, url)
}
