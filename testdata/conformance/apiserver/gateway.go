package apiserver

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	networkingk8s "k8s.io/api/networking/v1"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/mesh"
)

// gateways adds the gateway workloads that manifests with Istio Gateways leave out, as the
// tracer says that it assumes them: Istio's standard ingress gateway where the selector fits
// it, else a workload with the selector's labels.
func (c *Cluster) gateways() {
	standard := map[string]string{"istio": "ingressgateway", "app": "istio-ingressgateway"}
	byLabels := map[string]*corev1.Service{}
	configs, there := append(c.ingressGateways(), c.Configs...), slices.Clone(c.Pods)
	slices.SortStableFunc(configs, func(a, b config.Config) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp), cmp.Compare(a.Name+"."+a.Namespace, b.Name+"."+b.Namespace))
	})
	for _, cfg := range configs {
		gw, ok := cfg.Spec.(*networking.Gateway)
		if !ok || anyPod(there, gw.GetSelector()) {
			continue
		}
		labels, namespace, name := gw.GetSelector(), cfg.Namespace, nameOf(gw.GetSelector())
		if selects(labels, standard) {
			labels, namespace, name = standard, "istio-system", "istio-ingressgateway"
		}
		key := fmt.Sprint(labels)
		s := byLabels[key]
		if s == nil {
			s = c.addGateway(labels, namespace, name)
			byLabels[key] = s
		}
		for _, server := range gw.GetServers() {
			n := int32(server.GetPort().GetNumber())
			reached := slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == n || p.TargetPort.IntVal == n })
			if !reached {
				s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: fmt.Sprintf("port-%d", n), Port: n, TargetPort: intstr.FromInt32(n), Protocol: corev1.ProtocolTCP})
			}
		}
	}
}

// ingressGateways are the Gateways that istiod makes of Ingresses, as far as workloads go: what they select, and
// their ports. They have no age.
func (c *Cluster) ingressGateways() []config.Config {
	m, err := mesh.ApplyMeshConfig(c.MeshConfig, mesh.DefaultMeshConfig())
	if err != nil {
		return nil // the control plane refuses it
	}
	service := m.GetIngressService()
	if service == "istio-ingressgateway" {
		service = ""
	}
	label := cmp.Or(m.GetIngressSelector(), service, "ingressgateway")
	var out []config.Config
	for _, o := range c.Objects {
		in, ok := o.(*networkingk8s.Ingress)
		if !ok {
			continue
		}
		spec := &networking.Gateway{Selector: map[string]string{"istio": label}, Servers: []*networking.Server{{Port: &networking.Port{Number: 80}}}}
		if len(in.Spec.TLS) > 0 {
			spec.Servers = append(spec.Servers, &networking.Server{Port: &networking.Port{Number: 443}})
		}
		out = append(out, config.Config{Meta: config.Meta{Name: in.Name, Namespace: "istio-system"}, Spec: spec})
	}
	return out
}

func anyPod(pods []*Pod, selector map[string]string) bool {
	for _, p := range pods {
		if selects(selector, p.Labels) && (len(selector) > 0 || p.Proxy == "gateway") {
			return true
		}
	}
	return false
}

func nameOf(selector map[string]string) string {
	var values []string
	for _, k := range slices.Sorted(maps.Keys(selector)) {
		values = append(values, selector[k])
	}
	return strings.Join(slices.Compact(values), "-")
}

func (c *Cluster) addGateway(labels map[string]string, namespace, name string) *corev1.Service {
	var service *corev1.Service
	for _, s := range c.Services {
		if len(s.Spec.Selector) > 0 && selects(s.Spec.Selector, labels) {
			service, namespace = s.DeepCopy(), s.Namespace
			break
		}
	}
	c.addPod(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-0", Namespace: namespace, Labels: labels, CreationTimestamp: metav1.NewTime(created)},
		Spec: corev1.PodSpec{
			ServiceAccountName: name + "-service-account",
			Containers:         []corev1.Container{{Name: "istio-proxy", Image: "proxyv2", Args: []string{"proxy", "router"}}},
		},
	}, "Deployment "+namespace+"/"+name)
	if service != nil {
		return service // the ports of a Service that exists are not changed: this is a copy
	}
	service = &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, CreationTimestamp: metav1.NewTime(created)},
		Spec:       corev1.ServiceSpec{Selector: labels},
	}
	if name == "istio-ingressgateway" {
		service.Spec.Ports = []corev1.ServicePort{
			{Name: "http2", Port: 80, TargetPort: intstr.FromInt32(8080)},
			{Name: "https", Port: 443, TargetPort: intstr.FromInt32(8443)},
		}
	}
	c.addService(service)
	return c.Services[len(c.Services)-1]
}

// PodPorts are the ports of a gateway pod behind a port of its Services. A gateway without a Service
// is reached at the port itself.
func (c *Cluster) PodPorts(gateway *Pod, port int) []int {
	served := false
	var out []int
	for _, s := range c.Services {
		if s.Namespace != gateway.Namespace || len(s.Spec.Selector) == 0 || !selects(s.Spec.Selector, gateway.Labels) {
			continue
		}
		served = true
		for _, p := range s.Spec.Ports {
			if int(p.Port) == port {
				if n, ok := portOf(gateway, p); ok {
					out = append(out, int(n))
				}
			}
		}
	}
	if !served {
		return []int{port}
	}
	return out
}
