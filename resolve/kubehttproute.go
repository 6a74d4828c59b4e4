package resolve

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1alpha3"
	"k8s.io/utils/ptr"
	inference "sigs.k8s.io/gateway-api-inference-extension/api/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Rules of HTTPRoutes.
//
//  1. Each match of a rule makes an entry of its own, with all the rule does; a rule without match makes one.
//  2. An entry is called as the rule, else NAMESPACE.ROUTE.INDEX.
//  3. Paths: a prefix loses one trailing "/" and matches whole segments. Matches of headers and query parameters are
//     exact or a regex; of two with the very same name the last counts.
//  4. A filter Istio does not know, or a header value with control characters, drops all rules (kubefilter.go).
//  5. Backends without weight, or none at all, are answered 500, unless the rule redirects (kubebackend.go).
//  6. timeouts.request is the timeout. timeouts.backendRequest is that of each try with retry, and takes the
//     place of request without.
//
// Source: pilot/pkg/config/kube/gateway/conversion.go, convertHTTPRoute.

func (s *Snapshot) convertHTTPRoute(o *k8sgateway.HTTPRoute, ref Ref, mesh bool) ruleSet {
	return convertRules(s, ref, mesh, o.Spec.Rules, func(c *ruleConversion, i int, rule k8sgateway.HTTPRouteRule, out *ruleSet) {
		splitByMatch(c, out, c.httpRule(rule, i), rule.Matches, c.httpMatch)
	})
}

// splitByMatch is step 1.
func splitByMatch[M any](c *ruleConversion, out *ruleSet, entry *networking.HTTPRoute, matches []M, read func(M, Ref) (*networking.HTTPMatchRequest, writtenAs)) {
	if c.refused == nil && len(matches) == 0 {
		out.http = append(out.http, kubeRule{http: entry, ref: c.ref, fields: c.fields, steps: slices.Concat(c.granted, c.steps)})
	}
	for j, m := range matches {
		if c.refused != nil {
			return
		}
		split, at := entry.DeepCopy(), c.at("matches[%d]", j)
		match, clauses := read(m, at)
		split.Match = []*networking.HTTPMatchRequest{match}
		out.http = append(out.http, kubeRule{http: split, ref: c.ref, match: at, fields: c.fields, clauses: clauses, steps: slices.Concat(c.granted, c.steps)})
	}
}

// ruleConversion is the reading of one rule.
type ruleConversion struct {
	snapshot *Snapshot
	route    Ref
	// ref is spec.rules[i].
	ref  Ref
	mesh bool
	// fields are where the parts of the entry were written.
	fields  writtenAs
	steps   []Step
	refused *Step
	// granted tell by which grants it refers to other namespaces.
	granted []Step
	// unresolved is the reason that istiod publishes.
	unresolved string
	// pools are the InferencePools among the backends, and poolLast is set where the last one is one.
	pools    []*inference.InferencePool
	poolLast bool
}

// convertRules reads the rules of a route one by one; one that is refused drops them all.
func convertRules[R any](s *Snapshot, route Ref, mesh bool, rules []R, read func(c *ruleConversion, i int, rule R, out *ruleSet)) ruleSet {
	var out ruleSet
	for i, rule := range rules {
		c := &ruleConversion{snapshot: s, route: route, ref: route.At(pathIndex("spec.rules", i)), mesh: mesh, fields: writtenAs{}}
		read(c, i, rule, &out)
		out.steps = append(out.steps, c.steps...)
		if c.refused != nil {
			return ruleSet{refused: c.refused, steps: out.steps, unresolved: c.unresolved}
		}
		out.unresolved = cmp.Or(c.unresolved, out.unresolved)
	}
	return out
}

// at is a field of the rule.
func (c *ruleConversion) at(format string, args ...any) Ref {
	return c.ref.At(c.ref.Field + "." + fmt.Sprintf(format, args...))
}

func (c *ruleConversion) refuse(rule RuleID, at Ref, args ...any) {
	step := NewStep(rule, Skipped, at, args...)
	c.refused, c.unresolved = &step, publishedReasons[rule]
}

// ruleName is step 2.
func (c *ruleConversion) ruleName(name *k8sgateway.SectionName, i int) string {
	if name != nil {
		return string(*name)
	}
	return c.route.Namespace + "." + c.route.Name + "." + strconv.Itoa(i)
}

// httpRule is the rule without its matches.
func (c *ruleConversion) httpRule(rule k8sgateway.HTTPRouteRule, i int) *networking.HTTPRoute {
	out := &networking.HTTPRoute{Name: c.ruleName(rule.Name, i)}
	c.sessions(rule.SessionPersistence)
	for j, f := range rule.Filters {
		if c.httpFilter(out, f, c.at("filters[%d]", j)); c.refused != nil {
			return nil
		}
	}
	c.retry(out, rule.Retry)
	c.timeouts(out, rule.Timeouts)
	c.fields["route"] = c.at("backendRefs")
	var weight int32
	for _, b := range rule.BackendRefs {
		weight += ptr.Deref(b.Weight, 1)
	}
	if weight == 0 && out.Redirect == nil {
		out.DirectResponse = &networking.HTTPDirectResponse{Status: 500}
		c.fields["directResponse"] = c.at("backendRefs")
		return out
	}
	var several []backend
	for j, b := range rule.BackendRefs {
		several = append(several, backend{BackendRef: b.BackendRef, filters: b.Filters, ref: c.at("backendRefs[%d]", j)})
	}
	out.Route = c.destinations(several)
	c.picks(out)
	return out
}

// httpMatch is one match, and where its clauses were written.
func (c *ruleConversion) httpMatch(m k8sgateway.HTTPRouteMatch, ref Ref) (*networking.HTTPMatchRequest, writtenAs) {
	at := func(field string) Ref { return ref.At(ref.Field + "." + field) }
	clauses := writtenAs{"uri": at("path"), "method": at("method")}
	out := &networking.HTTPMatchRequest{}
	path := ptr.Deref(m.Path, k8sgateway.HTTPPathMatch{})
	value := ptr.Deref(path.Value, "/")
	switch ptr.Deref(path.Type, k8sgateway.PathMatchPathPrefix) {
	case k8sgateway.PathMatchPathPrefix:
		if value != "/" {
			value = strings.TrimSuffix(value, "/")
		}
		out.Uri = prefixMatch(value)
	case k8sgateway.PathMatchExact:
		out.Uri = exactMatch(value)
	case k8sgateway.PathMatchRegularExpression:
		out.Uri = regexMatch(value)
	default:
		c.refuse(RuleKubeRouteMatchType, at("path.type"), string(*path.Type))
	}
	for i, h := range m.Headers {
		c.named(&out.Headers, clauses, "headers", string(h.Name), string(ptr.Deref(h.Type, k8sgateway.HeaderMatchExact)), h.Value, at(pathIndex("headers", i)))
	}
	for i, q := range m.QueryParams {
		c.named(&out.QueryParams, clauses, "queryParams", string(q.Name), string(ptr.Deref(q.Type, k8sgateway.QueryParamMatchExact)), q.Value, at(pathIndex("queryParams", i)))
	}
	if m.Method != nil {
		out.Method = exactMatch(string(*m.Method))
	}
	return out, clauses
}

// named adds a match of a header or query parameter.
func (c *ruleConversion) named(in *map[string]*networking.StringMatch, clauses writtenAs, kind, name, how, value string, ref Ref) {
	if *in == nil {
		*in = map[string]*networking.StringMatch{}
	}
	clauses[kind+"["+name+"]"] = ref
	switch how {
	case "Exact":
		(*in)[name] = exactMatch(value)
	case "RegularExpression":
		(*in)[name] = regexMatch(value)
	default:
		c.refuse(RuleKubeRouteMatchType, ref.At(ref.Field+".type"), how)
	}
}

func exactMatch(v string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: v}}
}

func prefixMatch(v string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: v}}
}

func regexMatch(v string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Regex{Regex: v}}
}

// retry is the rule's retry stanza.
func (c *ruleConversion) retry(out *networking.HTTPRoute, in *k8sgateway.HTTPRouteRetry) {
	if in == nil {
		return
	}
	c.fields["retries"], c.fields["retries.attempts"] = c.at("retry"), c.at("retry.attempts")
	on := []string{"connect-failure", "refused-stream", "unavailable", "cancelled"}
	for _, code := range in.Codes {
		on = append(on, strconv.Itoa(int(code)))
	}
	out.Retries = &networking.HTTPRetry{Attempts: int32(ptr.Deref(in.Attempts, 2)), RetryOn: strings.Join(on, ",")}
	if out.Retries.Attempts == 0 {
		out.Retries.RetryOn = ""
	}
	if in.Backoff != nil {
		d, _ := time.ParseDuration(string(*in.Backoff))
		out.Retries.Backoff = durationpb.New(d)
	}
}

// timeouts is step 6.
func (c *ruleConversion) timeouts(out *networking.HTTPRoute, in *k8sgateway.HTTPRouteTimeouts) {
	if in == nil {
		return
	}
	parse := func(d *k8sgateway.Duration) time.Duration {
		v, _ := time.ParseDuration(string(ptr.Deref(d, "0s")))
		return v
	}
	if d := parse(in.Request); d != 0 {
		out.Timeout = durationpb.New(d)
		c.fields["timeout"] = c.at("timeouts.request")
	}
	switch d := parse(in.BackendRequest); {
	case d == 0:
	case out.Retries != nil:
		out.Retries.PerTryTimeout = durationpb.New(d)
		c.fields["retries.perTryTimeout"] = c.at("timeouts.backendRequest")
	default:
		out.Timeout = durationpb.New(d)
		c.fields["timeout"] = c.at("timeouts.backendRequest")
	}
}
