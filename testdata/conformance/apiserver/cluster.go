package apiserver

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	networkingk8s "k8s.io/api/networking/v1"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/kube"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
	sigsyaml "sigs.k8s.io/yaml"
)

// created is when everything was made whose manifest does not say.
var created = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Cluster is what the manifests have become.
type Cluster struct {
	// Objects are those of Kubernetes and of the Gateway API, Configs those of Istio.
	Objects []runtime.Object
	Configs []config.Config
	// MeshConfig is the mesh config's YAML; empty for the defaults.
	MeshConfig string
	// MeshNetworks are the networks' YAML; empty for none.
	MeshNetworks string
	// InferencePools is set where istiod reads them.
	InferencePools bool
	// Ambient is set where istiod has ambient mode on.
	Ambient bool
	// Flags are the environment of istiod, where its Deployment is there.
	Flags    map[string]string
	Pods     []*Pod
	Services []*corev1.Service

	namespaces map[string]*corev1.Namespace
	// injectors are the webhooks that put proxies into pods; where there are none, they are as Istio installs them.
	injectors []admissionv1.MutatingWebhook
	nodes     map[string]*corev1.Node
	slices    []*discoveryv1.EndpointSlice
	// deployments are the owners of pods that are there, "Deployment shop/web", even where they have none.
	deployments map[string]bool
	endpoints   map[string]bool
	invented    map[netip.Addr]bool
	nextPod     netip.Addr
	nextVIP     netip.Addr
	// id is empty for the first cluster; remotes are the others of the mesh, which the first knows.
	id          string
	remotes     []*Cluster
	nextBalance netip.Addr
}

// Pod is a pod and what runs it.
type Pod struct {
	*corev1.Pod
	// Owner is "Deployment shop/web", in the remote cluster west "Deployment west:shop/web".
	Owner string
	// Cluster is the remote cluster that has it; empty for the first.
	Cluster string
	// Proxy is sidecar, gateway, waypoint, or empty.
	Proxy string
	// Captured is set where ztunnel has its connections.
	Captured bool
	Address  netip.Addr
	Ready    bool
	// Invented is set where no manifest gives the address.
	Invented bool
	// Injected is set where the webhook has put the proxy in: no manifest shows what else it has written.
	Injected bool
	// Machine is set where it is no pod, but the machine of a WorkloadEntry.
	Machine bool
}

// Unjudged is an error for manifests that this API server does not take; the text says why.
type Unjudged struct{ Reason string }

func (e Unjudged) Error() string { return e.Reason }

// New reads manifests and completes them.
func New(manifests map[string]string) (*Cluster, error) { return build(manifests, false) }

// NewWithGateways also adds the gateway workloads, and their Services, that the manifests leave out.
func NewWithGateways(manifests map[string]string) (*Cluster, error) { return build(manifests, true) }

func build(manifests map[string]string, gateways bool) (*Cluster, error) {
	c := newCluster(0)
	remotes := remoteFiles(manifests)
	names := make([]string, 0, len(manifests))
	for n := range manifests {
		if _, remote := RemoteFile(n); !remote {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	var objects []runtime.Object
	for _, n := range names {
		if n == "mesh-config.yaml" {
			c.MeshConfig = manifests[n]
			continue
		}
		if n == "mesh-networks.yaml" {
			c.MeshNetworks = manifests[n]
			continue
		}
		more, err := c.read(manifests[n])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n, err)
		}
		objects = append(objects, more...)
	}
	if err := c.complete(objects, gateways); err != nil {
		return nil, err
	}
	return c, c.addRemotes(manifests, remotes, gateways)
}

func (c *Cluster) read(text string) ([]runtime.Object, error) {
	var out []runtime.Object
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 1<<16)
	for {
		raw := runtime.RawExtension{}
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, Unjudged{"not YAML: " + err.Error()}
		}
		if len(raw.Raw) == 0 || string(raw.Raw) == "null" {
			continue
		}
		head := metav1.TypeMeta{}
		if err := sigsyaml.Unmarshal(raw.Raw, &head); err != nil {
			return nil, Unjudged{err.Error()}
		}
		gvk := head.GroupVersionKind()
		if strings.HasSuffix(gvk.Group, "istio.io") {
			if err := c.addConfig(raw.Raw, gvk.Group, gvk.Version, gvk.Kind); err != nil {
				return nil, err
			}
			continue
		}
		text, err := defaulted(raw.Raw, gvk)
		if err != nil {
			return nil, err
		}
		o, _, err := kube.IstioCodec.UniversalDeserializer().Decode(text, nil, nil)
		if err != nil {
			if gvk.Group == "apiextensions.k8s.io" || gvk.Group == "admissionregistration.k8s.io" {
				continue
			}
			return nil, Unjudged{"a kind istiod does not read: " + gvk.String() + ": " + err.Error()}
		}
		out = append(out, o)
	}
}

// addConfig takes one of Istio's resources, if its webhook would.
func (c *Cluster) addConfig(raw []byte, group, version, kind string) error {
	schema, ok := collections.PilotGatewayAPI().FindByGroupVersionAliasesKind(config.GroupVersionKind{Group: group, Version: version, Kind: kind})
	if !ok {
		return Unjudged{"a kind istiod does not read: " + group + "/" + kind}
	}
	o := crd.IstioKind{}
	if err := sigsyaml.Unmarshal(raw, &o); err != nil {
		return Unjudged{err.Error()}
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	cfg, err := crd.ConvertObject(schema, &o, "cluster.local")
	if err != nil {
		return Unjudged{"istiod does not decode " + kind + " " + o.Name + ": " + err.Error()}
	}
	if _, err := schema.ValidateConfig(*cfg); err != nil {
		return Unjudged{"istiod's webhook refuses " + kind + " " + o.Name + ": " + err.Error()}
	}
	withoutJWKSServers(cfg)
	if rev, ok := cfg.Labels["istio.io/rev"]; ok && rev != "default" {
		return nil // another revision's control plane reads it
	}
	if cfg.CreationTimestamp.IsZero() {
		cfg.CreationTimestamp = created
	}
	same := slices.IndexFunc(c.Configs, func(o config.Config) bool { return o.GroupVersionKind == cfg.GroupVersionKind && o.Key() == cfg.Key() })
	if same >= 0 {
		c.Configs[same] = *cfg // applied again
		return nil
	}
	c.Configs = append(c.Configs, *cfg)
	return nil
}

func (c *Cluster) complete(objects []runtime.Object, gateways bool) error {
	for _, o := range objects {
		m, ok := o.(metav1.Object)
		if !ok {
			return Unjudged{"a list"}
		}
		if at := m.GetCreationTimestamp(); at.IsZero() {
			m.SetCreationTimestamp(metav1.NewTime(created))
		}
		if m.GetUID() == "" { // istiod takes objects of one UID for the same
			m.SetUID(types.UID(fmt.Sprintf("%T %s/%s", o, m.GetNamespace(), m.GetName())))
		}
		switch x := o.(type) {
		case *corev1.Namespace:
			c.namespaces[x.Name] = x
			if x.Labels == nil {
				x.Labels = map[string]string{}
			}
			x.Labels[corev1.LabelMetadataName] = x.Name
			continue
		case *corev1.Node:
			c.nodes[x.Name] = x
			continue
		case *corev1.Endpoints: //nolint:staticcheck // manifests may hold them
			return Unjudged{"Endpoints, which a controller mirrors"}
		case *k8sgateway.GatewayClass, *networkingk8s.IngressClass:
			continue
		case *admissionv1.MutatingWebhookConfiguration:
			for _, w := range x.Webhooks {
				if strings.HasSuffix(w.Name, "sidecar-injector.istio.io") {
					c.injectors = append(c.injectors, w)
				}
			}
			continue
		}
		if m.GetNamespace() == "" {
			m.SetNamespace("default")
		}
	}
	objects = applied(objects)
	if c.Ambient = c.holdsAmbient(objects); c.Ambient {
		c.allocate()
	}
	owned := map[string]bool{}
	for _, o := range objects {
		if p, ok := o.(*corev1.Pod); ok {
			for _, r := range p.OwnerReferences {
				owned[p.Namespace+"/"+r.Kind+"/"+r.Name] = true
			}
		}
	}
	for _, o := range objects {
		switch x := o.(type) {
		case *corev1.Service:
			c.addService(x)
		case *corev1.Pod:
			c.addPod(x, ownerOf(x))
		case *appsv1.Deployment:
			c.deployments["Deployment "+x.Namespace+"/"+x.Name] = true
			c.addPods("Deployment", x.ObjectMeta, replicas(x.Spec.Replicas), x.Spec.Template, "", owned)
		case *appsv1.StatefulSet:
			c.addPods("StatefulSet", x.ObjectMeta, replicas(x.Spec.Replicas), x.Spec.Template, x.Spec.ServiceName, owned)
		case *appsv1.DaemonSet:
			c.addPods("DaemonSet", x.ObjectMeta, 1, x.Spec.Template, "", owned)
		case *appsv1.ReplicaSet, *batchv1.Job, *batchv1.CronJob:
			return Unjudged{"a bare ReplicaSet, Job or CronJob"}
		case *discoveryv1.EndpointSlice:
			c.endpoints[x.Namespace+"/"+x.Labels[discoveryv1.LabelServiceName]] = true
			c.slices = append(c.slices, x)
		case *corev1.ConfigMap:
			if y := x.Data["mesh"]; y != "" && c.MeshConfig == "" {
				c.MeshConfig = y
			}
			if y := x.Data["meshNetworks"]; y != "" && c.MeshNetworks == "" {
				c.MeshNetworks = y
			}
		}
	}
	for _, o := range objects {
		switch o.(type) {
		case *appsv1.Deployment, *appsv1.StatefulSet, *appsv1.DaemonSet, *corev1.Pod, *corev1.Service, *discoveryv1.EndpointSlice:
			continue
		}
		c.Objects = append(c.Objects, o)
	}
	c.deployGateways()
	if !c.Ambient && slices.ContainsFunc(c.Pods, func(p *Pod) bool { return p.Captured }) {
		return Unjudged{"captured pods without a control plane for ztunnel"}
	}
	c.InferencePools = readsInferencePools(objects)
	if err := c.serveInferencePools(); err != nil {
		return err
	}
	if gateways {
		c.gateways()
	}
	c.balance()
	for _, s := range c.Services {
		if to := s.Annotations["networking.istio.io/exportTo"]; strings.Contains(to, "~") && strings.Contains(to, ",") {
			return Unjudged{"a Service that hides itself with ~ beside names: whether the fake server has its endpoints hangs on the order of its events"}
		}
		c.Objects = append(c.Objects, s)
		if len(s.Spec.Selector) > 0 && s.Spec.Type != corev1.ServiceTypeExternalName && !c.endpoints[s.Namespace+"/"+s.Name] {
			c.slices = append(c.slices, c.sliceOf(s)...)
		}
	}
	for _, p := range c.Pods {
		c.Objects = append(c.Objects, p.Pod)
	}
	c.addMachines()
	if err := c.secrets(); err != nil {
		return err
	}
	for _, s := range c.slices {
		if c.leftToChance(s) {
			return Unjudged{"a slice names a ready pod by its address alone: the fake server reads pods and slices in any order, and does not read the slice again"}
		}
		c.Objects = append(c.Objects, s)
	}
	c.addNamespaces()
	return nil
}

// leftToChance reports whether a slice has the address of a ready pod with a proxy, without saying that it is a pod.
func (c *Cluster) leftToChance(s *discoveryv1.EndpointSlice) bool {
	return slices.ContainsFunc(s.Endpoints, func(e discoveryv1.Endpoint) bool {
		return e.TargetRef == nil && slices.ContainsFunc(c.Pods, func(p *Pod) bool {
			return p.Proxy != "" && slices.Contains(e.Addresses, p.Status.PodIP)
		})
	})
}

// applied are the objects that remain when each takes the place of one before it that has its kind and name.
func applied(objects []runtime.Object) []runtime.Object {
	var out []runtime.Object
	place := map[string]int{}
	for _, o := range objects {
		m, ok := o.(metav1.Object)
		if !ok {
			continue
		}
		key := fmt.Sprintf("%T %s/%s", o, m.GetNamespace(), m.GetName())
		if at, again := place[key]; again {
			out[at] = o
			continue
		}
		place[key] = len(out)
		out = append(out, o)
	}
	return out
}

func replicas(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}
