package resolve

import (
	"cmp"
	"slices"
)

// kubeIndex is what istiod makes of the Gateway API objects of a mesh.
type kubeIndex struct {
	gateways map[Ref]*kubeGateway
	// configs are the Gateways, one for each listener that takes traffic.
	configs []*GatewayConfig
	routes  []*kubeRoute
	// virtualServices are made of the routes.
	virtualServices []*VirtualService
}

// indexKube converts the Gateway API objects.
// Source: pilot/pkg/config/kube/gateway/controller.go, NewController.
func indexKube(s *Snapshot) *kubeIndex {
	ix := &kubeIndex{gateways: s.kubeGateways(), routes: s.kubeRoutes()}
	for _, g := range ix.gateways {
		for _, l := range g.listeners {
			if c := l.config(s.Mesh.Domain); c != nil {
				ix.configs = append(ix.configs, c)
			}
		}
	}
	slices.SortFunc(ix.configs, compareConfigs)
	var made []*keyedVirtualService
	for _, r := range ix.routes {
		s.attach(r, ix.gateways)
		made = append(made, r.virtualServices(s)...)
	}
	ix.virtualServices = mergeKubeRoutes(made)
	return ix
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
	return cmp.Or(compareTimes(a.Created, b.Created), cmp.Compare(present(b.ageless()), present(a.ageless())), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
}

// compareVirtualServices is that of VirtualServices.
func compareVirtualServices(a, b *VirtualService) int {
	return cmp.Or(compareTimes(a.Created, b.Created), cmp.Compare(present(b.ageless()), present(a.ageless())), cmp.Compare(a.name, b.name), cmp.Compare(a.Ref.Namespace, b.Ref.Namespace))
}
