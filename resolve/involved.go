package resolve

import (
	"cmp"
	"slices"
	"strings"
)

// HostsOf are the hosts whose tables the object may have a say in: those of the VirtualService that istiod makes of a
// route, or of the VirtualServices that delegate to it; of a Service, ServiceEntry or DestinationRule the hosts
// it is for, and those of the routes that lead there; of a Gateway those bound to it, else its servers'.
func (s *Snapshot) HostsOf(object Ref) []string {
	var hosts []string
	add := func(more ...string) {
		for _, h := range more {
			if h = strings.ToLower(h); !slices.Contains(hosts, h) {
				hosts = append(hosts, h)
			}
		}
	}
	for _, vs := range s.VirtualServices() {
		if vs.concerns(object) {
			add(vs.Spec.GetHosts()...)
		}
	}
	s.kubeHostsOf(object, add)
	services := s.servicesOfObject(object)
	for _, svc := range services {
		add(svc.Hostname)
	}
	for _, vs := range s.VirtualServices() {
		if slices.ContainsFunc(services, vs.leadsTo) {
			add(vs.Spec.GetHosts()...)
		}
	}
	for _, c := range s.gatewayConfigs() {
		if c.Ref.Object() != object {
			continue
		}
		for _, vs := range s.VirtualServices() {
			if slices.Contains(vs.Gateways, c.FullName()) {
				add(vs.Spec.GetHosts()...)
			}
		}
		for _, server := range c.Spec.GetServers() {
			for _, h := range server.GetHosts() {
				_, host, qualified := strings.Cut(h, "/")
				if !qualified {
					host = h
				}
				add(host)
			}
		}
	}
	return hosts
}

// kubeHostsOf adds the hosts of a route of the Gateway API, of a Gateway of it with the routes that name it as a parent, or of an
// Ingress: also where istiod makes nothing of them.
func (s *Snapshot) kubeHostsOf(object Ref, add func(...string)) {
	kube := s.index.kube()
	ofRoute := func(r *kubeRoute) {
		if len(r.hostnames) == 0 {
			add("*")
		}
		add(r.hostnames...)
	}
	for _, r := range kube.routes {
		if r.ref.Object() == object {
			ofRoute(r)
		}
	}
	for _, parent := range kube.byParent[object] {
		ofRoute(parent.route)
	}
	if g := kube.gateways[object]; g != nil {
		for _, l := range g.object.Spec.Listeners {
			if l.Hostname != nil {
				add(string(*l.Hostname))
			} else {
				add("*")
			}
		}
	}
	for _, o := range s.Ingresses {
		if refOf(ingressGroup, "Ingress", o) != object {
			continue
		}
		for _, rule := range o.Spec.Rules {
			add(cmp.Or(rule.Host, "*"))
		}
	}
}

// servicesOfObject are those that the object is, or that a DestinationRule is for.
func (s *Snapshot) servicesOfObject(object Ref) []*Service {
	var out []*Service
	for _, svc := range s.Services() {
		if svc.Ref.Object() == object {
			out = append(out, svc)
		}
	}
	for _, rule := range s.DestinationRules {
		if refOf(istioNetworkingGroup, "DestinationRule", rule) != object {
			continue
		}
		host := ExpandHost(rule.Spec.GetHost(), rule.GetNamespace(), s.Mesh.Domain)
		for _, svc := range s.Services() {
			if HostSubsetOf(svc.Hostname, host) {
				out = append(out, svc)
			}
		}
	}
	return out
}

// CalledBy is an address by which a service is called, and its ports.
type CalledBy struct {
	Address string
	Ports   []Port
}

// AddressesOf are those by which a host of a ServiceEntry is called: a range stands for its first.
func (s *Snapshot) AddressesOf(host string) []CalledBy {
	var out []CalledBy
	for _, svc := range s.ServicesForHost(host) {
		for _, a := range svc.Addresses {
			if svc.Registry != RegistryKubernetes && a.Prefix.IsValid() {
				out = append(out, CalledBy{a.Prefix.Addr().String(), svc.Ports})
			}
		}
	}
	return out
}

// ServicesOver are the services of the mesh that a host with a wildcard covers.
func (s *Snapshot) ServicesOver(host string) []string {
	var out []string
	for _, svc := range s.Services() {
		if HostSubsetOf(svc.Hostname, host) && !IsWildcardHost(svc.Hostname) {
			out = append(out, svc.Hostname)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// concerns reports whether a part of the VirtualService was written in the object.
func (vs *VirtualService) concerns(object Ref) bool {
	is := func(r Ref) bool { return r.Object() == object }
	if is(vs.Ref) || slices.ContainsFunc(vs.HTTPRefs, is) || slices.ContainsFunc(vs.Roots, is) {
		return true
	}
	for entry := range vs.l4 {
		if is(entry) {
			return true
		}
	}
	return slices.ContainsFunc(vs.Steps, func(s Step) bool { return is(s.Ref) })
}

// leadsTo reports whether a rule of the VirtualService has the service as a destination.
func (vs *VirtualService) leadsTo(svc *Service) bool {
	for _, r := range vs.Spec.GetHttp() {
		for _, d := range r.GetRoute() {
			if d.GetDestination().GetHost() == svc.Hostname {
				return true
			}
		}
	}
	for _, r := range vs.Spec.GetTls() {
		for _, d := range r.GetRoute() {
			if d.GetDestination().GetHost() == svc.Hostname {
				return true
			}
		}
	}
	for _, r := range vs.Spec.GetTcp() {
		for _, d := range r.GetRoute() {
			if d.GetDestination().GetHost() == svc.Hostname {
				return true
			}
		}
	}
	return false
}

// Named are the objects of a kind and name, group by group; Has tells whether one is in the snapshot.
func (s *Snapshot) Named(kind, namespace, name string) []Ref {
	var out []Ref
	for ref := range s.origins {
		if ref.Kind == kind && ref.Namespace == namespace && ref.Name == name {
			out = append(out, ref.Object())
		}
	}
	slices.SortFunc(out, CompareRefs)
	return slices.Compact(out)
}

// NamesOf are the objects of a kind, as namespace/name, in order.
func (s *Snapshot) NamesOf(kind string) []string {
	var out []string
	for ref := range s.origins {
		if ref.Kind == kind {
			out = append(out, ref.QualifiedName())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
