package fromlog

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/accesslog"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Whether a line can be of an outcome. What the line does not say, or the trace does not know, is not held against it.
//
//  1. The writer is on the way of the outcome, a server's proxy as that of its own workload, and the cluster and the route there are
//     those of the line.
//  2. What is delivered has the code that the application gave, which says nothing; where it has a flag or details of a proxy, the
//     flag is one of those that no configuration decides, such as a timeout (explain.go). The upstream host is
//     a pod of a workload that the outcome leads to.
//  3. What the writer itself decided has the code, the flags and the details of the outcome.
//  4. What a later proxy decided came back as an answer: it has the code alone. A proxy that forwards bytes logs that the
//     connection was closed, or broken off (UR).
//  5. A line of ztunnel has an error or none (ztunnel.go).

// Verdict is what a line and the trace of its request come to. It is a closed list.
type Verdict string

// The verdicts, in the order in which they are shown.
const (
	Disagrees Verdict = "disagrees"
	// AtRunTime agrees: the trace delivers, and the line has what no configuration decides.
	AtRunTime Verdict = "at run time"
	Agrees    Verdict = "agrees"
	// Unknown is a line of which the trace can not tell, and NotCompared one that no request is made of.
	Unknown     Verdict = "undetermined"
	NotCompared Verdict = "not compared"
	// Unread is a line that is no access-log line, as far as is known.
	Unread Verdict = "not read"
)

// Verdicts lists them in their order.
func Verdicts() []Verdict {
	return []Verdict{Disagrees, AtRunTime, Unknown, NotCompared, Unread, Agrees}
}

func (c *comparer) judge(e *accesslog.Entry, w writer, t *trace.Trace) Verdict {
	best := Disagrees
	for _, o := range t.Outcomes {
		switch c.fits(e, w, t, o) {
		case Agrees:
			return Agrees
		case AtRunTime:
			best = AtRunTime
		}
	}
	if best == Disagrees && slices.ContainsFunc(t.Outcomes, func(o trace.Outcome) bool { return o.Certainty == trace.Undetermined }) {
		return Unknown
	}
	return best
}

func (c *comparer) fits(e *accesslog.Entry, w writer, t *trace.Trace, o trace.Outcome) Verdict {
	if e.Writer == accesslog.Ztunnel {
		return fitsConnection(e.Error, o)
	}
	hop, last := writersHop(t, o, w)
	if hop == nil || !sameOrUnknown(strings.TrimSuffix(e.UpstreamCluster, ";"), hop.Envoy.Cluster) {
		return Disagrees
	}
	if o.Decision == trace.Delivered {
		if w.side != inbound && !c.leadsTo(e, o) || !e.TCP() && !sameOrUnknown(e.RouteName, hop.Envoy.Route) {
			return Disagrees
		}
		return fitsDelivered(e)
	}
	if fitsDecided(e, o) || !last && fitsAnswer(e, o) {
		return Agrees
	}
	return Disagrees
}

// writersHop is the hop of the outcome at which the writer stands, and whether it is the last.
func writersHop(t *trace.Trace, o trace.Outcome, w writer) (hop *trace.Hop, last bool) {
	want := map[side]trace.Direction{outbound: trace.Outbound, inbound: trace.Inbound, atGateway: trace.AtGateway, atWaypoint: trace.AtGateway}[w.side]
	for i, index := range o.Hops {
		h := &t.Hops[index]
		if h.Direction != want || h.Proxy == resolve.DataplaneNone || w.side == inbound && w.workload != nil && h.Workload != w.workload.Owner {
			continue
		}
		if (h.Proxy == resolve.DataplaneWaypoint) != (w.side == atWaypoint) {
			continue
		}
		hop, last = h, i == len(o.Hops)-1
		if w.side != inbound {
			break // the first; a server is the last
		}
	}
	return hop, last
}

func sameOrUnknown(a, b string) bool { return a == "" || b == "" || a == b }

// fitsDelivered is rule 2.
func fitsDelivered(e *accesslog.Entry) Verdict {
	flags := flagsOf(e.Flags)
	switch {
	case len(flags) == 0 && (e.Details == "" || e.Details == "via_upstream"):
		return Agrees
	case len(flags) > 0 && !slices.ContainsFunc(flags, func(f string) bool { return runTime[f] == "" }):
		return AtRunTime
	}
	return Disagrees
}

// internalAddress is before the address of a pod that a waypoint reaches by HBONE.
const internalAddress = "envoy://connect_originate/"

// leadsTo reports whether the upstream host is a pod of a workload that the outcome leads to, as far as its address is known.
func (c *comparer) leadsTo(e *accesslog.Entry, o trace.Outcome) bool {
	w := c.at(strings.TrimPrefix(e.UpstreamHost, internalAddress))
	return w == nil || len(o.Destination.Workloads) == 0 || slices.Contains(o.Destination.Workloads, w.Owner)
}

// fitsDecided is rule 3.
func fitsDecided(e *accesslog.Entry, o trace.Outcome) bool {
	if !e.TCP() && e.Code != strconv.Itoa(o.HTTPStatus) || !slices.Equal(deciding(e.Flags), deciding(o.ResponseFlags)) {
		return false
	}
	if e.TCP() {
		return e.Termination == "" || o.ResponseCodeDetails == "" || sameDetails(e.Termination, o.ResponseCodeDetails, o.ResponseFlags)
	}
	return e.Details == "" || o.ResponseCodeDetails == "" || sameDetails(e.Details, o.ResponseCodeDetails, o.ResponseFlags)
}

// sameDetails reports whether details are the same, but for what depends on the request.
func sameDetails(logged, traced, flags string) bool {
	if logged == traced {
		return true
	}
	return !strings.HasPrefix(traced, "rbac_access_denied") && slices.ContainsFunc(trace.Details(), func(d trace.DetailsInfo) bool {
		return d.Details != "" && d.Matches(flags, logged) && d.Matches(flags, traced)
	})
}

// fitsAnswer is rule 4.
func fitsAnswer(e *accesslog.Entry, o trace.Outcome) bool {
	broken := e.TCP() && e.Flags == "UR" // Linux breaks off a connection that is closed with bytes unread
	return e.Code == strconv.Itoa(o.HTTPStatus) && (e.Flags == "" || broken) && (e.Details == "" || e.Details == "via_upstream")
}

// flagsOf are flags, in an order of their own.
func flagsOf(text string) []string {
	if text == "" || text == "-" {
		return nil
	}
	return slices.Sorted(strings.SplitSeq(text, ","))
}

// deciding are the flags without the one that says that the request was held back before: a trace has it only where that is so
// of every request.
func deciding(text string) []string {
	return slices.DeleteFunc(flagsOf(text), func(f string) bool { return f == resolve.DelayFlag })
}
