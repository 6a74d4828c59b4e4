package snapshot

import (
	"encoding/json"
	"reflect"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// tree is an object as JSON has it.
type tree = map[string]any

// reduced is the object as it is written.
//
//  1. The metadata are those of metadata.go.
//  2. Of every other part the fields that a trace reads (read.go).
//  3. Of a field that is read for one thing that is in it, that one thing (only).
//  4. A Secret is its type, a ConfigMap whether it holds a certificate, and the digests of root certificates, a kind that is not read its name.
func reduced(r resolve.Sourced) (tree, error) {
	out := tree{"apiVersion": load.APIVersion(r.GroupKind, apiVersionOf(r.Object)), "kind": r.GroupKind.Kind, "metadata": metadata(r.Object)}
	switch o := r.Object.(type) {
	case *metav1.PartialObjectMetadata:
		return out, nil
	case *corev1.Secret:
		out["type"] = string(o.Type)
		return out, nil
	case *corev1.ConfigMap:
		m, data := resolve.ConfigMapOf(o), tree{}
		if text := load.AuthorityPlaceholders[authorityOf(m)]; text != "" {
			data["cacert"] = text
		}
		if len(m.Roots) > 0 {
			data[resolve.RootCertificateKey] = strings.Join(m.Roots, "\n")
		}
		if len(data) > 0 {
			out["data"] = data
		}
		return out, nil
	}
	v := reflect.ValueOf(r.Object).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous || !reads(v.Type(), field.Name) {
			continue
		}
		value, ok, err := reducedValue(v.Field(i), false)
		if err != nil {
			return nil, err
		}
		if ok {
			out[jsonName(field)] = value
		}
	}
	return out, nil
}

func apiVersionOf(o resolve.Object) string {
	return o.GetObjectKind().GroupVersionKind().GroupVersion().String()
}

func jsonName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	if name == "" {
		return field.Name
	}
	return name
}

var jsonMarshaler = reflect.TypeFor[json.Marshaler]()

// reducedValue is a value with what is read of it; false where it is not set. optional is set for what a pointer leads
// to, where an empty value says something.
func reducedValue(v reflect.Value, optional bool) (out any, set bool, err error) {
	if only, ok := only(v); ok {
		v = only
	}
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil, false, nil
		}
		if m, ok := v.Interface().(proto.Message); ok {
			return reducedMessage(m)
		}
		return reducedValue(v.Elem(), true)
	}
	if v.CanAddr() {
		if m, ok := v.Addr().Interface().(proto.Message); ok {
			out, _, err := reducedMessage(m)
			return out, optional || !isEmpty(out), err
		}
	}
	switch {
	case v.Type().Implements(jsonMarshaler) || reflect.PointerTo(v.Type()).Implements(jsonMarshaler):
		return encoded(v.Interface(), optional || !v.IsZero())
	case v.Kind() == reflect.Struct && isAPI(v.Type().PkgPath()):
		return reducedStruct(v, optional)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		return reducedList(v)
	case v.Kind() == reflect.Map:
		return reducedMap(v)
	}
	return encoded(v.Interface(), optional || !v.IsZero())
}

func isEmpty(out any) bool {
	m, ok := out.(tree)
	return ok && len(m) == 0
}

func reducedStruct(v reflect.Value, optional bool) (any, bool, error) {
	out := tree{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Type == reflect.TypeFor[metav1.ObjectMeta]():
			meta, _ := v.Field(i).Interface().(metav1.ObjectMeta)
			if m := metadata(&meta); len(m) > 0 {
				out["metadata"] = m
			}
			continue
		case field.Anonymous && name == "" || strings.Contains(options, "inline"):
			inner, _, err := reducedValue(v.Field(i), false)
			if err != nil {
				return nil, false, err
			}
			if m, ok := inner.(tree); ok {
				for k, value := range m {
					out[k] = value
				}
			}
			continue
		case !reads(v.Type(), field.Name):
			continue
		}
		value, set, err := reducedValue(v.Field(i), false)
		if err != nil {
			return nil, false, err
		}
		if set {
			out[jsonName(field)] = value
		}
	}
	return out, optional || len(out) > 0, nil
}

func reducedList(v reflect.Value) (any, bool, error) {
	out := make([]any, 0, v.Len())
	for i := range v.Len() {
		value, _, err := reducedValue(v.Index(i), true)
		if err != nil {
			return nil, false, err
		}
		out = append(out, value)
	}
	return out, !v.IsNil(), nil
}

func reducedMap(v reflect.Value) (any, bool, error) {
	out := tree{}
	for _, key := range v.MapKeys() {
		value, _, err := reducedValue(v.MapIndex(key), true)
		if err != nil {
			return nil, false, err
		}
		out[key.String()] = value
	}
	return out, !v.IsNil(), nil
}

// encoded is a value that is kept whole.
func encoded(value any, set bool) (any, bool, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, false, err
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, false, err
	}
	return out, set && out != nil, nil
}

// reducedMessage is a message of Istio's API with what is read of it.
func reducedMessage(m proto.Message) (any, bool, error) {
	if reflect.ValueOf(m).IsNil() {
		return nil, false, nil
	}
	m = proto.Clone(m)
	reduceMessage(m.ProtoReflect())
	data, err := protojson.Marshal(m)
	if err != nil {
		return nil, false, err
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, false, err
	}
	plainNumbers(m.ProtoReflect(), out)
	return out, true, nil
}

// plainNumbers writes as numbers the 64-bit ones that protojson quotes: manifests have them so.
func plainNumbers(m protoreflect.Message, out any) {
	fields, ok := out.(map[string]any)
	if !ok {
		return
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		at := fields[field.JSONName()]
		switch kind := field.Kind(); {
		case field.IsMap():
		case field.IsList() && kind == protoreflect.MessageKind:
			for i, one := range at.([]any) {
				plainNumbers(value.List().Get(i).Message(), one)
			}
		case field.IsList():
		case kind == protoreflect.MessageKind:
			plainNumbers(value.Message(), at)
		case kind == protoreflect.Int64Kind:
			fields[field.JSONName()] = value.Int()
		}
		return true
	})
}

// reduceMessage clears what is not read of the message.
func reduceMessage(m protoreflect.Message) {
	t := reflect.TypeOf(m.Interface()).Elem()
	if !isAPI(t.PkgPath()) {
		return // a duration, a wrapper: these are values
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if !readsMember(t, field) {
			m.Clear(field)
			return true
		}
		switch {
		case field.IsMap():
			if field.MapValue().Message() != nil {
				value.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { reduceMessage(v.Message()); return true })
			}
		case field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				reduceMessage(value.List().Get(i).Message())
			}
		default:
			reduceMessage(value.Message())
		}
		return true
	})
	onlyOfMessage(m.Interface())
}

// readsMember reports whether a trace reads the field: by its name, by the one of a choice, or in the type that a choice has
// for it.
func readsMember(t reflect.Type, field protoreflect.FieldDescriptor) bool {
	name := goName(string(field.Name()))
	if reads(t, name) || reads(t, name+"_") { // a name that is a method's, too
		return true
	}
	choice := field.ContainingOneof()
	return choice != nil && (reads(t, goName(string(choice.Name()))) && readFields()[t.PkgPath()+"."+t.Name()+"_"+name][name])
}

// goName is the name that a field has in Go (google.golang.org/protobuf, compiler/protogen).
func goName(name string) string {
	var b strings.Builder
	upper := true
	for i := range len(name) {
		c := name[i]
		if c == '_' && i+1 < len(name) && isLower(name[i+1]) {
			upper = true
			continue
		}
		if upper && isLower(c) {
			c -= 'a' - 'A'
		}
		upper = c >= '0' && c <= '9'
		b.WriteByte(c)
	}
	return b.String()
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

// authorityOf is what a ConfigMap holds.
func authorityOf(m resolve.ConfigMap) string {
	switch {
	case m.Authority == "":
		return load.AuthorityNone
	case resolve.IsCertificate(m.Authority):
		return load.AuthorityCertificate
	}
	return load.AuthorityMalformed
}
