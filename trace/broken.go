package trace

import (
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// How a connection that breaks looks in the access log of the proxy that decided.
//
//  1. The proxy that sends and reads HTTP answers 503: UF where the connection could not be made, its handshake included,
//     UC where the other side closed it. URX stands before that where the route has tried again in vain: flags stand
//     in the order in which they were set.
//  2. A proxy that forwards bytes closes the connection: no details, UF,URX where its one attempt failed, and no flag
//     for a peer that closes (UR for one that breaks off, which Linux does for bytes that were not read).
//  3. Where no proxy sends, or one that forwards bytes has made the connection, it is the receiving proxy that says why it closes
//     it: NR without a filter chain, DPE for what is not HTTP.
//  4. Behind "|" stands why the transport failed: the proxy has no certificate, or its TLS was answered in plaintext. What
//     else ends a handshake comes from the TLS library and the other side, and is here no more than TLS_error.
//
// Source: Envoy, source/common/router/router.cc, onUpstreamReset; source/common/stream_info/stream_info_impl.h,
// setResponseFlag; source/common/tcp_proxy/tcp_proxy.cc; source/common/tls/ssl_socket.cc, drainErrorQueue,
// NotReadySslSocket; docs/root/configuration/http/http_conn_man/response_code_details.rst.

// The details of a connection that breaks before the answer.
const (
	closedByPeer        = "upstream_reset_before_response_started{connection_termination}"
	notConnected        = "upstream_reset_before_response_started{remote_connection_failure}"
	handshakeFailed     = "upstream_reset_before_response_started{remote_connection_failure|TLS_error}"
	notSupplied         = "upstream_reset_before_response_started{remote_connection_failure|TLS_error:_Secret_is_not_supplied_by_SDS}"
	answeredInPlaintext = "upstream_reset_before_response_started{remote_connection_failure|TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end}"
)

// broken closes a path whose connection breaks: the Envoy that sends sees it
// fail; where a client without one sends, the Envoy that receives closes it.
func (w *walk) broken(p *path, code Code, flags, details string, step resolve.Step) {
	w.endAt(p, w.brokenOutcome(p, code, flags, details), step)
}

func (w *walk) brokenOutcome(p *path, code Code, flags, details string) Outcome {
	o := Outcome{Decision: Reset, Code: code}
	if p.loggedBySender(flags) {
		o = p.failed(o, flags, details)
	} else {
		o.ResponseFlags, o.ResponseCodeDetails = closedBy(code)
	}
	return o
}

// loggedBySender reports whether the proxy that sends says why the connection broke, with such a flag: one that forwards bytes
// does so only where it could not make it.
func (p *path) loggedBySender(flag string) bool {
	return p.proxied && (p.routed || !p.stream || flag != "UC")
}

// closedBy is what a receiving Envoy logs of a connection that it closes.
// Source: Envoy, source/common/listener_manager/active_stream_listener_base.cc; source/common/http/conn_manager_impl.cc.
func closedBy(code Code) (flags, details string) {
	switch {
	case slices.Contains([]Code{CodeNoFilterChain, CodeMTLSRequired}, code):
		return noFilterChain()
	case slices.Contains([]Code{CodeTLSToPlaintext, CodeProtocolError}, code):
		return "DPE", "http1.codec_error"
	}
	return "", "" // a handshake that fails
}

// noFilterChain is what a listener logs of a connection that none of its filter chains takes.
func noFilterChain() (flags, details string) { return "NR", "filter_chain_not_found" }

// failed is an outcome whose next connection can not be made (UF) or breaks (UC). The first proxy that reads HTTP
// answers 503.
func (p *path) failed(o Outcome, flag, details string) Outcome {
	if p.routed {
		o.HTTPStatus = 503
	}
	o.ResponseFlags, o.ResponseCodeDetails = flag, details
	switch {
	case p.stream && flag == "UF":
		o.ResponseFlags, o.ResponseCodeDetails = "UF,URX", ""
	case p.stream && flag == "UC":
		o.ResponseFlags, o.ResponseCodeDetails = "", ""
	case p.stream:
		o.ResponseCodeDetails = ""
	case flag == "UF" && p.retries.OnConnectFailure(), flag == "UC" && p.retries.OnReset():
		o.ResponseFlags = "URX," + flag
	}
	return o
}

// seenBySender is how a connection that a gateway breaks looks to the proxy that sends: closed, or, where its
// own handshake with the gateway is not finished, never made.
func (p *path) seenBySender() (flag, details string) {
	if p.wrapper != nil {
		return "UF", handshakeFailed
	}
	return "UC", closedByPeer
}

// certificateRefused is how it looks to the proxy that sends such TLS when its certificate, or that it has none, is refused by
// a server that shows one of the mesh. In TLS 1.3 the sender's handshake is done by then, if it takes the server's: the
// connection is made, and closed.
// Source: RFC 8446, 2 and 4.4.2; Envoy, source/common/router/router.cc, onUpstreamReset; source/common/tcp_proxy/tcp_proxy.cc,
// onUpstreamEvent.
func (w *walk) certificateRefused(p *path, tls resolve.ClientTLS, server *resolve.Workload) (flag, details string) {
	if !w.snapshot.AcceptsMeshCertificate(tls, server, !p.stream) {
		return "UF", handshakeFailed
	}
	return "UC", closedByPeer
}

// refusedTLS are the details at a proxy whose TLS meets a program: one that speaks HTTP answers in plaintext.
func (p *path) refusedTLS() string {
	if p.speaksHTTP() {
		return answeredInPlaintext
	}
	return handshakeFailed
}
