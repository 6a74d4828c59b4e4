package cmd

import (
	"context"
	"fmt"
	"os"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// meshOptions are where the resources of a trace come from.
type meshOptions struct {
	config *genericclioptions.ConfigFlags
	// offline is true where manifests are traced; no cluster is contacted then.
	offline   bool
	filenames []string
	recursive bool
	kustomize string
	// remotes are the remote clusters' manifests, as ID=PATH.
	remotes []string
	// remoteContexts are those of remote clusters.
	remoteContexts []remoteContext
	// overlays are laid over what was read; overlay is what they hold, once it was read.
	overlays         []string
	overlayKustomize string
	overlay          *load.Overlay
	// laidOverLater is set where an overlay comes over what was read without it.
	laidOverLater bool

	istioNamespace, revision, meshConfig, meshNetworks, istioVersion string
	verbosity                                                        int

	// progress is that of a cluster being read.
	progress *progress

	streams genericiooptions.IOStreams
	build   Build
	deps    Deps
}

// Namespace is the namespace of -n, else that of the kubeconfig, as for every
// kubectl command. Manifests need no kubeconfig: one that can not be read then
// counts only if a flag named it.
func (o *meshOptions) Namespace() (string, error) {
	namespace, _, err := o.config.ToRawKubeConfigLoader().Namespace()
	if err == nil {
		return namespace, nil
	}
	if o.offline && *o.config.KubeConfig == "" && *o.config.Context == "" {
		return "default", nil
	}
	return "", fmt.Errorf("read the kubeconfig: %w", err)
}

// Load reads the resources, and makes a snapshot of them.
func (o *meshOptions) Load(ctx context.Context) (*resolve.Snapshot, error) {
	in, err := o.Input(ctx)
	if err != nil {
		return nil, err
	}
	return resolve.NewSnapshot(in), nil
}

// Input reads the resources. What the flags say of the control plane wins over what was read.
func (o *meshOptions) Input(ctx context.Context) (resolve.Input, error) {
	namespace, err := o.Namespace()
	if err != nil {
		return resolve.Input{}, err
	}
	in, err := o.read(ctx, namespace)
	if err != nil {
		o.progress.Done()
		return resolve.Input{}, err
	}
	if err := ctx.Err(); err != nil {
		return resolve.Input{}, err
	}
	err = o.settle(&in)
	return in, err
}

// laysOver reports whether there is an overlay.
func (o *meshOptions) laysOver() bool { return len(o.overlays) > 0 || o.overlayKustomize != "" }

// layOver puts the overlays over what was read. They are read once: stdin can not be read again, and a watch is of the cluster.
func (o *meshOptions) layOver(in *resolve.Input) error {
	if !o.laysOver() {
		return nil
	}
	if o.overlay == nil {
		namespace, err := o.Namespace()
		if err != nil {
			return err
		}
		if o.overlay, err = o.deps.Overlay(load.ManifestOptions{
			Paths: o.overlays, Recursive: o.recursive, Kustomize: o.overlayKustomize,
			Stdin: o.streams.In, DefaultNamespace: namespace,
		}); err != nil {
			return err
		}
	}
	*in = o.overlay.Over(*in)
	return nil
}

// Watch reads the resources of a cluster whenever they have changed.
func (o *meshOptions) Watch(ctx context.Context) (Watcher, error) {
	if len(o.remoteContexts) > 0 {
		return nil, usagef("--watch can not be used together with %s: it watches one cluster", o.remoteContexts[0].flag)
	}
	namespace, err := o.Namespace()
	if err != nil {
		return nil, err
	}
	config, opts, err := o.cluster(namespace)
	if err != nil {
		return nil, err
	}
	return o.deps.Watch(ctx, config, opts)
}

// finish makes a snapshot of what was read.
func (o *meshOptions) finish(in resolve.Input) (*resolve.Snapshot, error) {
	if err := o.settle(&in); err != nil {
		return nil, err
	}
	return resolve.NewSnapshot(in), nil
}

// settle puts the overlays and what the flags say of the control plane over what was read.
func (o *meshOptions) settle(in *resolve.Input) error {
	if err := o.layOver(in); err != nil {
		return err
	}
	load.Admit(in)
	if o.meshConfig != "" {
		if err := o.readMeshConfig(in); err != nil {
			return err
		}
	}
	if o.meshNetworks != "" {
		if err := o.readMeshNetworks(in); err != nil {
			return err
		}
	}
	if o.istioVersion != "" {
		in.IstioVersion, in.IstioVersionFrom = o.istioVersion, "flag"
	}
	if o.revision != "" {
		in.Revision = o.revision
	}
	return nil
}

func (o *meshOptions) read(ctx context.Context, namespace string) (resolve.Input, error) {
	if o.offline {
		return o.deps.Manifests(load.ManifestOptions{
			Paths: o.filenames, Recursive: o.recursive, Kustomize: o.kustomize, Remotes: o.remoteManifests(),
			Stdin: o.streams.In, DefaultNamespace: namespace, Defer: true,
		})
	}
	config, opts, err := o.cluster(namespace)
	if err != nil {
		return resolve.Input{}, err
	}
	in, err := o.deps.Cluster(ctx, config, opts)
	if err != nil {
		return in, err
	}
	err = o.joinRemotes(ctx, &in, opts)
	return in, err
}

// cluster is the cluster to read, and what of it.
func (o *meshOptions) cluster(namespace string) (*rest.Config, load.ClusterOptions, error) {
	setLogLevel(o.verbosity)
	config, err := restConfig(o.config, o.streams.ErrOut)
	if err != nil {
		return nil, load.ClusterOptions{}, err
	}
	o.progress = startProgress(onTerminal(o.streams.ErrOut), progressAfter)
	return config, load.ClusterOptions{
		IstioNamespace: o.istioNamespace, Revision: o.revision, IstioVersion: o.istioVersion,
		Namespaces: []string{namespace}, Overlay: o.laysOver() || o.laidOverLater, Version: o.build.complete().Version,
		Warn:     func(message string) { warn(o.streams.ErrOut, message) },
		Progress: o.progress.Add,
	}, nil
}

// readMeshConfig replaces the mesh config by that of --mesh-config.
func (o *meshOptions) readMeshConfig(in *resolve.Input) error {
	data, err := os.ReadFile(o.meshConfig)
	if err != nil {
		return fmt.Errorf("read the mesh config: %w", err)
	}
	return o.setMeshConfig(in, data, o.meshConfig)
}

// setMeshConfig replaces the mesh config by one that was read from the place of that name.
func (o *meshOptions) setMeshConfig(in *resolve.Input, data []byte, name string) error {
	mesh, notes, err := o.deps.MeshConfig(data, name)
	if err != nil {
		return err
	}
	in.MeshConfig = mesh
	in.Gaps = slices.DeleteFunc(in.Gaps, func(g resolve.Gap) bool { return g.GroupKind == schema.GroupKind{Kind: "ConfigMap"} })
	in.MeshConfigRef = resolve.Ref{Kind: "MeshConfig", Name: name}
	in.MeshOrigin = fileOrigin(name)
	for _, note := range notes {
		in.Notes = append(in.Notes, resolve.Note{Ref: in.MeshConfigRef, Message: note})
	}
	return nil
}

// readMeshNetworks replaces the networks of the mesh by those of --mesh-networks.
func (o *meshOptions) readMeshNetworks(in *resolve.Input) error {
	data, err := os.ReadFile(o.meshNetworks)
	if err != nil {
		return fmt.Errorf("read the mesh networks: %w", err)
	}
	networks, notes, err := o.deps.MeshNetworks(data, o.meshNetworks)
	if err != nil {
		return err
	}
	in.MeshNetworks, in.MeshNetworksRef = networks, resolve.Ref{Kind: "MeshNetworks", Name: o.meshNetworks}
	in.MeshNetworksOrigin = fileOrigin(o.meshNetworks)
	for _, note := range notes {
		in.Notes = append(in.Notes, resolve.Note{Ref: in.MeshNetworksRef, Message: note})
	}
	return nil
}

// fileOrigin is a file without lines.
type fileOrigin string

// Locate returns the file's name.
func (f fileOrigin) Locate(string) string { return string(f) }
