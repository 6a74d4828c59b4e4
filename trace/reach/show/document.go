package show

import (
	"maps"
	"math"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/reach"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

const apiVersion = "meshtrace.dev/v1alpha1"

// WhoCan is a report as a document.
type WhoCan struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Request    Request      `json:"request"`
	Istio      render.Istio `json:"istio"`
	// Sources is how many there are, LetThrough how many of them are let through altogether, and InPart how many in part.
	Sources    int              `json:"sources"`
	LetThrough int              `json:"letThrough"`
	InPart     int              `json:"inPart"`
	Groups     []Group          `json:"groups"`
	Warnings   []render.Warning `json:"warnings"`
}

// Request is what is asked.
type Request struct {
	Method  string            `json:"method"`
	Scheme  string            `json:"scheme"`
	Host    string            `json:"host"`
	Port    int               `json:"port"`
	Path    string            `json:"path"`
	Query   string            `json:"query"`
	Headers map[string]string `json:"headers"`
}

// Group are sources that fare alike, for the same reason.
type Group struct {
	// Reach is one of reach.Reaches, and Certainty that of the least certain outcome.
	Reach     string    `json:"reach"`
	Certainty string    `json:"certainty"`
	Outcomes  []Outcome `json:"outcomes"`
	// Example is the source that the reasons are about, as --from takes it.
	Example string   `json:"example"`
	Sources []Source `json:"sources"`
}

// Outcome is how a share of the requests ends; the fields are those of the outcomes of a trace.
type Outcome struct {
	Weight              float64 `json:"weight"`
	Decision            string  `json:"decision"`
	HTTPStatus          int     `json:"httpStatus"`
	ResponseFlags       string  `json:"responseFlags"`
	ResponseCodeDetails string  `json:"responseCodeDetails"`
	Code                string  `json:"code"`
	Certainty           string  `json:"certainty"`
	Reason              string  `json:"reason"`
	Location            string  `json:"location"`
	// By is empty for what is delivered: that may differ from source to source.
	By render.Resource `json:"by"`
	// Destination is null for what is not delivered.
	Destination *Destination `json:"destination"`
}

// Destination is where requests are delivered to.
type Destination struct {
	Host   string `json:"host"`
	Port   int    `json:"port"`
	Subset string `json:"subset"`
}

// Source is who sends the request.
type Source struct {
	// Kind is that of the workload; Unmeshed for a pod without a proxy in the namespace; External for a client outside
	// the cluster, with the gateway's workload in Gateway.
	Kind           string           `json:"kind"`
	Namespace      string           `json:"namespace"`
	Name           string           `json:"name"`
	ServiceAccount string           `json:"serviceAccount"`
	Principal      string           `json:"principal"`
	Dataplane      string           `json:"dataplane"`
	Gateway        *render.Workload `json:"gateway,omitempty"`
	// Pods of OfPods fare so.
	Pods   int `json:"pods"`
	OfPods int `json:"ofPods"`
}

// NewWhoCan is the report as a document; locate says where a field was read.
func NewWhoCan(r *reach.Report, locate func(resolve.Ref) string) *WhoCan {
	d := &WhoCan{
		APIVersion: apiVersion, Kind: "WhoCan", Request: requestDocument(r.Request),
		Istio: render.Istio{Version: r.Istio.Release, From: r.Istio.From}, Groups: []Group{}, Warnings: warningDocuments(r.Warnings, locate),
	}
	d.Sources, d.LetThrough, d.InPart = r.Count()
	for _, g := range r.Groups {
		group := Group{
			Reach: string(g.Answer.Reach()), Certainty: string(g.Answer.Certainty()), Outcomes: outcomeDocuments(g.Answer, locate),
			Example: g.Members[0].Source.Name(), Sources: []Source{},
		}
		for _, m := range g.Members {
			group.Sources = append(group.Sources, memberDocument(m))
		}
		d.Groups = append(d.Groups, group)
	}
	return d
}

// MarshalJSON writes the document so that it may be read on a terminal.
func (d WhoCan) MarshalJSON() ([]byte, error) {
	type plain WhoCan
	return render.MarshalSafe(plain(d))
}

func requestDocument(r trace.Request) Request {
	headers := maps.Clone(r.Headers)
	if headers == nil {
		headers = map[string]string{}
	}
	return Request{Method: r.Method, Scheme: string(r.Scheme), Host: r.Host, Port: r.Port, Path: r.Path, Query: r.Query, Headers: headers}
}

func warningDocuments(warnings []trace.Warning, locate func(resolve.Ref) string) []render.Warning {
	out := []render.Warning{}
	for _, w := range warnings {
		out = append(out, render.Warning{Resource: render.NewResource(w.Ref, locate), Message: w.Message})
	}
	return out
}

func outcomeDocuments(a *reach.Answer, locate func(resolve.Ref) string) []Outcome {
	out := []Outcome{}
	for _, e := range a.Ends {
		o := Outcome{
			Weight: math.Round(e.Weight*100) / 100, Decision: string(e.Decision), HTTPStatus: e.HTTPStatus, ResponseFlags: e.ResponseFlags,
			ResponseCodeDetails: e.ResponseCodeDetails, Code: string(e.Code), Certainty: string(e.Certainty), Reason: e.Reason,
			Location: e.Location, By: render.NewResource(e.By, locate),
		}
		if e.Decision == trace.Delivered {
			o.Destination = &Destination{e.Host, e.Port, e.Subset}
		}
		out = append(out, o)
	}
	return out
}

func memberDocument(m reach.Member) Source {
	s := sourceDocument(m.Source)
	s.ServiceAccount, s.Principal, s.Dataplane, s.Pods = m.ServiceAccount, m.Principal, string(m.Dataplane), m.Pods
	return s
}

func sourceDocument(source *reach.Source) Source {
	s := Source{Kind: string(source.Kind), Namespace: source.Namespace, Pods: source.Pods(), OfPods: source.Pods()}
	switch source.Kind {
	case reach.WorkloadSource:
		s.Kind, s.Name = source.Ref.Kind, source.Ref.Name
	case reach.ExternalSource:
		if !source.Ref.IsZero() {
			s.Gateway = &render.Workload{Kind: source.Ref.Kind, Namespace: source.Ref.Namespace, Name: source.Ref.Name}
		}
	case reach.UnmeshedSource:
	}
	return s
}
