//go:build integ

package integration

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"istio.io/istio/pkg/test/env"
	"istio.io/istio/pkg/test/framework/components/istio"
)

const (
	systemNamespace = "istio-system"
	gatewayName     = "istio-ingressgateway"
	gatewayAddress  = "203.0.113.80" // of the load balancer
)

// install is the Istio that the tests' defaults install, as far as manifests show it: the mesh
// config and the ingress gateway.
type install struct {
	istio.Instance
	suite      *suite
	meshConfig string
}

// operator is what the files of the tests' defaults hold.
type operator struct {
	Spec struct {
		MeshConfig map[string]any `json:"meshConfig"`
		Components struct {
			IngressGateways []struct {
				K8s struct {
					Service corev1.ServiceSpec `json:"service"`
				} `json:"k8s"`
			} `json:"ingressGateways"`
		} `json:"components"`
	} `json:"spec"`
}

func defaults(file string) (*operator, error) {
	text, err := os.ReadFile(filepath.Join(env.IstioSrc, file))
	if err != nil {
		return nil, err
	}
	out := &operator{}
	return out, yaml.Unmarshal(text, out)
}

// install adds the namespaces, the mesh config and the ingress gateway.
func (s *suite) install() error {
	base, err := defaults(istio.BaseIOP)
	if err != nil {
		return err
	}
	text, err := yaml.Marshal(base.Spec.MeshConfig)
	if err != nil {
		return err
	}
	s.istio.meshConfig = string(text)
	extra, err := defaults(istio.IntegrationTestDefaultsIOP)
	if err != nil {
		return err
	}
	if len(extra.Spec.Components.IngressGateways) != 1 {
		return fmt.Errorf("%s: expected one ingress gateway", istio.IntegrationTestDefaultsIOP)
	}
	for _, n := range append([]namespaceNamed{{name: systemNamespace}}, s.namespaces...) {
		o := &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: n.name}}
		if n.injected {
			o.Labels = map[string]string{"istio-injection": "enabled"}
		}
		if err := s.write(o); err != nil {
			return err
		}
	}
	ports := extra.Spec.Components.IngressGateways[0].K8s.Service.Ports
	return s.addGateway(gatewayName, "ingressgateway", corev1.ServiceTypeLoadBalancer, ports)
}

// addGateway writes a gateway's Service and pod.
func (s *suite) addGateway(name, label string, kind corev1.ServiceType, ports []corev1.ServicePort) error {
	const hash = "6b7f9d5c48"
	selector := map[string]string{"app": name, "istio": label}
	service := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: systemNamespace, Labels: selector},
		Spec:       corev1.ServiceSpec{Type: kind, Ports: ports, Selector: selector, ClusterIP: s.nextClusterIP()},
	}
	if kind == corev1.ServiceTypeLoadBalancer {
		service.Status = corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: gatewayAddress}}}}
	}
	if err := s.write(service); err != nil {
		return err
	}
	labels, controls := maps.Clone(selector), true
	labels["pod-template-hash"] = hash
	return s.write(&corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name + "-" + hash + "-q8w2e", Namespace: systemNamespace, Labels: labels,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: name + "-" + hash, Controller: &controls}},
		},
		Spec: corev1.PodSpec{
			ServiceAccountName: name + "-service-account",
			Containers:         []corev1.Container{{Name: "istio-proxy", Image: "proxyv2", Args: []string{"proxy", "router"}}},
		},
		Status: s.running(),
	})
}

// egressGateway adds the one that the tests' defaults install by its chart.
func (s *suite) egressGateway() error {
	const chart = "manifests/charts/gateways/istio-egress/values.yaml"
	text, err := os.ReadFile(filepath.Join(env.IstioSrc, chart))
	if err != nil {
		return err
	}
	values := struct {
		Defaults struct {
			Gateways map[string]struct {
				Ports []corev1.ServicePort `json:"ports"`
			} `json:"gateways"`
		} `json:"_internal_defaults_do_not_set"`
	}{}
	if err := yaml.Unmarshal(text, &values); err != nil {
		return fmt.Errorf("%s: %w", chart, err)
	}
	ports := values.Defaults.Gateways[istio.DefaultEgressGatewayServiceName].Ports
	return s.addGateway(istio.DefaultEgressGatewayServiceName, istio.DefaultEgressGatewayIstioLabel, corev1.ServiceTypeClusterIP, ports)
}

// Settings are those of a plain install.
func (i *install) Settings() istio.Config {
	return istio.Config{
		SystemNamespace:               systemNamespace,
		EgressGatewayServiceNamespace: systemNamespace,
		EgressGatewayServiceName:      istio.DefaultEgressGatewayServiceName,
		EgressGatewayIstioLabel:       istio.DefaultEgressGatewayIstioLabel,
	}
}
