package casefile

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// A request has the fields of the command line. One that is a list stands for one case each, and the lists of a request
// multiply; the one written first changes slowest.
//
//  1. url, from, gateway, method, sourceIP, sni, clientCert, jwt and namespace (that of -n) are texts, or lists of texts.
//  2. headers is a mapping. A value may be a list, and nothing (~) is a header that is not sent. A list of mappings
//     stands for one case each as well.
//  3. claims is a mapping, or a list of mappings. Its values are taken as --claim takes them: a list is a claim with several values.
//  4. jwt may be @FILE, relative to the case file.

// axis is a field of a request with several values.
type axis struct {
	field   string
	choices []choice
}

// choice is one value of an axis.
type choice struct {
	label string
	set   func(*trace.Typed)
}

// combination is one request of those that a case stands for, and what tells it from the others.
type combination struct {
	label   string
	request trace.Typed
}

// maxCombinations bounds the cases that one case stands for.
const maxCombinations = 100_000

// request reads the requests of a case.
func (p *parser) request(n *yaml.Node, path string) []combination {
	var axes []axis
	texts := func(label string, field func(*trace.Typed) *string) func(*yaml.Node, string) {
		return func(n *yaml.Node, path string) {
			axes = append(axes, p.texts(n, path, label, func(q *trace.Typed, value string) { *field(q) = value }))
		}
	}
	hasURL := false
	ok := p.fields(n, path, map[string]func(*yaml.Node, string){
		"url": func(n *yaml.Node, path string) {
			hasURL = true
			axes = append(axes, p.texts(n, path, "url", func(q *trace.Typed, value string) { q.URL = value }))
		},
		"from":       texts("from", func(q *trace.Typed) *string { return &q.From }),
		"gateway":    texts("gateway", func(q *trace.Typed) *string { return &q.Gateway }),
		"method":     texts("method", func(q *trace.Typed) *string { return &q.Method }),
		"sourceIP":   texts("sourceIP", func(q *trace.Typed) *string { return &q.SourceIP }),
		"sni":        texts("sni", func(q *trace.Typed) *string { return &q.SNI }),
		"clientCert": texts("clientCert", func(q *trace.Typed) *string { return &q.ClientCert }),
		"namespace":  texts("namespace", func(q *trace.Typed) *string { return &q.Namespace }),
		"jwt":        func(n *yaml.Node, path string) { axes = append(axes, p.tokens(n, path)) },
		"headers":    func(n *yaml.Node, path string) { axes = append(axes, p.headers(n, path)...) },
		"claims":     func(n *yaml.Node, path string) { axes = append(axes, p.claims(n, path)) },
	})
	if ok && !hasURL {
		p.fail(n, join(path, "url"), "missing; expected [scheme://]host[:port][/path][?query]")
	}
	return p.combine(n, path, axes)
}

// combine is every combination of the axes.
func (p *parser) combine(n *yaml.Node, path string, axes []axis) []combination {
	total := 1
	for _, a := range axes {
		if total *= len(a.choices); total > maxCombinations {
			p.fail(n, path, "stands for more than %d requests; split it", maxCombinations)
			return nil
		}
	}
	all := []combination{{}}
	for _, a := range axes {
		next := make([]combination, 0, len(all)*len(a.choices))
		for _, c := range all {
			for _, chosen := range a.choices {
				q := c
				q.request.Headers, q.request.Claims = slices.Clip(q.request.Headers), slices.Clip(q.request.Claims)
				chosen.set(&q.request)
				if len(a.choices) > 1 {
					q.label = strings.TrimPrefix(q.label+", "+a.field+"="+chosen.label, ", ")
				}
				next = append(next, q)
			}
		}
		all = next
	}
	return all
}

// several are the elements of a list, or the node alone.
func (p *parser) several(n *yaml.Node, path string) []*yaml.Node {
	n = follow(n)
	if n.Kind != yaml.SequenceNode {
		return []*yaml.Node{n}
	}
	if len(n.Content) == 0 {
		p.fail(n, path, "the list is empty, so there would be no request")
	}
	list, _ := p.items(n, path)
	return list
}

// texts reads a text, or a list of them.
func (p *parser) texts(n *yaml.Node, path, field string, set func(q *trace.Typed, value string)) axis {
	a := axis{field: field}
	for _, one := range p.several(n, path) {
		text, ok := p.text(one, path)
		if !ok {
			continue
		}
		if text == "" {
			p.fail(one, path, "is empty; leave it out, or give a value")
			continue
		}
		a.choices = append(a.choices, choice{text, func(q *trace.Typed) { set(q, text) }})
	}
	return a
}

// tokens reads jwt. A label never shows a token.
func (p *parser) tokens(n *yaml.Node, path string) axis {
	a := p.texts(n, path, "jwt", func(q *trace.Typed, value string) { q.JWT = value })
	for i, c := range a.choices {
		name, isFile := strings.CutPrefix(c.label, "@")
		a.choices[i].label = "#" + strconv.Itoa(i+1)
		if !isFile {
			continue
		}
		a.choices[i].label = string(trace.Redact([]byte(c.label)))
		data, err := p.readFile(p.relative(name))
		token := strings.TrimSpace(string(data))
		switch {
		case err != nil:
			p.fail(n, path, "read the token: %s", trace.Redact([]byte(err.Error())))
		case token == "":
			p.fail(n, path, "%s: the file is empty", trace.Redact([]byte(c.label)))
		}
		a.choices[i].set = func(q *trace.Typed) { q.JWT = token }
	}
	return a
}

// relative is a path of a case file, as this process finds it.
func (p *parser) relative(name string) string {
	if filepath.IsAbs(name) || p.file == stdinName {
		return name
	}
	return filepath.Join(filepath.Dir(p.file), name)
}

// headers reads a mapping of headers, or a list of mappings.
func (p *parser) headers(n *yaml.Node, path string) []axis {
	if n = follow(n); n.Kind == yaml.MappingNode {
		var axes []axis
		list, _ := p.entries(n, path)
		for _, f := range list {
			a := axis{field: "headers." + f.name}
			for _, one := range p.several(f.value, join(path, f.name)) {
				if c, ok := p.header(f.name, one, join(path, f.name)); ok {
					a.choices = append(a.choices, c)
				}
			}
			axes = append(axes, a)
		}
		return axes
	}
	a := axis{field: "headers"}
	for i, one := range p.several(n, path) {
		list, ok := p.entries(one, path)
		var sets []func(*trace.Typed)
		for _, f := range list {
			if c, ok := p.header(f.name, f.value, join(path, f.name)); ok {
				sets = append(sets, c.set)
			}
		}
		if ok {
			a.choices = append(a.choices, choice{"#" + strconv.Itoa(i+1), func(q *trace.Typed) {
				for _, set := range sets {
					set(q)
				}
			}})
		}
	}
	return []axis{a}
}

// header reads one value of a header; nothing is a header that is not sent.
func (p *parser) header(name string, n *yaml.Node, path string) (choice, bool) {
	if isNull(n) {
		return choice{"~", func(*trace.Typed) {}}, true
	}
	value, ok := p.text(n, path)
	label := string(trace.Redact([]byte(render.Disclose(name, value))))
	return choice{label, func(q *trace.Typed) { q.Headers = append(q.Headers, name+": "+value) }}, ok
}

// claims reads a mapping of claims, or a list of mappings.
func (p *parser) claims(n *yaml.Node, path string) axis {
	a := axis{field: "claims"}
	for i, one := range p.several(n, path) {
		list, ok := p.entries(one, path)
		var claims []string
		for _, f := range list {
			if value, ok := p.claim(f.value, join(path, f.name)); ok {
				claims = append(claims, f.name+"="+value)
			}
		}
		if ok {
			a.choices = append(a.choices, choice{"#" + strconv.Itoa(i+1), func(q *trace.Typed) { q.Claims = append(q.Claims, claims...) }})
		}
	}
	return a
}

// claim is the value of a claim as --claim takes it.
func (p *parser) claim(n *yaml.Node, path string) (string, bool) {
	if n.Kind == yaml.ScalarNode {
		return p.text(n, path)
	}
	var value any
	if err := n.Decode(&value); err != nil {
		p.fail(n, path, "expected a text, a list or a mapping of texts: %v", err)
		return "", false
	}
	data, err := json.Marshal(value)
	if err != nil {
		p.fail(n, path, "expected what JSON can hold: %v", err)
		return "", false
	}
	return string(data), true
}
