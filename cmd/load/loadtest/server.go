// Package loadtest has the API server that the tests of the cluster path talk to. Nothing but tests imports it.
package loadtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// kinds are apiVersion, kind and plural.
const kinds = `
v1 Namespace namespaces
v1 Node nodes
v1 Pod pods
v1 Service services
v1 ServiceAccount serviceaccounts
coordination.k8s.io/v1 Lease leases
certificates.k8s.io/v1 CertificateSigningRequest certificatesigningrequests
certificates.k8s.io/v1beta1 ClusterTrustBundle clustertrustbundles
admissionregistration.k8s.io/v1 MutatingWebhookConfiguration mutatingwebhookconfigurations
admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration validatingwebhookconfigurations
apps/v1 DaemonSet daemonsets
apps/v1 Deployment deployments
apps/v1 ReplicaSet replicasets
apps/v1 StatefulSet statefulsets
autoscaling/v2 HorizontalPodAutoscaler horizontalpodautoscalers
batch/v1 CronJob cronjobs
batch/v1 Job jobs
discovery.k8s.io/v1 EndpointSlice endpointslices
extensions.istio.io/v1alpha1 TrafficExtension trafficextensions
extensions.istio.io/v1alpha1 WasmPlugin wasmplugins
gateway.networking.k8s.io/v1 BackendTLSPolicy backendtlspolicies
gateway.networking.k8s.io/v1 Gateway gateways
gateway.networking.k8s.io/v1 GatewayClass gatewayclasses
gateway.networking.k8s.io/v1 GRPCRoute grpcroutes
gateway.networking.k8s.io/v1 HTTPRoute httproutes
gateway.networking.k8s.io/v1 ListenerSet listenersets
gateway.networking.k8s.io/v1beta1 ReferenceGrant referencegrants
gateway.networking.k8s.io/v1 TCPRoute tcproutes
gateway.networking.k8s.io/v1 TLSRoute tlsroutes
gateway.networking.k8s.io/v1 UDPRoute udproutes
gateway.networking.x-k8s.io/v1alpha1 XBackendTrafficPolicy xbackendtrafficpolicies
inference.networking.k8s.io/v1 InferencePool inferencepools
networking.istio.io/v1 DestinationRule destinationrules
networking.istio.io/v1 Gateway gateways
networking.istio.io/v1 ServiceEntry serviceentries
networking.istio.io/v1 Sidecar sidecars
networking.istio.io/v1 VirtualService virtualservices
networking.istio.io/v1 WorkloadEntry workloadentries
networking.istio.io/v1 WorkloadGroup workloadgroups
networking.istio.io/v1alpha3 EnvoyFilter envoyfilters
networking.istio.io/v1beta1 ProxyConfig proxyconfigs
networking.k8s.io/v1 Ingress ingresses
networking.k8s.io/v1 IngressClass ingressclasses
policy/v1 PodDisruptionBudget poddisruptionbudgets
security.istio.io/v1 AuthorizationPolicy authorizationpolicies
security.istio.io/v1 PeerAuthentication peerauthentications
security.istio.io/v1 RequestAuthentication requestauthentications
telemetry.istio.io/v1 Telemetry telemetries
`

// Kind is a kind the server has, in one version.
type Kind struct {
	Group, Version, Kind, Plural string
}

// GroupVersion is the kind's.
func (k Kind) GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: k.Group, Version: k.Version}
}

// Kinds are those of the loader's table, in the newest versions.
func Kinds() []Kind {
	var out []Kind
	for _, line := range strings.Split(strings.TrimSpace(kinds), "\n") {
		words := strings.Fields(line)
		gv, _ := schema.ParseGroupVersion(words[0])
		out = append(out, Kind{gv.Group, gv.Version, words[1], words[2]})
	}
	return out
}

// Server is an API server of canned answers that keeps what it was asked.
type Server struct {
	*httptest.Server
	// Served are the kinds this server has.
	Served []Kind
	// Stale are the versions whose discovery fails.
	Stale []schema.GroupVersion
	// Legacy is a server from before aggregated discovery.
	Legacy bool
	// Protobuf is a server that speaks it for built-in kinds.
	Protobuf bool
	// Items are the objects under a list's path, as JSON.
	Items map[string][]string
	// Objects are single objects, as JSON.
	Objects map[string]string
	// PageSize is how many objects an answer holds, whatever was asked for.
	PageSize int
	// Answer, where it returns true, has answered the request itself.
	Answer func(http.ResponseWriter, *http.Request) bool

	mu       sync.Mutex
	requests []string
	watches  map[string][]chan string
	// Headers are those of the last request for a path.
	Headers map[string]http.Header
}

// New serves as Start does until the test ends.
func New(t testing.TB) *Server {
	t.Helper()
	s := Start()
	t.Cleanup(s.Close)
	return s
}

// Start serves every kind of the loader in the newest version, with no objects.
func Start() *Server {
	s := &Server{Served: Kinds(), Items: map[string][]string{}, Objects: map[string]string{}, Headers: map[string]http.Header{}}
	s.Server = httptest.NewServer(s)
	return s
}

// Config is what a client of the server needs.
func (s *Server) Config() *rest.Config { return &rest.Config{Host: s.URL} }

// Serve replaces the kinds of one group; "VirtualService=v1beta1" is one of them.
func (s *Server) Serve(group string, kinds ...string) {
	s.Served = slices.DeleteFunc(s.Served, func(k Kind) bool { return k.Group == group })
	for _, k := range Kinds() {
		for _, written := range kinds {
			if name, version, _ := strings.Cut(written, "="); k.Group == group && k.Kind == name {
				k.Version = version
				s.Served = append(s.Served, k)
			}
		}
	}
}

// Add files objects, written in YAML, under a list's path.
func (s *Server) Add(t testing.TB, path string, objects ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range objects {
		data, err := yaml.YAMLToJSON([]byte(o))
		if err != nil {
			t.Fatal(err)
		}
		s.Items[path] = append(s.Items[path], string(data))
	}
}

// MeshConfig files a ConfigMap with that mesh config.
func (s *Server) MeshConfig(t testing.TB, namespace, name, text string) {
	t.Helper()
	data, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]string{"namespace": namespace, "name": name},
		"data":     map[string]string{"mesh": text},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Objects["/api/v1/namespaces/"+namespace+"/configmaps/"+name] = string(data)
}

// Refuse answers the path with a status.
func (s *Server) Refuse(path string, code int) {
	before := s.Answer
	s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == path {
			WriteStatus(w, code, "the server says "+http.StatusText(code))
			return true
		}
		return before != nil && before(w, r)
	}
}

// Requests are those so far, in the order in which they came.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Asked are the requests so far, sorted.
func (s *Server) Asked() []string { return slices.Sorted(slices.Values(s.Requests())) }

// ServeHTTP answers discovery, lists and single objects.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	query := r.URL.Query()
	query.Del("timeout")
	line := r.Method + " " + r.URL.Path
	if len(query) > 0 {
		line += "?" + query.Encode()
	}
	s.requests = append(s.requests, line)
	s.Headers[r.URL.Path] = r.Header.Clone()
	s.mu.Unlock()

	if s.Answer != nil && s.Answer(w, r) {
		return
	}
	switch path := r.URL.Path; {
	case path == "/api" || path == "/apis":
		s.writeGroups(w, r, path)
	case s.Objects[path] != "":
		writeJSON(w, s.Objects[path])
	case query.Get("watch") != "":
		s.stream(w, r)
	case s.writeVersion(w, path), s.writeList(w, r):
	default:
		WriteStatus(w, http.StatusNotFound, path+" not found")
	}
}

func (s *Server) writeGroups(w http.ResponseWriter, r *http.Request, path string) {
	core := path == "/api"
	if !s.Legacy && strings.Contains(r.Header.Get("Accept"), "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList") {
		w.Header().Set("Content-Type", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
		_ = json.NewEncoder(w).Encode(s.aggregated(core))
		return
	}
	if core {
		writeJSON(w, `{"kind":"APIVersions","versions":["v1"]}`)
		return
	}
	var list metav1.APIGroupList
	for _, gv := range s.versions() {
		if gv.Group == "" {
			continue
		}
		i := slices.IndexFunc(list.Groups, func(g metav1.APIGroup) bool { return g.Name == gv.Group })
		if i < 0 {
			list.Groups = append(list.Groups, metav1.APIGroup{Name: gv.Group})
			i = len(list.Groups) - 1
		}
		list.Groups[i].Versions = append(list.Groups[i].Versions, metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: gv.Version})
	}
	_ = json.NewEncoder(w).Encode(list)
}

func (s *Server) aggregated(core bool) apidiscoveryv2.APIGroupDiscoveryList {
	var out apidiscoveryv2.APIGroupDiscoveryList
	for _, gv := range s.versions() {
		if core != (gv.Group == "") {
			continue
		}
		version := apidiscoveryv2.APIVersionDiscovery{Version: gv.Version, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent}
		if slices.Contains(s.Stale, gv) {
			version.Freshness = apidiscoveryv2.DiscoveryFreshnessStale
		} else {
			for _, r := range s.resourcesOf(gv) {
				version.Resources = append(version.Resources, apidiscoveryv2.APIResourceDiscovery{
					Resource: r.Plural, Verbs: []string{"get", "list"}, Scope: apidiscoveryv2.ScopeNamespace,
					ResponseKind: &metav1.GroupVersionKind{Group: gv.Group, Version: gv.Version, Kind: r.Kind},
				})
			}
		}
		i := slices.IndexFunc(out.Items, func(g apidiscoveryv2.APIGroupDiscovery) bool { return g.Name == gv.Group })
		if i < 0 {
			out.Items = append(out.Items, apidiscoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: gv.Group}})
			i = len(out.Items) - 1
		}
		out.Items[i].Versions = append(out.Items[i].Versions, version)
	}
	return out
}

// writeVersion answers the discovery of one version by an older server.
func (s *Server) writeVersion(w http.ResponseWriter, path string) bool {
	for _, gv := range s.versions() {
		if path != apiPath(gv.Group, gv.Version) {
			continue
		}
		if slices.Contains(s.Stale, gv) {
			WriteStatus(w, http.StatusServiceUnavailable, "backend is away")
			return true
		}
		list := metav1.APIResourceList{GroupVersion: gv.String()}
		for _, r := range s.resourcesOf(gv) {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: r.Plural, Kind: r.Kind, Verbs: []string{"get", "list"}})
		}
		_ = json.NewEncoder(w).Encode(list)
		return true
	}
	return false
}

// writeList answers a list, page by page; Continue is the index of the next object.
func (s *Server) writeList(w http.ResponseWriter, r *http.Request) bool {
	for _, res := range s.Served {
		base := apiPath(res.Group, res.Version)
		if !strings.HasPrefix(r.URL.Path, base+"/") || !strings.HasSuffix(r.URL.Path, "/"+res.Plural) {
			continue
		}
		s.mu.Lock()
		items, next := selected(s.Items[r.URL.Path], r.URL.Query()), ""
		s.mu.Unlock()
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		items = items[from:]
		if r.URL.Query().Get("limit") != "" && s.PageSize > 0 && len(items) > s.PageSize {
			items, next = items[:s.PageSize], strconv.Itoa(from+s.PageSize)
		}
		if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1") {
			writeMetadata(w, items)
			return true
		}
		body := fmt.Sprintf(`{"kind":%q,"apiVersion":%q,"metadata":{"resourceVersion":"7","continue":%q},"items":[%s]}`,
			res.Kind+"List", strings.TrimPrefix(res.Group+"/"+res.Version, "/"), next, strings.Join(items, ","))
		if list := listTypeOf(res); s.Protobuf && list != nil && strings.HasPrefix(r.Header.Get("Accept"), runtime.ContentTypeProtobuf) {
			if err := json.Unmarshal([]byte(body), list); err != nil {
				WriteStatus(w, http.StatusInternalServerError, err.Error())
				return true
			}
			w.Header().Set("Content-Type", runtime.ContentTypeProtobuf)
			_ = protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(list, w)
			return true
		}
		writeJSON(w, body)
		return true
	}
	return false
}

// selected are the objects that a list's selectors ask for. Of fields the server knows a pod's address and the name.
func selected(items []string, query url.Values) []string {
	byLabel, _ := labels.Parse(query.Get("labelSelector"))
	byField, _ := fields.ParseSelector(query.Get("fieldSelector"))
	return slices.DeleteFunc(slices.Clone(items), func(item string) bool {
		var o struct {
			Metadata metav1.ObjectMeta
			Status   struct{ PodIP string }
		}
		_ = json.Unmarshal([]byte(item), &o)
		known := fields.Set{"metadata.name": o.Metadata.Name, "status.podIP": o.Status.PodIP}
		return !byLabel.Matches(labels.Set(o.Metadata.Labels)) || !byField.Matches(known)
	})
}

// writeMetadata answers with the metadata of the objects alone.
func writeMetadata(w http.ResponseWriter, items []string) {
	list := metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadataList", APIVersion: "meta.k8s.io/v1"}}
	for _, item := range items {
		var o metav1.PartialObjectMetadata
		if err := json.Unmarshal([]byte(item), &o); err != nil {
			WriteStatus(w, http.StatusInternalServerError, err.Error())
			return
		}
		list.Items = append(list.Items, o)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list)
}

func (s *Server) versions() []schema.GroupVersion {
	var out []schema.GroupVersion
	for _, r := range s.Served {
		if gv := r.GroupVersion(); !slices.Contains(out, gv) {
			out = append(out, gv)
		}
	}
	for _, gv := range s.Stale {
		if !slices.Contains(out, gv) {
			out = append(out, gv)
		}
	}
	return out
}

func (s *Server) resourcesOf(gv schema.GroupVersion) []Kind {
	var out []Kind
	for _, r := range s.Served {
		if r.GroupVersion() == gv {
			out = append(out, r)
		}
	}
	return out
}

func writeJSON(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(body))
}

// WriteStatus answers with a status as an API server does.
func WriteStatus(w http.ResponseWriter, code int, message string) {
	reasons := map[int]metav1.StatusReason{
		http.StatusUnauthorized: metav1.StatusReasonUnauthorized, http.StatusForbidden: metav1.StatusReasonForbidden,
		http.StatusNotFound: metav1.StatusReasonNotFound, http.StatusGone: metav1.StatusReasonExpired,
		http.StatusInternalServerError: metav1.StatusReasonInternalError, http.StatusServiceUnavailable: metav1.StatusReasonServiceUnavailable,
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reasons[code], Message: message,
	})
}

// apiPath is where the server keeps a version of a group.
func apiPath(group, version string) string {
	if group == "" {
		return path.Join("/api", version)
	}
	return path.Join("/apis", group, version)
}

// listTypeOf is an empty list of a built-in kind; nil for custom resources.
func listTypeOf(k Kind) runtime.Object {
	list, err := scheme.Scheme.New(k.GroupVersion().WithKind(k.Kind + "List"))
	if err != nil {
		return nil
	}
	return list
}

// Apply files every document of a manifest under the paths of its kind: the list
// of all namespaces and that of its own. The ConfigMap istio is a single object.
func (s *Server) Apply(t testing.TB, manifest string) {
	t.Helper()
	for _, doc := range strings.Split(manifest, "\n---\n") {
		var o struct {
			metav1.TypeMeta   `json:",inline"`
			metav1.ObjectMeta `json:"metadata"`
		}
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatal(err)
		}
		group, _ := schema.ParseGroupVersion(o.APIVersion)
		if o.Kind == "ConfigMap" {
			data, err := yaml.YAMLToJSON([]byte(doc))
			if err != nil {
				t.Fatal(err)
			}
			s.Objects["/api/v1/namespaces/"+o.Namespace+"/configmaps/"+o.Name] = string(data)
			continue
		}
		i := slices.IndexFunc(s.Served, func(k Kind) bool { return k.Group == group.Group && k.Kind == o.Kind })
		if i < 0 {
			t.Fatalf("%s %s is not served", o.APIVersion, o.Kind)
		}
		base := apiPath(s.Served[i].Group, s.Served[i].Version)
		s.Add(t, base+"/"+s.Served[i].Plural, doc)
		if o.Namespace != "" {
			s.Add(t, base+"/namespaces/"+o.Namespace+"/"+s.Served[i].Plural, doc)
		}
	}
}

// Forbid refuses the lists of a kind, everywhere.
func (s *Server) Forbid(k Kind) {
	before := s.Answer
	s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, apiPath(k.Group, k.Version)+"/") && strings.HasSuffix(r.URL.Path, "/"+k.Plural) {
			WriteStatus(w, http.StatusForbidden, k.Plural+" is forbidden")
			return true
		}
		return before != nil && before(w, r)
	}
}
