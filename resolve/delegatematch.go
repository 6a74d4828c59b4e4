package resolve

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// mergeMatches sets the matches of the delegate's entry.
// Source: pilot/pkg/model/virtualservice.go, mergeHTTPMatchRequests.
func (o *entryOrigin) mergeMatches(root, leaf *networking.HTTPRoute, leafRef Ref) *Step {
	matchRef := func(r Ref, i int) Ref { return r.At(fmt.Sprintf("%s.match[%d]", r.Field, i)) }
	if len(leaf.GetMatch()) == 0 {
		leaf.Match = root.GetMatch()
		for i := range leaf.Match {
			o.matches = append(o.matches, matchOrigin{ref: matchRef(o.root, i)})
		}
		return nil
	}
	if len(root.GetMatch()) == 0 {
		for i := range leaf.Match {
			o.matches = append(o.matches, matchOrigin{ref: matchRef(leafRef, i)})
		}
		return nil
	}
	var merged []*networking.HTTPMatchRequest
	for i, sub := range leaf.Match {
		var reason *Step
		found := false
		for j, super := range root.Match {
			field, want, got := matchConflict(super, sub)
			if field != "" {
				if reason == nil {
					at, by := matchRef(leafRef, i), matchRef(o.root, j)
					step := NewStep(RuleDelegateConflict, Skipped, at.At(at.Field+"."+field), got, by).Unlike(want, got).meantFor(true)
					reason = &step
				}
				continue
			}
			found = true
			merged = append(merged, mergeMatch(super, sub))
			o.matches = append(o.matches, matchOrigin{ref: matchRef(leafRef, i), root: matchRef(o.root, j), leaf: sub})
		}
		if !found {
			return reason
		}
	}
	leaf.Match = merged
	return nil
}

// mergeMatch joins two compatible matches; the delegate's values count where both have one.
// Source: pilot/pkg/model/virtualservice.go, mergeHTTPMatchRequest.
func mergeMatch(root, leaf *networking.HTTPMatchRequest) *networking.HTTPMatchRequest {
	out := leaf.DeepCopy()
	if out == nil {
		out = &networking.HTTPMatchRequest{}
	}
	out.Name = joinRouteNames(root.GetName(), leaf.GetName())
	out.Uri = cmp.Or(leaf.GetUri(), root.GetUri())
	out.Scheme = cmp.Or(leaf.GetScheme(), root.GetScheme())
	out.Method = cmp.Or(leaf.GetMethod(), root.GetMethod())
	out.Authority = cmp.Or(leaf.GetAuthority(), root.GetAuthority())
	out.Headers = union(root.GetHeaders(), leaf.GetHeaders())
	out.WithoutHeaders = union(root.GetWithoutHeaders(), leaf.GetWithoutHeaders())
	out.QueryParams = union(root.GetQueryParams(), leaf.GetQueryParams())
	out.Port = cmp.Or(leaf.GetPort(), root.GetPort())
	out.SourceLabels = union(root.GetSourceLabels(), leaf.GetSourceLabels())
	out.SourceNamespace = cmp.Or(leaf.GetSourceNamespace(), root.GetSourceNamespace())
	if len(out.Gateways) == 0 {
		out.Gateways = slices.Clone(root.GetGateways())
	}
	out.StatPrefix = cmp.Or(leaf.GetStatPrefix(), root.GetStatPrefix())
	return out
}

func union[V any](base, over map[string]V) map[string]V {
	out := make(map[string]V, len(base)+len(over))
	maps.Copy(out, base)
	maps.Copy(out, over)
	return out
}

// matchConflict names the first field of the delegate's match that is not
// within the root's, with what the root asks for and what the delegate has; the
// field is empty if the two are compatible.
// Source: pilot/pkg/model/virtualservice.go, hasConflict.
func matchConflict(root, leaf *networking.HTTPMatchRequest) (field, want, got string) {
	for _, f := range []struct {
		name       string
		root, leaf *networking.StringMatch
	}{
		{"uri", root.GetUri(), leaf.GetUri()},
		{"scheme", root.GetScheme(), leaf.GetScheme()},
		{"method", root.GetMethod(), leaf.GetMethod()},
		{"authority", root.GetAuthority(), leaf.GetAuthority()},
	} {
		if stringMatchesConflict(f.root, f.leaf) {
			return f.name, f.name + " " + describeStringMatch(f.root), f.name + " " + describeStringMatch(f.leaf)
		}
	}
	for _, f := range []struct {
		name, noun string
		root, leaf map[string]*networking.StringMatch
	}{
		{"headers", "header", root.GetHeaders(), leaf.GetHeaders()},
		{"withoutHeaders", "withoutHeader", root.GetWithoutHeaders(), leaf.GetWithoutHeaders()},
		{"queryParams", "query parameter", root.GetQueryParams(), leaf.GetQueryParams()},
	} {
		for _, key := range slices.Sorted(maps.Keys(f.leaf)) {
			if a, b := f.root[key], f.leaf[key]; stringMatchesConflict(a, b) {
				noun := f.noun + " " + key + " "
				return f.name + "[" + key + "]", noun + describeStringMatch(a), noun + describeStringMatch(b)
			}
		}
	}
	return staticConflict(root, leaf)
}

// staticConflict compares what istiod decides before Envoy sees a request.
func staticConflict(root, leaf *networking.HTTPMatchRequest) (field, want, got string) {
	if a, b := root.GetIgnoreUriCase(), leaf.GetIgnoreUriCase(); a != b {
		return "ignoreUriCase", fmt.Sprintf("ignoreUriCase %t", a), fmt.Sprintf("ignoreUriCase %t", b)
	}
	if a, b := root.GetPort(), leaf.GetPort(); a > 0 && b > 0 && a != b {
		return "port", fmt.Sprintf("port %d", a), fmt.Sprintf("port %d", b)
	}
	if a, b := root.GetSourceNamespace(), leaf.GetSourceNamespace(); a != "" && a != b {
		return "sourceNamespace", "sourceNamespace " + a, "sourceNamespace " + cmp.Or(b, "(not set)")
	}
	for _, key := range slices.Sorted(maps.Keys(leaf.GetSourceLabels())) {
		b := leaf.SourceLabels[key]
		if a, ok := root.GetSourceLabels()[key]; ok && a != b {
			return "sourceLabels", "source label " + key + "=" + a, "source label " + key + "=" + b
		}
	}
	a, b := root.GetGateways(), leaf.GetGateways()
	if len(a) > 0 && len(b) > 0 {
		within := func(g string) bool { return slices.Contains(a, g) }
		if len(a) < len(b) || slices.ContainsFunc(b, func(g string) bool { return !within(g) }) {
			return "gateways", "gateways " + strings.Join(a, ", "), "gateways " + strings.Join(b, ", ")
		}
	}
	return "", "", ""
}

// stringMatchesConflict reports whether what the delegate asks for is not
// evidently within what the root lets through. Two presence matches ({}) conflict.
// Source: pilot/pkg/model/virtualservice.go, stringMatchConflict.
func stringMatchesConflict(root, leaf *networking.StringMatch) bool {
	if root == nil || leaf == nil {
		return false
	}
	set := func(m *networking.StringMatch) bool {
		return m.GetRegex() != "" || m.GetPrefix() != "" || m.GetExact() != ""
	}
	switch {
	case root.GetRegex() != "" && set(leaf), leaf.GetRegex() != "" && set(root):
		return true
	case root.GetExact() != "":
		return leaf.GetExact() != root.GetExact()
	case root.GetPrefix() != "" && leaf.GetPrefix() != "":
		return !strings.HasPrefix(leaf.GetPrefix(), root.GetPrefix())
	case root.GetPrefix() != "" && leaf.GetExact() != "":
		return !strings.HasPrefix(leaf.GetExact(), root.GetPrefix())
	}
	return true
}
