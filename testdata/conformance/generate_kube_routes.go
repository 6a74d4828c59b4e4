package conformance

import (
	"fmt"
	"regexp"
	"strings"
)

// parentRefs are one or two parents of a route of the namespace.
func (k *kube) parentRefs(namespace string) string {
	one := func() string {
		if k.chance(25) { // the mesh
			name, of := "a", "shop"
			if k.chance(40) {
				name, of = k.one("c", "b"), k.one("team", "shop")
			}
			if k.chance(18) {
				return "{group: networking.istio.io, kind: ServiceEntry, name: " + k.one("se0", "se0", "se1") + ", namespace: " + k.one("shop", "team", "istio-system") + k.when(20, ", port: "+k.one("80", "443")) + "}"
			}
			return fields("group: ''", "kind: Service", "name: "+name, "namespace: "+of, k.when(30, "port: "+k.one("80", "9000", "443")))
		}
		p := k.parents[k.IntN(len(k.parents))]
		section := ""
		if k.chance(35) {
			section = "sectionName: " + k.one(append([]string{"none"}, p.sections...)...)
		}
		of := ""
		if p.namespace != namespace {
			of = "namespace: " + p.namespace
		}
		kind := ""
		if p.kind != "Gateway" {
			kind = "kind: " + p.kind
		}
		return fields(kind, "name: "+k.one(p.name, p.name, p.name, p.name, p.name, p.name, p.name, p.name, "absent"), of, section, k.when(12, "port: "+k.one("80", "443", "8080")))
	}
	refs := []string{one()}
	if k.chance(35) {
		// An API server refuses two references to one parent that do not differ in their sections.
		named := regexp.MustCompile(`, name: \S+|{name: \S+`)
		if second := one(); named.FindString(second)[2:] != named.FindString(refs[0])[2:] {
			refs = append(refs, second)
		}
	}
	return "parentRefs: " + list(refs)
}

func (k *kube) routeHostnames() string {
	return k.when(65, "hostnames: "+quoted(k.some(2, "shop.example.com", "shop.example.com", "*.example.com", "api.example.com", "x.shop.example.com", "*.shop.example.com", "*.com", "other.org", "x.example.com")))
}

func (k *kube) routeNamespace() string { return k.one("shop", "shop", "team", "edge") }

func (k *kube) httpRouteObject(i int) string {
	namespace := k.routeNamespace()
	return object(gatewayAPI, "HTTPRoute", namespace, fmt.Sprintf("http%d", i), "spec: "+fields(k.parentRefs(namespace), k.routeHostnames(), k.when(97, "rules: "+list(k.lot(3, k.httpRule)))))
}

// httpRule is a rule of an HTTPRoute.
func (k *kube) httpRule() string {
	var filters []string
	redirects, rewrites := false, false
	for range k.IntN(3) {
		f := k.httpFilter()
		redirect, rewrite := strings.Contains(f, "RequestRedirect"), strings.Contains(f, "URLRewrite")
		if redirect && (redirects || rewrites) || rewrite && (redirects || rewrites) {
			continue
		}
		redirects, rewrites = redirects || redirect, rewrites || rewrite
		filters = append(filters, f)
	}
	backends := k.when(90, "backendRefs: "+list(k.lot(2, k.httpBackend)))
	if redirects {
		backends = ""
	}
	return fields(k.when(6, "name: named"), k.when(85, "matches: "+list(k.lot(3, k.routeMatch))), k.when(100*len(filters), "filters: "+list(filters)), backends,
		k.when(8, "timeouts: "+k.one("{request: 2s}", "{request: 3s, backendRequest: 1s}", "{request: 0s}", "{backendRequest: 500ms}")),
		k.when(8, "retry: "+k.one("{attempts: 1}", "{codes: [500, 503], backoff: 100ms}", "{attempts: 0}", "{}")))
}

func (k *kube) routeMatch() string {
	path := k.one("", "{value: /}", "{type: PathPrefix, value: /a}", "{type: PathPrefix, value: /a}", "{type: PathPrefix, value: /a/}", "{type: Exact, value: /a}", "{type: Exact, value: /a/x}", "{type: RegularExpression, value: '/[ab].*'}", "{type: RegularExpression, value: /a}", "{type: PathPrefix, value: /a/x}")
	if path != "" {
		path = "path: " + path
	}
	return fields(path, k.when(20, "headers: ["+k.one("{name: x-q, value: one}", "{name: X-Q, value: two}", "{name: x-q, type: RegularExpression, value: 'o.e'}", "{name: x-q, value: one}, {name: x-r, value: r}", "{name: host, value: shop.example.com}")+"]"),
		k.when(10, "queryParams: ["+k.one("{name: q, value: '1'}", "{name: q, type: RegularExpression, value: '[0-9]+'}")+"]"), k.when(12, "method: "+k.one("GET", "POST")))
}

// httpFilter is a filter of a rule.
func (k *kube) httpFilter() string {
	switch n := k.IntN(100); {
	case n < 28:
		return k.headerFilter()
	case n < 46:
		return "{type: RequestRedirect, requestRedirect: " + fields(k.when(40, "scheme: "+k.one("https", "http")), k.when(40, "hostname: "+k.one("other.org", "shop.example.com")), k.when(25, "port: "+k.one("443", "80", "8443")),
			k.when(35, "statusCode: "+k.one("301", "302", "307")), k.when(40, "path: "+k.one("{type: ReplaceFullPath, replaceFullPath: /new}", "{type: ReplacePrefixMatch, replacePrefixMatch: /}", "{type: ReplacePrefixMatch, replacePrefixMatch: /n/}", "{type: ReplacePrefixMatch, replacePrefixMatch: /n}"))) + "}"
	case n < 64:
		return "{type: URLRewrite, urlRewrite: " + fields(k.when(40, "hostname: in.example.org"), k.when(80, "path: "+k.one("{type: ReplaceFullPath, replaceFullPath: /new}", "{type: ReplacePrefixMatch, replacePrefixMatch: /}", "{type: ReplacePrefixMatch, replacePrefixMatch: /n/}", "{type: ReplacePrefixMatch, replacePrefixMatch: /n}"))) + "}"
	case n < 78:
		return "{type: RequestMirror, requestMirror: {backendRef: " + k.backendRef() + k.when(30, ", percent: 20") + "}}"
	case n < 94:
		return "{type: CORS, cors: {allowOrigins: [" + k.one("'*'", "'https://a.example'", "'https://*.example'", "'https://a*'") + "]" + k.when(40, ", allowMethods: [GET]") + k.when(30, ", allowCredentials: true") + "}}"
	}
	return "{type: ExtensionRef, extensionRef: {group: example.com, kind: Thing, name: x}}"
}

func (k *kube) headerFilter() string {
	ops := fields(k.when(60, "set: [{name: "+k.one("x-set", "X-Set", "host", "x-q")+", value: s}]"), k.when(50, "add: [{name: x-add, value: a}, {name: "+k.one("X-Add", "x-q")+", value: b}]"), k.when(40, "remove: ["+k.one("x-q", "x-r", "X-Q")+"]"))
	if k.chance(60) {
		return "{type: RequestHeaderModifier, requestHeaderModifier: " + ops + "}"
	}
	return "{type: ResponseHeaderModifier, responseHeaderModifier: " + ops + "}"
}

func (k *kube) httpBackend() string {
	ref := k.backendRef()
	return strings.TrimSuffix(ref, "}") + k.when(30, ", weight: "+k.one("0", "1", "1", "3", "9")) + k.when(8, ", filters: ["+k.headerFilter()+"]") + "}"
}

// backendRef is a backend, in order or not.
func (k *kube) backendRef() string {
	service := func(name, namespace string) string {
		of := k.when(50, "namespace: "+namespace)
		return fields("name: "+name, of, "port: "+k.one("80", "80", "80", "80", "80", "80", "9000", "443", "81"))
	}
	switch n := k.IntN(100); {
	case n < 50:
		return service(k.one("a", "b", "web"), "shop")
	case n < 75:
		return service("c", "team")
	case n < 80:
		return service("empty", "shop")
	case n < 87:
		return service("absent", k.one("shop", "team"))
	case n < 92:
		return fields("group: networking.istio.io", "kind: Hostname", "name: "+k.one("ext.example.com", "a.shop.svc.cluster.local", "nowhere.example.org"), "port: "+k.one("80", "443"))
	case n < 95:
		return k.one("{group: multicluster.x-k8s.io, kind: ServiceImport, name: a, port: 80}", "{group: networking.istio.io, kind: ServiceEntry, name: se0, port: 80}", "{group: inference.networking.k8s.io, kind: InferencePool, name: pool, port: 80}")
	case n < 97:
		return k.one("{name: a}", "{group: networking.istio.io, kind: Hostname, name: ext.example.com, namespace: shop, port: 80}")
	}
	return service("none", "shop")
}

func (k *kube) grpcRouteObject(i int) string {
	namespace := k.routeNamespace()
	match := func() string {
		return fields(k.when(85, "method: "+k.one("{service: p.S}", "{service: p.S, method: M}", "{method: M}", "{type: RegularExpression, service: 'p.*', method: M}", "{service: p.T}", "{type: RegularExpression, method: 'M|N'}")), k.when(20, "headers: [{name: x-q, value: one}]"))
	}
	rule := func() string {
		var filters []string
		for range k.IntN(2) {
			filters = append(filters, k.one(k.headerFilter(), k.headerFilter(), "{type: RequestMirror, requestMirror: {backendRef: "+k.backendRef()+"}}"))
		}
		return fields(k.when(80, "matches: "+list(k.lot(2, match))), k.when(100*len(filters), "filters: "+list(filters)), k.when(92, "backendRefs: "+list(k.lot(2, k.httpBackend))))
	}
	return object(gatewayAPI, "GRPCRoute", namespace, fmt.Sprintf("grpc%d", i), "spec: "+fields(k.parentRefs(namespace), k.routeHostnames(), "rules: "+list(k.lot(2, rule))))
}

// streamRouteObject is a TLSRoute or TCPRoute.
func (k *kube) streamRouteObject(kind string, i int) string {
	namespace, hostnames := k.routeNamespace(), ""
	if kind == "TLSRoute" {
		hostnames = k.routeHostnames()
	}
	rule := func() string {
		backend := func() string {
			return strings.TrimSuffix(k.backendRef(), "}") + k.when(30, ", weight: "+k.one("0", "1", "3")) + "}"
		}
		return fields(k.when(95, "backendRefs: "+list(k.lot(2, backend))))
	}
	return object(gatewayAPI, kind, namespace, fmt.Sprintf("%s%d", strings.ToLower(kind[:3]), i), "spec: "+fields(k.parentRefs(namespace), hostnames, "rules: "+list(k.lot(2, rule))))
}
