package trace

import "testing"

// TestEndIsAsCertainAsTheWay holds that an outcome is never more certain than the path to it.
func TestEndIsAsCertainAsTheWay(t *testing.T) {
	for _, tc := range []struct{ path, outcome, want Certainty }{
		{Certain, "", Certain},
		{Assumed, "", Assumed},
		{Undetermined, "", Undetermined},
		{Certain, Undetermined, Undetermined},
		{Undetermined, Assumed, Undetermined},
		{Assumed, Certain, Assumed},
	} {
		t.Run(string(tc.path+"+"+tc.outcome), func(t *testing.T) {
			var w walk
			w.end(&path{share: 1, certainty: tc.path}, Outcome{Decision: Delivered, Certainty: tc.outcome})
			if got := w.outcomes[0].Certainty; got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
