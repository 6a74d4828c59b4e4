package casefile

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// A test file of istio-config-validator (github.com/getyourguide/istio-config-validator, docs/test-cases.md) is a document with a list
// testCases and neither apiVersion nor kind:
//
//  1. A case stands for one request each of its uri, authority and method, in that order; none of these may be empty.
//  2. headers are those of all these requests.
//  3. What is expected is what the rule of the VirtualService has that takes the request: route, redirect, rewrite, fault, headers and
//     delegate, each as a whole. With wantMatch false (the default), each that is given must be another.
//  4. A field that is not known counts for nothing, as there; a warning says so.
//
// An authority may be a wildcard host: that tool compares it with the hosts of VirtualServices as it stands. Here it is a host, of which
// one is made that the wildcard covers.

// RuleExpectation is what a case of istio-config-validator expects of the rule that takes the request. What is nil is not compared.
type RuleExpectation struct {
	// WantMatch is false where what is given must be another.
	WantMatch bool
	Route     []*networking.HTTPRouteDestination
	Redirect  *networking.HTTPRedirect
	Rewrite   *networking.HTTPRewrite
	Fault     *networking.HTTPFaultInjection
	Headers   *networking.Headers
	Delegate  *networking.Delegate
}

// wildcardLabel stands for the * of an authority.
const wildcardLabel = "wildcard"

// validatorSuite reads a document of that tool.
func (p *parser) validatorSuite(n *yaml.Node, s *Suite) {
	s.Validator = true
	list, _ := p.entries(n, "")
	names := names{}
	for _, f := range list {
		if f.name != "testCases" {
			p.ignored(f, "")
			continue
		}
		items, _ := p.items(f.value, f.name)
		for i, item := range items {
			s.Cases = append(s.Cases, p.validatorCases(item, at(f.name, i), names)...)
		}
	}
}

// ignored warns of a field that counts for nothing.
func (p *parser) ignored(f entry, path string) {
	where := Source{p.file, f.key.Line}
	p.warnings = append(p.warnings, where.String()+": "+join(path, f.name)+": unknown field; it counts for nothing")
}

// validatorCases reads one case, which stands for one each of its requests.
func (p *parser) validatorCases(n *yaml.Node, path string, names names) []Case {
	list, ok := p.entries(n, path)
	if !ok {
		return nil
	}
	description, expect := "", RuleExpectation{}
	var requests []combination
	for _, f := range list {
		at := join(path, f.name)
		if isNull(f.value) && f.name != "request" {
			continue
		}
		switch f.name {
		case "description":
			description, _ = p.text(f.value, at)
		case "request":
			requests = p.validatorRequests(f.value, at)
		case "wantMatch":
			p.decode(f.value, at, "true or false", &expect.WantMatch)
		case "route":
			p.decode(f.value, at, "a list of HTTPRouteDestination", &expect.Route)
		case "redirect":
			p.decode(f.value, at, "an HTTPRedirect", &expect.Redirect)
		case "rewrite":
			p.decode(f.value, at, "an HTTPRewrite", &expect.Rewrite)
		case "fault":
			p.decode(f.value, at, "an HTTPFaultInjection", &expect.Fault)
		case "headers":
			p.decode(f.value, at, "Headers", &expect.Headers)
		case "delegate":
			p.decode(f.value, at, "a Delegate", &expect.Delegate)
		default:
			p.ignored(f, path)
		}
	}
	if !slices.ContainsFunc(list, func(f entry) bool { return f.name == "request" }) {
		p.fail(n, join(path, "request"), "missing; expected authority, method and uri")
	}
	out := make([]Case, 0, len(requests))
	for _, c := range requests {
		out = append(out, Case{
			Name: names.unique(description, c.label), Source: Source{p.file, n.Line}, Request: c.request, Rule: &expect,
		})
	}
	return out
}

// decode reads a value as Istio's own types read JSON.
func (p *parser) decode(n *yaml.Node, path, what string, into any) {
	var value any
	err := n.Decode(&value)
	var data []byte
	if err == nil {
		data, err = json.Marshal(value)
	}
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(data)).Decode(into)
	}
	if err != nil {
		p.fail(n, path, "expected %s: %v", what, err)
	}
}

// validatorRequests are the requests of a case: for each uri, each authority and each method one.
func (p *parser) validatorRequests(n *yaml.Node, path string) []combination {
	list, ok := p.entries(n, path)
	if !ok {
		return nil
	}
	values := map[string][]string{}
	var headers []string
	for _, f := range list {
		at := join(path, f.name)
		switch f.name {
		case "authority", "method", "uri":
			values[f.name] = p.strings(f.value, at)
		case "headers":
			headers = p.validatorHeaders(f.value, at)
		default:
			p.ignored(f, path)
		}
	}
	for _, name := range []string{"authority", "method", "uri"} {
		if len(values[name]) == 0 {
			p.fail(n, join(path, name), "expected at least one")
			return nil
		}
	}
	if total := len(values["uri"]) * len(values["authority"]) * len(values["method"]); total > maxCombinations {
		p.fail(n, path, "stands for more than %d requests; split it", maxCombinations)
		return nil
	}
	var out []combination
	for _, uri := range values["uri"] {
		parsed, err := url.Parse(uri)
		if err != nil {
			p.fail(n, join(path, "uri"), "%q: expected a path", uri)
			return nil
		}
		target := parsed.RequestURI()
		for _, authority := range values["authority"] {
			for _, method := range values["method"] {
				out = append(out, combination{
					label: method + " " + authority + uri,
					request: trace.Typed{
						URL:    "http://" + strings.ReplaceAll(strings.ReplaceAll(authority, "*", wildcardLabel), "://", "") + "/" + strings.TrimPrefix(target, "/"),
						Method: method, Headers: headers,
					},
				})
			}
		}
	}
	return out
}

// strings reads a list of texts.
func (p *parser) strings(n *yaml.Node, path string) []string {
	list, _ := p.items(n, path)
	var out []string
	for i, item := range list {
		if text, ok := p.text(item, at(path, i)); ok {
			out = append(out, text)
		}
	}
	return out
}

func (p *parser) validatorHeaders(n *yaml.Node, path string) []string {
	if isNull(n) {
		return nil
	}
	list, _ := p.entries(n, path)
	values := map[string]string{}
	for _, f := range list {
		if value, ok := p.text(f.value, join(path, f.name)); ok {
			values[f.name] = value
		}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		out = append(out, name+": "+values[name])
	}
	return out
}
