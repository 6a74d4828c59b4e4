package cmd

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
)

// plantedMesh has the objects of one request, with markers (words that begin with planted) wherever an object has room for
// what is nobody else's business.
const plantedMesh = `apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled, planted-label: planted-label-value}, annotations: {planted: planted-annotation}}
---
apiVersion: v1
kind: Namespace
metadata: {name: istio-system}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    outboundTrafficPolicy: {mode: REGISTRY_ONLY}
    accessLogFormat: planted-log
    defaultConfig:
      proxyMetadata: {PLANTED: planted-metadata, ISTIO_META_DNS_CAPTURE: "false"}
      tracing: {lightstep: {address: collector.example, accessToken: planted-token}}
    extensionProviders:
    - {name: tracer, lightstep: {service: planted-service, port: 80, accessToken: planted-access}}
    - {name: authz, envoyExtAuthzHttp: {service: authz.shop.svc.cluster.local, port: 80, includeAdditionalHeadersInCheck: {key: planted-check}}}
  meshNetworks: |
    # planted-comment
    networks: {net2: {endpoints: [{fromCidr: 10.77.0.0/16}], gateways: [{address: 203.0.113.5, port: 15443, locality: planted-locality}]}}
---
apiVersion: v1
kind: Secret
metadata: {name: db, namespace: shop, annotations: {a: planted-secret-annotation}}
type: Opaque
data: {password: cGxhbnRlZC1kYXRh}
stringData: {user: planted-user}
---
apiVersion: v1
kind: Pod
metadata:
  name: web-1
  namespace: shop
  uid: planted-uid
  labels: {app: web, planted-team: planted-crew}
  annotations:
    sidecar.istio.io/status: '{"a": "planted-status"}'
    kubectl.kubernetes.io/last-applied-configuration: '{"a": "planted-applied"}'
    proxy.istio.io/config: '{proxyMetadata: {A: planted-annotated}, tracing: {zipkin: {address: zipkin.example}}}'
  managedFields: [{manager: planted-manager, operation: Update, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {"f:planted": {}}}]
  finalizers: [planted/finalizer]
spec:
  serviceAccountName: default
  nodeName: n1
  imagePullSecrets: [{name: planted-pull}]
  volumes: [{name: planted-volume, hostPath: {path: /planted-path}}, {name: v, secret: {secretName: planted-mounted}}]
  tolerations: [{key: planted-toleration}]
  nodeSelector: {planted-node: planted-node-value}
  initContainers: [{name: istio-proxy, image: registry/planted-image, restartPolicy: Always, args: [proxy, sidecar, --planted-argument], env: [{name: PLANTED, value: planted-env}]}]
  containers:
  - name: app
    image: registry/planted-app
    command: [planted-command]
    args: [--password=planted-password]
    workingDir: /planted-dir
    env: [{name: DB, value: planted-db}, {name: S, valueFrom: {secretKeyRef: {name: planted-ref, key: planted-key}}}]
    envFrom: [{secretRef: {name: planted-from}}]
    volumeMounts: [{name: planted-volume, mountPath: /planted-mount}]
    livenessProbe: {exec: {command: [planted-probe]}}
status:
  phase: Running
  message: planted-message
  podIP: 10.0.0.1
  podIPs: [{ip: 10.0.0.1}]
  hostIP: 10.9.9.9
  conditions: [{type: Ready, status: "True", message: planted-condition, reason: planted-reason}]
  containerStatuses: [{name: app, image: planted-state, imageID: planted-id, state: {waiting: {message: planted-waiting}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-1, namespace: shop, labels: {app: reviews, version: v1, security.istio.io/tlsMode: istio}, annotations: {sidecar.istio.io/status: "{}"}}
spec:
  serviceAccountName: default
  nodeName: n1
  initContainers: [{name: istio-proxy, image: proxyv2, restartPolicy: Always}]
  containers: [{name: app, image: reviews, env: [{name: A, value: planted-second}]}]
status: {phase: Running, podIP: 10.0.0.2, podIPs: [{ip: 10.0.0.2}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: unrelated, namespace: elsewhere, labels: {a: planted-elsewhere}}
spec: {containers: [{name: planted-container}]}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop, annotations: {meta.helm.sh/release-name: planted-release}, labels: {planted-chart: planted-chart-value}}
spec: {clusterIP: 10.1.0.1, clusterIPs: [10.1.0.1], selector: {app: reviews}, loadBalancerSourceRanges: [planted-range], ports: [{name: http, port: 9080, targetPort: 9080}]}
status: {loadBalancer: {ingress: [{hostname: balancer.example}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews-x, namespace: shop, labels: {kubernetes.io/service-name: reviews}, generateName: planted-generate}
addressType: IPv4
ports: [{name: http, port: 9080, protocol: TCP}]
endpoints: [{addresses: [10.0.0.2], conditions: {ready: true}, targetRef: {kind: Pod, name: reviews-1, namespace: shop, uid: planted-target}, deprecatedTopology: {planted: planted-topology}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop, annotations: {argocd: planted-argo}}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: v1}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: lua, namespace: shop}
spec: {configPatches: [{applyTo: HTTP_FILTER, match: {context: SIDECAR_OUTBOUND}, patch: {operation: INSERT_BEFORE, value: {name: own, typed_config: {inline_code: planted-lua}}}}]}
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: plugin, namespace: shop}
spec: {url: "oci://planted-registry/plugin:1", imagePullSecret: planted-image-pull, pluginConfig: {key: planted-plugin}, vmConfig: {env: [{name: A, value: planted-vm}]}}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt, namespace: shop}
spec: {jwtRules: [{issuer: "https://issuer.example.com", jwks: '{"keys": [{"kty": "oct", "k": "planted-symmetric"}]}'}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: reviews, namespace: shop}
spec: {rules: [{to: [{operation: {methods: [GET]}}], when: [{key: "request.auth.claims[group]", values: [staff]}]}]}
`

// plantedToken is a token with more claims than the policy reads, and a signature.
func plantedToken() string {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	return part(`{"alg":"RS256","kid":"planted-kid"}`) + "." +
		part(`{"iss":"https://issuer.example.com","sub":"planted-subject","group":"staff","email":"planted-mail","exp":1700000000}`) + "." + part("planted-signature")
}

// plantedRequest has what a request carries and no policy reads.
func plantedRequest() []string {
	return []string{
		"--from", "pod/web-1", "-H", "Authorization: Bearer " + plantedToken(), "-H", "Cookie: session=planted-cookie", "-H", "X-Api-Key: planted-api",
		"-H", "x-user: planted-header", "http://reviews:9080/?token=planted-query",
	}
}

var markers = regexp.MustCompile(`(?i)planted[\w/-]*|cGxhbnRlZ[\w-]*`)

// leaks are the markers in a text, each once.
func leaks(text string) []string {
	found := markers.FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

func TestSnapshotOfFilesHasNothingThatNoTraceReads(t *testing.T) {
	dir := t.TempDir()
	mesh, file := filepath.Join(dir, "planted-mesh.yaml"), filepath.Join(dir, "snapshot.yaml")
	if err := os.WriteFile(mesh, []byte(strings.ReplaceAll(plantedMesh, ", deprecatedTopology: {planted: planted-topology}", "")), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-n", "shop"}, plantedRequest()...)
	if r := runWith(t, join(), append([]string{"snapshot", "-f", mesh, "-o", file}, args...)...); r.Code != 0 {
		t.Fatalf("%+v", r)
	}
	checkPlanted(t, file, func(args ...string) string {
		return runWith(t, join(), append([]string{"-f", mesh, "-n", "shop"}, args...)...).Out
	})
}

func TestSnapshotOfAClusterHasNothingThatNoTraceReads(t *testing.T) {
	s := loadtest.New(t)
	secret := regexp.MustCompile(`(?s)---\napiVersion: v1\nkind: Secret\n.*?(---\n)`) // which the server does not list
	s.Apply(t, secret.ReplaceAllString(plantedMesh, "$1"))
	file := filepath.Join(t.TempDir(), "snapshot.yaml")
	if r := fromCluster(t, s, append([]string{"snapshot", "-o", file}, plantedRequest()...)...); r.Code != 0 {
		t.Fatalf("%+v", r)
	}
	checkPlanted(t, file, func(args ...string) string { return fromCluster(t, s, args...).Out })
}

// checkPlanted holds that no marker is in the snapshot, and that it gives the trace.
func checkPlanted(t *testing.T, file string, original func(args ...string) string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	plain := string(text)
	for _, part := range regexp.MustCompile(`eyJ[\w-]+`).FindAllString(plain, -1) {
		decoded, _ := base64.RawURLEncoding.DecodeString(part)
		plain += string(decoded)
	}
	if found := leaks(plain); len(found) > 0 {
		t.Errorf("in the snapshot: %s\n%s", strings.Join(found, ", "), text)
	}
	for _, wanted := range []string{`these claims: {"exp":1700000000,"group":"staff","iss":"https://issuer.example.com","sub":"redacted"}`, "kind: EnvoyFilter", "jwks: left out", "ISTIO_META_DNS_CAPTURE"} {
		if !strings.Contains(string(text), wanted) {
			t.Errorf("no %q in the snapshot:\n%s", wanted, text)
		}
	}
	args := []string{"-o", "json", "--explain", "full", "--from", "pod/web-1", "--claim", "group=staff", "--claim", "iss=https://issuer.example.com", "reviews:9080/"}
	want := withoutSources(original(args...))
	got := withoutSources(runWith(t, join(), append([]string{"-f", file, "-n", "shop"}, args...)...).Out)
	if diff := cmp.Diff(want, got); diff != "" || !strings.Contains(got, "Delivered") {
		t.Errorf("(-original +snapshot):\n%s\n%s", diff, text)
	}
}

// sourceField is where a resource stands, in a JSON document.
var sourceField = regexp.MustCompile(`(?m)^ *"source": "[^"]*",?\n`)

func withoutSources(text string) string { return sourceField.ReplaceAllString(text, "") }

// TestSnapshotOfAClusterKeepsWhatCouldNotBeRead refuses one kind after the other: the snapshot's trace rests on the same assumptions.
func TestSnapshotOfAClusterKeepsWhatCouldNotBeRead(t *testing.T) {
	for _, plural := range []string{"pods", "endpointslices", "virtualservices", "destinationrules", "namespaces", "services", "envoyfilters", "deployments", "configmaps", "nodes"} {
		t.Run(plural, func(t *testing.T) {
			s := loadtest.New(t)
			s.Apply(t, clusterMesh)
			s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/"+plural) {
					return false
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"User \"ann\" may not list %s","code":403}`, plural)
				return true
			}
			file := filepath.Join(t.TempDir(), "snapshot.yaml")
			for _, request := range [][]string{{"--from", "pod/web-1", "reviews:9080/"}, {"http://10.0.0.2:9080/"}, {"--from", "external", "http://shop.example.com/"}} {
				full := append([]string{"-o", "json", "--explain", "full"}, request...)
				original := fromCluster(t, s, full...)
				if original.Code != 0 {
					continue // without pods there is no pod to trace from
				}
				if r := fromCluster(t, s, append([]string{"snapshot", "-o", file}, request...)...); r.Code != 0 || strings.Contains(r.ErrOut, "not all those") {
					t.Fatalf("%+v", r)
				}
				text, err := os.ReadFile(file)
				if err != nil || strings.Contains(string(text), "ann") && strings.Contains(string(text), "may not list") {
					t.Errorf("%v\n%s", err, text)
				}
				refused := regexp.MustCompile(`\(forbidden: [^)]*\)`)
				want := refused.ReplaceAllString(withoutSources(original.Out), "(forbidden)")
				got := refused.ReplaceAllString(withoutSources(runWith(t, join(), append([]string{"-f", file, "-n", "shop"}, full...)...).Out), "(forbidden)")
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%v (-original +snapshot):\n%s\n%s", request, diff, text)
				}
			}
		})
	}
}
