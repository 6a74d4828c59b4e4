package load

import "github.com/mesh-trace/kubectl-mesh-trace/resolve"

// RemoteManifests are what a remote cluster of the mesh has; see resolve.Input.
type RemoteManifests struct {
	// Cluster is its id.
	Cluster string
	// Paths are as those of [ManifestOptions].
	Paths []string
}

// joinRemote adds what was read of a remote cluster. Its mesh config is not followed.
func joinRemote(in *resolve.Input, remote resolve.Input, cluster string) {
	in.Resources = append(in.Resources, remote.Resources...)
	in.Gaps = append(in.Gaps, remote.Gaps...)
	in.Notes = append(in.Notes, remote.Notes...)
	in.Remotes = append(in.Remotes, resolve.Remote{Cluster: cluster})
}
