package conformance

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	corev1 "k8s.io/api/core/v1"
	networkingk8s "k8s.io/api/networking/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
)

// Requests that routes of the Gateway API and Ingresses suggest.
//
//  1. From outside, at each listener of each Gateway and of its ListenerSets: its own hostname, and those of the routes.
//  2. From outside, at the ports of an Ingress: the host of each of its rules.
//  3. From inside, by the first workload and by the last: each port of each Service and ServiceEntry that is a route's parent.
//  4. There, what each match of each route asks for, and a request that none was made for.

// derivedFromRoutes are those requests, as command lines, without repeats.
func derivedFromRoutes(c *apiserver.Cluster) [][]string {
	var out [][]string
	seen := map[string]bool{}
	add := func(a address, from ...string) {
		for _, t := range kubeTries(c, a) {
			args := t.args(a, from)
			if key := strings.Join(args, "\n"); !seen[key] {
				seen[key] = true
				out = append(out, args)
			}
		}
	}
	for _, e := range listenerEntrances(c) { // 1.
		add(e.address, "--from", "external", "--gateway", e.gateway)
	}
	for _, a := range ingressEntrances(c) { // 2.
		add(a, "--from", "external")
	}
	for _, from := range clients(c) { // 3.
		for _, a := range parentAddresses(c) {
			add(a, from...)
		}
	}
	return out
}

// entrance is an address at a gateway, NAMESPACE/NAME.
type entrance struct {
	address
	gateway string
}

// listenerEntrances is step 1.
func listenerEntrances(c *apiserver.Cluster) []entrance {
	var out []entrance
	add := func(gateway string, protocol k8sgateway.ProtocolType, port k8sgateway.PortNumber, hostname *k8sgateway.Hostname, tls *k8sgateway.ListenerTLSConfig) {
		schemes := map[k8sgateway.ProtocolType][]string{"HTTP": {"http", "grpc"}, "HTTPS": {"https", "grpcs"}, "TLS": {"https"}, "TCP": {"tcp"}}[protocol]
		if protocol == "TLS" && tls != nil && (tls.Mode == nil || *tls.Mode == k8sgateway.TLSModeTerminate) {
			schemes = []string{"tls"}
		}
		for _, scheme := range schemes {
			for _, host := range routeHosts(c, hostname) {
				out = append(out, entrance{address{scheme, host, uint32(port)}, gateway})
			}
		}
	}
	for _, gw := range objects[*k8sgateway.Gateway](c) {
		for _, l := range gw.Spec.Listeners {
			add(gw.Namespace+"/"+gw.Name, l.Protocol, l.Port, l.Hostname, l.TLS)
		}
	}
	for _, set := range objects[*k8sgateway.ListenerSet](c) {
		namespace := set.Namespace
		if n := set.Spec.ParentRef.Namespace; n != nil {
			namespace = string(*n)
		}
		for _, l := range set.Spec.Listeners {
			add(namespace+"/"+string(set.Spec.ParentRef.Name), l.Protocol, l.Port, l.Hostname, l.TLS)
		}
	}
	return out
}

// routeHosts are a host that the listener's hostname stands for, and those of routes that may be meant.
func routeHosts(c *apiserver.Cluster, listener *k8sgateway.Hostname) []string {
	hostname := "*"
	if listener != nil && *listener != "" {
		hostname = string(*listener)
	}
	out := []string{concreteHost(hostname)}
	for _, o := range c.Objects {
		r, _ := routeOf(o)
		for _, name := range r.hostnames {
			if h := concreteHost(string(name)); strings.HasPrefix(hostname, "*") && strings.HasSuffix(h, hostname[1:]) && !slices.Contains(out, h) {
				out = append(out, h)
			}
		}
	}
	return out
}

// ingressEntrances is step 2.
func ingressEntrances(c *apiserver.Cluster) []address {
	var out []address
	for _, in := range objects[*networkingk8s.Ingress](c) {
		hosts := []string{"sample.example.com"}
		for _, rule := range in.Spec.Rules {
			if rule.Host != "" {
				hosts = append(hosts, concreteHost(rule.Host))
			}
		}
		for _, host := range hosts {
			out = append(out, address{"http", host, 80})
			if len(in.Spec.TLS) > 0 {
				out = append(out, address{"https", host, 443})
			}
		}
	}
	return out
}

// parentAddresses is step 3.
func parentAddresses(c *apiserver.Cluster) []address {
	parents := map[string]bool{}
	for _, o := range c.Objects {
		r, _ := routeOf(o)
		for _, ref := range r.parents {
			of := r.namespace
			if ref.Namespace != nil {
				of = string(*ref.Namespace)
			}
			if ref.Kind != nil {
				parents[string(*ref.Kind)+" "+of+"/"+string(ref.Name)] = true
			}
		}
	}
	var out []address
	for _, s := range c.Services {
		for _, p := range s.Spec.Ports {
			if parents["Service "+s.Namespace+"/"+s.Name] && p.Protocol != corev1.ProtocolUDP {
				out = append(out, address{scheme(servicePortProtocol(p)), s.Name + "." + s.Namespace + ".svc.cluster.local", uint32(p.Port)})
			}
		}
	}
	for _, cfg := range c.Configs {
		entry, ok := cfg.Spec.(*networking.ServiceEntry)
		if !ok || !parents["ServiceEntry "+cfg.Namespace+"/"+cfg.Name] {
			continue
		}
		for _, host := range entry.GetHosts() {
			for _, p := range entry.GetPorts() {
				out = append(out, address{scheme(p.GetProtocol()), concreteHost(host), p.GetNumber()})
			}
		}
	}
	return out
}

// kubeTries is step 4.
func kubeTries(c *apiserver.Cluster, a address) []try {
	switch a.scheme {
	case "tcp", "tls":
		return []try{{}}
	case "grpc", "grpcs":
		return grpcTries(c)
	}
	out := []try{{path: "/"}, {path: "/no/route/has/this"}}
	for _, r := range objects[*k8sgateway.HTTPRoute](c) {
		for _, rule := range r.Spec.Rules {
			for _, m := range rule.Matches {
				out = append(out, httpTries(m)...)
			}
		}
	}
	for _, in := range objects[*networkingk8s.Ingress](c) {
		for _, rule := range in.Spec.Rules {
			if rule.HTTP == nil {
				continue
			}
			for _, p := range rule.HTTP.Paths {
				if path := strings.TrimRight(p.Path, ".*"); path != "" {
					out = append(out, try{path: path}, try{path: strings.TrimSuffix(path, "/") + "/below"})
				}
			}
		}
	}
	return out
}

// httpTries are what a match of an HTTPRoute asks for, and the same without its headers.
func httpTries(m k8sgateway.HTTPRouteMatch) []try {
	t := try{path: "/", headers: map[string]string{}}
	if m.Method != nil {
		t.method = string(*m.Method)
	}
	if m.Path != nil && m.Path.Value != nil {
		t.path = kubeExample(*m.Path.Value, m.Path.Type != nil && *m.Path.Type == k8sgateway.PathMatchRegularExpression)
	}
	for _, h := range m.Headers {
		t.headers[string(h.Name)] = kubeExample(h.Value, h.Type != nil && *h.Type == k8sgateway.HeaderMatchRegularExpression)
	}
	separator := "?"
	for _, q := range m.QueryParams {
		t.path += separator + string(q.Name) + "=" + kubeExample(q.Value, q.Type != nil && *q.Type == k8sgateway.QueryParamMatchRegularExpression)
		separator = "&"
	}
	if len(t.headers) == 0 {
		return []try{t}
	}
	return []try{t, {path: t.path}}
}

// grpcTries are what the matches of GRPCRoutes ask for; nothing where there are no GRPCRoutes.
func grpcTries(c *apiserver.Cluster) []try {
	var out []try
	for _, r := range objects[*k8sgateway.GRPCRoute](c) {
		out = append(out, try{path: "/no.Service/Method"})
		for _, rule := range r.Spec.Rules {
			for _, m := range rule.Matches {
				t := try{path: "/some.Service/Method", headers: map[string]string{}}
				if m.Method != nil {
					service, method := "some.Service", "Method"
					regex := m.Method.Type != nil && *m.Method.Type == k8sgateway.GRPCMethodMatchRegularExpression
					if m.Method.Service != nil {
						service = kubeExample(*m.Method.Service, regex)
					}
					if m.Method.Method != nil {
						method = kubeExample(*m.Method.Method, regex)
					}
					t.path = "/" + service + "/" + method
				}
				for _, h := range m.Headers {
					t.headers[string(h.Name)] = kubeExample(h.Value, h.Type != nil && *h.Type == k8sgateway.GRPCHeaderMatchRegularExpression)
				}
				out = append(out, t)
			}
		}
	}
	return out
}

// kubeExample is a string that a value, exact or a regex, takes.
func kubeExample(value string, regex bool) string {
	if regex {
		return exampleOf(value)
	}
	return value
}

// objects are the cluster's objects of a type.
func objects[T any](c *apiserver.Cluster) []T {
	var out []T
	for _, o := range c.Objects {
		if x, ok := o.(T); ok {
			out = append(out, x)
		}
	}
	return out
}
