package diff

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Group are requests of one result, of which the same object and field decides, and that change in the same way.
type Group struct {
	Result Result
	// By is what decided on the side that makes the difference, and Location where that was read.
	By       resolve.Ref
	Location string
	// Differences are what changed, of the first request.
	Differences []string
	// Before and After are what is said of the first request, the decision in the first line.
	Before, After []string
	// Requests are all of them, in the order asked.
	Requests []Request

	before, after *trace.Trace
}

func (c *Comparison) group(pairs []pair) {
	index := map[string]*Group{}
	for _, p := range pairs {
		if p.result == Unchanged {
			continue
		}
		g := c.groupOf(p)
		key := fmt.Sprintf("%q %q %q", p.result, g.By, transition(p))
		if known, ok := index[key]; ok {
			known.Requests = append(known.Requests, p.request)
			continue
		}
		g.Before, g.After = p.before.headline(c.Before), p.after.headline(c.After)
		index[key] = g
		c.Groups = append(c.Groups, g)
	}
	order := Results()
	slices.SortStableFunc(c.Groups, func(a, b *Group) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Result), slices.Index(order, b.Result)), cmp.Compare(len(b.Requests), len(a.Requests)))
	})
}

// groupOf is a group of the one request. What decides is on the side on which less is delivered; for what moved or
// changed it is on the side after, unless nothing decided there.
func (c *Comparison) groupOf(p pair) *Group {
	g := &Group{Result: p.result, Requests: []Request{p.request}, before: p.before.trace, after: p.after.trace, Differences: differences(p.before.trace, p.after.trace)}
	refused := func(o trace.Outcome) bool { return o.Decision != trace.Delivered }
	taken := func(o trace.Outcome) bool { return o.Decision == trace.Delivered }
	from := c.After
	switch p.result {
	case Broken:
		g.By = decider(p.after.trace, refused)
	case Repaired:
		g.By, from = decider(p.before.trace, refused), c.Before
	case Uncertain, Undetermined:
		if len(p.open) > 0 {
			g.openBy(p, c)
			return g
		}
		g.By = decider(p.after.trace, taken)
	case Moved, Changed, Untraced, Unchanged:
		g.By = decider(p.after.trace, taken)
	}
	if g.By.IsZero() && p.result != Repaired {
		g.By, from = decider(p.before.trace, taken), c.Before
	}
	if !g.By.IsZero() {
		g.Location = from.Snapshot.Locate(g.By)
	}
	return g
}

// openBy is rule 2 of certainty.go.
func (g *Group) openBy(p pair, c *Comparison) {
	g.By = p.open[0]
	if g.Location = c.After.Snapshot.Locate(g.By); g.Location == "" {
		g.Location = c.Before.Snapshot.Locate(g.By)
	}
	for _, ref := range p.open {
		g.Differences = append(g.Differences, ref.Object().String()+" is not the same on both sides, and what it does is not modelled")
	}
}

// transition is what changes, without what differs between two requests of the same cause.
func transition(p pair) string {
	if p.before.trace == nil || p.after.trace == nil {
		return stateOf(p.before) + " → " + stateOf(p.after)
	}
	switch p.result {
	case Moved:
		return strings.Join(backends(p.before.trace), "; ") + " → " + strings.Join(backends(p.after.trace), "; ")
	case Changed:
		return strings.Join(differences(p.before.trace, p.after.trace), "; ")
	case Broken, Repaired, Uncertain, Undetermined, Untraced, Unchanged:
	}
	return stateOf(p.before) + " → " + stateOf(p.after)
}

// stateOf is "Denied 403 100%", or the reason why there is no trace.
func stateOf(s side) string {
	if s.err != nil {
		return s.err.Error()
	}
	if s.trace == nil {
		return ""
	}
	return strings.Join(shares(s.trace.Outcomes, func(o trace.Outcome) string {
		return fmt.Sprint(o.Decision, o.HTTPStatus, o.ResponseFlags, o.Code, o.Certainty)
	}), ", ")
}

// command traces a request of the group on one side.
func (m Mesh) command(r Request) string { return r.Command(m.Flags...) }

// example is the side on which the first request is worth a look: where it is not delivered, else after the change.
func (c *Comparison) example(g *Group) string {
	if g.Result == Repaired {
		return c.Before.command(g.Requests[0])
	}
	return c.After.command(g.Requests[0])
}
