package trace

import "testing"

func TestWorse(t *testing.T) {
	all := []Certainty{"", Certain, Assumed, Undetermined}
	for i, a := range all {
		for j, b := range all {
			if want := all[max(i, j, 1)]; worse(a, b) != want {
				t.Errorf("worse(%q, %q): want %q, got %q", a, b, want, worse(a, b))
			}
		}
	}
}
