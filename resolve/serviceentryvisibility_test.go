package resolve

import (
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	mesh "istio.io/api/mesh/v1alpha1"
	"k8s.io/apimachinery/pkg/labels"
)

func TestEntryVisibilityIsThatOfTheFirstPolicyWhoseRulesAllSelectTheNamespace(t *testing.T) {
	payments := `{"namespaceSelector": {"matchLabels": {"team": "payments"}}}`
	europe := `{"namespaceSelector": {"matchExpressions": [{"key": "region", "operator": "In", "values": ["eu"]}]}}`
	unreadable := `{"namespaceSelector": {"matchExpressions": [{"key": "region", "operator": "Near"}]}}`
	for name, c := range map[string]struct {
		config string
		want   mesh.ServiceEntryVisibility_Visibility
	}{
		"no policy":              {`{"defaultVisibility": "NONE"}`, mesh.ServiceEntryVisibility_NONE},
		"selected":               {`{"policies": [{"visibility": "NAMESPACE", "matchingRules": [` + payments + `]}]}`, mesh.ServiceEntryVisibility_NAMESPACE},
		"one of two rules":       {`{"defaultVisibility": "PUBLIC", "policies": [{"visibility": "NONE", "matchingRules": [` + payments + `, ` + europe + `]}]}`, mesh.ServiceEntryVisibility_PUBLIC},
		"first of two policies":  {`{"policies": [{"visibility": "PUBLIC", "matchingRules": [` + payments + `]}, {"visibility": "NONE"}]}`, mesh.ServiceEntryVisibility_PUBLIC},
		"policy without rules":   {`{"policies": [{"visibility": "NONE"}]}`, mesh.ServiceEntryVisibility_NONE},
		"rule without selector":  {`{"policies": [{"visibility": "NONE", "matchingRules": [{}]}]}`, mesh.ServiceEntryVisibility_VISIBILITY_UNSPECIFIED},
		"selector without terms": {`{"policies": [{"visibility": "NONE", "matchingRules": [{"namespaceSelector": {}}]}]}`, mesh.ServiceEntryVisibility_NONE},
		"unreadable selector":    {`{"policies": [{"visibility": "NONE", "matchingRules": [` + unreadable + `]}]}`, mesh.ServiceEntryVisibility_VISIBILITY_UNSPECIFIED},
	} {
		t.Run(name, func(t *testing.T) {
			var config mesh.ServiceEntryVisibility
			if err := protojson.Unmarshal([]byte(c.config), &config); err != nil {
				t.Fatal(err)
			}
			if got := entryVisibility(&config, labels.Set{"team": "payments", "region": "us"}); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
