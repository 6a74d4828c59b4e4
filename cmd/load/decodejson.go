package load

import (
	stdjson "encoding/json"
	"reflect"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Custom resources come as JSON, and most of a large mesh are Istio's: spec and status of these are protobuf messages.
//
//  1. An object decodes as client-go would decode it. Istio's types bring a method for that, which is what istiod
//     reads with; it knows the fields of a message only after it has read each level anew.
//  2. So protojson reads a message, in a third of the time, wherever it takes it as it is. It is the stricter one: of an
//     unknown field or value, a duration in minutes, or null, it says no more than that, and the type's method decides.
//  3. managedFields, often the larger half of an object, are passed over.

// decodeJSON is an object of a list.
func (q listQuery) decodeJSON(item []byte) (resolve.Object, error) {
	if o := q.newItem(); decodeMessages(item, o) {
		return o, nil
	}
	o := q.newItem()
	return o, json.Unmarshal(item, o)
}

// itemParts are an object whose spec and status are messages.
type itemParts struct {
	Metadata struct {
		metav1.ObjectMeta
		ManagedFields passedOver `json:"managedFields"`
	} `json:"metadata"`
	Spec   stdjson.RawMessage `json:"spec"`
	Status stdjson.RawMessage `json:"status"`
}

// passedOver is a value that is not read.
type passedOver struct{}

// UnmarshalJSON is step 3.
func (*passedOver) UnmarshalJSON([]byte) error { return nil }

// decodeMessages is step 2; it reports whether the object has been decoded, and else leaves it half so.
func decodeMessages(item []byte, o resolve.Object) bool {
	fields := reflect.ValueOf(o).Elem()
	spec, ok := messageIn(fields, "Spec")
	if !ok {
		return false
	}
	status, ok := messageIn(fields, "Status")
	if !ok {
		return false
	}
	var parts itemParts
	if json.Unmarshal(item, &parts) != nil {
		return false
	}
	fields.FieldByName("ObjectMeta").Set(reflect.ValueOf(parts.Metadata.ObjectMeta))
	return taken(parts.Spec, spec) && taken(parts.Status, status)
}

func messageIn(object reflect.Value, name string) (proto.Message, bool) {
	field := object.FieldByName(name)
	if !field.IsValid() {
		return nil, false
	}
	m, ok := field.Addr().Interface().(proto.Message)
	return m, ok
}

// taken reports whether protojson takes the text as it is.
func taken(text []byte, m proto.Message) bool {
	return len(text) == 0 || protojson.Unmarshal(text, m) == nil
}
