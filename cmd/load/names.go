package load

import (
	"context"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// A shell that completes a word waits for the answer, so it asks for as little as there is:
//
//  1. The kinds that the word can name, and no other; in one namespace where the word says which.
//  2. Without discovery: a kind is asked for in the versions of the table, the first one that the server has.
//  3. As metadata alone (PartialObjectMetadata), unless what completes the word stands in the spec.
//  4. From the server's cache (resourceVersion 0), in one answer: a shell may offer what is a moment old.
//
// Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches and #resource-versions.

// NameQuery is what completes one word.
type NameQuery struct {
	kinds []schema.GroupKind
	// namespace is the only one listed; empty is all of them.
	namespace string
	// specs is true where the names are not those of the objects.
	specs bool
}

// HostNames are the objects that give a mesh its hosts.
func HostNames() NameQuery {
	return NameQuery{specs: true, kinds: []schema.GroupKind{
		{Kind: "Service"},
		{Group: networkingGroup, Kind: "VirtualService"},
		{Group: networkingGroup, Kind: "ServiceEntry"},
		{Group: gatewayGroup, Kind: "HTTPRoute"},
		{Group: gatewayGroup, Kind: "GRPCRoute"},
		{Group: gatewayGroup, Kind: "TLSRoute"},
		{Group: "networking.k8s.io", Kind: "Ingress"},
	}}
}

// SourceNames are the objects of a namespace from which a request can come.
func SourceNames(namespace string) NameQuery {
	return NameQuery{namespace: namespace, kinds: []schema.GroupKind{
		{Kind: "Pod"},
		{Kind: "ServiceAccount"},
		{Group: "apps", Kind: "Deployment"},
		{Group: "apps", Kind: "StatefulSet"},
		{Group: "apps", Kind: "DaemonSet"},
		{Group: "batch", Kind: "CronJob"},
		{Group: networkingGroup, Kind: "WorkloadEntry"},
	}}
}

// GatewayNames are the gateways of either kind.
func GatewayNames() NameQuery {
	return NameQuery{kinds: []schema.GroupKind{{Group: networkingGroup, Kind: "Gateway"}, {Group: gatewayGroup, Kind: "Gateway"}}}
}

// ObjectNames are the objects of a kind in a namespace, of every group that has such a kind.
func ObjectNames(kindName, namespace string) NameQuery {
	q := NameQuery{namespace: namespace}
	for _, k := range kindIndex().byName[kindName] {
		if k.read() {
			q.kinds = append(q.kinds, k.groupKind())
		}
	}
	return q
}

// NamespaceNames are the namespaces.
func NamespaceNames() NameQuery { return NameQuery{kinds: []schema.GroupKind{{Kind: "Namespace"}}} }

// Names asks an API server for what the queries name; of an object there is its metadata alone, unless the query needs
// more. A list that fails, or that ctx ends, offers nothing and does not stop the others. It fails where no client can
// be made.
func Names(ctx context.Context, config *rest.Config, opts ClusterOptions, queries ...NameQuery) (resolve.Input, error) {
	server, err := serverOf(clientConfig(config, opts))
	if err != nil {
		return resolve.Input{}, err
	}
	var lists []nameList
	for _, q := range queries {
		for _, gk := range q.kinds {
			if k, ok := kindOf(gk); ok {
				lists = append(lists, nameList{kind: k, namespace: q.namespace, namesOnly: !q.specs})
			}
		}
	}
	found := make([][]resolve.Object, len(lists))
	var g errgroup.Group
	g.SetLimit(parallelLists)
	for i, l := range lists {
		g.Go(func() error { found[i] = l.objects(ctx, server, opts.Namespaces); return nil })
	}
	_ = g.Wait() // a list that fails is no error
	var in resolve.Input
	for i, l := range lists {
		for _, o := range found[i] {
			in.Resources = append(in.Resources, resolve.Sourced{Object: l.typed(o), GroupKind: l.kind.groupKind(), Origin: clusterOrigin{}})
		}
	}
	return in, nil
}

// fromCache lets the server answer from memory, all at once.
var fromCache = metav1.ListOptions{ResourceVersion: "0"}

// nameList is one kind to list.
type nameList struct {
	kind      kind
	namespace string
	namesOnly bool
}

// objects are those of the list in the first version that the server has; where the user may not list the kind
// everywhere, those in the namespaces at hand.
func (l nameList) objects(ctx context.Context, p pager, atHand []string) []resolve.Object {
	for _, version := range l.kind.listed() {
		q := listQuery{servedKind: servedKind{kind: l.kind, version: version, plural: l.kind.plural}, namesOnly: l.namesOnly}
		got, err := p.page(ctx, q, l.namespace, fromCache)
		switch {
		case apierrors.IsNotFound(err):
			continue
		case apierrors.IsForbidden(err) && l.kind.namespaced && l.namespace == "":
			for _, namespace := range atHand {
				more, _ := p.page(ctx, q, namespace, fromCache) // one that fails offers nothing
				got.objects = append(got.objects, more.objects...)
			}
		}
		return got.objects
	}
	return nil
}

// typed is the object as one of its kind, of which the metadata may be all there is.
func (l nameList) typed(o resolve.Object) resolve.Object {
	if !l.namesOnly {
		return o
	}
	out := l.kind.new()
	out.SetName(o.GetName())
	out.SetNamespace(o.GetNamespace())
	out.SetOwnerReferences(o.GetOwnerReferences())
	return out
}
