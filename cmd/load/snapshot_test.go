package load

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

const snapshotText = `apiVersion: meshtrace.dev/v1alpha1
kind: Snapshot
source: cluster
istio: {version: "1.30", from: cluster, revision: canary}
meshConfig:
  from: {kind: ConfigMap, namespace: istio-system, name: istio-canary, field: data.mesh}
  config: |
    trustDomain: shop.example
requests: [{command: kubectl mesh-trace -f FILE http://a, url: "http://a"}]
gaps: [{kind: Pod, except: [shop], reason: forbidden, detail: denied}]
notes: [{kind: Service, namespace: shop, name: a, message: so it is}]
secrets:
- {namespace: shop, name: cert, state: found, type: kubernetes.io/tls}
- {namespace: shop, name: gone, state: absent}
- {namespace: shop, name: hidden, state: forbidden, detail: denied}
configMaps:
- {namespace: shop, name: ca, state: found, authority: certificate}
- {namespace: shop, name: bad, state: found, authority: malformed}
- {namespace: shop, name: gone, state: absent}
`

func TestSnapshotRestoresWhatIsNoObject(t *testing.T) {
	in, err := fromText(snapshotText + "---\napiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\n")
	if err != nil {
		t.Fatal(err)
	}
	if in.Offline || in.IstioVersion != "1.30" || in.IstioVersionFrom != "cluster" || in.Revision != "canary" || len(in.Resources) != 1 {
		t.Errorf("%+v", in)
	}
	if in.MeshConfig.GetTrustDomain() != "shop.example" || in.MeshConfigRef.String() != "ConfigMap istio-system/istio-canary data.mesh" {
		t.Errorf("mesh config %v of %s", in.MeshConfig, in.MeshConfigRef)
	}
	if got := in.MeshOrigin.Locate("trustDomain"); got != "<stdin>:5" {
		t.Errorf("the mesh config is at %s", got)
	}
	gaps := []resolve.Gap{{GroupKind: schema.GroupKind{Kind: "Pod"}, Except: []string{"shop"}, Reason: resolve.GapForbidden, Detail: "denied"}}
	if diff := cmp.Diff(gaps, in.Gaps); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]resolve.Note{{Ref: resolve.Ref{Kind: "Service", Namespace: "shop", Name: "a"}, Message: "so it is"}}, in.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	for name, want := range map[string]resolve.Secret{
		"cert": {Found: true, Type: "kubernetes.io/tls"}, "gone": {},
		"hidden": {Unknown: &resolve.Gap{GroupKind: secretGroupKind, Namespace: "shop", Name: "hidden", Reason: resolve.GapForbidden, Detail: "denied"}},
		"other":  {Unknown: &resolve.Gap{GroupKind: secretGroupKind, Namespace: "shop", Name: "other", Reason: resolve.GapFailed, Detail: "not in the snapshot"}},
	} {
		if diff := cmp.Diff(want, in.Secret("shop", name)); diff != "" {
			t.Errorf("Secret %s (-want +got):\n%s", name, diff)
		}
	}
	for name, certificate := range map[string]bool{"ca": true, "bad": false} {
		if m := in.ConfigMap("shop", name); !m.Found || m.Authority == "" || resolve.IsCertificate(m.Authority) != certificate {
			t.Errorf("ConfigMap %s: %+v", name, m)
		}
	}
	if m := in.ConfigMap("shop", "gone"); m.Found || m.Unknown != nil {
		t.Errorf("ConfigMap gone: %+v", m)
	}
}

// TestSnapshotOfFilesAssumesAsFilesDo holds that nothing is asked for then, and that what an API server would fill in is.
func TestSnapshotOfFilesAssumesAsFilesDo(t *testing.T) {
	in, err := fromText("apiVersion: meshtrace.dev/v1alpha1\nkind: Snapshot\nsource: files\nistio: {version: \"1.31\", from: flag, revision: default}\n")
	if err != nil {
		t.Fatal(err)
	}
	if !in.Offline || in.Secret != nil || in.ConfigMap != nil || in.MeshConfig != nil || in.IstioVersionFrom != "flag" {
		t.Errorf("%+v", in)
	}
}

// TestSnapshotHasTheWordOnRemarks holds that the loader adds none about the objects of a snapshot, and does about others.
func TestSnapshotHasTheWordOnRemarks(t *testing.T) {
	const refused = "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a, namespace: shop}\nspec: {hosts: [a], http: [{match: [{sourceLabels: {a: b}, source_namespace: x}], route: [{destination: {host: a}}]}]}\n"
	with, err := fromText(snapshotText + refused)
	if err != nil {
		t.Fatal(err)
	}
	without, err := fromText(refused)
	if err != nil {
		t.Fatal(err)
	}
	if len(without.Notes) == 0 || len(with.Notes) != 1 || with.Notes[0].Message != "so it is" {
		t.Errorf("without a snapshot %v, with it %v", without.Notes, with.Notes)
	}
}

func TestSnapshotMistakes(t *testing.T) {
	for _, tc := range []struct{ name, from, to, want string }{
		{"unknown source", "source: cluster", "source: moon", `<stdin>:3: Snapshot: source: "moon": expected one of cluster, files`},
		{"unknown field", "source: cluster", "sauce: cluster", `<stdin>:3: Snapshot: sauce: unknown field`},
		{"type of a field", "source: cluster", "source: [cluster]", "<stdin>:3: Snapshot: source: expected a string, got a list"},
		{"reason of a gap", "reason: forbidden", "reason: shy", `<stdin>:10: Snapshot: gaps[0].reason: "shy": expected one of forbidden, failed, unreadable`},
		{"state of a Secret", "state: absent}\n- {namespace: shop, name: hidden", "state: lost}\n- {namespace: shop, name: hidden", `<stdin>:14: Snapshot: secrets[1].state: "lost": expected one of found, absent, forbidden, failed`},
		{"authority", "authority: malformed", "authority: high", `<stdin>:18: Snapshot: configMaps[1].authority: "high": expected one of certificate, malformed, none`},
		{"mesh config", "trustDomain: shop.example", "enableAutoMtls: 5", "<stdin>:7: Snapshot: meshConfig.config: enableAutoMtls: expected true or false, got the number 5"},
		{"release", `version: "1.30"`, `version: "1.x"`, `<stdin>:4: Snapshot: istio.version: "1.x": expected a release as X.Y`},
		{"origin of the release", "from: cluster", "from: above", `<stdin>:4: Snapshot: istio.from: "above": expected one of cluster, flag, default`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(snapshotText, tc.from, tc.to, 1)
			if _, err := fromText(text); err == nil || err.Error() != tc.want {
				t.Errorf("want %s\ngot  %v", tc.want, err)
			}
		})
	}
	if _, err := fromText(snapshotText + "---\n" + snapshotText); err == nil || err.Error() != "<stdin>:21: Snapshot: a second Snapshot; the first is at <stdin>:1, and a trace is of one" {
		t.Errorf("two snapshots: %v", err)
	}
}
