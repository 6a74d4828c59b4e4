package trace

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	security "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// shopMesh is a mesh of one namespace with the client web, the HTTP service reviews
// in two versions, the TCP service orders, and archive on one port of its own.
const shopMesh = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {metadata: {labels: {app: web}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v1, namespace: shop}
spec: {template: {metadata: {labels: {app: reviews, version: v1}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v2, namespace: shop}
spec: {replicas: 3, template: {metadata: {labels: {app: reviews, version: v2}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: orders, namespace: shop}
spec: {template: {metadata: {labels: {app: orders}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: archive, namespace: shop}
spec: {replicas: 0, template: {metadata: {labels: {app: archive}}}}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {selector: {app: reviews}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: orders, namespace: shop}
spec: {selector: {app: orders}, ports: [{name: tcp, port: 7000}]}
---
apiVersion: v1
kind: Service
metadata: {name: archive, namespace: shop}
spec: {selector: {app: archive}, ports: [{name: tcp, port: 6000}]}
---
`

func virtualService(host, spec string) string {
	return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: shop}\nspec: {hosts: [" + host + "], " + spec + "}\n---\n"
}

func destinationRule(host, spec string) string {
	return "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d, namespace: shop}\nspec: {host: " + host + ", " + spec + "}\n---\n"
}

const (
	subsets = "subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}, {name: v9, labels: {version: v9}}]"
	strict  = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: shop}\nspec: {mtls: {mode: STRICT}}\n---\n"
)

// snapshotOf is a snapshot of manifests of the few kinds these tests need.
func snapshotOf(t *testing.T, manifests string) *resolve.Snapshot {
	t.Helper()
	in := resolve.Input{Offline: true, Revision: "default"}
	for doc := range strings.SplitSeq(manifests, "---\n") {
		var meta metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(doc), &meta); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		var object resolve.Object
		switch meta.Kind {
		case "":
			continue
		case "Namespace":
			object = &corev1.Namespace{}
		case "Service":
			object = &corev1.Service{}
		case "Deployment":
			object = &appsv1.Deployment{}
		case "VirtualService":
			object = &networking.VirtualService{}
		case "DestinationRule":
			object = &networking.DestinationRule{}
		case "PeerAuthentication":
			object = &security.PeerAuthentication{}
		default:
			t.Fatalf("kind %q is not known to this test", meta.Kind)
		}
		if err := yaml.Unmarshal([]byte(doc), object); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		in.Resources = append(in.Resources, resolve.Sourced{Object: object, GroupKind: schema.FromAPIVersionAndKind(meta.APIVersion, meta.Kind).GroupKind()})
	}
	return resolve.NewSnapshot(in)
}

// walkFrom traces a URL from Deployment web.
func walkFrom(t *testing.T, manifests, url string) *Trace {
	t.Helper()
	request, err := NewRequest(Typed{URL: url, From: "deployment/web", Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Walk(snapshotOf(t, manifests), request)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// fate is an outcome in one line.
func fate(o Outcome) string {
	parts := []string{fmt.Sprintf("%.4g%% %s", o.Weight, o.Decision)}
	if o.HTTPStatus != 0 {
		parts = append(parts, fmt.Sprint(o.HTTPStatus))
	}
	for _, s := range []string{o.ResponseFlags, o.ResponseCodeDetails, string(o.Code), string(o.Certainty), o.By.Kind + " " + o.By.Field} {
		parts = append(parts, strings.TrimSpace(s))
	}
	return strings.Join(parts, " | ")
}

func TestWalk(t *testing.T) {
	const reset = "upstream_reset_before_response_started{connection_termination}"
	disable := destinationRule("reviews", "trafficPolicy: {tls: {mode: DISABLE}}")
	toV1 := "[{destination: {host: reviews, subset: v1}}]"
	tests := []struct {
		name, manifests, url string
		want                 []string
	}{
		{name: "plain", url: "reviews", want: []string{"100% Delivered |  |  |  | certain | Service"}},
		{
			name: "no route", url: "reviews/x", manifests: virtualService("reviews", "http: [{match: [{uri: {prefix: /y}}], route: "+toV1+"}]"),
			want: []string{"100% NotRouted | 404 | NR | route_not_found | NO_ROUTE | certain | VirtualService spec.http"},
		},
		{
			name: "weights of one and two thirds", url: "reviews",
			manifests: destinationRule("reviews", subsets) + virtualService("reviews", "http: [{route: [{destination: {host: reviews, subset: v1}, weight: 1}, {destination: {host: reviews, subset: v9}, weight: 2}, {destination: {host: x}, weight: 0}]}]"),
			want: []string{
				"33.33% Delivered |  |  |  | certain | VirtualService spec.http[0]",
				"66.67% Unavailable | 503 | UH | no_healthy_upstream | SUBSET_EMPTY | certain | DestinationRule spec.subsets[2]",
			},
		},
		{
			name: "an abort takes its share before the weights", url: "reviews",
			manifests: virtualService("reviews", "http: [{fault: {abort: {httpStatus: 500, percentage: {value: 20}}}, route: [{destination: {host: reviews}, weight: 50}, {destination: {host: x}, weight: 50}]}]"),
			want: []string{
				"20% Responded | 500 | FI | fault_filter_abort | FAULT_ABORT | certain | VirtualService spec.http[0].fault.abort",
				"40% Delivered |  |  |  | certain | VirtualService spec.http[0]",
				"40% Unavailable | 503 | NC | cluster_not_found | HOST_UNKNOWN | certain | VirtualService spec.http[0].route[1].destination.host",
			},
		},
		{
			name: "an abort of all leaves nothing", url: "reviews", manifests: virtualService("reviews", "http: [{fault: {abort: {httpStatus: 500, percentage: {value: 100}}}, redirect: {uri: /x}}]"),
			want: []string{"100% Responded | 500 | FI | fault_filter_abort | FAULT_ABORT | certain | VirtualService spec.http[0].fault.abort"},
		},
		{
			name: "a match that Envoy refuses is not decided", url: "reviews", manifests: virtualService("reviews", "http: [{match: [{uri: {regex: '('}}], redirect: {uri: /x}}, {route: [{destination: {host: reviews}}]}]"),
			want: []string{"100% Delivered |  |  |  | undetermined | VirtualService spec.http[1]"},
		},
		{
			name: "a computed header is an assumption", url: "reviews", manifests: virtualService("reviews", "http: [{headers: {request: {set: {x: '%REQ(y)%'}}}, route: [{destination: {host: reviews}}]}]"),
			want: []string{"100% Delivered |  |  |  | assumed | VirtualService spec.http[0]"},
		},
		{
			name: "plaintext to STRICT", url: "reviews", manifests: strict + disable,
			want: []string{"100% Reset | 503 | UC | " + reset + " | MTLS_REQUIRED | certain | PeerAuthentication spec.mtls.mode"},
		},
		{
			name: "plaintext to STRICT, tried again on 5xx", url: "reviews", manifests: strict + disable + virtualService("reviews", "http: [{retries: {attempts: 3, retryOn: 5xx}, route: [{destination: {host: reviews}}]}]"),
			want: []string{"100% Reset | 503 | URX,UC | " + reset + " | MTLS_REQUIRED | certain | PeerAuthentication spec.mtls.mode"},
		},
		{
			name: "a TCP port has no HTTP answer for HTTP bytes", url: "http://archive:6000",
			want: []string{"100% Unavailable | UH |  | NO_ENDPOINTS | certain | Service"},
		},
		{
			name: "no cluster for a tcp route", url: "tcp://orders:7000", manifests: virtualService("orders", "tcp: [{route: [{destination: {host: x}}]}]"),
			want: []string{"100% Unavailable | NC |  | HOST_UNKNOWN | certain | VirtualService spec.tcp[0].route[0].destination.host"},
		},
		{
			name: "a tcp route takes the only port of its destination", url: "tcp://orders:7000", manifests: virtualService("orders", "tcp: [{route: [{destination: {host: archive}}]}]"),
			want: []string{"100% Unavailable | UH |  | NO_ENDPOINTS | certain | Service"},
		},
		{
			name: "TCP to a port that reads HTTP", url: "tcp://orders:7000", manifests: virtualService("orders", "tcp: [{route: [{destination: {host: reviews}}]}]"),
			want: []string{"100% Reset | DPE | http1.codec_error | PROTOCOL_ERROR | certain | VirtualService spec.tcp[0]"},
		},
		{
			name: "TCP plaintext to STRICT is closed by the receiver, which alone says why", url: "tcp://orders:7000", manifests: strict + destinationRule("orders", "trafficPolicy: {tls: {mode: DISABLE}}"),
			want: []string{"100% Reset | NR | filter_chain_not_found | MTLS_REQUIRED | certain | PeerAuthentication spec.mtls.mode"},
		},
		{
			name: "passed through to a port the Service does not have", url: "http://reviews:81",
			want: []string{"100% Unavailable | UF,URX |  | PORT_NOT_IN_SERVICE | certain | Service spec.ports"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, o := range walkFrom(t, shopMesh+tt.manifests, tt.url).Outcomes {
				got = append(got, fate(o))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAlikeEndpointsAreOneOutcome: two Deployments behind one Service; the way to
// the first is shown, and both are counted.
func TestAlikeEndpointsAreOneOutcome(t *testing.T) {
	got := walkFrom(t, shopMesh, "reviews")
	if len(got.Outcomes) != 1 {
		t.Fatalf("want one outcome, got %d", len(got.Outcomes))
	}
	o := got.Outcomes[0]
	var proxies []string
	for _, h := range o.Hops {
		proxies = append(proxies, string(got.Hops[h].Direction)+" "+got.Hops[h].Workload.Name)
	}
	if diff := cmp.Diff([]string{"outbound web", "inbound reviews-v1"}, proxies); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("Deployment shop/reviews-v1 gets the request on port 80; so does Deployment shop/reviews-v2", o.Reason); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(4, o.Destination.Endpoints); diff != "" {
		t.Error("endpoints: " + diff)
	}
}

func TestEndpointsWithAnotherFateAreAnotherOutcome(t *testing.T) {
	disabled := "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: v2, namespace: shop}\nspec: {selector: {matchLabels: {version: v2}}, mtls: {mode: STRICT}}\n---\n"
	got := walkFrom(t, shopMesh+disabled+destinationRule("reviews", "trafficPolicy: {tls: {mode: DISABLE}}"), "reviews")
	var fates []string
	for _, o := range got.Outcomes {
		fates = append(fates, fmt.Sprintf("%g%% %s %d", o.Weight, o.Decision, o.Destination.Endpoints))
	}
	if diff := cmp.Diff([]string{"25% Delivered 1", "75% Reset 3"}, fates); diff != "" {
		t.Error(diff)
	}
}

// TestGRPCStatus: the status of the contract stays, and a step says what a gRPC client sees.
func TestGRPCStatus(t *testing.T) {
	got := walkFrom(t, shopMesh+virtualService("reviews", "http: [{route: [{destination: {host: x}}]}]"), "grpc://reviews/a.B/C")
	steps := got.Hops[0].Steps
	if diff := cmp.Diff("a gRPC client sees UNAVAILABLE in place of HTTP 503", steps[len(steps)-1].Reason()); diff != "" {
		t.Error(diff)
	}
	if got.Outcomes[0].HTTPStatus != 503 {
		t.Errorf("want 503, got %d", got.Outcomes[0].HTTPStatus)
	}
}

func TestMergeOutcomes(t *testing.T) {
	delivered := func(share float64, workload string, endpoints int) finished {
		ref := resolve.Ref{Kind: "Deployment", Namespace: "shop", Name: workload}
		return finished{share: share, Outcome: Outcome{
			Decision: Delivered, Certainty: Certain, Reason: workload + " gets it", Destination: Destination{Host: "h", Endpoints: endpoints, Workloads: []resolve.Ref{ref}},
		}}
	}
	assumed := delivered(0.5, "b", 1)
	assumed.Certainty = Assumed
	other := delivered(0.5, "b", 1)
	other.Destination.Subset = "v2"
	rewritten := delivered(0.5, "b", 1)
	rewritten.Forwarded = &Forwarded{Path: "/x"}
	tests := []struct {
		name string
		in   []finished
		want []string
	}{
		{"alike", []finished{delivered(0.25, "b", 1), delivered(0.75, "a", 3)}, []string{"1 4 [Deployment shop/a Deployment shop/b] b gets it; so does Deployment shop/b"}},
		{"three alike", []finished{delivered(0.2, "a", 1), delivered(0.2, "b", 1), delivered(0.6, "c", 1)}, []string{"1 3 [Deployment shop/a Deployment shop/b Deployment shop/c] a gets it; so do 2 others"}},
		{"nothing of the share", []finished{delivered(0, "a", 1), delivered(1, "b", 1)}, []string{"1 1 [Deployment shop/b] b gets it"}},
		{"another certainty", []finished{delivered(0.5, "a", 1), assumed}, []string{"0.5 1 [Deployment shop/a] a gets it", "0.5 1 [Deployment shop/b] b gets it"}},
		{"another subset", []finished{delivered(0.5, "a", 1), other}, []string{"0.5 1 [Deployment shop/a] a gets it", "0.5 1 [Deployment shop/b] b gets it"}},
		{"another request arrives", []finished{delivered(0.5, "a", 1), rewritten}, []string{"0.5 1 [Deployment shop/a] a gets it", "0.5 1 [Deployment shop/b] b gets it"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range mergeOutcomes(tt.in) {
				got = append(got, fmt.Sprintf("%g %d %v %s", f.share, f.Destination.Endpoints, f.Destination.Workloads, f.Reason))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestCodesAreTheConstants: Codes lists every constant of type Code once, and
// each constant is used by the walk, not only declared.
func TestCodesAreTheConstants(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var declared []Code
	names := map[string]bool{}
	used := map[string]bool{}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if typ, ok := n.Type.(*ast.Ident); ok && typ.Name == "Code" && len(n.Values) == 1 {
					names[n.Names[0].Name] = true
					declared = append(declared, Code(strings.Trim(n.Values[0].(*ast.BasicLit).Value, `"`)))
				}
			case *ast.Ident:
				if f.Name() != "codes.go" {
					used[n.Name] = true
				}
			}
			return true
		})
	}
	var listed []Code
	for _, c := range Codes() {
		listed = append(listed, c.Code)
	}
	slices.Sort(declared)
	if diff := cmp.Diff(declared, listed); diff != "" {
		t.Errorf("the constants and Codes differ (-constants +listed):\n%s", diff)
	}
	for name := range names {
		if !used[name] {
			t.Errorf("%s is declared and no part of the walk gives it", name)
		}
	}
}

// TestEndIsAsCertainAsTheWay holds that an outcome is never more certain than the path to it.
func TestEndIsAsCertainAsTheWay(t *testing.T) {
	for _, tc := range []struct{ path, outcome, want Certainty }{
		{Certain, "", Certain},
		{Assumed, "", Assumed},
		{Undetermined, "", Undetermined},
		{Certain, Undetermined, Undetermined},
		{Undetermined, Assumed, Undetermined},
		{Assumed, Certain, Assumed},
	} {
		t.Run(string(tc.path+"+"+tc.outcome), func(t *testing.T) {
			var w walk
			w.end(&path{share: 1, certainty: tc.path}, Outcome{Decision: Delivered, Certainty: tc.outcome})
			if got := w.outcomes[0].Certainty; got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
