//go:build integ

package conformance

import (
	"errors"
	"strings"
	"testing"

	"istio.io/istio/pkg/test/echo"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/integration"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
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
			responses, diff, question, err := asIstioWants(b, c)
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

// asIstioWants asks the test's check about the trace. Where the client follows redirects, it is
// about the last answer.
func asIstioWants(b *bench, c *integration.Call) (responses echo.Responses, diff, question string, err error) {
	for range 5 {
		args, err := c.Args()
		if err != nil {
			return nil, "", c.URL(), untraceable(err)
		}
		question = strings.Join(args, " ")
		document, err := certain(b, args)
		if err != nil {
			return nil, "", question, err
		}
		if next, ok := followed(c, document); ok {
			c = next
			continue
		}
		responses, err = c.Check(document)
		if reason := untraceable(err); reason != nil {
			return responses, "", question, reason
		}
		if err != nil {
			diff = err.Error()
		}
		return responses, diff, question, nil
	}
	return nil, "redirected again and again", question, nil
}

func followed(c *integration.Call, d *render.Document) (*integration.Call, bool) {
	if len(d.Outcomes) != 1 || d.Outcomes[0].Location == "" {
		return nil, false
	}
	return c.Follow(d.Outcomes[0].Location)
}

// certain is the trace of one request; what it does not claim is not asked about.
func certain(b *bench, args []string) (*render.Document, error) {
	q, err := parse(args)
	if err != nil {
		return nil, err
	}
	d, err := traced(b.snapshot, q)
	if err != nil {
		return nil, err
	}
	for _, o := range d.Outcomes {
		if o.Certainty == string(trace.Undetermined) {
			return nil, skipped{"the trace says undetermined"}
		}
	}
	return d, nil
}

// untraceable is the skip that an error of the tests' stands for; nil for other errors.
func untraceable(err error) error {
	var u integration.Untraceable
	if errors.As(err, &u) {
		return skipped{u.Reason}
	}
	return nil
}
