package resolve

// Rules of the injection webhook.
const (
	RuleInjectionHostNetwork       RuleID = "injection/host-network"
	RuleInjectionSystemNamespace   RuleID = "injection/system-namespace"
	RuleInjectionPodDisabled       RuleID = "injection/pod-disabled"
	RuleInjectionNamespaceEnabled  RuleID = "injection/namespace-enabled"
	RuleInjectionNamespaceDisabled RuleID = "injection/namespace-disabled"
	RuleInjectionNamespaceRevision RuleID = "injection/namespace-revision"
	RuleInjectionPodRevision       RuleID = "injection/pod-revision"
	RuleInjectionPodEnabled        RuleID = "injection/pod-enabled"
	RuleInjectionByDefault         RuleID = "injection/by-default"
	RuleInjectionNotAsked          RuleID = "injection/not-asked"
	RuleInjectionUnknownRevision   RuleID = "injection/unknown-revision"
	RuleInjectionUnknownNamespace  RuleID = "injection/unknown-namespace"
	RuleInjectionAssumed           RuleID = "injection/assumed"
	RuleInjectionGateway           RuleID = "injection/gateway-template"
	RuleInjectionOtherTemplate     RuleID = "injection/other-template"
	RuleInjectionAmbient           RuleID = "injection/ambient"
)

const (
	webhookSource        = "manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml"
	injectRequiredSource = "pkg/kube/inject/inject.go, injectRequired"
)

var injectionRules = []Rule{
	{
		ID: RuleInjectionHostNetwork, Stage: StageCapture, Source: injectRequiredSource,
		Says:     "A pod on the host network gets no sidecar.",
		Template: "no sidecar: the pod is on the host network",
	},
	{
		ID: RuleInjectionSystemNamespace, Stage: StageCapture, Source: injectRequiredSource,
		Says:     "Pods of Kubernetes' own namespaces get no sidecar.",
		Template: "no sidecar: Istio never injects in namespace %s",
	},
	{
		ID: RuleInjectionPodDisabled, Stage: StageCapture, Source: injectRequiredSource,
		Says:     "sidecar.istio.io/inject: \"false\" on the pod, as a label or, without the label, as an annotation, keeps the sidecar away.",
		Template: "no sidecar: the pod has the %s sidecar.istio.io/inject: \"false\"",
	},
	{
		ID: RuleInjectionNamespaceEnabled, Stage: StageCapture, Source: webhookSource, Detail: true,
		Says:     "In a namespace with istio-injection=enabled every pod is injected by the default revision; istio.io/rev does not count.",
		Template: "sidecar injected: namespace %s has istio-injection=enabled",
	},
	{
		ID: RuleInjectionNamespaceDisabled, Stage: StageCapture, Source: webhookSource,
		Says:     "In a namespace with istio-injection of any value but enabled no pod is injected, whatever its labels say.",
		Template: "no sidecar: namespace %s has istio-injection=%s",
	},
	{
		ID: RuleInjectionNamespaceRevision, Stage: StageCapture, Source: webhookSource,
		Says:     "In a namespace with istio.io/rev=R and no istio-injection every pod is injected by R.",
		Template: "sidecar injected: namespace %s has istio.io/rev=%s",
	},
	{
		ID: RuleInjectionPodRevision, Stage: StageCapture, Source: webhookSource,
		Says:     "In a namespace without injection labels a pod with istio.io/rev=R is injected by R.",
		Template: "sidecar injected: the pod has the label istio.io/rev=%s",
	},
	{
		ID: RuleInjectionPodEnabled, Stage: StageCapture, Source: webhookSource,
		Says:     "In a namespace without injection labels a pod with the label sidecar.istio.io/inject: \"true\" is injected by the default revision.",
		Template: "sidecar injected: the pod has the label sidecar.istio.io/inject: \"true\"",
	},
	{
		ID: RuleInjectionByDefault, Stage: StageCapture, Source: webhookSource,
		Says:     "An injector installed with enableNamespacesByDefault takes the pods of namespaces without injection labels, too.",
		Template: "sidecar injected: the injector takes namespaces by default, and %s does not opt out",
	},
	{
		ID: RuleInjectionNotAsked, Stage: StageCapture, Source: webhookSource,
		Says:     "Without injection labels on namespace and pod nothing is injected; the annotation sidecar.istio.io/inject: \"true\" alone does not ask for it.",
		Template: "no sidecar: neither namespace %s nor the pod asks for injection",
	},
	{
		ID: RuleInjectionUnknownRevision, Stage: StageCapture, Source: webhookSource,
		Says:     "A revision or tag that no injector has injects nothing.",
		Template: "no sidecar: it asks for revision %q, and no injector of that name or tag takes it",
	},
	{
		ID: RuleInjectionUnknownNamespace, Stage: StageCapture, Source: webhookSource,
		Says:     "Where the Namespace is not loaded and nothing shows that it is in a mesh, its pods are taken to be without sidecars.",
		Template: "no sidecar: namespace %s %s, and nothing asks for injection",
	},
	{
		ID: RuleInjectionAssumed, Stage: StageCapture, Source: webhookSource,
		Says:     "Where the Namespace is not loaded and there are resources of Istio, it is assumed to have istio-injection=enabled.",
		Template: "namespace %s %s; assumed istio-injection=enabled",
	},
	{
		ID: RuleInjectionGateway, Stage: StageCapture, Source: "pkg/kube/inject/inject.go, selectTemplates",
		Says:     "The gateway template makes the pod a gateway.",
		Template: "gateway injected: the pod has the annotation inject.istio.io/templates: gateway",
	},
	{
		ID: RuleInjectionOtherTemplate, Stage: StageCapture, Source: "pkg/kube/inject/inject.go, selectTemplates",
		Says:     "What a template other than sidecar and gateway injects is not modelled; the pod is taken to capture nothing.",
		Template: "injection template %q is not modelled; assumed that it captures no traffic",
	},
	{
		ID: RuleInjectionAmbient, Stage: StageCapture, Source: "cni/pkg/util/enablement_selector.go, Matches",
		Says:     "A pod without a sidecar is captured by ztunnel if it or its namespace has istio.io/dataplane-mode: ambient and it does not say none.",
		Template: "captured by ztunnel: the %s has istio.io/dataplane-mode=ambient",
	},
}
