package admission

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1alpha3"
)

// httpRoute checks a route of HTTP; delegate is whether it is one that another VirtualService delegates to.
// Source: pkg/config/validation/virtualservice.go, validateHTTPRoute.
func (c *checker) httpRoute(field string, r *networking.HTTPRoute, delegate bool) {
	c.httpConflicts(field, r, delegate)
	for i, m := range r.GetMatch() {
		if m != nil {
			c.httpMatch(entry(field+".match", i), m)
		}
	}
	c.headers(field+".headers", r.GetHeaders())
	c.cors(field+".corsPolicy", r.GetCorsPolicy())
	c.fault(field+".fault", r.GetFault())
	c.mirrors(field, r)
	c.redirect(field+".redirect", r.GetRedirect(), r.GetMatch())
	if d := r.GetDirectResponse(); d != nil {
		c.status(field+".directResponse.status", int32(d.GetStatus()))
	}
	c.retry(field+".retries", r.GetRetries())
	c.rewrite(field+".rewrite", r.GetRewrite())
	all := make([]weighted, 0, len(r.GetRoute()))
	for i, d := range r.GetRoute() {
		at := entry(field+".route", i)
		if d == nil {
			c.refuse(at, "weight may not be nil")
			continue
		}
		all = append(all, d)
		c.headers(at+".headers", d.GetHeaders())
		c.weighted(at, d)
	}
	c.weights(field+".route", len(r.GetRoute()), all)
	c.duration(field+".timeout", r.GetTimeout())
}

// httpConflicts checks what stands beside each other in a route.
// Source: pkg/config/validation/virtualservice.go, validateHTTPRouteConflict.
func (c *checker) httpConflicts(field string, r *networking.HTTPRoute, delegate bool) {
	if r.GetDelegate() != nil && !delegate {
		if r.GetRedirect() != nil {
			c.refuse(field+".redirect", "root HTTP route %s must not specify redirect", r.GetName())
		}
		if r.Route != nil {
			c.refuse(field+".route", "root HTTP route %s must not specify route", r.GetName())
		}
		return
	}
	if r.GetDelegate() != nil {
		c.refuse(field+".delegate", "delegate HTTP route cannot contain delegate")
	}
	routes, redirect, direct := len(r.GetRoute()) > 0, r.GetRedirect() != nil, r.GetDirectResponse() != nil
	for _, pair := range []struct {
		both    bool
		field   string
		message string
	}{
		{redirect && routes, "route", "HTTP route cannot contain both route and redirect"},
		{redirect && r.GetFault() != nil, "fault", "HTTP route cannot contain both fault and redirect"},
		{redirect && r.GetRewrite() != nil, "rewrite", "HTTP route rule cannot contain both rewrite and redirect"},
		{redirect && direct, "directResponse", "HTTP route rule cannot contain both direct_response and redirect"},
		{!redirect && direct && routes, "route", "HTTP route cannot contain both route and direct_response"},
		{!redirect && direct && r.GetFault() != nil, "fault", "HTTP route cannot contain both fault and direct_response"},
		{!redirect && direct && r.GetRewrite() != nil, "rewrite", "HTTP route rule cannot contain both rewrite and direct_response"},
		{!redirect && !direct && !routes, "route", "HTTP route, redirect or direct_response is required"},
		{r.GetMirror() != nil && len(r.GetMirrors()) > 0, "mirrors", "HTTP route cannot contain both mirror and mirrors"},
	} {
		if pair.both {
			c.refuse(field+"."+pair.field, "%s", pair.message)
		}
	}
}

// httpMatch checks one match. An empty prefix is allowed for the path alone.
// Source: pkg/config/validation/virtualservice.go, validateHTTPRouteMatchRequest.
func (c *checker) httpMatch(field string, m *networking.HTTPMatchRequest) {
	for _, name := range sortedKeys(m.GetHeaders()) {
		at := field + ".headers[" + name + "]"
		if m.GetHeaders()[name] == nil {
			c.refuse(at, "header match %v cannot be null", name)
		}
		c.refuseIf(at, matchedHeader(name))
		c.stringMatch(at, "headers", m.GetHeaders()[name])
	}
	for _, name := range sortedKeys(m.GetWithoutHeaders()) {
		at := field + ".withoutHeaders[" + name + "]"
		c.refuseIf(at, matchedHeader(name))
		if match := m.GetWithoutHeaders()[name]; match.GetRegex() != "*" {
			c.stringMatch(at, "withoutHeaders", match)
		}
	}
	c.regexMatch(field+".uri", "uri", m.GetUri())
	c.stringMatch(field+".scheme", "scheme", m.GetScheme())
	c.stringMatch(field+".method", "method", m.GetMethod())
	c.stringMatch(field+".authority", "authority", m.GetAuthority())
	for _, name := range sortedKeys(m.GetQueryParams()) {
		c.stringMatch(field+".queryParams["+name+"]", "queryParams", m.GetQueryParams()[name])
	}
	if m.GetPort() != 0 {
		c.refuseIf(field+".port", portNumber(m.GetPort()))
	}
	c.labels(field+".sourceLabels", m.GetSourceLabels())
	c.gatewayNames(field+".gateways", m.GetGateways())
	if ns := m.GetSourceNamespace(); ns != "" && !isLabel(ns) {
		c.refuse(field+".sourceNamespace", "sourceNamespace match %s is invalid", ns)
	}
}

func (c *checker) stringMatch(field, where string, m *networking.StringMatch) {
	if prefix, ok := m.GetMatchType().(*networking.StringMatch_Prefix); ok && prefix.Prefix == "" {
		c.refuse(field, "%q: prefix string match should not be empty", where)
	}
	c.regexMatch(field, where, m)
}

func (c *checker) regexMatch(field, where string, m *networking.StringMatch) {
	if re, ok := m.GetMatchType().(*networking.StringMatch_Regex); ok {
		if re.Regex == "" {
			c.refuse(field, "%q: regex string match should not be empty", where)
			return
		}
		c.regex(field, where, re.Regex)
	}
}

// maxRegex is the most characters that istiod takes in a regular expression.
const maxRegex = 1024

// Source: pkg/config/validation/validation.go, validateStringRegexp.
func (c *checker) regex(field, where, re string) {
	if len(re) > maxRegex {
		c.refuse(field, "%q: regex is too large, max length allowed is %d", where, maxRegex)
		return
	}
	if _, err := regexp.Compile(re); err != nil {
		c.refuse(field, "%q: %v; Istio uses RE2 style regex-based match (https://github.com/google/re2/wiki/Syntax)", where, err)
	}
}

// duration checks a time: whole milliseconds, one at least.
// Source: pkg/config/validation/agent/validation.go, ValidateDuration.
func (c *checker) duration(field string, d *durationpb.Duration) {
	switch {
	case d == nil:
	case d.AsDuration() < time.Millisecond:
		c.refuse(field, "duration must be greater than 1ms")
	case d.AsDuration()%time.Millisecond != 0:
		c.refuse(field, "only durations to ms precision are supported")
	}
}

var corsMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodConnect,
	http.MethodOptions, http.MethodTrace, "*",
}

// Source: pkg/config/validation/validation.go, validateCORSPolicy.
func (c *checker) cors(field string, p *networking.CorsPolicy) {
	for i, origin := range p.GetAllowOrigins() {
		at := entry(field+".allowOrigins", i)
		if origin.GetExact() == "" && origin.GetPrefix() == "" && origin.GetRegex() == "" {
			c.refuse(at, "'' is not a valid match type for CORS allow origins")
			continue
		}
		c.regexMatch(at, "corsPolicy.allowOrigins", origin)
	}
	for i, method := range p.GetAllowMethods() {
		if !slices.Contains(corsMethods, method) {
			c.refuse(entry(field+".allowMethods", i), "%q is not a supported HTTP method", method)
		}
	}
	for _, list := range []struct {
		field string
		names []string
	}{{"allowHeaders", p.GetAllowHeaders()}, {"exposeHeaders", p.GetExposeHeaders()}} {
		for i, name := range list.names {
			if at := entry(field+"."+list.field, i); name == "" {
				c.refuse(at, "header name cannot be empty")
			} else if name != "*" && strings.ContainsFunc(name, func(r rune) bool { return r > 127 || !isToken(byte(r)) }) {
				c.refuse(at, "header name %s is not a valid header name", name)
			}
		}
	}
	c.duration(field+".maxAge", p.GetMaxAge())
	if p.GetMaxAge().GetNanos() > 0 {
		c.refuse(field+".maxAge", "max_age duration is accurate only to seconds precision")
	}
}

// grpcStatuses are the names of gRPC's status codes.
var grpcStatuses = []string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "UNAUTHENTICATED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
}

// Source: pkg/config/validation/validation.go, validateHTTPFaultInjection.
func (c *checker) fault(field string, f *networking.HTTPFaultInjection) {
	if f == nil {
		return
	}
	if f.GetAbort() == nil && f.GetDelay() == nil {
		c.refuse(field, "HTTP fault injection must have an abort and/or a delay")
	}
	c.percent(field+".abort.percentage", f.GetAbort().GetPercentage())
	switch t := f.GetAbort().GetErrorType().(type) {
	case *networking.HTTPFaultInjection_Abort_HttpStatus:
		c.status(field+".abort.httpStatus", t.HttpStatus)
	case *networking.HTTPFaultInjection_Abort_GrpcStatus:
		if !slices.Contains(grpcStatuses, t.GrpcStatus) {
			c.refuse(field+".abort.grpcStatus", "gRPC status %q is not supported. See https://github.com/grpc/grpc/blob/master/doc/statuscodes.md "+
				"for a list of supported codes, for example 'NOT_FOUND'", t.GrpcStatus)
		}
	case *networking.HTTPFaultInjection_Abort_Http2Error:
		c.refuse(field+".abort.http2Error", "HTTP/2 abort fault injection not supported yet")
	}
	c.percent(field+".delay.percentage", f.GetDelay().GetPercentage())
	switch t := f.GetDelay().GetHttpDelayType().(type) {
	case *networking.HTTPFaultInjection_Delay_FixedDelay:
		c.duration(field+".delay.fixedDelay", t.FixedDelay)
	case *networking.HTTPFaultInjection_Delay_ExponentialDelay:
		c.refuse(field+".delay.exponentialDelay", "exponentialDelay not supported yet")
	}
}

func (c *checker) percent(field string, p *networking.Percent) {
	if v := p.GetValue(); v < 0 || v > 100 || v > 0 && v < 0.0001 {
		c.refuse(field, "percentage %v is neither 0.0, nor in range [0.0001, 100.0]", v)
	}
}

func (c *checker) status(field string, status int32) {
	if status < 200 || status > 600 {
		c.refuse(field, "HTTP status %d is not in range 200-599", status)
	}
}

// Source: pkg/config/validation/virtualservice.go, validateHTTPRoute; validation.go, validateHTTPMirrors.
func (c *checker) mirrors(field string, r *networking.HTTPRoute) {
	if v := r.GetMirrorPercentage().GetValue(); v > 100 {
		c.refuse(field+".mirrorPercentage", "mirror_percentage must have a max value of 100 (it has %f)", v)
	} else if v < 0 {
		c.refuse(field+".mirrorPercentage", "mirror_percentage must have a min value of 0 (it has %f)", v)
	}
	c.destination(field+".mirror", r.GetMirror())
	for i, m := range r.GetMirrors() {
		at := entry(field+".mirrors", i)
		switch {
		case m == nil:
			c.refuse(at, "mirror cannot be null")
			continue
		case m.GetDestination() == nil:
			c.refuse(at+".destination", "destination is required for mirrors")
			continue
		}
		c.destination(at+".destination", m.GetDestination())
		if v := m.GetPercentage().GetValue(); v > 100 {
			c.refuse(at+".percentage", "mirror percentage must have a max value of 100 (it has %f)", v)
		} else if v < 0 {
			c.refuse(at+".percentage", "mirror percentage must have a min value of 0 (it has %f)", v)
		}
	}
}

// Source: pkg/config/validation/validation.go, validateHTTPRedirect, which tells the first mistake alone.
func (c *checker) redirect(field string, r *networking.HTTPRedirect, matches []*networking.HTTPMatchRequest) {
	if r == nil {
		return
	}
	notPrefix := slices.ContainsFunc(matches, func(m *networking.HTTPMatchRequest) bool {
		_, prefix := m.GetUri().GetMatchType().(*networking.StringMatch_Prefix)
		return m.GetUri() != nil && !prefix
	})
	switch {
	case r.GetUri() != "" && r.GetPrefixRewrite() != "":
		c.refuse(field, "redirect may only specify one of uri or prefix_rewrite")
	case r.GetPrefixRewrite() != "" && notPrefix:
		c.refuse(field+".prefixRewrite", "redirect prefix_rewrite requires all URI matches to use prefix match type")
	case r.GetUri() == "" && r.GetPrefixRewrite() == "" && r.GetAuthority() == "" && r.GetRedirectPort() == nil && r.GetScheme() == "":
		c.refuse(field, "redirect must specify URI, authority, scheme, or port")
	case r.GetRedirectCode() != 0 && (r.GetRedirectCode() < 300 || r.GetRedirectCode() > 399):
		c.refuse(field+".redirectCode", "%d is not a valid redirect code, must be 3xx", r.GetRedirectCode())
	case r.GetScheme() != "" && r.GetScheme() != "http" && r.GetScheme() != "https":
		c.refuse(field+".scheme", `invalid redirect scheme, must be "http" or "https"`)
	case r.GetPort() > 0:
		c.refuseIf(field+".port", portNumber(r.GetPort()))
	}
}

// retryOn are the words that Envoy knows beside status codes.
// Source: Envoy, router filter, x-envoy-retry-on and x-envoy-retry-grpc-on.
var retryOn = []string{
	"5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream", "retriable-status-codes",
	"retriable-headers", "envoy-ratelimited", "http3-post-connect-failure", "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
}

// Source: pkg/config/validation/validation.go, validateHTTPRetry.
func (c *checker) retry(field string, r *networking.HTTPRetry) {
	if r == nil {
		return
	}
	if r.GetAttempts() < 0 {
		c.refuse(field+".attempts", "attempts cannot be negative")
	}
	if r.GetAttempts() == 0 && (r.GetPerTryTimeout() != nil || r.GetRetryOn() != "" || r.GetRetryRemoteLocalities() != nil) {
		c.refuse(field+".attempts", "http retry policy configured when attempts are set to 0 (disabled)")
	}
	c.duration(field+".perTryTimeout", r.GetPerTryTimeout())
	if r.GetRetryOn() != "" {
		for on := range strings.SplitSeq(r.GetRetryOn(), ",") {
			if code, _ := strconv.Atoi(on); http.StatusText(code) == "" && !slices.Contains(retryOn, on) {
				c.refuse(field+".retryOn", "%q is not a valid retryOn policy", on)
			}
		}
	}
	c.duration(field+".backoff", r.GetBackoff())
}

// Source: pkg/config/validation/validation.go, validateHTTPRewrite.
func (c *checker) rewrite(field string, r *networking.HTTPRewrite) {
	if r == nil {
		return
	}
	regex := r.GetUriRegexRewrite()
	switch {
	case r.GetUri() != "" && regex != nil:
		c.refuse(field, "rewrite may only contain one of URI or UriRegexRewrite")
	case r.GetUri() == "" && regex == nil && r.GetAuthority() == "":
		c.refuse(field, "rewrite must specify at least one of URI, UriRegexRewrite, or authority. Only one of URI or UriRegexRewrite may be specified")
	case regex != nil && (regex.GetMatch() == "" || regex.GetRewrite() == ""):
		c.refuse(field+".uriRegexRewrite", "UriRegexRewrite requires both Rewrite and Match fields to be specified")
	case regex != nil:
		c.regex(field+".uriRegexRewrite.match", "HTTPRewrite.UriRegexRewrite.Match", regex.GetMatch())
	}
}
