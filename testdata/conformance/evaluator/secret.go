package evaluator

import (
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// supplied reports whether a proxy has what a TLS context needs: one of its certificates, and its authority. Only
// secrets that come from the control plane can be missing; those of the workload itself come from its agent.
//
// Where the proxy does not tell its secrets it has all of them.
//
// Until then a listener that is new is not active, for as long as initial_fetch_timeout (15 seconds); after it, a connection is closed.
//
// Sources: https://www.envoyproxy.io/docs/envoy/latest/configuration/security/secret;
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/config_source.proto, initial_fetch_timeout;
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/security/ssl#trouble-shooting.
func (p *Proxy) supplied(c *tlsv3.CommonTlsContext) bool {
	certificates := c.GetTlsCertificateSdsSecretConfigs()
	have := len(certificates) == 0
	for _, s := range certificates {
		have = have || p.has(s)
	}
	authority := c.GetCombinedValidationContext().GetValidationContextSdsSecretConfig()
	if authority == nil {
		authority = c.GetValidationContextSdsSecretConfig()
	}
	return have && (authority == nil || p.has(authority))
}

func (p *Proxy) has(s *tlsv3.SdsSecretConfig) bool {
	return p.Secrets == nil || s.GetSdsConfig().GetAds() == nil || p.Secrets[s.GetName()]
}
