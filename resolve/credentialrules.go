package resolve

// Rules of the certificates that a credentialName names.
const (
	RuleCredentialThere        RuleID = "credential/there"
	RuleCredentialAssumed      RuleID = "credential/not-among-manifests"
	RuleCredentialUnread       RuleID = "credential/not-read"
	RuleCredentialAuthority    RuleID = "credential/authority"
	RuleCredentialAbsent       RuleID = "credential/absent"
	RuleCredentialElsewhere    RuleID = "credential/elsewhere"
	RuleCredentialKept         RuleID = "credential/kept"
	RuleCredentialType         RuleID = "credential/type"
	RuleCredentialNone         RuleID = "credential/no-certificate"
	RuleCredentialNamespace    RuleID = "credential/other-namespace"
	RuleCredentialGatewayApart RuleID = "credential/gateway-of-other-namespace"
	RuleCredentialOptional     RuleID = "credential/optional-mutual"
	RuleCredentialGrant        RuleID = "credential/for-gateways"
	RuleCredentialNotGranted   RuleID = "credential/not-granted"
	RuleCredentialAuthorized   RuleID = "credential/service-account"
)

// awaited is what becomes of a connection for which Envoy has no certificate.
const awaited = "Envoy waits 15 seconds for it, then closes every connection that needs it"

var credentialRules = []Rule{
	{
		ID: RuleCredentialThere, Stage: StageTLS, Detail: true,
		Says:     "Of a Secret its existence and its type are read, never what is in it: its certificate is taken to be right.",
		Template: "Secret %s is there, type %s; what is in it is not read",
		Source:   "pilot/pkg/credentials/kube/secrets.go, GetCertInfo",
	},
	{
		ID: RuleCredentialAssumed, Stage: StageTLS, Detail: true,
		Says:     "Manifests seldom hold Secrets: one that they leave out is taken to be there, unless they have one of that name for another namespace.",
		Template: "Secret %s is not among the manifests: taken to be there",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleCredentialUnread, Stage: StageTLS,
		Says:     "A Secret that may not or cannot be asked for is taken to be there, and the outcome behind it is assumed.",
		Template: "%s could not be asked for (%s: %s): taken to be there",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleCredentialAuthority, Stage: StageTLS, Detail: true,
		Says:     "The authority by which the other side's certificate is judged is that of the Secret NAME-cacert, and without one that of the Secret NAME.",
		Template: "the other side's certificate is judged by the authority in %s",
		Source:   "pilot/pkg/credentials/kube/secrets.go, GetCaCert",
	},
	{
		ID: RuleCredentialAbsent, Stage: StageTLS,
		Says:     "A proxy that gets no certificate for a credentialName waits 15 seconds for it, then serves all the same and closes every connection that needs it.",
		Template: "there is no Secret %s in namespace %s, that of %s%s: " + awaited,
		Source:   "pilot/pkg/xds/sds.go, generate; Envoy, Secret discovery service (SDS); core.v3.ConfigSource, initial_fetch_timeout",
	},
	{
		ID: RuleCredentialElsewhere, Stage: StageTLS,
		Says:     "A Secret of another namespace counts for nothing, wherever the Gateway or DestinationRule is that names it.",
		Template: "Secret %s has the name, and is of another namespace",
		Source:   "pilot/pkg/model/credentials/resource.go, ParseResourceName",
	},
	{
		ID: RuleCredentialKept, Stage: StageTLS,
		Says:     "A proxy keeps the certificate of a Secret that is deleted until it restarts.",
		Template: "%s is not there; a proxy that got it before it was deleted is taken to have restarted since",
		Source:   "pilot/pkg/xds/sds.go, generate; Envoy, Secret discovery service (SDS)",
	},
	{
		ID: RuleCredentialType, Stage: StageTLS,
		Says:     "istiod sees no Secrets of Helm releases and of service account tokens.",
		Template: "Secret %s is of type %s, which istiod does not read: " + awaited,
		Source:   "pilot/pkg/credentials/kube/secrets.go, SecretsFieldSelector",
	},
	{
		ID: RuleCredentialNone, Stage: StageTLS,
		Says:     "A credentialName that ends in -cacert or names a ConfigMap gives an authority, and no certificate and key.",
		Template: "credentialName is %s, %s: " + awaited,
		Source:   "pilot/pkg/xds/sds.go, generate",
	},
	{
		ID: RuleCredentialNamespace, Stage: StageTLS,
		Says:     "istiod gives a proxy Secrets of its own namespace alone, whatever namespace kubernetes://NAMESPACE/NAME says.",
		Template: "credentialName %s is a Secret of namespace %s, and istiod gives this proxy those of its own namespace %s alone: " + awaited,
		Source:   "pilot/pkg/xds/sds.go, filterAuthorizedResources",
	},
	{
		ID: RuleCredentialNotGranted, Stage: StageTLS,
		Says:     "A Secret of another namespace by kubernetes-gateway:// needs a ReferenceGrant there that lets Gateways of the gateway's namespace use it.",
		Template: "credentialName %s: no ReferenceGrant in namespace %s lets Gateways of namespace %s use it",
		Source:   "pilot/pkg/model/gateway.go, mergeGateways",
	},
	{
		ID: RuleCredentialGatewayApart, Stage: StageTLS,
		Says:     "A Secret by kubernetes-gateway:// is for Gateways of the gateway workload's own namespace.",
		Template: "credentialName %s: a Gateway of namespace %s gets nothing by that name for a gateway of namespace %s",
		Source:   "pilot/pkg/model/gateway.go, mergeGateways (identityVerified)",
	},
	{
		ID: RuleCredentialOptional, Stage: StageTLS,
		Says:     "Of a Secret by kubernetes-gateway:// istiod gives a gateway the authority of its clients with mode MUTUAL alone; with OPTIONAL_MUTUAL it never comes.",
		Template: "the authority of %s is given with MUTUAL, not with OPTIONAL_MUTUAL: the gateway waits for it in vain",
		Source:   "pilot/pkg/model/gateway.go, mergeGateways (VerifiedCertificateReferences)",
	},
	{
		ID: RuleCredentialGrant, Stage: StageTLS,
		Says:     "Secrets by kubernetes-gateway:// are for Gateways; what a DestinationRule gets of one is not known.",
		Template: "credentialName %s is a Secret for Gateways: whether the proxy gets it is not known",
		Source:   "pilot/pkg/model/gateway.go, mergeGateways; pilot/pkg/xds/sds.go, filterAuthorizedResources",
	},
	{
		ID: RuleCredentialAuthorized, Stage: StageTLS,
		Says:     "istiod gives a certificate and key only to a proxy whose service account may list the Secrets of its namespace. Gateways are installed so; a sidecar's is taken to.",
		Template: "istiod gives Secret %s only if ServiceAccount %s may list the Secrets of namespace %s: taken to be so",
		Source:   "pilot/pkg/xds/sds.go, filterAuthorizedResources; pilot/pkg/credentials/kube/secrets.go, Authorize",
	},
}
