package conformance

import (
	"flag"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var scenarios = flag.String("scenarios", "../scenarios", "the folder of the scenarios to judge")

// apart are the scenarios in which the bench is not what the scenario describes, or
// does not play what decides there, with the reason in words. One that agrees is
// taken off the list.
var apart = map[string]string{
	"capture/interception-none":                   "the bench does not set the interception mode of its proxies",
	"gateway/auto-passthrough":                    "the trace ends at AUTO_PASSTHROUGH, and the bench's client sends no ALPN of Istio's",
	"gateway/auto-passthrough-other-hosts":        "without a filter chain pilot makes no listener (refused); the trace has the listener and says Reset",
	"gateway/route-back-to-the-gateway":           "a loop has no end to compare: both give up, each in its own words",
	"gatewayentry/host-network":                   "the bench's gateway is not on the host's network",
	"gatewaylistener/bound-to-address":            "the bench dials the pod's address, not the one the server is bound to",
	"gatewaylistener/unprivileged":                "the bench does not set ISTIO_META_UNPRIVILEGED_POD",
	"hidden/root-namespace-not-discovered":        "the fake discovery server reads configuration without discovery selectors",
	"injection/template-custom":                   "the bench injects the sidecar template into every workload it injects",
	"requestauthentication/cors-preflight":        "the evaluator does not play bypass_cors_preflight",
	"requestauthentication/header-without-prefix": "the evaluator reads a token in Authorization behind Bearer only",
	"requestauthentication/token-as-header":       "the evaluator reads a token in Authorization behind Bearer only",
}

// TestScenarios holds each request of each scenario of the tracer against Istio.
func TestScenarios(t *testing.T) {
	skips := map[string]int{}
	differ := map[string]bool{}
	judged := 0
	err := filepath.WalkDir(*scenarios, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".txtar" {
			return err
		}
		archive, err := txtar.ParseFile(path)
		if err != nil {
			return err
		}
		manifests, requests := map[string]string{}, ""
		for _, f := range archive.Files {
			switch f.Name {
			case "requests":
				requests = string(f.Data)
			case "want":
			default:
				manifests[f.Name] = string(f.Data)
			}
		}
		name := strings.TrimSuffix(strings.TrimPrefix(path, *scenarios+"/"), ".txtar")
		for line := range strings.Lines(requests) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			t.Run(name, func(t *testing.T) {
				b, err := newBench(t, t.TempDir(), manifests, "default")
				diff := ""
				if err == nil {
					diff, err = b.judge(words(line))
				}
				if reason, ok := reasonOf(err); ok {
					skips[reason]++
					t.Logf("not judged: %s: %s", line, reason)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				judged++
				if why, ok := apart[name]; ok {
					differ[name] = differ[name] || diff != ""
					t.Logf("apart: %s", why)
					return
				}
				if diff != "" {
					t.Errorf("%s (-pilot +trace):\n%s", line, diff)
				}
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range apart {
		if !differ[name] {
			t.Errorf("%s agrees, or is gone: take it off the list of those apart", name)
		}
	}
	t.Logf("%d requests judged, %d scenarios apart", judged, len(apart))
	var reasons []string
	for r := range skips {
		reasons = append(reasons, r)
	}
	slices.Sort(reasons)
	for _, r := range reasons {
		t.Logf("%d not judged: %s", skips[r], r)
	}
}

// words splits a command line at spaces; quotes keep words together.
func words(line string) []string {
	var out []string
	var word strings.Builder
	var quote rune
	in := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, in = r, true
		case quote == 0 && r == ' ':
			if in {
				out, in = append(out, word.String()), false
				word.Reset()
			}
		default:
			word.WriteRune(r)
			in = true
		}
	}
	if in {
		out = append(out, word.String())
	}
	return out
}
