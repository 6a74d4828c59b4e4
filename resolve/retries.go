package resolve

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// The rules of timeouts and retries.
const (
	RuleRouteTimeout        RuleID = "route/timeout"
	RuleRouteNoTimeout      RuleID = "route/no-timeout"
	RuleRouteRetries        RuleID = "route/retries"
	RuleRouteRetriesMesh    RuleID = "route/retries-mesh"
	RuleRouteRetriesDefault RuleID = "route/retries-default"
)

var retryRules = []Rule{
	{
		ID: RuleRouteTimeout, Stage: StageRoute,
		Says:     "timeout bounds the whole request, retries included.",
		Template: "timeout %s",
		Source:   "pilot/pkg/networking/core/route/route.go, setTimeout",
		Detail:   true,
	},
	{
		ID: RuleRouteNoTimeout, Stage: StageRoute,
		Says:     "Without timeout a request may take as long as it likes.",
		Template: "no timeout is set, and Istio has none by default",
		Source:   "pilot/pkg/networking/core/route/route.go, setTimeout",
		Detail:   true,
	},
	{
		ID: RuleRouteRetries, Stage: StageRoute,
		Says:     "retries of the route replace the mesh's; attempts 0 turns them off.",
		Template: "at most %d retries, on %s",
		Source:   "pilot/pkg/networking/core/route/retry/retry.go, ConvertPolicy",
		Detail:   true,
	},
	{
		ID: RuleRouteRetriesMesh, Stage: StageRoute,
		Says:     "Without retries of the route the mesh's defaultHttpRetryPolicy counts.",
		Template: "the mesh config sets at most %d retries, on %s",
		Source:   "pilot/pkg/networking/core/route/route.go, applyHTTPRouteDestination",
		Detail:   true,
	},
	{
		ID: RuleRouteRetriesDefault, Stage: StageRoute,
		Says:     "Without any retry policy Istio retries twice, on failures to connect and refused streams; not on a 503 of the application.",
		Template: "no retries are set; Istio's default is at most %d, on %s",
		Source:   "pilot/pkg/networking/core/route/retry/retry.go, DefaultPolicy",
		Detail:   true,
	},
}

// Timeout is how long a request may take; 0 is without end.
// Source: pilot/pkg/networking/core/route/route.go, setTimeout.
func Timeout(r *Route) (time.Duration, Step) {
	if t := r.HTTP.GetTimeout(); t.AsDuration() > 0 {
		return t.AsDuration(), NewStep(RuleRouteTimeout, Applied, r.FieldRef("timeout"), t.AsDuration())
	}
	return 0, NewStep(RuleRouteNoTimeout, None, Ref{})
}

// RetryPolicy is how often and on what a proxy tries again.
type RetryPolicy struct {
	Attempts int
	// On are Envoy's conditions.
	On []string
	// StatusCodes are retried too.
	StatusCodes []int
	// PerTry bounds one attempt; 0 is as long as the whole request.
	PerTry time.Duration
}

const defaultRetryOn = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"

// Retries is the route's retry policy: its own, else the mesh's, else Istio's
// default. Whole numbers in retryOn are status codes.
// Source: pilot/pkg/networking/core/route/retry/retry.go, ConvertPolicy.
func Retries(r *Route, mesh *Mesh) (RetryPolicy, Step) {
	in, rule, ref := r.HTTP.GetRetries(), RuleRouteRetries, r.FieldRef("retries")
	if in == nil && mesh != nil && mesh.MeshConfig != nil {
		in, rule, ref = mesh.GetDefaultHttpRetryPolicy(), RuleRouteRetriesMesh, mesh.Ref.At("defaultHttpRetryPolicy")
	}
	if in == nil {
		p := RetryPolicy{Attempts: 2, On: strings.Split(defaultRetryOn, ",")}
		return p, NewStep(RuleRouteRetriesDefault, None, Ref{}, p.Attempts, p.describeOn())
	}
	if in.GetAttempts() <= 0 {
		return RetryPolicy{}, NewStep(rule, Applied, ref, 0, "nothing")
	}
	p := RetryPolicy{Attempts: int(in.GetAttempts()), PerTry: in.GetPerTryTimeout().AsDuration()}
	retryOn := in.GetRetryOn()
	if retryOn == "" {
		retryOn = defaultRetryOn
	}
	for part := range strings.SplitSeq(retryOn, ",") {
		part = strings.TrimSpace(part)
		if code, err := strconv.Atoi(part); err == nil && isStatusCode(code) {
			p.StatusCodes = append(p.StatusCodes, code)
		} else if part != "" {
			p.On = append(p.On, part)
		}
	}
	if len(p.StatusCodes) > 0 && !slices.ContainsFunc(p.On, func(on string) bool { return strings.Contains(on, "retriable-status-codes") }) {
		p.On = append(p.On, "retriable-status-codes")
	}
	return p, NewStep(rule, Applied, ref, p.Attempts, p.describeOn())
}

// OnConnectFailure reports whether a connection that can not be made is tried again.
// Source: Envoy, source/common/router/retry_state_impl.cc, wouldRetryFromReset.
func (p RetryPolicy) OnConnectFailure() bool {
	return p.OnReset() || p.Attempts > 0 && slices.Contains(p.On, "connect-failure")
}

// OnReset reports whether a request whose connection broke is tried again.
// Source: Envoy, source/common/router/retry_state_impl.cc, wouldRetryFromReset.
func (p RetryPolicy) OnReset() bool {
	return p.Attempts > 0 && slices.ContainsFunc(p.On, func(on string) bool { return on == "5xx" || on == "gateway-error" || on == "reset" })
}

func (p RetryPolicy) describeOn() string {
	parts := slices.Clone(p.On)
	for _, code := range p.StatusCodes {
		parts = append(parts, strconv.Itoa(code))
	}
	return strings.Join(parts, ", ")
}

// isStatusCode reports whether HTTP gives the code a name, which is how istiod
// tells status codes from Envoy's conditions.
func isStatusCode(code int) bool {
	for _, r := range [][2]int{
		{100, 103},
		{200, 208},
		{226, 226},
		{300, 305},
		{307, 308},
		{400, 418},
		{421, 426},
		{428, 429},
		{431, 431},
		{451, 451},
		{500, 508},
		{510, 511},
	} {
		if r[0] <= code && code <= r[1] {
			return true
		}
	}
	return false
}
