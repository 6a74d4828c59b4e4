package diff

import (
	"bytes"
	"encoding/json"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// ChangedObjects tells of the objects that configure the mesh and are not the same in both: on one side alone, or with other
// labels, annotations or fields. It is safe for concurrent use; what runs in the mesh is not looked at.
func ChangedObjects(before, after resolve.Input) func(resolve.Ref) bool {
	was, is := objects(before), objects(after)
	var mu sync.Mutex
	known := map[resolve.Ref]bool{}
	return func(ref resolve.Ref) bool {
		ref = ref.Object()
		mu.Lock()
		defer mu.Unlock()
		changed, asked := known[ref]
		if !asked {
			changed = !same(was[ref], is[ref])
			known[ref] = changed
		}
		return changed
	}
}

func objects(in resolve.Input) map[resolve.Ref]resolve.Object {
	out := make(map[resolve.Ref]resolve.Object, len(in.Resources))
	for _, r := range in.Resources {
		out[resolve.Ref{Group: r.GroupKind.Group, Kind: r.GroupKind.Kind, Namespace: r.Object.GetNamespace(), Name: r.Object.GetName()}] = r.Object
	}
	return out
}

func same(a, b resolve.Object) bool {
	if a == nil || b == nil || a == b {
		return a == b
	}
	return bytes.Equal(written(a), written(b))
}

// written is an object as a person writes it: without what a server adds.
func written(o resolve.Object) []byte {
	object, ok := o.DeepCopyObject().(resolve.Object)
	if !ok {
		return nil // an Object's copy is one
	}
	object.SetResourceVersion("")
	object.SetUID("")
	object.SetGeneration(0)
	object.SetCreationTimestamp(metav1.Time{})
	data, err := json.Marshal(object)
	if err != nil {
		return nil
	}
	return data
}
