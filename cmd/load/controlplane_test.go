package load

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

func silent() *log.Logger { return log.New(io.Discard, "", 0) }

const (
	deployments = "/apis/apps/v1/deployments"
	webhooks    = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
)

// istiodDeployment is istiod as the chart makes it; an empty revision leaves the label out.
func istiodDeployment(namespace, revision, image string) string {
	rev := ""
	if revision != "" {
		rev = ", istio.io/rev: " + revision
	}
	return fmt.Sprintf(`{metadata: {namespace: %s, name: istiod-%s, labels: {app: istiod%s}}, spec: {template: {spec: {containers: [{name: discovery, image: "%s"}]}}}}`,
		namespace, revision, rev, image)
}

func defaultTagWebhook(revision string) string {
	return fmt.Sprintf(`{metadata: {name: istio-revision-tag-default-istio-system, labels: {istio.io/tag: default, istio.io/rev: "%s"}}}`, revision)
}

func TestControlPlane(t *testing.T) {
	type found struct {
		Revision, Version, From string
		MeshConfig              string
		Notes                   []string
	}
	tests := []struct {
		name    string
		prepare func(*testing.T, *loadtest.Server)
		opts    ClusterOptions
		want    found
	}{
		{
			name: "one istiod",
			prepare: func(t *testing.T, s *loadtest.Server) {
				s.Add(t, deployments, istiodDeployment("istio-system", "default", "docker.io/istio/pilot:1.31.1-distroless"))
			},
			want: found{Revision: "default", Version: "1.31", From: "cluster", MeshConfig: "istio-system/istio"},
		},
		{
			name: "an istiod without a revision label",
			prepare: func(t *testing.T, s *loadtest.Server) {
				s.Add(t, deployments, istiodDeployment("istio-system", "", "pilot:1.30.0"))
			},
			want: found{Revision: "default", Version: "1.30", From: "cluster", MeshConfig: "istio-system/istio"},
		},
		{
			name: "one istiod of a revision",
			prepare: func(t *testing.T, s *loadtest.Server) {
				s.Add(t, deployments, istiodDeployment("istio-system", "canary", "localhost:5000/istio/pilot:1.29-alpha.0@sha256:00ff"))
			},
			want: found{Revision: "canary", Version: "1.29", From: "cluster", MeshConfig: "istio-system/istio-canary"},
		},
		{
			name: "several, one of them tagged default",
			prepare: func(t *testing.T, s *loadtest.Server) {
				s.Add(t, deployments, istiodDeployment("istio-system", "old", "pilot:1.30.2"), istiodDeployment("istio-system", "new", "pilot:1.31.0"))
				s.Add(t, webhooks, `{metadata: {name: istio-sidecar-injector-old, labels: {istio.io/rev: old}}}`, defaultTagWebhook("new"))
			},
			want: found{
				Revision: "new", Version: "1.31", From: "cluster", MeshConfig: "istio-system/istio-new",
				Notes: []string{"several control planes run (new, old); new is followed, which the tag default names"},
			},
		},
		{
			name: "several, none tagged",
			prepare: func(t *testing.T, s *loadtest.Server) {
				s.Add(t, deployments, istiodDeployment("istio-system", "default", "pilot:1.30.2"), istiodDeployment("istio-system", "new", "pilot:1.31.0"))
			},
			want: found{
				Revision: "default", Version: "1.30", From: "cluster", MeshConfig: "istio-system/istio",
				Notes: []string{"several control planes run (default, new) and no tag names the default: revision default is followed; name another with --revision"},
			},
		},
		{
			name: "none to be seen, but a tag",
			prepare: func(t *testing.T, s *loadtest.Server) {
				s.Add(t, webhooks, `{metadata: {name: istio-revision-tag-default, labels: {istio.io/rev: stable}}}`)
			},
			want: found{Revision: "stable", MeshConfig: "istio-system/istio-stable"},
		},
		{
			name: "none to be seen",
			want: found{Revision: "default", MeshConfig: "istio-system/istio"},
		},
		{
			name: "revision and version asked for",
			prepare: func(t *testing.T, s *loadtest.Server) {
				s.Add(t, deployments, istiodDeployment("istio-system", "old", "pilot:1.30.2"), istiodDeployment("istio-system", "new", "pilot:1.31.0"))
			},
			opts: ClusterOptions{Revision: "old", IstioVersion: "1.28"},
			want: found{Revision: "old", Version: "1.28", From: "flag", MeshConfig: "istio-system/istio-old"},
		},
		{
			name: "a revision asked for that does not run",
			prepare: func(t *testing.T, s *loadtest.Server) {
				s.Add(t, deployments, istiodDeployment("istio-system", "new", "pilot:1.31.0"))
			},
			opts: ClusterOptions{Revision: "lost"},
			want: found{
				Revision: "lost", MeshConfig: "istio-system/istio-lost",
				Notes: []string{"no istiod of revision lost runs; there are: new"},
			},
		},
		{
			name: "another namespace found",
			prepare: func(t *testing.T, s *loadtest.Server) {
				s.Add(t, deployments, istiodDeployment("mesh", "default", "pilot:1.31.0"))
			},
			want: found{Revision: "default", Version: "1.31", From: "cluster", MeshConfig: "mesh/istio"},
		},
		{
			name: "another namespace than the one asked for",
			prepare: func(t *testing.T, s *loadtest.Server) {
				s.Add(t, deployments, istiodDeployment("mesh", "blue", "pilot:1.31.0"))
			},
			opts: ClusterOptions{IstioNamespace: "istio-system"},
			want: found{
				Revision: "default", MeshConfig: "istio-system/istio",
				Notes: []string{"no istiod runs in namespace istio-system; one runs in mesh: name it with --istio-namespace"},
			},
		},
		{
			name: "two namespaces",
			prepare: func(t *testing.T, s *loadtest.Server) {
				s.Add(t, deployments, istiodDeployment("mesh", "blue", "pilot:1.31.0"), istiodDeployment("istio-system", "green", "pilot:1.30.0"))
			},
			want: found{Revision: "green", Version: "1.30", From: "cluster", MeshConfig: "istio-system/istio-green"},
		},
		{
			name: "only its pod can be seen, of an image without a tag",
			prepare: func(t *testing.T, s *loadtest.Server) {
				s.Refuse(deployments, http.StatusForbidden)
				s.Add(t, "/api/v1/pods",
					`{metadata: {namespace: istio-system, name: other, labels: {app: web}}}`,
					`{metadata: {namespace: istio-system, name: istiod-1, labels: {app: istiod, istio.io/rev: default, app.kubernetes.io/version: 1.30.3}}, spec: {containers: [{name: discovery, image: "hub/pilot@sha256:00ff"}]}}`)
			},
			want: found{Revision: "default", Version: "1.30", From: "cluster", MeshConfig: "istio-system/istio"},
		},
		{
			name: "a second mesh config",
			prepare: func(t *testing.T, s *loadtest.Server) {
				s.Add(t, deployments, `{metadata: {namespace: istio-system, name: istiod, labels: {app: istiod}}, spec: {template: {spec: {containers: [{name: discovery, image: "pilot:1.31.0", env: [{name: SHARED_MESH_CONFIG, value: company}]}]}}}}`)
			},
			want: found{
				Revision: "default", Version: "1.31", From: "cluster", MeshConfig: "istio-system/istio",
				Notes: []string{"istiod also reads the mesh config of ConfigMap istio-system/company (SHARED_MESH_CONFIG), which is not taken into account"},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := loadtest.New(t)
			for _, at := range []string{
				"istio-system/istio", "istio-system/istio-canary", "istio-system/istio-new", "istio-system/istio-old", "istio-system/istio-stable",
				"istio-system/istio-lost", "istio-system/istio-green", "mesh/istio",
			} {
				ref := refAt(at)
				s.MeshConfig(t, ref.Namespace, ref.Name, "rootNamespace: "+at)
			}
			if tt.prepare != nil {
				tt.prepare(t, s)
			}
			in := readStub(t, s, tt.opts)
			got := found{in.Revision, in.IstioVersion, in.IstioVersionFrom, in.MeshConfig.GetRootNamespace(), notes(in)}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("control plane (-want +got):\n%s", diff)
			}
			if want := refAt(tt.want.MeshConfig).At("data.mesh"); in.MeshConfigRef != want || in.MeshOrigin.Locate("") != "cluster" {
				t.Errorf("mesh config from %v, want %v", in.MeshConfigRef, want)
			}
		})
	}
}

// refAt is the ConfigMap written namespace/name.
func refAt(at string) resolve.Ref {
	out := resolve.Ref{Kind: "ConfigMap"}
	for i := range at {
		if at[i] == '/' {
			out.Namespace, out.Name = at[:i], at[i+1:]
		}
	}
	return out
}

func TestMeshConfigThatCannotBeRead(t *testing.T) {
	const path = "/api/v1/namespaces/istio-system/configmaps/istio"
	gap := func(reason resolve.GapReason, detail string) []resolve.Gap {
		return []resolve.Gap{{
			GroupKind: schema.GroupKind{Kind: "ConfigMap"}, Namespace: "istio-system", Name: "istio",
			Reason: reason, Detail: detail + "; Istio's default mesh config is assumed",
		}}
	}
	tests := []struct {
		name    string
		prepare func(*testing.T, *loadtest.Server)
		gaps    []resolve.Gap
		notes   []string
	}{
		{
			name:  "missing",
			notes: []string{"ConfigMap istio-system/istio does not exist: Istio's default mesh config is assumed"},
		},
		{
			name:    "missing where Istio is not installed",
			prepare: func(_ *testing.T, s *loadtest.Server) { serveNothingOfIstio(s) },
			notes:   []string{noIstioNote},
		},
		{
			name:    "without its entry",
			prepare: func(_ *testing.T, s *loadtest.Server) { s.Objects[path] = `{"kind":"ConfigMap","apiVersion":"v1"}` },
			notes:   []string{`ConfigMap istio-system/istio has no entry "mesh": Istio's default mesh config is assumed`},
		},
		{
			name:    "forbidden",
			prepare: func(_ *testing.T, s *loadtest.Server) { s.Refuse(path, http.StatusForbidden) },
			gaps:    gap(resolve.GapForbidden, "the server says Forbidden"),
		},
		{
			name:    "broken",
			prepare: func(_ *testing.T, s *loadtest.Server) { s.Refuse(path, http.StatusInternalServerError) },
			gaps:    gap(resolve.GapFailed, "the server says Internal Server Error"),
		},
		{
			name:    "not YAML",
			prepare: func(t *testing.T, s *loadtest.Server) { s.MeshConfig(t, "istio-system", "istio", "a: [") },
			gaps:    gap(resolve.GapUnreadable, "did not find expected node content"),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := loadtest.New(t)
			if tt.prepare != nil {
				tt.prepare(t, s)
			}
			in := readStub(t, s, ClusterOptions{})
			if in.MeshConfig != nil || !in.MeshConfigRef.IsZero() {
				t.Errorf("mesh config %v from %v, want none", in.MeshConfig, in.MeshConfigRef)
			}
			for i, g := range in.Gaps {
				if g.Reason == resolve.GapUnreadable {
					// The parser says it; where and in which words is not the loader's.
					in.Gaps[i].Detail = g.Detail[strings.LastIndex(g.Detail, ": ")+2:]
				}
			}
			if diff := cmp.Diff(tt.gaps, in.Gaps); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.notes, notes(in)); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRelease(t *testing.T) {
	tests := []struct{ name, image, want string }{
		{"a release", "docker.io/istio/pilot:1.31.1", "1.31"},
		{"a variant", "istio/pilot:1.31.1-distroless", "1.31"},
		{"a leading v", "pilot:v1.9.0", "1.9"},
		{"a vendor's build", "gke.gcr.io/asm/pilot:1.19.7-asm.3", "1.19"},
		{"a development branch", "gcr.io/istio-testing/pilot:1.32-alpha.0123abc", "1.32"},
		{"tag and digest", "istio/pilot:1.30@sha256:00ff", "1.30"},
		{"a registry with a port", "localhost:5000/pilot:1.30.0", "1.30"},
		{"a registry with a port and no tag", "localhost:5000/pilot", ""},
		{"a digest alone", "istio/pilot@sha256:00ff", ""},
		{"a word", "istio/pilot:latest", ""},
		{"a commit", "istio/pilot:1a2b3c", ""},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := releaseOf(imageTag(tt.image)); got != tt.want {
				t.Errorf("release of %q = %q, want %q", tt.image, got, tt.want)
			}
		})
	}
}
