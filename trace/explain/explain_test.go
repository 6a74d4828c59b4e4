package explain

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"vs/reviews", " vs reviews"},
		{"shop/vs/reviews", "shop vs reviews"},
		{"reviews", ""},
		{"reviews.shop:9080", ""},
		{"http://a/b", ""},
		{"a/b/c/d", ""},
		{"/b", ""},
		{"a/", ""},
		{"a//c", ""},
		{"", ""},
	} {
		kind, namespace, name, ok := Parse(tc.text)
		got := strings.Join([]string{namespace, kind, name}, " ")
		if ok != (tc.want != "") || ok && got != tc.want {
			t.Errorf("%q: %q, %t", tc.text, got, ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"vs/a", "a/b/c", "http://a/b", "//", "a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if kind, _, name, ok := Parse(text); ok && (kind == "" || name == "") {
			t.Errorf("%q: kind %q, name %q", text, kind, name)
		}
	})
}

func TestKindOf(t *testing.T) {
	for word, want := range map[string]string{
		"vs": "VirtualService", "VirtualServices": "VirtualService", "gateway.networking.istio.io": "Gateway", "gtw": "Gateway", "ing": "Ingress",
		"authorizationpolicy": "AuthorizationPolicy", "configmap": "", "": "", "deployment": "",
	} {
		if got, ok := KindOf(word); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %t", word, got, ok)
		}
	}
}

// Findings stand under their headings in the order of these, each once; what a gateway has said is not said again of the outside.
func TestAdd(t *testing.T) {
	var told teller
	ref := resolve.Ref{Kind: "VirtualService", Name: "a"}
	told.add(sectionNoSay, Finding{Text: "last"})
	told.add(sectionObject, Finding{Text: "first"})
	told.add(sectionDecides, Finding{Where: "gateway a", Ref: ref, Text: "rule 1"})
	told.add(sectionDecides, Finding{Where: "gateway b", Ref: ref, Text: "rule 1"})
	told.add(sectionDecides, Finding{Where: "gateway b", Ref: ref, Text: "rule 1"})
	told.add(sectionDecides, Finding{Where: outside + "  http://a:80", Ref: ref, Text: "rule 1"})
	told.add(sectionDecides, Finding{Where: outside + "  http://a:80", Ref: ref, Text: "rule 2"})
	var got []string
	for _, s := range told.Sections {
		for _, f := range s.Findings {
			got = append(got, s.Title+": "+f.Text+" "+f.Where)
		}
	}
	want := []string{"It is: first ", "It decides: rule 1 gateway a", "It decides: rule 1 gateway b", "It decides: rule 2 from outside  http://a:80", "It has no say: last "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !told.told(sectionDecides, outside+"  https://a:443", ref) || told.told(sectionNoSay, "gateway a", ref) || told.has(sectionGuards) {
		t.Error("what was told is not known, or what was not is")
	}
}

// What is true at several workloads of a namespace and a data plane is one finding.
func TestAddAt(t *testing.T) {
	var told teller
	at := func(namespace, name string, plane resolve.Dataplane) *resolve.Workload {
		return &resolve.Workload{Namespace: namespace, Owner: resolve.Ref{Kind: "Deployment", Namespace: namespace, Name: name}, Dataplane: plane}
	}
	for _, name := range []string{"a", "a", "b", "c", "d", "e"} {
		told.addAt(at("shop", name, resolve.DataplaneSidecar), " port 80", sectionDecides, Finding{Text: "STRICT"})
	}
	told.addAt(at("shop", "edge", resolve.DataplaneGateway), " port 80", sectionDecides, Finding{Text: "STRICT"})
	told.addAt(at("other", "a", resolve.DataplaneSidecar), " port 80", sectionDecides, Finding{Text: "STRICT"})
	told.settle()
	var got []string
	for _, f := range told.Sections[0].Findings {
		got = append(got, f.Where)
	}
	want := []string{"sidecars of shop (a, b, c and 2 more) port 80", "gateways of shop (edge) port 80", "sidecars of other (a) port 80"}
	if diff := cmp.Diff(want, got); diff != "" || len(told.pending) > 0 {
		t.Error(diff)
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
spec: {selector: {app: reviews}, ports: [{name: http, port: 80, targetPort: 9080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews, namespace: shop}
spec: {selector: {matchLabels: {app: reviews}}, template: {metadata: {labels: {app: reviews}}, spec: {serviceAccountName: reviews, containers: [{name: app, image: app}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: app, image: app}]}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
  - match: [{headers: {x: {exact: "1"}}}]
    route: [{destination: {host: reviews, subset: v9}}]
  - match: [{withoutHeaders: {x: {exact: "1"}}}]
    route: [{destination: {host: reviews, subset: v1}}]
  - route: [{destination: {host: gone}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: nobodys, namespace: shop}
spec: {hosts: [nobodys.example.com], gateways: [none], http: [{route: [{destination: {host: reviews}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec: {host: reviews, subsets: [{name: v1, labels: {app: reviews}}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: idle, namespace: shop}
spec: {selector: {istio: nothing}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: web, namespace: shop}
spec: {workloadSelector: {labels: {app: web}}, egress: [{hosts: ["./reviews.shop.svc.cluster.local"]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec: {selector: {matchLabels: {app: reviews}}, rules: [{to: [{operation: {methods: [GET]}}]}]}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: users, namespace: shop}
spec: {selector: {matchLabels: {app: reviews}}, jwtRules: [{issuer: "https://issuer.example.com", jwks: "{\"keys\":[]}"}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop}
spec: {selector: {matchLabels: {app: reviews}}, mtls: {mode: STRICT}}
`

func meshOf(t *testing.T) *resolve.Snapshot {
	t.Helper()
	in, err := load.Manifests(load.ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(mesh)})
	if err != nil {
		t.Fatal(err)
	}
	return resolve.NewSnapshot(in)
}

// What is told of an object of each kind: a line is its heading, its verdict and the beginning of its text.
func TestObject(t *testing.T) {
	s := meshOf(t)
	for _, tc := range []struct {
		object string
		want   []string
	}{
		{"vs/reviews", []string{
			"It refers to: none host gone.shop.svc.cluster.local, which is not there",
			"It decides: matched rule 1 of 3: header x exact \"1\"",
			"It decides: warning rule 1 leads to Unavailable: ",
			"It decides: warning rule 3 of 3: it takes every request; dead, for rules 1 (VirtualService shop/reviews spec.http[0].match[0]) and 2 (VirtualService shop/reviews spec.http[1].match[0]) together take every request that it would take",
		}},
		{"vs/nobodys", []string{"It refers to: none ", "It decides: none nothing was found: asked were 1 gateway and 2 groups of sidecars for nobodys.example.com"}},
		{"dr/reviews", []string{"It decides: applied "}},
		{"svc/reviews", []string{"It is: applied host reviews.shop.svc.cluster.local, ports 80 HTTP", "It decides: matched rule 2 of 3 leads here: without header x exact \"1\", subset v1", "In front of it: applied mTLS STRICT", "In front of it: applied ALLOW"}},
		{"gw/idle", []string{"It refers to: matched selects gateway shop/nothing"}},
		{"sidecar/web", []string{"It decides: matched it knows 1 of 1 services"}},
		{"ap/readers", []string{"It is: applied ", "It decides: applied ALLOW, number 1 of 1 in the order of evaluation", "It has no say: skipped "}},
		{"ra/users", []string{"It decides: applied tokens of \"https://issuer.example.com\""}},
		{"pa/strict", []string{"It decides: matched mTLS STRICT"}},
		{"deployment/reviews", []string{"It is: applied identity cluster.local/ns/shop/sa/reviews", "It refers to: matched port 80 of reviews.shop.svc.cluster.local leads to pod port 9080", "In front of it: applied mTLS STRICT"}},
		{"deployment/web", []string{"It refers to: none no service leads to it", "It decides: applied its proxy sees what this Sidecar imports", "Not in front of it: skipped "}},
	} {
		t.Run(tc.object, func(t *testing.T) {
			kind, _, name, _ := Parse(tc.object)
			e, err := Object(s, kind, "shop", name)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, section := range e.Sections {
				for _, f := range section.Findings {
					lines = append(lines, section.Title+": "+string(f.Verdict)+" "+f.Text)
				}
			}
			for _, want := range tc.want {
				if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, want) }) {
					t.Errorf("no %q in\n%s", want, strings.Join(lines, "\n"))
				}
			}
		})
	}
}

func TestObjectThatIsNotThere(t *testing.T) {
	s := meshOf(t)
	var unknown *UnknownKindError
	if _, err := Object(s, "configmap", "shop", "a"); !errors.As(err, &unknown) || !strings.Contains(err.Error(), `kind "configmap" can not be explained; expected one of VirtualService, `) {
		t.Errorf("%v", err)
	}
	var missing *NotFoundError
	if _, err := Object(s, "dr", "shop", "a"); !errors.As(err, &missing) || err.Error() != "DestinationRule shop/a is not found; there is shop/reviews" {
		t.Errorf("%v", err)
	}
	if _, err := Object(s, "ingress", "shop", "a"); !errors.As(err, &missing) || !strings.HasSuffix(err.Error(), "; there is none of that kind") {
		t.Errorf("%v", err)
	}
}

func TestNotFoundNamesFive(t *testing.T) {
	err := &NotFoundError{Kind: "Service", Namespace: "a", Name: "b", Others: []string{"a/1", "a/2", "a/3", "a/4", "a/5", "a/6", "a/7"}}
	if got := err.Error(); got != "Service a/b is not found; there are a/1, a/2, a/3, a/4, a/5 and 2 more" {
		t.Error(got)
	}
}

func TestExample(t *testing.T) {
	for host, want := range map[string]string{"*": "any.host", "*.example.com": "any.example.com", "a.example.com": "a.example.com"} {
		if got := example(host); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}
