package cmd

import (
	_ "embed" // the completion script
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// completionScript is the file kubectl looks for, for those who can not link. The archives have it too.
//
//go:embed kubectl_complete-mesh_trace
var completionScript string

const completionLong = `Print a completion script.

kubectl (1.26 and later) completes 'kubectl mesh-trace' by running a program
named kubectl_complete-mesh_trace. A link of that name to the binary is enough;
where links are not possible, the script for kubectl does the same. The other
shells' scripts complete the binary by its own name, kubectl-mesh_trace.

Hosts, sources, gateways, objects and namespaces come from the manifests of -f where
it is given, else from the cluster; one that does not answer within two seconds
completes nothing. Of a cluster only the kinds that a word can name are listed.`

const completionExample = `  # For kubectl: a link beside the binary
  ln -s kubectl-mesh_trace "$(dirname "$(command -v kubectl-mesh_trace)")/kubectl_complete-mesh_trace"

  # For kubectl: a script, where links are not possible
  rm -f ~/.local/bin/kubectl_complete-mesh_trace
  kubectl mesh-trace completion kubectl >~/.local/bin/kubectl_complete-mesh_trace
  chmod +x ~/.local/bin/kubectl_complete-mesh_trace

  # For the binary itself, in this shell
  source <(kubectl mesh-trace completion bash)`

// newCompletionCommand is `completion`.
func newCompletionCommand(streams genericiooptions.IOStreams) *cobra.Command {
	shells := []string{"kubectl", "bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:                   "completion kubectl|bash|zsh|fish|powershell",
		DisableFlagsInUseLine: true,
		Short:                 "Print a completion script",
		Long:                  completionLong,
		Example:               completionExample,
		ValidArgs:             shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return usagef("completion: expected one of %s", strings.Join(shells, ", "))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return c.Root().GenBashCompletionV2(streams.Out, true)
			case "zsh":
				return c.Root().GenZshCompletion(streams.Out)
			case "fish":
				return c.Root().GenFishCompletion(streams.Out, true)
			case "powershell":
				return c.Root().GenPowerShellCompletionWithDesc(streams.Out)
			}
			_, err := fmt.Fprint(streams.Out, completionScript)
			return err
		},
	}
}

// complete registers what completes a flag, where a word is completed: cobra keeps what is registered, and with it all that
// it could ever ask, as long as the process runs. It fails only for a flag that does not exist or has a completion; the
// tests complete each flag that is named here.
func (d Deps) complete(c *cobra.Command, flag string, with cobra.CompletionFunc) {
	if !d.Completing {
		return
	}
	if err := c.RegisterFlagCompletionFunc(flag, with); err != nil {
		cobra.CompErrorln(err.Error())
	}
}

// complete registers the completions of the root command: those of requests, and the closed lists.
func (f *traceFlags) complete(root *cobra.Command, streams genericiooptions.IOStreams, build Build, deps Deps) {
	completeRequests(root, f.mesh, streams, build, deps)
	one := root.ValidArgsFunction
	root.ValidArgsFunction = func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return one(c, args, typed)
	}
	deps.complete(root, "output", oneOf(f.view.formats()...))
	deps.complete(root, "explain", oneOf(details...))
	deps.complete(root, "color", oneOf(colours...))
}

// completeRequests registers the completions of a command that traces requests: hosts for the URLs, sources,
// gateways and namespaces out of the resources that -f or the cluster has, and methods and releases.
func completeRequests(command *cobra.Command, mesh *meshFlags, streams genericiooptions.IOStreams, build Build, deps Deps) {
	of := completeFrom(mesh, streams, build, deps)
	hosts := of(hostsOf, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace, always(load.HostNames()))
	command.ValidArgsFunction = func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		scheme, rest, ok := strings.Cut(typed, "://")
		if !ok {
			return hosts(c, args, typed)
		}
		found, directive := hosts(c, args, rest)
		for i := range found {
			found[i] = scheme + "://" + found[i]
		}
		return found, directive
	}
	const plain = cobra.ShellCompDirectiveNoFileComp
	sources := sourcesOf
	if command.Flag("from").Value.Type() == "stringArray" {
		sources = sourcePatternsOf
	}
	deps.complete(command, "from", of(sources, plain, sourceQueries))
	if command.Flag("to") != nil {
		deps.complete(command, "to", of(servicesOf, plain, always(load.HostNames())))
	}
	if command.Flag("gateway") != nil {
		deps.complete(command, "gateway", of(gatewaysOf, plain, always(load.GatewayNames())))
	}
	if command.Flag("method") != nil {
		deps.complete(command, "method", oneOf("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
	}
	completeMesh(command, mesh, streams, build, deps)
}

// completionOf completes a word out of the resources that were asked for.
type completionOf func(choices func(known) []string, directive cobra.ShellCompDirective, asks func(typed, namespace string) []load.NameQuery) cobra.CompletionFunc

// completeFrom completes out of the resources that -f or the cluster has.
func completeFrom(mesh *meshFlags, streams genericiooptions.IOStreams, build Build, deps Deps) completionOf {
	// Nothing a completion says on stderr belongs on the prompt.
	quiet := genericiooptions.IOStreams{In: streams.In, Out: streams.Out, ErrOut: discard{}}
	return func(choices func(known) []string, directive cobra.ShellCompDirective, asks func(typed, namespace string) []load.NameQuery) cobra.CompletionFunc {
		return func(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			ask := func(namespace string) []load.NameQuery { return asks(typed, namespace) }
			from, ok := mesh.forCompletion(c.Context(), quiet, build, deps, ask)
			if !ok {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			offered := startingWith(choices(from), typed)
			if slices.ContainsFunc(offered, func(choice string) bool { return strings.HasSuffix(choice, "/") }) {
				directive |= cobra.ShellCompDirectiveNoSpace // there is more to come
			}
			return offered, directive
		}
	}
}

// completeMesh registers the completions of the flags of a mesh.
func completeMesh(command *cobra.Command, mesh *meshFlags, streams genericiooptions.IOStreams, build Build, deps Deps) {
	const plain = cobra.ShellCompDirectiveNoFileComp
	namespaces := completeFrom(mesh, streams, build, deps)(namespacesOf, plain, always(load.NamespaceNames()))
	deps.complete(command, "namespace", namespaces)
	deps.complete(command, "istio-namespace", namespaces)
	for _, flag := range []string{"context", "cluster", "user"} {
		deps.complete(command, flag, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return startingWith(mesh.inKubeconfig(flag), typed), plain
		})
	}
	deps.complete(command, "remote-context", func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		id := typed[:strings.LastIndex(typed, "=")+1]
		var choices []string
		for _, name := range mesh.inKubeconfig("context") {
			choices = append(choices, id+name)
		}
		return startingWith(choices, typed), plain
	})
	deps.complete(command, "istio-version", oneOf(resolve.NewestRelease))
}

// startingWith keeps what continues the text typed so far.
func startingWith(choices []string, typed string) []string {
	return slices.DeleteFunc(slices.Clone(choices), func(choice string) bool { return !strings.HasPrefix(choice, typed) })
}

// oneOf completes a closed list.
func oneOf(choices ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return startingWith(choices, typed), cobra.ShellCompDirectiveNoFileComp
	}
}

// sorted is the list in order, each once.
func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
