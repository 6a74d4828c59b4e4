package conformance

import "fmt"

// ingresses are Ingresses, the workload that serves them and Istio's own resources there, and what the mesh config
// says of Ingresses.
func (k *kube) ingresses() (docs, settings []string) {
	const namespace, name = "istio-system", "ingress"
	label := k.one("ingressgateway", "ingressgateway", "ingressgateway", "ingressgateway", "own")
	k.doors = append(k.doors, namespace+"/"+name)
	labels := "{istio: " + label + "}"
	docs = append(docs,
		object("apps/v1", "Deployment", namespace, name, fmt.Sprintf("spec: {selector: {matchLabels: %s}, template: {metadata: {labels: %s}, spec: {serviceAccountName: ingress, containers: [{name: istio-proxy, image: istio/proxyv2:1.31.0, args: [proxy, router]}]}}}", labels, labels)),
		object("v1", "Service", namespace, name, "spec: {selector: "+labels+", ports: [{name: http2, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]}"))
	for _, class := range []string{"one", "two"} {
		if k.chance(60) {
			docs = append(docs, "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: "+class+"}\nspec: {controller: "+k.one("istio.io/ingress-controller", "istio.io/ingress-controller", "example.com/other")+"}\n")
		}
	}
	for i := range 1 + k.IntN(4) {
		docs = append(docs, k.ingress(i))
	}
	if k.chance(40) {
		k.gateways = append(k.gateways, namespace+"/beside")
		docs = append(docs, object("networking.istio.io/v1", "Gateway", namespace, "beside", "spec: {selector: "+labels+", servers: ["+k.server(namespace+"/beside", 0)+"]}"),
			k.edge.virtualService(9))
	}
	if k.chance(70) {
		settings = append(settings, "ingressControllerMode: "+k.one("DEFAULT", "STRICT"))
	}
	if k.chance(30) {
		settings = append(settings, "ingressClass: "+k.one("own", "istio"))
	}
	switch {
	case k.chance(15):
		settings = append(settings, "ingressSelector: "+k.one(label, "own"))
	case k.chance(15):
		settings = append(settings, "ingressService: "+k.one(label, "istio-ingressgateway", "own"))
	}
	return docs, settings
}

// ingress is one of a few hosts and classes.
func (k *kube) ingress(i int) string {
	namespace := k.one("shop", "shop", "team")
	class := k.one("ingressClassName: one", "ingressClassName: one", "ingressClassName: two", "ingressClassName: absent", "", "", "")
	annotation := ""
	if class == "" {
		annotation = k.when(60, ", annotations: {kubernetes.io/ingress.class: "+k.one("istio", "istio", "own", "nginx")+"}")
	}
	hosts := []string{"*"}
	rule := func() string {
		host := k.one("shop.example.com", "shop.example.com", "api.example.com", "'*.example.com'", "")
		if host == "" {
			return fields(k.when(92, "http: {paths: "+list(k.lot(3, k.ingressPath))+"}"))
		}
		return fields("host: "+host, k.when(92, "http: {paths: "+list(k.lot(3, k.ingressPath))+"}"))
	}
	tls := func() string {
		names := k.some(2, "shop.example.com", "shop.example.com", "api.example.com", "*.example.com")
		if k.chance(20) {
			names = nil
		}
		aimed := names
		if aimed == nil {
			aimed = hosts
		}
		k.servers = append(k.servers, target{gateway: "istio-system/ingress", scheme: "https", port: "443", hosts: aimed})
		return fields(k.when(100*len(names), "hosts: "+quoted(names)), k.when(88, "secretName: "+k.one("one", "one", "two", "three")))
	}
	k.servers = append(k.servers, target{gateway: "istio-system/ingress", scheme: "http", port: "80", hosts: hosts})
	spec := fields(class, k.when(12, "defaultBackend: {service: {name: b, port: {number: 80}}}"), k.when(45, "tls: "+list(k.lot(2, tls))), k.when(96, "rules: "+list(k.lot(3, rule))))
	return fmt.Sprintf("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: in%d, namespace: %s%s}\nspec: %s\n", i, namespace, annotation, spec)
}

// ingressPath is a path with a backend.
func (k *kube) ingressPath() string {
	at := "pathType: ImplementationSpecific"
	switch n := k.IntN(10); {
	case n < 4:
		at = "pathType: Prefix, path: " + k.one("/", "/", "/a", "/a/", "/a/x")
	case n < 6:
		at = "pathType: Exact, path: " + k.one("/", "/a", "/a/x", "/a/")
	case n < 9:
		at += ", path: " + k.one("/", "/a", "/a/*", "/a.*", "/*", "/a/", "/a*")
	}
	backend := "resource: {apiGroup: example.com, kind: Bucket, name: x}"
	if k.chance(94) {
		backend = "service: {name: " + k.one("a", "a", "b", "web", "c", "absent", "empty") + ", port: {" + k.one("number: 80", "number: 80", "number: 80", "number: 9000", "number: 81", "name: http", "name: http", "name: tcp-2", "name: none") + "}}"
	}
	return "{" + at + ", backend: {" + backend + "}}"
}
