package resolve

import "slices"

// Excerpt are the lines around a field of a resource, as they were written. They are of that resource alone.
type Excerpt struct {
	// File is where they stand; empty where there are none to show.
	File string
	// First is the number of the first of the lines in the file, and Cited that of the field's line.
	First, Cited int
	Lines        []string
}

// Written is an [Origin] that has the text of its resource.
type Written interface {
	Origin
	// Excerpt returns the field's line with so many lines before and behind it at most.
	Excerpt(field string, around int) Excerpt
}

// Excerpt returns the lines around a field, where the resource was read from a text and its kind is one whose fields a
// trace shows anyway. Others can hold what is not for everyone's eyes: Secrets and ConfigMaps, variables of
// containers and annotations, filters and the configuration of Wasm modules.
func (s *Snapshot) Excerpt(r Ref, around int) Excerpt {
	if !slices.Contains(shownKinds, r.Group+"/"+r.Kind) {
		return Excerpt{}
	}
	if o, ok := s.origins[r.Object()].(Written); ok {
		return o.Excerpt(r.Field, around)
	}
	if o, ok := s.originOf(r.Object()).(Written); ok {
		return o.Excerpt(r.Field, around)
	}
	return Excerpt{}
}

// shownKinds are those whose text may be shown, as group/kind.
var shownKinds = []string{
	"/Service",
	"networking.istio.io/VirtualService", "networking.istio.io/DestinationRule", "networking.istio.io/Gateway",
	"networking.istio.io/ServiceEntry", "networking.istio.io/Sidecar", "networking.istio.io/WorkloadEntry",
	"security.istio.io/AuthorizationPolicy", "security.istio.io/PeerAuthentication", "security.istio.io/RequestAuthentication",
	"gateway.networking.k8s.io/Gateway", "gateway.networking.k8s.io/GatewayClass", "gateway.networking.k8s.io/HTTPRoute",
	"gateway.networking.k8s.io/GRPCRoute", "gateway.networking.k8s.io/TCPRoute", "gateway.networking.k8s.io/TLSRoute",
	"gateway.networking.k8s.io/ReferenceGrant", "gateway.networking.k8s.io/BackendTLSPolicy", "gateway.networking.k8s.io/ListenerSet",
	"networking.k8s.io/Ingress",
}
