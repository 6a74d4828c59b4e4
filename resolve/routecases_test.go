package resolve

import (
	"slices"
	"strings"
	"testing"

	networking "istio.io/api/networking/v1alpha3"
)

// Which earlier routes leave nothing for the last one.
func TestShadowedBy(t *testing.T) {
	present := &networking.StringMatch{}
	with := func(name string, m *networking.StringMatch) *networking.HTTPMatchRequest {
		return &networking.HTTPMatchRequest{Headers: matches{name: m}}
	}
	without := func(name string, m *networking.StringMatch) *networking.HTTPMatchRequest {
		return &networking.HTTPMatchRequest{WithoutHeaders: matches{name: m}}
	}
	under := func(prefix string, m *networking.HTTPMatchRequest) *networking.HTTPMatchRequest {
		m.Uri = beginning(prefix)
		return m
	}
	method := func(m *networking.StringMatch) *networking.HTTPMatchRequest {
		return &networking.HTTPMatchRequest{Method: m}
	}
	scheme := func(name string) *networking.HTTPMatchRequest {
		return &networking.HTTPMatchRequest{Scheme: exactly(name)}
	}
	all := &networking.HTTPMatchRequest{}
	for _, tc := range []struct {
		name   string
		routes []*networking.HTTPMatchRequest
		want   []int
	}{
		{"one alone", []*networking.HTTPMatchRequest{with("x", exactly("1")), all, with("y", exactly("1"))}, []int{1}},
		{"present and absent", []*networking.HTTPMatchRequest{with("x", present), without("X", present), all}, []int{0, 1}},
		{"present and absent, each in the other's place", []*networking.HTTPMatchRequest{without("x", present), with("x", present), method(exactly("GET"))}, []int{0, 1}},
		{"a value and not it", []*networking.HTTPMatchRequest{with("x", exactly("1")), without("x", exactly("1")), all}, []int{0, 1}},
		{"a value and not another", []*networking.HTTPMatchRequest{with("x", exactly("1")), without("x", exactly("2")), all}, nil},
		{"present, and not a value", []*networking.HTTPMatchRequest{with("x", present), without("x", exactly("1")), all}, []int{0, 1}},
		{"a value, and absent", []*networking.HTTPMatchRequest{with("x", exactly("1")), without("x", present), all}, nil},
		{"a value, and absent, of what has the value", []*networking.HTTPMatchRequest{with("x", exactly("1")), without("x", present), with("x", exactly("1"))}, []int{0}},
		{"a regex and not it", []*networking.HTTPMatchRequest{with("x", like("1+")), without("x", like("1+")), all}, []int{0, 1}},
		{"a regex that takes the empty value leaves what has no header", []*networking.HTTPMatchRequest{with("x", like("1*")), without("x", like("1*")), all}, nil},
		{"the empty value likewise", []*networking.HTTPMatchRequest{with("x", exactly("")), without("x", exactly("")), all}, nil},
		{"an invalid regex proves nothing", []*networking.HTTPMatchRequest{with("x", like("(")), without("x", like("(")), all}, nil},
		{"a claim proves nothing", []*networking.HTTPMatchRequest{with("@request.auth.claims.a", exactly("1")), without("@request.auth.claims.a", exactly("1")), all}, nil},
		{"under prefixes that both cover it", []*networking.HTTPMatchRequest{under("/a", with("x", present)), under("/", without("x", present)), under("/a/b", with("y", exactly("1")))}, []int{0, 1}},
		{"under prefixes of which one does not", []*networking.HTTPMatchRequest{under("/a", with("x", present)), under("/b", without("x", present)), under("/a/b", with("y", exactly("1")))}, nil},
		{
			"two headers, three rules",
			[]*networking.HTTPMatchRequest{without("x", present), {Headers: matches{"x": present, "y": exactly("1")}}, {Headers: matches{"x": present}, WithoutHeaders: matches{"y": exactly("1")}}, all},
			[]int{0, 1, 2},
		},
		{
			"two headers, and one case is left",
			[]*networking.HTTPMatchRequest{without("x", present), {Headers: matches{"x": present, "y": exactly("1")}}, {Headers: matches{"x": exactly("2")}, WithoutHeaders: matches{"y": exactly("1")}}, all},
			nil,
		},
		{"schemes are no list that ends", []*networking.HTTPMatchRequest{scheme("http"), scheme("https"), all}, nil},
		{"each word of a regex", []*networking.HTTPMatchRequest{method(exactly("GET")), method(exactly("PUT")), method(like("PUT|GET"))}, []int{0, 1}},
		{"a word is left", []*networking.HTTPMatchRequest{method(exactly("GET")), method(exactly("PUT")), method(like("PUT|GET|HEAD"))}, nil},
		{"one prefix has all the words", []*networking.HTTPMatchRequest{under("/a", &networking.HTTPMatchRequest{}), {Uri: like("/a/b|/ab")}}, []int{0}},
		{"methods are no list that ends", []*networking.HTTPMatchRequest{method(exactly("GET")), method(exactly("PUT")), method(exactly("POST")), all}, nil},
		{"the empty word is no word", []*networking.HTTPMatchRequest{with("x", exactly("a")), with("x", like("a|"))}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var routes []*Route
			for _, m := range tc.routes {
				routes = append(routes, &Route{Match: m, VirtualService: &VirtualService{}})
			}
			if got := ShadowedBy(routes)[len(routes)-1]; !slices.Equal(got, tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// With more clauses or words than are asked case by case there is no proof, and an end.
func TestShadowedByHasAnEnd(t *testing.T) {
	var routes []*Route
	add := func(m *networking.HTTPMatchRequest) {
		routes = append(routes, &Route{Match: m, VirtualService: &VirtualService{}})
	}
	for _, name := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
		add(&networking.HTTPMatchRequest{Headers: matches{name: exactly("1")}, WithoutHeaders: matches{"x" + name: exactly("1")}})
		add(&networking.HTTPMatchRequest{WithoutHeaders: matches{name: exactly("1")}, Headers: matches{"x" + name: exactly("1")}})
	}
	words := like(strings.Repeat("a|", mostWords) + "a")
	add(&networking.HTTPMatchRequest{Headers: matches{"p": words, "q": words}, Method: words})
	for i, by := range ShadowedBy(routes) {
		if by != nil {
			t.Errorf("route %d is called dead by %v", i, by)
		}
	}
}

// TakesAll tells a table that leaves nothing from one that does.
func TestTakesAll(t *testing.T) {
	route := func(m *networking.HTTPMatchRequest) *Route {
		return &Route{Match: m, VirtualService: &VirtualService{}}
	}
	present := matches{"x": &networking.StringMatch{}}
	both := []*Route{route(&networking.HTTPMatchRequest{Headers: present}), route(&networking.HTTPMatchRequest{WithoutHeaders: present})}
	if TakesAll(both[:1]) || TakesAll(both[1:]) || TakesAll(nil) || !TakesAll(both) || !TakesAll([]*Route{{}}) {
		t.Error("a header that is there or not is every request, and nothing less is")
	}
}
