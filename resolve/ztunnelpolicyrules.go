package resolve

// The rules of what ztunnel makes of AuthorizationPolicies and PeerAuthentications. What it has in common with an Envoy has the rules
// of these.
const (
	RuleZtunnelTargetRefs    RuleID = "ztunnelpolicy/target-refs"
	RuleZtunnelAction        RuleID = "ztunnelpolicy/action"
	RuleZtunnelDryRun        RuleID = "ztunnelpolicy/dry-run"
	RuleZtunnelEmptySelector RuleID = "ztunnelpolicy/empty-selector"
	RuleZtunnelNoLabels      RuleID = "ztunnelpolicy/no-labels"
	RuleZtunnelHTTPAllow     RuleID = "ztunnelpolicy/http-field-drops-allow-rule"
	RuleZtunnelHTTPLeftOut   RuleID = "ztunnelpolicy/http-field-left-out"
	RuleZtunnelNever         RuleID = "ztunnelpolicy/matches-nothing"
	RuleZtunnelTrustDomains  RuleID = "ztunnelpolicy/trust-domains"
	RuleZtunnelBadValue      RuleID = "ztunnelpolicy/bad-value"
	RuleZtunnelWaypointPeer  RuleID = "ztunnelpolicy/waypoint-is-the-peer"
	RuleZtunnelAllowWaypoint RuleID = "ztunnelpolicy/allow-waypoint"
	RuleZtunnelOnlyWaypoint  RuleID = "ztunnelpolicy/only-waypoint"
	RuleZtunnelTokens        RuleID = "ztunnelpolicy/request-authentication"

	RuleZtunnelHBONE           RuleID = "ztunnelpeerauthentication/hbone"
	RuleZtunnelStrict          RuleID = "ztunnelpeerauthentication/strict"
	RuleZtunnelPlaintext       RuleID = "ztunnelpeerauthentication/plaintext"
	RuleZtunnelRootSelector    RuleID = "ztunnelpeerauthentication/empty-selector"
	RuleZtunnelPortNotInEffect RuleID = "ztunnelpeerauthentication/port-not-in-effect"
	RuleZtunnelExceptionsLost  RuleID = "ztunnelpeerauthentication/exceptions-lost"
)

const (
	ztunnelConvertSource = "pilot/pkg/serviceregistry/ambient/authorization.go, convertAuthorizationPolicy"
	ztunnelRuleSource    = "pilot/pkg/serviceregistry/ambient/authorization.go, handleRule"
	ztunnelAttachSource  = "pilot/pkg/serviceregistry/ambient/workloads.go, buildWorkloadPolicies"
	ztunnelMatchSource   = "ztunnel: src/rbac.rs, Authorization::matches"
	ztunnelPeerSource    = "pilot/pkg/serviceregistry/ambient/authorization.go, convertedSelectorPeerAuthentications"
	ztunnelImpliedSource = "pilot/pkg/serviceregistry/ambient/policies.go, implicitWaypointPolicy"
	ztunnelConvertPeer   = "pilot/pkg/serviceregistry/ambient/authorization.go, convertPeerAuthentication"
)

var ztunnelPolicyRules = []Rule{
	{
		ID: RuleZtunnelTargetRefs, Stage: StageAuthorizationPolicy, Source: ztunnelConvertSource, Detail: true,
		Says:     "An AuthorizationPolicy with targetRefs is for waypoints and gateways; ztunnel does not get it.",
		Template: "targets %s: ztunnel does not have it, a waypoint or gateway enforces it",
	},
	{
		ID: RuleZtunnelAction, Stage: StageAuthorizationPolicy, Source: ztunnelConvertSource,
		Says:     "ztunnel gets AuthorizationPolicies of action ALLOW and DENY alone; CUSTOM and AUDIT need a waypoint, by targetRefs.",
		Template: "ztunnel does not have action %s: the policy has no effect here; it needs a waypoint, and targetRefs",
	},
	{
		ID: RuleZtunnelDryRun, Stage: StageAuthorizationPolicy, Source: ztunnelConvertSource,
		Says:     "ztunnel gets dry-run policies only where istiod has AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY.",
		Template: "ztunnel does not get dry-run policies: %s",
	},
	{
		ID: RuleZtunnelEmptySelector, Stage: StageAuthorizationPolicy, Source: ztunnelAttachSource,
		Says:     "For ztunnel an AuthorizationPolicy with an empty selector is attached to no workload; without one it is for the namespace.",
		Template: "the selector is there and empty: ztunnel attaches the policy to no workload, and so not to %s; without selector it is for the namespace",
	},
	{
		ID: RuleZtunnelNoLabels, Stage: StageAuthorizationPolicy, Source: ztunnelAttachSource + "; pkg/kube/krt/filter.go, Matches",
		Says:     "A workload without any label gets, at ztunnel, every AuthorizationPolicy of its namespace and of the root namespace that has a selector.",
		Template: "%s has no labels at all, so istiod attaches the policy for ztunnel whatever it selects",
	},
	{
		ID: RuleZtunnelHTTPAllow, Stage: StageAuthorizationPolicy, Source: ztunnelRuleSource,
		Says:     "An ALLOW rule with a field that needs HTTP is left out at ztunnel as a whole; the policy still counts, and denies what no other rule allows.",
		Template: "ztunnel does not see %s: the ALLOW rule is left out, and the policy allows that much less; it needs a waypoint",
	},
	{
		ID: RuleZtunnelHTTPLeftOut, Stage: StageAuthorizationPolicy, Source: ztunnelRuleSource,
		Says:     "Fields of a DENY rule that need HTTP are left out at ztunnel; what is left of its from, to and when is enforced, on more connections.",
		Template: "ztunnel does not see %s and leaves it out of the rule",
	},
	{
		ID: RuleZtunnelNever, Stage: StageAuthorizationPolicy, Source: ztunnelMatchSource,
		Says:     "Where ztunnel can see nothing of what a rule has under from, under to, or in a condition, the rule matches nothing.",
		Template: "%s has nothing left that ztunnel sees: the rule matches nothing and has no effect here; it needs a waypoint",
	},
	{
		ID: RuleZtunnelTrustDomains, Stage: StageAuthorizationPolicy, Source: ztunnelRuleSource,
		Says:     "ztunnel leaves trustDomains and notTrustDomains out of every rule; it takes connections of its own trust domain alone.",
		Template: "ztunnel leaves %s out of the rule",
	},
	{
		ID: RuleZtunnelBadValue, Stage: StageAuthorizationPolicy, Source: "pilot/pkg/serviceregistry/ambient/authorization.go, stringToIP, stringToPort",
		Says:     "An address or port that cannot be read is left out at ztunnel, whatever the action; where no other value is left the field asks for nothing.",
		Template: "%q cannot be read and is left out at ztunnel",
	},
	{
		ID: RuleZtunnelWaypointPeer, Stage: StageAuthorizationPolicy, Source: "ztunnel: src/proxy/inbound.rs, build_inbound_request",
		Says:     "The peer of a connection that came through a waypoint is the waypoint, not the client; a rule about the client belongs to the waypoint, by targetRefs.",
		Template: "the %s rule %s the client %s; the peer here is the waypoint %s, which it %s: with targetRefs the waypoint enforces the rule, and sees the client",
	},
	{
		ID: RuleZtunnelAllowWaypoint, Stage: StageAuthorizationPolicy, Source: ztunnelImpliedSource,
		Says:     "With PILOT_AUTO_ALLOW_WAYPOINT_POLICY istiod gives ztunnel an ALLOW policy for each waypoint of a workload and of its Services.",
		Template: "%s: the waypoint %s is allowed",
	},
	{
		ID: RuleZtunnelOnlyWaypoint, Stage: StageAuthorizationPolicy, Source: ztunnelImpliedSource,
		Says:     "With PILOT_AUTO_ALLOW_WAYPOINT_POLICY a workload that has a waypoint, and no ALLOW policy of its own, takes connections of its waypoints alone.",
		Template: "denied: by %s only the waypoints of %s are allowed",
	},
	{
		ID: RuleZtunnelTokens, Stage: StageRequestAuthentication, Source: "pilot/pkg/serviceregistry/ambient/policies.go, PolicyCollections",
		Says:     "ztunnel reads no tokens: a RequestAuthentication needs a waypoint, by targetRefs.",
		Template: "ztunnel reads no tokens: the RequestAuthentication has no effect here; it needs a waypoint, and targetRefs",
	},
}

var ztunnelPeerAuthenticationRules = []Rule{
	{
		ID: RuleZtunnelHBONE, Stage: StagePeerAuthentication, Source: "ztunnel: src/proxy/inbound.rs", Detail: true,
		Says:     "HBONE is mTLS; whatever the mode, ztunnel takes it.",
		Template: "it came by HBONE, which is mTLS: the mode does not matter",
	},
	{
		ID: RuleZtunnelStrict, Stage: StagePeerAuthentication, Source: ztunnelPeerSource,
		Says:     "Of mode STRICT ztunnel gets a DENY policy for whoever has no identity: plaintext is accepted and then closed.",
		Template: "mode %s: ztunnel closes plaintext (policy %s)",
	},
	{
		ID: RuleZtunnelPlaintext, Stage: StagePeerAuthentication, Source: ztunnelPeerSource,
		Says:     "At ztunnel modes PERMISSIVE and DISABLE are the same: plaintext may enter, and has no identity.",
		Template: "mode %s: ztunnel lets plaintext in; it has no identity",
	},
	{
		ID: RuleZtunnelRootSelector, Stage: StagePeerAuthentication, Source: "pilot/pkg/serviceregistry/ambient/workloads.go, fetchPeerAuthentications",
		Says:     "For ztunnel a PeerAuthentication with an empty selector in the root namespace is for the pods of that namespace alone.",
		Template: "the selector is there and empty: for ztunnel the PeerAuthentication is for namespace %s alone, not for %s",
	},
	{
		ID: RuleZtunnelPortNotInEffect, Stage: StagePeerAuthentication, Source: ztunnelPeerSource,
		Says:     "A port's mode DISABLE opens no port at ztunnel where the workload's PeerAuthentication has no mode of its own and inherits STRICT, unless another port is PERMISSIVE.",
		Template: "%s of port %d is not in effect at ztunnel: the PeerAuthentication has no mode of its own, and %s of the wider level stays",
	},
	{
		ID: RuleZtunnelExceptionsLost, Stage: StagePeerAuthentication, Source: ztunnelConvertPeer + "; ztunnel: src/state.rs, assert_rbac",
		Says:     "For portLevelMtls that it takes to be settled by wider levels, and that are not, istiod names a policy to ztunnel and makes none: every port then takes plaintext. So it is with a STRICT port of a PERMISSIVE or DISABLE workload under a STRICT mesh, and with a PERMISSIVE port under a namespace's PeerAuthentication that has no mode or an empty selector.",
		Template: "istiod gives the workload policy %s for its ports and makes no such policy: ztunnel lets plaintext in on every port",
	},
}
