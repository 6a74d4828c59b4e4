package render

import (
	"bytes"
	"encoding/json"

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
		column, where := 0, ""
		for _, f := range s.Findings {
			if n := r.named(f.Ref).width(); n <= widestResource {
				column = max(column, n)
			}
		}
		for _, f := range s.Findings {
			if f.Where != where {
				r.put(line{}.text(asDim, "  "+f.Where), 4)
			}
			where = f.Where
			sign, as := signOf(f.Verdict)
			l := line{}.text(asPlain, "  ").text(as, sign).text(asPlain, " ").add(r.named(f.Ref)).gap(column + 6)
			r.put(l.text(asPlain, f.Text).then("  ", line{}.text(asDim, r.located(f.Ref))), column+6)
		}
	}
	if opts.Wide {
		r.circumstances()
	}
	return trace.Redact(bytes.Clone(r.out.Bytes()))
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
	data, err := json.Marshal(plain(d))
	if err != nil {
		return nil, err
	}
	return EscapeJSON(data), nil
}
