package resolve

import (
	"cmp"
	"slices"
	"sync"
	"time"

	extensions "istio.io/client-go/pkg/apis/extensions/v1alpha1"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	networkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	networkingv1beta1 "istio.io/client-go/pkg/apis/networking/v1beta1"
	security "istio.io/client-go/pkg/apis/security/v1"
	telemetry "istio.io/client-go/pkg/apis/telemetry/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingk8s "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	inference "sigs.k8s.io/gateway-api-inference-extension/api/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
	k8sgatewayx "sigs.k8s.io/gateway-api/apisx/v1alpha1"

	meshconfig "istio.io/api/mesh/v1alpha1"
)

// Object is any Kubernetes resource in its typed form.
type Object interface {
	metav1.Object
	runtime.Object
}

// Snapshot is everything known about the mesh at one moment, and everything
// known to be missing. It is immutable; its indexes are made on first use and
// are safe for concurrent readers.
//
// Every slice is in Istio's order of age: creation time, then name, then
// namespace (pilot/pkg/model/config.go, configCompareByCreationTime).
type Snapshot struct {
	Namespaces   map[string]*corev1.Namespace
	KubeServices []*corev1.Service

	Gateways           []*networking.Gateway
	RawVirtualServices []*networking.VirtualService
	DestinationRules   []*networking.DestinationRule
	ServiceEntries     []*networking.ServiceEntry
	WorkloadEntries    []*networking.WorkloadEntry
	WorkloadGroups     []*networking.WorkloadGroup
	Sidecars           []*networking.Sidecar
	EnvoyFilters       []*networkingv1alpha3.EnvoyFilter
	ProxyConfigs       []*networkingv1beta1.ProxyConfig

	PeerAuthentications    []*security.PeerAuthentication
	RequestAuthentications []*security.RequestAuthentication
	AuthorizationPolicies  []*security.AuthorizationPolicy

	WasmPlugins       []*extensions.WasmPlugin
	TrafficExtensions []*extensions.TrafficExtension
	Telemetries       []*telemetry.Telemetry

	// Injectors are the MutatingWebhookConfigurations, Istio's and those of others.
	Injectors []*admissionv1.MutatingWebhookConfiguration
	injectors []injector

	GatewayClasses         []*k8sgateway.GatewayClass
	KubeGateways           []*k8sgateway.Gateway
	ListenerSets           []*k8sgateway.ListenerSet
	HTTPRoutes             []*k8sgateway.HTTPRoute
	GRPCRoutes             []*k8sgateway.GRPCRoute
	TLSRoutes              []*k8sgateway.TLSRoute
	TCPRoutes              []*k8sgateway.TCPRoute
	UDPRoutes              []*k8sgateway.UDPRoute
	ReferenceGrants        []*k8sgateway.ReferenceGrant
	BackendTLSPolicies     []*k8sgateway.BackendTLSPolicy
	BackendTrafficPolicies []*k8sgatewayx.XBackendTrafficPolicy
	InferencePools         []*inference.InferencePool

	Ingresses      []*networkingk8s.Ingress
	IngressClasses []*networkingk8s.IngressClass

	// Secrets are those handed over, without their data; SecretOf knows of the others.
	Secrets []*corev1.Secret
	// ConfigMaps are those handed over, with nothing but the certificate of an authority.
	ConfigMaps []*corev1.ConfigMap

	// Others are resources of kinds the trace does not read, by kind.
	Others map[schema.GroupKind]int

	Mesh *Mesh
	// Networks are the MeshNetworks, nil for none, and NetworksRef what they were read from.
	Networks    *meshconfig.MeshNetworks
	NetworksRef Ref
	Gaps        []Gap
	Notes       []Note
	// Hidden are resources that istiod does not see (discoverySelectors,
	// istio.io/rev), ordered, each with the reason. Stages that would have asked for one say so.
	Hidden   []Hidden
	Version  Version
	Revision string
	Offline  bool

	// cluster is the id of the remote cluster that this is the view of; empty for the first, whose configuration istiod reads.
	cluster string
	// members are the views of all clusters of the mesh, the first before the remote ones by their ids; nil for one alone.
	members []*Snapshot
	// ownGateways are the Gateways of a remote cluster; the first has them among its configuration.
	ownGateways []*k8sgateway.Gateway
	// unread are remote clusters that are known and could not be read.
	unread []Remote
	// bundles are the versions of the Gateway API's CRDs, by the name of the CRD; see kubecrd.go.
	bundles      map[string]string
	origins      map[Ref]Origin
	runningMu    sync.Mutex
	running      map[string]*runningCell
	deferred     Deferred
	istiodSets   map[string]bool
	planned      map[Ref]bool
	askSecret    func(namespace, name string) Secret
	askConfigMap func(namespace, name string) ConfigMap
	index        indexes
}

// Version is the Istio release whose behaviour is followed.
type Version struct {
	// Release is "1.31".
	Release string
	// From is cluster, flag or default.
	From string
}

// NewestRelease is the newest Istio release whose rules the project knows.
const NewestRelease = "1.31"

// yetToBe reports whether the object is one of manifests, of which is assumed what a cluster would have filled in.
func (s *Snapshot) yetToBe(r Ref) bool { return s.Offline || s.planned[r.Object()] }

// plansIn reports whether a workload of the namespace is planned.
func (s *Snapshot) plansIn(namespace string) bool {
	for r := range s.planned {
		if r.Namespace == namespace {
			return true
		}
	}
	return false
}

// Locate returns "file:line" of the resource's field, or "cluster"; empty for a Ref that is not in the snapshot.
func (s *Snapshot) Locate(r Ref) string {
	if r.Cluster != s.cluster {
		if m := s.Member(r.Cluster); m != s {
			return m.Locate(r)
		}
	}
	o, ok := s.origins[r.Object()]
	if !ok {
		o = s.originOf(r.Object())
	}
	if o != nil {
		return o.Locate(r.Field)
	}
	return ""
}

// Err is what ended the reading of what a trace asked for; the trace is then worth nothing.
func (s *Snapshot) Err() error {
	for _, m := range s.clusters() {
		if m.deferred != nil && m.deferred.Err() != nil {
			return m.deferred.Err()
		}
	}
	return nil
}

// GapsOf returns the gaps of a kind that could hide an object in one of the namespaces.
func (s *Snapshot) GapsOf(gk schema.GroupKind, namespaces ...string) []Gap {
	var out []Gap
	for _, g := range s.Gaps {
		if g.GroupKind == gk && g.concerns(namespaces) {
			out = append(out, g)
		}
	}
	if slices.Contains(RunningKinds, gk) {
		for _, namespace := range namespaces {
			out = append(out, s.RunningIn(namespace).list(gk).gaps...)
		}
	}
	return out
}

// concerns reports whether the gap reaches into one of the namespaces; none stands for all.
func (g Gap) concerns(namespaces []string) bool {
	if len(namespaces) == 0 {
		return true
	}
	return slices.ContainsFunc(namespaces, func(ns string) bool {
		if g.Namespace == "" {
			return !slices.Contains(g.Except, ns)
		}
		return g.Namespace == ns
	})
}

// refOf is the Ref of a resource of that group and kind.
func refOf(group, kind string, o metav1.Object) Ref {
	return Ref{Group: group, Cluster: ClusterOf(o), Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}
}

// byAge is Istio's order: creation time, then name, then namespace.
// Source: pilot/pkg/model/config.go, configCompareByCreationTime.
func byAge[T metav1.Object](a, b T) int {
	return cmp.Or(
		compareTimes(a.GetCreationTimestamp().Time, b.GetCreationTimestamp().Time),
		cmp.Compare(a.GetName(), b.GetName()),
		cmp.Compare(a.GetNamespace(), b.GetNamespace()),
	)
}

func compareTimes(a, b time.Time) int { return a.Compare(b) }

// NewSnapshot sorts the input into Istio's order and makes a Snapshot of it.
func NewSnapshot(in Input) *Snapshot {
	s := &Snapshot{
		Namespaces: map[string]*corev1.Namespace{},
		Others:     map[schema.GroupKind]int{},
		bundles:    map[string]string{},
		Mesh:       newMesh(in.MeshConfig, in.MeshConfigRef),
		Networks:   in.MeshNetworks, NetworksRef: in.MeshNetworksRef,
		Gaps:     in.Gaps,
		Notes:    in.Notes,
		Version:  Version{Release: in.IstioVersion, From: in.IstioVersionFrom},
		Revision: in.Revision,
		Offline:  in.Offline,
		origins:  make(map[Ref]Origin, len(in.Resources)+1),
		running:  map[string]*runningCell{},
		deferred: in.Deferred, istiodSets: in.IstiodSets,
		planned:   in.Planned,
		askSecret: in.Secret, askConfigMap: in.ConfigMap,
	}
	if s.Version.Release == "" {
		s.Version = Version{Release: NewestRelease, From: "default"}
	}
	if in.MeshOrigin != nil {
		s.origins[in.MeshConfigRef.Object()] = in.MeshOrigin
	}
	if _, located := s.origins[in.MeshNetworksRef.Object()]; in.MeshNetworksOrigin != nil && !located {
		s.origins[in.MeshNetworksRef.Object()] = in.MeshNetworksOrigin
	}
	own, remotes := byCluster(in)
	for _, r := range own {
		switch o := r.Object.(type) {
		case *corev1.Namespace:
			s.Namespaces[o.Name] = o // discovery selectors read their labels
		case *metav1.PartialObjectMetadata:
			if r.GroupKind == CRDKind {
				s.addCRD(o)
			}
		}
	}
	for _, r := range own {
		if s.give(r) {
			continue
		}
		s.origins[refOf(r.GroupKind.Group, r.GroupKind.Kind, r.Object)] = r.Origin
		if hidden, ok := s.visible(r); !ok {
			s.Hidden = append(s.Hidden, hidden)
			continue
		}
		s.add(r)
	}
	slices.SortFunc(s.Hidden, func(a, b Hidden) int { return CompareRefs(a.Ref, b.Ref) })
	s.sort()
	s.index.istiod = sync.OnceValue(func() *appsv1.Deployment { return findIstiod(s) })
	s.deployGateways(s.KubeGateways)
	s.serveInferencePools()
	s.prepareIndexes()
	s.join(remotes)
	return s
}

func (s *Snapshot) add(r Sourced) {
	switch o := r.Object.(type) {
	case *corev1.Namespace: // already there
	case *corev1.Service:
		s.KubeServices = append(s.KubeServices, o)
	case *networking.Gateway:
		s.Gateways = append(s.Gateways, o)
	case *networking.VirtualService:
		s.RawVirtualServices = append(s.RawVirtualServices, o)
	case *networking.DestinationRule:
		s.DestinationRules = append(s.DestinationRules, o)
	case *networking.ServiceEntry:
		s.ServiceEntries = append(s.ServiceEntries, o)
	case *networking.WorkloadEntry:
		s.WorkloadEntries = append(s.WorkloadEntries, o)
	case *networking.WorkloadGroup:
		s.WorkloadGroups = append(s.WorkloadGroups, o)
	case *networking.Sidecar:
		s.Sidecars = append(s.Sidecars, o)
	case *networkingv1alpha3.EnvoyFilter:
		s.EnvoyFilters = append(s.EnvoyFilters, o)
	case *networkingv1beta1.ProxyConfig:
		s.ProxyConfigs = append(s.ProxyConfigs, o)
	case *security.PeerAuthentication:
		s.PeerAuthentications = append(s.PeerAuthentications, o)
	case *security.RequestAuthentication:
		s.RequestAuthentications = append(s.RequestAuthentications, o)
	case *security.AuthorizationPolicy:
		s.AuthorizationPolicies = append(s.AuthorizationPolicies, o)
	case *extensions.WasmPlugin:
		s.WasmPlugins = append(s.WasmPlugins, o)
	case *extensions.TrafficExtension:
		s.TrafficExtensions = append(s.TrafficExtensions, o)
	case *telemetry.Telemetry:
		s.Telemetries = append(s.Telemetries, o)
	case *admissionv1.ValidatingWebhookConfiguration: // what it refuses the loader has noted
	case *admissionv1.MutatingWebhookConfiguration:
		s.Injectors = append(s.Injectors, o)
	case *k8sgateway.GatewayClass:
		s.GatewayClasses = append(s.GatewayClasses, o)
	case *k8sgateway.Gateway:
		s.KubeGateways = append(s.KubeGateways, o)
	case *k8sgateway.ListenerSet:
		s.ListenerSets = append(s.ListenerSets, o)
	case *k8sgateway.HTTPRoute:
		s.HTTPRoutes = append(s.HTTPRoutes, o)
	case *k8sgateway.GRPCRoute:
		s.GRPCRoutes = append(s.GRPCRoutes, o)
	case *k8sgateway.TLSRoute:
		s.TLSRoutes = append(s.TLSRoutes, o)
	case *k8sgateway.TCPRoute:
		s.TCPRoutes = append(s.TCPRoutes, o)
	case *k8sgateway.UDPRoute:
		s.UDPRoutes = append(s.UDPRoutes, o)
	case *k8sgateway.ReferenceGrant:
		s.ReferenceGrants = append(s.ReferenceGrants, o)
	case *k8sgateway.BackendTLSPolicy:
		s.BackendTLSPolicies = append(s.BackendTLSPolicies, o)
	case *k8sgatewayx.XBackendTrafficPolicy:
		s.BackendTrafficPolicies = append(s.BackendTrafficPolicies, o)
	case *inference.InferencePool:
		s.InferencePools = append(s.InferencePools, o)
	case *networkingk8s.Ingress:
		s.Ingresses = append(s.Ingresses, o)
	case *networkingk8s.IngressClass:
		s.IngressClasses = append(s.IngressClasses, o)
	case *corev1.Secret:
		secret := NewSecret(o.Namespace, o.Name, string(o.Type))
		secret.Labels, secret.Annotations = clusterSecretOnly(o)
		s.Secrets = append(s.Secrets, secret)
	case *corev1.ConfigMap:
		s.ConfigMaps = append(s.ConfigMaps, o)
	default:
		s.Others[r.GroupKind]++
	}
}

func (s *Snapshot) sort() {
	slices.SortStableFunc(s.KubeServices, byAge)
	slices.SortStableFunc(s.Gateways, byAge)
	slices.SortStableFunc(s.RawVirtualServices, byAge)
	slices.SortStableFunc(s.DestinationRules, byAge)
	slices.SortStableFunc(s.ServiceEntries, byAge)
	slices.SortStableFunc(s.WorkloadEntries, byAge)
	slices.SortStableFunc(s.WorkloadGroups, byAge)
	slices.SortStableFunc(s.Sidecars, byAge)
	slices.SortStableFunc(s.EnvoyFilters, byAge)
	slices.SortStableFunc(s.ProxyConfigs, byAge)
	slices.SortStableFunc(s.PeerAuthentications, byAge)
	slices.SortStableFunc(s.RequestAuthentications, byAge)
	slices.SortStableFunc(s.AuthorizationPolicies, byAge)
	slices.SortStableFunc(s.WasmPlugins, byAge)
	slices.SortStableFunc(s.TrafficExtensions, byAge)
	slices.SortStableFunc(s.Telemetries, byAge)
	s.injectors = injectorsOf(s.Injectors)
	slices.SortStableFunc(s.GatewayClasses, byAge)
	slices.SortStableFunc(s.KubeGateways, byAge)
	slices.SortStableFunc(s.ListenerSets, byAge)
	slices.SortStableFunc(s.HTTPRoutes, byAge)
	slices.SortStableFunc(s.GRPCRoutes, byAge)
	slices.SortStableFunc(s.TLSRoutes, byAge)
	slices.SortStableFunc(s.TCPRoutes, byAge)
	slices.SortStableFunc(s.UDPRoutes, byAge)
	slices.SortStableFunc(s.ReferenceGrants, byAge)
	slices.SortStableFunc(s.BackendTLSPolicies, byAge)
	slices.SortStableFunc(s.BackendTrafficPolicies, byAge)
	slices.SortStableFunc(s.InferencePools, byAge)
	slices.SortStableFunc(s.Ingresses, byAge)
	slices.SortStableFunc(s.IngressClasses, byAge)
}

// objectNamed finds an object of a list by namespace, empty for what has none, and name.
func objectNamed[T metav1.Object](list []T, namespace, name string) (T, bool) {
	for _, o := range list {
		if o.GetNamespace() == namespace && o.GetName() == name {
			return o, true
		}
	}
	var none T
	return none, false
}
