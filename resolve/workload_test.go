package resolve

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// line is a workload as a test table writes it: what it is, how many, its state.
func line(w *Workload) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", strings.ToLower(w.Owner.Kind), w.Owner.QualifiedName())
	if w.Pod != "" {
		fmt.Fprintf(&b, " pod %s", w.Pod)
	}
	fmt.Fprintf(&b, " x%d %s sa=%s", w.Replicas, w.Dataplane, w.ServiceAccount)
	for _, flag := range []struct {
		name string
		set  bool
	}{{"template", w.FromTemplate}, {"assumed", w.AssumedInjection}, {"unready", !w.Ready}, {"terminating", w.Terminating}} {
		if flag.set {
			b.WriteString(" " + flag.name)
		}
	}
	return b.String()
}

func lines(ws []*Workload) []string {
	out := []string{}
	for _, w := range ws {
		out = append(out, line(w))
	}
	return out
}

func controlled(pod, kind, name string) string {
	version := "apps/v1"
	if kind == "Job" || kind == "CronJob" {
		version = "batch/v1"
	}
	return "metadata: {name: " + pod + ", namespace: shop, labels: {pod-template-hash: abc}, ownerReferences: [{apiVersion: " + version + ", kind: " + kind + ", name: " + name + ", uid: u, controller: true}]}\n"
}

const running = "status: {phase: Running, podIP: 10.0.0.1, conditions: [{type: Ready, status: \"True\"}]}\n"

func TestWorkloads(t *testing.T) {
	tests := []struct {
		name      string
		manifests string
		want      []string
	}{
		{"template", deployment("web", "{replicas: 3, template: {spec: {serviceAccountName: web}}}"), []string{"deployment shop/web x3 none sa=web template"}},
		{"replicas unset is one", deployment("web", "{template: {}}"), []string{"deployment shop/web x1 none sa=default template"}},
		{"replicas zero is none", deployment("web", "{replicas: 0}"), []string{}},
		{"stateful set", strings.Replace(deployment("db", "{replicas: 2}"), "Deployment", "StatefulSet", 1), []string{"statefulset shop/db x2 none sa=default template"}},
		{"daemon set is one", strings.Replace(deployment("agent", "{}"), "Deployment", "DaemonSet", 1), []string{"daemonset shop/agent x1 none sa=default template"}},
		{"replica set and job are sources only", strings.Replace(deployment("web", "{}"), "Deployment", "ReplicaSet", 1) + strings.Replace(deployment("j", "{}"), "apps/v1\nkind: Deployment", "batch/v1\nkind: Job", 1), []string{}},
		{
			"pods of its own replace the template", deployment("web", "{replicas: 3}") +
				"apiVersion: v1\nkind: Pod\n" + controlled("web-abc-1", "ReplicaSet", "web-abc") + running,
			[]string{"deployment shop/web pod web-abc-1 x1 none sa=default"},
		},
		{
			"replica set loaded, controller followed", "apiVersion: apps/v1\nkind: ReplicaSet\n" + controlled("weird", "Deployment", "web") +
				"---\napiVersion: v1\nkind: Pod\n" + controlled("p", "ReplicaSet", "weird") + running,
			[]string{"deployment shop/web pod p x1 none sa=default"},
		},
		{"replica set without hash", "apiVersion: v1\nkind: Pod\n" + controlled("p", "ReplicaSet", "web"), []string{"replicaset shop/web pod p x1 none sa=default"}},
		{"stateful set's pod", "apiVersion: v1\nkind: Pod\n" + controlled("db-0", "StatefulSet", "db"), []string{"statefulset shop/db pod db-0 x1 none sa=default"}},
		{"cron job by its time", "apiVersion: v1\nkind: Pod\n" + controlled("p", "Job", "nightly-28912345"), []string{"cronjob shop/nightly pod p x1 none sa=default"}},
		{"job", "apiVersion: v1\nkind: Pod\n" + controlled("p", "Job", "once"), []string{"job shop/once pod p x1 none sa=default"}},
		{
			"job loaded with its cron job", "apiVersion: batch/v1\nkind: Job\n" + controlled("once", "CronJob", "nightly") +
				"---\napiVersion: v1\nkind: Pod\n" + controlled("p", "Job", "once"),
			[]string{"cronjob shop/nightly pod p x1 none sa=default"},
		},
		{"static pod", "apiVersion: v1\nkind: Pod\n" + controlled("p", "Node", "n1"), []string{"pod shop/p pod p x1 none sa=default"}},
		{"finished pods are gone", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nstatus: {phase: Succeeded}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: q, namespace: shop}\nstatus: {phase: Failed}\n", []string{}},
		{"pod without status is ready", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\n", []string{"pod shop/p pod p x1 none sa=default"}},
		{"running without conditions is ready", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nstatus: {phase: Running}\n", []string{"pod shop/p pod p x1 none sa=default"}},
		{"pending is not", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nstatus: {phase: Pending}\n", []string{"pod shop/p pod p x1 none sa=default unready"}},
		{"not ready", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nstatus: {phase: Running, conditions: [{type: Ready, status: \"False\"}]}\n", []string{"pod shop/p pod p x1 none sa=default unready"}},
		{"terminating", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop, deletionTimestamp: \"2026-01-01T00:00:00Z\"}\n" + running, []string{"pod shop/p pod p x1 none sa=default terminating"}},
		{
			"assumed injection", deployment("web", "{}") + "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a, namespace: shop}\n",
			[]string{"deployment shop/web x1 sidecar sa=default template assumed"},
		},
		{
			"pod yet to be created is injected", shopNamespace + "{istio-injection: enabled}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\n",
			[]string{"pod shop/p pod p x1 sidecar sa=default"},
		},
		{
			"pod that runs is what it runs", shopNamespace + "{istio-injection: enabled}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\n" + running,
			[]string{"pod shop/p pod p x1 none sa=default"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, tt.manifests)
			if diff := cmp.Diff(tt.want, lines(s.workloadsAmong(s.RunningNamespaces()))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, lines(s.WorkloadsIn("shop"))); diff != "" {
				t.Errorf("WorkloadsIn (-want +got):\n%s", diff)
			}
		})
	}
}

func deployment(name, spec string) string {
	return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + ", namespace: shop}\nspec: " + spec + "\n---\n"
}

func TestWorkloadsOfClusterAreItsPods(t *testing.T) {
	s := snapshotOf(t, deployment("web", "{replicas: 3}")+"apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\n")
	s.Offline = false
	if diff := cmp.Diff([]string{"pod shop/p pod p x1 none sa=default unready"}, lines(s.workloadsAmong(s.RunningNamespaces()))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRunningDataplane(t *testing.T) {
	tests := []struct {
		name, metadata, spec string
		want                 Dataplane
		rule                 RuleID
	}{
		{"no proxy", "", "{containers: [{name: app}]}", DataplaneNone, RuleWorkloadNoProxy},
		{"sidecar", "", "{containers: [{name: app}, {name: istio-proxy, args: [proxy, sidecar]}]}", DataplaneSidecar, RuleWorkloadSidecar},
		{"native sidecar", "", "{containers: [{name: app}], initContainers: [{name: istio-proxy, restartPolicy: Always, args: [proxy, sidecar]}]}", DataplaneSidecar, RuleWorkloadSidecar},
		{"sidecar without arguments", "", "{containers: [{name: istio-proxy}]}", DataplaneSidecar, RuleWorkloadSidecar},
		{"gateway", "", "{containers: [{name: istio-proxy, args: [proxy, router]}]}", DataplaneGateway, RuleWorkloadGateway},
		{"gateway by template", "annotations: {inject.istio.io/templates: gateway}", "{containers: [{name: istio-proxy}]}", DataplaneGateway, RuleWorkloadGateway},
		{"gateway by label", "labels: {istio: ingressgateway}", "{containers: [{name: istio-proxy}]}", DataplaneGateway, RuleWorkloadGateway},
		{"egress gateway by label", "labels: {istio: egressgateway}", "{containers: [{name: istio-proxy}]}", DataplaneGateway, RuleWorkloadGateway},
		{"label does not make a sidecar a gateway", "labels: {istio: ingressgateway}", "{containers: [{name: istio-proxy, args: [proxy, sidecar]}]}", DataplaneSidecar, RuleWorkloadSidecar},
		{"label without a proxy is nothing", "labels: {istio: ingressgateway}", "{containers: [{name: app}]}", DataplaneNone, RuleWorkloadNoProxy},
		{"waypoint", "", "{containers: [{name: istio-proxy, args: [proxy, waypoint]}]}", DataplaneWaypoint, RuleWorkloadWaypoint},
		{"redirected", "annotations: {ambient.istio.io/redirection: enabled}", "{containers: [{name: app}]}", DataplaneAmbient, RuleWorkloadRedirected},
		{"redirection pending", "annotations: {ambient.istio.io/redirection: pending}", "{containers: [{name: app}]}", DataplaneNone, RuleWorkloadPending},
		{"label is not redirection", "labels: {istio.io/dataplane-mode: ambient}", "{containers: [{name: app}]}", DataplaneNone, RuleWorkloadNoProxy},
		{"sidecar beats redirection", "annotations: {ambient.istio.io/redirection: enabled}", "{containers: [{name: istio-proxy, args: [proxy, sidecar]}]}", DataplaneSidecar, RuleWorkloadSidecar},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  namespace: shop\n  "+tt.metadata+"\nspec: "+tt.spec+"\n"+running)
			w := s.workloadsAmong(s.RunningNamespaces())[0]
			if w.Dataplane != tt.want || w.DataplaneStep.Rule != tt.rule {
				t.Errorf("want %s by %s, got %s by %s", tt.want, tt.rule, w.Dataplane, w.DataplaneStep.Rule)
			}
			if strings.Contains(w.DataplaneStep.Reason(), "%!") {
				t.Error(w.DataplaneStep.Reason())
			}
		})
	}
}

func TestWorkloadLocalityAndAddresses(t *testing.T) {
	node := "apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {topology.kubernetes.io/region: r, failure-domain.beta.kubernetes.io/zone: z, topology.istio.io/subzone: s}}\n---\n"
	pod := func(labels string) string {
		return node + "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop, labels: " + labels + "}\nspec: {nodeName: n1}\nstatus: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: \"fd00::1\"}, {ip: nonsense}]}\n"
	}
	tests := []struct {
		name, manifests string
		want            Locality
	}{
		{"of the node", pod("{}"), Locality{"r", "z", "s"}},
		{"label with dots", pod("{topology.istio.io/locality: a.b.c}"), Locality{"a", "b", "c"}},
		{"label with slashes keeps dots", pod("{istio-locality: a.x/b}"), Locality{"a.x", "b", ""}},
		{"new label first", pod("{istio-locality: old, topology.istio.io/locality: new}"), Locality{Region: "new"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, tt.manifests)
			w := s.workloadsAmong(s.RunningNamespaces())[0]
			if diff := cmp.Diff(tt.want, w.Locality); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff("[10.0.0.1 fd00::1]", fmt.Sprint(w.Addresses)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWorkloadEntries(t *testing.T) {
	tests := []struct {
		name, metadata, spec string
		dataplane            Dataplane
		rule                 RuleID
		want                 string
	}{
		{"plain", "", "{address: 10.1.1.1}", DataplaneNone, RuleWorkloadEntryPlain, "map[] {  } -"},
		{"labels of the metadata win", "labels: {a: m}", "{labels: {a: s, b: s}}", DataplaneNone, RuleWorkloadEntryPlain, "map[a:m b:s] {  } -"},
		{"account", "", "{serviceAccount: vm, locality: r/z/s, network: net}", DataplaneSidecar, RuleWorkloadEntryAccount, "map[] {r z s} -net"},
		{"label says no", "", "{serviceAccount: vm, labels: {security.istio.io/tlsMode: disabled}}", DataplaneNone, RuleWorkloadEntryTLSMode, "map[security.istio.io/tlsMode:disabled] {  } -"},
		{"label says yes", "labels: {security.istio.io/tlsMode: istio, topology.istio.io/network: l}", "{}", DataplaneSidecar, RuleWorkloadEntryTLSMode, "map[security.istio.io/tlsMode:istio topology.istio.io/network:l] {  } -"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata:\n  name: vm\n  namespace: shop\n  "+tt.metadata+"\nspec: "+tt.spec+"\n")
			w := s.WorkloadEntriesIn("shop")[0]
			if w.Dataplane != tt.dataplane || w.DataplaneStep.Rule != tt.rule {
				t.Errorf("want %s by %s, got %s by %s", tt.dataplane, tt.rule, w.Dataplane, w.DataplaneStep.Rule)
			}
			if diff := cmp.Diff(tt.want, fmt.Sprintf("%v %v -%s", w.Labels, w.Locality, w.Network)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(s.workloadsAmong(s.RunningNamespaces())) != 0 {
				t.Error("a WorkloadEntry is among the pods")
			}
		})
	}
}

func TestFindWorkload(t *testing.T) {
	manifests := shopNamespace + "{istio-injection: enabled}\n---\n" +
		deployment("web", "{template: {spec: {serviceAccountName: web-sa}}}") +
		deployment("idle", "{replicas: 0}") +
		"apiVersion: v1\nkind: Pod\n" + controlled("api-abc-2", "ReplicaSet", "api-abc") + running + "---\n" +
		"apiVersion: v1\nkind: Pod\n" + controlled("api-abc-1", "ReplicaSet", "api-abc") + running + "---\n" +
		"apiVersion: v1\nkind: Pod\nmetadata: {name: done, namespace: shop}\nstatus: {phase: Succeeded}\n---\n" +
		"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly, namespace: shop}\n---\n" +
		"apiVersion: batch/v1\nkind: Job\nmetadata: {name: once, namespace: shop}\n---\n" +
		"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: vm, namespace: shop}\nspec: {serviceAccount: vm-sa}\n"
	api := []string{"deployment shop/api pod api-abc-1 x1 none sa=default", "deployment shop/api pod api-abc-2 x1 none sa=default"}
	web := []string{"deployment shop/web x1 sidecar sa=web-sa template"}
	tests := []struct {
		kind, name string
		want       []string
		err        string
	}{
		{"", "api-abc-1", api[:1], ""},
		{"po", "api-abc-2", api[1:], ""},
		{"pod", "done", []string{"pod shop/done pod done x1 none sa=default unready"}, ""},
		{"deployment", "api", api, ""},
		{"deploy", "web", web, ""},
		{"Deployments", "web", web, ""},
		{"rs", "api-abc", api, ""},
		{"deployment", "idle", []string{"deployment shop/idle x0 sidecar sa=default template"}, ""},
		{"cronjob", "nightly", []string{"cronjob shop/nightly x1 sidecar sa=default template"}, ""},
		{"job", "once", []string{"job shop/once x1 sidecar sa=default template"}, ""},
		{"sa", "web-sa", web, ""},
		{"serviceaccount", "vm-sa", []string{"workloadentry shop/vm x1 sidecar sa=vm-sa"}, ""},
		{"serviceaccount", "nobody", []string{"serviceaccount shop/nobody x1 sidecar sa=nobody template"}, ""},
		{"we", "vm", []string{"workloadentry shop/vm x1 sidecar sa=vm-sa"}, ""},
		{"", "web", []string{}, "pod shop/web is not found; there is shop/deployment/web"},
		{"sts", "web", []string{}, "statefulset shop/web is not found; there is shop/deployment/web"},
		{"deployment", "wbe", []string{}, "deployment shop/wbe is not found; there is shop/deployment/web"},
		{"pod", "api", []string{}, "pod shop/api is not found; there is shop/deployment/api, shop/pod/api-abc-1, shop/pod/api-abc-2"},
		{"ds", "", []string{}, "daemonset shop/ is not found"},
		{"service", "web", []string{}, `unknown kind of workload "service"; known are pod, deployment, statefulset, daemonset, replicaset, job, cronjob, serviceaccount, workloadentry`},
	}
	for _, tt := range tests {
		t.Run(tt.kind+"/"+tt.name, func(t *testing.T) {
			s := snapshotOf(t, manifests)
			got, err := s.FindWorkload(tt.kind, "shop", tt.name)
			if diff := cmp.Diff(tt.want, lines(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			message := ""
			if err != nil {
				message = err.Error()
			}
			if diff := cmp.Diff(tt.err, message); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFindWorkloadInCluster(t *testing.T) {
	s := snapshotOf(t, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: known, namespace: shop}\n---\n"+deployment("web", "{}"))
	s.Offline = false
	if got, err := s.FindWorkload("sa", "shop", "known"); err != nil || len(got) != 1 {
		t.Errorf("known service account: %v, %v", got, err)
	}
	var notFound *WorkloadNotFoundError
	if _, err := s.FindWorkload("sa", "shop", "unknown"); !errors.As(err, &notFound) {
		t.Errorf("unknown service account: %v", err)
	}
	if _, err := s.FindWorkload("deploy", "elsewhere", "web"); err == nil || err.Error() != "deployment elsewhere/web is not found; there is shop/deployment/web" {
		t.Errorf("other namespace: %v", err)
	}
	s.Gaps = []Gap{{GroupKind: schema.GroupKind{Kind: "Pod"}, Reason: GapForbidden}}
	if _, err := s.FindWorkload("pod", "shop", "p"); err == nil || err.Error() != "pod shop/p is not found (Pod could not be read: forbidden)" {
		t.Errorf("forbidden: %v", err)
	}
}
