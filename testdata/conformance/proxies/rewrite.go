package proxies

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// rewrite lets edit change a message and all within it, the outer first, also those that are packed.
func rewrite(m proto.Message, edit func(proto.Message)) {
	if packed, ok := m.(*anypb.Any); ok {
		inner, err := packed.UnmarshalNew()
		if err != nil {
			return // of a kind that only Istio's Envoy knows
		}
		rewrite(inner, edit)
		if text, err := (proto.MarshalOptions{Deterministic: true}).Marshal(inner); err == nil {
			packed.Value = text
		}
		return
	}
	edit(m)
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					rewrite(v.Message().Interface(), edit)
					return true
				})
			}
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				rewrite(v.List().Get(i).Message().Interface(), edit)
			}
		default:
			rewrite(v.Message().Interface(), edit)
		}
		return true
	})
}
