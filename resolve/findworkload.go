package resolve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// sourceKind is a kind by which a workload can be named.
type sourceKind struct {
	name, kind, group string
	aliases           []string
}

// sourceKinds are the kinds of --from.
var sourceKinds = []sourceKind{
	{"pod", "Pod", "", []string{"pods", "po"}},
	{"deployment", "Deployment", "apps", []string{"deployments", "deploy"}},
	{"statefulset", "StatefulSet", "apps", []string{"statefulsets", "sts"}},
	{"daemonset", "DaemonSet", "apps", []string{"daemonsets", "ds"}},
	{"replicaset", "ReplicaSet", "apps", []string{"replicasets", "rs"}},
	{"job", "Job", batchGroup, []string{"jobs"}},
	{"cronjob", "CronJob", batchGroup, []string{"cronjobs", "cj"}},
	{"serviceaccount", "ServiceAccount", "", []string{"serviceaccounts", "sa"}},
	{"workloadentry", "WorkloadEntry", "networking.istio.io", []string{"workloadentries", "we"}},
}

// UnknownKindError says that no workload can be named by the kind.
type UnknownKindError struct {
	Kind string
	// Known are the kinds that can be used.
	Known []string
}

// Error names the kinds that can be used.
func (e *UnknownKindError) Error() string {
	return fmt.Sprintf("unknown kind of workload %q; known are %s", e.Kind, strings.Join(e.Known, ", "))
}

// WorkloadNotFoundError says that there is no such workload.
type WorkloadNotFoundError struct {
	// Kind is as kubectl prints it: Deployment.
	Kind, Namespace, Name string
	// Nearest are the workloads that could have been meant, as NAMESPACE/KIND/NAME, the likeliest first.
	Nearest []string
	// Gaps are what could not be read and might have it.
	Gaps []Gap
}

// Error names the workload and the nearest ones.
func (e *WorkloadNotFoundError) Error() string {
	message := fmt.Sprintf("%s %s/%s is not found", strings.ToLower(e.Kind), e.Namespace, e.Name)
	if len(e.Gaps) > 0 {
		message += fmt.Sprintf(" (%s could not be read: %s)", e.Gaps[0].GroupKind.Kind, e.Gaps[0].Reason)
	}
	if len(e.Nearest) > 0 {
		message += "; there is " + strings.Join(e.Nearest, ", ")
	}
	return message
}

// FindWorkload returns the workloads that a kind and name stand for, at least one
// if the error is nil. The kind may be a singular, a plural or a short name in any case; empty is a pod.
//
//  1. A pod is that pod, one that has finished too; or, where only a template is known, none.
//  2. A kind that runs pods is its pods; without pods, the template, as one workload.
//  3. A service account is the workloads that run as it; without one, the bare identity in its
//     namespace, where the ServiceAccount is loaded or ServiceAccounts are not known.
//  4. A WorkloadEntry is itself.
//
// The error is an [UnknownKindError] or a [WorkloadNotFoundError].
func (s *Snapshot) FindWorkload(kind, namespace, name string) ([]*Workload, error) {
	k, ok := lookupSourceKind(kind)
	if !ok {
		return nil, &UnknownKindError{Kind: kind, Known: sourceKindNames()}
	}
	ref := Ref{Group: k.group, Cluster: s.cluster, Kind: k.kind, Namespace: namespace, Name: name}
	var found []*Workload
	switch k.kind {
	case "Pod":
		found = s.podsNamed(ref)
	case "ServiceAccount":
		found = s.runningAs(ref)
	case "WorkloadEntry":
		found = keep(s.WorkloadEntriesIn(namespace), func(w *Workload) bool { return w.Owner == ref })
	default:
		found = s.podsOf(ref)
	}
	if len(found) == 0 {
		return nil, s.notFound(k, ref)
	}
	return found, nil
}

func lookupSourceKind(kind string) (sourceKind, bool) {
	kind = strings.ToLower(kind)
	i := slices.IndexFunc(sourceKinds, func(k sourceKind) bool {
		return kind == k.name || kind == "" && k.name == "pod" || slices.Contains(k.aliases, kind)
	})
	if i < 0 {
		return sourceKind{}, false
	}
	return sourceKinds[i], true
}

func sourceKindNames() []string {
	names := make([]string, len(sourceKinds))
	for i, k := range sourceKinds {
		names[i] = k.name
	}
	return names
}

func keep(ws []*Workload, yes func(*Workload) bool) []*Workload {
	var out []*Workload
	for _, w := range ws {
		if yes(w) {
			out = append(out, w)
		}
	}
	return out
}

func (s *Snapshot) podsNamed(ref Ref) []*Workload {
	named := func(w *Workload) bool { return w.Namespace == ref.Namespace && w.Pod == ref.Name && ref.Name != "" }
	found := keep(s.WorkloadsIn(ref.Namespace), named)
	if len(found) == 0 {
		found = keep(s.runningCell(ref.Namespace).workloads().finished, named)
	}
	return found
}

// podsOf returns the pods that a resource runs, itself or through a ReplicaSet or Job.
func (s *Snapshot) podsOf(ref Ref) []*Workload {
	if found := s.runningCell(ref.Namespace).workloads().runs[ref]; len(found) > 0 {
		return found
	}
	for _, t := range s.RunningIn(ref.Namespace).templatesOf(schema.GroupKind{Group: ref.Group, Kind: ref.Kind}) {
		if t.owner == ref {
			return []*Workload{s.templateWorkload(t)}
		}
	}
	return nil
}

func (s *Snapshot) runningAs(ref Ref) []*Workload {
	found := keep(s.WorkloadsIn(ref.Namespace), func(w *Workload) bool { return w.ServiceAccount == ref.Name })
	if len(found) > 0 {
		return found
	}
	found = keep(s.WorkloadEntriesIn(ref.Namespace), func(w *Workload) bool { return w.ServiceAccount == ref.Name })
	if len(found) > 0 {
		return found
	}
	known := ref.Name == "default" && s.Namespaces[ref.Namespace] != nil
	for _, sa := range s.RunningIn(ref.Namespace).ServiceAccounts() {
		known = known || sa.Name == ref.Name
	}
	if !known && !s.Offline && len(s.GapsOf(serviceAccountKind, ref.Namespace)) == 0 {
		return nil
	}
	w := &Workload{Owner: ref, Namespace: ref.Namespace, ServiceAccount: ref.Name, Replicas: 1, Ready: true, FromTemplate: true}
	s.created(w, PodTemplate{Ref: ref, Namespace: ref.Namespace})
	return []*Workload{w}
}

// nearestWorkloads is how many workloads a not-found error names.
const nearestWorkloads = 3

func (s *Snapshot) notFound(k sourceKind, ref Ref) error {
	e := &WorkloadNotFoundError{Kind: k.kind, Namespace: ref.Namespace, Name: ref.Name}
	e.Gaps = append(e.Gaps, s.GapsOf(schema.GroupKind{Group: k.group, Kind: k.kind}, ref.Namespace)...)
	if k.kind != "Pod" && k.kind != "WorkloadEntry" {
		e.Gaps = append(e.Gaps, s.GapsOf(podKind, ref.Namespace)...)
	}
	type candidate struct {
		name string
		rank int
	}
	var candidates []candidate
	seen := map[Ref]bool{}
	add := func(r Ref) {
		if rank, near := likeness(ref, r); near && !seen[r] {
			seen[r] = true
			candidates = append(candidates, candidate{r.Namespace + "/" + strings.ToLower(r.Kind) + "/" + r.Name, rank})
		}
	}
	namespaces, _ := s.runningWith(sameName(ref.Name)...)
	if !slices.Contains(namespaces, ref.Namespace) {
		namespaces = append(namespaces, ref.Namespace)
	}
	for _, namespace := range namespaces {
		for _, w := range s.WorkloadsIn(namespace) {
			add(w.Owner)
			if w.Pod != "" {
				add(workloadRef(w))
			}
		}
		for _, t := range s.RunningIn(namespace).templates() {
			add(t.owner)
		}
	}
	for _, entry := range s.WorkloadEntries {
		add(refOf("networking.istio.io", "WorkloadEntry", entry))
	}
	slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.name, b.name)) })
	for _, c := range candidates[:min(len(candidates), nearestWorkloads)] {
		e.Nearest = append(e.Nearest, c.name)
	}
	return e
}

// sameName are the searches for what runs under the name in other namespaces: a pod, or what people name pods by.
func sameName(name string) []Sought {
	var out []Sought
	for _, kind := range []schema.GroupKind{podKind, deploymentKind, statefulSetKind, daemonSetKind, cronJobKind} {
		out = append(out, Sought{Kind: kind, Name: name})
	}
	return out
}

// likeness ranks how near a workload is to the one that was meant, 0 the nearest:
// the same name of another kind, then in another namespace, then a similar name.
func likeness(meant, r Ref) (int, bool) {
	elsewhere, kind := 0, 0
	if r.Namespace != meant.Namespace {
		elsewhere = 2
	}
	if r.Kind != meant.Kind {
		kind = 1
	}
	switch {
	case r.Name == meant.Name:
		return elsewhere + kind, true
	case elsewhere == 0 && meant.Name != "" && (strings.HasPrefix(r.Name, meant.Name) || strings.HasPrefix(meant.Name, r.Name)):
		return 4 + kind, true
	case elsewhere == 0 && meant.Name != "" && editedOnce(meant.Name, r.Name):
		return 6 + kind, true
	}
	return 0, false
}

// editedOnce reports whether two names differ by at most two letters of their middle: a slip of the pen.
func editedOnce(a, b string) bool {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a) <= 2 && len(b) <= 2
}
