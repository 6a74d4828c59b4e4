package resolve

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Rules of choosing endpoints by subset labels.
const (
	RuleSubsetEndpoint     RuleID = "subset/endpoint-differs"
	RuleSubsetLabelDiffers RuleID = "subset/label-differs"
	RuleSubsetEndpoints    RuleID = "subset/endpoints"
	RuleSubsetNoEndpoint   RuleID = "subset/no-endpoint"
	RuleSubsetOriginalDst  RuleID = "subset/original-destination"
	RuleSubsetClusterLabel RuleID = "subset/cluster-label"
)

var subsetRules = []Rule{
	{
		ID: RuleSubsetEndpoint, Stage: StageLoadBalance, Detail: true,
		Says:     "An endpoint is in a subset if it has all of the subset's labels; region, zone, subzone, node and network count as labels.",
		Template: "%s is not in subset %s: it has %s, not %s",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, BuildClusterLoadAssignment",
	},
	{
		ID: RuleSubsetLabelDiffers, Stage: StageLoadBalance,
		Says:     "Where no endpoint has all of a subset's labels, the first label that differs tells why.",
		Template: "%s is not in subset %s: it has %s, not %s",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, BuildClusterLoadAssignment",
	},
	{
		ID: RuleSubsetEndpoints, Stage: StageLoadBalance,
		Says:     "The subset's labels choose among the endpoints of the service.",
		Template: "%[3]d of %[1]d endpoints of %[2]s have %[4]s (subset %[5]s)",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, BuildClusterLoadAssignment",
	},
	{
		ID: RuleSubsetNoEndpoint, Stage: StageLoadBalance,
		Says:     "A subset whose labels match no endpoint has a cluster without endpoints: 503 with flag UH.",
		Template: "none of the %d endpoints of %s has %s (subset %s)",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, BuildClusterLoadAssignment",
	},
	{
		ID: RuleSubsetOriginalDst, Stage: StageLoadBalance,
		Says:     "In a cluster that goes to the dialled address subset labels choose nothing.",
		Template: "labels %s of subset %s are not looked at: the connection goes to the address the application dialled",
		Source:   "pilot/pkg/networking/core/cluster_builder.go, buildSubsetCluster",
	},
	{
		ID: RuleSubsetClusterLabel, Stage: StageLoadBalance,
		Says:     "The name of the cluster is not known to this tool, so a subset label for it is taken as matching.",
		Template: "label topology.istio.io/cluster=%s of subset %s: the cluster's name is not known, taken as matching",
		Source:   "pilot/pkg/serviceregistry/util/label/label.go, AugmentLabels",
	},
}

// The labels that istiod adds to every endpoint and proxy.
// Source: pilot/pkg/serviceregistry/util/label/label.go, AugmentLabels.
const (
	topologyRegion  = "topology.kubernetes.io/region"
	topologyZone    = "topology.kubernetes.io/zone"
	topologySubZone = "topology.istio.io/subzone"
	topologyNode    = "kubernetes.io/hostname"
	topologyNetwork = "topology.istio.io/network"
	topologyCluster = "topology.istio.io/cluster"
)

// topologyLabels are labels with those that istiod adds.
type topologyLabels struct {
	own           map[string]string
	locality      Locality
	node, network string
	// cluster is empty where one alone was read.
	cluster string
}

func endpointLabels(e *Endpoint) topologyLabels {
	l := topologyLabels{own: e.Labels, locality: e.Locality, network: e.Network, cluster: e.Cluster}
	if e.Gateway != nil {
		l.locality = Locality{} // istiod knows no labels of where a gateway is
	}
	if e.Workload != nil {
		l.node = e.Workload.NodeName
	}
	return l
}

func (s *Snapshot) proxyLabels(w *Workload) topologyLabels {
	l := topologyLabels{own: w.Labels, locality: w.Locality, node: w.NodeName, network: s.networkOfProxy(w).name}
	if s.several() {
		l.cluster = s.ClusterID()
	}
	return l
}

// get returns a label. Those of a place that is known stand above the own ones, but for the network.
func (l topologyLabels) get(name string) (string, bool) {
	place := ""
	switch name {
	case topologyRegion:
		place = l.locality.Region
	case topologyZone:
		place = l.locality.Zone
	case topologySubZone:
		place = l.locality.SubZone
	case topologyNode:
		place = l.node
	case topologyCluster:
		place = l.cluster
	case topologyNetwork:
		if l.own[name] == "" {
			place = l.network
		}
	}
	if place != "" {
		return place, true
	}
	own, ok := l.own[name]
	return own, ok
}

// selectedBy reports whether every label of the selector is there.
func (l topologyLabels) selectedBy(selector map[string]string) bool {
	for name, want := range selector {
		if got, ok := l.get(name); !ok || got != want {
			return false
		}
	}
	return true
}

// SubsetEndpoints keeps the endpoints that have the labels of the cluster's
// subset. A subset without labels is every endpoint.
//
// Source: pilot/pkg/xds/endpoints/endpoint_builder.go, BuildClusterLoadAssignment.
func (s *Snapshot) SubsetEndpoints(c *Cluster, eps []*Endpoint) ([]*Endpoint, []Step) {
	if c == nil || len(c.SubsetLabels) == 0 {
		return eps, nil
	}
	ref := c.SubsetRef.At(c.SubsetRef.Field + ".labels")
	if c.Type == ClusterOriginalDst {
		return eps, []Step{NewStep(RuleSubsetOriginalDst, Warned, ref, labelsText(c.SubsetLabels), c.Subset)}
	}
	var steps []Step
	wanted := c.SubsetLabels
	if name, ok := wanted[topologyCluster]; ok && !s.several() {
		wanted = maps.Clone(wanted)
		delete(wanted, topologyCluster)
		steps = append(steps, NewStep(RuleSubsetClusterLabel, Warned, ref, name, c.Subset))
	}
	var kept, others []*Endpoint
	for _, e := range eps {
		if endpointLabels(e).selectedBy(wanted) {
			kept = append(kept, e)
		} else {
			others = append(others, e)
		}
	}
	differs := RuleSubsetEndpoint
	if len(kept) == 0 {
		differs = RuleSubsetLabelDiffers
	}
	told := map[string]bool{}
	for _, e := range others {
		want, got := firstMiss(wanted, endpointLabels(e).get)
		if key := endpointOwner(e) + got; !told[key] { // the pods of one Deployment differ in the same way
			told[key] = true
			steps = append(steps, NewStep(differs, Skipped, ref, endpointOwner(e), c.Subset, got, want).Unlike(want, got))
		}
	}
	rule, verdict := RuleSubsetEndpoints, Applied
	args := []any{podCount(eps), c.Service.Hostname, podCount(kept), labelsText(c.SubsetLabels), c.Subset}
	if len(kept) == 0 {
		rule, verdict = RuleSubsetNoEndpoint, None
		args = slices.Delete(args, 2, 3)
	}
	return kept, append(steps, NewStep(rule, verdict, ref, args...))
}

// endpointOwner is the workload that people know, or the address.
func endpointOwner(e *Endpoint) string {
	if e.Workload != nil && e.Workload.Owner.Field == "" && !e.Workload.Owner.IsZero() {
		return e.Workload.Owner.String()
	}
	return e.name()
}

// labelsText writes labels as a selector on the command line would: a=b,c=d.
func labelsText(labels map[string]string) string {
	if len(labels) == 0 {
		return "(none)"
	}
	parts := make([]string, 0, len(labels))
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, k+"="+labels[k])
	}
	return strings.Join(parts, ",")
}

// pathIndex is the path of a list's entry: spec.subsets[2].
func pathIndex(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
