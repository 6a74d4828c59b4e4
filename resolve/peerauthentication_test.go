package resolve

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// peers writes PeerAuthentications: "namespace/name[@created] spec", one a line.
func peers(lines ...string) string {
	var docs []string
	for _, l := range lines {
		id, spec, _ := strings.Cut(l, " ")
		id, created, aged := strings.Cut(id, "@")
		namespace, name, _ := strings.Cut(id, "/")
		meta := "name: \"" + name + "\", namespace: " + namespace
		if aged {
			meta += ", creationTimestamp: \"" + created + "T00:00:00Z\""
		}
		docs = append(docs, "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {"+meta+"}\nspec: "+spec+"\n")
	}
	return strings.Join(docs, "---\n")
}

func TestEffectiveMTLS(t *testing.T) {
	const (
		strict     = "{mtls: {mode: STRICT}}"
		disable    = "{mtls: {mode: DISABLE}}"
		permissive = "{mtls: {mode: PERMISSIVE}}"
		unset      = "{mtls: {mode: UNSET}}"
		web        = "selector: {matchLabels: {app: web}}"
	)
	tests := []struct {
		name      string
		policies  string
		namespace string // of the workload; shop
		port      int
		want      MTLSMode
		steps     []string
	}{
		{
			name: "default", want: MTLSPermissive,
			steps: []string{"none peerauthentication/default: no PeerAuthentication sets a mode for Deployment shop/web; Istio's default is PERMISSIVE"},
		},
		{
			name: "mesh", policies: peers("istio-system/m " + strict), want: MTLSStrict,
			steps: []string{"matched peerauthentication/mesh istio-system/m spec.mtls.mode: mTLS mode STRICT for the mesh (root namespace istio-system)"},
		},
		{
			name: "namespace replaces mesh", policies: peers("istio-system/m "+strict, "shop/n "+disable), want: MTLSDisable,
			steps: []string{
				"skipped peerauthentication/narrower-wins istio-system/m spec.mtls.mode: mode STRICT is replaced by PeerAuthentication shop/n spec.mtls.mode",
				"matched peerauthentication/namespace shop/n spec.mtls.mode: mTLS mode DISABLE for namespace shop",
			},
		},
		{name: "empty selector is the namespace", policies: peers("shop/n {selector: {}, mtls: {mode: STRICT}}"), want: MTLSStrict},
		{name: "other namespace", policies: peers("other/n " + strict), want: MTLSPermissive},
		{
			name: "UNSET inherits", policies: peers("istio-system/m "+strict, "shop/n "+unset), want: MTLSStrict,
			steps: []string{
				"skipped peerauthentication/unset-inherits shop/n spec.mtls.mode: its mode is UNSET, so the wider level's STRICT stays",
				"matched peerauthentication/mesh istio-system/m spec.mtls.mode: mTLS mode STRICT for the mesh (root namespace istio-system)",
			},
		},
		{name: "no mtls inherits", policies: peers("istio-system/m "+strict, "shop/n {}"), want: MTLSStrict},
		{
			name: "workload replaces namespace", policies: peers("shop/n "+disable, "shop/w {"+web+", mtls: {mode: STRICT}}"), want: MTLSStrict,
			steps: []string{
				"skipped peerauthentication/narrower-wins shop/n spec.mtls.mode: mode DISABLE is replaced by PeerAuthentication shop/w spec.mtls.mode",
				"matched peerauthentication/workload shop/w spec.mtls.mode: mTLS mode STRICT for workload Deployment shop/web",
			},
		},
		{
			name: "other labels", policies: peers("shop/w {selector: {matchLabels: {app: api}}, mtls: {mode: STRICT}}"), want: MTLSPermissive,
			steps: []string{
				"skipped peerauthentication/other-labels shop/w spec.selector.matchLabels: selects app=api; Deployment shop/web is another workload (want app=api, got app=web)",
				"none peerauthentication/default: no PeerAuthentication sets a mode for Deployment shop/web; Istio's default is PERMISSIVE",
			},
		},
		{
			name: "A-6: selector in the root namespace is dead", policies: peers("istio-system/a {"+web+", mtls: {mode: DISABLE}}", "istio-system/m "+strict), want: MTLSStrict,
			steps: []string{
				"skipped peerauthentication/root-selector istio-system/a spec.selector: does nothing: a PeerAuthentication in the root namespace istio-system must not have a selector",
				"matched peerauthentication/mesh istio-system/m spec.mtls.mode: mTLS mode STRICT for the mesh (root namespace istio-system)",
			},
		},
		{
			name: "dead for pods of the root namespace, too", namespace: "istio-system", policies: peers("istio-system/a {" + web + ", mtls: {mode: DISABLE}}"), want: MTLSPermissive,
		},
		{name: "root namespace is the mesh level only", namespace: "istio-system", policies: peers("istio-system/m " + strict), want: MTLSStrict},
		{
			name: "oldest of the namespace", policies: peers("shop/a@2024-02-01 "+strict, "shop/b@2024-01-01 "+disable), want: MTLSDisable,
			steps: []string{
				"skipped peerauthentication/older-wins shop/a: ignored: PeerAuthentication shop/b is of the same level and older (or first by name); they are never merged",
				"matched peerauthentication/namespace shop/b spec.mtls.mode: mTLS mode DISABLE for namespace shop",
			},
		},
		{name: "oldest counts even if UNSET", policies: peers("shop/a@2024-02-01 "+strict, "shop/b@2024-01-01 "+unset), want: MTLSPermissive},
		{
			name: "oldest of the workload, its ports too", port: 8080, want: MTLSStrict,
			policies: peers("shop/a@2024-01-01 {"+web+", mtls: {mode: STRICT}}", "shop/b@2024-02-01 {"+web+", portLevelMtls: {8080: {mode: DISABLE}}}"),
		},
		{
			name: "port level", port: 8080, policies: peers("shop/n "+strict, "shop/w {"+web+", portLevelMtls: {8080: {mode: DISABLE}}}"), want: MTLSDisable,
			steps: []string{
				"skipped peerauthentication/unset-inherits shop/w spec.mtls.mode: its mode is UNSET, so the wider level's STRICT stays",
				"skipped peerauthentication/narrower-wins shop/n spec.mtls.mode: mode STRICT is replaced by PeerAuthentication shop/w spec.portLevelMtls[8080].mode",
				"matched peerauthentication/port shop/w spec.portLevelMtls[8080].mode: mTLS mode DISABLE for pod port 8080 of Deployment shop/web",
			},
		},
		{
			name: "A-7: port keys are pod ports", port: 8080, policies: peers("shop/w {" + web + ", mtls: {mode: STRICT}, portLevelMtls: {80: {mode: PERMISSIVE}, 443: {mode: DISABLE}}}"), want: MTLSStrict,
			steps: []string{
				"skipped peerauthentication/other-port shop/w spec.portLevelMtls: portLevelMtls names port 80, 443; the pod port of this connection is 8080 (want 80, 443, got 8080)",
				"matched peerauthentication/workload shop/w spec.mtls.mode: mTLS mode STRICT for workload Deployment shop/web",
			},
		},
		{name: "port UNSET is the workload's", port: 8080, policies: peers("shop/w {" + web + ", mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: UNSET}}}"), want: MTLSStrict},
		{
			name: "port level without selector", port: 8080, policies: peers("shop/n {mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}"), want: MTLSStrict,
			steps: []string{
				"skipped peerauthentication/port-needs-selector shop/n spec.portLevelMtls: portLevelMtls is ignored: the PeerAuthentication has no selector",
				"matched peerauthentication/namespace shop/n spec.mtls.mode: mTLS mode STRICT for namespace shop",
			},
		},
		{name: "A2: mesh STRICT, namespace UNSET, workload DISABLE, port PERMISSIVE", port: 1, policies: peers("istio-system/m "+strict, "shop/n "+unset, "shop/w {"+web+", mtls: {mode: DISABLE}, portLevelMtls: {1: {mode: PERMISSIVE}}}"), want: MTLSPermissive},
		{name: "A2: and another port", port: 2, policies: peers("istio-system/m "+strict, "shop/n "+unset, "shop/w {"+web+", mtls: {mode: DISABLE}, portLevelMtls: {1: {mode: PERMISSIVE}}}"), want: MTLSDisable},
		{name: "A-1: workload goes before namespace on the server", policies: peers("shop/n "+disable, "shop/w {"+web+", mtls: {mode: STRICT}}"), want: MTLSStrict},
		{name: "another root namespace", policies: "kind: MeshConfig\nrootNamespace: root\n---\n" + peers("istio-system/m "+strict, "root/m "+permissive), want: MTLSPermissive},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := guarded()
			if tt.namespace != "" {
				w.in(tt.namespace)
			}
			m := snapshotOf(t, tt.policies).EffectiveMTLS(w, tt.port)
			if m.Mode != tt.want {
				t.Errorf("mode %s, want %s", m.Mode, tt.want)
			}
			if got := stepLines(m.Steps); tt.steps != nil {
				if diff := cmp.Diff(tt.steps, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestNamespaceMTLS(t *testing.T) {
	tests := []struct {
		name, policies, namespace string
		want                      MTLSMode
		ref                       Ref
	}{
		{name: "default", namespace: "shop", want: MTLSPermissive},
		{
			name: "mesh", policies: peers("istio-system/m {mtls: {mode: STRICT}}"), namespace: "shop", want: MTLSStrict,
			ref: Ref{Group: securityGroup, Kind: "PeerAuthentication", Namespace: "istio-system", Name: "m", Field: "spec.mtls.mode"},
		},
		{name: "mesh UNSET", policies: peers("istio-system/m {mtls: {}}"), namespace: "shop", want: MTLSPermissive},
		{
			name: "A-1: workload level is not looked at", namespace: "shop", want: MTLSDisable,
			policies: peers("shop/n {mtls: {mode: DISABLE}}", "shop/w {selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}}"),
			ref:      Ref{Group: securityGroup, Kind: "PeerAuthentication", Namespace: "shop", Name: "n", Field: "spec.mtls.mode"},
		},
		{
			name: "root namespace", policies: peers("istio-system/m {mtls: {mode: STRICT}}"), namespace: "istio-system", want: MTLSStrict,
			ref: Ref{Group: securityGroup, Kind: "PeerAuthentication", Namespace: "istio-system", Name: "m", Field: "spec.mtls.mode"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := snapshotOf(t, tt.policies).NamespaceMTLS(tt.namespace)
			if m.Mode != tt.want {
				t.Errorf("mode %s, want %s", m.Mode, tt.want)
			}
			if diff := cmp.Diff(tt.ref, m.Ref); diff != "" {
				t.Error(diff)
			}
		})
	}
}
