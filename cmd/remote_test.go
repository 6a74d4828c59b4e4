package cmd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
)

// remoteMesh is what a remote cluster has of clusterMesh: two pods behind the Service, and configuration that istiod does not read there.
const remoteMesh = `apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: istio-system}
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-9, namespace: shop, labels: {app: reviews, version: v1, security.istio.io/tlsMode: istio}, annotations: {sidecar.istio.io/status: "{}"}}
spec:
  serviceAccountName: default
  initContainers: [{name: istio-proxy, image: proxyv2, restartPolicy: Always}]
  containers: [{name: app, image: reviews}]
status: {phase: Running, podIP: 10.9.0.2, podIPs: [{ip: 10.9.0.2}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {clusterIP: 10.8.0.1, clusterIPs: [10.8.0.1], selector: {app: reviews}, ports: [{name: http, port: 9080, targetPort: 9080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews-x, namespace: shop, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{name: http, port: 9080, protocol: TCP}]
endpoints: [{addresses: [10.9.0.2], conditions: {ready: true}, targetRef: {kind: Pod, name: reviews-9, namespace: shop}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nothing, namespace: shop}
spec: {}
`

// toldID is a pod of a remote cluster whose proxy says what its cluster is called.
const toldID = `apiVersion: v1
kind: Pod
metadata: {name: eastwest-1, namespace: istio-system, labels: {istio: eastwest}}
spec:
  containers: [{name: istio-proxy, image: proxyv2, args: [proxy, router], env: [{name: ISTIO_META_CLUSTER_ID, value: the-west}]}]
status: {phase: Running, podIP: 10.9.0.3, podIPs: [{ip: 10.9.0.3}], conditions: [{type: Ready, status: "True"}]}
`

// contexts writes a kubeconfig with a context for each server, the first of them current.
func contexts(t *testing.T, servers map[string]string, current string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: v1\nkind: Config\ncurrent-context: %s\nclusters:\n", current)
	for name, url := range servers {
		fmt.Fprintf(&b, "- {name: %s, cluster: {server: %q}}\n", name, url)
	}
	b.WriteString("contexts:\n")
	for name := range servers {
		fmt.Fprintf(&b, "- {name: %s, context: {cluster: %s, namespace: shop}}\n", name, name)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func runContexts(t *testing.T, kubeconfig string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}
	all := append([]string{"kubectl-mesh_trace", "--kubeconfig", kubeconfig}, args...)
	return result{run(t.Context(), all, streams, Build{}, join()), out.String(), errOut.String()}
}

// TestRemoteContexts traces over two API servers: endpoints of both, an id that is given, told or assumed, and one that can not be read.
func TestRemoteContexts(t *testing.T) {
	east, west, told := loadtest.New(t), loadtest.New(t), loadtest.New(t)
	east.Apply(t, clusterMesh)
	west.Apply(t, remoteMesh)
	told.Apply(t, remoteMesh+"---\n"+toldID)
	file := contexts(t, map[string]string{"east": east.URL, "w": west.URL, "told": told.URL, "gone": "http://127.0.0.1:1"}, "east")
	from := []string{"--from", "pod/web-1", "reviews:9080/"}
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
		not  []string
	}{
		{
			name: "an id that is given", args: append([]string{"--remote-context", "west=w"}, from...),
			want: []string{"to Pod shop/reviews-1", "west:shop/reviews-9", "1 of reviews.shop.svc.cluster.local in cluster west", "(cluster west)"},
			not:  []string{"Denied", "the name of its context"},
		},
		{
			name: "an id that a proxy tells", args: append([]string{"--remote-context", "told"}, from...),
			want: []string{"the-west:shop/reviews-9"}, not: []string{"the name of its context"},
		},
		{
			name: "an id that nothing tells", args: append([]string{"--remote-context", "w"}, from...),
			want: []string{"w:shop/reviews-9", "remote cluster w: nothing there tells its id, so the name of its context is taken for it (--remote-context ID=w)"},
		},
		{
			name: "a cluster that does not answer", args: append([]string{"--remote-context", "gone"}, from...),
			want: []string{"Delivered (assumed)", "remote cluster gone could not be read", "cluster gone is of the mesh and was not read: endpoints that it has of reviews.shop.svc.cluster.local are not considered"},
		},
		{
			name: "a client there", args: []string{"--remote-context", "west=w", "--from", "west:shop/pod/reviews-9", "reviews:9080/"},
			want: []string{"from west:shop/reviews-9"},
		},
		{
			name: "several contexts", args: append([]string{"--context", "east", "--context", "told", "--context", "w"}, from...),
			want: []string{"the-west:shop/reviews-9", "1 of reviews.shop.svc.cluster.local in cluster w", "from shop/web-1", "remote cluster w: nothing there tells its id"},
		},
		{
			name: "the current context and another", args: append([]string{"--context", "", "--context", "told"}, from...),
			want: []string{"the-west:shop/reviews-9", "from shop/web-1"},
		},
		{
			name: "several contexts of both flags", args: append([]string{"--context", "east", "--context", "told", "--remote-context", "west=w"}, from...),
			want: []string{"the-west:shop/reviews-9", "1 of reviews.shop.svc.cluster.local in cluster west"}, not: []string{"the name of its context"},
		},
		{name: "one context twice", args: append([]string{"--context", "east", "--context", "east"}, from...), code: 2, want: []string{`--context "east" is given twice`}},
		{name: "a further context twice", args: append([]string{"--context", "east", "--context", "w", "--context", "w"}, from...), code: 2, want: []string{`--context "w" is given twice`}},
		{name: "a further context that is empty", args: append([]string{"--context", "east", "--context", ""}, from...), code: 2, want: []string{"--context is empty where it names a remote cluster"}},
		{name: "a further context that is not there", args: append([]string{"--context", "east", "--context", "x=w"}, from...), code: 1, want: []string{"--context x=w"}},
		{name: "several contexts with files", args: append([]string{"-f", file, "--context", "east", "--context", "w"}, from...), code: 2, want: []string{"--context \"w\": manifests (-f)"}},
		{name: "several contexts, watched", args: append([]string{"--watch", "--context", "east", "--context", "w"}, from...), code: 2, want: []string{"--watch can not be used together with --context: it watches one cluster"}},
		{name: "a context that is not there", args: append([]string{"--remote-context", "nowhere"}, from...), code: 1, want: []string{"nowhere"}},
		{name: "one id twice", args: append([]string{"--remote-context", "x=w", "--remote-context", "x=told"}, from...), code: 1, want: []string{"two remote clusters have the id x"}},
		{name: "with files", args: append([]string{"-f", file, "--remote-context", "w"}, from...), code: 2, want: []string{"--remote"}},
		{name: "files with a cluster", args: append([]string{"--remote", "x=" + file}, from...), code: 2, want: []string{"need those of the first one (-f)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := runContexts(t, file, c.args...)
			text := got.Out + got.ErrOut
			if got.Code != c.code {
				t.Errorf("exit code %d, not %d", got.Code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(text, strings.TrimPrefix(want, "to Pod ")) {
					t.Errorf("not said: %s", want)
				}
			}
			for _, not := range c.not {
				if strings.Contains(text, not) {
					t.Errorf("said: %s", not)
				}
			}
			if t.Failed() {
				t.Log(text)
			}
		})
	}
	for _, asked := range slices.Concat(west.Asked(), told.Asked()) {
		for _, unread := range []string{"virtualservices", "authorizationpolicies", "configmaps", "secrets", "networking.istio.io/v1/gateways"} {
			if strings.Contains(asked, unread) {
				t.Errorf("a remote cluster is asked for what istiod does not read there: %s", asked)
			}
		}
		if !strings.HasPrefix(asked, "GET ") {
			t.Errorf("more than a question: %s", asked)
		}
	}
}

// TestSnapshotOfTwoContexts takes a snapshot over two API servers, which gives the trace again from its file.
func TestSnapshotOfTwoContexts(t *testing.T) {
	east, west := loadtest.New(t), loadtest.New(t)
	east.Apply(t, clusterMesh)
	west.Apply(t, remoteMesh)
	kubeconfig := contexts(t, map[string]string{"east": east.URL, "w": west.URL}, "east")
	file := filepath.Join(t.TempDir(), "snapshot.yaml")
	args := []string{"--from", "pod/web-1", "reviews:9080/"}
	if got := runContexts(t, kubeconfig, append([]string{"snapshot", "--remote-context", "west=w", "-o", file}, args...)...); got.Code != 0 || strings.Contains(got.ErrOut, "warning") {
		t.Fatalf("%+v", got)
	}
	want := runContexts(t, kubeconfig, append([]string{"--remote-context", "west=w"}, args...)...)
	got := runContexts(t, kubeconfig, append([]string{"-f", file, "-n", "shop"}, args...)...)
	first := func(r result) string { line, _, _ := strings.Cut(r.Out, "  by "); return line }
	if first(want) != first(got) || !strings.Contains(first(got), "west:shop/reviews-9") {
		t.Errorf("replayed:\n%s\nnot:\n%s", got.Out+got.ErrOut, want.Out)
	}
}
