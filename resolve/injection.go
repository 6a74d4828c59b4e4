package resolve

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// PodTemplate is a pod as it is sent to the API server: what Istio's webhook is asked about.
type PodTemplate struct {
	// Ref is the resource; its Field is where the pod stands in it (spec.template; empty for a Pod).
	Ref                 Ref
	Namespace           string
	Labels, Annotations map[string]string
	HostNetwork         bool
	Containers          []corev1.Container
	// relabelled are labels of the namespace over those that it has.
	relabelled map[string]string
}

// field is a Ref to a field of the pod.
func (t PodTemplate) field(path string) Ref {
	if t.Ref.Field != "" {
		path = t.Ref.Field + "." + path
	}
	return t.Ref.At(path)
}

// Injection is what becomes of a pod at its creation.
type Injection struct {
	Dataplane Dataplane
	Step      Step
	// Template is the injection template that is applied: sidecar or gateway; empty for none.
	Template string
	// Injector says which webhook is asked, or why none is; it has no Rule where no webhooks were read.
	Injector Step
	// Assumed is set where the namespace's labels are not known and decide.
	Assumed bool
}

// Injection predicts what a pod that is created runs.
//
//  1. A pod whose istio-proxy is already filled in runs that.
//
//  2. Vetoes: a pod on the host network and pods of Kubernetes' own namespaces get no sidecar.
//     Nor does a pod with the label sidecar.istio.io/inject: "false", or with the annotation of that name where there is no such label.
//
//  3. The webhook is asked for by the labels of namespace and pod (webhookAsked):
//
//     namespace                    pod                                   injected
//     istio-injection=enabled      –                                     yes, by the default revision, whatever istio.io/rev says
//     istio-injection=other        –                                     no
//     istio.io/rev=R               –                                     yes, by R
//     neither                      istio.io/rev=R                        yes, by R
//     neither                      sidecar.istio.io/inject: "true"       yes, by the default revision
//     neither                      –                                     no, unless the webhook takes namespaces by default
//
//  4. Those are the selectors that Istio installs its webhooks with. Where webhooks are loaded, theirs decide (injector.go).
//
//  5. The template is the annotation inject.istio.io/templates, else sidecar.
//
//  6. A pod that is not injected and on no host network is captured by ztunnel if it, or its
//     namespace, has istio.io/dataplane-mode: ambient, and it does not opt out with none.
//
//  7. Where the Namespace is not loaded and its labels would decide, the mesh is taken to
//     inject there, if there is a mesh: any resource of Istio's. It is said. The root namespace is not taken so.
//
// Never- and alwaysInjectSelector and the policy "disabled" of the injector's configuration are not read.
//
// Source: manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml;
// pkg/kube/inject/inject.go, injectRequired, selectTemplates; cni/pkg/util/enablement_selector.go, Matches.
func (s *Snapshot) Injection(t PodTemplate) Injection {
	if d, step, ok := proxyDataplane(t); ok && !proxyPending(t) {
		return Injection{Dataplane: d, Step: step}
	}
	if step, vetoed := injectionVeto(t); vetoed {
		return s.notInjected(t, step)
	}
	asked := s.answered(t, s.webhookAsked(t))
	if !asked.yes || asked.assumed && t.Labels[labelDataplaneMode] == modeAmbient {
		in := s.notInjected(t, asked.step)
		in.Injector = asked.injector
		return in
	}
	in := Injection{Dataplane: DataplaneSidecar, Step: asked.step, Injector: asked.injector, Template: "sidecar", Assumed: asked.assumed}
	switch annotated := t.Annotations[annotationTemplates]; {
	case annotated == "" || hasTemplate(t.Annotations, "sidecar"):
	case hasTemplate(t.Annotations, "gateway"):
		in.Dataplane, in.Template = DataplaneGateway, "gateway"
		in.Step = NewStep(RuleInjectionGateway, Applied, t.field("metadata.annotations["+annotationTemplates+"]"))
	default:
		in.Dataplane, in.Template = DataplaneNone, ""
		in.Step = NewStep(RuleInjectionOtherTemplate, Warned, t.field("metadata.annotations["+annotationTemplates+"]"), annotated)
	}
	return in
}

// hasTemplate reports whether the annotation names the template.
func hasTemplate(annotations map[string]string, name string) bool {
	for t := range strings.SplitSeq(annotations[annotationTemplates], ",") {
		if strings.TrimSpace(t) == name {
			return true
		}
	}
	return false
}

// systemNamespaces never get a sidecar.
// Source: pkg/kube/inject/initializer.go, IgnoredNamespaces.
var systemNamespaces = []string{"kube-system", "kube-public", "kube-node-lease", "local-path-storage"}

func injectionVeto(t PodTemplate) (Step, bool) {
	label, labelled := t.Labels[labelInject]
	switch {
	case t.HostNetwork:
		return NewStep(RuleInjectionHostNetwork, Skipped, t.field("spec.hostNetwork")), true
	case slices.Contains(systemNamespaces, t.Namespace):
		return NewStep(RuleInjectionSystemNamespace, Skipped, t.Ref, t.Namespace), true
	case label == "false":
		return NewStep(RuleInjectionPodDisabled, Skipped, t.field("metadata.labels["+labelInject+"]"), "label"), true
	case !labelled && t.Annotations[labelInject] == "false":
		return NewStep(RuleInjectionPodDisabled, Skipped, t.field("metadata.annotations["+labelInject+"]"), "annotation"), true
	}
	return Step{}, false
}

// webhookCall is whether the webhook is asked for a pod, by which revision, and why.
type webhookCall struct {
	yes, assumed bool
	revision     string
	step         Step
	// injector is as in [Injection].
	injector Step
}

const defaultRevision = "default"

// webhookAsked follows the namespace and object selectors that Istio installs, in the order of the table above.
func (s *Snapshot) webhookAsked(t PodTemplate) webhookCall {
	ns, known := s.Namespaces[t.Namespace]
	nsRef := Ref{Kind: "Namespace", Cluster: s.cluster, Name: t.Namespace}
	labels := map[string]string{}
	if known {
		maps.Copy(labels, ns.Labels)
	}
	maps.Copy(labels, t.relabelled)
	injection, hasInjection := labels[labelInjection]
	nsRevision, hasNsRevision := labels[labelRevision]
	podRevision, hasPodRevision := t.Labels[labelRevision]
	at := func(label string) Ref { return nsRef.At("metadata.labels[" + label + "]") }
	switch {
	case hasInjection && injection == "enabled":
		return webhookCall{yes: true, revision: defaultRevision, step: NewStep(RuleInjectionNamespaceEnabled, Applied, at(labelInjection), t.Namespace)}
	case hasInjection:
		return webhookCall{step: NewStep(RuleInjectionNamespaceDisabled, Skipped, at(labelInjection), t.Namespace, injection)}
	case hasNsRevision:
		return webhookCall{yes: true, revision: nsRevision, step: NewStep(RuleInjectionNamespaceRevision, Applied, at(labelRevision), t.Namespace, nsRevision)}
	case hasPodRevision:
		return webhookCall{yes: true, revision: podRevision, step: NewStep(RuleInjectionPodRevision, Applied, t.field("metadata.labels["+labelRevision+"]"), podRevision)}
	case t.Labels[labelInject] == "true":
		return webhookCall{yes: true, revision: defaultRevision, step: NewStep(RuleInjectionPodEnabled, Applied, t.field("metadata.labels["+labelInject+"]"))}
	case !known:
		return s.unknownNamespace(t)
	}
	return webhookCall{step: NewStep(RuleInjectionNotAsked, None, nsRef, t.Namespace)}
}

// unknownNamespace answers for a namespace whose labels would decide and are not known.
func (s *Snapshot) unknownNamespace(t PodTemplate) webhookCall {
	where := "could not be read"
	if s.Offline {
		where = "is not among the manifests"
	}
	templated := t.Annotations[annotationTemplates] != ""
	if templated || s.hasMesh() && t.Namespace != s.Mesh.GetRootNamespace() {
		return webhookCall{yes: true, assumed: true, revision: defaultRevision, step: NewStep(RuleInjectionAssumed, Warned, Ref{Kind: "Namespace", Cluster: s.cluster, Name: t.Namespace}, t.Namespace, where)}
	}
	return webhookCall{step: NewStep(RuleInjectionUnknownNamespace, None, t.Ref, t.Namespace, where)}
}

// hasMesh reports whether any resource shows that somebody runs Istio.
func (s *Snapshot) hasMesh() bool {
	return len(s.Gateways)+len(s.RawVirtualServices)+len(s.DestinationRules)+len(s.ServiceEntries)+
		len(s.WorkloadEntries)+len(s.WorkloadGroups)+len(s.Sidecars)+len(s.EnvoyFilters)+len(s.ProxyConfigs)+
		len(s.PeerAuthentications)+len(s.RequestAuthentications)+len(s.AuthorizationPolicies)+
		len(s.WasmPlugins)+len(s.TrafficExtensions)+len(s.Telemetries)+len(s.injectors) > 0
}

// notInjected is a pod without a sidecar: ambient, or nothing, as the step says.
func (s *Snapshot) notInjected(t PodTemplate, why Step) Injection {
	mode := t.Labels[labelDataplaneMode]
	switch {
	case t.Annotations[annotationRedirection] == "enabled":
		return Injection{Dataplane: DataplaneAmbient, Step: NewStep(RuleWorkloadRedirected, Applied, t.field("metadata.annotations["+annotationRedirection+"]"), "enabled")}
	case t.HostNetwork || t.Namespace == "kube-system" || mode == modeNone:
	case mode == modeAmbient:
		return Injection{Dataplane: DataplaneAmbient, Step: NewStep(RuleInjectionAmbient, Applied, t.field("metadata.labels["+labelDataplaneMode+"]"), "pod")}
	case s.Namespaces[t.Namespace] != nil && s.Namespaces[t.Namespace].Labels[labelDataplaneMode] == modeAmbient:
		ref := Ref{Kind: "Namespace", Cluster: s.cluster, Name: t.Namespace, Field: "metadata.labels[" + labelDataplaneMode + "]"}
		return Injection{Dataplane: DataplaneAmbient, Step: NewStep(RuleInjectionAmbient, Applied, ref, "namespace "+t.Namespace)}
	}
	return Injection{Dataplane: DataplaneNone, Step: why}
}

// injectedLabels are the pod's labels after a template; name is that of the pod's owner.
//
// 1. Both templates add the canonical name and revision, from the labels that people use for them.
// 2. The sidecar template adds security.istio.io/tlsMode: istio; the gateway template does not, so no client sends a gateway mTLS by itself.
//
// Source: manifests/charts/istio-control/istio-discovery/files/injection-template.yaml, gateway-injection-template.yaml.
func injectedLabels(labels map[string]string, template, name string) map[string]string {
	out := make(map[string]string, len(labels)+3)
	maps.Copy(out, labels)
	first := func(otherwise string, names ...string) string {
		for _, n := range names {
			if v := labels[n]; v != "" {
				return v
			}
		}
		return otherwise
	}
	canonical := first(name, labelCanonicalName, "app.kubernetes.io/name", "app")
	out[labelCanonicalRev] = first("latest", labelCanonicalRev, "app.kubernetes.io/version", "version")
	if template == "sidecar" {
		out[labelTLSMode] = first(tlsModeIstio, labelTLSMode)
		canonical = strings.Trim(canonical[:min(len(canonical), 63)], "-_.")
	}
	out[labelCanonicalName] = canonical
	return out
}
