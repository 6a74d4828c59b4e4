package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// traced is the tracer's answer, in the shape that the contract fixes.
func traced(dir string, manifests map[string]string, q trace.Request) (*render.Document, error) {
	var paths []string
	for name, text := range manifests {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
		if name != "mesh-config.yaml" {
			paths = append(paths, path)
		}
	}
	sort.Strings(paths)
	in, err := load.Manifests(load.ManifestOptions{Paths: paths, DefaultNamespace: q.From.DefaultNamespace})
	if err != nil {
		return nil, skipped{"the command refuses the manifests"}
	}
	if text, ok := manifests["mesh-config.yaml"]; ok {
		mesh, _, err := load.MeshConfig([]byte(text), "mesh-config.yaml")
		if err != nil {
			return nil, skipped{"the command refuses the mesh config"}
		}
		in.MeshConfig = mesh
		in.MeshConfigRef = resolve.Ref{Kind: "MeshConfig", Name: "mesh-config.yaml"}
	}
	t, err := trace.Walk(resolve.NewSnapshot(in), q)
	if err != nil {
		return nil, skipped{"the command refuses the source"}
	}
	return render.NewDocument(t, nil), nil
}

func ownerName(w render.Workload) string { return fmt.Sprintf("%s %s/%s", w.Kind, w.Namespace, w.Name) }
