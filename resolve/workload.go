package resolve

import (
	"net/netip"

	networking "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
)

// Dataplane is how a workload takes part in the mesh.
type Dataplane string

// The closed list of data plane modes.
const (
	// DataplaneNone is a workload with no proxy: what it sends and receives is what the application does.
	DataplaneNone Dataplane = "none"
	// DataplaneSidecar is a workload with an istio-proxy of type sidecar.
	DataplaneSidecar Dataplane = "sidecar"
	// DataplaneGateway is a workload that runs istio-proxy as a router.
	DataplaneGateway Dataplane = "gateway"
	// DataplaneWaypoint is a workload that runs istio-proxy as a waypoint.
	DataplaneWaypoint Dataplane = "waypoint"
	// DataplaneAmbient is a workload captured by ztunnel.
	DataplaneAmbient Dataplane = "ambient"
)

// Workload is one pod, or, where only its template is known, the pods that a
// Deployment, StatefulSet or DaemonSet would run; or a WorkloadEntry.
type Workload struct {
	// Owner is the resource by which people name the workload: the Deployment
	// behind the ReplicaSet, a WorkloadEntry, or the pod itself where nothing owns it.
	Owner Ref
	// Pod is the pod's name; empty where the workload stands for a template.
	Pod            string
	Namespace      string
	Labels         map[string]string
	Annotations    map[string]string
	ServiceAccount string
	// Addresses are the pod's IPs; empty where the workload stands for a template.
	Addresses []netip.Addr
	// Containers are all containers, init containers included (a native sidecar is one of them).
	Containers  []corev1.Container
	HostNetwork bool
	// Hostname and Subdomain are what the pod is called under a headless Service; a StatefulSet's template has no
	// Hostname, its pods are called after it.
	Hostname, Subdomain string
	NodeName            string
	// Dataplane is what the pod runs, or what injection would give it.
	Dataplane Dataplane
	// DataplaneStep says how Dataplane was found: the container that was seen, or the injection rule that was followed.
	DataplaneStep Step
	// InjectorStep says which injector is asked about the pod that is created, or why none is; it has no Rule for running pods.
	InjectorStep Step
	// Replicas is the number of pods the workload stands for: 1 for a real pod.
	Replicas int
	// Ready and Terminating are the pod's conditions; a template's pods are ready.
	Ready, Terminating bool
	// FromTemplate is set where the pods are assumed from a template.
	FromTemplate bool
	// AssumedInjection is set where the labels of the namespace are not known and
	// Dataplane rests on the assumption that DataplaneStep names.
	AssumedInjection bool
	// Entry is the WorkloadEntry the workload is, for its address (which may be a
	// DNS name), ports and weight; nil for pods.
	Entry *networking.WorkloadEntry
	// Locality is region/zone/subzone, as far as the node's labels or the WorkloadEntry tell.
	Locality Locality
	// Network is that of its endpoints; see network.go.
	Network string
	// Anonymous is set for the assumed client of which only the namespace is known.
	Anonymous bool

	// serving is set on a waypoint as it stands before one service; see Snapshot.Serving. layered is set on
	// one as it takes the connections themselves; see Snapshot.BeforeTunnel.
	serving *Service
	layered bool
	// remembered is nil for workloads that no snapshot holds.
	remembered *remembered
}

// Locality is where a workload runs.
type Locality struct{ Region, Zone, SubZone string }

// Principal is the SPIFFE identity without the scheme: trustdomain/ns/NAMESPACE/sa/ACCOUNT.
// Source: pkg/spiffe/spiffe.go, GenSpiffeURI.
func (w *Workload) Principal(trustDomain string) string {
	sa := w.ServiceAccount
	if sa == "" {
		sa = "default"
	}
	return trustDomain + "/ns/" + w.Namespace + "/sa/" + sa
}

// SamePod reports whether both are one pod, or the pods of one template.
func (w *Workload) SamePod(o *Workload) bool { return w.Owner == o.Owner && w.Pod == o.Pod }

// HasProxy reports whether an Envoy of Istio stands before the application (a sidecar or a gateway).
func (w *Workload) HasProxy() bool {
	return w.Dataplane == DataplaneSidecar || w.Dataplane == DataplaneGateway || w.Dataplane == DataplaneWaypoint
}
