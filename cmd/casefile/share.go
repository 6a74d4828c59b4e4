package casefile

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// The outcomes that are expected are shares of the requests:
//
//  1. One that gives a weight stands for outcomes of the trace that match its other fields and weigh as much together: {weight: 100, decision:
//     Delivered} matches where one half goes to v1 and the other to v2. With weight 0 no outcome may match.
//  2. One without a weight stands for at least one outcome.
//  3. Each outcome of the trace belongs to one of them, in whichever order they stand. Only where each gives a weight may outcomes belong to
//     none: {weight: 80, destination: {subset: v1}} says nothing of the other 20. So a list without weights never passes where a part of
//     the requests ends as nobody expected. {} stands for whatever is left.

// share is one expected outcome.
type share struct {
	want want
	// weight is in percent; hasWeight tells none from 0.
	weight    float64
	hasWeight bool
}

func shareOf(w want) share {
	s := share{want: w}
	s.want.fields = nil
	for _, f := range w.fields {
		if weight, ok := f.want.value.(float64); ok && f.name == "weight" {
			s.weight, s.hasWeight = weight, true
			continue
		}
		s.want.fields = append(s.want.fields, f)
	}
	return s
}

// outcomes compares the outcomes of a trace with the shares that are expected.
func (m *matcher) outcomes(w want, actual []render.Outcome, path string) {
	if len(w.items) == 0 {
		m.add(path, "an empty list", fmt.Sprintf("a list of %d", len(actual)))
		return
	}
	a := assignment{actual: actual, sums: make([]float64, len(w.items)), counts: make([]int, len(w.items)), free: true}
	for _, item := range w.items {
		s := shareOf(item)
		a.free = a.free && s.hasWeight
		a.shares = append(a.shares, s)
	}
	a.fit(path)
	if m.explainShares(&a, path) {
		return
	}
	switch found, whole := a.assign(0); {
	case found:
	case !whole:
		m.add(path, fmt.Sprintf("a list of %d", len(a.shares)), fmt.Sprintf("%d outcomes, which are too many to tell whether they add up so", len(actual)))
	default:
		m.explainSums(&a, path)
	}
}

// assignment gives each outcome to a share.
type assignment struct {
	shares []share
	actual []render.Outcome
	// differ are the mismatches of each share (first index) with each outcome.
	differ [][][]Mismatch
	// free allows outcomes that belong to no share.
	free bool

	sums   []float64
	counts []int
	steps  int
}

// maxSteps bounds the search; a trace has a few outcomes, and a list a few shares.
const maxSteps = 1_000_000

func (a *assignment) fit(path string) {
	for i, s := range a.shares {
		row := make([][]Mismatch, len(a.actual))
		for j := range a.actual {
			row[j] = differences(s.want, reflect.ValueOf(&a.actual[j]).Elem(), at(path, i), j)
		}
		a.differ = append(a.differ, row)
	}
}

func (a *assignment) fits(share, outcome int) bool { return len(a.differ[share][outcome]) == 0 }

// assign tries every share for the outcomes from the index on. whole is false where the search was given up.
func (a *assignment) assign(outcome int) (found, whole bool) {
	if a.steps++; a.steps > maxSteps {
		return false, false
	}
	if outcome == len(a.actual) {
		return a.addsUp(), true
	}
	weight := a.actual[outcome].Weight
	mustNot := false
	for i, s := range a.shares {
		if !a.fits(i, outcome) {
			continue
		}
		if s.hasWeight && s.weight == 0 {
			mustNot = true
			continue
		}
		if s.hasWeight && a.sums[i]+weight > s.weight+0.02 {
			continue
		}
		a.sums[i] += weight
		a.counts[i]++
		found, whole := a.assign(outcome + 1)
		a.sums[i] -= weight
		a.counts[i]--
		if found || !whole {
			return found, whole
		}
	}
	if a.free && !mustNot {
		return a.assign(outcome + 1)
	}
	return false, true
}

// addsUp reports whether every share has what it stands for.
func (a *assignment) addsUp() bool {
	for i, s := range a.shares {
		if s.hasWeight && !near(a.sums[i], s.weight) || !s.hasWeight && a.counts[i] == 0 {
			return false
		}
	}
	return true
}

// explainShares adds what is wrong whichever way outcomes are given to shares: a share that no outcome matches, and an outcome that matches
// no share. It reports whether there is any.
func (m *matcher) explainShares(a *assignment, path string) bool {
	before := len(m.found)
	explained := make([]bool, len(a.actual))
	for i, s := range a.shares {
		nearest := 0
		for j := range a.actual {
			if len(a.differ[i][j]) < len(a.differ[i][nearest]) || len(a.differ[i][j]) == len(a.differ[i][nearest]) && a.isTaken(nearest) && !a.isTaken(j) {
				nearest = j
			}
		}
		if s.hasWeight && s.weight == 0 || len(a.actual) == 0 || a.fits(i, nearest) {
			continue
		}
		m.found = append(m.found, a.differ[i][nearest]...)
		explained[nearest] = true
	}
	for j, o := range a.actual {
		if !a.free && !a.isTaken(j) && !explained[j] {
			m.found = append(m.found, Mismatch{Path: path, Expected: "an outcome for each", Actual: "one that is none of these: " + describeOutcome(o), Outcome: j})
		}
	}
	return len(m.found) > before
}

// isTaken reports whether an outcome matches some share.
func (a *assignment) isTaken(outcome int) bool {
	for i := range a.shares {
		if a.fits(i, outcome) {
			return true
		}
	}
	return false
}

// explainSums adds the shares whose weight is not that of the outcomes that match them.
func (m *matcher) explainSums(a *assignment, path string) {
	before := len(m.found)
	for i, s := range a.shares {
		if !s.hasWeight {
			continue
		}
		sum, first := 0., -1
		for j, o := range a.actual {
			if a.fits(i, j) {
				sum += o.Weight
				if first < 0 {
					first = j
				}
			}
		}
		if !near(sum, s.weight) {
			m.found = append(m.found, Mismatch{
				Path: at(path, i) + ".weight", Expected: number(s.weight), Actual: number(sum), Outcome: first,
			})
		}
	}
	if len(m.found) == before {
		m.add(path, fmt.Sprintf("%d outcomes, each by itself", len(a.shares)), fmt.Sprintf("%d outcomes", len(a.actual)))
	}
}

func number(f float64) string { return fmt.Sprint(float64(int64(f*100+0.5)) / 100) }

// describeOutcome is an outcome on one line.
func describeOutcome(o render.Outcome) string {
	parts := []string{number(o.Weight) + "% " + o.Decision}
	if o.HTTPStatus != 0 {
		parts = append(parts, fmt.Sprint(o.HTTPStatus))
	}
	if o.Code != "" {
		parts = append(parts, o.Code)
	}
	if o.Destination.Host != "" {
		to := "to " + o.Destination.Host
		if o.Destination.Subset != "" {
			to += " subset " + o.Destination.Subset
		}
		parts = append(parts, to)
	}
	return strings.Join(parts, " ")
}
