package conformance

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	loader "github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// load reads the manifests as the command does.
func load(dir string, manifests map[string]string, namespace string) (*resolve.Snapshot, error) {
	var paths []string
	var remotes []loader.RemoteManifests
	for name, text := range manifests {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
		if id, remote := apiserver.RemoteFile(name); remote {
			remotes = append(remotes, loader.RemoteManifests{Cluster: id, Paths: []string{path}})
		} else if name != "mesh-config.yaml" && name != "mesh-networks.yaml" {
			paths = append(paths, path)
		}
	}
	sort.Strings(paths)
	slices.SortFunc(remotes, func(a, b loader.RemoteManifests) int { return strings.Compare(a.Cluster, b.Cluster) })
	in, err := loader.Manifests(loader.ManifestOptions{Paths: paths, Remotes: remotes, DefaultNamespace: namespace})
	if err != nil {
		return nil, skipped{"the command refuses the manifests"}
	}
	if text, ok := manifests["mesh-config.yaml"]; ok {
		mesh, _, err := loader.MeshConfig([]byte(text), "mesh-config.yaml")
		if err != nil {
			return nil, skipped{"the command refuses the mesh config"}
		}
		in.MeshConfig = mesh
		in.MeshConfigRef = resolve.Ref{Kind: "MeshConfig", Name: "mesh-config.yaml"}
	}
	if text, ok := manifests["mesh-networks.yaml"]; ok {
		networks, _, err := loader.MeshNetworks([]byte(text), "mesh-networks.yaml")
		if err != nil {
			return nil, skipped{"the command refuses the mesh networks"}
		}
		in.MeshNetworks = networks
		in.MeshNetworksRef = resolve.Ref{Kind: "MeshNetworks", Name: "mesh-networks.yaml"}
	}
	return resolve.NewSnapshot(in), nil
}

// traced is the tracer's answer, in the shape that the contract fixes.
func traced(s *resolve.Snapshot, q trace.Request) (*render.Document, error) {
	t, err := trace.Walk(s, q)
	if err != nil {
		var refused *trace.SourceError
		if errors.As(err, &refused) {
			return nil, skipped{"the command refuses the source"}
		}
		return nil, err
	}
	return render.NewDocument(t, nil), nil
}

func ownerName(w render.Workload) string {
	name := w.Namespace + "/" + w.Name
	if w.Cluster != "" {
		name = w.Cluster + ":" + name
	}
	return w.Kind + " " + name
}
