package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
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
		named := func(other remoteContext) bool { return other.id == remote.id && other.name == remote.name }
		switch {
		case remote.flag == flagContext && remote.name == "":
			return usagef("--context is empty where it names a remote cluster: expected a context")
		case remote.name == "" || remote.id != "" && !trace.IsCluster(remote.id) || remote.id == "" && strings.HasPrefix(remote.text, "="):
			return usagef("%s %q: expected CONTEXT or ID=CONTEXT", remote.flag, remote.text)
		case o.offline:
			return usagef("%s %q: manifests (-f) are traced without a cluster; the files of a remote one are given with --remote", remote.flag, remote.text)
		case slices.ContainsFunc(o.remoteContexts[:i], named), remote.flag == flagContext && remote.name == *o.config.Context:
			return usagef("%s %q is given twice", remote.flag, remote.text)
		}
	}
	return nil
}

// joinRemotes reads the remote clusters of the kubeconfig, all at once.
func (o *meshOptions) joinRemotes(ctx context.Context, in *resolve.Input, opts load.ClusterOptions) error {
	read := make([]load.RemoteCluster, len(o.remoteContexts))
	var g errgroup.Group // what runs there is asked for later, so that the context has to outlive this
	for i, remote := range o.remoteContexts {
		config, err := restConfig(contextFlags(o.config, remote.name), o.streams.ErrOut)
		if err != nil {
			return fmt.Errorf("%s %s: %w", remote.flag, remote.text, err)
		}
		g.Go(func() (err error) {
			read[i], err = o.deps.Remote(ctx, config, load.RemoteOptions{ClusterOptions: opts, Cluster: remote.id, Context: remote.name})
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

// The flags that name contexts of remote clusters.
const (
	flagContext       = "--context"
	flagRemoteContext = "--remote-context"
)

// remoteContext is a context of the kubeconfig that leads to a remote cluster.
type remoteContext struct {
	// flag and text are what was typed.
	flag, text string
	// id is empty where none is given.
	id, name string
}

// remoteContexts are those that --remote-context names, as CONTEXT or ID=CONTEXT, and those of --context, which are names alone.
func remoteContexts(remote, further []string) []remoteContext {
	var out []remoteContext
	for _, text := range further {
		out = append(out, remoteContext{flag: flagContext, text: text, name: text})
	}
	for _, text := range remote {
		c := remoteContext{flag: flagRemoteContext, text: text, name: text}
		if id, name, ok := strings.Cut(text, "="); ok {
			c.id, c.name = id, name
		}
		out = append(out, c)
	}
	return out
}

// contextValue is that of kubectl's --context, where it may be given more than once: the first is that of the cluster that is asked,
// which has the configuration, and each further one that of a remote cluster.
type contextValue struct {
	pflag.Value
	given   bool
	further *[]string
}

// Set takes one of them.
func (v *contextValue) Set(name string) error {
	if v.given {
		*v.further = append(*v.further, name)
		return nil
	}
	v.given = true
	return v.Value.Set(name)
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
