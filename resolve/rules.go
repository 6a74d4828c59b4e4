package resolve

import (
	"cmp"
	"fmt"
	"slices"
)

// RuleID is the stable id of one sentence of Istio's behaviour, "concept/rule".
// It stands in the JSON of every step; ids are never reused for something else.
type RuleID string

// Rule is one sentence of Istio's behaviour.
type Rule struct {
	ID RuleID
	// Stage is where on a hop the rule decides.
	Stage Stage
	// Says is the rule in one sentence, for docs/rules.md.
	Says string
	// Template makes a step's reason from its facts (fmt verbs, in the order of Step.Args).
	Template string
	// Source is the function of Istio's (or Envoy's) source or document the rule was read from.
	Source string
	// Detail marks rules whose steps are shown only with --explain full.
	Detail bool
}

// Rules returns every rule, ordered by id.
func Rules() []Rule { return slices.Clone(rules) }

// LookupRule returns the rule with that id. An id that is not listed gives a
// rule that shows the id itself, so that a slip is visible and not fatal.
func LookupRule(id RuleID) Rule {
	i, ok := ruleIndex[id]
	if !ok {
		return Rule{ID: id, Template: fmt.Sprintf("unlisted rule %s", id)}
	}
	return rules[i]
}

// rules is the closed list. Each concept's file declares its own part beside
// the code that follows it.
var rules = slices.SortedFunc(slices.Values(slices.Concat(
	virtualServiceRules,
	delegateRules,
	routeRules,
	routeActionRules,
	gatewayRules,
	kubeGatewayRules, routeAttachmentRules, kubeBackendRules, kubeRouteWhyRules, kubePublishedRules, leaderRules, kubeInertRules, inferencePoolRules, featureRules, backendPolicyRules, ingressRules, referenceGrantRules,
	destinationRuleRules,
	clusterRules, clusterCrashRules,
	endpointRules,
	workloadGroupRules,
	listenerUnsettledRules,
	clientTLSRules, trustRules, rootCertificateRules,
	credentialRules, configMapRules,
	serverIdentityRules,
	peerAuthenticationRules,
	requestAuthenticationRules,
	authorizationPolicyRules, ztunnelPolicyRules, ztunnelPeerAuthenticationRules,
	workloadRules,
	injectionRules,
	injectorRules,
	sidecarRules,
	listenerRules, podListenerRules, egressBindRules, egressProxyRules,
	serviceEntryVisibilityRules,
	ownPortRules,
	virtualHostRules,
	inboundRules,
	dnsRules,
	captureRules, ownAddressRules,
	networkRules, networkReachRules, meshClusterRules, serviceScopeRules, eastWestRules,
	ambientRules, waypointRules, waypointKindRules, waypointPastRules, waypointRouteRules, waypointClusterRules, waypointPortRules, hboneRules, ztunnelHopRules,
	walkRules,
	cleaningRules,
	grpcRules,
	extensionRules, envoyFilterRules,
	gapRules,
	hiddenRules,
	resilienceRules, replicaRules, telemetryRules, proxySettingRules,
)), func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })

// ruleIndex is where each rule is: every step asks for its own.
var ruleIndex = func() map[RuleID]int {
	index := make(map[RuleID]int, len(rules))
	for i, r := range rules {
		index[r.ID] = i
	}
	return index
}()
