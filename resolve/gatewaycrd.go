package resolve

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/gateway-api/pkg/consts"
)

// Which kinds of the Gateway API istiod watches at all.
//
//  1. Some kinds are watched only if their CRD is of a bundle (release of the Gateway API) that is new enough: its
//     annotation gateway.networking.k8s.io/bundle-version says so. A pre-release counts as the release.
//  2. Without the annotation, or with one that is no version, such a kind is not watched.
//  3. Where the CRDs are not known, they are taken to be new enough. (In a cluster that is no bold guess: the
//     bundle that is needed is the one that brought v1, and v1 is what is read there.)
//
// Source: pkg/config/schema/gatewayapi/minimumversions.go; pkg/kube/kclient/crdwatcher.go, minimumVersionFilter.

// CRDKind is the kind of CRDs, of which only the metadata is read.
var CRDKind = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// watchedFrom are the kinds that need a bundle, with the first that will do.
var watchedFrom = map[schema.GroupKind]GatewayBundle{
	{Group: kubeGatewayGroup, Kind: "GRPCRoute"}:        {CRD: "grpcroutes.gateway.networking.k8s.io", Minimum: "v1.1.0"},
	{Group: kubeGatewayGroup, Kind: "BackendTLSPolicy"}: {CRD: "backendtlspolicies.gateway.networking.k8s.io", Minimum: "v1.4.0"},
	{Group: kubeGatewayGroup, Kind: "TLSRoute"}:         {CRD: "tlsroutes.gateway.networking.k8s.io", Minimum: "v1.5.0"},
	{Group: kubeGatewayGroup, Kind: "TCPRoute"}:         {CRD: "tcproutes.gateway.networking.k8s.io", Minimum: "v1.6.0"},
}

const kubeGatewayGroup = "gateway.networking.k8s.io"

// GatewayBundle is what a kind of the Gateway API needs to be watched.
type GatewayBundle struct {
	// CRD is the name of the kind's CRD, Minimum the first bundle that will do.
	CRD, Minimum string
}

// NeedsBundle returns what a kind needs to be watched; false for the many that are always watched.
func NeedsBundle(gk schema.GroupKind) (GatewayBundle, bool) {
	needs, ok := watchedFrom[gk]
	return needs, ok
}

// addCRD keeps the bundle of a CRD that matters.
func (s *Snapshot) addCRD(crd *metav1.PartialObjectMetadata) {
	for _, b := range watchedFrom {
		if b.CRD == crd.Name {
			s.bundles[crd.Name] = crd.Annotations[consts.BundleVersionAnnotation]
		}
	}
}

// watched says whether istiod watches the kind, and if not, of which bundle its CRD is and which it needs.
func (s *Snapshot) watched(gk schema.GroupKind) (bundle string, needs GatewayBundle, ok bool) {
	needs, limited := watchedFrom[gk]
	bundle, known := s.bundles[needs.CRD]
	if !limited || !known {
		return "", needs, true
	}
	has, err := version.ParseGeneric(bundle)
	return bundle, needs, err == nil && has.AtLeast(version.MustParseGeneric(needs.Minimum))
}
