package pilot

import (
	"crypto/x509"

	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"istio.io/istio/pilot/pkg/model"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pkg/util/sets"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// secrets are those of the names in the proxy's listeners and clusters that the control plane supplies, each as
// what it is asked for. Envoy refuses an authority that holds no certificate, and goes on without.
//
// Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/transport_sockets/tls/v3/common.proto, trusted_ca;
// https://www.envoyproxy.io/docs/envoy/latest/configuration/security/secret, update_rejected.
func (w *World) secrets(node *model.Proxy, p *evaluator.Proxy) map[string]bool {
	certificates, authorities := wantedSecrets(p)
	names := sets.SortedList(certificates.Union(authorities))
	if len(names) == 0 {
		return nil
	}
	server := w.server
	if of := w.planeOf(node.Metadata.ClusterID); of != nil {
		server = of.server
	}
	resources, _, err := server.Discovery.Generators[v3.SecretType].Generate(node,
		&model.WatchedResource{TypeUrl: v3.SecretType, ResourceNames: sets.New(names...)}, &model.PushRequest{Push: server.PushContext(), Forced: true})
	if err != nil {
		return map[string]bool{} // none are supplied
	}
	out := map[string]bool{}
	for _, r := range resources {
		s := &tls.Secret{}
		if r.GetResource().UnmarshalTo(s) == nil {
			out[r.GetName()] = usable(r.GetName(), s, certificates, authorities)
		}
	}
	return out
}

// wantedSecrets are the names in the proxy's listeners and clusters.
func wantedSecrets(p *evaluator.Proxy) (certificates, authorities sets.String) {
	certificates, authorities = sets.New[string](), sets.New[string]()
	for _, l := range p.Listeners {
		asked(l.ProtoReflect(), certificates, authorities)
	}
	for _, c := range p.Clusters {
		asked(c.ProtoReflect(), certificates, authorities)
	}
	return certificates, authorities
}

// usable reports whether a secret is what it is asked for.
func usable(name string, s *tls.Secret, certificates, authorities sets.String) bool {
	return certificates.Contains(name) && s.GetTlsCertificate() != nil ||
		authorities.Contains(name) && x509.NewCertPool().AppendCertsFromPEM(s.GetValidationContext().GetTrustedCa().GetInlineBytes())
}

// asked collects the names that a message, or one packed in it, asks the control plane for.
func asked(m protoreflect.Message, certificates, authorities sets.String) {
	switch x := m.Interface().(type) {
	case *anypb.Any:
		if inner, err := x.UnmarshalNew(); err == nil {
			asked(inner.ProtoReflect(), certificates, authorities)
		}
		return
	case *tls.CommonTlsContext:
		for _, s := range x.GetTlsCertificateSdsSecretConfigs() {
			insert(certificates, s)
		}
		insert(authorities, x.GetCombinedValidationContext().GetValidationContextSdsSecretConfig())
		insert(authorities, x.GetValidationContextSdsSecretConfig())
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil || f.IsMap() && f.MapValue().Message() == nil:
		case f.IsMap():
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				asked(v.Message(), certificates, authorities)
				return true
			})
		case f.IsList():
			for i := range v.List().Len() {
				asked(v.List().Get(i).Message(), certificates, authorities)
			}
		default:
			asked(v.Message(), certificates, authorities)
		}
		return true
	})
}

func insert(names sets.String, s *tls.SdsSecretConfig) {
	if s.GetSdsConfig().GetAds() != nil {
		names.Insert(s.GetName())
	}
}
