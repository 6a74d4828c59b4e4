package trace

import (
	"sync"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// scratch is where the hops of one walk keep their steps until the walk ends. A walk notes far more than
// its trace keeps: a fork copies what was noted before it, and most hops of its branches turn out to be equal. So
// the memory is used again by the next walk, and a trace gets copies of exactly the steps it has.
type scratch struct {
	steps []resolve.Step
	used  int
}

// scratchSteps is how many steps a scratch has room for: a walk of four branches. One of more takes them from the heap.
const scratchSteps = 1024

var scratches = sync.Pool{New: func() any { return &scratch{steps: make([]resolve.Step, scratchSteps)} }}

// grow returns the steps with room for more behind them.
func (s *scratch) grow(steps []resolve.Step, more int) []resolve.Step {
	room := max(usualSteps, 2*len(steps), len(steps)+more)
	if s == nil || s.used+room > len(s.steps) {
		return append(make([]resolve.Step, 0, room), steps...)
	}
	own := s.steps[s.used : s.used : s.used+room]
	s.used += room
	return append(own, steps...)
}

// release gives the memory to another walk. Nothing may refer to it any more.
func (s *scratch) release() {
	clear(s.steps[:s.used]) // what the steps refer to must not outlive their snapshot
	s.used = 0
	scratches.Put(s)
}
