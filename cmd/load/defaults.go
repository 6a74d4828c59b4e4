package load

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// setDefaults fills in what an API server would have filled in and a trace can
// see. A field that is written stays as it is.
//
//  1. Built-in kinds: Kubernetes' defaulting functions, as far as a trace reads
//     the fields; the label with a Namespace's own name; service account "default" (an admission plugin).
//  2. Gateway API kinds: the defaults of the CRDs' schemas (gatewaydefaults.go).
//  3. Istio's CRDs have no defaults in their specs.
//
// Source: k8s.io/kubernetes/pkg/apis/{core,apps,discovery}/v1/defaults.go.
func setDefaults(object resolve.Object) {
	switch o := object.(type) {
	case *corev1.Namespace:
		if o.Labels == nil {
			o.Labels = map[string]string{}
		}
		o.Labels[corev1.LabelMetadataName] = o.Name
	case *corev1.Service:
		defaultService(&o.Spec)
	case *corev1.Pod:
		defaultPod(&o.Spec)
	case *discoveryv1.EndpointSlice:
		for i := range o.Ports {
			orDefault(&o.Ports[i].Protocol, corev1.ProtocolTCP)
			orDefault(&o.Ports[i].Name, "")
		}
	case *appsv1.Deployment:
		orDefault(&o.Spec.Replicas, 1)
		defaultPod(&o.Spec.Template.Spec)
	case *appsv1.StatefulSet:
		orDefault(&o.Spec.Replicas, 1)
		defaultPod(&o.Spec.Template.Spec)
	case *appsv1.ReplicaSet:
		orDefault(&o.Spec.Replicas, 1)
		defaultPod(&o.Spec.Template.Spec)
	case *appsv1.DaemonSet:
		defaultPod(&o.Spec.Template.Spec)
	case *batchv1.Job:
		defaultPod(&o.Spec.Template.Spec)
	case *batchv1.CronJob:
		defaultPod(&o.Spec.JobTemplate.Spec.Template.Spec)
	default:
		setGatewayDefaults(object)
	}
}

func orDefault[T any](p **T, value T) {
	if *p == nil {
		*p = &value
	}
}

func orEmpty[T ~string](p *T, value T) {
	if *p == "" {
		*p = value
	}
}

func defaultService(spec *corev1.ServiceSpec) {
	orEmpty(&spec.Type, corev1.ServiceTypeClusterIP)
	orEmpty(&spec.SessionAffinity, corev1.ServiceAffinityNone)
	for i := range spec.Ports {
		p := &spec.Ports[i]
		orEmpty(&p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == (intstr.IntOrString{}) || p.TargetPort == intstr.FromString("") {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
	if spec.Type != corev1.ServiceTypeExternalName {
		orDefault(&spec.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	}
	if spec.Type == corev1.ServiceTypeNodePort || spec.Type == corev1.ServiceTypeLoadBalancer {
		orEmpty(&spec.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster)
	}
}

func defaultPod(spec *corev1.PodSpec) {
	if spec.ServiceAccountName == "" {
		spec.ServiceAccountName = spec.DeprecatedServiceAccount
	}
	orEmpty(&spec.ServiceAccountName, "default")
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			for j := range containers[i].Ports {
				orEmpty(&containers[i].Ports[j].Protocol, corev1.ProtocolTCP)
			}
		}
	}
}
