//go:build integ

package conformance

import (
	"errors"
	"strings"

	"istio.io/istio/pkg/test/echo"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/integration"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// asIstioWants asks the test's check about the trace. Where the client follows redirects, it is
// about the last answer.
func asIstioWants(s *resolve.Snapshot, c *integration.Call) (responses echo.Responses, diff, question string, err error) {
	for range 5 {
		args, err := c.Args()
		if err != nil {
			return nil, "", c.URL(), untraceable(err)
		}
		question = strings.Join(args, " ")
		document, err := certain(s, c, args)
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

// certain is the trace of one call; what it does not claim is not asked about.
func certain(s *resolve.Snapshot, c *integration.Call, args []string) (*render.Document, error) {
	q, err := parse(args)
	if err != nil {
		return nil, err
	}
	d, err := traced(s, q)
	if err != nil {
		return nil, err
	}
	d = c.Answered(d)
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
