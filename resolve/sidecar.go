package resolve

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"istio.io/api/annotation"
	api "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
)

// Rules of the Sidecar resource.
const (
	RuleSidecarSelected     RuleID = "sidecar/selected"
	RuleSidecarRootDefault  RuleID = "sidecar/root-default"
	RuleSidecarNone         RuleID = "sidecar/none"
	RuleSidecarOtherLabels  RuleID = "sidecar/selector-differs"
	RuleSidecarOlderWins    RuleID = "sidecar/older-wins"
	RuleSidecarAnonymous    RuleID = "sidecar/anonymous-source"
	RuleSidecarBadHost      RuleID = "sidecar/bad-egress-host"
	RuleSidecarNotImported  RuleID = "sidecar/service-not-imported"
	RuleSidecarNotExported  RuleID = "service/not-exported"
	RuleSidecarImported     RuleID = "sidecar/service-imported"
	RuleSidecarOtherService RuleID = "service/same-host-other-namespace"
)

var sidecarRules = []Rule{
	{
		ID: RuleSidecarSelected, Stage: StageSidecar,
		Says:     "In the workload's namespace a Sidecar with a workloadSelector that fits comes before one without, older before younger; Sidecars never merge.",
		Template: "scopes what this proxy sees: %s",
		Source:   "pilot/pkg/model/push_context.go, initSidecarScopes, doGetSidecarScope",
	},
	{
		ID: RuleSidecarRootDefault, Stage: StageSidecar,
		Says:     "Without a Sidecar in the namespace, the oldest selector-less Sidecar of the root namespace applies; its \"./\" means the workload's namespace.",
		Template: "the root namespace's default scopes what this proxy sees: %s",
		Source:   "pilot/pkg/model/push_context.go, doGetSidecarScope",
	},
	{
		ID: RuleSidecarNone, Stage: StageSidecar,
		Says:     "Without any Sidecar resource a proxy sees everything that is exported to its namespace.",
		Template: "no Sidecar applies in namespace %s: the proxy sees everything exported to it",
		Source:   "pilot/pkg/model/sidecar.go, DefaultSidecarScopeForNamespace",
		Detail:   true,
	},
	{
		ID: RuleSidecarOtherLabels, Stage: StageSidecar,
		Says:     "A Sidecar whose workloadSelector does not fit the workload's labels is passed over.",
		Template: "its workloadSelector does not fit this workload",
		Source:   "pilot/pkg/model/push_context.go, doGetSidecarScope",
	},
	{
		ID: RuleSidecarOlderWins, Stage: StageSidecar,
		Says:     "Of several Sidecars that would apply, only the first counts: with workloadSelector before without, then the oldest.",
		Template: "%s comes first, and Sidecars never merge",
		Source:   "pilot/pkg/model/push_context.go, initSidecarScopes",
	},
	{
		ID: RuleSidecarAnonymous, Stage: StageSidecar,
		Says:     "The labels of an assumed client are not known, so a Sidecar with a workloadSelector is taken not to apply.",
		Template: "the labels of the assumed client are not known; taken as not selected",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleSidecarBadHost, Stage: StageSidecar,
		Says:     "An egress host that is not of the form namespace/dnsName is ignored.",
		Template: "egress host %q is not of the form namespace/dnsName; istiod ignores it",
		Source:   "pilot/pkg/model/sidecar.go, convertIstioListenerToWrapper",
	},
	{
		ID: RuleSidecarNotImported, Stage: StageSidecar,
		Says:     "A service that no egress host of the Sidecar lists has no virtual host and no listener on that proxy.",
		Template: "%s is not among its egress hosts (%s): this proxy does not know the service",
		Source:   "pilot/pkg/model/sidecar.go, selectServices",
	},
	{
		ID: RuleSidecarImported, Stage: StageSidecar,
		Says:     "An egress host of the Sidecar brings the service in.",
		Template: "imports %s",
		Source:   "pilot/pkg/model/sidecar.go, selectServices",
		Detail:   true,
	},
	{
		ID: RuleSidecarNotExported, Stage: StageSidecar,
		Says:     "A Service or ServiceEntry is known only in the namespaces it is exported to.",
		Template: "%s is not exported to namespace %s",
		Source:   "pilot/pkg/model/push_context.go, initServiceRegistry",
	},
	{
		ID: RuleSidecarOtherService, Stage: StageSidecar,
		Says:     "Of several services with one hostname a sidecar takes the one of its own namespace, then a Kubernetes Service, then the oldest.",
		Template: "%s has the same hostname and comes first for namespace %s",
		Source:   "pilot/pkg/model/sidecar.go, selectServices",
	},
}

// Egress is one egress listener of a scope: what it imports.
// Source: pilot/pkg/model/sidecar.go, IstioEgressListenerWrapper.
type Egress struct {
	// Listener is nil for the default one that imports everything.
	Listener *api.IstioEgressListener
	Ref      Ref
	// VirtualServices bound to the mesh, in the order that decides who owns a host.
	VirtualServices []*VirtualService
	// Services by age.
	Services []*Service

	hosts egressHosts
	// namespace and domain are the proxy's, which short names depend on.
	namespace, domain string
	// bestVirtualService names, for a service host, the one VirtualService that
	// its most specific matching host belongs to.
	bestVirtualService map[string]*VirtualService
}

// Port is the port the egress listener is limited to, 0 for all.
func (e *Egress) Port() int { return int(e.Listener.GetPort().GetNumber()) }

// Scope is what one proxy sees of the mesh: services, VirtualServices and
// DestinationRules, limited by exportTo and the Sidecar resource.
// Source: pilot/pkg/model/sidecar.go, SidecarScope.
type Scope struct {
	Namespace string
	// Gateway scopes ignore Sidecar resources.
	Gateway bool
	// Sidecar is nil where none applies.
	Sidecar *networking.Sidecar
	Ref     Ref
	Egress  []*Egress

	snapshot *Snapshot
	byHost   map[string]*Service
	tables   tableCache
}

// scopeCache holds one scope for each namespace and Sidecar.
type scopeCache struct {
	sync.Mutex
	scopes map[scopeKey]*Scope
}

type scopeKey struct {
	namespace string
	gateway   bool
	sidecar   Ref
}

// Scope returns what the workload's proxy sees, and how the Sidecar was chosen.
//
//  1. Gateways ignore Sidecars.
//  2. In the workload's namespace: Sidecars with a workloadSelector first, then
//     those without, each oldest first; the first one whose labels fit.
//  3. Else the oldest selector-less Sidecar of the root namespace.
//  4. Else everything that is exported to the namespace.
//
// Source: pilot/pkg/model/push_context.go, initSidecarScopes, doGetSidecarScope.
func (s *Snapshot) Scope(w *Workload) (*Scope, []Step) {
	if w.Dataplane == DataplaneGateway {
		return s.scopeOf(w.Namespace, nil, true), nil
	}
	chosen, steps := s.sidecarOf(w)
	return s.scopeOf(w.Namespace, chosen, false), steps
}

func (s *Snapshot) sidecarOf(w *Workload) (*networking.Sidecar, []Step) {
	var steps []Step
	var chosen *networking.Sidecar
	own := s.sidecarsIn(w.Namespace)
	for _, sc := range own {
		ref := refOf("networking.istio.io", "Sidecar", sc)
		selector := sc.Spec.GetWorkloadSelector()
		switch {
		case chosen != nil:
			steps = append(steps, NewStep(RuleSidecarOlderWins, Skipped, ref, chosen.Namespace+"/"+chosen.Name))
		case selector == nil:
			chosen = sc
			steps = append(steps, NewStep(RuleSidecarSelected, Applied, ref, describeSidecar(sc)))
		case w.Anonymous && len(selector.GetLabels()) > 0:
			steps = append(steps, NewStep(RuleSidecarAnonymous, Warned, ref.At("spec.workloadSelector.labels")))
		case Selects(selector.GetLabels(), w.Labels):
			chosen = sc
			steps = append(steps, NewStep(RuleSidecarSelected, Applied, ref, describeSidecar(sc)))
		default:
			key, want, got := firstLabelDifference(selector.GetLabels(), w.Labels)
			steps = append(steps, NewStep(RuleSidecarOtherLabels, Skipped, ref.At("spec.workloadSelector.labels")).
				Unlike(key+"="+want, got))
		}
	}
	if chosen != nil {
		return chosen, append(steps, badEgressHosts(chosen)...)
	}
	if root := s.Mesh.GetRootNamespace(); root != w.Namespace {
		for _, sc := range s.sidecarsIn(root) {
			if sc.Spec.GetWorkloadSelector() == nil {
				ref := refOf("networking.istio.io", "Sidecar", sc)
				steps = append(steps, NewStep(RuleSidecarRootDefault, Applied, ref, describeSidecar(sc)))
				return sc, append(steps, badEgressHosts(sc)...)
			}
		}
	}
	return nil, append(steps, NewStep(RuleSidecarNone, None, Ref{}, w.Namespace))
}

// badEgressHosts names the egress hosts that count for nothing.
func badEgressHosts(sc *networking.Sidecar) []Step {
	var steps []Step
	ref := refOf("networking.istio.io", "Sidecar", sc)
	for i, e := range sc.Spec.GetEgress() {
		_, bad := parseEgressHosts(e.GetHosts(), sc.Namespace)
		for _, h := range bad {
			steps = append(steps, NewStep(RuleSidecarBadHost, Skipped, ref.At(fmt.Sprintf("spec.egress[%d].hosts[%d]", i, slices.Index(e.GetHosts(), h))), h))
		}
	}
	return steps
}

// sidecarsIn returns the namespace's Sidecars in the order in which they are tried.
func (s *Snapshot) sidecarsIn(namespace string) []*networking.Sidecar {
	return s.index.sidecars()[namespace]
}

func indexSidecars(s *Snapshot) map[string][]*networking.Sidecar {
	out := map[string][]*networking.Sidecar{}
	for _, with := range []bool{true, false} {
		for _, sc := range s.Sidecars {
			if (sc.Spec.GetWorkloadSelector() != nil) == with {
				out[sc.Namespace] = append(out[sc.Namespace], sc)
			}
		}
	}
	return out
}

// describeSidecar names what a Sidecar lets through, for the step that chose it.
func describeSidecar(sc *networking.Sidecar) string {
	var hosts []string
	for _, e := range sc.Spec.GetEgress() {
		hosts = append(hosts, e.GetHosts()...)
	}
	text := "egress to everything"
	if len(hosts) > 0 {
		text = "egress to " + joinLimited(hosts, 5)
	}
	if n := len(sc.Spec.GetIngress()); n > 0 {
		text += fmt.Sprintf(", %d ingress listeners of its own", n)
	}
	return text
}

func (s *Snapshot) scopeOf(namespace string, sc *networking.Sidecar, gateway bool) *Scope {
	key := scopeKey{namespace: namespace, gateway: gateway}
	if sc != nil {
		key.sidecar = refOf("networking.istio.io", "Sidecar", sc)
	}
	c := &s.index.scopes
	c.Lock()
	defer c.Unlock()
	if scope := c.scopes[key]; scope != nil {
		return scope
	}
	scope := s.newScope(key, sc)
	if c.scopes == nil {
		c.scopes = map[scopeKey]*Scope{}
	}
	c.scopes[key] = scope
	return scope
}

func (s *Snapshot) newScope(key scopeKey, sc *networking.Sidecar) *Scope {
	scope := &Scope{
		Namespace: key.namespace, Gateway: key.gateway, Sidecar: sc, Ref: key.sidecar,
		snapshot: s, byHost: map[string]*Service{},
	}
	ix := s.index.services()
	if scope.Gateway {
		for _, svc := range ix.exportedTo(key.namespace) {
			scope.addService(svc)
		}
		return scope
	}
	for i, listener := range egressListeners(sc) {
		e := &Egress{Listener: listener, namespace: key.namespace, domain: s.Mesh.Domain}
		if sc != nil && len(sc.Spec.GetEgress()) > 0 {
			e.Ref = key.sidecar.At(fmt.Sprintf("spec.egress[%d]", i))
		}
		e.hosts, _ = parseEgressHosts(listener.GetHosts(), key.namespace)
		for _, vs := range s.meshVirtualServices(key.namespace) {
			if e.hosts.importsVirtualService(vs) {
				e.VirtualServices = append(e.VirtualServices, vs)
			}
		}
		e.Services = selectServices(ix.exportedTo(key.namespace), e, key.namespace)
		e.bestVirtualService = bestVirtualServices(e.VirtualServices, e.Services)
		scope.Egress = append(scope.Egress, e)
	}
	scope.collectImported()
	return scope
}

// egressListeners are the Sidecar's, or the default one that imports everything.
func egressListeners(sc *networking.Sidecar) []*api.IstioEgressListener {
	if sc != nil && len(sc.Spec.GetEgress()) > 0 {
		return sc.Spec.GetEgress()
	}
	return []*api.IstioEgressListener{{Hosts: []string{"*/*"}}}
}

// OutboundPolicy is the Sidecar's outboundTrafficPolicy, or the mesh's where it has none.
// An empty object is REGISTRY_ONLY, the zero value of the enum.
// Source: pilot/pkg/model/sidecar.go, initSidecarScopeInternalIndexes.
func (sc *Scope) OutboundPolicy() (*api.OutboundTrafficPolicy, Ref) {
	if sc.Sidecar != nil && sc.Sidecar.Spec.GetOutboundTrafficPolicy() != nil {
		return sc.Sidecar.Spec.GetOutboundTrafficPolicy(), sc.Ref.At("spec.outboundTrafficPolicy")
	}
	mesh := sc.snapshot.Mesh
	return &api.OutboundTrafficPolicy{Mode: api.OutboundTrafficPolicy_Mode(mesh.GetOutboundTrafficPolicy().GetMode())},
		mesh.Ref.At("outboundTrafficPolicy")
}

// Service returns the service a destination host stands for on this proxy: the
// ones its egress hosts import, and the destinations of the VirtualServices it imports.
func (sc *Scope) Service(hostname string) (*Service, bool) {
	svc, ok := sc.byHost[hostname]
	return svc, ok
}

// ExplainService says why the proxy knows a service on a port or does not: exportTo,
// the egress hosts of the port, or another service with the same hostname.
// Source: pilot/pkg/model/push_context.go, initServiceRegistry; sidecar.go, selectServices.
func (sc *Scope) ExplainService(svc *Service, port int) []Step {
	if sc.Gateway {
		return nil
	}
	if !svc.ExportTo.VisibleIn(sc.Namespace) {
		return []Step{NewStep(RuleSidecarNotExported, Skipped, svc.Ref.At(exportField(svc)), svc.Hostname, sc.Namespace)}
	}
	e := sc.egressFor(port)
	steps := sameHost(svc, e)
	if len(sc.snapshot.Mesh.GetDiscoverySelectors()) > 0 {
		steps = append(steps, NewStep(RuleNamespaceDiscovered, Matched, Ref{Kind: "Namespace", Name: svc.Namespace}, svc.Namespace))
	}
	switch {
	case !e.hosts.importsService(svc):
		return []Step{NewStep(RuleSidecarNotImported, Skipped, e.Ref.At(e.Ref.Field+".hosts"), svc.Hostname, joinLimited(e.Listener.GetHosts(), 5))}
	case !e.Ref.IsZero():
		return append(steps, NewStep(RuleSidecarImported, Matched, e.Ref.At(e.Ref.Field+".hosts"), svc.Hostname))
	}
	return steps
}

// sameHost says which other service stands in a service's place, if one does.
func sameHost(svc *Service, e *Egress) []Step {
	for _, other := range e.Services {
		if other.Hostname == svc.Hostname && other.Namespace != svc.Namespace {
			return []Step{NewStep(RuleSidecarOtherService, Skipped, svc.Ref, other.Ref.Kind+" "+other.Ref.QualifiedName(), e.namespace)}
		}
	}
	return nil
}

func exportField(svc *Service) string {
	if svc.Registry == RegistryKubernetes {
		return "metadata.annotations[" + annotation.NetworkingExportTo.Name + "]"
	}
	return "spec.exportTo"
}

// selectServices returns the services an egress listener imports. Of several
// with one hostname the one in the proxy's own namespace is kept, then a
// Kubernetes Service, then the first.
// Source: pilot/pkg/model/sidecar.go, selectServices, matchingAliasService, serviceMatchingListenerPort.
func selectServices(visible []*Service, e *Egress, namespace string) []*Service {
	type choice struct {
		namespace  string
		kubernetes bool
	}
	best := map[string]choice{}
	var imported []*Service
	for _, svc := range visible {
		if !e.hosts.importsService(svc) {
			continue
		}
		if svc = onListenerPort(svc, e); svc == nil {
			continue
		}
		svc = withImportedAliases(svc, e.hosts)
		imported = append(imported, svc)
		old, seen := best[svc.Hostname]
		now := choice{svc.Namespace, svc.Registry == RegistryKubernetes}
		if !seen || svc.Namespace == namespace || !old.kubernetes && now.kubernetes && old.namespace != namespace {
			best[svc.Hostname] = now
		}
	}
	return slices.DeleteFunc(imported, func(svc *Service) bool { return best[svc.Hostname].namespace != svc.Namespace })
}

// onListenerPort limits a service to the port of an egress listener; nil if it lacks the port.
func onListenerPort(svc *Service, e *Egress) *Service {
	if e.Port() == 0 || ParseProtocol(e.Listener.GetPort().GetProtocol()) == ProtocolHTTPProxy {
		return svc
	}
	port, ok := svc.PortByNumber(e.Port())
	if !ok {
		return nil
	}
	if len(svc.Ports) == 1 {
		return svc
	}
	return withPorts(svc, []Port{port})
}

func withImportedAliases(svc *Service, hosts egressHosts) *Service {
	var kept []*Service
	for _, a := range svc.Aliases {
		if hosts.importsAlias(a, svc.Namespace) {
			kept = append(kept, a)
		}
	}
	if len(kept) == len(svc.Aliases) {
		return svc
	}
	c := *svc
	c.Aliases = kept
	return &c
}

func withPorts(svc *Service, ports []Port) *Service {
	c := *svc
	c.Ports = ports
	return &c
}

// collectImported fills the scope's services by hostname: those the egress hosts
// ask for first, then the destinations of the imported VirtualServices.
// Source: pilot/pkg/model/sidecar.go, collectImportedServices.
func (sc *Scope) collectImported() {
	ix := sc.snapshot.index.services()
	for _, e := range sc.Egress {
		for _, svc := range e.Services {
			sc.addService(svc)
		}
		for _, vs := range e.VirtualServices {
			destinations := destinationsFor(vs.Spec, sc.Namespace)
			for _, host := range slices.Sorted(maps.Keys(destinations)) {
				svc := pickVisible(ix.byHost[host], sc.Namespace)
				if svc == nil {
					continue
				}
				if e.Port() != 0 {
					svc = onListenerPort(svc, e)
				} else {
					svc = onDestinationPorts(svc, destinations[host])
				}
				if svc != nil {
					sc.addService(svc)
				}
			}
		}
	}
}

// pickVisible chooses among the namespaces that have a host: the proxy's own,
// then a Kubernetes Service, then the oldest, as far as they are visible.
// Source: pilot/pkg/model/sidecar.go, pickBestVisibleNamespace.
func pickVisible(byNamespace map[string]*Service, namespace string) *Service {
	if svc := byNamespace[namespace]; svc != nil {
		return svc
	}
	var best *Service
	for _, ns := range slices.Sorted(maps.Keys(byNamespace)) {
		svc := byNamespace[ns]
		if !svc.ExportTo.VisibleIn(namespace) {
			continue
		}
		if svc.Registry == RegistryKubernetes {
			return svc
		}
		if best == nil || svc.Created.Before(best.Created) {
			best = svc
		}
	}
	return best
}

// onDestinationPorts limits a service to the ports that destinations name; 0 stands for all of them.
// Source: pilot/pkg/model/sidecar.go, serviceMatchingVirtualServicePorts.
func onDestinationPorts(svc *Service, ports map[int]bool) *Service {
	if len(ports) == 0 || ports[0] {
		return svc
	}
	var kept []Port
	for _, p := range svc.Ports {
		if ports[p.Number] {
			kept = append(kept, p)
		}
	}
	switch len(kept) {
	case 0:
		return nil
	case len(svc.Ports):
		return svc
	}
	return withPorts(svc, kept)
}

// addService adds a service under its hostname, merging ports where istiod does.
// Source: pilot/pkg/model/sidecar.go, appendSidecarServices, canMergeServices.
func (sc *Scope) addService(svc *Service) {
	old := sc.byHost[svc.Hostname]
	switch {
	case old == nil:
		sc.byHost[svc.Hostname] = svc
	case old == svc || old.Registry == RegistryKubernetes && svc.Registry != RegistryKubernetes:
	case old.Registry != RegistryKubernetes && svc.Registry == RegistryKubernetes:
		sc.byHost[svc.Hostname] = svc
	case canMerge(old, svc):
		ports := slices.Clone(old.Ports)
		for _, p := range svc.Ports {
			if !slices.ContainsFunc(ports, func(q Port) bool { return q.Number == p.Number }) {
				ports = append(ports, p)
			}
		}
		if len(ports) > len(old.Ports) {
			sc.byHost[svc.Hostname] = withPorts(old, ports)
		}
	}
}

func canMerge(a, b *Service) bool {
	return a.Namespace == b.Namespace && a.Resolution == b.Resolution && a.Registry == b.Registry &&
		maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Selector, b.Selector) &&
		a.ExportTo.Public() == b.ExportTo.Public() && slices.Equal(a.ExportTo.Namespaces(), b.ExportTo.Namespaces())
}

// destinationsFor collects the hosts and ports that a VirtualService sends to,
// for a proxy of the namespace; port 0 stands for "no port written". An http
// entry counts unless one of its matches names another sourceNamespace and none names this one.
// Source: pilot/pkg/model/push_context.go, virtualServiceDestinationsFilteredBySourceNamespace.
func destinationsFor(vs *api.VirtualService, namespace string) map[string]map[int]bool {
	out := map[string]map[int]bool{}
	add := func(d *api.Destination) {
		if d == nil {
			return
		}
		if out[d.GetHost()] == nil {
			out[d.GetHost()] = map[int]bool{}
		}
		out[d.GetHost()][int(d.GetPort().GetNumber())] = true
	}
	for _, h := range vs.GetHttp() {
		if !namespaceMatches(h.GetMatch(), namespace) {
			continue
		}
		for _, r := range h.GetRoute() {
			add(r.GetDestination())
		}
		add(h.GetMirror())
		for _, m := range h.GetMirrors() {
			add(m.GetDestination())
		}
	}
	for _, t := range vs.GetTcp() {
		for _, r := range t.GetRoute() {
			add(r.GetDestination())
		}
	}
	for _, t := range vs.GetTls() {
		for _, r := range t.GetRoute() {
			add(r.GetDestination())
		}
	}
	return out
}

func namespaceMatches(matches []*api.HTTPMatchRequest, namespace string) bool {
	matched := true
	for _, m := range matches {
		if m.GetSourceNamespace() == namespace && namespace != "" {
			return true
		}
		if m.GetSourceNamespace() != "" {
			matched = false
		}
	}
	return matched
}

// meshVirtualServices returns the VirtualServices bound to the mesh that proxies
// of the namespace see: private ones of the namespace, then those exported to it
// by name, then the public ones, each oldest first.
// Source: pilot/pkg/model/virtualservice.go, SelectVirtualServices; push_context.go, initVirtualServices.
func (s *Snapshot) meshVirtualServices(namespace string) []*VirtualService {
	var private, exported, public []*VirtualService
	for _, vs := range s.VirtualServices() {
		if !slices.Contains(vs.Gateways, "mesh") {
			continue
		}
		switch {
		case vs.ExportTo.Public():
			public = append(public, vs)
		case !vs.ExportTo.VisibleIn(namespace):
		case vs.Ref.Namespace == namespace:
			private = append(private, vs)
		default:
			exported = append(exported, vs)
		}
	}
	return slices.Concat(private, exported, public)
}

// bestVirtualServices names for each service the one VirtualService whose host
// is the most specific for it; there is no second best.
// Source: pilot/pkg/model/sidecar.go, computeWildcardHostVirtualServiceIndex.
func bestVirtualServices(virtualServices []*VirtualService, services []*Service) map[string]*VirtualService {
	byHost := map[string]*VirtualService{}
	var wildcards []string
	for _, vs := range virtualServices {
		for _, h := range vs.Spec.GetHosts() {
			if byHost[h] != nil {
				continue
			}
			byHost[h] = vs
			if IsWildcardHost(h) {
				wildcards = append(wildcards, h)
			}
		}
	}
	slices.SortFunc(wildcards, CompareHostSpecificity)
	out := map[string]*VirtualService{}
	for _, svc := range services {
		if vs := byHost[svc.Hostname]; vs != nil {
			out[svc.Hostname] = vs
			continue
		}
		for _, w := range wildcards {
			if HostSubsetOf(svc.Hostname, w) {
				out[svc.Hostname] = byHost[w]
				break
			}
		}
	}
	return out
}
