package resolve

import "slices"

// Rules for resources that stand on the way and that this release does not evaluate.
const (
	RuleUnmodelledIngress RuleID = "unmodelled/ingress"
	RuleAmbientClient     RuleID = "unmodelled/ambient-client"
	RuleAmbientServer     RuleID = "unmodelled/ambient-server"
)

var unmodelledRules = []Rule{
	{
		ID: RuleUnmodelledIngress, Stage: StageHost,
		Says:     "Ingress resources are not evaluated by this release; one that could take the request makes the outcome undetermined.",
		Template: "this Ingress could take the request for %s, and Ingress is not evaluated by this release",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleAmbientClient, Stage: StageCapture,
		Says:     "The ambient data plane is not evaluated by this release; an ambient client is walked as if it had no proxy.",
		Template: "%s is in ambient mode, which this release does not evaluate: walked as if it had no proxy",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleAmbientServer, Stage: StageCapture,
		Says:     "The ambient data plane is not evaluated by this release; an ambient server is walked as if it had no proxy.",
		Template: "%s is in ambient mode, which this release does not evaluate: walked as if it had no proxy",
		Source:   "assumption of the tool",
	},
}

// UnmodelledIngresses warns of Ingresses whose hosts overlap the request's.
func (s *Snapshot) UnmodelledIngresses(host string) []Step {
	var steps []Step
	for _, ing := range s.Ingresses {
		var hosts []string
		for _, rule := range ing.Spec.Rules {
			if rule.Host == "" {
				hosts = append(hosts, "*")
			}
			hosts = append(hosts, rule.Host)
		}
		if len(hosts) > 0 && takesHost(hosts, host) {
			steps = append(steps, NewStep(RuleUnmodelledIngress, Warned, refOf("networking.k8s.io", "Ingress", ing), host))
		}
	}
	return steps
}

// takesHost reports whether one of the hosts covers the name; no hosts take every name.
func takesHost(hosts []string, name string) bool {
	return len(hosts) == 0 || slices.ContainsFunc(hosts, func(h string) bool { return HostMatches(h, name) })
}
