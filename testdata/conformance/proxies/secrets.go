package proxies

import (
	"maps"
	"slices"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
)

const (
	// ownSecret is the certificate of the workload, ownAuthority the mesh's authority, as istiod names them.
	ownSecret, ownAuthority = "default", "ROOTCA"
	// systemAuthorities are those of the image's operating system, to which the mesh's does not belong.
	systemAuthorities = "file-root:system"
)

// secrets makes all that the configuration asks for, but what the control plane was found not to supply.
func (a *adaptation) secrets(out *resources) error {
	certificates, validations := map[string]bool{}, map[string]bool{}
	wanted := func(into map[string]bool, c *tlsv3.SdsSecretConfig) {
		if name := c.GetName(); name != "" && (a.proxy.Secrets == nil || c.GetSdsConfig().GetAds() == nil || a.proxy.Secrets[name]) {
			into[name] = true
		}
	}
	served := map[string]bool{"program.test": true}
	collect := func(m proto.Message) {
		switch x := m.(type) {
		case *listener.FilterChainMatch:
			for _, name := range x.GetServerNames() {
				served[name] = true
			}
		case *tlsv3.CertificateValidationContext:
			for _, n := range x.GetMatchTypedSubjectAltNames() {
				out.expected[n.GetMatcher().GetExact()] = true
			}
			for _, n := range x.GetMatchSubjectAltNames() { //nolint:staticcheck // what istiod sends
				out.expected[n.GetExact()] = true
			}
		}
		c, ok := m.(*tlsv3.CommonTlsContext)
		if !ok {
			return
		}
		for _, s := range c.GetTlsCertificateSdsSecretConfigs() {
			wanted(certificates, s)
		}
		wanted(validations, c.GetValidationContextSdsSecretConfig())
		wanted(validations, c.GetCombinedValidationContext().GetValidationContextSdsSecretConfig())
	}
	for _, l := range a.proxy.Listeners {
		rewrite(l, collect)
	}
	for _, c := range a.proxy.Clusters {
		rewrite(c, collect)
	}
	both, err := authorities()
	if err != nil {
		return err
	}
	mesh, other := both[0], both[1]
	for name := range certificates {
		by, of := other, slices.Sorted(maps.Keys(served))
		if name == ownSecret {
			by, of = mesh, []string{a.proxy.Identity}
		}
		made, err := by.issue(of...)
		if err != nil {
			return err
		}
		if err := out.add(secretType, name, &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inline(made.certificate), PrivateKey: inline(made.key),
		}}}); err != nil {
			return err
		}
	}
	for name := range validations {
		trusted := mesh.text + other.text
		switch name {
		case ownAuthority:
			trusted = mesh.text
		case systemAuthorities:
			trusted = other.text
		}
		if err := out.add(secretType, name, &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_ValidationContext{
			ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: inline(trusted)},
		}}); err != nil {
			return err
		}
	}
	return nil
}

func inline(text string) *core.DataSource {
	return &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: text}}
}
