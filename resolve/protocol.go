package resolve

import "strings"

// Protocol is what istiod takes a port to speak.
// Source: pkg/config/protocol/instance.go.
type Protocol string

// The protocols Istio tells apart. Unsupported means that Envoy detects it.
const (
	ProtocolHTTP        Protocol = "HTTP"
	ProtocolHTTP2       Protocol = "HTTP2"
	ProtocolGRPC        Protocol = "GRPC"
	ProtocolGRPCWeb     Protocol = "GRPC-Web"
	ProtocolHTTPProxy   Protocol = "HTTP_PROXY"
	ProtocolHTTPS       Protocol = "HTTPS"
	ProtocolTLS         Protocol = "TLS"
	ProtocolTCP         Protocol = "TCP"
	ProtocolUDP         Protocol = "UDP"
	ProtocolMongo       Protocol = "Mongo"
	ProtocolRedis       Protocol = "Redis"
	ProtocolMySQL       Protocol = "MySQL"
	ProtocolUnsupported Protocol = "UnsupportedProtocol"
)

// IsHTTP reports whether the protocol is routed by HTTP rules.
func (p Protocol) IsHTTP() bool {
	switch p {
	case ProtocolHTTP, ProtocolHTTP2, ProtocolGRPC, ProtocolGRPCWeb, ProtocolHTTPProxy:
		return true
	}
	return false
}

// IsTLS reports whether the bytes are TLS that the proxy does not terminate by itself: HTTPS and TLS.
func (p Protocol) IsTLS() bool { return p == ProtocolHTTPS || p == ProtocolTLS }

// IsAuto reports whether Envoy detects the protocol.
func (p Protocol) IsAuto() bool { return p == ProtocolUnsupported }

// ParseProtocol reads a protocol as Istio writes it, any case; an unknown word is Unsupported.
// Source: pkg/config/protocol/instance.go, Parse.
func ParseProtocol(s string) Protocol {
	switch strings.ToLower(s) {
	case "tcp":
		return ProtocolTCP
	case "udp":
		return ProtocolUDP
	case "grpc":
		return ProtocolGRPC
	case "grpc-web":
		return ProtocolGRPCWeb
	case "http":
		return ProtocolHTTP
	case "http_proxy":
		return ProtocolHTTPProxy
	case "http2":
		return ProtocolHTTP2
	case "https":
		return ProtocolHTTPS
	case "tls":
		return ProtocolTLS
	case "mongo":
		return ProtocolMongo
	case "redis":
		return ProtocolRedis
	case "mysql":
		return ProtocolMySQL
	}
	return ProtocolUnsupported
}
