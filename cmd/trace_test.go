package cmd

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// called is what the parts were asked by a run of the command.
type called struct {
	manifests *load.ManifestOptions
	cluster   *load.ClusterOptions
	config    *rest.Config
	snapshot  *resolve.Snapshot
	request   trace.Request
	detail    trace.Detail
	text      *render.Options
}

// fake are parts that record what they are asked: the mesh has the resources of
// input, and every request meets the same fate.
func fake(got *called, input resolve.Input, t *trace.Trace) Deps {
	return Deps{
		Manifests: func(o load.ManifestOptions) (resolve.Input, error) { got.manifests = &o; return input, nil },
		Cluster: func(_ context.Context, config *rest.Config, o load.ClusterOptions) (resolve.Input, error) {
			got.config, got.cluster = config, &o
			return input, nil
		},
		MeshConfig: func(data []byte, _ string) (*meshconfig.MeshConfig, []string, error) {
			return &meshconfig.MeshConfig{RootNamespace: strings.TrimSpace(string(data))}, []string{"a note"}, nil
		},
		Trace: func(s *resolve.Snapshot, q trace.Request, d trace.Detail) (*trace.Trace, error) {
			got.snapshot, got.request, got.detail = s, q, d
			return t, nil
		},
		Text: func(t *trace.Trace, o render.Options) []byte {
			got.text = &o
			return []byte(string(t.Outcomes[0].Decision) + "\n")
		},
		Document: func(t *trace.Trace, _ func(resolve.Ref) string) runtime.Object {
			return &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "meshtrace.dev/v1alpha1", "kind": "Trace", "metadata": map[string]any{"name": "reviews"},
				"decision": string(t.Outcomes[0].Decision),
			}}
		},
	}
}

// fate is a trace of which only the decisions matter.
func fate(decisions ...trace.Decision) *trace.Trace {
	t := &trace.Trace{}
	for _, d := range decisions {
		t.Outcomes = append(t.Outcomes, trace.Outcome{Decision: d})
	}
	return t
}

// result is what a shell sees of a run.
type result struct {
	Code        int
	Out, ErrOut string
}

func runWith(t *testing.T, deps Deps, args ...string) result {
	t.Helper()
	streams, _, out, errOut := genericiooptions.NewTestIOStreams()
	code := run(t.Context(), append([]string{"kubectl-mesh_trace"}, args...), streams, Build{Version: "v1.2.3", Commit: "c0ffee"}, deps)
	return result{code, out.String(), errOut.String()}
}

func TestOutput(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"text is the default", nil, "Delivered\n"},
		{"text", []string{"-o", "text"}, "Delivered\n"},
		{"wide", []string{"-o", "wide"}, "Delivered\n"},
		{"name", []string{"-o", "name"}, "trace.meshtrace.dev/reviews\n"},
		{"yaml", []string{"-o", "yaml"}, "apiVersion: meshtrace.dev/v1alpha1\ndecision: Delivered\nkind: Trace\nmetadata:\n  name: reviews\n"},
		{"kyaml", []string{"-o", "kyaml"}, "---\n{\n  apiVersion: \"meshtrace.dev/v1alpha1\",\n  decision: \"Delivered\",\n  kind: \"Trace\",\n  metadata: {\n    name: \"reviews\",\n  },\n}\n"},
		{"jsonpath", []string{"-o", "jsonpath={.decision}"}, "Delivered"},
		{"go-template", []string{"-o", "go-template={{.decision}}"}, "Delivered"},
		{"template without -o", []string{"--template", "{{.kind}}"}, "Trace"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got called
			r := runWith(t, fake(&got, resolve.Input{}, fate(trace.Delivered)), append(tc.args, "-f", "x", "reviews")...)
			if diff := cmp.Diff(result{0, tc.want, ""}, r); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExitCodeFlag(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		fate *trace.Trace
		want int
	}{
		{"denied is an answer", nil, fate(trace.Denied), exitTraced},
		{"delivered", []string{"--exit-code"}, fate(trace.Delivered, trace.Delivered), exitTraced},
		{"denied", []string{"--exit-code"}, fate(trace.Denied), exitNotDelivered},
		{"a redirect is not delivered", []string{"--exit-code"}, fate(trace.Redirected), exitNotDelivered},
		{"delivered in part", []string{"--exit-code"}, fate(trace.Delivered, trace.Responded), exitNotDelivered},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got called
			r := runWith(t, fake(&got, resolve.Input{}, tc.fate), append(tc.args, "-f", "x", "reviews")...)
			want := result{tc.want, string(tc.fate.Outcomes[0].Decision) + "\n", ""}
			if diff := cmp.Diff(want, r); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFlagsReachTheParts(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	mesh := write("mesh.yaml", "mesh-root\n")
	token := write("token", "e30.eyJzdWIiOiJhbm4ifQ.c2ln\n")

	var got called
	r := runWith(t, fake(&got, resolve.Input{IstioVersion: "1.29", IstioVersionFrom: "cluster"}, fate(trace.Delivered)),
		"-f", "a", "-f", "b", "-R", "-n", "shop", "--mesh-config", mesh, "--istio-version", "1.30.2", "--revision", "canary",
		"--from", "deploy/web", "-X", "PUT", "-H", "a: b", "-H", "c: d,e", "--source-ip", "10.1.2.3", "--sni", "other", "--client-cert", "spiffe://a/b",
		"--jwt", "@"+token, "--claim", "g=[1]", "--explain", "full", "-o", "wide", "--color", "always", "https://reviews/x")
	if r.Code != 0 {
		t.Fatalf("%+v", r)
	}
	if diff := cmp.Diff(&load.ManifestOptions{Paths: []string{"a", "b"}, Recursive: true, DefaultNamespace: "shop", Defer: true}, got.manifests,
		cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Stdin" }, cmp.Ignore())); diff != "" {
		t.Error(diff)
	}
	if got.cluster != nil {
		t.Error("the cluster was asked although -f is given")
	}
	if diff := cmp.Diff(trace.SourceSpec{Kind: "deployment", Name: "web", DefaultNamespace: "shop"}, got.request.From); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"sub": "ann", "g": []any{1.0}}, got.request.Token.Claims); diff != "" {
		t.Error(diff)
	}
	q := got.request
	if diff := cmp.Diff([]string{"https", "PUT", "/x", "b", "d,e", "10.1.2.3", "other", "spiffe://a/b"},
		[]string{string(q.Scheme), q.Method, q.Path, q.Headers["a"], q.Headers["c"], q.SourceIP.String(), q.SNI, q.ClientCert}); diff != "" {
		t.Error(diff)
	}
	s := got.snapshot
	if diff := cmp.Diff(resolve.Version{Release: "1.30", From: "flag"}, s.Version); diff != "" {
		t.Error(diff)
	}
	if s.Revision != "canary" || len(s.Notes) != 1 || s.Notes[0].Message != "a note" {
		t.Errorf("revision %q, notes %v", s.Revision, s.Notes)
	}
	if at := s.Locate(resolve.Ref{Kind: "MeshConfig", Name: mesh}); at != mesh {
		t.Errorf("the mesh config is located at %q", at)
	}
	if got.detail != trace.DetailFull || !got.text.Wide || !got.text.Colour || got.text.Width != 0 {
		t.Errorf("detail %q, text %+v", got.detail, got.text)
	}
}

func TestClusterFlags(t *testing.T) {
	var got called
	r := runWith(t, fake(&got, resolve.Input{}, fate(trace.Delivered)),
		"-s", "https://cluster.example:6443", "--as", "jane", "-n", "shop", "-i", "mesh-system", "--revision", "r1", "--gateway", "gw", "reviews")
	if r.Code != 0 || got.manifests != nil {
		t.Fatalf("%+v", r)
	}
	if got.config.Host != "https://cluster.example:6443" || got.config.Impersonate.UserName != "jane" || got.config.WarningHandler == nil {
		t.Errorf("config %+v", got.config)
	}
	got.cluster.Warn, got.cluster.Progress = nil, nil
	want := &load.ClusterOptions{IstioNamespace: "mesh-system", Revision: "r1", Namespaces: []string{"shop"}, Version: "v1.2.3"}
	if diff := cmp.Diff(want, got.cluster); diff != "" {
		t.Error(diff)
	}
	if !got.request.From.External || got.request.Gateway != "gw" {
		t.Errorf("request %+v", got.request)
	}
}

// A trace is printed at once or not at all.
func TestNothingOnStdoutOnFailure(t *testing.T) {
	boom := errors.New("boom")
	for _, tc := range []struct {
		name  string
		spoil func(*Deps)
		args  []string
		want  string
	}{
		{"reading", func(d *Deps) {
			d.Manifests = func(load.ManifestOptions) (resolve.Input, error) { return resolve.Input{}, boom }
		}, nil, "error: boom\n"},
		{"tracing", func(d *Deps) {
			d.Trace = func(*resolve.Snapshot, trace.Request, trace.Detail) (*trace.Trace, error) { return nil, boom }
		}, nil, "error: boom\n"},
		{"printing", func(*Deps) {}, []string{"-o", "jsonpath={.decision}{.decision.no}", "--allow-missing-template-keys=false"}, "error: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got called
			deps := fake(&got, resolve.Input{}, fate(trace.Delivered))
			tc.spoil(&deps)
			r := runWith(t, deps, append(tc.args, "-f", "x", "reviews")...)
			if r.Code != exitFailed || r.Out != "" || !strings.HasPrefix(r.ErrOut, tc.want) {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var got called
	deps := fake(&got, resolve.Input{}, fate(trace.Delivered))
	deps.Manifests = func(load.ManifestOptions) (resolve.Input, error) { cancel(); return resolve.Input{}, nil }
	streams, _, out, errOut := genericiooptions.NewTestIOStreams()
	code := run(ctx, []string{"kubectl-mesh_trace", "-f", "x", "reviews"}, streams, Build{}, deps)
	if diff := cmp.Diff(result{exitFailed, "", "error: interrupted\n"}, result{code, out.String(), errOut.String()}); diff != "" {
		t.Error(diff)
	}
}

func TestStdinIsHandedOver(t *testing.T) {
	var got called
	deps := fake(&got, resolve.Input{}, fate(trace.Delivered))
	streams, in, _, _ := genericiooptions.NewTestIOStreams()
	in.WriteString("kind: Service")
	if code := run(t.Context(), []string{"kubectl-mesh_trace", "-f", "-", "reviews"}, streams, Build{}, deps); code != 0 {
		t.Fatal(code)
	}
	text, err := io.ReadAll(got.manifests.Stdin)
	if err != nil || string(text) != "kind: Service" {
		t.Errorf("%q, %v", text, err)
	}
}
