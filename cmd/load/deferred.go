package load

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// manifest is one resource of a document.
type manifest struct {
	ref resolve.Ref
	// object is nil where the resource is deferred.
	object resolve.Object
	doc    *document
	// within are the steps from the document's root, and line is where the resource begins.
	within []string
	line   int
}

// origin is where the resource was written.
func (m manifest) origin() resolve.Origin {
	if m.doc.written != nil {
		return m.doc.written
	}
	return &origin{doc: m.doc, within: m.within, line: m.line}
}

func (m manifest) sourced() resolve.Sourced {
	return resolve.Sourced{
		Object: m.object, GroupKind: schema.GroupKind{Group: m.ref.Group, Kind: m.ref.Kind}, Origin: m.origin(),
	}
}

// handOver puts resources into the input: those that are deferred into Deferred, the others into Resources.
func handOver(in *resolve.Input, all []manifest, opts ManifestOptions) {
	later := deferred{namespace: opts.DefaultNamespace, docs: map[string]map[schema.GroupKind][]*document{}}
	now := 0
	for _, m := range all {
		if m.object != nil {
			now++
		}
	}
	if now > 0 {
		in.Resources = make([]resolve.Sourced, 0, now)
	}
	for _, m := range all {
		if m.object == nil {
			later.add(m)
			continue
		}
		in.Resources = append(in.Resources, m.sourced())
	}
	if len(later.docs) > 0 {
		in.Deferred = later
	}
}

// deferred are documents of what runs in the namespaces. They have been read once, so that nothing wrong
// in them is passed over, and are read again for the few namespaces that a request needs.
type deferred struct {
	// namespace is that of documents that name none.
	namespace string
	docs      map[string]map[schema.GroupKind][]*document
}

func (d deferred) add(m manifest) {
	kinds := d.docs[m.ref.Namespace]
	if kinds == nil {
		kinds = map[schema.GroupKind][]*document{}
		d.docs[m.ref.Namespace] = kinds
	}
	gk := schema.GroupKind{Group: m.ref.Group, Kind: m.ref.Kind}
	kinds[gk] = append(kinds[gk], m.doc)
}

// Namespaces are those in which something runs.
func (d deferred) Namespaces() []string {
	namespaces := make([]string, 0, len(d.docs))
	for namespace := range d.docs {
		namespaces = append(namespaces, namespace)
	}
	return namespaces
}

// Find names them all: what their documents say is not known until they are read.
func (d deferred) Find(resolve.Sought) ([]string, []resolve.Gap) { return d.Namespaces(), nil }

// Origin is not known before the resource was read.
func (d deferred) Origin(resolve.Ref) resolve.Origin { return nil }

// Err is nil: the documents were read before.
func (d deferred) Err() error { return nil }

// In decodes what runs in the namespace.
func (d deferred) In(namespace string, kinds []schema.GroupKind) []resolve.Listed {
	out := make([]resolve.Listed, len(kinds))
	for i, gk := range kinds {
		r := documentReader{namespace: d.namespace}
		for _, doc := range d.docs[namespace][gk] {
			r.read(doc)
		}
		for _, m := range r.resources {
			out[i].Resources = append(out[i].Resources, m.sourced())
		}
	}
	return out
}
