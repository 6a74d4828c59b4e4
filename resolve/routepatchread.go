package resolve

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1alpha3"
)

// Routes and virtual hosts that a patch brings, read into the shapes that those of VirtualServices have.

// read is a route as a patch writes it; readable is false where it is not known which requests it takes.
func (b *hostPatching) read(p *envoyPatch, value *envoyValue, ref Ref) (r *Route, readable bool) {
	match, ok := readMatch(value.object("match"))
	if !ok {
		return nil, false
	}
	r = &Route{
		Name: value.text("name"), Ref: ref.At(ref.Field + ".match"), Entry: ref, Match: match, HTTP: &networking.HTTPRoute{},
		patches: newRoutePatches(),
	}
	r.CatchAll = r.takesAll()
	b.headers(r.patches, p, value)
	b.perFilter(r.patches.filters, p, value, ref, "this route")
	switch {
	case value.has("direct_response"), value.has("redirect"):
		readAnswer(r.HTTP, value)
	case value.has("route"):
		readForward(r.HTTP, value.object("route"))
	}
	value.ignore(harmlessOfRoutes...)
	if unread := value.unread(); len(unread) > 0 || len(r.HTTP.GetRoute()) == 0 && r.HTTP.GetRedirect() == nil && r.HTTP.GetDirectResponse() == nil {
		r.patches.open = true
		r.patches.result.Steps = append(r.patches.result.Steps, p.notModelled(unread...))
		if len(r.HTTP.GetRoute()) == 0 && r.HTTP.GetRedirect() == nil {
			r.HTTP.DirectResponse = &networking.HTTPDirectResponse{Status: max(r.HTTP.GetDirectResponse().GetStatus(), 200)}
		}
	}
	return r, true
}

// readMatch is a RouteMatch; false where something in it is not read.
func readMatch(v *envoyValue) (*networking.HTTPMatchRequest, bool) {
	m := &networking.HTTPMatchRequest{}
	switch {
	case v.has("prefix"):
		m.Uri = &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: v.text("prefix")}}
	case v.has("path"):
		m.Uri = &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: v.text("path")}}
	case v.has("safe_regex"):
		m.Uri = readRegex(v.object("safe_regex"))
	default:
		return nil, false
	}
	if sensitive, set := v.flag("case_sensitive"); set {
		m.IgnoreUriCase = !sensitive
	}
	for _, h := range v.list("headers") {
		match := readStringMatch(h)
		if match == nil {
			return nil, false
		}
		if m.Headers == nil {
			m.Headers = map[string]*networking.StringMatch{}
		}
		name := strings.ToLower(h.text("name"))
		if m.Headers[name] != nil {
			return nil, false
		}
		m.Headers[name] = match
	}
	for _, q := range v.list("query_parameters") {
		match := readStringMatch(q)
		if match == nil {
			return nil, false
		}
		if m.QueryParams == nil {
			m.QueryParams = map[string]*networking.StringMatch{}
		}
		m.QueryParams[q.text("name")] = match
	}
	return m, len(v.unread()) == 0
}

// readStringMatch is what a header or query parameter is compared with; nil where that is not read. One that only has to be there
// gives a match without a type.
func readStringMatch(v *envoyValue) *networking.StringMatch {
	from := v
	exact, prefix, regex := "exact_match", "prefix_match", "safe_regex_match"
	if v.has("string_match") {
		from, exact, prefix, regex = v.object("string_match"), "exact", "prefix", "safe_regex"
	}
	switch {
	case from.has(exact):
		return &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: from.text(exact)}}
	case from.has(prefix):
		return &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: from.text(prefix)}}
	case from.has(regex):
		return readRegex(from.object(regex))
	case v.has("present_match"):
		if there, _ := v.flag("present_match"); there {
			return &networking.StringMatch{}
		}
	}
	return nil
}

func readRegex(v *envoyValue) *networking.StringMatch {
	v.ignore("google_re2")
	return &networking.StringMatch{MatchType: &networking.StringMatch_Regex{Regex: v.text("regex")}}
}

// redirectCodes are Envoy's names and numbers of the redirects.
var redirectCodes = []struct {
	name string
	code uint32
}{{"MOVED_PERMANENTLY", 301}, {"FOUND", 302}, {"SEE_OTHER", 303}, {"TEMPORARY_REDIRECT", 307}, {"PERMANENT_REDIRECT", 308}}

// readAnswer reads a redirect or direct_response into an http entry.
func readAnswer(http *networking.HTTPRoute, value *envoyValue) {
	if d := value.object("direct_response"); d != nil {
		status, _ := d.number("status")
		d.ignore("body")
		http.DirectResponse = &networking.HTTPDirectResponse{Status: uint32(max(status, 0))}
	}
	v := value.object("redirect")
	if v == nil {
		return
	}
	to := &networking.HTTPRedirect{Uri: v.text("path_redirect"), Authority: v.text("host_redirect"), Scheme: v.text("scheme_redirect"), RedirectCode: 301}
	if https, _ := v.flag("https_redirect"); https {
		to.Scheme = "https"
	}
	if port, ok := v.number("port_redirect"); ok {
		to.RedirectPort = &networking.HTTPRedirect_Port{Port: uint32(max(port, 0))}
	}
	word := v.text("response_code")
	number, numbered := v.number("response_code")
	for i, c := range redirectCodes {
		if c.name == word || numbered && int(number) == i {
			to.RedirectCode = c.code
		}
	}
	http.Redirect = to
}

// readForward reads a route's action that goes to a cluster of istiod's. What it does not read is left unread.
func readForward(http *networking.HTTPRoute, v *envoyValue) {
	d := destinationOf(v.text("cluster"))
	if d == nil {
		delete(v.asked, "cluster")
		return
	}
	http.Route = []*networking.HTTPRouteDestination{{Destination: d}}
	http.Retries = &networking.HTTPRetry{}
	if timeout, err := time.ParseDuration(v.text("timeout")); err == nil {
		http.Timeout = durationpb.New(timeout)
	}
	if path, host := v.text("prefix_rewrite"), v.text("host_rewrite_literal"); path != "" || host != "" {
		http.Rewrite = &networking.HTTPRewrite{Uri: path, Authority: host}
	}
	v.ignore("idle_timeout", "max_stream_duration", "rate_limits", "hash_policy")
}

// destinationOf is what a cluster name outbound|PORT|SUBSET|HOST stands for; nil for another name.
func destinationOf(cluster string) *networking.Destination {
	parts := strings.Split(cluster, "|")
	if len(parts) != 4 || parts[0] != "outbound" {
		return nil
	}
	port, err := strconv.ParseUint(parts[1], 10, 32)
	if err != nil || parts[3] == "" {
		return nil
	}
	return &networking.Destination{Host: parts[3], Subset: parts[2], Port: &networking.PortSelector{Number: uint32(port)}}
}

// coversAny is the domain that takes the host, as Envoy chooses it; "" for none.
func coversAny(domains []string, host string) string {
	if slices.Contains(domains, host) {
		return host
	}
	best := ""
	for _, d := range domains {
		if IsWildcardHost(d) && (d == "*" || len(host) > len(d)-1 && strings.HasSuffix(host, d[1:])) && len(d) > len(best) {
			best = d
		}
	}
	return best
}
