package casefile

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// document has 80% for v1, 20% for v2, and two hops.
func document() *render.Document {
	outcome := func(weight float64, subset string) render.Outcome {
		return render.Outcome{
			Weight: weight, Decision: "Delivered", Certainty: "certain", Reason: "reviews answers", Hops: []int{0, 1},
			Destination: render.Destination{Host: "reviews.shop.svc.cluster.local", Port: 9080, Subset: subset},
			Forwarded:   &render.Forwarded{Path: "/a", Headers: map[string]string{"x-added": "1"}},
		}
	}
	return &render.Document{
		Outcomes: []render.Outcome{outcome(80, "v1"), outcome(20, "v2")},
		Hops: []render.Hop{
			{Proxy: "sidecar", Direction: "outbound", Steps: []render.Step{{Stage: "Route", Verdict: "matched"}, {Stage: "LoadBalance", Verdict: "applied"}}},
			{Proxy: "sidecar", Direction: "inbound", TLS: "mTLS"},
		},
		Warnings: []render.Warning{{Message: "EnvoyFilter a"}, {Message: "Wasm b"}},
	}
}

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		name, expect string
		want         []string // PATH: EXPECTED, got ACTUAL (OUTCOME)
	}{
		{"all shares", "{outcomes: [{weight: 80, destination: {subset: v1}}, {weight: 20, destination: {subset: v2}}]}", nil},
		{"in any order", "{outcomes: [{weight: 20, destination: {subset: v2}}, {weight: 80, destination: {subset: v1}}]}", nil},
		{"weights add up", "{outcomes: [{weight: 100, decision: Delivered}]}", nil},
		{"a share with a weight leaves the others free", "{outcomes: [{weight: 20, destination: {subset: v2}}]}", nil},
		{"without a weight it does not", "{outcomes: [{destination: {subset: v2}}]}", []string{
			"outcomes: an outcome for each, got one that is none of these: 80% Delivered to reviews.shop.svc.cluster.local subset v1 (0)",
		}},
		{"{} stands for what is left", "{outcomes: [{destination: {subset: v2}}, {}]}", nil},
		{"{} stands for something", "{outcomes: [{weight: 100, decision: Delivered}, {}]}", []string{"outcomes: 2 outcomes, each by itself, got 2 outcomes (-1)"}},
		{"all alike", "{outcomes: [{decision: Delivered}]}", nil},
		{"two that overlap", "{outcomes: [{weight: 20, decision: Delivered}, {weight: 80, destination: {subset: v1}}]}", nil},
		{"another weight", "{outcomes: [{weight: 70, destination: {subset: v1}}]}", []string{"outcomes[0].weight: 70, got 80 (0)"}},
		{"none of a kind", "{outcomes: [{weight: 0, decision: Denied}]}", nil},
		{"some of a kind", "{outcomes: [{weight: 0, destination: {subset: v2}}]}", []string{"outcomes[0].weight: 0, got 20 (1)"}},
		{"the nearest one", "{outcomes: [{weight: 80, destination: {subset: v1}}, {weight: 20, destination: {subset: v3}}]}", []string{
			"outcomes[1].destination.subset: v3, got v2 (1)",
		}},
		{"several fields", "{outcomes: [{weight: 100, decision: Denied, httpStatus: 403}]}", []string{
			"outcomes[0].decision: Denied, got Delivered (0)", "outcomes[0].httpStatus: 403, got 0 (0)",
		}},
		{"a pattern", "{outcomes: [{reason: {matches: '^reviews'}}]}", nil},
		{"another pattern", "{outcomes: [{reason: {matches: '^ratings'}}]}", []string{"outcomes[0].reason: {matches: ^ratings}, got reviews answers (0)", "outcomes: an outcome for each, got one that is none of these: 20% Delivered to reviews.shop.svc.cluster.local subset v2 (1)"}},
		{"headers", "{outcomes: [{forwarded: {headers: {x-added: '1', x-other: ~}}}]}", nil},
		{"a header that is not there", "{outcomes: [{weight: 100, forwarded: {headers: {x-other: a}}}]}", []string{"outcomes[0].forwarded.headers.x-other: a, got absent (0)"}},
		{"a header that is there", "{outcomes: [{weight: 100, forwarded: {headers: {x-added: ~}}}]}", []string{"outcomes[0].forwarded.headers.x-added: absent, got 1 (0)"}},
		{"no object", "{outcomes: [{destination: {workload: ~}}]}", nil},
		{"an object", "{outcomes: [{weight: 100, forwarded: ~}]}", []string{"outcomes[0].forwarded: null, got {path: /a, headers: map[x-added:1]} (0)"}},
		{"hops", "{hops: [{direction: outbound, steps: [{stage: LoadBalance}]}, {tls: mTLS}]}", nil},
		{"hops in another order", "{hops: [{tls: mTLS}, {direction: outbound}]}", []string{"hops[1].direction: outbound, got inbound (-1)"}},
		{"steps in another order", "{hops: [{steps: [{stage: LoadBalance}, {stage: Route}]}]}", []string{"hops[0].steps[1].stage: Route, got LoadBalance (-1)"}},
		{"warnings in any order", "{warnings: [{message: {matches: Wasm}}, {message: {matches: EnvoyFilter}}]}", nil},
		{"each its own", "{warnings: [{message: {matches: Wasm}}, {message: {matches: Wasm}}]}", []string{"warnings[1]: {message: {matches: Wasm}}, got no other of the 2 (-1)"}},
		{"no warnings", "{warnings: []}", []string{"warnings: an empty list, got a list of 2 (-1)"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := mustParse(t, head+"cases: [{request: {url: a}, expect: "+tc.expect+"}]")[0].Cases[0]
			var got []string
			for _, m := range c.Expect.Match(document()) {
				got = append(got, fmt.Sprintf("%s: %s, got %s (%d)", m.Path, m.Expected, m.Actual, m.Outcome))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A search that has no end is given up, and never taken for a match.
func TestMatchGivesUp(t *testing.T) {
	d := document()
	d.Outcomes = nil
	expect := ""
	for i := range 30 {
		d.Outcomes = append(d.Outcomes, render.Outcome{Weight: 3 + float64(i)/100})
		expect += fmt.Sprintf("{weight: %g}, ", 3.4+float64(i)/1000)
	}
	c := mustParse(t, head+"cases: [{request: {url: a}, expect: {outcomes: ["+expect+"]}}]")[0].Cases[0]
	if c.Expect.Match(d) == nil {
		t.Error("it matches")
	}
}
