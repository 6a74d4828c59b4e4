package resolve

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
)

// Which pods there are.
//
//  1. Every Pod that has not finished (phase Succeeded or Failed) is a workload.
//     Its owner is the controller people know it by (owner.go).
//  2. Offline, and where an overlay adds it to a cluster, a Deployment, StatefulSet or DaemonSet without pods of its own
//     stands for the pods it would run: as many as spec.replicas (one if unset;
//     a DaemonSet one, for there is no telling how many nodes), ready, and injected as Istio's webhook would (injection.go).
//  3. Offline, a Pod without status is one that is yet to be created: it is ready, and injected the same way.
//  4. WorkloadEntries are kept apart (workloadentry.go): Services and ServiceEntries select them by rules of their own.
//
// Source: pilot/pkg/serviceregistry/kube/controller/pod.go, shouldPodBeInEndpoints, IsPodReady.

// workloadIndex holds the workloads of one namespace, each once.
type workloadIndex struct {
	// pods are oldest first; templates by kind, and oldest first.
	pods, templates []agedWorkload
	all             []*Workload
	// finished are pods that ran to their end.
	finished []*Workload
	// runs are the workloads of a resource that runs pods, itself or through a ReplicaSet or Job.
	runs map[Ref][]*Workload
}

// agedWorkload is a workload with what its place among all is found by.
type agedWorkload struct {
	*Workload
	object metav1.Object
	// kind is 0 for pods.
	kind int
}

// WorkloadsIn returns the workloads of one namespace.
func (s *Snapshot) WorkloadsIn(namespace string) []*Workload {
	return s.runningCell(namespace).workloads().all
}

// WorkloadEntriesIn returns the WorkloadEntries of a namespace as workloads.
func (s *Snapshot) WorkloadEntriesIn(namespace string) []*Workload {
	return s.index.entries()[namespace]
}

func indexWorkloads(s *Snapshot, running *Running) *workloadIndex {
	ix := indexPods(s, running, running.Pods())
	for _, w := range slices.Concat(ix.pods, ix.templates) {
		s.remember(w.Workload)
	}
	return ix
}

// indexUnseen holds the pods of a namespace that istiod does not see.
func indexUnseen(s *Snapshot, running *Running) *workloadIndex {
	if running.seen() {
		return &workloadIndex{}
	}
	return indexPods(s, running, objectsOf[*corev1.Pod](running, podKind))
}

func indexPods(s *Snapshot, running *Running, pods []*corev1.Pod) *workloadIndex {
	ix := &workloadIndex{runs: map[Ref][]*Workload{}}
	owners := ownersIn(running)
	hasPods := map[Ref]bool{}
	for _, pod := range pods {
		controller, owner := owners.of(pod)
		w := s.podWorkload(pod, owner)
		hasPods[owner], hasPods[controller] = true, true
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			ix.finished = append(ix.finished, w)
			continue
		}
		ix.pods = append(ix.pods, agedWorkload{w, pod, 0})
		ix.runs[owner] = append(ix.runs[owner], w)
		if controller != owner {
			ix.runs[controller] = append(ix.runs[controller], w)
		}
	}
	if s.Offline || s.plansIn(running.cell.namespace) {
		for _, t := range running.templates() {
			if s.yetToBe(t.owner) && t.endpoints && !hasPods[t.owner] && t.replicas > 0 {
				w := s.templateWorkload(t)
				ix.templates = append(ix.templates, agedWorkload{w, t.object, t.kind})
				ix.runs[t.owner] = append(ix.runs[t.owner], w)
			}
		}
	}
	for _, w := range slices.Concat(ix.pods, ix.templates) {
		ix.all = append(ix.all, w.Workload)
	}
	return ix
}

// workloadsAmong are those of some namespaces: pods, then templates by kind, each oldest first.
func (s *Snapshot) workloadsAmong(namespaces []string) []*Workload {
	var aged []agedWorkload
	for _, namespace := range namespaces {
		ix := s.runningCell(namespace).workloads()
		aged = append(append(aged, ix.pods...), ix.templates...)
	}
	slices.SortStableFunc(aged, func(a, b agedWorkload) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), byAge(a.object, b.object))
	})
	all := make([]*Workload, len(aged))
	for i, w := range aged {
		all[i] = w.Workload
	}
	return all
}

func indexWorkloadEntries(s *Snapshot) map[string][]*Workload {
	entries := map[string][]*Workload{}
	for _, entry := range s.WorkloadEntries {
		w := entryWorkload(entry)
		entries[w.Namespace] = append(entries[w.Namespace], w)
	}
	return entries
}

// podWorkload is a Pod as a workload.
func (s *Snapshot) podWorkload(pod *corev1.Pod, owner Ref) *Workload {
	w := &Workload{
		Owner: owner, Pod: pod.Name, Namespace: pod.Namespace,
		Labels: pod.Labels, Annotations: pod.Annotations,
		ServiceAccount: accountOf(&pod.Spec),
		Addresses:      podAddresses(&pod.Status),
		Containers:     allContainers(&pod.Spec),
		HostNetwork:    pod.Spec.HostNetwork,
		Hostname:       pod.Spec.Hostname,
		Subdomain:      pod.Spec.Subdomain,
		NodeName:       pod.Spec.NodeName,
		Replicas:       1,
		Ready:          s.podReady(pod),
		Terminating:    pod.DeletionTimestamp != nil,
	}
	w.Network = s.networkOf(w).name
	w.Locality = s.podLocality(pod.Labels, pod.Spec.NodeName)
	t := PodTemplate{
		Ref: refOf("", "Pod", pod), Namespace: pod.Namespace,
		Labels: pod.Labels, Annotations: pod.Annotations,
		HostNetwork: w.HostNetwork, Containers: w.Containers,
	}
	if s.yetToBe(t.Ref) && !hasStatus(&pod.Status) {
		s.created(w, t)
		return w
	}
	w.Dataplane, w.DataplaneStep = s.runningDataplane(t)
	return w
}

// hasStatus reports whether a kubelet has seen the pod.
func hasStatus(status *corev1.PodStatus) bool {
	return status.Phase != "" || status.PodIP != "" || len(status.PodIPs) > 0 || len(status.Conditions) > 0
}

// podReady is the Ready condition. Offline, a pod of which no condition is told is ready if nothing says that it is not running.
func (s *Snapshot) podReady(pod *corev1.Pod) bool {
	status := &pod.Status
	for _, c := range status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return s.yetToBe(refOf("", "Pod", pod)) && (status.Phase == "" || status.Phase == corev1.PodRunning)
}

func podAddresses(status *corev1.PodStatus) []netip.Addr {
	var out []netip.Addr
	add := func(ip string) {
		if a, err := netip.ParseAddr(ip); err == nil && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	add(status.PodIP)
	for _, ip := range status.PodIPs {
		add(ip.IP)
	}
	return out
}

func accountOf(spec *corev1.PodSpec) string {
	switch {
	case spec.ServiceAccountName != "":
		return spec.ServiceAccountName
	case spec.DeprecatedServiceAccount != "":
		return spec.DeprecatedServiceAccount
	}
	return "default"
}

// allContainers are the containers and the init containers, among which native sidecars are.
func allContainers(spec *corev1.PodSpec) []corev1.Container {
	if len(spec.InitContainers) == 0 {
		return spec.Containers
	}
	return slices.Concat(spec.Containers, spec.InitContainers)
}

// workloadTemplate is the pod template of a resource that runs pods.
type workloadTemplate struct {
	owner  Ref
	object metav1.Object
	// kind orders the kinds, from 1.
	kind int
	// field is where the template stands: spec.template.
	field string
	meta  *metav1.ObjectMeta
	spec  *corev1.PodSpec
	// replicas is how many pods it runs.
	replicas int
	// endpoints is set for the kinds whose templates stand for pods that receive requests.
	endpoints bool
	// subdomain is the headless Service under which the pods have names: spec.serviceName of a StatefulSet.
	subdomain string
}

// templateKinds are the kinds that have pod templates, in the order in which their workloads stand.
var templateKinds = []schema.GroupKind{deploymentKind, statefulSetKind, daemonSetKind, replicaSetKind, jobKind, cronJobKind}

// templates returns the pod templates, by kind and, within a kind, oldest first.
func (r *Running) templates() []workloadTemplate {
	r.need(templateKinds...)
	var out []workloadTemplate
	for _, kind := range templateKinds {
		out = append(out, r.templatesOf(kind)...)
	}
	return out
}

// templatesOf returns the pod templates of one kind, oldest first.
func (r *Running) templatesOf(kind schema.GroupKind) []workloadTemplate {
	if !r.seen() {
		return nil
	}
	var out []workloadTemplate
	for _, o := range r.list(kind).objects {
		if t, ok := templateOf(o); ok {
			out = append(out, t)
		}
	}
	return out
}

// templateOf is the pod template of an object; false for one that has none.
func templateOf(o Object) (workloadTemplate, bool) {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return newTemplate(o, deploymentKind, "spec.template", &o.Spec.Template, o.Spec.Replicas), true
	case *appsv1.StatefulSet:
		t := newTemplate(o, statefulSetKind, "spec.template", &o.Spec.Template, o.Spec.Replicas)
		t.subdomain = o.Spec.ServiceName
		return t, true
	case *appsv1.DaemonSet:
		return newTemplate(o, daemonSetKind, "spec.template", &o.Spec.Template, nil), true
	case *appsv1.ReplicaSet:
		return newTemplate(o, replicaSetKind, "spec.template", &o.Spec.Template, o.Spec.Replicas), true
	case *batchv1.Job:
		return newTemplate(o, jobKind, "spec.template", &o.Spec.Template, nil), true
	case *batchv1.CronJob:
		return newTemplate(o, cronJobKind, "spec.jobTemplate.spec.template", &o.Spec.JobTemplate.Spec.Template, nil), true
	}
	return workloadTemplate{}, false
}

func newTemplate(o metav1.Object, kind schema.GroupKind, field string, t *corev1.PodTemplateSpec, replicas *int32) workloadTemplate {
	return workloadTemplate{
		owner: refOf(kind.Group, kind.Kind, o), object: o, kind: slices.Index(templateKinds, kind) + 1, field: field,
		meta: &t.ObjectMeta, spec: &t.Spec, replicas: int(ptr.Deref(replicas, 1)),
		endpoints: kind == deploymentKind || kind == statefulSetKind || kind == daemonSetKind, subdomain: t.Spec.Subdomain,
	}
}

// templateWorkload is the workload that a template stands for.
func (s *Snapshot) templateWorkload(t workloadTemplate) *Workload {
	w := &Workload{
		Owner: t.owner, Namespace: t.owner.Namespace,
		Labels: t.meta.Labels, Annotations: t.meta.Annotations,
		ServiceAccount: accountOf(t.spec),
		Containers:     allContainers(t.spec),
		HostNetwork:    t.spec.HostNetwork,
		Hostname:       t.spec.Hostname,
		Subdomain:      t.subdomain,
		NodeName:       t.spec.NodeName,
		Replicas:       t.replicas,
		Ready:          true,
		FromTemplate:   true,
	}
	w.Network = s.networkOf(w).name
	w.Locality = s.podLocality(w.Labels, t.spec.NodeName)
	s.created(w, PodTemplate{
		Ref: t.owner.At(t.field), Namespace: w.Namespace,
		Labels: w.Labels, Annotations: w.Annotations,
		HostNetwork: w.HostNetwork, Containers: w.Containers,
	})
	return w
}

// created makes of the workload what the cluster would at its pod's creation.
func (s *Snapshot) created(w *Workload, t PodTemplate) {
	injection := s.Injection(t)
	w.Dataplane, w.DataplaneStep, w.AssumedInjection = injection.Dataplane, injection.Step, injection.Assumed
	w.InjectorStep = injection.Injector
	if injection.Template != "" {
		w.Labels = injectedLabels(w.Labels, injection.Template, w.Owner.Name)
	}
}

// podLocality is the pod's own label, else the node's.
// Source: pilot/pkg/serviceregistry/kube/controller/controller.go, getPodLocality.
func (s *Snapshot) podLocality(labels map[string]string, nodeName string) Locality {
	if l, ok := labelledLocality(labels); ok {
		return l
	}
	node := s.node(nodeName)
	if node == nil {
		return Locality{}
	}
	first := func(names ...string) string {
		for _, n := range names {
			if v := node.Labels[n]; v != "" {
				return v
			}
		}
		return ""
	}
	return Locality{
		Region:  first(corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaRegion),
		Zone:    first(corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaZone),
		SubZone: first(labelSubzone),
	}
}

// node is the node of a name; nil for one that was not read.
func (s *Snapshot) node(name string) *corev1.Node {
	return s.index.nodes()[name]
}

func indexNodes(s *Snapshot) map[string]*corev1.Node {
	nodes := map[string]*corev1.Node{}
	for _, n := range objectsOf[*corev1.Node](s.RunningIn(""), nodeKind) {
		nodes[n.Name] = n
	}
	return nodes
}

// labelledLocality reads region/zone/subzone from a label, in which dots may stand for slashes.
// Source: pkg/model/proxy.go, GetLocalityLabel, SanitizeLocalityLabel.
func labelledLocality(labels map[string]string) (Locality, bool) {
	value, ok := labels[labelLocality]
	if !ok {
		value = labels["istio-locality"]
	}
	if value == "" {
		return Locality{}, false
	}
	if !strings.Contains(value, "/") {
		value = strings.ReplaceAll(value, ".", "/")
	}
	return parseLocality(value), true
}

func parseLocality(value string) Locality {
	parts := append(strings.SplitN(value, "/", 3), "", "")
	return Locality{Region: parts[0], Zone: parts[1], SubZone: parts[2]}
}
