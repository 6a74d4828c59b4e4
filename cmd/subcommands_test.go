package cmd

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

func TestPrintCodes(t *testing.T) {
	codes := []trace.CodeInfo{{Code: "A", Decision: trace.Denied, Says: "first"}, {Code: "SECOND", Decision: trace.Reset, Says: "then"}}
	for _, tc := range []struct{ name, format, want string }{
		{"a table", "", "CODE     DECISION   MEANING\nA        Denied     first\nSECOND   Reset      then\n"},
		{"yaml", "yaml", "apiVersion: meshtrace.dev/v1alpha1\nitems:\n- code: A\n  decision: Denied\n  meaning: first\n- code: SECOND\n  decision: Reset\n  meaning: then\nkind: CodeList\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := printCodes(codes, tc.format)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCodesJSONIsAListEvenIfEmpty(t *testing.T) {
	got, err := printCodes(nil, "json")
	if err != nil {
		t.Fatal(err)
	}
	var list codeList
	if err := json.Unmarshal(got, &list); err != nil || list.Items == nil {
		t.Errorf("%s: %v", got, err)
	}
}

func TestVersion(t *testing.T) {
	r := runWith(t, Deps{}, "version")
	if r.Code != 0 || !strings.HasPrefix(r.Out, "kubectl-mesh_trace v1.2.3, commit c0ffee, go") || !strings.HasSuffix(r.Out, "Istio up to "+resolve.NewestRelease+"\n") {
		t.Errorf("%+v", r)
	}
	if flag := runWith(t, Deps{}, "--version"); flag != r {
		t.Errorf("--version differs: %+v", flag)
	}
	var document buildDocument
	if err := json.Unmarshal([]byte(runWith(t, Deps{}, "version", "-o", "json").Out), &document); err != nil {
		t.Fatal(err)
	}
	if document.Version != "v1.2.3" || document.NewestIstio != resolve.NewestRelease {
		t.Errorf("%+v", document)
	}
}

// Without the linker's flags, the version is what Go records.
func TestBuildWithoutLinkerFlags(t *testing.T) {
	if got := (Build{}).complete().String(); !strings.HasPrefix(got, "kubectl-mesh_trace ") {
		t.Error(got)
	}
	if got := (Build{}).String(); !strings.HasPrefix(got, "kubectl-mesh_trace (unknown version), go") {
		t.Error(got)
	}
}

// The help says what the exit codes are, and every flag is in one of its sections.
func TestHelp(t *testing.T) {
	help := runWith(t, Deps{}, "--help")
	if help.Code != 0 || help.ErrOut != "" {
		t.Fatalf("%+v", help)
	}
	for _, want := range []string{
		"kubectl mesh-trace [flags] URL", rootExit, rootExample,
		"--from", "--gateway", "-X, --method", "-H, --header", "--source-ip", "--sni", "--client-cert", "--jwt", "--claim",
		"-f, --filename", "-R, --recursive", "-k, --kustomize", "-i, --istio-namespace", "--revision", "--mesh-config", "--istio-version",
		"-o, --output", "--explain", "--exit-code", "--color", "-n, --namespace", "--context", "--kubeconfig", "--as", "-v, --v",
		"codes", "version", "completion",
	} {
		if !strings.Contains(help.Out, want) {
			t.Errorf("the help lacks %q", want)
		}
	}
	if strings.Contains(help.Out, "managed-fields") {
		t.Error("the help shows a flag that does nothing here")
	}
}
