package reach

import (
	"fmt"
	"path"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// A Pattern names sources or services. The parts of a name may have the wildcards *, ? and [a-z], as file names do:
//
//  1. all: every workload, or every service.
//  2. external and unmeshed, for sources: a client outside the cluster, and a pod without a proxy in every namespace.
//  3. NAMESPACE: everything there.
//  4. NAMESPACE/NAME; of sources also KIND/NAME in the current namespace, if KIND is one that a request can come from.
//  5. NAMESPACE/KIND/NAME, for sources.
type Pattern struct {
	// Text is as typed.
	Text                  string
	namespace, kind, name string
	external, unmeshed    bool
}

// The words that are no patterns.
const (
	All      = "all"
	External = trace.External
	Unmeshed = "unmeshed"
)

// ParseSource reads a pattern of sources; namespace is the current one.
func ParseSource(text, namespace string) (Pattern, error) {
	switch text {
	case External:
		return Pattern{Text: text, external: true}, nil
	case Unmeshed:
		return Pattern{Text: text, unmeshed: true}, nil
	}
	p := Pattern{Text: text}
	parts := strings.Split(text, "/")
	switch len(parts) {
	case 1:
		p.namespace = everything(parts[0])
	case 2:
		p.namespace, p.name = parts[0], parts[1]
		if spec, err := trace.ParseSource(text); err == nil && spec.Kind != "" {
			p.namespace, p.kind = namespace, spec.Kind
		}
	case 3:
		p.namespace, p.kind, p.name = parts[0], parts[1], parts[2]
		if !strings.ContainsAny(p.kind, "*?[") {
			spec, err := trace.ParseSource("x/" + p.kind + "/x")
			if err != nil {
				return Pattern{}, fmt.Errorf("%q: %q is no kind a request comes from; expected one of %s", text, p.kind, strings.Join(trace.SourceKinds(), ", "))
			}
			p.kind = spec.Kind
		}
	}
	return p, p.check(len(parts) <= 3, "all, external, unmeshed, NAMESPACE, [NAMESPACE/]KIND/NAME or NAMESPACE/NAME")
}

// ParseService reads a pattern of services.
func ParseService(text string) (Pattern, error) {
	p := Pattern{Text: text}
	parts := strings.Split(text, "/")
	p.namespace = everything(parts[0])
	if len(parts) == 2 {
		p.name = parts[1]
	}
	return p, p.check(len(parts) <= 2, "all, NAMESPACE or NAMESPACE/NAME")
}

func everything(word string) string {
	if word == All {
		return "*"
	}
	return word
}

// check refuses what is no pattern.
func (p Pattern) check(parts bool, expected string) error {
	bad := !parts
	for _, part := range []string{p.namespace, p.kind, p.name} {
		if _, err := path.Match(part, ""); err != nil {
			bad = true
		}
	}
	if bad || p.Text == "" || strings.HasPrefix(p.Text, "/") || strings.HasSuffix(p.Text, "/") || strings.Contains(p.Text, "//") {
		return fmt.Errorf("%q: expected %s, in which * stands for any characters", p.Text, expected)
	}
	return nil
}

// takes reports whether the pattern fits a name; kind is lower case.
func (p Pattern) takes(namespace, kind, name string) bool {
	return !p.external && !p.unmeshed && fits(p.namespace, namespace) && fits(p.kind, kind) && fits(p.name, name)
}

// inNamespace reports whether the pattern may fit something of the namespace.
func (p Pattern) inNamespace(namespace string) bool {
	return !p.external && !p.unmeshed && fits(p.namespace, namespace)
}

// broad reports whether it names no single thing.
func (p Pattern) broad() bool { return p.name == "" || strings.ContainsAny(p.name, "*?[") }

// fits matches a part; an empty one fits everything.
func fits(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, text)
	return ok && err == nil
}
