package resolve

import (
	"encoding/pem"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The digests of the certificates of the bytes 1 and 2.
const (
	digestOne = "sha256:4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"
	digestTwo = "sha256:dbc1b4c900ffe48d575b5da5c638040125f65db0fe3e24494b76ea986457d986"
)

func pemOf(kind string, content byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte{content}}))
}

// TestRootCertificatesOfAText: which certificates a text has, whatever else is in it.
func TestRootCertificatesOfAText(t *testing.T) {
	one, two := pemOf("CERTIFICATE", 1), pemOf("CERTIFICATE", 2)
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"none", "", nil},
		{"no certificate", "root", nil},
		{"a key", pemOf("EC PRIVATE KEY", 1), nil},
		{"one", one, []string{digestOne}},
		{"in the other order", two + "# the old one\n" + one, []string{digestOne, digestTwo}},
		{"twice", one + "\n\n" + one, []string{digestOne}},
		{"cut off", one + two[:40], []string{digestOne}},
		{"digests", digestTwo + "\n  " + digestOne + "\n", []string{digestOne, digestTwo}},
		{"a digest that is too short", digestOne[:70], nil},
	} {
		if diff := cmp.Diff(tc.want, RootCertificates(tc.text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// TestRootCertificatesOfNamespaces: what is told of the namespaces of a client and a server.
func TestRootCertificatesOfNamespaces(t *testing.T) {
	have := func(digests ...string) ConfigMap { return ConfigMap{Found: true, Roots: digests} }
	unknown := ConfigMap{Unknown: &Gap{GroupKind: schema.GroupKind{Kind: "ConfigMap"}, Reason: GapForbidden, Detail: "no"}}
	for _, tc := range []struct {
		name                string
		mesh, client, serve ConfigMap
		want                []string
	}{
		{"the same", have("1"), have("1"), have("1"), []string{"trust/roots", "trust/roots"}},
		{"the client's is another", have("1"), have("2"), have("1"), []string{"trust/roots-differ has 0 of the 1 root certificates of ConfigMap istio-system/istio-ca-root-cert, and 1 that are not among them", "trust/roots"}},
		{"the server's lacks one", have("1", "2"), have("1", "2"), have("2"), []string{"trust/roots", "trust/roots-differ has 1 of the 2 root certificates of ConfigMap istio-system/istio-ca-root-cert"}},
		{"the server's has one more", have("1"), have("1"), have("1", "2"), []string{"trust/roots", "trust/roots-differ has 1 certificates that are not among the root certificates of ConfigMap istio-system/istio-ca-root-cert"}},
		{"the client's has none", have("1"), have(), have("1"), []string{"trust/roots-differ has no certificate", "trust/roots"}},
		{"the client's is missing", have("1"), ConfigMap{}, have("1"), []string{"trust/roots-missing", "trust/roots"}},
		{"the mesh's is missing", ConfigMap{}, have("1"), have("2"), []string{"trust/roots", "trust/roots-differ has 0 of the 1 root certificates of ConfigMap web/istio-ca-root-cert, and 1 that are not among them"}},
		{"the mesh's is not known", unknown, have("1"), have("1"), []string{"trust/roots", "trust/roots"}},
		{"nothing is known", unknown, unknown, unknown, []string{"trust/roots-not-read", "trust/roots-not-read"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := snapshotOf(t, "")
			s.askConfigMap = func(namespace, name string) ConfigMap {
				if name != RootConfigMap {
					t.Errorf("asks for %s/%s", namespace, name)
				}
				return map[string]ConfigMap{"istio-system": tc.mesh, "web": tc.client, "shop": tc.serve}[namespace]
			}
			var got []string
			for _, step := range s.RootFacts([]Ref{{Namespace: "web"}, {Namespace: "shop"}, {Cluster: "east", Namespace: "far"}}) {
				said := string(step.Rule)
				if step.Rule == RuleTrustRootsDiffer {
					what, _, _ := strings.Cut(step.Reason(), ":")
					said += " " + what
				}
				got = append(got, said)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRootCertificatesThatNoPodMounts: what istiod's variables say of them.
func TestRootCertificatesThatNoPodMounts(t *testing.T) {
	for _, tc := range []struct {
		name, value string
		want        string
	}{
		{"PILOT_CERT_PROVIDER", "istiod", RootConfigMap},
		{"PILOT_CERT_PROVIDER", "kubernetes", ""},
		{"ENABLE_CLUSTER_TRUST_BUNDLE_API", "true", ""},
		{"ENABLE_CLUSTER_TRUST_BUNDLE_API", "false", RootConfigMap},
		{"PILOT_CA_CERT_CONFIGMAP", "other-root", "other-root"},
	} {
		s := snapshotOf(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: istiod, namespace: istio-system, labels: {app: istiod, istio.io/rev: default}}
spec: {template: {spec: {containers: [{name: discovery, env: [{name: `+tc.name+`, value: "`+tc.value+`"}]}]}}}
`)
		asked := ""
		s.askConfigMap = func(_, name string) ConfigMap {
			asked = name
			return ConfigMap{}
		}
		s.RootFacts([]Ref{{Namespace: "shop"}})
		if asked != tc.want {
			t.Errorf("%s=%s: asks for %q, want %q", tc.name, tc.value, asked, tc.want)
		}
	}
}
