package load

import (
	"context"
	stdjson "encoding/json"
	"mime"
	"path"
	"runtime/debug"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

const (
	// clientQPS and clientBurst are kubectl's for discovery: client-go's own 5 a second would stall some 35 lists.
	clientQPS   = 50
	clientBurst = 300
	// pageTimeout ends a list that hangs where no --request-timeout is given; the API server's own limit.
	pageTimeout = time.Minute
)

// connection is what the loader asks of a cluster. Tests put fakes behind it.
type connection struct {
	// host is the server as errors name it.
	host string
	discoverer
	lister
	configMaps configMapGetter
	crds       crdGetter
	secrets    secretGetter
}

// configMapGetter reads one ConfigMap.
type configMapGetter interface {
	configMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
}

// clientConfig is the caller's config with our name and pace; a faster pace
// or none is left as it is. The config given is not changed.
func clientConfig(config *rest.Config, opts ClusterOptions) *rest.Config {
	config = rest.CopyConfig(config)
	config.UserAgent = "kubectl-mesh_trace/" + clientVersion(opts.Version)
	if config.RateLimiter == nil && config.QPS >= 0 {
		config.QPS, config.Burst = max(config.QPS, clientQPS), max(config.Burst, clientBurst)
	}
	config.WarningHandler, config.WarningHandlerWithContext = nil, &warnings{tell: opts.Warn}
	return config
}

// connect makes the clients of one cluster.
func connect(config *rest.Config, opts ClusterOptions) (connection, error) {
	config = clientConfig(config, opts)
	// The discovery client brings a timeout of its own.
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return connection{}, &ClusterError{Problem: ClusterBadConfig, Server: config.Host, Err: err}
	}
	server, err := serverOf(config)
	if err != nil {
		return connection{}, err
	}
	return connection{host: config.Host, discoverer: d, lister: pages{server, opts.Progress}, configMaps: server, crds: server, secrets: server}, nil
}

// serverOf makes the client for everything but discovery, of a config that is changed.
func serverOf(config *rest.Config) (apiServer, error) {
	if config.Timeout == 0 {
		config.Timeout = pageTimeout
	}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return apiServer{}, &ClusterError{Problem: ClusterBadConfig, Server: config.Host, Err: err}
	}
	return apiServer{client: client}, nil
}

// clientVersion is the version given, else the one the binary was built as.
func clientVersion(given string) string {
	if given != "" {
		return given
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// warnings passes on what the API server has to say (a deprecated version,
// say), each sentence once.
type warnings struct {
	tell func(string)
	mu   sync.Mutex
	told map[string]bool
}

// HandleWarningHeaderWithContext is what client-go calls for each Warning header; 299 is the API server's code.
func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, code int, _, text string) {
	if w.tell == nil || code != 299 || text == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.told[text] {
		return
	}
	if w.told == nil {
		w.told = map[string]bool{}
	}
	w.told[text] = true
	w.tell(text)
}

// apiServer reads resources over HTTP. Built-in kinds come as protobuf where
// the server has it, custom resources as JSON, object by object, so that one
// that does not fit its type does not hide the others.
type apiServer struct{ client rest.Interface }

const protobufOrJSON = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON

// metadataOfList asks for a list without all but the metadata.
const metadataOfList = ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

// page asks for one page of a list.
func (s apiServer) page(ctx context.Context, q listQuery, namespace string, opts metav1.ListOptions) (page, error) {
	accept := runtime.ContentTypeJSON
	switch {
	case q.namesOnly:
		accept = runtime.ContentTypeProtobuf + metadataOfList + "," + runtime.ContentTypeJSON + metadataOfList
	case builtIn(q.groupKind()) && q.version == q.versions[0]: // an older one numbers its fields in another way
		accept = protobufOrJSON
	}
	var contentType string
	result := s.client.Get().AbsPath(apiPath(q.group, q.version)).
		NamespaceIfScoped(namespace, namespace != "").Resource(q.plural).
		VersionedParams(&opts, metav1.ParameterCodec).
		SetHeader("Accept", accept).Do(ctx).ContentType(&contentType)
	if err := result.Error(); err != nil {
		return page{}, err
	}
	body, err := result.Raw()
	if err != nil {
		return page{}, err
	}
	if media, _, _ := mime.ParseMediaType(contentType); media == runtime.ContentTypeProtobuf {
		return pageOfProtobuf(q, body)
	}
	return pageOfJSON(q, body)
}

// configMap asks for one ConfigMap.
func (s apiServer) configMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	out := &corev1.ConfigMap{}
	err := s.client.Get().AbsPath(apiPath("", "v1")).Namespace(namespace).Resource("configmaps").Name(name).
		SetHeader("Accept", protobufOrJSON).Do(ctx).Into(out)
	return out, err
}

// apiPath is where the server keeps a version of a group.
func apiPath(group, version string) string {
	if group == "" {
		return path.Join("/api", version)
	}
	return path.Join("/apis", group, version)
}

// newItem is an empty object of a list.
func (q listQuery) newItem() resolve.Object {
	if q.namesOnly {
		return &metav1.PartialObjectMetadata{}
	}
	return q.new()
}

// pageOfJSON decodes a list object by object. One that does not fit the Go
// type is a gap under its own name.
func pageOfJSON(q listQuery, body []byte) (page, error) {
	var list struct {
		Metadata metav1.ListMeta      `json:"metadata"`
		Items    []stdjson.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return page{}, err
	}
	out := page{next: list.Metadata.Continue, version: list.Metadata.ResourceVersion}
	for _, item := range list.Items {
		o, err := q.decodeJSON(item)
		if err != nil {
			var named metav1.PartialObjectMetadata
			// Without metadata of its own the gap is that of the whole kind.
			_ = json.Unmarshal(item, &named)
			out.unreadable = append(out.unreadable, q.unreadable(&named, err))
			continue
		}
		out.take(q, o)
	}
	return out, nil
}

// unreadable is the gap of an object that does not fit the Go type.
func (q listQuery) unreadable(o metav1.Object, err error) resolve.Gap {
	return resolve.Gap{
		GroupKind: q.groupKind(), Namespace: o.GetNamespace(), Name: o.GetName(), Reason: resolve.GapUnreadable, Detail: oneLine(err),
	}
}

// take adds an object, as far as a trace reads it.
func (p *page) take(q listQuery, o resolve.Object) {
	o.GetObjectKind().SetGroupVersionKind(typeOf(q.servedKind))
	strip(o)
	p.objects = append(p.objects, o)
}

// typeOf is the version the object is held in: the Go type's, whichever the server was asked for.
func typeOf(r servedKind) schema.GroupVersionKind {
	return r.groupKind().WithVersion(r.versions[0])
}
