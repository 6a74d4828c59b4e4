package resolve

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const authzService = `
apiVersion: v1
kind: Service
metadata: {name: authz, namespace: auth}
spec: {ports: [{port: 9000}]}
---
`

func extensionProviders(providers ...string) string {
	return "kind: MeshConfig\nextensionProviders: [" + strings.Join(providers, ", ") + "]\n---\n"
}

func TestAuthorizeCustom(t *testing.T) {
	const (
		host   = "authz.auth.svc.cluster.local"
		grpc   = "{name: ext, envoyExtAuthzGrpc: {service: " + host + ", port: 9000}}"
		http   = "{name: ext, envoyExtAuthzHttp: {service: auth/" + host + ", port: 9000}}"
		custom = "{action: CUSTOM, provider: {name: ext}, rules: [{to: [{operation: {paths: [/a]}}]}]}"
		bad    = "rbac_access_denied_matched_policy[istio-ext-authz-ext-ns[shop]-policy[c]-rule[0]-deny-due-to-bad-CUSTOM-action]"
	)
	path := func(p string) *HTTPRequest { return &HTTPRequest{Method: "GET", Path: p, Token: token()} }
	unusable := func(why string) []string {
		return []string{"denied authorizationpolicy/custom-unusable-provider shop/c spec.rules[0]: provider \"ext\" " + why + ", so what the CUSTOM rule matches is denied: paths /a"}
	}
	tests := []struct {
		name      string
		manifests string
		request   *HTTPRequest
		decision  Access
		details   string
		custom    []CustomCheck
		steps     []string
	}{
		{
			name: "asked", manifests: extensionProviders(grpc) + authzService + authz("shop/c "+custom), request: path("/a"), decision: AccessAllowed, custom: []CustomCheck{{Rule: apRef("shop", "c", "spec.rules[0]"), Provider: "ext", StatusOnError: 403}},
			steps: []string{"warning authorizationpolicy/custom shop/c spec.rules[0]: external authorizer \"ext\" (" + host + ") is asked: paths /a", "applied authorizationpolicy/custom-service auth/authz: is the service of external authorizer \"ext\""},
		},
		{
			name: "not matched", manifests: extensionProviders(http) + authzService + authz("shop/c "+custom), request: path("/b"), decision: AccessAllowed,
			steps: []string{"skipped authorizationpolicy/rule-missed shop/c spec.rules[0].to[0].operation.paths: spec.rules[0] does not match: paths is /b (want /a, got /b)"},
		},
		{name: "claims are not known yet", manifests: extensionProviders(grpc) + authzService + authz("shop/c {action: CUSTOM, provider: {name: ext}, rules: [{from: [{source: {requestPrincipals: [\"*\"]}}]}]}"), request: path("/a"), decision: AccessAllowed},
		{name: "maybe asked", manifests: extensionProviders(grpc) + authzService + authz("shop/c {action: CUSTOM, provider: {name: ext}, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}"), request: path("/a"), decision: AccessAllowed, custom: []CustomCheck{{Rule: apRef("shop", "c", "spec.rules[0]"), Provider: "ext", StatusOnError: 403}}},
		{
			name: "without rules", manifests: extensionProviders(grpc) + authzService + authz("shop/c {action: CUSTOM, provider: {name: ext}}"), request: path("/a"), decision: AccessAllowed,
			steps: []string{"skipped authorizationpolicy/matches-nothing shop/c spec: CUSTOM policy without rules: matches nothing"},
		},
		{name: "undefined provider", manifests: authz("shop/c " + custom), request: path("/a"), decision: AccessDenied, details: bad, steps: unusable("is not in meshConfig.extensionProviders")},
		{name: "undefined provider, not matched", manifests: authz("shop/c " + custom), request: path("/b"), decision: AccessAllowed},
		{name: "undefined provider, undecided", manifests: authz("shop/c {action: CUSTOM, provider: {name: ext}, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}"), request: path("/b"), decision: AccessUndetermined},
		{name: "a provider of another sort", manifests: extensionProviders("{name: ext, prometheus: {}}") + authz("shop/c "+custom), request: path("/a"), decision: AccessDenied, details: bad, steps: unusable("is not in meshConfig.extensionProviders")},
		{name: "twice", manifests: extensionProviders(grpc, grpc) + authzService + authz("shop/c "+custom), request: path("/a"), decision: AccessDenied, details: bad, steps: unusable("is twice in meshConfig.extensionProviders")},
		{name: "no port", manifests: extensionProviders("{name: ext, envoyExtAuthzGrpc: {service: "+host+"}}") + authzService + authz("shop/c "+custom), request: path("/a"), decision: AccessDenied, details: bad, steps: unusable("has no port from 1 to 65535")},
		{name: "bad statusOnError", manifests: extensionProviders("{name: ext, envoyExtAuthzHttp: {service: "+host+", port: 9000, statusOnError: \"999\"}}") + authzService + authz("shop/c "+custom), request: path("/a"), decision: AccessDenied, details: bad, steps: unusable("has a statusOnError that Envoy does not know")},
		{name: "bad pathPrefix", manifests: extensionProviders("{name: ext, envoyExtAuthzHttp: {service: "+host+", port: 9000, pathPrefix: x}}") + authzService + authz("shop/c "+custom), request: path("/a"), decision: AccessDenied, details: bad, steps: unusable("has a pathPrefix that does not begin with /")},
		{name: "star in headers", manifests: extensionProviders("{name: ext, envoyExtAuthzHttp: {service: "+host+", port: 9000, headersToUpstreamOnAllow: [\"*\"]}}") + authzService + authz("shop/c "+custom), request: path("/a"), decision: AccessDenied, details: bad, steps: unusable("has \"*\" alone in a list of headers")},
		{name: "service not in the mesh", manifests: extensionProviders(grpc) + authz("shop/c "+custom), request: path("/a"), decision: AccessDenied, details: bad, steps: unusable("has a service that is not in the mesh")},
		{name: "service not in that namespace", manifests: extensionProviders("{name: ext, envoyExtAuthzGrpc: {service: other/"+host+", port: 9000}}") + authzService + authz("shop/c "+custom), request: path("/a"), decision: AccessDenied, details: bad, steps: unusable("has a service that is not in the mesh")},
		{
			name: "host in two namespaces", request: path("/a"), decision: AccessDenied, details: bad, steps: unusable("has a service that several namespaces have; it needs NAMESPACE/HOST"),
			manifests: extensionProviders(grpc) + authzService + "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: s, namespace: x}\nspec: {hosts: [" + host + "]}\n---\n" + authz("shop/c "+custom),
		},
		{
			name: "bad name", request: path("/a"), decision: AccessDenied,
			manifests: extensionProviders("{name: Ext, envoyExtAuthzGrpc: {service: "+host+", port: 9000}}") + authzService + authz("shop/c {action: CUSTOM, provider: {name: Ext}, rules: [{}]}"),
			details:   "rbac_access_denied_matched_policy[istio-ext-authz-Ext-ns[shop]-policy[c]-rule[0]-deny-due-to-bad-CUSTOM-action]",
			steps:     []string{"denied authorizationpolicy/custom-unusable-provider shop/c spec.rules[0]: provider \"Ext\" has a name that is no DNS label, so what the CUSTOM rule matches is denied: every request"},
		},
		{
			name: "several providers", request: path("/a"), decision: AccessDenied, details: bad,
			manifests: extensionProviders(grpc, strings.Replace(grpc, "ext", "other", 1)) + authzService + authz("shop/c "+custom, "shop/o {action: CUSTOM, provider: {name: other}, rules: [{to: [{operation: {paths: [/o]}}]}]}"),
			steps:     []string{"denied authorizationpolicy/custom-several-providers shop/c spec.rules[0]: CUSTOM policies of several providers (ext, other) apply to one workload, so what they match is denied: paths /a"},
		},
		{
			name: "an HTTP provider is not asked on TCP", manifests: extensionProviders(http) + authzService + authz("shop/c "+custom), decision: AccessAllowed,
			steps: []string{"applied authorizationpolicy/custom-http-provider-on-tcp shop/c spec.provider.name: provider \"ext\" speaks HTTP and is not asked on this TCP port: no protection here", "applied authorizationpolicy/custom-service auth/authz: is the service of external authorizer \"ext\""},
		},
		{
			name: "a gRPC provider is, for every connection", manifests: extensionProviders(grpc) + authzService + authz("shop/c "+custom), decision: AccessAllowed, custom: []CustomCheck{{Rule: apRef("shop", "c", "spec.rules[0]"), Provider: "ext", StatusOnError: 403}},
			steps: []string{
				"applied authorizationpolicy/http-field-vanishes shop/c spec.rules[0].to[0].operation.paths: paths needs HTTP and vanishes on this TCP port: the rest of the rule matches more than it says",
				"warning authorizationpolicy/custom shop/c spec.rules[0]: external authorizer \"ext\" (" + host + ") is asked: every request; left out on this TCP port: paths",
				"applied authorizationpolicy/custom-service auth/authz: is the service of external authorizer \"ext\"",
			},
		},
		{name: "a broken provider closes every TCP port", manifests: authz("shop/c " + custom), decision: AccessDenied, details: bad},
		{
			name: "dry-run is a DENY", manifests: extensionProviders(grpc) + authzService + authz("shop/c! "+custom), request: path("/a"), decision: AccessDenied,
			details: "rbac_access_denied_matched_policy[istio-ext-authz-ext-ns[shop]-policy[c]-rule[0]]",
			steps:   []string{"denied authorizationpolicy/custom-dry-run shop/c spec.rules[0]: dry-run does not exist for CUSTOM: istiod makes a DENY of it, which matches: paths /a", "applied authorizationpolicy/custom-service auth/authz: is the service of external authorizer \"ext\""},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := snapshotOf(t, tt.manifests).AuthorizeCustom(guarded(), &Connection{}, tt.request)
			if a.Decision != tt.decision || a.Details != tt.details {
				t.Errorf("got %s %s, want %s %s", a.Decision, a.Details, tt.decision, tt.details)
			}
			if diff := cmp.Diff(tt.custom, a.Custom); diff != "" {
				t.Error(diff)
			}
			if got := stepLines(a.Steps); tt.steps != nil {
				if diff := cmp.Diff(tt.steps, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// CUSTOM comes before what the proxy decides by itself.
func TestCustomThenLocal(t *testing.T) {
	const custom = "{action: CUSTOM, provider: {name: ext}, rules: [{from: [{source: {SOURCE}}]}]}"
	tests := []struct {
		name, source, local string
		want                Access
		envoy               string
	}{
		{"CUSTOM refuses first", "namespaces: [\"*\"]", "{action: DENY, rules: [{}]}", AccessDenied, "istio-ext-authz-ext-ns[shop]-policy[c]-rule[0]-deny-due-to-bad-CUSTOM-action"},
		{"CUSTOM undecided, DENY matches", "ipBlocks: [10.0.0.0/8]", "{action: DENY, rules: [{}]}", AccessDenied, "ns[shop]-policy[l]-rule[0]"},
		{"CUSTOM undecided, ALLOW matches", "ipBlocks: [10.0.0.0/8]", "{rules: [{}]}", AccessUndetermined, "istio-ext-authz-ext-ns[shop]-policy[c]-rule[0]-deny-due-to-bad-CUSTOM-action"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, authz("shop/c "+strings.Replace(custom, "SOURCE", tt.source, 1), "shop/l "+tt.local))
			a := s.Authorize(guarded(), &Connection{Peer: "cluster.local/ns/a/sa/x"}, &HTTPRequest{})
			if a.Decision != tt.want || a.EnvoyPolicy != tt.envoy {
				t.Errorf("got %s by %s, want %s by %s", a.Decision, a.EnvoyPolicy, tt.want, tt.envoy)
			}
		})
	}
}

// Before 1.30 the names of CUSTOM rules did not have the provider in them.
func TestCustomNameOfOlderReleases(t *testing.T) {
	for release, want := range map[string]string{"1.29": "istio-ext-authz-", "1.30": "istio-ext-authz-ext-", "1.31": "istio-ext-authz-ext-", "": "istio-ext-authz-ext-"} {
		if got := NewSnapshot(Input{IstioVersion: release}).customName("ext"); got != want {
			t.Errorf("%q: got %s, want %s", release, got, want)
		}
	}
}

// A provider's service may be among what the user may not list.
func TestCustomProviderBehindGap(t *testing.T) {
	s := snapshotOf(t, extensionProviders("{name: ext, envoyExtAuthzGrpc: {service: x.y, port: 1}}")+authz("shop/c {action: CUSTOM, provider: {name: ext}, rules: [{to: [{operation: {paths: [/b]}}]}, {}]}"))
	s.Gaps = []Gap{{GroupKind: schema.GroupKind{Kind: "Service"}, Reason: GapForbidden}}
	a := s.Authorize(guarded(), &Connection{}, &HTTPRequest{Path: "/a"})
	want := []RuleID{RuleAuthorizationMissed, RuleAuthorizationCustomUnknown, RuleAuthorizationNone}
	if diff := cmp.Diff(want, ruleIDs(a.Steps)); diff != "" || a.Decision != AccessUndetermined || len(a.Gaps) != 1 {
		t.Error(a.Decision, a.Gaps, diff)
	}
}
