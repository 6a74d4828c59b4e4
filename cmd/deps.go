package cmd

import (
	"context"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Deps are the parts that the command joins: where objects are read, what traces
// a request, and what prints the trace. A test replaces those it is not about.
type Deps struct {
	// Completing is set where a shell asks what completes a word.
	Completing bool
	// Manifests reads files, Cluster an API server, MeshConfig one file.
	Manifests func(load.ManifestOptions) (resolve.Input, error)
	Cluster   func(context.Context, *rest.Config, load.ClusterOptions) (resolve.Input, error)
	// Remote reads the API server of a remote cluster of the mesh.
	Remote func(context.Context, *rest.Config, load.RemoteOptions) (load.RemoteCluster, error)
	// Overlay reads what is laid over either.
	Overlay func(load.ManifestOptions) (*load.Overlay, error)
	// Watch is Cluster again and again.
	Watch      func(context.Context, *rest.Config, load.ClusterOptions) (Watcher, error)
	MeshConfig func(data []byte, name string) (*meshconfig.MeshConfig, []string, error)
	// MeshNetworks reads one file, too.
	MeshNetworks func(data []byte, name string) (*meshconfig.MeshNetworks, []string, error)
	// Names asks an API server for what completes one word.
	Names func(context.Context, *rest.Config, load.ClusterOptions, ...load.NameQuery) (resolve.Input, error)
	// Trace follows one request, and leaves in the trace what --explain asks for.
	Trace func(*resolve.Snapshot, trace.Request, trace.Detail) (*trace.Trace, error)
	// Text is the trace for a person, Document the one for a program.
	Text     func(*trace.Trace, render.Options) []byte
	Document func(*trace.Trace, func(resolve.Ref) string) runtime.Object
	// Mermaid, Dot and HTML draw the trace.
	Mermaid, Dot func(*trace.Trace, render.PictureOptions) []byte
	HTML         func(*trace.Trace, render.PictureOptions) ([]byte, error)
}

// join is the one place that names the parts.
func join() Deps {
	return Deps{
		Manifests: load.Manifests,
		Cluster:   load.Cluster,
		Remote:    load.Remote,
		Overlay:   load.ReadOverlay,
		Watch: func(ctx context.Context, config *rest.Config, opts load.ClusterOptions) (Watcher, error) {
			return load.NewWatch(ctx, config, opts)
		},
		MeshConfig:   load.MeshConfig,
		MeshNetworks: load.MeshNetworks,
		Names:        load.Names,
		Trace:        trace.WalkView,
		Text:         render.Text,
		Document: func(t *trace.Trace, locate func(resolve.Ref) string) runtime.Object {
			return render.NewDocument(t, locate)
		},
		Mermaid: render.Mermaid,
		Dot:     render.Dot,
		HTML:    render.HTML,
	}
}
