package resolve

// Rules for what happens to the request itself between the places where
// resources are chosen: the route's action, the destination, the application.
const (
	RuleRouteWeight            RuleID = "route/weight"
	RuleHTTPSRedirect          RuleID = "gateway/https-redirect"
	RuleHTTPSForwarded         RuleID = "gateway/forwarded-proto"
	RuleSchemeForwarded        RuleID = "route/forwarded-proto"
	RuleDestinationUnknown     RuleID = "destination/host-unknown"
	RuleDestinationNotExported RuleID = "destination/host-not-exported"
	RuleDestinationNotImported RuleID = "destination/host-not-imported"
	RuleDestinationPort        RuleID = "destination/port-unknown"
	RuleOriginalDestination    RuleID = "destination/original-destination"
	RuleServicePortMissing     RuleID = "service/port-missing"
	RuleMTLSToPlaintext        RuleID = "tls/mtls-to-plaintext"
	RuleMTLSUndecrypted        RuleID = "tls/mtls-undecrypted"
	RuleMTLSOutside            RuleID = "tls/mtls-outside-mesh"
	RuleTLSTwice               RuleID = "tls/twice"
	RuleTLSTakenToSpeak        RuleID = "tls/application-taken-to-speak-it"
	RuleApplicationDelivered   RuleID = "application/delivered"
	RuleApplicationOutside     RuleID = "application/outside-mesh"
	RuleGatewayNotHTTP         RuleID = "gateway/not-http"
	RuleUpgradeRefused         RuleID = "upgrade/refused"
	RuleUpgradeDropped         RuleID = "upgrade/dropped"
	RuleGatewayAutoPassthrough RuleID = "gateway/auto-passthrough"
	RuleTooManyHops            RuleID = "walk/too-many-hops"
)

var walkRules = []Rule{
	{
		ID: RuleRouteWeight, Stage: StageRoute, Detail: true,
		Says:     "Of several destinations each gets its weight's share of the sum; weight 0 is dropped.",
		Template: "%s of such requests go to %s%s",
		Source:   "pilot/pkg/networking/core/route/route.go, applyHTTPRouteDestination",
	},
	{
		ID: RuleHTTPSRedirect, Stage: StageRoute,
		Says:     "A server with tls.httpsRedirect answers plaintext requests for its virtual hosts with 301 to https.",
		Template: "plaintext is redirected to %s",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayHTTPRouteConfig (RequireTls)",
	},
	{
		ID: RuleHTTPSForwarded, Stage: StageRoute,
		Says:     "X-Forwarded-Proto of a proxy that the gateway trusts (gatewayTopology.numTrustedProxies) is the scheme of the request: https is not redirected.",
		Template: "not redirected: X-Forwarded-Proto is %s, and %d proxies before the gateway are trusted",
		Source:   "Envoy, x-forwarded-proto",
	},
	{
		ID: RuleSchemeForwarded, Stage: StageRoute,
		Says:     "A sidecar takes the scheme of a request by HTTP/1.1 from X-Forwarded-Proto, if it says http or https, whoever wrote it.",
		Template: "X-Forwarded-Proto is %s: that is the scheme that rules and redirects see, though the connection is %s",
		Source:   "Envoy, HTTP header manipulation, :scheme",
	},
	{
		ID: RuleDestinationUnknown, Stage: StageDestinationRule,
		Says:     "A destination host that is no service leaves the route without a cluster: 503 NC.",
		Template: "destination host %s is no Service or ServiceEntry%s",
		Source:   "Envoy, router (NC cluster_not_found)",
	},
	{
		ID: RuleDestinationNotExported, Stage: StageDestinationRule,
		Says:     "A destination that is not exported to the proxy's namespace leaves the route without a cluster: 503 NC.",
		Template: "destination host %s: %s %s is not exported to namespace %s",
		Source:   "pilot/pkg/model/push_context.go, IsServiceVisible",
	},
	{
		ID: RuleDestinationNotImported, Stage: StageDestinationRule,
		Says:     "A destination that neither the Sidecar's egress hosts nor an imported VirtualService brings in leaves the route without a cluster: 503 NC.",
		Template: "destination host %s is outside what Sidecar %s imports",
		Source:   "pilot/pkg/model/sidecar.go, collectImportedServices",
	},
	{
		ID: RuleDestinationPort, Stage: StageDestinationRule,
		Says:     "A destination port the service does not have leaves the route without a cluster: 503 NC. A port that is not written is the listener's on a sidecar, the service's only one on a gateway.",
		Template: "%s has no port %d (it has %s)%s",
		Source:   "pilot/pkg/networking/core/route/route.go, GetDestinationCluster",
	},
	{
		ID: RuleOriginalDestination, Stage: StageLoadBalance,
		Says:     "The cluster of a headless Service, of a ServiceEntry of resolution NONE, and one of load balancer PASSTHROUGH keeps the address the application dialled, whatever the route says.",
		Template: "%s is headless, of resolution NONE or of load balancer PASSTHROUGH: the connection keeps the address the application dialled, which is %s",
		Source:   "pilot/pkg/networking/core/cluster.go, convertResolution (ORIGINAL_DST); cluster_traffic_policy.go, applyLoadBalancer",
	},
	{
		ID: RuleServicePortMissing, Stage: StageLoadBalance,
		Says:     "A connection to a ClusterIP on a port the Service does not have goes nowhere.",
		Template: "Service %s has no port %d (it has %s)",
		Source:   "Kubernetes, virtual IPs and service proxies",
	},
	{
		ID: RuleMTLSToPlaintext, Stage: StageTLS,
		Says:     "mTLS sent to a workload without a sidecar fails in the handshake.",
		Template: "the client's proxy sends mTLS, but %s has no proxy that speaks it",
		Source:   "pilot/pkg/networking/core/cluster_tls.go, buildUpstreamTLSSettings",
	},
	{
		ID: RuleMTLSUndecrypted, Stage: StageTLS,
		Says:     "mTLS that the receiving sidecar hands on undecrypted (mode DISABLE on a port that is not HTTP) fails in the handshake: the application does not speak it.",
		Template: "the client's proxy sends mTLS, the sidecar of %s hands it on undecrypted in mode DISABLE, and the application cannot read it",
		Source:   "pilot/pkg/networking/core/listener_inbound.go, buildInboundChainConfigs; pilot/pkg/security/authn/policy_applier.go",
	},
	{
		ID: RuleMTLSOutside, Stage: StageTLS,
		Says:     "Istio mTLS sent to an address that is no workload of the mesh is taken to fail.",
		Template: "the client's proxy sends Istio mTLS to %s, which is no workload of this mesh: the handshake is taken to fail",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleTLSTwice, Stage: StageTLS,
		Says:     "A DestinationRule that originates TLS wraps the application's own TLS once more; the receiver is taken to refuse that.",
		Template: "the application speaks TLS to %s and its proxy originates TLS around it: the host gets TLS inside TLS, taken to fail",
		Source:   "pilot/pkg/networking/core/cluster_tls.go, buildUpstreamTLSSettings",
	},
	{
		ID: RuleTLSTakenToSpeak, Stage: StageTLS,
		Says:     "TLS that a DestinationRule has the proxy originate ends in the application, which is taken to speak it; one that speaks plaintext there refuses it.",
		Template: "the TLS that the proxy originates ends in the application of %s, which is taken to speak TLS on port %d",
		Source:   "pilot/pkg/networking/core/cluster_tls.go, buildUpstreamTLSSettings",
	},
	{
		ID: RuleApplicationDelivered, Stage: StageApplication, Detail: true,
		Says:     "The application is taken to listen on every target port.",
		Template: "%s gets the request on port %d",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleApplicationOutside, Stage: StageApplication,
		Says:     "What a host outside the mesh does is not known.",
		Template: "%s port %d is outside the mesh: handed over%s",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleTooManyHops, Stage: StageRoute,
		Says:     "A request that passes more proxies than any sane mesh has is going in circles.",
		Template: "more than %d proxies passed: the routes lead in a circle",
		Source:   "limit of the tool",
	},
	{
		ID: RuleGatewayNotHTTP, Stage: StageListener,
		Says:     "An HTTP listener that gets other bytes answers 400 and closes the connection.",
		Template: "the listener %[2]s expects HTTP and gets %[1]s",
		Source:   "Envoy, HTTP connection manager (DPE)",
	},
	{
		ID: RuleUpgradeRefused, Stage: StageListener,
		Says:     "A request may ask for an upgrade to websocket; one to another protocol is answered with 403, before any filter.",
		Template: "asks for an upgrade to %s, and proxies of Istio allow websocket alone: Envoy answers 403",
		Source:   "pilot/pkg/networking/core/listener_builder.go, buildHTTPConnectionManager; Envoy, source/common/http/conn_manager_impl.cc, createFilterChain",
	},
	{
		ID: RuleUpgradeDropped, Stage: StageListener,
		Says:     "An upgrade to h2c, or one that Connection does not name, is none: the proxy takes its headers off, and the request goes on.",
		Template: "upgrade: %s is no request for an upgrade (h2c never is, others only with \"connection: upgrade\"): Envoy takes the header off",
		Source:   "Envoy, source/common/http/http1/codec_impl.cc, onHeadersCompleteImpl; source/common/http/conn_manager_utility.cc, mutateRequestHeaders",
	},
	{
		ID: RuleGatewayAutoPassthrough, Stage: StageRoute,
		Says:     "An AUTO_PASSTHROUGH server forwards mTLS by the cluster that the server name spells; the walk ends there.",
		Template: "AUTO_PASSTHROUGH forwards to the cluster that server name %q spells; the trace ends here",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayListenersForAutoPassthrough",
	},
}
