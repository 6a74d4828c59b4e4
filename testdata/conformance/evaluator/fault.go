package evaluator

import (
	fault "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
)

// faultFilter is what the route says of the filter, else the filter itself; it reports whether any requests are left.
func (k *walk) faultFilter(p *path, x *exchange, f *hcm.HttpFilter) bool {
	config := x.perRoute(f.GetName())
	if config == nil {
		config = f.GetTypedConfig()
	}
	c, ok := unpack(config, &fault.HTTPFault{})
	return !ok || k.fault(p, x, c)
}

// fault aborts its share of the requests; it reports whether any are left. A delay of all of them is logged.
func (k *walk) fault(p *path, x *exchange, c *fault.HTTPFault) bool {
	for _, h := range c.GetHeaders() {
		if !headerMatches(h, x.q) {
			return true
		}
	}
	if d := c.GetDelay(); d.GetFixedDelay().AsDuration() > 0 && fraction(d.GetPercentage()) == 1 {
		p.delayed = len(p.hops)
	}
	if c.GetAbort() == nil {
		return true
	}
	part := fraction(c.GetAbort().GetPercentage())
	if part <= 0 {
		return true
	}
	o := Outcome{Decision: Responded, Status: int(c.GetAbort().GetHttpStatus()), Flag: "FI", Details: "fault_filter_abort"}
	if _, grpc := c.GetAbort().GetErrorType().(*fault.FaultAbort_GrpcStatus); grpc {
		o.Status = 200
	}
	k.end(p.fork(part), o)
	p.share *= 1 - part
	return part < 1
}

func fraction(f *typev3.FractionalPercent) float64 {
	switch f.GetDenominator() {
	case typev3.FractionalPercent_TEN_THOUSAND:
		return min(float64(f.GetNumerator())/1e4, 1)
	case typev3.FractionalPercent_MILLION:
		return min(float64(f.GetNumerator())/1e6, 1)
	}
	return min(float64(f.GetNumerator())/100, 1)
}
