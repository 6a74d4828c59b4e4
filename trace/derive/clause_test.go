package derive

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	networking "istio.io/api/networking/v1alpha3"
)

func TestPathEdges(t *testing.T) {
	for _, tc := range []struct {
		name   string
		match  *networking.StringMatch
		taken  string
		around []string
	}{
		{"exact", &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: "/a"}}, "/a", []string{"/a/", "/ax"}},
		{"prefix", &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: "/a"}}, "/a", []string{"/a", "/a/", "/a/x", "/ax"}},
		{"prefix with a slash", &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: "/a/"}}, "/a/", []string{"/a", "/a/", "/a/x", "/ax"}},
		{"regex", &networking.StringMatch{MatchType: &networking.StringMatch_Regex{Regex: "/a(b|c)+"}}, "/ab", []string{"/abx"}},
		{"a regex that no path is found for", &networking.StringMatch{MatchType: &networking.StringMatch_Regex{Regex: `[^/].*\b`}}, "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			taken, around := pathEdges(tc.match)
			if taken != tc.taken || !cmp.Equal(around, tc.around) {
				t.Errorf("%q, %q; want %q, %q", taken, around, tc.taken, tc.around)
			}
		})
	}
}

func FuzzExampleOf(f *testing.F) {
	for _, pattern := range []string{"", "/v[0-9]+/(items|carts)", ".*", "a{3,}", "[^/]+", "(", "(?i)abc", "((a{100}){100}){100}", `\pL+`, "^a$"} {
		f.Add(pattern)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		text, ok := exampleOf(pattern)
		if !ok {
			return
		}
		if whole, err := regexp.Compile("^(?:" + pattern + ")$"); err != nil || !whole.MatchString(text) {
			t.Errorf("%q does not match %q", pattern, text)
		}
	})
}
