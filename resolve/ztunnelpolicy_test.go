package resolve

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// captured is the pod that the tests below send to: shop/web, with the labels app=web.
func captured() *Workload {
	w := guarded()
	w.Dataplane = DataplaneAmbient
	return w
}

// atZtunnel is a connection by HBONE from the identity, or in plaintext without one, to pod port 8080.
func atZtunnel(peer string) ZtunnelConnection {
	return ZtunnelConnection{
		Peer: peer, HBONE: peer != "", SourceIP: netip.MustParseAddr("10.0.0.9"),
		DestinationIP: netip.MustParseAddr("10.0.0.1"), DestinationPort: 8080,
	}
}

const (
	clientA = "cluster.local/ns/a/sa/b"
	clientB = "cluster.local/ns/b/sa/c"
)

func TestAuthorizeAtZtunnel(t *testing.T) {
	const notAllowed = "connection closed due to policy rejection: allow policies exist, but none allowed"
	deniedBy := func(policy string) string {
		return "connection closed due to policy rejection: explicitly denied by: " + policy
	}
	tests := []struct {
		name     string
		policies string
		peer     string // clientA
		plain    bool
		want     string // Details; empty where it is allowed
		rules    []RuleID
	}{
		{name: "no policy"},
		{name: "E-8 ALLOW by path denies everything", policies: authz("shop/p {rules: [{to: [{operation: {paths: [/a]}}]}]}"), want: notAllowed},
		{name: "E-9 DENY by method has no effect", policies: authz("shop/p {action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]}")},
		{name: "E-10 DENY by port and method denies the port", policies: authz("shop/p {action: DENY, rules: [{to: [{operation: {ports: [\"8080\"], methods: [POST]}}]}]}"), want: deniedBy("shop/p")},
		{name: "E-10 and no other port", policies: authz("shop/p {action: DENY, rules: [{to: [{operation: {ports: [\"80\"], methods: [POST]}}]}]}")},
		{name: "E-11 DENY of a namespace and a method has no effect", policies: authz("shop/p {action: DENY, rules: [{from: [{source: {namespaces: [a]}}], to: [{operation: {methods: [POST]}}]}]}")},
		{name: "E-12 DENY of a namespace", policies: authz("shop/p {action: DENY, rules: [{from: [{source: {namespaces: [a]}}]}]}"), want: deniedBy("shop/p")},
		{name: "E-12 and of no other", policies: authz("shop/p {action: DENY, rules: [{from: [{source: {namespaces: [a]}}]}]}"), peer: clientB},
		{name: "E-13 ALLOW of an empty rule", policies: authz("shop/p {rules: [{}]}"), plain: true},
		{name: "E-13 ALLOW without rules", policies: authz("shop/p {}"), want: notAllowed},
		{name: "E-13 DENY of an empty rule", policies: authz("shop/p {action: DENY, rules: [{}]}"), want: deniedBy("shop/p")},
		{name: "E-13 DENY without rules", policies: authz("shop/p {action: DENY}")},
		{name: "E-14 the rule without HTTP stays", policies: authz("shop/p {rules: [{from: [{source: {namespaces: [a]}}]}, {to: [{operation: {paths: [/x]}}]}]}")},
		{name: "E-14 and is the only one", policies: authz("shop/p {rules: [{from: [{source: {namespaces: [a]}}]}, {to: [{operation: {paths: [/x]}}]}]}"), peer: clientB, want: notAllowed},
		{name: "E-15 no trust domain stands for another", policies: "kind: MeshConfig\ntrustDomain: td1\ntrustDomainAliases: [td2]\n---\n" + authz("shop/p {rules: [{from: [{source: {principals: [cluster.local/ns/a/sa/b, td2/ns/a/sa/b]}}]}]}"), peer: "td1/ns/a/sa/b", want: notAllowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			peer := tt.peer
			if peer == "" && !tt.plain {
				peer = clientA
			}
			a := snapshotOf(t, tt.policies).AuthorizeAtZtunnel(captured(), atZtunnel(peer))
			if (a.Decision == AccessAllowed) != (tt.want == "") || a.Details != tt.want {
				t.Errorf("%s %q, want %q\n%s", a.Decision, a.Details, tt.want, strings.Join(stepLines(a.Steps), "\n"))
			}
			if got := ruleIDs(a.Steps); tt.rules != nil {
				if diff := cmp.Diff(tt.rules, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}
