package gatewayapi

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
	k8sgatewayx "sigs.k8s.io/gateway-api/apisx/v1alpha1"
	"sigs.k8s.io/yaml"
)

// Cluster is what an API server and the controllers of Kubernetes would make of the suite's objects.
type Cluster struct {
	// Client is the suite's.
	Client client.Client

	raw      client.WithWatch
	scheme   *runtime.Scheme
	defaults map[schema.GroupKind]apiextensions.JSONSchemaProps

	mu sync.Mutex
	// written counts the objects, which makes them differ in age and address.
	written int
	world   *world
	// addresses are those of the Gateways.
	addresses map[types.NamespacedName]string
	// onGateway is told of each Gateway and its address.
	onGateway func(address string, gw *k8sgateway.Gateway) error
}

// NewCluster is a cluster that knows the Gateway API by the CRDs of a directory.
func NewCluster(crds string) (*Cluster, error) {
	c := &Cluster{
		scheme: runtime.NewScheme(), defaults: map[schema.GroupKind]apiextensions.JSONSchemaProps{},
		addresses: map[types.NamespacedName]string{},
	}
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, k8sgateway.Install, k8sgatewayx.Install, apiextensions.AddToScheme} {
		if err := add(c.scheme); err != nil {
			return nil, err
		}
	}
	definitions, err := c.readCRDs(crds)
	if err != nil {
		return nil, err
	}
	c.raw = fake.NewClientBuilder().WithScheme(c.scheme).WithObjects(definitions...).WithStatusSubresource(
		&k8sgateway.GatewayClass{}, &k8sgateway.Gateway{}, &k8sgateway.ListenerSet{}, &k8sgateway.HTTPRoute{}, &k8sgateway.GRPCRoute{},
		&k8sgateway.TLSRoute{}, &k8sgateway.TCPRoute{}, &k8sgateway.UDPRoute{}, &k8sgateway.BackendTLSPolicy{},
	).Build()
	c.Client = interceptor.NewClient(c.raw, interceptor.Funcs{
		Create: c.create, Update: c.update, Patch: c.patch, Delete: c.remove, Get: c.get, List: c.list,
	})
	return c, nil
}

func (c *Cluster) readCRDs(dir string) ([]client.Object, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "gateway.networking.*.yaml"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no CRDs in %s: %w", dir, err)
	}
	var out []client.Object
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		crd := &apiextensions.CustomResourceDefinition{}
		if err := yaml.Unmarshal(text, crd); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if crd.Kind != "CustomResourceDefinition" { // an admission policy
			continue
		}
		for _, v := range crd.Spec.Versions {
			if v.Storage && v.Schema != nil {
				c.defaults[schema.GroupKind{Group: crd.Spec.Group, Kind: crd.Spec.Names.Kind}] = *v.Schema.OpenAPIV3Schema
			}
		}
		out = append(out, crd)
	}
	return out, nil
}

func (c *Cluster) create(ctx context.Context, raw client.WithWatch, o client.Object, opts ...client.CreateOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.world = nil
	c.written++
	if err := c.complete(o); err != nil {
		return err
	}
	o.SetGeneration(1)
	o.SetUID(types.UID(fmt.Sprintf("uid-%d", c.written)))
	o.SetCreationTimestamp(metav1.NewTime(time.Date(2026, 1, 1, 0, 0, c.written, 0, time.UTC)))
	if err := raw.Create(ctx, o, opts...); err != nil {
		return err
	}
	return c.runPods(ctx, o)
}

func (c *Cluster) update(ctx context.Context, raw client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.world = nil
	before, err := c.stored(ctx, o)
	if err != nil {
		return err
	}
	if err := c.complete(o); err != nil {
		return err
	}
	o.SetUID(before.GetUID())
	o.SetCreationTimestamp(before.GetCreationTimestamp())
	if err := c.countGeneration(before, o); err != nil {
		return err
	}
	return raw.Update(ctx, o, opts...)
}

func (c *Cluster) patch(ctx context.Context, raw client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.world = nil
	before, err := c.stored(ctx, o)
	if err != nil {
		return err
	}
	if err := raw.Patch(ctx, o, p, opts...); err != nil {
		return err
	}
	if err := c.complete(o); err != nil {
		return err
	}
	if err := c.countGeneration(before, o); err != nil {
		return err
	}
	return raw.Update(ctx, o)
}

func (c *Cluster) remove(ctx context.Context, raw client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.world = nil
	return raw.Delete(ctx, o, opts...)
}

// get and list write the conditions first, where an object may have some and something has changed: no test ever waits.
func (c *Cluster) get(ctx context.Context, raw client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if err := c.settle(ctx, o); err != nil {
		return err
	}
	return raw.Get(ctx, key, o, opts...)
}

func (c *Cluster) list(ctx context.Context, raw client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
	if err := c.settle(ctx, list); err != nil {
		return err
	}
	return raw.List(ctx, list, opts...)
}

func (c *Cluster) settle(ctx context.Context, o runtime.Object) error {
	gvk, err := apiutil.GVKForObject(o, c.scheme)
	if err != nil || gvk.Group != k8sgateway.GroupName {
		return err
	}
	if _, applied := o.(*unstructured.Unstructured); applied {
		return nil
	}
	_, err = c.World(ctx)
	return err
}

// stored is the object as it is, without a type.
func (c *Cluster) stored(ctx context.Context, o client.Object) (*unstructured.Unstructured, error) {
	gvk, err := apiutil.GVKForObject(o, c.scheme)
	if err != nil {
		return nil, err
	}
	before := &unstructured.Unstructured{}
	before.SetGroupVersionKind(gvk)
	return before, c.raw.Get(ctx, client.ObjectKeyFromObject(o), before)
}

// countGeneration raises the generation where the spec has changed.
func (c *Cluster) countGeneration(before *unstructured.Unstructured, o client.Object) error {
	after, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return err
	}
	o.SetGeneration(before.GetGeneration())
	if !reflect.DeepEqual(before.Object["spec"], after["spec"]) {
		o.SetGeneration(before.GetGeneration() + 1)
	}
	return nil
}

// complete fills in the defaults of the CRD.
func (c *Cluster) complete(o client.Object) error {
	gvk, err := apiutil.GVKForObject(o, c.scheme)
	if err != nil {
		return err
	}
	props, known := c.defaults[gvk.GroupKind()]
	if !known {
		return nil
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return err
	}
	fill(fields, props)
	if u, untyped := o.(*unstructured.Unstructured); untyped {
		u.Object = fields
		return nil
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(fields, o)
}

// runPods gives a Deployment a ready pod for each replica, with a sidecar where its namespace asks for one.
func (c *Cluster) runPods(ctx context.Context, o client.Object) error {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return err
	}
	d := &appsv1.Deployment{}
	if gvk, err := apiutil.GVKForObject(o, c.scheme); err != nil || gvk.Kind != "Deployment" {
		return err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, d); err != nil {
		return err
	}
	namespace := &corev1.Namespace{}
	if err := c.raw.Get(ctx, client.ObjectKey{Name: d.Namespace}, namespace); err != nil {
		return err
	}
	replicas := int32(1)
	if d.Spec.Replicas != nil {
		replicas = *d.Spec.Replicas
	}
	for i := range replicas {
		c.written++
		if err := c.raw.Create(ctx, c.pod(d, int(i), namespace.Labels["istio-injection"] == "enabled")); err != nil {
			return err
		}
	}
	return nil
}

const templateHash = "7d4b9c"

func (c *Cluster) pod(d *appsv1.Deployment, i int, injected bool) *corev1.Pod {
	labels := maps.Clone(d.Spec.Template.Labels)
	labels["pod-template-hash"] = templateHash
	ip := fmt.Sprintf("10.244.%d.%d", c.written/250, c.written%250+1)
	controller := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%s-%s-%d", d.Name, templateHash, i), Namespace: d.Namespace, Labels: labels, Annotations: d.Spec.Template.Annotations,
			UID:             types.UID(fmt.Sprintf("uid-%d", c.written)),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: d.Name + "-" + templateHash, Controller: &controller}},
		},
		Spec: *d.Spec.Template.Spec.DeepCopy(),
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
	if injected {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "istio-proxy", Image: "proxyv2", Args: []string{"proxy", "sidecar"}})
	}
	return p
}

// readKinds are the kinds that the tracer reads of those that the suite has.
var readKinds = []client.Object{
	&corev1.Namespace{}, &corev1.Service{}, &corev1.Pod{}, &corev1.Secret{}, &corev1.ConfigMap{}, &appsv1.Deployment{}, &discoveryv1.EndpointSlice{},
	&k8sgateway.GatewayClass{}, &k8sgateway.Gateway{}, &k8sgateway.ListenerSet{}, &k8sgateway.HTTPRoute{}, &k8sgateway.GRPCRoute{}, &k8sgateway.TLSRoute{},
	&k8sgateway.TCPRoute{}, &k8sgateway.UDPRoute{}, &k8sgateway.ReferenceGrant{}, &k8sgateway.BackendTLSPolicy{},
}

// objects are all that the tracer reads, as a user would write them.
func (c *Cluster) objects(ctx context.Context) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for _, kind := range readKinds {
		gvk, err := apiutil.GVKForObject(kind, c.scheme)
		if err != nil {
			return nil, err
		}
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk)
		if err := c.raw.List(ctx, list); err != nil {
			return nil, err
		}
		for i := range list.Items {
			o := &list.Items[i]
			o.SetGroupVersionKind(gvk)
			o.SetManagedFields(nil)
			if gvk.Kind == "Secret" {
				if c.holdsNothing(o.GetNamespace(), o.GetName()) {
					continue
				}
				delete(o.Object, "data")
			}
			if gvk.Kind != "Pod" {
				delete(o.Object, "status")
			}
			out = append(out, o)
		}
	}
	return out, nil
}
