package load

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// rootCertificate is a PEM block of the byte 1, and rootDigest the SHA-256 of that.
const (
	rootCertificate = "-----BEGIN CERTIFICATE-----\nAQ==\n-----END CERTIFICATE-----\n"
	rootDigest      = "sha256:4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"
)

// countedConfigMaps answers by name and counts the questions.
type countedConfigMaps struct {
	answers map[string]error
	data    map[string]string
	asked   map[string]int
}

func (c countedConfigMaps) configMap(_ context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	c.asked[namespace+"/"+name]++
	return &corev1.ConfigMap{Data: c.data}, c.answers[name]
}

// TestConfigMapsAreAskedForOnceAndKeepTheAuthorityAlone: what a trace learns of a ConfigMap in a cluster.
func TestConfigMapsAreAskedForOnceAndKeepTheAuthorityAlone(t *testing.T) {
	resource := schema.GroupResource{Resource: "configmaps"}
	forbidden := apierrors.NewForbidden(resource, "forbidden", errors.New("no"))
	gap := func(reason resolve.GapReason, name string, err error) *resolve.Gap {
		return &resolve.Gap{GroupKind: schema.GroupKind{Kind: "ConfigMap"}, Namespace: "shop", Name: name, Reason: reason, Detail: err.Error()}
	}
	broken := errors.New("broken")
	for _, tc := range []struct {
		name string
		data map[string]string
		want resolve.ConfigMap
	}{
		{"there", map[string]string{"ca.crt": "A", "password": "B"}, resolve.ConfigMap{Found: true, Authority: "A"}},
		{"there", map[string]string{"ca.crt": "A", "cacert": "C"}, resolve.ConfigMap{Found: true, Authority: "C"}},
		{"there", map[string]string{"ca.crt": "A", "cacert": ""}, resolve.ConfigMap{Found: true, Authority: "A"}},
		{"there", map[string]string{"tls.crt": "A"}, resolve.ConfigMap{Found: true}},
		{"there", map[string]string{"root-cert.pem": rootCertificate, "ca.crt": "A"}, resolve.ConfigMap{Found: true, Authority: "A", Roots: []string{rootDigest}}},
		{"absent", nil, resolve.ConfigMap{}},
		{"forbidden", nil, resolve.ConfigMap{Unknown: gap(resolve.GapForbidden, "forbidden", forbidden)}},
		{"broken", nil, resolve.ConfigMap{Unknown: gap(resolve.GapFailed, "broken", broken)}},
	} {
		from := countedConfigMaps{
			answers: map[string]error{"absent": apierrors.NewNotFound(resource, "absent"), "forbidden": forbidden, "broken": broken},
			data:    tc.data, asked: map[string]int{},
		}
		ask := configMapsOf(t.Context(), from)
		for range 2 {
			if diff := cmp.Diff(tc.want, ask("shop", tc.name)); diff != "" {
				t.Errorf("%s %v: %s", tc.name, tc.data, diff)
			}
		}
		if diff := cmp.Diff(map[string]int{"shop/" + tc.name: 1}, from.asked); diff != "" {
			t.Errorf("%s: asked (-want +got): %s", tc.name, diff)
		}
	}
}
