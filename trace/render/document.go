package render

import (
	"maps"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// NewDocument is the trace in the contract's JSON shape. locate says where a
// resource's field was read, "file:line" or "cluster"; it may be nil.
func NewDocument(t *trace.Trace, locate func(resolve.Ref) string) *Document {
	if t == nil {
		t = &trace.Trace{}
	}
	if locate == nil {
		locate = func(resolve.Ref) string { return "" }
	}
	d := &Document{
		TypeMeta:   metav1.TypeMeta{APIVersion: "meshtrace.dev/v1alpha1", Kind: "Trace"},
		ObjectMeta: metav1.ObjectMeta{Name: documentName(t.Request)},
		Request:    requestDocument(t),
		Istio:      Istio{Version: t.Istio.Release, From: t.Istio.From},
		Outcomes:   []Outcome{},
		Hops:       []Hop{},
		Overlooked: []Step{},
		Warnings:   []Warning{},
	}
	weights := percents(t.Outcomes)
	for i, o := range t.Outcomes {
		d.Outcomes = append(d.Outcomes, outcomeDocument(o, weights[i], locate))
	}
	for _, h := range t.Hops {
		d.Hops = append(d.Hops, hopDocument(h, locate))
	}
	for _, w := range t.Warnings {
		d.Warnings = append(d.Warnings, Warning{Resource: resourceDocument(w.Ref, locate), Message: w.Message})
	}
	for _, s := range t.Overlooked() {
		d.Overlooked = append(d.Overlooked, stepDocument(s, locate))
	}
	return d
}

// MarshalJSON writes the document so that it may be read on a terminal: characters
// that do not print stand as \uXXXX, which any JSON parser reads back. No token of the request is in it.
func (d Document) MarshalJSON() ([]byte, error) {
	type plain Document
	return MarshalSafe(plain(d))
}

// documentName makes a Kubernetes name of what was asked: reviews.shop-9080-reviews-0.
func documentName(r trace.Request) string {
	const longest = 253
	name := strings.ToLower(r.Host)
	if r.Port != 0 {
		name += "-" + strconv.Itoa(r.Port)
	}
	name += "-" + strings.ToLower(r.Path)
	var b strings.Builder
	for _, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.':
			b.WriteRune(c)
		case !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	name = b.String()
	name = strings.Trim(name[:min(len(name), longest)], "-.")
	if name == "" {
		return "request"
	}
	return name
}

func requestDocument(t *trace.Trace) Request {
	r := t.Request
	headers := maps.Clone(r.Headers)
	if headers == nil {
		headers = map[string]string{}
	}
	return Request{
		Method: r.Method, Scheme: string(r.Scheme), Host: r.Host, Port: r.Port, Path: r.Path, Query: r.Query,
		Headers: headers,
		Source: Source{
			Cluster: t.Source.Cluster, Kind: t.Source.Kind, Namespace: t.Source.Namespace, Name: t.Source.Name,
			ServiceAccount: t.Source.ServiceAccount, Principal: t.Source.Principal,
			Dataplane: string(t.Source.Dataplane), Assumed: t.Source.Assumed,
		},
	}
}

func outcomeDocument(o trace.Outcome, weight float64, locate func(resolve.Ref) string) Outcome {
	return Outcome{
		Weight: weight, Decision: string(o.Decision), HTTPStatus: o.HTTPStatus,
		ResponseFlags: o.ResponseFlags, ResponseCodeDetails: o.ResponseCodeDetails,
		Code: string(o.Code), Certainty: string(o.Certainty), Reason: o.Reason, Location: o.Location,
		By:          resourceDocument(o.By, locate),
		Otherwise:   otherwiseDocument(o.Otherwise, locate),
		Hint:        hintDocument(o.Hint, locate),
		Destination: destinationDocument(o.Destination),
		Forwarded:   forwardedDocument(o.Forwarded),
		Hops:        append([]int{}, o.Hops...),
	}
}

func otherwiseDocument(ends []trace.Alternative, locate func(resolve.Ref) string) []Alternative {
	out := []Alternative{}
	for _, a := range ends {
		out = append(out, Alternative{
			Decision: string(a.Decision), HTTPStatus: a.HTTPStatus, ResponseFlags: a.ResponseFlags, ResponseCodeDetails: a.ResponseCodeDetails,
			Code: string(a.Code), By: resourceDocument(a.By, locate), Reason: a.Reason,
		})
	}
	return out
}

func hintDocument(changes []resolve.Change, locate func(resolve.Ref) string) []Change {
	out := []Change{}
	for _, c := range changes {
		out = append(out, Change{Op: string(c.Op), Resource: resourceDocument(c.Ref, locate), Value: c.Value, Text: c.String()})
	}
	return out
}

func destinationDocument(d trace.Destination) Destination {
	out := Destination{
		Host: d.Host, Port: d.Port, Subset: d.Subset, EnvoyCluster: d.EnvoyCluster,
		Workloads: []Workload{}, Endpoints: d.Endpoints, TargetPort: d.TargetPort,
	}
	for _, w := range d.Workloads {
		out.Workloads = append(out.Workloads, workloadDocument(w))
	}
	if len(out.Workloads) == 1 {
		one := out.Workloads[0]
		out.Workload = &one
	}
	return out
}

func forwardedDocument(f *trace.Forwarded) *Forwarded {
	if f == nil {
		return nil
	}
	headers := maps.Clone(f.Headers)
	if headers == nil {
		headers = map[string]string{}
	}
	return &Forwarded{Method: f.Method, Host: f.Host, Path: f.Path, Headers: headers, Removed: append([]string{}, f.Removed...)}
}

func hopDocument(h trace.Hop, locate func(resolve.Ref) string) Hop {
	out := Hop{
		Proxy: proxyName(h.Proxy), Direction: string(h.Direction), Workload: workloadDocument(h.Workload),
		TLS: string(h.TLS), Peer: h.Peer,
		Envoy: Envoy{
			Listener: h.Envoy.Listener, FilterChain: h.Envoy.FilterChain, RouteConfig: h.Envoy.RouteConfig,
			VirtualHost: h.Envoy.VirtualHost, Route: h.Envoy.Route, Cluster: h.Envoy.Cluster,
		},
		Steps: []Step{}, Omitted: []Omission{}, Facts: []Step{},
	}
	for _, s := range h.Facts {
		out.Facts = append(out.Facts, stepDocument(s, locate))
	}
	for _, s := range h.Steps {
		out.Steps = append(out.Steps, stepDocument(s, locate))
	}
	for _, o := range h.Omitted {
		out.Omitted = append(out.Omitted, Omission{Stage: string(o.Stage), Before: o.Before, Count: o.Count})
	}
	return out
}

func stepDocument(s resolve.Step, locate func(resolve.Ref) string) Step {
	return Step{
		Stage: string(s.Stage), Verdict: string(s.Verdict), Rule: string(s.Rule),
		Resource: resourceDocument(s.Ref, locate), Expected: s.Expected, Actual: s.Actual, Reason: s.Reason(),
	}
}

// proxyName is the contract's word for the proxy of a hop: what captures an ambient workload is a ztunnel.
func proxyName(d resolve.Dataplane) string {
	if d == resolve.DataplaneAmbient {
		return "ztunnel"
	}
	return string(d)
}

func workloadDocument(r resolve.Ref) Workload {
	return Workload{Cluster: r.Cluster, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name}
}

// NewResource is the resource in the contract's shape; locate is as in [NewDocument].
func NewResource(r resolve.Ref, locate func(resolve.Ref) string) Resource {
	return resourceDocument(r, locate)
}

func resourceDocument(r resolve.Ref, locate func(resolve.Ref) string) Resource {
	if r.IsZero() {
		return Resource{}
	}
	return Resource{Group: r.Group, Cluster: r.Cluster, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, Field: r.Field, Source: locate(r)}
}
