package e2e

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// Manifests in files and the same objects in a cluster give the same trace.

var (
	every = flag.Int("every", 8, "of the scenarios, compare each N-th; 1 is all")
	only  = flag.String("scenarios", "", "compare those whose name this regular expression matches")
)

// scenario is a file of testdata/scenarios.
type scenario struct {
	name      string
	manifests map[string]string
	requests  [][]string
}

func scenarios(t *testing.T) []scenario {
	t.Helper()
	const root = "../scenarios"
	var out []scenario
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".txtar" {
			return err
		}
		archive, err := txtar.ParseFile(path)
		if err != nil {
			return err
		}
		s := scenario{name: strings.TrimSuffix(strings.TrimPrefix(path, root+"/"), ".txtar"), manifests: map[string]string{}}
		for _, f := range archive.Files {
			switch f.Name {
			case "requests":
				for line := range strings.Lines(string(f.Data)) {
					if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
						s.requests = append(s.requests, words(line))
					}
				}
			case "want":
			default:
				s.manifests[f.Name] = string(f.Data)
			}
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// words splits a command line at spaces; quotes keep words together.
func words(line string) []string {
	var out []string
	line = inWide.ReplaceAllString(line, "") // which tells where each object was read
	for _, m := range regexp.MustCompile(`(?:[^\s'"]|'[^']*'|"[^"]*")+`).FindAllString(line, -1) {
		out = append(out, regexp.MustCompile(`'([^']*)'|"([^"]*)"`).ReplaceAllString(m, "$1$2"))
	}
	return out
}

var inWide = regexp.MustCompile(`-o wide( |$)`)

// leftOut says why a scenario can not be in a cluster of a test; empty if it can.
func (s scenario) leftOut() string {
	if _, given := s.manifests["mesh-networks.yaml"]; given {
		return "its networks stand in a file of their own, which no cluster has"
	}
	for _, text := range s.manifests {
		if serverTimes.MatchString(text) {
			return "it says when objects were made or deleted, which an API server alone decides"
		}
		if strings.Contains(text, "gatewayClassName: istio-east-west") {
			return "the completion does not make what istiod makes for an east-west gateway"
		}
		if strings.Contains(text, "podIP: 10.0.0.1,") {
			return "it has a pod with the address of the API server's own Service"
		}
	}
	return ""
}

var serverTimes = regexp.MustCompile(`(creation|deletion)Timestamp:`)

func TestFilesAndClusterGiveTheSameTrace(t *testing.T) {
	c := shared(t)
	admin := c.Kubeconfig(t, "")
	named := regexp.MustCompile(*only)
	compared, out := 0, map[string]int{}
	for i, s := range scenarios(t) {
		if i%*every != 0 || !named.MatchString(s.name) {
			continue
		}
		if why := s.leftOut(); why != "" {
			out[why]++
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			m, err := completed(s.manifests)
			if unjudged, ok := errors.AsType[apiserver.Unjudged](err); ok {
				out["it can not be completed"]++
				t.Log(unjudged)
				return
			} else if err != nil {
				t.Fatal(err)
			}
			if err := c.Reset(); err != nil {
				t.Fatal(err)
			}
			m.addRoots()
			text := m.yaml(t)
			if err := c.TryApply(t.Context(), text); apierrors.IsInvalid(err) {
				out["an API server refuses an object of it"]++
				t.Log(err)
				return
			} else if err != nil {
				t.Fatal(err)
			}
			for _, request := range s.requests {
				if why := compare(t, admin, text, request); why != "" {
					out[why]++
				} else {
					compared++
				}
			}
		})
	}
	t.Logf("%d traces compared; left out: %v", compared, out)
	if *only == "" && compared < 1200/(*every) {
		t.Errorf("%d traces were compared: the rules leave too much out", compared)
	}
}

// origin are the fields that differ: file and line, or "cluster", or nothing for what was asked for by name; and where
// the release is known from.
var origin = regexp.MustCompile(`"source": "(cluster|\S*mesh\.yaml:\d+)?"|"from": "(default|cluster)"`)

// missingSecret is a trace that comes by a Secret that is not there. Files are taken to leave Secrets out, a cluster is not:
// no two such traces are the same.
var missingSecret = regexp.MustCompile(`"rule": "credential/(kept|elsewhere)"|(Secret|ConfigMap) \S+ does not exist`)

// traceFiles traces a request on manifests, which stand in mesh.yaml.
func traceFiles(t testing.TB, manifests string, request []string) answer {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mesh.yaml")
	if err := os.WriteFile(file, []byte(manifests), 0o600); err != nil {
		t.Fatal(err)
	}
	var a answer
	args := append([]string{"mesh-trace", "-o", "json", "-f", file}, request...)
	a.stdout, a.stderr, a.exit = cluster.Kubectl(t, os.DevNull, args...)
	a.stderr = strings.ReplaceAll(a.stderr, filepath.Dir(file)+"/", "")
	return a
}

// unselected is a trace of a cluster in which no Gateway selects a gateway. Any other is not looked for there, as it serves
// nothing; in files it is seen, and why it does not serve is told.
var unselected = regexp.MustCompile(`"code": "NO_GATEWAY"`)

// injectable is a trace that says what Istio's injector would do. Files are taken to have Istio's, a cluster has those that it has.
var injectable = regexp.MustCompile(`"rule": "injection/missed"|labels\[\\"sidecar\.istio\.io/inject\\"\]"`)

// compare holds the trace of files against that of the cluster. It returns why the two can not be the same in every word; then
// nothing is compared, or the decisions alone.
func compare(t *testing.T, kubeconfig, manifests string, request []string) string {
	t.Helper()
	if strings.Contains(strings.Join(request, " "), "serviceaccount/") && !strings.Contains(manifests, "kind: MutatingWebhookConfiguration") {
		return "(a request) whether what does not run would have a proxy is for an injector to say, and the cluster has none"
	}
	files := traceFiles(t, manifests, request)
	var live answer
	live.stdout, live.stderr, live.exit = cluster.Kubectl(t, kubeconfig, append([]string{"mesh-trace", "-o", "json"}, request...)...)
	if missingSecret.MatchString(files.stdout + live.stdout) {
		return "(a request) files are taken to leave Secrets out, and a cluster is not"
	}
	decisions := func() {
		if a, b := files.outcomes(t)[0], live.outcomes(t)[0]; a.Decision != b.Decision || a.HTTPStatus != b.HTTPStatus {
			t.Errorf("%s: %s %d from files, %s %d from the cluster", strings.Join(request, " "), a.Decision, a.HTTPStatus, b.Decision, b.HTTPStatus)
		}
	}
	if injectable.MatchString(files.stdout) && !injectable.MatchString(live.stdout) {
		decisions()
		return "(a request) files are taken to have Istio's injector, and the cluster has none: the decisions were compared"
	}
	if unselected.MatchString(live.stdout) && !unselected.MatchString(files.stdout) {
		decisions()
		return "(a request) a gateway that no Gateway selects is seen in files alone: the decisions were compared"
	}
	files.stdout, live.stdout = origin.ReplaceAllString(files.stdout, ""), origin.ReplaceAllString(live.stdout, "")
	want := fmt.Sprintf("%s%sexit %d\n", files.stdout, files.stderr, files.exit)
	got := fmt.Sprintf("%s%sexit %d\n", live.stdout, live.stderr, live.exit)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-files +cluster):\n%s", strings.Join(request, " "), diff)
	}
	return ""
}
