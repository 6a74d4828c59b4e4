package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	"istio.io/istio/pilot/pkg/status"

	loader "github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/istiod"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/pilot"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// live is a real API server and a real istiod, on which both parties are asked as users and Envoys ask them:
//
//  1. The manifests are completed to a cluster (apiserver), and this is applied.
//  2. Istio is installed, and its control plane runs.
//  3. What is in the API server then, with what istiod has made and written, is the cluster that is judged.
//  4. The trace is what `kubectl mesh-trace -o json` prints; the xDS is what istiod sends to each proxy (pilot.Served).
type live struct {
	server     *cluster.Cluster
	istiod     *istiod.Istiod
	kubeconfig string
	client     dynamic.Interface
	mapper     *restmapper.DeferredDiscoveryRESTMapper
	// kinds are those of the cluster.
	kinds []schema.GroupVersionKind
}

func newLive(t testing.TB, manifests map[string]string) *live {
	t.Helper()
	complete, err := apiserver.NewWithGateways(manifests)
	if err != nil {
		t.Fatal(err)
	}
	text, err := complete.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	l := &live{server: cluster.Start(t)}
	l.kubeconfig = l.server.Kubeconfig(t, "admin", "system:masters")
	if l.client, err = dynamic.NewForConfig(l.server.Config); err != nil {
		t.Fatal(err)
	}
	client, err := discovery.NewDiscoveryClientForConfig(l.server.Config)
	if err != nil {
		t.Fatal(err)
	}
	l.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client))
	if err := l.read(text); err != nil {
		t.Fatal(err)
	}
	l.server.Apply(t, text)
	l.istiod = istiod.Start(t, l.server)
	return l
}

// read finds the kinds that step 3 asks for: those of the manifests, but for what makes
// pods and what istiod does not read, and Services, which istiod makes.
func (l *live) read(manifests string) error {
	objects, err := cluster.Parse(manifests)
	if err != nil {
		return err
	}
	seen := map[schema.GroupVersionKind]bool{
		{Group: "apps", Version: "v1", Kind: "Deployment"}: true, {Group: "apps", Version: "v1", Kind: "ReplicaSet"}: true,
	}
	service := schema.GroupVersionKind{Version: "v1", Kind: "Service"}
	for _, o := range objects {
		if kind := o.GroupVersionKind(); !seen[kind] && kind.Group != rbacv1.GroupName {
			seen[kind] = true
			l.kinds = append(l.kinds, kind)
		}
	}
	if !seen[service] {
		l.kinds = append(l.kinds, service)
	}
	return nil
}

// cluster is step 3.
func (l *live) cluster(ctx context.Context) (*apiserver.Cluster, error) {
	var docs strings.Builder
	for _, kind := range l.kinds {
		mapping, err := l.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil {
			return nil, err
		}
		list, err := l.client.Resource(mapping.Resource).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		for _, o := range list.Items {
			if own(&o) {
				continue
			}
			text, err := json.MarshalIndent(&o, "", " ")
			if err != nil {
				return nil, err
			}
			docs.WriteString("---\n")
			docs.Write(text)
			docs.WriteByte('\n')
		}
	}
	return apiserver.New(map[string]string{"cluster.yaml": docs.String()})
}

// own reports whether an object is istiod's own.
func own(o *unstructured.Unstructured) bool {
	return o.GetNamespace() == istiod.Namespace && (o.GetKind() == "ConfigMap" || o.GetKind() == "Secret" && strings.HasPrefix(o.GetName(), "istio-ca"))
}

// snapshot is the cluster as the command loads it.
func (l *live) snapshot(ctx context.Context) (*resolve.Snapshot, error) {
	in, err := loader.Cluster(ctx, l.server.Config, loader.ClusterOptions{})
	if err != nil {
		return nil, err
	}
	return resolve.NewSnapshot(in), nil
}

// bench is step 4.
func (l *live) bench(t testing.TB) (*bench, error) {
	now, err := l.cluster(t.Context())
	if err != nil {
		return nil, err
	}
	b := &bench{t: t, mesh: side{cluster: now}}
	b.outside = &b.mesh
	b.connect = func(t testing.TB, c *apiserver.Cluster) (*pilot.World, error) {
		return pilot.Served(t, c, l.istiod.Dial)
	}
	b.trace = func(args []string, _ trace.Request) (*render.Document, error) {
		stdout, stderr, exit := l.server.Kubectl(t, l.kubeconfig, append([]string{"mesh-trace", "-o", "json"}, args...)...)
		if exit != 0 {
			return nil, fmt.Errorf("exit %d: %s", exit, stderr)
		}
		d := &render.Document{}
		return d, json.Unmarshal([]byte(stdout), d)
	}
	return b, nil
}

// statuses are those that stand in the objects of the Gateway API.
func statuses(c *apiserver.Cluster) map[status.Resource]any {
	out := map[status.Resource]any{}
	for _, o := range c.Objects {
		m, ok := o.(metav1.Object)
		if !ok {
			continue
		}
		add := func(plural string, written any) {
			out[status.Resource{GroupVersionResource: schema.GroupVersionResource{Resource: plural}, Namespace: m.GetNamespace(), Name: m.GetName()}] = written
		}
		switch x := o.(type) {
		case *k8sgateway.Gateway:
			add("gateways", &x.Status)
		case *k8sgateway.ListenerSet:
			add("listenersets", &x.Status)
		case *k8sgateway.HTTPRoute:
			add("httproutes", &x.Status)
		case *k8sgateway.GRPCRoute:
			add("grpcroutes", &x.Status)
		case *k8sgateway.TLSRoute:
			add("tlsroutes", &x.Status)
		case *k8sgateway.TCPRoute:
			add("tcproutes", &x.Status)
		case *k8sgateway.BackendTLSPolicy:
			add("backendtlspolicies", &x.Status)
		}
	}
	return out
}
