package cmd

import (
	"cmp"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/reach"
)

// known is what a completion chooses from.
type known struct {
	*resolve.Snapshot
	// namespace is the current one.
	namespace string
	// partial is true where a cluster was asked for one word and has more than was read.
	partial bool
}

// hostsOf are the hosts that something in the mesh is known by: Services as
// NAME.NAMESPACE, in the current namespace as NAME as well, and what routes,
// ServiceEntries and ingresses name. Where port 80 does not answer, the first
// port of a Service is written.
func hostsOf(s known) []string {
	var hosts []string
	for _, service := range s.KubeServices {
		port := portOf(service)
		hosts = append(hosts, service.Name+"."+service.Namespace+port)
		if service.Namespace == s.namespace {
			hosts = append(hosts, service.Name+port)
		}
	}
	add := func(names ...string) {
		for _, name := range names {
			// A short name of a VirtualService is that of a Service, which is listed.
			if strings.Contains(name, ".") && !strings.Contains(name, "*") {
				hosts = append(hosts, name)
			}
		}
	}
	for _, vs := range s.RawVirtualServices {
		add(vs.Spec.GetHosts()...)
	}
	for _, se := range s.ServiceEntries {
		add(se.Spec.GetHosts()...)
	}
	for _, route := range s.HTTPRoutes {
		for _, host := range route.Spec.Hostnames {
			add(string(host))
		}
	}
	for _, route := range s.GRPCRoutes {
		for _, host := range route.Spec.Hostnames {
			add(string(host))
		}
	}
	for _, route := range s.TLSRoutes {
		for _, host := range route.Spec.Hostnames {
			add(string(host))
		}
	}
	for _, ingress := range s.Ingresses {
		for _, rule := range ingress.Spec.Rules {
			add(rule.Host)
		}
	}
	return sorted(hosts)
}

// portOf is ":PORT" of a Service that has no port 80.
func portOf(service *corev1.Service) string {
	for _, p := range service.Spec.Ports {
		if p.Port == 80 {
			return ""
		}
	}
	if len(service.Spec.Ports) == 0 {
		return ""
	}
	return fmt.Sprintf(":%d", service.Spec.Ports[0].Port)
}

// sourcesOf are the workloads a request can come from, as --from takes them. Of a cluster these are the ones of one
// namespace; the others are offered as NAMESPACE/, to be completed in turn.
func sourcesOf(s known) []string {
	sources := []string{trace.External}
	add := func(kind string, o metav1.Object) {
		name := kind + "/" + o.GetName()
		if in := cmp.Or(o.GetNamespace(), s.namespace); in != s.namespace {
			name = in + "/" + name
		}
		sources = append(sources, name)
	}
	each("workloadentry", s.WorkloadEntries, add)
	for _, ns := range s.RunningNamespaces() {
		running := s.RunningIn(ns)
		each("deployment", running.Deployments(), add)
		each("statefulset", running.StatefulSets(), add)
		each("daemonset", running.DaemonSets(), add)
		each("cronjob", running.CronJobs(), add)
		each("serviceaccount", running.ServiceAccounts(), add)
		for _, pod := range running.Pods() {
			if metav1.GetControllerOf(pod) == nil {
				add("pod", pod)
			}
		}
	}
	if s.partial {
		for name := range s.Namespaces {
			if name != s.namespace {
				sources = append(sources, name+"/")
			}
		}
	}
	return sorted(sources)
}

// gatewaysOf are the gateways of either kind, as --gateway takes them.
func gatewaysOf(s known) []string {
	var gateways []string
	add := func(_ string, o metav1.Object) {
		if o.GetNamespace() == s.namespace {
			gateways = append(gateways, o.GetName())
		}
		gateways = append(gateways, o.GetNamespace()+"/"+o.GetName())
	}
	each("", s.Gateways, add)
	each("", s.KubeGateways, add)
	return sorted(gateways)
}

// sourcePatternsOf are the sources, and the words that stand for many.
func sourcePatternsOf(s known) []string {
	return sorted(append(sourcesOf(s), reach.All, reach.Unmeshed))
}

// servicesOf are the Services as --to names them, and the words that stand for many.
func servicesOf(s known) []string {
	services := []string{reach.All}
	for _, service := range s.KubeServices {
		services = append(services, service.Namespace+"/"+service.Name)
	}
	return sorted(services)
}

// namespacesOf are the namespaces that exist, or that some object lives in.
func namespacesOf(s known) []string {
	var names []string
	for name := range s.Namespaces {
		names = append(names, name)
	}
	add := func(_ string, o metav1.Object) { names = append(names, o.GetNamespace()) }
	each("", s.KubeServices, add)
	for _, ns := range s.RunningNamespaces() {
		each("", s.RunningIn(ns).Deployments(), add)
	}
	each("", s.RawVirtualServices, add)
	return sorted(names)
}

// each hands every object of a list to add.
func each[T metav1.Object](kind string, objects []T, add func(string, metav1.Object)) {
	for _, o := range objects {
		add(kind, o)
	}
}
