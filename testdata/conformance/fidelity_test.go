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

var (
	update = flag.Bool("update", false, "write fidelity.md, the table that the README shows")
	rows   = flag.String("rows", "", "write the rows of fidelity.md that this process found to `FILE`, for the process that made it")
)

// category is one kind of cases, with what came out of them.
type category struct {
	name       string
	exceptions map[string]string // why a case is allowed to differ
	differed   map[string]bool   // exceptions that were met, and whether they were needed
	agreed     int
	failed     int
	skips      map[string]int // not judged, by reason
	// envoy is the same of requests that Envoy itself was asked about; nil where it was not.
	envoy *category
	// kinds counts what kinds of requests agree.
	kinds map[string]int
	// names are the cases of which a request agrees.
	names map[string]bool
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
	c.envoy = &category{name: name + ": real Envoy", exceptions: all[name+": real Envoy"], differed: map[string]bool{}, skips: map[string]int{}, kinds: map[string]int{}, names: map[string]bool{}}
	t.Cleanup(func() { c.end(t) })
	return c
}

// ask asks Envoy about the request that the bench has judged, if trace and pilot agree on it.
func (c *category) ask(t *testing.T, b *bench, name, question string) {
	t.Helper()
	if envoyBinary == "" || b == nil || b.last == nil {
		return
	}
	diff, err := b.real(envoyBinary)
	for again := 0; again < 2 && (diff != "" || err != nil) && !withoutVerdict(err); again++ {
		t.Logf("asked of Envoy again: %s: %v\n%s", question, err, diff) // which of two connections ends first is left to chance
		diff, err = b.real(envoyBinary)
	}
	c.envoy.record(t, name, "asked of Envoy: "+question, diff, err)
	if diff == "" && err == nil {
		c.envoy.names[name] = true
		for _, kind := range kindsOf(b.last) {
			c.envoy.kinds[kind]++
		}
	}
}

// withoutVerdict reports whether an error says why there is nothing to compare.
func withoutVerdict(err error) bool {
	_, ok := reasonOf(err)
	return ok
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

// whole reports whether all cases of what runs run, at their default numbers: only then the table holds.
func whole() bool {
	filtered := !integrated
	flag.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "test.run":
			filtered = filtered || f.Value.String() != "" && *rows == ""
		case "test.skip", "test.list", "scenarios", "meshes", "seed", "envoy-requests":
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
	t.Logf("%s: %d agree, %d differ, %d allowed to differ", c.name, c.agreed, c.failed, len(c.differed))
	for _, reason := range slices.Sorted(maps.Keys(c.skips)) {
		t.Logf("%d not judged: %s", c.skips[reason], reason)
	}
	if c.envoy != nil {
		if envoyBinary != "" && c.envoy.agreed+c.envoy.failed+c.envoy.skipped() > 0 {
			c.envoy.end(t)
		}
		tally[c.name] = c
	}
}

func (c *category) skipped() (n int) {
	for _, k := range c.skips {
		n += k
	}
	return n
}

// met are the cases so far.
func (c *category) met() int { return c.agreed + c.failed + len(c.differed) + c.skipped() }

// row is the category's line of the table.
func (c *category) row() string {
	asked := "| | |"
	if n := c.envoy.judged(); n > 0 {
		asked = fmt.Sprintf("| %d | %d |", n, c.envoy.agreed)
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %d %s\n", c.name, c.judged(), c.agreed, c.exempt(), c.skipped(), asked)
}

// judged are the cases of which there is something to compare.
func (c *category) judged() int { return c.agreed + c.failed + c.exempt() }

// exempt are those that differ as they may.
func (c *category) exempt() (n int) {
	for _, needed := range c.differed {
		if needed {
			n++
		}
	}
	return n
}

// tallied are the rows of the categories that ran in this process.
func tallied() string {
	var b strings.Builder
	for _, c := range tally {
		b.WriteString(c.row())
	}
	return b.String()
}

// table is what the README shows of a run, of its rows in any order.
func table(rows string) string {
	return "| category | pilot: cases judged | agree | allowed to differ | not comparable | real Envoy: cases asked | agree |\n|---|---:|---:|---:|---:|---:|---:|\n" +
		strings.Join(slices.SortedFunc(strings.Lines(rows), byName), "")
}

// byName orders rows as the names of their categories.
func byName(a, b string) int {
	name := func(row string) string {
		name, _, _ := strings.Cut(row[len("| "):], " |")
		return name
	}
	return strings.Compare(name(a), name(b))
}

// TestMain writes or checks the table after a whole run, in which every test has a process of its own.
func TestMain(m *testing.M) {
	for _, scope := range istiolog.Scopes() {
		scope.SetOutputLevel(istiolog.NoneLevel) // a difference would drown in what istiod logs
	}
	flag.Parse()
	if code, done := enclosed(); done {
		os.Exit(code)
	}
	os.Exit(run(m))
}

// run returns the exit code.
func run(m *testing.M) int {
	code, err := 0, error(nil)
	switch {
	case *rows != "":
		code, err = m.Run(), os.WriteFile(*rows, []byte(tallied()), 0o600)
	case whole():
		var found string
		if found, err = apart(); err == nil {
			err = check(table(found))
		}
	default:
		code = m.Run()
	}
	if err != nil {
		fmt.Println(err)
		code = 1
	}
	return code
}

func check(now string) error {
	if *update {
		if envoyAbsent != nil {
			return fmt.Errorf("fidelity.md counts what Envoy was asked: %w", envoyAbsent)
		}
		return os.WriteFile("fidelity.md", []byte(now), 0o600)
	}
	was, err := os.ReadFile("fidelity.md")
	if err != nil {
		return err
	}
	// How many requests an Envoy can be asked about hangs a little on the order in which connections end.
	if withoutEnvoyColumn(string(was)) != withoutEnvoyColumn(now) {
		return fmt.Errorf("fidelity.md is not what this run found (-update writes it):\n%s", now)
	}
	return nil
}
