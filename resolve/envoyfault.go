package resolve

// The fault filter of an EnvoyFilter.
//
//  1. It counts for requests that have all of its headers.
//  2. abort with an HTTP status ends its percentage of them with that status, one with a gRPC status with 200. A delay only holds back.
//  3. What else it can be told, limits and headers of the request that ask for a fault, is not read.
//
// Source: Envoy, source/extensions/filters/http/fault/fault_filter.cc.

// fault has a fault filter look at the request; understood is false where something of it is not read.
func (f *HTTPFilters) fault(r *FilterResult, a *addedFilter, name string, config *envoyValue, q *HTTPRequest, c *Connection) (step Step, understood bool) {
	ref := a.config("")
	config.object("delay").done()
	config.ignore("filter_metadata", "disable_downstream_cluster_stats", "delay_percent_runtime", "delay_duration_runtime")
	in := &rbacInput{q: q, c: c}
	hit := in.allOf(config.list("headers"), in.header)
	abort := config.object("abort")
	percent, readable := fractionalPercent(abort.object("percentage"))
	status, http := abort.number("http_status")
	if _, grpc := abort.number("grpc_status"); grpc {
		status, http = 200, true
	}
	if len(config.unread()) > 0 || !readable || hit == Unknown || abort != nil && !http {
		return Step{}, false
	}
	switch {
	case hit == False:
		return NewStep(RuleHTTPFilterNoFault, Skipped, ref, name, a.place.String(), "it is for requests with other headers"), true
	case abort == nil || percent == 0:
		return NewStep(RuleHTTPFilterNoFault, Applied, ref, name, a.place.String(), "it ends none, and delays only hold them back"), true
	}
	step = NewStep(RuleHTTPFilterFault, Applied, ref, name, a.place.String(), formatPercent(percent), int(status))
	r.Aborts = append(r.Aborts, FilterAbort{Percent: percent, Answer: FilterAnswer{
		Status: int(status), Flags: FaultFlag, Details: FaultDetails, By: ref, Reason: step.Reason(),
	}})
	return step, true
}

// fractionalPercent reads a FractionalPercent; nothing is 0 percent.
func fractionalPercent(v *envoyValue) (percent float64, readable bool) {
	n, _ := v.number("numerator")
	per, known := map[string]float64{"": 1, "HUNDRED": 1, "TEN_THOUSAND": 100, "MILLION": 10000}[v.text("denominator")]
	if !known {
		return 0, false
	}
	return min(n/per, 100), true
}
