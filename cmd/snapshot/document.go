package snapshot

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	meshconfig "istio.io/api/mesh/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// document is the first document of the snapshot: all that is no object.
func (t *taking) document(resources []resolve.Sourced) load.SnapshotDocument {
	in := t.input
	d := load.SnapshotDocument{
		TypeMeta:  metav1.TypeMeta{APIVersion: load.SnapshotAPIVersion, Kind: load.SnapshotKind},
		WrittenBy: t.opts.Version,
		Source:    load.FromCluster,
		Running:   t.recorder.runningGaps(),
		Istio:     load.SnapshotIstio{Version: in.IstioVersion, From: in.IstioVersionFrom, Revision: in.Revision},
		Secrets:   t.recorder.secretAnswers(), ConfigMaps: t.recorder.configMapAnswers(),
	}
	if in.Offline {
		d.Source = load.FromFiles
	}
	for _, r := range in.Remotes {
		d.Remotes = append(d.Remotes, r.Cluster)
	}
	for _, q := range t.typed {
		d.Requests = append(d.Requests, requestDocument(q))
		if token, err := trace.ParseJWT(q.JWT); q.JWT != "" && err == nil {
			if claims, err := json.Marshal(token.Claims); err == nil {
				d.Remarks = append(d.Remarks, fmt.Sprintf("the token of request %d has no signature, and these claims: %s", len(d.Requests), claims))
			}
		}
	}
	if in.MeshConfig != nil {
		if config, err := meshConfigText(in.MeshConfig); err == nil {
			d.MeshConfig = &load.SnapshotMeshConfig{From: load.NewSnapshotRef(in.MeshConfigRef), Config: config}
		}
	}
	if in.MeshNetworks != nil {
		if config, err := meshConfigText(in.MeshNetworks); err == nil {
			d.MeshNetworks = &load.SnapshotMeshConfig{From: load.NewSnapshotRef(in.MeshNetworksRef), Config: config}
		}
	}
	for _, g := range in.Gaps {
		d.Gaps = append(d.Gaps, load.NewSnapshotGap(g))
	}
	for _, n := range in.Notes {
		d.Notes = append(d.Notes, load.SnapshotNote{SnapshotRef: load.NewSnapshotRef(n.Ref), Message: n.Message})
	}
	return d
}

// meshConfigText is what is read of a message, in YAML.
func meshConfigText(m proto.Message) (string, error) {
	out, _, err := reducedMessage(m)
	if err != nil {
		return "", err
	}
	if mesh, ok := m.(*meshconfig.MeshConfig); ok {
		if fields, ok := out.(tree); ok { // on by default, so that off alone says something
			delete(fields, "enableTracing")
			if !mesh.GetEnableTracing() {
				fields["enableTracing"] = false
			}
		}
	}
	data, err := yaml.Marshal(out)
	return string(data), err
}

func requestDocument(q trace.Typed) load.SnapshotRequest {
	return load.SnapshotRequest{
		Command: q.Command("-f", "FILE"), URL: q.URL, Namespace: q.Namespace, From: q.From, Gateway: q.Gateway, Method: q.Method, Headers: q.Headers,
		SourceIP: q.SourceIP, SNI: q.SNI, ClientCert: q.ClientCert, Claims: q.Claims, JWT: q.JWT,
	}
}

// sortObjects orders objects by namespace, kind and name.
func sortObjects(objects []tree) {
	slices.SortStableFunc(objects, func(a, b tree) int {
		return cmp.Or(cmp.Compare(namespaceOf(a), namespaceOf(b)), cmp.Compare(kindOf(a).Kind, kindOf(b).Kind),
			cmp.Compare(kindOf(a).Group, kindOf(b).Group), cmp.Compare(nameOf(a), nameOf(b)))
	})
}

func kindOf(o tree) schema.GroupKind {
	version, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	gv, _ := schema.ParseGroupVersion(version)
	return schema.GroupKind{Group: gv.Group, Kind: kind}
}

func nameOf(o tree) string      { return metaText(o, "name") }
func namespaceOf(o tree) string { return metaText(o, "namespace") }

func metaText(o tree, field string) string {
	meta, _ := o["metadata"].(tree)
	text, _ := meta[field].(string)
	return text
}

// YAML is the snapshot as one text of many documents.
func (s *Snapshot) YAML() ([]byte, error) {
	files, err := s.files(func(tree) string { return "" })
	if err != nil {
		return nil, err
	}
	return slices.Concat(files[snapshotFile], files[""]), nil
}

// snapshotFile is the file of the first document.
const snapshotFile = "snapshot.yaml"

// Files are the snapshot as files by name, one for each kind in each namespace: shop.virtualservices.networking.istio.io.yaml.
func (s *Snapshot) Files() (map[string][]byte, error) {
	return s.files(func(o tree) string {
		gk := kindOf(o)
		parts := []string{namespaceOf(o), load.Plural(gk), gk.Group, "yaml"}
		return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), ".")
	})
}

func (s *Snapshot) files(nameOf func(tree) string) (map[string][]byte, error) {
	head, err := yaml.Marshal(s.Document)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{snapshotFile: head}
	for _, o := range s.Objects {
		data, err := yaml.Marshal(o)
		if err != nil {
			return nil, err
		}
		out[nameOf(o)] = slices.Concat(out[nameOf(o)], []byte("---\n"), data)
	}
	return out, nil
}

// Kinds are how many objects of each kind there are, by kind.
func (s *Snapshot) Kinds() map[string]int {
	out := map[string]int{}
	for _, o := range s.Objects {
		out[kindOf(o).Kind]++
	}
	return out
}
