//go:build integ

package conformance

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// securityTests are those of Istio's whose calls are judged. Left out are those that turn a feature flag or
// read the Gateway API, and those that ask what is in a certificate or a key set: no manifest tells.
var securityTests = []string{
	"authz_test.go", "jwt_test.go", "normalization_test.go", "pass_through_filter_chain_test.go", "reachability_test.go",
	"ca_custom_root/secure_naming_test.go",
}

const securityStandIn = "github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/integration/security"

// TestIstiosSecurityTests runs the security tests of Istio's own CI (tests/integration/security). As
// with the routing tests, each call is asked twice: whether the trace is what the test's check wants
// to see, and whether trace and pilot agree.
func TestIstiosSecurityTests(t *testing.T) {
	calls := securityCalls(t)
	checked := begin(t, "Istio's security tests: trace")
	judged := begin(t, "Istio's security tests: trace against pilot")
	worlds := &worlds{t: t}
	t.Cleanup(worlds.close)
	var manifests map[string]string
	for len(calls) > 0 {
		name, n := calls[0].group(), 0
		for n < len(calls) && calls[n].group() == name {
			n++
		}
		group := calls[:n]
		calls = calls[n:]
		t.Run(name, func(t *testing.T) {
			for _, c := range group {
				if c.Manifests != nil {
					manifests = c.Manifests
				}
				checked.record(t, c.Test, c.Test+": "+c.Question, c.Diff, c.unchecked())
				diff, err := c.asPilotDoes(worlds, manifests)
				judged.record(t, c.Test, c.Test+": "+strings.Join(c.Args, " "), diff, err)
			}
		})
	}
}

func (c recorded) group() string {
	name, _, _ := strings.Cut(c.Test, "/")
	return name
}

func (c recorded) unchecked() error {
	switch {
	case c.Broken != "":
		return errors.New(c.Broken)
	case c.Beyond != "":
		return skipped{c.Beyond}
	case c.Unchecked != "":
		return skipped{c.Unchecked}
	}
	return nil
}

func (c recorded) asPilotDoes(w *worlds, manifests map[string]string) (diff string, err error) {
	if c.Beyond != "" {
		return "", skipped{c.Beyond}
	}
	b, err := w.of(manifests)
	if err != nil {
		return "", err
	}
	return outcome(b, c.Args)
}

// securityCalls lets Istio's tests run in a process of their own, and reads what they wrote down.
func securityCalls(t *testing.T) []recorded {
	t.Helper()
	// Secure naming is tested by a package of its own, with one of the two namespaces.
	replace := strings.NewReplacer(
		"package cacustomroot", "package security", "apps.EchoNamespace", "apps.Ns1",
		`"istio.io/istio/tests/integration/security/util/cert"`, `"`+securityStandIn+`/cert"`,
		`"istio.io/istio/pkg/test/framework"`, `"`+securityStandIn+`/framework"`,
		`"istio.io/istio/pkg/test/framework/components/echo/deployment"`, `"`+securityStandIn+`/deployment"`,
	)
	path := overlay(t, "istio.io/istio/tests/integration/security", securityTests, replace, "integration/security")
	file := filepath.Join(t.TempDir(), "calls.json")
	run := exec.Command("go", "test", "-count=1", "-vet=off", "-tags", "integ", "-overlay", path, "./integration/security")
	run.Env = append(os.Environ(), RecordFile+"="+file)
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("Istio's security tests: %v\n%s", err, last(out, 4000))
	}
	text, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	var calls []recorded
	for d := json.NewDecoder(bufio.NewReader(text)); d.More(); {
		var c recorded
		if err := d.Decode(&c); err != nil {
			t.Fatal(err)
		}
		calls = append(calls, c)
	}
	if len(calls) == 0 {
		t.Fatal("Istio's security tests made no calls")
	}
	return calls
}
