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

// CrashOfClusters reports whether istiod panics while it makes the clusters of the client's proxy.
func (s *Snapshot) CrashOfClusters(client *Workload, sc *Scope) (Step, bool) {
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
