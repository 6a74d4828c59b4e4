package resolve

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"istio.io/api/annotation"
	meshconfig "istio.io/api/mesh/v1alpha1"
	api "istio.io/api/telemetry/v1alpha1"
)

// metrics tells in whose metrics the request counts.
//
//  1. Providers are those that the last entry with any names, else the mesh's defaultProviders.metrics.
//  2. An entry counts for the providers it names, else for those of the entry before.
//  3. An override for all metrics with disabled takes the provider's filter away for its side; any later override of that
//     provider and side brings it back.
//  4. Only a provider of type prometheus has a filter.
//
// Source: pilot/pkg/model/telemetry.go, mergeMetrics, buildHTTPTelemetryFilter.
func (t *telemetryAt) metrics() {
	inScope, ref := t.metricProviders()
	counters, around := map[string]*counter{}, t.snapshot.Mesh.GetDefaultProviders().GetMetrics()
	for _, name := range inScope {
		counters[name] = &counter{ref: ref, dropped: map[string]bool{}}
	}
	entries := false
	for _, o := range t.applied {
		for i, e := range o.Spec.GetMetrics() {
			entries = true
			if names := namesOfProviders(e.GetProviders()); len(names) > 0 {
				around = names
			}
			for _, name := range around {
				if c := counters[name]; c != nil {
					c.entry = true
					t.override(c, e, telemetryRef(o).At(pathIndex("spec.metrics", i)))
				}
			}
		}
	}
	counted := false
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		if c := counters[name]; !entries || c.entry {
			counted = t.counts(name, c) || counted
		}
	}
	if !counted {
		t.steps = append(t.steps, NewStep(RuleTelemetryMetricsNone, None, Ref{}))
	}
}

// countsMetrics reports whether that side of the proxy has the filter that counts Istio's metrics.
func (s *Snapshot) countsMetrics(w *Workload, side ProxySide) bool {
	t := s.telemetryAt(w, side)
	t.metrics()
	return slices.ContainsFunc(t.steps, func(step Step) bool { return step.Rule == RuleTelemetryMetrics })
}

// counter is what becomes of one provider of metrics.
type counter struct {
	ref Ref
	// entry is set where an entry counts for it.
	entry, disabled bool
	dropped         map[string]bool
}

// metricProviders is rule 1.
func (t *telemetryAt) metricProviders() ([]string, Ref) {
	names, ref := t.snapshot.Mesh.GetDefaultProviders().GetMetrics(), t.snapshot.Mesh.Ref.At("defaultProviders.metrics")
	for _, o := range t.applied {
		for i, e := range o.Spec.GetMetrics() {
			if own := namesOfProviders(e.GetProviders()); len(own) > 0 {
				names, ref = own, telemetryRef(o).At(pathIndex("spec.metrics", i))
			}
		}
	}
	return names, ref
}

// override is rule 3 for the overrides of one entry.
func (t *telemetryAt) override(c *counter, e *api.Metrics, at Ref) {
	for i, o := range e.GetOverrides() {
		if !t.takes(o.GetMatch().GetMode()) {
			continue
		}
		ref := at.At(pathIndex(at.Field+".overrides", i))
		metric, off := metricOf(o.GetMatch()), o.GetDisabled().GetValue()
		if metric == "" && off {
			c.disabled, c.ref = true, ref
			continue
		}
		c.disabled = false
		switch {
		case o.GetDisabled() == nil:
		case metric == "":
			clear(c.dropped)
		case off:
			c.dropped[metric], c.ref = true, ref
		default:
			delete(c.dropped, metric)
		}
	}
}

// metricOf is the metric that a selector names; empty for all.
func metricOf(m *api.MetricSelector) string {
	if custom := m.GetCustomMetric(); custom != "" {
		return custom
	}
	if m.GetMetric() == api.MetricSelector_ALL_METRICS {
		return ""
	}
	return m.GetMetric().String()
}

// counts tells of one provider; it reports whether there was anything to tell.
func (t *telemetryAt) counts(name string, c *counter) bool {
	p := t.snapshot.provider(name)
	if p == nil {
		t.unknown(name, c.ref)
		return true
	}
	if p.GetPrometheus() == nil {
		return false
	}
	if c.disabled {
		t.steps = append(t.steps, NewStep(RuleTelemetryMetricsOff, Skipped, c.ref, name, t.sideName()))
		return true
	}
	but := ""
	if len(c.dropped) > 0 {
		but = ", but for " + strings.Join(slices.Sorted(maps.Keys(c.dropped)), ", ")
	}
	t.steps = append(t.steps, NewStep(RuleTelemetryMetrics, Applied, c.ref, name, but))
	return true
}

// tracing tells where spans of the request go.
//
//  1. The provider is the first that the last entry for the side with any names, else the first of the mesh's
//     defaultProviders.tracing; disableSpanReporting and randomSamplingPercentage are those of the last entry that has them.
//  2. Without entries and default providers enableTracing counts.
//  3. Sampling is that of 1, else the proxy config's tracing.sampling, else 1%.
//
// Source: pilot/pkg/model/telemetry.go, Tracing; pilot/pkg/networking/core/tracing.go, configureTracingFromTelemetry.
func (t *telemetryAt) tracing() {
	mesh := t.snapshot.Mesh
	defaults := mesh.GetDefaultProviders().GetTracing()
	c := tracer{ref: mesh.Ref.At("defaultProviders.tracing"), sampling: t.snapshot.sampling(t.proxy)}
	if len(defaults) > 0 {
		c.provider = defaults[0]
	}
	entries := len(defaults) > 0
	for _, o := range t.applied {
		for i, e := range o.Spec.GetTracing() {
			entries = true
			if t.takes(e.GetMatch().GetMode()) {
				c.take(e, telemetryRef(o).At(pathIndex("spec.tracing", i)))
			}
		}
	}
	if !entries {
		t.meshTracing(c.sampling)
		return
	}
	switch p := t.snapshot.provider(c.provider); {
	case c.disabled:
		t.steps = append(t.steps, NewStep(RuleTelemetryTracingNone, Skipped, c.offRef, "reporting them is disabled for this side, the "+t.sideName()))
	case c.provider == "":
		t.steps = append(t.steps, NewStep(RuleTelemetryTracingNone, None, c.lastRef, "Telemetry and the mesh config's defaultProviders name no provider for tracing"))
	case p == nil:
		t.unknown(c.provider, c.ref)
	case tracingService(p) != "" && t.snapshot.unknownService(tracingService(p)) != "":
		t.steps = append(t.steps, NewStep(RuleTelemetryTracingNone, Skipped, c.ref, t.snapshot.unknownService(tracingService(p))+", to which provider "+c.provider+" sends them"))
	default:
		t.steps = append(t.steps, NewStep(RuleTelemetryTracing, Applied, c.ref, c.provider, formatShare(c.sampling)))
	}
}

// tracingService is the service that a provider sends spans to, NAMESPACE/HOST or HOST; empty where it names none.
func tracingService(p *meshconfig.MeshConfig_ExtensionProvider) string {
	return cmp.Or(p.GetZipkin().GetService(), p.GetOpentelemetry().GetService(), p.GetDatadog().GetService(),
		p.GetSkywalking().GetService())
}

// unknownService says why istiod does not know the service of a provider, without which it makes no tracer and no log; "" where it
// does. A host without a namespace has to be of one namespace alone.
// Source: pilot/pkg/networking/core/tracing.go, configureFromProviderConfig; pilot/pkg/model/telemetry_logging.go, LookupCluster.
func (s *Snapshot) unknownService(service string) string {
	namespace, host, qualified := strings.Cut(service, "/")
	if !qualified || strings.Contains(host, "/") {
		namespace, host, qualified = "", service, false
	}
	var namespaces []string
	for _, svc := range s.ServicesForHost(strings.ToLower(host)) {
		namespaces = append(namespaces, svc.Namespace)
	}
	switch {
	case qualified && !slices.Contains(namespaces, namespace), len(namespaces) == 0:
		return "istiod knows no service " + service
	case !qualified && len(namespaces) > 1:
		slices.Sort(namespaces)
		return "of namespaces " + joinLimited(namespaces, 3) + " istiod knows a service " + service + " each, and not which of them is the one"
	}
	return ""
}

// tracer is what is merged of tracing.
type tracer struct {
	provider string
	sampling float64
	disabled bool
	// ref is where the provider is named, offRef where reporting is switched off, lastRef the last entry.
	ref, offRef, lastRef Ref
}

func (c *tracer) take(e *api.Tracing, at Ref) {
	c.lastRef = at
	if names := namesOfProviders(e.GetProviders()); len(names) > 0 {
		c.provider, c.ref = names[0], at
	}
	if off := e.GetDisableSpanReporting(); off != nil {
		c.disabled, c.offRef = off.GetValue(), at.At(at.Field+".disableSpanReporting")
	}
	if share := e.GetRandomSamplingPercentage(); share != nil {
		c.sampling = share.GetValue()
	}
}

// meshTracing is rule 2.
func (t *telemetryAt) meshTracing(sampling float64) {
	mesh := t.snapshot.Mesh
	if !mesh.GetEnableTracing() {
		t.steps = append(t.steps, NewStep(RuleTelemetryTracingNone, None, mesh.Ref.At("enableTracing"), "no Telemetry asks for them, and enableTracing of the mesh config is off"))
		return
	}
	tracer, ref := proxyConfigOf(t.proxy).GetTracing(), annotated(t.proxy, annotation.ProxyConfig.Name)
	if tracer == nil {
		tracer, ref = mesh.GetDefaultConfig().GetTracing(), mesh.Ref.At("defaultConfig.tracing")
	}
	if where := tracerOf(tracer); where != "" {
		t.steps = append(t.steps, NewStep(RuleTelemetryTracingMesh, Applied, ref, formatShare(sampling), where))
		return
	}
	t.steps = append(t.steps, NewStep(RuleTelemetryTracingNone, None, Ref{}, "no Telemetry and no defaultProviders name a provider for tracing, and the proxy is started without a tracer"))
}

// tracerOf names the tracer of a proxy's config; empty where it has none.
func tracerOf(c *meshconfig.Tracing) string {
	switch {
	case c.GetZipkin() != nil:
		return "zipkin " + c.GetZipkin().GetAddress()
	case c.GetLightstep() != nil:
		return "lightstep " + c.GetLightstep().GetAddress()
	case c.GetDatadog() != nil:
		return "datadog " + c.GetDatadog().GetAddress()
	case c.GetStackdriver() != nil:
		return "stackdriver"
	case c.GetOpenCensusAgent() != nil:
		return "opencensus " + c.GetOpenCensusAgent().GetAddress()
	}
	return ""
}

// sampling is that of the proxy's config, in percent.
// Source: pilot/pkg/networking/core/tracing.go, proxyConfigSamplingValue.
func (s *Snapshot) sampling(w *Workload) float64 {
	share := cmp.Or(proxyConfigOf(w).GetTracing().GetSampling(), s.Mesh.GetDefaultConfig().GetTracing().GetSampling(), 1)
	if share > 100 {
		return 1
	}
	return share
}
