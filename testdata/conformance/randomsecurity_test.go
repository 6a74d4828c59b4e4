package conformance

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// secureRequests are asked on each mesh for each of the others: what is varied is who asks for what.
const secureRequests = 3

// TestRandomSecurity holds random requests against Istio where policies stand in their way. It fails as well where
// they do not: most requests are to reach a decision of a policy, and every kind of decision is to be met.
func TestRandomSecurity(t *testing.T) {
	c := census{codes: map[string]int{}}
	judgeRandom(t, "random requests under policies", *meshes, secureRequests**requestsEach, func(seed uint64) source { return guardedGenerator(seed) }, c.add)
	c.check(t)
}

// census counts what became of the requests that were judged.
type census struct {
	requests, decided, denied, allowed int
	// codes are the requests by the code of an end they have, or could have otherwise.
	codes map[string]int
}

func (c *census) add(b *bench, args []string) {
	q, err := parse(args)
	if err != nil {
		return
	}
	d, err := traced(b.snapshot, q)
	if err != nil {
		return
	}
	c.requests++
	denied, met := false, false
	codes := map[string]bool{}
	for _, o := range d.Outcomes {
		denied = denied || o.Decision == string(trace.Denied)
		codes[o.Decision+" "+o.Code] = true
		for _, a := range o.Otherwise {
			codes[a.Decision+" "+a.Code] = true
		}
	}
	for _, h := range d.Hops {
		for _, s := range h.Steps {
			family, _, _ := strings.Cut(s.Rule, "/")
			met = met || (family == "authorizationpolicy" || family == "requestauthentication") &&
				(s.Verdict == string(resolve.Allowed) || s.Verdict == string(resolve.DeniedBy) || s.Rule == string(resolve.RuleAuthorizationCustom) || s.Rule == string(resolve.RuleAuthorizationMissed))
		}
	}
	for code := range codes {
		c.codes[code]++
	}
	switch {
	case denied:
		c.denied++
		c.decided++
	case met:
		c.allowed++
		c.decided++
	}
}

// check prints the shares and fails where they say that the meshes ask too little.
func (c *census) check(t *testing.T) {
	share := func(n int) float64 { return 100 * float64(n) / float64(max(1, c.requests)) }
	t.Logf("%d requests judged: a policy decided %.1f%%, denied %.1f%%, allowed %.1f%%", c.requests, share(c.decided), share(c.denied), share(c.allowed))
	for _, code := range slices.Sorted(maps.Keys(c.codes)) {
		t.Logf("%6d  %5.1f%%  %s", c.codes[code], share(c.codes[code]), code)
	}
	if !whole() && c.requests < 1000 {
		return // too few to tell
	}
	if share(c.decided) < 70 || share(c.denied) < 30 || share(c.allowed) < 15 {
		t.Errorf("too few requests are decided by a policy, denied or allowed")
	}
	for _, code := range []trace.Code{trace.CodePolicyDeny, trace.CodePolicyNoAllow, trace.CodeJWTRejected, trace.CodeAuthorizerDenied} {
		if share(c.codes[string(trace.Denied)+" "+string(code)]) < 1.5 {
			t.Errorf("too few requests end with %s", code)
		}
	}
}
