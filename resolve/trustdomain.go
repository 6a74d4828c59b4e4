package resolve

import (
	"slices"
	"strings"
)

// The rules of whether a peer's certificate is accepted.
const (
	RuleTrustDomainForeign RuleID = "trustdomain/foreign-peer"
	RuleTrustDomainTrusted RuleID = "trustdomain/trusted-peer"
	RuleTrustDomainOwnCert RuleID = "trustdomain/certificate-of-the-client"
)

var trustDomainRules = []Rule{
	{
		ID: RuleTrustDomainForeign, Stage: StageTLS, Source: "pilot/pkg/networking/plugin/authn/util.go, TrustDomainsForValidation",
		Says:     "A sidecar accepts peers of the mesh's trust domain, its aliases and those of meshConfig.caCertificates; others fail in the handshake.",
		Template: "the handshake fails: %s is of %s, and the mesh trusts %s",
	},
	{
		ID: RuleTrustDomainTrusted, Stage: StageTLS, Source: "pilot/pkg/networking/plugin/authn/util.go, TrustDomainsForValidation",
		Says:     "A peer of the mesh's trust domain or of an alias is accepted.",
		Template: "%s is of trust domain %s, which the mesh trusts",
		Detail:   true,
	},
	{
		ID: RuleTrustDomainOwnCert, Stage: StageTLS, Source: "pilot/pkg/security/model/authentication.go, ApplyToCommonTLSContext",
		Says:     "A certificate that the client's application shows itself is accepted where the mesh's authority signed it and it names a trust domain of the mesh; who signed it the name does not tell.",
		Template: "the client itself shows a certificate of %s: taken to be signed by the mesh's authority, and the client to accept that of the proxy, which names no host",
	},
}

// TrustsPeer reports whether a sidecar accepts the certificate of a peer.
//
//  1. The trust domains are the mesh's own, its aliases, and those of meshConfig.caCertificates.
//  2. The peer's identity must begin with one of them.
//
// Source: pilot/pkg/networking/plugin/authn/util.go, TrustDomainsForValidation.
func (s *Snapshot) TrustsPeer(principal string) (bool, Step) {
	domains := s.trustedDomains()
	domain, _, _ := strings.Cut(principal, "/")
	ref := s.Mesh.Ref.At("trustDomain")
	if domain != "" && slices.Contains(domains, domain) {
		return true, NewStep(RuleTrustDomainTrusted, Allowed, ref, principal, domain)
	}
	trusted := strings.Join(domains, ", ")
	return false, NewStep(RuleTrustDomainForeign, DeniedBy, ref, principal, "trust domain "+domain, trusted).Unlike(trusted, domain)
}

// TrustsCertificate reports whether a sidecar accepts a certificate that an application shows, by its name: one
// that is no SPIFFE identity is of no trust domain.
func (s *Snapshot) TrustsCertificate(name string) (bool, []Step) {
	principal, spiffe := strings.CutPrefix(name, "spiffe://")
	if !spiffe {
		domains := strings.Join(s.trustedDomains(), ", ")
		return false, []Step{NewStep(RuleTrustDomainForeign, DeniedBy, s.Mesh.Ref.At("trustDomain"), name, "no trust domain", domains).Unlike(domains, "none")}
	}
	trusted, step := s.TrustsPeer(principal)
	if !trusted {
		return false, []Step{step}
	}
	return true, []Step{step, NewStep(RuleTrustDomainOwnCert, Warned, Ref{}, principal)}
}

func (s *Snapshot) trustedDomains() []string {
	domains := s.Mesh.TrustDomains()
	for _, ca := range s.Mesh.GetCaCertificates() {
		domains = append(domains, ca.GetTrustDomains()...)
	}
	return domains
}

// migratePrincipals replaces the trust domain of principals in a policy by all
// trust domains of the mesh.
//
//  1. A principal that has not exactly five parts, or whose first part is "*", stays as it is.
//  2. Where the first part is cluster.local or one of the mesh's trust domains
//     (either may be a prefix or suffix pattern), the principal stands once for each trust domain.
//  3. Any other trust domain stays as it is.
//
// Source: pilot/pkg/security/trustdomain/bundle.go, ReplaceTrustDomainAliases.
func migratePrincipals(principals, trustDomains []string) []string {
	out := make([]string, 0, len(principals))
	for _, p := range principals {
		parts := strings.Split(p, "/")
		if len(parts) != 5 || parts[0] == "*" ||
			(parts[0] != "cluster.local" && !overlapsAny(parts[0], trustDomains)) {
			out = append(out, p)
			continue
		}
		var migrated []string
		for _, td := range trustDomains {
			q := td + "/" + strings.Join(parts[1:], "/")
			if hasSuffixPattern(td, parts[0]) {
				q = p
			}
			if !slices.Contains(migrated, q) {
				migrated = append(migrated, q)
			}
		}
		out = append(out, migrated...)
	}
	return out
}

// expandTrustDomains replaces a trust domain of the mesh by all of them.
// Source: pilot/pkg/security/trustdomain/bundle.go, ExpandTrustDomainAliases.
func expandTrustDomains(values, trustDomains []string) []string {
	var out []string
	for _, v := range values {
		add := []string{v}
		if slices.Contains(trustDomains, v) {
			add = trustDomains
		}
		for _, a := range add {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

func overlapsAny(domain string, list []string) bool {
	return slices.ContainsFunc(list, func(d string) bool {
		return domain == d || d == "*" || hasPrefixPattern(domain, d) || hasPrefixPattern(d, domain) ||
			hasSuffixPattern(domain, d) || hasSuffixPattern(d, domain)
	})
}

func hasPrefixPattern(s, pattern string) bool {
	prefix, ok := strings.CutSuffix(pattern, "*")
	return ok && strings.HasPrefix(s, prefix)
}

func hasSuffixPattern(s, pattern string) bool {
	suffix, ok := strings.CutPrefix(pattern, "*")
	return ok && strings.HasSuffix(s, suffix)
}
