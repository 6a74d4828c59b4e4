package trace

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Scheme is the application protocol of a request.
type Scheme string

// The closed list of schemes.
const (
	HTTP  Scheme = "http"
	HTTPS Scheme = "https"
	GRPC  Scheme = "grpc"
	GRPCS Scheme = "grpcs"
	TCP   Scheme = "tcp"
	TLS   Scheme = "tls"
	UDP   Scheme = "udp"
)

// IsHTTP reports whether the request is an HTTP request, inside TLS or not.
func (s Scheme) IsHTTP() bool { return s == HTTP || s == HTTPS || s == GRPC || s == GRPCS }

// IsGRPC reports whether it is HTTP/2 for certain.
func (s Scheme) IsGRPC() bool { return s == GRPC || s == GRPCS }

// IsTLS reports whether the client itself speaks TLS.
func (s Scheme) IsTLS() bool { return s == HTTPS || s == GRPCS || s == TLS }

// Request is what was asked. It is immutable.
type Request struct {
	Scheme Scheme
	// Host is where the client connects to: a name or an IP, in lower case and
	// without brackets or a final dot.
	Host string
	// WrittenHost is Host as typed, which the authority keeps; empty for Host itself.
	WrittenHost string
	Port        int
	// Path is without the query and always begins with "/" for HTTP.
	Path, Query string
	Method      string
	// Headers are by lower-case name. A "host" header replaces the authority.
	Headers map[string]string
	// From is who sends it.
	From SourceSpec
	// Gateway is the gateway an external request enters by, NAMESPACE/NAME or NAME; empty to choose.
	Gateway string
	// SourceIP is the client's address; invalid if not given.
	SourceIP netip.Addr
	// SNI replaces the server name a TLS client sends; empty for the host.
	SNI string
	// ClientCert is the identity of a client certificate: a SPIFFE URI or another SAN.
	ClientCert string
	// Token is the end-user token in the Authorization header; nil without one.
	Token *resolve.Token
}

// SourceSpec is --from as typed.
type SourceSpec struct {
	// External is a client outside the cluster.
	External bool
	// Cluster is the id of the client's cluster; empty where it was not written.
	Cluster string
	// Kind is lower case ("pod", "deployment", …); empty together with Name if no source was named.
	Kind string
	// Namespace is empty where it was not written; DefaultNamespace then counts.
	Namespace, Name string
	// DefaultNamespace is kubectl's current namespace.
	DefaultNamespace string
}

// Given reports whether --from was used.
func (s SourceSpec) Given() bool { return s.External || s.Name != "" }

// Authority is the Host header the client sends: an explicit host header, or
// the host as written, with the port where it is not the scheme's default.
func (r Request) Authority() string {
	if host, ok := r.Headers["host"]; ok {
		return host
	}
	host := cmp.Or(r.WrittenHost, r.Host)
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if r.Port == 0 || r.Port == r.Scheme.DefaultPort() {
		return host
	}
	return host + ":" + strconv.Itoa(r.Port)
}

// HTTPRequest is the request as the client sends it, for the first proxy to read.
// A fresh copy is returned each time.
func (r Request) HTTPRequest() *resolve.HTTPRequest {
	q := &resolve.HTTPRequest{
		Method: r.Method, Scheme: "http", Authority: r.Authority(), Path: r.Path, Query: r.Query, Headers: map[string]string{},
	}
	for k, v := range r.Headers {
		if k != "host" {
			q.Headers[k] = v
		}
	}
	return q
}

// ServerName is what a TLS client sends in its handshake: --sni, else the host, which an IP address is not.
func (r Request) ServerName() string {
	if r.SNI != "" || !r.Scheme.IsTLS() {
		return r.SNI
	}
	if _, err := netip.ParseAddr(r.Host); err == nil {
		return ""
	}
	return r.Host
}
