package reach

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Matrix is how many requests from many sources end.
type Matrix struct {
	Sources   []*Source
	Questions []Question
	Istio     resolve.Version
	// Answers are those there are, each once.
	Answers  []*Answer
	Warnings []trace.Warning
	// Walks is how many traces it took.
	Walks int
	// columns hold, for each question, the index of the answer of each source.
	columns [][]int32
}

// At is the answer of a source to a question, by their indexes.
func (m *Matrix) At(source, question int) *Answer { return m.Answers[m.Index(source, question)] }

// Index is the index of that answer.
func (m *Matrix) Index(source, question int) int { return int(m.columns[question][source]) }

// column are the answers of some sources to one question.
type column struct {
	cells    []int32
	answers  []*Answer
	warnings []trace.Warning
	walks    int
}

// NewMatrix asks every question of every source.
//
//  1. The sources of a namespace are asked together, and then what was made for them is dropped, so that no more
//     of the mesh is in memory at a time than one namespace sees of it.
//  2. The questions are asked in parallel. The result does not depend on that.
func NewMatrix(ctx context.Context, s *resolve.Snapshot, sources []*Source, questions []Question) (*Matrix, error) {
	m := &Matrix{Sources: sources, Questions: questions, Istio: s.Version, columns: make([][]int32, len(questions))}
	for i := range m.columns {
		m.columns[i] = make([]int32, len(sources))
	}
	f := &filling{matrix: m, known: map[string]int32{}, warned: map[trace.Warning]bool{}}
	for from := 0; from < len(sources); {
		to := from + 1
		for to < len(sources) && sources[to].Namespace == sources[from].Namespace {
			to++
		}
		columns, err := askAll(ctx, s, sources[from:to], questions)
		if err != nil {
			return nil, err
		}
		for i, c := range columns {
			f.fill(i, from, c)
		}
		s.ForgetClients(sources[from].Namespace)
		from = to
	}
	m.Warn()
	return m, nil
}

// Warn adds warnings.
func (m *Matrix) Warn(warnings ...trace.Warning) {
	m.Warnings = append(m.Warnings, warnings...)
	slices.SortFunc(m.Warnings, compareWarnings)
	m.Warnings = slices.Compact(m.Warnings)
}

// askAll asks the sources all questions.
func askAll(ctx context.Context, s *resolve.Snapshot, sources []*Source, questions []Question) ([]column, error) {
	columns := make([]column, len(questions))
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for i := int(next.Add(1)) - 1; i < len(questions); i = int(next.Add(1)) - 1 {
				var err error
				if err := cmp.Or(ctx.Err(), s.Err()); err != nil {
					return err
				}
				if columns[i], err = ask(s, questions[i].Request, sources); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return columns, g.Wait()
}

// filling puts columns together.
type filling struct {
	matrix *Matrix
	known  map[string]int32
	warned map[trace.Warning]bool
}

// fill gives the answers of a column their numbers in the matrix, and puts its cells where the source from is.
func (f *filling) fill(question, from int, c column) {
	m := f.matrix
	numbers := make([]int32, len(c.answers))
	for i, a := range c.answers {
		key := a.key()
		n, ok := f.known[key]
		if !ok {
			n = int32(len(m.Answers))
			f.known[key] = n
			m.Answers = append(m.Answers, a)
		}
		numbers[i] = n
	}
	for i, n := range c.cells {
		m.columns[question][from+i] = numbers[n]
	}
	m.Walks += c.walks
	for _, w := range c.warnings {
		if !f.warned[w] {
			f.warned[w] = true
			m.Warnings = append(m.Warnings, w)
		}
	}
}

// ask makes a column.
func ask(s *resolve.Snapshot, req trace.Request, sources []*Source) (column, error) {
	a := newAsker(s, req)
	c := column{cells: make([]int32, len(sources))}
	byTrace := map[*trace.Trace]int32{}
	byKey := map[string]int32{}
	number := func(answer *Answer) int32 {
		key := answer.key()
		n, known := byKey[key]
		if !known {
			n = int32(len(c.answers))
			byKey[key] = n
			c.answers = append(c.answers, answer)
		}
		return n
	}
	for i, source := range sources {
		parts, err := a.ask(source)
		if err != nil {
			return column{}, err
		}
		for _, p := range parts {
			if _, known := byTrace[p.trace]; !known {
				byTrace[p.trace] = number(Sum(p.trace))
				c.warnings = append(c.warnings, p.trace.Warnings...)
			}
		}
		c.cells[i] = byTrace[parts[0].trace]
		if len(parts) > 1 {
			c.cells[i] = number(c.together(parts, byTrace))
		}
	}
	c.walks = a.walks()
	c.warnings = slices.CompactFunc(slices.SortedFunc(slices.Values(c.warnings), compareWarnings), func(a, b trace.Warning) bool { return a == b })
	return c, nil
}

// together is the answer of a source whose pods may fare differently: each by its share.
func (c *column) together(parts []part, byTrace map[*trace.Trace]int32) *Answer {
	first := c.answers[byTrace[parts[0].trace]]
	same := !slices.ContainsFunc(parts, func(p part) bool { return c.answers[byTrace[p.trace]] != first })
	if same {
		return first
	}
	all := 0
	for _, p := range parts {
		all += p.pods
	}
	whole := &Answer{Source: first.Source, Differ: true}
	for _, p := range parts {
		for _, e := range c.answers[byTrace[p.trace]].Ends {
			e.Weight *= float64(p.pods) / float64(all)
			whole.add(e)
		}
	}
	whole.sort()
	return whole
}

func compareWarnings(a, b trace.Warning) int {
	return cmp.Or(resolve.CompareRefs(a.Ref, b.Ref), cmp.Compare(a.Message, b.Message))
}

// Grid is a matrix as it is shown: rows and columns may stand for several.
type Grid struct {
	Rows, Columns []Line
	// Signs are those of the cells, row by row.
	Signs [][]string
}

// Line is a row or a column: a name, and how many it stands for.
type Line struct {
	Name  string
	Count int
}

// Grid makes one row of the sources, and one column of the questions, of each namespace, as asked. What fares
// differently in one cell is Mixed, with the percentage of what is delivered.
func (m *Matrix) Grid(rowsByNamespace, columnsByNamespace bool, name func(*Source) string, title func(int) string) *Grid {
	rows, rowOf := lines(len(m.Sources), rowsByNamespace, func(i int) string { return cmp.Or(m.Sources[i].Namespace, External) }, func(i int) string { return name(m.Sources[i]) })
	columns, columnOf := lines(len(m.Questions), columnsByNamespace, func(i int) string { return m.Questions[i].Namespace }, title)
	g := &Grid{Rows: rows, Columns: columns, Signs: make([][]string, len(rows))}
	cells := make([]cell, len(rows)*len(columns))
	of := make([]cell, len(m.Answers))
	for i, a := range m.Answers {
		of[i] = cell{sign: a.Sign(), all: 1}
		if a.Reach() == LetThrough {
			of[i].delivered = 1
		}
	}
	for q, column := range m.columns {
		for source, n := range column {
			cells[rowOf[source]*len(columns)+columnOf[q]].add(of[n])
		}
	}
	for i := range rows {
		for j := range columns {
			g.Signs[i] = append(g.Signs[i], cells[i*len(columns)+j].text())
		}
	}
	return g
}

// cell is what one cell of a grid stands for.
type cell struct {
	sign           string
	all, delivered int
}

func (c *cell) add(one cell) {
	switch {
	case c.all == 0:
		c.sign = one.sign
	case c.sign != one.sign:
		c.sign = Mixed
	}
	c.all += one.all
	c.delivered += one.delivered
}

// text is the sign; that of several that differ has with it how many of a hundred are delivered, 0 and 100 where that is all.
func (c *cell) text() string {
	if c.sign != Mixed || c.all == 1 {
		return c.sign
	}
	share := c.delivered * 100 / c.all
	if c.delivered > 0 {
		share = max(share, 1)
	}
	return Mixed + strconv.Itoa(share)
}

// lines are n lines, or one for each namespace, and where each of the n is.
func lines(n int, byNamespace bool, namespace, name func(int) string) ([]Line, []int) {
	var out []Line
	at := make([]int, n)
	seen := map[string]int{}
	for i := range n {
		if !byNamespace {
			at[i] = i
			out = append(out, Line{name(i), 1})
			continue
		}
		key := namespace(i)
		place, ok := seen[key]
		if !ok {
			place = len(out)
			seen[key] = place
			out = append(out, Line{Name: key})
		}
		out[place].Count++
		at[i] = place
	}
	return out, at
}

// Counts is how many cells have each answer, by its index.
func (m *Matrix) Counts() []int {
	counts := make([]int, len(m.Answers))
	for _, column := range m.columns {
		for _, n := range column {
			counts[n]++
		}
	}
	return counts
}
