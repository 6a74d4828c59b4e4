package resolve

import (
	"strconv"

	"istio.io/api/label"
)

// Who is reached by HBONE: HTTP CONNECT over mutual TLS to port 15008, with the connection inside.
//
//  1. A pod that ztunnel has captured (annotation ambient.istio.io/redirection: enabled), a workload with the label
//     networking.istio.io/tunnel: http (a sidecar that listens for it), and a waypoint.
//  2. A ztunnel sends HBONE to those, and plaintext to all others.
//  3. So does an Envoy, whatever PeerAuthentication and DestinationRule say; but a workload that also takes Istio mTLS (label
//     security.istio.io/tlsMode: istio) gets that, unless istiod prefers HBONE, or a waypoint sends for a service of its own.
//  4. TLS that a DestinationRule originates goes inside HBONE; Istio mTLS is replaced by it.
//  5. A cluster that goes to the dialled address has no endpoints to tell apart, and no HBONE.
//
// Source: pilot/pkg/xds/endpoints/endpoint_builder.go, supportTunnel, buildEnvoyLbEndpoint; pilot/pkg/networking/core/cluster_tls.go,
// applyHBONETransportSocketMatches; pilot/pkg/serviceregistry/ambient/workloads.go, setTunnelProtocol; ztunnel, src/proxy/outbound.rs.

// Rules of HBONE.
const (
	RuleHBONECaptured RuleID = "hbone/captured"
	RuleHBONELabel    RuleID = "hbone/tunnel-label"
	RuleHBONEWaypoint RuleID = "hbone/waypoint"
	RuleHBONENone     RuleID = "hbone/plaintext"
	RuleInboundHBONE  RuleID = "hbone/sidecar-in"
	RuleHBONEDeaf     RuleID = "hbone/not-listening"
	RuleHBONEUnknown  RuleID = "hbone/other-cluster"
)

const tunnelLabel = "networking.istio.io/tunnel"

const supportTunnel = "pilot/pkg/xds/endpoints/endpoint_builder.go, supportTunnel"

var hboneRules = []Rule{
	{
		ID: RuleHBONECaptured, Stage: StageTLS,
		Says:     "A pod that ztunnel has captured is reached by HBONE, with the identity of who sends.",
		Template: "%s is captured by ztunnel: HBONE",
		Source:   supportTunnel,
	},
	{
		ID: RuleHBONELabel, Stage: StageTLS,
		Says:     "A workload with the label networking.istio.io/tunnel: http takes HBONE by itself.",
		Template: "%s has the label networking.istio.io/tunnel: http: HBONE",
		Source:   supportTunnel,
	},
	{
		ID: RuleHBONEWaypoint, Stage: StageTLS,
		Says:     "A waypoint is reached by HBONE.",
		Template: "%s is a waypoint: HBONE",
		Source:   supportTunnel,
	},
	{
		ID: RuleHBONEUnknown, Stage: StageTLS,
		Says:     "Of captured pods istiod knows those of its own cluster, and with AMBIENT_ENABLE_MULTI_NETWORK those of all clusters on its own network. Envoys send plaintext to others that they reach directly.",
		Template: "%s is captured, in cluster %s on network %s, which the istiod of cluster %s on network %s does not know: plaintext",
		Source:   "pilot/pkg/serviceregistry/ambient/multicluster.go, buildGlobalCollections; pilot/pkg/xds/endpoints/endpoint_builder.go, supportTunnel",
	},
	{
		ID: RuleHBONENone, Stage: StageTLS,
		Says:     "A ztunnel, or a waypoint for a service of its own, sends plaintext to what takes no HBONE, sidecars included: neither speaks Istio mTLS to them.",
		Template: "%s takes no HBONE: plaintext",
		Source:   "ztunnel, src/proxy/outbound.rs, build_request; pilot/pkg/xds/endpoints/endpoint_builder.go, buildEnvoyLbEndpoint",
	},
	{
		ID: RuleInboundHBONE, Stage: StagePeerAuthentication,
		Says:     "A sidecar that takes HBONE knows who sends, whatever PeerAuthentication says: filter chains without mTLS take what is inside.",
		Template: "HBONE: it ends here, and PeerAuthentication has no say about what is inside",
		Source:   "pilot/pkg/networking/core/listener_inbound.go, buildInboundHBONEListeners",
	},
	{
		ID: RuleHBONEDeaf, Stage: StageListener,
		Says:     "A sidecar listens for HBONE only with ISTIO_META_ENABLE_HBONE; the label networking.istio.io/tunnel alone makes others send HBONE to a port that nobody listens on.",
		Template: "%s has the label networking.istio.io/tunnel: http and no sidecar with %s: it is sent HBONE, and nobody listens for it",
		Source:   "pilot/pkg/networking/core/listener.go, BuildListeners",
	},
}

// TakesHBONE is step 1, with the step that says why; of who would take it if istiod ran ambient, why not.
func (s *Snapshot) TakesHBONE(e *Endpoint) (Step, bool) {
	w := e.Workload
	if w == nil {
		return Step{}, false
	}
	var step Step
	switch {
	case w.Labels[label.GatewayManaged.Name] == managedByWaypointController:
		step = NewStep(RuleHBONEWaypoint, Applied, w.Owner, w.Owner.String())
	case w.Dataplane == DataplaneAmbient:
		step = NewStep(RuleHBONECaptured, Applied, w.Owner, w.Owner.String())
	case w.Labels[tunnelLabel] == "http", w.FromTemplate && w.Dataplane == DataplaneSidecar && s.listensForHBONE(w):
		step = NewStep(RuleHBONELabel, Applied, w.Owner.At("metadata.labels["+tunnelLabel+"]"), w.Owner.String())
	default:
		return Step{}, false
	}
	if off, ok := s.AmbientOff(); ok { // asked last, as it takes another look at the cluster
		return off, false
	}
	if m := s.MemberOf(w); step.Rule == RuleHBONECaptured && m != s && !(s.AmbientNetworks() && m.systemNetwork().name == s.systemNetwork().name) {
		return NewStep(RuleHBONEUnknown, None, w.Owner, w.Owner.String(), m.ClusterID(), m.NetworkName(), s.ClusterID(), s.NetworkName()), false
	}
	return step, true
}

// listensForHBONE reports whether a sidecar takes HBONE: its ISTIO_META_ENABLE_HBONE says so, and the injector then labels
// the pod.
//
// Source: pilot/pkg/networking/core/listener.go, BuildListeners; manifests/charts/istio-control/istio-discovery/files/injection-template.yaml.
func (s *Snapshot) listensForHBONE(w *Workload) bool {
	v, _ := s.metadata(w, metaEnableHBONE)
	on, err := strconv.ParseBool(v)
	return err == nil && on
}

// DeafToHBONE reports whether nobody listens where HBONE for the sidecar goes, with the step that says so.
func (s *Snapshot) DeafToHBONE(w *Workload) (Step, bool) {
	if w.Dataplane == DataplaneSidecar && s.listensForHBONE(w) {
		return Step{}, false
	}
	return NewStep(RuleHBONEDeaf, None, w.Owner.At("metadata.labels["+tunnelLabel+"]"), w.Owner.String(), metaEnableHBONE), true
}

// ZtunnelSends is step 2: what a ztunnel puts on its connection to an endpoint.
func (s *Snapshot) ZtunnelSends(e *Endpoint) ClientTLS {
	step, takes := s.TakesHBONE(e)
	if takes || step.Rule != "" {
		return ClientTLS{Mode: ClientPlaintext, HBONE: takes, Step: step}
	}
	return ClientTLS{Mode: ClientPlaintext, Step: NewStep(RuleHBONENone, None, e.Ref, endpointOwner(e))}
}

// tunnelled is steps 3 to 5: what becomes of the TLS that a cluster would have without HBONE.
func (s *Snapshot) tunnelled(c *Cluster, e *Endpoint, tls ClientTLS) ClientTLS {
	if c.Type == ClusterOriginalDst || c.Type == ClusterDynamicDNS {
		return tls
	}
	step, takes := s.TakesHBONE(e)
	switch {
	case !takes && step.Rule != "" && tls.Step.Rule == RuleClientTLSEndpointPlain:
		tls.Step = step
		return tls
	case !takes, !s.feature(featureSendHBONE).on:
		return tls
	case e.TLSMode == endpointTLSIstio && !s.feature(featurePreferHBONE).on:
		return tls
	case tls.Mode == ClientTLSOrigination, tls.Mode == ClientMutualTLSOrigination:
		tls.HBONE = true
		return tls
	}
	return ClientTLS{Mode: ClientPlaintext, HBONE: true, Step: step}
}
