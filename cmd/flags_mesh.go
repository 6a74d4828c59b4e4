package cmd

import (
	"regexp"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// meshFlags are where the resources come from, and which control plane reads them.
type meshFlags struct {
	config *genericclioptions.ConfigFlags
	files  genericclioptions.FileNameFlags

	filenames []string
	recursive bool
	kustomize string
	overlays  []string
	remotes   []string
	// remoteContexts are those of the kubeconfig that lead to remote clusters, furtherContexts those of them that --context names.
	remoteContexts, furtherContexts []string
	// written tells a flag that is empty from one that is not given.
	written func(flag string) bool

	istioNamespace, revision, meshConfig, meshNetworks, istioVersion string
	verbosity                                                        int
}

func newMeshFlags() *meshFlags {
	f := &meshFlags{config: genericclioptions.NewConfigFlags(false)}
	// Nothing is cached on disk, so a flag for it would do nothing.
	f.config.CacheDir = nil
	f.files = genericclioptions.FileNameFlags{
		Usage:     "Trace on the manifests of this file or directory, or of stdin (-); repeatable. No cluster is contacted.",
		Filenames: &f.filenames, Recursive: &f.recursive, Kustomize: &f.kustomize,
	}
	return f
}

// addMeshFlags binds the flags that say which resources are read.
func (f *meshFlags) addMeshFlags(c *cobra.Command) {
	fs := c.Flags()
	f.files.AddFlags(fs)
	f.written = fs.Changed
	fs.StringArrayVar(&f.overlays, "overlay", nil, "What if these manifests (file, directory or stdin) were applied over the cluster, or over -f; repeatable. Each object replaces the one of its name, whole; annotation "+load.DeleteAnnotation+": \"true\" removes it.")
	fs.StringArrayVar(&f.remotes, "remote", nil, "A remote cluster of the mesh, as ID=FILE or ID=DIRECTORY, besides -f; repeatable. Of it the Services and what runs there count, as istiod reads them, and its Gateways where ambient mode runs over several networks. --from ID:NAMESPACE/KIND/NAME is a client there.")
	fs.StringVarP(&f.istioNamespace, "istio-namespace", "i", "", "The namespace of istiod (default: the one in which istiod runs, else istio-system).")
	fs.StringVar(&f.revision, "revision", "", "The control plane revision whose mesh config and resources count.")
	fs.StringVar(&f.meshConfig, "mesh-config", "", "A MeshConfig file (YAML), in place of the ConfigMap of istiod.")
	fs.StringVar(&f.meshNetworks, "mesh-networks", "", "A file (YAML) with the networks of the mesh, MeshNetworks, in place of those of the ConfigMap of istiod.")
	fs.StringVar(&f.istioVersion, "istio-version", "", "The Istio release whose behaviour is followed, as X.Y (default: the control plane's, else "+resolve.NewestRelease+").")
}

// addClusterFlags binds those of kubectl.
func (f *meshFlags) addClusterFlags(c *cobra.Command) {
	fs := c.Flags()
	f.config.AddFlags(fs)
	fs.StringArrayVar(&f.remoteContexts, "remote-context", nil, "A remote cluster of the mesh, by its context in the kubeconfig, as CONTEXT or ID=CONTEXT (default: the id that the cluster itself tells); repeatable.")
	context := fs.Lookup("context")
	context.Value = &contextValue{Value: context.Value, further: &f.furtherContexts}
	context.Usage = "The name of the kubeconfig context to use; each further one is that of a remote cluster of the mesh, as with --remote-context."
	fs.Lookup("namespace").Usage = "The namespace in which a short host is resolved and a source without a namespace lives."
	fs.IntVarP(&f.verbosity, "v", "v", 0, "The log level of the Kubernetes client, on stderr.")
}

// ToOptions parses the family; namespaces come from the kubeconfig where no flag names one.
func (f *meshFlags) ToOptions(streams genericiooptions.IOStreams, build Build, deps Deps) (*meshOptions, error) {
	o := &meshOptions{
		config:    f.config,
		offline:   len(f.filenames) > 0 || f.kustomize != "",
		filenames: f.filenames, recursive: f.recursive, kustomize: f.kustomize, overlays: f.overlays,
		istioNamespace: f.istioNamespace, revision: f.revision, meshConfig: f.meshConfig, meshNetworks: f.meshNetworks,
		verbosity: f.verbosity, remotes: f.remotes, remoteContexts: remoteContexts(f.remoteContexts, f.furtherContexts), streams: streams, build: build, deps: deps,
	}
	for _, flag := range []string{"filename", "kustomize"} {
		// A shell variable that is not set must not turn a trace of files into one of a cluster.
		if f.written(flag) && !o.offline {
			return nil, usagef("--%s is empty: expected a file, a directory or -", flag)
		}
	}
	if slices.Contains(f.overlays, "") {
		return nil, usagef("--overlay is empty: expected a file, a directory or -")
	}
	var err error
	if o.istioVersion, err = parseRelease(f.istioVersion); err != nil {
		return nil, err
	}
	return o, nil
}

// Validate refuses what does not go together.
func (o *meshOptions) Validate() error {
	switch {
	case o.kustomize != "" && (len(o.filenames) > 0 || o.recursive):
		return usagef("--kustomize (-k) can not be used together with --filename (-f) or --recursive (-R)")
	case o.recursive && len(o.filenames)+len(o.overlays)+len(o.remotes) == 0:
		return usagef("--recursive (-R) needs a directory in --filename (-f)")
	case o.verbosity < 0:
		return usagef("--v %d: expected a level from 0", o.verbosity)
	case o.revision != "" && !revisionName.MatchString(o.revision):
		return usagef("--revision %q: expected the name of a revision, such as 1-31", o.revision)
	case o.istioNamespace != "" && !isNamespace(o.istioNamespace):
		return usagef("--istio-namespace %q: expected the name of a namespace, such as istio-system", o.istioNamespace)
	case *o.config.Namespace != "" && !isNamespace(*o.config.Namespace):
		return usagef("--namespace %q: expected the name of a namespace, such as default", *o.config.Namespace)
	}
	if err := o.validateRemotes(); err != nil {
		return err
	}
	if slices.Contains(o.filenames, "-") && slices.Contains(o.overlays, "-") {
		return usagef("- is given to both --filename (-f) and --overlay; stdin can be read once")
	}
	for i, name := range o.overlays {
		if name == "-" && slices.Contains(o.overlays[:i], "-") {
			return usagef("--overlay - is given twice; stdin can be read once")
		}
	}
	for i, name := range o.filenames {
		if name == "-" && slices.Contains(o.filenames[:i], "-") {
			return usagef("--filename - is given twice; stdin can be read once")
		}
		if name == "" {
			return usagef("--filename is empty: expected a file, a directory or -")
		}
	}
	return nil
}

// revisionName is what the label istio.io/rev can hold.
var revisionName = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)

// isNamespace reports whether an API server would take the name.
func isNamespace(name string) bool { return len(validation.IsDNS1123Label(name)) == 0 }

// parseRelease reads X.Y, with or without the patch release.
func parseRelease(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	v, err := version.ParseGeneric(text)
	if err != nil {
		return "", usagef("--istio-version %q: expected a release as X.Y", text)
	}
	release := version.MajorMinor(v.Major(), v.Minor())
	if newest := version.MustParseGeneric(resolve.NewestRelease); newest.LessThan(release) {
		return "", usagef("--istio-version %q: the newest release whose rules are known is %s", text, resolve.NewestRelease)
	}
	return release.String(), nil
}
