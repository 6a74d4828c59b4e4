package pilot_test

import (
	"strings"
	"testing"
)

// TestZtunnelPolicies says what becomes of policies in front of a captured pod: what istiod makes of them for ztunnel, which knows
// nothing of HTTP. The pod's port is 8080, behind port 80 of the Service.
func TestZtunnelPolicies(t *testing.T) {
	for _, c := range []struct {
		name, kind, namespace, spec string
		// web is captured, plain is not.
		web, plain bool
	}{
		{"ALLOW by path", "AuthorizationPolicy", "shop", "{rules: [{to: [{operation: {paths: [/]}}]}]}", false, false},
		{"DENY by method", "AuthorizationPolicy", "shop", "{action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}", true, true},
		{"DENY by port of the pod and method", "AuthorizationPolicy", "shop", "{action: DENY, rules: [{to: [{operation: {ports: ['8080'], methods: [POST]}}]}]}", false, false},
		{"DENY by port of the Service", "AuthorizationPolicy", "shop", "{action: DENY, rules: [{to: [{operation: {ports: ['80']}}]}]}", true, true},
		{"DENY by namespace, and by method", "AuthorizationPolicy", "shop", "{action: DENY, rules: [{from: [{source: {namespaces: [shop]}}], to: [{operation: {methods: [GET]}}]}]}", true, true},
		{"DENY by namespace", "AuthorizationPolicy", "shop", "{action: DENY, rules: [{from: [{source: {namespaces: [shop]}}]}]}", false, true},
		{"ALLOW all", "AuthorizationPolicy", "shop", "{rules: [{}]}", true, true},
		{"ALLOW nothing", "AuthorizationPolicy", "shop", "{}", false, false},
		{"DENY all", "AuthorizationPolicy", "shop", "{action: DENY, rules: [{}]}", false, false},
		{"ALLOW by namespace or by path", "AuthorizationPolicy", "shop", "{rules: [{from: [{source: {namespaces: [outer]}}]}, {to: [{operation: {paths: [/]}}]}]}", false, false},
		{"ALLOW by namespace of the client, or by path", "AuthorizationPolicy", "shop", "{rules: [{from: [{source: {namespaces: [shop]}}]}, {to: [{operation: {paths: [/]}}]}]}", true, false},
		{"ALLOW by a principal with its scheme", "AuthorizationPolicy", "shop", "{rules: [{from: [{source: {principals: ['spiffe://cluster.local/ns/shop/sa/web']}}]}]}", false, false},
		{"ALLOW by principal", "AuthorizationPolicy", "shop", "{rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]}", true, false},
		{"ALLOW all but a principal", "AuthorizationPolicy", "shop", "{rules: [{from: [{source: {notPrincipals: [cluster.local/ns/shop/sa/web]}}]}]}", false, true},
		{"ALLOW by a service account", "AuthorizationPolicy", "shop", "{rules: [{from: [{source: {serviceAccounts: [shop/web]}}]}]}", true, false},
		{"ALLOW by a trust domain alone", "AuthorizationPolicy", "shop", "{rules: [{from: [{source: {trustDomains: [cluster.local]}}]}]}", false, false},
		{"DENY by a trust domain alone", "AuthorizationPolicy", "shop", "{action: DENY, rules: [{from: [{source: {trustDomains: [cluster.local]}}]}]}", true, true},
		{"an empty selector", "AuthorizationPolicy", "shop", "{selector: {}, action: DENY, rules: [{}]}", true, true},
		{"a selector of the root namespace", "AuthorizationPolicy", "istio-system", "{selector: {matchLabels: {app: cart}}, action: DENY, rules: [{}]}", false, false},
		{"all namespaces", "AuthorizationPolicy", "istio-system", "{action: DENY, rules: [{}]}", false, false},
		{"for a waypoint", "AuthorizationPolicy", "shop", "{targetRefs: [{kind: Service, group: '', name: cart}], action: DENY, rules: [{}]}", true, true},
		{"AUDIT", "AuthorizationPolicy", "shop", "{action: AUDIT, rules: [{}]}", true, true},
		{"when, of connections", "AuthorizationPolicy", "shop", "{action: DENY, rules: [{when: [{key: source.namespace, values: [shop]}]}]}", false, true},
		{"when, of requests", "AuthorizationPolicy", "shop", "{action: DENY, rules: [{when: [{key: 'request.headers[x]', notValues: [a]}]}]}", true, true},
		{"STRICT", "PeerAuthentication", "shop", "{mtls: {mode: STRICT}}", true, false},
		{"STRICT of the mesh", "PeerAuthentication", "istio-system", "{mtls: {mode: STRICT}}", true, false},
		{"STRICT of the mesh, with an empty selector", "PeerAuthentication", "istio-system", "{selector: {}, mtls: {mode: STRICT}}", true, true},
		{"STRICT but for the port", "PeerAuthentication", "shop", "{selector: {matchLabels: {app: cart}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: PERMISSIVE}}}", true, true},
		{"STRICT but for another port", "PeerAuthentication", "shop", "{selector: {matchLabels: {app: cart}}, mtls: {mode: STRICT}, portLevelMtls: {9090: {mode: PERMISSIVE}}}", true, false},
		{"DISABLE", "PeerAuthentication", "shop", "{mtls: {mode: DISABLE}}", true, true},
		{"STRICT at the port", "PeerAuthentication", "shop", "{selector: {matchLabels: {app: cart}}, mtls: {mode: PERMISSIVE}, portLevelMtls: {8080: {mode: STRICT}}}", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := mesh("", "", policy(c.kind, c.namespace, c.spec))
			for from, want := range map[string]bool{"shop/web": c.web, "outer/plain": c.plain} {
				got := play(t, text, from, "cart.shop", 80, "/")
				if strings.HasPrefix(got[0], "Delivered") != want {
					t.Errorf("%s: %v", from, got)
				}
			}
		})
	}
}
