package cmd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
)

// clusterMesh is a small mesh as a cluster has it: with pods, endpoints, addresses and a mesh config.
const clusterMesh = `apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: istio-system}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "outboundTrafficPolicy: {mode: REGISTRY_ONLY}"}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web}, annotations: {sidecar.istio.io/status: "{}"}}
spec:
  serviceAccountName: default
  nodeName: n1
  initContainers: [{name: istio-proxy, image: proxyv2, restartPolicy: Always}]
  containers: [{name: app, image: web}]
status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-1, namespace: shop, labels: {app: reviews, version: v1, security.istio.io/tlsMode: istio}, annotations: {sidecar.istio.io/status: "{}"}}
spec:
  serviceAccountName: default
  nodeName: n1
  initContainers: [{name: istio-proxy, image: proxyv2, restartPolicy: Always}]
  containers: [{name: app, image: reviews}]
status: {phase: Running, podIP: 10.0.0.2, podIPs: [{ip: 10.0.0.2}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {clusterIP: 10.1.0.1, clusterIPs: [10.1.0.1], selector: {app: reviews}, ports: [{name: http, port: 9080, targetPort: 9080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews-x, namespace: shop, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{name: http, port: 9080, protocol: TCP}]
endpoints: [{addresses: [10.0.0.2], conditions: {ready: true}, targetRef: {kind: Pod, name: reviews-1, namespace: shop}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: v1}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: reviews, namespace: shop}
spec: {rules: [{to: [{operation: {methods: [GET]}}]}]}
`

// rootsOfNamespaces are what istiod puts into every namespace, which files need not have.
const rootsOfNamespaces = `---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio-ca-root-cert, namespace: shop}
data: {root-cert.pem: "sha256:0000000000000000000000000000000000000000000000000000000000000001"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio-ca-root-cert, namespace: istio-system}
data: {root-cert.pem: "sha256:0000000000000000000000000000000000000000000000000000000000000001"}
`

// fromCluster runs the real command against the server.
func fromCluster(t *testing.T, s *loadtest.Server, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}
	all := append([]string{"kubectl-mesh_trace", "--server", s.URL, "-n", "shop"}, args...)
	return result{run(t.Context(), all, streams, Build{}, join()), out.String(), errOut.String()}
}

// TestClusterAndFilesAgree traces one mesh from files and from an API server: all that differs is where it was read.
func TestClusterAndFilesAgree(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mesh.yaml")
	mesh := clusterMesh + rootsOfNamespaces
	if err := os.WriteFile(file, []byte(mesh), 0o600); err != nil {
		t.Fatal(err)
	}
	s := loadtest.New(t)
	s.Apply(t, mesh)
	line := regexp.MustCompile(regexp.QuoteMeta(file) + `:\d+`)
	for _, args := range [][]string{
		{"--from", "pod/web-1", "reviews:9080/"},
		{"--from", "pod/web-1", "-X", "POST", "reviews:9080/"},
		{"--from", "pod/web-1", "http://elsewhere.example.com/"},
		{"reviews:9080/"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			args = append([]string{"-o", "wide"}, args...)
			want := runWith(t, join(), append([]string{"-n", "shop", "-f", file}, args...)...)
			want.Out = line.ReplaceAllString(want.Out, "cluster")
			want.Out = strings.ReplaceAll(want.Out, "verify istiod by them  (cluster)", "verify istiod by them") // it is asked for, not listed
			got := fromCluster(t, s, args...)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-files +cluster):\n%s", diff)
			}
		})
	}
}

// TestForbiddenKindLowersCertainty forbids one kind after the other: the outcomes it stands before are no longer certain.
func TestForbiddenKindLowersCertainty(t *testing.T) {
	const sure = "Delivered certain"
	for _, tc := range []struct {
		kind string
		want string
	}{
		{"", sure},
		{"EndpointSlice", "Delivered assumed"},
		{"Pod", "Unavailable assumed"}, // whether an address is in the subset is not known
		{"WorkloadEntry", "Delivered assumed"},
		{"Sidecar", "Delivered assumed"},
		{"VirtualService", "Delivered assumed"},
		{"HTTPRoute", "Delivered assumed"},
		{"DestinationRule", "Unavailable assumed"},
		{"PeerAuthentication", "Delivered assumed"},
		{"RequestAuthentication", "Delivered assumed"},
		{"AuthorizationPolicy", "Delivered undetermined"},
		{"EnvoyFilter", "Delivered assumed"},
		{"WasmPlugin", "Delivered assumed"},
		{"TrafficExtension", "Delivered assumed"},
		// Nothing of these stands on the way to a Service of the mesh.
		{"ServiceEntry", sure},
		{"Gateway", sure},
		{"Ingress", sure},
		{"Telemetry", sure},
		{"Node", sure},
		{"Deployment", sure},
		{"ServiceAccount", sure},
	} {
		t.Run(tc.kind, func(t *testing.T) {
			s := loadtest.New(t)
			s.Apply(t, clusterMesh)
			for _, k := range loadtest.Kinds() {
				if k.Kind == tc.kind {
					s.Forbid(k)
				}
			}
			// The pod's kind may be what is forbidden: then a client is assumed.
			args := []string{"-o", "jsonpath={.outcomes[0].decision} {.outcomes[0].certainty}", "reviews:9080/"}
			if diff := cmp.Diff(result{Out: tc.want}, fromCluster(t, s, args...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestForbiddenNames are hosts that could be what may not be read.
func TestForbiddenNames(t *testing.T) {
	for _, tc := range []struct {
		forbidden, host, want string
	}{
		{"", "ratings", "NotRouted certain"},
		{"Service", "ratings", "NotRouted assumed"},
		{"ServiceEntry", "ratings", "NotRouted assumed"},
		{"", "elsewhere.example.com", "Unavailable certain"},
		{"ServiceEntry", "elsewhere.example.com", "Unavailable assumed"},
		{"Service", "10.1.0.9", "Unavailable assumed"},
	} {
		t.Run(tc.host+" without "+tc.forbidden, func(t *testing.T) {
			s := loadtest.New(t)
			s.Apply(t, clusterMesh)
			for _, k := range loadtest.Kinds() {
				if k.Kind == tc.forbidden {
					s.Forbid(k)
				}
			}
			args := []string{"-o", "jsonpath={.outcomes[0].decision} {.outcomes[0].certainty}", tc.host}
			if diff := cmp.Diff(result{Out: tc.want}, fromCluster(t, s, args...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestForbiddenMeshConfig is a mesh config that may not be read: Istio's defaults are assumed, unless a file has it.
func TestForbiddenMeshConfig(t *testing.T) {
	s := loadtest.New(t)
	s.Apply(t, clusterMesh)
	s.Refuse("/api/v1/namespaces/istio-system/configmaps/istio", 403)
	path := "jsonpath={.outcomes[0].decision} {.outcomes[0].certainty}"
	if diff := cmp.Diff(result{Out: "Delivered assumed"}, fromCluster(t, s, "-o", path, "reviews:9080/")); diff != "" {
		t.Error(diff)
	}
	wide := fromCluster(t, s, "reviews:9080/")
	if want := "the mesh config could not be read (forbidden: the server says Forbidden"; strings.Count(wide.Out, want) != 3 {
		t.Errorf("want one step, one warning and the reason with %q:\n%s", want, wide.Out)
	}
	file := filepath.Join(t.TempDir(), "mesh-config.yaml")
	if err := os.WriteFile(file, []byte("trustDomain: cluster.local\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(result{Out: "Delivered certain"}, fromCluster(t, s, "--mesh-config", file, "-o", path, "reviews:9080/")); diff != "" {
		t.Error(diff)
	}
}

// TestRestrictedUserIsStillCertainAtHome lists in its own namespaces only: what is decided there is certain.
func TestRestrictedUserIsStillCertainAtHome(t *testing.T) {
	s := loadtest.New(t)
	s.Apply(t, clusterMesh)
	for _, k := range loadtest.Kinds() {
		if slices.Contains([]string{"Service", "Pod", "EndpointSlice", "WorkloadEntry", "PeerAuthentication", "RequestAuthentication", "AuthorizationPolicy", "DestinationRule", "Sidecar", "EnvoyFilter"}, k.Kind) {
			base := "/apis/" + k.Group
			if k.Group == "" {
				base = "/api"
			}
			s.Refuse(fmt.Sprint(base, "/", k.Version, "/", k.Plural), 403)
		}
	}
	args := []string{"-o", "jsonpath={.outcomes[0].decision} {.outcomes[0].certainty}", "reviews:9080/"}
	if diff := cmp.Diff(result{Out: "Delivered certain"}, fromCluster(t, s, args...)); diff != "" {
		t.Error(diff)
	}
}
