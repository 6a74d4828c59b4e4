package resolve

import (
	"cmp"
	"net/netip"
	"slices"
)

// serviceIndex is istiod's service registry.
// Source: pilot/pkg/model/push_context.go, initServiceRegistry.
type serviceIndex struct {
	// all is in order of age.
	all []*Service
	// byHost holds, for a hostname, the one service each namespace contributes:
	// a Kubernetes Service before a ServiceEntry, else the oldest.
	byHost map[string]map[string]*Service
	// bySelector holds the services of a namespace that have a selector.
	bySelector map[string][]*Service
	// unselected holds the Kubernetes Services of a namespace that have endpoints without a selector.
	unselected map[string][]*Service
	// byAddress holds the Kubernetes Service of an address, else the oldest ServiceEntry.
	byAddress map[netip.Addr]*Service
	// byAllocated holds the ServiceEntry to whose host istiod gave the address.
	byAllocated map[netip.Addr]*Service
	// own holds the Kubernetes Services that the cluster itself has, by hostname, and ownList those by age.
	own     map[string]*Service
	ownList []*Service
	// exported holds services visible in a namespace by name, public those visible everywhere.
	exported map[string][]*Service
	public   []*Service
}

func indexServices(s *Snapshot) *serviceIndex {
	ix := &serviceIndex{
		byHost:     map[string]map[string]*Service{},
		bySelector: map[string][]*Service{},
		unselected: map[string][]*Service{},
		byAddress:  map[netip.Addr]*Service{}, byAllocated: map[netip.Addr]*Service{},
		exported: map[string][]*Service{},
		own:      make(map[string]*Service, len(s.KubeServices)),
	}
	ix.ownList = s.ownServices()
	for _, svc := range ix.ownList {
		ix.own[svc.Hostname] = svc
	}
	ix.all = s.joined(ix.ownList)
	for i, se := range s.ServiceEntries {
		services := convertServiceEntry(se, i, s.Mesh)
		s.capExport(services)
		ix.all = append(ix.all, services...)
	}
	slices.SortStableFunc(ix.all, olderService)
	resolveAliases(ix.all)
	for _, svc := range ix.all {
		byNamespace := ix.byHost[svc.Hostname]
		if byNamespace == nil {
			byNamespace = map[string]*Service{}
			ix.byHost[svc.Hostname] = byNamespace
		}
		if old := byNamespace[svc.Namespace]; old == nil || old.Registry != RegistryKubernetes && svc.Registry == RegistryKubernetes {
			byNamespace[svc.Namespace] = svc
		}
		if svc.Registry != RegistryKubernetes {
			ix.addSelector(svc)
		}
		for _, a := range svc.Addresses {
			if old := ix.byAddress[a.Prefix.Addr()]; !svc.Elsewhere && a.Prefix.IsValid() && a.Prefix.IsSingleIP() && (old == nil || old.Registry != RegistryKubernetes && svc.Registry == RegistryKubernetes) {
				ix.byAddress[a.Prefix.Addr()] = svc
			}
		}
		for _, a := range svc.Allocated {
			if ix.byAllocated[a.Prefix.Addr()] == nil {
				ix.byAllocated[a.Prefix.Addr()] = svc
			}
		}
		if svc.ExportTo.Public() {
			ix.public = append(ix.public, svc)
			continue
		}
		for _, ns := range svc.ExportTo.Namespaces() {
			ix.exported[ns] = append(ix.exported[ns], svc)
		}
	}
	for _, svc := range ix.ownList {
		ix.addSelector(svc)
	}
	for _, list := range ix.bySelector {
		slices.SortStableFunc(list, func(a, b *Service) int {
			return cmp.Or(compareTimes(a.Created, b.Created), cmp.Compare(a.Hostname, b.Hostname))
		})
	}
	return ix
}

// addSelector keeps a service by what its endpoints are found by: of Kubernetes Services the cluster's own, since a proxy
// serves those alone.
func (ix *serviceIndex) addSelector(svc *Service) {
	if len(svc.Selector) > 0 {
		ix.bySelector[svc.Namespace] = append(ix.bySelector[svc.Namespace], svc)
	} else if svc.Registry == RegistryKubernetes && svc.Resolution != Alias {
		ix.unselected[svc.Namespace] = append(ix.unselected[svc.Namespace], svc)
	}
}

// olderService is the order of age. Services of one age, as those of one ServiceEntry are, follow by name,
// which is a Service's own or the host of a ServiceEntry.
// Source: pilot/pkg/model/push_context.go, SortServicesByCreationTime.
func olderService(a, b *Service) int {
	name := func(svc *Service) string {
		if svc.Registry == RegistryKubernetes {
			return svc.Name
		}
		return svc.Hostname
	}
	return cmp.Or(compareTimes(a.Created, b.Created), cmp.Compare(name(a), name(b)), cmp.Compare(a.Namespace, b.Namespace))
}

// Services returns every service of the registry in order of age.
func (s *Snapshot) Services() []*Service { return s.index.services().all }

// ServicesOf returns the Services and ServiceEntries of the workload's
// namespace whose selector selects it, oldest first; of the same second, by hostname.
// Source: pilot/pkg/model/context.go, SetServiceTargets.
// Source: pilot/pkg/serviceregistry/kube/controller, GetProxyServiceTargets.
func (s *Snapshot) ServicesOf(w *Workload) []*Service {
	var out []*Service
	for _, svc := range s.index.services().bySelector[w.Namespace] {
		if Selects(svc.Selector, w.Labels) {
			out = append(out, svc)
		}
	}
	return out
}

// KubeService returns the Kubernetes Service of that name.
func (s *Snapshot) KubeService(namespace, name string) (*Service, bool) {
	svc := s.index.services().byHost[name+"."+namespace+".svc."+s.Mesh.Domain][namespace]
	return svc, svc != nil && svc.Registry == RegistryKubernetes
}

// ServicesForHost returns the service that each namespace has for the hostname, by age.
func (s *Snapshot) ServicesForHost(hostname string) []*Service {
	var out []*Service
	for _, svc := range s.index.services().byHost[hostname] {
		out = append(out, svc)
	}
	slices.SortFunc(out, olderService)
	return out
}

// RouteService is the service that a gateway in the pod's namespace looks a destination of an http route up as, for the
// port it does not name: that of the VirtualService's own namespace, if the gateway sees it; nil if it is that of everyone.
// Source: pilot/pkg/networking/core/gateway.go, buildNameToServiceMapForHTTPRoutes.
func (s *Snapshot) RouteService(hostname string, vs *VirtualService, podNamespace string) *Service {
	if vs == nil {
		return nil
	}
	svc := s.index.services().byHost[hostname][vs.Ref.Namespace]
	if svc == nil || !svc.ExportTo.NamedFor(podNamespace) {
		return nil
	}
	return svc
}

// exportedTo returns the services that proxies of the namespace see: first
// those exported by name, then the public ones, each by age.
// Source: pilot/pkg/model/push_context.go, servicesExportedToNamespace.
func (ix *serviceIndex) exportedTo(namespace string) []*Service {
	return slices.Concat(ix.exported[namespace], ix.public)
}

// lookedUp returns the services of hosts that are all written out, with their namespaces: the one that each
// namespace has of the host, as far as proxies of the namespace find it.
// Source: pilot/pkg/model/sidecar.go, servicesForExactHosts.
func (ix *serviceIndex) lookedUp(hosts egressHosts, namespace string) []*Service {
	var out []*Service
	for ns, in := range hosts {
		for host := range in.exact {
			if svc := ix.byHost[host][ns]; svc != nil && svc.ExportTo.NamedFor(namespace) {
				out = append(out, svc)
			}
		}
	}
	slices.SortFunc(out, olderService)
	return out
}

// resolveAliases hangs every ExternalName service on the concrete service it
// names, through other ExternalNames; a loop names nothing.
// Source: pilot/pkg/model/push_context.go, resolveServiceAliases.
func resolveAliases(all []*Service) {
	target := map[string]string{}
	for _, svc := range all {
		if svc.Resolution == Alias {
			target[svc.Hostname] = svc.ExternalName
		}
	}
	if len(target) == 0 {
		return
	}
	aliases := map[string][]*Service{}
	for _, svc := range all {
		if svc.Resolution != Alias {
			continue
		}
		name, seen := svc.ExternalName, map[string]bool{svc.Hostname: true}
		for target[name] != "" && !seen[name] {
			seen[name] = true
			name = target[name]
		}
		if !seen[name] {
			aliases[name] = append(aliases[name], svc)
		}
	}
	for _, svc := range all {
		if svc.Resolution == Alias {
			continue
		}
		svc.Aliases = aliases[svc.Hostname]
		slices.SortFunc(svc.Aliases, func(a, b *Service) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Hostname, b.Hostname))
		})
	}
}
