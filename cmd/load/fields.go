package load

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	corev1 "k8s.io/api/core/v1"
	networkingk8s "k8s.io/api/networking/v1"
	inference "sigs.k8s.io/gateway-api-inference-extension/api/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// structFields are the JSON fields of a Go type.
type structFields struct {
	// names are in the type's own order, which is that of its documentation.
	names []string
	index map[string][]int
}

// typeFacts are what decoding asks of a Go type.
type typeFacts struct {
	// proto is set for protobuf messages, ownJSON for types that read their JSON themselves.
	proto, ownJSON bool
	// fields are those of a struct.
	fields *structFields
}

// typeCache keeps the facts of the types that were met. It belongs to one decoder: looking a type up needs no lock.
type typeCache map[reflect.Type]*typeFacts

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	protoMessage    = reflect.TypeFor[protoreflect.ProtoMessage]()
)

func (c *typeCache) of(t reflect.Type) *typeFacts {
	if f, ok := (*c)[t]; ok {
		return f
	}
	f := &typeFacts{}
	if t.Kind() != reflect.Pointer {
		pointer := reflect.PointerTo(t)
		f.proto = pointer.Implements(protoMessage)
		f.ownJSON = !f.proto && pointer.Implements(jsonUnmarshaler)
	}
	if t.Kind() == reflect.Struct {
		f.fields = fieldsOf(t)
	}
	if *c == nil {
		*c = typeCache{}
	}
	(*c)[t] = f
	return f
}

// fieldsOf returns the JSON fields of a struct type.
func fieldsOf(t reflect.Type) *structFields {
	f := &structFields{index: map[string][]int{}}
	f.add(t, nil)
	return f
}

func (f *structFields) add(t reflect.Type, at []int) {
	for i := range t.NumField() {
		field := t.Field(i)
		tag := field.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		index := append(slices.Clone(at), i)
		inline := field.Anonymous && name == "" || slices.Contains(strings.Split(options, ","), "inline")
		switch {
		case name == "-" || !field.IsExported() && !field.Anonymous:
		case inline && field.Type.Kind() == reflect.Struct:
			f.add(field.Type, index)
		default:
			if name == "" {
				name = field.Name
			}
			if _, taken := f.index[name]; !taken {
				f.names = append(f.names, name)
				f.index[name] = index
			}
		}
	}
}

// enums are the string types whose values an API server checks against a closed
// list and that can change a trace. (Go's types do not carry these lists.)
var enums = map[reflect.Type][]string{
	reflect.TypeFor[corev1.ServiceType]():                       {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"},
	reflect.TypeFor[corev1.Protocol]():                          {"TCP", "UDP", "SCTP"},
	reflect.TypeFor[corev1.ServiceInternalTrafficPolicy]():      {"Cluster", "Local"},
	reflect.TypeFor[corev1.ServiceExternalTrafficPolicy]():      {"Cluster", "Local"},
	reflect.TypeFor[corev1.ServiceAffinity]():                   {"None", "ClientIP"},
	reflect.TypeFor[networkingk8s.PathType]():                   {"Exact", "Prefix", "ImplementationSpecific"},
	reflect.TypeFor[k8sgateway.PathMatchType]():                 {"Exact", "PathPrefix", "RegularExpression"},
	reflect.TypeFor[k8sgateway.HeaderMatchType]():               {"Exact", "RegularExpression"},
	reflect.TypeFor[k8sgateway.QueryParamMatchType]():           {"Exact", "RegularExpression"},
	reflect.TypeFor[k8sgateway.GRPCMethodMatchType]():           {"Exact", "RegularExpression"},
	reflect.TypeFor[k8sgateway.HTTPPathModifierType]():          {"ReplaceFullPath", "ReplacePrefixMatch"},
	reflect.TypeFor[k8sgateway.HTTPMethod]():                    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"},
	reflect.TypeFor[k8sgateway.TLSModeType]():                   {"Terminate", "Passthrough"},
	reflect.TypeFor[k8sgateway.FromNamespaces]():                {"All", "Selector", "Same", "None"},
	reflect.TypeFor[k8sgateway.GRPCHeaderMatchType]():           {"Exact", "RegularExpression"},
	reflect.TypeFor[k8sgateway.FrontendValidationModeType]():    {"AllowValidOnly", "AllowInsecureFallback"},
	reflect.TypeFor[k8sgateway.SubjectAltNameType]():            {"Hostname", "URI"},
	reflect.TypeFor[k8sgateway.GatewayDefaultScope]():           {"All", "None"},
	reflect.TypeFor[k8sgateway.SessionPersistenceType]():        {"Cookie", "Header"},
	reflect.TypeFor[k8sgateway.CookieLifetimeType]():            {"Permanent", "Session"},
	reflect.TypeFor[k8sgateway.HTTPRouteExternalAuthProtocol](): {"HTTP", "GRPC"},
	reflect.TypeFor[inference.AppProtocol]():                    {"http", "kubernetes.io/h2c"},
	reflect.TypeFor[inference.EndpointPickerFailureMode]():      {"FailOpen", "FailClose"},
	reflect.TypeFor[k8sgateway.HTTPMethodWithWildcard]():        {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*"},
	reflect.TypeFor[k8sgateway.HTTPRouteFilterType](): {
		"RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "RequestRedirect", "URLRewrite", "ExtensionRef", "CORS", "ExternalAuth",
	},
	reflect.TypeFor[k8sgateway.GRPCRouteFilterType](): {
		"RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef",
	},
}

// enumOf returns the closed list of a string type's values; nil where any value is allowed.
func enumOf(t reflect.Type) []string { return enums[t] }
