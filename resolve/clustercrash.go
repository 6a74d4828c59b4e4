package resolve

// RuleClusterCrash is about a host for which istiod cannot make a cluster.
//
// A cluster of resolution DYNAMIC_DNS has no common load balancer settings. outlierDetection in the DestinationRule of
// its host sets one of these, and istiod panics: no proxy that knows the host gets any cluster.
//
// Source: pilot/pkg/networking/core/cluster_traffic_policy.go, applyOutlierDetection.
const RuleClusterCrash RuleID = "cluster/dynamic-dns-crashes-istiod"

var clusterCrashRules = []Rule{{
	ID: RuleClusterCrash, Stage: StageDestinationRule,
	Says:     "istiod panics at outlierDetection for a host of resolution DYNAMIC_DNS: proxies that know the host get no new configuration.",
	Template: "outlierDetection for %s, a host of resolution DYNAMIC_DNS, makes istiod panic: what the proxy has is not known",
	Source:   "pilot/pkg/networking/core/cluster_traffic_policy.go, applyOutlierDetection",
}}

// findDynamic finds the hosts of resolution DYNAMIC_DNS.
func (sc *Scope) findDynamic() {
	for _, host := range sortedKeys(sc.byHost) {
		if sc.byHost[host].Resolution == DynamicDNS {
			sc.dynamic = append(sc.dynamic, host)
		}
	}
}

// CrashOfClusters reports whether istiod panics while it makes the clusters of a proxy.
func (s *Snapshot) CrashOfClusters(client *Workload) (Step, bool) {
	sc, _ := s.Scope(client)
	for _, host := range sc.dynamic {
		svc := sc.byHost[host]
		for _, p := range svc.Ports {
			if c, _ := s.Cluster(client, svc, p, ""); c != nil && c.Policy.GetOutlierDetection() != nil {
				return NewStep(RuleClusterCrash, Warned, c.Rule, host), true
			}
		}
	}
	return Step{}, false
}
