package resolve

import (
	"fmt"
	"net/netip"
	"strings"

	api "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
)

// convertServiceEntry turns a ServiceEntry into the services istiod holds: one
// for each host, with all valid addresses. The port's protocol alone decides
// (its name is ignored); an empty one is detected.
//
// Source: pilot/pkg/serviceregistry/serviceentry/conversion.go, convertServices.
func convertServiceEntry(se *networking.ServiceEntry, index int, mesh *Mesh) []*Service {
	ref := refOf("networking.istio.io", "ServiceEntry", se)
	addresses := validAddresses(se)
	var ports []Port
	for i, p := range se.Spec.GetPorts() {
		ports = append(ports, Port{
			Name:       p.GetName(),
			Number:     int(p.GetNumber()),
			TargetPort: int(p.GetTargetPort()),
			Protocol:   ParseProtocol(p.GetProtocol()),
			Field:      fmt.Sprintf("spec.ports[%d]", i),
		})
	}
	var out []*Service
	for i, host := range se.Spec.GetHosts() {
		svc := &Service{
			Hostname:     strings.ToLower(host),
			Namespace:    se.Namespace,
			Name:         se.Name,
			Ref:          ref.At(fmt.Sprintf("spec.hosts[%d]", i)),
			Registry:     RegistryExternal,
			Created:      se.CreationTimestamp.Time,
			Addresses:    addresses,
			Resolution:   entryResolution(se.Spec.GetResolution()),
			MeshExternal: se.Spec.GetLocation() == api.ServiceEntry_MESH_EXTERNAL,
			Ports:        ports,
			Labels:       se.Labels,
			ExportTo:     NewExportTo(se.Spec.GetExportTo(), se.Namespace, mesh.GetDefaultServiceExportTo()),
			Index:        index,
		}
		if allocates(se) {
			svc.Allocated = allocated(se, host)
		}
		if sel := se.Spec.GetWorkloadSelector(); sel != nil {
			svc.Selector = sel.GetLabels()
		}
		out = append(out, svc)
	}
	return out
}

// validAddresses are the IPs and ranges of spec.addresses.
func validAddresses(se *networking.ServiceEntry) []Address {
	var addresses []Address
	for _, text := range se.Spec.GetAddresses() {
		if ip, err := netip.ParseAddr(text); err == nil {
			addresses = append(addresses, singleAddress(ip))
		} else if prefix, err := netip.ParsePrefix(text); err == nil {
			addresses = append(addresses, Address{Prefix: prefix})
		}
	}
	return addresses
}

// allocates reports whether istiod gives the hosts of a ServiceEntry addresses. It writes them to its status,
// and sidecars with DNS capture have them for what they are; to others they mean nothing.
//
// Source: pilot/pkg/networking/serviceentry/ip_autoallocation.go, shouldV2AutoAllocateIPFromPieces;
// pilot/pkg/model/service.go, nodeUsesAutoallocatedIPs.
func allocates(se *networking.ServiceEntry) bool {
	off := strings.EqualFold(se.Labels["networking.istio.io/enable-autoallocate-ip"], "false")
	return !off && len(se.Spec.GetAddresses()) == 0 && se.Spec.GetResolution() != api.ServiceEntry_NONE
}

// allocated are the IPv4 addresses that the status has for the host.
func allocated(se *networking.ServiceEntry, host string) []Address {
	var out []Address
	for _, a := range se.Status.GetAddresses() {
		if ip, err := netip.ParseAddr(a.GetValue()); err == nil && a.GetHost() == host && ip.Is4() {
			out = append(out, singleAddress(ip))
		}
	}
	return out
}

func entryResolution(r api.ServiceEntry_Resolution) Resolution {
	switch r {
	case api.ServiceEntry_STATIC:
		return ClientSideLB
	case api.ServiceEntry_DNS:
		return DNSLB
	case api.ServiceEntry_DNS_ROUND_ROBIN:
		return DNSRoundRobinLB
	case api.ServiceEntry_DYNAMIC_DNS:
		return DynamicDNS
	case api.ServiceEntry_NONE:
	}
	return Passthrough
}
