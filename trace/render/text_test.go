package render

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// text renders with the fixtures' own reasons.
func text(t *trace.Trace, opts Options) string {
	r := newRenderer(t, opts)
	r.reason = said
	return string(r.render())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

func TestTextGolden(t *testing.T) {
	for name, fixture := range fixtures() {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".txt", text(fixture, Options{Locate: located}))
			golden(t, name+".wide.txt", text(fixture, Options{Locate: located, Wide: true}))
		})
	}
	golden(t, "denied.narrow.txt", text(fixtures()["denied"], Options{Locate: located, Width: 80}))
	golden(t, "nested.narrow.txt", text(fixtures()["nested"], Options{Locate: located, Width: 80}))
	golden(t, "denied.colour.txt", text(fixtures()["denied"], Options{Locate: located, Colour: true}))
}

// TestEveryGoldenIsUsed finds files whose fixture is gone.
func TestEveryGoldenIsUsed(t *testing.T) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Collect(maps.Keys(fixtures()))
	for _, f := range files {
		name, _, _ := strings.Cut(filepath.Base(f), ".")
		if !slices.Contains(names, name) {
			t.Errorf("%s shows no fixture", f)
		}
	}
}

func anyOptions(t *rapid.T) Options {
	opts := Options{Width: rapid.IntRange(0, 200).Draw(t, "width"), Wide: rapid.Bool().Draw(t, "wide")}
	if rapid.Bool().Draw(t, "locate") {
		opts.Locate = located
	}
	return opts
}

func anyFixture(t *rapid.T) *trace.Trace {
	all := fixtures()
	return all[rapid.SampledFrom(slices.Sorted(maps.Keys(all))).Draw(t, "fixture")]
}

// TestColourSaysNothing holds that the text without its colours is the plain text.
func TestColourSaysNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fixture, opts := anyFixture(t), anyOptions(t)
		plain := text(fixture, opts)
		opts.Colour = true
		if d := cmp.Diff(plain, ansi.Strip(text(fixture, opts))); d != "" {
			t.Error(d)
		}
	})
}

func TestColourIsUsed(t *testing.T) {
	if !strings.Contains(text(deniedFixture(), Options{Colour: true}), "\x1b[") {
		t.Error("no colour where it was asked for")
	}
}

// TestNothingHostileGetsThrough holds that a text has line breaks of its own making and printing characters only.
func TestNothingHostileGetsThrough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		opts := anyOptions(t)
		got := text(hostileFixture(), opts)
		if i := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%q at %d", got, i)
		}
		opts.Locate = func(resolve.Ref) string { return "\x1b]8;;http://evil\a.yaml" }
		if got := text(deniedFixture(), opts); strings.ContainsAny(got, "\x1b\a") {
			t.Errorf("a file name got through: %q", got)
		}
	})
}

// TestWidth holds that a folded line fits, unless one word alone is too long, and that folding loses no word.
func TestWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fixture, opts := anyFixture(t), anyOptions(t)
		opts.Width = rapid.IntRange(40, 160).Draw(t, "fold")
		folded := text(fixture, opts)
		for l := range strings.Lines(folded) {
			l = strings.TrimSuffix(l, "\n")
			if lipgloss.Width(l) > opts.Width && strings.Contains(strings.TrimSpace(l), " ") {
				words := strings.Fields(l)
				if lipgloss.Width(words[len(words)-1])+longestMargin < opts.Width {
					t.Errorf("%d wide: %q", opts.Width, l)
				}
			}
		}
		opts.Width = 0
		if d := cmp.Diff(strings.Fields(text(fixture, opts)), strings.Fields(folded)); d != "" {
			t.Error(d)
		}
	})
}

// longestMargin is the widest stretch of fixed columns in front of a cell.
const longestMargin = 45

func TestSameTraceSameBytes(t *testing.T) {
	for name := range fixtures() {
		want := text(fixtures()[name], Options{Wide: true, Locate: located})
		for range 5 {
			if got := text(fixtures()[name], Options{Wide: true, Locate: located}); got != want {
				t.Fatalf("%s differs from run to run", name)
			}
		}
	}
}

func TestNoTrailingSpaces(t *testing.T) {
	for name, fixture := range fixtures() {
		for l := range strings.Lines(text(fixture, Options{Wide: true, Width: 60})) {
			if strings.TrimRight(l, " \n") != strings.TrimSuffix(l, "\n") {
				t.Errorf("%s: %q", name, l)
			}
		}
	}
}

func TestTextAsksTheRules(t *testing.T) {
	if got := Text(deniedFixture(), Options{}); !bytes.Contains(got, []byte(deniedFixture().Hops[0].Steps[0].Reason())) {
		t.Errorf("no reason of the rule in\n%s", got)
	}
	if len(Text(nil, Options{})) == 0 {
		t.Error("no trace gives no text")
	}
}

// TestForks holds what is shared and what is not, beyond what the golden files show.
func TestForks(t *testing.T) {
	matched := step(resolve.StageRoute, resolve.Matched, "route/first", "VirtualService shop/reviews spec.http[0]", "takes every request")
	last := server("reviews", trace.TLSMutual, "")
	for _, tc := range []struct {
		name string
		hops []trace.Hop
		ways [][]int
		want string
	}{
		{
			"the same hops to the end",
			[]trace.Hop{client("v1", matched)},
			[][]int{{0}, {0}},
			`
1 sidecar of shop/web, outbound   0.0.0.0_9080 → 9080 → reviews.shop.svc.cluster.local:9080 → outbound|9080|v1|…
  ✓ Route  matched  VirtualService shop/reviews spec.http[0]  takes every request
50%  Delivered → there
50%  Delivered → there
`,
		},
		{
			"equal steps, another cluster, and the next hop the same",
			[]trace.Hop{client("v1", matched), client("v2", matched), last},
			[][]int{{0, 2}, {1, 2}},
			`
1 sidecar of shop/web, outbound   0.0.0.0_9080 → 9080 → reviews.shop.svc.cluster.local:9080
  ✓ Route  matched  VirtualService shop/reviews spec.http[0]  takes every request
50%  Delivered → there   outbound|9080|v1|…
  2 sidecar of shop/reviews, inbound, mTLS   virtualInbound → inbound|9080||
50%  Delivered → there   outbound|9080|v2|…
  2 sidecar of shop/reviews, inbound, mTLS   virtualInbound → inbound|9080||
`,
		},
		{
			"nothing shared",
			[]trace.Hop{client("v1"), last},
			[][]int{{0}, {1}},
			`
50%  Delivered → there
  1 sidecar of shop/web, outbound   0.0.0.0_9080 → 9080 → reviews.shop.svc.cluster.local:9080 → outbound|9080|v1|…
50%  Delivered → there
  1 sidecar of shop/reviews, inbound, mTLS   virtualInbound → inbound|9080||
`,
		},
		{
			"no hops", nil, [][]int{nil, nil}, `
50%  Delivered → there
50%  Delivered → there
`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			forked := &trace.Trace{Hops: tc.hops}
			for _, hops := range tc.ways {
				forked.Outcomes = append(forked.Outcomes, trace.Outcome{
					Weight: 50, Decision: trace.Delivered, Certainty: trace.Certain, Destination: trace.Destination{Host: "there"}, Hops: hops,
				})
			}
			_, way, _ := strings.Cut(text(forked, Options{}), "\n\n")
			if d := cmp.Diff(strings.TrimPrefix(tc.want, "\n"), way); d != "" {
				t.Error(d)
			}
		})
	}
}
