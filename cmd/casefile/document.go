package casefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// The type of a document of cases.
const (
	APIVersion = "meshtrace.dev/v1alpha1"
	Kind       = "TraceTest"
)

// Suite is one document: cases, and the mesh that they are traced on.
type Suite struct {
	// Name is that of metadata; the file's where there is none.
	Name string
	Source
	// Manifests are files and directories as this process finds them; empty for the cluster.
	Manifests []string
	// MeshConfig is a MeshConfig in YAML; nil for that of the mesh.
	MeshConfig []byte
	Cases      []Case
	// Validator marks a document of istio-config-validator.
	Validator bool
	// Warnings say what of the document counts for nothing.
	Warnings []string
}

// Case is one request, and what is expected of its trace.
type Case struct {
	// Name tells it from all others of the suite; where lists multiply, with what was chosen: "canary [from=shop/pod/a, method=GET]".
	Name string
	Source
	// Request is as typed; it is not read yet, and may be one that trace.NewRequest refuses. Namespace is empty where the case names none.
	Request trace.Typed
	// Expect is nil where nothing is expected.
	Expect *Expectation
	// Rule is what a case of istio-config-validator expects; nil for all others.
	Rule *RuleExpectation
}

// Parse reads the documents of one file. A document of another kind is a problem. name is the file's path, to which paths in it
// are relative; readFile reads the files of tokens.
func Parse(name string, data []byte, readFile func(name string) ([]byte, error)) ([]Suite, error) {
	f := parse(name, data, readFile)
	f.problems = append(f.problems, f.others...)
	if len(f.suites)+len(f.problems) == 0 {
		f.problems = Problems{{Source: Source{File: name}, Message: "there is nothing in it; expected a document of kind " + Kind}}
	}
	if len(f.problems) > 0 {
		return nil, f.problems
	}
	return f.suites, nil
}

// file is what was read of one file.
type file struct {
	suites   []Suite
	problems Problems
	// others are documents of other kinds, each as the problem that it is where the file itself was named.
	others Problems
}

func parse(name string, data []byte, readFile func(string) ([]byte, error)) file {
	var f file
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for document := 1; ; document++ {
		var root yaml.Node
		err := decoder.Decode(&root)
		if errors.Is(err, io.EOF) {
			return f
		}
		if err != nil {
			f.problems = append(f.problems, syntaxProblem(name, document, err))
			return f
		}
		if len(root.Content) != 1 || isNull(root.Content[0]) {
			continue // an empty document
		}
		p := &parser{file: name, document: document, readFile: readFile}
		suite, other := p.suite(root.Content[0])
		switch {
		case len(p.problems) > 0 && other:
			f.others = append(f.others, p.problems...)
		case len(p.problems) > 0:
			f.problems = append(f.problems, p.problems...)
		default:
			f.suites = append(f.suites, suite)
		}
	}
}

// yamlLine is where the YAML reader says an error is.
var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// syntaxProblem is an error of the YAML reader, with its line in the place where lines stand.
func syntaxProblem(name string, document int, err error) Problem {
	text := err.Error()
	found := yamlLine.FindStringSubmatch(text)
	line, _ := strconv.Atoi(found[1]) // 0 where it says none
	return Problem{Source: Source{name, line}, Document: document, Message: "not YAML: " + strings.TrimPrefix(text, found[0])}
}

// suite reads a document; other is true where it is of another kind, which is a problem as well.
func (p *parser) suite(n *yaml.Node) (s Suite, other bool) {
	if follow(n).Kind != yaml.MappingNode {
		p.fail(n, "", "expected a document of kind %s, got %s", Kind, describe(follow(n)))
		return s, true
	}
	list, ok := p.entries(n, "")
	if !ok {
		return s, false
	}
	given := map[string]*yaml.Node{}
	for _, f := range list {
		given[f.name] = f.value
	}
	s = Suite{Name: p.file, Source: Source{p.file, n.Line}}
	if given["kind"] == nil && given["apiVersion"] == nil && given["testCases"] != nil {
		p.validatorSuite(n, &s)
		s.Warnings = p.warnings
		return s, false
	}
	version, kind := scalar(given["apiVersion"]), scalar(given["kind"])
	if kind != Kind || version != APIVersion {
		p.fail(n, "", "expected apiVersion %s and kind %s, got %q and %q", APIVersion, Kind, version, kind)
		return s, kind != Kind
	}
	p.traceTest(n, &s)
	return s, false
}

func scalar(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// traceTest reads a document of kind TraceTest.
func (p *parser) traceTest(n *yaml.Node, s *Suite) {
	ignore := func(*yaml.Node, string) {}
	hasCases := false
	p.fields(n, "", map[string]func(*yaml.Node, string){
		"apiVersion": ignore, "kind": ignore,
		"metadata": func(n *yaml.Node, path string) {
			anything := ignore
			p.fields(n, path, map[string]func(*yaml.Node, string){
				"name": func(n *yaml.Node, path string) {
					if name, ok := p.text(n, path); ok && name != "" {
						s.Name = name
					}
				},
				"namespace": anything, "labels": anything, "annotations": anything,
			})
		},
		"manifests": func(n *yaml.Node, path string) { s.Manifests = p.manifests(n, path) },
		"meshConfig": func(n *yaml.Node, path string) {
			if n.Kind != yaml.MappingNode {
				p.fail(n, path, "expected a mapping, got %s", describe(n))
				return
			}
			data, err := yaml.Marshal(n)
			if err != nil {
				p.fail(n, path, "%v", err)
			}
			s.MeshConfig = data
		},
		"cases": func(n *yaml.Node, path string) {
			hasCases = true
			list, _ := p.items(n, path)
			names := names{}
			for i, item := range list {
				s.Cases = append(s.Cases, p.cases(item, at(path, i), names)...)
			}
		},
	})
	if !hasCases {
		p.fail(n, "cases", "missing; expected a list of cases")
	}
}

// manifests reads the paths of manifests.
func (p *parser) manifests(n *yaml.Node, path string) []string {
	list, _ := p.items(n, path)
	var out []string
	for i, item := range list {
		name, ok := p.text(item, at(path, i))
		switch {
		case !ok:
		case name == "" || name == "-":
			p.fail(item, at(path, i), "expected a file or a directory, got %q", name)
		case strings.HasPrefix(name, "http://"), strings.HasPrefix(name, "https://"):
			out = append(out, name)
		default:
			out = append(out, p.relative(name))
		}
	}
	return out
}

// cases reads one case, which stands for one each of its combinations.
func (p *parser) cases(n *yaml.Node, path string, names names) []Case {
	name := ""
	var requests []combination
	var expect *Expectation
	hasRequest := false
	ok := p.fields(n, path, map[string]func(*yaml.Node, string){
		"name":    func(n *yaml.Node, path string) { name, _ = p.text(n, path) },
		"request": func(n *yaml.Node, path string) { hasRequest, requests = true, p.request(n, path) },
		"expect":  func(n *yaml.Node, path string) { expect = p.expectation(n, path) },
	})
	if ok && !hasRequest {
		p.fail(n, join(path, "request"), "missing; expected a mapping with url")
	}
	out := make([]Case, 0, len(requests))
	for _, c := range requests {
		title := name
		if title == "" {
			title = c.request.URL
		}
		out = append(out, Case{
			Name: names.unique(title, c.label), Source: Source{p.file, n.Line}, Request: c.request, Expect: expect,
		})
	}
	return out
}

// names are those that the cases of a suite have.
type names map[string]bool

// unique is a name that no other case has; where several would have one, all but the first have a number.
func (used names) unique(name, label string) string {
	if label != "" {
		name += " [" + label + "]"
	}
	unique := name
	for i := 2; used[unique]; i++ {
		unique = fmt.Sprintf("%s #%d", name, i)
	}
	used[unique] = true
	return unique
}
