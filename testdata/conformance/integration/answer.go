//go:build integ

package integration

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"istio.io/istio/pkg/http/headers"
	echoclient "istio.io/istio/pkg/test/echo"
	"istio.io/istio/pkg/test/echo/common/scheme"
	"istio.io/istio/pkg/test/framework/components/echo"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Check asks the test whether the trace is what it wants to see. An error of the kind Untraceable is
// a check of what no trace tells.
//
//  1. As many responses come as the test calls, in the proportions of the outcomes' weights.
//  2. An outcome that a client sees as a broken call breaks the call, as echo's client has it.
//  3. What the trace does not tell stands in the response as such, so that a check that fails by
//     it is told from one that fails by the trace.
func (c *Call) Check(d *render.Document) (echoclient.Responses, error) {
	if c.Options.Port.InstanceIP || c.Options.Port.LocalhostIP {
		return nil, Untraceable{"the application listens on one address only, which no manifest tells"}
	}
	responses, err := c.responses(d)
	failed := c.Options.Check(echo.CallResult{From: c.From, Opts: c.Options, Responses: responses}, err)
	if failed == nil {
		return responses, nil
	}
	about, _, _ := strings.Cut(failed.Error(), "RawContent:") // what follows is the whole response
	if m := untoldField.FindStringSubmatch(about); m != nil {
		return responses, Untraceable{"the check asks for " + m[1]}
	}
	if secretTaken(d) {
		return responses, Untraceable{"the trace says that it takes a Secret for there, and given to the proxy: manifests do not tell"}
	}
	return responses, failed
}

// secretTaken reports whether the trace says of a Secret that it assumes it.
func secretTaken(d *render.Document) bool {
	said := []string{string(resolve.RuleCredentialAssumed), string(resolve.RuleCredentialAuthorized)}
	for _, h := range d.Hops {
		if slices.ContainsFunc(h.Steps, func(s render.Step) bool { return slices.Contains(said, s.Rule) }) {
			return true
		}
	}
	return false
}

// untold stands for what a trace does not say.
func untold(field string) string { return "<untold: " + field + ">" }

var untoldField = regexp.MustCompile(`<untold: ([^>]*)>`)

func (c *Call) responses(d *render.Document) (echoclient.Responses, error) {
	var out echoclient.Responses
	var broken error
	for i, n := range shares(d.Outcomes, c.Options.Count) {
		o := d.Outcomes[i]
		r, err := c.response(d, o)
		if err != nil && o.Weight > 0 {
			broken = errors.Join(broken, err)
			continue
		}
		hosts := c.hostnames(o)
		for k := range n {
			r.Hostname = hosts[k%len(hosts)]
			out = append(out, r)
		}
	}
	return out, broken
}

// shares splits a number of calls by the weights; what is left over goes to the largest remainders.
func shares(outcomes []render.Outcome, count int) []int {
	out := make([]int, len(outcomes))
	rest := make([]float64, len(outcomes))
	left := count
	for i, o := range outcomes {
		exact := o.Weight / 100 * float64(count)
		out[i] = int(math.Floor(exact))
		rest[i] = exact - float64(out[i])
		left -= out[i]
	}
	for ; left > 0; left-- {
		most := 0
		for i := range rest {
			if rest[i] > rest[most] {
				most = i
			}
		}
		out[most]++
		rest[most] = -1
	}
	return out
}

func (c *Call) response(d *render.Document, o render.Outcome) (echoclient.Response, error) {
	r := echoclient.Response{
		RequestURL: c.URL(), Cluster: c.suite.cluster.Name(), ResponseHeaders: http.Header{},
		Protocol: untold("the HTTP version that arrives"), Alpn: untold("the ALPN that arrives"), SNI: untold("the SNI that arrives"),
		RawContent: untold("the body"), ProxyProtocol: untold("the PROXY protocol"), Version: untold("the version"), IP: untold("the client's address"),
		ClientCertSubject: untold("the subject of the client's certificate"),
	}
	for _, k := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age"} {
		r.ResponseHeaders.Set(k, untold("headers of the response"))
	}
	for _, k := range marks {
		r.ResponseHeaders.Set(k, untold("headers that the authorizer adds"))
	}
	if o.Decision == string(trace.Delivered) {
		c.arrive(d, o, &r)
		return r, nil
	}
	if o.HTTPStatus == 0 && o.Decision == string(trace.Denied) {
		return r, fmt.Errorf("EOF: %s", o.Reason) // the filter closes the connection
	}
	if o.Code == string(trace.CodeUntrustedPeer) && c.Options.TLS.Cert != "" {
		return r, fmt.Errorf("remote error: tls: unknown certificate: %s", o.Reason) // the alert that Envoy sends
	}
	if o.HTTPStatus == 0 {
		return r, fmt.Errorf("%s: %s", o.Decision, o.Reason)
	}
	if c.Options.Scheme == scheme.GRPC {
		return r, fmt.Errorf("rpc error: code = %s desc = %s", grpcCode(o), o.Reason)
	}
	r.Code = strconv.Itoa(o.HTTPStatus)
	if strings.HasPrefix(o.ResponseCodeDetails, "rbac_access_denied") {
		r.RawContent = "RBAC: access denied" // Envoy, source/extensions/filters/http/rbac/rbac_filter.cc
	}
	if o.Location != "" {
		r.ResponseHeaders.Set("Location", o.Location)
	}
	return r, nil
}

// grpcStatus is how the trace tells of a gRPC status that is configured.
var grpcStatus = regexp.MustCompile(`gRPC status ([A-Z_]+)`)

// grpcCode is the configured status, or what a gRPC client makes of an HTTP status
// (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).
func grpcCode(o render.Outcome) codes.Code {
	if m := grpcStatus.FindStringSubmatch(o.Reason); m != nil {
		var code codes.Code
		if err := code.UnmarshalJSON([]byte(strconv.Quote(m[1]))); err == nil {
			return code
		}
	}
	switch o.HTTPStatus {
	case http.StatusBadRequest:
		return codes.Internal
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.Unimplemented
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return codes.Unavailable
	}
	return codes.Unknown
}

// arrive is what echo's server says of a request that reaches it.
func (c *Call) arrive(d *render.Document, o render.Outcome, r *echoclient.Response) {
	r.Code, r.Port = "200", strconv.Itoa(o.Destination.TargetPort)
	r.Host, r.URL, r.Method = c.Options.HTTP.Headers.Get(headers.Host), c.Options.HTTP.Path, c.Options.HTTP.Method
	r.RequestHeaders = http.Header{}
	for k, v := range c.Options.HTTP.Headers {
		if http.CanonicalHeaderKey(k) != headers.Host {
			r.RequestHeaders[http.CanonicalHeaderKey(k)] = slices.Clone(v)
		}
	}
	if o.Forwarded == nil {
		return
	}
	r.Host, r.URL, r.Method = o.Forwarded.Host, o.Forwarded.Path, o.Forwarded.Method
	for k, v := range o.Forwarded.Headers {
		r.RequestHeaders.Set(k, v)
	}
	for _, k := range o.Forwarded.Removed {
		r.RequestHeaders.Del(k)
	}
	for _, i := range o.Hops {
		h := d.Hops[i]
		if h.Envoy.RouteConfig == "" {
			continue
		}
		// Istio has every virtual host count the attempts, and the inbound proxy pass on the certificate.
		r.RequestHeaders.Set("X-Envoy-Attempt-Count", "1")
		if h.Direction == "inbound" && h.TLS == "mTLS" {
			r.RequestHeaders.Set("X-Forwarded-Client-Cert", "URI="+h.Peer)
		}
	}
}

// hostnames are the pods that answer.
func (c *Call) hostnames(o render.Outcome) []string {
	var out []string
	for _, w := range o.Destination.Workloads {
		out = append(out, c.suite.hostname(fmt.Sprintf("%s %s/%s", w.Kind, w.Namespace, w.Name)))
	}
	if len(out) == 0 {
		return []string{untold("the server's host name")}
	}
	if len(out) > 1 {
		for i := range out {
			out[i] += untold("which of several endpoints answers")
		}
	}
	return out
}

func (s *suite) hostname(owner string) string {
	for _, w := range s.workloads {
		if w.owner == owner {
			return w.name
		}
	}
	_, name, _ := strings.Cut(owner, "/")
	return name
}
