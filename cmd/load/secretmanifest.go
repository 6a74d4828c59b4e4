package load

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Of a Secret in a manifest its name, its namespace, its type and its first line are kept; what is in it is
// given up as soon as the document is read.
//
//  1. Each document of a source that may hold one has its text for itself (split).
//  2. A document that does hold one is read into new strings, and its text goes. All that it has are then
//     located by their first line.
//  3. So does that of a list that was cut into its items, when all of them are read.
//  4. What is wrong with such a document is told without what stands there.
//  5. Of one that stands for another cluster of the mesh, that it does, and which, as its metadata say.

// secretKind is how a manifest names the kind.
const secretKind = "Secret"

// mayHoldSecret reports whether a text could have a Secret in it.
func mayHoldSecret(text string) bool { return strings.Contains(text, secretKind) }

// apart gives each document its own memory.
func apart(docs []document) []document {
	for i := range docs {
		docs[i].text = strings.Clone(docs[i].text)
		if l := docs[i].list; l != nil {
			l.parent.apiVersion, l.parent.kind = strings.Clone(l.parent.apiVersion), strings.Clone(l.parent.kind)
		}
	}
	return docs
}

// parseOnce returns the root node of the document, and whether it holds a Secret: then none of the
// node's strings is part of the document's text.
func (d *document) parseOnce(b *blockReader) (root *yaml.Node, secret bool, err error) {
	root, err = d.parse(b)
	item := d.list != nil && d.list.parent.kind == secretKind
	if err != nil || !item && (!mayHoldSecret(d.text) || !holdsSecret(root, 0)) {
		return root, false, err
	}
	root, err = d.parseApart()
	return root, true, err
}

// forget drops the text of a document that holds a Secret.
func (d *document) forget() { d.text = "" }

// forgetLists drops the texts of lists that may hold Secrets: their items are read.
func forgetLists(docs []document) {
	for i := range docs {
		if l := docs[i].list; l != nil && mayHoldSecret(l.whole.text) {
			l.whole.forget()
		}
	}
}

// holdsSecret reports whether a root node is a Secret or a list with one.
func holdsSecret(n *yaml.Node, depth int) bool {
	n = follow(n)
	if n == nil || n.Kind != yaml.MappingNode || depth > maxDepth {
		return false
	}
	if strings.HasPrefix(textOf(n, "kind"), secretKind) { // or SecretList
		return true
	}
	items, _ := child(n, "items")
	if items = follow(items); items == nil || items.Kind != yaml.SequenceNode {
		return false
	}
	for _, item := range items.Content {
		if holdsSecret(item, depth+1) {
			return true
		}
	}
	return false
}

// forgetSecrets drops the texts of the written documents that hold Secrets: no field of theirs is located any more.
func (w writtenFiles) forgetSecrets() {
	for _, docs := range w {
		for i := range docs {
			if _, secret, err := docs[i].parseOnce(&blockReader{}); secret || err != nil && mayHoldSecret(docs[i].text) {
				docs[i].forget()
			}
		}
	}
}

// secret is the Secret of a manifest. An API server makes it Opaque where it names no type.
func secret(n *yaml.Node, h header) resolve.Object {
	kind := textOf(n, "type")
	if kind == "" {
		kind = "Opaque"
	}
	out := resolve.NewSecret(h.namespace, h.name, kind)
	meta, _ := child(n, "metadata")
	labels, _ := child(meta, "labels")
	if textOf(labels, multiClusterLabel) == "true" {
		annotations, _ := child(meta, "annotations")
		out.Labels = map[string]string{multiClusterLabel: "true"}
		if cluster := textOf(annotations, clusterOfSecret); cluster != "" {
			out.Annotations = map[string]string{clusterOfSecret: cluster}
		}
	}
	return out
}

// The label by which istiod finds the Secrets of other clusters, and the annotation that names the cluster.
// Source: pkg/kube/multicluster/secretcontroller.go; istioctl/pkg/multicluster/remote_secret.go.
const (
	multiClusterLabel = "istio/multiCluster"
	clusterOfSecret   = "networking.istio.io/cluster"
)
