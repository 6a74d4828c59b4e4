package load

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// kustomize builds a kustomization as kubectl's -k does, and finds for each
// resource the file it was written in. Kustomize tells the file where the
// kustomization asks for originAnnotations; it is asked here without a change to any file.
//
// Source: k8s.io/cli-runtime/pkg/resource/kustomizevisitor.go.
func (r *reader) kustomize(dir string) []document {
	// Kustomize takes its time to say this.
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		r.fail(dir, "not a directory: -k takes the directory of a kustomization.yaml")
		return nil
	} else if err != nil && (filepath.IsAbs(dir) || !strings.Contains(dir, "/")) { // else it may be a repository
		r.fail(dir, "%v", plain(err))
		return nil
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy
	files := filesys.MakeFsOnDisk()
	built, err := krusty.MakeKustomizer(options).Run(askOrigins(files, dir), dir)
	if err != nil {
		r.fail(dir, "kustomize: %s", strings.Join(strings.Fields(err.Error()), " "))
		return nil
	}
	written := writtenFiles{}
	defer written.forgetSecrets()
	var docs []document
	for _, res := range built.Resources() {
		from := written.origin(dir, res)
		if err := res.SetOrigin(nil); err != nil {
			r.fail(dir, "kustomize: %v", err)
			continue
		}
		data, err := res.AsYAML()
		if err != nil {
			r.fail(dir, "kustomize: %v", err)
			continue
		}
		docs = append(docs, document{source: source{name: dir}, text: string(data), flat: true, written: from})
	}
	return docs
}

// originAsker is a file system in which the root kustomization asks for origin annotations.
type originAsker struct {
	filesys.FileSystem
	root string
}

func askOrigins(files filesys.FileSystem, dir string) filesys.FileSystem {
	root, _, err := files.CleanedAbs(dir)
	if err != nil {
		return files // an address, or an error that Run reports
	}
	return originAsker{files, string(root)}
}

// ReadFile returns the file; the root kustomization with buildMetadata added.
func (f originAsker) ReadFile(path string) ([]byte, error) {
	data, err := f.FileSystem.ReadFile(path)
	if err != nil || filepath.Dir(path) != f.root || !slices.Contains(konfig.RecognizedKustomizationFileNames(), filepath.Base(path)) {
		return data, err
	}
	var fields map[string]any
	if yaml.Unmarshal(data, &fields) != nil || fields == nil {
		return data, nil
	}
	metadata, _ := fields["buildMetadata"].([]any)
	if !slices.Contains(metadata, any("originAnnotations")) {
		fields["buildMetadata"] = append(metadata, "originAnnotations")
	}
	asking, err := yaml.Marshal(fields)
	if err != nil {
		return data, nil
	}
	return asking, nil
}

// kustomizationOrigin stands for a resource that no file has as it is: a generated one, a remote one.
type kustomizationOrigin string

// Locate returns the kustomization, or the address.
func (o kustomizationOrigin) Locate(string) string { return string(o) }

// writtenFiles are the documents of the files a kustomization reads, by path.
type writtenFiles map[string][]document

// origin finds the document a built resource came from: of the same kind, and of
// the name, or of the longest name that prefixes and suffixes were put around.
func (w writtenFiles) origin(dir string, res *resource.Resource) resolve.Origin {
	from, err := res.GetOrigin()
	switch {
	case err != nil || from == nil:
		return kustomizationOrigin(dir)
	case from.Repo != "":
		return kustomizationOrigin(from.Repo + "/" + from.Path)
	case from.Path == "":
		return kustomizationOrigin(filepath.Join(dir, from.ConfiguredIn))
	}
	path := filepath.Join(dir, from.Path)
	docs, ok := w[path]
	if !ok {
		r := reader{}
		r.readFile(source{name: path})
		for _, t := range r.texts {
			docs = append(docs, split(t.source, t.data)...)
		}
		w[path] = docs
	}
	var best *origin
	length := -1
	for i := range docs {
		d := &docs[i]
		n, _ := d.parse(&blockReader{})
		h := headerOf(n)
		if h.kind == res.GetKind() && strings.Contains(res.GetName(), h.name) && len(h.name) > length {
			best, length = &origin{doc: d, line: d.at(n)}, len(h.name)
		}
	}
	if best == nil {
		return kustomizationOrigin(path)
	}
	return best
}
