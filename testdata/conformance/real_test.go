package conformance

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/proxies"
)

// askingEnvoy are the tests that hold an Envoy's doings against the trace.
var askingEnvoy = []string{"TestScenarios", "TestRandom", "TestRandomGateways", "TestRandomKube", "TestRandomSecurity", "TestMTLSMatrix"}

func asksEnvoy(name string) bool { return slices.Contains(askingEnvoy, name) }

var (
	// envoyBinary is the Envoy that this process asks; empty where it asks none.
	envoyBinary string
	// envoyAbsent is why none can be asked.
	envoyAbsent error

	envoyRequests = flag.Int("envoy-requests", 600, "of each kind of random requests, about how many to ask Envoy")
)

// enclosed sees to a network of their own for the tests that need one, in another process if need be: code is that one's.
func enclosed() (code int, done bool) {
	if proxies.Inside() {
		if envoyBinary, envoyAbsent = proxies.Find(); envoyAbsent == nil {
			envoyAbsent = proxies.Prepare()
		}
		return failed(envoyAbsent)
	}
	if flag.Lookup("test.list").Value.String() != "" {
		return 0, false
	}
	if _, envoyAbsent = proxies.Find(); envoyAbsent == nil {
		envoyAbsent = proxies.Enclosable()
	}
	if envoyAbsent != nil {
		if proxies.Insisted() {
			return failed(envoyAbsent)
		}
		fmt.Println("Envoy itself is not asked:", envoyAbsent)
		return 0, false
	}
	if whole() || *rows != "" || !slices.ContainsFunc(askingEnvoy, selected) {
		return 0, false
	}
	command := exec.Command(os.Args[0], os.Args[1:]...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	proxies.Enclose(command)
	err := command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), true
	}
	code, _ = failed(err)
	return code, true
}

func failed(err error) (code int, done bool) {
	if err != nil {
		fmt.Println(err)
		return 1, true
	}
	return 0, false
}

// selected reports whether a test is among those that this process was started for.
func selected(name string) bool {
	pattern, _, _ := strings.Cut(flag.Lookup("test.run").Value.String(), "/")
	chosen, err := regexp.MatchString(pattern, name)
	return err == nil && chosen
}

// withoutEnvoyColumn is the table for a run in which no Envoy was asked.
func withoutEnvoyColumn(table string) string {
	var b strings.Builder
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimRight(line, "|\n "), "|")
		if len(cells) > 6 {
			cells = cells[:6]
		}
		b.WriteString(strings.Join(cells, "|") + "\n")
	}
	return b.String()
}
