package derive

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	api "istio.io/api/security/v1"
	security "istio.io/client-go/pkg/apis/security/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// servicesOfPolicy is how many of the services that a policy covers its rules are asked at.
const servicesOfPolicy = 5

// policies is rule 3 of the package.
func (m *mesh) policies() {
	for _, p := range m.AuthorizationPolicies {
		ref := resolve.Ref{Group: "security.istio.io", Kind: "AuthorizationPolicy", Namespace: p.Namespace, Name: p.Name}
		targets := m.covered(p.Namespace, p.Spec.GetSelector().GetMatchLabels())
		for i, rule := range p.Spec.GetRules() {
			m.rule(p, rule, ref.At(fmt.Sprintf("spec.rules[%d]", i)), targets)
		}
	}
	for _, p := range m.RequestAuthentications {
		ref := resolve.Ref{Group: "security.istio.io", Kind: "RequestAuthentication", Namespace: p.Namespace, Name: p.Name}
		for _, t := range m.covered(p.Namespace, p.Spec.GetSelector().GetMatchLabels()) {
			if !t.isHTTP() {
				continue
			}
			base := m.client(t, shape{path: "/"})
			m.add(t, base, ref, "without a token")
			m.add(t, base.withClaim("iss", "https://another.example").withClaim("sub", "any"), ref, "a token of another issuer")
			for i, r := range p.Spec.GetJwtRules() {
				token := base.withClaim("iss", r.GetIssuer()).withClaim("sub", "any")
				if len(r.GetAudiences()) > 0 {
					token = token.withClaim("aud", r.GetAudiences()[0])
				}
				m.add(t, token, ref.At(fmt.Sprintf("spec.jwtRules[%d]", i)), "a token of its issuer")
			}
		}
	}
}

// covered are ports of the services in front of workloads that a policy of the namespace could cover, and of the hosts
// of gateways: the first few of each.
func (m *mesh) covered(namespace string, labels map[string]string) []target {
	var out []target
	services, root := 0, m.Mesh.GetRootNamespace()
	for _, s := range m.Services() {
		if services == servicesOfPolicy {
			break
		}
		if namespace != root && s.Namespace != namespace || s.Registry != resolve.RegistryKubernetes {
			continue
		}
		if !m.inFront(s, labels) {
			continue
		}
		services++
		out = append(out, m.targets(s)...)
	}
	if slices.ContainsFunc(m.WorkloadsIn(namespace), func(w *resolve.Workload) bool {
		return w.Dataplane == resolve.DataplaneGateway && resolve.Selects(labels, w.Labels)
	}) {
		out = append(out, m.outside()...)
	}
	return out
}

// outside are the first hosts that gateways have.
func (m *mesh) outside() []target {
	var out []target
	for _, vs := range m.VirtualServices() {
		for _, t := range m.routed(vs) {
			if t.external && len(out) < servicesOfPolicy {
				out = append(out, t)
			}
		}
	}
	return out
}

// client gives a shape the first client of the target; one outside needs none.
func (m *mesh) client(t target, s shape) shape {
	if !t.external && t.service != nil {
		s.from = m.asking(t.service)[0]
	}
	return s
}

// namedClients is how many clients that policies name ask each service.
const namedClients = 3

// nameClients finds, for each service, clients that the policies in front of it name.
func (m *mesh) nameClients() {
	root := m.Mesh.GetRootNamespace()
	policies := map[string][]*security.AuthorizationPolicy{}
	for _, p := range m.AuthorizationPolicies {
		policies[p.Namespace] = append(policies[p.Namespace], p)
	}
	for _, s := range m.Services() {
		if s.Registry != resolve.RegistryKubernetes {
			continue
		}
		own := policies[s.Namespace]
		if s.Namespace != root {
			own = slices.Concat(own, policies[root])
		}
		for _, p := range own {
			if !m.inFront(s, p.Spec.GetSelector().GetMatchLabels()) {
				continue
			}
			for _, rule := range p.Spec.GetRules() {
				for _, f := range rule.GetFrom() {
					m.name(s, m.fits(f.GetSource()))
				}
			}
		}
	}
}

func (m *mesh) name(s *resolve.Service, fits func(*resolve.Workload) bool) {
	named := m.named[s.Ref.Object()]
	if w := m.find(fits); w != nil && len(named) < namedClients && !slices.Contains(named, w) {
		m.named[s.Ref.Object()] = append(named, w)
	}
}

// inFront reports whether the labels select a workload behind the service.
func (m *mesh) inFront(s *resolve.Service, labels map[string]string) bool {
	return slices.ContainsFunc(m.WorkloadsIn(s.Namespace), func(w *resolve.Workload) bool {
		return w.Dataplane != resolve.DataplaneGateway && behind(s, w) && resolve.Selects(labels, w.Labels)
	})
}

// fits tells of the workloads that a source names, by what it has of them.
func (m *mesh) fits(source *api.Source) func(*resolve.Workload) bool {
	principals := slices.Concat(source.GetPrincipals(), source.GetNotPrincipals())
	namespaces := slices.Concat(source.GetNamespaces(), source.GetNotNamespaces())
	accounts := slices.Concat(source.GetServiceAccounts(), source.GetNotServiceAccounts())
	return func(w *resolve.Workload) bool {
		return w.HasProxy() && matchesAny(principals, m.principals[w]) && matchesAny(namespaces, w.Namespace) && accountAny(accounts, w)
	}
}

// rule asks for what the first entries of a rule name together; then for each other entry, and for what is beside each.
func (m *mesh) rule(p *security.AuthorizationPolicy, rule *api.Rule, at resolve.Ref, targets []target) {
	for _, t := range targets {
		base := m.client(t, shape{path: "/"})
		for _, op := range rule.GetTo()[:min(len(rule.GetTo()), 1)] {
			base = operation(base, op.GetOperation())
		}
		for _, c := range rule.GetWhen() {
			base = condition(base, c)
		}
		from := base
		for _, f := range rule.GetFrom()[:min(len(rule.GetFrom()), 1)] {
			from, _ = m.source(t, base, f.GetSource())
		}
		m.add(t, from, at, "what it names")
		for i, f := range rule.GetFrom() {
			named, others := m.source(t, base, f.GetSource())
			m.add(t, named, at.At(fmt.Sprintf("%s.from[%d]", at.Field, i)), "a source that it names")
			for _, other := range others {
				m.add(t, other, at.At(fmt.Sprintf("%s.from[%d]", at.Field, i)), "another source")
			}
		}
		for i, to := range rule.GetTo() {
			field := at.At(fmt.Sprintf("%s.to[%d]", at.Field, i))
			for _, v := range operations(from, to.GetOperation()) {
				m.add(t, v.shape, field, v.what)
			}
		}
		for i, c := range rule.GetWhen() {
			for _, v := range conditions(from, c) {
				m.add(t, v.shape, at.At(fmt.Sprintf("%s.when[%d]", at.Field, i)), v.what)
			}
		}
	}
}

// source is the shape from a source that the entry names, and from others.
func (m *mesh) source(t target, s shape, source *api.Source) (named shape, others []shape) {
	named = s
	if blocks := slices.Concat(source.GetIpBlocks(), source.GetRemoteIpBlocks(), source.GetNotIpBlocks(), source.GetNotRemoteIpBlocks()); len(blocks) > 0 && t.external {
		for _, block := range blocks {
			inside := s
			inside.sourceIP = firstAddress(block)
			others = append(others, inside)
		}
		named = others[0]
		outside := s
		outside.sourceIP = "192.0.2.1" // of TEST-NET-1, which nobody allows
		others = append(others, outside)
	}
	for _, p := range slices.Concat(source.GetRequestPrincipals(), source.GetNotRequestPrincipals()) {
		issuer, subject, _ := cutLast(concreteValue(p), "/")
		token := named.withClaim("iss", issuer).withClaim("sub", subject)
		others = append(others, named)
		named = token
		break
	}
	fits := m.fits(source)
	if t.external {
		return named, others
	}
	if w := m.find(fits); w != nil {
		named.from = fromOf(w)
	}
	if w := m.find(func(w *resolve.Workload) bool { return w.HasProxy() && !fits(w) }); w != nil {
		other := named
		other.from = fromOf(w)
		others = append(others, other)
	}
	if m.plain != nil {
		other := named
		other.from = fromOf(m.plain)
		others = append(others, other)
	}
	return named, others
}

// matchesAny reports whether one of the patterns, with a star at an end, takes the value; none takes all.
func matchesAny(patterns []string, value string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		prefix, isPrefix := strings.CutSuffix(p, "*")
		suffix, isSuffix := strings.CutPrefix(p, "*")
		switch {
		case isPrefix:
			return strings.HasPrefix(value, prefix)
		case isSuffix:
			return strings.HasSuffix(value, suffix)
		}
		return p == value
	})
}

// accountAny is matchesAny for service accounts: NAME or NAMESPACE/NAME.
func accountAny(accounts []string, w *resolve.Workload) bool {
	return len(accounts) == 0 || slices.Contains(accounts, w.ServiceAccount) || slices.Contains(accounts, w.Namespace+"/"+w.ServiceAccount)
}

// concreteValue is a value that a pattern takes.
func concreteValue(pattern string) string {
	switch {
	case pattern == "*":
		return "any/any"
	case strings.HasPrefix(pattern, "*"):
		return "any" + pattern[1:]
	}
	return strings.TrimSuffix(pattern, "*") + strings.Repeat("any", strings.Count(pattern[max(len(pattern)-1, 0):], "*"))
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "any", false
	}
	return text[:i], text[i+len(separator):], true
}

// firstAddress is an address in a block, or the block if it is one.
func firstAddress(block string) string {
	if prefix, err := netip.ParsePrefix(block); err == nil {
		return prefix.Masked().Addr().String()
	}
	return block
}

// operation is the shape as the operation names it first.
func operation(s shape, op *api.Operation) shape {
	if len(op.GetPaths()) > 0 {
		s.path = pathOf(op.GetPaths()[0])
	}
	if len(op.GetMethods()) > 0 {
		s.method = methodOf(op.GetMethods()[0])
	}
	if len(op.GetHosts()) > 0 {
		s = s.with("host", concreteValue(op.GetHosts()[0]))
	}
	return s
}

func methodOf(pattern string) string {
	if strings.Contains(pattern, "*") {
		return "GET"
	}
	return pattern
}

// pathOf is a path that a pattern of a policy takes: a star at an end, or a template.
func pathOf(pattern string) string {
	var segments []string
	for segment := range strings.SplitSeq(pattern, "/") {
		if strings.HasPrefix(segment, "{") {
			segment = beside
		}
		segments = append(segments, segment)
	}
	path := strings.ReplaceAll(strings.Join(segments, "/"), "*", beside)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return path
}

// operations are what the operation names, and what is beside it.
func operations(s shape, op *api.Operation) []variant {
	s = operation(s, op)
	out := []variant{{s, "an operation that it names"}}
	add := func(what string, change func(*shape)) {
		v := s
		change(&v)
		out = append(out, variant{v, what})
	}
	for _, pattern := range slices.Concat(op.GetPaths(), op.GetNotPaths()) {
		path := pathOf(pattern)
		add("a path that it names", func(s *shape) { s.path = path })
		if bare, isPrefix := strings.CutSuffix(pattern, "*"); isPrefix && strings.HasPrefix(bare, "/") {
			add("the prefix itself", func(s *shape) { s.path = bare })
			add("beside the path", func(s *shape) { s.path = cmp.Or(strings.TrimSuffix(bare, "/"), "/") })
			continue
		}
		add("beside the path", func(s *shape) { s.path = path + beside })
		add("beside the path", func(s *shape) { s.path = strings.TrimSuffix(path, "/") + "/" })
	}
	for _, method := range slices.Concat(op.GetMethods(), op.GetNotMethods()) {
		add("a method that it names", func(s *shape) { s.method = methodOf(method) })
		add("another method", func(s *shape) { s.method = otherMethodThan(slices.Concat(op.GetMethods(), op.GetNotMethods())) })
	}
	for _, host := range slices.Concat(op.GetHosts(), op.GetNotHosts()) {
		add("a host that it names", func(s *shape) { *s = s.with("host", concreteValue(host)) })
		add("another host", func(s *shape) { *s = s.with("host", "") })
	}
	return out
}

// otherMethodThan is a method that is not in the list.
func otherMethodThan(methods []string) string {
	for _, m := range []string{"GET", "POST", "DELETE", "PUT"} {
		if !slices.Contains(methods, m) {
			return m
		}
	}
	return "PATCH"
}

// condition is the shape as a condition wants it, as far as a request can have it.
func condition(s shape, c *api.Condition) shape {
	if len(c.GetValues()) == 0 {
		return s
	}
	return conditioned(s, c.GetKey(), concreteValue(c.GetValues()[0]))
}

// conditioned is the shape with the value of a condition's key; an empty one is none.
func conditioned(s shape, key, value string) shape {
	name := func(prefix string) (string, bool) {
		rest, ok := strings.CutPrefix(key, prefix+"[")
		return strings.TrimSuffix(rest, "]"), ok
	}
	if header, ok := name("request.headers"); ok {
		return s.with(strings.ToLower(header), value)
	}
	if claim, ok := name("request.auth.claims"); ok && !strings.Contains(claim, "][") {
		return s.withClaim(claim, value)
	}
	return s
}

// conditions are the values that the condition names, another one, and none.
func conditions(s shape, c *api.Condition) []variant {
	var out []variant
	for _, v := range slices.Concat(c.GetValues(), c.GetNotValues()) {
		out = append(out, variant{conditioned(s, c.GetKey(), concreteValue(v)), "a value that it names"})
		out = append(out, variant{conditioned(s, c.GetKey(), concreteValue(v)+beside), "another value"})
	}
	return append(out, variant{conditioned(s, c.GetKey(), ""), "without it"})
}
