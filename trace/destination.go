package trace

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// target is a destination as a route names it.
type target struct {
	host   string
	port   int
	subset string
	// named is the service by which istiod finds the port that is not written, where that is not the proxy's own.
	named *resolve.Service
	// ref is the destination's field, spec.http[0].route[0].destination.
	ref resolve.Ref
	// made is set where istiod made the destination of a backend of a Gateway API route or an Ingress; backend
	// for the former, with why it cannot be used, if that is known.
	made    bool
	backend bool
	// chain is the cluster that a waypoint's filter chain names itself; empty elsewhere.
	chain   string
	invalid resolve.Step
}

// at is a field of the destination as its route writes it.
func (t target) at(field string) resolve.Ref {
	if t.made && field == "host" {
		field = "name"
	}
	return t.ref.At(t.ref.Field + "." + field)
}

// toHost finds the cluster of a destination.
//
//  1. A port that is not written is the service's only one on a gateway and in tls and
//     tcp routes, and the listener's in http routes of a sidecar (whose table holds
//     the services of that port only).
//  2. An ExternalName stands for its target, but at a waypoint, which has no cluster for it.
//  3. The cluster must exist for this proxy: host known, port there, subset defined.
//
// Source: pilot/pkg/networking/core/route/route.go, GetDestinationCluster.
func (w *walk) toHost(p *path, r *router, t target) {
	svc, known := r.scope.Service(t.host)
	inferred := t.port == 0
	if inferred {
		t.port = inferPort(p, r, cmp.Or(t.named, svc))
		if t.named != nil && t.named != svc {
			p.note(resolve.NewStep(resolve.RuleGatewayRouteNamedPort, resolve.Applied, t.named.Ref, t.host, t.port))
		}
	}
	if known && svc.Resolution == resolve.Alias && !r.waypoint {
		if _, declared := svc.PortByNumber(r.port); declared || seesAllPorts(p, r) {
			t.host = svc.ExternalName
			svc, known = r.scope.Service(t.host)
		}
	}
	name := w.clusterName(r, svc, t)
	p.hop().Envoy.Cluster = name
	p.dest = Destination{Host: t.host, Port: t.port, Subset: t.subset, EnvoyCluster: name}
	if step, hidden := w.notExported(r, t.host); !known && hidden {
		p.note(step)
		w.unavailableBy(p, CodeNoEndpoints, "UH", "no_healthy_upstream", step, step.Ref)
		return
	}
	if !known {
		w.unnamed(p, resolve.StageRoute, t.host, r.workload)
		p.note(w.snapshot.HiddenServices(resolve.StageRoute, t.host)...)
		w.noCluster(p, t, CodeHostUnknown, w.whyUnknown(r, t), t.at("host"))
		return
	}
	port, ok := svc.PortByNumber(t.port)
	if !ok {
		by, hint := t.at("port"), ""
		if inferred {
			by, hint = t.ref, "; the destination names no port, so that of the listener is taken"
		}
		if inferred && t.named != nil && t.named != svc {
			hint = "; the destination names no port, so that of " + t.named.Ref.Object().String() + ", in the VirtualService's own namespace, is taken"
		}
		step := resolve.NewStep(resolve.RuleDestinationPort, resolve.None, svc.Ref.At("spec.ports"), svc.Ref.Kind+" "+svc.Ref.QualifiedName(), t.port, listPorts(svc), hint)
		w.noCluster(p, t, CodePortUnknown, step, by)
		return
	}
	w.toCluster(p, r, svc, port, t)
}

// clusterName is the name of the cluster that a route's destination stands for.
func (w *walk) clusterName(r *router, svc *resolve.Service, t target) string {
	switch {
	case t.chain != "":
		return t.chain
	case r.waypoint:
		return w.snapshot.WaypointClusterName(r.workload, svc, t.port, t.subset, t.host)
	}
	return resolve.ClusterName(t.port, t.subset, t.host)
}

// notExported tells of a service that is bound to a waypoint of a namespace which does not see it.
func (w *walk) notExported(r *router, host string) (resolve.Step, bool) {
	if !r.waypoint {
		return resolve.Step{}, false
	}
	return w.snapshot.OwnNotExported(r.workload, host)
}

func inferPort(p *path, r *router, svc *resolve.Service) int {
	if svc != nil && len(svc.Ports) == 1 && seesAllPorts(p, r) {
		return svc.Ports[0].Number
	}
	return r.port
}

// seesAllPorts reports whether a route's destination is looked up among all
// services: on a gateway, on a listener of HTTP_PROXY, and for tcp and tls routes.
// Source: pilot/pkg/networking/core/networkfilter.go, buildOutboundNetworkFiltersWithSingleDestination.
func seesAllPorts(p *path, r *router) bool { return r.gateway || p.stream || r.allPorts }

// toCluster applies DestinationRule and subset and picks endpoints.
func (w *walk) toCluster(p *path, r *router, svc *resolve.Service, port resolve.Port, t target) {
	cluster, steps := w.snapshot.Cluster(r.workload, svc, port, t.subset)
	p.note(steps...)
	if cluster == nil {
		code := CodeNoCluster
		if decisive(steps).Rule == resolve.RuleClusterRejected {
			p.lower(Undetermined)
		}
		if t.subset != "" {
			code = CodeSubsetUndefined
		}
		w.clusterMissing(p, t, code, decisive(steps), w.subsetRef(t))
		return
	}
	if step, removed := w.patchedCluster(p, cluster.Name); removed {
		p.note(step)
		w.clusterMissing(p, t, CodeNoCluster, step, step.Ref)
		return
	}
	p.hop().met.cluster = cluster
	if cluster.Type == resolve.ClusterDynamicDNS {
		w.toOwnHost(p, r, cluster)
		return
	}
	keepsAddress := cluster.Type == resolve.ClusterOriginalDst && !r.gateway
	if step, ignored := cluster.IgnoredTLS(); ignored {
		p.note(step)
	}
	if keepsAddress && r.socket {
		w.noOriginal(p, svc.Ref)
		return
	}
	if !r.waypoint && w.ingressToWaypoint(p, r, cluster) {
		return
	}
	w.asked.balances(w.snapshot, cluster)
	endpoints, steps := w.snapshot.Endpoints(r.workload, svc, port)
	if keepsAddress && (r.waypoint || svc.Resolution != resolve.Passthrough || dialsOther(r.dialled, svc, endpoints)) {
		w.toDialled(p, r, cluster, endpoints)
		return
	}
	p.noteNetworks(steps)
	if !keepsAddress {
		p.note(w.snapshot.ElsewhereToo(svc)...)
	}
	if keepsAddress {
		endpoints = othersOnly(w.whereDialled(endpoints, svc, r.dialled), r.workload, r.dialled)
	}
	if keepsAddress && len(endpoints) == 0 {
		w.nothingDialled(p, r, svc, steps)
		return
	}
	if len(endpoints) == 0 {
		w.unavailableBy(p, CodeNoEndpoints, "UH", "no_healthy_upstream", decisive(steps), svc.Ref)
		return
	}
	w.toEndpoints(p, r, cluster, endpoints)
}

// toEndpoints picks those of a cluster's subset that the proxy reaches and that take their share, and connects to them.
func (w *walk) toEndpoints(p *path, r *router, cluster *resolve.Cluster, endpoints []*resolve.Endpoint) {
	svc := cluster.Service
	inSubset, steps := w.snapshot.SubsetEndpoints(cluster, endpoints)
	p.note(steps...)
	if len(inSubset) == 0 {
		p.note(resolve.Behind(svc, endpoints)...)
		w.unavailableBy(p, CodeSubsetEmpty, "UH", "no_healthy_upstream", decisive(steps), cluster.SubsetRef)
		return
	}
	reached, steps := w.snapshot.AcrossNetworks(r.workload, cluster, inSubset)
	p.noteNetworks(steps)
	if len(reached) == 0 {
		p.note(resolve.Behind(svc, inSubset)...)
		w.unavailableBy(p, CodeNetworkUnreachable, "UH", "no_healthy_upstream", decisive(steps), svc.Ref)
		return
	}
	healthy, steps := w.snapshot.Balance(r.workload, cluster, reached)
	p.note(steps...)
	if len(healthy) == 0 {
		p.note(resolve.Behind(svc, inSubset)...)
		w.unavailableBy(p, CodeNoneHealthy, "UH", "no_healthy_upstream", decisive(steps), svc.Ref)
		return
	}
	for _, g := range w.groupEndpoints(healthy) {
		branch := p.branch(g.part)
		branch.dest.TargetPort = g.first.Port
		tls := branch.named(w.snapshot.ClientTLSFor(r.workload, cluster, g.first))
		branch.note(tls.Step)
		certificates := w.snapshot.ClientCertificates(r.workload, cluster, tls)
		if !certificates.Given {
			branch.note(resolve.Behind(svc, healthy)...)
		}
		if w.originates(branch, certificates) {
			w.arrive(branch, g, tls)
		}
	}
}

// named is TLS with the server name that a proxy takes from the Host header where the DestinationRule gives none.
// Source: pilot/pkg/networking/core/cluster_tls.go, setAutoSniAndAutoSanValidation; Envoy, UpstreamHttpProtocolOptions,
// auto_sni: the host after a rewrite, unless it is an address.
func (p *path) named(tls resolve.ClientTLS) resolve.ClientTLS {
	if tls.SNI != "" || !originates(tls) || p.stream || p.http == nil {
		return tls
	}
	if host := p.http.Hostname(); !isAddress(host) {
		tls.SNI = host
	}
	return tls
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// whereDialled are the endpoints that the application dialled: those that the name of a headless Service
// has, or the one with the address; all of them where it dialled something else. A ServiceEntry has none
// of its own: where the address is one of the cluster's, whoever has it is meant.
func (w *walk) whereDialled(endpoints []*resolve.Endpoint, svc *resolve.Service, d resolve.Dialled) []*resolve.Endpoint {
	if d.Headless {
		return w.snapshot.Meant(d)
	}
	if svc.Registry != resolve.RegistryKubernetes {
		if ip := d.Address.Prefix.Addr(); len(endpoints) == 1 && d.Address.Prefix.IsSingleIP() && w.taken(ip) {
			there := *endpoints[0]
			there.Address = ip.String()
			return []*resolve.Endpoint{&there}
		}
		return endpoints
	}
	if d.Service != nil || !d.Address.Prefix.IsValid() {
		return endpoints
	}
	for _, e := range endpoints {
		if e.Address == d.Address.String() {
			there := *e
			there.Health, there.Port = resolve.Healthy, d.Port // no one asks whether it is, nor for another port
			return []*resolve.Endpoint{&there}
		}
	}
	return endpoints
}

// othersOnly leaves the client's own pod out of those of a headless Service: a pod that dials itself never comes here.
func othersOnly(endpoints []*resolve.Endpoint, client *resolve.Workload, d resolve.Dialled) []*resolve.Endpoint {
	if !d.Headless || client == nil || d.Pods != nil {
		return endpoints
	}
	var out []*resolve.Endpoint
	for _, e := range endpoints {
		switch {
		case e.Workload == nil || !e.Workload.SamePod(client):
			out = append(out, e)
		case e.Count > 1: // pods of one template
			others := *e
			others.Count--
			out = append(out, &others)
		}
	}
	return out
}

// nothingDialled is a connection to where the application dialled, with no endpoint of the service
// there: an address outside, or one that has nothing behind it.
func (w *walk) nothingDialled(p *path, r *router, svc *resolve.Service, steps []resolve.Step) {
	if r.dialled.Service == nil {
		w.dial(p, r.dialled, w.request.Host)
		return
	}
	o := w.refused(p, CodeNoEndpoints)
	o.Decision, o.Reason, o.By = Unavailable, decisive(steps).Reason(), svc.Ref
	w.end(p, o)
}

// noCluster is a destination without a cluster. The step is about the service, by is the route's field.
func (w *walk) noCluster(p *path, t target, code Code, step resolve.Step, by resolve.Ref) {
	if t.invalid.Rule != "" {
		step, by = t.invalid, t.ref // the route's conversion has said it
	} else {
		p.note(step)
	}
	w.clusterMissing(p, t, code, step, by)
}

// clusterMissing is 503 NC, 500 for a backendRef of the Gateway API, or a closed connection for TCP.
// Source: pilot/pkg/networking/core/route/route.go, applyHTTPRouteDestination.
func (w *walk) clusterMissing(p *path, t target, code Code, step resolve.Step, by resolve.Ref) {
	if t.backend && !p.stream {
		w.end(p, Outcome{
			Decision: Responded, HTTPStatus: 500, ResponseFlags: "NC", ResponseCodeDetails: "cluster_not_found",
			Code: CodeBackendInvalid, Reason: step.Reason(), By: by,
		})
		return
	}
	w.unavailableBy(p, code, "NC", "cluster_not_found", step, by)
}

// unavailableBy is an unavailable destination for a reason that is noted already.
func (w *walk) unavailableBy(p *path, code Code, flag, details string, why resolve.Step, by resolve.Ref) {
	w.end(p, p.failed(Outcome{Decision: Unavailable, Code: code, Reason: why.Reason(), By: by}, flag, details))
}

// decisive is the step that tells why nothing is left: the last one that says none applies, else the last.
func decisive(steps []resolve.Step) resolve.Step {
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i].Verdict == resolve.None {
			return steps[i]
		}
	}
	if len(steps) == 0 {
		return resolve.Step{}
	}
	return steps[len(steps)-1]
}

func (w *walk) subsetRef(t target) resolve.Ref {
	if t.subset == "" {
		return t.ref
	}
	return t.at("subset")
}

// whyUnknown says why a destination host is no service on this proxy, with the service that could have been meant.
func (w *walk) whyUnknown(r *router, t target) resolve.Step {
	candidates := w.snapshot.ServicesForHost(t.host)
	for _, svc := range candidates {
		if step, capped := w.snapshot.CappedFor(svc, r.workload.Namespace, resolve.None); capped {
			step.Ref = svc.Ref
			return step
		}
		if !svc.ExportTo.VisibleIn(r.workload.Namespace) {
			return resolve.NewStep(resolve.RuleDestinationNotExported, resolve.None, svc.Ref, t.host, svc.Ref.Kind, svc.Ref.QualifiedName(), r.workload.Namespace)
		}
	}
	if len(candidates) > 0 && !r.scope.Ref.IsZero() {
		return resolve.NewStep(resolve.RuleDestinationNotImported, resolve.None, r.scope.Ref, t.host, r.scope.Ref.QualifiedName())
	}
	if full := t.host + ".svc." + w.snapshot.Mesh.Domain; strings.Contains(t.host, ".") {
		if meant := w.snapshot.ServicesForHost(full); len(meant) > 0 {
			return resolve.NewStep(resolve.RuleDestinationUnknown, resolve.None, meant[0].Ref, t.host,
				"; a name with a dot is taken as fully qualified, and the "+meant[0].Ref.Kind+" is "+full)
		}
	}
	ref, hint := t.at("host"), ""
	name, _, _ := strings.Cut(t.host, ".")
	var found []string
	for _, svc := range w.snapshot.KubeServices {
		if svc.Name == name && name != "" {
			found = append(found, svc.Namespace+"/"+svc.Name)
			ref = resolve.Ref{Kind: "Service", Namespace: svc.Namespace, Name: svc.Name}
		}
	}
	if len(found) > 0 {
		slices.Sort(found)
		hint = "; there is Service " + strings.Join(found, ", ")
	}
	return resolve.NewStep(resolve.RuleDestinationUnknown, resolve.None, ref, t.host, hint)
}

func listPorts(svc *resolve.Service) string {
	var ports []string
	for _, p := range svc.Ports {
		ports = append(ports, fmt.Sprint(p.Number))
	}
	if len(ports) == 0 {
		return "none"
	}
	return strings.Join(ports, ", ")
}

// group is a set of endpoints that nothing on the way tells apart.
type group struct {
	first *resolve.Endpoint
	// key is what the endpoints have in common; groups are ordered by it.
	key   string
	count int
	// weight is the sum of the endpoints', and part the group's share of the load, 0 to 1.
	weight, part float64
}

// likeness is what the endpoints of a group have in common.
type likeness struct {
	address, who, labels, tlsMode string
	port                          int
}

func (l likeness) String() string {
	return l.address + l.who + "|" + strconv.Itoa(l.port) + "|" + l.tlsMode + l.labels
}

// groupEndpoints puts together the endpoints of one owner with the same labels,
// identity, port, TLS mode and data plane: whatever happens to one happens to all.
func (w *walk) groupEndpoints(endpoints []*resolve.Endpoint) []*group {
	if len(endpoints) == 1 {
		return []*group{{first: endpoints[0], key: w.likeness(endpoints[0]).String(), count: max(endpoints[0].Count, 1), part: 1}}
	}
	var groups []*group
	alike := map[likeness]*group{}
	total := 0.0
	for _, e := range endpoints {
		l := w.likeness(e)
		g := alike[l]
		if g == nil {
			g = &group{first: e, key: l.String()}
			alike[l] = g
			groups = append(groups, g)
		}
		g.count += max(e.Count, 1)
		weight := float64(max(e.Weight, 1) * max(e.Count, 1))
		g.weight += weight
		total += weight
	}
	for _, g := range groups {
		g.part = g.weight / total
	}
	slices.SortStableFunc(groups, func(a, b *group) int { return strings.Compare(a.key, b.key) })
	return groups
}

func (w *walk) likeness(e *resolve.Endpoint) likeness {
	l := likeness{port: e.Port, tlsMode: e.TLSMode}
	if e.Workload == nil {
		l.address = e.Address
	} else {
		l.who, l.labels = w.snapshot.Likeness(e.Workload)
	}
	return l
}
