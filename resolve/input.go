package resolve

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	meshconfig "istio.io/api/mesh/v1alpha1"
)

// Sourced is a resource together with where it was read from.
type Sourced struct {
	Object Object
	// GroupKind is the API group and kind the resource was written as.
	GroupKind schema.GroupKind
	Origin    Origin
}

// GapReason says why something is not known. It is a closed list.
type GapReason string

// The closed list of reasons for a gap. A kind that is not installed is no gap: it is empty.
const (
	// GapForbidden is a kind (in a namespace, if one is named) that the user may not list.
	GapForbidden GapReason = "forbidden"
	// GapFailed is a kind whose list failed for another reason.
	GapFailed GapReason = "failed"
	// GapUnreadable is an object that did not parse.
	GapUnreadable GapReason = "unreadable"
)

// Gap is something the loader could not read. A stage that would have used it lowers the certainty.
type Gap struct {
	GroupKind schema.GroupKind
	// Namespace is empty where the gap is the whole kind.
	Namespace string
	// Except are the namespaces that were read all the same, where the gap is the whole kind.
	Except []string
	// Name is set where the gap is one object.
	Name string
	// Cluster is the remote cluster that could not be read; empty for the one whose configuration istiod reads.
	Cluster string
	Reason  GapReason
	// Detail is the error in one line.
	Detail string
}

// Input is what a loader hands over: all resources, the mesh config, and what could not be read.
type Input struct {
	// Resources are those of all clusters; [SetCluster] marks those of a remote one.
	Resources []Sourced
	// Remotes are what else is known of remote clusters. A cluster of which there are Resources needs none.
	Remotes []Remote
	// Deferred is what runs in the mesh, as far as it is not among Resources; nil where it all is.
	Deferred Deferred
	// Secret asks a cluster for one Secret, when a trace needs it; nil for manifests.
	// It answers the same to the same question, and is safe for concurrent use.
	Secret func(namespace, name string) Secret
	// ConfigMap asks for one ConfigMap, as Secret does.
	ConfigMap func(namespace, name string) ConfigMap
	// MeshConfig is the effective mesh configuration, Istio's defaults filled
	// in; nil stands for the defaults alone.
	MeshConfig *meshconfig.MeshConfig
	// MeshConfigFrom names where MeshConfig came from: a Ref with its origin, or
	// zero when it is Istio's default.
	MeshConfigRef Ref
	MeshOrigin    Origin
	// MeshNetworks are the networks of the mesh; nil for none. MeshNetworksRef is what they were read from.
	MeshNetworks       *meshconfig.MeshNetworks
	MeshNetworksRef    Ref
	MeshNetworksOrigin Origin
	Gaps               []Gap
	// Notes are things the loader saw that the reader of a trace must know
	// (a skipped document, a version that was converted).
	Notes []Note
	// IstioVersion is the control plane's release, "1.31", or empty if it is not known.
	IstioVersion string
	// IstioVersionFrom is cluster, flag or default.
	IstioVersionFrom string
	// Revision is the control plane revision that is followed; "default" where none is named.
	Revision string
	// IstiodSets are the variables that some istiod's Deployment sets, so that the namespace of istiod is not read for what
	// none sets; nil where that is not known.
	IstiodSets map[string]bool
	// Offline is true for manifests: what an API server and a kubelet would have
	// filled in is then assumed (workloads have ready pods, Services have addresses).
	Offline bool
	// Planned are objects that an overlay adds to a cluster: of these, too, it is assumed what would be filled in. It
	// may be nil.
	Planned map[Ref]bool
}

// Note is a remark of the loader about one resource or document.
type Note struct {
	Ref     Ref
	Message string
	// Admission marks what Istio's validating webhook refuses, until it is settled whether the webhook is asked.
	Admission bool
}
