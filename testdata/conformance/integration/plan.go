//go:build integ

package integration

import (
	"os"
	"slices"

	"istio.io/istio/pkg/test"
	"istio.io/istio/pkg/test/framework/resource/config"
	"istio.io/istio/pkg/test/framework/resource/config/apply"
	"istio.io/istio/pkg/test/util/tmpl"
	"istio.io/istio/pkg/test/util/yml"
)

// plan is configuration that a test applies: it joins the manifests, and leaves them when the test ends.
type plan struct {
	context   *testContext
	documents []document
	err       error
}

// document is one object of a plan.
type document struct {
	object
	text string
}

type object struct{ kind, namespace, name string }

var _ config.Plan = &plan{}

// New is an empty plan.
func (p *plan) New() config.Plan { return &plan{context: p.context} }

// Copy is the same plan, to be added to.
func (p *plan) Copy() config.Plan {
	return &plan{context: p.context, documents: slices.Clone(p.documents), err: p.err}
}

// YAML adds documents; those that name no namespace go to ns.
func (p *plan) YAML(ns string, texts ...string) config.Plan {
	for _, text := range texts {
		if ns != "" {
			var err error
			if text, err = yml.ApplyNamespace(text, ns); err != nil {
				p.fail(err)
				continue
			}
		}
		parts, err := yml.Parse(text)
		if err != nil {
			p.fail(err)
			continue
		}
		for _, part := range parts {
			d := part.Descriptor
			p.documents = append(p.documents, document{object{d.Kind, d.Metadata.Namespace, d.Metadata.Name}, part.Contents})
		}
	}
	return p
}

// File adds files.
func (p *plan) File(ns string, paths ...string) config.Plan {
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			p.fail(err)
			continue
		}
		p.YAML(ns, string(text))
	}
	return p
}

// Eval adds templates.
func (p *plan) Eval(ns string, args any, texts ...string) config.Plan {
	for _, text := range texts {
		out, err := tmpl.Evaluate(text, args)
		if err != nil {
			p.fail(err)
			continue
		}
		p.YAML(ns, out)
	}
	return p
}

// EvalFile adds files of templates.
func (p *plan) EvalFile(ns string, args any, paths ...string) config.Plan {
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			p.fail(err)
			continue
		}
		p.Eval(ns, args, string(text))
	}
	return p
}

func (p *plan) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// Apply lets it hold, until the test that applied it ends.
func (p *plan) Apply(options ...apply.Option) error {
	if p.err != nil {
		return p.err
	}
	o := apply.Options{}
	for _, set := range options {
		set.Set(&o)
	}
	s := p.context.suite
	s.applied = append(s.applied, p)
	p.context.CleanupStrategy(o.Cleanup, func() { s.remove(p) })
	return nil
}

// ApplyOrFail is Apply.
func (p *plan) ApplyOrFail(t test.Failer, options ...apply.Option) {
	t.Helper()
	if err := p.Apply(options...); err != nil {
		t.Fatal(err)
	}
}

// Delete takes it back.
func (p *plan) Delete() error {
	p.context.suite.remove(p)
	return nil
}

// DeleteOrFail is Delete.
func (p *plan) DeleteOrFail(test.Failer) { p.context.suite.remove(p) }
