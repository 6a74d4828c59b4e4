package admission

import (
	"net/url"
	"strings"

	security "istio.io/api/security/v1beta1"
)

// requestAuthentication checks a RequestAuthentication. Whether the keys in it can be read is left to istiod.
// Source: pkg/config/validation/validation.go, ValidateRequestAuthentication, validateJwtRule.
func (c *checker) requestAuthentication(spec *security.RequestAuthentication) {
	c.attached(spec.GetSelector(), spec.GetTargetRef(), spec.GetTargetRefs())
	for i, rule := range spec.GetJwtRules() {
		if rule != nil {
			c.jwtRule(entry("spec.jwtRules", i), rule)
		}
	}
}

func (c *checker) jwtRule(field string, rule *security.JWTRule) {
	for i, audience := range rule.GetAudiences() {
		if audience == "" {
			c.refuse(entry(field+".audiences", i), "audience must be non-empty string")
		}
	}
	if rule.GetIssuer() == "" && rule.GetJwksUri() == "" {
		c.refuse(field+".issuer", "issuer or jwksUri must be non-empty string")
	}
	if u, err := url.Parse(rule.GetJwksUri()); err == nil && rule.GetJwksUri() != "" && u.Scheme != "http" && u.Scheme != "https" {
		c.refuse(field+".jwksUri", "URI scheme %q is not supported", u.Scheme)
	}
	for i, location := range rule.GetFromHeaders() {
		switch at := entry(field+".fromHeaders", i); {
		case location == nil:
			c.refuse(at, "location header name must be non-null")
		case location.GetName() == "":
			c.refuse(at+".name", "location header name must be non-empty string")
		}
	}
	for i, location := range rule.GetFromParams() {
		if location == "" {
			c.refuse(entry(field+".fromParams", i), "location query must be non-empty string")
		}
	}
	for i, location := range rule.GetFromCookies() {
		if location == "" {
			c.refuse(entry(field+".fromCookies", i), "cookie name must be non-empty string")
		}
	}
	for i, claim := range rule.GetOutputClaimToHeaders() {
		switch at := entry(field+".outputClaimToHeaders", i); {
		case claim == nil:
			c.refuse(at, "outputClaimToHeaders must not be null")
		case claim.GetClaim() == "" || claim.GetHeader() == "":
			c.refuse(at, "outputClaimToHeaders header and claim value must be non-empty string")
		case strings.Trim(strings.ToLower(claim.GetHeader()), "-_0123456789abcdefghijklmnopqrstuvwxyz") != "":
			c.refuse(at+".header", "header name %s is not a valid header name", claim.GetHeader())
		}
	}
	c.duration(field+".timeout", rule.GetTimeout())
}
