package load

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// stub is an API server of canned answers that keeps what it was asked.
type stub struct {
	*httptest.Server
	// served are the kinds of the loader's table this server has, each in one version.
	served []servedKind
	// stale are the versions whose discovery fails.
	stale []schema.GroupVersion
	// legacy is a server from before aggregated discovery.
	legacy bool
	// protobuf is a server that speaks it for built-in kinds.
	protobuf bool
	// items are the objects under a list's path, as JSON.
	items map[string][]string
	// objects are single objects, as JSON.
	objects map[string]string
	// pageSize is how many objects an answer holds, whatever was asked for.
	pageSize int
	// answer, where it returns true, has answered the request itself.
	answer func(http.ResponseWriter, *http.Request) bool

	mu       sync.Mutex
	requests []string
	headers  map[string]http.Header
}

// newStub serves every kind of the loader in the newest version, with no objects.
func newStub(t *testing.T) *stub {
	t.Helper()
	s := &stub{items: map[string][]string{}, objects: map[string]string{}, headers: map[string]http.Header{}}
	for _, k := range clusterKinds() {
		s.served = append(s.served, servedKind{kind: k, version: k.versions[0], plural: k.plural})
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *stub) config() *rest.Config { return &rest.Config{Host: s.URL} }

// serve replaces the kinds of one group; "VirtualService=v1beta1" is one of them.
func (s *stub) serve(group string, kinds ...string) {
	s.served = slices.DeleteFunc(s.served, func(r servedKind) bool { return r.group == group })
	for _, k := range clusterKinds() {
		for _, written := range kinds {
			if name, version, _ := strings.Cut(written, "="); k.group == group && k.kind == name {
				s.served = append(s.served, servedKind{kind: k, version: version, plural: k.plural})
			}
		}
	}
}

// add files objects, written in YAML, under a list's path.
func (s *stub) add(t *testing.T, path string, objects ...string) {
	t.Helper()
	for _, o := range objects {
		data, err := yaml.YAMLToJSON([]byte(o))
		if err != nil {
			t.Fatal(err)
		}
		s.items[path] = append(s.items[path], string(data))
	}
}

// meshConfig files a ConfigMap with that mesh config.
func (s *stub) meshConfig(t *testing.T, namespace, name, text string) {
	t.Helper()
	data, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]string{"namespace": namespace, "name": name},
		"data":     map[string]string{"mesh": text},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.objects["/api/v1/namespaces/"+namespace+"/configmaps/"+name] = string(data)
}

// refuse answers the path with a status.
func (s *stub) refuse(path string, code int) {
	before := s.answer
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == path {
			writeStatus(w, code, "the server says "+http.StatusText(code))
			return true
		}
		return before != nil && before(w, r)
	}
}

// asked are the requests so far, sorted.
func (s *stub) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.requests))
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	query := r.URL.Query()
	query.Del("timeout")
	line := r.Method + " " + r.URL.Path
	if len(query) > 0 {
		line += "?" + query.Encode()
	}
	s.requests = append(s.requests, line)
	s.headers[r.URL.Path] = r.Header.Clone()
	s.mu.Unlock()

	if s.answer != nil && s.answer(w, r) {
		return
	}
	switch path := r.URL.Path; {
	case path == "/api" || path == "/apis":
		s.writeGroups(w, r, path)
	case s.objects[path] != "":
		writeJSON(w, s.objects[path])
	case s.writeVersion(w, path), s.writeList(w, r):
	default:
		writeStatus(w, http.StatusNotFound, path+" not found")
	}
}

func (s *stub) writeGroups(w http.ResponseWriter, r *http.Request, path string) {
	core := path == "/api"
	if !s.legacy && strings.Contains(r.Header.Get("Accept"), "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList") {
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

func (s *stub) aggregated(core bool) apidiscoveryv2.APIGroupDiscoveryList {
	var out apidiscoveryv2.APIGroupDiscoveryList
	for _, gv := range s.versions() {
		if core != (gv.Group == "") {
			continue
		}
		version := apidiscoveryv2.APIVersionDiscovery{Version: gv.Version, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent}
		if slices.Contains(s.stale, gv) {
			version.Freshness = apidiscoveryv2.DiscoveryFreshnessStale
		} else {
			for _, r := range s.resourcesOf(gv) {
				version.Resources = append(version.Resources, apidiscoveryv2.APIResourceDiscovery{
					Resource: r.plural, Verbs: []string{"get", "list"}, Scope: apidiscoveryv2.ScopeNamespace,
					ResponseKind: &metav1.GroupVersionKind{Group: gv.Group, Version: gv.Version, Kind: r.kind.kind},
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
func (s *stub) writeVersion(w http.ResponseWriter, path string) bool {
	for _, gv := range s.versions() {
		if path != apiPath(gv.Group, gv.Version) {
			continue
		}
		if slices.Contains(s.stale, gv) {
			writeStatus(w, http.StatusServiceUnavailable, "backend is away")
			return true
		}
		list := metav1.APIResourceList{GroupVersion: gv.String()}
		for _, r := range s.resourcesOf(gv) {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: r.plural, Kind: r.kind.kind, Verbs: []string{"get", "list"}})
		}
		_ = json.NewEncoder(w).Encode(list)
		return true
	}
	return false
}

// writeList answers a list, page by page; Continue is the index of the next object.
func (s *stub) writeList(w http.ResponseWriter, r *http.Request) bool {
	for _, res := range s.served {
		base := apiPath(res.group, res.version)
		if !strings.HasPrefix(r.URL.Path, base+"/") || !strings.HasSuffix(r.URL.Path, "/"+res.plural) {
			continue
		}
		items, next := s.items[r.URL.Path], ""
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		items = items[from:]
		if r.URL.Query().Get("limit") != "" && s.pageSize > 0 && len(items) > s.pageSize {
			items, next = items[:s.pageSize], strconv.Itoa(from+s.pageSize)
		}
		body := fmt.Sprintf(`{"kind":%q,"apiVersion":%q,"metadata":{"resourceVersion":"7","continue":%q},"items":[%s]}`,
			res.kind.kind+"List", strings.TrimPrefix(res.group+"/"+res.version, "/"), next, strings.Join(items, ","))
		if list := listTypeOf(res); s.protobuf && list != nil && strings.HasPrefix(r.Header.Get("Accept"), runtime.ContentTypeProtobuf) {
			if err := json.Unmarshal([]byte(body), list); err != nil {
				writeStatus(w, http.StatusInternalServerError, err.Error())
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

func (s *stub) versions() []schema.GroupVersion {
	var out []schema.GroupVersion
	for _, r := range s.served {
		if gv := r.groupVersionKind().GroupVersion(); !slices.Contains(out, gv) {
			out = append(out, gv)
		}
	}
	for _, gv := range s.stale {
		if !slices.Contains(out, gv) {
			out = append(out, gv)
		}
	}
	return out
}

func (s *stub) resourcesOf(gv schema.GroupVersion) []servedKind {
	var out []servedKind
	for _, r := range s.served {
		if r.groupVersionKind().GroupVersion() == gv {
			out = append(out, r)
		}
	}
	return out
}

func writeJSON(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(body))
}

func writeStatus(w http.ResponseWriter, code int, message string) {
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
