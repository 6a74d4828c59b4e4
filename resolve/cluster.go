package resolve

import (
	networking "istio.io/api/networking/v1alpha3"
)

// ClusterType is how Envoy finds the endpoints of a cluster.
type ClusterType string

// The cluster types istiod generates.
const (
	ClusterEDS         ClusterType = "EDS"
	ClusterStrictDNS   ClusterType = "STRICT_DNS"
	ClusterLogicalDNS  ClusterType = "LOGICAL_DNS"
	ClusterOriginalDst ClusterType = "ORIGINAL_DST"
	ClusterDynamicDNS  ClusterType = "DYNAMIC_FORWARD_PROXY"
)

// Cluster is an outbound Envoy cluster as one proxy has it.
type Cluster struct {
	// Name is outbound|PORT|SUBSET|HOST.
	Name    string
	Type    ClusterType
	Service *Service
	Port    Port
	Subset  string
	// SubsetLabels select endpoints; empty means all of them.
	SubsetLabels map[string]string
	// Rule is the DestinationRule that applies to the client; zero if none does.
	Rule Ref
	// Policy is the effective policy for the port and subset; nil if there is none.
	Policy *networking.TrafficPolicy
	// TLSRef is the field that set Policy.Tls; zero if it is not set.
	TLSRef Ref
	// EndpointTLS is the tls mode that the endpoint code reads, which differs
	// from Policy.Tls when portLevelSettings leave tls out
	// (pilot/pkg/xds/endpoints/mtls_checker.go, trafficPolicyTLSModeForPort); nil if unset.
	EndpointTLS *networking.ClientTLSSettings
	// SimplePassthrough is loadBalancer.simple PASSTHROUGH.
	SimplePassthrough bool
}

// Health is whether an endpoint gets traffic.
type Health string

// Endpoint health. Draining endpoints are not sent to Envoy at all.
const (
	Healthy   Health = "healthy"
	Unhealthy Health = "unhealthy"
)

// Endpoint is one address behind a service port, or, where pods are assumed
// from a template, Count of them.
type Endpoint struct {
	// Address is an IP, a DNS name, or empty where a template's pods have no address yet.
	Address string
	Port    int
	Health  Health
	// Labels are the endpoint's: the pod's or the WorkloadEntry's.
	Labels map[string]string
	// TLSMode is "istio" or "disabled" (label security.istio.io/tlsMode).
	TLSMode string
	// Workload is who answers there; nil outside the mesh.
	Workload *Workload
	Locality Locality
	Network  string
	// Weight is the endpoint's share among its equals (WorkloadEntry weight; 1 otherwise).
	Weight int
	// Count is the number of pods the endpoint stands for.
	Count int
	// Ref is the resource that brought the endpoint: the EndpointSlice, Pod, workload template, ServiceEntry or WorkloadEntry.
	Ref Ref
}

// ClientTLS is what the client's proxy puts on the connection to one endpoint.
type ClientTLS struct {
	Mode ClientTLSMode
	// SNI is the server name sent; empty for plaintext.
	SNI  string
	Step Step
}

// ClientTLSMode is the closed list of what a client's proxy sends.
type ClientTLSMode string

// The modes.
const (
	// ClientPlaintext sends the bytes as they are.
	ClientPlaintext ClientTLSMode = "plaintext"
	// ClientMTLS is Istio mutual TLS with the workload's identity.
	ClientMTLS ClientTLSMode = "mTLS"
	// ClientTLSOrigination is TLS as a DestinationRule of mode SIMPLE asks for it.
	ClientTLSOrigination ClientTLSMode = "TLS"
	// ClientMutualTLSOrigination is TLS with a client certificate of the user's own (mode MUTUAL).
	ClientMutualTLSOrigination ClientTLSMode = "mutual TLS"
)
