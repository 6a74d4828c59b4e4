package cmd

import (
	"reflect"
	"slices"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// The table of every scenario's request is the one that its trace walks: the same proxy, and a rule in it for
// the route taken, which is not called dead. Of requests made up for each rule, and walked, the same is true.
func TestSurveysAreWhatTracesWalk(t *testing.T) {
	t.Parallel()
	compared, derived, dead := 0, 0, 0
	for c := range tracedScenarios(t) {
		s := resolve.NewSnapshot(c.input)
		survey, err := trace.SurveyRequest(s, c.request)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		render.Surveys([]*trace.Survey{survey}, render.Options{Wide: true, Locate: s.Locate})
		if len(survey.Tables) == 0 && survey.Ends == nil {
			t.Errorf("%s: neither a table nor an end", c.name)
		}
		for _, table := range survey.Tables {
			requests := []trace.Request{c.request}
			for _, rule := range table.Rules {
				if len(rule.DeadBy) > 0 {
					dead++
				}
				if rule.Route != nil && rule.Taken {
					q := c.request
					q.Method, q.Path, q.Query, q.Headers = rule.Request.Method, rule.Request.Path, rule.Request.Query, sentHeaders(rule.Request, c.request)
					requests = append(requests, q)
					derived++
				}
			}
			for _, q := range requests {
				got, err := trace.Walk(s, q)
				if err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				compared += routedBy(t, c.name, got, &table)
			}
		}
	}
	if compared < 500 || derived < 500 || dead == 0 {
		t.Errorf("%d routes compared, %d requests derived, %d dead rules: the scenarios show too little", compared, derived, dead)
	}
}

// sentHeaders are those of a made-up request, without what a gateway adds itself.
func sentHeaders(made *resolve.HTTPRequest, asked trace.Request) map[string]string {
	out := map[string]string{}
	for name, value := range made.Headers {
		if _, sent := asked.Headers[name]; sent || name != "x-forwarded-for" && name != "x-forwarded-proto" {
			out[name] = value
		}
	}
	if host, ok := asked.Headers["host"]; ok {
		out["host"] = host
	}
	return out
}

// routedBy compares the routes that hops of the table's proxy take with its rules, and returns how many there were.
func routedBy(t *testing.T, name string, got *trace.Trace, table *trace.Table) int {
	t.Helper()
	n := 0
	for _, h := range got.Hops {
		at := h.Envoy
		at.Route, at.Cluster = table.Hop.Envoy.Route, table.Hop.Envoy.Cluster
		if h.Workload != table.Hop.Workload || at != table.Hop.Envoy {
			continue
		}
		for _, s := range h.Steps {
			if s.Rule != resolve.RuleRouteFirstMatch && s.Rule != resolve.RuleRouteDefault && s.Rule != resolve.RuleL4Matched {
				continue
			}
			n++
			i := slices.IndexFunc(table.Rules, func(r trace.Rule) bool { return r.Ref == s.Ref })
			switch {
			case i < 0:
				t.Errorf("%s: the trace takes %s, which is not in the table", name, s.Ref)
			case len(table.Rules[i].DeadBy) > 0:
				t.Errorf("%s: the trace takes %s, which is called dead by rules %d", name, s.Ref, table.Rules[i].DeadBy)
			}
		}
	}
	return n
}

// A survey is the same whatever order the manifests have.
func TestSurveysAreInOrder(t *testing.T) {
	t.Parallel()
	for c := range tracedScenarios(t) {
		var texts []string
		for _, resources := range [][]resolve.Sourced{c.input.Resources, reversed(c.input.Resources)} {
			in := c.input
			in.Resources = resources
			survey, err := trace.SurveyRequest(resolve.NewSnapshot(in), c.request)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			texts = append(texts, string(render.Surveys([]*trace.Survey{survey}, render.Options{Wide: true})))
		}
		if !reflect.DeepEqual(texts[0], texts[1]) {
			t.Errorf("%s: the order of manifests changes the survey:\n%s\n%s", c.name, texts[0], texts[1])
		}
	}
}

func reversed(list []resolve.Sourced) []resolve.Sourced {
	out := slices.Clone(list)
	slices.Reverse(out)
	return out
}
