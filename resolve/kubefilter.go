package resolve

import (
	"regexp"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	wrappers "google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1alpha3"
	"k8s.io/utils/ptr"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Filters of Gateway API routes.
//
//  1. Header modifiers: names in lower case; of equal names in set, and in add, the first counts.
//  2. Redirect: without a port, the scheme's default if there is a scheme, else the listener's.
//  3. URLRewrite: a prefix loses its trailing "/"; nothing left removes the matched prefix. A full path replaces all.
//  4. CORS: "*" is any origin of the form scheme://host; one "*" at the end is a prefix; others are any text.
//     Preflights of other origins are not let through.
//  5. Mirrors: all requests, or a fraction, or a percentage.
//
// Source: pilot/pkg/config/kube/gateway/conversion.go, createHeadersFilter, createRedirectFilter,
// createRewriteFilter, createCorsFilter, createMirrorFilter.

func (c *ruleConversion) httpFilter(out *networking.HTTPRoute, f k8sgateway.HTTPRouteFilter, ref Ref) {
	at := func(field string) Ref { return ref.At(ref.Field + "." + field) }
	switch f.Type {
	case k8sgateway.HTTPRouteFilterRequestHeaderModifier:
		c.headers(&out.Headers, f.RequestHeaderModifier, true, "headers", at("requestHeaderModifier"))
	case k8sgateway.HTTPRouteFilterResponseHeaderModifier:
		c.headers(&out.Headers, f.ResponseHeaderModifier, false, "headers", at("responseHeaderModifier"))
	case k8sgateway.HTTPRouteFilterRequestRedirect:
		out.Redirect = kubeRedirect(f.RequestRedirect)
		c.fields["redirect"] = at("requestRedirect")
	case k8sgateway.HTTPRouteFilterRequestMirror:
		c.mirror(out, f.RequestMirror, at("requestMirror"))
	case k8sgateway.HTTPRouteFilterURLRewrite:
		out.Rewrite = kubeRewrite(f.URLRewrite)
		c.fields["rewrite"], c.fields["rewrite.uri"] = at("urlRewrite"), at("urlRewrite.path")
		c.fields["rewrite.uriRegexRewrite"], c.fields["rewrite.authority"] = at("urlRewrite.path"), at("urlRewrite.hostname")
	case k8sgateway.HTTPRouteFilterCORS:
		out.CorsPolicy = kubeCORS(f.CORS)
		c.fields["corsPolicy"], c.fields["corsPolicy.allowOrigins"] = at("cors"), at("cors.allowOrigins")
	default:
		c.refuse(RuleKubeRouteFilter, at("type"), string(f.Type))
	}
}

// backendFilter is a filter of a single backend.
func (c *ruleConversion) backendFilter(d *networking.HTTPRouteDestination, f k8sgateway.HTTPRouteFilter, field string, ref Ref) {
	switch f.Type {
	case k8sgateway.HTTPRouteFilterRequestHeaderModifier:
		c.headers(&d.Headers, f.RequestHeaderModifier, true, field+".headers", ref.At(ref.Field+".requestHeaderModifier"))
	case k8sgateway.HTTPRouteFilterResponseHeaderModifier:
		c.headers(&d.Headers, f.ResponseHeaderModifier, false, field+".headers", ref.At(ref.Field+".responseHeaderModifier"))
	default:
		c.refuse(RuleKubeRouteFilter, ref.At(ref.Field+".type"), string(f.Type))
	}
}

// headers is step 1.
func (c *ruleConversion) headers(out **networking.Headers, f *k8sgateway.HTTPHeaderFilter, request bool, field string, ref Ref) {
	if f == nil {
		return
	}
	for _, list := range [][]k8sgateway.HTTPHeader{f.Set, f.Add} {
		for _, h := range list {
			if strings.ContainsFunc(h.Value, func(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f }) {
				c.refuse(RuleKubeRouteHeader, ref, string(h.Name))
				return
			}
		}
	}
	if *out == nil {
		*out = &networking.Headers{}
	}
	ops := &networking.Headers_HeaderOperations{Add: headerMap(f.Add), Remove: f.Remove, Set: headerMap(f.Set)}
	side := ".response"
	if request {
		side = ".request"
		(*out).Request = ops
	} else {
		(*out).Response = ops
	}
	c.fields[field+side] = ref
	for _, op := range []string{"set", "add", "remove"} {
		c.fields[field+side+"."+op] = ref.At(ref.Field + "." + op)
	}
}

func headerMap(list []k8sgateway.HTTPHeader) map[string]string {
	if len(list) == 0 {
		return nil
	}
	out := map[string]string{}
	for _, h := range list {
		name := strings.ToLower(string(h.Name))
		if _, again := out[name]; !again {
			out[name] = h.Value
		}
	}
	return out
}

// mirror is step 5.
func (c *ruleConversion) mirror(out *networking.HTTPRoute, f *k8sgateway.HTTPRequestMirrorFilter, ref Ref) {
	if f == nil {
		return
	}
	before := len(c.steps)
	d := c.destination(k8sgateway.BackendRef{BackendObjectReference: f.BackendRef}, ref.At(ref.Field+".backendRef"))
	switch invalid := c.refused != nil || len(c.steps) > before; {
	case invalid && c.route.Kind == "GRPCRoute":
		if reason := c.unresolved; c.refused == nil {
			c.refuse(RuleBackendInvalid, ref, c.steps[before].Reason())
			c.unresolved = reason
		}
		return
	case invalid:
		why := lastOf(c.steps)
		if c.refused != nil {
			why = c.refused.Reason()
		}
		c.refused, c.steps = nil, append(c.steps[:before:before], NewStep(RuleKubeRouteMirror, Skipped, ref, strings.TrimSuffix(strings.TrimSuffix(why, answered500), allRulesDropped)))
		return
	}
	m := &networking.HTTPMirrorPolicy{Destination: d}
	switch {
	case f.Fraction != nil:
		m.Percentage = &networking.Percent{Value: 100 * float64(f.Fraction.Numerator) / float64(ptr.Deref(f.Fraction.Denominator, 100))}
	case f.Percent != nil:
		m.Percentage = &networking.Percent{Value: float64(*f.Percent)}
	}
	c.fields[pathIndex("mirrors", len(out.Mirrors))] = ref
	out.Mirrors = append(out.Mirrors, m)
	if svc, ok := c.snapshot.mirrored(f.BackendRef, c.route); ok && c.route.Kind == "GRPCRoute" {
		c.granted = append(c.granted, NewStep(RuleKubeRouteMirrorKept, Applied, svc.Ref, c.route))
	}
}

// mirrored is the Service of a mirror, if that is one.
func (s *Snapshot) mirrored(b k8sgateway.BackendObjectReference, route Ref) (*Service, bool) {
	if ptr.Deref(b.Kind, "Service") != "Service" {
		return nil, false
	}
	return s.KubeService(string(ptr.Deref(b.Namespace, k8sgateway.Namespace(route.Namespace))), string(b.Name))
}

// kubeRedirect is step 2.
func kubeRedirect(f *k8sgateway.HTTPRequestRedirectFilter) *networking.HTTPRedirect {
	if f == nil {
		return nil
	}
	out := &networking.HTTPRedirect{
		RedirectCode: uint32(ptr.Deref(f.StatusCode, 0)), Authority: string(ptr.Deref(f.Hostname, "")), Scheme: ptr.Deref(f.Scheme, ""),
	}
	switch {
	case f.Port != nil:
		out.RedirectPort = &networking.HTTPRedirect_Port{Port: uint32(*f.Port)}
	case f.Scheme != nil:
		out.RedirectPort = &networking.HTTPRedirect_DerivePort{DerivePort: networking.HTTPRedirect_FROM_PROTOCOL_DEFAULT}
	default:
		out.RedirectPort = &networking.HTTPRedirect_DerivePort{DerivePort: networking.HTTPRedirect_FROM_REQUEST_PORT}
	}
	if f.Path != nil {
		switch f.Path.Type {
		case k8sgateway.FullPathHTTPPathModifier:
			out.Uri = ptr.Deref(f.Path.ReplaceFullPath, "")
		case k8sgateway.PrefixMatchHTTPPathModifier:
			out.PrefixRewrite = ptr.Deref(f.Path.ReplacePrefixMatch, "")
		}
	}
	return out
}

// kubeRewrite is step 3.
func kubeRewrite(f *k8sgateway.HTTPURLRewriteFilter) *networking.HTTPRewrite {
	if f == nil {
		return nil
	}
	out := &networking.HTTPRewrite{Authority: string(ptr.Deref(f.Hostname, ""))}
	if f.Path != nil {
		switch f.Path.Type {
		case k8sgateway.PrefixMatchHTTPPathModifier:
			if out.Uri = strings.TrimSuffix(ptr.Deref(f.Path.ReplacePrefixMatch, ""), "/"); out.Uri == "" {
				out.Uri = "/"
			}
		case k8sgateway.FullPathHTTPPathModifier:
			out.UriRegexRewrite = &networking.RegexRewrite{Match: "/.*", Rewrite: ptr.Deref(f.Path.ReplaceFullPath, "")}
		}
	}
	if out.Uri == "" && out.UriRegexRewrite == nil && out.Authority == "" {
		return nil
	}
	return out
}

// anyOrigin is what istiod writes for "*".
const anyOrigin = `^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+$`

// kubeCORS is step 4.
func kubeCORS(f *k8sgateway.HTTPCORSFilter) *networking.CorsPolicy {
	if f == nil {
		return nil
	}
	out := &networking.CorsPolicy{UnmatchedPreflights: networking.CorsPolicy_IGNORE}
	for _, origin := range f.AllowOrigins {
		switch o := string(origin); {
		case o == "":
		case o == "*":
			out.AllowOrigins = append(out.AllowOrigins, regexMatch(anyOrigin))
		case !strings.Contains(o, "*"):
			out.AllowOrigins = append(out.AllowOrigins, exactMatch(o))
		case strings.Count(o, "*") == 1 && strings.HasSuffix(o, "*"):
			out.AllowOrigins = append(out.AllowOrigins, prefixMatch(strings.TrimSuffix(o, "*")))
		default:
			out.AllowOrigins = append(out.AllowOrigins, regexMatch("^"+strings.ReplaceAll(regexp.QuoteMeta(o), `\*`, ".*")+"$"))
		}
	}
	if ptr.Deref(f.AllowCredentials, false) {
		out.AllowCredentials = wrappers.Bool(true)
	}
	for _, m := range f.AllowMethods {
		out.AllowMethods = append(out.AllowMethods, string(m))
	}
	for _, h := range f.AllowHeaders {
		out.AllowHeaders = append(out.AllowHeaders, string(h))
	}
	for _, h := range f.ExposeHeaders {
		out.ExposeHeaders = append(out.ExposeHeaders, string(h))
	}
	if f.MaxAge > 0 {
		out.MaxAge = durationpb.New(time.Duration(f.MaxAge) * time.Second)
	}
	return out
}
