package resolve

import apisecurity "istio.io/api/security/v1beta1"

// policyActions are all actions of AuthorizationPolicies.
var policyActions = []apisecurity.AuthorizationPolicy_Action{
	apisecurity.AuthorizationPolicy_CUSTOM, apisecurity.AuthorizationPolicy_AUDIT,
	apisecurity.AuthorizationPolicy_DENY, apisecurity.AuthorizationPolicy_ALLOW,
}

// SourceSignature is what the AuthorizationPolicies of a workload's proxy make of who sends a request: the truth of each of
// their conditions on the peer's identity and on addresses, in a fixed order. Connections of equal signatures fare alike at
// the proxy, if nothing else differs. tcp is true on a TCP filter chain.
func (s *Snapshot) SourceSignature(w *Workload, c *Connection, tcp bool) string {
	in := &policyInput{conn: *c}
	var truths []byte
	for _, custom := range []bool{true, false} {
		on := s.policiesOn(w, custom).byAction
		for _, action := range policyActions {
			for _, policies := range [][]*authorizationPolicy{on[action].enforced, on[action].dryRun} {
				for _, p := range policies {
					truths = p.appendSource(truths, in, tcp)
				}
			}
		}
	}
	return string(truths)
}

// appendSource appends the truths of the conditions on the source.
func (p *authorizationPolicy) appendSource(truths []byte, in *policyInput, tcp bool) []byte {
	rules := p.http
	if tcp {
		rules = p.tcp
	}
	of := func(clauses []clause) {
		for i := range clauses {
			if clauses[i].attribute.source {
				truths = append(truths, '0'+byte(clauses[i].holds(in)))
			}
		}
	}
	for _, r := range rules() {
		for _, a := range r.from {
			of(a)
		}
		of(r.when)
	}
	return truths
}
