package gatewayapi

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sigs.k8s.io/gateway-api/conformance/utils/roundtripper"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// RoundTripper sends the suite's HTTP requests.
type RoundTripper struct{ Player *Player }

// CaptureRoundTrip answers as the gateway of the URL's address and the echo server behind it would.
func (r RoundTripper) CaptureRoundTrip(q roundtripper.Request) (*roundtripper.CapturedRequest, *roundtripper.CapturedResponse, error) {
	gateway, err := r.Player.Cluster.gatewayAt(q.URL.Host)
	if err != nil {
		return nil, nil, err
	}
	sent := http.Header{}
	for name, values := range q.Headers {
		if len(values) > 0 {
			sent.Set(name, values[0])
		}
	}
	typed := trace.Typed{
		URL: typedURL(q.URL, q.Host), Method: q.Method, Headers: typedHeaders(sent), From: trace.External, Gateway: gateway, SourceIP: "203.0.113.7",
	}
	if q.Host != "" {
		typed.Headers = append(typed.Headers, "Host: "+q.Host)
	}
	if q.URL.Scheme == "https" {
		typed.SNI = q.ServerName
	}
	certificate, name, err := clientCertificate(q)
	if err != nil {
		return nil, nil, err
	}
	typed.ClientCert = name
	a, err := r.Player.PlayAs(typed, sent, certificate)
	if err != nil {
		return nil, nil, err
	}
	return captured(a, q), response(a, q), nil
}

// typedURL is the URL with the host that is asked for instead of the address.
func typedURL(u url.URL, host string) string {
	port := u.Port()
	if host == "" {
		host = u.Host
	}
	if name, _, found := strings.Cut(host, ":"); found {
		host = name
	}
	if port != "" {
		host += ":" + port
	}
	return u.Scheme + "://" + host + u.RequestURI()
}

func captured(a Answer, q roundtripper.Request) *roundtripper.CapturedRequest {
	if a.Backend.IsZero() {
		return &roundtripper.CapturedRequest{Method: q.Method}
	}
	return &roundtripper.CapturedRequest{
		TLS:  roundtripper.TLS{ServerName: a.SNI},
		Path: a.Path, Host: a.Host, Method: a.Method, Protocol: "HTTP/1.1", Headers: a.Received, HTTPPort: strconv.Itoa(a.Port),
		Namespace: a.Backend.Namespace, Pod: a.PodName(),
	}
}

func response(a Answer, q roundtripper.Request) *roundtripper.CapturedResponse {
	out := &roundtripper.CapturedResponse{StatusCode: a.Status, Protocol: "HTTP/1.1", Headers: a.Headers}
	if q.Protocol == roundtripper.H2CPriorKnowledgeProtocol || q.Protocol == roundtripper.H2Protocol {
		out.Protocol = "HTTP/2.0"
	}
	if a.Location != "" {
		a.Headers.Set("Location", a.Location)
		if to, err := q.URL.Parse(a.Location); err == nil {
			out.RedirectRequest = &roundtripper.RedirectRequest{Scheme: to.Scheme, Host: to.Hostname(), Port: to.Port(), Path: to.Path}
		}
	}
	return out
}
