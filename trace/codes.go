package trace

import (
	"cmp"
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Code is the stable reason code of an outcome. Codes are never reused for something else.
type Code string

// The codes. Delivery to a workload of the mesh has none.
const (
	CodePassthrough        Code = "PASSTHROUGH"
	CodeOutsideMesh        Code = "OUTSIDE_MESH"
	CodeOtherNetwork       Code = "OTHER_NETWORK"
	CodeNameNotFound       Code = "NAME_NOT_FOUND"
	CodeNoGateway          Code = "NO_GATEWAY"
	CodeNoGatewayPort      Code = "NO_GATEWAY_PORT"
	CodePortNotInService   Code = "PORT_NOT_IN_SERVICE"
	CodePathRefused        Code = "PATH_REFUSED"
	CodePathRedirect       Code = "PATH_REDIRECT"
	CodeHeaderRefused      Code = "HEADER_REFUSED"
	CodeUpgradeRefused     Code = "UPGRADE_REFUSED"
	CodeNoVirtualHost      Code = "NO_VIRTUAL_HOST"
	CodeNoRoute            Code = "NO_ROUTE"
	CodeRouteInvalid       Code = "ROUTE_INVALID"
	CodeRedirect           Code = "REDIRECT"
	CodeHTTPSRedirect      Code = "HTTPS_REDIRECT"
	CodeDirectResponse     Code = "DIRECT_RESPONSE"
	CodeNoBackends         Code = "NO_BACKENDS"
	CodeBackendInvalid     Code = "BACKEND_INVALID"
	CodeFaultAbort         Code = "FAULT_ABORT"
	CodeCORSPreflight      Code = "CORS_PREFLIGHT"
	CodeHostUnknown        Code = "HOST_UNKNOWN"
	CodePortUnknown        Code = "PORT_UNKNOWN"
	CodeSubsetUndefined    Code = "SUBSET_UNDEFINED"
	CodeNoCluster          Code = "NO_CLUSTER"
	CodeNoEndpoints        Code = "NO_ENDPOINTS"
	CodeSubsetEmpty        Code = "SUBSET_EMPTY"
	CodeNoneHealthy        Code = "NONE_HEALTHY"
	CodeNetworkUnreachable Code = "NETWORK_UNREACHABLE"
	CodeRegistryOnly       Code = "REGISTRY_ONLY"
	CodeOwnPort            Code = "OWN_PORT"
	CodeMTLSRequired       Code = "MTLS_REQUIRED"
	CodeMTLSRefused        Code = "MTLS_NOT_UNDERSTOOD"
	CodeTLSRejected        Code = "TLS_REJECTED"
	CodeUntrustedPeer      Code = "UNTRUSTED_PEER"
	CodeNoFilterChain      Code = "NO_FILTER_CHAIN"
	CodeTLSToPlaintext     Code = "TLS_TO_PLAINTEXT_PORT"
	CodePlaintextToTLS     Code = "PLAINTEXT_TO_TLS_PORT"
	CodeTLSTwice           Code = "TLS_TWICE"
	CodeClientCertRequired Code = "CLIENT_CERT_REQUIRED"
	CodeServerCertRejected Code = "SERVER_CERT_REJECTED"
	CodeNoCertificate      Code = "NO_CERTIFICATE"
	CodeListenerRejected   Code = "LISTENER_REJECTED"
	CodeNoL4Route          Code = "NO_TCP_ROUTE"
	CodeProtocolError      Code = "PROTOCOL_ERROR"
	CodePolicyDeny         Code = "POLICY_DENY"
	CodePolicyNoAllow      Code = "POLICY_NO_ALLOW"
	CodeJWTRejected        Code = "JWT_REJECTED"
	CodeAuthorizerDenied   Code = "EXT_AUTHZ_DENIED"
	CodeFilterDenied       Code = "FILTER_DENIED"
	CodeRateLimited        Code = "RATE_LIMITED"
	CodeNoWaypoint         Code = "WAYPOINT_UNAVAILABLE"
	CodeTooManyHops        Code = "TOO_MANY_HOPS"
)

// CodeInfo says what a code means.
type CodeInfo struct {
	Code     Code
	Decision Decision
	// Says is one sentence for the list of codes.
	Says string
	// Check is what to look at next.
	Check string
	// Rules are those that give an outcome the code.
	Rules []resolve.RuleID
}

// codes is the closed list, in the order in which a request meets them.
var codes = []struct {
	code     Code
	decision Decision
	says     string
}{
	{CodePassthrough, Delivered, "forwarded as it is to the address the application dialled, outside Istio's routing"},
	{CodeOutsideMesh, Delivered, "handed to a host outside the mesh"},
	{CodeOtherNetwork, Delivered, "handed to the gateway of another network, behind which nothing is known here"},
	{CodeNameNotFound, NotRouted, "the application cannot resolve the host: nothing is sent"},
	{CodeNoGateway, NotRouted, "no gateway workload serves requests from outside"},
	{CodeNoGatewayPort, NotRouted, "nothing listens on that port of the gateway: connection refused"},
	{CodePortNotInService, NotRouted, "the Service has no such port: the connection is refused or times out"},
	{CodePathRefused, NotRouted, "the proxy can not normalize the path: 400"},
	{CodePathRedirect, Redirected, "the proxy sends the client to the path with its escaped slashes decoded"},
	{CodeHeaderRefused, NotRouted, "the proxy does not take a header with an underscore in its name: 400"},
	{CodeUpgradeRefused, NotRouted, "the request asks for an upgrade that the proxy does not allow: 403"},
	{CodeNoVirtualHost, NotRouted, "no virtual host takes the Host header: 404"},
	{CodeNoRoute, NotRouted, "no route of the virtual host matches: 404"},
	{CodeRouteInvalid, Unavailable, "Envoy refuses a route of the table, and the whole table with it"},
	{CodeRedirect, Redirected, "a route redirects"},
	{CodeHTTPSRedirect, Redirected, "the gateway server redirects plaintext to https"},
	{CodeDirectResponse, Responded, "a route answers directly"},
	{CodeNoBackends, Responded, "a rule of a Gateway API route has no backend with weight: 500"},
	{CodeBackendInvalid, Responded, "a backend of a Gateway API route does not exist, may not be used or has no such port: 500 for its share"},
	{CodeFaultAbort, Responded, "fault injection aborts the request"},
	{CodeCORSPreflight, Responded, "the proxy answers a CORS preflight"},
	{CodeHostUnknown, Unavailable, "the destination host is no service this proxy knows: no cluster, 503"},
	{CodePortUnknown, Unavailable, "the destination service has no such port: no cluster, 503"},
	{CodeSubsetUndefined, Unavailable, "the route names a subset that the DestinationRule of this client does not define: no cluster, 503"},
	{CodeNoCluster, Unavailable, "istiod makes no cluster for the destination: 503"},
	{CodeNoEndpoints, Unavailable, "the destination has no endpoints: 503"},
	{CodeSubsetEmpty, Unavailable, "no endpoint has the subset's labels: 503"},
	{CodeNoneHealthy, Unavailable, "the destination's endpoints are all not ready: 503"},
	{CodeNetworkUnreachable, Unavailable, "the destination's endpoints are all on other networks, and none can be reached: 503"},
	{CodeRegistryOnly, Unavailable, "outboundTrafficPolicy REGISTRY_ONLY refuses hosts the proxy does not know"},
	{CodeOwnPort, Unavailable, "the port is the sidecar's own: it closes the connection, which would come back to it for ever"},
	{CodeMTLSRequired, Reset, "the receiving sidecar demands mTLS and the client sends plaintext"},
	{CodeMTLSRefused, Reset, "the client sends mTLS and the receiver does not speak it"},
	{CodeTLSRejected, Reset, "the receiving sidecar accepts no TLS of the application's own on this port"},
	{CodeUntrustedPeer, Reset, "the receiving sidecar does not trust the identity of the client, or the client that of the server"},
	{CodeNoFilterChain, Reset, "no filter chain of the listener takes the connection"},
	{CodeTLSToPlaintext, Reset, "a TLS client meets a plaintext port"},
	{CodePlaintextToTLS, Reset, "a plaintext client meets a TLS port"},
	{CodeTLSTwice, Reset, "the proxy originates TLS around the application's own TLS"},
	{CodeClientCertRequired, Reset, "the gateway demands a client certificate and the client has none"},
	{CodeServerCertRejected, Reset, "the sending proxy does not trust the certificate that the gateway shows"},
	{CodeNoCertificate, Reset, "a proxy is given no certificate for the credentialName of its TLS settings"},
	{CodeListenerRejected, Reset, "Envoy rejects the listener that istiod generates"},
	{CodeNoL4Route, NotRouted, "no tcp or tls route takes the connection"},
	{CodeProtocolError, Reset, "the receiver's proxy expects HTTP and gets other bytes"},
	{CodePolicyDeny, Denied, "an AuthorizationPolicy denies"},
	{CodePolicyNoAllow, Denied, "ALLOW policies apply and none matches"},
	{CodeJWTRejected, Denied, "a RequestAuthentication rejects the token"},
	{CodeAuthorizerDenied, Denied, "the external authorizer of a CUSTOM policy refuses; only as an end that an outcome could have otherwise"},
	{CodeFilterDenied, Denied, "an RBAC filter that an EnvoyFilter inserts denies"},
	{CodeRateLimited, Responded, "a rate limit of an EnvoyFilter is exceeded: 429; only as an end that an outcome could have otherwise"},
	{CodeNoWaypoint, Unavailable, "the waypoint that is bound has no pod that is ready: nothing goes past it"},
	{CodeTooManyHops, Reset, "the request comes back to proxies it has passed: a loop"},
}

// Codes lists every code with its meaning, ordered by code.
func Codes() []CodeInfo {
	out := make([]CodeInfo, 0, len(codes))
	for _, c := range codes {
		a := advice[c.code]
		out = append(out, CodeInfo{Code: c.code, Decision: c.decision, Says: c.says, Check: a.check, Rules: slices.Clone(a.rules)})
	}
	slices.SortFunc(out, func(a, b CodeInfo) int { return cmp.Compare(a.Code, b.Code) })
	return out
}
