package load

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	extensions "istio.io/client-go/pkg/apis/extensions/v1alpha1"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	networkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	networkingv1beta1 "istio.io/client-go/pkg/apis/networking/v1beta1"
	security "istio.io/client-go/pkg/apis/security/v1"
	telemetry "istio.io/client-go/pkg/apis/telemetry/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingk8s "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	inference "sigs.k8s.io/gateway-api-inference-extension/api/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
	k8sgatewayx "sigs.k8s.io/gateway-api/apisx/v1alpha1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// kind is one kind of resource that the tool knows.
type kind struct {
	group, kind, plural string
	// versions are those that decode into the Go type, the preferred one first.
	versions []string
	// watched is the version that istiod watches, where no other will do: a cluster that does not serve it has,
	// for Istio, no objects of the kind. Empty where every one of versions is as good.
	watched string
	// new makes the Go type; nil for a kind that is known and that the trace does not read.
	new        func() resolve.Object
	namespaced bool
	// colons is set where names may have colons: SIGNER:NAME.
	colons bool
	// overlaid is set where a cluster is asked for the kind only if something is laid over it.
	overlaid bool
	// loose are older versions, of which fields that the Go type does not have are passed over.
	loose []string
}

// groupKind is the kind without a version.
func (k kind) groupKind() schema.GroupKind { return schema.GroupKind{Group: k.group, Kind: k.kind} }

// listed are the versions in which a cluster is asked for the kind, the preferred one first.
func (k kind) listed() []string {
	if k.watched != "" {
		return []string{k.watched}
	}
	return k.versions
}

// read reports whether the trace reads resources of the kind.
func (k kind) read() bool { return k.new != nil }

const (
	networkingGroup = "networking.istio.io"
	securityGroup   = "security.istio.io"
	telemetryGroup  = "telemetry.istio.io"
	extensionsGroup = "extensions.istio.io"
	gatewayGroup    = "gateway.networking.k8s.io"
	gatewayXGroup   = "gateway.networking.x-k8s.io"
	inferenceGroup  = "inference.networking.k8s.io"
)

// Every version of an Istio kind has the same shape: the v1 types hold the v1alpha3 messages.
var (
	istioVersions   = []string{"v1", "v1beta1", "v1alpha3"}
	securityVersion = []string{"v1", "v1beta1"}
)

// kinds is the table of kinds: what is read from files and listed in a cluster.
var kinds = []kind{
	{group: "", kind: "Namespace", plural: "namespaces", versions: []string{"v1"}, new: func() resolve.Object { return &corev1.Namespace{} }},
	{group: "", kind: "Node", plural: "nodes", versions: []string{"v1"}, new: func() resolve.Object { return &corev1.Node{} }},
	{group: "", kind: "ServiceAccount", plural: "serviceaccounts", versions: []string{"v1"}, namespaced: true, new: func() resolve.Object { return &corev1.ServiceAccount{} }},
	{group: "", kind: "Pod", plural: "pods", versions: []string{"v1"}, namespaced: true, new: func() resolve.Object { return &corev1.Pod{} }},
	{group: "", kind: "Service", plural: "services", versions: []string{"v1"}, namespaced: true, new: func() resolve.Object { return &corev1.Service{} }},
	{group: "discovery.k8s.io", kind: "EndpointSlice", plural: "endpointslices", versions: []string{"v1"}, namespaced: true, new: func() resolve.Object { return &discoveryv1.EndpointSlice{} }},

	{group: "apps", kind: "Deployment", plural: "deployments", versions: []string{"v1"}, namespaced: true, new: func() resolve.Object { return &appsv1.Deployment{} }},
	{group: "apps", kind: "StatefulSet", plural: "statefulsets", versions: []string{"v1"}, namespaced: true, new: func() resolve.Object { return &appsv1.StatefulSet{} }},
	{group: "apps", kind: "DaemonSet", plural: "daemonsets", versions: []string{"v1"}, namespaced: true, new: func() resolve.Object { return &appsv1.DaemonSet{} }},
	{group: "apps", kind: "ReplicaSet", plural: "replicasets", versions: []string{"v1"}, namespaced: true, new: func() resolve.Object { return &appsv1.ReplicaSet{} }},
	{group: "batch", kind: "Job", plural: "jobs", versions: []string{"v1"}, namespaced: true, new: func() resolve.Object { return &batchv1.Job{} }},
	{group: "batch", kind: "CronJob", plural: "cronjobs", versions: []string{"v1"}, namespaced: true, new: func() resolve.Object { return &batchv1.CronJob{} }},

	{group: certificatesv1.GroupName, kind: "CertificateSigningRequest", plural: "certificatesigningrequests", versions: []string{"v1"}, new: func() resolve.Object { return &certificatesv1.CertificateSigningRequest{} }},
	{group: certificatesv1.GroupName, kind: "ClusterTrustBundle", plural: "clustertrustbundles", versions: []string{"v1beta1", "v1alpha1"}, colons: true, new: func() resolve.Object { return &certificatesv1beta1.ClusterTrustBundle{} }},
	{group: coordinationv1.GroupName, kind: "Lease", plural: "leases", versions: []string{"v1"}, namespaced: true, new: func() resolve.Object { return &coordinationv1.Lease{} }},
	{group: "autoscaling", kind: "HorizontalPodAutoscaler", plural: "horizontalpodautoscalers", versions: []string{"v2", "v2beta2", "v2beta1", "v1"}, loose: []string{"v2beta1", "v1"}, namespaced: true, new: func() resolve.Object { return &autoscalingv2.HorizontalPodAutoscaler{} }},
	{group: "policy", kind: "PodDisruptionBudget", plural: "poddisruptionbudgets", versions: []string{"v1", "v1beta1"}, namespaced: true, new: func() resolve.Object { return &policyv1.PodDisruptionBudget{} }},

	{group: networkingGroup, kind: "Gateway", plural: "gateways", versions: istioVersions, namespaced: true, new: func() resolve.Object { return &networking.Gateway{} }},
	{group: networkingGroup, kind: "VirtualService", plural: "virtualservices", versions: istioVersions, namespaced: true, new: func() resolve.Object { return &networking.VirtualService{} }},
	{group: networkingGroup, kind: "DestinationRule", plural: "destinationrules", versions: istioVersions, namespaced: true, new: func() resolve.Object { return &networking.DestinationRule{} }},
	{group: networkingGroup, kind: "ServiceEntry", plural: "serviceentries", versions: istioVersions, namespaced: true, new: func() resolve.Object { return &networking.ServiceEntry{} }},
	{group: networkingGroup, kind: "WorkloadEntry", plural: "workloadentries", versions: istioVersions, namespaced: true, new: func() resolve.Object { return &networking.WorkloadEntry{} }},
	{group: networkingGroup, kind: "WorkloadGroup", plural: "workloadgroups", versions: istioVersions, namespaced: true, new: func() resolve.Object { return &networking.WorkloadGroup{} }},
	{group: networkingGroup, kind: "Sidecar", plural: "sidecars", versions: istioVersions, namespaced: true, new: func() resolve.Object { return &networking.Sidecar{} }},
	{group: networkingGroup, kind: "EnvoyFilter", plural: "envoyfilters", versions: []string{"v1alpha3"}, namespaced: true, new: func() resolve.Object { return &networkingv1alpha3.EnvoyFilter{} }},
	{group: networkingGroup, kind: "ProxyConfig", plural: "proxyconfigs", versions: []string{"v1beta1"}, namespaced: true, new: func() resolve.Object { return &networkingv1beta1.ProxyConfig{} }},

	{group: securityGroup, kind: "PeerAuthentication", plural: "peerauthentications", versions: securityVersion, namespaced: true, new: func() resolve.Object { return &security.PeerAuthentication{} }},
	{group: securityGroup, kind: "RequestAuthentication", plural: "requestauthentications", versions: securityVersion, namespaced: true, new: func() resolve.Object { return &security.RequestAuthentication{} }},
	{group: securityGroup, kind: "AuthorizationPolicy", plural: "authorizationpolicies", versions: securityVersion, namespaced: true, new: func() resolve.Object { return &security.AuthorizationPolicy{} }},

	{group: extensionsGroup, kind: "WasmPlugin", plural: "wasmplugins", versions: []string{"v1alpha1"}, namespaced: true, new: func() resolve.Object { return &extensions.WasmPlugin{} }},
	{group: extensionsGroup, kind: "TrafficExtension", plural: "trafficextensions", versions: []string{"v1alpha1"}, namespaced: true, new: func() resolve.Object { return &extensions.TrafficExtension{} }},
	{group: telemetryGroup, kind: "Telemetry", plural: "telemetries", versions: []string{"v1", "v1alpha1"}, namespaced: true, new: func() resolve.Object { return &telemetry.Telemetry{} }},

	{group: "admissionregistration.k8s.io", kind: "MutatingWebhookConfiguration", plural: "mutatingwebhookconfigurations", versions: []string{"v1"}, new: func() resolve.Object { return &admissionv1.MutatingWebhookConfiguration{} }},
	{group: "admissionregistration.k8s.io", kind: "ValidatingWebhookConfiguration", plural: "validatingwebhookconfigurations", versions: []string{"v1"}, overlaid: true, new: func() resolve.Object { return &admissionv1.ValidatingWebhookConfiguration{} }},
	{group: "networking.k8s.io", kind: "Ingress", plural: "ingresses", versions: []string{"v1"}, namespaced: true, new: func() resolve.Object { return &networkingk8s.Ingress{} }},
	{group: "networking.k8s.io", kind: "IngressClass", plural: "ingressclasses", versions: []string{"v1"}, new: func() resolve.Object { return &networkingk8s.IngressClass{} }},

	{group: gatewayGroup, kind: "GatewayClass", plural: "gatewayclasses", versions: []string{"v1", "v1beta1"}, new: func() resolve.Object { return &k8sgateway.GatewayClass{} }},
	{group: gatewayGroup, kind: "Gateway", plural: "gateways", versions: []string{"v1", "v1beta1"}, namespaced: true, new: func() resolve.Object { return &k8sgateway.Gateway{} }},
	{group: gatewayGroup, kind: "ListenerSet", plural: "listenersets", versions: []string{"v1"}, namespaced: true, new: func() resolve.Object { return &k8sgateway.ListenerSet{} }},
	{group: gatewayGroup, kind: "HTTPRoute", plural: "httproutes", versions: []string{"v1", "v1beta1"}, namespaced: true, new: func() resolve.Object { return &k8sgateway.HTTPRoute{} }},
	{group: gatewayGroup, kind: "GRPCRoute", plural: "grpcroutes", versions: []string{"v1", "v1alpha2"}, watched: "v1", namespaced: true, new: func() resolve.Object { return &k8sgateway.GRPCRoute{} }},
	{group: gatewayGroup, kind: "TLSRoute", plural: "tlsroutes", versions: []string{"v1", "v1alpha3", "v1alpha2"}, watched: "v1", namespaced: true, new: func() resolve.Object { return &k8sgateway.TLSRoute{} }},
	{group: gatewayGroup, kind: "TCPRoute", plural: "tcproutes", versions: []string{"v1", "v1alpha2"}, watched: "v1", namespaced: true, new: func() resolve.Object { return &k8sgateway.TCPRoute{} }},
	{group: gatewayGroup, kind: "UDPRoute", plural: "udproutes", versions: []string{"v1", "v1alpha2"}, namespaced: true, new: func() resolve.Object { return &k8sgateway.UDPRoute{} }},
	{group: gatewayGroup, kind: "ReferenceGrant", plural: "referencegrants", versions: []string{"v1", "v1beta1", "v1alpha2"}, watched: "v1beta1", namespaced: true, new: func() resolve.Object { return &k8sgateway.ReferenceGrant{} }},
	{group: gatewayGroup, kind: "BackendTLSPolicy", plural: "backendtlspolicies", versions: []string{"v1", "v1alpha3"}, watched: "v1", namespaced: true, new: func() resolve.Object { return &k8sgateway.BackendTLSPolicy{} }},
	{group: gatewayXGroup, kind: "XBackendTrafficPolicy", plural: "xbackendtrafficpolicies", versions: []string{"v1alpha1"}, namespaced: true, new: func() resolve.Object { return &k8sgatewayx.XBackendTrafficPolicy{} }},
	{group: inferenceGroup, kind: "InferencePool", plural: "inferencepools", versions: []string{"v1"}, namespaced: true, new: func() resolve.Object { return &inference.InferencePool{} }},

	{group: "", kind: "Secret", plural: "secrets", versions: []string{"v1"}, namespaced: true},
	{group: "", kind: "ConfigMap", plural: "configmaps", versions: []string{"v1"}, namespaced: true},
	{group: "", kind: "Endpoints", plural: "endpoints", versions: []string{"v1"}, namespaced: true},
	{group: "inference.networking.x-k8s.io", kind: "InferencePool", plural: "inferencepools", versions: []string{"v1alpha2", "v1alpha1"}, namespaced: true},
	{group: resolve.CRDKind.Group, kind: resolve.CRDKind.Kind, plural: "customresourcedefinitions", versions: []string{"v1"}},
}

// kindTable finds kinds by group and name, and groups by kind.
type kindTable struct {
	byGroupKind map[schema.GroupKind]kind
	byName      map[string][]kind
}

var kindIndex = sync.OnceValue(func() kindTable {
	t := kindTable{byGroupKind: make(map[schema.GroupKind]kind, len(kinds)), byName: make(map[string][]kind, len(kinds))}
	for _, k := range kinds {
		t.byGroupKind[k.groupKind()] = k
		t.byName[k.kind] = append(t.byName[k.kind], k)
	}
	return t
})

// kindOf returns the row of the table for a group and kind.
func kindOf(gk schema.GroupKind) (kind, bool) {
	k, ok := kindIndex().byGroupKind[gk]
	return k, ok
}

// closedGroups are the groups of which every kind is known: a kind that the
// table and Kubernetes' own scheme do not have is a slip of the pen.
var closedGroups = map[string]bool{
	networkingGroup: true, securityGroup: true, telemetryGroup: true, extensionsGroup: true,
	"": true, "apps": true, "batch": true, "discovery.k8s.io": true, "networking.k8s.io": true,
	"admissionregistration.k8s.io": true,
}

// builtIn reports whether Kubernetes itself serves, or once served, the kind.
func builtIn(gk schema.GroupKind) bool {
	return len(scheme.Scheme.VersionsForGroupKind(gk)) > 0
}

// kindsOfGroup are the names of the kinds in a group, sorted, for suggestions.
func kindsOfGroup(group string) []string {
	var names []string
	for _, k := range kinds {
		if k.group == group {
			names = append(names, k.kind)
		}
	}
	for gvk := range scheme.Scheme.AllKnownTypes() {
		if gvk.Group == group && group != networkingGroup {
			names = append(names, gvk.Kind)
		}
	}
	slices.SortFunc(names, cmp.Compare[string])
	return slices.Compact(names)
}

// clusterKinds are the kinds that are listed in a cluster: all the trace reads. Some count only where an overlay is laid over it.
func clusterKinds(overlay bool) []kind {
	return slices.DeleteFunc(slices.Clone(kinds), func(k kind) bool { return !k.read() || k.overlaid && !overlay })
}

// APIVersion is the version in which a kind is written: that in which a cluster is asked for it, or otherwise where the
// kind is not known.
func APIVersion(gk schema.GroupKind, otherwise string) string {
	k, known := kindOf(gk)
	if !known {
		return otherwise
	}
	return schema.GroupVersion{Group: k.group, Version: k.listed()[0]}.String()
}

// Plural is the name of a kind's objects in a path, such as virtualservices; that of the kind in lower case where it is not known.
func Plural(gk schema.GroupKind) string {
	if k, known := kindOf(gk); known {
		return k.plural
	}
	return strings.ToLower(gk.Kind)
}

// KindNames are the kinds that are read, each once, in the order of the table.
func KindNames() []string {
	var names []string
	for _, k := range kinds {
		if k.read() && !slices.Contains(names, k.kind) {
			names = append(names, k.kind)
		}
	}
	return names
}
