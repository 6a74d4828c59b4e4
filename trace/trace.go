package trace

import (
	"errors"
	"fmt"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Trace is the whole answer to one request.
type Trace struct {
	Request  Request
	Source   Source
	Istio    resolve.Version
	Outcomes []Outcome
	// Hops are referred to by index from the outcomes. Hops that several
	// outcomes share up to a fork stand once for each branch.
	Hops     []Hop
	Warnings []Warning
}

// Source is who sends the request, as found.
type Source struct {
	// Kind is Pod, Deployment, …; External for a client outside the cluster.
	Kind, Namespace, Name string
	// Cluster is the remote cluster it is in; empty for the one whose configuration istiod reads.
	Cluster        string
	ServiceAccount string
	// Principal is the identity a receiving proxy would verify under mTLS.
	Principal string
	Dataplane resolve.Dataplane
	// Assumed is the sentence that says why this source was taken, where --from did not name one.
	Assumed string
}

// Outcome is the fate of a share of such requests.
type Outcome struct {
	// Weight is in percent; the weights of a trace add up to 100.
	Weight   float64
	Decision Decision
	// HTTPStatus is what the caller sees; 0 where the application answers or there is no HTTP answer.
	HTTPStatus int
	// ResponseFlags and ResponseCodeDetails are as the access log of the proxy that decided shows them.
	ResponseFlags, ResponseCodeDetails string
	// Code is the stable reason code, one of Codes; empty for a plain delivery.
	Code      Code
	Certainty Certainty
	// Reason is one sentence for a person.
	Reason string
	// Location is the Location header of a redirect, or of a direct response with 201 or 3xx.
	Location string
	// By is the resource and field that decided; zero where a default of Istio did.
	By          resolve.Ref
	Destination Destination
	// Otherwise are the other ends that something not known could give the request; empty
	// where the outcome is certain, or what is not known has no other end that can be told.
	Otherwise []Alternative
	// Hint are the fewest changes that together would turn a refusal; empty where
	// none is known. Nothing applies them.
	Hint []resolve.Change
	// Forwarded is the request as it arrives at the end of the way; nil where nothing arrives or it is not HTTP.
	Forwarded *Forwarded
	// Hops are indexes into Trace.Hops, in the order travelled. Where workloads
	// behind one cluster end alike, it is the way to the first of them.
	Hops []int
}

// Alternative is another end of the requests of an outcome.
type Alternative struct {
	Decision   Decision
	HTTPStatus int
	// ResponseFlags and ResponseCodeDetails are as in Outcome.
	ResponseFlags, ResponseCodeDetails string
	Code                               Code
	// By is the resource and field that would decide, and Reason what has to be so.
	By     resolve.Ref
	Reason string
}

// Destination is where an outcome's share of requests was sent.
type Destination struct {
	Host         string
	Port         int
	Subset       string
	EnvoyCluster string
	// Workloads are those behind the chosen cluster that such requests reach, ordered.
	Workloads []resolve.Ref
	// Endpoints is how many pods or addresses share the load.
	Endpoints  int
	TargetPort int
}

// Forwarded is the request as it arrives.
type Forwarded struct {
	Method, Host string
	// Path has the query with it, as the application reads it.
	Path string
	// Headers are those that configuration added or changed; removed ones are in Removed.
	Headers map[string]string
	Removed []string
}

// HopTLS is how the request reached a hop.
type HopTLS string

// The closed list.
const (
	TLSPlaintext HopTLS = "plaintext"
	TLSSimple    HopTLS = "TLS"
	TLSMutual    HopTLS = "mTLS"
	TLSHBONE     HopTLS = "HBONE"
)

// Direction is the side of a hop's proxy the request passes.
type Direction string

// The closed list.
const (
	Inbound   Direction = "inbound"
	Outbound  Direction = "outbound"
	AtGateway Direction = "gateway"
)

// Hop is one proxy the request passes, or, with Proxy none, an application without one.
type Hop struct {
	Proxy     resolve.Dataplane
	Direction Direction
	Workload  resolve.Ref
	// TLS is how the request reached this hop, and Peer the identity the hop can verify.
	TLS   HopTLS
	Peer  string
	Envoy Envoy
	Steps []resolve.Step
	// Omitted is where a view left steps out; empty in a trace as walked.
	Omitted []Omission
	// Facts are steps that decide nothing; see [Trace.AddFacts].
	Facts []resolve.Step
	met   met
}

// Omission is a number of skipped steps that a view left out.
type Omission struct {
	Stage resolve.Stage
	// Before is the index into Hop.Steps of the step that follows the gap; the number of steps where none does.
	Before int
	Count  int
}

// Envoy names the objects of the hop's proxy exactly as istioctl proxy-config shows them.
type Envoy struct {
	Listener, FilterChain, RouteConfig, VirtualHost, Route, Cluster string
}

// Warning is something that was not read or is not modelled, and what was assumed instead.
type Warning struct {
	Ref     resolve.Ref
	Message string
}

// check holds the invariants of a finished trace; a violation is a bug of the walk.
func (t *Trace) check() error {
	if len(t.Outcomes) == 0 {
		return errors.New("no outcome")
	}
	var sum float64
	for i, o := range t.Outcomes {
		sum += o.Weight
		if o.Decision == "" || o.Certainty == "" || o.Reason == "" {
			return fmt.Errorf("outcome %d lacks a decision, a certainty or a reason", i)
		}
		if o.Decision != Delivered && o.Code == "" {
			return fmt.Errorf("outcome %d (%s) has no code", i, o.Decision)
		}
		for _, h := range o.Hops {
			if h < 0 || h >= len(t.Hops) {
				return fmt.Errorf("outcome %d names hop %d of %d", i, h, len(t.Hops))
			}
		}
	}
	if sum < 99.99 || sum > 100.01 {
		return fmt.Errorf("weights add up to %g", sum)
	}
	return nil
}
