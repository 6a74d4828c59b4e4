package gatewayapi

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/gateway-api/conformance/utils/suite"
)

var update = flag.Bool("update", false, "write report.md, the first table of which the README shows")

// report is what came of each test: how many of each group pass, and a line for each.
func report(passed *sync.Map, skips map[string]string) string {
	type count struct{ all, passed, leftOut int }
	groups := map[string]*count{}
	var lines strings.Builder
	for _, test := range sortedTests() {
		g := groups[group(test)]
		if g == nil {
			g = &count{}
			groups[group(test)] = g
		}
		g.all++
		result := "was not run"
		if reason := skips[test.ShortName]; reason != "" {
			g.leftOut++
			result = "left out: " + reason
		} else if passes, run := passed.Load(test.ShortName); run && passes == true {
			g.passed++
			result = "passes"
		}
		fmt.Fprintf(&lines, "| %s | %s |\n", test.ShortName, result)
	}
	var out strings.Builder
	out.WriteString("| tests of | number | pass | left out |\n|---|---:|---:|---:|\n")
	var sum count
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		g := groups[name]
		fmt.Fprintf(&out, "| %s | %d | %d | %d |\n", name, g.all, g.passed, g.leftOut)
		sum.all, sum.passed, sum.leftOut = sum.all+g.all, sum.passed+g.passed, sum.leftOut+g.leftOut
	}
	fmt.Fprintf(&out, "| all | %d | %d | %d |\n\n| test | result |\n|---|---|\n%s", sum.all, sum.passed, sum.leftOut, lines.String())
	return out.String()
}

// group is the kind of object that a test is about, or the mesh.
func group(test suite.ConformanceTest) string {
	for _, prefix := range []string{"BackendTLSPolicy", "GRPC", "HTTPRoute", "ListenerSet", "Mesh", "TCPRoute", "TLSRoute", "UDPRoute"} {
		if strings.HasPrefix(test.ShortName, prefix) {
			return prefix
		}
	}
	return "Gateway"
}

// reported compares report.md with what came out, or writes it.
func reported(t *testing.T, now string) {
	t.Helper()
	if *update {
		if err := os.WriteFile("report.md", []byte(now), 0o600); err != nil {
			t.Error(err)
		}
		return
	}
	was, err := os.ReadFile("report.md")
	if err != nil || string(was) != now {
		t.Errorf("report.md is not what came out (-update writes it; %v):\n%s", err, now)
	}
}
