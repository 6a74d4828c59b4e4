//go:build integ

package integration

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/http/headers"
	"istio.io/istio/pkg/test"
	"istio.io/istio/pkg/test/echo/common/scheme"
	"istio.io/istio/pkg/test/env"
	"istio.io/istio/pkg/test/framework/components/cluster"
	"istio.io/istio/pkg/test/framework/components/echo"
	"istio.io/istio/pkg/test/framework/components/echo/check"
	"istio.io/istio/pkg/test/framework/components/istio"
	"istio.io/istio/pkg/test/framework/components/istio/ingress"
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
	for _, n := range []namespaceNamed{{name: systemNamespace}, s.echo, s.external} {
		o := &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: n.name}}
		if n.injected {
			o.Labels = map[string]string{"istio-injection": "enabled"}
		}
		if err := s.write(o); err != nil {
			return err
		}
	}
	service := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: gatewayName, Namespace: systemNamespace, Labels: gatewayLabels()},
		Spec:       extra.Spec.Components.IngressGateways[0].K8s.Service,
		Status:     corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: gatewayAddress}}}},
	}
	service.Spec.Type, service.Spec.Selector, service.Spec.ClusterIP = corev1.ServiceTypeLoadBalancer, gatewayLabels(), s.nextClusterIP()
	if err := s.write(service); err != nil {
		return err
	}
	return s.write(s.gatewayPod())
}

func gatewayLabels() map[string]string {
	return map[string]string{"app": gatewayName, "istio": "ingressgateway"}
}

func (s *suite) gatewayPod() *corev1.Pod {
	const hash = "6b7f9d5c48"
	labels, controls := gatewayLabels(), true
	labels["pod-template-hash"] = hash
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: gatewayName + "-" + hash + "-q8w2e", Namespace: systemNamespace, Labels: labels,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: gatewayName + "-" + hash, Controller: &controls}},
		},
		Spec: corev1.PodSpec{
			ServiceAccountName: gatewayName + "-service-account",
			Containers:         []corev1.Container{{Name: "istio-proxy", Image: "proxyv2", Args: []string{"proxy", "router"}}},
		},
		Status: s.running(),
	}
}

// Settings are those of a plain install.
func (i *install) Settings() istio.Config { return istio.Config{SystemNamespace: systemNamespace} }

// Ingresses is the one ingress gateway.
func (i *install) Ingresses() ingress.Instances { return ingress.Instances{&gateway{suite: i.suite}} }

// IngressFor is the one ingress gateway.
func (i *install) IngressFor(cluster.Cluster) ingress.Instance { return &gateway{suite: i.suite} }

// CustomIngressFor is for gateways that none of the tests makes.
func (i *install) CustomIngressFor(cluster.Cluster, types.NamespacedName, string) ingress.Instance {
	return nil
}

// MeshConfig is the one of the install.
func (i *install) MeshConfig() (*meshconfig.MeshConfig, error) {
	return mesh.ApplyMeshConfig(i.meshConfig, mesh.DefaultMeshConfig())
}

// MeshConfigOrFail is MeshConfig.
func (i *install) MeshConfigOrFail(t test.Failer) *meshconfig.MeshConfig {
	m, err := i.MeshConfig()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// gateway is the ingress gateway; a call by it comes from outside the cluster.
type gateway struct {
	ingress.Instance
	suite *suite
}

// CallOrFail hands the call over, with the ports that the schemes have at the gateway.
func (g *gateway) CallOrFail(t test.Failer, o echo.CallOptions) echo.CallResult {
	t.Helper()
	if o.Check == nil {
		o.Check = check.OK()
	}
	o = o.DeepCopy()
	if o.Port.ServicePort == 0 {
		if o.Scheme == "" {
			var err error
			if o.Scheme, err = o.Port.Scheme(); err != nil {
				t.Fatal(err)
			}
		}
		o.Port.ServicePort = map[scheme.Instance]int{scheme.HTTP: 80, scheme.HTTPS: 443, scheme.TCP: 31400}[o.Scheme]
	}
	o.HTTP.Headers = o.HTTP.Headers.Clone()
	if host := o.GetHost(); host != "" {
		if o.HTTP.Headers == nil {
			o.HTTP.Headers = headers.New().Build()
		}
		o.HTTP.Headers.Set(headers.Host, host)
	}
	o.Address = gatewayAddress
	if err := o.FillDefaults(); err != nil {
		t.Fatal(err)
	}
	return g.suite.call(t, g, nil, o)
}

func (g *gateway) Cluster() cluster.Cluster          { return g.suite.cluster }
func (g *gateway) ServiceName() string               { return gatewayName }
func (g *gateway) Namespace() string                 { return systemNamespace }
func (g *gateway) HTTPAddresses() ([]string, []int)  { return g.AddressesForPort(80) }
func (g *gateway) HTTPSAddresses() ([]string, []int) { return g.AddressesForPort(443) }
func (g *gateway) TCPAddresses() ([]string, []int)   { return g.AddressesForPort(31400) }
func (g *gateway) AddressesForPort(port int) ([]string, []int) {
	return []string{gatewayAddress}, []int{port}
}

// DiscoveryAddresses is where istiod would be reached from outside.
func (g *gateway) DiscoveryAddresses() []netip.AddrPort {
	return []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(gatewayAddress), 15012)}
}
