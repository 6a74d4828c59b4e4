package render

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/explain"
)

// Object is what involves an object, for a person: its findings under their headings, those of one proxy together.
func Object(e *explain.Explanation, opts Options) []byte {
	r := newRenderer(&trace.Trace{Istio: e.Istio}, opts)
	r.put(r.resource(e.Object), 2)
	for _, s := range e.Sections {
		r.blank()
		r.put(line{}.text(asPlain, s.Title), 2)
		column := 0
		for _, f := range s.Findings {
			if n := r.named(f.Ref).width(); n <= widestResource {
				column = max(column, n)
			}
		}
		for _, b := range blocksOf(s.Findings) {
			if heading := b.heading(opts.Wide); heading != "" {
				r.put(line{}.text(asDim, "  "+heading), 4)
			}
			for _, f := range b.findings {
				sign, as := signOf(f.Verdict)
				l := line{}.text(asPlain, "  ").text(as, sign).text(asPlain, " ").add(r.named(f.Ref)).gap(column + 6)
				r.put(l.text(asPlain, f.Text).then("  ", line{}.text(asDim, r.located(f.Ref))), column+6)
			}
		}
	}
	if opts.Wide {
		r.circumstances()
	}
	return trace.Redact(bytes.Clone(r.out.Bytes()))
}

// block is findings that are the same at several proxies, asked the same.
type block struct {
	who      []string
	asked    string
	findings []explain.Finding
}

// blocksOf puts the findings of each proxy together, and those proxies at which they are the same.
func blocksOf(findings []explain.Finding) []block {
	var each, out []block
	for i, f := range findings {
		if i == 0 || f.Where != findings[i-1].Where {
			who, asked, _ := strings.Cut(f.Where, "  ")
			each = append(each, block{who: []string{who}, asked: asked})
		}
		f.Where = ""
		last := &each[len(each)-1]
		last.findings = append(last.findings, f)
	}
	for _, b := range each {
		i := slices.IndexFunc(out, func(o block) bool { return o.asked == b.asked && slices.Equal(o.findings, b.findings) })
		if i < 0 {
			out = append(out, b)
			continue
		}
		out[i].who = append(out[i].who, b.who...)
	}
	return out
}

// heading is "sidecars of shop (web), sidecars of team (app) and 48 more  http://reviews:9080"; all names all of them.
func (b block) heading(all bool) string {
	const most = 3
	who, more := b.who, ""
	if n := len(who) - most; n > 0 && !all {
		who, more = who[:most], " and "+strconv.Itoa(n)+" more"
	}
	heading := strings.Join(who, ", ") + more
	if b.asked != "" {
		heading += "  " + b.asked
	}
	return heading
}

// ObjectExplanation is the JSON document of `explain KIND/NAME` (meshtrace.dev/v1alpha1, Explanation).
type ObjectExplanation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Istio             Istio     `json:"istio"`
	Object            Resource  `json:"object"`
	Sections          []Section `json:"sections"`
}

// Section is some findings under a heading.
type Section struct {
	Title    string    `json:"title"`
	Findings []Finding `json:"findings"`
}

// Finding is one thing that is true of the object, at the proxy of where if that is set.
type Finding struct {
	Verdict  string   `json:"verdict"`
	Where    string   `json:"where"`
	Resource Resource `json:"resource"`
	Text     string   `json:"text"`
}

// NewObjectExplanation is the document; locate is as for [NewDocument].
func NewObjectExplanation(e *explain.Explanation, locate func(resolve.Ref) string) *ObjectExplanation {
	if locate == nil {
		locate = func(resolve.Ref) string { return "" }
	}
	d := &ObjectExplanation{
		TypeMeta:   metav1.TypeMeta{APIVersion: "meshtrace.dev/v1alpha1", Kind: "Explanation"},
		ObjectMeta: metav1.ObjectMeta{Namespace: e.Object.Namespace, Name: e.Object.Name},
		Istio:      Istio{Version: e.Istio.Release, From: e.Istio.From}, Object: resourceDocument(e.Object, locate), Sections: []Section{},
	}
	for _, s := range e.Sections {
		section := Section{Title: s.Title, Findings: []Finding{}}
		for _, f := range s.Findings {
			section.Findings = append(section.Findings, Finding{Verdict: string(f.Verdict), Where: f.Where, Resource: resourceDocument(f.Ref, locate), Text: f.Text})
		}
		d.Sections = append(d.Sections, section)
	}
	return d
}

// MarshalJSON is as that of [Document].
func (d ObjectExplanation) MarshalJSON() ([]byte, error) {
	type plain ObjectExplanation
	return MarshalSafe(plain(d))
}
