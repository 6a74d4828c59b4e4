package resolve

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/structpb"
)

// keptTypes are the types of configurations of which a trace reads more than that they are there.
var keptTypes = []string{
	typeRBAC, typeRBACPerRoute, typeFilterConfig, typeLocalRateLimit, typeHeaderMutation, typeFault, "udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct",
	"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
	"envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
}

// checkSettings is what a route tells an external authorizer.
const checkSettings = "check_settings"

// unreadOfPatches are fields of which nothing is read but that they are written: code, bodies and logs.
var unreadOfPatches = slices.Concat(
	[]string{"body", "body_format", "body_format_override", "inline_string", "inline_bytes", "inline_code", "metadata"},
	harmlessOfTCP, harmlessOfManagers,
)

// OnlyReadOfPatch takes out of the value of a patch what no trace reads of it, in place: the contents of configurations of other types,
// code, bodies and logs. What is left gives the same trace.
func OnlyReadOfPatch(value *structpb.Struct) {
	kind := typeName(value.GetFields()["@type"].GetStringValue())
	if of := typeName(value.GetFields()["type_url"].GetStringValue()); of != "" {
		kind = of
	}
	if kind != "" && !slices.Contains(keptTypes, kind) {
		maps.DeleteFunc(value.GetFields(), func(name string, field *structpb.Value) bool {
			_, flag := field.GetKind().(*structpb.Value_BoolValue)
			return name != "@type" && name != "type_url" && name != "disabled" && snakeCase(name) != checkSettings || name == "disabled" && !flag
		})
		for name := range value.GetFields() {
			if snakeCase(name) == checkSettings {
				value.Fields[name] = structpb.NewBoolValue(true) // that it is there
			}
		}
		return
	}
	for name, field := range value.GetFields() {
		if slices.Contains(unreadOfPatches, snakeCase(name)) && field.GetStringValue() == "" || slices.Contains([]string{"inline_string", "inline_bytes", "inline_code"}, snakeCase(name)) {
			value.Fields[name] = structpb.NewBoolValue(true)
			continue
		}
		onlyRead(field)
	}
}

func onlyRead(v *structpb.Value) {
	if s := v.GetStructValue(); s != nil {
		OnlyReadOfPatch(s)
	}
	for _, item := range v.GetListValue().GetValues() {
		onlyRead(item)
	}
}
