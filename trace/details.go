package trace

import (
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// What an access log says of a request that is not delivered: %RESPONSE_FLAGS% and %RESPONSE_CODE_DETAILS% of the proxy
// that decided, in the words of Envoy. "…" stands for what depends on the request.
//
//  1. A proxy that answers HTTP by itself says why, filter by filter. So does one whose next hop fails.
//  2. A proxy that forwards bytes has flags alone. What its RBAC filter denies stands in %CONNECTION_TERMINATION_DETAILS%,
//     which Istio's format prints beside the details.
//  3. DI stands before them where fault injection held the request back.
//  4. An application that closes, or is never reached, is in no log: both are empty. So is a handshake that fails at the
//     proxy that receives.
//
// Source: Envoy, envoy/stream_info/stream_info.h, ResponseCodeDetailValues;
// docs/root/configuration/http/http_conn_man/response_code_details.rst; docs/root/configuration/observability/access_log/usage.rst.

// DetailsInfo says what the details of a response mean.
type DetailsInfo struct {
	// Details are as Envoy logs them, and Flags those that come with them, one of them a request; empty for none.
	Details string
	Flags   []string
	// Says is one sentence for the list, and Source the part of Envoy that writes them.
	Says, Source string
}

// Matches reports whether an outcome's details and flags are of this kind.
func (i DetailsInfo) Matches(flags, details string) bool {
	flags = strings.TrimPrefix(strings.TrimPrefix(flags, resolve.DelayFlag), ",")
	before, after, open := strings.Cut(i.Details, "…")
	ok := details == i.Details
	if open {
		ok = len(details) >= len(before)+len(after) && strings.HasPrefix(details, before) && strings.HasSuffix(details, after)
	}
	return ok && (slices.Contains(i.Flags, flags) || flags == "" && len(i.Flags) == 0)
}

// details is the closed list, in the order in which a request meets them.
var details = []DetailsInfo{
	{"filter_chain_not_found", []string{"NR"}, "no filter chain of the listener takes the connection", "source/common/listener_manager/active_stream_listener_base.cc"},
	{"http1.codec_error", []string{"DPE"}, "the bytes are no HTTP; 400 to who can read it", "source/common/http/http1/codec_impl.cc"},
	{"http1.unexpected_underscore", []string{"DPE"}, "400: connectionSettings refuse headers with underscores", "source/common/http/http1/codec_impl.cc"},
	{"http2.unexpected_underscore", []string{"DR"}, "the same over HTTP/2: the stream is reset", "source/common/http/http2/codec_impl.cc"},
	{"path_normalization_failed", nil, "400: the path can not be normalized, or has escaped slashes that are refused; 307 where these are redirected", "source/common/http/conn_manager_impl.cc"},
	{"upgrade_failed", nil, "403: an upgrade that the proxy does not list", "source/common/http/conn_manager_impl.cc"},
	{"ext_authz_denied", []string{"UAEX"}, "the external authorizer refuses; ext_authz_error where it cannot be reached, with the same flag", "source/extensions/filters/http/ext_authz/ext_authz.cc; source/extensions/filters/network/ext_authz/ext_authz.cc"},
	{"local_rate_limited", []string{"RL"}, "429: the local rate limit of an EnvoyFilter has no token left", "source/extensions/filters/http/local_ratelimit/local_ratelimit.cc"},
	{"request_rate_limited", []string{"RL"}, "429: the rate limit service that an EnvoyFilter names says that there are too many requests", "source/extensions/filters/http/ratelimit/ratelimit.cc"},
	{"jwt_authn_access_denied{…}", nil, "401, or 403 for the audience: a RequestAuthentication refuses a token, and says why", "source/extensions/filters/http/jwt_authn/filter.cc"},
	{"rbac_access_denied_matched_policy[…]", nil, "403, or a connection closed: the rule of an AuthorizationPolicy by its name in Envoy, or none where no ALLOW rule matches", "source/extensions/filters/common/rbac/utility.cc, responseDetail"},
	{"connection closed due to policy rejection: …", []string{"DENY"}, "ztunnel's log: a connection closed, or 503 of the Envoy that sent: the policy that denies, or that none allows", "ztunnel, src/proxy.rs, Error::AuthorizationPolicyRejection"},
	{ztunnelUnknownWaypoint, nil, "ztunnel's log: a connection closed: the waypoint has no pod that is ready", "ztunnel, src/proxy.rs, Error::UnknownWaypoint"},
	{ztunnelNoUpstream, nil, "ztunnel's log: a connection closed: the service has no port, or no endpoint, to send to", "ztunnel, src/proxy.rs, Error::NoHealthyUpstream"},
	{ztunnelUnresolved, nil, "ztunnel's log: a connection closed: no name of an endpoint could be resolved", "ztunnel, src/proxy.rs, Error::NoResolvedAddresses"},
	{"fault_filter_abort", []string{"FI"}, "fault injection aborts", "source/extensions/filters/http/fault/fault_filter.cc"},
	{"cors_response", nil, "200: the proxy answers a CORS preflight", "source/extensions/filters/http/cors/cors_filter.cc"},
	{"route_not_found", []string{"NR"}, "404: no virtual host, or no route of it", "source/common/router/router.cc"},
	{"direct_response", nil, "a redirect, a direct response, or 502 where REGISTRY_ONLY refuses a host", "source/common/router/router.cc"},
	{"cluster_not_found", []string{"NC"}, "503, or 500 for a backend of the Gateway API that is invalid: the route's cluster does not exist", "source/common/router/router.cc"},
	{"no_healthy_upstream", []string{"UH"}, "503: the cluster has no endpoint to send to", "source/common/router/router.cc"},
	{notConnected, []string{"UF", "URX,UF"}, "503: no one listens where the request is sent", "source/common/router/router.cc, onUpstreamReset"},
	{handshakeFailed, []string{"UF", "URX,UF"}, "503: the TLS handshake with the next hop fails; the words of the TLS library follow", "source/common/router/router.cc, onUpstreamReset; source/common/tls/ssl_socket.cc"},
	{answeredInPlaintext, []string{"UF", "URX,UF"}, "503: the next hop answers TLS in plaintext", "source/common/tls/ssl_socket.cc, drainErrorQueue"},
	{notSupplied, []string{"UF", "URX,UF"}, "503: the proxy has no certificate for its own TLS", "source/common/tls/ssl_socket.cc, NotReadySslSocket"},
	{closedByPeer, []string{"UC", "URX,UC"}, "503: the next hop closes the connection", "source/common/router/router.cc, onUpstreamReset"},
	{"", []string{"NC"}, "a TCP proxy whose cluster does not exist", "source/common/tcp_proxy/tcp_proxy.cc"},
	{"", []string{"UH"}, "a TCP proxy whose cluster has no endpoint to send to", "source/common/tcp_proxy/tcp_proxy.cc"},
	{"", []string{"DPE"}, "bytes of another kind than the mTLS around them announced", "source/common/http/http2/codec_impl.cc"},
	{"", []string{"UF,URX"}, "a TCP proxy whose one attempt to connect fails", "source/common/tcp_proxy/tcp_proxy.cc"},
}

// Details lists what access logs say, in the order in which a request meets it.
func Details() []DetailsInfo { return details }

// DetailsElsewhere are the details of Envoy's list that no outcome has, with the reason in Says.
func DetailsElsewhere() []DetailsInfo {
	return []DetailsInfo{
		{Details: "via_upstream", Says: "the application answers: the request is delivered, and what it answers is its own"},
		{Details: "ext_authz_error", Says: "the external authorizer cannot be reached: told as the reason of the end that an outcome could have otherwise"},
		{Details: "response_timeout, upstream_per_try_timeout, upstream_per_try_idle_timeout, upstream_max_stream_duration_reached, stream_idle_timeout, request_overall_timeout, request_header_timeout, max_duration_timeout, duration_timeout", Says: "how long anything takes is not known from resources"},
		{Details: "overload, maintenance_mode, drop_overload, unconditional_drop_overload", Says: "nor is how much else is going on; Istio sets no drop_overload"},
		{Details: "downstream_remote_disconnect, downstream_local_disconnect(…), internal_redirect, admin_filter_response", Says: "the client's doing, or of no configuration that istiod generates"},
		{Details: "request_payload_too_large, response_payload_too_large, request_payload_exceeded_retry_buffer_limit, upstream_reset_after_response_started{…}, websocket_handshake_unsuccessful", Says: "bodies and answers are not known"},
		{Details: "missing_host_header, missing_path_rejected, invalid_path, absolute_path_rejected, low_version, early_connect_data, other http1.… and http2.…", Says: "a request made of a URL is well formed"},
		{Details: "route_configuration_not_found, request_headers_failed_strict_check, filter_removed_required_request_headers, filter_removed_required_response_headers, rejecting_because_detection_failed", Says: "of proxies that are still starting, and of filters and settings that istiod does not use"},
	}
}
