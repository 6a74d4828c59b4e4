package resolve

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// injected is an Injection as a test table writes it.
type injected struct {
	Dataplane Dataplane
	Rule      RuleID
	Verdict   Verdict
	Ref       string
	Template  string
	Assumed   bool
}

const shopNamespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels: "

func TestInjection(t *testing.T) {
	const (
		pod      = "Deployment shop/web spec.template"
		podLabel = pod + ".metadata.labels[sidecar.istio.io/inject]"
		ns       = "Namespace shop metadata.labels"
		mesh     = "---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: v, namespace: shop}}\n"
	)
	label := func(k, v string) PodTemplate { return PodTemplate{Labels: map[string]string{k: v}} }
	annotation := func(k, v string) PodTemplate { return PodTemplate{Annotations: map[string]string{k: v}} }
	sidecar := func(rule RuleID, ref string) injected {
		return injected{Dataplane: DataplaneSidecar, Rule: rule, Verdict: Applied, Ref: ref, Template: "sidecar"}
	}
	none := func(rule RuleID, verdict Verdict, ref string) injected {
		return injected{Dataplane: DataplaneNone, Rule: rule, Verdict: verdict, Ref: ref}
	}
	tests := []struct {
		name      string
		manifests string
		namespace string
		pod       PodTemplate
		want      injected
	}{
		// The table of Injection, row by row.
		{"namespace disabled", shopNamespace + "{istio-injection: disabled}", "shop", label(labelInject, "true"), none(RuleInjectionNamespaceDisabled, Skipped, ns+"[istio-injection]")},
		{"namespace disabled beats revisions", shopNamespace + "{istio-injection: disabled, istio.io/rev: a}", "shop", label(labelRevision, "a"), none(RuleInjectionNamespaceDisabled, Skipped, ns+"[istio-injection]")},
		{"namespace with another value", shopNamespace + "{istio-injection: \"true\"}", "shop", PodTemplate{}, none(RuleInjectionNamespaceDisabled, Skipped, ns+"[istio-injection]")},
		{"namespace enabled", shopNamespace + "{istio-injection: enabled}", "shop", PodTemplate{}, sidecar(RuleInjectionNamespaceEnabled, ns+"[istio-injection]")},
		{"namespace enabled beats revision", shopNamespace + "{istio-injection: enabled, istio.io/rev: a}", "shop", PodTemplate{}, sidecar(RuleInjectionNamespaceEnabled, ns+"[istio-injection]")},
		{"namespace enabled, pod says no", shopNamespace + "{istio-injection: enabled}", "shop", label(labelInject, "false"), none(RuleInjectionPodDisabled, Skipped, podLabel)},
		{"namespace enabled, pod says something else", shopNamespace + "{istio-injection: enabled}", "shop", label(labelInject, "maybe"), sidecar(RuleInjectionNamespaceEnabled, ns+"[istio-injection]")},
		{"namespace revision", shopNamespace + "{istio.io/rev: a}", "shop", PodTemplate{}, sidecar(RuleInjectionNamespaceRevision, ns+"[istio.io/rev]")},
		{"namespace revision, pod says no", shopNamespace + "{istio.io/rev: a}", "shop", label(labelInject, "false"), none(RuleInjectionPodDisabled, Skipped, podLabel)},
		{"pod revision", shopNamespace + "{}", "shop", label(labelRevision, "a"), sidecar(RuleInjectionPodRevision, pod+".metadata.labels[istio.io/rev]")},
		{
			"pod revision, pod says no", shopNamespace + "{}", "shop",
			PodTemplate{Labels: map[string]string{labelRevision: "a", labelInject: "false"}},
			none(RuleInjectionPodDisabled, Skipped, podLabel),
		},
		{"pod asks", shopNamespace + "{}", "shop", label(labelInject, "true"), sidecar(RuleInjectionPodEnabled, podLabel)},
		{"nobody asks", shopNamespace + "{}", "shop", PodTemplate{}, none(RuleInjectionNotAsked, None, "Namespace shop")},
		{"pod asks by annotation only", shopNamespace + "{}", "shop", annotation(labelInject, "true"), none(RuleInjectionNotAsked, None, "Namespace shop")},
		{"nobody asks, by default", shopNamespace + "{}\n" + injectorManifest("default", "", "auto"), "shop", PodTemplate{}, sidecar(RuleInjectionByDefault, "Namespace shop")},
		{"by default, but the pod has the label", shopNamespace + "{}\n" + injectorManifest("default", "", "auto"), "shop", label(labelInject, "maybe"), none(RuleInjectionNotAsked, None, "Namespace shop")},

		// Vetoes.
		{"host network", shopNamespace + "{istio-injection: enabled}", "shop", PodTemplate{HostNetwork: true}, none(RuleInjectionHostNetwork, Skipped, pod+".spec.hostNetwork")},
		{"system namespace", "", "kube-system", label(labelInject, "true"), none(RuleInjectionSystemNamespace, Skipped, pod)},
		{"annotation says no", shopNamespace + "{istio-injection: enabled}", "shop", annotation(labelInject, "false"), none(RuleInjectionPodDisabled, Skipped, pod+".metadata.annotations[sidecar.istio.io/inject]")},
		{
			"label beats annotation", shopNamespace + "{istio-injection: enabled}", "shop",
			PodTemplate{Labels: map[string]string{labelInject: "true"}, Annotations: map[string]string{labelInject: "false"}},
			sidecar(RuleInjectionNamespaceEnabled, ns+"[istio-injection]"),
		},

		// Revisions that there are, and are not.
		{"revision with an injector", shopNamespace + "{istio.io/rev: a}\n" + injectorManifest("a", ""), "shop", PodTemplate{}, sidecar(RuleInjectionNamespaceRevision, ns+"[istio.io/rev]")},
		{"tag with an injector", shopNamespace + "{istio.io/rev: prod}\n" + injectorManifest("a", "prod"), "shop", PodTemplate{}, sidecar(RuleInjectionNamespaceRevision, ns+"[istio.io/rev]")},
		{"revision without an injector", shopNamespace + "{istio.io/rev: b}\n" + injectorManifest("a", ""), "shop", PodTemplate{}, none(RuleInjectionUnknownRevision, Skipped, ns+"[istio.io/rev]")},
		{"webhooks of others do not count", shopNamespace + "{istio.io/rev: b}\n---\n{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: i}, webhooks: [{name: vault}]}", "shop", PodTemplate{}, sidecar(RuleInjectionNamespaceRevision, ns+"[istio.io/rev]")},

		// Namespaces that are not loaded.
		{
			"unknown namespace in a mesh", mesh, "shop",
			PodTemplate{},
			injected{Dataplane: DataplaneSidecar, Rule: RuleInjectionAssumed, Verdict: Warned, Ref: "Namespace shop", Template: "sidecar", Assumed: true},
		},
		{"unknown namespace, no mesh", "", "shop", PodTemplate{}, none(RuleInjectionUnknownNamespace, None, pod)},
		{"unknown namespace, pod asks", "", "shop", label(labelInject, "true"), sidecar(RuleInjectionPodEnabled, podLabel)},
		{"unknown namespace, pod says no", mesh, "shop", label(labelInject, "false"), none(RuleInjectionPodDisabled, Skipped, podLabel)},
		{"root namespace unknown", mesh, "istio-system", PodTemplate{}, none(RuleInjectionUnknownNamespace, None, pod)},
		{
			"unknown namespace, ambient pod", mesh, "shop", label(labelDataplaneMode, "ambient"),
			injected{Dataplane: DataplaneAmbient, Rule: RuleInjectionAmbient, Verdict: Applied, Ref: pod + ".metadata.labels[istio.io/dataplane-mode]"},
		},

		// Templates.
		{
			"gateway template", shopNamespace + "{istio-injection: enabled}", "shop",
			PodTemplate{Annotations: map[string]string{annotationTemplates: "gateway"}, Containers: []corev1.Container{{Name: proxyContainer, Image: autoImage}}},
			injected{Dataplane: DataplaneGateway, Rule: RuleInjectionGateway, Verdict: Applied, Ref: pod + ".metadata.annotations[inject.istio.io/templates]", Template: "gateway"},
		},
		{
			"gateway template without injection", shopNamespace + "{}", "shop",
			PodTemplate{Annotations: map[string]string{annotationTemplates: "gateway"}, Containers: []corev1.Container{{Name: proxyContainer, Image: autoImage}}},
			none(RuleInjectionNotAsked, None, "Namespace shop"),
		},
		{
			"gateway template, namespace unknown", "", "istio-system", annotation(annotationTemplates, "gateway"),
			injected{Dataplane: DataplaneGateway, Rule: RuleInjectionGateway, Verdict: Applied, Ref: pod + ".metadata.annotations[inject.istio.io/templates]", Template: "gateway", Assumed: true},
		},
		{"sidecar and another template", shopNamespace + "{istio-injection: enabled}", "shop", annotation(annotationTemplates, "sidecar, custom"), sidecar(RuleInjectionNamespaceEnabled, ns+"[istio-injection]")},
		{
			"unknown template", shopNamespace + "{istio-injection: enabled}", "shop", annotation(annotationTemplates, "grpc-agent"),
			none(RuleInjectionOtherTemplate, Warned, pod+".metadata.annotations[inject.istio.io/templates]"),
		},
		{
			"proxy container to be completed by the sidecar template", shopNamespace + "{istio-injection: enabled}", "shop",
			PodTemplate{Containers: []corev1.Container{{Name: "app"}, {Name: proxyContainer, Image: autoImage}}},
			sidecar(RuleInjectionNamespaceEnabled, ns+"[istio-injection]"),
		},
		{
			"proxy container already complete", shopNamespace + "{}", "shop",
			PodTemplate{Containers: []corev1.Container{{Name: proxyContainer, Image: "proxyv2", Args: []string{"proxy", "sidecar"}}}},
			injected{Dataplane: DataplaneSidecar, Rule: RuleWorkloadSidecar, Verdict: Applied, Ref: pod},
		},

		// Ambient, where no sidecar is.
		{
			"ambient namespace", shopNamespace + "{istio.io/dataplane-mode: ambient}", "shop",
			PodTemplate{},
			injected{Dataplane: DataplaneAmbient, Rule: RuleInjectionAmbient, Verdict: Applied, Ref: ns + "[istio.io/dataplane-mode]"},
		},
		{"ambient namespace, pod opts out", shopNamespace + "{istio.io/dataplane-mode: ambient}", "shop", label(labelDataplaneMode, "none"), none(RuleInjectionNotAsked, None, "Namespace shop")},
		{
			"ambient pod", shopNamespace + "{}", "shop", label(labelDataplaneMode, "ambient"),
			injected{Dataplane: DataplaneAmbient, Rule: RuleInjectionAmbient, Verdict: Applied, Ref: pod + ".metadata.labels[istio.io/dataplane-mode]"},
		},
		{"sidecar beats ambient", shopNamespace + "{istio.io/dataplane-mode: ambient, istio-injection: enabled}", "shop", PodTemplate{}, sidecar(RuleInjectionNamespaceEnabled, ns+"[istio-injection]")},
		{"ambient on the host network", shopNamespace + "{istio.io/dataplane-mode: ambient}", "shop", PodTemplate{HostNetwork: true}, none(RuleInjectionHostNetwork, Skipped, pod+".spec.hostNetwork")},
		{
			"already redirected", shopNamespace + "{}", "shop", annotation(annotationRedirection, "enabled"),
			injected{Dataplane: DataplaneAmbient, Rule: RuleWorkloadRedirected, Verdict: Applied, Ref: pod + ".metadata.annotations[ambient.istio.io/redirection]"},
		},
	}
	seen := map[RuleID]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, tt.manifests)
			tt.pod.Namespace = tt.namespace
			tt.pod.Ref = Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web", Field: "spec.template"}
			in := s.Injection(tt.pod)
			got := injected{in.Dataplane, in.Step.Rule, in.Step.Verdict, in.Step.Ref.String(), in.Template, in.Assumed}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", in.Step.Reason(), diff)
			}
			seen[in.Step.Rule] = true
			if strings.Contains(in.Step.Reason(), "%!") {
				t.Error(in.Step.Reason())
			}
		})
	}
	for _, r := range injectionRules { // those of the injectors are TestInjectors's
		if !seen[r.ID] {
			t.Errorf("no row follows %s", r.ID)
		}
	}
}

func TestInjectedLabels(t *testing.T) {
	tests := []struct {
		name     string
		labels   map[string]string
		template string
		want     map[string]string
	}{
		{
			"sidecar, nothing set", nil, "sidecar",
			map[string]string{labelTLSMode: "istio", labelCanonicalName: "web", labelCanonicalRev: "latest"},
		},
		{
			"app and version",
			map[string]string{"app": "a", "version": "v2"},
			"sidecar",
			map[string]string{"app": "a", "version": "v2", labelTLSMode: "istio", labelCanonicalName: "a", labelCanonicalRev: "v2"},
		},
		{
			"preset wins",
			map[string]string{labelTLSMode: "disabled", labelCanonicalName: "c", labelCanonicalRev: "r", "app": "a", "app.kubernetes.io/name": "n"},
			"sidecar",
			map[string]string{labelTLSMode: "disabled", labelCanonicalName: "c", labelCanonicalRev: "r", "app": "a", "app.kubernetes.io/name": "n"},
		},
		{
			"gateway has no tlsMode",
			map[string]string{"app.kubernetes.io/name": "gw", "app.kubernetes.io/version": "1"},
			"gateway",
			map[string]string{"app.kubernetes.io/name": "gw", "app.kubernetes.io/version": "1", labelCanonicalName: "gw", labelCanonicalRev: "1"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, injectedLabels(tt.labels, tt.template, "web")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
