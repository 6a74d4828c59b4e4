package cmd

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

const explainLong = `Show everything that a proxy does with the requests for a host.

For HOST it is the whole table of the proxy that routes them, the sidecar of the
source or a gateway, in the order in which Envoy tries the rules: what each rule
takes and where that leads, the file and line of it, whether istiod moved it, and
whether an earlier rule takes everything that it would take, where that can be
proven; then what names the host and is not used, and why; the DestinationRule of each
cluster; and what the proxies behind them ask for: the mTLS mode of the port, tokens,
and AuthorizationPolicies in the order of their evaluation.

HOST is [scheme://]host[:port]. Without a port every port of the service is shown,
or of the gateways that serve the host; without a scheme it is the port's own
protocol. The source is found as for a trace.

The tables are those that traces walk: no request is decided by another order.`

const explainExample = `  # Every rule for reviews, as the sidecar of web has them
  kubectl mesh-trace explain reviews --from shop/deployment/web

  # What the gateways do for a host
  kubectl mesh-trace explain shop.example.com --from external

  # For a program
  kubectl mesh-trace explain reviews:9080 -o json`

// explainFlags are the flags of `explain`.
type explainFlags struct {
	request requestFlags
	mesh    *meshFlags
	output  string
	color   string
}

// newExplainCommand is `explain`: the tables of proxies.
func newExplainCommand(streams genericiooptions.IOStreams, build Build, deps Deps) *cobra.Command {
	flags := &explainFlags{mesh: newMeshFlags()}
	c := &cobra.Command{
		Use:                   "explain [flags] HOST",
		Short:                 "Show the whole route table of a host, and what applies behind it",
		Long:                  explainLong,
		Example:               explainExample,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("explain: expected one HOST, got %d arguments", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			options, err := flags.ToOptions(args[0], streams, build, deps)
			if err != nil {
				return err
			}
			if err := options.mesh.Validate(); err != nil {
				return err
			}
			return options.Run(c.Context())
		},
	}
	flags.request.addSource(c)
	flags.mesh.addMeshFlags(c)
	flags.mesh.addClusterFlags(c)
	c.Flags().StringVarP(&flags.output, "output", "o", "text", "Output format. One of: (text, wide, json, yaml).")
	c.Flags().StringVar(&flags.color, "color", colourAuto, "Colour in text: auto (on a terminal, unless NO_COLOR is set), always or never.")
	completeSources(c, flags.mesh, streams, build, deps)
	complete(c, "output", oneOf(explainFormats...))
	complete(c, "color", oneOf(colours...))
	return c
}

var explainFormats = []string{"text", "wide", "json", "yaml"}

// ToOptions parses what was typed.
func (f *explainFlags) ToOptions(subject string, streams genericiooptions.IOStreams, build Build, deps Deps) (*explainOptions, error) {
	if !slices.Contains(explainFormats, f.output) {
		return nil, usagef("--output %q: expected one of %s", f.output, strings.Join(explainFormats, ", "))
	}
	if !slices.Contains(colours, f.color) {
		return nil, usagef("--color %q: expected one of %s", f.color, strings.Join(colours, ", "))
	}
	typed := f.request.typed
	typed.URL = subject
	if _, err := trace.ParseHost(subject); err != nil {
		return nil, usageError{err}
	}
	mesh, err := f.mesh.ToOptions(streams, build, deps)
	if err != nil {
		return nil, err
	}
	return &explainOptions{
		typed: typed, mesh: mesh, output: f.output, streams: streams,
		text: render.Options{
			Colour: f.color == colourAlways || f.color == colourAuto && printers.AllowsColorOutput(streams.Out),
			Width:  terminalWidth(streams.Out), Wide: f.output == "wide",
		},
	}, nil
}

// explainOptions are what is to be explained.
type explainOptions struct {
	typed   trace.Typed
	mesh    *meshOptions
	output  string
	text    render.Options
	streams genericiooptions.IOStreams
}

// Run reads the resources and prints the tables, all of them at once.
func (o *explainOptions) Run(ctx context.Context) error {
	namespace, err := o.mesh.Namespace()
	if err != nil {
		return err
	}
	o.typed.Namespace = namespace
	snapshot, err := o.mesh.Load(ctx)
	defer o.mesh.progress.Done()
	if err != nil {
		return err
	}
	surveys, err := trace.SurveyHost(snapshot, o.typed)
	// It has asked the cluster for more: what came of that counts first.
	if err := cmp.Or(ctx.Err(), snapshot.Err(), err); err != nil {
		return err
	}
	var output []byte
	switch o.output {
	case "json", "yaml":
		output, err = encode(render.NewExplanation(surveys, snapshot.Locate), o.output)
		if err != nil {
			return err
		}
	default:
		o.text.Locate = snapshot.Locate
		output = render.Surveys(surveys, o.text)
	}
	o.mesh.progress.Done()
	_, err = o.streams.Out.Write(output)
	return err
}
