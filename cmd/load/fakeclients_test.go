package load

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	istioapi "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	istiofake "istio.io/client-go/pkg/clientset/versioned/fake"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	discoveryfake "k8s.io/client-go/discovery/fake"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
	gatewayfake "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned/fake"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// fakeClients answers the loader from fake clientsets.
type fakeClients struct {
	kube    *kubefake.Clientset
	istio   *istiofake.Clientset
	gateway *gatewayfake.Clientset
}

var gatewaysOfGatewayAPI = schema.GroupVersionResource{Group: k8sgateway.GroupName, Version: "v1", Resource: "gateways"}

// newFakeClients files the objects. Gateways go to the tracker under their
// right name: the constructors would file them under "gatewaies".
func newFakeClients(t *testing.T, objects ...runtime.Object) fakeClients {
	t.Helper()
	f := fakeClients{kube: kubefake.NewClientset(), istio: istiofake.NewSimpleClientset(), gateway: gatewayfake.NewSimpleClientset()}
	for _, o := range objects {
		var err error
		switch o := o.(type) {
		case *networking.Gateway:
			err = f.istio.Tracker().Create(networking.SchemeGroupVersion.WithResource("gateways"), o, o.Namespace)
		case *networking.VirtualService:
			err = f.istio.Tracker().Add(o)
		case *k8sgateway.Gateway:
			err = f.gateway.Tracker().Create(gatewaysOfGatewayAPI, o, o.Namespace)
		case *k8sgateway.HTTPRoute:
			err = f.gateway.Tracker().Add(o)
		default:
			err = f.kube.Tracker().Add(o)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (f fakeClients) page(ctx context.Context, r listQuery, ns string, opts metav1.ListOptions) (page, error) {
	if r.plural != r.kind.plural {
		return page{}, errors.New("no list under " + r.plural)
	}
	list, err := f.list(ctx, r.servedKind, ns, opts)
	if err != nil {
		return page{}, err
	}
	var out page
	err = meta.EachListItem(list, func(item runtime.Object) error {
		o, ok := item.(resolve.Object)
		if !ok {
			return fmt.Errorf("%T is no object", item)
		}
		out.take(r, o)
		return nil
	})
	return out, err
}

func (f fakeClients) list(ctx context.Context, r servedKind, ns string, opts metav1.ListOptions) (runtime.Object, error) {
	switch r.groupKind().String() {
	case "Service":
		return f.kube.CoreV1().Services(ns).List(ctx, opts)
	case "Pod":
		return f.kube.CoreV1().Pods(ns).List(ctx, opts)
	case "Namespace":
		return f.kube.CoreV1().Namespaces().List(ctx, opts)
	case "Deployment.apps":
		return f.kube.AppsV1().Deployments(ns).List(ctx, opts)
	case "VirtualService.networking.istio.io":
		return f.istio.NetworkingV1().VirtualServices(ns).List(ctx, opts)
	case "Gateway.networking.istio.io":
		return f.istio.NetworkingV1().Gateways(ns).List(ctx, opts)
	case "Gateway.gateway.networking.k8s.io":
		return f.gateway.GatewayV1().Gateways(ns).List(ctx, opts)
	case "HTTPRoute.gateway.networking.k8s.io":
		return f.gateway.GatewayV1().HTTPRoutes(ns).List(ctx, opts)
	}
	return nil, errors.New("not faked: " + r.groupKind().String())
}

func (f fakeClients) configMap(ctx context.Context, ns, name string) (*corev1.ConfigMap, error) {
	return f.kube.CoreV1().ConfigMaps(ns).Get(ctx, name, metav1.GetOptions{})
}

func (f fakeClients) crd(_ context.Context, name string) (*metav1.PartialObjectMetadata, error) {
	return nil, errors.New("not faked: " + name)
}

func (f fakeClients) secretType(ctx context.Context, ns, name string) (string, error) {
	s, err := f.kube.CoreV1().Secrets(ns).Get(ctx, name, metav1.GetOptions{})
	return string(s.Type), err
}

// fakeDiscovery is the fake discovery client as a server from before aggregated discovery.
type fakeDiscovery struct{ *discoveryfake.FakeDiscovery }

func (d fakeDiscovery) GroupsAndMaybeResourcesWithContext(ctx context.Context) (
	*metav1.APIGroupList, map[schema.GroupVersion]*metav1.APIResourceList, map[schema.GroupVersion]error, error,
) {
	groups, err := d.ServerGroupsWithContext(ctx)
	return groups, nil, nil, err
}

// connection serves the kinds that are faked.
func (f fakeClients) connection() connection {
	resources := func(gv string, kinds ...metav1.APIResource) *metav1.APIResourceList {
		for i := range kinds {
			kinds[i].Verbs = metav1.Verbs{"get", "list"}
		}
		return &metav1.APIResourceList{GroupVersion: gv, APIResources: kinds}
	}
	f.kube.Resources = []*metav1.APIResourceList{
		resources("v1", metav1.APIResource{Name: "services", Kind: "Service"},
			metav1.APIResource{Name: "pods/log", Kind: "Pod"}, metav1.APIResource{Name: "pods", Kind: "Pod"}, metav1.APIResource{Name: "namespaces", Kind: "Namespace"}),
		resources("apps/v1", metav1.APIResource{Name: "deployments", Kind: "Deployment"}),
		resources("networking.istio.io/v1", metav1.APIResource{Name: "gateways", Kind: "Gateway"}, metav1.APIResource{Name: "virtualservices", Kind: "VirtualService"}),
		resources("gateway.networking.k8s.io/v1", metav1.APIResource{Name: "gateways", Kind: "Gateway"}, metav1.APIResource{Name: "httproutes", Kind: "HTTPRoute"}),
	}
	d := fakeDiscovery{&discoveryfake.FakeDiscovery{Fake: &f.kube.Fake}}
	return connection{discoverer: d, lister: pages{pager: f}, configMaps: f, crds: f, secrets: f}
}

func at(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

func TestFakeClientsets(t *testing.T) {
	f := newFakeClients(t,
		&corev1.Namespace{ObjectMeta: at("", "shop")},
		&corev1.Service{ObjectMeta: at("shop", "reviews")},
		&corev1.Pod{ObjectMeta: at("shop", "web-1")},
		&corev1.ConfigMap{ObjectMeta: at("istio-system", "istio"), Data: map[string]string{"mesh": "trustDomain: shop.example"}},
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "istiod", Labels: map[string]string{"app": "istiod", "helm.sh/chart": "istiod-1.31.1"}}},
		&networking.Gateway{ObjectMeta: at("shop", "edge")},
		&networking.VirtualService{ObjectMeta: at("shop", "reviews"), Spec: istioapi.VirtualService{Hosts: []string{"reviews"}}},
		&k8sgateway.Gateway{ObjectMeta: at("shop", "edge")},
		&k8sgateway.HTTPRoute{ObjectMeta: at("shop", "ratings")},
	)
	in, err := readCluster(t.Context(), f.connection(), clusterKinds(false), ClusterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Gateway shop/edge", "Gateway shop/edge", "HTTPRoute shop/ratings",
		"Namespace shop", "Service shop/reviews", "VirtualService shop/reviews",
	}
	if diff := cmp.Diff(want, names(in)); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	running := in.Deferred.In("shop", []schema.GroupKind{{Kind: "Pod"}, {Group: "apps", Kind: "Deployment"}})
	if pods := running[0]; len(pods.Resources) != 1 || pods.Resources[0].Object.GetName() != "web-1" || len(pods.Gaps) > 0 || len(running[1].Resources) > 0 {
		t.Errorf("in shop run %v", running)
	}
	if in.IstioVersion != "1.31" || in.MeshConfig.GetTrustDomain() != "shop.example" || len(in.Gaps)+len(in.Notes) > 0 {
		t.Errorf("version %q, mesh config %v, gaps %v, notes %v", in.IstioVersion, in.MeshConfig, in.Gaps, in.Notes)
	}
}

func TestFakeClientsetThatRefuses(t *testing.T) {
	f := newFakeClients(t, &corev1.Service{ObjectMeta: at("shop", "reviews")}, &networking.Gateway{ObjectMeta: at("shop", "edge")})
	f.istio.PrependReactor("list", "virtualservices", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Group: istioGroup, Resource: "virtualservices"}, "", errors.New("no"))
	})
	in, err := readCluster(t.Context(), f.connection(), clusterKinds(false), ClusterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []resolve.Gap{{
		GroupKind: schema.GroupKind{Group: istioGroup, Kind: "VirtualService"}, Reason: resolve.GapForbidden,
		Detail: `virtualservices.networking.istio.io is forbidden: no`,
	}}
	if diff := cmp.Diff(want, in.Gaps); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Gateway shop/edge", "Service shop/reviews"}, names(in)); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}
