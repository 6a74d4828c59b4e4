package caserun

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/casefile"
	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

const head = "apiVersion: meshtrace.dev/v1alpha1\nkind: TraceTest\nmetadata: {name: s}\ncases:\n"

func suites(t *testing.T, text string) []casefile.Suite {
	t.Helper()
	list, err := casefile.Parse("cases.yaml", []byte(text), func(string) ([]byte, error) { return nil, fs.ErrNotExist })
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func input(t *testing.T, manifests string) resolve.Input {
	t.Helper()
	in, err := load.Manifests(load.ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(manifests), Defer: true})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func runAll(t *testing.T, r Runner, in resolve.Input, text string) *Report {
	t.Helper()
	if r.Walk == nil {
		r.Walk = trace.WalkView
	}
	results, _, err := r.Run(context.Background(), Mesh{Snapshot: resolve.NewSnapshot(in), Flags: []string{"-f", "mesh.yaml"}}, suites(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return &Report{Results: results}
}

const shop = `apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {selector: {app: reviews}, ports: [{name: http, port: 80}]}
`

// Results stand in the order of the files, however the cases are spread over processors.
func TestOrder(t *testing.T) {
	text := head
	for i := range 500 {
		text += fmt.Sprintf("- {name: c%d, request: {url: http://reviews.shop/%d}, expect: {outcomes: [{decision: Unavailable}]}}\n", i, i)
	}
	report := runAll(t, Runner{}, input(t, shop), text)
	if len(report.Results) != 500 || report.Count(Passed) != 500 {
		t.Fatalf("%d results, %d passed: %s", len(report.Results), report.Count(Passed), report.Text(Quiet))
	}
	for i, r := range report.Results {
		if want := fmt.Sprintf("c%d", i); r.Name != want {
			t.Fatalf("%s is at the place of %s", r.Name, want)
		}
	}
}

// Cases of one namespace run behind each other, and are answered as if they did not.
func TestManyNamespaces(t *testing.T) {
	manifests, text := shop, head
	for i := range 40 {
		manifests += fmt.Sprintf("---\napiVersion: v1\nkind: Namespace\nmetadata: {name: n%d, labels: {istio-injection: enabled}}\n", i%20)
		text += fmt.Sprintf("- {name: c%d, request: {url: http://reviews.shop, namespace: n%d}, expect: {outcomes: [{decision: Unavailable}], request: {source: {namespace: n%d}}}}\n", i, i%20, i%20)
	}
	in := input(t, manifests)
	report := runAll(t, Runner{}, in, text)
	if report.Count(Passed) != 40 {
		t.Errorf("%s", report.Text(Normal))
	}
	for i, r := range report.Results {
		if want := fmt.Sprintf("c%d", i); r.Name != want {
			t.Fatalf("%s is at the place of %s", r.Name, want)
		}
	}
	s := newSchedule((&Runner{}).jobs(suites(t, text)), (&Runner{}).sourceNamespace)
	if !s.forgets || !slices.Equal(s.order[:4], []int{0, 20, 1, 21}) {
		t.Errorf("%t %v", s.forgets, s.order)
	}
}

// The command that traces a request again has no credential in it.
func TestCommandDisclosesNothing(t *testing.T) {
	report := runAll(t, Runner{}, input(t, shop), head+`- request: {url: http://reviews.shop, headers: {authorization: "Basic abc", cookie: [d=e, f=g], k: "v w"}}
  expect: {outcomes: [{decision: Denied}]}`)
	want := "kubectl mesh-trace -f mesh.yaml -H 'authorization: …' -H 'cookie: …' -H 'k: v w' http://reviews.shop"
	for i, name := range []string{"http://reviews.shop [headers.cookie=…]", "http://reviews.shop [headers.cookie=…] #2"} {
		if r := report.Results[i]; r.Command != want || r.Name != name {
			t.Errorf("%s: %s", r.Name, r.Command)
		}
	}
}

// What a request can not be is said with the field of the case file.
func TestRefusal(t *testing.T) {
	for request, want := range map[string]string{
		"url: http://reviews.shop, sourceIP: x": `request.sourceIP: "x": expected an IP address such as 203.0.113.7`,
		"url: http://reviews.shop, method: get": `request.method: "get": methods are upper case; expected GET`,
		"url: ftp://reviews.shop":               `request.url: `,
	} {
		r := runAll(t, Runner{}, input(t, shop), head+"- {request: {"+request+"}, expect: {outcomes: [{}]}}\n").Results[0]
		if r.Verdict != Failed || !strings.HasPrefix(r.Error, want) {
			t.Errorf("%s: %s, want %s", request, r.Error, want)
		}
	}
}

func TestOnly(t *testing.T) {
	report := runAll(t, Runner{Only: regexp.MustCompile("^s/b$")}, input(t, shop),
		head+"- {name: a, request: {url: http://reviews.shop}}\n- {name: b, request: {url: http://reviews.shop}}\n")
	if len(report.Results) != 1 || report.Results[0].Name != "b" || report.Results[0].Verdict != Skipped {
		t.Errorf("%+v", report.Results)
	}
}

// A case that passes is walked without what was considered, unless it asks for steps; one that fails is walked once more.
func TestDetail(t *testing.T) {
	for _, tc := range []struct {
		name, expect string
		want         []trace.Detail
	}{
		{"passes", "{outcomes: [{decision: Unavailable}]}", []trace.Detail{trace.DetailNone}},
		{"asks for steps", "{hops: [{steps: [{verdict: matched}]}]}", []trace.Detail{trace.DetailFull}},
		{"fails", "{outcomes: [{decision: Denied}]}", []trace.Detail{trace.DetailNone, trace.DetailFails}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []trace.Detail
			walk := func(s *resolve.Snapshot, q trace.Request, d trace.Detail) (*trace.Trace, error) {
				got = append(got, d)
				return trace.WalkView(s, q, d)
			}
			runAll(t, Runner{Walk: walk}, input(t, shop), head+"- {request: {url: http://reviews.shop}, expect: "+tc.expect+"}\n")
			if !slices.Equal(got, tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// A cluster that could not be read is no failure of a case.
func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := Runner{Walk: trace.WalkView}
	_, _, err := r.Run(ctx, Mesh{Snapshot: resolve.NewSnapshot(input(t, shop))}, suites(t, head+"- {request: {url: http://a}, expect: {outcomes: [{}]}}\n"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Nothing of a file, a mesh or a token gets to a terminal or into a report as it is.
func TestHostile(t *testing.T) {
	const token = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJzZWNyZXQifQ.c2ln"
	text := head + `- {name: "a\e[31m]]>\n--- PASS: b\u202e & <b> # SKIP", request: {url: "http://reviews.shop", headers: {authorization: "Bearer ` + token + `"}}, expect: {outcomes: [{reason: "` + token + `\e]0;\u009b"}]}}` + "\n"
	report := runAll(t, Runner{}, input(t, shop), text)
	document, err := json.Marshal(report.Document())
	if err != nil {
		t.Fatal(err)
	}
	junit, err := report.JUnit()
	if err != nil {
		t.Fatal(err)
	}
	tap, err := report.TAP()
	if err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]string{"text": string(report.Text(Verbose)), "json": string(document), "junit": string(junit), "tap": string(tap)} {
		if i := strings.IndexAny(out, "\x1b\u202e\u009b"); i >= 0 {
			t.Errorf("%s has a control character: %q", name, out[i:])
		}
		if strings.Contains(out, "c2ln") || strings.Contains(out, "eyJpc3MiOiJzZWNyZXQifQ") {
			t.Errorf("%s has the token:\n%s", name, out)
		}
		if strings.Contains(out, "\n--- PASS: b") {
			t.Errorf("%s has a line that nobody wrote:\n%s", name, out)
		}
	}
	var parsed junitSuites
	if err := xml.Unmarshal(junit, &parsed); err != nil {
		t.Fatal(err)
	}
	one := parsed.Suites[0].Cases[0]
	if want := `a\u001b[31m]]>\n--- PASS: b\u202e & <b> # SKIP`; one.Name != want || one.Failure == nil || !strings.Contains(one.Failure.Text, "expected") {
		t.Errorf("%+v", one)
	}
	if !strings.Contains(string(tap), `not ok 1 - s/a\\u001b[31m]]>\\n--- PASS: b\\u202e & <b> \# SKIP`+"\n") && !strings.Contains(string(tap), `\# SKIP`+"\n") {
		t.Errorf("the description begins a directive:\n%s", tap)
	}
}

const virtualServices = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: shop}
spec:
  hosts: ["*.example.com"]
  gateways: [istio-system/front]
  http:
  - match: [{uri: {prefix: /cart}}]
    delegate: {name: cart, namespace: team}
  - route: [{destination: {host: web}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: team}
spec:
  http:
  - match: [{uri: {prefix: /cart/admin}}]
    route: [{destination: {host: admin}}]
  - route: [{destination: {host: cart}}]
    rewrite: {uri: /}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews, ratings.prod.svc.cluster.local, www.example.org]
  http:
  - redirect: {uri: /x}
    fault: {abort: {httpStatus: 418, percentage: {value: 50}}}
`

// A case of istio-config-validator meets VirtualServices that have nothing beside them.
func TestValidatorCases(t *testing.T) {
	in := input(t, virtualServices)
	added := Assume(&in)
	if len(added) != 4 {
		t.Errorf("%d things are assumed: %q", len(added), added)
	}
	if again := Assume(&in); again != nil {
		t.Errorf("assumed twice: %q", again)
	}
	for _, tc := range []struct {
		name, authority, uri, expect string
		want                         []string
	}{
		{"a delegate's match", "*.example.com", "/cart/admin/x", "wantMatch: true, route: [{destination: {host: admin}}]", nil},
		{"the root's match", "a.example.com", "/cart/b?x=y", "wantMatch: true, route: [{destination: {host: cart}}], rewrite: {uri: /}, delegate: {name: cart, namespace: team}", nil},
		{"the root's entry alone", "a.example.com", "/cart", "wantMatch: true, delegate: {name: cart, namespace: team}", nil},
		{"another delegate", "a.example.com", "/cart", "wantMatch: true, delegate: {name: cart}", []string{`delegate: expected {"name":"cart"}, got {"name":"cart","namespace":"team"}`}},
		{"no delegate", "a.example.com", "/", "wantMatch: true, delegate: {name: cart}", []string{`delegate: expected {"name":"cart"}, got none`}},
		{"not that one", "a.example.com", "/", "route: [{destination: {host: cart}}]", nil},
		{"that one, though it should not be", "a.example.com", "/", "route: [{destination: {host: web}}]", []string{`route: expected anything else, got [{"destination":{"host":"web"}}]`}},
		{"each part by itself", "a.example.com", "/", "wantMatch: true, route: [{destination: {host: cart}}], rewrite: {uri: /}", []string{
			`route: expected [{"destination":{"host":"cart"}}], got [{"destination":{"host":"web"}}]`, `rewrite: expected {"uri":"/"}, got none`,
		}},
		{"a port counts", "a.example.com", "/", "wantMatch: true, route: [{destination: {host: web, port: {number: 80}}}]", []string{
			`route: expected [{"destination":{"host":"web","port":{"number":80}}}], got [{"destination":{"host":"web"}}]`,
		}},
		{"of the mesh, short", "reviews", "/", "wantMatch: true, redirect: {uri: /x}, fault: {abort: {httpStatus: 418, percentage: {value: 50}}}", nil},
		{"of the mesh, in another namespace", "ratings.prod.svc.cluster.local", "/", "wantMatch: true, redirect: {uri: /x}", nil},
		{"of the mesh, outside", "www.example.org", "/", "wantMatch: true, redirect: {uri: /x}", nil},
		{"no VirtualService", "example.net", "/", "wantMatch: true, redirect: {uri: /x}", []string{`redirect: expected {"uri":"/x"}, got none`}},
		{"nothing is expected", "example.net", "/", "wantMatch: true", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			report := runAll(t, Runner{}, in, fmt.Sprintf("testCases: [{description: c, request: {authority: [%q], method: [GET], uri: [%q]}, %s}]", tc.authority, tc.uri, tc.expect))
			r := report.Results[0]
			if r.Error != "" {
				t.Error(r.Error)
			}
			var got []string
			for _, m := range r.Mismatches {
				got = append(got, fmt.Sprintf("%s: expected %s, got %s", m.Path, m.Expected, m.Actual))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
