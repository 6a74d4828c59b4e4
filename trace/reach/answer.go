package reach

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// End is how a share of the requests from a source ends.
type End struct {
	// Weight is in percent.
	Weight                             float64
	Decision                           trace.Decision
	HTTPStatus                         int
	ResponseFlags, ResponseCodeDetails string
	Code                               trace.Code
	Certainty                          trace.Certainty
	// By is what decided, for all but what is delivered.
	By resolve.Ref
	// Host, Port and Subset are where it is delivered to; empty for all else.
	Host   string
	Port   int
	Subset string
	// Location is that of a redirect.
	Location string
	// Reason is one sentence, about the first source of which it is told.
	Reason string
}

// Reach is whether requests reach their destination. It is a closed list.
type Reach string

// The values, the most welcome first.
const (
	// LetThrough: all requests are delivered.
	LetThrough Reach = "let through"
	// Partly: some are delivered, others are not.
	Partly Reach = "partly let through"
	// Answered: a proxy answers in place of the destination, as configured.
	Answered Reach = "answered by a proxy"
	// Stopped: none is delivered.
	Stopped Reach = "stopped"
)

// Reaches are all values, in order.
var Reaches = []Reach{LetThrough, Partly, Answered, Stopped}

// Answer is how the requests from a source end.
type Answer struct {
	// Ends are ordered by weight, the largest first.
	Ends []End
	// Source is whose trace gave the reasons.
	Source trace.Source
	// Differ is set where the pods of the source fare differently; the weights are then also those of their shares.
	Differ bool
}

// Sum sums a trace up: ends that differ in nothing but their workloads are one.
func Sum(t *trace.Trace) *Answer {
	a := &Answer{Source: t.Source}
	for i := range t.Outcomes {
		a.add(endOf(&t.Outcomes[i]))
	}
	a.sort()
	return a
}

// add adds an end to an equal one, or as another one.
func (a *Answer) add(e End) {
	same := slices.IndexFunc(a.Ends, func(other End) bool { return other.key() == e.key() })
	if same >= 0 {
		a.Ends[same].Weight += e.Weight
		return
	}
	a.Ends = append(a.Ends, e)
}

func (a *Answer) sort() {
	slices.SortStableFunc(a.Ends, func(x, y End) int { return cmp.Or(cmp.Compare(y.Weight, x.Weight), cmp.Compare(x.key(), y.key())) })
}

func endOf(o *trace.Outcome) End {
	e := End{
		Weight: o.Weight, Decision: o.Decision, HTTPStatus: o.HTTPStatus, ResponseFlags: o.ResponseFlags, ResponseCodeDetails: o.ResponseCodeDetails,
		Code: o.Code, Certainty: o.Certainty, By: o.By, Location: o.Location, Reason: o.Reason,
	}
	if o.Decision == trace.Delivered {
		e.By = resolve.Ref{}
		e.Host, e.Port, e.Subset = o.Destination.Host, o.Destination.Port, o.Destination.Subset
	}
	return e
}

// key is equal for ends that are one but for their weights and reasons.
func (e End) key() string {
	return fmt.Sprintf("%s|%d|%q|%q|%s|%s|%v|%q|%d|%q|%q", e.Decision, e.HTTPStatus, e.ResponseFlags, e.ResponseCodeDetails, e.Code, e.Certainty,
		e.By, e.Host, e.Port, e.Subset, e.Location)
}

// key is equal for answers that are one but for their reasons.
func (a *Answer) key() string {
	keys := make([]string, len(a.Ends), len(a.Ends)+1)
	for i, e := range a.Ends {
		keys[i] = fmt.Sprintf("%.2f %s", e.Weight, e.key())
	}
	if a.Differ {
		keys = append(keys, "differ")
	}
	return strings.Join(keys, "\n")
}

// Reach sums the ends up.
func (a *Answer) Reach() Reach {
	delivered, answered := 0, 0
	for _, e := range a.Ends {
		switch e.Decision {
		case trace.Delivered:
			delivered++
		case trace.Redirected, trace.Responded:
			answered++
		case trace.NotRouted, trace.Denied, trace.Unavailable, trace.Reset:
		}
	}
	switch {
	case delivered == len(a.Ends):
		return LetThrough
	case delivered > 0:
		return Partly
	case answered > 0:
		return Answered
	}
	return Stopped
}

// Certainty is that of the least certain end.
func (a *Answer) Certainty() trace.Certainty {
	worst := trace.Certain
	for _, e := range a.Ends {
		if e.Certainty == trace.Undetermined || worst == trace.Certain {
			worst = e.Certainty
		}
	}
	return worst
}

// Letters are the signs of the decisions.
var Letters = map[trace.Decision]string{
	trace.Delivered: "D", trace.Denied: "A", trace.NotRouted: "N", trace.Unavailable: "U", trace.Reset: "R", trace.Redirected: ">", trace.Responded: "=",
}

// The signs that are of no decision.
const (
	// Split stands for requests that end in different ways.
	Split = "%"
	// Mixed stands for sources or requests that fare differently.
	Mixed = "~"
	// Assumed and Undetermined follow the sign of an answer that is not certain.
	Assumed, Undetermined = "*", "?"
)

// Sign is the letter of the decision, or that of a split, and a mark where it is not certain.
func (a *Answer) Sign() string {
	sign := Letters[a.Ends[0].Decision]
	for _, e := range a.Ends {
		if e.Decision != a.Ends[0].Decision {
			sign = Split
		}
	}
	if a.Differ {
		sign = Mixed
	}
	switch a.Certainty() {
	case trace.Assumed:
		sign += Assumed
	case trace.Undetermined:
		sign += Undetermined
	case trace.Certain:
	}
	return sign
}
