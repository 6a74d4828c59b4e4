package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networking "istio.io/api/networking/v1alpha3"
)

// destinationSteps are steps as "verdict rule ref"; a template that does not fit its facts fails the test.
func destinationSteps(t testing.TB, steps []Step) []string {
	t.Helper()
	var out []string
	for _, s := range steps {
		if reason := s.Reason(); strings.Contains(reason, "%!") || strings.Contains(reason, "unlisted rule") {
			t.Errorf("%s: %s", s.Rule, reason)
		}
		destinationRulesSeen[s.Rule] = true
		line := fmt.Sprintf("%s %s", s.Verdict, s.Rule)
		if !s.Ref.IsZero() {
			line += " " + strings.TrimPrefix(s.Ref.String(), "DestinationRule ")
		}
		out = append(out, line)
	}
	return out
}

// destinationRulesSeen are the rules that some test of this package has seen emitted.
var destinationRulesSeen = map[RuleID]bool{}

func reviewsIn(namespace string) *Service {
	return &Service{
		Hostname: "reviews." + namespace + ".svc.cluster.local", Namespace: namespace, Name: "reviews", Registry: RegistryKubernetes,
		Ref: Ref{Kind: "Service", Namespace: namespace, Name: "reviews"}, Resolution: ClientSideLB,
		Ports: []Port{{Name: "http", Number: 80, Protocol: ProtocolHTTP, Field: "spec.ports[0]"}},
	}
}

func dr(namespace, name, spec string) string {
	return fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: %s, namespace: %s}\nspec: %s\n", name, namespace, spec)
}

func TestDestinationRuleLookup(t *testing.T) {
	const other, reviews = "{name: other}", "reviews.shop.svc.cluster.local"
	pod := &Workload{Namespace: "app", Labels: map[string]string{"app": "web"}}
	tests := []struct {
		name      string
		manifests string
		client    *Workload
		want      string // the object that decides
		steps     []string
	}{
		{
			name: "none", client: pod,
			steps: []string{"none destinationrule/none"},
		},
		{
			name:      "a wildcard of the client's namespace hides the service's own rule",
			manifests: dr("app", "wild", `{host: "*.local"}`) + dr("shop", "reviews", `{host: reviews}`),
			client:    pod, want: "app/wild",
			steps: []string{"skipped destinationrule/search-ended shop/reviews", "matched destinationrule/client-namespace app/wild"},
		},
		{
			name:      "even * hides it",
			manifests: dr("app", "all", `{host: "*"}`) + dr("shop", "reviews", `{host: reviews}`),
			client:    pod, want: "app/all",
			steps: []string{"skipped destinationrule/search-ended shop/reviews", "matched destinationrule/client-namespace app/all"},
		},
		{
			name:      "most specific host of the namespace",
			manifests: dr("app", "wild", `{host: "*.local"}`) + dr("app", "wilder", `{host: "*"}`) + dr("app", "exact", `{host: `+reviews+`}`),
			client:    pod, want: "app/exact",
			steps: []string{
				"skipped destinationrule/less-specific app/wild spec.host", "skipped destinationrule/less-specific app/wilder spec.host",
				"matched destinationrule/client-namespace app/exact",
			},
		},
		{
			name:      "service namespace before root, no merge",
			manifests: dr("shop", "reviews", `{host: reviews}`) + dr("istio-system", "mtls", `{host: "*.local", trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}`),
			client:    pod, want: "shop/reviews",
			steps: []string{"skipped destinationrule/search-ended istio-system/mtls", "matched destinationrule/service-namespace shop/reviews"},
		},
		{
			name:      "exportTo . hides the service's rule: root",
			manifests: dr("shop", "reviews", `{host: reviews, exportTo: ["."]}`) + dr("istio-system", "mesh", `{host: "*.local"}`),
			client:    pod, want: "istio-system/mesh",
			steps: []string{"skipped destinationrule/export-to shop/reviews spec.exportTo", "matched destinationrule/root-namespace istio-system/mesh"},
		},
		{
			name:      "exportTo . hides the service's rule: none",
			manifests: dr("shop", "reviews", `{host: reviews, exportTo: ["."]}`),
			client:    pod,
			steps:     []string{"skipped destinationrule/export-to shop/reviews spec.exportTo", "none destinationrule/none"},
		},
		{
			name:      "no fall-back to a wider host of the service's namespace",
			manifests: dr("shop", "reviews", `{host: reviews, exportTo: [x]}`) + dr("shop", "wide", `{host: "*.shop.svc.cluster.local", exportTo: ["*"]}`),
			client:    pod,
			steps: []string{
				"skipped destinationrule/export-to shop/reviews spec.exportTo", "skipped destinationrule/no-fallback shop/wide spec.host",
				"none destinationrule/none",
			},
		},
		{
			name:      "a private exact rule does not stand before a public wildcard",
			manifests: dr("shop", "reviews", `{host: reviews, exportTo: ["."]}`) + dr("shop", "wide", `{host: "*.shop.svc.cluster.local"}`),
			client:    pod, want: "shop/wide",
			steps: []string{"skipped destinationrule/export-to shop/reviews spec.exportTo", "matched destinationrule/service-namespace shop/wide"},
		},
		{
			name:      "short host means the rule's namespace",
			manifests: dr("app", "reviews", `{host: reviews}`),
			client:    pod,
			steps:     []string{"skipped destinationrule/short-host app/reviews spec.host", "none destinationrule/none"},
		},
		{
			name:      "half-qualified host",
			manifests: dr("shop", "reviews", `{host: reviews.shop}`),
			client:    pod,
			steps:     []string{"skipped destinationrule/short-host shop/reviews spec.host", "none destinationrule/none"},
		},
		{
			name:      "third namespace",
			manifests: dr("x", "reviews", `{host: `+reviews+`}`),
			client:    pod,
			steps:     []string{"skipped destinationrule/other-namespace x/reviews", "none destinationrule/none"},
		},
		{
			name:      "own namespace, exported elsewhere only",
			manifests: dr("app", "reviews", `{host: `+reviews+`, exportTo: [shop]}`),
			client:    pod,
			steps:     []string{"skipped destinationrule/export-to app/reviews spec.exportTo", "none destinationrule/none"},
		},
		{
			name:      "client in the root namespace: the service's rule before a public one of root",
			manifests: dr("istio-system", "mesh", `{host: "*.local"}`) + dr("shop", "reviews", `{host: reviews}`),
			client:    &Workload{Namespace: "istio-system", Dataplane: DataplaneGateway}, want: "shop/reviews",
			steps: []string{"skipped destinationrule/search-ended istio-system/mesh", "matched destinationrule/service-namespace shop/reviews"},
		},
		{
			name:      "client in the root namespace: a private one of root first",
			manifests: dr("istio-system", "own", `{host: "*.local", exportTo: ["."]}`) + dr("shop", "reviews", `{host: reviews}`),
			client:    &Workload{Namespace: "istio-system", Dataplane: DataplaneGateway}, want: "istio-system/own",
			steps: []string{"skipped destinationrule/search-ended shop/reviews", "matched destinationrule/client-namespace istio-system/own"},
		},
		{
			name:      "mesh default exportTo .",
			manifests: "kind: MeshConfig\ndefaultDestinationRuleExportTo: [\".\"]\n" + dr("shop", "reviews", `{host: reviews}`),
			client:    pod,
			steps:     []string{"skipped destinationrule/export-to shop/reviews spec.exportTo", "none destinationrule/none"},
		},
		{
			name:      "workloadSelector that fits goes first",
			manifests: dr("app", "a-all", `{host: `+reviews+`}`) + dr("app", "b-web", `{host: `+reviews+`, workloadSelector: {matchLabels: {app: web}}}`),
			client:    pod, want: "app/b-web",
			steps: []string{"skipped destinationrule/workload-selector-first app/a-all", "matched destinationrule/client-namespace app/b-web"},
		},
		{
			name:      "workloadSelector that does not fit",
			manifests: dr("app", "a-all", `{host: `+reviews+`}`) + dr("app", "b-web", `{host: `+reviews+`, workloadSelector: {matchLabels: {app: api}}}`),
			client:    pod, want: "app/a-all",
			steps: []string{"skipped destinationrule/workload-selector app/b-web spec.workloadSelector", "matched destinationrule/client-namespace app/a-all"},
		},
		{
			name:      "only selectors and none fits: the service's namespace is not asked",
			manifests: dr("app", "web", `{host: `+reviews+`, workloadSelector: {matchLabels: {app: api}}}`) + dr("shop", "reviews", `{host: reviews}`),
			client:    pod,
			steps: []string{
				"skipped destinationrule/workload-selector app/web spec.workloadSelector", "skipped destinationrule/search-ended shop/reviews",
				"none destinationrule/only-selectors app/web",
			},
		},
		{
			name:      "labels of an assumed client",
			manifests: dr("app", "web", `{host: `+reviews+`, workloadSelector: {matchLabels: {app: web}}}`),
			client:    &Workload{Namespace: "app", Anonymous: true},
			steps:     []string{"warning destinationrule/workload-selector-unknown app/web spec.workloadSelector", "none destinationrule/only-selectors app/web"},
		},
		{
			name:      "workloadSelector works only at home",
			manifests: dr("shop", "web", `{host: reviews, exportTo: ["*"], workloadSelector: {matchLabels: {app: web}}}`),
			client:    pod,
			steps:     []string{"skipped destinationrule/workload-selector-private shop/web spec.workloadSelector", "none destinationrule/none"},
		},
		{
			name:      "same exportTo: merged",
			manifests: dr("shop", "a", `{host: reviews, subsets: [{name: v1}]}`) + dr("shop", "b", `{host: reviews, subsets: [`+other+`]}`),
			client:    pod, want: "shop/a",
			steps: []string{"matched destinationrule/service-namespace shop/a", "applied destinationrule/merged shop/b"},
		},
		{
			name:      "different exportTo: not merged, the last one",
			manifests: dr("shop", "a", `{host: reviews, exportTo: ["*"]}`) + dr("shop", "b", `{host: reviews}`),
			client:    pod, want: "shop/b",
			steps: []string{"skipped destinationrule/newest-export shop/a spec.exportTo", "matched destinationrule/service-namespace shop/b"},
		},
		{
			name:      "larger exportTo merges into the smaller and is lost: the smaller one's client",
			manifests: dr("shop", "a", `{host: reviews, exportTo: [app]}`) + dr("shop", "b", `{host: reviews, exportTo: [app, oth]}`),
			client:    pod, want: "shop/a",
			steps: []string{"matched destinationrule/service-namespace shop/a", "applied destinationrule/merged shop/b"},
		},
		{
			name:      "larger exportTo merges into the smaller and is lost: the other client",
			manifests: dr("shop", "a", `{host: reviews, exportTo: [app]}`) + dr("shop", "b", `{host: reviews, exportTo: [app, oth]}`),
			client:    &Workload{Namespace: "oth"},
			steps: []string{
				"skipped destinationrule/export-to shop/a spec.exportTo", "skipped destinationrule/export-lost shop/b spec.exportTo", "none destinationrule/none",
			},
		},
		{
			name:      "* is no superset of a name",
			manifests: dr("shop", "a", `{host: reviews, exportTo: [app]}`) + dr("shop", "b", `{host: reviews, exportTo: ["*"]}`),
			client:    pod, want: "shop/b",
			steps: []string{"skipped destinationrule/newest-export shop/a spec.exportTo", "matched destinationrule/service-namespace shop/b"},
		},
		{
			name:      "without selector and exportTo .: merged into the selector's and lost for the others",
			manifests: dr("app", "a", `{host: `+reviews+`, exportTo: ["."]}`) + dr("app", "b", `{host: `+reviews+`, workloadSelector: {matchLabels: {app: api}}}`),
			client:    pod,
			steps: []string{
				"skipped destinationrule/workload-selector app/b spec.workloadSelector", "skipped destinationrule/export-lost app/a spec.exportTo",
				"none destinationrule/only-selectors app/b",
			},
		},
		{
			name:      "without selector and exportTo [., x]: merged and kept",
			manifests: dr("app", "a", `{host: `+reviews+`, exportTo: [".", x]}`) + dr("app", "b", `{host: `+reviews+`, workloadSelector: {matchLabels: {app: api}}}`),
			client:    pod, want: "app/a",
			steps: []string{"skipped destinationrule/workload-selector app/b spec.workloadSelector", "matched destinationrule/client-namespace app/a"},
		},
		{
			name:      "equal selectors merge",
			manifests: dr("app", "a", `{host: `+reviews+`, workloadSelector: {matchLabels: {app: web}}}`) + dr("app", "b", `{host: `+reviews+`, workloadSelector: {matchLabels: {app: web}}}`),
			client:    pod, want: "app/a",
			steps: []string{"matched destinationrule/client-namespace app/a", "applied destinationrule/merged app/b"},
		},
		{
			name:      "different selectors do not",
			manifests: dr("app", "a", `{host: `+reviews+`, workloadSelector: {matchLabels: {app: web}}}`) + dr("app", "b", `{host: `+reviews+`, workloadSelector: {matchLabels: {}}}`),
			client:    pod, want: "app/a",
			steps: []string{"skipped destinationrule/workload-selector-first app/b", "matched destinationrule/client-namespace app/a"},
		},
		{name: "no client", manifests: dr("shop", "reviews", `{host: reviews}`), want: "shop/reviews", steps: []string{"matched destinationrule/service-namespace shop/reviews"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			match := snapshotOf(t, tt.manifests).DestinationRule(tt.client, reviewsIn("shop"))
			if diff := cmp.Diff(tt.want, match.Ref.QualifiedName()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.steps, destinationSteps(t, match.Steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDestinationRuleMerge(t *testing.T) {
	s := snapshotOf(t, dr("shop", "a", `{host: reviews, subsets: [{name: v1}, {name: v2}]}`)+
		dr("shop", "b", `{host: reviews, subsets: [{name: v2}, {name: v3}], trafficPolicy: {tls: {mode: SIMPLE}}}`)+
		dr("shop", "c", `{host: reviews, trafficPolicy: {tls: {mode: DISABLE}}}`))
	for range 2 { // the index must not change what it was made from
		match := s.DestinationRule(&Workload{Namespace: "app"}, reviewsIn("shop"))
		var got []string
		for i, subset := range match.Rule.GetSubsets() {
			got = append(got, subset.GetName()+" "+match.SubsetRefs[i].String())
		}
		want := []string{
			"v1 DestinationRule shop/a spec.subsets[0]", "v2 DestinationRule shop/a spec.subsets[1]", "v3 DestinationRule shop/b spec.subsets[1]",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff("DestinationRule shop/b spec.trafficPolicy", match.PolicyRef.String()); diff != "" {
			t.Error(diff)
		}
		if got := match.Rule.GetTrafficPolicy().GetTls().GetMode(); got != networking.ClientTLSSettings_SIMPLE {
			t.Errorf("want the first trafficPolicy, SIMPLE, got %s", got)
		}
		if len(match.Merged) != 3 || len(s.DestinationRules[0].Spec.Subsets) != 2 {
			t.Errorf("merged %v; the object has %d subsets", match.Merged, len(s.DestinationRules[0].Spec.Subsets))
		}
		wantSteps := []string{
			"matched destinationrule/service-namespace shop/a", "applied destinationrule/merged shop/b",
			"skipped destinationrule/duplicate-subset shop/b spec.subsets[0]", "applied destinationrule/merged shop/c",
			"skipped destinationrule/second-traffic-policy shop/c spec.trafficPolicy",
		}
		if diff := cmp.Diff(wantSteps, destinationSteps(t, match.Steps)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestDestinationRuleUnreadable(t *testing.T) {
	s := NewSnapshot(Input{Gaps: []Gap{
		{GroupKind: destinationRuleKind, Namespace: "shop", Reason: GapForbidden},
		{GroupKind: destinationRuleKind, Namespace: "elsewhere", Reason: GapForbidden},
	}})
	match := s.DestinationRule(&Workload{Namespace: "app"}, reviewsIn("shop"))
	want := []string{"warning destinationrule/unreadable shop/", "none destinationrule/none"}
	if diff := cmp.Diff(want, destinationSteps(t, match.Steps)); diff != "" {
		t.Error(diff)
	}
}
