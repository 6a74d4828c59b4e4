package resolve

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Rules of name resolution before a request leaves the application.
const (
	RuleDNSService        RuleID = "dns/service"
	RuleDNSHeadless       RuleID = "dns/headless"
	RuleDNSAlias          RuleID = "dns/external-name"
	RuleDNSAddress        RuleID = "dns/address"
	RuleDNSExternal       RuleID = "dns/external-assumed"
	RuleDNSEntryAddress   RuleID = "dns/service-entry-address-assumed"
	RuleDNSNoServiceThere RuleID = "dns/no-service-in-namespace"
	RuleDNSNotFound       RuleID = "dns/not-found"
	RuleDNSCapture        RuleID = "dns/proxy"
	RuleDNSCaptureBy      RuleID = "dns/proxy-config"
	RuleDNSNoEndpoints    RuleID = "dns/headless-empty"
	RuleDNSOtherSpace     RuleID = "dns/other-namespace"
	RuleDNSLocalhost      RuleID = "dns/localhost"
	RuleDNSElsewhere      RuleID = "dns/service-of-other-cluster"
	RuleDNSCaptureRemote  RuleID = "dns/proxy-other-cluster"
	RuleDNSCaptureAll     RuleID = "dns/proxy-headless-of-clusters"
)

var dnsRules = []Rule{
	{
		ID: RuleDNSService, Stage: StageDNS,
		Says:     "A Service's name resolves to its ClusterIP, in the short forms that the pod's search domains allow.",
		Template: "%s resolves to Service %s (%s)",
		Source:   "Kubernetes, DNS for Services and Pods",
		Detail:   true,
	},
	{
		ID: RuleDNSHeadless, Stage: StageDNS,
		Says:     "A headless Service's name resolves to the addresses of its ready pods.",
		Template: "%s resolves to the pods of headless Service %s",
		Source:   "Kubernetes, DNS for Services and Pods",
		Detail:   true,
	},
	{
		ID: RuleDNSNoEndpoints, Stage: StageDNS,
		Says:     "A headless Service without ready pods resolves to nothing.",
		Template: "%s is a headless Service without ready pods: its name does not resolve",
		Source:   "Kubernetes, DNS for Services and Pods",
	},
	{
		ID: RuleDNSAlias, Stage: StageDNS,
		Says:     "A Service of type ExternalName is a CNAME; the Host header stays as the application wrote it.",
		Template: "%s is a CNAME to %s",
		Source:   "Kubernetes, Services of type ExternalName",
	},
	{
		ID: RuleDNSAddress, Stage: StageDNS,
		Says:     "An IP address needs no DNS.",
		Template: "%s is an address%s",
		Source:   "Kubernetes, DNS for Services and Pods",
		Detail:   true,
	},
	{
		ID: RuleDNSLocalhost, Stage: StageDNS,
		Says:     "localhost is the pod itself: it stands in the hosts file that the kubelet writes, and no DNS is asked.",
		Template: "localhost is the pod itself, as its hosts file says",
		Source:   "Kubernetes, Adding entries to Pod /etc/hosts with HostAliases",
		Detail:   true,
	},
	{
		ID: RuleDNSExternal, Stage: StageDNS,
		Says:     "A name outside the cluster is taken to resolve by public DNS, to an address that is not known from here.",
		Template: "%s is no Service: taken to resolve outside the cluster",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleDNSEntryAddress, Stage: StageDNS,
		Says:     "Without DNS capture the addresses of a ServiceEntry are not in DNS; the application is taken to resolve the name to the first of them.",
		Template: "taken to resolve %s to %s, as spec.addresses says",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleDNSNoServiceThere, Stage: StageDNS,
		Says:     "A name of two labels whose second is a namespace is taken for a Service there; without one it is taken not to resolve.",
		Template: "no Service %s in namespace %s: the name is taken not to resolve, and the request never leaves the application",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleDNSNotFound, Stage: StageDNS,
		Says:     "A name in the cluster's domain that is no Service does not resolve, and the request never leaves the application.",
		Template: "no Service %s: cluster DNS does not know %s, the request never leaves the application%s",
		Source:   "Kubernetes, DNS for Services and Pods",
	},
	{
		ID: RuleDNSOtherSpace, Stage: StageDNS,
		Says:     "A Service of another namespace is not found by its short name.",
		Template: "lives in namespace %s: from namespace %s its name is %s.%s",
		Source:   "Kubernetes, DNS for Services and Pods",
	},
	{
		ID: RuleDNSCapture, Stage: StageDNS,
		Says:     "With DNS capture the sidecar answers for every host it knows, also for those no DNS server has.",
		Template: "DNS capture is on: the sidecar resolves %s for ServiceEntry %s",
		Source:   "pkg/dns/server/name_table.go, BuildNameTable",
	},
	{
		ID: RuleDNSElsewhere, Stage: StageDNS,
		Says:     "Cluster DNS knows the Services of its own cluster. A name that only another cluster of the mesh has as a Service does not resolve, unless the sidecar answers DNS queries; a Service of the name in the client's cluster, without any pods, is enough.",
		Template: "cluster %s, where the client is, has no Service %s: its DNS does not know %s, and the request never leaves the application. %s %s; with DNS capture (ISTIO_META_DNS_CAPTURE) the sidecar would answer",
		Source:   "Kubernetes, DNS for Services and Pods; pkg/dns/server/name_table.go, BuildNameTable",
	},
	{
		ID: RuleDNSCaptureRemote, Stage: StageDNS,
		Says:     "With DNS capture the sidecar answers for a Service that only another cluster of the mesh has, with the address it has there.",
		Template: "DNS capture is on: the sidecar resolves %s to %s, which Service %s has in cluster %s",
		Source:   "pilot/pkg/model/service.go, GetAllAddressesForProxy; pkg/dns/server/name_table.go, BuildNameTable",
	},
	{
		ID: RuleDNSCaptureAll, Stage: StageDNS,
		Says:     "With DNS capture the name of a headless Service stands for its pods in all clusters of the mesh that are on the client's network (ENABLE_MULTICLUSTER_HEADLESS). Which of them the application dials is not followed across clusters.",
		Template: "DNS capture is on: the sidecar resolves %s to the pods of headless Service %s on the client's network, in clusters %s; which one is dialled is not known here",
		Source:   "pkg/dns/server/name_table.go, BuildNameTable",
	},
	{
		ID: RuleDNSCaptureBy, Stage: StageDNS, Detail: true,
		Says:     "A ProxyConfig can turn DNS capture on and off for its namespace, or the pods that it selects.",
		Template: "ISTIO_META_DNS_CAPTURE: DNS capture is %s for this proxy",
		Source:   "pilot/pkg/model/proxy_config.go, EffectiveProxyConfig",
	},
}

// Resolved is what the application's name resolution gives.
type Resolved struct {
	Dialled
	// Found is false where the name does not resolve.
	Found bool
	// Assumed is set where the answer can not be known from here.
	Assumed bool
}

// ResolveName answers as cluster DNS does for a pod of the workload's namespace.
//
//  1. An IP is itself; the Service that has it as an address is found.
//  2. localhost is the pod.
//  3. The name with the pod's search domains (NAMESPACE.svc.DOMAIN, svc.DOMAIN, DOMAIN),
//     then as it is.
//  4. A Service that only other clusters have is known to the sidecar alone, where it answers DNS queries.
//  5. A name in the cluster's domain, or a single label, that is no Service does not resolve.
//  6. Everything else is outside the cluster and taken to resolve.
//
// Source: Kubernetes, DNS for Services and Pods; pkg/dns/server/name_table.go for DNS capture.
func (s *Snapshot) ResolveName(w *Workload, sc *Scope, host string, port int) (Resolved, []Step) {
	out := Resolved{Found: true, Dialled: Dialled{Port: port}}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		out.Address = singleAddress(ip)
		if out.Service = s.serviceAt(ip); out.Service == nil && sc != nil && sc.captured {
			out.Service = s.index.services().byAllocated[ip]
		}
		note := ""
		if out.Service != nil {
			note = " of Service " + out.Service.Ref.QualifiedName()
		} else if pod := s.WorkloadAt(ip); pod != nil {
			note = " of " + pod.Owner.String()
		} else if svc := s.hiddenServiceAt(ip); svc != nil {
			return resolveHidden(out, svc, host)
		}
		return out, []Step{NewStep(RuleDNSAddress, None, Ref{}, host, note)}
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" {
		out.Address = singleAddress(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
		return out, []Step{NewStep(RuleDNSLocalhost, None, Ref{})}
	}
	if svc, pod := s.lookupKube(name, w.Namespace); svc != nil {
		out.Pod = pod
		found, steps := s.resolveKube(out, w, svc, host)
		return found, append(s.headlessOfAll(sc, found.Service, host), steps...)
	}
	if svc := s.lookupElsewhere(name, w.Namespace); svc != nil {
		return s.resolveElsewhere(out, sc, svc, host)
	}
	if svc := entryFor(sc, name); svc != nil {
		return resolveEntry(out, sc, svc, s.Mesh, name)
	}
	if svc := cmp.Or(s.hiddenService(name, w.Namespace), s.hiddenPod(name, w.Namespace)); svc != nil {
		return resolveHidden(out, svc, host)
	}
	if !strings.Contains(name, ".") || inClusterDomain(name, s.Mesh.Domain) {
		out.Found = false
		hint, steps := s.nearestService(name, w.Namespace)
		return out, append(steps, NewStep(RuleDNSNotFound, None, Ref{}, name, host, hint))
	}
	if ns, ok := s.namespaceOf(name); ok {
		out.Found = false
		short := strings.TrimSuffix(name, "."+ns)
		return out, []Step{NewStep(RuleDNSNoServiceThere, Warned, Ref{}, short, ns)}
	}
	out.Assumed = true
	return out, []Step{NewStep(RuleDNSExternal, None, Ref{}, host)}
}

// namespaceOf is the namespace of a name of two labels, NAME.NAMESPACE, where that
// namespace is known and no VirtualService means a host of that very spelling.
func (s *Snapshot) namespaceOf(name string) (string, bool) {
	_, ns, ok := strings.Cut(name, ".")
	if !ok || strings.Contains(ns, ".") || s.Namespaces[ns] == nil {
		return "", false
	}
	return ns, len(s.index.virtualServiceHosts().places.exact[name]) == 0
}

func inClusterDomain(name, domain string) bool {
	return strings.HasSuffix(name, ".svc") || strings.HasSuffix(name, ".svc."+domain)
}

// lookupKube finds the Kubernetes Service a name means for a pod of the namespace, and the endpoint of a
// headless one that it names.
func (s *Snapshot) lookupKube(name, namespace string) (svc *Service, pod string) {
	for _, suffix := range []string{"." + namespace + ".svc." + s.Mesh.Domain, ".svc." + s.Mesh.Domain, "." + s.Mesh.Domain, ""} {
		full := name + suffix
		for _, svc := range s.ServicesForHost(full) {
			if svc.Registry == RegistryKubernetes && !svc.Elsewhere {
				return svc, ""
			}
		}
		// pod-0.NAME.NAMESPACE.svc is one endpoint of a headless Service.
		if first, parent, ok := strings.Cut(full, "."); ok && inClusterDomain(full, s.Mesh.Domain) {
			for _, svc := range s.ServicesForHost(parent) {
				if svc.Headless() && !svc.Elsewhere {
					return svc, first
				}
			}
		}
	}
	return nil, ""
}

// lookupElsewhere finds the Service of another cluster that the name means.
func (s *Snapshot) lookupElsewhere(name, namespace string) *Service {
	if !s.several() {
		return nil
	}
	for _, suffix := range []string{"." + namespace + ".svc." + s.Mesh.Domain, ".svc." + s.Mesh.Domain, "." + s.Mesh.Domain, ""} {
		for _, svc := range s.ServicesForHost(name + suffix) {
			if svc.Elsewhere {
				return svc
			}
		}
	}
	return nil
}

// headlessOfAll tells that the sidecar answers for a headless Service with pods of several clusters.
func (s *Snapshot) headlessOfAll(sc *Scope, svc *Service, host string) []Step {
	if sc == nil || !sc.captured || svc == nil || !svc.Headless() || !s.several() {
		return nil
	}
	having := s.havingService(svc)
	if len(having) == 1 && !svc.Elsewhere {
		return nil
	}
	var ids []string
	for _, m := range having {
		ids = append(ids, m.ClusterID())
	}
	return []Step{NewStep(RuleDNSCaptureAll, Warned, svc.Ref, host, svc.Namespace+"/"+svc.Name, strings.Join(ids, ", "))}
}

// resolveElsewhere is rule 4.
func (s *Snapshot) resolveElsewhere(out Resolved, sc *Scope, svc *Service, host string) (Resolved, []Step) {
	var having []string
	for _, m := range s.havingService(svc) {
		having = append(having, m.ClusterID())
	}
	plain := svc.Namespace + "/" + svc.Name
	known := sc != nil && sc.captured && sc.byHost[svc.Hostname] != nil
	if known && len(svc.Addresses) > 0 {
		out.Service, out.Address = svc, svc.Addresses[0]
		return out, []Step{NewStep(RuleDNSCaptureRemote, Matched, svc.Ref, host, out.Address, plain, s.Member(svc.Ref.Cluster).ClusterID())}
	}
	if known {
		out.Found = false
		return out, s.headlessOfAll(sc, svc, host)
	}
	verb := "has it"
	if len(having) > 1 {
		verb = "have it"
	}
	out.Found = false
	return out, []Step{NewStep(RuleDNSElsewhere, None, svc.Ref, s.ClusterID(), plain, host, strings.Join(having, ", "), verb)}
}

func (s *Snapshot) resolveKube(out Resolved, w *Workload, svc *Service, host string) (Resolved, []Step) {
	var steps []Step
	for hops := 0; svc.Resolution == Alias && hops < 8; hops++ {
		steps = append(steps, NewStep(RuleDNSAlias, Applied, svc.Ref.At("spec.externalName"), svc.Hostname, svc.ExternalName))
		next, pod := s.lookupKube(strings.ToLower(strings.TrimSuffix(svc.ExternalName, ".")), svc.Namespace)
		if next == nil || next == svc {
			if inClusterDomain(svc.ExternalName, s.Mesh.Domain) {
				out.Found = false
				return out, append(steps, NewStep(RuleDNSNotFound, None, svc.Ref.At("spec.externalName"), svc.ExternalName, svc.ExternalName, ""))
			}
			out.Assumed = true
			return out, append(steps, NewStep(RuleDNSExternal, None, svc.Ref.At("spec.externalName"), svc.ExternalName))
		}
		svc, out.Pod = next, pod
	}
	out.Service = svc
	here := svc
	if own := s.own(svc); own != nil {
		here = own // its address is what DNS has
	}
	if svc.Headless() {
		if len(s.NamedEndpoints(svc, out.Pod, out.Port)) == 0 {
			if others := s.NamedEndpoints(svc, "", out.Port); out.Pod != "" && len(others) > 0 {
				out.Found = false
				return out, append(append(steps, Behind(svc, others)...), NewStep(RuleDNSNotFound, None, svc.Ref, host, host, " (no pod of "+svc.Ref.QualifiedName()+" has the hostname "+out.Pod+")"))
			}
			if empty := s.withoutPods(w, svc); len(empty) > 0 {
				out.Found = false
				return out, append(append(steps, empty...), NewStep(RuleDNSNoEndpoints, None, svc.Ref, host))
			}
		}
		out.Headless = true
		return out, append(steps, NewStep(RuleDNSHeadless, Matched, here.Ref, host, here.Ref.QualifiedName()))
	}
	if len(svc.Addresses) > 0 {
		out.Address = svc.Addresses[0]
	}
	return out, append(steps, NewStep(RuleDNSService, Matched, here.Ref, host, here.Ref.QualifiedName(), out.Address))
}

// resolveHidden is the name of a Service that istiod does not know: DNS has its ClusterIP all the same.
func resolveHidden(out Resolved, svc *corev1.Service, host string) (Resolved, []Step) {
	out.Unseen = true
	at := "its ClusterIP"
	if svc.Spec.ClusterIP == corev1.ClusterIPNone {
		at = "its pods"
	}
	if ip, err := netip.ParseAddr(svc.Spec.ClusterIP); err == nil {
		out.Address, at = singleAddress(ip), ip.String()
	} else {
		out.Assumed = true
	}
	return out, []Step{NewStep(RuleHiddenService, None, refOf("", "Service", svc), host, svc.Namespace+"/"+svc.Name, at, svc.Namespace)}
}

// withoutPods says why the name of a headless Service has nothing behind it; nothing where that is not known.
func (s *Snapshot) withoutPods(w *Workload, svc *Service) []Step {
	port := Port{}
	if len(svc.Ports) > 0 {
		port = svc.Ports[0]
	}
	_, steps := s.Backends(w, svc, port)
	for _, step := range steps {
		if step.Verdict == Warned {
			return nil
		}
	}
	return steps
}

// entryFor finds the ServiceEntry host that a proxy has for a name.
func entryFor(sc *Scope, name string) *Service {
	if sc == nil {
		return nil
	}
	if svc := sc.byHost[name]; svc != nil {
		return svc
	}
	best := ""
	for h := range sc.byHost {
		if IsWildcardHost(h) && HostSubsetOf(name, h) && (best == "" || CompareHostSpecificity(h, best) < 0) {
			best = h
		}
	}
	return sc.byHost[best]
}

// addresses are what the proxy takes for a service's: those that istiod gave a ServiceEntry's host, where the proxy
// answers DNS queries and the host has no others.
// Source: pilot/pkg/model/service.go, GetAddressForProxy, nodeUsesAutoallocatedIPs.
func (sc *Scope) addresses(svc *Service) []Address {
	if len(svc.Addresses) == 0 && sc.captured {
		return svc.Allocated
	}
	return svc.Addresses
}

// ipOf is the first address of a service that is no range.
func (sc *Scope) ipOf(svc *Service) Address {
	for _, a := range sc.addresses(svc) {
		if !a.IsCIDR() {
			return a
		}
	}
	return Address{}
}

// entryWithIP is the ServiceEntry host itself, or another ServiceEntry of the same host that has an IP where it has none.
func (sc *Scope) entryWithIP(svc *Service) *Service {
	if sc.ipOf(svc).Prefix.IsValid() {
		return svc
	}
	for _, e := range sc.Egress {
		for _, other := range e.byHost[svc.Hostname] {
			if sc.ipOf(other).Prefix.IsValid() {
				return other
			}
		}
	}
	return svc
}

func resolveEntry(out Resolved, sc *Scope, svc *Service, mesh *Mesh, name string) (Resolved, []Step) {
	out.Service, out.Address = svc, sc.ipOf(svc)
	if sc.captured {
		return out, []Step{NewStep(RuleDNSCapture, Matched, svc.Ref, name, svc.Ref.QualifiedName())}
	}
	if !strings.Contains(name, ".") || inClusterDomain(name, mesh.Domain) {
		out.Found = false
		return out, []Step{NewStep(RuleDNSNotFound, None, svc.Ref, name, name, " (without DNS capture no DNS server answers for a ServiceEntry)")}
	}
	if with := sc.entryWithIP(svc); sc.ipOf(with).Prefix.IsValid() {
		out.Assumed, out.Address = true, sc.ipOf(with)
		return out, []Step{NewStep(RuleDNSEntryAddress, None, with.Ref.At("spec.addresses[0]"), name, out.Address)}
	}
	out.Assumed = true
	return out, []Step{NewStep(RuleDNSExternal, None, svc.Ref, name)}
}

// serviceAt finds the service that has the address: the Kubernetes Service, whose ClusterIP it is, before a
// ServiceEntry, which only writes it down.
func (s *Snapshot) serviceAt(ip netip.Addr) *Service { return s.index.services().byAddress[ip] }

// ClusterIPAt finds the Kubernetes Service that has the address.
func (s *Snapshot) ClusterIPAt(ip netip.Addr) *Service {
	if svc := s.serviceAt(ip); svc != nil && svc.Registry == RegistryKubernetes {
		return svc
	}
	return nil
}

// WorkloadAt finds the pod or WorkloadEntry that has the address: the oldest pod, else the first WorkloadEntry. A pod
// that istiod does not see has its address all the same.
func (s *Snapshot) WorkloadAt(ip netip.Addr) *Workload {
	return s.index.addresses.of(ip, func() *Workload {
		namespaces, _ := s.runningWith(Sought{Kind: podKind, Address: ip})
		has := func(w *Workload) bool { return !w.HostNetwork && slices.Contains(w.Addresses, ip) }
		all := s.workloadsAmong(namespaces)
		for _, namespace := range sortedKeys(s.index.entries()) {
			all = append(all, s.WorkloadEntriesIn(namespace)...)
		}
		for _, namespace := range namespaces {
			all = append(all, s.runningCell(namespace).unseen().all...)
		}
		if i := slices.IndexFunc(all, has); i >= 0 {
			return all[i]
		}
		return nil
	})
}

// nearestService suggests what a name that does not resolve could have meant.
func (s *Snapshot) nearestService(name, namespace string) (hint string, steps []Step) {
	short, _, _ := strings.Cut(name, ".")
	var found []string
	for _, svc := range s.KubeServices {
		if svc.Name == short && svc.Namespace != namespace {
			found = append(found, svc.Namespace+"/"+svc.Name)
			steps = append(steps, NewStep(RuleDNSOtherSpace, Skipped, refOf("", "Service", svc), svc.Namespace, namespace, svc.Name, svc.Namespace))
		}
	}
	if len(found) > 0 {
		hint = " (there is " + joinLimited(found, 3) + ")"
	}
	return hint, steps
}
