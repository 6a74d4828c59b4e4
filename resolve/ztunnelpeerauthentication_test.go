package resolve

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestZtunnelMTLS: whether plaintext may enter at ports 8080 and 9090, and what refuses it. HBONE always may.
func TestZtunnelMTLS(t *testing.T) {
	const (
		static    = "istio-system/istio_converted_static_strict"
		converted = "shop/converted_peer_authentication_w"
	)
	mode := func(m string) string { return "{mtls: {mode: " + m + "}}" }
	own := func(m, ports string) string {
		if m != "" {
			m = ", mtls: {mode: " + m + "}"
		}
		return "{selector: {matchLabels: {app: web}}" + m + ", portLevelMtls: {" + ports + "}}"
	}
	const (
		strict     = "8080: {mode: STRICT}"
		permissive = "8080: {mode: PERMISSIVE}"
		disable    = "8080: {mode: DISABLE}"
		unset      = "8080: {mode: UNSET}"
	)
	tests := []struct {
		name     string
		policies []string
		// at 8080 and at 9090: the policy of ztunnel that refuses, empty for none
		here, there string
		root        bool // the workload is in the root namespace
		rule        RuleID
	}{
		{name: "nothing"},
		{name: "mesh STRICT", policies: []string{"istio-system/m " + mode("STRICT")}, here: static, there: static, rule: RuleZtunnelStrict},
		{name: "mesh DISABLE", policies: []string{"istio-system/m " + mode("DISABLE")}, rule: RuleZtunnelPlaintext},
		{name: "namespace replaces mesh", policies: []string{"istio-system/m " + mode("STRICT"), "shop/n " + mode("DISABLE")}},
		{name: "namespace inherits", policies: []string{"istio-system/m " + mode("STRICT"), "shop/n " + mode("UNSET")}, here: static, there: static},
		{name: "the oldest of a level", policies: []string{"shop/b@2024-01-01 " + mode("STRICT"), "shop/a@2024-01-02 " + mode("PERMISSIVE")}, here: static, there: static},
		{name: "mesh, empty selector", policies: []string{"istio-system/m {selector: {}, mtls: {mode: STRICT}}"}, rule: RuleZtunnelRootSelector},
		{name: "mesh, empty selector, in the root namespace", policies: []string{"istio-system/m {selector: {}, mtls: {mode: STRICT}}"}, root: true, here: static, there: static},
		{name: "namespace, empty selector", policies: []string{"shop/n {selector: {}, mtls: {mode: STRICT}}"}, here: static, there: static},
		{name: "a selector in the root namespace", policies: []string{"istio-system/w " + own("STRICT", "")}, root: true},
		{name: "workload STRICT", policies: []string{"shop/w " + own("STRICT", "")}, here: static, there: static},
		{name: "workload DISABLE under STRICT", policies: []string{"istio-system/m " + mode("STRICT"), "shop/w " + own("DISABLE", "")}},

		{name: "STRICT, port PERMISSIVE", policies: []string{"shop/w " + own("STRICT", permissive)}, there: converted},
		{name: "STRICT, port DISABLE", policies: []string{"shop/w " + own("STRICT", disable)}, there: converted},
		{name: "STRICT, port STRICT", policies: []string{"shop/w " + own("STRICT", strict)}, here: static, there: static},
		{name: "STRICT, port UNSET", policies: []string{"shop/w " + own("STRICT", unset)}, here: static, there: static},
		{name: "PERMISSIVE, port STRICT", policies: []string{"shop/w " + own("PERMISSIVE", strict)}, here: converted},
		{name: "DISABLE, port STRICT", policies: []string{"shop/w " + own("DISABLE", strict)}, here: converted},
		{name: "no mode, port STRICT", policies: []string{"shop/w " + own("", strict)}, here: converted},
		{name: "no mode, port PERMISSIVE, mesh STRICT", policies: []string{"istio-system/m " + mode("STRICT"), "shop/w " + own("", permissive)}, there: converted},
		{name: "no mode, port DISABLE, mesh STRICT", policies: []string{"istio-system/m " + mode("STRICT"), "shop/w " + own("", disable)}, here: static, there: static, rule: RuleZtunnelPortNotInEffect},
		{name: "no mode, port DISABLE and another PERMISSIVE, mesh STRICT", policies: []string{"istio-system/m " + mode("STRICT"), "shop/w " + own("", disable+", 80: {mode: PERMISSIVE}")}, there: converted},
		{name: "no mode, port PERMISSIVE, namespace STRICT", policies: []string{"shop/n " + mode("STRICT"), "shop/w " + own("", permissive)}, there: converted},

		{name: "the mesh swallows the port of a PERMISSIVE workload", policies: []string{"istio-system/m " + mode("STRICT"), "shop/w " + own("PERMISSIVE", strict)}, rule: RuleZtunnelExceptionsLost},
		{name: "unless the namespace has a mode", policies: []string{"istio-system/m " + mode("STRICT"), "shop/n " + mode("PERMISSIVE"), "shop/w " + own("PERMISSIVE", strict)}, here: converted},
		{name: "a namespace without a mode hides the mesh", policies: []string{"istio-system/m " + mode("STRICT"), "shop/n " + mode("UNSET"), "shop/w " + own("", permissive)}, rule: RuleZtunnelExceptionsLost},
		{name: "an empty selector is no level for ports", policies: []string{"shop/n {selector: {}, mtls: {mode: STRICT}}", "shop/w " + own("", permissive)}, rule: RuleZtunnelExceptionsLost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, peers(tt.policies...))
			w := captured()
			if tt.root {
				w.Namespace = "istio-system"
			}
			for port, want := range map[int]string{8080: tt.here, 9090: tt.there} {
				c := atZtunnel("")
				c.DestinationPort = port
				a := s.AuthorizeAtZtunnel(w, c)
				if a.EnvoyPolicy != want || (a.Decision == AccessDenied) != (want != "") || (a.Policy.Kind == "PeerAuthentication") != (want != "") {
					t.Errorf("%d: %s by %q (%s), want %q\n%s", port, a.Decision, a.EnvoyPolicy, a.Policy, want, strings.Join(stepLines(a.Steps), "\n"))
				}
				if told := strings.Contains(strings.Join(stepLines(a.Steps), "\n"), string(tt.rule)); port == 8080 && !told {
					t.Errorf("no step %s:\n%s", tt.rule, strings.Join(stepLines(a.Steps), "\n"))
				}
				c = atZtunnel(clientA)
				c.DestinationPort = port
				if a := s.AuthorizeAtZtunnel(w, c); a.Decision != AccessAllowed {
					t.Errorf("%d: HBONE is %s", port, a.Decision)
				}
			}
		})
	}
}

func TestZtunnelMTLSSteps(t *testing.T) {
	a := snapshotOf(t, peers("istio-system/m {mtls: {mode: STRICT}}", "shop/w {selector: {matchLabels: {app: web}}, portLevelMtls: {8080: {mode: DISABLE}}}")).
		AuthorizeAtZtunnel(captured(), atZtunnel(""))
	want := []string{
		"skipped peerauthentication/unset-inherits shop/w spec.mtls.mode: its mode is UNSET, so the wider level's STRICT stays",
		"skipped ztunnelpeerauthentication/port-not-in-effect shop/w spec.portLevelMtls[8080].mode: DISABLE of port 8080 is not in effect at ztunnel: the PeerAuthentication has no mode of its own, and STRICT of the wider level stays",
		"matched peerauthentication/mesh istio-system/m spec.mtls.mode: mTLS mode STRICT for the mesh (root namespace istio-system)",
		"denied ztunnelpeerauthentication/strict istio-system/m spec.mtls.mode: mode STRICT: ztunnel closes plaintext (policy istio-system/istio_converted_static_strict)",
	}
	if diff := cmp.Diff(want, stepLines(a.Steps)); diff != "" {
		t.Error(diff)
	}
}
