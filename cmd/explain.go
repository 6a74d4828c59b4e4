package cmd

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/explain"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

const explainLong = `Show everything that a proxy does with the requests for a host, or everything that
involves one object.

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

KIND/NAME, or NAMESPACE/KIND/NAME, is an object: a VirtualService, HTTPRoute, GRPCRoute,
TCPRoute, TLSRoute, Ingress, Gateway, DestinationRule, Service, ServiceEntry, Sidecar,
AuthorizationPolicy, RequestAuthentication, PeerAuthentication, or a workload as for
--from. Every gateway and every group of sidecars that see the mesh alike is asked
for the hosts of the object: which of its rules are in their tables, and where; where
it has no say, and why; what it refers to, and whether that is there.

The tables are those that traces walk: no request is decided by another order.`

const explainExample = `  # Every rule for reviews, as the sidecar of web has them
  kubectl mesh-trace explain reviews --from shop/deployment/web

  # What the gateways do for a host
  kubectl mesh-trace explain shop.example.com --from external

  # What a VirtualService decides, where, and where it has no say
  kubectl mesh-trace explain -n shop virtualservice/reviews

  # For a program
  kubectl mesh-trace explain reviews:9080 -o json`

// explainFlags are the flags of `explain`.
type explainFlags struct {
	request requestFlags
	mesh    *meshFlags
	output  string
	color   colourFlag
}

// newExplainCommand is `explain`: the tables of proxies.
func newExplainCommand(streams genericiooptions.IOStreams, build Build, deps Deps) *cobra.Command {
	flags := &explainFlags{mesh: newMeshFlags()}
	c := &cobra.Command{
		Use:                   "explain [flags] HOST|KIND/NAME",
		Short:                 "Show the whole route table of a host, or all that involves an object",
		Long:                  explainLong,
		Example:               explainExample,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("explain: expected one HOST or KIND/NAME, got %d arguments", len(args))
			}
			return nil
		},
		RunE: runs(func(_ *cobra.Command, args []string) (*explainOptions, error) {
			return flags.ToOptions(args[0], streams, build, deps)
		}),
	}
	flags.request.addSource(c)
	flags.mesh.addMeshFlags(c)
	flags.mesh.addClusterFlags(c)
	c.Flags().StringVarP(&flags.output, "output", "o", "text", "Output format. One of: (text, wide, json, yaml).")
	flags.color.addFlag(c)
	completeRequests(c, flags.mesh, streams, build, deps)
	c.ValidArgsFunction = completeSubject(c.ValidArgsFunction, completeFrom(flags.mesh, streams, build, deps))
	deps.complete(c, "output", oneOf(explainFormats...))
	deps.complete(c, "color", oneOf(colours...))
	return c
}

var explainFormats = []string{"text", "wide", "json", "yaml"}

// ToOptions parses what was typed.
func (f *explainFlags) ToOptions(subject string, streams genericiooptions.IOStreams, build Build, deps Deps) (*explainOptions, error) {
	if !slices.Contains(explainFormats, f.output) {
		return nil, usagef("--output %q: expected one of %s", f.output, strings.Join(explainFormats, ", "))
	}
	colour, err := f.color.wanted(streams.Out)
	if err != nil {
		return nil, err
	}
	typed := f.request.typed
	typed.URL = subject
	_, _, _, object := explain.Parse(subject)
	switch _, err := trace.ParseHost(subject); {
	case object && (typed.From != "" || typed.Gateway != ""):
		return nil, usagef("--from and --gateway are for a HOST: %s is looked for at every proxy", subject)
	case !object && err != nil:
		return nil, usageError{err}
	}
	mesh, err := f.mesh.ToOptions(streams, build, deps)
	if err != nil {
		return nil, err
	}
	return &explainOptions{
		typed: typed, mesh: mesh, output: f.output, streams: streams,
		text: render.Options{
			Colour: colour,
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

// Validate checks what can be checked before anything is read.
func (o *explainOptions) Validate() error { return o.mesh.Validate() }

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
	o.text.Locate = snapshot.Locate
	text, document, err := o.explain(snapshot)
	// It has asked the cluster for more: what came of that counts first.
	if err := cmp.Or(ctx.Err(), snapshot.Err(), err); err != nil {
		return err
	}
	output := text
	if o.output == "json" || o.output == "yaml" {
		if output, err = encode(document, o.output); err != nil {
			return err
		}
	}
	o.mesh.progress.Done()
	_, err = o.streams.Out.Write(output)
	return err
}

// explain is the explanation for a person, and for a program.
func (o *explainOptions) explain(s *resolve.Snapshot) (text []byte, document any, err error) {
	kind, namespace, name, object := explain.Parse(o.typed.URL)
	if !object {
		surveys, err := trace.SurveyHost(s, o.typed)
		return render.Surveys(surveys, o.text), render.NewExplanation(surveys, s.Locate), err
	}
	found, err := explain.Object(s, kind, cmp.Or(namespace, o.typed.Namespace), name)
	if err != nil {
		return nil, nil, objectError(err)
	}
	return render.Object(found, o.text), render.NewObjectExplanation(found, s.Locate), nil
}

// objectError tells a kind that is not known, which is wrong usage, from an object that is not there.
func objectError(err error) error {
	var unknown *explain.UnknownKindError
	if errors.As(err, &unknown) {
		return usageError{err}
	}
	return err
}
