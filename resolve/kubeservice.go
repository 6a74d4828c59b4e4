package resolve

import (
	"fmt"
	"net/netip"
	"strings"

	"istio.io/api/annotation"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// convertKubeService turns a Kubernetes Service into the service istiod holds.
//
//  1. ExternalName is an alias without addresses of its own.
//  2. clusterIP None is headless: the address the application dialled.
//  3. Every other Service has its ClusterIPs. Where manifests leave the address to
//     the API server, a symbol stands for it.
//
// Source: pilot/pkg/serviceregistry/kube/conversion.go, ConvertService.
func convertKubeService(svc *corev1.Service, index int, mesh *Mesh) *Service {
	out := &Service{
		Hostname:             svc.Name + "." + svc.Namespace + ".svc." + mesh.Domain,
		Namespace:            svc.Namespace,
		Name:                 svc.Name,
		Ref:                  refOf("", "Service", svc),
		Registry:             RegistryKubernetes,
		Created:              svc.CreationTimestamp.Time,
		Resolution:           ClientSideLB,
		Selector:             svc.Spec.Selector,
		Labels:               svc.Labels,
		ExportTo:             NewExportTo(splitExportTo(svc.Annotations[annotation.NetworkingExportTo.Name]), svc.Namespace, mesh.GetDefaultServiceExportTo()),
		Index:                index,
		InternalTrafficLocal: svc.Spec.InternalTrafficPolicy != nil && *svc.Spec.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal,
		PublishNotReady:      svc.Spec.PublishNotReadyAddresses,
		External:             externalPolicy(svc),
	}
	switch {
	case svc.Spec.Type == corev1.ServiceTypeExternalName && svc.Spec.ExternalName != "":
		out.Resolution, out.ExternalName, out.MeshExternal = Alias, svc.Spec.ExternalName, true
	case svc.Spec.ClusterIP == corev1.ClusterIPNone:
		out.Resolution = Passthrough
	default:
		out.Addresses = clusterIPs(svc)
	}
	for i, p := range svc.Spec.Ports {
		port := Port{
			Name:     p.Name,
			Number:   int(p.Port),
			Protocol: servicePortProtocol(int(p.Port), p.Name, p.Protocol, p.AppProtocol),
			UDP:      p.Protocol == corev1.ProtocolUDP,
			NodePort: int(p.NodePort),
			Field:    fmt.Sprintf("spec.ports[%d]", i),
		}
		if p.TargetPort.Type == intstr.String {
			port.TargetName = p.TargetPort.StrVal
		} else {
			port.TargetPort = p.TargetPort.IntValue()
		}
		out.Ports = append(out.Ports, port)
	}
	return out
}

func clusterIPs(svc *corev1.Service) []Address {
	list := svc.Spec.ClusterIPs
	if len(list) == 0 && svc.Spec.ClusterIP != "" {
		list = []string{svc.Spec.ClusterIP}
	}
	var out []Address
	for _, text := range list {
		if ip, err := netip.ParseAddr(text); err == nil {
			out = append(out, singleAddress(ip))
		}
	}
	if len(out) == 0 {
		symbol := "clusterIP-of-" + svc.Name + "." + svc.Namespace
		if id := ClusterOf(svc); id != "" {
			symbol += "-in-" + id
		}
		out = append(out, Address{Symbol: symbol})
	}
	return out
}

func singleAddress(ip netip.Addr) Address { return Address{Prefix: netip.PrefixFrom(ip, ip.BitLen())} }

// splitExportTo reads the comma list of the annotation networking.istio.io/exportTo.
func splitExportTo(list string) []string {
	if list == "" {
		return nil
	}
	parts := strings.Split(list, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}
