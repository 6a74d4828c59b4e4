package resolve

import (
	"net/netip"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What runs in a mesh (its pods, what makes and lists them, and whom they run as) is by far the most of it, and a
// request needs that of two or three namespaces, and of those not every kind. So it is kept by namespace and kind, and
// a loader may hand it over as [Deferred].
//
//  1. A kind of a namespace is asked for when a stage first needs it.
//  2. What may run in any namespace (a gateway, the pod of an address, a workload of some name) is searched for first;
//     then only the namespaces are asked for in which it was found.
//  3. What cannot be read is a gap of its kind and namespace, which is known once it was asked for.

// Running is what runs in a namespace. Its lists are in Istio's order of age, as those of [Snapshot], and are empty
// where istiod does not see the namespace.
type Running struct {
	snapshot *Snapshot
	cell     *runningCell
}

// Deferred is what runs in namespaces that no request has asked for yet. It is safe for concurrent use, and answers the
// same to the same question.
type Deferred interface {
	// Namespaces are those in which something may run, in any order.
	Namespaces() []string
	// In returns what runs in the namespace, a list for each of the kinds. An empty namespace holds the kinds without one.
	In(namespace string, kinds []schema.GroupKind) []Listed
	// Find returns the namespaces in which something that is sought may run, if need be more than those, and what
	// could not be searched.
	Find(Sought) ([]string, []Gap)
	// Origin is that of a resource whose kind was not asked for; nil where it has to be, to tell.
	Origin(Ref) Origin
	// Err is what ended the reading before its time, so that a trace would rest on nothing.
	Err() error
}

// Listed is what was read of a kind in a namespace, and what could not be.
type Listed struct {
	Resources []Sourced
	Gaps      []Gap
}

// Sought is what to look for in all namespaces. Of the fields but Kind one is set.
type Sought struct {
	Kind schema.GroupKind
	// Selector is a label selector, as kubectl's -l takes it.
	Selector string
	// Address is that of a pod.
	Address netip.Addr
	Name    string
}

var (
	serviceAccountKind = schema.GroupKind{Kind: "ServiceAccount"}
	nodeKind           = schema.GroupKind{Kind: "Node"}
	requestKind        = schema.GroupKind{Group: certificatesv1.GroupName, Kind: "CertificateSigningRequest"}
	trustBundleKind    = schema.GroupKind{Group: certificatesv1.GroupName, Kind: "ClusterTrustBundle"}
	leaseKind          = schema.GroupKind{Group: coordinationv1.GroupName, Kind: "Lease"}
	deploymentKind     = schema.GroupKind{Group: appsv1.GroupName, Kind: "Deployment"}
	statefulSetKind    = schema.GroupKind{Group: appsv1.GroupName, Kind: "StatefulSet"}
	daemonSetKind      = schema.GroupKind{Group: appsv1.GroupName, Kind: "DaemonSet"}
	replicaSetKind     = schema.GroupKind{Group: appsv1.GroupName, Kind: "ReplicaSet"}
	jobKind            = schema.GroupKind{Group: batchGroup, Kind: "Job"}
	cronJobKind        = schema.GroupKind{Group: batchGroup, Kind: "CronJob"}
)

// RunningKinds are the kinds that are kept by namespace. Nodes and what signs certificates have none: they are those of the empty one.
var RunningKinds = []schema.GroupKind{
	podKind, endpointSliceKind, serviceAccountKind, deploymentKind, statefulSetKind, daemonSetKind, replicaSetKind, jobKind, cronJobKind,
	leaseKind, nodeKind, requestKind, trustBundleKind,
	autoscalerKind, disruptionBudgetKind,
}

// runningCell is one namespace's: what Resources had of it, and the kinds that were asked for.
type runningCell struct {
	namespace string
	given     map[schema.GroupKind][]Sourced
	// deployments are what istiod makes for the Gateways of the namespace; made is that as resources.
	deployments []*gatewayDeployment
	made        func() []Sourced

	mu    sync.Mutex
	lists map[schema.GroupKind]*runningList
	// These are made on first use.
	workloads func() *workloadIndex
	unseen    func() *workloadIndex
	endpoints func() *runningEndpoints
}

// runningList is all there is of a kind in a namespace, by age.
type runningList struct {
	objects []Object
	origins map[Ref]Origin
	gaps    []Gap
}

// give keeps a resource of Input.Resources for its namespace, and reports whether it is of [RunningKinds].
func (s *Snapshot) give(r Sourced) bool {
	if !slices.Contains(RunningKinds, r.GroupKind) {
		return false
	}
	cell := s.runningCell(r.Object.GetNamespace())
	cell.given[r.GroupKind] = append(cell.given[r.GroupKind], r)
	return true
}

// runningCell returns the namespace's cell.
func (s *Snapshot) runningCell(namespace string) *runningCell {
	s.runningMu.Lock()
	defer s.runningMu.Unlock()
	if cell, ok := s.running[namespace]; ok {
		return cell
	}
	cell := &runningCell{namespace: namespace, given: map[schema.GroupKind][]Sourced{}, lists: map[schema.GroupKind]*runningList{}}
	r := &Running{s, cell}
	cell.made = sync.OnceValue(func() []Sourced { return s.madeByIstiod(r) })
	cell.workloads = sync.OnceValue(func() *workloadIndex { return indexWorkloads(s, r) })
	cell.unseen = sync.OnceValue(func() *workloadIndex { return indexUnseen(s, r) })
	cell.endpoints = sync.OnceValue(func() *runningEndpoints { return indexRunningEndpoints(r) })
	s.running[namespace] = cell
	return cell
}

// madeByIstiod are what istiod deploys in the namespace.
func (s *Snapshot) madeByIstiod(r *Running) []Sourced {
	var made []Sourced
	for _, d := range r.cell.deployments {
		made = append(made, d.run(s, r, made)...)
	}
	return made
}

// list is the kind as it was read, with what istiod adds to it.
func (r *Running) list(kind schema.GroupKind) *runningList {
	list := r.read(kind)
	if len(r.cell.deployments) == 0 || kind != deploymentKind && kind != serviceAccountKind {
		return list
	}
	added := slices.DeleteFunc(slices.Clone(r.cell.made()), func(s Sourced) bool { return s.GroupKind != kind })
	if len(added) == 0 {
		return list
	}
	whole := newRunningList(added, list.gaps)
	for _, o := range list.objects {
		ref := refOf(kind.Group, kind.Kind, o)
		whole.origins[ref] = list.origins[ref]
	}
	whole.objects = append(whole.objects, list.objects...)
	whole.sort()
	return whole
}

// read is rule 1.
func (r *Running) read(kind schema.GroupKind) *runningList {
	r.need(kind)
	r.cell.mu.Lock()
	defer r.cell.mu.Unlock()
	return r.cell.lists[kind]
}

// need reads the kinds that have not been read yet, all of them at once.
func (r *Running) need(kinds ...schema.GroupKind) {
	cell := r.cell
	cell.mu.Lock()
	defer cell.mu.Unlock()
	var missing []schema.GroupKind
	for _, kind := range kinds {
		if cell.lists[kind] == nil {
			missing = append(missing, kind)
		}
	}
	if len(missing) == 0 {
		return
	}
	read := make([]Listed, len(missing))
	if r.snapshot.deferred != nil {
		copy(read, r.snapshot.deferred.In(cell.namespace, missing))
	}
	for i, kind := range missing {
		list := newRunningList(slices.Concat(cell.given[kind], read[i].Resources), read[i].Gaps)
		list.sort()
		cell.lists[kind] = list
	}
}

func newRunningList(resources []Sourced, gaps []Gap) *runningList {
	list := &runningList{objects: make([]Object, len(resources)), origins: make(map[Ref]Origin, len(resources)), gaps: gaps}
	for i, r := range resources {
		list.objects[i] = r.Object
		list.origins[refOf(r.GroupKind.Group, r.GroupKind.Kind, r.Object)] = r.Origin
	}
	return list
}

func (l *runningList) sort() { slices.SortStableFunc(l.objects, byAge) }

// seen reports whether istiod sees what runs in the namespace.
func (r *Running) seen() bool {
	return r.cell.namespace == "" || r.snapshot.discovered(r.cell.namespace)
}

// objectsOf is a list of the namespace in its Go type.
func objectsOf[T Object](r *Running, kind schema.GroupKind) []T {
	list := r.list(kind)
	objects := make([]T, 0, len(list.objects))
	for _, o := range list.objects {
		if o, ok := o.(T); ok {
			objects = append(objects, o)
		}
	}
	return objects
}

// seenOf is objectsOf where istiod sees the namespace.
func seenOf[T Object](r *Running, kind schema.GroupKind) []T {
	if !r.seen() {
		return nil
	}
	return objectsOf[T](r, kind)
}

// Pods are the pods of the namespace.
func (r *Running) Pods() []*corev1.Pod { return seenOf[*corev1.Pod](r, podKind) }

// EndpointSlices are the EndpointSlices of the namespace.
func (r *Running) EndpointSlices() []*discoveryv1.EndpointSlice {
	return seenOf[*discoveryv1.EndpointSlice](r, endpointSliceKind)
}

// ServiceAccounts are the ServiceAccounts of the namespace.
func (r *Running) ServiceAccounts() []*corev1.ServiceAccount {
	return seenOf[*corev1.ServiceAccount](r, serviceAccountKind)
}

// Deployments are the Deployments of the namespace.
func (r *Running) Deployments() []*appsv1.Deployment {
	return seenOf[*appsv1.Deployment](r, deploymentKind)
}

// StatefulSets are the StatefulSets of the namespace.
func (r *Running) StatefulSets() []*appsv1.StatefulSet {
	return seenOf[*appsv1.StatefulSet](r, statefulSetKind)
}

// DaemonSets are the DaemonSets of the namespace.
func (r *Running) DaemonSets() []*appsv1.DaemonSet {
	return seenOf[*appsv1.DaemonSet](r, daemonSetKind)
}

// ReplicaSets are the ReplicaSets of the namespace.
func (r *Running) ReplicaSets() []*appsv1.ReplicaSet {
	return seenOf[*appsv1.ReplicaSet](r, replicaSetKind)
}

// Jobs are the Jobs of the namespace.
func (r *Running) Jobs() []*batchv1.Job { return seenOf[*batchv1.Job](r, jobKind) }

// CronJobs are the CronJobs of the namespace.
func (r *Running) CronJobs() []*batchv1.CronJob { return seenOf[*batchv1.CronJob](r, cronJobKind) }

// RunningIn returns what runs in the namespace.
func (s *Snapshot) RunningIn(namespace string) *Running {
	return &Running{s, s.runningCell(namespace)}
}

// RunningNamespaces are the namespaces in which something may run, in the order of their names.
func (s *Snapshot) RunningNamespaces() []string {
	namespaces := s.givenNamespaces()
	if s.deferred != nil {
		namespaces = append(namespaces, s.deferred.Namespaces()...)
	}
	slices.Sort(namespaces)
	return slices.Compact(namespaces)
}

// givenNamespaces are those of which Resources had something, or in which istiod makes something.
func (s *Snapshot) givenNamespaces() []string {
	s.runningMu.Lock()
	defer s.runningMu.Unlock()
	var namespaces []string
	for namespace, cell := range s.running {
		if len(cell.given) > 0 || len(cell.deployments) > 0 {
			namespaces = append(namespaces, namespace)
		}
	}
	return namespaces
}

// runningWith is rule 2: the namespaces in which something that is sought may run, in the order of their names.
func (s *Snapshot) runningWith(sought ...Sought) ([]string, []Gap) {
	namespaces := s.givenNamespaces()
	var gaps []Gap
	if s.deferred != nil {
		found, missed := s.searches(sought)
		namespaces, gaps = append(namespaces, found...), missed
	}
	slices.Sort(namespaces)
	return slices.Compact(namespaces), gaps
}

// searches asks the loader all questions at once: each may take a way to a server and back.
func (s *Snapshot) searches(sought []Sought) ([]string, []Gap) {
	answers := make([]foundIn, len(sought))
	var g sync.WaitGroup
	for i, q := range sought {
		g.Go(func() {
			answers[i] = s.index.found.of(q, func() foundIn {
				namespaces, gaps := s.deferred.Find(q)
				return foundIn{namespaces, gaps}
			})
		})
	}
	g.Wait()
	var all foundIn
	for _, a := range answers {
		all.namespaces, all.gaps = append(all.namespaces, a.namespaces...), append(all.gaps, a.gaps...)
	}
	return all.namespaces, slices.CompactFunc(all.gaps, sameGap)
}

// foundIn is the answer to a search.
type foundIn struct {
	namespaces []string
	gaps       []Gap
}

// originOf is where a resource that runs in a namespace was read from.
func (s *Snapshot) originOf(ref Ref) Origin {
	kind := schema.GroupKind{Group: ref.Group, Kind: ref.Kind}
	if !slices.Contains(RunningKinds, kind) {
		return nil
	}
	r := s.RunningIn(ref.Namespace)
	r.cell.mu.Lock()
	_, read := r.cell.lists[kind]
	r.cell.mu.Unlock()
	if !read && s.deferred != nil {
		if o := s.deferred.Origin(ref); o != nil {
			return o
		}
	}
	return r.list(kind).origins[ref]
}
