package load

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// strip drops what no trace reads: of all objects what was applied last and by whom, of pods and pod templates what
// their containers do, but for the proxy and istiod, whose settings count.
func strip(o resolve.Object) {
	o.SetManagedFields(nil)
	if annotations := o.GetAnnotations(); annotations[corev1.LastAppliedConfigAnnotation] != "" {
		delete(annotations, corev1.LastAppliedConfigAnnotation)
		o.SetAnnotations(annotations)
	}
	switch o := o.(type) {
	case *corev1.Pod:
		o.Spec, o.Status = stripPodSpec(o.Spec), stripPodStatus(o.Status)
	case *appsv1.Deployment:
		o.Spec.Template.Spec = stripPodSpec(o.Spec.Template.Spec)
	case *appsv1.StatefulSet:
		o.Spec.Template.Spec = stripPodSpec(o.Spec.Template.Spec)
		o.Spec.VolumeClaimTemplates = nil
	case *appsv1.DaemonSet:
		o.Spec.Template.Spec = stripPodSpec(o.Spec.Template.Spec)
	case *appsv1.ReplicaSet:
		o.Spec.Template.Spec, o.Status = stripPodSpec(o.Spec.Template.Spec), appsv1.ReplicaSetStatus{}
	case *batchv1.Job:
		o.Spec.Template.Spec, o.Status = stripPodSpec(o.Spec.Template.Spec), batchv1.JobStatus{}
	case *batchv1.CronJob:
		o.Spec.JobTemplate.Spec.Template.Spec = stripPodSpec(o.Spec.JobTemplate.Spec.Template.Spec)
	case *autoscalingv2.HorizontalPodAutoscaler:
		o.Spec.Metrics, o.Spec.Behavior, o.Status.CurrentMetrics = nil, nil, nil
	case *policyv1.PodDisruptionBudget:
		o.Status.DisruptedPods = nil
	}
}

func stripPodSpec(s corev1.PodSpec) corev1.PodSpec {
	return corev1.PodSpec{
		Containers: stripContainers(s.Containers), InitContainers: stripContainers(s.InitContainers),
		ServiceAccountName: s.ServiceAccountName, DeprecatedServiceAccount: s.DeprecatedServiceAccount,
		HostNetwork: s.HostNetwork, Hostname: s.Hostname, Subdomain: s.Subdomain, NodeName: s.NodeName,
	}
}

func stripPodStatus(s corev1.PodStatus) corev1.PodStatus {
	out := corev1.PodStatus{Phase: s.Phase, PodIP: s.PodIP, PodIPs: s.PodIPs}
	for _, c := range s.Conditions {
		if c.Type == corev1.PodReady {
			out.Conditions = append(out.Conditions, corev1.PodCondition{Type: c.Type, Status: c.Status})
		}
	}
	return out
}

// configured are the containers whose variables are read: the proxy's and istiod's.
var configured = map[string]bool{"istio-proxy": true, "discovery": true}

func stripContainers(all []corev1.Container) []corev1.Container {
	if len(all) == 0 {
		return nil
	}
	out := make([]corev1.Container, len(all))
	for i, c := range all {
		out[i] = corev1.Container{Name: c.Name, Image: c.Image, Command: c.Command, Args: c.Args, Ports: c.Ports}
		if configured[c.Name] {
			out[i].Env = c.Env
		}
	}
	return out
}
