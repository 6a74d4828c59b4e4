package resolve

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ClientsIn returns what may send requests in a namespace: its workloads, its WorkloadEntries, and what will run there,
// though nothing of it runs now: CronJobs, and of manifests Jobs.
func (s *Snapshot) ClientsIn(namespace string) []*Workload {
	all := slices.Concat(s.WorkloadsIn(namespace), s.WorkloadEntriesIn(namespace))
	kinds := []schema.GroupKind{cronJobKind}
	if s.Offline {
		kinds = append(kinds, jobKind)
	}
	running := s.runningCell(namespace).workloads().runs
	for _, kind := range kinds {
		for _, t := range s.RunningIn(namespace).templatesOf(kind) {
			if _, controlled := controllerOf(t.object); len(running[t.owner]) == 0 && !controlled {
				all = append(all, s.templateWorkload(t))
			}
		}
	}
	return all
}

// ClientGaps are what could not be read of the namespace and may be among its clients, or say what they are called by; of the
// empty namespace, that not all namespaces are known.
func (s *Snapshot) ClientGaps(namespace string) []Gap {
	if namespace == "" {
		return s.GapsOf(namespaceKind)
	}
	var gaps []Gap
	for _, kind := range []schema.GroupKind{podKind, cronJobKind, workloadEntryKind} {
		gaps = append(gaps, s.GapsOf(kind, namespace)...)
	}
	if s.Offline {
		for _, kind := range []schema.GroupKind{deploymentKind, statefulSetKind, daemonSetKind, jobKind} {
			gaps = append(gaps, s.GapsOf(kind, namespace)...)
		}
	}
	return gaps
}

// NamespaceNames are the namespaces that are known, or in which something may run, in order.
func (s *Snapshot) NamespaceNames() []string {
	names := map[string]bool{}
	for name := range s.Namespaces {
		names[name] = true
	}
	for _, name := range s.RunningNamespaces() {
		names[name] = true
	}
	for _, entry := range s.WorkloadEntries {
		names[entry.Namespace] = true
	}
	delete(names, "")
	return sortedKeys(names)
}
