package trace

import (
	"fmt"
	"strings"

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
	// detail is which steps the trace keeps.
	detail   Detail
	outcomes []finished
	// asked notes what of the client counts; nil where nobody wants to know.
	asked *asked
	// survey is set where the tables on the way are asked for, in place of one request's fate.
	survey *survey
}

// finished is an outcome with the hops it took.
type finished struct {
	Outcome
	share float64
	hops  []*Hop
	// endpoints names the group of endpoints that the share was sent to; empty if none was.
	endpoints string
	// alternates are the hops to other endpoints that end alike: evidence, and no part of the way shown.
	alternates []*Hop
}

// Walk follows the request through the mesh and returns its trace. The error is
// a *SourceError where --from or --gateway names nothing in the snapshot.
func Walk(s *resolve.Snapshot, req Request) (*Trace, error) { return walkIn(s, req, DetailFull) }

// WalkView is Walk and then [Trace.View]. It takes less: the steps that the view
// leaves out are not put together first.
func WalkView(s *resolve.Snapshot, req Request, d Detail) (*Trace, error) {
	if d == DetailNone {
		return walkIn(s, req, d)
	}
	t, err := walkIn(s, req, DetailFull)
	return t.View(d), err
}

func walkIn(s *resolve.Snapshot, req Request, d Detail) (*Trace, error) {
	w := &walk{snapshot: s, request: req, detail: d}
	from, err := w.findSource()
	if err != nil {
		return nil, err
	}
	return w.run(from)
}

// run follows the request from its sender.
func (w *walk) run(from sender) (*Trace, error) {
	p := w.request.path()
	if free, ok := scratches.Get().(*scratch); ok {
		p.scratch = free
		defer free.release()
	}
	if err := w.send(p, from); err != nil {
		return nil, err
	}
	t := w.finish()
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("the walk broke its own rules: %w", err)
	}
	return t, nil
}

// start finds the sender of the request and sends it off.
func (w *walk) start(p *path) error {
	from, err := w.findSource()
	if err != nil {
		return err
	}
	return w.send(p, from)
}

// send sends the request off: from outside by a gateway, or from a workload.
func (w *walk) send(p *path, from sender) error {
	switch {
	case from.gateway != nil:
		w.enter(p, *from.gateway)
	case from.external:
		return w.enterGateway(p)
	default:
		w.leave(p, from.workload)
	}
	return nil
}

// end closes a path with an outcome.
func (w *walk) end(p *path, o Outcome) {
	if step, grpc := resolve.GRPCAnswer(p.http, o.HTTPStatus); grpc && o.HTTPStatus >= 400 {
		p.note(step)
	}
	o.Certainty = worse(o.Certainty, p.certainty)
	if o.Destination.Host == "" {
		o.Destination = p.dest
	}
	if o.Code == "" && o.Decision == Delivered {
		o.Code = p.via
	}
	switch {
	case p.given != "":
		o.Reason += ", if " + p.given
	case o.Certainty != Certain:
		o.Reason += p.assumption(o.Reason)
	}
	o.Otherwise = p.otherwise
	if o.Decision != Delivered && p.heldBack(o.ResponseFlags) {
		o.ResponseFlags = strings.TrimSuffix(resolve.DelayFlag+","+o.ResponseFlags, ",")
	}
	w.outcomes = append(w.outcomes, finished{Outcome: o, share: p.share, hops: p.hops, endpoints: p.endpoints})
}

// heldBack reports whether the proxy that logs the flags is the one that holds every request back: the last, or the one
// before it where that tells how the connection to the last failed.
func (p *path) heldBack(flags string) bool {
	switch {
	case p.delayed == 0:
		return false
	case p.delayed == len(p.hops):
		return true
	}
	return p.delayed == len(p.hops)-1 && (strings.Contains(flags, "UF") || strings.Contains(flags, "UC"))
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
