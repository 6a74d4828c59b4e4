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
	"k8s.io/apimachinery/pkg/api/meta"
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
	discoverer
	pager
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
	if config.Timeout == 0 {
		config.Timeout = pageTimeout
	}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return connection{}, &ClusterError{Problem: ClusterBadConfig, Server: config.Host, Err: err}
	}
	server := apiServer{client: client}
	return connection{discoverer: d, pager: server, configMaps: server, crds: server, secrets: server}, nil
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

// page asks for one page of a list.
func (s apiServer) page(ctx context.Context, r servedKind, namespace string, opts metav1.ListOptions) (page, error) {
	list := listTypeOf(r)
	accept := runtime.ContentTypeJSON
	if list != nil {
		accept = protobufOrJSON
	}
	var contentType string
	result := s.client.Get().AbsPath(apiPath(r.group, r.version)).
		NamespaceIfScoped(namespace, namespace != "").Resource(r.plural).
		VersionedParams(&opts, metav1.ParameterCodec).
		SetHeader("Accept", accept).Do(ctx).ContentType(&contentType)
	if err := result.Error(); err != nil {
		return page{}, err
	}
	if media, _, _ := mime.ParseMediaType(contentType); list != nil && media == runtime.ContentTypeProtobuf {
		if err := result.Into(list); err != nil {
			return page{}, err
		}
		return pageOfList(r, list)
	}
	body, err := result.Raw()
	if err != nil {
		return page{}, err
	}
	return pageOfJSON(r, body)
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

// listTypeOf is an empty list of a built-in kind; nil for custom resources.
func listTypeOf(r servedKind) runtime.Object {
	gvk := r.groupVersionKind()
	list, err := scheme.Scheme.New(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	if err != nil {
		return nil
	}
	return list
}

// pageOfList takes a typed list apart.
func pageOfList(r servedKind, list runtime.Object) (page, error) {
	envelope, err := meta.ListAccessor(list)
	if err != nil {
		return page{}, err
	}
	out := page{next: envelope.GetContinue()}
	err = meta.EachListItem(list, func(item runtime.Object) error {
		if o, ok := item.(resolve.Object); ok {
			o.GetObjectKind().SetGroupVersionKind(typeOf(r))
			out.objects = append(out.objects, o)
		}
		return nil
	})
	return out, err
}

// pageOfJSON decodes a list object by object. One that does not fit the Go
// type is a gap under its own name.
func pageOfJSON(r servedKind, body []byte) (page, error) {
	var list struct {
		Metadata metav1.ListMeta      `json:"metadata"`
		Items    []stdjson.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return page{}, err
	}
	out := page{next: list.Metadata.Continue}
	for _, item := range list.Items {
		o := r.new()
		if err := json.Unmarshal(item, o); err != nil {
			var named metav1.PartialObjectMetadata
			// Without metadata of its own the gap is that of the whole kind.
			_ = json.Unmarshal(item, &named)
			out.unreadable = append(out.unreadable, resolve.Gap{
				GroupKind: r.groupKind(), Namespace: named.Namespace, Name: named.Name,
				Reason: resolve.GapUnreadable, Detail: oneLine(err),
			})
			continue
		}
		o.GetObjectKind().SetGroupVersionKind(typeOf(r))
		out.objects = append(out.objects, o)
	}
	return out, nil
}

// typeOf is the version the object is held in: the Go type's, whichever the server was asked for.
func typeOf(r servedKind) schema.GroupVersionKind {
	return r.groupKind().WithVersion(r.versions[0])
}
