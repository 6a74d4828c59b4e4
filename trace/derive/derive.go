package derive

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// DefaultLimit is how many requests are made where no other number is asked for.
const DefaultLimit = 10_000

// Options say how many requests are wanted, and of what.
type Options struct {
	// Limit is the most requests there may be; 0 stands for DefaultLimit.
	Limit int
	// First tells of the objects whose requests go before all others where not all can be had; nil for none.
	First func(resolve.Ref) bool
}

// Request is a request that was made.
type Request struct {
	trace.Typed
	// Of is the field that it was made of, and What what it is about it: "just beside the path".
	Of   resolve.Ref
	What string
}

// Result is what was made.
type Result struct {
	// Requests are in the order of the meshes and their objects, each request once.
	Requests []Request
	// Kinds are how many were made of each kind of object, by kind.
	Kinds []Kind
	// Omitted are how many there would have been besides.
	Omitted int
}

// Kind is how many requests were made of a kind of object.
type Kind struct {
	Kind              string
	Requests, Objects int
}

// String is "120 requests made of 14 objects (30 of Service, 90 of VirtualService); 7 more left out".
func (r *Result) String() string {
	objects, kinds := 0, ""
	for _, k := range r.Kinds {
		objects += k.Objects
		if kinds != "" {
			kinds += ", "
		}
		kinds += fmt.Sprintf("%d of %s", k.Requests, k.Kind)
	}
	text := fmt.Sprintf("%d made of the configuration: %d objects (%s)", len(r.Requests), objects, kinds)
	if r.Omitted > 0 {
		text += fmt.Sprintf("; %d more left out", r.Omitted)
	}
	return text
}

// Requests makes the requests of meshes: of a change, that before and that after. The error is of a mesh that could not be read to its end.
func Requests(opts Options, meshes ...*resolve.Snapshot) (*Result, error) {
	c := &collector{seen: map[string]bool{}}
	for _, s := range meshes {
		m := newMesh(s, c)
		m.services()
		m.routes()
		m.policies()
		if err := s.Err(); err != nil {
			return nil, err
		}
	}
	return c.choose(opts), nil
}

// collector keeps each request once.
type collector struct {
	seen map[string]bool
	made []Request
}

// add keeps a request, unless it can not be asked, or the same was made before.
func (c *collector) add(r Request) {
	key := fmt.Sprintf("%q", r.Typed)
	if c.seen[key] {
		return
	}
	c.seen[key] = true
	if _, err := trace.NewRequest(r.Typed); err == nil {
		c.made = append(c.made, r)
	}
}

// choose keeps as many as are wanted: first those of the objects that go first, then of each object one after the other,
// so that no object takes the place of all others.
func (c *collector) choose(opts Options) *Result {
	limit := cmp.Or(opts.Limit, DefaultLimit)
	kept := c.made
	if len(kept) > limit {
		kept = c.fairly(opts.First, limit)
	}
	return &Result{Requests: kept, Kinds: kindsOf(kept), Omitted: len(c.made) - len(kept)}
}

func (c *collector) fairly(first func(resolve.Ref) bool, limit int) []Request {
	type place struct{ round, index int }
	rounds := map[resolve.Ref]int{}
	places := make([]place, len(c.made))
	for i, r := range c.made {
		object := r.Of.Object()
		places[i] = place{rounds[object], i}
		if rounds[object]++; first != nil && first(object) {
			places[i].round = -1
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(a.round, b.round), cmp.Compare(a.index, b.index)) })
	places = places[:limit]
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.index, b.index) })
	kept := make([]Request, limit)
	for i, p := range places {
		kept[i] = c.made[p.index]
	}
	return kept
}

func kindsOf(requests []Request) []Kind {
	var out []Kind
	objects := map[resolve.Ref]bool{}
	for _, r := range requests {
		i := slices.IndexFunc(out, func(k Kind) bool { return k.Kind == r.Of.Kind })
		if i < 0 {
			i = len(out)
			out = append(out, Kind{Kind: r.Of.Kind})
		}
		out[i].Requests++
		if object := r.Of.Object(); !objects[object] {
			objects[object] = true
			out[i].Objects++
		}
	}
	slices.SortFunc(out, func(a, b Kind) int { return cmp.Compare(a.Kind, b.Kind) })
	return out
}
