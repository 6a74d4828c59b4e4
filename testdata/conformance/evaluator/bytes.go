package evaluator

import (
	"maps"
	"net/netip"

	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// Bytes are what travels on a connection: TLS around something, HTTP, or anything else.
type Bytes struct {
	// TLS is the outermost handshake; nil without one. Inner is then what it protects, and for a request CONNECT what it carries.
	TLS   *Handshake
	Inner *Bytes
	// HTTP is the request; nil for other bytes.
	HTTP *Request
}

// Handshake is what a TLS client says of itself.
type Handshake struct {
	SNI  string
	ALPN []string
	// Identity is the URI of the client's certificate; empty without one.
	Identity string
	// Mesh is set where the certificates are the mesh's own.
	Mesh bool
	// ByProxy is set where a proxy's transport socket makes it.
	ByProxy bool
	// Accepts are the identities the client takes from a server; empty for any.
	Accepts []*matcher.StringMatcher
	// NotOfMesh is set where it takes no certificate of the mesh.
	NotOfMesh bool
}

// ownCertificate stands for the identity in a certificate that the configuration only points to.
const ownCertificate = "own certificate"

// Request is one HTTP request. Path has the query with it.
type Request struct {
	Method, Scheme, Authority, Path string
	// HTTP2 is set where the client speaks it.
	HTTP2 bool
	// Headers are by lower-case name.
	Headers map[string]string
}

func (q *Request) clone() *Request {
	if q == nil {
		return nil
	}
	c := *q
	c.Headers = maps.Clone(q.Headers)
	return &c
}

func (b *Bytes) clone() *Bytes {
	if b == nil {
		return nil
	}
	return &Bytes{TLS: b.TLS, Inner: b.Inner.clone(), HTTP: b.HTTP.clone()}
}

// header is a header as Envoy's matchers see it, pseudo headers included.
func (q *Request) header(name string) (string, bool) {
	switch name {
	case ":authority", "host":
		return q.Authority, true
	case ":path":
		return q.Path, true
	case ":method":
		return q.Method, true
	case ":scheme":
		return q.Scheme, true
	}
	v, ok := q.Headers[name]
	return v, ok
}

// Call is a connection as an application opens it.
type Call struct {
	// From is the machine that sends; To is where it connects.
	From *Machine
	To   netip.AddrPort
	// Bytes are sent.
	Bytes *Bytes
}
