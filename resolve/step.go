package resolve

import "fmt"

// Stage is the place on a hop where something is decided.
type Stage string

// The stages, in the order in which a request meets them.
const (
	StageSource                Stage = "Source"
	StageDNS                   Stage = "DNS"
	StageCapture               Stage = "Capture"
	StageSidecar               Stage = "Sidecar"
	StageGateway               Stage = "Gateway"
	StageWaypoint              Stage = "Waypoint"
	StageListener              Stage = "Listener"
	StageTLS                   Stage = "TLS"
	StagePeerAuthentication    Stage = "PeerAuthentication"
	StageExtension             Stage = "Extension"
	StageRequestAuthentication Stage = "RequestAuthentication"
	StageAuthorizationPolicy   Stage = "AuthorizationPolicy"
	StageHost                  Stage = "Host"
	StageRoute                 Stage = "Route"
	StageFilter                Stage = "Filter"
	StageDestinationRule       Stage = "DestinationRule"
	StageLoadBalance           Stage = "LoadBalance"
	StageApplication           Stage = "Application"
)

// The stages of facts: what decides nothing about a request, and is looked up next.
const (
	StageTimeout          Stage = "Timeout"
	StageRetry            Stage = "Retry"
	StageConnection       Stage = "Connection"
	StageCircuitBreaker   Stage = "CircuitBreaker"
	StageOutlierDetection Stage = "OutlierDetection"
	StageReplicas         Stage = "Replicas"
	StageTelemetry        Stage = "Telemetry"
	StageProxy            Stage = "Proxy"
)

// Verdict is what became of one candidate.
type Verdict string

// The closed list of verdicts.
const (
	// Matched is the candidate that was chosen.
	Matched Verdict = "matched"
	// Skipped is a candidate that was looked at and not chosen.
	Skipped Verdict = "skipped"
	// Applied is configuration that took effect without a choice (a rewrite, a subset policy).
	Applied Verdict = "applied"
	// Allowed and DeniedBy are the answers of authentication and authorization.
	Allowed  Verdict = "allowed"
	DeniedBy Verdict = "denied"
	// Warned is something not modelled or not known that stands at this place.
	Warned Verdict = "warning"
	// None says that nothing applies, and what the default therefore is.
	None Verdict = "none"
)

// Step is one stage with its verdict: what was looked at, by which rule, and
// the facts from which the rule's template makes the reason.
type Step struct {
	Stage   Stage
	Verdict Verdict
	Rule    RuleID
	// Ref is the resource and field the step is about; zero where a default of Istio decided.
	Ref Ref
	// Expected and Actual are filled where a condition failed: what the
	// configuration asks for and what the request or the mesh has.
	Expected, Actual string
	// Args are the facts for the rule's template.
	Args []any
	// Meant marks a step about configuration that somebody wrote with such requests in mind, and that does not count for this
	// one, or counts in another way than it reads.
	Meant bool
}

// NewStep is a step whose stage is that of its rule.
func NewStep(rule RuleID, verdict Verdict, ref Ref, args ...any) Step {
	return Step{Stage: LookupRule(rule).Stage, Verdict: verdict, Rule: rule, Ref: ref, Args: args}
}

// Unlike returns the step with what was expected and what was found.
func (s Step) Unlike(expected, actual string) Step {
	s.Expected, s.Actual = expected, actual
	return s
}

// meantFor returns the step marked as Meant, where it is so.
func (s Step) meantFor(so bool) Step {
	s.Meant = so
	return s
}

// Reason is the sentence that the rule's template makes of the step's facts.
func (s Step) Reason() string {
	return fmt.Sprintf(LookupRule(s.Rule).Template, s.Args...)
}
