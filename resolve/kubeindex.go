package resolve

import (
	"cmp"
	"slices"
	"strings"
)

// kubeIndex is what istiod makes of the Gateway API objects of a mesh.
type kubeIndex struct {
	gateways map[Ref]*kubeGateway
	// ordered are the gateways by namespace and name.
	ordered []*kubeGateway
	// configs are the Gateways, one for each listener that takes traffic.
	configs []*GatewayConfig
	routes  []*kubeRoute
	// hosts are the places in routes of each hostname, in lower case.
	hosts *hostPlaces
	// byParent are the parentRefs that name an object.
	byParent map[Ref][]parentRef
	// virtualServices are made of the routes.
	virtualServices []*VirtualService
}

// parentRef is spec.parentRefs[index] of a route.
type parentRef struct {
	route *kubeRoute
	index int
}

// indexKube converts the Gateway API objects.
// Source: pilot/pkg/config/kube/gateway/controller.go, NewController.
func indexKube(s *Snapshot) *kubeIndex {
	ix := &kubeIndex{gateways: s.kubeGateways(), routes: s.kubeRoutes(), hosts: newHostPlaces(), byParent: map[Ref][]parentRef{}}
	for _, g := range ix.gateways {
		ix.ordered = append(ix.ordered, g)
		for _, l := range g.listeners {
			if c := l.config(); c != nil {
				ix.configs = append(ix.configs, c)
			}
		}
	}
	slices.SortFunc(ix.ordered, func(a, b *kubeGateway) int { return CompareRefs(a.ref, b.ref) })
	slices.SortFunc(ix.configs, compareConfigs)
	var made []*keyedVirtualService
	for i, r := range ix.routes {
		s.attach(r, ix.gateways)
		made = append(made, r.virtualServices(s)...)
		for _, host := range r.hosts() {
			ix.hosts.add(strings.ToLower(host), i)
		}
		for j := range r.parents {
			ix.byParent[r.target(j)] = append(ix.byParent[r.target(j)], parentRef{r, j})
		}
	}
	ix.virtualServices = mergeKubeRoutes(made)
	return ix
}

// routesFor are the routes one of whose hostnames takes the host; a route without any takes all.
func (ix *kubeIndex) routesFor(host string) []*kubeRoute {
	var out []*kubeRoute
	for _, place := range ix.hosts.find(standsFor, host) {
		out = append(out, ix.routes[place])
	}
	return out
}

// listeners are those of a Gateway or ListenerSet itself.
func (ix *kubeIndex) listeners(of Ref) []*kubeListener {
	var out []*kubeListener
	for _, g := range ix.gateways {
		for _, l := range g.listeners {
			if l.parent == of {
				out = append(out, l)
			}
		}
	}
	return out
}

// compareConfigs is istiod's order of age, by the names of the internal Gateways. What has no age is older than a
// resource of which no age is written down: a cluster gives it one.
func compareConfigs(a, b *GatewayConfig) int {
	return cmp.Or(compareTimes(a.Created, b.Created), boolFirst(a.ageless())-boolFirst(b.ageless()), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
}

// compareVirtualServices is that of VirtualServices.
func compareVirtualServices(a, b *VirtualService) int {
	return cmp.Or(compareTimes(a.Created, b.Created), boolFirst(a.ageless())-boolFirst(b.ageless()), cmp.Compare(a.name, b.name), cmp.Compare(a.Ref.Namespace, b.Ref.Namespace))
}
