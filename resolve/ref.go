package resolve

import (
	"cmp"
	"slices"
	"strings"
)

// Ref names a resource and, where Field is set, one field of it. Every reason
// the tool gives points at a Ref.
type Ref struct {
	// Group is the API group; it tells Istio's Gateway from the Gateway API's.
	Group string
	// Cluster is the id of the remote cluster that has it; empty for the cluster whose configuration istiod reads.
	Cluster string
	// Kind, Namespace and Name are as kubectl prints them. Namespace is empty
	// for cluster-scoped resources.
	Kind, Namespace, Name string
	// Field is the path as a user would type it: spec.http[1].route[0].destination.subset.
	Field string
}

// IsZero reports whether the Ref names nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// At returns the Ref with its field path replaced.
func (r Ref) At(field string) Ref {
	r.Field = field
	return r
}

// Object returns the Ref without a field path.
func (r Ref) Object() Ref { return r.At("") }

// String is kind, namespace/name and field, in the order in which a person reads them; before the name of what a remote
// cluster has stands that of the cluster.
func (r Ref) String() string {
	namespace, slash, space := r.Namespace, "/", " "
	if namespace == "" {
		slash = ""
	}
	if r.Cluster != "" {
		namespace = r.Cluster + ":" + namespace
	}
	if r.Kind == "" || namespace+r.Name == "" {
		words := []string{r.Kind, r.QualifiedName(), r.Field}
		return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
	}
	if r.Field == "" {
		space = ""
	}
	return r.Kind + " " + namespace + slash + r.Name + space + r.Field
}

// QualifiedName is namespace/name, or the name alone for cluster-scoped resources; CLUSTER:namespace/name in a remote cluster.
func (r Ref) QualifiedName() string {
	name := r.Name
	if r.Namespace != "" {
		name = r.Namespace + "/" + r.Name
	}
	if r.Cluster != "" {
		return r.Cluster + ":" + name
	}
	return name
}

// CompareRefs orders Refs by group, kind, namespace, name, cluster and field.
func CompareRefs(a, b Ref) int {
	return cmp.Or(
		cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Field, b.Field),
	)
}

// Origin is where a resource was read from.
type Origin interface {
	// Locate returns "file:line" of the field (of the document, if the field
	// is empty or not written there), or "cluster".
	Locate(field string) string
}
