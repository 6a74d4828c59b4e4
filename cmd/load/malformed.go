package load

import (
	"errors"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var topLevel = regexp.MustCompile(`(?m)^(apiVersion|kind):[ \t]*["']?([A-Za-z0-9./-]+)["']?[ \t]*(?:#.*)?\r?$`)

// helmAction is what a Helm chart has between braces, and a resource about other templates has not.
var helmAction = regexp.MustCompile(`\{\{-?\s*(?:\.(?:Values|Release|Chart|Capabilities|Template|Files)\b|(?:if|else|range|with|end|include|define|template|toYaml|tpl)\b|/\*)`)

// malformed reports a document that is no YAML. Where its text shows that it is
// of a kind the trace does not read, the rest of the input is as good without it: a note.
func (r *documentReader) malformed(err error) {
	problem := syntaxError{line: 1, message: err.Error()}
	errors.As(err, &problem)
	if at := helmAction.FindStringIndex(r.doc.text); at != nil {
		r.helm(r.doc.lineOf(1 + strings.Count(r.doc.text[:at[0]], "\n")))
		return
	}
	var h header
	for _, m := range topLevel.FindAllStringSubmatch(r.doc.text, -1) {
		if m[1] == "kind" {
			h.kind = m[2]
		} else {
			h.apiVersion = m[2]
		}
	}
	h.gv, _ = schema.ParseGroupVersion(h.apiVersion)
	if h.kind == secretKind {
		problem.message = "malformed"
		r.doc.forget()
	}
	k, known := kindOf(h.groupKind())
	at := &yaml.Node{Line: problem.line}
	if h.kind != "" && h.apiVersion != "" && (known && !k.read() || !known && builtIn(h.groupKind())) {
		r.note(at, "%s skipped: %s", h.kind, problem.message)
		return
	}
	r.fail(at, h, "", "%s", problem.message)
	if known {
		r.unreadable(h, problem.message)
	}
}

// helm reports a template, once a file.
func (r *documentReader) helm(line int) {
	r.problems = append(r.problems, Problem{
		File: r.doc.source.name, Line: line, helm: true,
		Message: "a Helm template, not a manifest; render it first: helm template CHART | kubectl mesh-trace -f -",
	})
}

// looksTemplated reports whether a node has the shape that an unquoted {{ … }}
// has to a YAML reader: a mapping that is the key of a mapping.
func looksTemplated(n *yaml.Node) bool {
	if n == nil || n.Kind == yaml.AliasNode {
		return false
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && c.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 {
			return true
		}
		if looksTemplated(c) {
			return true
		}
	}
	return false
}

// relocate gives the problems of a kustomized resource the place where it was written.
func (r *documentReader) relocate(problems Problems) {
	for i, p := range problems {
		problems[i].File, problems[i].Line = r.doc.written.Locate(p.Field), 0
	}
}
