package resolve

import (
	"cmp"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// Rules of what a client's proxy puts on the connection.
const (
	RuleClientTLSDisable       RuleID = "clienttls/disable"
	RuleClientTLSSimple        RuleID = "clienttls/simple"
	RuleClientTLSMutual        RuleID = "clienttls/mutual"
	RuleClientTLSMutualFiles   RuleID = "clienttls/mutual-without-certificate"
	RuleClientTLSCredential    RuleID = "clienttls/credential-name-on-sidecar"
	RuleClientTLSInvalidCA     RuleID = "clienttls/invalid-ca"
	RuleClientTLSUnready       RuleID = "clienttls/certificate-never-there"
	RuleClientTLSIstioMutual   RuleID = "clienttls/istio-mutual"
	RuleClientTLSMeshExternal  RuleID = "clienttls/mesh-external"
	RuleClientTLSAutoOff       RuleID = "clienttls/auto-mtls-off"
	RuleClientTLSNamespaceOff  RuleID = "clienttls/namespace-disabled"
	RuleClientTLSNoInstances   RuleID = "clienttls/passthrough-no-endpoints"
	RuleClientTLSAllOrNothing  RuleID = "clienttls/passthrough-all-or-nothing"
	RuleClientTLSPassthrough   RuleID = "clienttls/passthrough"
	RuleClientTLSEndpointRule  RuleID = "clienttls/endpoint-destination-rule"
	RuleClientTLSEndpointPlain RuleID = "clienttls/endpoint-without-proxy"
	RuleClientTLSWorkloadOff   RuleID = "clienttls/workload-disabled"
	RuleClientTLSAuto          RuleID = "clienttls/auto-mtls"
)

const buildTLS = "pilot/pkg/networking/core/cluster_tls.go, buildUpstreamTLSSettings"

var clientTLSRules = []Rule{
	{
		ID: RuleClientTLSDisable, Stage: StageTLS,
		Says:     "tls.mode DISABLE of a DestinationRule sends plaintext to every endpoint.",
		Template: "tls.mode DISABLE: plaintext to every endpoint%s",
		Source:   buildTLS,
	},
	{
		ID: RuleClientTLSSimple, Stage: StageTLS,
		Says:     "tls.mode SIMPLE originates TLS to every endpoint.",
		Template: "tls.mode SIMPLE: the proxy originates TLS, server name %s",
		Source:   "pilot/pkg/networking/core/cluster_tls.go, constructUpstreamTLS",
	},
	{
		ID: RuleClientTLSMutual, Stage: StageTLS,
		Says:     "tls.mode MUTUAL originates TLS with a client certificate of the user's own.",
		Template: "tls.mode MUTUAL: the proxy originates TLS with its own client certificate, server name %s",
		Source:   "pilot/pkg/networking/core/cluster_tls.go, constructUpstreamTLS",
	},
	{
		ID: RuleClientTLSMutualFiles, Stage: StageTLS,
		Says:     "tls.mode MUTUAL without credentialName and without clientCertificate or privateKey makes no TLS context: plaintext.",
		Template: "tls.mode MUTUAL without credentialName, clientCertificate and privateKey: istiod drops the TLS settings, plaintext",
		Source:   "pilot/pkg/networking/core/cluster_tls.go, constructUpstreamTLS",
	},
	{
		ID: RuleClientTLSCredential, Stage: StageTLS,
		Says:     "credentialName works on sidecars only in a DestinationRule with a workloadSelector; without one the TLS settings are dropped and plaintext is sent.",
		Template: "credentialName %s on a sidecar needs a DestinationRule with a workloadSelector: istiod drops the TLS settings, plaintext",
		Source:   "pilot/pkg/networking/core/cluster_tls.go, buildUpstreamClusterTLSContext",
	},
	{
		ID: RuleClientTLSInvalidCA, Stage: StageTLS,
		Says:     "A BackendTLSPolicy whose CA can not be used names a certificate that is never there: for a sidecar istiod drops the TLS settings, and plaintext is sent.",
		Template: "the policy's CA can not be used: istiod drops the TLS settings, plaintext",
		Source:   "pilot/pkg/networking/core/cluster_tls.go, buildUpstreamClusterTLSContext; pilot/pkg/config/kube/gateway/backend_policies.go, getBackendTLSCredentialName",
	},
	{
		ID: RuleClientTLSUnready, Stage: StageTLS,
		Says:     "A gateway asks istiod for the certificate of a BackendTLSPolicy whose CA can not be used, gets none, and refuses every connection.",
		Template: "the policy's CA can not be used: the gateway waits for a certificate that never comes, and refuses every connection",
		Source:   "pilot/pkg/xds/sds.go, Generate; Envoy, Secret discovery service (SDS): an upstream cluster whose certificates are not fetched rejects its requests",
	},
	{
		ID: RuleClientTLSIstioMutual, Stage: StageTLS,
		Says:     "tls.mode ISTIO_MUTUAL sends Istio mTLS to every endpoint, with a proxy or without.",
		Template: "tls.mode ISTIO_MUTUAL: Istio mTLS to every endpoint%s",
		Source:   buildTLS,
	},
	{
		ID: RuleClientTLSMeshExternal, Stage: StageTLS,
		Says:     "A ServiceEntry with location MESH_EXTERNAL (the default) never gets auto mTLS.",
		Template: "%s is MESH_EXTERNAL and no DestinationRule sets tls: plaintext, as the application sends it",
		Source:   buildTLS,
	},
	{
		ID: RuleClientTLSAutoOff, Stage: StageTLS,
		Says:     "With meshConfig.enableAutoMtls false only a DestinationRule brings mTLS.",
		Template: "meshConfig.enableAutoMtls is false and no DestinationRule sets tls: plaintext",
		Source:   buildTLS,
	},
	{
		ID: RuleClientTLSNamespaceOff, Stage: StageTLS,
		Says:     "Auto mTLS is off for a service whose namespace's (else the mesh's) PeerAuthentication is DISABLE, whatever a workload's own says.",
		Template: "PeerAuthentication of namespace %s is DISABLE: plaintext, whatever the workload's own PeerAuthentication says",
		Source:   "pilot/pkg/model/push_context.go, BestEffortInferServiceMTLSMode",
	},
	{
		ID: RuleClientTLSNoInstances, Stage: StageTLS,
		Says:     "A service with resolution Passthrough (headless, NONE) or load balancer PASSTHROUGH and no known endpoint gets plaintext.",
		Template: "%s goes to the dialled address and istiod knows no endpoint of it: plaintext",
		Source:   "pilot/pkg/model/push_context.go, BestEffortInferServiceMTLSMode",
	},
	{
		ID: RuleClientTLSAllOrNothing, Stage: StageTLS,
		Says:     "For headless services and load balancer PASSTHROUGH auto mTLS is all or nothing: one endpoint without a proxy makes it plaintext to all.",
		Template: "%s goes to the dialled address and %s has no proxy: plaintext to all endpoints",
		Source:   "pilot/pkg/model/push_context.go, BestEffortInferServiceMTLSMode",
	},
	{
		ID: RuleClientTLSPassthrough, Stage: StageTLS,
		Says:     "A cluster that goes to the dialled address does not tell endpoints apart: auto mTLS is sent to all of them.",
		Template: "auto mTLS: %s goes to the dialled address, Istio mTLS to every endpoint",
		Source:   "pilot/pkg/networking/core/cluster_tls.go, applyUpstreamTLSSettings",
	},
	{
		ID: RuleClientTLSEndpointRule, Stage: StageTLS,
		Says:     "Where portLevelSettings leave tls out, the cluster is on auto mTLS but endpoints are still marked by the tls around them: other than ISTIO_MUTUAL means plaintext.",
		Template: "portLevelSettings leave tls out, yet endpoints follow the tls.mode %s around them: plaintext",
		Source:   "pilot/pkg/xds/endpoints/mtls_checker.go, checkMtlsEnabled",
	},
	{
		ID: RuleClientTLSEndpointPlain, Stage: StageTLS,
		Says:     "Auto mTLS sends plaintext to an endpoint that is not labelled security.istio.io/tlsMode=istio, which injection does.",
		Template: "auto mTLS: %s %s: plaintext",
		Source:   "pilot/pkg/xds/endpoints/mtls_checker.go, checkMtlsEnabled",
	},
	{
		ID: RuleClientTLSWorkloadOff, Stage: StageTLS,
		Says:     "Auto mTLS sends plaintext to a workload port whose PeerAuthentication is DISABLE.",
		Template: "auto mTLS: PeerAuthentication of %s is DISABLE for port %d: plaintext",
		Source:   "pilot/pkg/xds/endpoints/mtls_checker.go, checkMtlsEnabled",
	},
	{
		ID: RuleClientTLSAuto, Stage: StageTLS,
		Says:     "Without tls in a DestinationRule auto mTLS sends Istio mTLS to every endpoint that has a sidecar.",
		Template: "auto mTLS: %s has a sidecar, and no DestinationRule says otherwise",
		Source:   "pilot/pkg/xds/endpoints/mtls_checker.go, checkMtlsEnabled",
	},
}

// ClientTLSFor is what the client's proxy puts on a connection to the endpoint.
// A client without proxy is not asked.
//
//  1. The cluster. A tls block of the effective policy is used as it is, for every
//     endpoint (see userTLS).
//  2. Else plaintext if the service is MESH_EXTERNAL, if enableAutoMtls is false, or
//     if the service is inferred to be without mTLS: for headless services and
//     PASSTHROUGH one endpoint without proxy, or no endpoint, is enough; then the
//     PeerAuthentication of the service's namespace, else the mesh's, being DISABLE.
//  3. Else, a cluster that goes to the dialled address sends mTLS to all.
//  4. Else the endpoint. If the endpoint code sees a tls block (portLevelSettings
//     without tls, inside a trafficPolicy with tls), only ISTIO_MUTUAL lets the
//     endpoint keep its own tlsMode. Without one, the PeerAuthentication of the
//     workload and port must not be DISABLE. mTLS if the tlsMode is then istio.
//  5. An endpoint that takes HBONE gets that (hbone.go).
//
// Source: pilot/pkg/networking/core/cluster_tls.go, buildUpstreamTLSSettings,
// applyUpstreamTLSSettings; pilot/pkg/xds/endpoints/mtls_checker.go, checkMtlsEnabled.
func (s *Snapshot) ClientTLSFor(client *Workload, c *Cluster, e *Endpoint) ClientTLS {
	if c == nil || c.Service == nil || e == nil {
		return ClientTLS{Mode: ClientPlaintext}
	}
	if c.Own { // waypointcluster.go
		return s.waypointTLS(client, c, e)
	}
	if e.Gateway != nil && s.Tunnels(client) {
		return s.doubleHBONE(c, e, s.withoutTunnel(client, c, e))
	}
	if e.Gateway != nil {
		return s.gatewayTLS(client, c, e)
	}
	return s.tunnelled(c, e, s.withoutTunnel(client, c, e)) // 5.
}

// withoutTunnel is steps 1 to 4 of ClientTLSFor.
func (s *Snapshot) withoutTunnel(client *Workload, c *Cluster, e *Endpoint) ClientTLS {
	// 1. The DestinationRule's word.
	if c.Policy.GetTls() != nil {
		return s.userTLS(client, c)
	}
	// 2. Reasons for plaintext.
	if step, plain := s.autoMTLSOff(c); plain {
		return ClientTLS{Mode: ClientPlaintext, Step: step}
	}
	// 3. As dialled.
	mtls := ClientTLS{Mode: ClientMTLS, SNI: clusterSNI(c), cluster: c}
	if c.Type == ClusterOriginalDst {
		mtls.Step = NewStep(RuleClientTLSPassthrough, Applied, Ref{}, c.Service.Hostname)
		return mtls
	}
	// 4. The endpoint's own.
	if step, plain := s.endpointPlain(c, e); plain {
		return ClientTLS{Mode: ClientPlaintext, Step: step}
	}
	mtls.Step = NewStep(RuleClientTLSAuto, Applied, e.Ref, endpointOwner(e))
	return mtls
}

// clusterSNI is the server name of Istio mTLS: outbound_.PORT_.SUBSET_.HOST.
//
// Source: pilot/pkg/model/service.go, BuildDNSSrvSubsetKey.
func clusterSNI(c *Cluster) string {
	if c.Type == ClusterDynamicDNS {
		return ""
	}
	return "outbound_." + strconv.Itoa(c.Port.Number) + "_." + c.Subset + "_." + c.Service.Hostname
}

// userTLS is a tls block of a DestinationRule.
//
//  1. DISABLE is plaintext.
//  2. SIMPLE and MUTUAL originate TLS. With credentialName on a sidecar and without
//     workloadSelector, or MUTUAL without a certificate, the settings are dropped. A gateway
//     without the CA of a BackendTLSPolicy can not connect.
//  3. ISTIO_MUTUAL is Istio mTLS to every endpoint.
func (s *Snapshot) userTLS(client *Workload, c *Cluster) ClientTLS {
	tls := c.Policy.GetTls()
	plain := func(rule RuleID, verdict Verdict, ref Ref, args ...any) ClientTLS {
		return ClientTLS{Mode: ClientPlaintext, Step: NewStep(rule, verdict, ref, args...)}
	}
	originate := tls.GetMode() == networking.ClientTLSSettings_SIMPLE || tls.GetMode() == networking.ClientTLSSettings_MUTUAL
	sidecar := client != nil && client.Dataplane == DataplaneSidecar
	secret := tls.GetCredentialName() != "" && !strings.HasPrefix(tls.GetCredentialName(), "configmap://")
	if originate && tls.GetCredentialName() == schemeInvalid && sidecar {
		return plain(RuleClientTLSInvalidCA, Warned, c.TLSRef)
	}
	if originate && secret && sidecar && !c.HasWorkloadSelector {
		return plain(RuleClientTLSCredential, Warned, c.TLSRef.At(c.TLSRef.Field+".credentialName"), tls.GetCredentialName())
	}
	name := cmp.Or(tls.GetSni(), "from the Host header")
	switch tls.GetMode() {
	case networking.ClientTLSSettings_DISABLE:
		return plain(RuleClientTLSDisable, Applied, c.TLSRef, s.insteadOfAuto(c))
	case networking.ClientTLSSettings_SIMPLE:
		return ClientTLS{Mode: ClientTLSOrigination, SNI: tls.GetSni(), cluster: c, Step: NewStep(RuleClientTLSSimple, Applied, c.TLSRef, name)}
	case networking.ClientTLSSettings_MUTUAL:
		if tls.GetCredentialName() == "" && (tls.GetClientCertificate() == "" || tls.GetPrivateKey() == "") {
			return plain(RuleClientTLSMutualFiles, Warned, c.TLSRef)
		}
		return ClientTLS{Mode: ClientMutualTLSOrigination, SNI: tls.GetSni(), cluster: c, Step: NewStep(RuleClientTLSMutual, Applied, c.TLSRef, name)}
	case networking.ClientTLSSettings_ISTIO_MUTUAL:
	}
	return ClientTLS{
		Mode: ClientMTLS, SNI: cmp.Or(tls.GetSni(), clusterSNI(c)), cluster: c,
		Step: NewStep(RuleClientTLSIstioMutual, Applied, c.TLSRef, s.insteadOfAuto(c)),
	}
}

// AnnouncesHTTP2 is the cluster of such TLS if the ALPN of its mTLS names HTTP/2, whatever a proxy that forwards bytes
// sends in it; nil if it does not.
//
//  1. A port of HTTP/2 or gRPC has a cluster of HTTP/2.
//  2. h2UpgradePolicy makes one of other ports.
//  3. useClientProtocol leaves it open.
//
// Source: pilot/pkg/networking/core/cluster_builder.go, setUpstreamProtocol, isHttp2Cluster; cluster_traffic_policy.go,
// applyH2Upgrade, applyConnectionPool; cluster_tls.go, buildUpstreamClusterTLSContext.
func (s *Snapshot) AnnouncesHTTP2(tls ClientTLS) *Cluster {
	c := tls.cluster
	if tls.Mode != ClientMTLS || c == nil || c.Service == nil {
		return nil
	}
	pool := c.Policy.GetConnectionPool()
	if pool.GetHttp().GetUseClientProtocol() { // 3.
		return nil
	}
	if p := c.Port.Protocol; p == ProtocolHTTP2 || p == ProtocolGRPC || s.upgradesToHTTP2(c, pool) { // 1., 2.
		return c
	}
	return nil
}

// insteadOfAuto says what would have been sent without the tls block.
func (s *Snapshot) insteadOfAuto(c *Cluster) string {
	if _, off := s.autoMTLSOff(c); off {
		return " (without it: plaintext)"
	}
	return " (without it: auto mTLS, by what each endpoint supports)"
}

// autoMTLSOff is step 2 of ClientTLSFor.
//
// Source: pilot/pkg/model/push_context.go, BestEffortInferServiceMTLSMode.
func (s *Snapshot) autoMTLSOff(c *Cluster) (Step, bool) {
	svc := c.Service
	switch {
	case svc.MeshExternal:
		return NewStep(RuleClientTLSMeshExternal, None, svc.Ref.Object().At("spec.location"), svc.Hostname), true
	case !s.Mesh.GetEnableAutoMtls().GetValue():
		return NewStep(RuleClientTLSAutoOff, None, s.Mesh.Ref.At("enableAutoMtls")), true
	}
	if svc.Resolution == Passthrough || c.InferPassthrough {
		eps := s.indexed(svc, c.Port.Number).endpoints
		if len(eps) == 0 {
			return NewStep(RuleClientTLSNoInstances, None, svc.Ref, svc.Hostname), true
		}
		for _, e := range eps {
			if e.TLSMode == endpointTLSDisabled {
				return NewStep(RuleClientTLSAllOrNothing, None, e.Ref, svc.Hostname, endpointOwner(e)), true
			}
		}
	}
	if mtls := s.NamespaceMTLS(svc.Namespace); mtls.Mode == MTLSDisable {
		return NewStep(RuleClientTLSNamespaceOff, Applied, mtls.Ref, svc.Namespace), true
	}
	return Step{}, false
}

// endpointPlain is step 4 of ClientTLSFor.
func (s *Snapshot) endpointPlain(c *Cluster, e *Endpoint) (Step, bool) {
	if c.EndpointTLS != nil && c.EndpointTLS.GetMode() != networking.ClientTLSSettings_ISTIO_MUTUAL {
		return NewStep(RuleClientTLSEndpointRule, Applied, c.EndpointTLSRef, c.EndpointTLS.GetMode().String()), true
	}
	if e.TLSMode != endpointTLSIstio || c.Type == ClusterDynamicDNS {
		return NewStep(RuleClientTLSEndpointPlain, Applied, e.Ref, endpointOwner(e), whyPlain(e)), true
	}
	told := cmp.Or(e.Described, e.Workload)
	if told == nil && e.Gateway == nil && e.Ref.Namespace != "" { // an endpoint of a MESH_EXTERNAL ServiceEntry
		told = &Workload{Owner: e.Ref, Namespace: e.Ref.Namespace, Labels: e.Labels}
	}
	if c.EndpointTLS == nil && told != nil {
		if mtls := s.EffectiveMTLS(told, e.Port); mtls.Mode == MTLSDisable {
			return NewStep(RuleClientTLSWorkloadOff, Applied, mtls.Ref, endpointOwner(e), e.Port), true
		}
	}
	return Step{}, false
}

// whyPlain is why auto mTLS takes an endpoint for one that speaks plaintext.
func whyPlain(e *Endpoint) string {
	if e.Described != nil {
		return "has neither the label security.istio.io/tlsMode=istio nor a serviceAccount in the ServiceEntry, whatever answers there"
	}
	if e.Workload != nil && e.Workload.Dataplane == DataplaneSidecar {
		return "has a sidecar, but not the label security.istio.io/tlsMode=istio that injection sets"
	}
	return "has no sidecar"
}
