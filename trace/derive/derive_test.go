package derive_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/derive"
)

const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: old}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {selector: {app: reviews}, ports: [{name: http, port: 80}, {name: http-admin, port: 81}, {name: tcp, port: 9000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews, namespace: shop}
spec: {selector: {matchLabels: {app: reviews}}, template: {metadata: {labels: {app: reviews}}, spec: {serviceAccountName: reviews, containers: [{name: app, image: app}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web, tier: front}}, spec: {serviceAccountName: web, containers: [{name: app, image: app}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cron, namespace: old}
spec: {selector: {matchLabels: {app: cron}}, template: {metadata: {labels: {app: cron}}, spec: {containers: [{name: app, image: app}]}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
  - match: [{uri: {exact: /exact}}]
    directResponse: {status: 210}
  - match: [{uri: {prefix: /prefix}, method: {exact: DELETE}}]
    directResponse: {status: 211}
  - match: [{uri: {regex: "/v[0-9]+/(items|carts)"}}]
    directResponse: {status: 212}
  - match: [{headers: {end-user: {exact: jason}, x-any: {}}, withoutHeaders: {x-not: {}}}]
    directResponse: {status: 213}
  - match: [{queryParams: {beta: {exact: "true"}}}]
    directResponse: {status: 214}
  - match: [{port: 81}]
    directResponse: {status: 215}
  - match: [{sourceLabels: {tier: front}, uri: {prefix: /front}}]
    directResponse: {status: 216}
  - route: [{destination: {host: reviews, port: {number: 80}}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec:
  selector: {matchLabels: {app: reviews}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]
    to: [{operation: {methods: [GET], paths: ["/api/*"]}}]
    when: [{key: "request.headers[x-team]", values: [a]}]
  - from: [{source: {requestPrincipals: ["https://issuer.example/ann"]}}]
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec:
  selector: {matchLabels: {app: reviews}}
  jwtRules: [{issuer: https://issuer.example, jwks: '{"keys":[]}'}]
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, ports: [{name: http2, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  template: {metadata: {labels: {istio: ingressgateway, sidecar.istio.io/inject: "true"}, annotations: {inject.istio.io/templates: gateway}}, spec: {containers: [{name: istio-proxy, image: auto}]}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: outside, namespace: shop}
spec:
  hosts: ["*.example.com"]
  gateways: [istio-system/edge]
  http:
  - match: [{uri: {prefix: /out/}}]
    directResponse: {status: 220}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: kube, namespace: shop}
spec: {gatewayClassName: istio, listeners: [{name: web, port: 8080, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: kube, namespace: shop}
spec:
  parentRefs: [{name: kube}]
  hostnames: [kube.example.com]
  rules:
  - matches: [{path: {type: PathPrefix, value: /kube}, headers: [{name: x-v, value: "2"}]}]
    filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301, path: {type: ReplaceFullPath, replaceFullPath: /}}}]
  - matches: [{path: {type: Exact, value: /exact}, method: POST}]
    filters: [{type: RequestRedirect, requestRedirect: {statusCode: 302, path: {type: ReplaceFullPath, replaceFullPath: /}}}]
`

func meshOf(t testing.TB, text string) *resolve.Snapshot {
	t.Helper()
	in, err := load.Manifests(load.ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(text), Defer: true})
	if err != nil {
		t.Fatal(err)
	}
	return resolve.NewSnapshot(in)
}

func made(t testing.TB, opts derive.Options, meshes ...*resolve.Snapshot) *derive.Result {
	t.Helper()
	r, err := derive.Requests(opts, meshes...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ends are the ends of the requests that were made of objects of a kind: "Denied 403", "Responded 210".
func ends(t *testing.T, s *resolve.Snapshot, requests []derive.Request, kind string) map[int]int {
	t.Helper()
	out := map[int]int{}
	for _, r := range requests {
		if r.Of.Kind != kind {
			continue
		}
		q, err := trace.NewRequest(r.Typed)
		if err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		got, err := trace.WalkView(s, q, trace.DetailNone)
		if err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		for _, o := range got.Outcomes {
			out[o.HTTPStatus]++
		}
	}
	return out
}

// Every route is taken by a request that is made of it, and missed by another.
func TestEveryRouteIsMet(t *testing.T) {
	s := meshOf(t, manifests)
	requests := made(t, derive.Options{}, s).Requests
	got := ends(t, s, requests, "VirtualService")
	for _, status := range []int{210, 211, 212, 213, 214, 215, 216, 220, 403, 404} {
		if got[status] == 0 {
			t.Errorf("no request ends with %d; ends are %v", status, got)
		}
	}
	if got := ends(t, s, requests, "HTTPRoute"); got[301] == 0 || got[302] == 0 || got[404] == 0 {
		t.Errorf("the HTTPRoute's requests end as %v", got)
	}
}

// Every rule of a policy lets a request through and keeps another out, and tokens are sent and left out.
func TestEveryRuleIsMet(t *testing.T) {
	s := meshOf(t, manifests)
	requests := made(t, derive.Options{}, s).Requests
	got := map[string]map[trace.Decision]bool{}
	for _, r := range requests {
		if r.Of.Kind != "AuthorizationPolicy" && r.Of.Kind != "RequestAuthentication" {
			continue
		}
		q, err := trace.NewRequest(r.Typed)
		if err != nil {
			t.Fatal(err)
		}
		one, err := trace.WalkView(s, q, trace.DetailNone)
		if err != nil {
			t.Fatal(err)
		}
		of := regexp.MustCompile(`spec.rules\[\d\]`).FindString(r.Of.Field) + r.Of.Kind
		if got[of] == nil {
			got[of] = map[trace.Decision]bool{}
		}
		got[of][one.Outcomes[0].Decision] = true
	}
	if of := got["spec.rules[0]AuthorizationPolicy"]; !of[trace.Delivered] || !of[trace.Denied] {
		t.Errorf("the rule of a client: %v", of)
	}
	if of := got["RequestAuthentication"]; !of[trace.Denied] {
		t.Errorf("the token of another issuer: %v", of)
	}
	if of := got["spec.rules[1]AuthorizationPolicy"]; !of[trace.Delivered] { // the request that it refuses is that of the port
		t.Errorf("the rule of a token: %v", of)
	}
}

// Each port is asked, by a client without a proxy too.
func TestEveryPortIsMet(t *testing.T) {
	var urls, clients []string
	for _, r := range made(t, derive.Options{}, meshOf(t, manifests)).Requests {
		if r.What == "each port" && r.Of.Name == "reviews" {
			urls, clients = append(urls, r.URL), append(clients, r.From)
		}
	}
	for _, want := range []string{"http://reviews.shop/", "http://reviews.shop:81/", "tcp://reviews.shop:9000"} {
		if !slices.Contains(urls, want) {
			t.Errorf("%s is not among %v", want, urls)
		}
	}
	if !slices.Contains(clients, "old/deployment/cron") || !slices.Contains(clients, "shop/deployment/web") {
		t.Errorf("clients are %v", clients)
	}
}

func TestSameMeshesGiveSameRequests(t *testing.T) {
	before, after := meshOf(t, manifests), meshOf(t, manifests)
	once := made(t, derive.Options{}, before)
	if diff := cmp.Diff(once, made(t, derive.Options{}, before, after)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(once.String(), " of HTTPRoute, ") || once.Omitted != 0 {
		t.Error(once)
	}
}

// Where not all can be had, none of the objects that go first loses any, and of each other object there is one.
func TestLimit(t *testing.T) {
	s := meshOf(t, manifests)
	all := made(t, derive.Options{}, s)
	first := func(r resolve.Ref) bool { return r.Name == "readers" }
	some := made(t, derive.Options{Limit: len(all.Requests) / 2, First: first}, s)
	if len(some.Requests) != len(all.Requests)/2 || some.Omitted != len(all.Requests)-len(some.Requests) {
		t.Fatalf("%s of %s", some, all)
	}
	count := func(requests []derive.Request, name string) (n int) {
		for _, r := range requests {
			if r.Of.Name == name {
				n++
			}
		}
		return n
	}
	if got, want := count(some.Requests, "readers"), count(all.Requests, "readers"); got != want {
		t.Errorf("%d of %d of what goes first", got, want)
	}
	for _, name := range []string{"reviews", "outside", "kube", "tokens"} {
		if count(some.Requests, name) == 0 {
			t.Errorf("none of %s", name)
		}
	}
}
