package resolve

import (
	"iter"

	apisecurity "istio.io/api/security/v1beta1"
)

// policyActions are all actions of AuthorizationPolicies.
var policyActions = []apisecurity.AuthorizationPolicy_Action{
	apisecurity.AuthorizationPolicy_CUSTOM, apisecurity.AuthorizationPolicy_AUDIT,
	apisecurity.AuthorizationPolicy_DENY, apisecurity.AuthorizationPolicy_ALLOW,
}

// SourceSignature is what the AuthorizationPolicies of a workload's proxy make of who sends a request: the truth of each of
// their conditions on the peer's identity and on addresses, in a fixed order. Connections of equal signatures fare alike at
// the proxy, if nothing else differs. tcp is true on a TCP filter chain. A captured workload has ztunnel for its proxy.
func (s *Snapshot) SourceSignature(w *Workload, c *Connection, tcp bool) string {
	in := &policyInput{conn: *c}
	var truths []byte
	if w.Dataplane == DataplaneAmbient {
		for p := range s.ztunnelPolicies(w).all() {
			truths = p.appendSource(truths, in, ztunnel)
		}
		return string(truths)
	}
	at := chainOf(tcp)
	for _, custom := range []bool{true, false} {
		for p := range s.policiesOn(w, custom).all() {
			truths = p.appendSource(truths, in, at)
		}
	}
	return string(truths)
}

// all are the policies in a fixed order.
func (on policiesOn) all() iter.Seq[*authorizationPolicy] {
	return func(yield func(*authorizationPolicy) bool) {
		for _, action := range policyActions {
			of := on.byAction[action]
			for _, policies := range [][]*authorizationPolicy{of.enforced, of.dryRun} {
				for _, p := range policies {
					if !yield(p) {
						return
					}
				}
			}
		}
	}
}

// appendSource appends the truths of the conditions on the source.
func (p *authorizationPolicy) appendSource(truths []byte, in *policyInput, at enforcer) []byte {
	of := func(clauses []clause) {
		for i := range clauses {
			if clauses[i].attribute.source {
				truths = append(truths, '0'+byte(clauses[i].holds(in)))
			}
		}
	}
	for _, r := range p.rulesAt(at) {
		for _, a := range r.from {
			of(a)
		}
		of(r.when)
	}
	return truths
}
