package load

import (
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/admission"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// What Istio's validating webhook refuses of manifests is a note, and the object is traced as it is written.
//
//  1. The webhook is asked for an object whose group, namespace and labels fit a rule and the selectors of a
//     ValidatingWebhookConfiguration of Istio: one of each revision for objects with its label istio.io/rev, and that
//     of the default revision for those without.
//  2. Manifests that hold none are taken to be applied where Istio is installed with it, as it is by default.
//  3. Without a webhook that is asked, the object would be stored as it is.
//  4. With failurePolicy Ignore it is stored, too, while istiod does not answer.
//
// Source: manifests/charts/istio-control/istio-discovery/templates/validatingwebhookconfiguration.yaml;
// manifests/charts/default/templates/validatingwebhook.yaml.

var validatorKind = schema.GroupKind{Group: admissionv1.GroupName, Kind: "ValidatingWebhookConfiguration"}

// refused remarks on a mistake for which the webhook refuses the object.
func (r *documentReader) refused(ref resolve.Ref, mistake admission.Refusal) {
	r.notes = append(r.notes, documentNote{
		resolve.Note{Ref: ref, Message: mistake.Field + ": Istio's validating webhook refuses this: " + mistake.Message, Admission: true}, r.doc.source,
	})
}

// Admit settles, of the notes about what Istio's validating webhook refuses, whether it is asked.
func Admit(in *resolve.Input) {
	if !slices.ContainsFunc(in.Notes, func(n resolve.Note) bool { return n.Admission }) {
		return
	}
	a := newAdmitting(in)
	in.Notes = slices.Clone(in.Notes)
	for i := range in.Notes {
		if n := &in.Notes[i]; n.Admission {
			n.Message, n.Admission = n.Message+a.but(n.Ref), false
		}
	}
}

// admitting are the webhooks of Istio, and the objects they may be asked about.
type admitting struct {
	webhooks []validator
	objects  map[resolve.Ref]resolve.Object
	// assumed is set where manifests hold no configuration, and unread where those of a cluster could not be read.
	assumed, unread bool
	namespaces      map[string]labels.Set
}

// validator is one webhook and the configuration it stands in.
type validator struct {
	configuration string
	webhook       *admissionv1.ValidatingWebhook
}

func newAdmitting(in *resolve.Input) *admitting {
	a := &admitting{objects: map[resolve.Ref]resolve.Object{}, namespaces: map[string]labels.Set{}, assumed: in.Offline}
	for _, r := range in.Resources {
		a.objects[sourcedRef(r)] = r.Object
		if r.GroupKind == (schema.GroupKind{Kind: "Namespace"}) {
			a.namespaces[r.Object.GetName()] = r.Object.GetLabels()
		}
		configuration, ok := r.Object.(*admissionv1.ValidatingWebhookConfiguration)
		if !ok {
			continue
		}
		for i := range configuration.Webhooks {
			if w := &configuration.Webhooks[i]; strings.HasSuffix(w.Name, "validation.istio.io") {
				a.webhooks = append(a.webhooks, validator{configuration.Name, w})
				a.assumed = false
			}
		}
	}
	a.unread = slices.ContainsFunc(in.Gaps, func(g resolve.Gap) bool { return g.GroupKind == validatorKind })
	return a
}

// but is what a note adds where the webhook does not have the last word; "" where it has.
func (a *admitting) but(ref resolve.Ref) string {
	switch {
	case a.assumed:
		return ""
	case a.unread:
		return "; whether a webhook is asked could not be read"
	}
	var ignored []string
	for _, v := range a.webhooks {
		switch {
		case !a.asked(v.webhook, ref):
		case v.webhook.FailurePolicy != nil && *v.webhook.FailurePolicy == admissionv1.Ignore:
			ignored = append(ignored, v.configuration)
		default:
			return ""
		}
	}
	if len(ignored) > 0 {
		return "; ValidatingWebhookConfiguration " + strings.Join(ignored, ", ") + " has failurePolicy Ignore, so the object is stored all the same while istiod does not answer"
	}
	return "; but no ValidatingWebhookConfiguration asks it for this object, which would be stored as it is"
}

// asked is rule 1.
func (a *admitting) asked(w *admissionv1.ValidatingWebhook, ref resolve.Ref) bool {
	object := a.objects[ref.Object()]
	if object == nil {
		return true
	}
	return slices.ContainsFunc(w.Rules, func(r admissionv1.RuleWithOperations) bool {
		return slices.Contains(r.APIGroups, ref.Group) || slices.Contains(r.APIGroups, "*")
	}) && selectedBy(w.ObjectSelector, object.GetLabels()) && selectedBy(w.NamespaceSelector, a.namespaces[ref.Namespace])
}

// selectedBy reports whether a selector takes the labels; an absent one takes all.
func selectedBy(selector *metav1.LabelSelector, set labels.Set) bool {
	if selector == nil {
		return true
	}
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(set)
}
