package resolve

import (
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// RedirectLocation is the status and the Location header of a route that
// redirects; 0 and empty if it does not.
//
// 1. The code is 301 unless it is 302, 303, 307 or 308; any other is no redirect.
// 2. scheme, authority and uri replace the request's; a uri replaces the whole
// path and keeps the query, unless it has a query of its own. The Gateway API's
// prefix rewrite replaces the matched prefix alone.
// 3. A port comes from port, or with derivePort FROM_REQUEST_PORT from the port
// the route was made for (on a gateway that is server.port.number). 80 for http
// and 443 for https are left out; an unset scheme is the listener's.
// 4. The request's own port stays if nothing replaces authority or port, unless
// it is its scheme's default and the scheme changes.
//
// Source: pilot/pkg/networking/core/route/route.go, ApplyRedirect; Envoy,
// source/common/http/utility.cc, newUri.
func RedirectLocation(r *Route, q *HTTPRequest) (status int, location string) {
	in := r.HTTP.GetRedirect()
	status = redirectCode(in)
	if in == nil || status == 0 {
		return 0, ""
	}
	scheme := in.GetScheme()
	if scheme == "" {
		scheme = q.Scheme
	}
	port := redirectPort(r, in, q)
	host := in.GetAuthority()
	if host == "" {
		host = redirectHost(q, scheme, port != "")
	}
	return status, scheme + "://" + host + port + redirectPath(r, in, q)
}

// ResponseLocation is the Location header that Envoy puts into a direct response with 201 or 3xx: where the request was sent to.
// Source: Envoy, source/common/router/router.cc, decodeHeaders (RFC 7231, 7.1.2); seen in an Envoy 1.40.
func ResponseLocation(status int, q *HTTPRequest) string {
	if status != 201 && (status < 300 || status > 399) {
		return ""
	}
	path := q.Path
	if q.Query != "" {
		path += "?" + q.Query
	}
	return q.Scheme + "://" + q.Authority + path
}

func redirectCode(in *networking.HTTPRedirect) int {
	switch code := in.GetRedirectCode(); code {
	case 0:
		return 301
	case 301, 302, 303, 307, 308:
		return int(code)
	}
	return 0
}

// redirectPort is ":port", or empty where none is written.
func redirectPort(r *Route, in *networking.HTTPRedirect, q *HTTPRequest) string {
	var port int
	switch p := in.GetRedirectPort().(type) {
	case *networking.HTTPRedirect_Port:
		port = int(p.Port)
	case *networking.HTTPRedirect_DerivePort:
		if p.DerivePort == networking.HTTPRedirect_FROM_REQUEST_PORT {
			port = r.ListenPort
		}
	}
	scheme := in.GetScheme()
	if scheme == "" {
		scheme = q.Scheme
	}
	if port == 0 || port == 80 && scheme == "http" || port == 443 && scheme == "https" {
		return ""
	}
	return ":" + strconv.Itoa(port)
}

func redirectHost(q *HTTPRequest, scheme string, hasPort bool) string {
	host := StripPort(q.Authority)
	port := q.Authority[len(host):]
	// Envoy takes the default port away where it would contradict the new scheme.
	contradicts := scheme != q.Scheme && (q.Scheme == "https" && port == ":443" || q.Scheme == "http" && port == ":80")
	if hasPort || contradicts {
		return host
	}
	return q.Authority
}

func redirectPath(r *Route, in *networking.HTTPRedirect, q *HTTPRequest) string {
	path := q.Path
	switch {
	case in.GetPrefixRewrite() != "":
		path = in.GetPrefixRewrite() + q.Path[r.matchedLength(q.Path):]
	case strings.Contains(in.GetUri(), "?"):
		return in.GetUri()
	case in.GetUri() != "":
		path = in.GetUri()
	}
	if q.Query != "" {
		path += "?" + q.Query
	}
	return path
}
