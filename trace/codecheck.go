package trace

import "github.com/mesh-trace/kubectl-mesh-trace/resolve"

// codeAdvice is what stands behind a code.
type codeAdvice struct {
	// check is what a person would look at next, who has debugged it before.
	check string
	// rules are those of which a step gives the outcome its reason; a test holds them against every scenario.
	rules []resolve.RuleID
}

var advice = map[Code]codeAdvice{
	CodePassthrough: {
		check: "Find out why the proxy knows no service there: is there a Service or ServiceEntry for the host and port, exported to this namespace and imported by the Sidecar? Until there is, routes, subsets and mTLS do not apply. REGISTRY_ONLY would refuse it.",
		rules: []resolve.RuleID{
			resolve.RuleApplicationDelivered,
			resolve.RuleApplicationOutside,
			resolve.RuleGatewayAutoPassthrough,
		},
	},
	CodeOutsideMesh: {
		check: "Nothing more is known here of the other side. If it fails, look at DNS, egress firewalls and, with a DestinationRule's tls, at the server name and CA it asks for.",
		rules: []resolve.RuleID{
			resolve.RuleApplicationOutside,
		},
	},
	CodeOtherNetwork: {
		check: "Trace on from the other side: read that cluster as well, or trace there with the same host. There, is the gateway's server AUTO_PASSTHROUGH with hosts that take the service, does the service have endpoints with sidecars on that network, and do policies let the client in?",
		rules: []resolve.RuleID{
			resolve.RuleEastWestBeyond,
			resolve.RuleNetworkBeyond,
			resolve.RuleNetworkBeyondOpen,
		},
	},
	CodeNameNotFound: {
		check: "Look the name up in the pod (kubectl exec … -- getent hosts NAME). A short name means the caller's own namespace: write name.namespace. A ServiceEntry's host without a DNS record needs DNS capture; a Service that only another cluster of the mesh has needs it, too, or a Service of its name in the caller's cluster.",
		rules: []resolve.RuleID{
			resolve.RuleDNSCaptureAll,
			resolve.RuleDNSElsewhere,
			resolve.RuleDNSNoEndpoints,
			resolve.RuleDNSNoServiceThere,
			resolve.RuleDNSNotFound,
		},
	},
	CodeNoGateway: {
		check: "Is the gateway Deployment there, and do its pods run istio-proxy as a router? Compare the Gateway's spec.selector with the pods' labels; for the Gateway API look at its gatewayClassName and its Programmed condition.",
		rules: []resolve.RuleID{
			resolve.RuleGatewayClassForeign,
			resolve.RuleGatewayEntryNone,
			resolve.RuleKubeGatewayNoAddress,
			resolve.RuleKubeGatewayNoProxy,
			resolve.RuleKubeGatewayNoService,
			resolve.RuleKubeGatewayRemote,
			resolve.RuleKubeGatewayWaypoint,
		},
	},
	CodeNoGatewayPort: {
		check: "Compare three numbers: the port of the gateway's Service, its targetPort, and the port of the Gateway's server. Then see whether the server was dropped: a conflict with another Gateway, a port below 1024, a TLS route without a match.",
		rules: []resolve.RuleID{
			resolve.RuleEastWestOther,
			resolve.RuleGatewayEntryNoPort,
			resolve.RuleGatewayListenerNone,
			resolve.RuleGatewayListenerWithin,
			resolve.RuleIngressClass,
			resolve.RuleIngressController,
			resolve.RuleIngressOfClass,
			resolve.RuleKubeListenerCertificates,
			resolve.RuleKubeListenerClientCA,
			resolve.RuleKubeListenerProtocol,
			resolve.RuleKubeListenerWithoutTLS,
			resolve.RuleWaypointNoAddress,
		},
	},
	CodePortNotInService: {
		check: "List the Service's ports (kubectl get svc). What is called is the Service's port, not the container's; a headless Service is called on the container's.",
		rules: []resolve.RuleID{
			resolve.RuleServicePortMissing,
			resolve.RuleZtunnelNoPort,
		},
	},
	CodePathRefused: {
		check: "Look for an odd % escape in the path (%00, or one that is cut off), and at pathNormalization of the mesh config. The proxy answers before any route or policy.",
		rules: []resolve.RuleID{
			resolve.RulePathSlashRefused,
			resolve.RulePathRefused,
		},
	},
	CodePathRedirect: {
		check: "The mesh config normalizes with UNESCAPE_AND_REDIRECT. Have the client send the decoded path, or choose another pathNormalization.",
		rules: []resolve.RuleID{
			resolve.RulePathRedirected,
		},
	},
	CodeHeaderRefused: {
		check: "Rename the header with a dash, or look at headersWithUnderscoresAction in the proxies' configuration. Proxies in front of the mesh often pass such headers on unseen.",
		rules: []resolve.RuleID{
			resolve.RuleUnderscoreRefused,
		},
	},
	CodeUpgradeRefused: {
		check: "Only websocket is let through (h2c is ignored, and goes on as HTTP/1.1). Look at the headers Connection and Upgrade that the client sends; no route and no policy is asked before.",
		rules: []resolve.RuleID{
			resolve.RuleUpgradeRefused,
		},
	},
	CodeNoVirtualHost: {
		check: "Compare the Host header, as it is sent, with the hosts of the Gateway's server and of the VirtualService or HTTPRoute; then its gateways (NAMESPACE/NAME), its exportTo, and whether the gateway's namespace may see it. `explain HOST` lists who names the host and why it does not count.",
		rules: []resolve.RuleID{
			resolve.RuleGatewayHostElsewhere,
			resolve.RuleGatewayHostMeshOnly,
			resolve.RuleGatewayHostNoRoutes,
			resolve.RuleGatewayHostNone,
			resolve.RuleGatewayHostNotExported,
			resolve.RuleGatewayHostNotServed,
			resolve.RuleGatewayHostOtherHosts,
			resolve.RuleGatewayHostReference,
			resolve.RuleGatewayRouteTableVoid,
			resolve.RuleHostEmptyTable,
			resolve.RuleKubeGatewayByVS,
			resolve.RuleKubeGatewayStrict,
			resolve.RuleKubeInertField,
			resolve.RuleKubeRouteListener,
			resolve.RuleKubeRouteRefused,
			resolve.RuleRouteIsolated,
			resolve.RuleRouteKind,
			resolve.RuleRouteNamespace,
			resolve.RuleRouteNoParent,
			resolve.RuleRouteNoTraffic,
			resolve.RuleRouteOtherHostname,
			resolve.RuleRouteOtherPort,
			resolve.RuleRouteOtherSection,
			resolve.RuleVirtualHostDomains,
			resolve.RuleWaypointOtherHost,
		},
	},
	CodeNoRoute: {
		check: "Read the rules of the table in their order (`explain HOST`). The most specific virtual host is chosen first, and there is no falling back: rules on a wildcard host are not asked once something names the host itself.",
		rules: []resolve.RuleID{
			resolve.RuleRouteNoMatch,
		},
	},
	CodeRouteInvalid: {
		check: "Correct the rule first: as long as Envoy refuses it every host of that route configuration keeps its old rules or has none. istiod logs it as an RDS rejection; istioctl proxy-status shows STALE.",
		rules: []resolve.RuleID{
			resolve.RuleActionDirectStatus,
			resolve.RuleActionNoDestination,
			resolve.RuleActionRedirectCode,
		},
	},
	CodeRedirect: {
		check: "If it was not meant: an earlier rule takes the request (`explain HOST` shows the order). A loop means that the target comes back to the same rule: match on the scheme or on another path.",
		rules: []resolve.RuleID{
			resolve.RuleActionRedirect,
		},
	},
	CodeHTTPSRedirect: {
		check: "The Gateway's server has tls.httpsRedirect, and that is for all virtual hosts of its hosts, other servers' included. Behind a load balancer that ends TLS, X-Forwarded-Proto and numTrustedProxies must tell so.",
		rules: []resolve.RuleID{
			resolve.RuleHTTPSRedirect,
		},
	},
	CodeDirectResponse: {
		check: "The rule has a directResponse. If another one was meant, it stands behind this one: `explain HOST` shows the order.",
		rules: []resolve.RuleID{
			resolve.RuleActionDirect,
		},
	},
	CodeNoBackends: {
		check: "The rule has no backendRefs, or all have weight 0. Add a backend, or give one weight.",
		rules: []resolve.RuleID{
			resolve.RuleKubeRouteNoBackends,
		},
	},
	CodeBackendInvalid: {
		check: "Look at the route's ResolvedRefs condition: the Service, its port number (not the targetPort), and, for another namespace, a ReferenceGrant there that names the route's kind and namespace.",
		rules: []resolve.RuleID{
			resolve.RuleDestinationPort,
			resolve.RuleBackendElsewhere,
			resolve.RuleBackendInference,
			resolve.RuleBackendKind,
			resolve.RuleBackendMissing,
			resolve.RuleBackendNotGranted,
		},
	},
	CodeFaultAbort: {
		check: "Look for spec.http[].fault in the VirtualService, or in the one that delegates to it; or for the EnvoyFilter that inserts a fault filter; it may be left over from a test. Its percentage decides how many requests it hits.",
		rules: []resolve.RuleID{
			resolve.RuleFaultAbort, resolve.RuleHTTPFilterFault,
		},
	},
	CodeCORSPreflight: {
		check: "The answer comes from the route's corsPolicy and never from the application. If the browser still refuses, compare allowOrigins, allowMethods and allowHeaders with what it asked for.",
		rules: []resolve.RuleID{
			resolve.RuleCORSAnswered,
			resolve.RuleCORSIgnored,
		},
	},
	CodeHostUnknown: {
		check: "A short host in a VirtualService means its own namespace, not the caller's: write the whole name. Else the Service is not there, not exported, or not imported by the caller's Sidecar.",
		rules: []resolve.RuleID{
			resolve.RuleDestinationNotExported,
			resolve.RuleDestinationUnknown,
			resolve.RuleBackendMissing,
			resolve.RuleBackendNotGranted,
			resolve.RuleKubeRouteNoShare,
			resolve.RuleServiceEntryVisibility,
		},
	},
	CodePortUnknown: {
		check: "destination.port.number is the Service's port, not the targetPort. A destination without a port gets the listener's.",
		rules: []resolve.RuleID{
			resolve.RuleDestinationPort,
		},
	},
	CodeSubsetUndefined: {
		check: "Which DestinationRule does this client get? One in its own namespace comes before the service's, and is not merged with it. Compare the subset's spelling, the rule's host, and its exportTo.",
		rules: []resolve.RuleID{
			resolve.RuleClusterDNSNoEndpoint,
			resolve.RuleSubsetUndefined,
		},
	},
	CodeNoCluster: {
		check: "The step says why istiod makes none; most often the service has a resolution or protocol for which there is nothing to make. Ask istioctl proxy-config clusters on the caller.",
		rules: []resolve.RuleID{
			resolve.RuleClusterDNSNoEndpoint,
			resolve.RuleClusterProtocol,
			resolve.RuleClusterRejected,
			resolve.RuleClusterTakenOut,
			resolve.RuleWaypointDynamicDNSTLS,
			resolve.RuleWaypointNoCluster,
		},
	},
	CodeNoEndpoints: {
		check: "kubectl get endpointslices -l kubernetes.io/service-name=NAME. None: compare the Service's selector with the pods' labels. Some: compare a named targetPort with the containers' port names. A Deployment may be scaled to zero.",
		rules: []resolve.RuleID{
			resolve.RuleClusterAddress,
			resolve.RuleEastWestNone,
			resolve.RuleEndpointsNone,
			resolve.RuleListenerNoOriginal,
			resolve.RuleWaypointNotExported,
			resolve.RuleZtunnelDynamic,
			resolve.RuleZtunnelNone,
		},
	},
	CodeSubsetEmpty: {
		check: "Compare the subset's labels with those of the pods (kubectl get pods --show-labels). Labels of the Deployment are not those of its pod template.",
		rules: []resolve.RuleID{
			resolve.RuleSubsetNoEndpoint,
		},
	},
	CodeNoneHealthy: {
		check: "kubectl get pods: they run and are not ready. Look at the readiness probe, which with a sidecar is rewritten to go through pilot-agent, and at strict mTLS on a probe's port.",
		rules: []resolve.RuleID{
			resolve.RuleBalanceNone,
		},
	},
	CodeNetworkUnreachable: {
		check: "Look at the networks of both sides (label topology.istio.io/network of pods and of istiod's namespace, ISTIO_META_NETWORK of the client's proxy) and at who is left out: only endpoints with Istio mTLS are reached across networks, so a DISABLE in a PeerAuthentication or DestinationRule, or a missing sidecar, takes them away.",
		rules: []resolve.RuleID{
			resolve.RuleNetworkNone,
		},
	},
	CodeRegistryOnly: {
		check: "Add a ServiceEntry for the host and port, exported to the caller, and import it in the caller's Sidecar if it has one. It is the Sidecar's outboundTrafficPolicy that counts where it sets one, else the mesh's.",
		rules: []resolve.RuleID{
			resolve.RuleListenerBlackhole,
		},
	},
	CodeOwnPort: {
		check: "The port is one of the sidecar's own (15001, 15006 and so on). Give the service another port; check for a Service that got the number by mistake.",
		rules: []resolve.RuleID{
			resolve.RuleOwnPort,
		},
	},
	CodeMTLSRequired: {
		check: "Either the caller has no sidecar (look at istio-injection, and whether the pod is older than the label), or something has its sidecar send plaintext: a DestinationRule with tls.mode DISABLE or a port left out of the capture. PERMISSIVE on the receiver is the way out while migrating.",
		rules: []resolve.RuleID{
			resolve.RuleInboundChainPlaintext,
		},
	},
	CodeMTLSRefused: {
		check: "The caller's DestinationRule (often one for *.local) forces ISTIO_MUTUAL on a receiver without a sidecar, or on a port that is not captured. Drop the tls setting: auto mTLS chooses by endpoint.",
		rules: []resolve.RuleID{
			resolve.RuleEastWestPlain,
			resolve.RuleHBONEDeaf,
			resolve.RuleInboundChainTLSOnPlain,
			resolve.RuleMTLSOutside,
			resolve.RuleMTLSToPlaintext,
			resolve.RuleMTLSUndecrypted,
			resolve.RuleOwnPort,
			resolve.RuleWaypointSentBack,
			resolve.RuleZtunnelOpaqueMTLS,
		},
	},
	CodeTLSRejected: {
		check: "The application speaks TLS by itself to a port that is declared HTTP, or that is STRICT. Name the port tls-… or https-…, or have the client speak plaintext to its sidecar.",
		rules: []resolve.RuleID{
			resolve.RuleInboundChainForeignTLS,
			resolve.RuleInboundChainNoClientCert,
			resolve.RuleInboundChainOtherCert,
		},
	},
	CodeUntrustedPeer: {
		check: "Compare the trust domains of the two sides (meshConfig.trustDomain and trustDomainAliases) and, across clusters, their root certificates; then the DestinationRule's subjectAltNames. Behind an east-west gateway of ambient mode: a Service is to use a waypoint in all clusters or in none (istio.io/use-waypoint), and a Gateway of class istio-remote is to name the gateway's account (gateway.istio.io/service-account).",
		rules: []resolve.RuleID{
			resolve.RuleEastWestAccount,
			resolve.RuleEastWestIdentity,
			resolve.RuleServerIdentity,
			resolve.RuleTrustDomainForeign,
		},
	},
	CodeNoFilterChain: {
		check: "The server name that the client sends is in no server of that port: compare it with the hosts of the HTTPS servers (curl to an IP sends none). An HTTP/2 client that reuses a connection keeps the first name.",
		rules: []resolve.RuleID{
			resolve.RuleEastWestUnknown,
			resolve.RuleGatewayNoFilterChain,
			resolve.RuleWaypointDirect,
			resolve.RuleWaypointNoAddress,
			resolve.RuleWaypointNotOwn,
			resolve.RuleWaypointPortClosed,
			resolve.RuleWaypointWildcardTLS,
		},
	},
	CodeTLSToPlaintext: {
		check: "https was sent to a port that is declared HTTP. Use http, or make the server HTTPS with a credentialName. Check whether a load balancer forwards 443 to the plaintext port.",
		rules: []resolve.RuleID{
			resolve.RuleGatewayTLSToPlaintext,
		},
	},
	CodePlaintextToTLS: {
		check: "http was sent to an HTTPS or TLS server. Use https; behind a load balancer that ends TLS, forward to the plaintext port instead.",
		rules: []resolve.RuleID{
			resolve.RuleGatewayPlaintextToTLS,
		},
	},
	CodeTLSTwice: {
		check: "The application already speaks TLS, and a DestinationRule with tls.mode SIMPLE adds its own. Have the application speak http to its sidecar, or drop the tls setting.",
		rules: []resolve.RuleID{
			resolve.RuleTLSTwice,
		},
	},
	CodeClientCertRequired: {
		check: "The server is MUTUAL: send a certificate (curl --cert), signed by the CA in its secret. OPTIONAL_MUTUAL asks without demanding, unless subjectAltNames or hashes are compared.",
		rules: []resolve.RuleID{
			resolve.RuleGatewayClientName,
			resolve.RuleGatewayComparedCert,
			resolve.RuleGatewayForeignClient,
			resolve.RuleGatewayNoClientCert,
		},
	},
	CodeServerCertRejected: {
		check: "A proxy that sends Istio mTLS trusts certificates of the mesh alone. Let the gateway's server be ISTIO_MUTUAL, or give the DestinationRule tls.mode SIMPLE with the right CA.",
		rules: []resolve.RuleID{
			resolve.RuleGatewayForeignCert,
		},
	},
	CodeNoCertificate: {
		check: "credentialName is looked for in the namespace of the gateway's pods (for the Gateway API in the Gateway's, or by a ReferenceGrant). Check name, namespace and keys (tls.crt, tls.key); a sidecar takes that of a DestinationRule only where the rule has a workloadSelector.",
		rules: []resolve.RuleID{
			resolve.RuleClientTLSUnready,
			resolve.RuleConfigMapMalformed,
			resolve.RuleCredentialAbsent,
			resolve.RuleCredentialGatewayApart,
			resolve.RuleCredentialNone,
			resolve.RuleCredentialNotGranted,
			resolve.RuleCredentialOptional,
			resolve.RuleCredentialNamespace,
			resolve.RuleCredentialType,
		},
	},
	CodeListenerRejected: {
		check: "Two servers or routes claim one server name on the same port. istioctl proxy-status shows LDS as STALE; Envoy keeps what it had, so that a restart of the pod makes it worse.",
		rules: []resolve.RuleID{
			resolve.RuleGatewayListenerWildcard,
			resolve.RuleGatewayListenerRefused,
		},
	},
	CodeNoL4Route: {
		check: "A tls rule is chosen by sniHosts and a tcp rule by port and subnet. Compare them with what is sent; on a gateway the VirtualService's hosts must be within the server's too.",
		rules: []resolve.RuleID{
			resolve.RuleGatewayL4NoRoute,
			resolve.RuleGatewayAutoPassthroughNone,
			resolve.RuleListenerConflict,
		},
	},
	CodeProtocolError: {
		check: "The port is declared HTTP (by its name or appProtocol) and the client sends something else. Declare it tcp, or leave the protocol to be detected.",
		rules: []resolve.RuleID{
			resolve.RuleGatewayNotHTTP,
			resolve.RuleInboundChainNotHTTP,
			resolve.RuleInboundChainNotHTTP2,
			resolve.RuleInboundChainTLSOnPlain,
			resolve.RuleListenerNotHTTP,
			resolve.RuleWaypointNotHTTP,
		},
	},
	CodePolicyDeny: {
		check: "The access log names policy and rule. DENY goes before every ALLOW. A negative match (notPaths, notPrincipals) holds also where the attribute is missing, as on plaintext. ztunnel denies plaintext by a policy that istiod makes of a PeerAuthentication in mode STRICT, and sees a waypoint in place of the client behind it.",
		rules: []resolve.RuleID{
			resolve.RuleAuthorizationCustomDryRun,
			resolve.RuleAuthorizationCustomProviders,
			resolve.RuleAuthorizationCustomUnusable,
			resolve.RuleAuthorizationDeny,
			resolve.RuleZtunnelStrict,
			resolve.RuleZtunnelWaypointPeer,
		},
	},
	CodePolicyNoAllow: {
		check: "As soon as one ALLOW policy selects the workload, only what a rule matches passes. Compare the identity that arrives (none without mTLS) with the principals, the path as normalized, and mind that two items under rules are alternatives while from and to in one item must both hold. ztunnel has no rule that names HTTP, and sees a waypoint in place of the client behind it.",
		rules: []resolve.RuleID{
			resolve.RuleAuthorizationNoAllowMatched,
			resolve.RuleZtunnelOnlyWaypoint,
			resolve.RuleZtunnelWaypointPeer,
		},
	},
	CodeJWTRejected: {
		check: "Decode the token: compare iss with the issuer, aud with the audiences, and exp with the clock. The keys come from jwksUri, which istiod must reach. A request without a token is not rejected; that takes an AuthorizationPolicy.",
		rules: []resolve.RuleID{
			resolve.RuleRequestAuthenticationRefused,
		},
	},
	CodeAuthorizerDenied: {
		check: "The answer is the authorizer's: read its log. If it was not reached (ext_authz_error), check the provider's service, port and timeout in the mesh config, and mTLS towards it.",
		rules: []resolve.RuleID{
			resolve.RuleAuthorizationCustom,
		},
	},
	CodeFilterDenied: {
		check: "The RBAC filter is an EnvoyFilter's, and no AuthorizationPolicy: istioctl proxy-config listener of the proxy shows it as Envoy has it. Where an AuthorizationPolicy can say the same, write that.",
		rules: []resolve.RuleID{
			resolve.RuleHTTPFilterRBACDeny,
		},
	},
	CodeRateLimited: {
		check: "Each proxy has a bucket of its own: the limit of a Deployment is that of one pod times its replicas. The proxy's statistics (http_local_rate_limiter, ratelimit) count what was refused.",
		rules: []resolve.RuleID{
			resolve.RuleLocalRateLimit,
		},
	},
	CodeNoWaypoint: {
		check: "kubectl get gateway,pods of the waypoint's namespace: a waypoint that is scaled to zero, or whose pods are not ready, fails everything that is bound to it. A Gateway that is no waypoint has no port 15008. To go past it, take the label istio.io/use-waypoint away.",
		rules: []resolve.RuleID{
			resolve.RuleEastWestNone,
			resolve.RuleWaypointIngressNone,
			resolve.RuleZtunnelNoWaypoint,
		},
	},
	CodeTooManyHops: {
		check: "A route of a gateway leads to the gateway itself, or two lead to each other. Restrict the rule for the mesh with match.gateways, so that the egress gateway's own rule is another.",
		rules: []resolve.RuleID{
			resolve.RuleNetworkTurns,
			resolve.RuleTooManyHops,
		},
	},
}
