package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// completionLimit is how long a shell waits for resources. A cluster that
// answers later completes nothing, rather than keeping the prompt.
const completionLimit = 2 * time.Second

// completionScript is the file kubectl looks for, for those who can not link.
const completionScript = `#!/usr/bin/env sh
# Completion of 'kubectl mesh-trace': save as kubectl_complete-mesh_trace in a
# directory of PATH and make it executable. kubectl 1.26 and later run it.
exec kubectl-mesh_trace __complete "$@"
`

const completionLong = `Print a completion script.

kubectl (1.26 and later) completes 'kubectl mesh-trace' by running a program
named kubectl_complete-mesh_trace. A link of that name is enough:

  ln -s "$(command -v kubectl-mesh_trace)" ~/.local/bin/kubectl_complete-mesh_trace

Where links are not possible, save the output of 'kubectl mesh-trace completion
kubectl' under that name and make it executable. The other shells' scripts
complete the binary by its own name, kubectl-mesh_trace.`

// newCompletionCommand is `completion`.
func newCompletionCommand(streams genericiooptions.IOStreams) *cobra.Command {
	shells := []string{"kubectl", "bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:       "completion kubectl|bash|zsh|fish|powershell",
		Short:     "Print a completion script",
		Long:      completionLong,
		ValidArgs: shells,
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

// complete registers what completes a flag. It fails only for a flag that does
// not exist or has a completion; the tests complete each flag that is named here.
func complete(c *cobra.Command, flag string, with cobra.CompletionFunc) {
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
	complete(root, "output", oneOf(f.view.formats()...))
	complete(root, "explain", oneOf(details...))
	complete(root, "color", oneOf(colours...))
}

// completeRequests registers the completions of a command that traces requests: hosts for the URLs, sources,
// gateways and namespaces out of the resources that -f or the cluster has, and methods and releases.
func completeRequests(command *cobra.Command, mesh *meshFlags, streams genericiooptions.IOStreams, build Build, deps Deps) {
	// Nothing a completion says on stderr belongs on the prompt.
	quiet := genericiooptions.IOStreams{In: streams.In, Out: streams.Out, ErrOut: discard{}}
	of := func(list func(*resolve.Snapshot, string) []string, directive cobra.ShellCompDirective) cobra.CompletionFunc {
		return func(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			snapshot, namespace := mesh.forCompletion(c.Context(), quiet, build, deps)
			if snapshot == nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return startingWith(list(snapshot, namespace), typed), directive
		}
	}
	hosts := of(hostsOf, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace)
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
	complete(command, "from", of(sourcesOf, plain))
	complete(command, "gateway", of(gatewaysOf, plain))
	complete(command, "namespace", of(namespacesOf, plain))
	complete(command, "istio-namespace", of(namespacesOf, plain))
	complete(command, "context", func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return startingWith(mesh.contexts(), typed), plain
	})
	complete(command, "method", oneOf("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
	complete(command, "istio-version", oneOf(resolve.NewestRelease))
}

// discard is where the warnings of a completion go.
type discard struct{}

// Write drops p.
func (discard) Write(p []byte) (int, error) { return len(p), nil }

// forCompletion reads the resources within the limit; nil where that fails.
func (f *meshFlags) forCompletion(ctx context.Context, streams genericiooptions.IOStreams, build Build, deps Deps) (*resolve.Snapshot, string) {
	// Stdin is the shell's.
	if slices.Contains(f.filenames, "-") {
		return nil, ""
	}
	options, err := f.ToOptions(streams, build, deps)
	if err != nil || options.Validate() != nil {
		return nil, ""
	}
	namespace, err := options.Namespace()
	if err != nil {
		return nil, ""
	}
	ctx, cancel := context.WithTimeout(ctx, completionLimit)
	defer cancel()
	read := make(chan *resolve.Snapshot, 1)
	go func() {
		snapshot, err := options.Load(ctx)
		if err != nil {
			snapshot = nil
		}
		read <- snapshot
	}()
	select {
	case snapshot := <-read:
		return snapshot, namespace
	case <-ctx.Done():
		return nil, ""
	}
}

// contexts are those of the kubeconfig.
func (f *meshFlags) contexts() []string {
	raw, err := f.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil
	}
	var names []string
	for name := range raw.Contexts {
		names = append(names, name)
	}
	return sorted(names)
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
