package cmd

import (
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
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
	return nil
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
