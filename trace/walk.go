package trace

import (
	"fmt"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// maxHops bounds the proxies a request may pass, so that a route that leads back
// to its own gateway ends.
const maxHops = 12

// walk is one walk through one snapshot.
type walk struct {
	snapshot *resolve.Snapshot
	request  Request
	source   Source
	outcomes []finished
}

// finished is an outcome with the hops it took.
type finished struct {
	Outcome
	share float64
	hops  []*Hop
}

// Walk follows the request through the mesh and returns its trace. The error is
// a *SourceError where --from or --gateway names nothing in the snapshot.
func Walk(s *resolve.Snapshot, req Request) (*Trace, error) {
	w := &walk{snapshot: s, request: req}
	from, err := w.findSource()
	if err != nil {
		return nil, err
	}
	p := &path{share: 1, certainty: Certain, clientCert: req.ClientCert, token: req.Token, senderIP: req.SourceIP, sni: req.ServerName()}
	if req.Scheme.IsHTTP() {
		p.http = req.HTTPRequest()
		p.original = req.HTTPRequest()
	}
	p.sealed = req.Scheme.IsTLS()
	if from.external {
		err = w.enterGateway(p)
	} else {
		w.leave(p, from.workload)
	}
	if err != nil {
		return nil, err
	}
	t := w.finish()
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("the walk broke its own rules: %w", err)
	}
	return t, nil
}

// end closes a path with an outcome.
func (w *walk) end(p *path, o Outcome) {
	o.Certainty = worse(o.Certainty, p.certainty)
	if o.Certainty == "" {
		o.Certainty = Certain
	}
	if o.Destination.Host == "" {
		o.Destination = p.dest
	}
	if o.Code == "" && o.Decision == Delivered {
		o.Code = p.via
	}
	if p.given != "" {
		o.Reason += ", if " + p.given
	}
	w.outcomes = append(w.outcomes, finished{Outcome: o, share: p.share, hops: p.hops})
}

// endAt closes a path at a step: the step's reason is the outcome's, its resource decided.
func (w *walk) endAt(p *path, o Outcome, step resolve.Step) {
	p.note(step)
	if o.Reason == "" {
		o.Reason = step.Reason()
	}
	if o.By.IsZero() && o.Decision != Delivered {
		o.By = step.Ref
	}
	w.end(p, o)
}

// broken closes a path whose connection breaks: a caller behind an Envoy sees 503
// with the flag that Envoy logs, a caller without one a closed connection.
func (w *walk) broken(p *path, code Code, flags, details string, step resolve.Step) {
	w.endAt(p, w.brokenOutcome(p, code, flags, details), step)
}

func (w *walk) brokenOutcome(p *path, code Code, flags, details string) Outcome {
	o := Outcome{Decision: Reset, Code: code}
	if p.proxied {
		o.ResponseFlags = flags
		if p.answers {
			o.HTTPStatus, o.ResponseCodeDetails = 503, details
		}
	}
	return o
}
