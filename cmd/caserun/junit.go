package caserun

import (
	"encoding/xml"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// The schema is Jenkins's (jenkinsci/xunit-plugin, junit-10.xsd), of which GitLab, GitHub's actions and CircleCI read parts. Times are left out, as it
// allows: no result depends on a clock. Where a case stands is in its text, as the schema has no attribute for it.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		Skipped   *junitSkipped `xml:"skipped"`
		Error     *junitProblem `xml:"error"`
		Failure   *junitProblem `xml:"failure"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
	junitProblem struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",cdata"`
	}
)

// JUnit is the report as CI systems read it. A case that could not be traced is an error there, all others that failed are failures.
func (r *Report) JUnit() ([]byte, error) {
	out := junitSuites{Name: "kubectl mesh-trace test"}
	for _, g := range r.groups() {
		s := g.junit()
		out.Tests, out.Failures, out.Errors = out.Tests+s.Tests, out.Failures+s.Failures, out.Errors+s.Errors
		out.Suites = append(out.Suites, s)
	}
	data, err := xml.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, err
	}
	return append([]byte(xml.Header), append(data, '\n')...), nil
}

func (g *group) junit() junitSuite {
	s := junitSuite{Name: printable(g.name), Tests: len(g.results)}
	for i := range g.results {
		one := &g.results[i]
		c := junitCase{Name: printable(one.Name), ClassName: printable(one.Suite)}
		problem := func() *junitProblem {
			text := "\n" + one.Source.String() + "\n" + strings.Join(one.lines(), "\n") + "\n"
			return &junitProblem{Message: printable(one.message()), Text: render.EscapeLines(text)}
		}
		switch {
		case one.Verdict == Skipped:
			s.Skipped++
			c.Skipped = &junitSkipped{"it expects nothing"}
		case one.Error != "":
			s.Errors++
			c.Error = problem()
			c.Error.Type = "not traced"
		case one.Verdict == Failed:
			s.Failures++
			c.Failure = problem()
			c.Failure.Type = "not as expected"
		}
		s.Cases = append(s.Cases, c)
	}
	return s
}

// printable is a text on one line, without what a terminal would act on.
func printable(text string) string { return render.EscapeLines(oneLine(text)) }
