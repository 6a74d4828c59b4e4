//go:build integ

package conformance

import (
	"strings"
	"testing"

	"istio.io/istio/pkg/test/echo"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/integration"
)

// integrated: Istio's tests compile, so that a run can be a whole one.
const integrated = true

// TestIstiosIntegrationTests runs the routing tests of Istio's own CI. Each call is asked twice:
// whether the trace is what the test's check wants to see, and whether trace and pilot agree.
func TestIstiosIntegrationTests(t *testing.T) {
	checked := begin(t, "Istio's integration tests: trace")
	judged := begin(t, "Istio's integration tests: trace against pilot")
	worlds := &worlds{t: t}
	t.Cleanup(worlds.close)
	integration.Run(t, integration.Judge{
		Skip: func(t *testing.T, reason string) {
			err := skipped{"Istio skips it: " + reason}
			checked.record(t, caseOf(t), t.Name(), "", err)
			judged.record(t, caseOf(t), t.Name(), "", err)
		},
		Call: func(t *testing.T, c *integration.Call) echo.Responses {
			b, err := worlds.of(c.Manifests)
			if err != nil {
				checked.record(t, caseOf(t), c.URL(), "", err)
				judged.record(t, caseOf(t), c.URL(), "", err)
				return nil
			}
			responses, diff, question, err := asIstioWants(b.snapshot, c)
			checked.record(t, caseOf(t), question, diff, err)
			diff, err = asPilotDoes(b, c)
			judged.record(t, caseOf(t), question, diff, err)
			return responses
		},
	})
}

// caseOf is the name of the case: that of Istio's subtest.
func caseOf(t *testing.T) string {
	_, name, _ := strings.Cut(t.Name(), "/")
	return name
}

func asPilotDoes(b *bench, c *integration.Call) (diff string, err error) {
	args, err := c.Args()
	if err != nil {
		return "", untraceable(err)
	}
	return outcome(b, args)
}
