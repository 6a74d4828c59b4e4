package resolve

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"

	meshconfig "istio.io/api/mesh/v1alpha1"
	extensions "istio.io/client-go/pkg/apis/extensions/v1alpha1"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	networkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	security "istio.io/client-go/pkg/apis/security/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// snapshotOf is a snapshot of the manifests, as a table test writes them. Kind
// MeshConfig (no apiVersion) is the mesh config.
func snapshotOf(t testing.TB, manifests string) *Snapshot {
	t.Helper()
	in := Input{Offline: true, Revision: "default"}
	docs := yamlutil.NewYAMLReader(bufio.NewReader(strings.NewReader(manifests)))
	for {
		doc, err := docs.Read()
		if err == io.EOF {
			return NewSnapshot(in)
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(doc)) == 0 {
			continue
		}
		var meta metav1.TypeMeta
		if err := yaml.Unmarshal(doc, &meta); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		if meta.Kind == "MeshConfig" {
			in.MeshConfig = &meshconfig.MeshConfig{}
			doc = []byte(strings.Replace(string(doc), "kind: MeshConfig", "", 1))
			if err := yaml.Unmarshal(doc, in.MeshConfig); err != nil {
				t.Fatal(err)
			}
			continue
		}
		object := newObject(meta.Kind)
		if strings.HasPrefix(meta.APIVersion, k8sgateway.GroupName+"/") {
			object = newGatewayObject(meta.Kind)
		}
		if object == nil {
			t.Fatalf("kind %q is not known to this test", meta.Kind)
		}
		if err := yaml.Unmarshal(doc, object); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		gk := schema.FromAPIVersionAndKind(meta.APIVersion, meta.Kind).GroupKind()
		in.Resources = append(in.Resources, Sourced{Object: object, GroupKind: gk})
	}
}

// newGatewayObject is an object of the Gateway API; its defaults are to be written.
func newGatewayObject(kind string) Object {
	switch kind {
	case "GatewayClass":
		return &k8sgateway.GatewayClass{}
	case "Gateway":
		return &k8sgateway.Gateway{}
	case "ListenerSet":
		return &k8sgateway.ListenerSet{}
	}
	return nil
}

func newObject(kind string) Object {
	switch kind {
	case "Namespace":
		return &corev1.Namespace{}
	case "Node":
		return &corev1.Node{}
	case "Pod":
		return &corev1.Pod{}
	case "Secret":
		return &corev1.Secret{}
	case "Service":
		return &corev1.Service{}
	case "EndpointSlice":
		return &discoveryv1.EndpointSlice{}
	case "Deployment":
		return &appsv1.Deployment{}
	case "StatefulSet":
		return &appsv1.StatefulSet{}
	case "DaemonSet":
		return &appsv1.DaemonSet{}
	case "ReplicaSet":
		return &appsv1.ReplicaSet{}
	case "Job":
		return &batchv1.Job{}
	case "CronJob":
		return &batchv1.CronJob{}
	case "ServiceAccount":
		return &corev1.ServiceAccount{}
	case "MutatingWebhookConfiguration":
		return &admissionv1.MutatingWebhookConfiguration{}
	case "Gateway":
		return &networking.Gateway{}
	case "VirtualService":
		return &networking.VirtualService{}
	case "DestinationRule":
		return &networking.DestinationRule{}
	case "ServiceEntry":
		return &networking.ServiceEntry{}
	case "WorkloadEntry":
		return &networking.WorkloadEntry{}
	case "Sidecar":
		return &networking.Sidecar{}
	case "EnvoyFilter":
		return &networkingv1alpha3.EnvoyFilter{}
	case "PeerAuthentication":
		return &security.PeerAuthentication{}
	case "RequestAuthentication":
		return &security.RequestAuthentication{}
	case "AuthorizationPolicy":
		return &security.AuthorizationPolicy{}
	case "WasmPlugin":
		return &extensions.WasmPlugin{}
	}
	return nil
}
