package casefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

const head = "apiVersion: meshtrace.dev/v1alpha1\nkind: TraceTest\n"

func noFile(string) ([]byte, error) { return nil, fs.ErrNotExist }

func mustParse(t *testing.T, text string) []Suite {
	t.Helper()
	suites, err := Parse("dir/cases.yaml", []byte(text), noFile)
	if err != nil {
		t.Fatal(err)
	}
	return suites
}

func TestParse(t *testing.T) {
	suites := mustParse(t, head+`metadata: {name: reviews}
manifests: [../manifests/, /abs, https://example.com/a.yaml]
meshConfig: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}
cases:
- name: v2 for jason
  request: {url: "http://reviews.shop:9080/reviews/0", from: shop/deployment/web, method: GET, headers: {end-user: jason}}
  expect:
    outcomes:
    - { weight: 100, decision: Delivered, destination: { subset: v2 } }
---
# empty
---
`+head+`cases:
- request: {url: http://a, namespace: shop, gateway: g, sourceIP: 10.0.0.1, sni: s, clientCert: c, jwt: t, claims: {iss: x, groups: [a, b], n: 5}}
- request: {url: http://a}
`)
	if len(suites) != 2 {
		t.Fatalf("%d suites", len(suites))
	}
	first, second := suites[0], suites[1]
	if first.Name != "reviews" || second.Name != "dir/cases.yaml" || second.Line != 15 {
		t.Errorf("%q, %q at %s", first.Name, second.Name, second.Source)
	}
	if diff := cmp.Diff([]string{"manifests", "/abs", "https://example.com/a.yaml"}, first.Manifests); diff != "" {
		t.Error(diff)
	}
	if got := string(first.MeshConfig); got != "{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}\n" {
		t.Errorf("mesh config %q", got)
	}
	want := Case{
		Name: "v2 for jason", Source: Source{"dir/cases.yaml", 7},
		Request: trace.Typed{URL: "http://reviews.shop:9080/reviews/0", From: "shop/deployment/web", Method: "GET", Headers: []string{"end-user: jason"}},
	}
	got := first.Cases[0]
	if got.Expect == nil {
		t.Error("nothing is expected")
	}
	got.Expect = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(trace.Typed{
		URL: "http://a", Namespace: "shop", Gateway: "g", SourceIP: "10.0.0.1", SNI: "s", ClientCert: "c", JWT: "t",
		Claims: []string{"iss=x", `groups=["a","b"]`, "n=5"},
	}, second.Cases[0].Request); diff != "" {
		t.Error(diff)
	}
	if a, b := second.Cases[0].Name, second.Cases[1].Name; a != "http://a" || b != "http://a #2" {
		t.Errorf("names %q, %q", a, b)
	}
}

// Lists multiply, the one written first changes slowest, and every case has a name of its own.
func TestListsMultiply(t *testing.T) {
	for _, tc := range []struct {
		name, request string
		want          []string // NAME: REQUEST
	}{
		{"two lists", `{url: http://a, method: [GET, POST], from: [pod/x, external]}`, []string{
			"c [method=GET, from=pod/x]: http://a GET pod/x",
			"c [method=GET, from=external]: http://a GET external",
			"c [method=POST, from=pod/x]: http://a POST pod/x",
			"c [method=POST, from=external]: http://a POST external",
		}},
		{"a list of one", `{url: [http://a], method: [GET]}`, []string{"c: http://a GET"}},
		{"values of a header, and without it", `{url: http://a, headers: {h: [x, ~], i: z}}`, []string{
			"c [headers.h=x]: http://a h: x|i: z", "c [headers.h=~]: http://a i: z",
		}},
		{"sets of headers", `{url: http://a, headers: [{h: x, i: y}, {}]}`, []string{"c [headers=#1]: http://a h: x|i: y", "c [headers=#2]: http://a"}},
		{"sets of claims", `{url: http://a, claims: [{iss: x}, {iss: y, g: [1]}]}`, []string{"c [claims=#1]: http://a iss=x", "c [claims=#2]: http://a iss=y|g=[1]"}},
		{"tokens are not shown", `{url: http://a, jwt: [secret1, secret2]}`, []string{"c [jwt=#1]: http://a secret1", "c [jwt=#2]: http://a secret2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, c := range mustParse(t, head+"cases: [{name: c, request: "+tc.request+"}]")[0].Cases {
				q := c.Request
				words := strings.Fields(fmt.Sprintln(q.URL, q.Method, q.From, strings.Join(q.Headers, "|"), strings.Join(q.Claims, "|"), q.JWT))
				got = append(got, c.Name+": "+strings.Join(words, " "))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is wrong is said in one line that names the file, the line, the document, the field and what was expected.
func TestProblems(t *testing.T) {
	one := func(request, expect string) string {
		return head + "cases:\n- request: " + request + "\n  expect: " + expect + "\n"
	}
	url := "{url: http://a}"
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "", "c.yaml: there is nothing in it; expected a document of kind TraceTest"},
		{"no mapping", "[]", "c.yaml:1: document 1: expected a document of kind TraceTest, got a list"},
		{"another kind", "apiVersion: v1\nkind: Service", `c.yaml:1: document 1: expected apiVersion meshtrace.dev/v1alpha1 and kind TraceTest, got "v1" and "Service"`},
		{"another version", "apiVersion: meshtrace.dev/v9\nkind: TraceTest", `c.yaml:1: document 1: expected apiVersion meshtrace.dev/v1alpha1 and kind TraceTest, got "meshtrace.dev/v9" and "TraceTest"`},
		{"the second document", head + "cases: []\n---\n" + head, "c.yaml:5: document 2: cases: missing; expected a list of cases"},
		{"no YAML", head + "cases: [", "c.yaml:3: document 1: not YAML: did not find expected node content"},
		{"an unknown field", head + "case: []\ncases: []", "c.yaml:3: document 1: case: unknown field; expected one of apiVersion, cases, kind, manifests, meshConfig, metadata"},
		{"a field twice", head + "cases: []\ncases: []", "c.yaml:4: document 1: cases: stands twice"},
		{"no list", head + "cases: {}", "c.yaml:3: document 1: cases: expected a list, got a mapping"},
		{"no request", head + "cases:\n- name: a", "c.yaml:4: document 1: cases[0].request: missing; expected a mapping with url"},
		{"no url", one("{from: a}", "~"), "c.yaml:4: document 1: cases[0].request.url: missing; expected [scheme://]host[:port][/path][?query]"},
		{"an unknown field of a request", one("{url: a, metod: GET}", "~"), "c.yaml:4: document 1: cases[0].request.metod: unknown field; expected one of claims, clientCert, from, gateway, headers, jwt, method, namespace, sni, sourceIP, url"},
		{"an empty list", one("{url: a, method: []}", "~"), "c.yaml:4: document 1: cases[0].request.method: the list is empty, so there would be no request"},
		{"an empty value", one("{url: a, from: ''}", "~"), "c.yaml:4: document 1: cases[0].request.from: is empty; leave it out, or give a value"},
		{"a mapping for a text", one("{url: {a: b}}", "~"), "c.yaml:4: document 1: cases[0].request.url: expected a text, got a mapping"},
		{"a list as header", one("{url: a, headers: {a: [[b]]}}", "~"), "c.yaml:4: document 1: cases[0].request.headers.a: expected a text, got a list"},
		{"headers as texts", one("{url: a, headers: ['a: b']}", "~"), `c.yaml:4: document 1: cases[0].request.headers: expected a mapping, got "a: b"`},
		{"a missing token", one("{url: a, jwt: '@token'}", "~"), "c.yaml:4: document 1: cases[0].request.jwt: read the token: file does not exist"},
		{"too many", one("{url: a, method: &m ["+strings.Repeat("GET,", 1000)+"], from: *m}", "~"), "c.yaml:4: document 1: cases[0].request: stands for more than 100000 requests; split it"},
		{"an unknown expectation", one(url, "{outcome: []}"), "c.yaml:5: document 1: cases[0].expect.outcome: unknown field; expected one of request, istio, outcomes, hops, warnings"},
		{"an unknown field of an outcome", one(url, "{outcomes: [{dest: a}]}"), "c.yaml:5: document 1: cases[0].expect.outcomes[0].dest: unknown field; expected one of by, certainty, code, decision, destination, forwarded, hint, hops, httpStatus, location, otherwise, reason, responseCodeDetails, responseFlags, weight"},
		{"an unknown decision", one(url, "{outcomes: [{decision: delivered}]}"), `c.yaml:5: document 1: cases[0].expect.outcomes[0].decision: "delivered": expected one of Delivered, Redirected, Responded, NotRouted, Denied, Unavailable, Reset`},
		{"a text for a number", one(url, "{outcomes: [{httpStatus: 4o4}]}"), `c.yaml:5: document 1: cases[0].expect.outcomes[0].httpStatus: expected a whole number, got "4o4"`},
		{"nothing for a text", one(url, "{outcomes: [{code: ~}]}"), "c.yaml:5: document 1: cases[0].expect.outcomes[0].code: expected a text, got nothing"},
		{"no pattern", one(url, "{outcomes: [{reason: {matches: '('}}]}"), "c.yaml:5: document 1: cases[0].expect.outcomes[0].reason.matches: expected a regular expression: error parsing regexp: missing closing ): `(`"},
		{"a path of stdin", head + "manifests: ['-']\ncases: []", `c.yaml:3: document 1: manifests[0]: expected a file or a directory, got "-"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse("c.yaml", []byte(tc.text), noFile)
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("%v", err)
			}
			if diff := cmp.Diff(tc.want, problems[0].Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one := func(name string) string {
		return head + "metadata: {name: " + name + "}\ncases: [{request: {url: a, jwt: '@../token'}}]\n"
	}
	write("b.yaml", one("b"))
	write("a.yml", "apiVersion: v1\nkind: Service\n---\n"+one("a"))
	write("service.yaml", "apiVersion: v1\nkind: Service\n")
	write("notes.txt", "[")
	write("below/c.json", `{"apiVersion": "meshtrace.dev/v1alpha1", "kind": "TraceTest", "metadata": {"name": "c"}, "cases": []}`)
	write("../token", "abc\n")
	defer func() { _ = os.Remove(filepath.Join(dir, "../token")) }()
	names := func(suites []Suite) string {
		var out []string
		for _, s := range suites {
			out = append(out, s.Name)
		}
		return strings.Join(out, " ")
	}
	for _, tc := range []struct {
		name  string
		paths []string
		o     Options
		want  string
		err   string
	}{
		{name: "a directory", paths: []string{dir}, want: "a b"},
		{name: "and those below", paths: []string{dir}, o: Options{Recursive: true}, want: "a b c"},
		{name: "files in their order", paths: []string{dir + "/b.yaml", dir + "/below/c.json"}, want: "b c"},
		{name: "stdin", paths: []string{"-"}, o: Options{Stdin: strings.NewReader(head + "metadata: {name: s}\ncases: []")}, want: "s"},
		{name: "a named file of another kind", paths: []string{dir + "/service.yaml"}, err: "expected apiVersion"},
		{name: "no such file", paths: []string{dir + "/none"}, err: "no such file or directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			suites, err := Read(tc.paths, tc.o)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("error %v, want %q", err, tc.err)
			}
			if got := names(suites); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
	suites, err := Read([]string{dir + "/b.yaml"}, Options{})
	if err != nil || suites[0].Cases[0].Request.JWT != "abc" {
		t.Errorf("the token of a file: %v, %v", suites, err)
	}
	if err := os.Remove(filepath.Join(dir, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "a.yml")); err != nil {
		t.Fatal(err)
	}
	if _, err := Read([]string{dir}, Options{}); err == nil || !strings.Contains(err.Error(), "no case file in this directory; -R reads the directories below it") {
		t.Errorf("a directory without cases: %v", err)
	}
}

// Every field and value that anchors give stands as if it were written out.
func TestAnchors(t *testing.T) {
	suites := mustParse(t, head+`cases:
- &base
  name: a
  request: &q {url: http://a, method: GET}
  expect: &e {outcomes: [{decision: Delivered}]}
- {name: b, request: {<<: *q, method: POST}, expect: *e}
- {<<: *base, name: c}
`)
	var got []string
	for _, c := range suites[0].Cases {
		got = append(got, fmt.Sprint(c.Name, " ", c.Request.URL, " ", c.Request.Method, " ", c.Expect != nil))
	}
	if diff := cmp.Diff([]string{"a http://a GET true", "b http://a POST true", "c http://a GET true"}, got); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{"cases: &a [*a]", "cases: [{request: &q {<<: *q}}]", "a: &a {<<: [*a, *a, *a, *a]}"} {
		if _, err := Parse("c.yaml", []byte(head+text), noFile); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

// FuzzParse holds that no text makes the parser panic, that a problem is one line, and that the same text gives the same cases.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		head + "cases: [{request: {url: a, headers: {a: [b, ~]}, claims: [{a: [b]}], jwt: '@x'}, expect: {outcomes: [{weight: 1, reason: {matches: a}}], hops: [{tls: mTLS}]}}]",
		"testCases: [{description: a, wantMatch: true, request: {authority: ['*.a'], method: [GET], uri: [/a?b]}, route: [{destination: {host: a, port: {number: 80}}}]}]",
		"testCases: [{x: y, request: {headers: {a: b}}, fault: {abort: {percentage: {value: 100}, httpStatus: 403}}}]",
		head + "cases: &a [*a]", "a: &a {<<: *a}", "%YAML 1.2\n---\n", "? [a]\n: b\n", "a: !!binary x", "\t", "&a [*a]", "{", head + "meshConfig: {a: [*b]}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		suites, err := Parse("c.yaml", []byte(text), noFile)
		var problems Problems
		if errors.As(err, &problems) {
			for _, p := range problems {
				if strings.Contains(p.Error(), "\n") {
					t.Errorf("more than one line: %q", p.Error())
				}
			}
		} else if err != nil {
			t.Errorf("not Problems: %v", err)
		}
		describe := func(suites []Suite) string {
			var b strings.Builder
			for _, s := range suites {
				for _, c := range s.Cases {
					fmt.Fprintf(&b, "%s %s %+v\n", c.Source, c.Name, c.Request)
				}
			}
			return b.String()
		}
		again, _ := Parse("c.yaml", []byte(text), noFile)
		if diff := cmp.Diff(describe(suites), describe(again)); diff != "" {
			t.Error(diff)
		}
	})
}
