package trace

import (
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// What token would turn a refusal, and where on the way one was lost.

// consumed is a token that a proxy took off the request, which held it before.
type consumed struct {
	place  resolve.TokenPlace
	rule   resolve.Ref
	before *resolve.HTTPRequest
	// hop is how many proxies the request had come to then.
	hop int
}

// returned is the request with the token in its place again.
func (c *consumed) returned(q *resolve.HTTPRequest) *resolve.HTTPRequest {
	with := q.Clone()
	switch c.place.Kind {
	case resolve.TokenInHeader:
		with.Headers[c.place.Name] = c.before.Headers[c.place.Name]
	case resolve.TokenInParameter:
		with.Query = c.before.Query
	case resolve.TokenInCookie:
	}
	return with
}

// tokenHint is what would have a proxy accept the request's token, or what token would have its policies let the
// request pass; before is the request as it comes to the proxy. What the client would have to send is known where no
// proxy has touched its tokens before.
func (w *walk) tokenHint(p *path, proxy *resolve.Workload, c *resolve.Connection, before *resolve.HTTPRequest) []resolve.Change {
	lost := p.consumed
	if lost != nil && lost.hop == len(p.hops) {
		lost = nil // this proxy itself took it
	}
	if lost != nil {
		if behind, ok := w.snapshot.Passes(proxy, c, lost.returned(before)); ok {
			forward := resolve.Change{Op: resolve.ChangeSet, Ref: lost.rule.At(lost.rule.Field + ".forwardOriginalToken"), Value: "true"}
			return append([]resolve.Change{forward}, behind...)
		}
	}
	hint := w.snapshot.TokenHint(proxy, c, before)
	if lost != nil && slices.ContainsFunc(hint, sentByClient) {
		return nil
	}
	return hint
}

// sentByClient is a change of the request itself.
func sentByClient(c resolve.Change) bool {
	switch c.Op {
	case resolve.ChangeSend, resolve.ChangeOmit, resolve.ChangeToken, resolve.ChangePlace:
		return true
	case resolve.ChangeAdd, resolve.ChangeRemove, resolve.ChangeSet, resolve.ChangeDelete, resolve.ChangeCreate, resolve.ChangeRestart:
	}
	return false
}

// policyHint is the hint for a denial by policies: their own, else an identity or a token that they want. Before an
// exception from a DENY rule comes a token that the rule spares, and the port's protocol where the rule is about HTTP.
func (w *walk) policyHint(p *path, proxy *resolve.Workload, c *resolve.Connection, request, before *resolve.HTTPRequest, local resolve.Authorization) []resolve.Change {
	var hint []resolve.Change
	switch {
	case before == nil:
		hint = w.readAsHTTP(p, proxy, c, local)
	case len(local.Hint) == 0 || local.EnvoyPolicy != resolve.NoPolicy:
		hint = w.tokenHint(p, proxy, c, before)
	}
	if len(hint) > 0 && (len(local.Hint) == 0 || len(hint) <= len(local.Hint)) {
		return hint
	}
	if len(local.Hint) > 0 {
		return local.Hint
	}
	return w.withIdentity(p, proxy, c, request, local.Policy)
}
