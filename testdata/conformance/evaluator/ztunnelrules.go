package evaluator

import (
	"net/netip"
	"slices"
	"strings"

	"istio.io/istio/pkg/workloadapi"
	"istio.io/istio/pkg/workloadapi/security"
)

// The policies that a ztunnel enforces in front of a pod of its own.
//
//  1. They are those of its namespace, those of all namespaces, and those that the workload names. Dry runs decide nothing.
//  2. A policy that denies and matches ends the connection. Else one of those that allow has to match, if there are any.
//  3. A policy matches if one of its rules does, a rule if all its clauses do, a clause if one of its matches does, or if it has none;
//     a match if all it asks for is so. A match that asks for nothing never is.
//  4. Of an identity, principals see what follows spiffe://. Without an identity no name matches, and so all that are excluded do not.
//
// Source: https://github.com/istio/ztunnel, src/state.rs assert_rbac; src/rbac.rs matches, matches_internal; src/state/policy.rs.

// inbound is what a policy can ask about a connection.
type inboundFacts struct {
	from     netip.Addr
	to       netip.AddrPort
	identity string // empty without one
}

// verdict reports whether the workload's ztunnel lets a connection in, and what says so.
func (z *Ztunnel) verdict(w *workloadapi.Workload, f inboundFacts) (ok bool, why string) {
	allows := false
	allowed := false
	for _, p := range z.enforced(w) {
		matched := f.matched(p)
		switch {
		case p.GetAction() == security.Action_DENY && matched: // 2.
			return false, "explicitly denied by: " + p.GetNamespace() + "/" + p.GetName()
		case p.GetAction() == security.Action_ALLOW:
			allows, allowed = true, allowed || matched
		}
	}
	if allows && !allowed {
		return false, "allow policies exist, but none allowed"
	}
	return true, ""
}

// enforced is step 1, in the order in which they are asked; the order of those of one kind is not fixed.
func (z *Ztunnel) enforced(w *workloadapi.Workload) []*security.Authorization {
	var ofNamespace, ofAll, named []*security.Authorization
	for _, p := range z.Policies {
		switch {
		case p.GetDryRun():
		case p.GetScope() == security.Scope_NAMESPACE && p.GetNamespace() == w.GetNamespace():
			ofNamespace = append(ofNamespace, p)
		case p.GetScope() == security.Scope_GLOBAL:
			ofAll = append(ofAll, p)
		}
	}
	for _, key := range w.GetAuthorizationPolicies() {
		for _, p := range z.Policies {
			if p.GetNamespace()+"/"+p.GetName() == key && !p.GetDryRun() {
				named = append(named, p)
			}
		}
	}
	return slices.Concat(ofNamespace, ofAll, named)
}

// matched is step 3.
func (f inboundFacts) matched(p *security.Authorization) bool {
	return slices.ContainsFunc(p.GetGroups(), func(rule *security.Group) bool {
		for _, clause := range rule.GetRules() {
			if len(clause.GetMatches()) > 0 && !slices.ContainsFunc(clause.GetMatches(), f.is) {
				return false
			}
		}
		return true
	})
}

func (f inboundFacts) is(m *security.Match) bool {
	asked := len(m.GetNamespaces()) + len(m.GetNotNamespaces()) + len(m.GetServiceAccounts()) + len(m.GetNotServiceAccounts()) +
		len(m.GetPrincipals()) + len(m.GetNotPrincipals()) + len(m.GetSourceIps()) + len(m.GetNotSourceIps()) +
		len(m.GetDestinationIps()) + len(m.GetNotDestinationIps()) + len(m.GetDestinationPorts()) + len(m.GetNotDestinationPorts())
	source := func(a *security.Address) bool { return holds(a, f.from) }
	destination := func(a *security.Address) bool { return holds(a, f.to.Addr()) }
	port := func(n uint32) bool { return n == uint32(f.to.Port()) }
	return asked > 0 &&
		either(m.GetNamespaces(), m.GetNotNamespaces(), f.namespace) &&
		either(m.GetServiceAccounts(), m.GetNotServiceAccounts(), f.account) &&
		either(m.GetPrincipals(), m.GetNotPrincipals(), f.principal) &&
		either(m.GetSourceIps(), m.GetNotSourceIps(), source) &&
		either(m.GetDestinationIps(), m.GetNotDestinationIps(), destination) &&
		either(m.GetDestinationPorts(), m.GetNotDestinationPorts(), port)
}

// either: one of those wanted, if any are, and none of those that are excluded.
func either[T any](wanted, excluded []T, is func(T) bool) bool {
	return (len(wanted) == 0 || slices.ContainsFunc(wanted, is)) && !slices.ContainsFunc(excluded, is)
}

// parts are the namespace and the service account of the identity.
func (f inboundFacts) parts() (namespace, account string) {
	_, rest, _ := strings.Cut(f.identity, "/ns/")
	namespace, account, _ = strings.Cut(rest, "/sa/")
	return namespace, account
}

func (f inboundFacts) namespace(m *security.StringMatch) bool {
	namespace, _ := f.parts()
	return wildcard(m, namespace)
}

func (f inboundFacts) account(m *security.ServiceAccountMatch) bool {
	namespace, account := f.parts()
	return f.identity != "" && m.GetNamespace() == namespace && m.GetServiceAccount() == account
}

func (f inboundFacts) principal(m *security.StringMatch) bool {
	name, ok := strings.CutPrefix(f.identity, "spiffe://")
	return ok && wildcard(m, name)
}

func wildcard(m *security.StringMatch, s string) bool {
	switch x := m.GetMatchType().(type) {
	case *security.StringMatch_Exact:
		return s == x.Exact
	case *security.StringMatch_Prefix:
		return strings.HasPrefix(s, x.Prefix)
	case *security.StringMatch_Suffix:
		return strings.HasSuffix(s, x.Suffix)
	case *security.StringMatch_Presence:
		return s != ""
	}
	return false
}

func holds(a *security.Address, ip netip.Addr) bool {
	base, ok := netip.AddrFromSlice(a.GetAddress())
	return ok && netip.PrefixFrom(base.Unmap(), int(a.GetLength())).Contains(ip)
}
