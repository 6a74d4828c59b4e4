package resolve

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	corev1 "k8s.io/api/core/v1"
)

// balancer is one choice among endpoints.
type balancer struct {
	client *Workload
	// mine are the labels of the client.
	mine    topologyLabels
	cluster *Cluster
	setting localitySetting
	eps     []*Endpoint
	// node tells a node without topology labels from a node that was not read.
	node func(name string) *corev1.Node
}

// knows reports whether the workload's locality is known, be it to have none.
func (b *balancer) knows(w *Workload) bool {
	if w == nil || w.Owner.Group == istioNetworking || w.Locality != (Locality{}) { // addresses and entries say what they have
		return true
	}
	return b.node(w.NodeName) != nil
}

func (b *balancer) balance() ([]*Endpoint, []Step) {
	healthy := healthyOf(b.eps)
	set := b.setting
	if distribute := set.locality.GetDistribute(); distribute != nil {
		if what := b.unknown(nil, true); what != "" {
			return healthy, b.warnUnknown(healthy, what)
		}
		kept, steps := b.distribute(distribute, healthy)
		return kept, append(b.localities(), steps...)
	}
	if !set.failover {
		return healthy, nil
	}
	labels := set.locality.GetFailoverPriority()
	if set.zoneAware != nil {
		labels = set.zoneAware.GetFailoverPriority()
	}
	byLocality := set.zoneAware != nil || len(labels) == 0 || len(set.locality.GetFailover()) > 0
	if b.cluster.Subset != "" && b.cluster.Type != ClusterEDS {
		labels = nil // istiod compares no labels for the subset clusters of DNS services
		if !byLocality {
			return healthy, nil
		}
	}
	if what := b.unknown(labels, byLocality); what != "" {
		near, steps := b.onNetwork(labels, healthy)
		return near, append(steps, b.warnUnknown(near, what)...)
	}
	kept, more := b.spread(b.prioritize(labels, byLocality))
	steps := append(b.localities(), more...)
	if set.zoneAware != nil && len(kept) > 1 {
		steps = append(steps, NewStep(RuleLocalityZoneAware, Warned, set.ref))
	}
	return kept, steps
}

// onNetwork keeps the endpoints of the client's network, where the network is what is compared first: no
// difference of localities outweighs it. If too few of them are healthy, the others get the rest of the requests.
func (b *balancer) onNetwork(labels []string, healthy []*Endpoint) ([]*Endpoint, []Step) {
	if len(labels) == 0 || labels[0] != topologyNetwork {
		return healthy, nil
	}
	mine, _ := b.mine.get(topologyNetwork)
	farther := make([]int, len(b.eps))
	var near []*Endpoint
	var steps []Step
	for i, e := range b.eps {
		theirs, _ := endpointLabels(e).get(topologyNetwork)
		switch {
		case theirs == mine:
			near = append(near, e)
			continue
		case e.Health != Unhealthy:
			steps = append(steps, NewStep(RuleLocalityOtherNetwork, Skipped, e.Ref, e.name(), cmp.Or(theirs, "none"), cmp.Or(mine, "none")))
		}
		farther[i] = 1
	}
	if availability(near) < 1 {
		return b.spread(farther)
	}
	return healthyOf(near), steps
}

// localities names the nodes that say where the client and the endpoints are.
func (b *balancer) localities() []Step {
	var steps []Step
	told := map[string]bool{}
	tell := func(w *Workload) {
		if w == nil || told[w.NodeName] || b.node(w.NodeName) == nil {
			return
		}
		told[w.NodeName] = true
		steps = append(steps, NewStep(RuleLocalityNode, Applied, Ref{Kind: "Node", Cluster: w.Owner.Cluster, Name: w.NodeName}, w.NodeName, localityText(w.Locality)))
	}
	tell(b.client)
	for _, e := range b.eps {
		tell(e.Workload)
	}
	return steps
}

// warnUnknown warns only where the choice could change who answers.
func (b *balancer) warnUnknown(healthy []*Endpoint, what string) []Step {
	owners := map[string]bool{}
	for _, e := range healthy {
		owners[endpointOwner(e)] = true
	}
	if len(owners) < 2 {
		return nil
	}
	return []Step{NewStep(RuleLocalityUnknown, Warned, b.setting.ref, b.setting.name, what)}
}

// unknown names what is not known and would be compared.
func (b *balancer) unknown(labels []string, byLocality bool) string {
	for _, label := range labels {
		name, _, override := strings.Cut(label, "=")
		switch name {
		case topologyRegion, topologyZone, topologySubZone:
			byLocality = true
		case topologyNode:
			if b.client.NodeName == "" && !override {
				return "the client's node"
			}
			for _, e := range b.eps {
				if e.Workload != nil && e.Workload.FromTemplate {
					return "the node of " + endpointOwner(e)
				}
			}
		case topologyNetwork, topologyCluster:
		default:
			if b.client.Anonymous && !override {
				return "label " + name + " of the assumed client"
			}
		}
	}
	if !byLocality {
		return ""
	}
	if !b.knows(b.client) {
		return "the client's locality"
	}
	for _, e := range b.eps {
		if !b.knows(e.Workload) {
			return "the locality of " + endpointOwner(e)
		}
	}
	return ""
}

// prioritize gives every endpoint its priority, 0 being the best.
//
//  1. failoverPriority: the labels are compared one after the other; the earlier
//     the first difference, the lower the priority. A different network as the
//     first label is worse than any other difference, which still counts.
//  2. Without failoverPriority, or with failover as well: same subzone, same zone,
//     same region, failed over to, elsewhere. Zone aware: same region, failed over to, elsewhere.
//
// Source: pilot/pkg/networking/core/loadbalancer/loadbalancer.go,
// applyFailoverPriorityPerLocality, applyLocalityFailover, applyZoneAwareRegionalFailover.
func (b *balancer) prioritize(labels []string, byLocality bool) []int {
	priorities := make([]int, len(b.eps))
	for i, e := range b.eps {
		if len(labels) > 0 { // 1.
			priorities[i] = labelPriority(labels, b.mine, endpointLabels(e))
		}
		switch { // 2.
		case b.setting.zoneAware != nil:
			priorities[i] = priorities[i]*3 + b.regionPriority(e)
		case byLocality:
			priorities[i] = priorities[i]*5 + b.localityPriority(e)
		}
	}
	return priorities
}

func labelPriority(labels []string, mine, theirs topologyLabels) int {
	otherNetwork := 0
	for i, label := range labels {
		name, want, override := strings.Cut(label, "=")
		if !override {
			want, _ = mine.get(name)
		}
		if got, _ := theirs.get(name); got == want {
			continue
		}
		if i == 0 && labels[0] == topologyNetwork {
			otherNetwork = len(labels)
			continue
		}
		return len(labels) - i + otherNetwork
	}
	return otherNetwork
}

func (b *balancer) localityPriority(e *Endpoint) int {
	mine, theirs := b.client.Locality, e.Locality
	switch {
	case mine == theirs:
		return 0
	case mine.Region == theirs.Region && mine.Zone == theirs.Zone:
		return 1
	case mine.Region == theirs.Region:
		return 2
	}
	for _, f := range b.setting.locality.GetFailover() {
		if f.GetFrom() == mine.Region {
			if theirs.Region != f.GetTo() {
				return 4
			}
			break
		}
	}
	return 3
}

func (b *balancer) regionPriority(e *Endpoint) int {
	if e.Locality.Region == b.client.Locality.Region {
		return 0
	}
	for _, f := range b.setting.zoneAware.GetFailover() {
		if f.GetFrom() == b.client.Locality.Region {
			if e.Locality.Region == f.GetTo() {
				return 1
			}
			break
		}
	}
	return 2
}

// spread is what Envoy makes of priorities: each gets its share of healthy
// endpoints times 1.4, at most what is left.
func (b *balancer) spread(priorities []int) ([]*Endpoint, []Step) {
	levels := map[int][]*Endpoint{}
	for i, e := range b.eps {
		levels[priorities[i]] = append(levels[priorities[i]], e)
	}
	order := slices.Sorted(maps.Keys(levels))
	if len(order) == 1 {
		return healthyOf(b.eps), nil
	}
	loads := priorityLoads(order, levels)
	var kept []*Endpoint
	var steps []Step
	single := slices.Max(loads) == 100
	for i, p := range order {
		healthy := healthyOf(levels[p])
		if loads[i] == 0 {
			for _, e := range healthy {
				steps = append(steps, NewStep(RuleLocalityFartherEndpoint, Skipped, e.Ref, e.name(), localityText(e.Locality), localityText(b.client.Locality)))
			}
			continue
		}
		if single {
			kept = append(kept, healthy...)
			continue
		}
		steps = append(steps, NewStep(RuleLocalitySpill, Applied, b.setting.ref, podCount(healthy), podCount(levels[p]), i, loads[i]))
		kept = append(kept, scaled(healthy, float64(loads[i]))...)
	}
	return kept, append(steps, NewStep(RuleLocalityFailover, Applied, b.setting.ref, b.setting.name, podCount(kept), podCount(b.eps)))
}

// priorityLoads is the percentage of requests of each level: as much as its health, in whole percents, and 100 together.
func priorityLoads(order []int, levels map[int][]*Endpoint) []int {
	health := make([]int, len(order))
	total := 0
	for i, p := range order {
		health[i] = int(100 * availability(levels[p]))
		total += health[i]
	}
	loads, left := make([]int, len(order)), 100
	for i := range health {
		loads[i] = min(left, health[i]*100/max(1, min(100, total)))
		left -= loads[i]
	}
	loads[max(0, slices.IndexFunc(health, func(h int) bool { return h > 0 }))] += left // what whole percents leave over
	return loads
}

// availability is the part of the endpoints that is healthy, times the overprovisioning factor 1.4.
//
// Source: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/overprovisioning.
func availability(eps []*Endpoint) float64 {
	return math.Min(1, 1.4*float64(podCount(healthyOf(eps)))/float64(max(1, podCount(eps))))
}

// scaled are copies whose weights add up to a share, in a common scale.
func scaled(eps []*Endpoint, share float64) []*Endpoint {
	sum := weightSum(eps)
	out := make([]*Endpoint, len(eps))
	for i, e := range eps {
		c := *e
		c.Weight = max(1, int(math.Round(share*10000*float64(max(1, e.Weight))/float64(max(1, sum)))))
		out[i] = &c
	}
	return out
}

func weightSum(eps []*Endpoint) int {
	sum := 0
	for _, e := range eps {
		sum += max(1, e.Weight) * e.Count
	}
	return sum
}

// distribute gives the localities that the first matching entry lists their weights.
//
//  1. What an entry lists is shared by the localities it matches, by their endpoints' weights.
//  2. A locality of which less than about 72 percent is healthy counts for less, as a priority does.
//
// Source: pilot/pkg/networking/core/loadbalancer/loadbalancer.go, applyLocalityWeights;
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/locality_weight.
func (b *balancer) distribute(entries []*networking.LocalityLoadBalancerSetting_Distribute, healthy []*Endpoint) ([]*Endpoint, []Step) {
	at := slices.IndexFunc(entries, func(d *networking.LocalityLoadBalancerSetting_Distribute) bool {
		return d != nil && localityMatches(b.client.Locality, d.GetFrom())
	})
	if at < 0 {
		return healthy, nil
	}
	entry := entries[at]
	var kept []*Endpoint
	left := map[Locality][]*Endpoint{}
	for _, e := range b.eps {
		left[e.Locality] = append(left[e.Locality], e)
	}
	var text []string
	var steps []Step
	// The most specific locality first, so that an endpoint that two entries list has one answer.
	targets := slices.SortedFunc(maps.Keys(entry.GetTo()), func(x, y string) int {
		return cmp.Or(cmp.Compare(strings.Count(y, "/"), strings.Count(x, "/")), cmp.Compare(strings.Count(x, "*"), strings.Count(y, "*")), cmp.Compare(x, y))
	})
	for _, to := range targets {
		matched, total := map[Locality]int{}, 0
		for l, group := range left {
			if localityMatches(l, to) {
				matched[l] = weightSum(group)
				total += matched[l]
			}
		}
		for _, l := range slices.SortedFunc(maps.Keys(matched), func(x, y Locality) int { return cmp.Compare(localityText(x), localityText(y)) }) {
			weight := math.Ceil(float64(matched[l]) * float64(entry.GetTo()[to]) / float64(total)) // 1.
			counts, able := weight*availability(left[l]), healthyOf(left[l])                       // 2.
			if kept = append(kept, scaled(able, counts)...); counts < weight {
				steps = append(steps, NewStep(RuleLocalityUnready, Applied, b.setting.ref, podCount(able), podCount(left[l]), localityText(l), weight, counts))
			}
			delete(left, l)
		}
		text = append(text, fmtPercent(to, entry.GetTo()[to]))
	}
	for _, e := range healthy {
		if left[e.Locality] != nil {
			steps = append(steps, NewStep(RuleLocalityNotListed, Skipped, e.Ref, e.name(), localityText(e.Locality), entry.GetFrom()))
		}
	}
	return kept, append(steps, NewStep(RuleLocalityDistribute, Applied, b.setting.ref, entry.GetFrom(), strings.Join(text, ", ")))
}

// localityText is region/zone/subzone as Istio writes it.
func localityText(l Locality) string {
	switch {
	case l == Locality{}:
		return "unknown locality"
	case l.SubZone != "":
		return l.Region + "/" + l.Zone + "/" + l.SubZone
	case l.Zone != "":
		return l.Region + "/" + l.Zone
	}
	return l.Region
}

// localityMatches reports whether the locality is in what a rule names:
// region/zone/subzone with "*" or nothing for any.
//
// Source: pilot/pkg/networking/util/util.go, LocalityMatch.
func localityMatches(l Locality, rule string) bool {
	r := splitLocality(rule)
	return (r.Region == "*" || r.Region == l.Region) &&
		(r.Zone == "*" || r.Zone == "" || r.Zone == l.Zone) &&
		(r.SubZone == "*" || r.SubZone == "" || r.SubZone == l.SubZone)
}

func fmtPercent(name string, weight uint32) string {
	return name + " " + strconv.FormatUint(uint64(weight), 10) + "%"
}
