package resolve

import (
	"strconv"
	"time"

	networking "istio.io/api/networking/v1alpha3"
)

// The rules of fault injection.
const (
	RuleFaultAbort     RuleID = "fault/abort"
	RuleFaultDelay     RuleID = "fault/delay"
	RuleFaultNoPercent RuleID = "fault/no-percentage"
)

var faultRules = []Rule{
	{
		ID: RuleFaultAbort, Stage: StageFilter,
		Says:     "fault.abort answers its share of the requests with its status; after the delay, if both hit.",
		Template: "%s percent of the requests are aborted with %s",
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateFault",
	},
	{
		ID: RuleFaultDelay, Stage: StageFilter,
		Says:     "fault.delay holds its share of the requests back; they then go on, with DI before other flags in the access log.",
		Template: "%s percent of the requests are held back for %s",
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateFault; Envoy, source/extensions/filters/http/fault/fault_filter.cc, maybeSetupDelay",
	},
	{
		ID: RuleFaultNoPercent, Stage: StageFilter,
		Says:     "A fault without percentage hits no request.",
		Template: "the fault has no percentage (or 0), so it hits no request",
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateFault; Envoy, source/extensions/filters/http/fault",
	},
}

// Faults is what the route's fault injection does to a request.
type Faults struct {
	// AbortPercent of the requests are answered with AbortStatus; 0 is none.
	AbortPercent float64
	// AbortStatus is the HTTP status; 200 for a gRPC status.
	AbortStatus int
	// AbortGRPC is the gRPC status by its name, where the fault names one.
	AbortGRPC string
	AbortRef  Ref
	// DelayPercent of the requests are held back for Delay, independently of the abort.
	DelayPercent float64
	Delay        time.Duration
	DelayRef     Ref
}

// FaultDetails and FaultFlag are what the access log shows of an aborted request, and DelayFlag what it shows, before other
// flags, of one that was held back, whatever its end.
// Source: Envoy, source/extensions/filters/http/fault/fault_filter.cc, maybeSetupDelay, abortWithStatus.
const (
	FaultDetails = "fault_filter_abort"
	FaultFlag    = "FI"
	DelayFlag    = "DI"
)

// Fault is what the route's fault injection does, before redirects, CORS and forwarding.
//
// 1. abort needs httpStatus or grpcStatus, and delay a fixedDelay; else they are not there.
// 2. A percentage left out is 0. The older delay.percent counts where percentage is left out.
// 3. A grpcStatus is sent with HTTP status 200.
//
// Source: pilot/pkg/networking/core/route/route.go, TranslateFault.
func Fault(r *Route) (Faults, []Step) {
	var f Faults
	var steps []Step
	if delay := r.HTTP.GetFault().GetDelay(); delay.GetFixedDelay() != nil {
		f.DelayRef, f.Delay = r.FieldRef("fault.delay"), delay.GetFixedDelay().AsDuration()
		//lint:ignore SA1019 istiod still reads the older field
		f.DelayPercent = min(float64(max(delay.GetPercent(), 0)), 100)
		if delay.GetPercentage() != nil {
			f.DelayPercent = envoyPercent(delay.GetPercentage().GetValue())
		}
		if f.DelayPercent > 0 && f.Delay > 0 {
			steps = append(steps, NewStep(RuleFaultDelay, Applied, f.DelayRef, formatPercent(f.DelayPercent), f.Delay))
		} else {
			f.DelayPercent = 0
			steps = append(steps, NewStep(RuleFaultNoPercent, Skipped, f.DelayRef))
		}
	}
	status, grpc := abortStatus(r.HTTP.GetFault().GetAbort())
	if status == 0 {
		return f, steps
	}
	f.AbortRef, f.AbortStatus, f.AbortGRPC = r.FieldRef("fault.abort"), status, grpc
	f.AbortPercent = envoyPercent(r.HTTP.GetFault().GetAbort().GetPercentage().GetValue())
	if f.AbortPercent == 0 {
		return f, append(steps, NewStep(RuleFaultNoPercent, Skipped, f.AbortRef))
	}
	with := "status " + strconv.Itoa(status)
	if grpc != "" {
		with = "gRPC status " + grpc
	}
	return f, append(steps, NewStep(RuleFaultAbort, Applied, f.AbortRef, formatPercent(f.AbortPercent), with))
}

// abortStatus is the status of an aborted request; 0 where there is no abort.
func abortStatus(abort *networking.HTTPFaultInjection_Abort) (status int, grpc string) {
	switch e := abort.GetErrorType().(type) {
	case *networking.HTTPFaultInjection_Abort_HttpStatus:
		return int(e.HttpStatus), ""
	case *networking.HTTPFaultInjection_Abort_GrpcStatus:
		return 200, e.GrpcStatus
	}
	return 0, ""
}
