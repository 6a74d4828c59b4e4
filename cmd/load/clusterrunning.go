package load

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// What runs in a cluster is read while a request is traced.
//
//  1. A kind is listed in the one namespace that a trace asks about. What is refused or fails there is a gap of that
//     kind and namespace; a kind that is not served is empty.
//  2. What may run anywhere is found by a list of all namespaces, that the server narrows by label or field, and of
//     which it sends nothing but the metadata. Where that is forbidden, the namespaces at hand are searched.
//  3. Of Nodes the labels count: nothing but the metadata is listed, of all.
//  4. Refused credentials and an ended context end the trace; see Err.
//
// It implements [resolve.Deferred].
type clusterRunning struct {
	// ctx is that of the command: questions come while it traces.
	ctx    context.Context
	lister lister
	host   string
	served map[schema.GroupKind]servedKind
	// fallback are the namespaces at hand.
	fallback []string
	// namespaces are all there are, as far as that is known; secondary is the address family that is not the cluster's first.
	namespaces []string
	secondary  func(netip.Addr) bool

	mu      sync.Mutex
	failure error
}

var podGroupKind = schema.GroupKind{Kind: "Pod"}

func newClusterRunning(ctx context.Context, c connection, resources []servedKind, fallback []string) *clusterRunning {
	r := &clusterRunning{ctx: ctx, lister: c.lister, host: c.host, served: map[schema.GroupKind]servedKind{}, fallback: fallback}
	for _, k := range resources {
		if k.runs() {
			r.served[k.groupKind()] = k
		}
	}
	return r
}

// in tells of the namespaces and the addresses that the cluster has.
func (r *clusterRunning) in(resources []resolve.Sourced) *clusterRunning {
	r.namespaces = append(r.namespaces, r.fallback...)
	r.secondary = func(netip.Addr) bool { return false }
	for _, resource := range resources {
		switch o := resource.Object.(type) {
		case *corev1.Namespace:
			r.namespaces = append(r.namespaces, o.Name)
		case *corev1.Service:
			if ip, err := netip.ParseAddr(o.Spec.ClusterIP); err == nil && len(o.Spec.ClusterIPs) > 1 {
				r.secondary = func(asked netip.Addr) bool { return asked.Is4() != ip.Is4() }
			}
		}
	}
	return r
}

// Namespaces are all of the cluster; those at hand where they may not be listed.
func (r *clusterRunning) Namespaces() []string { return r.namespaces }

// Origin is the cluster.
func (r *clusterRunning) Origin(resolve.Ref) resolve.Origin { return clusterOrigin{} }

// In lists kinds in a namespace, in parallel.
func (r *clusterRunning) In(namespace string, kinds []schema.GroupKind) []resolve.Listed {
	out := make([]resolve.Listed, len(kinds))
	var g errgroup.Group
	g.SetLimit(parallelLists)
	for i, gk := range kinds {
		served, ok := r.served[gk]
		if !ok || served.namespaced == (namespace == "") {
			continue
		}
		g.Go(func() error {
			out[i] = r.listIn(served, namespace)
			return nil
		})
	}
	_ = g.Wait() // none of them fails: see rule 1
	return out
}

// listIn is rules 1 and 3.
func (r *clusterRunning) listIn(k servedKind, namespace string) resolve.Listed {
	q := listQuery{servedKind: k, namesOnly: !k.namespaced}
	read, err := r.lister.list(r.ctx, q, namespace)
	switch {
	case apierrors.IsNotFound(err):
		return resolve.Listed{}
	case err != nil:
		r.fail(err)
		return resolve.Listed{Gaps: []resolve.Gap{gapOf(k, namespace, err)}}
	}
	objects := slices.Clone(read.objects)
	for i, o := range objects {
		if meta, ok := o.(*metav1.PartialObjectMetadata); ok {
			objects[i] = &corev1.Node{ObjectMeta: meta.ObjectMeta}
		}
	}
	return resolve.Listed{Resources: listing{objects: objects}.sourced(k), Gaps: read.unreadable}
}

// Find is rule 2. A pod is found by the first of its addresses alone, so that where pods have two, one of the second family
// may be in any namespace.
//
// Source: k8s.io/kubernetes, pkg/registry/core/pod/strategy.go, ToSelectableFields.
func (r *clusterRunning) Find(s resolve.Sought) ([]string, []resolve.Gap) {
	served, ok := r.served[s.Kind]
	if !ok {
		return nil, nil
	}
	q := listQuery{servedKind: served, labels: s.Selector, namesOnly: true}
	switch {
	case s.Address.IsValid() && r.secondary(s.Address):
		return r.namespaces, nil
	case s.Address.IsValid():
		q.fields = "status.podIP=" + s.Address.String()
	case s.Name != "":
		q.fields = "metadata.name=" + s.Name
	}
	found, err := list(r.ctx, r.lister, q, r.fallback)
	if err != nil {
		r.fail(err)
		return nil, []resolve.Gap{gapOf(served, "", err)}
	}
	namespaces := make([]string, len(found.objects))
	for i, o := range found.objects {
		namespaces[i] = o.GetNamespace()
	}
	return namespaces, found.gaps
}

// istiods are the control planes: their Deployments, and their Pods where there is no such Deployment to be seen; and what the
// Deployments set (resolve.Input.IstiodSets).
func (r *clusterRunning) istiods(ctx context.Context) (planes []istiod, sets map[string]bool, err error) {
	for _, gk := range []schema.GroupKind{{Group: "apps", Kind: "Deployment"}, podGroupKind} {
		served, ok := r.served[gk]
		if !ok {
			continue
		}
		found, err := list(ctx, r.lister, listQuery{servedKind: served, labels: "app=istiod"}, r.fallback)
		if err != nil {
			return nil, nil, fmt.Errorf("list %s: %w", gk, err)
		}
		planes = istiodsOf(found.sourced(served))
		if gk != podGroupKind && len(found.gaps) == 0 && found.failure == nil {
			sets = setByAny(planes)
		}
		if len(planes) > 0 {
			return planes, sets, nil
		}
	}
	return nil, sets, nil
}

// setByAny are the variables that one of the control planes sets.
func setByAny(planes []istiod) map[string]bool {
	sets := map[string]bool{}
	for _, i := range planes {
		for _, name := range i.sets {
			sets[name] = true
		}
	}
	return sets
}

// fail keeps the first error that concerns more than one list.
func (r *clusterRunning) fail(err error) {
	if r.ctx.Err() == nil && !apierrors.IsUnauthorized(err) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure == nil {
		r.failure = asClusterError(r.ctx, r.host, err)
	}
}

// Err is what ended the reading before its time; nil if nothing did.
func (r *clusterRunning) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure
}
