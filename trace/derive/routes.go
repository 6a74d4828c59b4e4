package derive

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// routes is rule 2 of the package.
func (m *mesh) routes() {
	for _, vs := range m.VirtualServices() {
		targets := m.routed(vs)
		for _, t := range targets {
			if t.isHTTP() {
				m.add(t, m.from(vs, t, shape{path: "/"}), vs.Ref, "its host")
			}
		}
		for i, route := range vs.Spec.GetHttp() {
			of := vs.Ref
			if i < len(vs.HTTPRefs) {
				of = vs.HTTPRefs[i]
			}
			for j, match := range route.GetMatch() {
				at := of
				if vs.Semantics == resolve.SemanticsVirtualService {
					at = of.At(fmt.Sprintf("%s.match[%d]", of.Field, j))
				}
				m.matched(vs, targets, match, at)
			}
		}
		m.l4Routes(vs)
	}
}

// from gives a shape for a target inside the mesh a client: one that a policy of the target names, else one of the namespace
// of the VirtualService, else any.
func (m *mesh) from(vs *resolve.VirtualService, t target, s shape) shape {
	if t.external || s.from != "" {
		return s
	}
	proxied := func(w *resolve.Workload) bool { return w.HasProxy() }
	var w *resolve.Workload
	if t.service != nil {
		w = first(m.named[t.service.Ref.Object()], proxied)
	}
	if w == nil {
		w = first(m.clients[vs.Ref.Namespace], proxied)
	}
	if w == nil {
		w = m.find(proxied)
	}
	if w != nil {
		s.from = fromOf(w)
	}
	return s
}

// matched asks for what a match takes, and for what is beside each of its clauses: one clause at a time, all others taken.
func (m *mesh) matched(vs *resolve.VirtualService, targets []target, match *networking.HTTPMatchRequest, at resolve.Ref) {
	taken, around := m.clauses(match)
	for _, t := range targets {
		if !t.isHTTP() || len(match.GetGateways()) > 0 && !slices.Contains(match.GetGateways(), cmp.Or(t.boundTo, resolve.MeshGateway)) {
			continue
		}
		what := "what it takes"
		if match.GetPort() != 0 && int(match.GetPort()) != t.port {
			what = "another port"
		}
		m.add(t, m.from(vs, t, taken), at, what)
		for _, v := range around {
			m.add(t, m.from(vs, t, v.shape), at, v.what)
		}
	}
}

// variant is a shape that differs from what a match takes in one clause.
type variant struct {
	shape
	what string
}

// clauses are what a match takes, and what is around it.
func (m *mesh) clauses(match *networking.HTTPMatchRequest) (taken shape, around []variant) {
	c := clauseWalk{taken: shape{path: "/"}}
	if match.GetUri() != nil {
		if path, edges := pathEdges(match.GetUri()); path != "" {
			c.vary("beside the path", edges, func(s *shape, path string) { s.path = path })
			c.taken.path = path
		}
	}
	if match.GetMethod() != nil {
		method, _ := valueEdges(match.GetMethod())
		c.vary("another method", []string{otherMethod(method)}, func(s *shape, method string) { s.method = method })
		c.taken.method = method
	}
	if match.GetAuthority() != nil {
		host, edges := valueEdges(match.GetAuthority())
		c.header("host", host, edges)
	}
	for _, name := range sortedKeys(match.GetHeaders()) {
		value, edges := valueEdges(match.GetHeaders()[name])
		if claim, ok := strings.CutPrefix(name, "@request.auth.claims."); ok {
			c.claim(claim, value, edges)
		} else if !strings.HasPrefix(name, "@") {
			c.header(strings.ToLower(name), value, append(edges, ""))
		}
	}
	for _, name := range sortedKeys(match.GetWithoutHeaders()) {
		value, _ := valueEdges(match.GetWithoutHeaders()[name])
		c.around = append(c.around, change{"with header " + name, func(s shape) shape { return s.with(strings.ToLower(name), value) }})
	}
	c.query(match.GetQueryParams())
	if len(match.GetSourceLabels()) > 0 || match.GetSourceNamespace() != "" {
		c.sources(m, match)
	}
	return c.result()
}

// change is what makes a variant of what is taken.
type change struct {
	what  string
	apply func(shape) shape
}

type clauseWalk struct {
	taken  shape
	around []change
}

func (c *clauseWalk) vary(what string, values []string, set func(*shape, string)) {
	for _, value := range values {
		c.around = append(c.around, change{what, func(s shape) shape {
			set(&s, value)
			return s
		}})
	}
}

func (c *clauseWalk) header(name, value string, edges []string) {
	for _, edge := range edges {
		what := "header " + name + " beside it"
		if edge == "" {
			what = "without header " + name
		}
		c.around = append(c.around, change{what, func(s shape) shape { return s.with(name, edge) }})
	}
	c.taken = c.taken.with(name, value)
}

func (c *clauseWalk) claim(name, value string, edges []string) {
	for _, edge := range append(edges, "") {
		c.around = append(c.around, change{"another claim " + name, func(s shape) shape { return s.withClaim(name, edge) }})
	}
	c.taken = c.taken.withClaim(name, value)
}

func (c *clauseWalk) query(params map[string]*networking.StringMatch) {
	if len(params) == 0 {
		return
	}
	var all []string
	for _, name := range sortedKeys(params) {
		value, _ := valueEdges(params[name])
		all = append(all, name+"="+value)
	}
	for i, name := range sortedKeys(params) {
		without := slices.Delete(slices.Clone(all), i, i+1)
		c.vary("without parameter "+name, []string{queryOf(without)}, func(s *shape, query string) { s.query = query })
	}
	c.taken.query = queryOf(all)
}

func queryOf(parameters []string) string {
	if len(parameters) == 0 {
		return ""
	}
	return "?" + strings.Join(parameters, "&")
}

// sources has a workload ask that the match names, and one that it does not.
func (c *clauseWalk) sources(m *mesh, match *networking.HTTPMatchRequest) {
	named := func(w *resolve.Workload) bool {
		return w.HasProxy() && resolve.Selects(match.GetSourceLabels(), w.Labels) && (match.GetSourceNamespace() == "" || match.GetSourceNamespace() == w.Namespace)
	}
	yes, no := m.find(named), m.find(func(w *resolve.Workload) bool { return w.HasProxy() && !named(w) })
	if yes != nil {
		c.taken.from = fromOf(yes)
	}
	if no != nil {
		c.vary("another source", []string{fromOf(no)}, func(s *shape, from string) { s.from = from })
	}
}

// find is the first client that fits.
func (m *mesh) find(yes func(*resolve.Workload) bool) *resolve.Workload {
	for _, namespace := range m.namespaces {
		if w := first(m.clients[namespace], yes); w != nil {
			return w
		}
	}
	return nil
}

func (c *clauseWalk) result() (shape, []variant) {
	var around []variant
	for _, change := range c.around {
		around = append(around, variant{change.apply(c.taken), change.what})
	}
	return c.taken, around
}

// otherMethod is a method that is not the one.
func otherMethod(method string) string {
	if method == "GET" {
		return "POST"
	}
	return "GET"
}

// l4Routes asks for the server names and ports of TLS and TCP routes.
func (m *mesh) l4Routes(vs *resolve.VirtualService) {
	for i, route := range vs.Spec.GetTls() {
		for j, match := range route.GetMatch() {
			for _, name := range match.GetSniHosts() {
				for _, t := range m.routed(vs) {
					t.scheme, t.host = "tls", concrete(name)
					m.add(t, m.from(vs, t, shape{}), vs.Ref.At(fmt.Sprintf("spec.tls[%d].match[%d]", i, j)), "its server name")
				}
			}
		}
	}
	if len(vs.Spec.GetTcp()) == 0 {
		return
	}
	for _, t := range m.routed(vs) {
		t.scheme = "tcp"
		m.add(t, m.from(vs, t, shape{}), vs.Ref.At("spec.tcp"), "its port")
	}
}

// routed are where a request has to go to meet a VirtualService: its hosts at the ports of their services, or of its gateways.
func (m *mesh) routed(vs *resolve.VirtualService) []target {
	var out []target
	for _, gateway := range vs.Gateways {
		for _, host := range vs.Spec.GetHosts() {
			if gateway != resolve.MeshGateway {
				out = append(out, m.entered(vs, gateway, host)...)
				continue
			}
			services := m.ServicesForHost(host)
			for _, s := range services[:min(len(services), 1)] {
				out = append(out, m.targets(s)...)
			}
			if len(services) == 0 && host != "*" {
				out = append(out, target{scheme: "http", host: concrete(host), port: 80, namespace: vs.Ref.Namespace})
			}
		}
	}
	return out
}

// entered are the ports of a gateway, for a client outside.
func (m *mesh) entered(vs *resolve.VirtualService, gateway, host string) []target {
	if host == "*" {
		host = "any.example"
	}
	at := func(scheme string, port int, name string) target {
		return target{scheme: scheme, host: concrete(host), port: port, gateway: name, external: true, boundTo: gateway}
	}
	namespace, name, _ := strings.Cut(gateway, "/")
	name, listener, converted := strings.Cut(name, "~")
	switch {
	case vs.Semantics == resolve.SemanticsIngress:
		return []target{at("http", 80, ""), at("https", 443, "")}
	case converted:
		_, listener, _ = strings.Cut(listener, "~")
		return m.kubeEntered(namespace, name, listener, at)
	}
	var out []target
	for _, g := range m.Gateways {
		if g.Namespace != namespace || g.Name != name {
			continue
		}
		for _, server := range g.Spec.GetServers() {
			scheme := gatewayScheme(resolve.ParseProtocol(server.GetPort().GetProtocol()), server.GetTls().GetMode() == networking.ServerTLSSettings_PASSTHROUGH)
			out = append(out, at(scheme, int(server.GetPort().GetNumber()), gateway))
		}
	}
	return out
}

func gatewayScheme(p resolve.Protocol, passthrough bool) string {
	switch {
	case p == resolve.ProtocolHTTPS && !passthrough:
		return "https"
	case p.IsTLS():
		return "tls"
	case p.IsHTTP():
		return "http"
	}
	return "tcp"
}

func (m *mesh) kubeEntered(namespace, name, listener string, at func(string, int, string) target) []target {
	var out []target
	for _, g := range m.KubeGateways {
		if g.Namespace != namespace || g.Name != name {
			continue
		}
		for _, l := range g.Spec.Listeners {
			if string(l.Name) != listener {
				continue
			}
			passthrough := l.TLS != nil && l.TLS.Mode != nil && *l.TLS.Mode == k8sgateway.TLSModePassthrough
			out = append(out, at(gatewayScheme(resolve.ParseProtocol(string(l.Protocol)), passthrough), int(l.Port), namespace+"/"+name))
		}
	}
	return out
}
