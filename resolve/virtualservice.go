package resolve

import (
	"fmt"
	"slices"
	"strings"
	"time"

	networking "istio.io/api/networking/v1alpha3"
	apinetworking "istio.io/client-go/pkg/apis/networking/v1"
)

// MeshGateway is the reserved gateway name that stands for all sidecars.
const MeshGateway = "mesh"

// RouteSemantics tells the VirtualServices that istiod makes by itself from
// those that users write.
type RouteSemantics string

// The closed list of semantics.
const (
	// SemanticsVirtualService is a VirtualService as written: a uri prefix is a plain string.
	SemanticsVirtualService RouteSemantics = ""
	// SemanticsIngress is made of an Ingress: a uri prefix ends at a path segment.
	SemanticsIngress RouteSemantics = "ingress"
	// SemanticsGateway is made of a Gateway API route: the same, and a rewrite to "/" removes the prefix.
	SemanticsGateway RouteSemantics = "gateway"
)

// VirtualService is a VirtualService as istiod holds it before it generates
// routes: short names expanded, delegates merged in.
// Source: pilot/pkg/model/virtualservice_controller.go, virtualservice.go.
type VirtualService struct {
	// Ref is the resource the user wrote: the oldest route where several were put together.
	Ref Ref
	// Semantics is how its routes are read.
	Semantics RouteSemantics
	Created   time.Time
	Spec      *networking.VirtualService
	// HTTPRefs holds, for every entry of Spec.Http, where it was written: this
	// resource's spec.http[i], or the delegate's.
	HTTPRefs []Ref
	// Roots holds, for entries that a delegate brought, the root's spec.http[i]; zero otherwise.
	Roots    []Ref
	ExportTo ExportTo
	// Gateways are the top-level gateways as namespace/name; "mesh" for sidecars.
	Gateways []string
	// Steps tell what preparing it dropped or changed (a delegate that is missing, a conflict).
	Steps []Step
	// origins tells, for every entry of Spec.Http, which parts a delegate's root
	// brought; empty where nothing was merged.
	origins []entryOrigin
	// l4 tells the same of the entries of Spec.Tls and Spec.Tcp of a Gateway API route, by where each was written.
	l4 map[Ref]l4Origin
	// name is the internal one, which decides about order.
	name string
	// written is where the fields were written, if istiod made it of another resource.
	written writtenAs
}

// ageless reports whether istiod gives it no creation time, as it does what it makes of an Ingress.
func (vs *VirtualService) ageless() bool { return vs.Semantics == SemanticsIngress }

// Route is one route of an Envoy virtual host, and where it was written.
// Source: pilot/pkg/networking/core/route/route.go, TranslateRoute.
type Route struct {
	// Name is the route name Envoy shows.
	Name string
	// Ref is spec.http[i].match[j], or spec.http[i] where the entry has no match.
	Ref Ref
	// Entry is spec.http[i].
	Entry Ref
	// Match is nil for an entry without match.
	Match *networking.HTTPMatchRequest
	// HTTP holds the actions; nil for the default route to a service.
	HTTP *networking.HTTPRoute
	// Default is set for the route istiod makes to a service without VirtualService.
	Default *Service
	// DefaultPort is the port of Default.
	DefaultPort int
	// ListenPort is the port the route was made for: the service port on a
	// sidecar, server.port.number of the first server on a gateway.
	ListenPort int
	// Server is the gateway's server of that port; zero on a sidecar.
	Server Ref
	// CatchAll is Istio's notion (IsCatchAllRoute), which decides about order.
	CatchAll bool
	// VirtualService is nil for a default route.
	VirtualService *VirtualService
	// origin tells which parts of HTTP and Match a delegate's root brought.
	origin entryOrigin
	match  matchOrigin
	// patches is what patches add to it; nil without any.
	patches *routePatches
}

// Miss is the first clause of a match that the request does not fulfil, or, if
// the answer is Unknown, the first that can not be decided.
type Miss struct {
	// Field is relative to the match: "uri", "headers[end-user]", "queryParams[x]".
	Field            string
	Expected, Actual string
	// Rule is the rule of Istio or Envoy that the clause follows.
	Rule RuleID
	// Doubt says why the clause can not be decided; empty for a plain miss.
	Doubt string
	// subject and want are Expected in two parts, as the rule's reason needs them.
	subject, want string
}

// VirtualHost is one virtual host of an Envoy route configuration.
type VirtualHost struct {
	// Name is as Envoy shows it: host:port.
	Name    string
	Domains []string
	Routes  []*Route
	// Service is set on sidecars where the host is a service.
	Service *Service
	// RequireTLS is set where a gateway server with httpsRedirect marked the virtual host; the Ref is that server's.
	RequireTLS Ref
	// Steps tell which VirtualServices were considered for the host and why each other one was not used.
	Steps []Step
	// Unnamed is set for the one that takes the hosts of no service.
	Unnamed bool
	// written are the routes in the order in which they were collected, where some were moved.
	written []*Route
	// patches is what patches add to all of its routes; nil without any.
	patches *routePatches
}

// RuleVirtualServiceLegacyGateway reads a dotted gateway name.
const RuleVirtualServiceLegacyGateway RuleID = "virtualservice/legacy-gateway-name"

var virtualServiceRules = []Rule{
	{
		ID:       RuleVirtualServiceLegacyGateway,
		Stage:    StageGateway,
		Says:     "A gateway name with a dot and no slash is read as NAME.NAMESPACE, whatever follows.",
		Template: "gateway %q is read as %s",
		Source:   "pilot/pkg/model/config.go, resolveGatewayName",
		Detail:   true,
	},
}

// VirtualServices returns every VirtualService that istiod routes by, oldest
// first: short names expanded, hosts in lower case, delegates merged in.
// Delegates themselves are not in the list.
func (s *Snapshot) VirtualServices() []*VirtualService { return s.index.virtualServices() }

// prepareVirtualServices makes of the resources what istiod keeps:
//
// 1. A VirtualService without hosts is a delegate: it is never used by itself.
// 2. Short names in hosts, destinations and mirrors get the VirtualService's
// namespace, gateway names become namespace/name; "mesh" stays as it is.
// 3. No exportTo means the mesh's defaultVirtualServiceExportTo.
// 4. Entries that delegate are replaced by the delegate's (delegate.go).
// 5. Without gateways it is bound to "mesh".
// 6. What istiod makes of routes of the Gateway API and of Ingresses is among them.
//
// Source: pilot/pkg/model/virtualservice_controller.go, mergeVirtualServices;
// pilot/pkg/model/push_context.go, initVirtualServices, getGatewayNames.
func prepareVirtualServices(s *Snapshot) []*VirtualService {
	var out []*VirtualService
	delegates := newDelegates(s)
	for _, o := range s.RawVirtualServices {
		if len(o.Spec.GetHosts()) == 0 {
			continue
		}
		vs := &VirtualService{
			Ref:       refOf("networking.istio.io", "VirtualService", o),
			name:      o.GetName(),
			Created:   o.GetCreationTimestamp().Time,
			Spec:      o.Spec.DeepCopy(),
			Semantics: semanticsOf(o),
			ExportTo:  NewExportTo(o.Spec.GetExportTo(), o.GetNamespace(), s.Mesh.GetDefaultVirtualServiceExportTo()),
		}
		if vs.Semantics != SemanticsGateway {
			vs.Steps = append(vs.Steps, expandShortNames(vs.Spec, vs.Ref, s.Mesh.Domain)...)
		}
		if vs.Semantics == SemanticsVirtualService {
			delegates.merge(vs)
		}
		for i := len(vs.HTTPRefs); i < len(vs.Spec.Http); i++ {
			vs.HTTPRefs = append(vs.HTTPRefs, vs.At(fmt.Sprintf("spec.http[%d]", i)))
			vs.Roots = append(vs.Roots, Ref{})
		}
		vs.Gateways = slices.Clone(vs.Spec.Gateways)
		if len(vs.Gateways) == 0 {
			vs.Gateways = []string{MeshGateway}
		}
		out = append(out, vs)
	}
	if made := slices.Concat(s.index.kube().virtualServices, s.index.ingresses().virtualServices); len(made) > 0 {
		out = append(out, made...)
		slices.SortStableFunc(out, compareVirtualServices)
	}
	return out
}

// semanticsOf reads the annotation by which istiod marks what it made itself.
func semanticsOf(o *apinetworking.VirtualService) RouteSemantics {
	switch RouteSemantics(o.GetAnnotations()["internal.istio.io/route-semantics"]) {
	case SemanticsIngress:
		return SemanticsIngress
	case SemanticsGateway:
		return SemanticsGateway
	case SemanticsVirtualService:
	}
	return SemanticsVirtualService
}

// expandShortNames expands in place every name that istiod expands.
// Source: pilot/pkg/model/virtualservice.go, ResolveVirtualServiceShortnames.
func expandShortNames(spec *networking.VirtualService, ref Ref, domain string) []Step {
	var steps []Step
	host := func(d *networking.Destination) {
		if d != nil {
			d.Host = ExpandHost(d.Host, ref.Namespace, domain)
		}
	}
	gateways := func(names []string, field string) {
		for i, name := range names {
			full, legacy := expandGatewayName(name, ref.Namespace)
			if legacy {
				at := ref.At(fmt.Sprintf("%s[%d]", field, i))
				steps = append(steps, NewStep(RuleVirtualServiceLegacyGateway, Applied, at, name, full))
			}
			names[i] = full
		}
	}
	for i, h := range spec.GetHosts() {
		spec.Hosts[i] = ExpandHost(h, ref.Namespace, domain)
	}
	gateways(spec.GetGateways(), "spec.gateways")
	for i, r := range spec.GetHttp() {
		for j, m := range r.GetMatch() {
			gateways(m.GetGateways(), fmt.Sprintf("spec.http[%d].match[%d].gateways", i, j))
		}
		for _, d := range r.GetRoute() {
			host(d.GetDestination())
		}
		host(r.GetMirror())
		for _, m := range r.GetMirrors() {
			host(m.GetDestination())
		}
	}
	for i, r := range spec.GetTcp() {
		for j, m := range r.GetMatch() {
			gateways(m.GetGateways(), fmt.Sprintf("spec.tcp[%d].match[%d].gateways", i, j))
		}
		for _, d := range r.GetRoute() {
			host(d.GetDestination())
		}
	}
	for i, r := range spec.GetTls() {
		for j, m := range r.GetMatch() {
			gateways(m.GetGateways(), fmt.Sprintf("spec.tls[%d].match[%d].gateways", i, j))
		}
		for _, d := range r.GetRoute() {
			host(d.GetDestination())
		}
	}
	return steps
}

// expandGatewayName returns a gateway's name as namespace/name, and whether it
// was written in the legacy dotted form.
//
//	mesh               mesh
//	gw                 <namespace>/gw
//	./gw               <namespace>/gw
//	other/gw           other/gw
//	gw.other           other/gw (legacy)
//	gw.other.svc.x.y   other/gw (legacy)
//
// Source: pilot/pkg/model/config.go, resolveGatewayName.
func expandGatewayName(name, namespace string) (full string, legacy bool) {
	if name == MeshGateway {
		return name, false
	}
	if ns, rest, ok := strings.Cut(name, "/"); ok {
		if ns == "." {
			return namespace + "/" + rest, false
		}
		return name, false
	}
	short, rest, ok := strings.Cut(name, ".")
	if !ok {
		return namespace + "/" + name, false
	}
	ns, _, _ := strings.Cut(rest, ".")
	return ns + "/" + short, true
}
