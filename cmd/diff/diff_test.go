package diff

import (
	"encoding/json"
	"errors"
	"fmt"
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
	for _, tc := range []struct {
		name          string
		before, after side
		want          Result
		unknown       bool
	}{
		{"the same", traceOf(to("a", 100)), traceOf(to("a", 100)), Unchanged, false},
		{"the same in another order", traceOf(to("a", 50), to("b", 50)), traceOf(to("b", 50), to("a", 50)), Unchanged, false},
		{"another object says the same", traceOf(to("a", 100)), traceOf(with(to("a", 100), func(o *trace.Outcome) { o.By.Name, o.Reason = "x", "other words" })), Unchanged, false},
		{"more endpoints", traceOf(to("a", 100)), traceOf(with(to("a", 100), func(o *trace.Outcome) { o.Destination.Endpoints = 9 })), Unchanged, false},
		{"undetermined on both sides alike", traceOf(with(to("a", 100), unsure)), traceOf(with(to("a", 100), unsure)), Unchanged, true},
		{"refused", traceOf(to("a", 100)), traceOf(denied(100)), Broken, false},
		{"a share is refused", traceOf(to("a", 100)), traceOf(to("a", 90), denied(10)), Broken, false},
		{"let through", traceOf(denied(100)), traceOf(to("a", 100)), Repaired, false},
		{"another workload", traceOf(to("a", 100)), traceOf(to("b", 100)), Moved, false},
		{"another split", traceOf(to("a", 90), to("b", 10)), traceOf(to("a", 50), to("b", 50)), Moved, false},
		{"another path arrives", traceOf(with(to("a", 100), func(o *trace.Outcome) { o.Forwarded = &trace.Forwarded{Path: "/a"} })), traceOf(with(to("a", 100), func(o *trace.Outcome) { o.Forwarded = &trace.Forwarded{Path: "/b"} })), Changed, false},
		{"another status", traceOf(denied(100)), traceOf(with(denied(100), func(o *trace.Outcome) { o.HTTPStatus = 401 })), Changed, false},
		{"now undetermined", traceOf(to("a", 100)), traceOf(with(to("a", 100), unsure)), Undetermined, false},
		{"the source is gone", traceOf(to("a", 100)), side{err: errors.New("gone")}, Changed, false},
		{"no side", side{err: errors.New("gone")}, side{err: errors.New("gone")}, Untraced, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, unknown := classify(tc.before, tc.after)
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
	c, err := Compare(t.Context(), meshOf(t, "/coffee"), meshOf(t, "/tea"), asking(urls...))
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
	text := string(c.Text(false))
	if strings.Count(text, "reviews/tea/") != 1 || !strings.Contains(text, "kubectl mesh-trace -f /tea -n shop reviews/tea/0") {
		t.Errorf("not one line with one command:\n%s", text)
	}
	if wide := string(c.Text(true)); strings.Count(wide, "reviews/tea/") != 501 {
		t.Error("wide does not list all requests")
	}
}

// What a request says is text, on a terminal, in a comment and in a document; and no token is shown.
func TestHostileRequests(t *testing.T) {
	const token = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0."
	requests := asking("reviews/tea")
	requests[0].Why = "\x1b[31m</pre><script>|`x`\u202e\n# heading @team https://evil.example"
	requests[0].Headers = []string{"x-token: " + token}
	c, err := Compare(t.Context(), meshOf(t, "/coffee"), meshOf(t, "/tea"), requests)
	if err != nil {
		t.Fatal(err)
	}
	c.Before.Name = requests[0].Why
	data, err := json.Marshal(c.NewDocument())
	if err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]string{"text": string(c.Text(true)), "markdown": string(c.Markdown()), "json": string(data)} {
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
