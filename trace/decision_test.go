package trace

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWorseCertainty(t *testing.T) {
	for _, test := range []struct{ a, b, want Certainty }{
		{"", Assumed, Assumed},
		{"", Undetermined, Undetermined},
		{Undetermined, "", Undetermined},
		{Certain, Assumed, Assumed},
		{Undetermined, Assumed, Undetermined},
		{Assumed, Certain, Assumed},
	} {
		if diff := cmp.Diff(test.want, worse(test.a, test.b)); diff != "" {
			t.Errorf("worse(%q, %q) (-want +got):\n%s", test.a, test.b, diff)
		}
	}
}
