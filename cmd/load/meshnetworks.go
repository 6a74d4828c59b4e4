package load

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// meshNetworksKey is the ConfigMap's entry in which istiod reads the networks of the mesh.
// Source: pkg/config/mesh/kubemesh/watcher.go, MeshNetworksKey.
const meshNetworksKey = "meshNetworks"

// MeshNetworks reads the networks of a mesh from YAML; name is the file it is from. It is nil where there are none. A value of the
// wrong type, and one that istiod refuses, is an error ([Problems]): for one of them istiod drops all networks. A field that is
// not known is a warning.
//
// Source: pkg/config/mesh/mesh.go, ParseMeshNetworks.
func MeshNetworks(data []byte, name string) (*meshconfig.MeshNetworks, []string, error) {
	networks := &meshconfig.MeshNetworks{}
	doc, warnings, err := readOnly(data, name, networks, meshNetworksKey)
	if err != nil || doc == nil {
		return nil, nil, err
	}
	return checkedNetworks(networks, warnings, doc, header{})
}

func readMeshNetworks(doc *document, object header) (*meshconfig.MeshNetworks, []string, error) {
	networks := &meshconfig.MeshNetworks{}
	warnings, err := readMessage(doc, object, networks, meshNetworksKey)
	if err != nil {
		return nil, nil, err
	}
	return checkedNetworks(networks, warnings, doc, object)
}

func checkedNetworks(networks *meshconfig.MeshNetworks, warnings []string, doc *document, object header) (*meshconfig.MeshNetworks, []string, error) {
	if field, message := wrongNetwork(networks); message != "" {
		root, _ := doc.parse(&blockReader{})
		return nil, nil, Problems{{
			File: doc.source.name, Line: doc.lineOf(max(1, locate(root, fieldSteps(field)))), Object: object.String(), Field: field, Message: message,
		}}
	}
	if len(networks.GetNetworks()) == 0 {
		return nil, warnings, nil
	}
	return networks, append(warnings, addressesForRanges(networks)...), nil
}

// addressesForRanges warns of single addresses where ranges are meant, which istiod takes and passes over.
func addressesForRanges(m *meshconfig.MeshNetworks) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(m.GetNetworks())) {
		for i, e := range m.GetNetworks()[name].GetEndpoints() {
			if text := e.GetFromCidr(); text != "" && !strings.Contains(text, "/") {
				out = append(out, fmt.Sprintf("networks[%s].endpoints[%d].fromCidr: %s is an address and no range; istiod passes it over", name, i, text))
			}
		}
	}
	return out
}

// wrongNetwork is the first value that istiod does not take; empty if there is none.
//
// Source: pkg/config/validation/agent/validation.go, ValidateMeshNetworks.
func wrongNetwork(m *meshconfig.MeshNetworks) (field, message string) {
	for _, name := range slices.Sorted(maps.Keys(m.GetNetworks())) {
		n := m.GetNetworks()[name]
		for i, e := range n.GetEndpoints() {
			at := fmt.Sprintf("networks[%s].endpoints[%d]", name, i)
			switch from := e.GetNe().(type) {
			case *meshconfig.Network_NetworkEndpoints_FromCidr:
				if !isSubnet(from.FromCidr) {
					return at + ".fromCidr", fmt.Sprintf("%q is no range of addresses: expected ADDRESS/BITS", from.FromCidr)
				}
			case *meshconfig.Network_NetworkEndpoints_FromRegistry:
				if len(validation.IsDNS1123Label(strings.ToLower(from.FromRegistry))) > 0 {
					return at + ".fromRegistry", fmt.Sprintf("%q is no name of a cluster: expected letters, digits and -, at most 63", from.FromRegistry)
				}
			}
		}
		for i, g := range n.GetGateways() {
			at := fmt.Sprintf("networks[%s].gateways[%d]", name, i)
			switch gw := g.GetGw().(type) {
			case *meshconfig.Network_IstioNetworkGateway_RegistryServiceName:
				if !isFQDN(gw.RegistryServiceName) {
					return at + ".registryServiceName", fmt.Sprintf("%q is no host name", gw.RegistryServiceName)
				}
			case *meshconfig.Network_IstioNetworkGateway_Address:
				if _, err := netip.ParseAddr(gw.Address); err != nil && !isFQDN(gw.Address) {
					return at + ".address", fmt.Sprintf("%q is neither an address nor a host name", gw.Address)
				}
			}
			if g.GetPort() == 0 || g.GetPort() > 65535 {
				return at + ".port", fmt.Sprintf("%d: expected a port from 1 to 65535", g.GetPort())
			}
		}
	}
	return "", ""
}

func isSubnet(text string) bool {
	if !strings.Contains(text, "/") {
		_, err := netip.ParseAddr(text)
		return err == nil
	}
	_, err := netip.ParsePrefix(text)
	return err == nil
}

func isFQDN(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return len(name) <= validation.DNS1123SubdomainMaxLength && len(validation.IsDNS1123Subdomain(name)) == 0
}
