package resolve

import (
	"strings"

	networking "istio.io/client-go/pkg/apis/networking/v1"
)

// virtualServicesOverlapping returns the VirtualServices one of whose hosts overlaps one of the names.
func (s *Snapshot) virtualServicesOverlapping(names ...string) []*VirtualService {
	places := s.index.virtualServiceHosts().places.find(HostMatches, names...)
	all := s.VirtualServices()
	out := make([]*VirtualService, len(places))
	for i, place := range places {
		out[i] = all[place]
	}
	return out
}

// virtualServiceHostIndex finds VirtualServices by host.
type virtualServiceHostIndex struct {
	// places are those in Snapshot.VirtualServices.
	places *hostPlaces
	// short holds, for a name without a dot, the VirtualServices that name a host so.
	short map[string][]*VirtualService
}

func indexVirtualServiceHosts(s *Snapshot) *virtualServiceHostIndex {
	ix := &virtualServiceHostIndex{places: newHostPlaces(), short: map[string][]*VirtualService{}}
	written := make(map[Ref]*networking.VirtualService, len(s.RawVirtualServices))
	for _, vs := range s.RawVirtualServices {
		written[refOf("networking.istio.io", "VirtualService", vs)] = vs
	}
	for i, vs := range s.VirtualServices() {
		if raw := written[vs.Ref.Object()]; raw != nil {
			for _, h := range raw.Spec.GetHosts() {
				if !strings.ContainsAny(h, ".*:") {
					ix.short[h] = append(ix.short[h], vs)
				}
			}
		}
		for _, h := range lowerHosts(vs) {
			ix.places.add(h, i)
		}
	}
	return ix
}

// shortNameElsewhere returns the VirtualServices that name the host's first
// label without a namespace, but live in another namespace, so that they mean another service.
func (s *Snapshot) shortNameElsewhere(host string) []*VirtualService {
	base, ok := strings.CutSuffix(host, ".svc."+s.Mesh.Domain)
	if !ok {
		return nil
	}
	name, namespace, _ := strings.Cut(base, ".")
	var out []*VirtualService
	for _, vs := range s.index.virtualServiceHosts().short[name] {
		if vs.Ref.Namespace != namespace && len(s.ServicesForHost(ExpandHost(name, vs.Ref.Namespace, s.Mesh.Domain))) == 0 {
			out = append(out, vs)
		}
	}
	return out
}

// lowerHosts are a VirtualService's hosts as virtual host domains: in lower case.
func lowerHosts(vs *VirtualService) []string {
	hosts := vs.Spec.GetHosts()
	for _, h := range hosts {
		if h != strings.ToLower(h) {
			lower := make([]string, len(hosts))
			for i, h := range hosts {
				lower[i] = strings.ToLower(h)
			}
			return lower
		}
	}
	return hosts
}
