package apiserver

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	inference "sigs.k8s.io/gateway-api-inference-extension/api/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	"istio.io/istio/pilot/pkg/config/kube/gateway"
)

// What istiod makes for each InferencePool to which an HTTPRoute refers, if it has been told to read them: a headless Service.
//
// Source: pilot/pkg/config/kube/gateway/inferencepool_collection.go, translateShadowServiceToService.

// readsInferencePools reports whether the Deployment istiod, if there is one, has the switch.
func readsInferencePools(objects []runtime.Object) bool {
	for _, o := range objects {
		d, ok := o.(*appsv1.Deployment)
		if !ok || d.Labels["app"] != "istiod" {
			continue
		}
		for _, container := range d.Spec.Template.Spec.Containers {
			if slices.ContainsFunc(container.Env, func(e corev1.EnvVar) bool {
				on, err := strconv.ParseBool(e.Value)
				return e.Name == "ENABLE_GATEWAY_API_INFERENCE_EXTENSION" && err == nil && on
			}) {
				return true
			}
		}
	}
	return false
}

func (c *Cluster) serveInferencePools() error {
	if !c.InferencePools {
		return nil
	}
	for _, o := range slices.Clone(c.Objects) {
		pool, ok := o.(*inference.InferencePool)
		if !ok || !c.refersTo(pool) {
			continue
		}
		name, err := gateway.InferencePoolServiceName(pool.Name)
		if err != nil {
			return Unjudged{err.Error()}
		}
		picker := pool.Spec.EndpointPickerRef
		svc := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{
				Name: name, Namespace: pool.Namespace, CreationTimestamp: metav1.NewTime(created),
				Labels: map[string]string{
					gateway.InferencePoolRefLabel: pool.Name, gateway.InferencePoolExtensionRefSvc: string(picker.Name),
					gateway.InferencePoolExtensionRefPort:        strconv.Itoa(int(picker.Port.Number)),
					gateway.InferencePoolExtensionRefFailureMode: cmp.Or(string(picker.FailureMode), string(inference.EndpointPickerFailClose)),
					"internal.istio.io/service-semantics":        "inferencepool",
				},
			},
			Spec: corev1.ServiceSpec{Selector: map[string]string{}, ClusterIP: corev1.ClusterIPNone},
		}
		for k, v := range pool.Spec.Selector.MatchLabels {
			svc.Spec.Selector[string(k)] = string(v)
		}
		for i, p := range pool.Spec.TargetPorts {
			svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{
				Name: fmt.Sprintf("http-%d", i), Port: int32(54321 + i), TargetPort: intstr.FromInt32(int32(p.Number)),
			})
		}
		c.addService(svc)
	}
	return nil
}

// refersTo reports whether an HTTPRoute has the pool as a backend.
func (c *Cluster) refersTo(pool *inference.InferencePool) bool {
	return slices.ContainsFunc(c.Objects, func(o runtime.Object) bool {
		route, ok := o.(*k8sgateway.HTTPRoute)
		return ok && slices.ContainsFunc(route.Spec.Rules, func(r k8sgateway.HTTPRouteRule) bool {
			return slices.ContainsFunc(r.BackendRefs, func(b k8sgateway.HTTPBackendRef) bool {
				return b.Kind != nil && *b.Kind == "InferencePool" && string(b.Name) == pool.Name && namespaceOr(b.Namespace, route.Namespace) == pool.Namespace
			})
		})
	})
}
