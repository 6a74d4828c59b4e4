package cmd

import (
	"encoding/json"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

func TestPrintCodes(t *testing.T) {
	codes := []trace.CodeInfo{{Code: "A", Decision: trace.Denied, Says: "first", Check: "look there"}, {Code: "SECOND", Decision: trace.Reset, Says: "then"}}
	for _, tc := range []struct{ name, format, want string }{
		{"a table", "", "CODE     DECISION   MEANING\nA        Denied     first\nSECOND   Reset      then\n"},
		{"yaml", "yaml", "apiVersion: meshtrace.dev/v1alpha1\nitems:\n- check: look there\n  code: A\n  decision: Denied\n  meaning: first\n  rules: []\n- check: \"\"\n  code: SECOND\n  decision: Reset\n  meaning: then\n  rules: []\nkind: CodeList\n"},
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

// What the linker was told stands; the rest is what Go records.
func TestBuildIsCompleted(t *testing.T) {
	recorded := &debug.BuildInfo{Main: debug.Module{Version: "v0.9.0"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "beef"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	for _, tc := range []struct {
		name string
		from Build
		info *debug.BuildInfo
		want string
	}{
		{"a release", Build{Version: "v1.2.3", Commit: "c0ffee", Date: "2026-05-06T07:08:09Z"}, &debug.BuildInfo{}, "kubectl-mesh_trace v1.2.3, commit c0ffee, 2026-05-06T07:08:09Z, go"},
		{"a release of a checkout that differs", Build{Version: "v1.2.3", Commit: "c0ffee"}, recorded, "kubectl-mesh_trace v1.2.3, commit c0ffee (modified), go"},
		{"go build", Build{}, recorded, "kubectl-mesh_trace v0.9.0, commit beef (modified), 2026-01-02T03:04:05Z, go"},
		{"go install", Build{}, &debug.BuildInfo{Main: debug.Module{Version: "v0.9.0"}}, "kubectl-mesh_trace v0.9.0, go"},
		{"nothing known", Build{}, &debug.BuildInfo{}, "kubectl-mesh_trace (unknown version), go"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.from.completedBy(tc.info).String(); !strings.HasPrefix(got, tc.want) {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

// The help says what the exit codes are, and every flag is in one of its sections.
func TestHelp(t *testing.T) {
	help := runWith(t, Deps{}, "--help")
	if help.Code != 0 || help.ErrOut != "" {
		t.Fatalf("%+v", help)
	}
	for _, want := range []string{
		"kubectl mesh-trace [flags] URL", rootExit, rootExample, rootEnvironment, rootFiles,
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

// Every subcommand says what it is for, shows how it is used and what its exit codes are.
func TestHelpOfSubcommands(t *testing.T) {
	root := newRootCommand(genericiooptions.NewTestIOStreamsDiscard(), Build{}, Deps{})
	for _, c := range root.Commands() {
		if c.Long == "" || !strings.Contains(c.Example, "  kubectl mesh-trace "+c.Name()) {
			t.Errorf("%s has no description or no example", c.Name())
		}
		help := runWith(t, Deps{}, c.Name(), "--help")
		for _, want := range []string{c.Long, "Usage:\n  kubectl mesh-trace " + c.Use, c.Example, "Flags:\n", "Exit codes:\n  0  "} {
			if help.Code != 0 || help.ErrOut != "" || !strings.Contains(help.Out, want) {
				t.Errorf("the help of %s lacks %q: %+v", c.Name(), want, help)
			}
		}
	}
}

// The help of a subcommand has each of its flags once, its own before those that every command has, and only where it has some.
func TestSubcommandHelpHasEveryFlagOnce(t *testing.T) {
	headings := regexp.MustCompile(`(?m)^(Flags|Request|Mesh|Output|Cluster, as for kubectl):$`)
	for _, c := range newRootCommand(genericiooptions.NewTestIOStreamsDiscard(), Build{}, Deps{}).Commands() {
		help := runWith(t, Deps{}, c.Name(), "--help").Out
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			line := regexp.MustCompile(`(?m)^  (-\S, |    )--` + f.Name + ` `)
			if found := line.FindAllString(help, -1); len(found) != 1 {
				t.Errorf("%s: --%s stands there %d times", c.Name(), f.Name, len(found))
			}
		})
		if found := headings.FindString(help); found != "Flags:" {
			t.Errorf("%s: the first flags stand under %q", c.Name(), found)
		}
		if regexp.MustCompile(`:\n\n`).MatchString(help[strings.Index(help, "Flags:"):]) {
			t.Errorf("%s: a heading without flags:\n%s", c.Name(), help)
		}
	}
}
