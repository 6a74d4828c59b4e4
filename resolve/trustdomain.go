package resolve

import (
	"slices"
	"strings"
)

// RuleTrustDomainForeign and RuleTrustDomainTrusted tell whether a peer's certificate is accepted.
const (
	RuleTrustDomainForeign RuleID = "trustdomain/foreign-peer"
	RuleTrustDomainTrusted RuleID = "trustdomain/trusted-peer"
)

var trustDomainRules = []Rule{
	{
		ID: RuleTrustDomainForeign, Stage: StageTLS, Source: "pilot/pkg/networking/plugin/authn/util.go, TrustDomainsForValidation",
		Says:     "A sidecar accepts peers of the mesh's trust domain, its aliases and those of meshConfig.caCertificates; others fail in the handshake.",
		Template: "the handshake fails: %s is of trust domain %s, and the mesh trusts %s",
	},
	{
		ID: RuleTrustDomainTrusted, Stage: StageTLS, Source: "pilot/pkg/networking/plugin/authn/util.go, TrustDomainsForValidation",
		Says:     "A peer of the mesh's trust domain or of an alias is accepted.",
		Template: "%s is of trust domain %s, which the mesh trusts",
		Detail:   true,
	},
}

// TrustsPeer reports whether a sidecar accepts the certificate of a peer.
//
//  1. The trust domains are the mesh's own, its aliases, and those of meshConfig.caCertificates.
//  2. The peer's identity must begin with one of them.
//
// Source: pilot/pkg/networking/plugin/authn/util.go, TrustDomainsForValidation.
func (s *Snapshot) TrustsPeer(principal string) (bool, Step) {
	domains := s.Mesh.TrustDomains()
	for _, ca := range s.Mesh.GetCaCertificates() {
		domains = append(domains, ca.GetTrustDomains()...)
	}
	domain, _, _ := strings.Cut(principal, "/")
	ref := s.Mesh.Ref.At("trustDomain")
	if domain != "" && slices.Contains(domains, domain) {
		return true, NewStep(RuleTrustDomainTrusted, Allowed, ref, principal, domain)
	}
	trusted := strings.Join(domains, ", ")
	return false, NewStep(RuleTrustDomainForeign, DeniedBy, ref, principal, domain, trusted).Unlike(trusted, domain)
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
