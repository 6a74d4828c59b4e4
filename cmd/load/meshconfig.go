package load

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	meshconfig "istio.io/api/mesh/v1alpha1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// MeshConfig reads a mesh configuration from YAML; name is the file it is from.
// A value of the wrong type is an error ([Problems]). A field that is not known
// is a warning: the MeshConfig of another release may have it.
//
// Source: pkg/config/mesh/mesh.go, ApplyMeshConfig.
func MeshConfig(data []byte, name string) (*meshconfig.MeshConfig, []string, error) {
	config := newMeshConfig()
	_, warnings, err := readOnly(data, name, config, meshConfigKey)
	if err != nil {
		return nil, nil, err
	}
	return config, warnings, nil
}

// readOnly reads a message from the one document of a file, and returns the document. key is where the ConfigMap istio holds it.
func readOnly(data []byte, name string, into proto.Message, key string) (*document, []string, error) {
	docs := split(source{name: name}, string(data))
	switch len(docs) {
	case 0:
		return nil, nil, nil
	case 1:
		warnings, err := readMessage(&docs[0], header{}, into, key)
		return &docs[0], warnings, err
	}
	return nil, nil, Problems{{File: name, Line: docs[1].line, Message: fmt.Sprintf("a second document; a %s is one", into.ProtoReflect().Descriptor().Name())}}
}

// newMeshConfig is what a configuration is read over: of the fields that have no value of their own for not being
// written, those that Istio has on.
func newMeshConfig() *meshconfig.MeshConfig { return &meshconfig.MeshConfig{EnableTracing: true} }

func readMessage(doc *document, object header, into proto.Message, key string) ([]string, error) {
	fail := func(line int, message string) error {
		return Problems{{File: doc.source.name, Line: doc.lineOf(line), Object: object.String(), Message: message}}
	}
	root, err := doc.parse(&blockReader{})
	var syntax syntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, fail(syntax.line, syntax.message)
	case err != nil:
		return nil, fail(1, err.Error())
	case isNull(root):
		return nil, nil
	}
	if kind := textOf(root, "kind"); kind != "" {
		return nil, fail(root.Line, fmt.Sprintf("expected the fields of a %s, got a %s; of the ConfigMap istio, it is what the key %s holds", into.ProtoReflect().Descriptor().Name(), kind, key))
	}
	warnings := []string{}
	d := decoder{doc: doc, object: object, unknown: &warnings, loose: true}
	d.message(root, into.ProtoReflect())
	if len(d.problems) > 0 {
		return nil, d.problems.sorted()
	}
	return warnings, nil
}

// meshConfigMap is a ConfigMap that holds a mesh config.
type meshConfigMap struct {
	header
	config   *meshconfig.MeshConfig
	networks *meshconfig.MeshNetworks
	origin   resolve.Origin
	warnings []string
}

// isMeshConfigMap reports whether a document is the ConfigMap that istiod reads:
// istio, or istio-REVISION, with the key mesh or meshNetworks.
// Source: pilot/pkg/bootstrap/mesh.go, getMeshConfigMapName.
func isMeshConfigMap(n *yaml.Node, h header) bool {
	if h.gv.Group != "" || h.kind != "ConfigMap" || h.name != "istio" && !strings.HasPrefix(h.name, "istio-") {
		return false
	}
	data, _ := child(n, "data")
	mesh, _ := child(data, meshConfigKey)
	networks, _ := child(data, meshNetworksKey)
	return mesh != nil && mesh.Kind == yaml.ScalarNode || networks != nil && networks.Kind == yaml.ScalarNode
}

func (r *documentReader) meshConfigMap(n *yaml.Node, h header, from resolve.Origin) meshConfigMap {
	out := meshConfigMap{header: h, origin: from}
	data, _ := child(n, "data")
	if value, _ := child(data, meshConfigKey); value != nil && value.Kind == yaml.ScalarNode {
		inner := r.inner(value)
		config := newMeshConfig()
		warnings, err := readMessage(inner, h, config, meshConfigKey)
		if r.within(h, meshConfigKey, err) {
			out.config = config
		}
		out.addWarnings(meshConfigKey, warnings)
		out.origin = &meshOrigin{configMap: from, inner: &origin{doc: inner, line: r.doc.at(value)}}
	}
	if value, _ := child(data, meshNetworksKey); value != nil && value.Kind == yaml.ScalarNode {
		networks, warnings, err := readMeshNetworks(r.inner(value), h)
		if r.within(h, meshNetworksKey, err) {
			out.networks = networks
		}
		out.addWarnings(meshNetworksKey, warnings)
	}
	return out
}

func (m *meshConfigMap) addWarnings(key string, warnings []string) {
	for _, w := range warnings {
		m.warnings = append(m.warnings, "data."+key+": "+w)
	}
}

// inner is a document that a text of this one holds.
func (r *documentReader) inner(value *yaml.Node) *document {
	inner := &document{source: r.doc.source, line: r.doc.at(value) + 1, text: value.Value}
	if value.Style&yaml.LiteralStyle == 0 || r.doc.flat {
		inner.line, inner.flat = r.doc.at(value), true
	}
	return inner
}

// within takes over the problems of such a document, and reports whether there were none.
func (r *documentReader) within(h header, key string, err error) bool {
	var problems Problems
	if !errors.As(err, &problems) {
		return true
	}
	for _, p := range problems {
		p.Field = strings.TrimSuffix("data."+key+": "+p.Field, ": ")
		r.problems = append(r.problems, p)
	}
	r.unreadable(h, problems[0].Message)
	return false
}

// meshOrigin locates fields of the ConfigMap (data.mesh) and of the mesh config in it.
type meshOrigin struct {
	configMap resolve.Origin
	inner     *origin
}

// Locate returns file:line of a field of the MeshConfig, or of the ConfigMap.
func (o *meshOrigin) Locate(field string) string {
	if first, _, _ := strings.Cut(field, "."); field == "" || first == "data" || first == "metadata" || o.inner.doc.flat {
		return o.configMap.Locate(field)
	}
	return o.inner.Locate(field)
}

// chooseMeshConfig returns the ConfigMap that is followed: that of istio-system
// before others, the one without a revision before others, then by name.
func chooseMeshConfig(candidates []meshConfigMap) (chosen meshConfigMap, others []meshConfigMap) {
	first := func(b bool) int {
		if b {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(candidates, func(a, b meshConfigMap) int {
		return cmp.Or(
			cmp.Compare(first(a.namespace == "istio-system"), first(b.namespace == "istio-system")),
			cmp.Compare(first(a.name == "istio"), first(b.name == "istio")),
			cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name),
		)
	})
	return candidates[0], candidates[1:]
}
