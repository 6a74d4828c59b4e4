package simulation

import (
	"errors"
	"net/http"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
)

// Protocol is what the client speaks, inside TLS or not.
type Protocol string

// The protocols.
const (
	HTTP  Protocol = "http"
	HTTP2 Protocol = "http2"
	TCP   Protocol = "tcp"
)

// TLSMode is the TLS of the client.
type TLSMode string

// The modes. MTLS is the mesh's own.
const (
	Plaintext TLSMode = "plaintext"
	TLS       TLSMode = "tls"
	MTLS      TLSMode = "mtls"
)

// CallMode is how the connection gets to the proxy.
type CallMode string

// The modes. An empty one is outbound at a sidecar.
const (
	CallModeGateway  CallMode = "gateway"
	CallModeOutbound CallMode = "outbound"
	CallModeInbound  CallMode = "inbound"
)

// What a proxy may do instead of routing.
var (
	ErrNoListener          = errors.New("no listener")
	ErrNoFilterChain       = errors.New("no filter chain")
	ErrNoRoute             = errors.New("no route")
	ErrTLSRedirect         = errors.New("redirect to TLS")
	ErrNoVirtualHost       = errors.New("no virtual host")
	ErrMultipleFilterChain = errors.New("more than one filter chain")
	ErrProtocolError       = errors.New("not the protocol that the proxy reads")
	ErrTLSError            = errors.New("plaintext where TLS is needed")
	ErrMTLSError           = errors.New("a handshake that fails")
)

// CustomFilterChainValidation looks at the chosen filter chain.
type CustomFilterChainValidation func(*listener.FilterChain) error

// Call is a connection and the request on it.
type Call struct {
	Address    string
	Port       int
	Path       string
	Protocol   Protocol
	TLS        TLSMode
	Alpn       string
	HostHeader string
	Headers    http.Header
	Sni        string
	CallMode   CallMode

	CustomListenerValidations []CustomFilterChainValidation `json:"-"`

	MtlsSecretConfigName string
}

// IsHTTP reports whether the proxy sees HTTP.
func (c Call) IsHTTP() bool { return c.speaksHTTP() && (c.TLS == Plaintext || c.TLS == "") }

func (c Call) speaksHTTP() bool { return c.Protocol == HTTP || c.Protocol == HTTP2 }

// FillDefaults completes a call as Istio's tests mean it: any address, path /, the host as SNI, the
// protocol's ALPN.
func (c Call) FillDefaults() Call {
	if c.Headers == nil {
		c.Headers = http.Header{}
	}
	if c.HostHeader != "" {
		c.Headers.Set("Host", c.HostHeader)
	}
	// A call with a server name is one with TLS, though some tests leave out to say so.
	if c.TLS == "" && c.Sni != "" {
		c.TLS = TLS
	}
	if c.TLS == "" {
		c.TLS = Plaintext
	}
	if c.TLS == TLS && c.Sni == "" {
		c.Sni = c.HostHeader
	}
	if c.Path == "" {
		c.Path = "/"
	}
	if c.Address == "" {
		c.Address = "1.3.3.7"
	}
	if c.Alpn == "" {
		c.Alpn = alpn[c.TLS][c.Protocol]
	}
	if c.Alpn == "" && c.TLS == MTLS {
		c.Alpn = "istio"
	}
	return c
}

var alpn = map[TLSMode]map[Protocol]string{
	TLS:  {HTTP: "http/1.1", HTTP2: "h2"},
	MTLS: {HTTP: "istio-http/1.1", HTTP2: "istio-h2"},
}

// Expect is a call and what a test expects of it.
type Expect struct {
	Name   string
	Call   Call
	Result Result
}
