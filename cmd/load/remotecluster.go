package load

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// RemoteOptions say which remote cluster of the mesh an API server is of.
type RemoteOptions struct {
	ClusterOptions
	// Cluster is its id; where it is empty, it is read from the cluster.
	Cluster string
	// Context is the kubeconfig's name for it, the id where the cluster does not tell one.
	Context string
}

// RemoteCluster is what was read of a remote cluster, to be joined to the first.
type RemoteCluster struct {
	remote    resolve.Remote
	resources []resolve.Sourced
	gaps      []resolve.Gap
	notes     []resolve.Note
}

// Remote reads what istiod reads of a remote cluster, with list alone.
//
//  1. Services, Namespaces and WorkloadEntries are listed; what is refused or fails is a gap.
//  2. What runs there is listed when a trace needs it, as in the first cluster (clusterrunning.go).
//  3. Without an id, that is what an istiod there sets as CLUSTER_ID, else ISTIO_META_CLUSTER_ID of a pod of the namespace of istiod;
//     where neither tells, the name of the context is taken for it, and a note says so.
//  4. A cluster of which nothing can be read is one that is known, and was not read: the trace says so.
func Remote(ctx context.Context, config *rest.Config, opts RemoteOptions) (RemoteCluster, error) {
	c, err := connect(config, opts.ClusterOptions)
	if err != nil {
		return RemoteCluster{}, err
	}
	return readRemote(ctx, c, opts)
}

func readRemote(ctx context.Context, c connection, opts RemoteOptions) (RemoteCluster, error) {
	kinds := slices.DeleteFunc(clusterKinds(false), func(k kind) bool { return !resolve.ReadOfRemotes(k.groupKind()) })
	found, err := discover(ctx, c, kinds)
	if err != nil {
		return unreadRemote(ctx, c, opts, err)
	}
	running := newClusterRunning(ctx, c, found.resources, fallbackNamespaces(opts.ClusterOptions))
	configuring := slices.DeleteFunc(slices.Clone(found.resources), servedKind.runs)
	listings, err := listAll(ctx, c.lister, configuring, running.fallback)
	if err != nil {
		return unreadRemote(ctx, c, opts, err)
	}
	var out RemoteCluster
	out.gaps = slices.Clone(found.gaps)
	for i, l := range listings {
		out.resources = append(out.resources, l.sourced(configuring[i])...)
		out.gaps = append(out.gaps, l.gaps...)
	}
	running.in(out.resources)
	id := opts.Cluster
	if id == "" {
		var told bool
		if id, told, err = running.clusterID(ctx); err != nil {
			return unreadRemote(ctx, c, opts, err)
		}
		if !told {
			id = opts.Context
			out.notes = append(out.notes, resolve.Note{Message: "remote cluster " + id + ": nothing there tells its id, so the name of its context is taken for it (--remote-context ID=" + id + ")"})
		}
	}
	mark(out.resources, out.gaps, id)
	out.remote = resolve.Remote{Cluster: id, Deferred: remoteRunning{running, id}}
	return out, nil
}

// unreadRemote is rule 4. What ends the whole command is an error.
func unreadRemote(ctx context.Context, c connection, opts RemoteOptions, err error) (RemoteCluster, error) {
	if ctx.Err() != nil {
		return RemoteCluster{}, ctx.Err()
	}
	id := opts.Cluster
	if id == "" {
		id = opts.Context
	}
	why := oneLine(asClusterError(ctx, c.host, err))
	return RemoteCluster{
		remote: resolve.Remote{Cluster: id, Unread: why},
		notes:  []resolve.Note{{Message: "remote cluster " + id + " could not be read: " + why}},
	}, nil
}

// Join adds the remote cluster to what was read of the first. Two clusters of one id are an error: istiod knows them by that.
func (r RemoteCluster) Join(in *resolve.Input) error {
	for _, other := range in.Remotes {
		if other.Cluster == r.remote.Cluster {
			return fmt.Errorf("two remote clusters have the id %s; tell them apart with --remote-context ID=CONTEXT", other.Cluster)
		}
	}
	in.Resources = append(in.Resources, r.resources...)
	in.Gaps = append(in.Gaps, r.gaps...)
	in.Notes = append(in.Notes, r.notes...)
	in.Remotes = append(in.Remotes, r.remote)
	return nil
}

// mark tells of objects and gaps which remote cluster they are of.
func mark(resources []resolve.Sourced, gaps []resolve.Gap, id string) {
	for i := range resources {
		resolve.SetCluster(resources[i].Object, id)
		resources[i].Origin = remoteOrigin(id)
	}
	for i := range gaps {
		gaps[i].Cluster = id
	}
}

// remoteOrigin is where a resource of a remote cluster was read from.
type remoteOrigin string

// Locate returns "cluster ID".
func (r remoteOrigin) Locate(string) string { return "cluster " + string(r) }

// remoteRunning is what runs in a remote cluster.
type remoteRunning struct {
	*clusterRunning
	id string
}

// In lists kinds in a namespace.
func (r remoteRunning) In(namespace string, kinds []schema.GroupKind) []resolve.Listed {
	listed := r.clusterRunning.In(namespace, kinds)
	for _, l := range listed {
		mark(l.Resources, l.Gaps, r.id)
	}
	return listed
}

// Find returns where something may run.
func (r remoteRunning) Find(q resolve.Sought) ([]string, []resolve.Gap) {
	namespaces, gaps := r.clusterRunning.Find(q)
	mark(nil, gaps, r.id)
	return namespaces, gaps
}

// Origin is the remote cluster.
func (r remoteRunning) Origin(resolve.Ref) resolve.Origin { return remoteOrigin(r.id) }

// clusterID is rule 3.
func (r *clusterRunning) clusterID(ctx context.Context) (id string, told bool, err error) {
	planes, _, err := r.istiods(ctx)
	if err != nil {
		return "", false, err
	}
	for _, p := range planes {
		if p.clusterID != "" {
			return p.clusterID, true, nil
		}
	}
	served, ok := r.served[podGroupKind]
	if !ok {
		return "", false, nil
	}
	for _, namespace := range r.fallback {
		found, err := r.lister.list(ctx, listQuery{servedKind: served}, namespace)
		if err != nil {
			continue // pods that are refused tell nothing
		}
		for _, o := range found.objects {
			if pod, ok := o.(*corev1.Pod); ok && clusterOfPod(pod) != "" {
				return clusterOfPod(pod), true, nil
			}
		}
	}
	return "", false, nil
}

// clusterOfPod is ISTIO_META_CLUSTER_ID of the pod's proxy.
func clusterOfPod(pod *corev1.Pod) string {
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, e := range c.Env {
			if e.Name == "ISTIO_META_CLUSTER_ID" && !strings.Contains(e.Value, "$(") {
				return e.Value
			}
		}
	}
	return ""
}
