package cmd

import (
	"slices"
	"strings"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/explain"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// notAsked are scenarios of which an object has its effect where explain does not look, and why it does not.
var notAsked = map[string]string{
	"sidecar/egress-http-proxy.txtar":        "on a listener of HTTP_PROXY one table has the hosts of all ports; it is surveyed by the address of the listener",
	"tls/subnets-of-earlier-rule-wide.txtar": "the connection is to an address that only a rule's destinationSubnets name, and no host of its own",
}

// Every object of every scenario is explained; one that decides about a request of the scenario is never said to decide
// nothing, and the order of the manifests changes nothing.
func TestObjectsOfScenariosAreExplained(t *testing.T) {
	t.Parallel()
	explained, decided := 0, 0
	seen := map[string]bool{}
	for c := range tracedScenarios(t) {
		s := resolve.NewSnapshot(c.input)
		got, err := trace.Walk(s, c.request)
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(c.name, "#")
		for _, o := range got.Outcomes {
			if by := o.By; slices.Contains(explain.Kinds(), by.Kind) && by.Kind != "Service" {
				decided++
				e, err := explain.Object(s.Member(by.Cluster), by.Kind, by.Namespace, by.Name)
				if err != nil || e.Object == by.Object() && saysNothing(e) && notAsked[name] == "" {
					t.Errorf("%s: %s decides (%s), and is said to decide nothing, and not why: %v", c.name, by, o.Reason, err)
				}
			}
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		in := c.input
		in.Resources = reversed(in.Resources)
		again := resolve.NewSnapshot(in)
		for _, r := range c.input.Resources {
			if !slices.Contains(explain.Kinds(), r.GroupKind.Kind) {
				continue
			}
			var texts []string
			for _, snapshot := range []*resolve.Snapshot{s, again} {
				e, err := explain.Object(snapshot.Member(resolve.ClusterOf(r.Object)), r.GroupKind.Kind, r.Object.GetNamespace(), r.Object.GetName())
				if err != nil {
					t.Fatalf("%s: %s %s: %v", c.name, r.GroupKind, r.Object.GetName(), err)
				}
				texts = append(texts, string(render.Object(e, render.Options{Wide: true})))
			}
			if explained++; texts[0] != texts[1] {
				t.Errorf("%s: the order of manifests changes the explanation:\n%s\n%s", c.name, texts[0], texts[1])
			}
		}
	}
	if explained < 1000 || decided < 500 {
		t.Errorf("%d objects explained, %d of them decide: the scenarios show too little", explained, decided)
	}
}

// saysNothing reports whether an explanation neither tells of an effect of the object nor of what keeps it from having one.
func saysNothing(e *explain.Explanation) bool {
	for _, section := range e.Sections {
		for _, f := range section.Findings {
			if section.Title != "It refers to" && f.Verdict != resolve.None {
				return false
			}
		}
	}
	return true
}
