package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Remote clusters of the mesh: the objects that istiod reads of them join those of the first cluster.

// validateRemotes refuses what does not go together.
func (o *meshOptions) validateRemotes() error {
	for _, remote := range o.remotes {
		id, path, _ := strings.Cut(remote, "=")
		switch {
		case path == "":
			return usagef("--remote %q: expected ID=FILE or ID=DIRECTORY", remote)
		case !trace.IsCluster(id):
			return usagef("--remote %q: %q is not the id of a cluster", remote, id)
		case path == "-":
			return usagef("--remote %q: stdin is for --filename (-f) and --overlay", remote)
		case !o.offline:
			return usagef("--remote %q: files of a remote cluster need those of the first one (-f)", remote)
		}
	}
	for i, remote := range o.remoteContexts {
		id, name := remoteContext(remote)
		switch {
		case name == "" || id != "" && !trace.IsCluster(id) || id == "" && strings.HasPrefix(remote, "="):
			return usagef("--remote-context %q: expected CONTEXT or ID=CONTEXT", remote)
		case o.offline:
			return usagef("--remote-context %q: manifests (-f) are traced without a cluster; the files of a remote one are given with --remote", remote)
		case slices.Contains(o.remoteContexts[:i], remote):
			return usagef("--remote-context %q is given twice", remote)
		}
	}
	return nil
}

// joinRemotes reads the remote clusters of the kubeconfig, all at once.
func (o *meshOptions) joinRemotes(ctx context.Context, in *resolve.Input, opts load.ClusterOptions) error {
	read := make([]load.RemoteCluster, len(o.remoteContexts))
	var g errgroup.Group // what runs there is asked for later, so that the context has to outlive this
	for i, remote := range o.remoteContexts {
		id, name := remoteContext(remote)
		config, err := restConfig(contextFlags(o.config, name), o.streams.ErrOut)
		if err != nil {
			return fmt.Errorf("--remote-context %s: %w", remote, err)
		}
		g.Go(func() (err error) {
			read[i], err = o.deps.Remote(ctx, config, load.RemoteOptions{ClusterOptions: opts, Cluster: id, Context: name})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, r := range read {
		if err := r.Join(in); err != nil {
			return err
		}
	}
	return nil
}

// remoteContext is the id, empty where none is given, and the context.
func remoteContext(text string) (id, name string) {
	if id, name, ok := strings.Cut(text, "="); ok {
		return id, name
	}
	return "", text
}

// contextFlags lead to another context of the same kubeconfig, as the same user that is impersonated.
func contextFlags(from *genericclioptions.ConfigFlags, name string) *genericclioptions.ConfigFlags {
	f := genericclioptions.NewConfigFlags(false)
	f.Context = &name
	f.KubeConfig, f.Timeout, f.DisableCompression = from.KubeConfig, from.Timeout, from.DisableCompression
	f.Impersonate, f.ImpersonateUID, f.ImpersonateGroup = from.Impersonate, from.ImpersonateUID, from.ImpersonateGroup
	return f
}

// remoteManifests are the files of each remote cluster, in the order of their ids as given.
func (o *meshOptions) remoteManifests() []load.RemoteManifests {
	var out []load.RemoteManifests
	for _, remote := range o.remotes {
		id, path, _ := strings.Cut(remote, "=")
		i := slices.IndexFunc(out, func(r load.RemoteManifests) bool { return r.Cluster == id })
		if i < 0 {
			i = len(out)
			out = append(out, load.RemoteManifests{Cluster: id})
		}
		out[i].Paths = append(out[i].Paths, path)
	}
	return out
}
