package render

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// percents returns the outcomes' weights rounded to two decimals so that they
// add up to exactly 100: each is rounded down, and the hundredths that are left go to those with the
// largest remainder, the first of equal ones first.
func percents(outcomes []trace.Outcome) []float64 {
	var sum float64
	for _, o := range outcomes {
		sum += max(o.Weight, 0)
	}
	out := make([]float64, len(outcomes))
	if !(sum > 0) || math.IsInf(sum, 0) {
		return out
	}
	const whole = 100_00
	units := make([]int, len(outcomes))
	rest := make([]float64, len(outcomes))
	order := make([]int, len(outcomes))
	left := whole
	for i, o := range outcomes {
		exact := max(o.Weight, 0) / sum * whole
		// A weight such as 33.33 is not a binary number; the sliver keeps it from losing a hundredth.
		floor := math.Floor(exact + 1e-6)
		units[i], rest[i], order[i] = int(floor), exact-floor, i
		left -= units[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rest[b], rest[a]) })
	for i := 0; i < left; i++ {
		units[order[i%len(order)]]++
	}
	for i, u := range units {
		out[i] = float64(u) / 100
	}
	return out
}

// percentText is a weight as a person writes it: 80%, 33.33%, and <0.01% for one that rounds to nothing.
func percentText(weight, rounded float64) string {
	if rounded == 0 && weight > 0 {
		return "<0.01%"
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64) + "%"
}
