package istiod

import (
	"strings"

	"istio.io/istio/operator/pkg/render"
)

// manifests are what `istioctl install --set profile=minimal` applies, but for
//
//   - CRDs, which are installed already;
//   - webhooks and admission policies: no network leads from the API server to istiod's Service.
func manifests() (string, error) {
	sets, _, err := render.GenerateManifest(nil, []string{"profile=minimal", "tag=1.31.0"}, false, nil, nil)
	if err != nil {
		return "", err
	}
	docs := []string{"apiVersion: v1\nkind: Namespace\nmetadata: {name: " + Namespace + "}\n"}
	for _, set := range sets {
		for _, m := range set.Manifests {
			switch m.GetKind() {
			case "CustomResourceDefinition", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
				"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding":
				continue
			}
			docs = append(docs, m.Content)
		}
	}
	return strings.Join(docs, "\n---\n"), nil
}
