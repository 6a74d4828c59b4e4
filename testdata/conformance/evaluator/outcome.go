package evaluator

// Decision is the fate of a share of the requests, in the words of the tracer's contract.
type Decision string

// The decisions.
const (
	Delivered   Decision = "Delivered"
	Redirected  Decision = "Redirected"
	Responded   Decision = "Responded"
	NotRouted   Decision = "NotRouted"
	Denied      Decision = "Denied"
	Unavailable Decision = "Unavailable"
	Reset       Decision = "Reset"
	// Unknown is what can not be played; Outcome.Why says why.
	Unknown Decision = "Unknown"
)

// Loop is the reason of an outcome at which the walk was given up.
const Loop = "a loop"

// Outcome is the fate of a share of the requests.
type Outcome struct {
	// Share is 0 to 1.
	Share    float64
	Decision Decision
	// Status is what the caller sees; 0 where the application answers or there is no HTTP answer.
	Status int
	// Flag and Details are as the access log of the proxy that decided shows them; Why is for people.
	Flag, Details, Why string
	// Refusal is set where this is the end only if an external authorizer refuses; the other outcomes then are those
	// for which it does not.
	Refusal bool
	// Location is a redirect's header.
	Location string
	// Machine is the name of where it arrived, or an address outside; Port the port there.
	Machine string
	Port    int
	// Endpoint is the member of a cluster, or the pod, where the connection was sent last; empty for an address
	// outside that the client itself dialled.
	Endpoint string
	// Forwarded is the HTTP request as it arrived.
	Forwarded *Request
	Hops      []Hop
}

// Hop is one Envoy that was passed, by the names of its objects.
type Hop struct {
	// Machine is the name of where it is.
	Machine, Kind, Direction                                        string
	Listener, FilterChain, RouteConfig, VirtualHost, Route, Cluster string
	// TLS is how the connection reached the proxy: plaintext, TLS, mTLS.
	TLS string
	// Peer is the identity the proxy verified.
	Peer string
}
