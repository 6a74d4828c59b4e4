package fromlog

import (
	"strings"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/accesslog"
	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// ambient is a mesh of pods that ztunnel captures; reviews is behind a waypoint, and ratings is not.
const ambient = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: way, namespace: shop}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop, labels: {istio.io/use-waypoint: way}}
spec: {clusterIP: 10.96.0.7, selector: {app: reviews}, ports: [{name: http, port: 80, targetPort: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: shop}
spec: {clusterIP: 10.96.0.8, selector: {app: ratings}, ports: [{name: http, port: 80, targetPort: 9080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-1, namespace: shop, labels: {app: reviews}, annotations: {ambient.istio.io/redirection: enabled}}
spec: {containers: [{name: app, image: app}]}
status: {phase: Running, podIP: 10.1.0.7, podIPs: [{ip: 10.1.0.7}]}
---
apiVersion: v1
kind: Pod
metadata: {name: ratings-1, namespace: shop, labels: {app: ratings}, annotations: {ambient.istio.io/redirection: enabled}}
spec: {containers: [{name: app, image: app}]}
status: {phase: Running, podIP: 10.1.0.8, podIPs: [{ip: 10.1.0.8}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web}, annotations: {ambient.istio.io/redirection: enabled}}
spec: {serviceAccountName: web, containers: [{name: app, image: app}]}
status: {phase: Running, podIP: 10.1.0.5, podIPs: [{ip: 10.1.0.5}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: shop}
spec: {selector: {matchLabels: {app: ratings}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec:
  targetRefs: [{kind: Service, group: "", name: reviews}]
  rules: [{to: [{operation: {methods: [GET]}}]}]
`

// What a waypoint and ztunnel write of an ambient mesh.
func TestCompareAmbient(t *testing.T) {
	const vip = "inbound-vip|80|http|reviews.shop.svc.cluster.local"
	toRatings := `dst.addr=10.1.0.8:15008 dst.hbone_addr=10.1.0.8:9080 dst.service="ratings.shop.svc.cluster.local"`
	for _, tc := range []struct {
		name, line string
		want       Verdict
		// says has to be in what is said.
		says string
	}{
		{
			"of a waypoint", line("GET /a HTTP/1.1", "200 - via_upstream -", "reviews", `"envoy://connect_originate/10.1.0.7:9080" `+vip, "10.96.0.7:80", "10.1.0.5:1", "- default"),
			Agrees, "--from shop/pod/web-1 -H 'user-agent: curl' http://reviews/a",
		},
		{
			"refused by a waypoint", line("POST /a HTTP/1.1", "403 - rbac_access_denied_matched_policy[none] -", "reviews", `"-" `+vip, "10.96.0.7:80", "10.1.0.5:1", "- default"),
			Agrees, "-X POST",
		},
		{
			"refused by a waypoint, and the trace delivers", line("GET /a HTTP/1.1", "403 - rbac_access_denied_matched_policy[none] -", "reviews", `"-" `+vip, "10.96.0.7:80", "10.1.0.5:1", "- default"),
			Disagrees, "trace  Delivered",
		},
		{
			"of a waypoint, to a pod that is none of the service's",
			line("GET /a HTTP/1.1", "200 - via_upstream -", "reviews", `"envoy://connect_originate/10.1.0.8:9080" `+vip, "10.96.0.7:80", "10.1.0.5:1", "- default"), Disagrees, "the configuration is that of now",
		},
		{"of a client that is not known", line("GET /a HTTP/1.1", "200 - via_upstream -", "reviews", `"-" `+vip, "10.96.0.7:80", "10.7.7.7:1", "- default"), NotCompared, "name it with --from"},
		{"refused by the server's ztunnel", connection(toRatings, ` error="connection closed due to policy rejection: allow policies exist, but none allowed"`), Agrees, "a policy refuses it"},
		{"refused there, as the client's ztunnel has it", connection(toRatings, ` error="http status: 401 Unauthorized"`), Agrees, "the server's ztunnel answers 401"},
		{"complete, and the trace refuses", connection(toRatings, ""), Disagrees, "trace  Denied"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in, err := load.Manifests(load.ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(ambient)})
			if err != nil {
				t.Fatal(err)
			}
			reader, err := accesslog.NewReader()
			if err != nil {
				t.Fatal(err)
			}
			r, err := Compare(t.Context(), resolve.NewSnapshot(in), reader, []Log{{"log", strings.NewReader(tc.line + "\n")}}, Options{Namespace: "shop"})
			if err != nil {
				t.Fatal(err)
			}
			if text := string(r.Text(TextOptions{Wide: true})); r.Counts[tc.want] != 1 || !strings.Contains(text, tc.says) {
				t.Errorf("want %s and %q:\n%s", tc.want, tc.says, text)
			}
		})
	}
}
