package caserun

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/coverage"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Report is what came of a set of case files.
type Report struct {
	// Results are in the order of the files.
	Results []Result
	// Coverage are the rules of the meshes; nil where nobody asked.
	Coverage *coverage.Report
}

// Count is how many cases there are of a verdict.
func (r *Report) Count(v Verdict) int {
	n := 0
	for i := range r.Results {
		if r.Results[i].Verdict == v {
			n++
		}
	}
	return n
}

// group are the results of one suite.
type group struct {
	name    string
	results []Result
}

// groups are the results by suite, in the order of the files.
func (r *Report) groups() []group {
	var out []group
	for i, one := range r.Results {
		if i == 0 || r.Results[i-1].Suite != one.Suite || r.Results[i-1].File != one.File {
			out = append(out, group{name: one.Suite})
		}
		last := &out[len(out)-1]
		last.results = append(last.results, one)
	}
	return out
}

// lines say why a case failed: how the trace differs, what decided, what was passed over, and how to trace it again.
func (r *Result) lines() []string {
	var out []string
	if r.Error != "" {
		out = append(out, "not traced: "+r.Error)
	}
	for _, m := range r.Mismatches {
		out = append(out, fmt.Sprintf("%s: expected %s, got %s", m.Path, m.Expected, m.Actual))
	}
	for _, d := range r.Decided {
		out = append(out, "decided by "+d.String())
		for _, e := range d.Considered {
			out = append(out, "not by "+e.String())
		}
	}
	if r.Command != "" {
		out = append(out, "trace it: "+r.Command)
	}
	for i := range out {
		out[i] = string(trace.Redact([]byte(out[i])))
	}
	return out
}

// String is the field, where it stands, and the reason.
func (e Evidence) String() string {
	if e.Ref.IsZero() {
		return "Istio's default: " + e.Reason
	}
	if e.Place == "" {
		return e.Ref.String() + ": " + e.Reason
	}
	return e.Ref.String() + " (" + e.Place + "): " + e.Reason
}

// disclosed is a request without the values of headers that are secrets: reports are kept in logs.
func disclosed(typed trace.Typed) trace.Typed {
	typed.Headers = slices.Clone(typed.Headers)
	for i, line := range typed.Headers {
		name, value, _ := strings.Cut(line, ": ")
		typed.Headers[i] = name + ": " + render.Disclose(name, value)
	}
	return typed
}

// message is the first thing to be said of a failure.
func (r *Result) message() string {
	if lines := r.lines(); len(lines) > 0 {
		return lines[0]
	}
	return ""
}
