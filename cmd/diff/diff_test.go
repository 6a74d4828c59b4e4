package diff

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// to is an outcome that is delivered to a workload.
func to(name string, weight float64) trace.Outcome {
	return trace.Outcome{
		Weight: weight, Decision: trace.Delivered, Certainty: trace.Certain, Reason: "delivered",
		Destination: trace.Destination{Host: "a", Port: 80, Workloads: []resolve.Ref{{Kind: "Deployment", Namespace: "shop", Name: name}}, Endpoints: 1},
	}
}

func denied(weight float64) trace.Outcome {
	return trace.Outcome{Weight: weight, Decision: trace.Denied, HTTPStatus: 403, Code: trace.CodePolicyDeny, Certainty: trace.Certain, Reason: "denied"}
}

func with(o trace.Outcome, change func(*trace.Outcome)) trace.Outcome {
	change(&o)
	return o
}

func traceOf(outcomes ...trace.Outcome) side { return side{trace: &trace.Trace{Outcomes: outcomes}} }

func TestClassify(t *testing.T) {
	unsure := func(o *trace.Outcome) { o.Certainty = trace.Undetermined }
	assumed := func(o *trace.Outcome) { o.Certainty = trace.Assumed }
	for _, tc := range []struct {
		name          string
		before, after side
		open          bool
		want          Result
		unknown       bool
	}{
		{"the same", traceOf(to("a", 100)), traceOf(to("a", 100)), false, Unchanged, false},
		{"the same in another order", traceOf(to("a", 50), to("b", 50)), traceOf(to("b", 50), to("a", 50)), false, Unchanged, false},
		{"another object says the same", traceOf(to("a", 100)), traceOf(with(to("a", 100), func(o *trace.Outcome) { o.By.Name, o.Reason = "x", "other words" })), false, Unchanged, false},
		{"more endpoints", traceOf(to("a", 100)), traceOf(with(to("a", 100), func(o *trace.Outcome) { o.Destination.Endpoints = 9 })), false, Unchanged, false},
		{"undetermined on both sides alike", traceOf(with(to("a", 100), unsure)), traceOf(with(to("a", 100), unsure)), false, Unchanged, true},
		{"refused", traceOf(to("a", 100)), traceOf(denied(100)), false, Broken, false},
		{"a share is refused", traceOf(to("a", 100)), traceOf(to("a", 90), denied(10)), false, Broken, false},
		{"let through", traceOf(denied(100)), traceOf(to("a", 100)), false, Repaired, false},
		{"another workload", traceOf(to("a", 100)), traceOf(to("b", 100)), false, Moved, false},
		{"another split", traceOf(to("a", 90), to("b", 10)), traceOf(to("a", 50), to("b", 50)), false, Moved, false},
		{"another path arrives", traceOf(with(to("a", 100), func(o *trace.Outcome) { o.Forwarded = &trace.Forwarded{Path: "/a"} })), traceOf(with(to("a", 100), func(o *trace.Outcome) { o.Forwarded = &trace.Forwarded{Path: "/b"} })), false, Changed, false},
		{"another status", traceOf(denied(100)), traceOf(with(denied(100), func(o *trace.Outcome) { o.HTTPStatus = 401 })), false, Changed, false},
		{"now undetermined", traceOf(to("a", 100)), traceOf(with(to("a", 100), unsure)), false, Undetermined, false},
		{"the source is gone", traceOf(to("a", 100)), side{err: errors.New("gone")}, false, Changed, false},
		{"no side", side{err: errors.New("gone")}, side{err: errors.New("gone")}, false, Untraced, false},
		{"less sure", traceOf(to("a", 100)), traceOf(with(to("a", 100), assumed)), false, Uncertain, false},
		{"surer", traceOf(with(to("a", 100), assumed)), traceOf(to("a", 100)), false, Uncertain, false},
		{"less sure, and refused", traceOf(to("a", 100)), traceOf(with(denied(100), assumed)), false, Broken, false},
		{"as sure, by another filter", traceOf(with(to("a", 100), assumed)), traceOf(with(to("a", 100), assumed)), true, Uncertain, false},
		{"moved, by another filter too", traceOf(with(to("a", 100), assumed)), traceOf(with(to("b", 100), assumed)), true, Moved, false},
		{"undetermined on both sides, by another filter", traceOf(with(to("a", 100), unsure)), traceOf(with(to("a", 100), unsure)), true, Undetermined, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, unknown := classify(tc.before, tc.after, tc.open)
			if got != tc.want || unknown != tc.unknown {
				t.Errorf("%s, unknown %t; want %s, %t", got, unknown, tc.want, tc.unknown)
			}
		})
	}
}

const mesh = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {selector: {app: reviews}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews, namespace: shop}
spec: {selector: {matchLabels: {app: reviews}}, template: {metadata: {labels: {app: reviews}}, spec: {containers: [{name: app, image: app}]}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
  - match: [{uri: {prefix: %s}}]
    directResponse: {status: 418}
  - route: [{destination: {host: reviews}}]
`

func meshOf(t *testing.T, prefix string) Mesh {
	t.Helper()
	in, err := load.Manifests(load.ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(fmt.Sprintf(mesh, prefix))})
	if err != nil {
		t.Fatal(err)
	}
	return Mesh{Snapshot: resolve.NewSnapshot(in), Name: "-f " + prefix, Flags: []string{"-f", prefix}}
}

func asking(urls ...string) []Request {
	var out []Request
	for _, url := range urls {
		out = append(out, Request{Typed: trace.Typed{URL: url, Namespace: "shop"}})
	}
	return out
}

// Many requests of one cause are one group, whatever else differs between them; the order is that of the requests.
func TestCompareGroups(t *testing.T) {
	var urls []string
	for i := range 500 {
		urls = append(urls, fmt.Sprintf("reviews/tea/%d", i))
	}
	urls = append(urls, "reviews/", "reviews/coffee", "reviews/cof", "ftp://reviews")
	c, err := Compare(t.Context(), meshOf(t, "/coffee"), meshOf(t, "/tea"), asking(urls...), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[Result]int{Broken: 500, Repaired: 1, Unchanged: 2, Untraced: 1}
	if diff := cmp.Diff(want, c.Counts); diff != "" {
		t.Error(diff)
	}
	if len(c.Groups) != 3 || len(c.Groups[0].Requests) != 500 || c.Groups[0].Requests[499].URL != "reviews/tea/499" {
		t.Fatalf("groups %+v", c.Groups)
	}
	if by := c.Groups[0].By.String(); by != "VirtualService shop/reviews spec.http[0].directResponse" {
		t.Errorf("decided by %s", by)
	}
	if by := c.Groups[1].By.String(); by != "VirtualService shop/reviews spec.http[0].directResponse" || !strings.Contains(c.example(c.Groups[1]), "-f /coffee") {
		t.Errorf("what had refused it is on the side before: %s, %s", by, c.example(c.Groups[1]))
	}
	text := string(c.Text(TextOptions{}))
	if strings.Count(text, "reviews/tea/") != 1 || !strings.Contains(text, "kubectl mesh-trace -f /tea -n shop reviews/tea/0") {
		t.Errorf("not one line with one command:\n%s", text)
	}
	if wide := string(c.Text(TextOptions{Wide: true})); strings.Count(wide, "reviews/tea/") != 501 {
		t.Error("wide does not list all requests")
	}
}

const envoyFilter = `
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: lua, namespace: shop, labels: {release: "%s"}}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match: {context: SIDECAR_INBOUND}
    patch: {operation: INSERT_BEFORE, value: {name: lua}}
`

// What is not modelled and has changed leaves no request unchanged that it stands before; one that it does not, it does.
func TestCompareWhatIsNotModelled(t *testing.T) {
	inputs := func(text string) resolve.Input {
		in, err := load.Manifests(load.ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(fmt.Sprintf(mesh, "/coffee") + text)})
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	without, first, second := inputs(""), inputs(fmt.Sprintf(envoyFilter, "1")), inputs(fmt.Sprintf(envoyFilter, "2"))
	for _, tc := range []struct {
		name          string
		before, after resolve.Input
		want          map[Result]int
		differs       string
	}{
		{"none", without, without, map[Result]int{Unchanged: 2}, ""},
		{"the same", first, first, map[Result]int{Unchanged: 2}, ""},
		{"added", without, first, map[Result]int{Unchanged: 1, Uncertain: 1}, "certainty certain → assumed"},
		{"removed", first, without, map[Result]int{Unchanged: 1, Uncertain: 1}, "certainty assumed → certain"},
		{"another", first, second, map[Result]int{Unchanged: 1, Uncertain: 1}, "EnvoyFilter shop/lua is not the same on both sides, and what it does is not modelled"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before, after := Mesh{Snapshot: resolve.NewSnapshot(tc.before)}, Mesh{Snapshot: resolve.NewSnapshot(tc.after)}
			requests := asking("reviews/", "reviews/coffee") // the client's proxy answers the second by itself
			c, err := Compare(t.Context(), before, after, requests, ChangedObjects(tc.before, tc.after))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, c.Counts); diff != "" {
				t.Error(diff)
			}
			if tc.differs == "" {
				return
			}
			if by := c.Groups[0].By.Object().String(); by != "EnvoyFilter shop/lua" || c.Groups[0].Location == "" {
				t.Errorf("by %s at %q", by, c.Groups[0].Location)
			}
			if text := string(c.Text(TextOptions{})); !strings.Contains(text, tc.differs) || !c.Differs() {
				t.Errorf("no %q in\n%s", tc.differs, text)
			}
		})
	}
}

// painted are the sequences that colours are made of.
var painted = regexp.MustCompile("\x1b\\[[0-9;]*m")

// In colour a text says the same, and nothing that it quotes colours anything.
func TestColours(t *testing.T) {
	c, err := Compare(t.Context(), meshOf(t, "/coffee"), meshOf(t, "/tea"), asking("reviews/tea", "reviews/coffee", "reviews/", "ftp://reviews"), nil)
	if err != nil {
		t.Fatal(err)
	}
	plain, coloured := string(c.Text(TextOptions{Wide: true})), string(c.Text(TextOptions{Wide: true, Colour: true}))
	if strings.Contains(plain, "\x1b") || len(painted.FindAllString(coloured, -1)) < 20 {
		t.Errorf("plain:\n%q\ncoloured:\n%q", plain, coloured)
	}
	if diff := cmp.Diff(plain, painted.ReplaceAllString(coloured, "")); diff != "" {
		t.Error(diff)
	}
}

// What a request says is text, on a terminal, in a comment and in a document; and no token is shown.
func TestHostileRequests(t *testing.T) {
	const token = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0."
	requests := asking("reviews/tea")
	requests[0].Why = "\x1b[31m</pre><script>|`x`\u202e\n# heading @team https://evil.example"
	requests[0].Headers = []string{"x-token: " + token}
	c, err := Compare(t.Context(), meshOf(t, "/coffee"), meshOf(t, "/tea"), requests, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Before.Name = requests[0].Why
	data, err := json.Marshal(c.NewDocument())
	if err != nil {
		t.Fatal(err)
	}
	coloured := painted.ReplaceAllString(string(c.Text(TextOptions{Wide: true, Colour: true})), "")
	for name, out := range map[string]string{"text": string(c.Text(TextOptions{Wide: true})), "text in colour": coloured, "markdown": string(c.Markdown()), "json": string(data)} {
		for _, bad := range []string{"\x1b", "\u202e", token} {
			if strings.Contains(out, bad) {
				t.Errorf("%s has %q:\n%s", name, bad, out)
			}
		}
	}
	for _, bad := range []string{"<script>", "`x`", "\n# heading", "@team", "https://evil"} {
		if strings.Contains(string(c.Markdown()), bad) {
			t.Errorf("the comment has %q:\n%s", bad, c.Markdown())
		}
	}
}
