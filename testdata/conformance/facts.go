package conformance

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	accesslog "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	fileaccesslog "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	celfilter "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxy "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Facts of a hop (trace.AddFacts) are held against what pilot generates for its proxy: the limits, the connect timeout and the
// outlier detection of the cluster, timeout and retries of the route, and who writes access logs, counts metrics and reports spans.
// Both parties are brought into the same lines.

// facts compares those of one request, and returns how many hops were compared.
func (b *bench) facts(args []string) (diff string, hops int, err error) {
	q, err := parse(args)
	if err != nil {
		return "", 0, err
	}
	t, err := trace.Walk(b.snapshot, q)
	if err != nil {
		return "", 0, skipped{"the command refuses the source"}
	}
	t.AddFacts(b.snapshot, trace.FactsOfAll)
	if slices.ContainsFunc(t.Outcomes, func(o trace.Outcome) bool { return o.Certainty == trace.Undetermined }) {
		return "", 0, skipped{"the trace says undetermined"}
	}
	on := &b.mesh
	if t.Source.Kind == "External" {
		on = b.outside
	}
	if t.Source.Kind == "Anonymous" {
		before := len(on.cluster.Pods)
		on.cluster.AddClient(q.From.DefaultNamespace)
		if len(on.cluster.Pods) > before {
			on.world = nil
		}
	}
	if on.world == nil {
		if on.world, err = b.connect(b.t, on.cluster); err != nil {
			return "", 0, err
		}
	}
	for i := range t.Hops {
		h := &t.Hops[i]
		pod := podOf(on.cluster, ownerName(workloadOf(*h)))
		if i == 0 && t.Source.Kind != "External" && q.From.Given() {
			if own := find(on.cluster, q.From); own != nil {
				pod = own
			}
		}
		if pod == nil || h.Proxy == resolve.DataplaneNone || h.Proxy == resolve.DataplaneAmbient {
			continue
		}
		proxy := on.world.Machine(pod).Proxy
		if proxy == nil {
			continue
		}
		hops++
		diff += clusterDiff(proxy, h) + routeDiff(proxy, h) + shownDiff(proxy, h)
	}
	return diff, hops, nil
}

// factLines are the facts of those rules, each as its rule and its values.
func factLines(h *trace.Hop, of map[resolve.RuleID]func([]any) string) []string {
	var lines []string
	for _, f := range h.Facts {
		if say := of[f.Rule]; say != nil {
			lines = append(lines, say(f.Args))
		}
	}
	slices.Sort(lines)
	return lines
}

func clusterDiff(proxy *evaluator.Proxy, h *trace.Hop) string {
	ours := factLines(h, map[resolve.RuleID]func([]any) string{
		resolve.RuleConnectTimeout: func(v []any) string { return fmt.Sprint("connect ", v[0]) },
		resolve.RuleBreakerLimit:   func(v []any) string { return fmt.Sprint(v[1], " ", v[0]) },
		resolve.RuleBreakerRetries: func(v []any) string { return fmt.Sprint("budget ", v[0], " ", v[1]) },
		resolve.RuleOutlierDetection: func(v []any) string {
			return fmt.Sprint("eject ", v[0], " after ", v[1], " every ", v[2], " most ", v[3])
		},
		resolve.RuleOutlierNone: func([]any) string { return "no ejection" },
	})
	c := proxy.Clusters[h.Envoy.Cluster]
	if c == nil {
		return "" // that it is not there is judged with the outcome
	}
	want := clusterLines(c, h.Envoy.RouteConfig != "")
	if len(ours) == 0 && (h.Direction != trace.Inbound || h.Proxy != resolve.DataplaneSidecar) {
		return ""
	}
	if h.Direction == trace.Inbound && h.Proxy == resolve.DataplaneSidecar { // it tells of limits alone
		want, ours = slices.DeleteFunc(want, notALimit), slices.DeleteFunc(ours, notALimit)
	}
	return cmp.Diff(want, ours, cmpopts.EquateEmpty())
}

// notALimit tells the lines of what a sidecar that receives does not tell, or does not have.
func notALimit(line string) bool {
	return strings.HasPrefix(line, "connect ") || strings.HasPrefix(line, "budget ") || strings.HasSuffix(line, "ejection") || strings.HasPrefix(line, "eject ")
}

func clusterLines(c *cluster.Cluster, http bool) []string {
	lines := []string{"connect " + c.GetConnectTimeout().AsDuration().String()}
	for _, t := range c.GetCircuitBreakers().GetThresholds() {
		for _, l := range []struct {
			name  string
			value uint32
			tcp   bool
		}{
			{"connections", t.GetMaxConnections().GetValue(), true},
			{"requests that wait for a connection", t.GetMaxPendingRequests().GetValue(), false},
			{"requests", t.GetMaxRequests().GetValue(), false},
			{"retries", t.GetMaxRetries().GetValue(), false},
		} {
			if l.value != math.MaxUint32 && (http || l.tcp) {
				lines = append(lines, fmt.Sprint(l.name, " ", l.value))
			}
		}
		if b := t.GetRetryBudget(); b != nil && http {
			lines = append(lines, fmt.Sprint("budget ", b.GetBudgetPercent().GetValue(), " ", b.GetMinRetryConcurrency().GetValue()))
		}
	}
	lines = append(lines, ejection(c.GetOutlierDetection()))
	slices.Sort(lines)
	return lines
}

// ejection is outlier detection with Envoy's defaults for what is left out.
// Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/outlier_detection.proto
func ejection(o *cluster.OutlierDetection) string {
	if o == nil {
		return "no ejection"
	}
	var after []string
	consecutive := uint32(5)
	if o.GetConsecutive_5Xx() != nil {
		consecutive = o.GetConsecutive_5Xx().GetValue()
	}
	if e := o.GetEnforcingConsecutive_5Xx(); e == nil || e.GetValue() > 0 {
		after = append(after, fmt.Sprint(consecutive, " answers 5xx in a row"))
	}
	if o.GetEnforcingConsecutiveGatewayFailure().GetValue() > 0 {
		after = append(after, fmt.Sprint(o.GetConsecutiveGatewayFailure().GetValue(), " of 502, 503 and 504 in a row"))
	}
	if o.GetSplitExternalLocalOriginErrors() && o.GetConsecutiveLocalOriginFailure() != nil {
		after = append(after, fmt.Sprint(o.GetConsecutiveLocalOriginFailure().GetValue(), " failures to connect in a row"))
	}
	base, every, most := 30*time.Second, 10*time.Second, uint32(10)
	if o.GetBaseEjectionTime() != nil {
		base = o.GetBaseEjectionTime().AsDuration()
	}
	if o.GetInterval() != nil {
		every = o.GetInterval().AsDuration()
	}
	if o.GetMaxEjectionPercent() != nil {
		most = o.GetMaxEjectionPercent().GetValue()
	}
	if len(after) == 0 {
		after = []string{"nothing"}
	}
	return fmt.Sprint("eject ", base, " after ", strings.Join(after, " or "), " every ", every, " most ", most)
}

// routeDiff compares with the routes of that name that lead to the cluster: one of them has to say the same.
func routeDiff(proxy *evaluator.Proxy, h *trace.Hop) string {
	ours := factLines(h, map[resolve.RuleID]func([]any) string{
		resolve.RuleRouteTimeout:        func(v []any) string { return fmt.Sprint("timeout ", v[0]) },
		resolve.RuleRouteNoTimeout:      func([]any) string { return "timeout 0s" },
		resolve.RuleRouteRetries:        retriesLine,
		resolve.RuleRouteRetriesMesh:    retriesLine,
		resolve.RuleRouteRetriesDefault: retriesLine,
		resolve.RuleRetryPerTry:         func(v []any) string { return fmt.Sprint("try ", v[0]) },
	})
	config := proxy.Routes[h.Envoy.RouteConfig]
	if len(ours) == 0 || config == nil {
		return ""
	}
	var diff string
	for _, vh := range config.GetVirtualHosts() {
		if vh.GetName() != h.Envoy.VirtualHost {
			continue
		}
		for _, r := range vh.GetRoutes() {
			if r.GetName() != h.Envoy.Route || !leadsTo(r.GetRoute(), h.Envoy.Cluster) {
				continue
			}
			if diff = cmp.Diff(routeLines(r.GetRoute()), ours); diff == "" {
				return ""
			}
		}
	}
	return diff
}

func retriesLine(v []any) string {
	return fmt.Sprint("retries ", v[0], " on ", conditionsOf(fmt.Sprint(v[1])))
}

// conditionsOf are conditions of retries in one order.
func conditionsOf(text string) string {
	list := strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' })
	slices.Sort(list)
	return strings.Join(list, " ")
}

func leadsTo(a *route.RouteAction, name string) bool {
	return a.GetCluster() == name || slices.ContainsFunc(a.GetWeightedClusters().GetClusters(), func(c *route.WeightedCluster_ClusterWeight) bool { return c.GetName() == name })
}

func routeLines(a *route.RouteAction) []string {
	lines := []string{"timeout " + a.GetTimeout().AsDuration().String()}
	p := a.GetRetryPolicy()
	if p == nil {
		return append([]string{"retries 0 on nothing"}, lines...)
	}
	on := strings.Split(p.GetRetryOn(), ",")
	for _, code := range p.GetRetriableStatusCodes() {
		on = append(on, strconv.Itoa(int(code)))
	}
	lines = append(lines, fmt.Sprint("retries ", p.GetNumRetries().GetValue(), " on ", conditionsOf(strings.Join(on, ","))))
	if t := p.GetPerTryTimeout().AsDuration(); t > 0 {
		lines = append(lines, fmt.Sprint("try ", t))
	}
	slices.Sort(lines)
	return lines
}

// shownDiff compares who sees the request.
func shownDiff(proxy *evaluator.Proxy, h *trace.Hop) string {
	if slices.ContainsFunc(h.Facts, func(s resolve.Step) bool { return s.Rule == resolve.RuleAccessLogBroken }) {
		return ""
	}
	theirs, ok := shown(proxy, h)
	if !ok {
		return ""
	}
	ours := factLines(h, map[resolve.RuleID]func([]any) string{
		resolve.RuleAccessLog:            func(v []any) string { return logLine(fmt.Sprint(v[1]), "") },
		resolve.RuleAccessLogMesh:        func(v []any) string { return logLine(fmt.Sprint(v[0]), "") },
		resolve.RuleAccessLogService:     func([]any) string { return logLine("service", "") },
		resolve.RuleAccessLogFilter:      func(v []any) string { return logLine(fmt.Sprint(v[2]), fmt.Sprint(v[4])) },
		resolve.RuleTelemetryMetrics:     func([]any) string { return "metrics" },
		resolve.RuleTelemetryTracing:     func(v []any) string { return fmt.Sprint("spans ", v[1]) },
		resolve.RuleTelemetryTracingMesh: func(v []any) string { return fmt.Sprint("spans ", v[0]) },
	})
	// Without a tracer in its bootstrap a proxy reports nothing, whatever it is told.
	if !slices.ContainsFunc(ours, func(l string) bool { return strings.HasPrefix(l, "spans") }) &&
		slices.ContainsFunc(h.Facts, func(s resolve.Step) bool { return s.Rule == resolve.RuleTelemetryTracingNone && s.Ref.IsZero() }) {
		theirs = slices.DeleteFunc(theirs, func(l string) bool { return strings.HasPrefix(l, "spans") })
	}
	return cmp.Diff(theirs, ours, cmpopts.EquateEmpty())
}

func logLine(place, filter string) string {
	if !strings.HasPrefix(place, "/") {
		place = "service"
	}
	return strings.TrimSpace("log " + place + " " + filter)
}

// shown is what pilot tells of the chain that the hop names; false where that is not to be found.
func shown(proxy *evaluator.Proxy, h *trace.Hop) ([]string, bool) {
	for _, l := range proxy.Listeners {
		if l.GetName() != h.Envoy.Listener {
			continue
		}
		for _, chain := range append(slices.Clone(l.GetFilterChains()), l.GetDefaultFilterChain()) {
			if h.Envoy.FilterChain != "" && chain.GetName() != h.Envoy.FilterChain {
				continue
			}
			if lines, ok := shownBy(chain, h); ok {
				return lines, true
			}
		}
	}
	return nil, false
}

func shownBy(chain *listener.FilterChain, h *trace.Hop) ([]string, bool) {
	var lines []string
	for _, f := range chain.GetFilters() {
		m, tcp := &hcm.HttpConnectionManager{}, &tcpproxy.TcpProxy{}
		switch {
		case f.GetName() == "istio.stats":
			lines = append(lines, "metrics")
		case f.GetTypedConfig().UnmarshalTo(m) == nil:
			if name := m.GetRds().GetRouteConfigName() + m.GetRouteConfig().GetName(); h.Envoy.RouteConfig == "" || name != h.Envoy.RouteConfig {
				return nil, false
			}
			for _, f := range m.GetHttpFilters() {
				if f.GetName() == "istio.stats" {
					lines = append(lines, "metrics")
				}
			}
			if t := m.GetTracing(); t != nil {
				lines = append(lines, fmt.Sprint("spans ", t.GetRandomSampling().GetValue()))
			}
			lines = append(lines, logsOf(m.GetAccessLog())...)
			slices.Sort(lines)
			return lines, true
		case f.GetTypedConfig().UnmarshalTo(tcp) == nil:
			if h.Envoy.RouteConfig != "" || tcp.GetCluster() != h.Envoy.Cluster {
				return nil, false
			}
			lines = append(lines, logsOf(tcp.GetAccessLog())...)
			slices.Sort(lines)
			return lines, true
		}
	}
	return nil, false
}

func logsOf(all []*accesslog.AccessLog) []string {
	var lines []string
	for _, a := range all {
		place, filter := "service", &celfilter.ExpressionFilter{}
		if file := (&fileaccesslog.FileAccessLog{}); a.GetTypedConfig().UnmarshalTo(file) == nil {
			place = file.GetPath()
		}
		_ = a.GetFilter().GetExtensionFilter().GetTypedConfig().UnmarshalTo(filter) // without one it stays empty
		lines = append(lines, logLine(place, filter.GetExpression()))
	}
	return lines
}
