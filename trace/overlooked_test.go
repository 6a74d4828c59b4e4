package trace

import (
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

func TestOverlooked(t *testing.T) {
	service, route := resolve.Ref{Kind: "Service", Name: "a"}, resolve.Ref{Kind: "VirtualService", Name: "a"}
	host := resolve.Step{Stage: resolve.StageHost, Rule: resolve.RuleHostNotMesh, Ref: route.At("spec.gateways"), Meant: true}
	behind := resolve.Step{Stage: resolve.StageRoute, Rule: resolve.RuleRouteCloserMatch, Ref: route.At("spec.http[1]"), Meant: true}
	policy := resolve.Step{Stage: resolve.StageAuthorizationPolicy, Rule: resolve.RuleAuthorizationDryRunDeny, Ref: resolve.Ref{Kind: "AuthorizationPolicy", Name: "a"}, Meant: true}
	plain := resolve.Step{Stage: resolve.StageHost, Rule: resolve.RuleHostOtherPort, Ref: route}
	for _, tc := range []struct {
		name     string
		decision Decision
		by       resolve.Ref
		steps    []resolve.Step
		want     int
	}{
		{"all of what arrives, each once", Delivered, service, []resolve.Step{host, plain, policy, host}, 2},
		{"what would have led somewhere", NotRouted, service, []resolve.Step{host, policy}, 1},
		{"nothing of a refusal", Denied, policy.Ref, []resolve.Step{host, policy}, 0},
		{"not what decided", Delivered, behind.Ref, []resolve.Step{behind}, 0},
		{"not the host of what decided elsewhere", Delivered, route.At("spec.http[0]"), []resolve.Step{host}, 0},
		{"a rule behind the one that decided", Delivered, route.At("spec.http[0]"), []resolve.Step{behind}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			trace := &Trace{Outcomes: []Outcome{{Decision: tc.decision, By: tc.by, Hops: []int{1}}}, Hops: []Hop{{Steps: []resolve.Step{policy}}, {Steps: tc.steps}}}
			if got := trace.Overlooked(); len(got) != tc.want {
				t.Errorf("%d steps: %+v", len(got), got)
			}
		})
	}
}
