package resolve

import (
	"cmp"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// HTTPRoutes and GRPCRoutes of one listener and hostname become one table.
//
//  1. What has the same key, listener and hostname as the route writes it, is put together: oldest first, then by
//     namespace, then by name. In the mesh the key is the routes' namespace, the parent's port and the host.
//  2. The entries are sorted, those that are equal keep their order: entries without match last; exact paths before
//     prefixes before regexes before none; longer paths first; with a method first; more headers first; more query
//     parameters first.
//
// Source: pilot/pkg/config/kube/gateway/route_collections.go, mergeHTTPRoutes; conversion.go, sortHTTPRoutes.

// keyedVirtualService is a VirtualService made of one route.
type keyedVirtualService struct {
	*VirtualService
	key   string
	rules []kubeRule
}

// mergeKubeRoutes puts together what has the same key. L4 routes are not merged.
func mergeKubeRoutes(all []*keyedVirtualService) []*VirtualService {
	var out []*VirtualService
	var keys []string
	byKey := map[string][]*keyedVirtualService{}
	for _, vs := range all {
		if vs.rules == nil {
			out = append(out, vs.VirtualService)
			continue
		}
		if byKey[vs.key] == nil {
			keys = append(keys, vs.key)
		}
		byKey[vs.key] = append(byKey[vs.key], vs)
	}
	for _, key := range keys {
		list := byKey[key]
		slices.SortStableFunc(list, func(a, b *keyedVirtualService) int {
			return cmp.Or(compareTimes(a.Created, b.Created), cmp.Compare(a.Ref.Namespace, b.Ref.Namespace), cmp.Compare(a.name, b.name))
		})
		merged := list[0].VirtualService
		merged.name = strings.ReplaceAll(key, "/", "~")
		var rules []kubeRule
		for _, one := range list {
			sorted := slices.Clone(one.rules)
			slices.SortStableFunc(sorted, comparePrecedence)
			rules = append(rules, sorted...)
		}
		slices.SortStableFunc(rules, comparePrecedence)
		merged.fillHTTP(rules)
		out = append(out, merged)
	}
	return out
}

// fillHTTP makes the entries of the sorted rules.
func (vs *VirtualService) fillHTTP(rules []kubeRule) {
	for _, r := range rules {
		vs.Spec.Http = append(vs.Spec.Http, r.http)
		vs.HTTPRefs = append(vs.HTTPRefs, r.ref)
		vs.Roots = append(vs.Roots, Ref{})
		match := r.match
		if match.IsZero() {
			match = r.ref
		}
		vs.origins = append(vs.origins, entryOrigin{fields: r.fields, steps: r.steps, matches: []matchOrigin{{ref: match, clauses: r.clauses}}})
	}
}

// comparePrecedence is step 2.
func comparePrecedence(a, b kubeRule) int {
	if len(a.http.Match) == 0 || len(b.http.Match) == 0 {
		return cmp.Compare(len(b.http.Match), len(a.http.Match))
	}
	x, y := a.http.Match[0], b.http.Match[0]
	xRank, xLength := pathRank(x.GetUri())
	yRank, yLength := pathRank(y.GetUri())
	return cmp.Or(
		cmp.Compare(yRank, xRank), cmp.Compare(yLength, xLength),
		boolFirst(x.Method != nil)-boolFirst(y.Method != nil),
		cmp.Compare(len(y.Headers), len(x.Headers)), cmp.Compare(len(y.QueryParams), len(x.QueryParams)),
	)
}

// pathRank is how exact a path is asked for, and how long it is.
func pathRank(uri *networking.StringMatch) (rank, length int) {
	switch p := uri.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return 3, len(p.Exact)
	case *networking.StringMatch_Prefix:
		return 2, len(p.Prefix)
	case *networking.StringMatch_Regex:
		return 1, len(p.Regex)
	}
	return -1, 0
}
