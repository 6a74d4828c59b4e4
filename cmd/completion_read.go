package cmd

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// completionLimit is how long a shell waits for resources. A cluster that
// answers later completes nothing, rather than keeping the prompt.
const completionLimit = 2 * time.Second

// completionGrace is how much longer what was read in time may take to be put together.
const completionGrace = 200 * time.Millisecond

// always asks a cluster for the same, whatever is typed.
func always(query load.NameQuery) func(typed, namespace string) []load.NameQuery {
	return func(string, string) []load.NameQuery { return []load.NameQuery{query} }
}

// sourceQueries asks for the sources of the namespace that is typed; before one is, for those of the current one and
// for the namespaces there are.
func sourceQueries(typed, namespace string) []load.NameQuery {
	first, _, ok := strings.Cut(typed, "/")
	switch {
	case !ok:
		return []load.NameQuery{load.SourceNames(namespace), load.NamespaceNames()}
	case slices.Contains(trace.SourceKinds(), first):
		return []load.NameQuery{load.SourceNames(namespace)}
	}
	return []load.NameQuery{load.SourceNames(first)}
}

// discard is where the warnings of a completion go.
type discard struct{}

// Write drops p.
func (discard) Write(p []byte) (int, error) { return len(p), nil }

// forCompletion reads within the limit what a word is completed from: the manifests, or what the cluster is asked for.
func (f *meshFlags) forCompletion(ctx context.Context, streams genericiooptions.IOStreams, build Build, deps Deps, ask func(namespace string) []load.NameQuery) (known, bool) {
	// Stdin is the shell's.
	if slices.Contains(f.filenames, "-") {
		return known{}, false
	}
	options, err := f.ToOptions(streams, build, deps)
	if err != nil || options.Validate() != nil {
		return known{}, false
	}
	namespace, err := options.Namespace()
	if err != nil {
		return known{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, completionLimit)
	defer cancel()
	read := make(chan *resolve.Snapshot, 1)
	go func() {
		var snapshot *resolve.Snapshot
		var err error
		if options.offline {
			snapshot, err = options.Load(ctx)
		} else {
			snapshot, err = options.loadNames(ctx, namespace, ask(namespace))
		}
		if err != nil {
			snapshot = nil
		}
		read <- snapshot
	}()
	var snapshot *resolve.Snapshot
	select {
	case snapshot = <-read:
	case <-time.After(completionLimit + completionGrace):
		// A credential plugin, say, does not hear that the time is over.
	}
	return known{Snapshot: snapshot, namespace: namespace, partial: !options.offline}, snapshot != nil
}

// loadNames asks the cluster for what completes one word.
func (o *meshOptions) loadNames(ctx context.Context, namespace string, queries []load.NameQuery) (*resolve.Snapshot, error) {
	setLogLevel(0)
	config, err := restConfig(o.config, o.streams.ErrOut)
	if err != nil {
		return nil, err
	}
	in, err := o.deps.Names(ctx, config, load.ClusterOptions{Namespaces: []string{namespace}, Version: o.build.complete().Version}, queries...)
	if err != nil {
		return nil, err
	}
	return resolve.NewSnapshot(in), nil
}

// inKubeconfig are the names that the kubeconfig has for a flag of kubectl.
func (f *meshFlags) inKubeconfig(flag string) []string {
	config, err := f.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil
	}
	switch flag {
	case "context":
		return slices.Sorted(maps.Keys(config.Contexts))
	case "cluster":
		return slices.Sorted(maps.Keys(config.Clusters))
	}
	return slices.Sorted(maps.Keys(config.AuthInfos))
}
