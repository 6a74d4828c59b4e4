package load

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// A cluster that is watched is read again and again, and of each reading only what has changed since.
//
//  1. Every list that was read is kept, and watched from the moment it shows. The server sends of each change nothing but
//     the metadata.
//  2. A list in which something changed, or whose watch the server has ended, is read anew when a trace asks for it.
//  3. The mesh config, and the ConfigMaps a trace asks for, are watched and read each time. Secrets are not watched:
//     they are asked for each time.
//  4. Nodes and Leases are read once: kubelets and leaders change them all the time, and no trace reads more of a Node than
//     its labels, and of a Lease than its holder.
//  5. What may not be watched is told once a kind, and is read each time something else has changed.

// Change is what has become of one object.
type Change struct {
	Ref resolve.Ref
	// What is added, modified or deleted; empty where the server could not say what had changed in the kind.
	What string
}

// Watch is a cluster that is watched. Its methods are not for concurrent use.
type Watch struct {
	connection connection
	found      discovered
	opts       ClusterOptions
	lists      *watchedLists
}

// settle is how long nothing may change before a change is told: what one hand does takes several writes.
const settle = 300 * time.Millisecond

// NewWatch asks the cluster what it serves. It watches until the context ends.
func NewWatch(ctx context.Context, config *rest.Config, opts ClusterOptions) (*Watch, error) {
	c, err := connect(config, opts)
	if err != nil {
		return nil, err
	}
	client, err := metadata.NewForConfig(clientConfig(config, opts))
	if err != nil {
		return nil, &ClusterError{Problem: ClusterBadConfig, Server: c.host, Err: err}
	}
	found, err := discover(ctx, c, clusterKinds(opts.Overlay))
	if err != nil {
		return nil, asClusterError(ctx, c.host, err)
	}
	lists := &watchedLists{
		ctx: ctx, lister: c.lister, configMaps: c.configMaps, client: client, warn: opts.Warn,
		known: map[listKey]*watchedList{}, unwatched: map[schema.GroupResource]bool{}, wake: make(chan struct{}, 1),
	}
	c.lister, c.configMaps = lists, lists
	return &Watch{c, found, opts, lists}, nil
}

// Read is what [Cluster] reads, as it is now.
func (w *Watch) Read(ctx context.Context) (resolve.Input, error) {
	in, err := readDiscovered(ctx, w.connection, w.found, w.opts)
	if err != nil {
		return resolve.Input{}, asClusterError(ctx, w.connection.host, err)
	}
	return in, nil
}

// Changed waits until something that was read has changed, and tells what, in order; an ended context is its error.
func (w *Watch) Changed(ctx context.Context) ([]Change, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.lists.wake:
	}
	for quiet := false; !quiet; {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-w.lists.wake:
		case <-time.After(settle):
			quiet = true
		}
	}
	return w.lists.takeChanges(), nil
}

// listKey is a list, or one object, that is watched.
type listKey struct {
	resource                  schema.GroupVersionResource
	kind                      string
	namespace, labels, fields string
	namesOnly                 bool
}

// watchedList is a list that was read. It is stale once something in it has changed.
type watchedList struct {
	page  page
	stale bool
	stop  context.CancelFunc
}

// watchedLists keeps and watches what is read through it.
type watchedLists struct {
	ctx        context.Context
	lister     lister
	configMaps configMapGetter
	client     metadata.Interface
	warn       func(string)
	// wake has something in it when something has changed.
	wake chan struct{}

	mu        sync.Mutex
	known     map[listKey]*watchedList
	changes   []Change
	unwatched map[schema.GroupResource]bool
}

// list is rules 1 and 2.
func (l *watchedLists) list(ctx context.Context, q listQuery, namespace string) (page, error) {
	key := listKey{schema.GroupVersionResource{Group: q.group, Version: q.version, Resource: q.plural}, q.kind.kind, namespace, q.labels, q.fields, q.namesOnly}
	l.mu.Lock()
	kept, ok := l.known[key]
	if ok && !kept.stale {
		defer l.mu.Unlock()
		return kept.page, nil
	}
	l.mu.Unlock()
	read, err := l.lister.list(ctx, q, namespace)
	if err != nil {
		return page{}, err
	}
	l.keep(key, read)
	return read, nil
}

// configMap is rule 3.
func (l *watchedLists) configMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	found, err := l.configMaps.configMap(ctx, namespace, name)
	if err == nil {
		l.keep(listKey{
			resource: corev1.SchemeGroupVersion.WithResource("configmaps"), kind: "ConfigMap",
			namespace: namespace, fields: "metadata.name=" + name,
		}, page{version: found.ResourceVersion})
	}
	return found, err
}

// keep keeps what was read in place of what was known, and watches it.
func (l *watchedLists) keep(key listKey, read page) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before := l.known[key]; before != nil {
		before.stop()
	}
	ctx, stop := context.WithCancel(l.ctx)
	kept := &watchedList{page: read, stop: stop}
	l.known[key] = kept
	if key.kind == "Node" || key.kind == "Lease" { // rule 4
		return
	}
	if l.unwatched[key.resource.GroupResource()] || read.version == "" {
		kept.stale = true // rule 5
		return
	}
	go l.follow(ctx, key, kept)
}

// follow watches a list until it was read anew.
func (l *watchedLists) follow(ctx context.Context, key listKey, kept *watchedList) {
	watching := func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
		opts.LabelSelector, opts.FieldSelector = key.labels, key.fields
		w, err := l.client.Resource(key.resource).Namespace(key.namespace).Watch(ctx, opts)
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			// The watcher would try the same moment for ever.
			l.changed(kept, Change{Ref: resolve.Ref{Group: key.resource.Group, Kind: key.kind, Namespace: key.namespace}})
		}
		return w, err
	}
	w, err := watchtools.NewRetryWatcherWithContext(ctx, kept.page.version, &cache.ListWatch{WatchFuncWithContext: watching})
	if err != nil {
		l.notWatched(key, kept, err)
		return
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		if event.Type == watch.Error {
			switch err := apierrors.FromObject(event.Object); {
			case apierrors.IsForbidden(err), apierrors.IsMethodNotSupported(err):
				l.notWatched(key, kept, err)
			default:
				l.changed(kept, Change{Ref: resolve.Ref{Group: key.resource.Group, Kind: key.kind, Namespace: key.namespace}})
			}
			return
		}
		if o, ok := event.Object.(metav1.Object); ok {
			ref := resolve.Ref{Group: key.resource.Group, Kind: key.kind, Namespace: o.GetNamespace(), Name: o.GetName()}
			l.changed(kept, Change{ref, doneTo[event.Type]})
		}
	}
}

var doneTo = map[watch.EventType]string{watch.Added: "added", watch.Modified: "modified", watch.Deleted: "deleted"}

// changed is told of a change in a list.
func (l *watchedLists) changed(kept *watchedList, c Change) {
	l.mu.Lock()
	kept.stale = true
	if !slices.Contains(l.changes, c) {
		l.changes = append(l.changes, c)
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// notWatched is rule 5.
func (l *watchedLists) notWatched(key listKey, kept *watchedList, err error) {
	l.mu.Lock()
	kept.stale = true
	told := l.unwatched[key.resource.GroupResource()]
	l.unwatched[key.resource.GroupResource()] = true
	l.mu.Unlock()
	if !told && l.warn != nil {
		l.warn(fmt.Sprintf("%s can not be watched (%s): a change of one is seen when something else changes", key.resource.GroupResource(), oneLine(err)))
	}
}

// takeChanges are the changes since the last time, in order.
func (l *watchedLists) takeChanges() []Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	changes := l.changes
	l.changes = nil
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(resolve.CompareRefs(a.Ref, b.Ref), cmp.Compare(a.What, b.What))
	})
	return changes
}
