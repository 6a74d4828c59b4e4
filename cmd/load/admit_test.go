package load

import (
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// validating is a ValidatingWebhookConfiguration of Istio for the group.
func validating(group string, policy admissionv1.FailurePolicyType, selector *metav1.LabelSelector) resolve.Sourced {
	return resolve.Sourced{GroupKind: validatorKind, Origin: clusterOrigin{}, Object: &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "istio-validator"},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "rev.validation.istio.io", FailurePolicy: &policy, ObjectSelector: selector,
			Rules: []admissionv1.RuleWithOperations{{Rule: admissionv1.Rule{APIGroups: []string{group}}}},
		}},
	}}
}

func TestAdmit(t *testing.T) {
	refused, err := Manifests(ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(
		"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: shop, labels: {istio.io/rev: canary}}\nspec: {}\n")})
	if err != nil {
		t.Fatal(err)
	}
	const mistake = "spec.servers: Istio's validating webhook refuses this: gateway must have at least one server"
	canary := &metav1.LabelSelector{MatchLabels: map[string]string{"istio.io/rev": "canary"}}
	stable := &metav1.LabelSelector{MatchLabels: map[string]string{"istio.io/rev": "stable"}}
	for _, test := range []struct {
		name    string
		cluster bool
		beside  []resolve.Sourced
		gaps    []resolve.Gap
		but     string
	}{
		{name: "manifests alone"},
		{name: "a webhook that is asked", cluster: true, beside: []resolve.Sourced{validating("networking.istio.io", admissionv1.Fail, canary)}},
		{
			name: "a webhook that may be left out", cluster: true, beside: []resolve.Sourced{validating("networking.istio.io", admissionv1.Ignore, nil)},
			but: "; ValidatingWebhookConfiguration istio-validator has failurePolicy Ignore, so the object is stored all the same while istiod does not answer",
		},
		{
			name: "a webhook of another revision", cluster: true, beside: []resolve.Sourced{validating("networking.istio.io", admissionv1.Fail, stable)},
			but: "; but no ValidatingWebhookConfiguration asks it for this object, which would be stored as it is",
		},
		{
			name: "a webhook of another group", cluster: true, beside: []resolve.Sourced{validating("security.istio.io", admissionv1.Fail, nil)},
			but: "; but no ValidatingWebhookConfiguration asks it for this object, which would be stored as it is",
		},
		{name: "no webhook", cluster: true, but: "; but no ValidatingWebhookConfiguration asks it for this object, which would be stored as it is"},
		{
			name: "not allowed to read them", cluster: true, gaps: []resolve.Gap{{GroupKind: validatorKind, Reason: resolve.GapForbidden}},
			but: "; whether a webhook is asked could not be read",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := refused
			in.Offline, in.Gaps = !test.cluster, test.gaps
			in.Resources = append(in.Resources[:len(in.Resources):len(in.Resources)], test.beside...)
			Admit(&in)
			if len(in.Notes) != 1 || in.Notes[0].Message != mistake+test.but || in.Notes[0].Admission {
				t.Errorf("got %+v", in.Notes)
			}
		})
	}
	if !refused.Notes[0].Admission {
		t.Error("the input that was read is not settled")
	}
}
