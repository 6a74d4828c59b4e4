package conformance

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"istio.io/istio/operator/pkg/helm"
	"istio.io/istio/operator/pkg/values"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/mesh/meshwatcher"
	"istio.io/istio/pkg/kube/inject"
	"istio.io/istio/pkg/kube/multicluster"
	admissionapi "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// TestInjection holds which pods are injected against Istio's chart, whose webhooks select them as an API server does, and
// Istio's injector, which is then asked: for pods and namespaces with every combination of labels. The tool is asked with the webhooks
// and, where the installation is what it takes for granted without any, without them.
func TestInjection(t *testing.T) {
	c := begin(t, "Istio's injection of pods")
	injector := newInjector(t)
	for _, installation := range []struct {
		name           string
		settings       [][]string
		takenByDefault bool
	}{
		{"default and canary", [][]string{{}, {"values.revision=canary"}, {"values.revision=v1", "values.revisionTags[0]=prod"}}, true},
		{"by default", [][]string{{"values.sidecarInjectorWebhook.enableNamespacesByDefault=true"}}, false},
		{"a revision alone", [][]string{{"values.revision=canary"}}, false},
		{"the tag default", [][]string{{"values.revision=v1", "values.revisionTags[0]=default"}}, false},
	} {
		var configurations []*admissionv1.MutatingWebhookConfiguration
		for _, settings := range installation.settings {
			for _, m := range renderedChart(t, settings...) {
				if m.GetKind() == "MutatingWebhookConfiguration" {
					configuration := &admissionv1.MutatingWebhookConfiguration{}
					if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m.Object, configuration); err != nil {
						t.Fatal(err)
					}
					configurations = append(configurations, configuration)
				}
			}
		}
		if len(configurations) < len(installation.settings) {
			t.Fatalf("%s: %d configurations", installation.name, len(configurations))
		}
		for _, p := range createdPods() {
			want := injector.proxied(t, configurations, p)
			c.record(t, installation.name, installation.name+": "+p.String(), proxiedDiff(p, configurations, want), nil)
			if installation.takenByDefault {
				c.record(t, installation.name, "without webhooks: "+p.String(), proxiedDiff(p, nil, want), nil)
			}
		}
	}
}

// createdPod is a pod and its namespace, at the pod's creation.
type createdPod struct {
	namespace, pod *metav1.ObjectMeta
	hostNetwork    bool
}

func (p createdPod) String() string {
	return fmt.Sprintf("namespace %s %v, pod %v %v, host network %t", p.namespace.Name, p.namespace.Labels, p.pod.Labels, p.pod.Annotations, p.hostNetwork)
}

// createdPods are the combinations of what injection reads; an empty value is no label.
func createdPods() []createdPod {
	var out []createdPod
	set := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] != "" {
				m[pairs[i]] = pairs[i+1]
			}
		}
		return m
	}
	revisions := []string{"", "default", "canary", "prod"}
	for _, injection := range []string{"", "enabled", "disabled", "true"} {
		for _, namespaceRevision := range revisions {
			for _, podRevision := range revisions {
				for _, label := range []string{"", "true", "false", "maybe"} {
					for _, annotation := range []string{"", "true", "false"} {
						for _, elsewhere := range []string{"", "kube-system", "host network"} {
							p := createdPod{hostNetwork: elsewhere == "host network"}
							name := "shop"
							if elsewhere == "kube-system" {
								name = elsewhere
							}
							p.namespace = &metav1.ObjectMeta{Name: name, Labels: set("istio-injection", injection, "istio.io/rev", namespaceRevision)}
							p.pod = &metav1.ObjectMeta{
								Name: "web", Namespace: name, Labels: set("istio.io/rev", podRevision, "sidecar.istio.io/inject", label),
								Annotations: set("sidecar.istio.io/inject", annotation),
							}
							out = append(out, p)
						}
					}
				}
			}
		}
	}
	return out
}

// proxiedDiff is what the tool says otherwise.
func proxiedDiff(p createdPod, configurations []*admissionv1.MutatingWebhookConfiguration, want bool) string {
	resources := []resolve.Sourced{{Object: &corev1.Namespace{ObjectMeta: *p.namespace}, GroupKind: schema.GroupKind{Kind: "Namespace"}}}
	for _, c := range configurations {
		resources = append(resources, resolve.Sourced{Object: c, GroupKind: schema.GroupKind{Group: admissionv1.GroupName, Kind: "MutatingWebhookConfiguration"}})
	}
	in := resolve.NewSnapshot(resolve.Input{Offline: true, Revision: "default", Resources: resources}).Injection(resolve.PodTemplate{
		Ref: resolve.Ref{Kind: "Pod", Namespace: p.pod.Namespace, Name: p.pod.Name}, Namespace: p.pod.Namespace,
		Labels: p.pod.Labels, Annotations: p.pod.Annotations, HostNetwork: p.hostNetwork,
	})
	if got := in.Template != ""; got != want {
		return fmt.Sprintf("injected: Istio %t, trace %t: %s; %s", want, got, in.Step.Reason(), in.Injector.Reason())
	}
	return ""
}

// renderedChart is what Istio's chart of istiod installs.
func renderedChart(t *testing.T, settings ...string) []*unstructured.Unstructured {
	t.Helper()
	all := values.Map{}
	if err := all.SetSpecPaths(settings...); err != nil {
		t.Fatal(err)
	}
	rendered, _, err := helm.Render("istiod", "istio-system", "istio-control/istio-discovery", all, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []*unstructured.Unstructured
	for _, m := range rendered {
		out = append(out, m.Unstructured)
	}
	return out
}

// podInjector is Istio's injector, with the configuration of its chart.
type podInjector struct {
	http.Handler
	asked map[string]bool
}

func newInjector(t *testing.T) *podInjector {
	t.Helper()
	dir := t.TempDir()
	for _, m := range renderedChart(t) {
		if m.GetKind() != "ConfigMap" || m.GetName() != "istio-sidecar-injector" {
			continue
		}
		for _, key := range []string{"config", "values"} {
			text, _, err := unstructured.NestedString(m.Object, "data", key)
			if err := cmp.Or(err, os.WriteFile(filepath.Join(dir, key), []byte(text), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	watcher, err := inject.NewFileWatcher(filepath.Join(dir, "config"), filepath.Join(dir, "values"))
	if err != nil {
		t.Fatal(err)
	}
	config := mesh.DefaultMeshConfig()
	env := &model.Environment{Watcher: meshwatcher.NewTestWatcher(config), ConfigStore: model.NewFakeStore()}
	push := model.NewPushContext()
	push.ProxyConfigs = model.GetProxyConfigs(env.ConfigStore, config)
	env.SetPushContext(push)
	mux := http.NewServeMux()
	if _, err := inject.NewWebhook(inject.WebhookParameters{Watcher: watcher, Env: env, Mux: mux, MultiCluster: multicluster.NewFakeController()}); err != nil {
		t.Fatal(err)
	}
	return &podInjector{mux, map[string]bool{}}
}

// proxied reports whether the pod has a proxy after its creation: whether a webhook is asked about it, and the injector puts one in.
func (i *podInjector) proxied(t *testing.T, configurations []*admissionv1.MutatingWebhookConfiguration, p createdPod) bool {
	t.Helper()
	namespace := labels.Set{corev1.LabelMetadataName: p.namespace.Name}
	for k, v := range p.namespace.Labels {
		namespace[k] = v
	}
	takes := func(selector *metav1.LabelSelector, set labels.Set) bool {
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			t.Fatal(err)
		}
		return s.Matches(set)
	}
	if !slices.ContainsFunc(configurations, func(c *admissionv1.MutatingWebhookConfiguration) bool {
		return slices.ContainsFunc(c.Webhooks, func(w admissionv1.MutatingWebhook) bool {
			return takes(w.NamespaceSelector, namespace) && takes(w.ObjectSelector, p.pod.Labels)
		})
	}) {
		return false
	}
	pod, err := json.Marshal(&corev1.Pod{ObjectMeta: *p.pod, Spec: corev1.PodSpec{HostNetwork: p.hostNetwork, Containers: []corev1.Container{{Name: "app", Image: "app"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if answer, again := i.asked[string(pod)]; again {
		return answer
	}
	review, err := json.Marshal(&admissionapi.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request:  &admissionapi.AdmissionRequest{UID: "1", Namespace: p.pod.Namespace, Operation: admissionapi.Create, Object: runtime.RawExtension{Raw: pod}},
	})
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodPost, "/inject", bytes.NewReader(review))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	i.ServeHTTP(recorder, request)
	var answer admissionapi.AdmissionReview
	if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil || answer.Response == nil || !answer.Response.Allowed {
		t.Fatalf("the injector answers %s", recorder.Body)
	}
	i.asked[string(pod)] = strings.Contains(string(answer.Response.Patch), `"istio-proxy"`)
	return i.asked[string(pod)]
}
