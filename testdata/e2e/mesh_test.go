package e2e

import (
	"cmp"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"testing"

	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pkg/config"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// A mesh is manifests, completed to what a cluster has once its controllers, its kubelets and istiod's webhook have run:
// pods with their proxies, and EndpointSlices. The completion is that of the conformance tests. Both sides of a
// comparison get the completed mesh, so that they differ in nothing but what an API server does to it.
type mesh struct {
	objects []*unstructured.Unstructured
}

// completed completes manifests, by the name of their file. The error of an incomplete mesh is an [apiserver.Unjudged].
func completed(manifests map[string]string) (mesh, error) {
	var m mesh
	known := map[string]bool{}
	add := func(o *unstructured.Unstructured) {
		if o.GetName() == "" || known[key(o)] {
			return
		}
		known[key(o)] = true
		m.objects = append(m.objects, o)
	}
	c, err := apiserver.NewWithGateways(manifests)
	if err != nil {
		return mesh{}, err
	}
	for _, p := range c.Pods {
		if p.Machine {
			continue
		}
		o, err := unstructuredOf(runs(p))
		if err != nil {
			return mesh{}, err
		}
		add(o)
	}
	for _, o := range append(c.Objects, placeholders(c)...) {
		switch o.(type) {
		case *discoveryv1.EndpointSlice, *corev1.Service:
			u, err := unstructuredOf(o)
			if err != nil {
				return mesh{}, err
			}
			add(u)
		case *k8sgateway.Gateway:
			if o := o.(*k8sgateway.Gateway); o.Spec.GatewayClassName == "istio-waypoint" { // with the address that istiod gives it
				u, err := unstructuredOf(o)
				if err != nil {
					return mesh{}, err
				}
				add(u)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(manifests)) {
		if name == "mesh-config.yaml" {
			continue
		}
		objects, err := cluster.Parse(manifests[name])
		if err != nil {
			return mesh{}, err
		}
		for _, o := range objects {
			if o.GetKind() == "ServiceEntry" {
				addAllocated(o, c.Configs)
			}
			if o.GetKind() == "Secret" {
				addKeys(o)
			}
			add(o)
		}
	}
	return m, m.addMeshConfig(c.MeshConfig)
}

// addRoots adds what istiod puts into every namespace: the ConfigMap of the mesh's root certificates. Manifests leave it out,
// and say nothing by that; a cluster without it would.
func (m *mesh) addRoots() {
	known, namespaces := map[string]bool{}, map[string]bool{metav1.NamespaceDefault: true}
	for _, o := range m.objects {
		known[key(o)] = true
		if o.GetNamespace() != "" {
			namespaces[o.GetNamespace()] = true
		}
	}
	for _, ns := range slices.Sorted(maps.Keys(namespaces)) {
		o := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "istio-ca-root-cert", "namespace": ns},
			"data": map[string]any{"root-cert.pem": "sha256:" + strings.Repeat("0", 64)},
		}}
		if !known[key(o)] {
			m.objects = append(m.objects, o)
		}
	}
}

// key is what an object is known by; a manifest without a namespace is in "default".
func key(o *unstructured.Unstructured) string {
	return o.GroupVersionKind().GroupKind().String() + " " + cmp.Or(o.GetNamespace(), metav1.NamespaceDefault) + "/" + o.GetName()
}

func unstructuredOf(o runtime.Object) (*unstructured.Unstructured, error) {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	u := &unstructured.Unstructured{Object: object}
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	return u, err
}

// runs is the pod as the webhook and the ReplicaSet controller leave it: with the proxy's container, and owned.
func runs(p *apiserver.Pod) *corev1.Pod {
	pod := p.Pod.DeepCopy()
	pod.UID = ""
	has := func(c corev1.Container) bool { return c.Name == "istio-proxy" }
	pod.Spec.Containers = slices.DeleteFunc(pod.Spec.Containers, func(c corev1.Container) bool { return has(c) && c.Image == "auto" })
	if p.Proxy != "" && !slices.ContainsFunc(slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers), has) {
		mode := map[string]string{"gateway": "router"}[p.Proxy]
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{
			Name: "istio-proxy", Image: "docker.io/istio/proxyv2:1.31.0", Args: []string{"proxy", cmp.Or(mode, p.Proxy)},
		})
	}
	kind, owner, _ := strings.Cut(p.Owner, " ")
	_, name, _ := strings.Cut(owner, "/")
	if len(pod.OwnerReferences) > 0 || kind == "Pod" || kind == "Namespace" {
		return pod
	}
	reference := metav1.OwnerReference{APIVersion: "apps/v1", Kind: kind, Name: name, UID: "1", Controller: new(true)}
	if kind == "Deployment" {
		reference.Kind, reference.Name = "ReplicaSet", name+"-5d4f8c7b9"
		pod.Labels["pod-template-hash"] = "5d4f8c7b9"
	}
	pod.OwnerReferences = []metav1.OwnerReference{reference}
	return pod
}

// secretData is what Secrets hold, so that it can be looked for where it must not be.
const secretData = "e2e-what-a-secret-holds"

// addKeys adds what an API server demands of a Secret for TLS.
func addKeys(o *unstructured.Unstructured) {
	if kind, _, _ := unstructured.NestedString(o.Object, "type"); kind != string(corev1.SecretTypeTLS) {
		return
	}
	data, _, _ := unstructured.NestedMap(o.Object, "data")
	if data == nil {
		data = map[string]any{}
	}
	for _, k := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if data[k] == nil {
			data[k] = base64.StdEncoding.EncodeToString([]byte(secretData))
		}
	}
	o.Object["data"] = data
}

// placeholders are the empty slices that the controller makes for Services that select no pod.
// Source: k8s.io/endpointslice, newPlaceholderEndpointSlice.
func placeholders(c *apiserver.Cluster) []runtime.Object {
	sliced := map[string]bool{}
	for _, o := range c.Objects {
		if s, ok := o.(*discoveryv1.EndpointSlice); ok {
			sliced[s.Namespace+"/"+s.Labels[discoveryv1.LabelServiceName]] = true
		}
	}
	var out []runtime.Object
	for _, s := range c.Services {
		if len(s.Spec.Selector) == 0 || s.Spec.Type == corev1.ServiceTypeExternalName || sliced[s.Namespace+"/"+s.Name] {
			continue
		}
		out = append(out, &discoveryv1.EndpointSlice{
			TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
			ObjectMeta: metav1.ObjectMeta{
				Name: s.Name + "-none", Namespace: s.Namespace, Labels: map[string]string{discoveryv1.LabelServiceName: s.Name},
			},
			AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{},
		})
	}
	return out
}

// addMeshConfig adds istiod's ConfigMap, as it is in each cluster with Istio.
func (m *mesh) addMeshConfig(text string) error {
	o, err := unstructuredOf(&corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: "istio", Namespace: "istio-system"},
		Data:       map[string]string{"mesh": cmp.Or(text, "{}")},
	})
	if err != nil {
		return err
	}
	m.objects = append(slices.DeleteFunc(m.objects, func(have *unstructured.Unstructured) bool { return key(have) == key(o) }), o)
	return nil
}

// yaml is the mesh as one manifest. Objects of the Gateway API are of generation 1, as an API server makes them: so a trace
// of files, too, looks for the status that istiod would have written.
func (m mesh) yaml(t testing.TB) string {
	t.Helper()
	var out strings.Builder
	for _, o := range m.objects {
		if o.GroupVersionKind().Group == k8sgateway.GroupName {
			o.SetGeneration(1)
		}
		text, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(text)
	}
	return out.String()
}

// addAllocated writes the addresses that istiod gives the hosts of a ServiceEntry.
func addAllocated(o *unstructured.Unstructured, configs []config.Config) {
	for _, cfg := range configs {
		status, ok := cfg.Status.(*networking.ServiceEntryStatus)
		if _, has := o.Object["status"]; !ok || has || cfg.Name != o.GetName() || cfg.Namespace != cmp.Or(o.GetNamespace(), "default") {
			continue
		}
		var addresses []any
		for _, a := range status.GetAddresses() {
			addresses = append(addresses, map[string]any{"host": a.GetHost(), "value": a.GetValue()})
		}
		o.Object["status"] = map[string]any{"addresses": addresses}
	}
}
