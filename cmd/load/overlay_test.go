package load

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

func overlayOf(t *testing.T, text string) *Overlay {
	t.Helper()
	o, err := ReadOverlay(ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(text)})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func inputOf(t *testing.T, text string) resolve.Input {
	t.Helper()
	in, err := Manifests(ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(text), Defer: true})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// standing are the objects of the input and of what runs in the namespace shop.
func standing(in resolve.Input) []string {
	all := slices.Clone(in.Resources)
	if in.Deferred != nil {
		for _, l := range in.Deferred.In("shop", []schema.GroupKind{podGroupKind, {Group: "apps", Kind: "Deployment"}}) {
			all = append(all, l.Resources...)
		}
	}
	var out []string
	for _, r := range all {
		out = append(out, sourcedRef(r).String()+" "+r.Origin.Locate(""))
	}
	return out
}

const overlaid = `
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: shop, creationTimestamp: "2026-02-01T00:00:00Z"}
spec: {hosts: [a], http: [{route: [{destination: {host: a}}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop}
spec: {nodeName: n1, containers: [{name: c, image: i}]}
status: {podIP: 10.1.0.1}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: shop}
spec: {selector: {matchLabels: {app: d}}, template: {metadata: {labels: {app: d}}, spec: {containers: [{name: c, image: i}]}}}
`

func TestOverlayReplacesAddsAndDeletes(t *testing.T) {
	base := inputOf(t, overlaid)
	before := standing(base)
	out := overlayOf(t, `
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
spec: {ports: [{port: 81}]}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: shop, creationTimestamp: "2020-01-01T00:00:00Z"}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: shop, annotations: {mesh-trace/delete: "true"}}
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop, labels: {new: "true"}}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: shop, annotations: {mesh-trace/delete: "true"}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: e, namespace: shop}
spec: {selector: {matchLabels: {app: e}}, template: {metadata: {labels: {app: e}}, spec: {containers: [{name: c, image: i}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: never, namespace: shop, annotations: {mesh-trace/delete: "true"}}
`).Over(base)
	want := []string{
		"Service shop/a <stdin>:2", "Service shop/b <stdin>:7", "Pod shop/p <stdin>:16", "Deployment shop/e <stdin>:25",
	}
	if diff := cmp.Diff(want, standing(out)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, standing(base)); diff != "" {
		t.Errorf("the base is another one now: %s", diff)
	}
	a, b := out.Resources[0].Object.(*corev1.Service), out.Resources[1].Object.(*corev1.Service)
	if a.Spec.ClusterIP != "10.0.0.1" || a.Spec.Ports[0].Port != 81 || a.CreationTimestamp.Year() != 2026 {
		t.Errorf("not kept, or not replaced: %+v", a)
	}
	if want := time.Date(2026, 2, 1, 0, 0, 1, 0, time.UTC); !b.CreationTimestamp.Time.Equal(want) {
		t.Errorf("what is added has the age %v, want %v", b.CreationTimestamp, want)
	}
	pod := out.Deferred.In("shop", []schema.GroupKind{podGroupKind})[0].Resources[0].Object.(*corev1.Pod)
	if pod.Status.PodIP != "10.1.0.1" || pod.Spec.NodeName != "n1" || pod.Labels["new"] != "true" {
		t.Errorf("the pod lost what it has, or is the old one: %+v", pod)
	}
	if len(out.Notes) != 1 || out.Notes[0].Ref.Name != "never" {
		t.Errorf("notes %+v", out.Notes)
	}
}

// A cluster's pods are not rolled out, and a note says so; its Secrets are asked for unless the overlay deletes them.
func TestOverlayOverCluster(t *testing.T) {
	base := inputOf(t, overlaid)
	base.Offline = false
	base.Secret = func(string, string) resolve.Secret { return resolve.Secret{Found: true} }
	base.MeshConfigRef = resolve.Ref{Kind: "ConfigMap", Namespace: "istio-system", Name: "istio", Field: "data.mesh"} // as Cluster has it
	base.Gaps = []resolve.Gap{{GroupKind: schema.GroupKind{Kind: "Service"}, Namespace: "shop", Name: "b", Reason: resolve.GapUnreadable}}
	out := overlayOf(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: shop}
spec: {selector: {matchLabels: {app: d}}, template: {metadata: {labels: {app: d}}, spec: {containers: [{name: c, image: i}]}}}
---
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: shop, annotations: {mesh-trace/delete: "true"}}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: shop}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "trustDomain: other"}
`).Over(base)
	if len(out.Notes) != 1 || !strings.Contains(out.Notes[0].Message, "nothing is rolled out") {
		t.Errorf("notes %+v", out.Notes)
	}
	if out.Secret("shop", "s").Found || !out.Secret("shop", "other").Found {
		t.Error("the Secret is still there, or another one is not")
	}
	if d := (resolve.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "d"}); out.Planned[d] || !out.Planned[resolve.Ref{Kind: "Service", Namespace: "shop", Name: "b"}] {
		t.Errorf("planned are %v", out.Planned)
	}
	if len(out.Gaps) != 0 || out.MeshConfig.GetTrustDomain() != "other" {
		t.Errorf("gaps %v, trust domain %q", out.Gaps, out.MeshConfig.GetTrustDomain())
	}
}

func TestOverlayKeepsAddresses(t *testing.T) {
	before, after := &networking.ServiceEntry{}, &networking.ServiceEntry{}
	before.CreationTimestamp = metav1.NewTime(time.Unix(1, 0))
	before.Status.ObservedGeneration = 7
	keepOwn(before, after)
	if after.Status.ObservedGeneration != 7 || !after.CreationTimestamp.Equal(&before.CreationTimestamp) {
		t.Errorf("%+v", after)
	}
}

func TestOverlayRefusesSnapshots(t *testing.T) {
	_, err := ReadOverlay(ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader("apiVersion: meshtrace.dev/v1alpha1\nkind: Snapshot\n")})
	if err == nil || !strings.Contains(err.Error(), "read with -f") {
		t.Error(err)
	}
	_, err = ReadOverlay(ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader("apiVersion: v1\nkind: Service\nmetadata: {annotations: {mesh-trace/delete: \"true\"}}\n")})
	if err == nil || !strings.Contains(err.Error(), "metadata.name") {
		t.Error(err)
	}
}
