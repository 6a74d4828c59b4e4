package conformance

import (
	"strings"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// secureRequests are asked on each mesh for each of the others: what is varied is who asks for what.
const secureRequests = 3

// TestRandomSecurity holds random requests against Istio where policies stand in their way. It fails as well where
// they do not: most requests are to reach a decision of a policy, and every kind of decision is to be met.
func TestRandomSecurity(t *testing.T) {
	c := newCensus(refusals)
	judgeRandom(t, "random requests under policies", *meshes, secureRequests**requestsEach, func(seed uint64) source { return guardedGenerator(seed) }, c.add)
	c.check(t, wantedRefusals)
}

// What policies do to a request.
const (
	policyDecided = "a policy decided"
	policyDenied  = "a policy denied"
	policyAllowed = "a policy allowed"
)

// refusals are what policies do to the request, and the ends it has or could have otherwise, by decision and code.
func refusals(d *render.Document) map[string]bool {
	met, denied, asked := map[string]bool{}, false, false
	for _, o := range d.Outcomes {
		denied = denied || o.Decision == string(trace.Denied)
		met[o.Decision+" "+o.Code] = true
		for _, a := range o.Otherwise {
			met[a.Decision+" "+a.Code] = true
		}
	}
	for _, h := range d.Hops {
		for _, s := range h.Steps {
			family, _, _ := strings.Cut(s.Rule, "/")
			asked = asked || (family == "authorizationpolicy" || family == "requestauthentication") &&
				(s.Verdict == string(resolve.Allowed) || s.Verdict == string(resolve.DeniedBy) || s.Rule == string(resolve.RuleAuthorizationCustom) || s.Rule == string(resolve.RuleAuthorizationMissed))
		}
	}
	met[policyDecided], met[policyDenied], met[policyAllowed] = denied || asked, denied, asked && !denied
	return met
}

var wantedRefusals = map[string]float64{
	policyDecided: 70, policyDenied: 30, policyAllowed: 15,
	string(trace.Denied) + " " + string(trace.CodePolicyDeny): 1.5, string(trace.Denied) + " " + string(trace.CodePolicyNoAllow): 1.5,
	string(trace.Denied) + " " + string(trace.CodeJWTRejected): 1.5, string(trace.Denied) + " " + string(trace.CodeAuthorizerDenied): 1.5,
}
