package diff

import (
	"context"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Mesh is one side of a comparison.
type Mesh struct {
	Snapshot *resolve.Snapshot
	// Name says for a person what was read, and Flags make a command read it.
	Name  string
	Flags []string
}

// Request is one request to compare.
type Request struct {
	trace.Typed
	// Why is where the request came from; empty for one that was typed.
	Why string
}

// Result is what has become of a request. It is a closed list.
type Result string

// The results, in the order in which they are shown.
const (
	// Broken is a request of which less is delivered after than before.
	Broken Result = "broken"
	// Repaired is a request of which more is delivered after than before.
	Repaired Result = "repaired"
	// Moved is a request of which as much is delivered, to other backends or in other shares.
	Moved Result = "moved"
	// Changed differs in anything else that is decided: status, flags, code, location, what is forwarded.
	Changed Result = "changed"
	// Uncertain differs in how sure it is alone, or may differ: an object whose effect is not modelled has changed.
	Uncertain Result = "uncertain"
	// Undetermined differs, and on a side it can not be known from here what is decided.
	Undetermined Result = "undetermined"
	// Untraced can be traced on no side.
	Untraced Result = "untraced"
	// Unchanged has the same decisions on both sides.
	Unchanged Result = "unchanged"
)

// Results lists them in their order.
func Results() []Result {
	return []Result{Broken, Repaired, Moved, Changed, Uncertain, Undetermined, Untraced, Unchanged}
}

// Differs reports whether the decisions are others, or may be.
func (r Result) Differs() bool { return r != Unchanged && r != Untraced }

// Comparison is what became of all requests.
type Comparison struct {
	Before, After Mesh
	// From says where the requests came from.
	From   string
	Counts map[Result]int
	// Unknown are those of the unchanged of which a side is undetermined.
	Unknown int
	// Groups are of the requests that differ or could not be traced, by result, the largest first.
	Groups []*Group
}

// Total is how many requests were compared.
func (c *Comparison) Total() int {
	n := 0
	for _, count := range c.Counts {
		n += count
	}
	return n
}

// Differs reports whether a decision is another one, or may be.
func (c *Comparison) Differs() bool {
	return slices.ContainsFunc(Results(), func(r Result) bool { return r.Differs() && c.Counts[r] > 0 })
}

// pair is one request, traced on both sides; without a trace there is the reason. The open are the objects that have changed
// in what is not modelled.
type pair struct {
	request       Request
	before, after side
	open          []resolve.Ref
	result        Result
	unknown       bool
}

type side struct {
	trace *trace.Trace
	err   error
}

// chunk is how many requests a goroutine takes at a time.
const chunk = 16

// Compare traces the requests on both sides; changed tells of objects that are not the same on both, and may be nil. It is the
// error of a side that could not be read to its end.
func Compare(ctx context.Context, before, after Mesh, requests []Request, changed func(resolve.Ref) bool) (*Comparison, error) {
	c := &Comparison{Before: before, After: after, Counts: map[Result]int{}}
	pairs := make([]pair, len(requests))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for start := 0; start < len(requests); start += chunk {
		g.Go(func() error {
			for i := start; i < min(start+chunk, len(requests)); i++ {
				if err := ctx.Err(); err != nil {
					return err
				}
				pairs[i] = compareOne(before.Snapshot, after.Snapshot, requests[i], changed)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, m := range []Mesh{before, after} {
		if err := m.Snapshot.Err(); err != nil {
			return nil, err
		}
	}
	for i := range pairs {
		c.Counts[pairs[i].result]++
		if pairs[i].unknown {
			c.Unknown++
		}
	}
	c.group(pairs)
	return c, nil
}

func compareOne(before, after *resolve.Snapshot, r Request, changed func(resolve.Ref) bool) pair {
	p := pair{request: r}
	q, err := trace.NewRequest(r.Typed)
	if err != nil {
		p.before.err, p.after.err, p.result = err, err, Untraced
		return p
	}
	q.From.DefaultNamespace = r.Namespace
	p.before.trace, p.before.err = trace.WalkView(before, q, trace.DetailNone)
	p.after.trace, p.after.err = trace.WalkView(after, q, trace.DetailNone)
	p.open = unmodelled(changed, p.after, p.before)
	p.result, p.unknown = classify(p.before, p.after, len(p.open) > 0)
	if !p.result.Differs() && p.result != Untraced {
		p.before.trace, p.after.trace = nil, nil // nothing more is said of it
	}
	return p
}

// headline is what is said of a side.
func (s side) headline(m Mesh) []string {
	if s.err != nil {
		return []string{render.EscapeLines(s.err.Error())}
	}
	return render.Headline(s.trace, render.Options{Locate: m.Snapshot.Locate})
}
