package cmd

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

const rootLong = `Predict what Istio will do with one request, and show why.

The command reads the resources of a cluster (or, with -f, of manifests), works
out what istiod makes of them and what each Envoy on the way then decides, and
prints where the request ends, who decided that, and what was considered. It
sends nothing to the mesh and changes nothing.

URL is [scheme://]host[:port][/path][?query]. The schemes are http (default),
https, grpc, grpcs, tcp, tls and udp; tcp and udp need a port, and the path of
grpc is /package.Service/Method. A host that is also the name of a subcommand is
written with its scheme: http://version.

-n names the namespace in which a short host is resolved and a source without a
namespace lives; resources are read from all namespaces. As with every plugin,
flags stand behind the plugin's name: kubectl mesh-trace -n shop URL.`

const rootExample = `  # Would this request arrive?
  kubectl mesh-trace reviews.shop:9080/reviews/0

  # From a workload, with a header
  kubectl mesh-trace --from shop/deployment/web -H 'end-user: jason' reviews.shop:9080/reviews/0

  # From outside the cluster, by the gateway that serves the host
  kubectl mesh-trace --from external https://shop.example.com/cart

  # With a signed-in user
  kubectl mesh-trace --claim iss=https://issuer.example.com --claim sub=ann --claim 'groups=["admin"]' shop.example.com/admin

  # Manifests in place of a cluster; fail unless the request is delivered
  kubectl mesh-trace -f manifests/ -R --exit-code reviews.shop:9080/

  # Everything that was considered, with Envoy's names and the rules followed
  kubectl mesh-trace --explain full -o wide reviews.shop:9080/

  # As a picture: a page, a sequence diagram for Markdown, a graph for Graphviz
  kubectl mesh-trace -o html reviews.shop:9080/ >trace.html
  kubectl mesh-trace -o mermaid reviews.shop:9080/
  kubectl mesh-trace -o dot reviews.shop:9080/ | dot -Tsvg >trace.svg

  # For a program
  kubectl mesh-trace -o jsonpath='{.outcomes[*].decision}' reviews.shop:9080/`

// rootExit is the table of exit codes, as exit.go holds it.
const rootExit = `Exit codes:
  0  a trace was computed, whatever it says
  1  the command failed; the reason is on stderr
  2  wrong usage
  3  with --exit-code: not every outcome is Delivered
`

// subcommandExit is the table of those subcommands that trace nothing.
const subcommandExit = `Exit codes:
  0  it was printed
  1  it could not be printed; the reason is on stderr
  2  wrong usage
`

// rootEnvironment and rootFiles are what a run depends on besides its flags.
const rootEnvironment = `Environment:
  KUBECONFIG               the kubeconfig files, without --kubeconfig
  NO_COLOR, TERM=dumb      no colour with --color auto
  HTTPS_PROXY, NO_PROXY    the way to the API server, without --proxy-url
  KUBERNETES_SERVICE_HOST  set in a pod, whose service account is used where no kubeconfig names a cluster
  GOGC                     how much memory is traded for time, in place of the command's own 25
`

const rootFiles = `Files:
  ~/.kube/config  the kubeconfig, without --kubeconfig and KUBECONFIG; credentials it names are used as kubectl does
The command keeps nothing on disk between two runs.
`

// newRootCommand is `kubectl mesh-trace URL` with its subcommands.
func newRootCommand(streams genericiooptions.IOStreams, build Build, deps Deps) *cobra.Command {
	flags := newTraceFlags()
	root := &cobra.Command{
		Use:                   "kubectl-mesh_trace [flags] URL",
		Annotations:           map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl mesh-trace"},
		Short:                 "Trace a request through Istio and Gateway API",
		Long:                  rootLong,
		Example:               rootExample,
		Version:               build.complete().String(),
		DisableFlagsInUseLine: true,
		// exit.go speaks to the user.
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          oneURL,
		// A word that far from a subcommand's name is taken for it in a message.
		SuggestionsMinimumDistance: 2,
		CompletionOptions:          cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: runs(func(c *cobra.Command, args []string) (*traceOptions, error) {
			options, err := flags.ToOptions(args[0], streams, build, deps)
			if err == nil {
				options.view.command = commandLine(c.Flags(), args[0])
			}
			return options, err
		}),
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	sections := flags.AddFlags(root)
	root.SetUsageFunc(usageOf(root, sections))
	flags.complete(root, streams, build, deps)
	root.AddCommand(newCodesCommand(streams, deps), newVersionCommand(streams, build, deps), newSnapshotCommand(streams, build, deps), newCompletionCommand(streams))
	root.AddCommand(newTestCommand(streams, build, deps))
	root.AddCommand(newWhoCanCommand(streams, build, deps), newMatrixCommand(streams, build, deps))
	root.AddCommand(newExplainCommand(streams, build, deps))
	root.AddCommand(newDiffCommand(streams, build, deps), newFromLogCommand(streams, build, deps))
	return root
}

// options are a command line, taken apart.
type options interface {
	// Validate checks what can be checked before anything is read.
	Validate() error
	Run(context.Context) error
}

// runs is the RunE of a command whose command line parse takes apart.
func runs[O options](parse func(c *cobra.Command, args []string) (O, error)) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		o, err := parse(c, args)
		if err != nil {
			return err
		}
		if err := o.Validate(); err != nil {
			return err
		}
		return o.Run(c.Context())
	}
}

// oneURL requires one argument.
func oneURL(c *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return usagef("a URL is missing: expected [scheme://]host[:port][/path][?query]")
	case 1:
		return nil
	}
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef("expected one URL, got %d: %q; is %s meant?", len(args), args, strings.Join(near, " or "))
	}
	return usagef("expected one URL, got %d: %q", len(args), args)
}

// noArguments refuses arguments of a subcommand.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument, got %q", c.CommandPath(), args[0])
	}
	return nil
}
