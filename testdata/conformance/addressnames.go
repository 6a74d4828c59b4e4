package conformance

import (
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
)

// addressNames are what addresses that no manifest gives are called by both.
type addressNames struct {
	clusterIPs map[string]string
	endpoints  map[string]bool
}

func symbols(c *apiserver.Cluster) addressNames {
	n := addressNames{clusterIPs: map[string]string{}, endpoints: c.EndpointAddresses()}
	for _, s := range c.Services {
		n.clusterIPs["clusterIP-of-"+s.Name+"."+s.Namespace] = s.Spec.ClusterIP
	}
	return n
}

// concrete replaces the address in a listener's name: the trace calls a Service's clusterIP-of-it, and that of
// a pod of a headless Service podIP-of-it, even where a manifest gives the address.
func (n addressNames) concrete(name string) string {
	address, port, ok := strings.Cut(name, "_")
	switch {
	case n.clusterIPs[address] != "" && ok:
		return n.clusterIPs[address] + "_" + port
	case strings.HasPrefix(address, "podIP-of-") && ok, address == "podIP" && ok, n.endpoints[address] && ok:
		return "pod_" + port
	}
	return name
}
