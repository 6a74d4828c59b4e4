package resolve

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	api "istio.io/api/telemetry/v1alpha1"
)

// In which access logs of a proxy a request stands.
//
//  1. Providers are the mesh's defaultProviders.accessLogging; each Telemetry that names any in an entry for the side of the
//     proxy (match.mode) replaces them all.
//  2. Entry after entry, of all that apply, counts for the providers that it names, else for those of the entry before, whether
//     that was for this side or not, else for the defaults; those that are not among 1 are left out. disabled takes a provider
//     away, a later entry brings it back.
//  3. A filter is that of the last entry that names the provider itself, and counts only if the request fulfils it.
//  4. A provider whose service istiod does not know writes nothing, as if nobody named it.
//  5. Where that leaves no provider that writes access logs, not even a disabled one, accessLogFile of the mesh config counts,
//     and enableEnvoyAccessLogService.
//
// A connection that breaks before the proxy has read a request stands in the log of the listener alone, and there only if no
// filter chain takes it.
//
// Source: pilot/pkg/model/telemetry.go, mergeLogs; pilot/pkg/networking/core/accesslog.go, setHTTPAccessLog, setListenerAccessLog.

// Rules of access logs.
const (
	RuleAccessLog         RuleID = "accesslog/provider"
	RuleAccessLogDisabled RuleID = "accesslog/disabled"
	RuleAccessLogFilter   RuleID = "accesslog/filter"
	RuleAccessLogMesh     RuleID = "accesslog/mesh-file"
	RuleAccessLogService  RuleID = "accesslog/mesh-service"
	RuleAccessLogNone     RuleID = "accesslog/none"
	RuleAccessLogFallback RuleID = "accesslog/fallback"
	RuleAccessLogBroken   RuleID = "accesslog/broken-connection"
	RuleAccessLogUnknown  RuleID = "accesslog/unknown-service"
)

var telemetryLogRules = []Rule{
	{
		ID: RuleAccessLog, Stage: StageTelemetry,
		Says:     "A provider that Telemetry or the mesh's defaultProviders name for access logs writes a line for the request.",
		Template: "the request is in the access log of provider %s (%s)",
		Source:   "pilot/pkg/model/telemetry.go, mergeLogs",
	},
	{
		ID: RuleAccessLogDisabled, Stage: StageTelemetry,
		Says:     "disabled takes a provider away for the side that match names.",
		Template: "the request is not in the access log of provider %s: it is disabled for this side, the %s",
		Source:   "pilot/pkg/model/telemetry.go, mergeLogs",
	},
	{
		ID: RuleAccessLogFilter, Stage: StageTelemetry,
		Says:     "A filter is the expression of the last entry that names the provider itself; the provider writes only what fulfils it.",
		Template: "the request is %s the access log of provider %s (%s): %s %s",
		Source:   "pilot/pkg/model/telemetry.go, mergeLogs; Envoy, extensions.access_loggers.filters.cel.v3",
	},
	{
		ID: RuleAccessLogUnknown, Stage: StageTelemetry,
		Says:     "A provider that sends access logs to a service that istiod does not know writes none, as if nobody named it.",
		Template: "the request is not in the access log of provider %s (%s): %s",
		Source:   "pilot/pkg/model/telemetry_logging.go, LookupCluster",
	},
	{
		ID: RuleAccessLogMesh, Stage: StageTelemetry,
		Says:     "Without a provider for access logs, accessLogFile of the mesh config says where the proxy writes them.",
		Template: "the request is in the access log (%s)",
		Source:   "pilot/pkg/networking/core/accesslog.go, setHTTPAccessLog",
	},
	{
		ID: RuleAccessLogService, Stage: StageTelemetry,
		Says:     "Without a provider for access logs, enableEnvoyAccessLogService has the proxy send them to the service of its bootstrap.",
		Template: "the request is in the log of the access log service (cluster envoy_accesslog_service)",
		Source:   "pilot/pkg/networking/core/accesslog.go, setHTTPAccessLog",
	},
	{
		ID: RuleAccessLogNone, Stage: StageTelemetry,
		Says:     "Without a provider for access logs and without accessLogFile a proxy writes none.",
		Template: "the request is in no access log of this proxy: neither a Telemetry nor the mesh config asks for one",
		Source:   "pilot/pkg/networking/core/accesslog.go, setHTTPAccessLog",
	},
	{
		ID: RuleAccessLogFallback, Stage: StageTelemetry,
		Says:     "accessLogging of a Telemetry that leaves no provider that writes access logs, not even a disabled one, counts as none: the mesh config's accessLogFile stays.",
		Template: "its accessLogging has no effect here: it leaves no provider that writes access logs",
		Source:   "pilot/pkg/networking/core/accesslog.go, setHTTPAccessLog",
	},
	{
		ID: RuleAccessLogBroken, Stage: StageTelemetry,
		Says:     "A connection that breaks before a proxy has read the request is logged by the listener alone, and only where no filter chain takes it.",
		Template: "the connection breaks here before there is a request: whether it is in an access log is not told",
		Source:   "pilot/pkg/networking/core/accesslog.go, setListenerAccessLog",
	},
}

// Logged is what an access log has of a request.
type Logged struct {
	// Request is the request; nil where it is not known as the proxy has it.
	Request *HTTPRequest
	// Code is the status of the answer; 0 where it is not known.
	Code int
	// Broken is a connection that breaks here before there is a request.
	Broken bool
}

// logger is what becomes of one provider.
type logger struct {
	disabled bool
	filter   *api.AccessLogging_Filter
	// ref is the entry that counted last, and filterRef that of the filter.
	ref, filterRef Ref
}

// accessLogs are rules 3 to 5.
func (t *telemetryAt) accessLogs(seen Logged) {
	if seen.Broken {
		t.steps = append(t.steps, NewStep(RuleAccessLogBroken, None, Ref{}))
		return
	}
	loggers, entries := t.loggers()
	written := false
	for _, name := range slices.Sorted(maps.Keys(loggers)) {
		l := loggers[name]
		p := t.snapshot.provider(name)
		switch place := logPlace(p); {
		case p == nil:
			t.unknown(name, l.ref)
			continue
		case place == "":
			continue
		case !logsToFile(p) && t.snapshot.unknownService(logService(p)) != "":
			t.steps = append(t.steps, NewStep(RuleAccessLogUnknown, Warned, l.ref, name, place, t.snapshot.unknownService(logService(p))))
			continue
		case l.disabled:
			t.steps = append(t.steps, NewStep(RuleAccessLogDisabled, Skipped, l.ref, name, t.sideName()))
		case l.filter != nil:
			t.steps = append(t.steps, filtered(l, name, place, seen))
		default:
			t.steps = append(t.steps, NewStep(RuleAccessLog, Applied, l.ref, name, place))
		}
		written = true
	}
	if written {
		return
	}
	if !entries.IsZero() {
		t.steps = append(t.steps, NewStep(RuleAccessLogFallback, Skipped, entries))
	}
	mesh := t.snapshot.Mesh
	file, service := mesh.GetAccessLogFile(), mesh.GetEnableEnvoyAccessLogService()
	if file != "" {
		t.steps = append(t.steps, NewStep(RuleAccessLogMesh, Applied, mesh.Ref.At("accessLogFile"), file))
	}
	if service {
		t.steps = append(t.steps, NewStep(RuleAccessLogService, Applied, mesh.Ref.At("enableEnvoyAccessLogService")))
	}
	if file == "" && !service {
		t.steps = append(t.steps, NewStep(RuleAccessLogNone, None, Ref{}))
	}
}

// filtered is rule 3.
func filtered(l logger, name, place string, seen Logged) Step {
	expression := l.filter.GetExpression()
	switch evaluateFilter(expression, seen) {
	case True:
		return NewStep(RuleAccessLogFilter, Applied, l.filterRef, "in", name, place, "it fulfils", expression)
	case False:
		return NewStep(RuleAccessLogFilter, Skipped, l.filterRef, "not in", name, place, "it does not fulfil", expression)
	case Unknown:
	}
	return NewStep(RuleAccessLogFilter, Applied, l.filterRef, "in", name, place, "if it fulfils", expression)
}

// loggers are rules 1 and 2, by provider, and the last entry of a Telemetry.
func (t *telemetryAt) loggers() (loggers map[string]logger, entries Ref) {
	mesh := t.snapshot.Mesh
	defaults := mesh.GetDefaultProviders().GetAccessLogging()
	inScope, filters := defaults, map[string]logger{}
	for _, o := range t.applied {
		var named []string
		for i, e := range o.Spec.GetAccessLogging() {
			entries = telemetryRef(o).At(pathIndex("spec.accessLogging", i))
			if !t.takes(e.GetMatch().GetMode()) {
				continue
			}
			for _, name := range namesOfProviders(e.GetProviders()) {
				named = append(named, name)
				filters[name] = logger{filter: e.GetFilter(), filterRef: entries.At(entries.Field + ".filter.expression")}
			}
		}
		if len(named) > 0 {
			inScope = named
		}
	}
	loggers = map[string]logger{}
	if entries.IsZero() {
		for _, name := range defaults {
			loggers[name] = logger{ref: mesh.Ref.At("defaultProviders.accessLogging")}
		}
		return loggers, entries
	}
	around := defaults
	for _, o := range t.applied {
		for i, e := range o.Spec.GetAccessLogging() {
			if names := namesOfProviders(e.GetProviders()); len(names) > 0 {
				around = names
			}
			if !t.takes(e.GetMatch().GetMode()) {
				continue
			}
			for _, name := range around {
				if !slices.Contains(inScope, name) {
					continue
				}
				l := filters[name]
				l.ref, l.disabled = telemetryRef(o).At(pathIndex("spec.accessLogging", i)), e.GetDisabled().GetValue()
				loggers[name] = l
			}
		}
	}
	return loggers, entries
}

// logPlace is where a provider writes access logs; empty for one that writes none.
// Source: pilot/pkg/model/telemetry_logging.go, telemetryAccessLog.
func logPlace(p *meshconfig.MeshConfig_ExtensionProvider) string {
	address := func(kind, service string, port uint32) string { return fmt.Sprintf("%s, %s:%d", kind, service, port) }
	switch {
	case p.GetEnvoyFileAccessLog() != nil:
		if path := p.GetEnvoyFileAccessLog().GetPath(); path != "" {
			return path
		}
		return stdout
	case p.GetEnvoyHttpAls() != nil:
		return address("access log service", p.GetEnvoyHttpAls().GetService(), p.GetEnvoyHttpAls().GetPort())
	case p.GetEnvoyTcpAls() != nil:
		return address("access log service", p.GetEnvoyTcpAls().GetService(), p.GetEnvoyTcpAls().GetPort())
	case p.GetEnvoyOtelAls() != nil:
		return address("OpenTelemetry", p.GetEnvoyOtelAls().GetService(), p.GetEnvoyOtelAls().GetPort())
	}
	return ""
}

func logsToFile(p *meshconfig.MeshConfig_ExtensionProvider) bool {
	return p.GetEnvoyFileAccessLog() != nil
}

// logService is the service that a provider sends access logs to.
func logService(p *meshconfig.MeshConfig_ExtensionProvider) string {
	return cmp.Or(p.GetEnvoyHttpAls().GetService(), p.GetEnvoyTcpAls().GetService(), p.GetEnvoyOtelAls().GetService())
}

// evaluateFilter is whether an access log's expression is fulfilled, as far as that can be told from here.
func evaluateFilter(expression string, seen Logged) Truth {
	return evaluateExpression(expression, func(attribute string) (string, bool) { return seen.attribute(attribute) })
}

// attribute is the value of one of Envoy's attributes, as the expression writes it; false where it is not known.
// Source: Envoy, docs, Attributes.
func (l Logged) attribute(name string) (string, bool) {
	if name == "response.code" {
		return fmt.Sprint(l.Code), l.Code != 0
	}
	q := l.Request
	if q == nil {
		return "", false
	}
	switch name {
	case "request.method":
		return q.Method, true
	case "request.host":
		return q.Authority, true
	case "request.path":
		return q.PathAndQuery(), true
	case "request.url_path":
		return q.Path, true
	}
	if header, ok := strings.CutPrefix(name, "request.headers."); ok {
		return q.Headers[header], q.Headers[header] != ""
	}
	return "", false
}
