package resolve

import (
	"time"

	networking "istio.io/api/networking/v1alpha3"
)

// VirtualService is a VirtualService as istiod holds it before it generates
// routes: short names expanded, delegates merged in.
// Source: pilot/pkg/model/virtualservice_controller.go, virtualservice.go.
type VirtualService struct {
	Ref     Ref
	Created time.Time
	Spec    *networking.VirtualService
	// HTTPRefs holds, for every entry of Spec.Http, where it was written: this
	// resource's spec.http[i], or the delegate's.
	HTTPRefs []Ref
	// Roots holds, for entries that a delegate brought, the root's spec.http[i]; zero otherwise.
	Roots    []Ref
	ExportTo ExportTo
	// Gateways are the top-level gateways as namespace/name; "mesh" for sidecars.
	Gateways []string
	// Steps tell what preparing it dropped or changed (a delegate that is missing, a conflict).
	Steps []Step
}

// Route is one route of an Envoy virtual host, and where it was written.
// Source: pilot/pkg/networking/core/route/route.go, TranslateRoute.
type Route struct {
	// Name is the route name Envoy shows.
	Name string
	// Ref is spec.http[i].match[j], or spec.http[i] where the entry has no match.
	Ref Ref
	// Entry is spec.http[i].
	Entry Ref
	// Match is nil for an entry without match.
	Match *networking.HTTPMatchRequest
	// HTTP holds the actions; nil for the default route to a service.
	HTTP *networking.HTTPRoute
	// Default is set for the route istiod makes to a service without VirtualService.
	Default *Service
	// DefaultPort is the port of Default.
	DefaultPort int
	// ListenPort is the port the route was made for: the service port on a
	// sidecar, server.port.number of the first server on a gateway.
	ListenPort int
	// CatchAll is Istio's notion (IsCatchAllRoute), which decides about order.
	CatchAll bool
	// VirtualService is nil for a default route.
	VirtualService *VirtualService
}

// Miss is the first clause of a match that the request does not fulfil.
type Miss struct {
	// Field is relative to the match: "uri", "headers[end-user]", "queryParams[x]".
	Field            string
	Expected, Actual string
}

// VirtualHost is one virtual host of an Envoy route configuration.
type VirtualHost struct {
	// Name is as Envoy shows it: host:port.
	Name    string
	Domains []string
	Routes  []*Route
	// Service is set on sidecars where the host is a service.
	Service *Service
	// RequireTLS is set where a gateway server with httpsRedirect marked the virtual host; the Ref is that server's.
	RequireTLS Ref
	// Steps tell which VirtualServices were considered for the host and why each other one was not used.
	Steps []Step
}
