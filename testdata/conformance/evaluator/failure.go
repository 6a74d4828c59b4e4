package evaluator

import (
	"slices"
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// failure is how a connection ends where two parties do not understand each other.
type failure int

const (
	// noChain: the receiving listener has no filter chain for the connection, and closes it.
	noChain failure = iota
	// noHandshake: one of the parties does not go on with the TLS handshake.
	noHandshake
	// noCertificate: the receiver refuses the sender's certificate, or that it has none.
	noCertificate
	// notHTTP: the receiver reads HTTP and gets something else.
	notHTTP
	// notHTTP2: the handshake said that HTTP/2 follows, and something else does.
	notHTTP2
	// closed: the receiver closes the connection for another reason.
	closed
	// refused: no one listens at the address.
	refused
	// notSupplied: the sender has no certificate for its own TLS.
	notSupplied
	// loop: the walk is given up.
	loop
)

// broken ends a path. What is logged is what the last proxy that sent logs; without one, what the receiver does.
//
// Sources:
// https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage, RESPONSE_FLAGS;
// https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/response_code_details.
func (k *walk) broken(p *path, d Decision, f failure, why string) {
	o := Outcome{Decision: d, Why: why}
	switch {
	case f == loop:
	case !p.sent:
		switch f {
		case noChain:
			o.Flag, o.Details = "NR", "filter_chain_not_found"
		case notHTTP:
			o.Flag, o.Details = "DPE", "http1.codec_error"
		}
	case p.stream && !p.http && !p.wrapped() && f == notHTTP: // the sender logs a connection that was closed, and nothing of why
		o.Flag, o.Details = "DPE", "http1.codec_error"
	case p.stream && !p.http && !p.wrapped() && f == notHTTP2:
		o.Flag = "DPE" // details are of requests
	case p.stream && !p.http && !p.wrapped() && f == noChain:
		o.Flag, o.Details = "NR", "filter_chain_not_found"
	case p.tunnel && !p.wrapped():
		o = p.failed(o, "UC", "connection_termination")
	case f == noCertificate && p.wrapped():
		// TLS 1.3: the sender's handshake is done when its certificate is looked at (RFC 8446, 2).
		o = p.failed(o, "UC", "connection_termination")
	case f == refused, f == notSupplied, p.wrapped() && f != closed:
		// The sender's handshake does not finish: for it the connection never was made.
		o = p.failed(o, "UF", "remote_connection_failure"+transport(f))
	default:
		o = p.failed(o, "UC", "connection_termination")
	}
	k.end(p, o)
}

// transport is what a proxy knows of why its handshake failed, behind "|", spaces made "_": it has no certificate to begin
// it with, or the other side reads HTTP and answers so. Other failures have their words from the TLS library.
//
// Sources: https://istio.io/latest/docs/ops/common-problems/network-issues, "WRONG_VERSION_NUMBER";
// https://github.com/envoyproxy/envoy/blob/main/source/common/tls/ssl_socket.cc, drainErrorQueue, NotReadySslSocket.
func transport(f failure) string {
	switch f {
	case notSupplied:
		return "|TLS_error:_Secret_is_not_supplied_by_SDS"
	case notHTTP:
		return "|TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end"
	case noChain, noHandshake, noCertificate, notHTTP2, closed, refused, loop:
	}
	return ""
}

// failed is what a proxy logs of a connection that it can not make (UF), or that ends before the answer (UC).
func (p *path) failed(o Outcome, flag, reason string) Outcome {
	if p.http {
		o.Status = 503
	}
	if p.stream {
		// https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/network_filters/tcp_proxy_filter: one
		// attempt to connect is made (max_connect_attempts), and none is left; a connection that was made and is
		// closed by the other side is no error.
		if flag == "UF" {
			o.Flag = "UF,URX"
		}
		return o
	}
	o.Flag, o.Details = flag, "upstream_reset_before_response_started{"+reason+"}"
	if retries(p.retry, flag) {
		o.Flag = "URX," + o.Flag // flags stand in the order in which they are set (source/common/stream_info/stream_info_impl.h)
	}
	return o
}

// retries reports whether a route tries again what fails so.
// Source: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter, x-envoy-retry-on.
func retries(r *route.RetryPolicy, flag string) bool {
	if r == nil || r.GetNumRetries() != nil && r.GetNumRetries().GetValue() == 0 {
		return false
	}
	on := []string{"5xx", "gateway-error", "reset"}
	if flag == "UF" {
		on = append(on, "connect-failure")
	}
	return slices.ContainsFunc(strings.Split(r.GetRetryOn(), ","), func(s string) bool { return slices.Contains(on, strings.TrimSpace(s)) })
}
