package resolve

// The rules of RequestAuthentication.
const (
	RuleRequestAuthenticationNone        RuleID = "requestauthentication/none"
	RuleRequestAuthenticationPreflight   RuleID = "requestauthentication/cors-preflight"
	RuleRequestAuthenticationNoToken     RuleID = "requestauthentication/no-token"
	RuleRequestAuthenticationLocation    RuleID = "requestauthentication/other-location"
	RuleRequestAuthenticationUndecoded   RuleID = "requestauthentication/not-decoded"
	RuleRequestAuthenticationExpired     RuleID = "requestauthentication/never-valid"
	RuleRequestAuthenticationIssuer      RuleID = "requestauthentication/issuer"
	RuleRequestAuthenticationAudience    RuleID = "requestauthentication/audience"
	RuleRequestAuthenticationAccepted    RuleID = "requestauthentication/accepted"
	RuleRequestAuthenticationRefused     RuleID = "requestauthentication/refused"
	RuleRequestAuthenticationTime        RuleID = "requestauthentication/time-not-checked"
	RuleRequestAuthenticationKeys        RuleID = "requestauthentication/keys-fetched"
	RuleRequestAuthenticationConsumed    RuleID = "requestauthentication/token-removed"
	RuleRequestAuthenticationPartly      RuleID = "requestauthentication/partly-good"
	RuleRequestAuthenticationCleared     RuleID = "requestauthentication/header-cleared"
	RuleRequestAuthenticationOtherLabels RuleID = "requestauthentication/other-labels"
	RuleRequestAuthenticationTargetRefs  RuleID = "requestauthentication/target-refs"
	RuleRequestAuthenticationWaypoint    RuleID = "requestauthentication/waypoint-selector"
	RuleRequestAuthenticationUnreadable  RuleID = "requestauthentication/unreadable"
)

const (
	jwtConfigSource = "pilot/pkg/security/authn/policy_applier.go, convertToEnvoyJwtConfig"
	jwtFilterSource = "Envoy: source/extensions/filters/http/jwt_authn/authenticator.cc, verifier.cc"
	attachSource    = "pilot/pkg/model/policyattachment.go, ShouldAttachPolicy"
)

var requestAuthenticationRules = []Rule{
	{
		ID: RuleRequestAuthenticationNone, Stage: StageRequestAuthentication, Detail: true, Source: "pilot/pkg/security/authn/policy_applier.go, JwtFilter",
		Says:     "Where no RequestAuthentication applies, tokens are not looked at and no claim is known.",
		Template: "no RequestAuthentication applies to %s: tokens are not looked at and no claim is known",
	},
	{
		ID: RuleRequestAuthenticationPreflight, Stage: StageRequestAuthentication, Source: jwtConfigSource,
		Says:     "CORS preflight requests pass without a look at their tokens; AuthorizationPolicies still apply.",
		Template: "a CORS preflight passes without a look at its token",
	},
	{
		ID: RuleRequestAuthenticationNoToken, Stage: StageRequestAuthentication, Source: jwtConfigSource,
		Says:     "A RequestAuthentication never requires a token: a request without one passes, with no principal.",
		Template: "no token at the places the RequestAuthentications read: passes, with no request principal",
	},
	{
		ID: RuleRequestAuthenticationLocation, Stage: StageRequestAuthentication, Source: jwtConfigSource,
		Says:     "A rule that names fromHeaders, fromParams or fromCookies reads only those; Authorization is then not read.",
		Template: "reads tokens from %s only, not from Authorization: Bearer",
	},
	{
		ID: RuleRequestAuthenticationUndecoded, Stage: StageRequestAuthentication, Source: "Envoy: source/extensions/filters/http/jwt_authn/extractor.cc; jwt_verify_lib, jwt.cc",
		Says:     "What stands in a place that a rule reads is taken for a token, a prefix that the rule does not name included; if it cannot be decoded, 401.",
		Template: "%s holds no token that can be decoded%s",
	},
	{
		ID: RuleRequestAuthenticationExpired, Stage: StageRequestAuthentication, Source: "Envoy jwt_verify_lib, jwt.cc, verifyTimeConstraint",
		Says:     "A token that expires before it begins, or before it was made, is never valid; 401.",
		Template: "the token is never valid: %s",
	},
	{
		ID: RuleRequestAuthenticationIssuer, Stage: StageRequestAuthentication, Source: jwtFilterSource,
		Says:     "The token's iss must equal the rule's issuer, if it has one; else 401.",
		Template: "issuer %q is not the token's %q",
	},
	{
		ID: RuleRequestAuthenticationAudience, Stage: StageRequestAuthentication, Source: jwtFilterSource,
		Says:     "Where a rule lists audiences, the token's aud must hold one of them; else 403.",
		Template: "the token's audience %s is not among %s",
	},
	{
		ID: RuleRequestAuthenticationAccepted, Stage: StageRequestAuthentication, Source: jwtConfigSource,
		Says:     "One rule that accepts the token is enough, whatever the others say.",
		Template: "token of issuer %q accepted; request principal %s",
	},
	{
		ID: RuleRequestAuthenticationRefused, Stage: StageRequestAuthentication, Source: jwtConfigSource,
		Says:     "A token that is there and that no rule accepts is refused: 403 for a wrong audience, else 401.",
		Template: "%d: %s",
	},
	{
		ID: RuleRequestAuthenticationTime, Stage: StageRequestAuthentication, Source: "this tool",
		Says:     "exp and nbf are not compared with a clock, so that the same input gives the same answer.",
		Template: "the token's %s is %s; it is taken as valid now",
	},
	{
		ID: RuleRequestAuthenticationKeys, Stage: StageRequestAuthentication, Source: "pilot/pkg/model/jwks_resolver.go, BuildLocalJwks",
		Says:     "Keys that a rule does not hold itself are fetched by istiod; where it cannot, it puts a key in their place that nobody can sign with: every token is answered with 401, and requests without one pass.",
		Template: "the token is taken as signed by a key from %s: should istiod not be able to fetch it, every token is answered with 401",
	},
	{
		ID: RuleRequestAuthenticationConsumed, Stage: StageRequestAuthentication, Source: jwtFilterSource, Detail: true,
		Says:     "An accepted token is removed from the request unless forwardOriginalToken is set.",
		Template: "forwardOriginalToken is not set: the token is removed, the next hop sees none",
	},
	{
		ID: RuleRequestAuthenticationPartly, Stage: StageRequestAuthentication, Source: jwtFilterSource,
		Says:     "A good token is taken, and writes its headers, even where another token of the same rule is not good; the next rule does not find it any more.",
		Template: "%s is good and taken before another of the rule's tokens is found not to be",
	},
	{
		ID: RuleRequestAuthenticationCleared, Stage: StageRequestAuthentication, Source: "Envoy: source/extensions/filters/http/jwt_authn/extractor.h, sanitizeHeaders",
		Says:     "A header that outputClaimToHeaders or outputPayloadToHeader writes to is taken off the request first, with or without a token: no client can forge it.",
		Template: "header %s is for what the token says: the client's own is removed",
	},
	{
		ID: RuleRequestAuthenticationOtherLabels, Stage: StageRequestAuthentication, Source: attachSource, Detail: true,
		Says:     "A RequestAuthentication's selector must be a subset of the proxy's labels.",
		Template: "selects %s; %s is another workload",
	},
	{
		ID: RuleRequestAuthenticationTargetRefs, Stage: StageRequestAuthentication, Source: attachSource, Detail: true,
		Says:     "targetRefs attach a RequestAuthentication to Gateway API gateways and waypoints only, by name, and to waypoints by the Service or ServiceEntry behind them.",
		Template: "targets %s, which is not the proxy of %s",
	},
	{
		ID: RuleRequestAuthenticationWaypoint, Stage: StageRequestAuthentication, Source: attachSource,
		Says:     "A waypoint takes no RequestAuthentication without targetRefs, whatever that selects.",
		Template: "has no targetRefs, and the waypoint %s takes only policies with targetRefs",
	},
	{
		ID: RuleRequestAuthenticationUnreadable, Stage: StageRequestAuthentication, Source: "this tool",
		Says:     "A RequestAuthentication that could not be read may change the answer.",
		Template: "RequestAuthentications could not be read (%s); the answer may be another",
	},
}
