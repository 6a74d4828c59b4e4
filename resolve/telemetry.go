package resolve

import (
	"slices"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	api "istio.io/api/telemetry/v1alpha1"
	telemetry "istio.io/client-go/pkg/apis/telemetry/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Which Telemetry applies to a proxy, and which providers there are.
//
//  1. Of the root namespace, then of the proxy's namespace, then at a waypoint of the service's: the oldest Telemetry that has
//     neither selector labels nor targetRefs. Younger ones like it are left out.
//  2. Then, of the proxy's namespace (at a waypoint of the service's), all that select the proxy or name it, oldest first.
//  3. What comes later overrides what came before.
//  4. A provider is found by its name, in any case, among those that Istio has (prometheus, stackdriver, envoy) and the mesh
//     config's extensionProviders, which replace those of the same name.
//
// Source: pilot/pkg/model/telemetry.go, applicableTelemetries, fetchProvider; pkg/config/mesh/mesh.go, DefaultMeshConfig.

const telemetryGroup = "telemetry.istio.io"

var telemetryKind = schema.GroupKind{Group: telemetryGroup, Kind: "Telemetry"}

// Rules of what Telemetry applies, and of metrics and tracing. Those of access logs are in telemetrylog.go.
const (
	RuleTelemetryYounger     RuleID = "telemetry/second-for-namespace"
	RuleTelemetryProvider    RuleID = "telemetry/unknown-provider"
	RuleTelemetryGap         RuleID = "telemetry/not-read"
	RuleTelemetryZtunnel     RuleID = "telemetry/ztunnel"
	RuleTelemetryMetrics     RuleID = "telemetry/metrics"
	RuleTelemetryMetricsOff  RuleID = "telemetry/metrics-disabled"
	RuleTelemetryMetricsNone RuleID = "telemetry/metrics-none"
	RuleTelemetryTracing     RuleID = "telemetry/tracing"
	RuleTelemetryTracingMesh RuleID = "telemetry/tracing-mesh"
	RuleTelemetryTracingNone RuleID = "telemetry/tracing-none"
)

var telemetryRules = slices.Concat([]Rule{
	{
		ID: RuleTelemetryYounger, Stage: StageTelemetry,
		Says:     "Of several Telemetry resources of a namespace without selector and targetRefs only the oldest counts.",
		Template: "is not looked at: %s is older, and for the whole namespace as well",
		Source:   "pilot/pkg/model/telemetry.go, namespaceWideTelemetryConfig",
	},
	{
		ID: RuleTelemetryProvider, Stage: StageTelemetry,
		Says:     "A provider that is not among the mesh config's extensionProviders does nothing.",
		Template: "provider %s is not among the extensionProviders of the mesh config: it does nothing",
		Source:   "pilot/pkg/model/telemetry.go, fetchProvider",
	},
	{
		ID: RuleTelemetryGap, Stage: StageTelemetry,
		Says:     "Telemetry that could not be read is taken not to exist.",
		Template: "%s could not be read (%s: %s): where the request is seen is told without it",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleTelemetryZtunnel, Stage: StageTelemetry,
		Says:     "Telemetry does not apply to ztunnel, which logs connections by itself.",
		Template: "ztunnel logs the connection by itself, on its own node; no Telemetry applies to it",
		Source:   "https://istio.io/latest/docs/ambient/usage/troubleshoot-ztunnel",
	},
	{
		ID: RuleTelemetryMetrics, Stage: StageTelemetry,
		Says:     "Metrics are counted for the providers that Telemetry names last, else for the mesh's defaultProviders; of those only prometheus counts.",
		Template: "counted in the metrics of provider %s%s",
		Source:   "pilot/pkg/model/telemetry.go, mergeMetrics",
	},
	{
		ID: RuleTelemetryMetricsOff, Stage: StageTelemetry,
		Says:     "An override that disables all metrics of a provider, for the side of the proxy, takes its filter away, until a later override.",
		Template: "provider %s counts nothing here: all metrics of the %s are disabled",
		Source:   "pilot/pkg/model/telemetry.go, mergeMetrics",
	},
	{
		ID: RuleTelemetryMetricsNone, Stage: StageTelemetry,
		Says:     "Without a provider for metrics, of a Telemetry or of the mesh's defaultProviders, nothing is counted.",
		Template: "no metrics: neither a Telemetry nor defaultProviders of the mesh config name a provider for them",
		Source:   "pilot/pkg/model/telemetry.go, mergeMetrics",
	},
	{
		ID: RuleTelemetryTracing, Stage: StageTelemetry,
		Says:     "Spans go to the provider that Telemetry names last, else to the mesh's defaultProviders; sampling is Telemetry's, else that of the proxy's config, else 1%.",
		Template: "spans go to provider %s, for %s%% of the requests that nobody has decided about before",
		Source:   "pilot/pkg/networking/core/tracing.go, configureTracingFromTelemetry",
	},
	{
		ID: RuleTelemetryTracingMesh, Stage: StageTelemetry,
		Says:     "Without Telemetry and defaultProviders for tracing, enableTracing of the mesh config has spans go to the tracer that the proxy was started with.",
		Template: "spans of %s%% of the requests go to %s",
		Source:   "pilot/pkg/networking/core/tracing.go, configureTracingFromTelemetry",
	},
	{
		ID: RuleTelemetryTracingNone, Stage: StageTelemetry,
		Says:     "A proxy reports no spans where tracing has no provider or is disabled.",
		Template: "no spans: %s",
		Source:   "pilot/pkg/networking/core/tracing.go, configureTracingFromTelemetry",
	},
}, telemetryLogRules)

// telemetryAt is the Telemetry for one side of one proxy.
type telemetryAt struct {
	snapshot *Snapshot
	proxy    *Workload
	side     ProxySide
	// applied are in the order in which they override, grouped as they came: the namespaces', then one by one.
	applied []*telemetry.Telemetry
	steps   []Step
}

// mode is the side as Telemetry names it.
func (t *telemetryAt) mode() api.WorkloadMode {
	if t.side == SideInbound {
		return api.WorkloadMode_SERVER
	}
	return api.WorkloadMode_CLIENT
}

// sideName is the side in a sentence.
func (t *telemetryAt) sideName() string { return strings.ToLower(t.mode().String()) }

// takes reports whether a match by mode includes the side.
func (t *telemetryAt) takes(mode api.WorkloadMode) bool {
	return mode == api.WorkloadMode_CLIENT_AND_SERVER || mode == t.mode()
}

func telemetryRef(o *telemetry.Telemetry) Ref { return refOf(telemetryGroup, "Telemetry", o) }

// TelemetryFacts tell where a request at one side of the workload's proxy is seen.
func (s *Snapshot) TelemetryFacts(w *Workload, side ProxySide, http bool, seen Logged) []Step {
	t := s.telemetryAt(w, side)
	t.accessLogs(seen)
	t.metrics()
	if http {
		t.tracing()
	}
	return t.steps
}

// ZtunnelTelemetry is what a ztunnel shows of a connection of the workload.
func ZtunnelTelemetry(w *Workload) Step { return NewStep(RuleTelemetryZtunnel, Applied, w.Owner) }

// telemetryAt is rules 1 and 2.
func (s *Snapshot) telemetryAt(w *Workload, side ProxySide) *telemetryAt {
	t := &telemetryAt{snapshot: s, proxy: w, side: side}
	target := s.policyTarget(w)
	namespace := w.Namespace
	t.forNamespace(target.rootNamespace)
	if namespace != target.rootNamespace {
		t.forNamespace(namespace)
	}
	if target.waypoint && target.service != nil && target.service.Namespace != namespace {
		namespace = target.service.Namespace
		t.forNamespace(namespace)
	}
	for _, o := range s.Telemetries {
		if o.Namespace == namespace && !forAll(o) && target.attach(namespace, &o.Spec, newLabelSelector(&o.Spec)) == attached {
			t.applied = append(t.applied, o)
		}
	}
	for _, g := range s.GapsOf(telemetryKind, target.namespaces()...) {
		t.steps = append(t.steps, NewStep(RuleTelemetryGap, Warned, g.ref(), g.subject(), string(g.Reason), g.Detail))
	}
	return t
}

// forNamespace is rule 1 for one namespace.
func (t *telemetryAt) forNamespace(namespace string) {
	var first *telemetry.Telemetry
	for _, o := range t.snapshot.Telemetries {
		switch {
		case o.Namespace != namespace || !forAll(o):
		case first == nil:
			first = o
			t.applied = append(t.applied, o)
		default:
			t.steps = append(t.steps, NewStep(RuleTelemetryYounger, Skipped, telemetryRef(o), telemetryRef(first).String()))
		}
	}
}

// forAll reports whether the Telemetry is for its whole namespace.
func forAll(o *telemetry.Telemetry) bool {
	return len(o.Spec.GetSelector().GetMatchLabels()) == 0 && len(targetRefsOf(&o.Spec)) == 0
}

// builtInProviders are those of rule 4 that Istio has.
var builtInProviders = []*meshconfig.MeshConfig_ExtensionProvider{
	{Name: "prometheus", Provider: &meshconfig.MeshConfig_ExtensionProvider_Prometheus{Prometheus: &meshconfig.MeshConfig_ExtensionProvider_PrometheusMetricsProvider{}}},
	{Name: "stackdriver", Provider: &meshconfig.MeshConfig_ExtensionProvider_Stackdriver{Stackdriver: &meshconfig.MeshConfig_ExtensionProvider_StackdriverProvider{}}},
	{Name: "envoy", Provider: &meshconfig.MeshConfig_ExtensionProvider_EnvoyFileAccessLog{
		EnvoyFileAccessLog: &meshconfig.MeshConfig_ExtensionProvider_EnvoyFileAccessLogProvider{Path: stdout},
	}},
}

const stdout = "/dev/stdout"

// provider is rule 4; nil for one that is not known.
func (s *Snapshot) provider(name string) *meshconfig.MeshConfig_ExtensionProvider {
	all := slices.Clone(builtInProviders)
	for _, p := range s.Mesh.GetExtensionProviders() {
		i := slices.IndexFunc(all, func(known *meshconfig.MeshConfig_ExtensionProvider) bool { return known.GetName() == p.GetName() })
		if i < 0 {
			all = append(all, p)
			continue
		}
		all[i] = p
	}
	for _, p := range all {
		if strings.EqualFold(p.GetName(), name) {
			return p
		}
	}
	return nil
}

// unknown tells of a provider that is not known.
func (t *telemetryAt) unknown(name string, ref Ref) {
	t.steps = append(t.steps, NewStep(RuleTelemetryProvider, Warned, ref, name))
}

// namesOfProviders are the names of a list of providers.
func namesOfProviders(refs []*api.ProviderRef) []string {
	var names []string
	for _, r := range refs {
		names = append(names, r.GetName())
	}
	return names
}
