package trace

import "slices"

// Decision is the fate of a request. It is a closed list.
type Decision string

// The decisions of the contract.
const (
	// Delivered reaches an application, or, outside the mesh, the addressed host.
	Delivered Decision = "Delivered"
	// Redirected is a 3xx answered by a proxy.
	Redirected Decision = "Redirected"
	// Responded is an answer a proxy gives by itself as configured: direct response, fault abort, CORS preflight.
	Responded Decision = "Responded"
	// NotRouted is a request that no route, virtual host, listener or port takes.
	NotRouted Decision = "NotRouted"
	// Denied is refused by AuthorizationPolicy, RequestAuthentication or external authorization.
	Denied Decision = "Denied"
	// Unavailable is a chosen route with nothing healthy behind it.
	Unavailable Decision = "Unavailable"
	// Reset is a connection that breaks between hops.
	Reset Decision = "Reset"
)

// Certainty is how sure an outcome is.
type Certainty string

// The closed list of certainties, from the best to the worst.
const (
	// Certain follows from the resources alone.
	Certain Certainty = "certain"
	// Assumed rests on an assumption that a warning names.
	Assumed Certainty = "assumed"
	// Undetermined can not be known from here.
	Undetermined Certainty = "undetermined"
)

// worse returns the less certain of two; one that is not set yet counts as certain.
func worse(a, b Certainty) Certainty {
	order := []Certainty{Certain, Assumed, Undetermined}
	return order[max(0, slices.Index(order, a), slices.Index(order, b))]
}
