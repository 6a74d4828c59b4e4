package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// contract is the contract's JSON document, as other programs rely on it.
const contract = `{
  "apiVersion": "meshtrace.dev/v1alpha1",
  "kind": "Trace",
  "request":  { "method": "GET", "scheme": "http", "host": "reviews", "port": 9080, "path": "/reviews/0", "query": "",
                "headers": {"x-user": "a"}, "source": { "kind": "Pod", "namespace": "shop", "name": "web-1",
                "serviceAccount": "web", "principal": "cluster.local/ns/shop/sa/web", "dataplane": "sidecar" } },
  "istio": { "version": "1.31", "from": "cluster" },
  "outcomes": [ {
      "weight": 80,
      "decision": "Delivered",
      "httpStatus": 0,
      "responseFlags": "",
      "responseCodeDetails": "",
      "code": "SUBSET_UNDEFINED",
      "certainty": "certain",
      "reason": "one sentence for a person",
      "location": "",
      "by": { "kind": "VirtualService", "namespace": "shop", "name": "reviews", "field": "spec.http[0]" },
      "destination": { "host": "reviews.shop.svc.cluster.local", "port": 9080, "subset": "v1",
                       "envoyCluster": "outbound|9080|v1|reviews.shop.svc.cluster.local",
                       "workload": { "kind": "Deployment", "namespace": "shop", "name": "reviews-v1" },
                       "endpoints": 2, "targetPort": 9080 },
      "forwarded": { "method": "GET", "host": "reviews", "path": "/reviews/0", "headers": {"x-added": "1"} },
      "hops": [0]
  } ],
  "hops": [ {
      "proxy": "sidecar",
      "direction": "outbound",
      "workload": { "kind": "Deployment", "namespace": "shop", "name": "web" },
      "tls": "mTLS",
      "peer": "cluster.local/ns/shop/sa/web",
      "envoy": { "listener": "0.0.0.0_9080", "filterChain": "", "routeConfig": "9080",
                 "virtualHost": "reviews.shop.svc.cluster.local:9080", "route": "", "cluster": "outbound|9080|v1|reviews.shop.svc.cluster.local" },
      "steps": [ {
          "stage": "Route",
          "verdict": "matched",
          "rule": "route/uri-prefix",
          "resource": { "kind": "VirtualService", "namespace": "shop", "name": "reviews", "field": "spec.http[0].match[1]",
                        "source": "manifests/reviews.yaml:31" },
          "expected": "header end-user exact \"jason\"", "actual": "absent",
          "reason": "unlisted rule route/uri-prefix" } ]
  } ],
  "warnings": [ { "resource": { "kind": "EnvoyFilter", "namespace": "shop", "name": "lua", "field": "", "source": "manifests/reviews.yaml:31" },
                  "message": "EnvoyFilter patches this listener; its effect is not modelled" } ]
}`

// contractTrace is the trace whose document the contract shows.
func contractTrace() *trace.Trace {
	q := get("reviews", 9080, "/reviews/0")
	q.Headers = map[string]string{"x-user": "a"}
	hop := client("v1", resolve.Step{
		Stage: resolve.StageRoute, Verdict: resolve.Matched, Rule: "route/uri-prefix", Ref: ref("VirtualService shop/reviews spec.http[0].match[1]"),
	}.Unlike(`header end-user exact "jason"`, "absent"))
	hop.TLS, hop.Peer, hop.Envoy.Route = trace.TLSMutual, "cluster.local/ns/shop/sa/web", ""
	return &trace.Trace{
		Request: q,
		Source:  trace.Source{Kind: "Pod", Namespace: "shop", Name: "web-1", ServiceAccount: "web", Principal: "cluster.local/ns/shop/sa/web", Dataplane: resolve.DataplaneSidecar},
		Istio:   release,
		Outcomes: []trace.Outcome{{
			Weight: 80, Decision: trace.Delivered, Code: "SUBSET_UNDEFINED", Certainty: trace.Certain, Reason: "one sentence for a person",
			By: ref("VirtualService shop/reviews spec.http[0]"), Destination: towards("v1", 2, "reviews-v1"),
			Forwarded: &trace.Forwarded{Method: "GET", Host: "reviews", Path: "/reviews/0", Headers: map[string]string{"x-added": "1"}},
			Hops:      []int{0},
		}, {Weight: 20, Decision: trace.Denied}},
		Hops:     []trace.Hop{hop},
		Warnings: []trace.Warning{{Ref: ref("EnvoyFilter shop/lua"), Message: "EnvoyFilter patches this listener; its effect is not modelled"}},
	}
}

func decoded(t *testing.T, data []byte) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return out
}

func marshalled(t *testing.T, d *Document) []byte {
	t.Helper()
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// missing lists what want has and got has not, or has with another value; with
// namesOnly a field need only be there.
func missing(path string, want, got any, namesOnly bool) []string {
	var out []string
	switch want := want.(type) {
	case map[string]any:
		got, isMap := got.(map[string]any)
		if !isMap {
			return []string{path + " is no object"}
		}
		for _, k := range slices.Sorted(maps.Keys(want)) {
			if v, found := got[k]; found {
				out = append(out, missing(path+"."+k, want[k], v, namesOnly)...)
			} else {
				out = append(out, path+"."+k+" is missing")
			}
		}
	case []any:
		got, isList := got.([]any)
		if !isList || len(got) < len(want) {
			return []string{fmt.Sprintf("%s has not %d items", path, len(want))}
		}
		for i := range want {
			out = append(out, missing(fmt.Sprintf("%s[%d]", path, i), want[i], got[i], namesOnly)...)
		}
	default:
		if !namesOnly && want != got {
			out = append(out, fmt.Sprintf("%s is %v, not %v", path, got, want))
		}
	}
	return out
}

func TestDocumentIsTheContracts(t *testing.T) {
	d := NewDocument(contractTrace(), func(resolve.Ref) string { return "manifests/reviews.yaml:31" })
	d.Hops[0].Steps[0].Reason = "unlisted rule route/uri-prefix"
	for _, m := range missing("", decoded(t, []byte(contract)), decoded(t, marshalled(t, d)), false) {
		t.Error(m)
	}
}

// TestMissingSeesAMissingField keeps the test above able to fail.
func TestMissingSeesAMissingField(t *testing.T) {
	got := decoded(t, []byte(contract))
	delete(got["hops"].([]any)[0].(map[string]any)["envoy"].(map[string]any), "cluster")
	if d := cmp.Diff([]string{".hops[0].envoy.cluster is missing"}, missing("", decoded(t, []byte(contract)), got, true)); d != "" {
		t.Error(d)
	}
}

// TestEmptyDocumentHasAllFields holds that a field is not left out because it is empty.
func TestEmptyDocumentHasAllFields(t *testing.T) {
	want := decoded(t, []byte(contract))
	delete(want["request"].(map[string]any)["headers"].(map[string]any), "x-user")
	outcome := want["outcomes"].([]any)[0].(map[string]any)
	outcome["hops"] = []any{}
	// Null where nothing arrives and where no one workload answers.
	outcome["forwarded"], outcome["destination"].(map[string]any)["workload"] = nil, nil
	empty := &trace.Trace{
		Outcomes: []trace.Outcome{{}}, Hops: []trace.Hop{{Steps: []resolve.Step{{}}}}, Warnings: []trace.Warning{{}},
	}
	data := marshalled(t, NewDocument(empty, nil))
	for _, m := range missing("", want, decoded(t, data), true) {
		t.Error(m)
	}
	if nulls := regexp.MustCompile(`"(\w+)":null`).FindAllString(string(data), -1); !cmp.Equal(nulls, []string{`"workload":null`, `"forwarded":null`}) {
		t.Errorf("null: %v", nulls)
	}
	for _, none := range []*trace.Trace{{}, nil} {
		if data := marshalled(t, NewDocument(none, nil)); bytes.Contains(data, []byte("null")) {
			t.Errorf("null in %s", data)
		}
	}
}

func TestDocumentDetails(t *testing.T) {
	d := NewDocument(contractTrace(), nil)
	if w := d.Outcomes[0].Destination.Workload; w == nil || *w != (Workload{Kind: "Deployment", Namespace: "shop", Name: "reviews-v1"}) {
		t.Errorf("the one workload is %v", w)
	}
	ambient := NewDocument(ambientFixture(), located)
	destination := ambient.Outcomes[0].Destination
	if destination.Workload != nil || len(destination.Workloads) != 5 {
		t.Errorf("of several workloads: %v, %v", destination.Workload, destination.Workloads)
	}
	if got := ambient.Hops[0].Proxy; got != "ztunnel" {
		t.Errorf("what captures an ambient workload is a %s", got)
	}
	missed := NewDocument(notRoutedFixture(), located)
	if d := cmp.Diff([]Omission{{Stage: "Route", Before: 1, Count: 6}}, missed.Hops[0].Omitted); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(Resource{Kind: "VirtualService", Namespace: "shop", Name: "reviews", Field: "spec.http", Source: "reviews.yaml:19"}, missed.Outcomes[0].By); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"x-debug"}, NewDocument(deliveredFixture(), nil).Outcomes[0].Forwarded.Removed); d != "" {
		t.Error(d)
	}
}

func TestDocumentName(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   trace.Request
		want string
	}{
		{"host and port", get("reviews.shop", 9080, "/"), "reviews.shop-9080"},
		{"path", get("Reviews", 80, "/Reviews/0_a//b/"), "reviews-80-reviews-0-a-b"},
		{"address", get("2001:db8::1", 80, ""), "2001-db8-1-80"},
		{"hostile", get("\x1b[31mü", 0, "/\u202e"), "31m"},
		{"nothing", trace.Request{}, "request"},
		{"long", get(strings.Repeat("a", 300), 80, "/"), strings.Repeat("a", 253)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, documentName(tc.in)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDocumentJSONIsSafeToShow(t *testing.T) {
	d := NewDocument(hostileFixture(), nil)
	data := marshalled(t, d)
	if i := bytes.IndexFunc(data, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("%q at %d", data, i)
	}
	back := decoded(t, data)
	got := back["outcomes"].([]any)[0].(map[string]any)["code"].(string)
	// A byte that is not UTF-8 is lost in any JSON.
	if want := strings.ToValidUTF8(d.Outcomes[0].Code, "\ufffd"); got != want {
		t.Errorf("code became %q, not %q", got, want)
	}
}

func TestDocumentGolden(t *testing.T) {
	d := NewDocument(notRoutedFixture(), located)
	for i, h := range notRoutedFixture().Hops {
		for j, s := range h.Steps {
			d.Hops[i].Steps[j].Reason = said(s)
		}
	}
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "notrouted.json", string(data)+"\n")
}
