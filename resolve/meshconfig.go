package resolve

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	meshconfig "istio.io/api/mesh/v1alpha1"
)

// Mesh is the mesh configuration with Istio's defaults filled in.
type Mesh struct {
	*meshconfig.MeshConfig
	// Ref is the ConfigMap or file it was read from; without a name for Istio's defaults alone.
	Ref Ref
	// Domain is the cluster's DNS domain.
	Domain string
}

// DefaultMeshConfig is what istiod starts from before it reads the ConfigMap.
// Only settings that a trace reads are here.
// Source: pkg/config/mesh/mesh.go, DefaultMeshConfig.
func DefaultMeshConfig() *meshconfig.MeshConfig {
	return &meshconfig.MeshConfig{
		TrustDomain:                    "cluster.local",
		RootNamespace:                  "istio-system",
		EnableAutoMtls:                 wrapperspb.Bool(true),
		OutboundTrafficPolicy:          &meshconfig.MeshConfig_OutboundTrafficPolicy{Mode: meshconfig.MeshConfig_OutboundTrafficPolicy_ALLOW_ANY},
		InboundTrafficPolicy:           &meshconfig.MeshConfig_InboundTrafficPolicy{Mode: meshconfig.MeshConfig_InboundTrafficPolicy_PASSTHROUGH},
		IngressControllerMode:          meshconfig.MeshConfig_STRICT,
		IngressClass:                   "istio",
		IngressService:                 "istio-ingressgateway",
		DefaultServiceExportTo:         []string{"*"},
		DefaultVirtualServiceExportTo:  []string{"*"},
		DefaultDestinationRuleExportTo: []string{"*"},
		LocalityLbSetting:              nil,
		ProtocolDetectionTimeout:       durationpb.New(0),
		ConnectTimeout:                 durationpb.New(10 * time.Second),
		DefaultConfig:                  &meshconfig.ProxyConfig{},
		EnableTracing:                  true,
	}
}

// newMesh lays the configuration over Istio's defaults. A field that the
// configuration sets replaces the default's as a whole.
// Source: pkg/config/mesh/mesh.go, ApplyMeshConfig.
func newMesh(config *meshconfig.MeshConfig, ref Ref) *Mesh {
	m := DefaultMeshConfig()
	if config != nil {
		c := proto.Clone(config).(*meshconfig.MeshConfig)
		for _, list := range []struct{ set, def *[]string }{
			{&c.DefaultServiceExportTo, &m.DefaultServiceExportTo},
			{&c.DefaultVirtualServiceExportTo, &m.DefaultVirtualServiceExportTo},
			{&c.DefaultDestinationRuleExportTo, &m.DefaultDestinationRuleExportTo},
		} {
			if len(*list.set) > 0 {
				*list.def = nil
			}
		}
		if c.OutboundTrafficPolicy != nil {
			m.OutboundTrafficPolicy = nil
		}
		if c.InboundTrafficPolicy != nil {
			m.InboundTrafficPolicy = nil
		}
		// Wrappers and durations would be merged field by field, so that false or 0s could not be said.
		if c.EnableAutoMtls != nil {
			m.EnableAutoMtls = nil
		}
		if c.ProtocolDetectionTimeout != nil {
			m.ProtocolDetectionTimeout = nil
		}
		if c.ConnectTimeout != nil {
			m.ConnectTimeout = nil
		}
		m.EnableTracing = false // a loader reads over true, so that off can be said
		proto.Merge(m, c)
	}
	if ref.IsZero() {
		ref = Ref{Kind: "MeshConfig"} // Istio's defaults have a name, too
	}
	return &Mesh{MeshConfig: m, Ref: ref, Domain: "cluster.local"}
}

// TrustDomains are the mesh's own trust domain and its aliases.
func (m *Mesh) TrustDomains() []string {
	return append([]string{m.GetTrustDomain()}, m.GetTrustDomainAliases()...)
}
