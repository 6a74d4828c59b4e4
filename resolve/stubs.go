package resolve

type (
	workloadIndex        struct{}
	serviceIndex         struct{}
	scopeCache           struct{}
	gatewayCache         struct{}
	destinationRuleIndex struct{}
	policyIndex          struct{}
)

func indexWorkloads(*Snapshot) *workloadIndex               { return nil }
func indexServices(*Snapshot) *serviceIndex                 { return nil }
func prepareVirtualServices(*Snapshot) []*VirtualService    { return nil }
func indexDestinationRules(*Snapshot) *destinationRuleIndex { return nil }
func indexPolicies(*Snapshot) *policyIndex                  { return nil }

var (
	virtualServiceRules        []Rule
	delegateRules              []Rule
	routeRules                 []Rule
	routeActionRules           []Rule
	gatewayRules               []Rule
	destinationRuleRules       []Rule
	clusterRules               []Rule
	endpointRules              []Rule
	clientTLSRules             []Rule
	peerAuthenticationRules    []Rule
	requestAuthenticationRules []Rule
	authorizationPolicyRules   []Rule
	workloadRules              []Rule
	injectionRules             []Rule
	serviceRules               []Rule
	sidecarRules               []Rule
	listenerRules              []Rule
	virtualHostRules           []Rule
	inboundRules               []Rule
	dnsRules                   []Rule
	captureRules               []Rule
	walkRules                  []Rule
	extensionRules             []Rule
)
