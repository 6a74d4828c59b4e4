package resolve

import (
	"slices"
	"strings"

	api "istio.io/api/networking/v1alpha3"
)

// What patches make of a listener, of one of its filter chains and of the network filters in it, as far as it is read.
//
//  1. Limits, timeouts, logs and the like decide nothing. Everything else that is merged is told as not modelled.
//  2. A network filter that stands before the last one of the chain may close the connection; one behind it Envoy rejects.
//  3. Of the HTTP connection manager, xff_num_trusted_hops is read: how many proxies in front are trusted.
//
// Source: pilot/pkg/networking/core/envoyfilter/listener_patch.go, patchListener, patchNetworkFilters.

// harmlessOfListeners are settings of listeners and filter chains that decide nothing.
var harmlessOfListeners = []string{
	"name", "per_connection_buffer_limit_bytes", "socket_options", "access_log", "tcp_fast_open_queue_length", "connection_balance_config",
	"stat_prefix", "enable_reuse_port", "tcp_backlog_size", "drain_type", "listener_filters_timeout", "transport_socket_connect_timeout",
	"traffic_direction", "metadata", "max_connections_to_accept_per_socket_event",
}

// harmlessOfManagers are settings of the HTTP connection manager that decide nothing about a request as a trace knows it.
var harmlessOfManagers = []string{
	"stat_prefix", "server_name", "server_header_transformation", "scheme_header_transformation", "stream_idle_timeout", "request_timeout",
	"request_headers_timeout", "drain_timeout", "delayed_close_timeout", "max_request_headers_kb", "add_user_agent", "tracing", "access_log",
	"access_log_options", "flush_access_log_on_new_request", "access_log_flush_interval", "generate_request_id", "preserve_external_request_id",
	"always_set_request_id_in_response", "request_id_extension", "http2_protocol_options", "http3_protocol_options", "http_protocol_options",
	"via", "proxy_status_config", "append_x_forwarded_port", "forward_client_cert_details", "set_current_client_cert_details", "codec_type",
	"max_connection_duration", "proxy_100_continue", "stream_flush_timeout",
}

// openOfManagers are settings of the HTTP connection manager by which a request is another one, or is refused.
var openOfManagers = []string{
	"normalize_path", "merge_slashes", "path_with_escaped_slashes_action", "path_normalization_options", "use_remote_address", "skip_xff_append",
	"xff_num_trusted_hops", "strip_matching_host_port", "strip_any_host_port", "http_filters", "route_config", "rds", "scoped_routes", "upgrade_configs",
	"original_ip_detection_extensions", "early_header_mutation_extensions", "common_http_protocol_options",
}

// harmlessOfProtocols are those of common_http_protocol_options that decide nothing.
var harmlessOfProtocols = []string{"idle_timeout", "max_connection_duration", "max_requests_per_connection", "max_stream_duration", "max_headers_count"}

// harmlessOfTCP are settings of the TCP proxy that decide nothing.
var harmlessOfTCP = []string{"stat_prefix", "idle_timeout", "access_log", "max_connect_attempts", "max_downstream_connection_duration", "access_log_options"}

const tcpProxy = "envoy.filters.network.tcp_proxy"

// ListenerPatches is what patches make of the listener and the filter chain, but for HTTP filters.
type ListenerPatches struct {
	Steps []Step
	// TrustedHops is xff_num_trusted_hops where a patch sets it.
	TrustedHops *int
}

// ListenerPatches tell what is done to the listener and the filter chain of the place, and which extensions and patches see the
// bytes before HTTP is read, if it is. q is the request where it is HTTP; nil else.
func (s *Snapshot) ListenerPatches(l *PatchPlace, q *HTTPRequest) ListenerPatches {
	var out ListenerPatches
	if len(s.EnvoyFilters) > 0 {
		out.Steps = s.EnvoyFilterSteps(l)
		for _, kind := range []api.EnvoyFilter_ApplyTo{api.EnvoyFilter_LISTENER, api.EnvoyFilter_LISTENER_FILTER, api.EnvoyFilter_FILTER_CHAIN, api.EnvoyFilter_NETWORK_FILTER} {
			for _, p := range s.patchesAt(l, kind) {
				out.patch(l, p, q)
			}
		}
	}
	out.Steps = append(out.Steps, s.networkExtensions(l)...)
	return out
}

func (o *ListenerPatches) patch(l *PatchPlace, p *envoyPatch, q *HTTPRequest) {
	where := l.listener(p)
	if kind := p.GetApplyTo(); kind == api.EnvoyFilter_FILTER_CHAIN && p.operation() != api.EnvoyFilter_Patch_ADD || kind == api.EnvoyFilter_NETWORK_FILTER {
		where = l.chain(p)
	}
	if p.GetApplyTo() == api.EnvoyFilter_LISTENER && p.operation() == api.EnvoyFilter_Patch_ADD {
		o.addListener(l, p)
		return
	}
	step, counts := p.counts(where)
	switch {
	case !counts:
		o.Steps = append(o.Steps, step)
	case p.GetApplyTo() == api.EnvoyFilter_NETWORK_FILTER:
		o.networkFilter(l, p, q)
	case p.GetApplyTo() == api.EnvoyFilter_LISTENER_FILTER:
		o.listenerFilter(p)
	case p.merges():
		o.settings(p, p.value(), harmlessOfListeners, openOfListeners)
	case p.operation() == api.EnvoyFilter_Patch_REMOVE:
		o.Steps = append(o.Steps, p.open("takes "+l.takenAway(p)+" away"))
	case p.operation() == api.EnvoyFilter_Patch_ADD:
		o.Steps = append(o.Steps, p.open("adds a filter chain, which may take the connection"))
	default:
		o.Steps = append(o.Steps, NewStep(RuleEnvoyFilterOperation, Skipped, p.ref, p.named(), p.operation().String(), "").meantFor(true))
	}
}

// takenAway is what a patch with REMOVE takes.
func (l *PatchPlace) takenAway(p *envoyPatch) string {
	if p.GetApplyTo() == api.EnvoyFilter_LISTENER {
		return "listener " + l.Listener
	}
	return l.chainInWords()
}

// openOfListeners are settings by which a listener or filter chain takes other connections, or reads them in another way.
var openOfListeners = []string{
	"address", "additional_addresses", "filter_chains", "default_filter_chain", "filter_chain_matcher", "filter_chain_match", "filters", "listener_filters",
	"use_original_dst", "bind_to_port", "transport_socket", "use_proxy_proto", "transparent", "continue_on_listener_filters_timeout", "udp_listener_config",
}

// listenerFilter is a filter that sees a connection before a filter chain is chosen. One that takes a filter by its name needs that name.
func (o *ListenerPatches) listenerFilter(p *envoyPatch) {
	name := p.GetMatch().GetListener().GetListenerFilter()
	switch operation := p.operation(); operation {
	case api.EnvoyFilter_Patch_MERGE, api.EnvoyFilter_Patch_REMOVE, api.EnvoyFilter_Patch_REPLACE:
		if name == "" {
			o.Steps = append(o.Steps, NewStep(RuleEnvoyFilterOperation, Skipped, p.ref, p.named(), operation.String(), " without a listenerFilter in its match").meantFor(true))
			return
		}
		o.Steps = append(o.Steps, p.open("changes what is known of a connection before its filter chain is chosen (listener filter "+name+")"))
	case api.EnvoyFilter_Patch_MERGE_AND_REPLACE_LIST:
		o.Steps = append(o.Steps, NewStep(RuleEnvoyFilterOperation, Skipped, p.ref, p.named(), operation.String(), "").meantFor(true))
	default:
		o.Steps = append(o.Steps, p.open("adds listener filter "+p.value().text("name")+", which sees a connection before its filter chain is chosen"))
	}
}

// addListener is a listener of a patch's own: it counts where it is bound to the port that the request goes to.
func (o *ListenerPatches) addListener(l *PatchPlace, p *envoyPatch) {
	if p.GetMatch().GetContext() == api.EnvoyFilter_ANY && l.Side == SideInbound {
		return
	}
	port, ok := p.value().object("address").object("socket_address").number("port_value")
	if ok && int(port) != l.boundTo() && int(port) != l.Port {
		o.Steps = append(o.Steps, p.elsewhere(unlike("port "+formatPercent(port), "listener "+l.Listener)))
		return
	}
	o.Steps = append(o.Steps, p.open("adds a listener of that port"))
}

// settings tells what is merged: what decides nothing, what decides everything, and what is not known.
func (o *ListenerPatches) settings(p *envoyPatch, value *envoyValue, harmless, decisive []string) {
	var plain, open, decides []string
	for _, name := range value.unread() {
		top, below, _ := strings.Cut(name[strings.LastIndexByte(name, ']')+1:], ".")
		if top == "typed_config" {
			top, _, _ = strings.Cut(below, ".")
		}
		switch {
		case slices.Contains(harmless, top):
			plain = append(plain, top)
		case slices.Contains(decisive, top):
			decides = append(decides, top)
		default:
			open = append(open, name)
		}
	}
	if plain = slices.Compact(plain); len(plain) > 0 {
		o.Steps = append(o.Steps, p.harmless(plain))
	}
	if decides = slices.Compact(decides); len(decides) > 0 {
		o.Steps = append(o.Steps, p.open("sets "+joinLimited(decides, 4)))
	}
	if len(open) > 0 {
		o.Steps = append(o.Steps, p.notModelled(open...))
	}
}

// networkFilter is rule 2, and settings of the last filter of the chain.
func (o *ListenerPatches) networkFilter(l *PatchPlace, p *envoyPatch, q *HTTPRequest) {
	last, other := connectionManager, tcpProxy
	if !l.HTTP {
		last, other = other, last
	}
	name, named, _, _ := p.filterNames()
	counted := p.operation() != api.EnvoyFilter_Patch_ADD && p.operation() != api.EnvoyFilter_Patch_INSERT_FIRST // those ask for no filter
	switch {
	case counted && named && name == other:
		o.Steps = append(o.Steps, p.elsewhere(unlike("filter chains with "+name, "one with "+last)))
		return
	case counted && named && olderNames[name] != "":
		o.Steps = append(o.Steps, p.nothing("network filter "+name, l.chainInWords(), olderName(name, olderNames[name])))
		return
	}
	value := p.value()
	switch operation := p.operation(); operation {
	case api.EnvoyFilter_Patch_ADD:
		o.Steps = append(o.Steps, p.rejected("puts network filter "+value.text("name")+" behind "+last+", which has to be the last one"))
	case api.EnvoyFilter_Patch_INSERT_AFTER:
		if !named || name == last {
			o.Steps = append(o.Steps, p.rejected("puts network filter "+value.text("name")+" behind "+last+", which has to be the last one"))
			return
		}
		o.Steps = append(o.Steps, p.beforeLast(value))
	case api.EnvoyFilter_Patch_MERGE:
		o.mergeFilter(l, p, value, q)
	case api.EnvoyFilter_Patch_MERGE_AND_REPLACE_LIST:
		o.Steps = append(o.Steps, NewStep(RuleEnvoyFilterOperation, Skipped, p.ref, p.named(), operation.String(), "").meantFor(true))
	case api.EnvoyFilter_Patch_REMOVE, api.EnvoyFilter_Patch_REPLACE:
		switch {
		case !named:
			o.Steps = append(o.Steps, NewStep(RuleEnvoyFilterOperation, Skipped, p.ref, p.named(), operation.String(), " without a filter in its match").meantFor(true))
		case name == last && operation == api.EnvoyFilter_Patch_REPLACE:
			o.Steps = append(o.Steps, p.open("puts "+value.text("name")+" in the place of "+last))
		case name == last && operation == api.EnvoyFilter_Patch_REMOVE:
			o.Steps = append(o.Steps, p.rejected("takes network filter "+last+" out"))
		default:
			o.Steps = append(o.Steps, p.notModelled(name))
		}
	default:
		o.Steps = append(o.Steps, p.beforeLast(value))
	}
}

// beforeLast tells of a network filter that sees a connection before the last one does.
func (p *envoyPatch) beforeLast(value *envoyValue) Step {
	_, kind := value.typedConfig("typed_config")
	if kind == networkFilterType+"rbac.v3.RBAC" || kind == networkFilterType+"ext_authz.v3.ExtAuthz" {
		return p.open("puts network filter " + value.text("name") + " (" + shortType(kind) + ") before the last one, which may close the connection")
	}
	return p.notModelled(value.text("name"))
}

const networkFilterType = "envoy.extensions.filters.network."

// mergeFilter is a merge into the last filter of a chain.
func (o *ListenerPatches) mergeFilter(l *PatchPlace, p *envoyPatch, value *envoyValue, q *HTTPRequest) {
	name, named, _, _ := p.filterNames()
	config := value.object("typed_config")
	config.ignore("@type")
	given := value.text("name")
	if !named || name != connectionManager && name != tcpProxy || given != "" && given != name {
		o.Steps = append(o.Steps, p.notModelled("settings of "+strings.TrimSpace(name+" "+given)))
		return
	}
	if !l.HTTP {
		o.settings(p, value, harmlessOfTCP, []string{"cluster", "weighted_clusters", "tunneling_config"})
		return
	}
	if hops, ok := config.number("xff_num_trusted_hops"); ok && l.Side == SideGateway {
		trusted := int(hops)
		o.TrustedHops = &trusted
		o.Steps = append(o.Steps, p.harmless([]string{"xff_num_trusted_hops, which the trace counts with"}))
	} else if ok {
		delete(config.asked, "xff_num_trusted_hops")
	}
	if common := config.object("common_http_protocol_options"); common != nil {
		common.ignore(harmlessOfProtocols...)
	}
	if replies := config.object("local_reply_config"); replies != nil {
		if slices.ContainsFunc(replies.list("mappers"), func(m *envoyValue) bool { return m.has("status_code") }) {
			o.Steps = append(o.Steps, p.notModelled("local_reply_config: another status for what the proxy answers by itself"))
		} else {
			o.Steps = append(o.Steps, p.harmless([]string{"local_reply_config: bodies of what the proxy answers by itself"}))
		}
		replies.done()
	}
	if q != nil {
		if _, upgrades := q.Header("upgrade"); !upgrades {
			config.ignore("upgrade_configs")
		}
	}
	o.settings(p, value, harmlessOfManagers, openOfManagers)
}

// Extended reports whether the snapshot has anything of which patches or extensions of proxies are made.
func (s *Snapshot) Extended() bool {
	return len(s.EnvoyFilters)+len(s.WasmPlugins)+len(s.TrafficExtensions) > 0
}

// InboundHosts are the services that a pod port is for, as far as its port tells; empty where none is known.
func (s *Snapshot) InboundHosts(port InboundPort) []string {
	if port.Ref.Kind != "Service" {
		return nil
	}
	return []string{port.Ref.Name + "." + port.Ref.Namespace + ".svc." + s.Mesh.Domain}
}
