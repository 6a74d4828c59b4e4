package load

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// message fills a protobuf message from a node, as Istio's resources are read:
//
//  1. Fields are written as in the CRD, in lower camel case. Istio's own reader
//     takes proto's names (match_labels) as well; they are taken with a note, since an API server drops them.
//  2. Of the fields of a oneof only one may be written.
//  3. Enums are their names. Durations are Go's ("1m30s"), as Istio's reader and the CRD's rule have it.
//  4. Wrapped scalars are plain scalars; Struct and Value take anything.
//
// Source: istio.io/api, the UnmarshalJSON methods; the CRDs' schemas.
func (d *decoder) message(n *yaml.Node, m protoreflect.Message) {
	if d.wellKnown(n, m) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.expected(n, "an object")
		return
	}
	fields := m.Descriptor().Fields()
	var oneofs []oneofField
	pairs := d.pairs(n)
	defer d.release(pairs)
	for _, p := range pairs {
		if d.enter(p.key, p.name) {
			field := fields.ByJSONName(p.name)
			if field == nil {
				field = fields.ByTextName(p.name)
				if field != nil && !d.loose {
					d.notes = append(d.notes, fmt.Sprintf("%s is read as %s; an API server would drop it", d.field(), field.JSONName()))
				}
			}
			switch {
			case field == nil:
				d.unknownField(p, protoNames(fields))
			case isNull(p.value):
			case d.oneofFree(&oneofs, field, p):
				d.protoField(p.value, m, field)
			}
		}
		d.leave()
	}
}

// oneofField is the field of a oneof that is written.
type oneofField struct {
	oneof protoreflect.OneofDescriptor
	pair
}

// oneofFree reports whether no other field of the field's oneof is written.
func (d *decoder) oneofFree(taken *[]oneofField, field protoreflect.FieldDescriptor, p pair) bool {
	oneof := field.ContainingOneof()
	if oneof == nil || oneof.IsSynthetic() {
		return true
	}
	for _, first := range *taken {
		if first.oneof == oneof {
			d.fail(p.key, "%q and %q exclude each other; %q is on line %d", first.name, p.name, first.name, d.doc.at(first.key))
			return false
		}
	}
	*taken = append(*taken, oneofField{oneof, p})
	return true
}

func protoNames(fields protoreflect.FieldDescriptors) []string {
	names := make([]string, fields.Len())
	for i := range names {
		names[i] = fields.Get(i).JSONName()
	}
	slices.Sort(names)
	return names
}

func (d *decoder) protoField(n *yaml.Node, m protoreflect.Message, field protoreflect.FieldDescriptor) {
	switch {
	case field.IsMap():
		d.protoMap(n, m.Mutable(field).Map(), field)
	case field.IsList():
		d.protoList(n, m.Mutable(field).List(), field)
	case field.Message() != nil:
		d.message(n, m.Mutable(field).Message())
	default:
		if v, ok := d.protoScalar(n, field); ok {
			m.Set(field, v)
		}
	}
}

func (d *decoder) protoList(n *yaml.Node, list protoreflect.List, field protoreflect.FieldDescriptor) {
	if n.Kind != yaml.SequenceNode {
		d.expected(n, "a list")
		return
	}
	for i, element := range n.Content {
		element = follow(element)
		if d.enterIndex(element, i) {
			switch {
			case isNull(element) && !isValue(field.Message()):
				d.fail(element, "expected an element of the list, got nothing")
			case field.Message() != nil:
				v := list.NewElement()
				d.message(element, v.Message())
				list.Append(v)
			default:
				if v, ok := d.protoScalar(element, field); ok {
					list.Append(v)
				}
			}
		}
		d.leave()
	}
}

func (d *decoder) protoMap(n *yaml.Node, m protoreflect.Map, field protoreflect.FieldDescriptor) {
	if n.Kind != yaml.MappingNode {
		d.expected(n, "an object")
		return
	}
	pairs := d.pairs(n)
	defer d.release(pairs)
	for _, p := range pairs {
		if d.enterKey(p.key, p.name) {
			d.protoMapEntry(p, m, field)
		}
		d.leave()
	}
}

func (d *decoder) protoMapEntry(p pair, m protoreflect.Map, field protoreflect.FieldDescriptor) {
	key, ok := d.protoKey(p, field.MapKey())
	if !ok || isNull(p.value) && !isValue(field.MapValue().Message()) {
		return
	}
	if field.MapValue().Message() != nil {
		v := m.NewValue()
		d.message(p.value, v.Message())
		m.Set(key, v)
		return
	}
	if v, ok := d.protoScalar(p.value, field.MapValue()); ok {
		m.Set(key, v)
	}
}

func (d *decoder) protoKey(p pair, field protoreflect.FieldDescriptor) (protoreflect.MapKey, bool) {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(p.name).MapKey(), true
	case protoreflect.Uint32Kind:
		if u, err := strconv.ParseUint(p.name, 10, 32); err == nil {
			return protoreflect.ValueOfUint32(uint32(u)).MapKey(), true
		}
	case protoreflect.Int32Kind:
		if i, err := strconv.ParseInt(p.name, 10, 32); err == nil {
			return protoreflect.ValueOfInt32(int32(i)).MapKey(), true
		}
	default:
	}
	d.fail(p.key, "expected a number as the key, got %q", p.name)
	return protoreflect.MapKey{}, false
}

func (d *decoder) protoScalar(n *yaml.Node, field protoreflect.FieldDescriptor) (protoreflect.Value, bool) {
	scalar := n.Kind == yaml.ScalarNode
	switch field.Kind() {
	case protoreflect.StringKind:
		if scalar && scalarOf(n) == scalarString {
			return protoreflect.ValueOfString(n.Value), true
		}
		d.expected(n, "a string")
	case protoreflect.BytesKind:
		if scalar {
			b, ok := d.bytes(n)
			return protoreflect.ValueOfBytes(b), ok
		}
		d.expected(n, "base64")
	case protoreflect.BoolKind:
		if scalar && scalarOf(n) == scalarBool {
			return protoreflect.ValueOfBool(boolOf(n)), true
		}
		d.expected(n, "true or false")
	case protoreflect.EnumKind:
		return d.protoEnum(n, field.Enum())
	case protoreflect.FloatKind:
		f, ok := d.float(n)
		return protoreflect.ValueOfFloat32(float32(f)), ok
	case protoreflect.DoubleKind:
		f, ok := d.float(n)
		return protoreflect.ValueOfFloat64(f), ok
	default:
		return d.protoInteger(n, field.Kind())
	}
	return protoreflect.Value{}, false
}

func (d *decoder) protoInteger(n *yaml.Node, kind protoreflect.Kind) (protoreflect.Value, bool) {
	switch kind {
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		if d.isNumber(n) {
			if u, ok := uintOf(n); ok {
				return protoreflect.ValueOfUint64(u), true
			}
		}
		d.expected(n, "a number of 0 or more")
		return protoreflect.Value{}, false
	default:
	}
	i, ok := d.number(n)
	if !ok {
		return protoreflect.Value{}, false
	}
	switch kind {
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(i), true
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		if i == int64(uint32(i)) {
			return protoreflect.ValueOfUint32(uint32(i)), true
		}
	default:
		if i == int64(int32(i)) {
			return protoreflect.ValueOfInt32(int32(i)), true
		}
	}
	d.fail(n, "%s is out of range", n.Value)
	return protoreflect.Value{}, false
}

func (d *decoder) protoEnum(n *yaml.Node, enum protoreflect.EnumDescriptor) (protoreflect.Value, bool) {
	values := enum.Values()
	if n.Kind == yaml.ScalarNode {
		if v := values.ByName(protoreflect.Name(n.Value)); v != nil {
			return protoreflect.ValueOfEnum(v.Number()), true
		}
		if i, ok := intOf(n); d.loose && ok && scalarOf(n) == scalarInt {
			return protoreflect.ValueOfEnum(protoreflect.EnumNumber(i)), true
		}
	}
	names := make([]string, values.Len())
	for i := range names {
		names[i] = string(values.Get(i).Name())
	}
	d.failEnum(n, names)
	return protoreflect.Value{}, false
}

func isValue(m protoreflect.MessageDescriptor) bool {
	return m != nil && m.FullName() == "google.protobuf.Value"
}

// wellKnown reads the messages that have a JSON form of their own.
func (d *decoder) wellKnown(n *yaml.Node, m protoreflect.Message) bool {
	name := m.Descriptor().FullName()
	if name.Parent() != "google.protobuf" {
		return false
	}
	switch name.Name() {
	case "Duration":
		duration, err := time.ParseDuration(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil {
			d.expected(n, "a duration like 1.5s or 2m")
			return true
		}
		proto := durationpb.New(duration).ProtoReflect()
		proto.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			m.Set(m.Descriptor().Fields().ByNumber(field.Number()), v)
			return true
		})
	case "BoolValue", "StringValue", "BytesValue", "Int32Value", "Int64Value", "UInt32Value", "UInt64Value", "FloatValue", "DoubleValue":
		field := m.Descriptor().Fields().ByName("value")
		if v, ok := d.protoScalar(n, field); ok {
			m.Set(field, v)
		}
	default:
		d.protoJSON(n, m)
	}
	return true
}

// protoJSON reads Struct, Value, Timestamp and their like from the JSON of the node.
func (d *decoder) protoJSON(n *yaml.Node, m protoreflect.Message) {
	before := len(d.problems)
	data, err := json.Marshal(d.any(n))
	if len(d.problems) > before {
		return
	}
	if err == nil {
		err = protojson.Unmarshal(data, m.Interface())
	}
	if err != nil {
		what := "an object"
		if m.Descriptor().Name() == "Timestamp" {
			what = "a time like 2006-01-02T15:04:05Z"
		}
		d.expected(n, what)
	}
}
