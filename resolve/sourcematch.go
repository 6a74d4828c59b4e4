package resolve

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// The rules of what istiod decides about a match before any request.
const (
	RuleRouteMatchPort          RuleID = "route/match-port"
	RuleRouteMatchGateways      RuleID = "route/match-gateways"
	RuleRouteSourceLabels       RuleID = "route/source-labels"
	RuleRouteSourceLabelsUnsure RuleID = "route/source-labels-unknown"
	RuleRouteSourceNamespace    RuleID = "route/source-namespace"
	RuleRouteGatewaysOnly       RuleID = "route/gateways-instead-of-source"
)

var sourceMatchRules = []Rule{
	{
		ID: RuleRouteMatchPort, Stage: StageRoute,
		Says:     "match.port is compared with the service port on a sidecar and with server.port.number on a gateway, never with a targetPort.",
		Template: "its match is for port %d, and this listener's port is %d",
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateRoute",
	},
	{
		ID: RuleRouteMatchGateways, Stage: StageRoute,
		Says:     "A match that names gateways counts for these alone; sidecars are the gateway \"mesh\".",
		Template: "its match is for gateways %s, and this is %s",
		Source:   "pilot/pkg/networking/core/route/route.go, sourceMatchHTTP; pilot/pkg/networking/core/tls.go, matchTLS",
	},
	{
		ID: RuleRouteSourceLabels, Stage: StageRoute,
		Says:     "sourceLabels must all be on the pod whose proxy routes: the caller's on a sidecar, the gateway's own on a gateway.",
		Template: "its match is for sources with label %s, and %s has %s",
		Source:   "pilot/pkg/networking/core/route/route.go, sourceMatchHTTP; pilot/pkg/networking/core/tls.go, matchTLS",
	},
	{
		ID: RuleRouteSourceLabelsUnsure, Stage: StageRoute,
		Says:     "sourceLabels can not be decided for an assumed caller; the match is taken not to apply.",
		Template: "its match is for sources with labels %s; the labels of the assumed client are not known, so it is taken not to apply",
		Source:   "pilot/pkg/networking/core/route/route.go, sourceMatchHTTP",
	},
	{
		ID: RuleRouteSourceNamespace, Stage: StageRoute,
		Says:     "sourceNamespace must be the namespace of the proxy that routes.",
		Template: "its match is for sources in namespace %s, and the proxy is in %s",
		Source:   "pilot/pkg/networking/core/route/route.go, sourceMatchHTTP; pilot/pkg/networking/core/tls.go, matchTLS",
	},
	{
		ID: RuleRouteGatewaysOnly, Stage: StageRoute,
		Says:     "An http match that names gateways is not asked for sourceLabels and sourceNamespace.",
		Template: "its match names gateways, so its sourceLabels and sourceNamespace are not looked at",
		Source:   "pilot/pkg/networking/core/route/route.go, sourceMatchHTTP",
		Detail:   true,
	},
}

// sourceMatch is what http, tls and tcp matches have in common.
type sourceMatch interface {
	GetPort() uint32
	GetGateways() []string
	GetSourceLabels() map[string]string
	GetSourceNamespace() string
}

// httpSource marks an http match, in which gateways stand instead of the source.
type httpSource struct{ *networking.HTTPMatchRequest }

// asksLabels reports whether an http entry of the VirtualService asks for labels of its caller.
func (vs *VirtualService) asksLabels() bool {
	for _, entry := range vs.Spec.GetHttp() {
		if slices.ContainsFunc(entry.GetMatch(), func(m *networking.HTTPMatchRequest) bool { return len(m.GetSourceLabels()) > 0 }) {
			return true
		}
	}
	return false
}

// staticMatch decides what is known before any request: port, gateways,
// sourceLabels and sourceNamespace. Matches of tls and tcp rules must fulfil all
// of them; those of http rules only the gateways, if they name any.
//
// Source: pilot/pkg/networking/core/route/route.go, TranslateRoute,
// sourceMatchHTTP; pilot/pkg/networking/core/tls.go, matchTLS, matchTCP.
func staticMatch(m sourceMatch, ref Ref, port int, gateways map[string]bool, proxy *Workload) (bool, []Step) {
	at := func(field string) Ref { return ref.At(ref.Field + "." + field) }
	if proxy != nil && proxy.Dataplane == DataplaneWaypoint {
		if step, out := leftOutAtWaypoint(m, at); out {
			return false, []Step{step}
		}
	}
	if want := m.GetPort(); want != 0 && want != uint32(port) {
		step := NewStep(RuleRouteMatchPort, Skipped, at("port"), want, port)
		return false, []Step{step.Unlike(fmt.Sprintf("port %d", want), fmt.Sprintf("port %d", port))}
	}
	if names := m.GetGateways(); len(names) > 0 {
		if !slices.ContainsFunc(names, func(n string) bool { return gateways[n] }) {
			want, got := strings.Join(names, ", "), describeGateways(gateways, proxy)
			return false, []Step{NewStep(RuleRouteMatchGateways, Skipped, at("gateways"), want, got).Unlike("gateways "+want, got)}
		}
		if _, http := m.(httpSource); http {
			if len(m.GetSourceLabels()) > 0 || m.GetSourceNamespace() != "" {
				return true, []Step{NewStep(RuleRouteGatewaysOnly, Applied, at("gateways"))}
			}
			return true, nil
		}
	}
	return sourceMatches(m, at, proxy)
}

// sourceMatches compares sourceLabels and sourceNamespace with the proxy's pod.
func sourceMatches(m sourceMatch, at func(field string) Ref, proxy *Workload) (bool, []Step) {
	if proxy == nil {
		proxy = &Workload{Anonymous: true}
	}
	labels := m.GetSourceLabels()
	if want := m.GetSourceNamespace(); want != "" && want != proxy.Namespace {
		step := NewStep(RuleRouteSourceNamespace, Skipped, at("sourceNamespace"), want, proxy.Namespace)
		return false, []Step{step.Unlike("namespace "+want, "namespace "+proxy.Namespace)}
	}
	if len(labels) > 0 && proxy.Anonymous {
		return false, []Step{NewStep(RuleRouteSourceLabelsUnsure, Warned, at("sourceLabels"), describeLabels(labels))}
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		got, ok := proxy.Labels[key]
		if ok && got == labels[key] {
			continue
		}
		have := "no label " + key
		if ok {
			have = key + "=" + got
		}
		want := key + "=" + labels[key]
		step := NewStep(RuleRouteSourceLabels, Skipped, at("sourceLabels"), want, proxy.Owner.QualifiedName(), have)
		return false, []Step{step.Unlike("label "+want, have)}
	}
	return true, nil
}

func describeGateways(gateways map[string]bool, proxy *Workload) string {
	var names []string
	for name, in := range gateways {
		if in && name == MeshGateway && proxy != nil && proxy.Dataplane == DataplaneWaypoint {
			return "a waypoint (mesh)"
		}
		if in && name == MeshGateway {
			return "a sidecar (mesh)"
		}
		if in {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return "gateway " + strings.Join(names, ", ")
}

func describeLabels(labels map[string]string) string {
	parts := make([]string, 0, len(labels))
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, key+"="+labels[key])
	}
	return strings.Join(parts, ", ")
}
