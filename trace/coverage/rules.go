package coverage

import (
	"fmt"
	"maps"
	"slices"

	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	security "istio.io/api/security/v1beta1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Rule is one rule that a person wrote.
type Rule struct {
	Ref resolve.Ref
	// Place is FILE:LINE, or "cluster".
	Place string
	// Covered is whether it decided in one of the traces.
	Covered bool
}

// Rules are all rules of a mesh, ordered by object and then as written, each with whether it has decided:
//
//  1. An entry of spec.http, spec.tls and spec.tcp of a VirtualService, and a rule of an HTTPRoute, GRPCRoute, TLSRoute and TCPRoute. Where it has
//     several matches, each of them is a rule of its own instead.
//  2. A path of an Ingress.
//  3. A rule of an AuthorizationPolicy; the policy itself where it is an ALLOW without rules, which denies. A jwtRule of a RequestAuthentication.
//  4. The mode of a PeerAuthentication, and that of each of its ports. One that is UNSET decides nothing.
//  5. A subset of a DestinationRule.
//
// A route that an EnvoyFilter puts into proxies is none of them: it is what Envoy is given, and whether it is taken says nothing of the rest
// of its patches.
func (c *Set) Rules(s *resolve.Snapshot) []Rule {
	l := lister{snapshot: s, fields: c.fieldsOf()}
	l.virtualServices()
	l.kubeRoutes()
	l.ingresses()
	l.policies()
	for _, d := range s.DestinationRules {
		l.list(istio("networking", "DestinationRule", d), "spec.subsets", len(d.Spec.GetSubsets()))
	}
	slices.SortStableFunc(l.rules, func(a, b Rule) int { return resolve.CompareRefs(a.Ref.Object(), b.Ref.Object()) })
	return l.rules
}

// named is any object.
type named interface {
	GetNamespace() string
	GetName() string
}

func istio(group, kind string, o named) resolve.Ref { return ref(group+".istio.io", kind, o) }

func ref(group, kind string, o named) resolve.Ref {
	return resolve.Ref{Group: group, Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}
}

// lister lists the rules of a mesh.
type lister struct {
	snapshot *resolve.Snapshot
	fields   map[resolve.Ref][]string
	rules    []Rule
}

func (l *lister) add(object resolve.Ref, field string) {
	l.addAs(object, field, covers(l.fields[object], field))
}

func (l *lister) addAs(object resolve.Ref, field string, covered bool) {
	rule := Rule{Ref: object.At(field), Covered: covered}
	rule.Place = l.snapshot.Locate(rule.Ref)
	l.rules = append(l.rules, rule)
}

// list adds each element of a list.
func (l *lister) list(object resolve.Ref, field string, length int) {
	for i := range length {
		l.add(object, fmt.Sprintf("%s[%d]", field, i))
	}
}

// entry adds a rule, or each of its matches where it has several.
func (l *lister) entry(object resolve.Ref, field, matches string, length int) {
	if length < 2 {
		l.add(object, field)
		return
	}
	l.list(object, field+"."+matches, length)
}

func (l *lister) virtualServices() {
	for _, o := range l.snapshot.RawVirtualServices {
		object := istio("networking", "VirtualService", o)
		for i, e := range o.Spec.GetHttp() {
			l.entry(object, fmt.Sprintf("spec.http[%d]", i), "match", len(e.GetMatch()))
		}
		for i, e := range o.Spec.GetTls() {
			l.entry(object, fmt.Sprintf("spec.tls[%d]", i), "match", len(e.GetMatch()))
		}
		for i, e := range o.Spec.GetTcp() {
			l.entry(object, fmt.Sprintf("spec.tcp[%d]", i), "match", len(e.GetMatch()))
		}
	}
}

func (l *lister) kubeRoutes() {
	s, group := l.snapshot, k8sgateway.GroupName
	for _, o := range s.HTTPRoutes {
		for i, r := range o.Spec.Rules {
			l.entry(ref(group, "HTTPRoute", o), fmt.Sprintf("spec.rules[%d]", i), "matches", len(r.Matches))
		}
	}
	for _, o := range s.GRPCRoutes {
		for i, r := range o.Spec.Rules {
			l.entry(ref(group, "GRPCRoute", o), fmt.Sprintf("spec.rules[%d]", i), "matches", len(r.Matches))
		}
	}
	for _, o := range s.TLSRoutes {
		l.connections(ref(group, "TLSRoute", o), len(o.Spec.Rules))
	}
	for _, o := range s.TCPRoutes {
		l.connections(ref(group, "TCPRoute", o), len(o.Spec.Rules))
	}
}

// connections adds the rules of a route of connections. They have no matches: what takes a connection is a hostname, or a parent, of the route,
// and of its rules the first.
func (l *lister) connections(object resolve.Ref, rules int) {
	fields := l.fields[object]
	for i := range rules {
		field := fmt.Sprintf("spec.rules[%d]", i)
		l.addAs(object, field, covers(fields, field) || i == 0 && (covers(fields, "spec.hostnames") || covers(fields, "spec.parentRefs")))
	}
}

func (l *lister) ingresses() {
	for _, o := range l.snapshot.Ingresses {
		object := ref("networking.k8s.io", "Ingress", o)
		for i, r := range o.Spec.Rules {
			if r.HTTP != nil {
				l.list(object, fmt.Sprintf("spec.rules[%d].http.paths", i), len(r.HTTP.Paths))
			}
		}
	}
}

func (l *lister) policies() {
	s := l.snapshot
	for _, o := range s.AuthorizationPolicies {
		object := istio("security", "AuthorizationPolicy", o)
		if len(o.Spec.GetRules()) == 0 && o.Spec.GetAction() == security.AuthorizationPolicy_ALLOW {
			l.addAs(object, "spec", slices.Contains(l.fields[object], "spec"))
		}
		l.list(object, "spec.rules", len(o.Spec.GetRules()))
	}
	for _, o := range s.RequestAuthentications {
		l.list(istio("security", "RequestAuthentication", o), "spec.jwtRules", len(o.Spec.GetJwtRules()))
	}
	for _, o := range s.PeerAuthentications {
		object := istio("security", "PeerAuthentication", o)
		if o.Spec.GetMtls().GetMode() != security.PeerAuthentication_MutualTLS_UNSET {
			l.add(object, "spec.mtls.mode")
		}
		ports := o.Spec.GetPortLevelMtls()
		for _, port := range slices.Sorted(maps.Keys(ports)) {
			if ports[port].GetMode() != security.PeerAuthentication_MutualTLS_UNSET {
				l.add(object, fmt.Sprintf("spec.portLevelMtls[%d].mode", port))
			}
		}
	}
}
