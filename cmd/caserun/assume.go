package caserun

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	networkingapi "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// The manifests of istio-config-validator may be VirtualServices and nothing else, and no request would meet them: a proxy has no listener for a host that
// no Service is of, and a gateway that does not exist has no workload. Assume adds the least that lets requests meet them:
//
//  1. For a gateway that a VirtualService names and nobody defines: a Gateway that takes HTTP of all hosts on port 80, and a Deployment that runs it.
//  2. For a host of a VirtualService of the mesh (one without gateways, or with the gateway mesh) that no Service and no ServiceEntry has: an entry for it,
//     port 80, HTTP.
//
// What a route leads to is not added: which rule takes a request does not depend on it.

// assumedLabel selects the gateway's workload that is assumed.
const assumedLabel = "assumed-by.meshtrace.dev"

// Assume adds to the manifests what VirtualServices lack to be reached, and says what that is.
func Assume(in *resolve.Input) (added []string) {
	a := assumption{input: in, gateways: map[string]bool{}, hosts: map[string]bool{}}
	var services []*networking.VirtualService
	for _, r := range in.Resources {
		switch o := r.Object.(type) {
		case *networking.Gateway:
			a.gateways[o.GetNamespace()+"/"+o.GetName()] = true
		case *corev1.Service:
			a.hosts[o.GetName()+"."+o.GetNamespace()] = true
		case *networking.ServiceEntry:
			for _, h := range o.Spec.GetHosts() {
				a.hosts[h] = true
			}
		case *networking.VirtualService:
			services = append(services, o)
		}
	}
	for _, o := range services {
		a.virtualService(o)
	}
	return a.added
}

// assumption is what there is, and what was added.
type assumption struct {
	input *resolve.Input
	// gateways are NAMESPACE/NAME, hosts NAME.NAMESPACE of Services and hosts of ServiceEntries.
	gateways, hosts map[string]bool
	added           []string
}

func (a *assumption) virtualService(o *networking.VirtualService) {
	gateways := o.Spec.GetGateways()
	for _, g := range gateways {
		if g != meshGateway {
			a.gateway(o, g)
		}
	}
	if len(gateways) > 0 && !slices.Contains(gateways, meshGateway) {
		return
	}
	for _, host := range o.Spec.GetHosts() {
		a.host(o, host)
	}
}

// meshGateway is the name of no gateway: all sidecars.
const meshGateway = "mesh"

func (a *assumption) gateway(o *networking.VirtualService, name string) {
	namespace, name, qualified := strings.Cut(name, "/")
	if !qualified {
		namespace, name = o.GetNamespace(), namespace
	}
	key := namespace + "/" + name
	if a.gateways[key] {
		return
	}
	a.gateways[key] = true
	labels := map[string]string{assumedLabel: name}
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	gateway := &networking.Gateway{ObjectMeta: meta}
	gateway.Spec.Selector = labels
	gateway.Spec.Servers = []*networkingapi.Server{{
		Port: &networkingapi.Port{Number: 80, Name: "http", Protocol: "HTTP"}, Hosts: []string{"*"},
	}}
	deployment := &appsv1.Deployment{ObjectMeta: *meta.DeepCopy()}
	deployment.Labels = labels
	deployment.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	deployment.Spec.Template.Labels = labels
	deployment.Spec.Template.Spec.Containers = []corev1.Container{{Name: "istio-proxy", Image: "auto"}}
	deployment.Spec.Template.Annotations = map[string]string{"inject.istio.io/templates": "gateway", "sidecar.istio.io/inject": "true"}
	a.add(gateway, schema.GroupKind{Group: "networking.istio.io", Kind: "Gateway"},
		"no manifest has the gateway %s that VirtualService %s/%s names: taken to be one of HTTP on port 80 for all hosts", key, o.GetNamespace(), o.GetName())
	a.add(deployment, schema.GroupKind{Group: "apps", Kind: "Deployment"}, "")
}

func (a *assumption) host(o *networking.VirtualService, host string) {
	service, namespace := host, o.GetNamespace()
	local := !strings.Contains(host, ".") && host != "*"
	if rest, ok := strings.CutSuffix(host, ".svc.cluster.local"); ok {
		service, namespace, local = strings.Split(rest, ".")[0], rest[strings.LastIndex(rest, ".")+1:], strings.Count(rest, ".") == 1
	}
	key := host
	if local {
		key = service + "." + namespace
	}
	if host == "*" || a.hosts[key] || a.hosts[host] {
		return
	}
	a.hosts[key] = true
	const says = "no Service and no ServiceEntry has the host %s of VirtualService %s/%s: taken to be one of HTTP on port 80"
	if local {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: service}}
		s.Spec.Ports = []corev1.ServicePort{{Name: "http", Port: 80}}
		a.add(s, schema.GroupKind{Kind: "Service"}, says, host, o.GetNamespace(), o.GetName())
		return
	}
	e := &networking.ServiceEntry{ObjectMeta: metav1.ObjectMeta{
		Namespace: o.GetNamespace(), Name: "assumed-" + strings.NewReplacer("*", "wildcard").Replace(host),
	}}
	e.Spec.Hosts = []string{host}
	e.Spec.Ports = []*networkingapi.ServicePort{{Number: 80, Name: "http", Protocol: "HTTP"}}
	if !strings.HasPrefix(host, "*") {
		e.Spec.Resolution = networkingapi.ServiceEntry_DNS
	}
	a.add(e, schema.GroupKind{Group: "networking.istio.io", Kind: "ServiceEntry"}, says, host, o.GetNamespace(), o.GetName())
}

func (a *assumption) add(o resolve.Object, gk schema.GroupKind, format string, args ...any) {
	a.input.Resources = append(a.input.Resources, resolve.Sourced{Object: o, GroupKind: gk, Origin: assumed{}})
	if format != "" {
		a.added = append(a.added, fmt.Sprintf(format, args...))
	}
}

// assumed is the origin of what nobody wrote.
type assumed struct{}

// Locate says so.
func (assumed) Locate(string) string { return "assumed" }

// hostNamespace is the namespace of the VirtualService that has the host of a URL: as it is, or else by a wildcard.
func hostNamespace(s *resolve.Snapshot, address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil {
		return "", false
	}
	for _, has := range []func(host string) bool{
		func(host string) bool { return host == u.Host || host == u.Hostname() },
		func(host string) bool {
			suffix, ok := strings.CutPrefix(host, "*")
			return ok && strings.HasSuffix(u.Hostname(), suffix)
		},
	} {
		for _, o := range s.RawVirtualServices {
			if slices.ContainsFunc(o.Spec.GetHosts(), has) {
				return o.GetNamespace(), true
			}
		}
	}
	return "", false
}

// compact is a JSON text without blanks.
func compact(data []byte) string {
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return string(data)
	}
	return b.String()
}
