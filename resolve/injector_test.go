package resolve

import (
	"strings"
	"testing"
)

// injectorManifest is a configuration with the selectors that Istio's chart writes for a revision, behind a document separator; with
// a tag, those by which the tag is asked. The revision default has the webhooks for the labels without a revision; auto adds that of
// enableNamespacesByDefault.
func injectorManifest(revision, tag string, extra ...string) string {
	name := revision
	labels := `istio.io/rev: "` + revision + `"`
	if tag != "" {
		labels += `, istio.io/tag: "` + tag + `"`
		name = tag
	}
	const notDisabled = `{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}`
	const unlabelled = `{key: istio-injection, operator: DoesNotExist}, {key: istio.io/rev, operator: DoesNotExist}`
	webhook := func(prefix, namespace, pod string) string {
		return "- name: " + prefix + "sidecar-injector.istio.io\n" +
			"  failurePolicy: Fail\n" +
			"  namespaceSelector: {matchExpressions: [" + namespace + "]}\n" +
			"  objectSelector: {matchExpressions: [" + pod + "]}\n"
	}
	asks := `{key: istio.io/rev, operator: In, values: ["` + name + `"]}`
	var b strings.Builder
	b.WriteString("---\napiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {name: injector-" + name + ", labels: {" + labels + "}}\nwebhooks:\n")
	b.WriteString(webhook("rev.namespace.", asks+", {key: istio-injection, operator: DoesNotExist}", notDisabled))
	b.WriteString(webhook("rev.object.", unlabelled, notDisabled+", "+asks))
	if name == defaultRevision {
		b.WriteString(webhook("namespace.", `{key: istio-injection, operator: In, values: [enabled]}`, notDisabled))
		b.WriteString(webhook("object.", unlabelled, `{key: sidecar.istio.io/inject, operator: In, values: ["true"]}, {key: istio.io/rev, operator: DoesNotExist}`))
	}
	for _, prefix := range extra {
		b.WriteString(webhook(prefix+".", unlabelled, `{key: sidecar.istio.io/inject, operator: DoesNotExist}, {key: istio.io/rev, operator: DoesNotExist}`))
	}
	return b.String()
}

func TestInjectors(t *testing.T) {
	const own = `---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: own, labels: {istio.io/rev: b}}
webhooks:
- name: vault.example.com
- {name: own.sidecar-injector.istio.io, failurePolicy: Ignore, namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}, objectSelector: {matchLabels: {mesh: "yes"}}}
`
	tests := []struct {
		name, manifests      string
		labels               map[string]string
		dataplane            Dataplane
		rule, injector       RuleID
		reason, injectorText string
	}{
		{
			"no webhook is known", shopNamespace + "{istio.io/rev: a}", nil,
			DataplaneSidecar, RuleInjectionNamespaceRevision, "", "sidecar injected: namespace shop has istio.io/rev=a", "",
		},
		{
			"of the revision", shopNamespace + "{istio.io/rev: a}\n" + injectorManifest("a", ""), nil,
			DataplaneSidecar, RuleInjectionNamespaceRevision, RuleInjector, "sidecar injected: namespace shop has istio.io/rev=a",
			"the injector asked is that of revision a: rev.namespace.sidecar-injector.istio.io",
		},
		{
			"of the tag", shopNamespace + "{istio.io/rev: prod}\n" + injectorManifest("a", "prod"), nil,
			DataplaneSidecar, RuleInjectionNamespaceRevision, RuleInjector, "sidecar injected: namespace shop has istio.io/rev=prod",
			"the injector asked is that of revision a by the tag prod: rev.namespace.sidecar-injector.istio.io",
		},
		{
			"the revision behind a tag only is asked by the tag only", shopNamespace + "{istio.io/rev: a}\n" + injectorManifest("a", "prod"), nil,
			DataplaneNone, RuleInjectionUnknownRevision, RuleInjectorElsewhere,
			`no sidecar: it asks for revision "a", and no injector of that name or tag takes it`,
			"none of the injectors takes it: there are those of revision a by the tag prod",
		},
		{
			"none of the revision default", shopNamespace + "{istio-injection: enabled}\n" + injectorManifest("a", "") + injectorManifest("b", ""), nil,
			DataplaneNone, RuleInjectionUnknownRevision, RuleInjectorElsewhere,
			`no sidecar: it asks for revision "default", and no injector of that name or tag takes it`,
			"none of the injectors takes it: there are those of revision a, revision b",
		},
		{
			"the tag default", shopNamespace + "{istio-injection: enabled}\n" + injectorManifest("a", "default"), nil,
			DataplaneSidecar, RuleInjectionNamespaceEnabled, RuleInjector, "sidecar injected: namespace shop has istio-injection=enabled",
			"the injector asked is that of revision a by the tag default: namespace.sidecar-injector.istio.io",
		},
		{
			"selectors of its own", shopNamespace + "{}\n" + own,
			map[string]string{"mesh": "yes"},
			DataplaneSidecar, RuleInjectionSelectors, RuleInjectorIgnored,
			"sidecar injected: an injector takes the pod by selectors of its own, from the labels of namespace shop and of the pod",
			"the injector asked is that of revision b: own.sidecar-injector.istio.io; its failurePolicy is Ignore: a pod created while it does not answer has no sidecar",
		},
		{
			"selectors of its own that do not take it", shopNamespace + "{}\n" + own, nil,
			DataplaneNone, RuleInjectionNotAsked, "", "no sidecar: neither namespace shop nor the pod asks for injection", "",
		},
		{
			"the first by name of two", shopNamespace + "{istio-injection: enabled}\n" + own + injectorManifest("default", ""),
			map[string]string{"mesh": "yes"},
			DataplaneSidecar, RuleInjectionNamespaceEnabled, RuleInjector, "sidecar injected: namespace shop has istio-injection=enabled",
			"the injector asked is that of revision default: namespace.sidecar-injector.istio.io",
		},
	}
	seen := map[RuleID]bool{RuleInjectionMissed: true} // TestMissedInjection
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, tt.manifests)
			in := s.Injection(PodTemplate{Ref: Ref{Kind: "Pod", Namespace: "shop", Name: "web"}, Namespace: "shop", Labels: tt.labels})
			if in.Dataplane != tt.dataplane || in.Step.Rule != tt.rule || in.Injector.Rule != tt.injector {
				t.Errorf("got %s %s %s", in.Dataplane, in.Step.Rule, in.Injector.Rule)
			}
			if got := in.Step.Reason(); got != tt.reason {
				t.Errorf("got  %s\nwant %s", got, tt.reason)
			}
			if in.Injector.Rule != "" && in.Injector.Reason() != tt.injectorText {
				t.Errorf("got  %s\nwant %s", in.Injector.Reason(), tt.injectorText)
			}
			seen[in.Step.Rule], seen[in.Injector.Rule] = true, true
		})
	}
	for _, r := range injectorRules {
		if !seen[r.ID] {
			t.Errorf("no row follows %s", r.ID)
		}
	}
}
