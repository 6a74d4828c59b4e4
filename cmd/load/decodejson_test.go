package load

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"google.golang.org/protobuf/testing/protocmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Whatever stands in a manifest of the scenarios, both ways to decode it give the same.
func TestMessagesAreDecodedAsByTheTypesOfIstio(t *testing.T) {
	objects, quick := 0, 0
	eachScenarioObject(t, func(at string, item []byte, q listQuery) {
		objects++
		o := q.newItem()
		if !decodeMessages(item, o) {
			return
		}
		quick++
		want := q.newItem()
		if err := json.Unmarshal(item, want); err != nil {
			t.Errorf("%s: %s: istiod does not take it, and it is decoded: %v", at, item, err)
			return
		}
		for _, each := range []resolve.Object{o, want} {
			each.GetObjectKind().SetGroupVersionKind(typeOf(q.servedKind))
		}
		if diff := cmp.Diff(want, o, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s:\n%s", at, item, diff)
		}
	})
	if quick < objects*9/10 || objects < 500 {
		t.Errorf("of %d objects %d are decoded by protojson", objects, quick)
	}
}

// What protojson does not take is decoded as Istio's types do it, or is an error of theirs.
func TestMessagesThatProtojsonRefusesAreLeftToTheTypesOfIstio(t *testing.T) {
	services := listQuery{servedKind: servedAs(t, "VirtualService")}
	for name, c := range map[string]struct {
		spec string
		err  bool
	}{
		"unknown field":           {spec: `{"hosts":["a"],"nonsense":1}`},
		"duration in minutes":     {spec: `{"hosts":["a"],"http":[{"timeout":"1m"}]}`},
		"null":                    {spec: `null`},
		"a number where a string": {spec: `{"hosts":[1]}`, err: true},
	} {
		t.Run(name, func(t *testing.T) {
			item := []byte(`{"metadata":{"name":"a"},"spec":` + c.spec + `}`)
			want := services.newItem()
			wantErr := json.Unmarshal(item, want)
			got, err := services.decodeJSON(item)
			if (err != nil) != c.err || (wantErr != nil) != c.err {
				t.Fatalf("errors %v and %v", err, wantErr)
			}
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" && !c.err {
				t.Error(diff)
			}
		})
	}
}

func TestManagedFieldsAreNotDecoded(t *testing.T) {
	item := []byte(`{"metadata":{"name":"a","labels":{"b":"c"},"managedFields":[{"manager":"kubectl","fieldsV1":{"f:spec":{}}}]},"spec":{"hosts":["a"]}}`)
	got, err := listQuery{servedKind: servedAs(t, "VirtualService")}.decodeJSON(item)
	if err != nil || got.GetName() != "a" || got.GetLabels()["b"] != "c" || got.GetManagedFields() != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func servedAs(t *testing.T, name string) servedKind {
	t.Helper()
	for _, k := range kinds {
		if k.kind == name {
			return servedKind{kind: k, version: k.versions[0], plural: k.plural}
		}
	}
	t.Fatalf("no kind %s", name)
	return servedKind{}
}

// eachScenarioObject hands over the objects of Istio's kinds in all scenarios, as JSON.
func eachScenarioObject(t *testing.T, each func(at string, item []byte, q listQuery)) {
	t.Helper()
	err := filepath.WalkDir("../../testdata/scenarios", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".txtar") {
			return err
		}
		archive, err := txtar.ParseFile(path)
		if err != nil {
			return err
		}
		for _, f := range archive.Files {
			if !strings.HasSuffix(f.Name, ".yaml") {
				continue
			}
			for _, doc := range bytes.Split(f.Data, []byte("\n---\n")) {
				item, err := yaml.YAMLToJSON(doc)
				var head metav1.TypeMeta
				if err != nil || json.Unmarshal(item, &head) != nil {
					continue // a scenario about what is no manifest
				}
				gvk := head.GroupVersionKind()
				if k, ok := kindOf(gvk.GroupKind()); ok && k.read() && strings.HasSuffix(gvk.Group, "istio.io") {
					each(path, item, listQuery{servedKind: servedKind{kind: k, version: gvk.Version, plural: k.plural}})
				}
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}
