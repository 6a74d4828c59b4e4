package resolve

import (
	"strings"

	networking "istio.io/client-go/pkg/apis/networking/v1"
)

// virtualServicesOverlapping returns the VirtualServices one of whose hosts overlaps one of the names.
func (s *Snapshot) virtualServicesOverlapping(names ...string) []*VirtualService {
	ix := s.index.virtualServiceHosts()
	seen := map[*VirtualService]bool{}
	for _, name := range names {
		for _, vs := range ix.exact[name] {
			seen[vs] = true
		}
		for _, w := range ix.wildcards {
			if HostMatches(w.host, name) {
				seen[w.vs] = true
			}
		}
	}
	out := make([]*VirtualService, 0, len(seen))
	for _, vs := range s.VirtualServices() {
		if seen[vs] {
			out = append(out, vs)
			if len(out) == len(seen) {
				break
			}
		}
	}
	return out
}

// virtualServiceHostIndex finds VirtualServices by host.
type virtualServiceHostIndex struct {
	exact     map[string][]*VirtualService
	wildcards []wildcardVirtualService
	// short holds, for a name without a dot, the VirtualServices that name a host so.
	short map[string][]*VirtualService
}

type wildcardVirtualService struct {
	host string
	vs   *VirtualService
}

func indexVirtualServiceHosts(s *Snapshot) *virtualServiceHostIndex {
	ix := &virtualServiceHostIndex{exact: map[string][]*VirtualService{}, short: map[string][]*VirtualService{}}
	written := make(map[Ref]*networking.VirtualService, len(s.RawVirtualServices))
	for _, vs := range s.RawVirtualServices {
		written[refOf("networking.istio.io", "VirtualService", vs)] = vs
	}
	for _, vs := range s.VirtualServices() {
		if raw := written[vs.Ref.Object()]; raw != nil {
			for _, h := range raw.Spec.GetHosts() {
				if !strings.ContainsAny(h, ".*:") {
					ix.short[h] = append(ix.short[h], vs)
				}
			}
		}
		for _, h := range lowerHosts(vs) {
			if IsWildcardHost(h) {
				ix.wildcards = append(ix.wildcards, wildcardVirtualService{h, vs})
			} else {
				ix.exact[h] = append(ix.exact[h], vs)
			}
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
