package cmd

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
)

// otherNamespace is a part of the mesh that no request of these tests comes by, but for the gateway in it.
const otherNamespace = `apiVersion: v1
kind: Namespace
metadata: {name: other}
---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: other}
spec: {clusterIP: 10.1.0.7, selector: {app: other}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: edge, namespace: edge}
spec: {clusterIP: 10.1.0.8, selector: {app: edge}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: edge-1, namespace: edge, labels: {app: edge}}
spec: {containers: [{name: istio-proxy, image: proxyv2, args: [proxy, router]}]}
status: {phase: Running, podIP: 10.0.0.9, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: edge}
spec: {selector: {app: edge}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge, namespace: edge}
spec: {hosts: [shop.example.com], gateways: [edge], http: [{route: [{destination: {host: reviews.shop.svc.cluster.local, subset: v1}}]}]}
`

// whatRuns is the list of a kind that runs in namespaces.
var whatRuns = regexp.MustCompile(`/(pods|endpointslices|serviceaccounts|deployments|statefulsets|daemonsets|replicasets|jobs|cronjobs|nodes)\?`)

// TestTraceReadsWhatThePathTouches: of what runs in the mesh a trace lists some kinds of few namespaces, each once.
func TestTraceReadsWhatThePathTouches(t *testing.T) {
	const (
		istiodByDeployment = "/apis/apps/v1/deployments?labelSelector=app%3Distiod&limit=1000"
		istiodByPod        = "/api/v1/pods?labelSelector=app%3Distiod&limit=1000"
		nodes              = "/api/v1/nodes?limit=1000"
	)
	shop := []string{
		"/api/v1/namespaces/shop/pods?limit=1000",
		"/apis/apps/v1/namespaces/shop/deployments?limit=1000",
		"/apis/apps/v1/namespaces/shop/statefulsets?limit=1000",
		"/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?limit=1000",
	}
	gateways := []string{
		"/api/v1/pods?labelSelector=app%3Dedge&limit=1000",
		"/api/v1/pods?labelSelector=gateway.networking.k8s.io%2Fgateway-name&limit=1000",
		"/api/v1/pods?labelSelector=istio&limit=1000",
	}
	for _, tc := range []struct {
		args []string
		says string
		want []string
	}{
		{
			args: []string{"--from", "pod/web-1", "reviews:9080/"},
			says: "Delivered",
			want: slices.Concat(shop, []string{nodes}),
		},
		{
			args: []string{"--from", "external", "http://shop.example.com/"},
			says: "Delivered",
			want: slices.Concat(shop, gateways, []string{nodes}, []string{"/api/v1/namespaces/edge/pods?limit=1000"}),
		},
		{
			args: []string{"--from", "pod/web-1", "http://10.0.0.2:9080/"},
			says: "Unavailable", // outboundTrafficPolicy
			want: slices.Concat([]string{shop[0], nodes, "/api/v1/pods?fieldSelector=status.podIP%3D10.0.0.2&limit=1000"}),
		},
		{
			args: []string{"--from", "serviceaccount/default", "http://elsewhere.example.com/"},
			says: "Unavailable",
			want: []string{shop[0], nodes},
		},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			s := loadtest.New(t)
			s.Apply(t, clusterMesh)
			s.Apply(t, otherNamespace)
			got := fromCluster(t, s, append([]string{"-o", "jsonpath={.outcomes[0].decision}"}, tc.args...)...)
			if diff := cmp.Diff(result{Out: tc.says}, got); diff != "" {
				t.Error(diff)
			}
			var asked []string
			for _, line := range s.Asked() {
				if path := strings.TrimPrefix(line, "GET "); whatRuns.MatchString(path) {
					asked = append(asked, path)
				}
			}
			want := slices.Sorted(slices.Values(append(tc.want, istiodByDeployment, istiodByPod)))
			if diff := cmp.Diff(want, asked); diff != "" {
				t.Errorf("(-want +asked):\n%s", diff)
			}
		})
	}
}
