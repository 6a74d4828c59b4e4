package resolve

import (
	"slices"
	"strings"

	networking "istio.io/client-go/pkg/apis/networking/v1"
)

// boundVirtualServices are the VirtualServices that name one gateway, oldest first.
type boundVirtualServices struct {
	public []*VirtualService
	// private and exported are by the namespace of the proxy that may use them.
	private, exported map[string][]*VirtualService
}

// VirtualServicesForGateway are the VirtualServices bound to a gateway
// (namespace/name) that pods of the namespace see, in the order istiod takes them:
//
//  1. those that are not public and visible in their own namespace, if that is the pod's;
//  2. those that are not public and exported to the pod's namespace by name;
//  3. public ones that are made of Gateway API routes of the pod's namespace;
//  4. other public ones.
//
// Each list is oldest first.
//
// Source: pilot/pkg/model/push_context.go, initVirtualServices, VirtualServicesForGateway.
func (s *Snapshot) VirtualServicesForGateway(gateway, podNamespace string) []*VirtualService {
	b := s.boundVirtualServices()[gateway]
	if b == nil {
		return nil
	}
	own := func(vs *VirtualService) bool {
		return vs.Semantics == SemanticsGateway && vs.Ref.Namespace == podNamespace
	}
	return slices.Concat(b.private[podNamespace], b.exported[podNamespace], ownFirst(b.public, own))
}

func (s *Snapshot) boundVirtualServices() map[string]*boundVirtualServices {
	cache := &s.index.gateways
	cache.boundOnce.Do(func() {
		cache.bound = map[string]*boundVirtualServices{}
		for _, vs := range s.VirtualServices() {
			for _, gateway := range vs.Gateways { // one named twice binds twice, without effect but in the names of virtual hosts
				if gateway == "mesh" {
					continue
				}
				b := cache.bound[gateway]
				if b == nil {
					b = &boundVirtualServices{private: map[string][]*VirtualService{}, exported: map[string][]*VirtualService{}}
					cache.bound[gateway] = b
				}
				b.add(vs)
			}
		}
	})
	return cache.bound
}

func (b *boundVirtualServices) add(vs *VirtualService) {
	if vs.ExportTo.Public() {
		b.public = append(b.public, vs)
		return
	}
	for _, ns := range vs.ExportTo.Namespaces() {
		if ns == vs.Ref.Namespace {
			b.private[ns] = append(b.private[ns], vs)
		} else {
			b.exported[ns] = append(b.exported[ns], vs)
		}
	}
}

// gatewayHostIndex finds VirtualServices by the hosts they name.
type gatewayHostIndex struct {
	exact, suffix map[string][]*VirtualService
	raw           map[Ref]*networking.VirtualService
	// services holds host names of services, and name.namespace of those of Kubernetes.
	services map[string]bool
}

// virtualServicesNaming are the VirtualServices that name the host or a wildcard over it,
// the most specific name first, then oldest first.
func (s *Snapshot) virtualServicesNaming(hostname string) []*VirtualService {
	index := s.gatewayHostIndex()
	var out []*VirtualService
	add := func(list []*VirtualService) {
		for _, vs := range list {
			if !slices.Contains(out, vs) {
				out = append(out, vs)
			}
		}
	}
	add(index.exact[hostname])
	for i := 1; i < len(hostname); i++ {
		add(index.suffix[hostname[i:]])
	}
	add(index.suffix[""])
	return out
}

func (s *Snapshot) gatewayHostIndex() *gatewayHostIndex {
	cache := &s.index.gateways
	cache.hostsOnce.Do(func() {
		index := &gatewayHostIndex{
			exact: map[string][]*VirtualService{}, suffix: map[string][]*VirtualService{},
			raw: make(map[Ref]*networking.VirtualService, len(s.RawVirtualServices)), services: map[string]bool{},
		}
		for _, vs := range s.VirtualServices() {
			for _, h := range vs.Spec.GetHosts() {
				h = strings.ToLower(h)
				if IsWildcardHost(h) {
					index.suffix[h[1:]] = append(index.suffix[h[1:]], vs)
				} else {
					index.exact[h] = append(index.exact[h], vs)
				}
			}
		}
		for _, raw := range s.RawVirtualServices {
			index.raw[refOf(istioNetworkingGroup, "VirtualService", raw)] = raw
		}
		for _, svc := range s.Services() {
			index.services[svc.Hostname] = true
			if svc.Registry == RegistryKubernetes {
				index.services[svc.Name+"."+svc.Namespace] = true
			}
		}
		cache.hosts = index
	})
	return cache.hosts
}

// gatewayAsWritten is spec.gateways[i] before it was resolved.
func (s *Snapshot) gatewayAsWritten(vs *VirtualService, i int) string {
	if raw := s.gatewayHostIndex().raw[vs.Ref.Object()]; raw != nil && i < len(raw.Spec.GetGateways()) {
		return raw.Spec.GetGateways()[i]
	}
	return vs.Gateways[i]
}

// ownFirst moves some of a list to its front; both parts keep their order.
func ownFirst(list []*VirtualService, own func(*VirtualService) bool) []*VirtualService {
	if !slices.ContainsFunc(list, own) {
		return list
	}
	var first, rest []*VirtualService
	for _, vs := range list {
		if own(vs) {
			first = append(first, vs)
		} else {
			rest = append(rest, vs)
		}
	}
	return append(first, rest...)
}
