package cmd

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"istio.io/api/annotation"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// TestCrowdIsEachOfItsClients asks the request of every scenario from every workload there, and from others that differ from
// these in one thing each: whoever is said to fare as another does, fares so when it is walked.
func TestCrowdIsEachOfItsClients(t *testing.T) {
	clients, walks := 0, 0
	for c := range tracedScenarios(t) {
		snapshot := resolve.NewSnapshot(c.input)
		crowd := trace.NewCrowd(snapshot, c.request)
		for _, w := range crowdOf(snapshot) {
			clients++
			got, err := crowd.Trace(trace.NewClient(snapshot, w))
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			want, err := trace.WalkFrom(snapshot, c.request, w, trace.DetailNone)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if diff := cmp.Diff(answersOf(want), answersOf(got)); diff != "" {
				t.Errorf("%s: %s is taken for %s (-walked +taken):\n%s", c.name, clientText(w), got.Source.Name, diff)
			}
		}
		walks += crowd.Walks()
	}
	t.Logf("%d clients, %d walks", clients, walks)
	if walks*2 > clients {
		t.Errorf("%d walks for %d clients: next to nothing is grouped", walks, clients)
	}
}

// crowdOf are the workloads of the snapshot, a pod without a proxy, and relatives of each.
func crowdOf(s *resolve.Snapshot) []*resolve.Workload {
	var all []*resolve.Workload
	namespaces := s.RunningNamespaces()
	for _, namespace := range namespaces {
		all = append(all, s.WorkloadsIn(namespace)...)
		all = append(all, s.WorkloadEntriesIn(namespace)...)
		all = append(all, &resolve.Workload{Namespace: namespace, Owner: resolve.Ref{Kind: "Namespace", Name: namespace}, Anonymous: true, Dataplane: resolve.DataplaneNone})
	}
	for _, w := range slices.Clone(all) {
		for _, change := range relatives(s, namespaces) {
			other := *w
			other.Owner.Name += "-relative"
			other.Labels, other.Annotations = maps.Clone(w.Labels), maps.Clone(w.Annotations)
			if other.Labels == nil {
				other.Labels = map[string]string{}
			}
			change(&other)
			all = append(all, &other)
		}
	}
	return all
}

// relatives change one thing each.
func relatives(s *resolve.Snapshot, namespaces []string) []func(*resolve.Workload) {
	changes := []func(*resolve.Workload){
		func(*resolve.Workload) {},
		func(w *resolve.Workload) { w.ServiceAccount = "someone" },
		func(w *resolve.Workload) { w.Addresses = nil },
		func(w *resolve.Workload) { w.Addresses = []netip.Addr{netip.MustParseAddr("10.1.2.3")} },
		func(w *resolve.Workload) { w.Addresses = []netip.Addr{netip.MustParseAddr("203.0.113.7")} },
		func(w *resolve.Workload) { w.Labels = map[string]string{} },
		func(w *resolve.Workload) { w.NodeName = "elsewhere" },
		func(w *resolve.Workload) { w.NodeName, w.Locality = "elsewhere", resolve.Locality{} },
		func(w *resolve.Workload) { w.Locality = resolve.Locality{Region: "elsewhere"} },
		func(w *resolve.Workload) { w.Network = "elsewhere" },
		func(w *resolve.Workload) { w.Dataplane = resolve.DataplaneNone },
		func(w *resolve.Workload) { w.Dataplane = resolve.DataplaneSidecar },
		func(w *resolve.Workload) { w.Dataplane, w.Anonymous = resolve.DataplaneSidecar, true },
		func(w *resolve.Workload) {
			w.Annotations = map[string]string{annotation.SidecarTrafficExcludeOutboundPorts.Name: "80,8080,9080"}
		},
	}
	for _, namespace := range namespaces {
		changes = append(changes, func(w *resolve.Workload) { w.Namespace = namespace })
		for _, other := range s.WorkloadsIn(namespace) {
			changes = append(changes, func(w *resolve.Workload) { w.ServiceAccount = other.ServiceAccount },
				func(w *resolve.Workload) { maps.Copy(w.Labels, other.Labels) },
				func(w *resolve.Workload) { w.NodeName, w.Locality = other.NodeName, other.Locality },
				func(w *resolve.Workload) { w.NodeName, w.Locality = other.NodeName, resolve.Locality{} })
		}
		if len(changes) > 30 {
			break
		}
	}
	return changes
}

func clientText(w *resolve.Workload) string {
	return fmt.Sprintf("%s (%s, account %s, labels %v, node %s, addresses %v)", w.Owner, w.Dataplane, w.ServiceAccount, w.Labels, w.NodeName, w.Addresses)
}

// answersOf are the outcomes without the way there, hints, and what only words tell.
func answersOf(t *trace.Trace) []trace.Outcome {
	out := fates(t)
	for i := range out {
		out[i].Reason = ""
		out[i].Otherwise = slices.Clone(out[i].Otherwise)
		for j := range out[i].Otherwise {
			out[i].Otherwise[j].Reason = ""
		}
	}
	return out
}
