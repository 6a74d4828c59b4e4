package resolve

import (
	"maps"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Running is what runs in a namespace: its pods, what makes and lists them, and whom they run as. It is by far
// the most of a mesh, and a request needs that of two or three namespaces. So it is kept
// by namespace, and a loader may hand it over as [Deferred].
//
// Every slice is in Istio's order of age, as those of [Snapshot].
type Running struct {
	Pods            []*corev1.Pod
	EndpointSlices  []*discoveryv1.EndpointSlice
	ServiceAccounts []*corev1.ServiceAccount

	Deployments  []*appsv1.Deployment
	StatefulSets []*appsv1.StatefulSet
	DaemonSets   []*appsv1.DaemonSet
	ReplicaSets  []*appsv1.ReplicaSet
	Jobs         []*batchv1.Job
	CronJobs     []*batchv1.CronJob

	origins map[Ref]Origin
	// unseen is what runs in a namespace that istiod does not see, where the rest is empty.
	unseen *Running
}

// Deferred is what runs in namespaces that no request has asked for yet.
type Deferred interface {
	// Namespaces are those in which something runs, in any order.
	Namespaces() []string
	// In returns what runs in the namespace. Snapshot calls it once for each.
	In(namespace string) []Sourced
}

// RunningKinds are the kinds that Running holds.
var RunningKinds = []schema.GroupKind{
	{Kind: "Pod"},
	{Group: discoveryv1.GroupName, Kind: "EndpointSlice"},
	{Kind: "ServiceAccount"},
	{Group: appsv1.GroupName, Kind: "Deployment"},
	{Group: appsv1.GroupName, Kind: "StatefulSet"},
	{Group: appsv1.GroupName, Kind: "DaemonSet"},
	{Group: appsv1.GroupName, Kind: "ReplicaSet"},
	{Group: batchGroup, Kind: "Job"},
	{Group: batchGroup, Kind: "CronJob"},
}

// runningCell is one namespace's: what Resources had of it, and all of it once that was asked for.
type runningCell struct {
	given []Sourced
	// deployments are what istiod makes for the Gateways of the namespace.
	deployments []*gatewayDeployment
	// These are made on first use.
	all       func() *Running
	workloads func() *workloadIndex
	endpoints func() *runningEndpoints
}

// noneRunning stands for a namespace in which nothing runs.
var noneRunning = &runningCell{
	all:       func() *Running { return &Running{} },
	workloads: func() *workloadIndex { return &workloadIndex{} },
	endpoints: func() *runningEndpoints { return &runningEndpoints{} },
}

// give keeps a resource of Input.Resources for its namespace, and reports whether it is of the kinds that Running holds.
func (s *Snapshot) give(r Sourced) bool {
	switch r.Object.(type) {
	case *corev1.Pod, *discoveryv1.EndpointSlice, *corev1.ServiceAccount,
		*appsv1.Deployment, *appsv1.StatefulSet, *appsv1.DaemonSet, *appsv1.ReplicaSet, *batchv1.Job, *batchv1.CronJob:
		cell := s.cell(r.Object.GetNamespace())
		cell.given = append(cell.given, r)
		return true
	}
	return false
}

// cell returns the namespace's cell, which it makes. It is for NewSnapshot only.
func (s *Snapshot) cell(namespace string) *runningCell {
	if cell, ok := s.running[namespace]; ok {
		return cell
	}
	cell := &runningCell{}
	cell.all = sync.OnceValue(func() *Running { return s.run(namespace, cell) })
	cell.workloads = sync.OnceValue(func() *workloadIndex { return indexWorkloads(s, cell.all()) })
	cell.endpoints = sync.OnceValue(func() *runningEndpoints { return indexRunningEndpoints(cell.all(), cell.workloads().all) })
	s.running[namespace] = cell
	return cell
}

// run sorts what runs in a namespace.
func (s *Snapshot) run(namespace string, cell *runningCell) *Running {
	r := &Running{origins: map[Ref]Origin{}}
	given := cell.given
	known := r
	if namespace != "" && !s.discovered(namespace) {
		r.unseen = &Running{}
		known = r.unseen
	}
	if s.deferred != nil {
		given = slices.Concat(given, s.deferred.In(namespace))
	}
	for _, sourced := range given {
		r.origins[refOf(sourced.GroupKind.Group, sourced.GroupKind.Kind, sourced.Object)] = sourced.Origin
		known.add(sourced.Object)
	}
	known.sort()
	for _, d := range cell.deployments {
		d.run(s, known)
	}
	known.sort()
	return r
}

func (r *Running) add(o Object) {
	switch o := o.(type) {
	case *corev1.Pod:
		r.Pods = append(r.Pods, o)
	case *discoveryv1.EndpointSlice:
		r.EndpointSlices = append(r.EndpointSlices, o)
	case *corev1.ServiceAccount:
		r.ServiceAccounts = append(r.ServiceAccounts, o)
	case *appsv1.Deployment:
		r.Deployments = append(r.Deployments, o)
	case *appsv1.StatefulSet:
		r.StatefulSets = append(r.StatefulSets, o)
	case *appsv1.DaemonSet:
		r.DaemonSets = append(r.DaemonSets, o)
	case *appsv1.ReplicaSet:
		r.ReplicaSets = append(r.ReplicaSets, o)
	case *batchv1.Job:
		r.Jobs = append(r.Jobs, o)
	case *batchv1.CronJob:
		r.CronJobs = append(r.CronJobs, o)
	}
}

func (r *Running) sort() {
	slices.SortStableFunc(r.Pods, byAge)
	slices.SortStableFunc(r.EndpointSlices, byAge)
	slices.SortStableFunc(r.ServiceAccounts, byAge)
	slices.SortStableFunc(r.Deployments, byAge)
	slices.SortStableFunc(r.StatefulSets, byAge)
	slices.SortStableFunc(r.DaemonSets, byAge)
	slices.SortStableFunc(r.ReplicaSets, byAge)
	slices.SortStableFunc(r.Jobs, byAge)
	slices.SortStableFunc(r.CronJobs, byAge)
}

// RunningIn returns what runs in the namespace.
func (s *Snapshot) RunningIn(namespace string) *Running { return s.runningCell(namespace).all() }

func (s *Snapshot) runningCell(namespace string) *runningCell {
	if cell, ok := s.running[namespace]; ok {
		return cell
	}
	return noneRunning
}

// RunningNamespaces are the namespaces in which something runs, in the order of their names.
func (s *Snapshot) RunningNamespaces() []string { return slices.Sorted(maps.Keys(s.running)) }
