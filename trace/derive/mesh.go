package derive

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// mesh is one mesh that requests are made of.
type mesh struct {
	*resolve.Snapshot
	collector *collector
	// clients are the workloads that may ask, one for each owner, by namespace; namespaces are in order.
	clients    map[string][]*resolve.Workload
	namespaces []string
	// plain is the first client without a proxy; nil if there is none.
	plain *resolve.Workload
	// principals are the identities of the clients, and named the clients that policies name, by service.
	principals map[*resolve.Workload]string
	named      map[resolve.Ref][]*resolve.Workload
}

func newMesh(s *resolve.Snapshot, c *collector) *mesh {
	m := &mesh{Snapshot: s, collector: c, clients: map[string][]*resolve.Workload{}, principals: map[*resolve.Workload]string{}, named: map[resolve.Ref][]*resolve.Workload{}}
	for _, namespace := range s.RunningNamespaces() {
		seen := map[resolve.Ref]bool{}
		for _, w := range s.WorkloadsIn(namespace) {
			if seen[w.Owner] || w.Terminating || w.Dataplane == resolve.DataplaneGateway || w.Dataplane == resolve.DataplaneWaypoint || fromOf(w) == "" {
				continue
			}
			seen[w.Owner] = true
			m.principals[w] = w.Principal(s.Mesh.GetTrustDomain())
			m.clients[namespace] = append(m.clients[namespace], w)
			if m.plain == nil && w.Dataplane == resolve.DataplaneNone {
				m.plain = w
			}
		}
		if len(m.clients[namespace]) > 0 {
			m.namespaces = append(m.namespaces, namespace)
		}
	}
	m.nameClients()
	return m
}

// fromOf is a workload as --from names it; empty for one of a kind that it does not take.
func fromOf(w *resolve.Workload) string {
	kind := strings.ToLower(w.Owner.Kind)
	if !slices.Contains(trace.SourceKinds(), kind) || w.Owner.Name == "" {
		return ""
	}
	return w.Namespace + "/" + kind + "/" + w.Owner.Name
}

// asking are the clients of a service: those that policies name, then one of its namespace, one of another, and one without
// a proxy. Workloads behind the service come last in their namespace. Without any it is the assumed client of the
// namespace, which has no name.
func (m *mesh) asking(s *resolve.Service) []string {
	var out []string
	add := func(w *resolve.Workload) {
		if w != nil && !slices.Contains(out, fromOf(w)) {
			out = append(out, fromOf(w))
		}
	}
	for _, w := range m.named[s.Ref.Object()] {
		add(w)
	}
	add(first(m.clients[s.Namespace], func(w *resolve.Workload) bool { return !behind(s, w) }))
	if len(out) == 0 {
		add(first(m.clients[s.Namespace], func(*resolve.Workload) bool { return true }))
	}
	for _, namespace := range m.namespaces {
		if namespace != s.Namespace {
			add(m.clients[namespace][0])
			break
		}
	}
	add(m.plain)
	if len(out) == 0 {
		out = append(out, "")
	}
	return out
}

func behind(s *resolve.Service, w *resolve.Workload) bool {
	return w.Namespace == s.Namespace && len(s.Selector) > 0 && resolve.Selects(s.Selector, w.Labels)
}

func first(all []*resolve.Workload, yes func(*resolve.Workload) bool) *resolve.Workload {
	if i := slices.IndexFunc(all, yes); i >= 0 {
		return all[i]
	}
	return nil
}

// target is where a request goes.
type target struct {
	scheme, host string
	port         int
	// service is nil where no service is known, and for a client outside.
	service *resolve.Service
	// namespace is that of an assumed client.
	namespace string
	// boundTo is the gateway as the VirtualService has it; empty for the mesh.
	boundTo string
	// gateway is by which gateway a client outside enters; external is set for one.
	gateway  string
	external bool
}

func (t target) isHTTP() bool { return t.scheme == "http" || t.scheme == "https" }

// url is the target with a path and a query, which begins with "?" if there is one.
func (t target) url(path, query string) string {
	host := t.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	url := t.scheme + "://" + host
	if !(t.scheme == "http" && t.port == 80 || t.scheme == "https" && t.port == 443) {
		url += ":" + strconv.Itoa(t.port)
	}
	if t.isHTTP() {
		url += path + query
	}
	return url
}

// targets are the ports of a service.
func (m *mesh) targets(s *resolve.Service) []target {
	var out []target
	for _, p := range s.Ports {
		if t := (target{scheme: schemeOf(p), host: hostOf(s), port: p.Number, namespace: s.Namespace, service: s}); t.scheme != "" {
			out = append(out, t)
		}
	}
	return out
}

// hostOf is the name of a service, short for one of Kubernetes; a wildcard gets a name.
func hostOf(s *resolve.Service) string {
	if s.Registry == resolve.RegistryKubernetes && s.Name != "" {
		return s.Name + "." + s.Namespace
	}
	return concrete(s.Hostname)
}

// concrete is a name that a wildcard takes.
func concrete(host string) string {
	if rest, ok := strings.CutPrefix(host, "*"); ok {
		return "any" + strings.TrimSuffix("."+strings.TrimPrefix(rest, "."), ".")
	}
	return host
}

// schemeOf is how a client speaks to a port; empty where no request is made for it.
func schemeOf(p resolve.Port) string {
	switch {
	case p.UDP:
		return ""
	case p.Protocol.IsHTTP(), p.Protocol.IsAuto():
		return "http"
	case p.Protocol.IsTLS():
		return "tls"
	}
	return "tcp"
}

// services is rule 1 of the package.
func (m *mesh) services() {
	for _, s := range m.Services() {
		for _, t := range m.targets(s) {
			for _, from := range m.asking(s) {
				m.add(t, shape{path: "/", from: from}, s.Ref.At(s.Ref.Field), "each port")
			}
		}
	}
}

// shape is a request without its target. It is a value: a variant is a copy.
type shape struct {
	method, path, query, from, sourceIP, clientCert string
	// headers and claims are "k: v" and "k=v" by name; the value is never changed in place.
	headers, claims map[string]string
}

// with is the shape with another header; an empty value removes it.
func (s shape) with(name, value string) shape {
	s.headers = changed(s.headers, name, value)
	return s
}

// withClaim is the shape with another claim.
func (s shape) withClaim(name, value string) shape {
	s.claims = changed(s.claims, name, value)
	return s
}

func changed(m map[string]string, name, value string) map[string]string {
	out := make(map[string]string, len(m)+1)
	for k, v := range m {
		out[k] = v
	}
	if out[name] = value; value == "" {
		delete(out, name)
	}
	return out
}

// add makes the request.
func (m *mesh) add(t target, s shape, of resolve.Ref, what string) {
	typed := trace.Typed{URL: t.url(s.path, s.query), From: s.from, Gateway: t.gateway, SourceIP: s.sourceIP, ClientCert: s.clientCert}
	if t.external {
		typed.From = trace.External
	}
	if typed.From == "" {
		typed.Namespace = t.namespace
	}
	if t.isHTTP() {
		if s.method != "GET" { // which is the default
			typed.Method = s.method
		}
		for _, name := range sortedKeys(s.headers) {
			typed.Headers = append(typed.Headers, name+": "+s.headers[name])
		}
		for _, name := range sortedKeys(s.claims) {
			typed.Claims = append(typed.Claims, name+"="+s.claims[name])
		}
	}
	m.collector.add(Request{Typed: typed, Of: of, What: what})
}
