package resolve

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// HTTPRequest is the request as one proxy sees it: what route matches and
// policies look at, and what rewrites change. Path is without the query.
type HTTPRequest struct {
	Method string
	// Scheme is http or https, as in Envoy's :scheme.
	Scheme string
	// Authority is the Host header as sent, with its port if the client sent one.
	Authority string
	Path      string
	// Query is the raw query string without "?".
	Query string
	// Headers are by lower-case name; several values of one name are joined with ",".
	Headers map[string]string
	// Token is the verified end-user token whose claims this proxy knows; nil
	// where no RequestAuthentication put them there.
	Token *Token
	// Reserved are the headers, by lower-case name, that this proxy writes itself and takes from no client.
	Reserved []string
	// ForwardedProto is X-Forwarded-Proto where the proxy itself has written it; Headers has what others wrote.
	ForwardedProto string
	// Unknown are the headers, by lower-case name, that are there with a value that is not known here.
	Unknown []string
}

// unknown reports whether a header's value is not known here.
func (q *HTTPRequest) unknown(name string) bool {
	return slices.Contains(q.Unknown, strings.ToLower(name))
}

// Header returns a header's value and whether it is present. Pseudo-headers
// (":path", ":authority", ":method", ":scheme") are understood.
func (q *HTTPRequest) Header(name string) (string, bool) {
	switch name = strings.ToLower(name); name {
	case ":path":
		return q.PathAndQuery(), true
	case ":authority", "host":
		return q.Authority, true
	case ":method":
		return q.Method, true
	case ":scheme":
		return q.Scheme, true
	}
	if name == "x-forwarded-proto" && q.ForwardedProto != "" {
		return q.ForwardedProto, true
	}
	v, ok := q.Headers[name]
	return v, ok
}

// PathAndQuery is the request target as Envoy's :path holds it.
func (q *HTTPRequest) PathAndQuery() string {
	if q.Query == "" {
		return q.Path
	}
	return q.Path + "?" + q.Query
}

// Hostname is the authority without a port, lower case, as Envoy looks up a virtual host.
func (q *HTTPRequest) Hostname() string { return StripPort(strings.ToLower(q.Authority)) }

// PortOr is the port of the authority, or the one given where it has none.
func (q *HTTPRequest) PortOr(port int) int {
	text := strings.TrimPrefix(q.Authority[len(StripPort(q.Authority)):], ":")
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return port
}

// Clone returns a copy that can be changed without touching the original.
func (q *HTTPRequest) Clone() *HTTPRequest {
	c := *q
	c.Headers = make(map[string]string, len(q.Headers))
	for k, v := range q.Headers {
		c.Headers[k] = v
	}
	return &c
}

// StripPort removes a ":port" from a host, and leaves IPv6 literals in brackets as they are.
func StripPort(authority string) string {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || strings.HasSuffix(authority, "]") {
		return authority
	}
	if strings.Count(authority, ":") > 1 && !strings.HasPrefix(authority, "[") {
		return authority
	}
	return authority[:i]
}

// Token is an end-user token's payload, taken as valid and correctly signed.
type Token struct {
	// Claims are as JSON decodes them: string, float64, bool, []any, map[string]any.
	Claims map[string]any
}

// Connection is what the receiving proxy knows of the connection itself.
type Connection struct {
	// Peer is the verified identity without "spiffe://", empty without mTLS.
	Peer string
	// SourceIP is the direct TCP peer; invalid if it is not known from here.
	SourceIP netip.Addr
	// RemoteIP is the client as X-Forwarded-For or the PROXY protocol tells; invalid if not known.
	RemoteIP netip.Addr
	// DestinationIP and DestinationPort are those of the pod that receives.
	DestinationIP   netip.Addr
	DestinationPort int
	// SNI is the server name of the TLS handshake, empty without TLS.
	SNI string
	// TLS is what becomes of the connection's TLS at the proxy.
	TLS ConnectionTLS
}

// ConnectionTLS is what a proxy does with the TLS of a connection it receives.
type ConnectionTLS int

// The closed list of what a proxy does with TLS.
const (
	// TLSAbsent is a connection in plaintext.
	TLSAbsent ConnectionTLS = iota
	// TLSOpened is TLS that ends at the proxy, which sees the certificate the client shows, if any.
	TLSOpened
	// TLSPassedOn is TLS that the proxy hands on as it is: whoever sends it stays unknown.
	TLSPassedOn
)
