package fromlog

import (
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Document is the JSON document of a result, meshtrace.dev/v1alpha1, LogComparison.
type Document struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Lines      LinesSummary    `json:"lines"`
	Groups     []GroupDocument `json:"groups"`
}

// LinesSummary is how many lines had which verdict.
type LinesSummary struct {
	Total        int `json:"total"`
	Disagree     int `json:"disagree"`
	AtRunTime    int `json:"atRunTime"`
	Undetermined int `json:"undetermined"`
	NotCompared  int `json:"notCompared"`
	NotRead      int `json:"notRead"`
	Agree        int `json:"agree"`
}

// GroupDocument is a group. Lines are the first of them, as FILE:LINE.
type GroupDocument struct {
	Verdict      Verdict         `json:"verdict"`
	Count        int             `json:"count"`
	Lines        []string        `json:"lines"`
	First        string          `json:"first"`
	Log          string          `json:"log"`
	Trace        []string        `json:"trace"`
	By           render.Resource `json:"by"`
	Explanations []string        `json:"explanations"`
	Command      string          `json:"command"`
}

// NewDocument is the result as data.
func (r *Result) NewDocument() *Document {
	d := &Document{
		APIVersion: "meshtrace.dev/v1alpha1", Kind: "LogComparison", Groups: []GroupDocument{},
		Lines: LinesSummary{
			Total: r.Total(), Disagree: r.Counts[Disagrees], AtRunTime: r.Counts[AtRunTime], Undetermined: r.Counts[Unknown],
			NotCompared: r.Counts[NotCompared], NotRead: r.Counts[Unread], Agree: r.Counts[Agrees],
		},
	}
	for _, g := range r.Groups {
		one := GroupDocument{
			Verdict: g.Verdict, Count: g.Count, Lines: g.Lines, First: g.First, Log: g.Happened, Trace: append([]string{}, g.Traced...),
			Explanations: append([]string{}, g.Explanations...), Command: g.Command,
		}
		if !g.By.IsZero() {
			one.By = render.Resource{Group: g.By.Group, Kind: g.By.Kind, Namespace: g.By.Namespace, Name: g.By.Name, Field: g.By.Field, Source: g.Location}
		}
		d.Groups = append(d.Groups, one)
	}
	return d
}

// MarshalJSON writes the document so that it may be read on a terminal.
func (d Document) MarshalJSON() ([]byte, error) {
	type plain Document
	return render.MarshalSafe(plain(d))
}
