package resolve

import (
	"slices"
	"strings"

	api "istio.io/api/networking/v1alpha3"
)

// What patches make of clusters. MERGE and REMOVE are for those that the match fits; a cluster that is removed is not there for
// the routes that name it. ADD brings clusters that routes of patches may name.
//
// Source: pilot/pkg/networking/core/envoyfilter/cluster_patch.go.

// Rules of patches of clusters.
const (
	RuleClusterTakenOut RuleID = "envoyfilter/cluster-removed"
)

var clusterPatchRules = []Rule{
	{
		ID: RuleClusterTakenOut, Stage: StageDestinationRule,
		Says:     "A patch with REMOVE takes a cluster away; a route to it answers 503.",
		Template: "takes cluster %s away: routes to it answer 503",
		Source:   "pilot/pkg/networking/core/envoyfilter/cluster_patch.go, ApplyClusterMerge",
	},
}

// harmlessOfClusters are settings of a cluster that decide neither where nor how a request is sent. Limits and outlier detection
// refuse requests only when there are too many, or when endpoints fail.
var harmlessOfClusters = []string{
	"name", "connect_timeout", "circuit_breakers", "outlier_detection", "lb_policy", "least_request_lb_config", "round_robin_lb_config",
	"ring_hash_lb_config", "maglev_lb_config", "load_balancing_policy", "per_connection_buffer_limit_bytes", "upstream_connection_options",
	"max_requests_per_connection", "common_http_protocol_options", "dns_refresh_rate", "dns_failure_refresh_rate", "respect_dns_ttl",
	"dns_lookup_family", "cleanup_interval", "alt_stat_name", "track_timeout_budgets", "track_cluster_stats", "common_lb_config",
	"close_connections_on_host_health_failure", "ignore_health_on_host_removal", "metadata", "preconnect_policy", "dns_jitter",
}

// harmlessProtocolOptions are those of typed_extension_protocol_options that change neither the protocol nor the filters.
var harmlessProtocolOptions = []string{
	"@type", "common_http_protocol_options", "use_downstream_protocol_config", "explicit_http_config", "upstream_http_protocol_options",
}

// ClusterPatches tell what patches make of a cluster. hosts are the services that an inbound cluster is for. removed is set where
// one of them takes it away, which the last step says.
func (s *Snapshot) ClusterPatches(l *PatchPlace, name string, hosts []string) (steps []Step, removed bool) {
	for _, p := range s.patchesAt(l, api.EnvoyFilter_CLUSTER) {
		if p.operation() == api.EnvoyFilter_Patch_ADD {
			if p.value().text("name") == name {
				steps = append(steps, p.rejected("adds a second cluster "+name))
			}
			continue
		}
		step, counts := p.counts(p.cluster(name, hosts))
		switch {
		case !counts:
			steps = append(steps, step)
		case p.operation() == api.EnvoyFilter_Patch_REMOVE:
			return append(steps, NewStep(RuleClusterTakenOut, None, p.ref, name)), true
		case !p.merges():
			steps = append(steps, NewStep(RuleEnvoyFilterOperation, Skipped, p.ref, p.named(), p.operation().String(), "").meantFor(true))
		default:
			steps = append(steps, p.clusterSettings()...)
		}
	}
	return steps, false
}

// clusterSettings tells what is merged into a cluster.
func (p *envoyPatch) clusterSettings() []Step {
	value := p.value()
	var plain, open []string
	options := value.object("typed_extension_protocol_options")
	for _, name := range options.names() {
		for _, field := range options.object(name).names() {
			if !slices.Contains(harmlessProtocolOptions, field) {
				open = append(open, field)
			}
		}
		plain = append(plain, "protocol options")
	}
	for _, name := range value.unread() {
		if top, _, _ := strings.Cut(name, "."); slices.Contains(harmlessOfClusters, top) {
			plain = append(plain, top)
		} else {
			open = append(open, name)
		}
	}
	var steps []Step
	if plain = slices.Compact(plain); len(plain) > 0 {
		steps = append(steps, p.harmless(plain))
	}
	decides := slices.DeleteFunc(slices.Clone(open), func(name string) bool { return !slices.Contains(openOfClusters, topField(name)) })
	if len(decides) > 0 {
		steps = append(steps, p.open("sets "+joinLimited(decides, 4)))
	}
	if len(open) > len(decides) {
		steps = append(steps, p.notModelled(slices.DeleteFunc(open, func(name string) bool { return slices.Contains(decides, name) })...))
	}
	return steps
}

// openOfClusters are settings that decide who gets a request, and over what TLS.
var openOfClusters = []string{"transport_socket", "transport_socket_matches", "load_assignment", "type", "eds_cluster_config", "cluster_type", "original_dst_lb_config", "lb_subset_config", "health_checks"}

// topField is the first name of a field's path.
func topField(path string) string {
	top, _, _ := strings.Cut(path, ".")
	top, _, _ = strings.Cut(top, "[")
	return top
}
