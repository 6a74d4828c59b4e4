package resolve

// The rules of AuthorizationPolicy.
const (
	RuleAuthorizationNone           RuleID = "authorizationpolicy/none"
	RuleAuthorizationOtherLabels    RuleID = "authorizationpolicy/other-labels"
	RuleAuthorizationTargetRefs     RuleID = "authorizationpolicy/target-refs"
	RuleAuthorizationWaypoint       RuleID = "authorizationpolicy/waypoint-selector"
	RuleAuthorizationUnreadable     RuleID = "authorizationpolicy/unreadable"
	RuleAuthorizationUnknownKey     RuleID = "authorizationpolicy/unknown-key"
	RuleAuthorizationHTTPInTCPAllow RuleID = "authorizationpolicy/http-field-drops-allow-rule"
	RuleAuthorizationHTTPInTCP      RuleID = "authorizationpolicy/http-field-vanishes"
	RuleAuthorizationBadValueAllow  RuleID = "authorizationpolicy/bad-value-drops-allow-rule"
	RuleAuthorizationBadValue       RuleID = "authorizationpolicy/bad-value-vanishes"
	RuleAuthorizationUnknown        RuleID = "authorizationpolicy/not-known"
	RuleAuthorizationMissed         RuleID = "authorizationpolicy/rule-missed"
	RuleAuthorizationAudit          RuleID = "authorizationpolicy/audit"
	RuleAuthorizationDeny           RuleID = "authorizationpolicy/deny"
	RuleAuthorizationDenyNothing    RuleID = "authorizationpolicy/matches-nothing"
	RuleAuthorizationNoAllowPolicy  RuleID = "authorizationpolicy/no-allow-policy"
	RuleAuthorizationAllow          RuleID = "authorizationpolicy/allow"
	RuleAuthorizationAllowMissed    RuleID = "authorizationpolicy/allow-rule-missed"
	RuleAuthorizationAllowNothing   RuleID = "authorizationpolicy/allow-nothing"
	RuleAuthorizationNoAllowMatched RuleID = "authorizationpolicy/no-allow-matched"
	RuleAuthorizationAnySource      RuleID = "authorizationpolicy/any-source"
	RuleAuthorizationSplit          RuleID = "authorizationpolicy/from-or-to"
	RuleAuthorizationPathAsSent     RuleID = "authorizationpolicy/path-as-sent"
	RuleAuthorizationDryRunDeny     RuleID = "authorizationpolicy/dry-run-deny"
	RuleAuthorizationDryRunAllow    RuleID = "authorizationpolicy/dry-run-allow"
	RuleAuthorizationDryRunNone     RuleID = "authorizationpolicy/dry-run-no-match"

	RuleAuthorizationCustom          RuleID = "authorizationpolicy/custom"
	RuleAuthorizationCustomUnusable  RuleID = "authorizationpolicy/custom-unusable-provider"
	RuleAuthorizationCustomUnknown   RuleID = "authorizationpolicy/custom-provider-not-read"
	RuleAuthorizationCustomProviders RuleID = "authorizationpolicy/custom-several-providers"
	RuleAuthorizationCustomTCP       RuleID = "authorizationpolicy/custom-http-provider-on-tcp"
	RuleAuthorizationCustomService   RuleID = "authorizationpolicy/custom-service"
	RuleAuthorizationCustomDryRun    RuleID = "authorizationpolicy/custom-dry-run"
)

const (
	rbacModelSource   = "pilot/pkg/security/authz/model/model.go, checkError"
	rbacBuilderSource = "pilot/pkg/security/authz/builder/builder.go, build"
	rbacFilterSource  = "pilot/pkg/security/authz/builder/builder.go, buildHTTP, buildTCP"
	extAuthzSource    = "pilot/pkg/security/authz/builder/extauthz.go, processExtensionProvider, getExtAuthz"
	rbacEngineSource  = "Envoy: source/extensions/filters/common/rbac/engine_impl.cc"
)

var authorizationPolicyRules = []Rule{
	{
		ID: RuleAuthorizationNone, Stage: StageAuthorizationPolicy, Source: "pilot/pkg/security/authz/builder/builder.go, New",
		Says:     "Where no DENY and no ALLOW policy applies, everything is allowed.",
		Template: "no DENY or ALLOW policy applies to %s: everything is allowed",
	},
	{
		ID: RuleAuthorizationOtherLabels, Stage: StageAuthorizationPolicy, Source: attachSource, Detail: true,
		Says:     "An AuthorizationPolicy's selector must be a subset of the proxy's labels.",
		Template: "selects %s; %s is another workload",
	},
	{
		ID: RuleAuthorizationTargetRefs, Stage: StageAuthorizationPolicy, Source: attachSource, Detail: true,
		Says:     "targetRefs attach an AuthorizationPolicy to Gateway API gateways and waypoints only, by name, and to waypoints by the Service or ServiceEntry behind them; never to sidecars.",
		Template: "targets %s, which is not the proxy of %s",
	},
	{
		ID: RuleAuthorizationWaypoint, Stage: StageAuthorizationPolicy, Source: attachSource,
		Says:     "A waypoint takes no AuthorizationPolicy without targetRefs, whatever that selects.",
		Template: "has no targetRefs, and the waypoint %s takes only policies with targetRefs",
	},
	{
		ID: RuleAuthorizationUnreadable, Stage: StageAuthorizationPolicy, Source: "this tool",
		Says:     "An AuthorizationPolicy that could not be read may change the answer.",
		Template: "AuthorizationPolicies could not be read (%s); the answer may be another",
	},
	{
		ID: RuleAuthorizationUnknownKey, Stage: StageAuthorizationPolicy, Source: "pilot/pkg/security/authz/model/model.go, New",
		Says:     "A rule with a key under when that Istio does not know is left out, whatever the action.",
		Template: "the rule is left out: Istio knows no condition %q",
	},
	{
		ID: RuleAuthorizationHTTPInTCPAllow, Stage: StageAuthorizationPolicy, Source: rbacModelSource,
		Says:     "On a TCP port an ALLOW rule with any HTTP attribute is left out as a whole; the policy still counts.",
		Template: "the rule is left out on this TCP port: %s needs HTTP",
	},
	{
		ID: RuleAuthorizationHTTPInTCP, Stage: StageAuthorizationPolicy, Source: rbacModelSource,
		Says:     "On a TCP port HTTP attributes of DENY, AUDIT and CUSTOM rules vanish; what is left is enforced, on more connections.",
		Template: "%s needs HTTP and vanishes on this TCP port: the rest of the rule matches more than it says",
	},
	{
		ID: RuleAuthorizationBadValueAllow, Stage: StageAuthorizationPolicy, Source: rbacModelSource,
		Says:     "A value that does not parse takes its ALLOW rule with it.",
		Template: "the rule is left out: %q cannot be read",
	},
	{
		ID: RuleAuthorizationBadValue, Stage: StageAuthorizationPolicy, Source: rbacModelSource,
		Says:     "A value that does not parse is left out of DENY, AUDIT and CUSTOM rules; where no other is left the field asks for nothing.",
		Template: "%q cannot be read and is left out: the rule matches more than it says",
	},
	{
		ID: RuleAuthorizationUnknown, Stage: StageAuthorizationPolicy, Source: "this tool",
		Says:     "A condition on something that resources do not tell leaves a rule undecided.",
		Template: "%s cannot be decided: %s is %s",
	},
	{
		ID: RuleAuthorizationMissed, Stage: StageAuthorizationPolicy, Source: rbacEngineSource, Detail: true,
		Says:     "A rule matches where any from, any to and all of when hold.",
		Template: "%s does not match: %s is %s",
	},
	{
		ID: RuleAuthorizationAudit, Stage: StageAuthorizationPolicy, Source: rbacBuilderSource, Detail: true,
		Says:     "AUDIT marks the request for the access log; it neither allows nor denies.",
		Template: "marks the request for auditing: %s",
	},
	{
		ID: RuleAuthorizationDeny, Stage: StageAuthorizationPolicy, Source: rbacBuilderSource,
		Says:     "A DENY rule that matches denies, before any ALLOW rule is looked at.",
		Template: "DENY matches: %s",
	},
	{
		ID: RuleAuthorizationDenyNothing, Stage: StageAuthorizationPolicy, Source: rbacBuilderSource, Detail: true,
		Says:     "A policy without rules matches nothing: a DENY, AUDIT or CUSTOM one has no effect.",
		Template: "%s policy without rules: matches nothing",
	},
	{
		ID: RuleAuthorizationNoAllowPolicy, Stage: StageAuthorizationPolicy, Source: rbacBuilderSource,
		Says:     "Where no ALLOW policy applies, what no DENY rule matches is allowed.",
		Template: "no ALLOW policy applies to %s, and no DENY rule matches: allowed",
	},
	{
		ID: RuleAuthorizationAllow, Stage: StageAuthorizationPolicy, Source: rbacBuilderSource,
		Says:     "One ALLOW rule that matches is enough.",
		Template: "ALLOW matches: %s",
	},
	{
		ID: RuleAuthorizationAllowMissed, Stage: StageAuthorizationPolicy, Source: rbacEngineSource,
		Says:     "An ALLOW rule that does not match, where none did: the clause that failed.",
		Template: "%s does not match: %s is %s",
	},
	{
		ID: RuleAuthorizationAllowNothing, Stage: StageAuthorizationPolicy, Source: rbacBuilderSource,
		Says:     "An ALLOW policy without rules allows nothing, and turns deny-by-default on.",
		Template: "ALLOW policy without rules: allows nothing",
	},
	{
		ID: RuleAuthorizationNoAllowMatched, Stage: StageAuthorizationPolicy, Source: rbacBuilderSource,
		Says:     "Where ALLOW policies apply and no rule of theirs matches, the request is denied.",
		Template: "denied: ALLOW policies apply to %s (%s) and no rule of them matches%s",
	},
	{
		ID: RuleAuthorizationAnySource, Stage: StageAuthorizationPolicy, Source: "pilot/pkg/security/authz/model/model.go, New", Detail: true,
		Says:     "A rule without from matches any source; from and to in two list items are two rules, of which either is enough.",
		Template: "the rule has no from: any source matches, with or without mTLS",
	},
	{
		ID: RuleAuthorizationSplit, Stage: StageAuthorizationPolicy, Source: "pilot/pkg/security/authz/model/model.go, New",
		Says:     "A list item with from alone and the next with to alone are two rules: either is enough.",
		Template: "spec.rules[%d] has only from and spec.rules[%d] only to: either is enough; one list item with both asks for both",
	},
	{
		ID: RuleAuthorizationPathAsSent, Stage: StageAuthorizationPolicy, Source: rbacFilterSource + "; pilot/pkg/networking/core/listener_builder.go, buildHTTPConnectionManager",
		Says:     "Paths are compared as Envoy normalizes them, by the mesh's pathNormalization and no further.",
		Template: "the rule is for %s and does not match %s, which the mesh's pathNormalization leaves as it is",
	},
	{
		ID: RuleAuthorizationDryRunDeny, Stage: StageAuthorizationPolicy, Source: rbacFilterSource,
		Says:     "A dry-run DENY policy is evaluated and logged, and decides nothing.",
		Template: "dry-run: would deny: %s",
	},
	{
		ID: RuleAuthorizationDryRunAllow, Stage: StageAuthorizationPolicy, Source: rbacFilterSource,
		Says:     "A dry-run ALLOW policy is evaluated and logged, and does not turn deny-by-default on.",
		Template: "dry-run: would allow: %s",
	},
	{
		ID: RuleAuthorizationDryRunNone, Stage: StageAuthorizationPolicy, Source: rbacFilterSource,
		Says:     "Where no rule of the dry-run policies matches, that is logged; a dry-run ALLOW policy would then have denied.",
		Template: "dry-run %s: no rule matches",
	},
	{
		ID: RuleAuthorizationCustom, Stage: StageAuthorizationPolicy, Source: rbacFilterSource,
		Says:     "Where a CUSTOM rule matches, the external authorizer is asked, before JWT authentication and every other policy.",
		Template: "external authorizer %q (%s) is asked: %s",
	},
	{
		ID: RuleAuthorizationCustomService, Stage: StageAuthorizationPolicy, Source: extAuthzSource, Detail: true,
		Says:     "The service of an external authorizer must be one of the mesh.",
		Template: "is the service of external authorizer %q",
	},
	{
		ID: RuleAuthorizationCustomUnusable, Stage: StageAuthorizationPolicy, Source: extAuthzSource,
		Says:     "Where the provider of a CUSTOM policy cannot be used, what its rules match is denied.",
		Template: "provider %q %s, so what the CUSTOM rule matches is denied: %s",
	},
	{
		ID: RuleAuthorizationCustomUnknown, Stage: StageAuthorizationPolicy, Source: "this tool",
		Says:     "Services that could not be read may hold the service of an external authorizer.",
		Template: "the service of provider %q was not found, and services could not be read (%s)",
	},
	{
		ID: RuleAuthorizationCustomProviders, Stage: StageAuthorizationPolicy, Source: rbacFilterSource,
		Says:     "CUSTOM policies of more than one provider on a workload deny what they match, unless PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS is set.",
		Template: "CUSTOM policies of several providers (%s) apply to one workload, so what they match is denied: %s",
	},
	{
		ID: RuleAuthorizationCustomTCP, Stage: StageAuthorizationPolicy, Source: rbacFilterSource,
		Says:     "On a TCP port a CUSTOM policy with an HTTP provider is left out: it protects nothing there.",
		Template: "provider %q speaks HTTP and is not asked on this TCP port: no protection here",
	},
	{
		ID: RuleAuthorizationCustomDryRun, Stage: StageAuthorizationPolicy, Source: rbacFilterSource,
		Says:     "istiod gives a dry-run CUSTOM policy (which the webhook refuses) to Envoy as DENY rules in force.",
		Template: "dry-run does not exist for CUSTOM: istiod makes a DENY of it, which matches: %s",
	},
}
