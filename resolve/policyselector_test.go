package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// guarded is a workload app=web of namespace shop, as policies see it.
func guarded(labels ...string) *Workload {
	w := &Workload{
		Owner:     Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"},
		Namespace: "shop", Labels: map[string]string{"app": "web"}, Dataplane: DataplaneSidecar,
	}
	for _, l := range labels {
		k, v, _ := strings.Cut(l, "=")
		w.Labels[k] = v
	}
	return w
}

// in moves a workload to another namespace.
func (w *Workload) in(namespace string) *Workload {
	w.Namespace = namespace
	return w
}

// stepLines writes steps as a person reads them.
func stepLines(steps []Step) []string {
	var out []string
	for _, s := range steps {
		line := fmt.Sprintf("%s %s: %s", s.Verdict, s.Rule, s.Reason())
		if !s.Ref.IsZero() {
			line = fmt.Sprintf("%s %s %s: %s", s.Verdict, s.Rule, strings.TrimSpace(s.Ref.QualifiedName()+" "+s.Ref.Field), s.Reason())
		}
		if s.Expected != "" || s.Actual != "" {
			line += fmt.Sprintf(" (want %s, got %s)", s.Expected, s.Actual)
		}
		out = append(out, line)
	}
	return out
}

// ruleIDs are the rules of the steps, in their order.
func ruleIDs(steps []Step) []RuleID {
	var out []RuleID
	for _, s := range steps {
		out = append(out, s.Rule)
	}
	return out
}

func TestPolicyAttachment(t *testing.T) {
	const policy = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: NAMESPACE}
spec:
  action: DENY
  rules: [{}]
  SELECTION
`
	gateway := func() *Workload { return guarded("gateway.networking.k8s.io/gateway-name=gw") }
	waypoint := func() *Workload {
		w := gateway()
		w.Dataplane = DataplaneWaypoint
		return w
	}
	serving := func(from Registry) *Workload {
		svc := &Service{Name: "api", Namespace: "apps", Registry: from, Selector: map[string]string{"app": "api"}, Ref: Ref{Kind: "Service", Namespace: "apps", Name: "api"}}
		if from == RegistryExternal {
			svc.Ref.Kind = "ServiceEntry"
		}
		w := waypoint()
		w.serving = svc
		return w
	}
	tests := []struct {
		name      string
		namespace string
		selection string
		workload  *Workload
		denied    bool
		steps     []string
	}{
		{name: "no selector", namespace: "shop", workload: guarded(), denied: true},
		{name: "selector subset of the labels", namespace: "shop", selection: "selector: {matchLabels: {app: web}}", workload: guarded("v=1"), denied: true},
		{name: "empty selector", namespace: "shop", selection: "selector: {}", workload: guarded(), denied: true},
		{
			name: "selector of other labels", namespace: "shop", selection: "selector: {matchLabels: {app: api}}", workload: guarded(),
			steps: []string{"skipped authorizationpolicy/other-labels shop/p spec.selector.matchLabels: selects app=api; Deployment shop/web is another workload (want app=api, got app=web)"},
		},
		{
			name: "selector of a missing label", namespace: "shop", selection: "selector: {matchLabels: {app: web, tier: a}}", workload: guarded(),
			steps: []string{"skipped authorizationpolicy/other-labels shop/p spec.selector.matchLabels: selects tier=a; Deployment shop/web is another workload (want tier=a, got no label tier)"},
		},
		{name: "root namespace", namespace: "istio-system", workload: guarded(), denied: true},
		{name: "root namespace with selector", namespace: "istio-system", selection: "selector: {matchLabels: {app: web}}", workload: guarded(), denied: true},
		{name: "workload in the root namespace", namespace: "istio-system", workload: guarded().in("istio-system"), denied: true},
		{name: "other namespace", namespace: "other", workload: guarded()},
		{
			name: "targetRefs on a sidecar", namespace: "shop", selection: "targetRefs: [{kind: Service, name: web}]", workload: guarded(),
			steps: []string{"skipped authorizationpolicy/target-refs shop/p spec.targetRefs: targets Service web, which is not the proxy of Deployment shop/web (want Service web, got no label gateway.networking.k8s.io/gateway-name)"},
		},
		{name: "managed gateway takes selectors", namespace: "shop", selection: "selector: {matchLabels: {app: web}}", workload: gateway(), denied: true},
		{name: "managed gateway by name", namespace: "shop", selection: "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gw}]", workload: gateway(), denied: true},
		{name: "legacy targetRef", namespace: "shop", selection: "targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: gw}", workload: gateway(), denied: true},
		{
			name: "legacy targetRef of another gateway", namespace: "shop", selection: "targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: x}", workload: gateway(),
			steps: []string{"skipped authorizationpolicy/target-refs shop/p spec.targetRef: targets Gateway x, which is not the proxy of Deployment shop/web (want Gateway x, got Gateway gw)"},
		},
		{
			name: "managed gateway from the root namespace", namespace: "istio-system", selection: "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gw}]", workload: gateway(),
			steps: []string{"skipped authorizationpolicy/target-refs istio-system/p spec.targetRefs: targets Gateway gw, which is not the proxy of Deployment shop/web (want Gateway gw, got Gateway gw)"},
		},
		{
			name: "targetRef with another namespace", namespace: "shop", selection: "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gw, namespace: x}]", workload: gateway(),
			steps: []string{"skipped authorizationpolicy/target-refs shop/p spec.targetRefs: targets Gateway gw, which is not the proxy of Deployment shop/web (want Gateway gw, got Gateway gw)"},
		},
		{
			name: "waypoint takes no policy without targetRefs", namespace: "shop", workload: waypoint(),
			steps: []string{"skipped authorizationpolicy/waypoint-selector shop/p spec: has no targetRefs, and the waypoint Deployment shop/web takes only policies with targetRefs"},
		},
		{
			name: "waypoint takes no selector", namespace: "shop", selection: "selector: {matchLabels: {app: web}}", workload: waypoint(),
			steps: []string{"skipped authorizationpolicy/waypoint-selector shop/p spec.selector: has no targetRefs, and the waypoint Deployment shop/web takes only policies with targetRefs"},
		},
		{
			name: "a selector of neither the waypoint nor the service", namespace: "apps", selection: "selector: {matchLabels: {app: other}}", workload: serving(RegistryKubernetes),
			steps: []string{"skipped authorizationpolicy/other-labels apps/p spec.selector.matchLabels: selects app=other; Deployment shop/web is another workload (want app=other, got app=web)"},
		},
		{name: "waypoint before a Service", namespace: "apps", selection: "targetRefs: [{kind: Service, name: api}]", workload: serving(RegistryKubernetes), denied: true},
		{name: "waypoint before a Service of group core", namespace: "apps", selection: "targetRefs: [{group: core, kind: Service, name: api}]", workload: serving(RegistryKubernetes), denied: true},
		{
			name: "waypoint before a Service from its own namespace", namespace: "shop", selection: "targetRefs: [{kind: Service, name: api}]", workload: serving(RegistryKubernetes),
			steps: []string{"skipped authorizationpolicy/target-refs shop/p spec.targetRefs: targets Service api, which is not the proxy of Deployment shop/web (want Service api, got Gateway gw, Service api)"},
		},
		{
			name: "waypoint before a workload", namespace: "shop", selection: "targetRefs: [{kind: Service, name: api}]", workload: waypoint(),
			steps: []string{"skipped authorizationpolicy/target-refs shop/p spec.targetRefs: targets Service api, which is not the proxy of Deployment shop/web (want Service api, got Gateway gw)"},
		},
		{name: "waypoint before a ServiceEntry", namespace: "apps", selection: "targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: api}]", workload: serving(RegistryExternal), denied: true},
		{
			name: "waypoint before a ServiceEntry that is called a Service", namespace: "apps", selection: "targetRefs: [{kind: Service, name: api}]", workload: serving(RegistryExternal),
			steps: []string{"skipped authorizationpolicy/target-refs apps/p spec.targetRefs: targets Service api, which is not the proxy of Deployment shop/web (want Service api, got Gateway gw, ServiceEntry api)"},
		},
		{name: "waypoint by GatewayClass from the root namespace", namespace: "istio-system", selection: "targetRefs: [{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}]", workload: waypoint(), denied: true},
		{
			name: "GatewayClass from another namespace", namespace: "shop", selection: "targetRefs: [{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}]", workload: waypoint(),
			steps: []string{"skipped authorizationpolicy/target-refs shop/p spec.targetRefs: targets GatewayClass istio-waypoint, which is not the proxy of Deployment shop/web (want GatewayClass istio-waypoint, got Gateway gw)"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, strings.NewReplacer("NAMESPACE", tt.namespace, "SELECTION", tt.selection).Replace(policy))
			a := s.Authorize(tt.workload, &Connection{}, &HTTPRequest{Method: "GET", Path: "/"})
			if got := a.Decision == AccessDenied; got != tt.denied {
				t.Errorf("denied = %v, want %v", got, tt.denied)
			}
			if tt.denied {
				return
			}
			if diff := cmp.Diff(tt.steps, stepLines(a.Steps[:len(a.Steps)-1])); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPolicyGaps(t *testing.T) {
	gap := func(kind, namespace string) Input {
		return Input{Gaps: []Gap{{GroupKind: schema.GroupKind{Group: securityGroup, Kind: kind}, Namespace: namespace, Reason: GapForbidden}}}
	}
	t.Run("AuthorizationPolicy", func(t *testing.T) {
		a := NewSnapshot(gap("AuthorizationPolicy", "shop")).Authorize(guarded(), &Connection{}, nil)
		if a.Decision != AccessUndetermined || len(a.Gaps) != 1 {
			t.Errorf("got %v with gaps %v, want undetermined", a.Decision, a.Gaps)
		}
		want := []RuleID{RuleAuthorizationNone, RuleAuthorizationUnreadable}
		if diff := cmp.Diff(want, ruleIDs(a.Steps)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("AuthorizationPolicy of another namespace", func(t *testing.T) {
		a := NewSnapshot(gap("AuthorizationPolicy", "other")).Authorize(guarded(), &Connection{}, nil)
		if a.Decision != AccessAllowed || len(a.Gaps) != 0 {
			t.Errorf("got %v with gaps %v, want allowed", a.Decision, a.Gaps)
		}
	})
	t.Run("PeerAuthentication", func(t *testing.T) {
		m := NewSnapshot(gap("PeerAuthentication", "")).EffectiveMTLS(guarded(), 80)
		want := []RuleID{RulePeerAuthenticationUnreadable, RulePeerAuthenticationDefault}
		if diff := cmp.Diff(want, ruleIDs(m.Steps)); diff != "" || len(m.Gaps) != 1 {
			t.Error(diff, m.Gaps)
		}
	})
	t.Run("RequestAuthentication", func(t *testing.T) {
		r := NewSnapshot(gap("RequestAuthentication", "istio-system")).RequestAuthentication(guarded(), &HTTPRequest{})
		want := []RuleID{RuleRequestAuthenticationUnreadable, RuleRequestAuthenticationNone}
		if diff := cmp.Diff(want, ruleIDs(r.Steps)); diff != "" || len(r.Gaps) != 1 {
			t.Error(diff, r.Gaps)
		}
	})
}

// Proto messages may be nil everywhere in what was read from a file.
func TestPoliciesWithNothingInThem(t *testing.T) {
	s := snapshotOf(t, `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a, namespace: shop}
spec: {rules: [null, {from: [null, {}], to: [null, {}], when: [null]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: c, namespace: shop}
spec: {action: CUSTOM, rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: r, namespace: shop}
spec: {jwtRules: [null, {fromHeaders: [null], outputClaimToHeaders: [null]}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: p, namespace: shop}
spec: {selector: {matchLabels: {app: web}}, portLevelMtls: {80: null}}
`)
	for _, q := range []*HTTPRequest{nil, {}} {
		s.Authorize(guarded(), nil, q)
		s.Authorize(&Workload{}, &Connection{}, q)
		s.RequestAuthentication(guarded(), q)
		s.RequestAuthentication(&Workload{}, q)
		s.EffectiveMTLS(guarded(), -1)
	}
}
