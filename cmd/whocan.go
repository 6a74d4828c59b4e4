package cmd

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/reach"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/reach/show"
)

const whoCanLong = `Tell who can send a request, and what stops the others.

The request is traced from every workload, from a pod without a proxy in every
namespace, and from outside the cluster by each gateway that serves the host. Those
that fare alike for the same reason are one group, with the object and the field
that decides. What could not be known is told with the group: (assumed) and
(undetermined) are as in a trace.

A host without a dot is the Service of that name in the current namespace (-n).
--from narrows the sources down; in it, * stands for any characters. The pods of
one workload are told apart where they fare differently.

Of a cluster, the pods and what controls them are listed in every namespace that
--from names, or in all of them.`

const whoCanExample = `  # Who can call ratings, and what stops the others?
  kubectl mesh-trace who-can http://ratings.shop:9080/ratings/1

  # Who can post?
  kubectl mesh-trace who-can -X POST ratings.shop:9080/ratings/1

  # Only the workloads of some namespaces, all of them by name
  kubectl mesh-trace who-can --from 'team-*' --from shop -o wide ratings.shop:9080/

  # From outside, with a token
  kubectl mesh-trace who-can --from external --claim iss=https://issuer.example.com --claim sub=ann https://shop.example.com/

  # The service accounts that are let through
  kubectl mesh-trace who-can -o json ratings.shop:9080/ | jq -r '.groups[] | select(.reach == "let through") | .sources[].principal'`

// whoCanFlags are the flags of `who-can`.
type whoCanFlags struct {
	request requestFlags
	mesh    *meshFlags
	from    []string
	output  string
}

// newWhoCanCommand is `who-can`: one request from all that could send it.
func newWhoCanCommand(streams genericiooptions.IOStreams, build Build, deps Deps) *cobra.Command {
	flags := &whoCanFlags{mesh: newMeshFlags()}
	c := &cobra.Command{
		Use:                   "who-can [flags] URL",
		Short:                 "Tell who can send a request, and what stops the others",
		Long:                  whoCanLong,
		Example:               whoCanExample,
		DisableFlagsInUseLine: true,
		Args:                  oneURL,
		RunE: runs(func(_ *cobra.Command, args []string) (*whoCanOptions, error) {
			return flags.ToOptions(args[0], streams, build, deps)
		}),
	}
	flags.request.addContent(c)
	c.Flags().StringVarP(&flags.request.typed.Method, "method", "X", "", "The HTTP method (default GET; gRPC is always POST).")
	addSourcePatterns(c, &flags.from)
	flags.mesh.addMeshFlags(c)
	flags.mesh.addClusterFlags(c)
	addFormats(c, deps, &flags.output, "text", "wide", "json", "yaml")
	completeRequests(c, flags.mesh, streams, build, deps)
	return c
}

// addSourcePatterns binds --from of the commands that have many sources.
func addSourcePatterns(c *cobra.Command, patterns *[]string) {
	c.Flags().StringArrayVar(patterns, "from", nil, "Who sends it; repeatable: all (every workload), NAMESPACE, NAMESPACE/NAME, [NAMESPACE/]KIND/NAME, unmeshed (a pod without a proxy in every namespace) or external. "+
		"In names * stands for any characters.")
}

// ToOptions parses what was typed.
func (f *whoCanFlags) ToOptions(url string, streams genericiooptions.IOStreams, build Build, deps Deps) (*whoCanOptions, error) {
	request, err := f.request.ToOptions(url)
	if err != nil {
		return nil, err
	}
	if err := checkFormat(f.output, "text", "wide", "json", "yaml"); err != nil {
		return nil, err
	}
	o := &whoCanOptions{crowdOptions{from: f.from, output: f.output, streams: streams}, request}
	o.mesh, err = f.mesh.ToOptions(streams, build, deps)
	return o, err
}

// whoCanOptions are one request, and who may send it.
type whoCanOptions struct {
	crowdOptions
	request trace.Request
}

// Run asks the request from everybody, and prints who can send it.
func (o *whoCanOptions) Run(ctx context.Context) error {
	return o.run(ctx, func(snapshot *resolve.Snapshot, from []reach.Pattern, namespace string) (func() ([]byte, error), error) {
		report, err := reach.WhoCan(snapshot, reach.Qualify(snapshot, o.request, namespace), from)
		return func() ([]byte, error) { return o.render(report, snapshot) }, err
	})
}

// crowdOptions are those of the commands that ask from many sources.
type crowdOptions struct {
	from    []string
	mesh    *meshOptions
	output  string
	streams genericiooptions.IOStreams
}

// Validate checks what can be checked before anything is read.
func (o *crowdOptions) Validate() error { return o.mesh.Validate() }

// run reads the resources, has the sources asked, and prints what comes of it. Both short hosts and sources
// are of the namespace.
func (o *crowdOptions) run(ctx context.Context, ask func(snapshot *resolve.Snapshot, from []reach.Pattern, namespace string) (render func() ([]byte, error), err error)) error {
	namespace, err := o.mesh.Namespace()
	if err != nil {
		return err
	}
	from, err := sourcePatterns(o.from, namespace)
	if err != nil {
		return err
	}
	snapshot, err := o.mesh.Load(ctx)
	defer o.mesh.progress.Done()
	if err != nil {
		return err
	}
	letGarbageLie(manyTracesPercent)
	render, err := ask(snapshot, from, namespace)
	// It has asked the cluster for more: what came of that counts before what it made of it.
	if err := cmp.Or(ctx.Err(), snapshot.Err(), err); err != nil {
		return err
	}
	output, err := render()
	if err != nil {
		return err
	}
	o.mesh.progress.Done()
	_, err = o.streams.Out.Write(output)
	return err
}

func (o *whoCanOptions) render(report *reach.Report, snapshot *resolve.Snapshot) ([]byte, error) {
	switch o.output {
	case "json", "yaml":
		return encode(show.NewWhoCan(report, snapshot.Locate), o.output)
	}
	return show.Text(report, show.Options{Wide: o.output == "wide", Width: terminalWidth(o.streams.Out), Locate: snapshot.Locate}), nil
}

// sourcePatterns parses --from.
func sourcePatterns(typed []string, namespace string) ([]reach.Pattern, error) {
	var patterns []reach.Pattern
	for _, text := range typed {
		p, err := reach.ParseSource(text, namespace)
		if err != nil {
			return nil, usagef("--from %w", err)
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}
