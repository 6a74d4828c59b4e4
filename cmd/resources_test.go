package cmd

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
)

const resourcesHead = `# Resources

Every resource that an Istio installation involves, its part in a trace, and a scenario that shows it: manifests, a command and the whole
output. Its twin is the same mesh with one thing changed, so that the answer is another. All of them are run by the tests, and a row
without a scenario and a twin of its kind fails them; where pilot takes part, testdata/conformance holds the answer against it.
This page is generated.

| resource | its part | scenarios, each with its twin |
|---|---|---|
`

// resource is a row: kinds that have one part in a trace, and the scenarios that show it, beneath testdata/scenarios.
type resource struct {
	kinds []string
	part  string
	shown []string
	// file is what holds it in a scenario, where it is no object.
	file string
}

// resources are the rows, in the order in which a reader of Istio's documentation meets them.
var resources = []resource{
	{kinds: []string{"CustomResourceDefinition"}, part: "which kinds, in which version, istiod watches: one of an old release of the Gateway API counts for nothing", shown: []string{"kubeinert/crd-of-an-old-release"}},
	{kinds: []string{"MutatingWebhookConfiguration"}, part: "the injectors and their revisions: would this pod get a sidecar, and of which revision", shown: []string{"injection/injector-of-revision", "injection/injector-by-default", "injection/injector-of-its-own"}},
	{kinds: []string{"ValidatingWebhookConfiguration"}, part: "whether what would be applied is validated, and what becomes of it if istiod does not answer", shown: []string{"admission/webhook-ignores", "admission/webhook-of-another-revision"}},
	{kinds: []string{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"}, part: "sources and destinations by the name people use; in files their templates stand for pods", shown: []string{"endpoint/scaled-to-zero", "source/statefulset", "source/daemonset", "source/replicaset", "source/job", "source/cronjob"}},
	{kinds: []string{"Pod"}, part: "labels, identity, address, readiness; sidecar, ambient or neither", shown: []string{"workload/pod-with-sidecar", "passthrough/pod-ip-strict"}},
	{kinds: []string{"Node"}, part: "locality, and what it prefers", shown: []string{"locality/distribute-unready"}},
	{kinds: []string{"Service"}, part: "hosts, ports, protocols, selectors; headless, ExternalName; how a client outside reaches it", shown: []string{"gatewayentry/source-replaced", "gatewayentry/node-port"}},
	{kinds: []string{"EndpointSlice"}, part: "the backends and their health", shown: []string{"endpoint/slice-by-hand-not-ready"}},
	{kinds: []string{"Namespace"}, part: "injection and ambient labels, revisions, selectors of routes and of istiod", shown: []string{"injection/namespace-disabled"}},
	{kinds: []string{"ServiceAccount"}, part: "identities", shown: []string{"source/serviceaccount"}},
	{kinds: []string{"Secret"}, part: "whether the certificate of a listener or a destination is there, of the right type, and may be used; never its data", shown: []string{"kubelistener/certificate-granted"}},
	{kinds: []string{"ConfigMap"}, part: "the mesh config; the certificates of authorities; the root certificates of each namespace", shown: []string{"configmap/policy-other-key", "trust/roots-differ"}},
	{kinds: []string{"Ingress", "IngressClass"}, part: "routes through Istio's ingress controller, as Istio converts them", shown: []string{"ingress/before-virtual-service"}},
	{kinds: []string{"Lease"}, part: "whether some istiod writes the status of Gateway API objects, where it is missing, old or other than it should be", shown: []string{"kubestatus/leader-none"}},
	{kinds: []string{"GatewayClass", "Gateway", "ListenerSet"}, part: "entry points, listeners, conflicts; their status against our own result", shown: []string{"kubegateway/class-by-other-controller", "listenerset/not-allowed", "kubestatus/listener"}},
	{kinds: []string{"HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute"}, part: "attachment, precedence, filters, backends, at gateways and in the mesh; of UDPRoute that Istio makes nothing of it", shown: []string{"kubehttproute/redirect-port-other", "kubegrpcroute/method-alone", "kubel4route/tcp-younger", "kubel4route/tls-name-taken", "kubeinert/udproute"}},
	{kinds: []string{"ReferenceGrant"}, part: "references to other namespaces", shown: []string{"kubebackend/granted"}},
	{kinds: []string{"BackendTLSPolicy", "XBackendTrafficPolicy"}, part: "TLS and traffic policy towards backends", shown: []string{"backendpolicy/applied", "kubeinert/traffic-policy"}},
	{kinds: []string{"InferencePool"}, part: "a backend whose endpoint a picker chooses", shown: []string{"inferencepool/picker"}},
	{kinds: []string{"VirtualService"}, part: "routes: hosts, matches in order, delegates, rewrites, faults, weights", shown: []string{"gatewayhost/host-unknown"}},
	{kinds: []string{"DestinationRule"}, part: "subsets, TLS, load balancing, and whose rule counts", shown: []string{"destinationrule/client-namespace-hides-service-namespace"}},
	{kinds: []string{"ServiceEntry", "WorkloadEntry", "WorkloadGroup"}, part: "hosts outside, machines, and machines that have not registered", shown: []string{"tcp/destination-subnet-of-other-address", "workload/entry-tls-mode-istio", "workload/group-without-entry"}},
	{kinds: []string{"Sidecar"}, part: "what a proxy sees", shown: []string{"source/named"}},
	{kinds: []string{"ProxyConfig"}, part: "its proxies' settings that change a trace", shown: []string{"dns/captured-by-proxy-config", "proxyconfig/of-workload"}},
	{kinds: []string{"EnvoyFilter"}, part: "which hop, listener, route and cluster each patch touches, in istiod's order: what can be read is applied, what cannot lowers the certainty where it stands before the decision", shown: []string{"envoyfilter/rbac-denies", "envoyfilter/local-ratelimit", "envoyfilter/route-answers", "envoyfilter/lua-before-policies"}},
	{kinds: []string{"WasmPlugin", "TrafficExtension"}, part: "which hop they run at, in which phase, before or after the decision, and what becomes of the request if they fail", shown: []string{"extension/wasm-on-server", "extension/trafficextension-on-server"}},
	{kinds: []string{"Telemetry"}, part: "where the request will be seen: access log, metrics and tracing of each hop", shown: []string{"telemetry/denial-in-client-log", "telemetry/log-filter"}},
	{kinds: []string{"HorizontalPodAutoscaler", "PodDisruptionBudget"}, part: "facts of the destination: replicas now and wanted, scaled to zero, disruption allowed", shown: []string{"replicas/scaled-to-zero", "replicas/rollout"}},
	{kinds: []string{"CertificateSigningRequest", "ClusterTrustBundle"}, part: "facts of mTLS: who signs the certificates of workloads, requests that wait, a bundle that is missing", shown: []string{"trust/requests-unsigned", "trust/bundle"}},
	{kinds: []string{"MeshConfig"}, part: "every setting that changes a decision", shown: []string{"resilience/limits-of-mesh"}, file: "mesh-config.yaml"},
	{kinds: []string{"MeshNetworks"}, part: "networks, their gateways, and which endpoints are reached by them", shown: []string{"network/by-registry"}, file: "mesh-networks.yaml"},
	{kinds: []string{"PeerAuthentication", "RequestAuthentication", "AuthorizationPolicy"}, part: "who has to prove what, and who is let in, in the order they are applied", shown: []string{"passthrough/pod-ip-strict", "authorizationpolicy/request-principal", "waypoint/policy-of-gateway"}},
}

var kindLine = regexp.MustCompile(`(?m)^ *(?:- )?kind: ([A-Za-z]+)`)

// TestDocsResources holds docs/resources.md to the scenarios it names.
func TestDocsResources(t *testing.T) {
	var page strings.Builder
	page.WriteString(resourcesHead)
	scenarios := map[string]*scenario{}
	for _, s := range loadScenarios(t) {
		scenarios[strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(s.path), scenarioRoot+"/"), ".txtar")] = s
	}
	var listed []string
	for _, r := range resources {
		listed = append(listed, r.kinds...)
		var cells []string
		shown := map[string]bool{}
		for _, name := range r.shown {
			s := scenarios[name]
			if s == nil {
				t.Errorf("%s: there is no scenario %s", strings.Join(r.kinds, ", "), name)
				continue
			}
			twin := twinOf(s)
			if twin == "" || scenarios[twin] == nil {
				t.Errorf("%s: scenario %s has no twin", strings.Join(r.kinds, ", "), name)
				continue
			}
			for _, one := range []*scenario{s, scenarios[twin]} {
				for name, text := range one.files {
					shown[name] = true
					for _, m := range kindLine.FindAllStringSubmatch(text, -1) {
						shown[m[1]] = true
					}
				}
			}
			cells = append(cells, fmt.Sprintf("[%s](../testdata/scenarios/%s.txtar) ([%s](../testdata/scenarios/%s.txtar))", name, name, filepath.Base(twin), twin))
		}
		for _, kind := range r.kinds {
			if !shown[cmp.Or(r.file, kind)] {
				t.Errorf("no scenario of its row has a %s", kind)
			}
		}
		fmt.Fprintf(&page, "| %s | %s | %s |\n", strings.Join(r.kinds, ", "), cell(r.part), strings.Join(cells, "<br>"))
	}
	for _, kind := range load.KindNames() {
		if !slices.Contains(listed, kind) {
			t.Errorf("%s is read and has no row", kind)
		}
	}
	generated(t, "resources.md", page.String())
}

var twinLine = regexp.MustCompile(`(?m)^Twin: ([a-z0-9./-]+)\.txtar`)

// twinOf is the name of a scenario's twin; "" where it names none.
func twinOf(s *scenario) string {
	m := twinLine.FindStringSubmatch(string(s.archive.Comment))
	if m == nil {
		return ""
	}
	return filepath.ToSlash(filepath.Join(filepath.Base(filepath.Dir(s.path)), m[1]))
}
