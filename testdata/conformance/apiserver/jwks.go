package apiserver

import (
	security "istio.io/api/security/v1beta1"
	"istio.io/istio/pkg/config"
)

// withoutJWKSServers puts an empty key set where istiod would fetch one: there is no network here,
// and no signature is looked at.
func withoutJWKSServers(cfg *config.Config) {
	ra, ok := cfg.Spec.(*security.RequestAuthentication)
	if !ok {
		return
	}
	for _, rule := range ra.GetJwtRules() {
		if rule.GetJwks() == "" {
			rule.JwksUri, rule.Jwks = "", `{"keys":[]}`
		}
	}
}
