package simulation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/core"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/constants"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/util/protomarshal"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/simulation/xds"
)

// manifests are the options as YAML, or why they can not be written so.
func manifests(o xds.FakeOptions) (text, unwritten string) {
	if len(o.KubernetesObjects) > 0 || len(o.Services) > 0 || o.ConfigTemplateInput != nil {
		return "", "options that are no manifests"
	}
	parts := []string{o.ConfigString}
	for _, c := range o.Configs {
		if _, ok := c.Annotations[constants.InternalParentNames]; ok {
			return "", "only istiod's conversion of the Gateway API makes such a " + c.GroupVersionKind.Kind
		}
		part, err := configYAML(c)
		if err != nil {
			return "", err.Error()
		}
		parts = append(parts, part)
	}
	for _, doc := range strings.Split(o.KubernetesObjectString, "\n---\n") {
		var head struct {
			metav1.TypeMeta   `json:",inline"`
			metav1.ObjectMeta `json:"metadata"`
		}
		if yaml.Unmarshal([]byte(doc), &head) == nil && slices.ContainsFunc(o.Configs, func(c config.Config) bool {
			return c.GroupVersionKind.Kind == head.Kind && c.Name == head.Name && c.Namespace == cmp.Or(head.Namespace, "default")
		}) {
			continue // given to both, the store and the API server
		}
		parts = append(parts, doc)
	}
	return strings.Join(parts, "\n---\n"), ""
}

func configYAML(c config.Config) (string, error) {
	o, err := crd.ConvertConfig(c)
	if err != nil {
		return "", err
	}
	text, err := yaml.Marshal(o)
	return string(text), err
}

func meshYAML(m *meshconfig.MeshConfig) string {
	text, err := protomarshal.ToYAML(m)
	if err != nil {
		return ""
	}
	return text
}

// registered are the services that the registry was given as Go values, with the endpoints that are
// the proxy's, and the store's configuration.
func registered(s *core.ConfigGenTest, proxy *model.Proxy) (text, unwritten string) {
	var parts []string
	add := func(o any) {
		y, err := yaml.Marshal(o)
		if err != nil {
			unwritten = err.Error()
		}
		parts = append(parts, string(y))
	}
	for _, svc := range s.MemRegistry.Services() {
		name, rest, _ := strings.Cut(string(svc.Hostname), ".")
		namespace, _, _ := strings.Cut(rest, ".")
		k := &corev1.Service{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
			Spec:       corev1.ServiceSpec{ClusterIP: svc.DefaultAddress},
		}
		for _, p := range svc.Ports {
			k.Spec.Ports = append(k.Spec.Ports, corev1.ServicePort{Name: p.Name, Port: int32(p.Port), AppProtocol: ptrTo(strings.ToLower(string(p.Protocol)))})
		}
		add(k)
		slice := &discoveryv1.EndpointSlice{
			TypeMeta:    metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
			ObjectMeta:  metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
			AddressType: discoveryv1.AddressTypeIPv4,
		}
		for _, t := range proxy.ServiceTargets {
			if t.Service.Hostname == svc.Hostname {
				slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: ptrTo(t.Port.Name), Port: ptrTo(int32(t.Port.TargetPort))})
			}
		}
		if len(slice.Ports) > 0 {
			slice.Endpoints = []discoveryv1.Endpoint{{Addresses: proxy.IPAddresses}}
		}
		add(slice)
	}
	for _, schema := range collections.Pilot.All() {
		for _, c := range s.Store().List(schema.GroupVersionKind(), "") {
			part, err := configYAML(c)
			if err != nil {
				return "", fmt.Sprint(err)
			}
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "\n---\n"), unwritten
}

func ptrTo[T any](v T) *T { return &v }
