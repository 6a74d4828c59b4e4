package diff

import (
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Document is the JSON document of a comparison, meshtrace.dev/v1alpha1, Diff.
type Document struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Before     string          `json:"before"`
	After      string          `json:"after"`
	Differs    bool            `json:"differs"`
	Requests   RequestsSummary `json:"requests"`
	Groups     []GroupDocument `json:"groups"`
}

// RequestsSummary is how many requests had which result.
type RequestsSummary struct {
	Total        int    `json:"total"`
	From         string `json:"from"`
	Broken       int    `json:"broken"`
	Repaired     int    `json:"repaired"`
	Moved        int    `json:"moved"`
	Changed      int    `json:"changed"`
	Uncertain    int    `json:"uncertain"`
	Undetermined int    `json:"undetermined"`
	Untraced     int    `json:"untraced"`
	Unchanged    int    `json:"unchanged"`
	// UnchangedUndetermined are those of the unchanged that are undetermined on both sides.
	UnchangedUndetermined int `json:"unchangedUndetermined"`
}

// GroupDocument is a group.
type GroupDocument struct {
	Result      Result            `json:"result"`
	By          render.Resource   `json:"by"`
	Differences []string          `json:"differences"`
	Before      SideDocument      `json:"before"`
	After       SideDocument      `json:"after"`
	Requests    []RequestDocument `json:"requests"`
}

// SideDocument is what the first request of a group comes to on one side.
type SideDocument struct {
	Says     []string         `json:"says"`
	Outcomes []render.Outcome `json:"outcomes"`
}

// RequestDocument is a request, with the commands that trace it on either side.
type RequestDocument struct {
	URL           string   `json:"url"`
	Method        string   `json:"method,omitempty"`
	Namespace     string   `json:"namespace,omitempty"`
	From          string   `json:"from,omitempty"`
	Gateway       string   `json:"gateway,omitempty"`
	Headers       []string `json:"headers,omitempty"`
	SourceIP      string   `json:"sourceIP,omitempty"`
	SNI           string   `json:"sni,omitempty"`
	ClientCert    string   `json:"clientCert,omitempty"`
	Claims        []string `json:"claims,omitempty"`
	Why           string   `json:"why,omitempty"`
	CommandBefore string   `json:"commandBefore"`
	CommandAfter  string   `json:"commandAfter"`
}

// NewDocument is the comparison as data. What is encoded of it has to pass [trace.Redact].
func (c *Comparison) NewDocument() *Document {
	d := &Document{
		APIVersion: "meshtrace.dev/v1alpha1", Kind: "Diff", Before: c.Before.Name, After: c.After.Name, Differs: c.Differs(),
		Requests: RequestsSummary{
			Total: c.Total(), From: c.From, Broken: c.Counts[Broken], Repaired: c.Counts[Repaired], Moved: c.Counts[Moved], Changed: c.Counts[Changed],
			Uncertain:    c.Counts[Uncertain],
			Undetermined: c.Counts[Undetermined], Untraced: c.Counts[Untraced], Unchanged: c.Counts[Unchanged], UnchangedUndetermined: c.Unknown,
		},
		Groups: []GroupDocument{},
	}
	for _, g := range c.Groups {
		d.Groups = append(d.Groups, c.groupDocument(g))
	}
	return d
}

func (c *Comparison) groupDocument(g *Group) GroupDocument {
	out := GroupDocument{
		Result: g.Result, Differences: append([]string{}, g.Differences...),
		Before:   SideDocument{Says: g.Before, Outcomes: outcomes(g.before, c.Before.Snapshot.Locate)},
		After:    SideDocument{Says: g.After, Outcomes: outcomes(g.after, c.After.Snapshot.Locate)},
		Requests: []RequestDocument{},
	}
	if !g.By.IsZero() {
		out.By = render.Resource{Group: g.By.Group, Kind: g.By.Kind, Namespace: g.By.Namespace, Name: g.By.Name, Field: g.By.Field, Source: g.Location}
	}
	for _, r := range g.Requests {
		out.Requests = append(out.Requests, RequestDocument{
			URL: r.URL, Method: r.Method, Namespace: r.Namespace, From: r.From, Gateway: r.Gateway, Headers: r.Headers, SourceIP: r.SourceIP,
			SNI: r.SNI, ClientCert: r.ClientCert, Claims: r.Claims, Why: r.Why,
			CommandBefore: c.Before.command(r), CommandAfter: c.After.command(r),
		})
	}
	return out
}

func outcomes(t *trace.Trace, locate func(resolve.Ref) string) []render.Outcome {
	if t == nil {
		return []render.Outcome{}
	}
	return render.NewDocument(t, locate).Outcomes
}

// MarshalJSON writes the document so that it may be read on a terminal, and without tokens.
func (d Document) MarshalJSON() ([]byte, error) {
	type plain Document
	return render.MarshalSafe(plain(d))
}
