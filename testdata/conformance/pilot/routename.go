package pilot

import (
	"slices"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"istio.io/istio/pkg/util/sets"
)

// routeNames are the route configurations for which an Envoy with these listeners asks, each once: those of
// the default filter chain as well, which Istio's own helper for tests leaves out.
func routeNames(listeners []*listener.Listener) []string {
	names := sets.New[string]()
	for _, l := range listeners {
		for _, chain := range slices.Concat(l.GetFilterChains(), []*listener.FilterChain{l.GetDefaultFilterChain()}) {
			for _, f := range chain.GetFilters() {
				m := &hcm.HttpConnectionManager{}
				if f.GetTypedConfig().MessageIs(m) && f.GetTypedConfig().UnmarshalTo(m) == nil && m.GetRds() != nil {
					names.Insert(m.GetRds().GetRouteConfigName())
				}
			}
		}
	}
	return sets.SortedList(names)
}
