package resolve

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	networking "istio.io/api/networking/v1alpha3"
)

func exactly(s string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: s}}
}

func beginning(s string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: s}}
}

func like(s string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Regex{Regex: s}}
}

type matches = map[string]*networking.StringMatch

func TestCovers(t *testing.T) {
	match := func(m *networking.HTTPMatchRequest) *Route {
		return &Route{Match: m, VirtualService: &VirtualService{}}
	}
	uri := func(m *networking.StringMatch) *Route { return match(&networking.HTTPMatchRequest{Uri: m}) }
	segments := func(prefix string) *Route {
		r := uri(beginning(prefix))
		r.VirtualService.Semantics = SemanticsGateway
		return r
	}
	folded := func(m *networking.StringMatch) *Route {
		return match(&networking.HTTPMatchRequest{Uri: m, IgnoreUriCase: true})
	}
	header := func(name string, m *networking.StringMatch) *Route {
		return match(&networking.HTTPMatchRequest{Headers: matches{name: m}})
	}
	without := func(name string, m *networking.StringMatch) *Route {
		return match(&networking.HTTPMatchRequest{WithoutHeaders: matches{name: m}})
	}
	for _, tc := range []struct {
		name           string
		earlier, later *Route
		want           bool
	}{
		{"no match takes all", &Route{}, uri(exactly("/a")), true},
		{"a plain prefix takes more than its segment", uri(beginning("/policy")), uri(beginning("/policy-author")), true},
		{"a segment prefix does not", segments("/policy"), segments("/policy-author"), false},
		{"a segment prefix takes what is under it", segments("/policy"), segments("/policy/x"), true},
		{"a segment prefix takes a plain one only behind the slash", segments("/a"), uri(beginning("/a")), false},
		{"a segment prefix takes a plain one behind the slash", segments("/a"), uri(beginning("/a/")), true},
		{"a plain prefix with a slash does not take the bare segment", uri(beginning("/a/")), segments("/a"), false},
		{"the other way round", uri(beginning("/policy-author")), uri(beginning("/policy")), false},
		{"a prefix takes an exact path", uri(beginning("/a")), uri(exactly("/ab")), true},
		{"an exact path takes no prefix", uri(exactly("/a")), uri(beginning("/a")), false},
		{"a regex takes the paths that it matches", uri(like("/v[0-9]+")), uri(exactly("/v12")), true},
		{"a regex takes itself", uri(like("/v[0-9]+")), uri(like("/v[0-9]+")), true},
		{"two regexes are not compared", uri(like("/v[0-9]+")), uri(like("/v[1-2]+")), false},
		{"an invalid regex proves nothing", uri(like("/v[")), uri(like("/v[")), false},
		{"folded takes plain", folded(beginning("/a")), uri(beginning("/A")), true},
		{"plain does not take folded", uri(beginning("/a")), folded(beginning("/a")), false},
		{"a slash takes a match without uri", uri(beginning("/")), header("a", exactly("b")), true},
		{"a header narrows", header("a", exactly("b")), &Route{}, false},
		{"presence takes a value", header("a", &networking.StringMatch{}), header("A", exactly("b")), true},
		{"a value does not take presence", header("a", exactly("b")), header("a", &networking.StringMatch{}), false},
		{"another header", header("a", exactly("b")), header("c", exactly("b")), false},
		{"forbidden alike", without("a", exactly("b")), without("a", exactly("b")), true},
		{"forbidden and asked for with another value", without("a", exactly("b")), header("a", exactly("c")), true},
		{"forbidden and not spoken of", without("a", exactly("b")), &Route{Match: &networking.HTTPMatchRequest{}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.earlier.Covers(tc.later); got != tc.want {
				t.Errorf("%s covers %s: %v", tc.earlier.Describe(), tc.later.Describe(), got)
			}
		})
	}
}

// TestNoRequestReachesADeadRoute makes tables and requests up, of few words so that they meet: requests at random,
// and requests made of the routes' own matches. None may choose a route that is called dead.
func TestNoRequestReachesADeadRoute(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	dead, together, chosen := 0, 0, 0
	for range 20_000 {
		routes := randomRoutes(dice)
		by := ShadowedBy(routes)
		requests := []*HTTPRequest{}
		for range 8 {
			requests = append(requests, randomRequest(dice))
		}
		for _, r := range routes {
			example, _ := r.Example(randomRequest(dice))
			requests = append(requests, example)
		}
		for _, q := range requests {
			got, _, _ := ChooseRoute(routes, q)
			for i, r := range routes {
				if got == r {
					chosen++
				}
				if got == r && by[i] != nil {
					t.Fatalf("%s %s://%s%s %v is routed by %d, %s, which is called dead because of %s",
						q.Method, q.Scheme, q.Authority, q.PathAndQuery(), q.Headers, i, r.Describe(), describeAll(routes, by[i]))
				}
			}
		}
		for _, taken := range by {
			if len(taken) > 0 {
				dead++
			}
			if len(taken) > 1 {
				together++
			}
		}
	}
	if dead < 1000 || together < 200 || chosen < 10_000 {
		t.Errorf("the tables prove little: %d dead routes, %d by several, %d choices", dead, together, chosen)
	}
}

func describeAll(routes []*Route, places []int) string {
	var out []string
	for _, j := range places {
		out = append(out, fmt.Sprintf("%d, %s", j, routes[j].Describe()))
	}
	return strings.Join(out, " and ")
}

func pick[T any](dice *rand.Rand, from ...T) T { return from[dice.IntN(len(from))] }

func randomMatch(dice *rand.Rand, words ...string) *networking.StringMatch {
	word := pick(dice, words...)
	switch dice.IntN(5) {
	case 0, 1:
		return exactly(word)
	case 2:
		return beginning(word[:1+dice.IntN(len(word))])
	case 3:
		return like(pick(dice, word, word+"|"+pick(dice, words...), word+".*", "["+word+"]+", "("+word+")?", ".*", "*", "("))
	}
	return &networking.StringMatch{}
}

func randomRoutes(dice *rand.Rand) []*Route {
	semantics := pick(dice, SemanticsVirtualService, SemanticsVirtualService, SemanticsGateway)
	var routes []*Route
	for range 2 + dice.IntN(4) {
		m := &networking.HTTPMatchRequest{IgnoreUriCase: dice.IntN(6) == 0}
		if dice.IntN(4) > 0 {
			m.Uri = randomMatch(dice, "/a", "/A", "/a/b", "/a/bc", "/")
		}
		if dice.IntN(4) == 0 {
			m.Method = randomMatch(dice, "GET", "PUT")
		}
		if dice.IntN(6) == 0 {
			m.Scheme = randomMatch(dice, "http", "https")
		}
		if dice.IntN(6) == 0 {
			m.Authority = randomMatch(dice, "h", "h:80")
		}
		for _, named := range []*matches{&m.Headers, &m.WithoutHeaders, &m.QueryParams} {
			for range dice.IntN(2) * dice.IntN(3) {
				if *named == nil {
					*named = matches{}
				}
				(*named)[pick(dice, "x", "X", "y")] = randomMatch(dice, "1", "12", "ab")
			}
		}
		if last := len(routes) - 1; last >= 0 && dice.IntN(2) == 0 { // what the one before asks for, this one forbids, or the reverse
			before := routes[last].Match
			m.Headers, m.WithoutHeaders = maps.Clone(before.WithoutHeaders), maps.Clone(before.Headers)
			if dice.IntN(2) == 0 {
				m.Uri, m.IgnoreUriCase, m.Method, m.QueryParams = before.Uri, before.IgnoreUriCase, before.Method, before.QueryParams
			}
		}
		routes = append(routes, &Route{Match: m, VirtualService: &VirtualService{Semantics: semantics}})
	}
	return routes
}

func randomRequest(dice *rand.Rand) *HTTPRequest {
	q := &HTTPRequest{
		Method: pick(dice, "GET", "PUT"), Scheme: pick(dice, "http", "https"), Authority: pick(dice, "h", "h:80"),
		Path: pick(dice, "/", "/a", "/A", "/a/", "/a/b", "/ab", "/a/bc", "/A/B"), Query: pick(dice, "", "x=1", "x=12&y=ab", "X=1"), Headers: map[string]string{},
	}
	for _, name := range []string{"x", "y"} {
		if dice.IntN(2) == 0 {
			q.Headers[name] = pick(dice, "", "1", "12", "ab")
		}
	}
	return q
}
