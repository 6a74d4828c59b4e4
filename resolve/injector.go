package resolve

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The injectors of a mesh are webhooks that the API server asks about each pod that is created.
//
//  1. They are those named …sidecar-injector.istio.io of the MutatingWebhookConfigurations. One is asked if its selectors take
//     the labels of the pod and of its namespace; of several the first, by the name of the configuration.
//  2. Its revision is the label istio.io/rev of the configuration; a tag (istio.io/tag) names another's.
//  3. With failurePolicy Fail, as it is installed, no pod is created while it does not answer; with Ignore one without a sidecar is.
//  4. Manifests that hold none are taken to be applied where one of each revision is installed as by default, and one of the
//     revision default. A cluster that has none injects nothing.
//  5. A pod of a cluster is what it is. Where one would get a sidecar now, it was made before that, or while no injector answered.
//
// matchConditions are not evaluated.
//
// Source: k8s.io/apiserver/pkg/admission/plugin/webhook/generic/webhook.go, Dispatch; configuration/mutating_webhook_manager.go;
// manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml.

// Rules of the injectors.
const (
	RuleInjector           RuleID = "injection/injector"
	RuleInjectorIgnored    RuleID = "injection/injector-ignored"
	RuleInjectorElsewhere  RuleID = "injection/injector-elsewhere"
	RuleInjectionMissed    RuleID = "injection/missed"
	RuleInjectionSelectors RuleID = "injection/selectors"
)

const injectorSource = "k8s.io/apiserver/pkg/admission/plugin/webhook/generic/webhook.go, Dispatch"

var injectorRules = []Rule{
	{
		ID: RuleInjector, Stage: StageCapture, Source: injectorSource,
		Says:     "A pod is injected by the first webhook of Istio whose selectors take its labels and those of its namespace.",
		Template: "the injector asked is that of revision %s: %s",
	},
	{
		ID: RuleInjectorIgnored, Stage: StageCapture, Source: injectorSource,
		Says:     "With failurePolicy Ignore a pod that is created while the injector does not answer has no sidecar.",
		Template: "the injector asked is that of revision %s: %s; its failurePolicy is Ignore: a pod created while it does not answer has no sidecar",
	},
	{
		ID: RuleInjectorElsewhere, Stage: StageCapture, Source: injectorSource,
		Says:     "Where no webhook's selectors take the labels of a pod and its namespace, nothing is injected.",
		Template: "none of the injectors takes it: there are those of %s",
	},
	{
		ID: RuleInjectionMissed, Stage: StageCapture, Source: injectorSource,
		Says:     "A pod stays as it was created: where it would get a sidecar now and has none, it was created before that, or while no injector answered.",
		Template: "a pod created now would be in the mesh (%s): this one is older than that, or no injector answered",
	},
	{
		ID: RuleInjectionSelectors, Stage: StageCapture, Source: injectorSource,
		Says:     "A webhook may be installed with other selectors than Istio's: those decide.",
		Template: "sidecar injected: an injector takes the pod by selectors of its own, from the labels of namespace %s and of the pod",
	},
}

var injectorKind = schema.GroupKind{Group: admissionv1.GroupName, Kind: "MutatingWebhookConfiguration"}

// injector is a webhook of Istio, and where it stands in its configuration.
type injector struct {
	configuration *admissionv1.MutatingWebhookConfiguration
	webhook       *admissionv1.MutatingWebhook
	index         int
}

// injectorsOf are the webhooks of Istio in the order in which the API server asks them.
func injectorsOf(configurations []*admissionv1.MutatingWebhookConfiguration) []injector {
	var out []injector
	for _, c := range configurations {
		for i := range c.Webhooks {
			if w := &c.Webhooks[i]; strings.HasSuffix(w.Name, "sidecar-injector.istio.io") {
				out = append(out, injector{c, w, i})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b injector) int { return cmp.Compare(a.configuration.Name, b.configuration.Name) })
	return out
}

// revision is the revision that injects, and the tag by which it is asked.
func (i injector) revision() string {
	l := i.configuration.Labels
	revision := cmp.Or(l[labelRevision], defaultRevision)
	if tag := l[labelTag]; tag != "" && tag != revision {
		revision += " by the tag " + tag
	}
	return revision
}

// takes reports whether the selectors of the webhook take a pod of those labels in a namespace of those.
func (i injector) takes(namespace, pod labels.Set) bool {
	return selectorTakes(i.webhook.NamespaceSelector, namespace) && selectorTakes(i.webhook.ObjectSelector, pod)
}

// selectorTakes reports whether a selector takes the labels; an absent one takes all.
func selectorTakes(selector *metav1.LabelSelector, set labels.Set) bool {
	if selector == nil {
		return true
	}
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(set)
}

// step says that the webhook is asked.
func (i injector) step() Step {
	rule, verdict := RuleInjector, Applied
	if p := i.webhook.FailurePolicy; p != nil && *p == admissionv1.Ignore {
		rule, verdict = RuleInjectorIgnored, Warned
	}
	return NewStep(rule, verdict, i.ref(), i.revision(), i.webhook.Name)
}

func (i injector) ref() Ref {
	return refOf(admissionv1.GroupName, injectorKind.Kind, i.configuration).At(fmt.Sprintf("webhooks[%d]", i.index))
}

// injectorsKnown reports whether those that were read are all there are.
func (s *Snapshot) injectorsKnown() bool {
	return len(s.injectors) > 0 || !s.Offline && len(s.GapsOf(injectorKind, "")) == 0
}

// answered is what the injectors make of a pod of which Istio's own selectors would say asked.
func (s *Snapshot) answered(t PodTemplate, asked webhookCall) webhookCall {
	if !s.injectorsKnown() {
		return asked
	}
	namespace := s.namespaceLabels(t.Namespace)
	maps.Copy(namespace, t.relabelled)
	if asked.assumed {
		namespace[labelInjection] = "enabled"
	}
	for _, i := range s.injectors {
		if !i.takes(namespace, t.Labels) {
			continue
		}
		switch byDefault := strings.HasPrefix(i.webhook.Name, "auto."); {
		case !asked.yes && byDefault:
			asked.step = NewStep(RuleInjectionByDefault, Applied, Ref{Kind: "Namespace", Name: t.Namespace}, t.Namespace)
		case !asked.yes:
			asked.step = NewStep(RuleInjectionSelectors, Applied, Ref{Kind: "Namespace", Name: t.Namespace}, t.Namespace)
		}
		asked.yes, asked.injector = true, i.step()
		return asked
	}
	if !asked.yes {
		return asked
	}
	asked.step, asked.yes = NewStep(RuleInjectionUnknownRevision, Skipped, asked.step.Ref, asked.revision), false
	if len(s.injectors) > 0 {
		var revisions []string
		for _, i := range s.injectors {
			revisions = append(revisions, "revision "+i.revision())
		}
		asked.injector = NewStep(RuleInjectorElsewhere, Skipped, s.injectors[0].ref().Object(), strings.Join(slices.Compact(revisions), ", "))
	}
	return asked
}

// InjectionNow is what would become of a running pod that no proxy is in if it were created now; false for any other workload.
func (s *Snapshot) InjectionNow(w *Workload) (Injection, bool) {
	if w.DataplaneStep.Rule != RuleWorkloadNoProxy {
		return Injection{}, false
	}
	return s.Injection(templateFor(w)), true
}

// InjectedWith reports whether a pod as the workload's would be injected if it, or its namespace, had other labels besides.
func (s *Snapshot) InjectedWith(w *Workload, pod, namespace map[string]string) bool {
	t := templateFor(w)
	t.Labels = maps.Clone(w.Labels)
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	maps.Copy(t.Labels, pod)
	t.relabelled = namespace
	return s.Injection(t).Template != ""
}

// templateFor is the pod of a workload as it was created.
func templateFor(w *Workload) PodTemplate {
	return PodTemplate{
		Ref: w.DataplaneStep.Ref, Namespace: w.Namespace, Labels: w.Labels, Annotations: w.Annotations,
		HostNetwork: w.HostNetwork, Containers: w.Containers,
	}
}

// MissedInjection is rule 5: a step for a pod that would get a proxy now and has none.
func (s *Snapshot) MissedInjection(w *Workload) (Step, bool) {
	in, ok := s.InjectionNow(w)
	if !ok || in.Assumed || in.Template == "" {
		return Step{}, false
	}
	return NewStep(RuleInjectionMissed, None, in.Step.Ref, in.Step.Reason()), true
}

// InjectorName is the value of the label istio.io/rev that the first injector asks for; empty where none was read.
func (s *Snapshot) InjectorName() string {
	if len(s.injectors) == 0 {
		return ""
	}
	l := s.injectors[0].configuration.Labels
	return cmp.Or(l[labelTag], l[labelRevision])
}
