package load

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// parallelLists is how many questions are under way at a time.
const parallelLists = 16

// ClusterOptions say where Istio lives in a cluster and what the user has decided.
type ClusterOptions struct {
	// IstioNamespace is istiod's; empty is the one namespace in which istiod runs, else istio-system.
	IstioNamespace string
	// Revision is the control plane to follow; empty is the default one.
	Revision string
	// IstioVersion is the release to follow; empty is the control plane's.
	IstioVersion string
	// Namespaces are listed one by one where a kind may not be listed everywhere. IstioNamespace is added.
	Namespaces []string
	// Overlay is set where manifests are laid over the cluster: what would be asked about them is then read, too.
	Overlay bool
	// Version is this program's, for the user agent.
	Version string
	// Warn is told what the API server warns about; it may be nil.
	Warn func(string)
	// Progress is told of each page how many objects it has; it may be nil, and is called by several at a time.
	Progress func(objects int)
}

// clusterOrigin is where a resource of a cluster was read from.
type clusterOrigin struct{}

// Locate returns "cluster".
func (clusterOrigin) Locate(string) string { return "cluster" }

// Cluster reads what a trace needs from an API server, with get and list alone.
//
//  1. Discovery says which kinds the cluster serves, and in which version.
//  2. Each kind that configures the mesh is listed, and the Services; what is refused or fails is a gap.
//  3. CRDs of the Gateway API tell their release.
//  4. The control plane tells its revision, its release and its mesh config.
//  5. What runs in the mesh is listed when a trace needs it, namespace by namespace (clusterrunning.go).
//  6. A Secret that a trace needs is asked for by then, without its data (secretget.go), and so is a ConfigMap with the
//     certificate of an authority (configmap.go).
//
// A cluster of which nothing can be read is a [ClusterError]; an ended context is the context's error.
func Cluster(ctx context.Context, config *rest.Config, opts ClusterOptions) (resolve.Input, error) {
	c, err := connect(config, opts)
	if err != nil {
		return resolve.Input{}, err
	}
	in, err := readCluster(ctx, c, clusterKinds(opts.Overlay), opts)
	return in, asOther(err, config.Impersonate.UserName)
}

func readCluster(ctx context.Context, c connection, kinds []kind, opts ClusterOptions) (resolve.Input, error) {
	found, err := discover(ctx, c, kinds)
	if err != nil {
		return resolve.Input{}, asClusterError(ctx, c.host, err)
	}
	in, err := readDiscovered(ctx, c, found, opts)
	if err != nil {
		return resolve.Input{}, asClusterError(ctx, c.host, err)
	}
	return in, nil
}

// readDiscovered is what follows discovery.
func readDiscovered(ctx context.Context, c connection, found discovered, opts ClusterOptions) (resolve.Input, error) {
	in := resolve.Input{Gaps: slices.Clone(found.gaps), Notes: slices.Clone(found.notes), Secret: secretsOf(ctx, c.secrets), ConfigMap: configMapsOf(ctx, c.configMaps)}
	running := newClusterRunning(ctx, c, found.resources, fallbackNamespaces(opts))
	configuring := slices.DeleteFunc(slices.Clone(found.resources), servedKind.runs)
	var listings []listing
	var crds []resolve.Sourced
	var planes []istiod
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { listings, err = listAll(gctx, c.lister, configuring, running.fallback); return })
	g.Go(func() (err error) { crds, err = readCRDs(gctx, c.crds, found.resources); return })
	g.Go(func() (err error) { planes, in.IstiodSets, err = running.istiods(gctx); return })
	if err := g.Wait(); err != nil {
		return resolve.Input{}, err
	}
	for i, l := range listings {
		in.Resources = append(in.Resources, l.sourced(configuring[i])...)
		in.Gaps = append(in.Gaps, l.gaps...)
	}
	in.Resources = append(in.Resources, crds...)
	in.Deferred = running.in(in.Resources)
	if err := readControlPlane(ctx, c.configMaps, opts, planes, found.noIstio, &in); err != nil {
		return resolve.Input{}, err
	}
	return in, nil
}

// listAll lists the kinds in parallel; the answers are in the order of the
// kinds. Where every single list failed, the first failure is the error.
func listAll(ctx context.Context, p lister, resources []servedKind, namespaces []string) ([]listing, error) {
	listings := make([]listing, len(resources))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelLists)
	for i, r := range resources {
		g.Go(func() error {
			var err error
			listings[i], err = list(ctx, p, listQuery{servedKind: r}, namespaces)
			if err != nil {
				return fmt.Errorf("list %s: %w", r.groupKind(), err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if len(listings) > 0 && !slices.ContainsFunc(listings, func(l listing) bool { return l.failure == nil }) {
		return nil, fmt.Errorf("no kind can be listed: %w", listings[0].failure)
	}
	return listings, nil
}

// fallbackNamespaces are those to list where a kind is forbidden everywhere:
// the ones at hand and istiod's, each once.
func fallbackNamespaces(opts ClusterOptions) []string {
	var out []string
	for _, ns := range append(slices.Clone(opts.Namespaces), istioNamespaceOr(opts.IstioNamespace)) {
		if ns != "" && !slices.Contains(out, ns) {
			out = append(out, ns)
		}
	}
	return out
}
