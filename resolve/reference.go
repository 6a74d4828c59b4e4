package resolve

import (
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// Reference is something that a field of an object names.
type Reference struct {
	Field Ref
	// To is what is meant, in words: names are those that istiod reads the field as.
	To    string
	Found bool
}

// References are what a VirtualService or a DestinationRule names, as istiod reads it, and whether that is there. What routes of the
// Gateway API name is told by their conversion.
func (s *Snapshot) References(object Ref) []Reference {
	r := references{snapshot: s, object: object}
	for _, raw := range s.RawVirtualServices {
		if refOf(istioNetworkingGroup, "VirtualService", raw) == object {
			spec := raw.Spec.DeepCopy()
			r.gateways("spec.gateways", spec.GetGateways())
			expandShortNames(spec, object, s.Mesh.Domain)
			r.virtualService(spec)
		}
	}
	for _, rule := range s.DestinationRules {
		if refOf(istioNetworkingGroup, "DestinationRule", rule) == object {
			host := ExpandHost(rule.Spec.GetHost(), rule.GetNamespace(), s.Mesh.Domain)
			r.add("spec.host", "host "+host, len(s.servicesOfObject(object)) > 0)
		}
	}
	return r.found
}

type references struct {
	snapshot *Snapshot
	object   Ref
	found    []Reference
}

func (r *references) add(field, to string, found bool) {
	if to := (Reference{r.object.At(field), to, found}); !slices.Contains(r.found, to) {
		r.found = append(r.found, to)
	}
}

// gateways tells which Gateway each name is read as.
func (r *references) gateways(field string, names []string) {
	for i, name := range names {
		full, _ := expandGatewayName(name, r.object.Namespace)
		if full != MeshGateway {
			r.add(pathIndex(field, i), "Gateway "+full, r.snapshot.gatewayNamed(full) != nil)
		}
	}
}

func (r *references) virtualService(spec *networking.VirtualService) {
	for i, http := range spec.GetHttp() {
		at := pathIndex("spec.http", i)
		for j, m := range http.GetMatch() {
			r.gateways(pathIndex(at+".match", j)+".gateways", m.GetGateways())
		}
		for j, d := range http.GetRoute() {
			r.host(pathIndex(at+".route", j)+".destination", d.GetDestination())
		}
		if to := http.GetDelegate(); to != nil {
			namespace := to.GetNamespace()
			if namespace == "" {
				namespace = r.object.Namespace
			}
			r.add(at+".delegate", "VirtualService "+namespace+"/"+to.GetName(), len(r.snapshot.Named("VirtualService", namespace, to.GetName())) > 0)
		}
	}
	for i, tls := range spec.GetTls() {
		for j, d := range tls.GetRoute() {
			r.host(fmt.Sprintf("spec.tls[%d].route[%d].destination", i, j), d.GetDestination())
		}
	}
	for i, tcp := range spec.GetTcp() {
		for j, d := range tcp.GetRoute() {
			r.host(fmt.Sprintf("spec.tcp[%d].route[%d].destination", i, j), d.GetDestination())
		}
	}
}

// host is a destination, and its port where it names one.
func (r *references) host(field string, d *networking.Destination) {
	services := r.snapshot.ServicesForHost(strings.ToLower(d.GetHost()))
	r.add(field+".host", "host "+d.GetHost(), len(services) > 0)
	if port := int(d.GetPort().GetNumber()); port != 0 && len(services) > 0 {
		has := slices.ContainsFunc(services, func(svc *Service) bool { _, ok := svc.PortByNumber(port); return ok })
		r.add(field+".port", fmt.Sprintf("port %d of %s", port, d.GetHost()), has)
	}
}
