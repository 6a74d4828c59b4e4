package resolve

import (
	"slices"
	"strconv"
	"time"

	networking "istio.io/api/networking/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Routes of the Gateway API become VirtualServices.
//
//  1. Each parentRef is compared with the listeners of its Gateway or ListenerSet (routeattachment.go); Services and
//     ServiceEntries are parents for the mesh, where they exist.
//  2. The rules are converted once for gateways and once for the mesh, where no ReferenceGrant is asked for
//     (kubehttproute.go, kubegrpcroute.go, kubel4route.go). A rule that cannot be converted drops all rules of its side.
//  3. There is one VirtualService for each listener that took the route, or mesh parent, and each hostname. In
//     the mesh the hostname is the Service's, or each of the ServiceEntry's; the route's own do not count.
//  4. A hostname that belongs to a more specific listener of the same Gateway, port and protocol is left out.
//  5. HTTPRoutes and GRPCRoutes with the same listener and hostname are put together and sorted (kuberoutemerge.go).
//
// Source: pilot/pkg/config/kube/gateway/route_collections.go, HTTPRouteCollection and its kin, computeRoute.

// kubeRoute is a route of the Gateway API, whatever its kind.
type kubeRoute struct {
	ref       Ref
	created   time.Time
	parents   []k8sgateway.ParentReference
	hostnames []string
	// generation is that of the object, and status what controllers have written about its parents.
	generation int64
	status     []k8sgateway.RouteParentStatus
	// defaulted is set where it asks for the default Gateways.
	defaulted bool
	// attachments are what came of each parent and listener, in istiod's order.
	attachments []*routeAttachment
	// convert reads the rules for gateways or for the mesh.
	convert func(mesh bool) ruleSet
	// rules are what it gave, by whether it is for the mesh.
	rules map[bool]ruleSet
}

// ruleSet is what the rules of a route become: one of the three lists.
type ruleSet struct {
	http []kubeRule
	tls  []*networking.TLSRoute
	tcp  []*networking.TCPRoute
	// origins are where the entries of tls and tcp were written, and what was not in order in each.
	origins []l4Origin
	// steps tell of backends and rules that are not in order.
	steps []Step
	// refused is why no rule counts.
	refused *Step
	// unresolved is the reason that istiod publishes for what is not in order; empty if all is.
	unresolved string
}

// l4Origin is where the parts of a tls or tcp entry were written, and what tells of its backends.
type l4Origin struct {
	fields writtenAs
	steps  []Step
	// entry is spec.tls[i] or spec.tcp[i] of what istiod makes.
	entry string
}

func (r ruleSet) empty() bool { return len(r.http)+len(r.tls)+len(r.tcp) == 0 }

// kubeRule is one rule with at most one match.
type kubeRule struct {
	http *networking.HTTPRoute
	// ref is spec.rules[i]; match is its matches[j], zero without one.
	ref, match Ref
	// fields and clauses are where the parts of the entry and of the match were written.
	fields, clauses writtenAs
	// steps tell of backends and filters of the rule that are not in order.
	steps []Step
}

// kubeRoutes are all routes, kind by kind in the order in which pilot joins what they become.
func (s *Snapshot) kubeRoutes() []*kubeRoute {
	var out []*kubeRoute
	type converter func(ref Ref, mesh bool) ruleSet
	add := func(kind string, o metav1.Object, spec k8sgateway.CommonRouteSpec, status k8sgateway.RouteStatus, hosts []k8sgateway.Hostname, convert converter) {
		r := &kubeRoute{
			ref: refOf(k8sgateway.GroupName, kind, o), created: o.GetCreationTimestamp().Time,
			parents: spec.ParentRefs, hostnames: hostnames(hosts),
			generation: o.GetGeneration(), status: status.Parents, defaulted: spec.UseDefaultGateways != "",
		}
		r.convert = func(mesh bool) ruleSet { return convert(r.ref, mesh) }
		out = append(out, r)
	}
	for _, o := range s.TCPRoutes {
		add("TCPRoute", o, o.Spec.CommonRouteSpec, o.Status.RouteStatus, nil, func(ref Ref, mesh bool) ruleSet { return s.convertTCPRoute(o, ref, mesh) })
	}
	for _, o := range s.TLSRoutes {
		add("TLSRoute", o, o.Spec.CommonRouteSpec, o.Status.RouteStatus, o.Spec.Hostnames, func(ref Ref, mesh bool) ruleSet { return s.convertTLSRoute(o, ref, mesh) })
	}
	for _, o := range s.HTTPRoutes {
		add("HTTPRoute", o, o.Spec.CommonRouteSpec, o.Status.RouteStatus, o.Spec.Hostnames, func(ref Ref, mesh bool) ruleSet { return s.convertHTTPRoute(o, ref, mesh) })
	}
	for _, o := range s.GRPCRoutes {
		add("GRPCRoute", o, o.Spec.CommonRouteSpec, o.Status.RouteStatus, o.Spec.Hostnames, func(ref Ref, mesh bool) ruleSet { return s.convertGRPCRoute(o, ref, mesh) })
	}
	return out
}

func hostnames(list []k8sgateway.Hostname) []string {
	var out []string
	for _, h := range list {
		out = append(out, string(h))
	}
	return out
}

// hosts are the hostnames of the route; none is "*".
func (r *kubeRoute) hosts() []string {
	if len(r.hostnames) == 0 || r.ref.Kind == "TCPRoute" {
		return []string{"*"}
	}
	return r.hostnames
}

// virtualServices is steps 2 to 4.
func (r *kubeRoute) virtualServices(s *Snapshot) []*keyedVirtualService {
	r.rules = map[bool]ruleSet{}
	for _, a := range r.attachments {
		if mesh := a.mesh(); r.rules[mesh].refused == nil && r.rules[mesh].empty() {
			r.rules[mesh] = r.convert(mesh)
		}
	}
	var out []*keyedVirtualService
	for _, a := range r.accepted() {
		rules := r.rules[a.mesh()]
		if rules.empty() && (r.ref.Kind == "HTTPRoute" || r.ref.Kind == "GRPCRoute") {
			continue
		}
		hosts, key, hostField := r.hosts(), a.gateway, "spec.hostnames"
		if len(r.hostnames) == 0 {
			hostField = r.parentField(a)
		}
		if a.mesh() {
			hosts, hostField = s.meshHosts(a), r.parentField(a)
			key = r.ref.Namespace
			if a.parent.Port != nil {
				key += "/" + strconv.Itoa(int(*a.parent.Port))
			}
		}
		rules = rules.forParent(a, hosts)
		if r.ref.Kind == "TLSRoute" && !a.mesh() && a.listenerHost != "" {
			hosts = intersectHosts(hosts, []string{a.listenerHost})
		}
		for _, h := range hosts {
			if why := a.isolated(h); rules.http != nil && why != "" {
				if a.apart == nil {
					a.apart = map[string]Step{}
				}
				a.apart[h] = NewStep(RuleRouteIsolated, Skipped, r.ref.At(hostField), h, a.listener.ref, why)
				continue
			}
			vs := &VirtualService{
				Ref: r.ref, Semantics: SemanticsGateway, Created: r.created,
				Spec:     &networking.VirtualService{Hosts: []string{h}, Gateways: []string{a.gateway}},
				ExportTo: NewExportTo(nil, r.ref.Namespace, s.Mesh.GetDefaultVirtualServiceExportTo()),
				Gateways: []string{a.gateway},
				written: writtenAs{
					"spec.hosts": r.ref.At(hostField), "spec.gateways": r.ref.At(r.parentField(a)),
					"spec.http": r.ref.At("spec.rules"), "spec.tls": r.ref.At("spec.rules"), "spec.tcp": r.ref.At("spec.rules"),
				},
			}
			kind := map[string]string{"TCPRoute": "~tcp~", "TLSRoute": "~tls~"}[r.ref.Kind]
			if kind == "" {
				kind = "~"
			}
			vs.name = r.ref.Name + kind + strconv.Itoa(len(out)) + "~" + kubeGatewayInfix
			vs.addRules(rules, h, a.mesh())
			for i := range rules.tcp {
				vs.written[pathIndex("spec.tcp", i)+".match"] = r.ref.At(r.parentField(a)) // which has the port
			}
			out = append(out, &keyedVirtualService{vs, key + "/" + h, rules.http})
		}
	}
	return out
}

// addRules fills the entries of a VirtualService that is not merged with others.
func (vs *VirtualService) addRules(rules ruleSet, host string, mesh bool) {
	vs.Spec.Tcp, vs.Spec.Tls = rules.tcp, rules.tls
	if mesh && rules.tls != nil {
		vs.Spec.Tls = tlsRoutesForHost(rules.tls, host)
	}
	vs.l4 = map[Ref]l4Origin{}
	for i, o := range rules.origins {
		o.entry = pathIndex("spec.tcp", i)
		if rules.tls != nil {
			o.entry = pathIndex("spec.tls", i)
		}
		for field, ref := range o.fields {
			vs.written[o.entry+field] = ref
		}
		vs.l4[vs.At(o.entry)] = o
	}
}

// parentField is the parentRef of an attachment.
func (r *kubeRoute) parentField(a *routeAttachment) string {
	return pathIndex("spec.parentRefs", a.index)
}

// meshHosts are the hosts of a mesh parent.
func (s *Snapshot) meshHosts(a *routeAttachment) []string {
	if a.target.Kind == "ServiceEntry" {
		if entry, found := objectNamed(s.ServiceEntries, a.target.Namespace, a.target.Name); found {
			return entry.Spec.GetHosts()
		}
		return nil
	}
	return []string{a.target.Name + "." + a.target.Namespace + ".svc." + s.Mesh.Domain}
}

// forParent limits the rules to the port of a mesh parent, and the server names to those of the parent.
// Source: pilot/pkg/config/kube/gateway/conversion.go, augmentPortMatch, augmentTCPPortMatch,
// augmentTLSPortMatch, constrainTLSRoutesToListenerHost.
func (r ruleSet) forParent(a *routeAttachment, hosts []string) ruleSet {
	port := uint32(0)
	if a.mesh() && a.parent.Port != nil {
		port = uint32(*a.parent.Port)
	}
	out := r
	if port != 0 {
		out.http = nil
		for _, rule := range r.http {
			rule.http = rule.http.DeepCopy()
			for _, m := range rule.http.Match {
				m.Port = port
			}
			if len(rule.http.Match) == 0 {
				rule.http.Match = []*networking.HTTPMatchRequest{{Port: port}}
			}
			out.http = append(out.http, rule)
		}
		out.tcp = nil
		for _, route := range r.tcp {
			route = route.DeepCopy()
			for _, m := range route.Match {
				m.Port = port
			}
			if len(route.Match) == 0 {
				route.Match = []*networking.L4MatchAttributes{{Port: port}}
			}
			out.tcp = append(out.tcp, route)
		}
	}
	if len(r.tls) > 0 {
		out.tls, out.origins = nil, nil
		for i, route := range r.tls {
			route = route.DeepCopy()
			if !a.constrain(route, port, hosts) {
				continue
			}
			out.tls, out.origins = append(out.tls, route), append(out.origins, r.origins[i])
		}
	}
	return out
}

// constrain adapts a tls route to its parent; it reports whether anything is left.
func (a *routeAttachment) constrain(route *networking.TLSRoute, port uint32, hosts []string) bool {
	if a.mesh() {
		if len(route.Match) == 1 && slices.Equal(route.Match[0].SniHosts, []string{"*"}) {
			route.Match[0].SniHosts = hosts
		}
		for _, m := range route.Match {
			m.Port = port
		}
		return true
	}
	if a.listenerHost == "" {
		return true
	}
	left := len(route.Match) == 0
	for _, m := range route.Match {
		m.SniHosts = intersectHosts(m.SniHosts, []string{a.listenerHost})
		left = left || len(m.SniHosts) > 0
	}
	return left
}

// tlsRoutesForHost keeps of several server names those that overlap the host.
// Source: pilot/pkg/config/kube/gateway/conversion.go, compatibleRoutesForHost.
func tlsRoutesForHost(routes []*networking.TLSRoute, host string) []*networking.TLSRoute {
	var out []*networking.TLSRoute
	for _, r := range routes {
		if len(r.Match) == 1 && len(r.Match[0].SniHosts) > 1 {
			r = r.DeepCopy()
			r.Match[0].SniHosts = slices.DeleteFunc(r.Match[0].SniHosts, func(h string) bool { return !HostMatches(host, h) })
		}
		out = append(out, r)
	}
	return out
}
