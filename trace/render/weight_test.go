package render

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

func weighted(weights ...float64) []trace.Outcome {
	out := make([]trace.Outcome, len(weights))
	for i, w := range weights {
		out[i].Weight = w
	}
	return out
}

func TestPercents(t *testing.T) {
	for _, tc := range []struct {
		name     string
		in, want []float64
	}{
		{"one", []float64{100}, []float64{100}},
		{"as written", []float64{80, 20}, []float64{80, 20}},
		{"two decimals stay", []float64{33.33, 33.34, 33.33}, []float64{33.33, 33.34, 33.33}},
		{"thirds", []float64{100. / 3, 100. / 3, 100. / 3}, []float64{33.34, 33.33, 33.33}},
		{"the largest remainder gains", []float64{66.664, 33.336}, []float64{66.66, 33.34}},
		{"sevenths", []float64{100. / 7, 200. / 7, 400. / 7}, []float64{14.29, 28.57, 57.14}},
		{"next to nothing", []float64{99.9999, 0.0001}, []float64{100, 0}},
		{"nothing", nil, []float64{}},
		{"no weight at all", []float64{0, 0}, []float64{0, 0}},
		{"not a number", []float64{math.NaN(), 50}, []float64{0, 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, percents(weighted(tc.in...))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestPercentsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Float64Range(0.001, 100), 1, 40).Draw(t, "weights")
		var sum float64
		for _, w := range weights {
			sum += w
		}
		units := 0
		for i, p := range percents(weighted(weights...)) {
			units += int(math.Round(p * 100))
			if exact := weights[i] / sum * 100; math.Abs(p-exact) > 0.011 {
				t.Errorf("%v became %v", exact, p)
			}
		}
		if units != 10000 {
			t.Errorf("%d hundredths", units)
		}
	})
}

func TestPercentText(t *testing.T) {
	for want, in := range map[string][2]float64{
		"80%": {80, 80}, "33.33%": {33.333, 33.33}, "0.5%": {0.5, 0.5}, "<0.01%": {0.001, 0}, "0%": {0, 0},
	} {
		if got := percentText(in[0], in[1]); got != want {
			t.Errorf("percentText(%v) = %s, want %s", in, got, want)
		}
	}
}
