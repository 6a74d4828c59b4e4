package resolve

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
)

// How a proxy that sends a request on guards itself and its caller. None of it decides about one request.
//
//  1. The route gives timeout and retries (retries.go), and what one try may take.
//  2. connectionPool and outlierDetection come as whole blocks: those of the subset's port level, the subset, the
//     DestinationRule's port level, the DestinationRule, the mesh's defaultTrafficPolicy, whichever first has one; a port level
//     that has none takes away what stands around it.
//  3. A limit of 0, or none, is Envoy's greatest number: Istio sets no limits of its own.
//  4. A connection has the mesh's connectTimeout where connectionPool.tcp has none, and becomes HTTP/2 by http.h2UpgradePolicy,
//     else, for a port declared as HTTP, by the mesh's.
//  5. outlierDetection turns ejection by consecutive 5xx on, even where it does not say so: Envoy's default is 5.
//
// Source: pilot/pkg/networking/core/cluster_traffic_policy.go, applyConnectionPool, applyOutlierDetection, shouldH2Upgrade;
// Envoy, config.cluster.v3.CircuitBreakers and OutlierDetection.

// Rules of timeouts, limits and the like.
const (
	RuleRetryPerTry      RuleID = "retry/per-try"
	RuleConnectTimeout   RuleID = "connection/connect-timeout"
	RuleIdleTimeout      RuleID = "connection/idle-timeout"
	RuleConnectionAge    RuleID = "connection/max-duration"
	RuleRequestsPer      RuleID = "connection/requests-per-connection"
	RuleHTTP2Upgrade     RuleID = "connection/h2-upgrade"
	RuleClientProtocol   RuleID = "connection/client-protocol"
	RuleBreakerLimit     RuleID = "circuitbreaker/limit"
	RuleBreakerNone      RuleID = "circuitbreaker/none"
	RuleBreakerRetries   RuleID = "circuitbreaker/retry-budget"
	RuleOutlierDetection RuleID = "outlierdetection/ejection"
	RuleOutlierNone      RuleID = "outlierdetection/none"
)

var resilienceRules = []Rule{
	{
		ID: RuleRetryPerTry, Stage: StageRetry,
		Says:     "perTryTimeout bounds each try; without it one try may take as long as the request.",
		Template: "each try may take %s",
		Source:   "pilot/pkg/networking/core/route/retry/retry.go, ConvertPolicy",
	},
	{
		ID: RuleConnectTimeout, Stage: StageConnection,
		Says:     "A connection has to stand after connectionPool.tcp.connectTimeout, else after the mesh's connectTimeout, 10s by default.",
		Template: "a connection that does not stand after %s is given up",
		Source:   "pilot/pkg/networking/core/cluster_traffic_policy.go, applyConnectionPool",
	},
	{
		ID: RuleIdleTimeout, Stage: StageConnection,
		Says:     "connectionPool.http.idleTimeout, else tcp.idleTimeout, closes a connection without requests; Envoy's default is 1h.",
		Template: "a connection without requests is closed after %s",
		Source:   "pilot/pkg/networking/core/cluster_traffic_policy.go, applyConnectionPool",
	},
	{
		ID: RuleConnectionAge, Stage: StageConnection,
		Says:     "connectionPool.tcp.maxConnectionDuration closes a connection whatever happens on it.",
		Template: "a connection is closed after %s",
		Source:   "pilot/pkg/networking/core/cluster_traffic_policy.go, applyConnectionPool",
	},
	{
		ID: RuleRequestsPer, Stage: StageConnection,
		Says:     "connectionPool.http.maxRequestsPerConnection closes a connection after so many requests.",
		Template: "a connection is closed after %d requests",
		Source:   "pilot/pkg/networking/core/cluster_traffic_policy.go, applyConnectionPool",
	},
	{
		ID: RuleHTTP2Upgrade, Stage: StageConnection,
		Says:     "h2UpgradePolicy UPGRADE has the proxy speak HTTP/2 to the endpoints; that of the mesh counts for ports declared as HTTP alone.",
		Template: "h2UpgradePolicy %s: the proxy speaks %s to the endpoints",
		Source:   "pilot/pkg/networking/core/cluster_traffic_policy.go, shouldH2Upgrade",
	},
	{
		ID: RuleClientProtocol, Stage: StageConnection,
		Says:     "useClientProtocol has the proxy speak to the endpoints what the client speaks, whatever h2UpgradePolicy says.",
		Template: "useClientProtocol: the proxy speaks to the endpoints what the client speaks",
		Source:   "pilot/pkg/networking/core/cluster_traffic_policy.go, shouldH2Upgrade",
	},
	{
		ID: RuleBreakerLimit, Stage: StageCircuitBreaker,
		Says:     "connectionPool limits what one proxy has open towards a cluster: what is beyond fails at once with flag UO, and a retry beyond is not made.",
		Template: "at most %d %s at once",
		Source:   "pilot/pkg/networking/core/cluster_traffic_policy.go, applyConnectionPool",
	},
	{
		ID: RuleBreakerNone, Stage: StageCircuitBreaker,
		Says:     "Istio limits neither connections nor requests where connectionPool does not.",
		Template: "no limits are set on %s: as many as there are",
		Source:   "pilot/pkg/networking/core/cluster_traffic_policy.go, getDefaultCircuitBreakerThresholds",
	},
	{
		ID: RuleBreakerRetries, Stage: StageCircuitBreaker,
		Says:     "retryBudget limits retries to a share of the requests that are open, and never below a number.",
		Template: "at most %s%% of the requests may be retries, and %d at once in any case",
		Source:   "pilot/pkg/networking/core/cluster_traffic_policy.go, applyRetryBudget",
	},
	{
		ID: RuleOutlierDetection, Stage: StageOutlierDetection,
		Says:     "outlierDetection takes an endpoint that fails out of load balancing for a while. What it leaves out is Envoy's default.",
		Template: "an endpoint is taken out for %s and longer after %s; looked at every %s, at most %d%% of the endpoints",
		Source:   "pilot/pkg/networking/core/cluster_traffic_policy.go, applyOutlierDetection",
	},
	{
		ID: RuleOutlierNone, Stage: StageOutlierDetection,
		Says:     "Without outlierDetection an endpoint that fails stays in load balancing.",
		Template: "no outlierDetection is set: an endpoint that fails gets requests all the same",
		Source:   "pilot/pkg/networking/core/cluster_traffic_policy.go, applyOutlierDetection",
	},
}

// Envoy's defaults of outlier detection.
const (
	outlierConsecutive = 5
	outlierInterval    = 10 * time.Second
	outlierEjection    = 30 * time.Second
	outlierPercent     = 10
)

// RouteFacts are timeout and retries of the route that was taken, rule 1.
func (s *Snapshot) RouteFacts(r *Route) []Step {
	_, timeout := Timeout(r)
	timeout.Stage = StageTimeout
	policy, retries := Retries(r, s.Mesh)
	retries.Stage = StageRetry
	steps := []Step{timeout, retries}
	if policy.PerTry > 0 {
		steps = append(steps, NewStep(RuleRetryPerTry, Applied, fieldOf(retries.Ref, "perTryTimeout"), policy.PerTry))
	}
	return steps
}

// fieldOf is a field of what a Ref names; the Ref itself where that names no field.
func fieldOf(ref Ref, field string) Ref {
	if ref.Field == "" {
		return ref
	}
	return ref.At(ref.Field + "." + field)
}

// ClusterFacts are limits, connections and outlier detection of the cluster; http is set for a request that the proxy reads.
func (s *Snapshot) ClusterFacts(c *Cluster, http bool) []Step {
	pool := c.Policy.GetConnectionPool()
	steps := s.connectionFacts(c, pool, http)
	steps = append(steps, s.breakerFacts(c, pool, http)...)
	return append(steps, c.outlierFacts())
}

// connectionFacts are rule 4, and how long a connection stands.
func (s *Snapshot) connectionFacts(c *Cluster, pool *networking.ConnectionPoolSettings, http bool) []Step {
	at := func(field string) Ref { return fieldOf(c.poolAt, "connectionPool."+field) }
	connect, ref := s.Mesh.GetConnectTimeout(), s.Mesh.Ref.At("connectTimeout")
	if own := pool.GetTcp().GetConnectTimeout(); own != nil {
		connect, ref = own, at("tcp.connectTimeout")
	}
	verdict := Applied
	if pool.GetTcp().GetConnectTimeout() == nil && connect.AsDuration() == DefaultMeshConfig().GetConnectTimeout().AsDuration() {
		verdict, ref = None, Ref{} // Istio's own
	}
	steps := []Step{NewStep(RuleConnectTimeout, verdict, ref, connect.AsDuration())}
	idle, idleField := pool.GetHttp().GetIdleTimeout(), "http.idleTimeout"
	if idle == nil || !http {
		idle, idleField = pool.GetTcp().GetIdleTimeout(), "tcp.idleTimeout"
	}
	for _, d := range []struct {
		rule  RuleID
		value *durationpb.Duration
		field string
	}{{RuleIdleTimeout, idle, idleField}, {RuleConnectionAge, pool.GetTcp().GetMaxConnectionDuration(), "tcp.maxConnectionDuration"}} {
		if d.value != nil {
			steps = append(steps, NewStep(d.rule, Applied, at(d.field), d.value.AsDuration()))
		}
	}
	if n := pool.GetHttp().GetMaxRequestsPerConnection(); n > 0 && http {
		steps = append(steps, NewStep(RuleRequestsPer, Applied, at("http.maxRequestsPerConnection"), n))
	}
	if step, upgrade := s.h2Upgrade(c, pool); upgrade && http {
		steps = append(steps, step)
	}
	return steps
}

// h2Upgrade tells where a setting says in which version of HTTP the proxy speaks to the endpoints.
func (s *Snapshot) h2Upgrade(c *Cluster, pool *networking.ConnectionPoolSettings) (Step, bool) {
	own, upgrades := pool.GetHttp(), s.upgradesToHTTP2(c, pool)
	version := map[bool]string{true: "HTTP/2", false: "what the port is declared as"}[upgrades]
	switch policy := own.GetH2UpgradePolicy(); {
	case own.GetUseClientProtocol():
		return NewStep(RuleClientProtocol, Applied, fieldOf(c.poolAt, "connectionPool.http.useClientProtocol")), true
	case policy != networking.ConnectionPoolSettings_HTTPSettings_DEFAULT:
		return NewStep(RuleHTTP2Upgrade, Applied, fieldOf(c.poolAt, "connectionPool.http.h2UpgradePolicy"), policy.String(), version), true
	case upgrades:
		return NewStep(RuleHTTP2Upgrade, Applied, s.Mesh.Ref.At("h2UpgradePolicy"), s.Mesh.GetH2UpgradePolicy().String(), version), true
	}
	return Step{}, false
}

// upgradesToHTTP2 reports whether a setting makes the cluster one of HTTP/2.
// Source: pilot/pkg/networking/core/cluster_traffic_policy.go, shouldH2Upgrade.
func (s *Snapshot) upgradesToHTTP2(c *Cluster, pool *networking.ConnectionPoolSettings) bool {
	switch pool.GetHttp().GetH2UpgradePolicy() {
	case networking.ConnectionPoolSettings_HTTPSettings_UPGRADE:
		return true
	case networking.ConnectionPoolSettings_HTTPSettings_DO_NOT_UPGRADE:
		return false
	case networking.ConnectionPoolSettings_HTTPSettings_DEFAULT:
	}
	return s.Mesh.GetH2UpgradePolicy() == meshconfig.MeshConfig_UPGRADE && c.Port.Protocol.IsHTTP()
}

// breakerFacts are rule 3.
func (s *Snapshot) breakerFacts(c *Cluster, pool *networking.ConnectionPoolSettings, http bool) []Step {
	var steps []Step
	var unlimited []string
	limits := []struct {
		value int32
		field string
		of    string
	}{
		{pool.GetTcp().GetMaxConnections(), "tcp.maxConnections", "connections"},
		{pool.GetHttp().GetHttp1MaxPendingRequests(), "http.http1MaxPendingRequests", "requests that wait for a connection"},
		{pool.GetHttp().GetHttp2MaxRequests(), "http.http2MaxRequests", "requests"},
		{pool.GetHttp().GetMaxRetries(), "http.maxRetries", "retries"},
	}
	if !http {
		limits = limits[:1]
	}
	for _, l := range limits {
		if l.value > 0 {
			steps = append(steps, NewStep(RuleBreakerLimit, Applied, fieldOf(c.poolAt, "connectionPool."+l.field), l.value, l.of))
			continue
		}
		unlimited = append(unlimited, l.of)
	}
	if len(unlimited) > 0 {
		steps = append(steps, NewStep(RuleBreakerNone, None, Ref{}, strings.Join(unlimited, ", ")))
	}
	if step, set := s.retryBudget(c); set && http {
		steps = append(steps, step)
	}
	return steps
}

// retryBudget is that of the policy, else of the oldest XBackendTrafficPolicy for the Service, where istiod reads these.
// Source: pilot/pkg/networking/core/cluster_traffic_policy.go, applyRetryBudget; pilot/pkg/config/kube/gateway/backend_policies.go.
func (s *Snapshot) retryBudget(c *Cluster) (Step, bool) {
	const percent, concurrency = 20, 3
	if b := c.Policy.GetRetryBudget(); b != nil {
		share := float64(percent)
		if b.GetPercent() != nil {
			share = b.GetPercent().GetValue()
		}
		return NewStep(RuleBreakerRetries, Applied, fieldOf(c.budgetAt, "retryBudget"), formatShare(share), cmp.Or(b.GetMinRetryConcurrency(), concurrency)), true
	}
	svc := c.Service
	if len(s.BackendTrafficPolicies) == 0 || svc == nil || svc.Registry != RegistryKubernetes || !s.feature(featureAlphaGatewayAPI).on ||
		!c.Rule.IsZero() && (c.Rule.Namespace != svc.Namespace || c.portLevel) {
		return Step{}, false
	}
	for _, o := range s.BackendTrafficPolicies {
		r := o.Spec.RetryConstraint
		if o.Namespace != svc.Namespace || r == nil || o.Annotations[ignorePolicyAnnotation] == "true" {
			continue
		}
		for _, t := range o.Spec.TargetRefs {
			if t.Group != "" || t.Kind != "Service" || string(t.Name) != svc.Name {
				continue
			}
			share, least := float64(percent), 10 // of the Gateway API
			if r.Budget.Percent != nil {
				share = float64(*r.Budget.Percent)
			}
			if r.MinRetryRate != nil && r.MinRetryRate.Count != nil {
				least = int(*r.MinRetryRate.Count)
			}
			ref := refOf("gateway.networking.x-k8s.io", "XBackendTrafficPolicy", o).At("spec.retryConstraint")
			return NewStep(RuleBreakerRetries, Applied, ref, formatShare(share), least), true
		}
	}
	return Step{}, false
}

func formatShare(percent float64) string { return strconv.FormatFloat(percent, 'g', 4, 64) }

// outlierFacts are rule 5.
func (c *Cluster) outlierFacts() Step {
	o := c.Policy.GetOutlierDetection()
	if o == nil {
		return NewStep(RuleOutlierNone, None, Ref{})
	}
	var after []string
	errors := uint32(outlierConsecutive)
	if o.GetConsecutive_5XxErrors() != nil {
		errors = o.GetConsecutive_5XxErrors().GetValue()
	}
	if errors > 0 {
		after = append(after, strconv.Itoa(int(errors))+" answers 5xx in a row")
	}
	if n := o.GetConsecutiveGatewayErrors().GetValue(); n > 0 {
		after = append(after, strconv.Itoa(int(n))+" of 502, 503 and 504 in a row")
	}
	if n := o.GetConsecutiveLocalOriginFailures().GetValue(); n > 0 && o.GetSplitExternalLocalOriginErrors() {
		after = append(after, strconv.Itoa(int(n))+" failures to connect in a row")
	}
	orDefault := func(d *durationpb.Duration, otherwise time.Duration) time.Duration {
		if d == nil {
			return otherwise
		}
		return d.AsDuration()
	}
	share := cmp.Or(o.GetMaxEjectionPercent(), outlierPercent)
	if len(after) == 0 {
		after = []string{"nothing"}
	}
	return NewStep(RuleOutlierDetection, Applied, fieldOf(c.outlierAt, "outlierDetection"),
		orDefault(o.GetBaseEjectionTime(), outlierEjection), strings.Join(slices.Clip(after), " or "), orDefault(o.GetInterval(), outlierInterval), share)
}
