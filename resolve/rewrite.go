package resolve

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// The rules by which a request changes on its way to a destination.
const (
	RuleRewriteURI       RuleID = "route/rewrite-uri"
	RuleRewriteRegex     RuleID = "route/rewrite-uri-regex"
	RuleRewriteRefused   RuleID = "route/rewrite-undecidable"
	RuleRewriteAuthority RuleID = "route/rewrite-authority"
	RuleHeaderAuthority  RuleID = "route/header-authority"
	RuleHeaderSet        RuleID = "route/header-set"
	RuleHeaderAdd        RuleID = "route/header-add"
	RuleHeaderRemove     RuleID = "route/header-remove"
	RuleHeaderComputed   RuleID = "route/header-computed"
)

var rewriteRules = []Rule{
	{
		ID: RuleRewriteURI, Stage: StageRoute,
		Says:     "rewrite.uri replaces the prefix that matched, and the whole path if the match was exact or a regex; the query stays.",
		Template: "path %s becomes %s",
		Source:   "pilot/pkg/networking/core/route/route.go, applyHTTPRouteDestination; Envoy, source/common/router/config_impl.cc",
	},
	{
		ID: RuleRewriteRegex, Stage: StageRoute,
		Says:     "rewrite.uriRegexRewrite replaces every place in the path that its regex matches; it counts before rewrite.uri.",
		Template: "path %s becomes %s (regex %q)",
		Source:   "pilot/pkg/networking/core/route/route.go, applyHTTPRouteDestination",
	},
	{
		ID: RuleRewriteRefused, Stage: StageRoute,
		Says:     "A regex that RE2 does not understand is refused by Envoy; the rewritten path is not known.",
		Template: "regex %q is not valid RE2; the path is shown as it was",
		Source:   "Envoy, type/matcher/v3/regex.proto",
	},
	{
		ID: RuleRewriteAuthority, Stage: StageRoute,
		Says:     "rewrite.authority becomes the Host header; it counts before any header operation on Host.",
		Template: "Host %s becomes %s",
		Source:   "pilot/pkg/networking/core/route/route.go, applyHTTPRouteDestination",
	},
	{
		ID: RuleHeaderAuthority, Stage: StageRoute,
		Says:     "headers.request.set of Host rewrites the Host header; the route's counts before the destination's.",
		Template: "Host %s becomes %s",
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateHeadersOperations, processDestination",
	},
	{
		ID: RuleHeaderSet, Stage: StageRoute,
		Says:     "headers.request.set replaces a header's values.",
		Template: "sets header %s to %q",
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateHeadersOperations",
	},
	{
		ID: RuleHeaderAdd, Stage: StageRoute,
		Says:     "headers.request.add adds a value to a header.",
		Template: "adds %[2]q to header %[1]s",
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateHeadersOperations",
	},
	{
		ID: RuleHeaderRemove, Stage: StageRoute,
		Says:     "headers.request.remove takes a header away, before anything is set or added.",
		Template: "removes header %s",
		Source:   "Envoy, source/common/router/header_parser.cc, evaluateHeaders",
	},
	{
		ID: RuleHeaderComputed, Stage: StageRoute,
		Says:     "A value with %COMMANDS% is computed by Envoy for each request; it is shown as written.",
		Template: "header %s is computed by Envoy from %q",
		Source:   "Envoy, docs, HTTP header manipulation, custom request/response headers",
	},
}

// matchedLength is how many bytes of the path the route's match stands for: the
// prefix, or, for exact and regex, all of it. Without a uri it is the "/".
func (r *Route) matchedLength(path string) int {
	n := 1
	switch p := r.Match.GetUri().GetMatchType().(type) {
	case *networking.StringMatch_Prefix:
		n = len(p.Prefix)
		if r.segmentPrefix() {
			n = len(strings.TrimSuffix(p.Prefix, "/"))
		}
	case *networking.StringMatch_Exact, *networking.StringMatch_Regex:
		n = len(path)
	}
	return min(n, len(path))
}

// Rewrite applies the route's rewrite of path and authority to a copy of the request.
//
// 1. uriRegexRewrite counts before uri. It replaces each match within the path.
// 2. uri replaces the prefix that matched; after an exact or regex match, the
// whole path. Prefixes are plain strings: /foo to / makes //bar of /foo/bar. In a route of the Gateway API "/" takes
// the prefix of whole segments away, with the slash behind it, and nothing of a path that matched otherwise.
// 3. A rewrite changes neither the virtual host, nor the route, nor the destination.
//
// Source: pilot/pkg/networking/core/route/route.go, applyHTTPRouteDestination.
func Rewrite(r *Route, q *HTTPRequest) (*HTTPRequest, []Step) {
	out := q.Clone()
	in := r.HTTP.GetRewrite()
	var steps []Step
	if regex := in.GetUriRegexRewrite(); regex != nil {
		at := r.FieldRef("rewrite.uriRegexRewrite")
		re, err := regexp.Compile(regex.GetMatch())
		if err != nil || regex.GetMatch() == "" {
			steps = append(steps, NewStep(RuleRewriteRefused, Warned, at.At(at.Field+".match"), regex.GetMatch()))
		} else {
			out.Path = re.ReplaceAllString(q.Path, substitution(regex.GetRewrite()))
			steps = append(steps, NewStep(RuleRewriteRegex, Applied, at, q.Path, out.Path, regex.GetMatch()))
		}
	} else if uri := in.GetUri(); uri != "" {
		n := r.matchedLength(q.Path)
		if uri == "/" && r.VirtualService != nil && r.VirtualService.Semantics == SemanticsGateway {
			if !r.segmentPrefix() {
				n = 0
			}
			if strings.HasPrefix(q.Path[n:], "/") {
				n++
			}
		}
		out.Path = uri + q.Path[n:]
		steps = append(steps, NewStep(RuleRewriteURI, Applied, r.FieldRef("rewrite.uri"), q.Path, out.Path))
	}
	if host := in.GetAuthority(); host != "" {
		out.Authority = host
		steps = append(steps, NewStep(RuleRewriteAuthority, Applied, r.FieldRef("rewrite.authority"), q.Authority, host))
	}
	return out, steps
}

// substitution turns RE2's \1 into Go's ${1}.
func substitution(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '$':
			b.WriteString("$$")
		case s[i] == '\\' && i+1 < len(s) && '0' <= s[i+1] && s[i+1] <= '9':
			i++
			b.WriteString("${" + s[i:i+1] + "}")
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '\\':
			i++
			b.WriteByte('\\')
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// Forward is the request as the route sends it to one of its destinations.
//
// 1. With one destination its header operations are joined with the route's, the
// route's first: everything is removed, then set, then added.
// 2. With several, the destination's are done first and the route's after them,
// so that what the route sets wins.
// 3. Host: rewrite.authority, else what the route sets, else what the destination sets.
// 4. Then the path is rewritten.
//
// Source: pilot/pkg/networking/core/route/route.go, processDestination,
// processWeightedDestination; Envoy, source/common/router/config_impl.cc, finalizeRequestHeaders.
func Forward(r *Route, d WeightedDestination, q *HTTPRequest) (*HTTPRequest, []Step) {
	out := q.Clone()
	route := headerOps{r.HTTP.GetHeaders().GetRequest(), r.FieldRef("headers.request")}
	dest := headerOps{d.Headers.GetRequest(), d.Ref.At(d.Ref.Field + ".headers.request")}
	var steps []Step
	if len(r.HTTP.GetRoute()) > 1 {
		steps = append(applyHeaders(out, dest), applyHeaders(out, route)...)
	} else {
		steps = applyHeaders(out, route, dest)
	}
	if r.HTTP.GetRewrite().GetAuthority() == "" {
		host, at := route.authority()
		if host == "" {
			host, at = dest.authority()
		}
		if host != "" {
			steps = append(steps, NewStep(RuleHeaderAuthority, Applied, at, q.Authority, host))
			out.Authority = host
		}
	}
	out, rewritten := Rewrite(r, out)
	return out, append(steps, rewritten...)
}

// headerOps are the request header operations of a route or destination.
type headerOps struct {
	*networking.Headers_HeaderOperations
	ref Ref
}

func (o headerOps) at(op, key string) Ref {
	return o.ref.At(o.ref.Field + "." + op + "[" + key + "]")
}

// authority is what the operations make of Host; set counts before add.
func (o headerOps) authority() (string, Ref) {
	for _, op := range []struct {
		name    string
		headers map[string]string
	}{{"set", o.GetSet()}, {"add", o.GetAdd()}} {
		for _, key := range slices.Sorted(maps.Keys(op.headers)) {
			if name := strings.ToLower(key); (name == "host" || name == ":authority") && op.headers[key] != "" {
				return op.headers[key], o.at(op.name, key)
			}
		}
	}
	return "", Ref{}
}

// applyHeaders removes, then sets, then adds, in the order of the lists. Host
// and pseudo-headers are not touched here; an empty value does nothing.
// Source: Envoy, source/common/router/header_parser.cc, evaluateHeaders.
func applyHeaders(q *HTTPRequest, lists ...headerOps) []Step {
	var steps []Step
	for _, o := range lists {
		for _, key := range o.GetRemove() {
			name := strings.ToLower(key)
			if _, ok := q.Headers[name]; ok && !isPseudoHeader(name) {
				delete(q.Headers, name)
				steps = append(steps, NewStep(RuleHeaderRemove, Applied, o.ref.At(o.ref.Field+".remove"), name))
			}
		}
	}
	for _, o := range lists {
		steps = append(steps, writeHeaders(q, o, "set", o.GetSet(), func(_, value string) string { return value })...)
	}
	for _, o := range lists {
		steps = append(steps, writeHeaders(q, o, "add", o.GetAdd(), func(old, value string) string {
			if old == "" {
				return value
			}
			return old + "," + value
		})...)
	}
	return steps
}

func writeHeaders(q *HTTPRequest, o headerOps, op string, headers map[string]string, join func(old, value string) string) []Step {
	var steps []Step
	rule := map[string]RuleID{"set": RuleHeaderSet, "add": RuleHeaderAdd}[op]
	for _, key := range slices.SortedFunc(maps.Keys(headers), strings.Compare) {
		name, value := strings.ToLower(key), headers[key]
		if value == "" || isPseudoHeader(name) {
			continue
		}
		literal, computed := headerValue(value)
		if computed {
			steps = append(steps, NewStep(RuleHeaderComputed, Warned, o.at(op, key), name, value))
		} else {
			steps = append(steps, NewStep(rule, Applied, o.at(op, key), name, literal))
		}
		q.Headers[name] = join(q.Headers[name], literal)
	}
	return steps
}

// headerValue is the value Envoy writes; computed if it holds commands (%REQ(x)%). "%%" is one "%".
func headerValue(value string) (literal string, computed bool) {
	literal = strings.ReplaceAll(value, "%%", "\x00")
	computed = strings.Contains(literal, "%")
	if computed {
		return value, true
	}
	return strings.ReplaceAll(literal, "\x00", "%"), false
}

func isPseudoHeader(name string) bool { return cmp.Or(name, ":")[0] == ':' || name == "host" }
