package load

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/admission"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// header is what a document says about itself.
type header struct {
	apiVersion, kind, namespace, name string
	// cluster is the remote cluster that has it; empty for the first one.
	cluster string
	gv      schema.GroupVersion
}

func headerOf(n *yaml.Node) header {
	meta, _ := child(n, "metadata")
	annotations, _ := child(meta, "annotations")
	return header{
		apiVersion: textOf(n, "apiVersion"), kind: textOf(n, "kind"),
		namespace: textOf(meta, "namespace"), name: textOf(meta, "name"), cluster: textOf(annotations, resolve.ClusterAnnotation),
	}
}

func (h header) groupKind() schema.GroupKind {
	return schema.GroupKind{Group: h.gv.Group, Kind: h.kind}
}

func (h header) ref() resolve.Ref {
	return resolve.Ref{Group: h.gv.Group, Cluster: h.cluster, Kind: h.kind, Namespace: h.namespace, Name: h.name}
}

// String is kind and name as problems show them.
func (h header) String() string {
	switch {
	case h.kind == "":
		return ""
	case h.name == "":
		return h.kind
	}
	return h.kind + " " + h.ref().QualifiedName()
}

// result is what came of one document.
type result struct {
	resources []manifest
	meshes    []meshConfigMap
	notes     []documentNote
	snapshots []snapshotDocument
	gaps      []resolve.Gap
	problems  Problems
	// broken are lists of which an item can not be read by itself.
	broken []*cutList
}

// documentReader turns documents into resources, one after the other. A document is read in the
// order of these functions: parse, root, list or resource, kind, decode.
type documentReader struct {
	doc       *document
	namespace string
	// cluster is that of all documents; empty where they tell themselves.
	cluster string
	// deferring leaves documents of what runs in a namespace for later, once they are checked.
	deferring bool
	// overlay is set where the documents are those of an overlay.
	overlay bool
	blocks  blockReader
	decoder decoder
	result
}

func (r *documentReader) read(doc *document) {
	r.doc = doc
	before := len(r.problems)
	root, secret, err := doc.parseOnce(&r.blocks)
	switch {
	case err != nil && doc.list != nil:
		r.broken = append(r.broken, doc.list)
	case err != nil:
		r.malformed(err)
	case doc.list != nil:
		r.node(root, doc.list.parent, nil)
	default:
		r.node(root, header{}, nil)
	}
	if secret {
		doc.forget()
	}
	if doc.written != nil {
		r.relocate(r.problems[before:])
	}
}

func (r *documentReader) fail(n *yaml.Node, h header, field, format string, args ...any) {
	r.problems = append(r.problems, Problem{
		File: r.doc.source.name, Line: r.doc.at(n), Object: h.String(), Field: field, Message: fmt.Sprintf(format, args...),
	})
}

// note remarks on a document that is no resource.
func (r *documentReader) note(n *yaml.Node, format string, args ...any) {
	where := fmt.Sprintf("%s:%d: ", r.doc.source.name, r.doc.at(n))
	r.remark(resolve.Ref{}, where+fmt.Sprintf(format, args...))
}

func (r *documentReader) remark(ref resolve.Ref, message string) {
	r.notes = append(r.notes, documentNote{resolve.Note{Ref: ref, Message: message}, r.doc.source})
}

// unreadable is the gap that a broken resource leaves, so that nothing is decided as if it were not there.
func (r *documentReader) unreadable(h header, detail string) {
	r.gaps = append(r.gaps, resolve.Gap{
		GroupKind: h.groupKind(), Namespace: h.namespace, Name: h.name, Cluster: h.cluster, Reason: resolve.GapUnreadable, Detail: detail,
	})
}

// node reads the root node, or one item of a list in it; parent is what a typed
// list says for items that do not say it themselves, and within the way from the root.
func (r *documentReader) node(n *yaml.Node, parent header, within []string) {
	n = follow(n)
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.notManifest(n, "expected an object with apiVersion and kind, got "+describe(n))
		return
	}
	h := headerOf(n)
	if h.kind == "" && h.apiVersion == "" {
		h.kind, h.apiVersion = parent.kind, parent.apiVersion
	}
	switch {
	case h.kind == "" && h.apiVersion == "":
		r.notManifest(n, "not a manifest: neither apiVersion nor kind")
		return
	case h.kind == "":
		r.missing(n, h, "kind")
		return
	case h.apiVersion == "":
		r.missing(n, h, "apiVersion")
		return
	}
	gv, err := schema.ParseGroupVersion(h.apiVersion)
	if err != nil {
		_, key := child(n, "apiVersion")
		r.fail(key, h, "apiVersion", "expected group/version, got %q", h.apiVersion)
		return
	}
	h.gv = gv
	if items, _ := child(n, "items"); strings.HasSuffix(h.kind, "List") && (items != nil || h.kind == "List") {
		r.list(items, h, within)
		return
	}
	r.resource(n, h, within)
}

// missing reports apiVersion or kind that is absent or no string.
func (r *documentReader) missing(n *yaml.Node, h header, field string) {
	if v, key := child(n, field); !isNull(v) {
		r.fail(key, h, field, "expected a string, got %s", describe(v))
		return
	}
	r.fail(n, h, "", "%s is missing", field)
}

// notManifest is a mistake in a file that was named, and no matter in one that a directory happens to hold.
func (r *documentReader) notManifest(n *yaml.Node, message string) {
	switch {
	case r.doc.source.found && looksTemplated(n):
		r.helm(r.doc.at(n))
	case r.doc.source.found:
		r.note(n, "skipped: %s", message)
	default:
		r.fail(n, header{}, "", "%s", message)
	}
}

func (r *documentReader) list(items *yaml.Node, h header, within []string) {
	if isNull(items) {
		return
	}
	if items.Kind != yaml.SequenceNode {
		r.fail(items, h, "items", "expected a list, got %s", describe(items))
		return
	}
	if len(within) > maxDepth {
		return
	}
	for i, item := range items.Content {
		r.node(item, itemHeader(h), append(slices.Clone(within), "items", fmt.Sprint(i)))
	}
}

// resource reads one resource.
//
// 1. A kustomization is built, not read.
// 2. A kind that cannot be is a problem; one the trace does not read is counted.
// 3. A missing namespace is the default one; a cluster-scoped kind has none.
// 4. The ConfigMap "istio" (or istio-REVISION) with the key mesh is the mesh config.
// 5. Of a Secret the type is kept (secretmanifest.go), of a CRD its release, of every other ConfigMap the certificate of an
// authority (configmap.go), of a kind not read only the name.
// 6. The document of a snapshot (snapshot.go) is no resource, and speaks of all.
// 7. Of an object that an overlay takes away (overlay.go) the name is read.
// 8. Of a remote cluster (resolve/remotecluster.go) what istiod does not read there is told, and does not count.
func (r *documentReader) resource(n *yaml.Node, h header, within []string) {
	if r.cluster != "" {
		h.cluster = r.cluster
	}
	if h.gv.Group == "kustomize.config.k8s.io" {
		r.kustomization(n, h)
		return
	}
	if isSnapshot(h) {
		if r.overlay {
			r.fail(n, h, "", "a Snapshot is a mesh of its own, and no overlay: it is read with -f")
			return
		}
		r.snapshot(n, h)
		return
	}
	k, known := kindOf(h.groupKind())
	if known && k.namespaced && h.namespace == "" {
		h.namespace = r.namespace
	}
	if known && !k.namespaced {
		h.namespace = ""
	}
	if message := wrongKind(h, k, known); message != "" {
		_, key := child(n, "apiVersion")
		r.fail(key, h, "", "%s", message)
		if known {
			r.unreadable(h, message)
		}
		return
	}
	from := manifest{ref: h.ref(), doc: r.doc, line: r.doc.at(n), within: within}
	switch {
	case h.cluster != "" && !resolve.ReadOfRemotes(h.groupKind()):
		if message := notOfRemotes(h, k, known); message != "" {
			r.remark(h.ref(), message)
		}
	case r.overlay && isDeleted(n):
		from.object = deletion(h)
		if r.decoder.start(r.doc, h); known {
			r.decoder.names(n, h, k)
		}
		r.problems = append(r.problems, r.decoder.problems...)
		r.resources = append(r.resources, from)
	case isMeshConfigMap(n, h):
		r.meshes = append(r.meshes, r.meshConfigMap(n, h, from.origin()))
	case h.groupKind() == resolve.CRDKind:
		from.object = crdMetadata(n, h)
		r.resources = append(r.resources, from)
	case h.groupKind() == secretGroupKind:
		from.object = secret(n, h)
		r.resources = append(r.resources, from)
	case h.groupKind() == configMapGroupKind:
		from.object = configMapManifest(n, h)
		r.resources = append(r.resources, from)
	case !known || !k.read():
		from.object = metadataOnly(h)
		r.resources = append(r.resources, from)
	default:
		r.decode(n, h, k, from)
	}
}

// notOfRemotes says that istiod does not read a kind of remote clusters; empty for what it reads of none.
func notOfRemotes(h header, k kind, known bool) string {
	if !known || !k.read() {
		return ""
	}
	return fmt.Sprintf("does not count: istiod reads %s of its own cluster alone, not of remote cluster %s", Plural(h.groupKind()), h.cluster)
}

func (r *documentReader) kustomization(n *yaml.Node, h header) {
	if r.doc.source.found {
		r.note(n, "skipped: a kustomization is built with -k")
		return
	}
	r.fail(n, h, "", "a kustomization is built with -k, not read with -f")
}

// names holds the names to what an API server takes.
func (d *decoder) names(n *yaml.Node, h header, k kind) {
	meta, _ := child(n, "metadata")
	name, _ := child(meta, "name")
	namespace, _ := child(meta, "namespace")
	switch {
	case h.name == "":
		d.path = []step{{name: "metadata"}, {name: "name"}}
		d.fail(cmp.Or(meta, n), "missing")
	case k.colons && len(content.IsPathSegmentName(h.name)) == 0:
	case !plainLabel(h.name) && len(validation.IsDNS1123Subdomain(h.name)) > 0:
		d.path = []step{{name: "metadata"}, {name: "name"}}
		d.fail(name, "%q is no name: expected lower case letters, digits, - and ., at most 253", h.name)
	}
	if k.namespaced && !plainLabel(h.namespace) && len(validation.IsDNS1123Label(h.namespace)) > 0 {
		d.path = []step{{name: "metadata"}, {name: "namespace"}}
		d.fail(namespace, "%q is no namespace: expected lower case letters, digits and -, at most 63", h.namespace)
	}
}

// plainLabel reports whether a name is, without doubt, a DNS label; it spares most names a regular expression.
func plainLabel(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c != '-' || i == 0 || i == len(name)-1) {
			return false
		}
	}
	return name != "" && len(name) <= validation.DNS1123LabelMaxLength
}

// metadataOnly is a resource of which nothing but the name goes further.
func metadataOnly(h header) resolve.Object {
	return &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: h.apiVersion, Kind: h.kind},
		ObjectMeta: metav1.ObjectMeta{Namespace: h.namespace, Name: h.name},
	}
}

func (r *documentReader) decode(n *yaml.Node, h header, k kind, from manifest) {
	if strings.Contains(h.name+h.namespace, "{{") || looksTemplated(n) {
		r.helm(r.doc.at(n))
		r.unreadable(h, "a Helm template")
		return
	}
	object := k.new()
	d := &r.decoder
	d.start(r.doc, h)
	if slices.Contains(k.loose, h.gv.Version) {
		d.unknown = new([]string)
	}
	d.decode(n, object)
	if len(d.problems) == 0 {
		d.names(n, h, k)
	}
	if len(d.problems) > 0 {
		r.problems = append(r.problems, d.problems...)
		r.unreadable(h, d.problems[0].Message)
		return
	}
	for _, message := range d.notes {
		r.remark(h.ref(), message)
	}
	if r.deferring && h.cluster == "" && len(from.within) == 0 && slices.Contains(resolve.RunningKinds, h.groupKind()) {
		r.resources = append(r.resources, from)
		return
	}
	object.SetNamespace(h.namespace)
	object.SetManagedFields(nil)
	resolve.SetCluster(object, h.cluster)
	if annotations := object.GetAnnotations(); annotations != nil {
		if annotations[DeleteAnnotation] == "true" {
			r.remark(h.ref(), "the annotation "+DeleteAnnotation+" counts in an overlay alone: the object is taken as it stands")
		}
		delete(annotations, corev1.LastAppliedConfigAnnotation)
	}
	setDefaults(object)
	for _, message := range refusedBySchema(object) {
		r.remark(h.ref(), message)
	}
	for _, mistake := range admission.Refusals(object) {
		r.refused(h.ref(), mistake)
	}
	from.object = object
	r.resources = append(r.resources, from)
}
