package trace

// Which scheme a request has for a proxy that matches rules and builds redirects by it, and which X-Forwarded-Proto its
// rules and policies see:
//
//  1. The proxy sets X-Forwarded-Proto to https where the connection is TLS, else to http. A gateway with trusted
//     proxies before it and a sidecar do so only where the header is missing; it is sent on.
//  2. The scheme of a request by HTTP/1.1 is what the header then says, if it is http or https, else that of the connection.
//  3. A request by HTTP/2 (gRPC) brings its own scheme.
//  4. A redirect of all plaintext to https looks at X-Forwarded-Proto alone.
//
// Source: Envoy, HTTP header manipulation (:scheme, x-forwarded-proto); pilot/pkg/networking/core/gateway.go, buildGatewayConnectionManager.

// forwardedProto is X-Forwarded-Proto as the last proxy left it, which the request that is shown does not have.
type forwardedProto struct {
	// value is empty before the first proxy; seen is what the header itself held then.
	value, seen string
}

// readsScheme gives the request the scheme it has for this proxy. trusts is whether what the header says already stands.
func (p *path) readsScheme(encrypted, trusts, http2 bool) {
	connection := "http"
	if encrypted {
		connection = "https"
	}
	written := p.http.Headers["x-forwarded-proto"]
	value := p.proto.value
	if value == "" || written != p.proto.seen {
		value = written
	}
	if value == "" || !trusts {
		value = connection
	}
	first := p.proto.value == ""
	p.proto = forwardedProto{value: value, seen: written}
	p.http.ForwardedProto = value
	switch {
	case http2 && !first:
	case http2:
		p.http.Scheme = connection
	case value == "http" || value == "https":
		p.http.Scheme = value
	default:
		p.http.Scheme = connection
	}
}
