package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestZtunnelConditionsOfPolicies(t *testing.T) {
	s := snapshotOf(t, authz(
		"shop/accepted {selector: {}, rules: [{from: [{source: {namespaces: [a], trustDomains: [b]}}]}]}",
		"shop/allow {rules: [{}, {when: [{key: \"request.headers[x]\", values: [a]}]}]}",
		"shop/audit {action: AUDIT, rules: [{}]}",
		"shop/custom {action: CUSTOM, provider: {name: ext}, rules: [{}]}",
		"shop/deny {action: DENY, rules: [{to: [{operation: {notPaths: [/a]}}]}]}",
		"shop/dry! {targetRefs: [{kind: Service, name: web}], rules: [{}]}",
		"shop/waypoint {targetRefs: [{kind: Service, name: web}], rules: [{}]}",
	))
	var got []string
	for _, c := range s.ZtunnelConditions() {
		got = append(got, fmt.Sprintf("%s %s %s %s", c.Ref.Name, c.Type, c.Status, c.Reason))
	}
	want := []string{
		"accepted ZtunnelAccepted True Accepted", "allow ZtunnelAccepted True UnsupportedValue", "audit ZtunnelAccepted False UnsupportedValue",
		"custom ZtunnelAccepted False UnsupportedValue", "deny ZtunnelAccepted True UnsupportedValue", "dry ZtunnelAccepted False UnsupportedValue",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestZtunnelStatus(t *testing.T) {
	policy := func(status string) string {
		return "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop, generation: 2}\n" +
			"spec: {action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]}\nstatus: {conditions: [{type: Reconciled, status: \"True\"}" + status + "]}\n"
	}
	tests := []struct{ name, status, want string }{
		{"the same", `, {type: ZtunnelAccepted, status: "True", reason: UnsupportedValue, observedGeneration: 2}`, "applied kubestatus/same shop/p status.conditions: istiod has written the same about AuthorizationPolicy shop/p: ZtunnelAccepted True (UnsupportedValue)"},
		{"other", `, {type: ZtunnelAccepted, status: "True", reason: Accepted, message: "attached to ztunnel", observedGeneration: 2}`, "warning kubestatus/other shop/p status.conditions: istiod has written about AuthorizationPolicy shop/p: ZtunnelAccepted True (Accepted): attached to ztunnel; this trace finds ZtunnelAccepted True (UnsupportedValue), and goes by that (want ZtunnelAccepted True (UnsupportedValue), got ZtunnelAccepted True (Accepted): attached to ztunnel)"},
		{"stale", `, {type: ZtunnelAccepted, status: "True", reason: Accepted, observedGeneration: 1}`, "warning kubestatus/stale shop/p status.conditions: the status about AuthorizationPolicy shop/p is of generation 1, and the object is of generation 2: istiod has not seen the change yet; this trace goes by the object"},
		{"absent", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			for _, l := range stepLines(snapshotOf(t, policy(tt.status)).AuthorizeAtZtunnel(captured(), atZtunnel(clientA)).Steps) {
				if strings.Contains(l, "kubestatus/") {
					got += l
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
