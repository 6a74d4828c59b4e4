package resolve

import (
	"fmt"
	"slices"
	"sync"

	"istio.io/api/annotation"
	api "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
)

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
	// byHost are Services by their hostname.
	byHost map[string][]*Service
	// asksLabels is set where a VirtualService asks for labels of the caller, subnets where one has destinationSubnets.
	asksLabels, subnets bool
}

// imports reports whether a service is among those of the listener.
func (e *Egress) imports(svc *Service) bool {
	return slices.ContainsFunc(e.byHost[svc.Hostname], func(own *Service) bool { return own.Ref == svc.Ref })
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
	// captured is set where the proxy answers DNS queries.
	captured bool
	// Sidecar is nil where none applies.
	Sidecar *networking.Sidecar
	Ref     Ref
	Egress  []*Egress

	snapshot *Snapshot
	byHost   map[string]*Service
	// dynamic are the hosts of resolution DYNAMIC_DNS among them.
	dynamic []string
	tables  tableCache
}

// scopeCache holds one scope for each namespace and Sidecar, with DNS capture and without.
type scopeCache struct {
	sync.Mutex
	scopes map[scopeKey]*Scope
}

type scopeKey struct {
	namespace string
	gateway   bool
	captured  bool
	sidecar   Ref
}

func (s *Snapshot) scopeOf(key scopeKey, sc *networking.Sidecar) *Scope {
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
		Namespace: key.namespace, Gateway: key.gateway, captured: key.captured, Sidecar: sc, Ref: key.sidecar,
		snapshot: s, byHost: map[string]*Service{},
	}
	ix := s.index.services()
	if scope.Gateway {
		for _, svc := range ix.exportedTo(key.namespace) {
			scope.addService(svc)
		}
		scope.findDynamic()
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
		candidates := ix.exportedTo
		if e.hosts.writtenOut() {
			candidates = func(namespace string) []*Service { return ix.lookedUp(e.hosts, namespace) }
		}
		e.Services = selectServices(candidates(key.namespace), e, key.namespace)
		e.bestVirtualService = bestVirtualServices(e.VirtualServices, e.Services)
		e.byHost = make(map[string][]*Service, len(e.Services))
		for _, svc := range e.Services {
			e.byHost[svc.Hostname] = append(e.byHost[svc.Hostname], svc)
		}
		e.asksLabels = slices.ContainsFunc(e.VirtualServices, (*VirtualService).asksLabels)
		e.subnets = slices.ContainsFunc(e.VirtualServices, (*VirtualService).hasSubnets)
		scope.Egress = append(scope.Egress, e)
	}
	scope.collectImported()
	scope.findDynamic()
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
	if step, capped := sc.snapshot.CappedFor(svc, sc.Namespace, Skipped); capped {
		return []Step{step}
	}
	e := sc.egressFor(port)
	if !svc.ExportTo.VisibleIn(sc.Namespace) && !e.imports(svc) {
		return []Step{NewStep(RuleSidecarNotExported, Skipped, svc.Ref.At(exportField(svc)), svc.Hostname, sc.Namespace)}
	}
	switch {
	case !e.hosts.importsService(svc):
		return []Step{NewStep(RuleSidecarNotImported, Skipped, e.Ref.At(e.Ref.Field+".hosts"), svc.Hostname, joinLimited(e.Listener.GetHosts(), 5))}
	case !e.Ref.IsZero():
		return append(sc.sameHost(svc, e), NewStep(RuleSidecarImported, Matched, e.Ref.At(e.Ref.Field+".hosts"), svc.Hostname))
	}
	return sc.sameHost(svc, e)
}

// sameHost says which other service stands in a service's place, if one does.
func (sc *Scope) sameHost(svc *Service, e *Egress) []Step {
	for _, other := range e.byHost[svc.Hostname] {
		if other.Namespace != svc.Namespace {
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
