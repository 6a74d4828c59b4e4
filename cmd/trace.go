package cmd

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// traceFlags are the flags of the root command.
type traceFlags struct {
	request  requestFlags
	mesh     *meshFlags
	view     *viewFlags
	exitCode bool
	watch    bool
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
			c.Flags().BoolVarP(&f.watch, "watch", "w", false, "After the trace, wait for changes of what it read, and print what they change of it. Needs the verb watch; ends with Ctrl-C.")
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
	return &traceOptions{request: request, mesh: mesh, view: view, exitCode: f.exitCode, watch: f.watch, streams: streams, deps: deps}, nil
}

// traceOptions are one request to trace.
type traceOptions struct {
	request  trace.Request
	mesh     *meshOptions
	view     *viewOptions
	exitCode bool
	watch    bool
	streams  genericiooptions.IOStreams
	deps     Deps
}

// Validate refuses what does not go together.
func (o *traceOptions) Validate() error {
	switch {
	case o.watch && o.mesh.offline:
		return usagef("--watch (-w) can not be used together with --filename (-f) or --kustomize (-k): it watches a cluster")
	case o.watch && o.view.picture != "":
		return usagef("--watch (-w) can not be used together with -o %s: a picture is one document", o.view.picture)
	case o.watch && o.exitCode:
		return usagef("--watch (-w) can not be used together with --exit-code: it does not end by itself")
	}
	return o.mesh.Validate()
}

// Run reads the resources, traces the request and prints the trace, all of it at once.
func (o *traceOptions) Run(ctx context.Context) error {
	namespace, err := o.mesh.Namespace()
	if err != nil {
		return err
	}
	o.request.From.DefaultNamespace = namespace
	if o.watch {
		return o.Watch(ctx)
	}
	snapshot, err := o.mesh.Load(ctx)
	if err != nil {
		return err
	}
	t, output, err := o.trace(ctx, snapshot)
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

// trace follows the request through a mesh that was read, and renders the way.
func (o *traceOptions) trace(ctx context.Context, snapshot *resolve.Snapshot) (*trace.Trace, []byte, error) {
	defer o.mesh.progress.Done()
	t, err := o.deps.Trace(snapshot, o.request, o.view.detail)
	if err == nil {
		t.AddFacts(snapshot, o.view.facts())
	}
	// It has asked the cluster for more: what came of that counts before what it made of it.
	if err := cmp.Or(ctx.Err(), snapshot.Err(), err); err != nil {
		return nil, nil, err
	}
	output, err := o.view.Render(t, snapshot)
	return t, output, err
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
