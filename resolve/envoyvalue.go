package resolve

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"google.golang.org/protobuf/types/known/structpb"
)

// envoyValue reads a piece of Envoy's configuration as a patch writes it: the JSON of a protobuf message, its fields in snake
// or in camel case. It notes which fields were asked for, so that what nobody asked for can be told as not read.
//
// A nil value has no fields.
type envoyValue struct {
	path   string
	fields map[string]*structpb.Value
	asked  map[string]bool
	within []*envoyValue
}

func newEnvoyValue(s *structpb.Struct, path string) *envoyValue {
	if s == nil {
		return nil
	}
	v := &envoyValue{path: path, fields: map[string]*structpb.Value{}, asked: map[string]bool{}}
	for name, value := range s.GetFields() {
		if value != nil {
			v.fields[snakeCase(name)] = value
		}
	}
	return v
}

// snakeCase is the name of a protobuf field that may be written in camel case. A name with an @ stays as it is.
func snakeCase(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func (v *envoyValue) take(name string) *structpb.Value {
	if v == nil {
		return nil
	}
	v.asked[name] = true
	return v.fields[name]
}

// has reports whether a field is written, and leaves it unread.
func (v *envoyValue) has(name string) bool {
	if v == nil {
		return false
	}
	_, ok := v.fields[name]
	return ok
}

// text is a string, or the name of an enum's value; "" if there is none.
func (v *envoyValue) text(name string) string { return v.take(name).GetStringValue() }

// number is a number, which JSON may also write as a string.
func (v *envoyValue) number(name string) (n float64, ok bool) {
	switch value := v.take(name).GetKind().(type) {
	case *structpb.Value_NumberValue:
		return value.NumberValue, true
	case *structpb.Value_StringValue:
		n, err := strconv.ParseFloat(value.StringValue, 64)
		return n, err == nil
	}
	return 0, false
}

func (v *envoyValue) flag(name string) (value, ok bool) {
	b, ok := v.take(name).GetKind().(*structpb.Value_BoolValue)
	return b != nil && b.BoolValue, ok
}

// object is a message; nil if there is none.
func (v *envoyValue) object(name string) *envoyValue {
	return v.keep(newEnvoyValue(v.take(name).GetStructValue(), v.at(name)))
}

// list are the messages of a list. What is no message stands as one without fields.
func (v *envoyValue) list(name string) []*envoyValue {
	var out []*envoyValue
	for i, item := range v.take(name).GetListValue().GetValues() {
		one := newEnvoyValue(item.GetStructValue(), v.at(name)+"["+strconv.Itoa(i)+"]")
		if one == nil {
			one = newEnvoyValue(&structpb.Struct{}, v.at(name))
		}
		out = append(out, v.keep(one))
	}
	return out
}

// texts are the strings of a list.
func (v *envoyValue) texts(name string) []string {
	var out []string
	for _, item := range v.take(name).GetListValue().GetValues() {
		out = append(out, item.GetStringValue())
	}
	return out
}

func (v *envoyValue) keep(one *envoyValue) *envoyValue {
	if one != nil {
		v.within = append(v.within, one)
	}
	return one
}

func (v *envoyValue) at(name string) string {
	if v == nil || v.path == "" {
		return name
	}
	return v.path + "." + name
}

// names are the fields that are written, in order, as read.
func (v *envoyValue) names() []string {
	if v == nil {
		return nil
	}
	out := sortedKeys(v.fields)
	for _, name := range out {
		v.asked[name] = true
	}
	return out
}

// done marks all of the value as read.
func (v *envoyValue) done() {
	if v != nil {
		v.names()
		v.within = nil
	}
}

// ignore marks fields as read that do not count.
func (v *envoyValue) ignore(names ...string) {
	for _, name := range names {
		v.take(name)
	}
}

// unread are the fields that nobody asked for, with those of the messages that were read, in order.
func (v *envoyValue) unread() []string {
	if v == nil {
		return nil
	}
	var out []string
	for name := range v.fields {
		if !v.asked[name] {
			out = append(out, v.at(name))
		}
	}
	for _, one := range v.within {
		out = append(out, one.unread()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// typedConfig is the configuration of a filter and the name of its type. A TypedStruct stands for what is in it.
func (v *envoyValue) typedConfig(name string) (config *envoyValue, kind string) {
	config = v.object(name)
	kind = typeName(config.text("@type"))
	if strings.HasSuffix(kind, ".TypedStruct") {
		kind = typeName(config.text("type_url"))
		if inner := config.object("value"); inner != nil {
			inner.ignore("@type")
			return inner, kind
		}
	}
	return config, kind
}

// typeName is the full name in the URL of a type.
func typeName(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }
