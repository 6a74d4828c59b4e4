package cmd

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// traceFlags are the flags of the root command.
type traceFlags struct {
	request  requestFlags
	mesh     *meshFlags
	view     *viewFlags
	exitCode bool
}

func newTraceFlags() *traceFlags {
	return &traceFlags{mesh: newMeshFlags(), view: newViewFlags()}
}

// AddFlags binds the flags to the command and returns them by section for the help.
func (f *traceFlags) AddFlags(c *cobra.Command) []section {
	sections := []section{
		newSection("Request", f.request.AddFlags),
		newSection("Mesh", f.mesh.addMeshFlags),
		newSection("Output", func(c *cobra.Command) {
			f.view.AddFlags(c)
			c.Flags().BoolVar(&f.exitCode, "exit-code", false, "Exit with code 3 unless every outcome is Delivered.")
		}),
		newSection("Cluster, as for kubectl", f.mesh.addClusterFlags),
	}
	for _, s := range sections {
		c.Flags().AddFlagSet(s.Flags())
	}
	return sections
}

// ToOptions parses what was typed.
func (f *traceFlags) ToOptions(url string, streams genericiooptions.IOStreams, build Build, deps Deps) (*traceOptions, error) {
	request, err := f.request.ToOptions(url)
	if err != nil {
		return nil, err
	}
	view, err := f.view.ToOptions(streams, deps)
	if err != nil {
		return nil, err
	}
	mesh, err := f.mesh.ToOptions(streams, build, deps)
	if err != nil {
		return nil, err
	}
	return &traceOptions{request: request, mesh: mesh, view: view, exitCode: f.exitCode, streams: streams, deps: deps}, nil
}

// traceOptions are one request to trace.
type traceOptions struct {
	request  trace.Request
	mesh     *meshOptions
	view     *viewOptions
	exitCode bool
	streams  genericiooptions.IOStreams
	deps     Deps
}

// Validate refuses what does not go together.
func (o *traceOptions) Validate() error { return o.mesh.Validate() }

// Run reads the resources, traces the request and prints the trace, all of it at once.
func (o *traceOptions) Run(ctx context.Context) error {
	namespace, err := o.mesh.Namespace()
	if err != nil {
		return err
	}
	o.request.From.DefaultNamespace = namespace
	snapshot, err := o.mesh.Load(ctx)
	if err != nil {
		return err
	}
	t, err := o.deps.Trace(snapshot, o.request, o.view.detail)
	if err != nil {
		return err
	}
	if err := cmp.Or(ctx.Err(), snapshot.Err()); err != nil { // it has asked the cluster for more
		return err
	}
	output, err := o.view.Render(t, snapshot.Locate)
	if err != nil {
		return err
	}
	if _, err := o.streams.Out.Write(output); err != nil {
		return err
	}
	if o.exitCode && !delivered(t) {
		return errNotDelivered
	}
	return nil
}

// delivered reports whether every outcome is Delivered.
func delivered(t *trace.Trace) bool {
	for _, o := range t.Outcomes {
		if o.Decision != trace.Delivered {
			return false
		}
	}
	return true
}
