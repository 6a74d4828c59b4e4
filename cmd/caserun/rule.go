package caserun

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/casefile"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// A case of istio-config-validator is compared with the entry of a VirtualService that takes the request, as it is written:
//
//  1. Each part that the case gives (route, rewrite, …) must be that of the entry, as a whole; with wantMatch false it must be another.
//  2. Where the entry delegates, delegate is compared with the root's, and all else with the entry it delegates to. A case that gives a delegate and no
//     route is about the root's entry alone.
//  3. Where no VirtualService takes the request, every part is empty.
//
// Which entry takes it is what the trace says, and not that tool's own reading: a host may be a wildcard, the entries of several VirtualServices are in
// Istio's order, and a delegate counts as merged.
//
// Source: github.com/getyourguide/istio-config-validator, internal/pkg/unit/unit.go.

// taken are the entries that took a request; nil where none did.
type taken struct {
	root, leaf *networking.HTTPRoute
}

// takenBy finds the entries in the first hop that chose a route of a VirtualService.
func takenBy(s *resolve.Snapshot, t *trace.Trace) taken {
	for i := range t.Hops {
		steps := t.Hops[i].Steps
		for j := range steps {
			if steps[j].Rule != resolve.RuleRouteFirstMatch || steps[j].Verdict != resolve.Matched {
				continue
			}
			if root, leaf, ok := s.WrittenEntries(steps, steps[j].Ref); ok {
				_, rootEntry, _ := s.HTTPEntry(root)
				_, leafEntry, _ := s.HTTPEntry(leaf)
				return taken{rootEntry, leafEntry}
			}
		}
	}
	return taken{}
}

// matchRule compares what took the request with what the case expects.
func matchRule(s *resolve.Snapshot, t *trace.Trace, want *casefile.RuleExpectation) []casefile.Mismatch {
	found := takenBy(s, t)
	entry := found.leaf
	if want.Delegate != nil && want.Route == nil {
		entry = found.root
	}
	var out []casefile.Mismatch
	compare := func(part string, given bool, expected, actual string, same bool) {
		if !given || same == want.WantMatch {
			return
		}
		if !want.WantMatch {
			expected = "anything else"
		}
		out = append(out, casefile.Mismatch{Path: part, Expected: expected, Actual: actual, Outcome: -1, Rule: true})
	}
	compare("route", want.Route != nil, showRoute(want.Route), showRoute(entry.GetRoute()), sameRoute(want.Route, entry.GetRoute()))
	messages := []struct {
		part             string
		expected, actual proto.Message
	}{
		{"redirect", want.Redirect, entry.GetRedirect()},
		{"rewrite", want.Rewrite, entry.GetRewrite()},
		{"fault", want.Fault, entry.GetFault()},
		{"headers", want.Headers, entry.GetHeaders()},
		{"delegate", want.Delegate, found.root.GetDelegate()},
	}
	for _, m := range messages {
		compare(m.part, m.expected.ProtoReflect().IsValid(), show(m.expected), show(m.actual), proto.Equal(m.expected, m.actual))
	}
	return out
}

func sameRoute(a, b []*networking.HTTPRouteDestination) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !proto.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func showRoute(route []*networking.HTTPRouteDestination) string {
	if len(route) == 0 {
		return "none"
	}
	parts := make([]string, len(route))
	for i, r := range route {
		parts[i] = show(r)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// show is a message on one line, the same in every run: protojson varies its blanks on purpose.
func show(m proto.Message) string {
	if !m.ProtoReflect().IsValid() {
		return "none"
	}
	data, err := protojson.Marshal(m)
	if err != nil {
		return fmt.Sprintf("what can not be shown: %v", err)
	}
	return compact(data)
}
