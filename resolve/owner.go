package resolve

import (
	"regexp"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const batchGroup = "batch"

// The owner of a pod is the resource by which people name it.
//
//  1. The controller among the pod's ownerReferences; a pod without one is its own owner, and so is one that a Node runs.
//  2. A ReplicaSet: the Deployment whose name is left when the pod's pod-template-hash is cut off; without that, what
//     controls the ReplicaSet, if it can be read.
//  3. A Job: the CronJob that controls it; for one that can not be read, whose name is left when the 8 to 10 digits of its
//     time are cut off.
//
// Source: pkg/kube/util.go, GetDeployMetaFromPod.
type owners struct {
	// These are read for the few pods whose own names do not tell.
	replicaSets, jobs func() map[Ref]metav1.Object
}

func ownersIn(running *Running) owners {
	return owners{
		replicaSets: sync.OnceValue(func() map[Ref]metav1.Object { return byRef(replicaSetKind, running.ReplicaSets()) }),
		jobs:        sync.OnceValue(func() map[Ref]metav1.Object { return byRef(jobKind, running.Jobs()) }),
	}
}

func byRef[T metav1.Object](kind schema.GroupKind, objects []T) map[Ref]metav1.Object {
	out := make(map[Ref]metav1.Object, len(objects))
	for _, o := range objects {
		out[refOf(kind.Group, kind.Kind, o)] = o
	}
	return out
}

var scheduledJob = regexp.MustCompile(`^(.+)-\d{8,10}$`)

// of returns what controls the pod directly and what people name it by.
func (o owners) of(pod *corev1.Pod) (controller, owner Ref) {
	controller, ok := controllerOf(pod)
	if !ok || controller.Kind == "Node" {
		self := refOf("", "Pod", pod)
		return self, self
	}
	switch controller.Kind {
	case "ReplicaSet":
		if name, ok := strings.CutSuffix(controller.Name, "-"+pod.Labels["pod-template-hash"]); ok && pod.Labels["pod-template-hash"] != "" {
			return controller, Ref{Group: controller.Group, Cluster: controller.Cluster, Kind: "Deployment", Namespace: pod.Namespace, Name: name}
		}
		if rs, loaded := o.replicaSets()[controller]; loaded {
			return controller, controllerOr(rs, controller)
		}
	case "Job":
		if job, loaded := o.jobs()[controller]; loaded {
			return controller, controllerOr(job, controller)
		}
		if m := scheduledJob.FindStringSubmatch(controller.Name); m != nil {
			return controller, Ref{Group: controller.Group, Cluster: controller.Cluster, Kind: "CronJob", Namespace: pod.Namespace, Name: m[1]}
		}
	}
	return controller, controller
}

func controllerOr(o metav1.Object, otherwise Ref) Ref {
	if r, ok := controllerOf(o); ok {
		return r
	}
	return otherwise
}

// controllerOf returns the owner reference that is marked as the controller.
func controllerOf(o metav1.Object) (Ref, bool) {
	for _, r := range o.GetOwnerReferences() {
		if r.Controller != nil && *r.Controller {
			gv, _ := schema.ParseGroupVersion(r.APIVersion)
			return Ref{Group: gv.Group, Cluster: ClusterOf(o), Kind: r.Kind, Namespace: o.GetNamespace(), Name: r.Name}, true
		}
	}
	return Ref{}, false
}
