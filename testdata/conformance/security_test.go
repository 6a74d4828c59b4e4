//go:build integ

package conformance

import (
	"bufio"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

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
	for _, name := range slices.Sorted(maps.Keys(securityLeftOut)) {
		checked.record(t, name, name, "", skipped{"left out: " + securityLeftOut[name]})
	}
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

// withOurs replaces the packages by which Istio's tests reach a cluster.
var withOurs = strings.NewReplacer(
	`"istio.io/istio/tests/integration/security/util/cert"`, `"`+securityStandIn+`/cert"`,
	`"istio.io/istio/pkg/test/framework"`, `"`+securityStandIn+`/framework"`,
	`"istio.io/istio/pkg/test/framework/components/echo/deployment"`, `"`+securityStandIn+`/deployment"`,
)

// inOneSuite has the tests of other packages, each with a cluster of its own, find what is set up for the one suite.
var inOneSuite = strings.NewReplacer(
	"package cacustomroot", "package security", "package eccsignaturealgorithm", "package security",
	"package externalca", "package security", "package remotejwks", "package security",
	"apps.EchoNamespace", "apps.Ns1", "apps.Naked", "apps.Ns1.Naked", "apps.All.Instances()", "apps.Ns1.All.Instances()",
	"./testdata/remotehttps", "./https_jwt/testdata/remotehttps", "./testdata/requestauthn-", "./remote_jwks/testdata/requestauthn-",
)

var testOfGo = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// asOneSuite is a file of Istio's as a part of the one suite. The tests have the names of their directories with them,
// and those that are left out are no tests.
func asOneSuite(name, text string) string {
	dir := path.Dir(name)
	text = withOurs.Replace(text)
	if dir != "." {
		text = inOneSuite.Replace(text)
	}
	if dir == "ca_custom_root" { // which has other trust domains, besides
		text = strings.ReplaceAll(text, "framework.NewTest(", "integration.NewTestOfTrustDomains(")
		text = strings.Replace(text, "import (", "import (\n\t\""+path.Dir(securityStandIn)+"\"", 1)
	}
	return testOfGo.ReplaceAllStringFunc(text, func(f string) string {
		test := testOfGo.FindStringSubmatch(f)[1]
		if _, out := securityLeftOut[path.Join(dir, test)]; out {
			return "func leftOut" + test + "("
		}
		if dir != "." {
			test += "_" + dir
		}
		return "func " + test + "("
	})
}

// securityCalls lets Istio's tests run in a process of their own, and reads what they wrote down.
func securityCalls(t *testing.T) []recorded {
	t.Helper()
	overlaid := overlay(t, securitySuite, securityTests, asOneSuite, "integration/security")
	file := filepath.Join(t.TempDir(), "calls.json")
	run := exec.Command("go", "test", "-count=1", "-vet=off", "-tags", "integ", "-overlay", overlaid, "./integration/security")
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
