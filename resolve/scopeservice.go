package resolve

import (
	"maps"
	"slices"

	api "istio.io/api/networking/v1alpha3"
)

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
		if !svc.ExportTo.NamedFor(namespace) {
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
// by name, then the public ones, each oldest first but for Gateway API routes of the namespace, which come before.
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
	own := func(vs *VirtualService) bool {
		return vs.Semantics == SemanticsGateway && vs.Ref.Namespace == namespace
	}
	return slices.Concat(ownFirst(private, own), ownFirst(exported, own), ownFirst(public, own))
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
