package conformance

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	istiolog "istio.io/istio/pkg/log"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write fidelity.md, the table that the README shows")

// category is one kind of cases, with what came out of them.
type category struct {
	name       string
	exceptions map[string]string // why a case is allowed to differ
	differed   map[string]bool   // exceptions that were met, and whether they were needed
	agreed     int
	failed     int
	skips      map[string]int // not judged, by reason
}

// tally are the categories that ran to their end, by name.
var tally = map[string]*category{}

// begin opens a category; when the test ends, exceptions that were not needed fail it.
func begin(t *testing.T, name string) *category {
	t.Helper()
	text, err := os.ReadFile("exceptions.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]map[string]string
	if err := yaml.UnmarshalStrict(text, &all); err != nil {
		t.Fatalf("exceptions.yaml: %v", err)
	}
	c := &category{name: name, exceptions: all[name], differed: map[string]bool{}, skips: map[string]int{}}
	t.Cleanup(func() { c.end(t) })
	return c
}

// record takes in one case: diff is what trace and pilot differ in; an error that skips says why
// there is nothing to compare.
func (c *category) record(t *testing.T, name, question, diff string, err error) {
	t.Helper()
	if reason, ok := reasonOf(err); ok {
		c.skips[reason]++
		t.Logf("not judged: %s: %s", question, reason)
		return
	}
	if err != nil {
		c.failed++
		t.Errorf("%s: %v", question, err)
		return
	}
	if why, ok := c.exceptions[name]; ok {
		c.differed[name] = c.differed[name] || diff != ""
		if diff != "" {
			t.Logf("allowed to differ: %s", why)
			return
		}
	}
	if diff != "" {
		c.failed++
		t.Errorf("%s (-pilot +trace):\n%s", question, diff)
		return
	}
	c.agreed++
}

// whole reports whether all cases run, at their default numbers: only then the table holds.
func whole() bool {
	filtered := !integrated
	flag.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "test.run", "test.skip", "scenarios", "meshes", "seed":
			filtered = filtered || f.Value.String() != ""
		}
	})
	return !filtered
}

func (c *category) end(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(c.exceptions)) {
		needed, met := c.differed[name]
		if met && !needed {
			t.Errorf("exceptions.yaml: %s: %s agrees: take it off the list", c.name, name)
		}
		if !met && whole() {
			t.Errorf("exceptions.yaml: %s: %s is gone: take it off the list", c.name, name)
		}
	}
	t.Logf("%d agree, %d differ, %d allowed to differ", c.agreed, c.failed, len(c.differed))
	for _, reason := range slices.Sorted(maps.Keys(c.skips)) {
		t.Logf("%d not judged: %s", c.skips[reason], reason)
	}
	tally[c.name] = c
}

func (c *category) skipped() (n int) {
	for _, k := range c.skips {
		n += k
	}
	return n
}

// table is what the README shows of a run.
func table() string {
	var b strings.Builder
	b.WriteString("| category | cases judged | agree | allowed to differ | not comparable |\n|---|---:|---:|---:|---:|\n")
	for _, name := range slices.Sorted(maps.Keys(tally)) {
		c := tally[name]
		differ := 0
		for _, needed := range c.differed {
			if needed {
				differ++
			}
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", c.name, c.agreed+c.failed+differ, c.agreed, differ, c.skipped())
	}
	return b.String()
}

// TestMain writes or checks the table after a whole run.
func TestMain(m *testing.M) {
	for _, scope := range istiolog.Scopes() {
		scope.SetOutputLevel(istiolog.NoneLevel) // a difference would drown in what istiod logs
	}
	code := m.Run()
	if code == 0 && whole() {
		if err := check(table()); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

func check(now string) error {
	if *update {
		return os.WriteFile("fidelity.md", []byte(now), 0o600)
	}
	was, err := os.ReadFile("fidelity.md")
	if err != nil {
		return err
	}
	if string(was) != now {
		return fmt.Errorf("fidelity.md is not what this run found (-update writes it):\n%s", now)
	}
	return nil
}
