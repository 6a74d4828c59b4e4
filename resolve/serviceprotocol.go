package resolve

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// wellKnownTCPPorts are SMTP, DNS, MySQL and MongoDB: server-first protocols
// that detection would break. Source: pkg/config/kube/conversion.go, wellKnownPorts.
var wellKnownTCPPorts = map[int]bool{25: true, 53: true, 3306: true, 27017: true}

// servicePortProtocol is the protocol istiod gives a Kubernetes Service port.
//
//  1. UDP stays UDP.
//  2. appProtocol, where it is set, replaces the port name even if it is unknown.
//     kubernetes.io/h2c, /ws and /wss are HTTP2, HTTP and HTTPS.
//  3. A name that begins with grpc-web is gRPC-Web.
//  4. The text before the first "-" (the whole name without one) is parsed.
//  5. Anything else is detected, except on the well-known TCP ports.
//
// Source: pkg/config/kube/conversion.go, ConvertProtocol.
func servicePortProtocol(port int, name string, transport corev1.Protocol, appProtocol *string) Protocol {
	if transport == corev1.ProtocolUDP {
		return ProtocolUDP
	}
	if appProtocol != nil {
		name = *appProtocol
		switch name {
		case "kubernetes.io/h2c":
			return ProtocolHTTP2
		case "kubernetes.io/ws":
			return ProtocolHTTP
		case "kubernetes.io/wss":
			return ProtocolHTTPS
		}
	}
	const grpcWeb = "grpc-web"
	if len(name) >= len(grpcWeb) && strings.EqualFold(name[:len(grpcWeb)], grpcWeb) {
		return ProtocolGRPCWeb
	}
	word, _, _ := strings.Cut(name, "-")
	p := ParseProtocol(word)
	if p == ProtocolUnsupported && wellKnownTCPPorts[port] {
		return ProtocolTCP
	}
	return p
}
