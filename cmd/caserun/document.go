package caserun

import (
	"math"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Document is the report for a program (meshtrace.dev/v1alpha1, TestReport). No field is left out when it is empty, but coverage where nobody
// asked for it.
type Document struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Summary    SummaryDocument   `json:"summary"`
	Cases      []CaseDocument    `json:"cases"`
	Coverage   *CoverageDocument `json:"coverage,omitempty"`
}

// MarshalJSON writes the document so that it may be read on a terminal, as that of a trace is.
func (d Document) MarshalJSON() ([]byte, error) {
	type plain Document
	return render.MarshalSafe(plain(d))
}

// SummaryDocument counts the cases.
type SummaryDocument struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
}

// CaseDocument is what came of one case.
type CaseDocument struct {
	Suite string `json:"suite"`
	Name  string `json:"name"`
	// Source is FILE:LINE.
	Source string `json:"source"`
	// Verdict is passed, failed or skipped.
	Verdict string `json:"verdict"`
	// Error says why there is no trace.
	Error    string            `json:"error"`
	Failures []FailureDocument `json:"failures"`
	// DecidedBy is empty where the case did not fail, or was not traced.
	DecidedBy []DecisionDocument `json:"decidedBy"`
	// Command traces the request again.
	Command string `json:"command"`
}

// FailureDocument is one way in which the trace differs.
type FailureDocument struct {
	Path     string `json:"path"`
	Expected string `json:"expected"`
	Actual   string `json:"actual"`
}

// EvidenceDocument is one step of the trace.
type EvidenceDocument struct {
	Stage    string          `json:"stage"`
	Verdict  string          `json:"verdict"`
	Rule     string          `json:"rule"`
	Resource render.Resource `json:"resource"`
	Reason   string          `json:"reason"`
}

// DecisionDocument is a step that decided, and the candidates that its stage passed over.
type DecisionDocument struct {
	EvidenceDocument
	Considered []EvidenceDocument `json:"considered"`
}

// CoverageDocument is the share of the rules that decided something.
type CoverageDocument struct {
	// Percent has two decimals.
	Percent   float64           `json:"percent"`
	Covered   int               `json:"covered"`
	Rules     int               `json:"rules"`
	Uncovered []render.Resource `json:"uncovered"`
}

// Document is the report for a program. Tokens are not in it.
func (r *Report) Document() *Document {
	d := &Document{
		APIVersion: "meshtrace.dev/v1alpha1", Kind: "TestReport",
		Summary: SummaryDocument{r.Count(Passed), r.Count(Failed), r.Count(Skipped)},
		Cases:   []CaseDocument{},
	}
	for i := range r.Results {
		d.Cases = append(d.Cases, r.Results[i].document())
	}
	if r.Coverage != nil {
		d.Coverage = &CoverageDocument{
			Percent: math.Round(r.Coverage.Percent()*100) / 100, Covered: r.Coverage.Covered(), Rules: len(r.Coverage.Rules), Uncovered: []render.Resource{},
		}
		for _, rule := range r.Coverage.Rules {
			if !rule.Covered {
				d.Coverage.Uncovered = append(d.Coverage.Uncovered, resource(rule.Ref, rule.Place))
			}
		}
	}
	return d
}

func (r *Result) document() CaseDocument {
	d := CaseDocument{
		Suite: r.Suite, Name: r.Name, Source: r.Source.String(), Verdict: string(r.Verdict), Error: redacted(r.Error),
		Failures: []FailureDocument{}, DecidedBy: []DecisionDocument{}, Command: redacted(r.Command),
	}
	for _, m := range r.Mismatches {
		d.Failures = append(d.Failures, FailureDocument{m.Path, redacted(m.Expected), redacted(m.Actual)})
	}
	for _, decided := range r.Decided {
		one := DecisionDocument{decided.document(), []EvidenceDocument{}}
		for _, e := range decided.Considered {
			one.Considered = append(one.Considered, e.document())
		}
		d.DecidedBy = append(d.DecidedBy, one)
	}
	return d
}

func (e Evidence) document() EvidenceDocument {
	return EvidenceDocument{
		Stage: string(e.Stage), Verdict: string(e.Verdict), Rule: string(e.Rule), Resource: resource(e.Ref, e.Place), Reason: redacted(e.Reason),
	}
}

func resource(r resolve.Ref, place string) render.Resource {
	return render.Resource{Group: r.Group, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, Field: r.Field, Source: place}
}

func redacted(text string) string { return string(trace.Redact([]byte(text))) }
