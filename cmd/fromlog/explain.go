package fromlog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/accesslog"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// runTime are the flags that no configuration decides by itself: the request was sent as traced, and then this came.
//
// Source: Envoy, docs/root/configuration/observability/access_log/usage.rst, %RESPONSE_FLAGS%.
var runTime = map[string]string{
	"DC":    "the client closed the connection before the answer was there",
	"DI":    "fault injection delayed it",
	"DPE":   "the client broke the protocol",
	"DR":    "the client reset the request",
	"DT":    "the connection lasted longer than it may",
	"IH":    "a header that Envoy reads had a value that it refuses",
	"LH":    "a health check failed",
	"LR":    "the proxy reset the connection",
	"OM":    "the overload manager refused it",
	"RL":    "a rate limit was reached",
	"RLSE":  "the rate limit service failed",
	"SI":    "nothing was sent for the idle timeout",
	"UC":    "the server closed the connection: its keep-alive is shorter than the proxy's, or it was stopped",
	"UMSDR": "the request lasted longer than it may",
	"UO":    "a circuit breaker of the DestinationRule was open: more connections or requests than it allows",
	"UPE":   "the server broke the protocol",
	"UR":    "the server reset the request",
	"URX":   "no retry was left",
	"UT":    "the server took longer than the timeout of the route",
}

// atThatTime are flags that endpoints decide, which come and go.
var atThatTime = map[string]string{
	"UH": "no endpoint was healthy then: pods that were not ready, or that outlier detection had ejected",
	"UF": "the endpoint did not answer then: a pod that was starting, stopping or gone",
	"NC": "the proxy had no such cluster then: istiod had not pushed it yet, or has since",
}

// explain says what could lie behind a line that the trace does not fully tell.
func (c *comparer) explain(e *accesslog.Entry, w writer, t *trace.Trace, v Verdict) []string {
	var out []string
	for _, flag := range flagsOf(e.Flags) {
		if says := runTime[flag]; says != "" {
			out = append(out, flag+": "+says)
		} else if says := atThatTime[flag]; says != "" && v == Disagrees {
			out = append(out, flag+": "+says)
		}
	}
	if _, says := meaningOf(e.Error); says != "" {
		out = append(out, says)
	}
	if v != Disagrees {
		return out
	}
	if upstream := strings.TrimPrefix(e.UpstreamHost, internalAddress); w.side != inbound && addressOf(upstream).IsValid() && c.at(upstream) == nil {
		out = append(out, "no pod has the address of the upstream host now")
	}
	if !e.TCP() && slices.ContainsFunc(t.Hops, asksForHeaders) {
		out = append(out, "a route or a policy asks for headers or a token, of which the line has none: they are taken as not sent (-H, --claim send them)")
	}
	for _, warning := range t.Warnings {
		switch warning.Ref.Kind {
		case "EnvoyFilter", "WasmPlugin", "TrafficExtension":
			out = append(out, warning.Ref.String()+": "+warning.Message)
		}
	}
	if e.Time != "" {
		out = append(out, "the configuration is that of now")
	}
	return out
}

// asksForHeaders reports whether a step of the hop was skipped or denied for a header or a token.
func asksForHeaders(h trace.Hop) bool {
	return slices.ContainsFunc(h.Steps, func(s resolve.Step) bool {
		field := s.Ref.Field + s.Expected
		return (s.Verdict == resolve.Skipped || s.Verdict == resolve.DeniedBy) &&
			(strings.Contains(strings.ToLower(field), "header") || strings.Contains(field, "requestPrincipals") || strings.Contains(field, "claims"))
	})
}

// happened is what a line says: "503 UH no_healthy_upstream, outbound|80||reviews.shop.svc.cluster.local".
func happened(e *accesslog.Entry) string {
	var words []string
	for _, word := range []string{e.Code, e.Flags, e.Details, e.Termination} {
		if word != "" && !(word == "0" && e.TCP()) {
			words = append(words, word)
		}
	}
	text := strings.Join(words, " ")
	if e.Writer == accesslog.Ztunnel {
		text = "connection complete"
		if e.Error != "" {
			text = "error: " + e.Error
		}
	}
	if text == "" {
		text = "no flag"
	}
	if e.UpstreamCluster != "" {
		text += ", " + strings.TrimSuffix(e.UpstreamCluster, ";")
	}
	if e.RouteName != "" && e.RouteName != "default" {
		text += fmt.Sprintf(", route %s", e.RouteName)
	}
	return text
}
