package show

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/reach"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Options are how a text is laid out.
type Options struct {
	// Wide names everything that is otherwise counted.
	Wide bool
	// Width is that of the terminal; 0 for none.
	Width int
	// Locate says where a resource's field was read.
	Locate func(resolve.Ref) string
}

// namesShown is how many names of a namespace, and how many warnings, a text that is not wide has.
const namesShown = 6

// namespacesShown is how many namespaces of a group have a line of their own in a text that is not wide.
const namespacesShown = 10

// Text is the report for a person: how many are let through; then the groups, each with what decides and who is in it.
func Text(r *reach.Report, opts Options) []byte {
	t := &text{opts: opts}
	all, through, partly := r.Count()
	also := ""
	if partly > 0 {
		also = fmt.Sprintf(", and %d in part", partly)
	}
	t.line(0, "%d of %d sources can %s%s", through, all, RequestText(r.Request), also)
	last := reach.Reach("")
	for _, g := range r.Groups {
		if g.Answer.Reach() != last {
			last = g.Answer.Reach()
			t.line(0, "")
			t.line(0, "%s: %s", strings.ToUpper(string(last[:1]))+string(last[1:]), sourcesText(r.CountOf(last)))
		}
		t.group(g)
	}
	t.warnings(r.Warnings)
	return trace.Redact(t.Bytes())
}

type text struct {
	bytes.Buffer
	opts Options
}

func (t *text) line(indent int, format string, args ...any) {
	t.WriteString(strings.Repeat(" ", indent) + render.Escape(fmt.Sprintf(format, args...)) + "\n")
}

// group is what decides, and then who is in it.
func (t *text) group(g reach.Group) {
	for _, e := range g.Answer.Ends {
		share := ""
		if len(g.Answer.Ends) > 1 {
			share = percent(e.Weight) + " "
		}
		t.line(2, "%s%s", share, EndText(e, t.opts.Locate))
	}
	if e := g.Answer.Ends[0]; e.Reason != "" && (len(g.Answer.Ends) == 1 && (e.Decision != trace.Delivered || e.Code != "") || e.Certainty != trace.Certain) {
		t.line(4, "%s: %s", nameOf(g.Members[0].Source), e.Reason)
	}
	t.members(g.Members)
}

// members are a line for each namespace, or one with the number of sources in each, and one for the pods without a proxy.
func (t *text) members(members []reach.Member) {
	var order, unmeshed []string
	names := map[string][]string{}
	for _, m := range members {
		switch m.Source.Kind {
		case reach.UnmeshedSource:
			unmeshed = append(unmeshed, m.Source.Namespace)
		case reach.ExternalSource:
			t.line(4, "%s", nameOf(m.Source))
		case reach.WorkloadSource:
			namespace := m.Source.Namespace
			if names[namespace] == nil {
				order = append(order, namespace)
			}
			names[namespace] = append(names[namespace], t.name(m))
		}
	}
	if len(order) > namespacesShown && !t.opts.Wide {
		counted := make([]string, len(order))
		for i, namespace := range order {
			counted[i] = fmt.Sprintf("%s (%d)", namespace, len(names[namespace]))
		}
		t.line(4, "%d namespaces: %s", len(order), t.list(counted))
		order = nil
	}
	for _, namespace := range order {
		t.line(4, "%s: %s", namespace, t.list(names[namespace]))
	}
	if len(unmeshed) > 0 {
		t.line(4, "a pod without a proxy in %s", t.list(unmeshed))
	}
}

// name is the source within its namespace.
func (t *text) name(m reach.Member) string {
	name := m.Source.Local()
	if m.Pods != m.Source.Pods() {
		name += fmt.Sprintf(" (%d of %d pods)", m.Pods, m.Source.Pods())
	}
	if t.opts.Wide && m.ServiceAccount != "" {
		name += " as " + m.ServiceAccount
	}
	return name
}

func (t *text) list(names []string) string {
	if t.opts.Wide || len(names) <= namesShown+1 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:namesShown], ", "), len(names)-namesShown)
}

func (t *text) warnings(warnings []trace.Warning) {
	if len(warnings) == 0 {
		return
	}
	t.line(0, "")
	for i, w := range warnings {
		if i == namesShown && !t.opts.Wide && len(warnings) > namesShown+1 {
			t.line(0, "! and %d more warnings (-o wide)", len(warnings)-i)
			return
		}
		about := ""
		if w.Ref.Name != "" {
			about = RefText(w.Ref, t.opts.Locate) + " "
		}
		t.line(0, "! %s", about+w.Message)
	}
}

// nameOf is the source as a text calls it.
func nameOf(s *reach.Source) string {
	switch s.Kind {
	case reach.ExternalSource:
		if s.Ref.IsZero() {
			return "from outside"
		}
		return "from outside, by gateway " + s.Ref.QualifiedName()
	case reach.UnmeshedSource:
		return "a pod without a proxy in " + s.Namespace
	case reach.WorkloadSource:
	}
	return s.Name()
}

// RequestText is the request in one line.
func RequestText(r trace.Request) string {
	method := ""
	if r.Scheme.IsHTTP() {
		method = r.Method + " "
	}
	host := r.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	url := string(r.Scheme) + "://" + host
	if r.Port != r.Scheme.DefaultPort() {
		url += ":" + strconv.Itoa(r.Port)
	}
	url += r.Path
	if r.Query != "" {
		url += "?" + r.Query
	}
	return method + url
}

// EndText says how requests end, and what decides that.
func EndText(e reach.End, locate func(resolve.Ref) string) string {
	words := []string{string(e.Decision)}
	if e.HTTPStatus != 0 {
		words = append(words, strconv.Itoa(e.HTTPStatus))
	}
	if e.Certainty != trace.Certain {
		words = append(words, "("+string(e.Certainty)+")")
	}
	switch {
	case e.Host != "":
		to := e.Host + ":" + strconv.Itoa(e.Port)
		if e.Subset != "" {
			to += " subset " + e.Subset
		}
		words = append(words, "to", to)
	case e.Location != "":
		words = append(words, "to", e.Location)
	}
	if !e.By.IsZero() {
		words = append(words, "by", RefText(e.By, locate))
	}
	if e.Code != "" {
		words = append(words, "code "+string(e.Code))
	}
	return strings.Join(words, " ")
}

// RefText is the resource, and where it was read.
func RefText(r resolve.Ref, locate func(resolve.Ref) string) string {
	if r.IsZero() {
		return ""
	}
	if at := locate(r); at != "" && at != "cluster" {
		return r.String() + " (" + at + ")"
	}
	return r.String()
}

func sourcesText(n int) string {
	if n == 1 {
		return "1 source"
	}
	return strconv.Itoa(n) + " sources"
}

func percent(weight float64) string { return fmt.Sprintf("%.4g%%", weight) }
