package conformance

import (
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
)

// addressNames are what addresses that no manifest gives, and those of pods, are called by both.
type addressNames struct {
	clusterIPs map[string]string
	endpoints  map[string]bool
	pods       map[string]bool
}

func symbols(c *apiserver.Cluster) addressNames {
	n := addressNames{clusterIPs: map[string]string{}, endpoints: c.EndpointAddresses(), pods: map[string]bool{}}
	for _, s := range c.Services {
		n.clusterIPs["clusterIP-of-"+s.Name+"."+s.Namespace] = s.Spec.ClusterIP
	}
	for _, r := range c.Remotes() {
		for _, s := range r.Services {
			n.clusterIPs["clusterIP-of-"+s.Name+"."+s.Namespace+"-in-"+r.ID()] = s.Spec.ClusterIP
		}
	}
	for _, p := range c.Pods {
		n.pods[p.Address.String()] = true
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
	case strings.HasPrefix(address, "podIP-of-") && ok, address == "podIP" && ok, (n.endpoints[address] || n.pods[address]) && ok:
		return "pod_" + port
	}
	return name
}
