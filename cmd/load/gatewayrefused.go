package load

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// What an API server refuses of a Gateway API object, though its fields are known and of the right types. Such an
// object is traced as it is written, with a note: in a cluster it would not exist.
//
//  1. Hostnames are lower case DNS names, "*." before them or not; a TLSRoute has at least one.
//  2. A listener has a name of its own, a protocol, and tls and hostname only as its protocol allows; no two
//     have port, protocol and hostname in common.
//  3. A backend that is a Service has a port.
//  4. A filter has the field of its type and no other, and most types come once in a list.
//  5. A redirect stands neither beside backends nor beside a rewrite, and has one of five codes.
//  6. A path that is exact or a prefix is absolute, without empty or dot segments.
//  7. A path modifier has the value of its type; one that replaces the prefix needs one match, of a prefix.
//
// The rules about numbers of entries, header names and parents that are listed twice are left to the API server.
//
// Source: sigs.k8s.io/gateway-api, config/crd: patterns, required and x-kubernetes-validations.
func refusedBySchema(object resolve.Object) []string {
	var r refusals
	switch o := object.(type) {
	case *k8sgateway.Gateway:
		r.gateway(&o.Spec)
	case *k8sgateway.ListenerSet:
		listeners := make([]k8sgateway.Listener, len(o.Spec.Listeners))
		for i, l := range o.Spec.Listeners {
			listeners[i] = k8sgateway.Listener{Name: l.Name, Hostname: l.Hostname, Port: l.Port, Protocol: l.Protocol, TLS: l.TLS}
		}
		r.listeners(listeners)
	case *k8sgateway.HTTPRoute:
		r.httpRoute(&o.Spec)
	case *k8sgateway.GRPCRoute:
		r.grpcRoute(&o.Spec)
	case *k8sgateway.TLSRoute:
		if len(o.Spec.Hostnames) == 0 {
			r.say("a TLSRoute needs a hostname", "spec.hostnames")
		}
		r.hostnames(o.Spec.Hostnames)
		for i, rule := range o.Spec.Rules {
			r.backends(rule.BackendRefs, i)
		}
	case *k8sgateway.TCPRoute:
		for i, rule := range o.Spec.Rules {
			r.backends(rule.BackendRefs, i)
		}
	}
	return r.found
}

// refusals are the rules that an object breaks, each with the field that does.
type refusals struct{ found []string }

func (r *refusals) say(what, field string, at ...any) {
	r.found = append(r.found, fmt.Sprintf(field, at...)+": an API server refuses this: "+what)
}

var hostnamePattern = regexp.MustCompile(`^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func (r *refusals) hostnames(names []k8sgateway.Hostname) {
	for i, name := range names {
		r.hostname(&name, "spec.hostnames[%d]", i)
	}
}

func (r *refusals) hostname(name *k8sgateway.Hostname, field string, at ...any) {
	if name != nil && *name != "" && !hostnamePattern.MatchString(string(*name)) {
		r.say(fmt.Sprintf("%q is no hostname: expected lower case letters, digits, - and ., with *. before them or not", *name), field, at...)
	}
}

func (r *refusals) backends(refs []k8sgateway.BackendRef, rule int) {
	for i := range refs {
		r.backend(&refs[i].BackendObjectReference, "spec.rules[%d].backendRefs[%d]", rule, i)
	}
}

func (r *refusals) backend(ref *k8sgateway.BackendObjectReference, field string, at ...any) {
	if *ref.Group == "" && *ref.Kind == "Service" && ref.Port == nil {
		r.say("a Service as a backend needs a port", field, at...)
	}
}

func (r *refusals) grpcRoute(spec *k8sgateway.GRPCRouteSpec) {
	r.hostnames(spec.Hostnames)
	for i := range spec.Rules {
		rule := &spec.Rules[i]
		for j, m := range rule.Matches {
			if m.Method != nil && m.Method.Service == nil && m.Method.Method == nil {
				r.say("a method match needs service or method", "spec.rules[%d].matches[%d].method", i, j)
			}
		}
		for j := range rule.BackendRefs {
			r.backend(&rule.BackendRefs[j].BackendObjectReference, "spec.rules[%d].backendRefs[%d]", i, j)
			r.grpcFilters(rule.BackendRefs[j].Filters, "spec.rules[%d].backendRefs[%d].", i, j)
		}
		r.grpcFilters(rule.Filters, "spec.rules[%d].", i)
	}
}

func (r *refusals) grpcFilters(filters []k8sgateway.GRPCRouteFilter, field string, at ...any) {
	var types []string
	for i := range filters {
		f := &filters[i]
		types = append(types, string(f.Type))
		r.filter(types, []union{
			{string(k8sgateway.GRPCRouteFilterRequestHeaderModifier), "requestHeaderModifier", f.RequestHeaderModifier != nil},
			{string(k8sgateway.GRPCRouteFilterResponseHeaderModifier), "responseHeaderModifier", f.ResponseHeaderModifier != nil},
			{string(k8sgateway.GRPCRouteFilterRequestMirror), "requestMirror", f.RequestMirror != nil},
			{string(k8sgateway.GRPCRouteFilterExtensionRef), "extensionRef", f.ExtensionRef != nil},
		}, field+"filters[%d]", append(slices.Clone(at), i)...)
		if f.RequestMirror != nil {
			r.backend(&f.RequestMirror.BackendRef, field+"filters[%d].requestMirror.backendRef", append(slices.Clone(at), i)...)
		}
	}
}

// union is one field of a type that has exactly one of several.
type union struct {
	typ, field string
	set        bool
}

// filter holds a filter to rule 4; types are those of the list so far, this one's last.
func (r *refusals) filter(types []string, fields []union, field string, at ...any) {
	own := types[len(types)-1]
	for _, u := range fields {
		if u.set != (u.typ == own) {
			r.say(fmt.Sprintf("a filter of type %s has %s and nothing else", own, fieldOf(fields, own)), field, at...)
			break
		}
	}
	repeatable := own == string(k8sgateway.HTTPRouteFilterRequestMirror) || own == string(k8sgateway.HTTPRouteFilterExtensionRef) ||
		own == string(k8sgateway.HTTPRouteFilterExternalAuth)
	if !repeatable && slices.Contains(types[:len(types)-1], own) {
		r.say(fmt.Sprintf("a second filter of type %s", own), field, at...)
	}
}

func fieldOf(fields []union, typ string) string {
	for _, u := range fields {
		if u.typ == typ {
			return u.field
		}
	}
	return "no field"
}

func (r *refusals) httpRoute(spec *k8sgateway.HTTPRouteSpec) {
	r.hostnames(spec.Hostnames)
	for i := range spec.Rules {
		rule := &spec.Rules[i]
		for j := range rule.Matches {
			r.pathMatch(rule.Matches[j].Path, i, j)
		}
		for j := range rule.BackendRefs {
			r.backend(&rule.BackendRefs[j].BackendObjectReference, "spec.rules[%d].backendRefs[%d]", i, j)
			r.httpFilters(rule.BackendRefs[j].Filters, rule.Matches, "spec.rules[%d].backendRefs[%d].", i, j)
		}
		r.httpFilters(rule.Filters, rule.Matches, "spec.rules[%d].", i)
		redirects := slices.ContainsFunc(rule.Filters, func(f k8sgateway.HTTPRouteFilter) bool { return f.RequestRedirect != nil })
		if redirects && len(rule.BackendRefs) > 0 {
			r.say("a rule with a redirect has no backends", "spec.rules[%d].backendRefs", i)
		}
		if t := rule.Timeouts; t != nil && t.Request != nil && t.BackendRequest != nil && longer(*t.BackendRequest, *t.Request) {
			r.say("backendRequest is longer than request", "spec.rules[%d].timeouts.backendRequest", i)
		}
	}
}

// longer reports whether a timeout is longer than another that ends at all.
func longer(a, b k8sgateway.Duration) bool {
	x, errX := time.ParseDuration(string(a))
	y, errY := time.ParseDuration(string(b))
	return errX == nil && errY == nil && y != 0 && x > y
}

var pathPattern = regexp.MustCompile(`^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$`)

func (r *refusals) pathMatch(path *k8sgateway.HTTPPathMatch, rule, match int) {
	if *path.Type == k8sgateway.PathMatchRegularExpression {
		return
	}
	value := *path.Value
	lower := strings.ToLower(value)
	bad := func(part string) bool { return strings.Contains(lower, part) }
	switch {
	case !strings.HasPrefix(value, "/"):
		r.say(fmt.Sprintf("%q does not begin with /", value), "spec.rules[%d].matches[%d].path.value", rule, match)
	case bad("//"), bad("/./"), bad("/../"), bad("%2f"), strings.HasSuffix(value, "/."), strings.HasSuffix(value, "/.."), !pathPattern.MatchString(value):
		r.say(fmt.Sprintf("%q has an empty segment, one of dots, or a character that a path has not", value), "spec.rules[%d].matches[%d].path.value", rule, match)
	}
}

func (r *refusals) httpFilters(filters []k8sgateway.HTTPRouteFilter, matches []k8sgateway.HTTPRouteMatch, field string, at ...any) {
	var types []string
	for i := range filters {
		f := &filters[i]
		here := append(slices.Clone(at), i)
		types = append(types, string(f.Type))
		r.filter(types, []union{
			{string(k8sgateway.HTTPRouteFilterRequestHeaderModifier), "requestHeaderModifier", f.RequestHeaderModifier != nil},
			{string(k8sgateway.HTTPRouteFilterResponseHeaderModifier), "responseHeaderModifier", f.ResponseHeaderModifier != nil},
			{string(k8sgateway.HTTPRouteFilterRequestMirror), "requestMirror", f.RequestMirror != nil},
			{string(k8sgateway.HTTPRouteFilterRequestRedirect), "requestRedirect", f.RequestRedirect != nil},
			{string(k8sgateway.HTTPRouteFilterURLRewrite), "urlRewrite", f.URLRewrite != nil},
			{string(k8sgateway.HTTPRouteFilterCORS), "cors", f.CORS != nil},
			{string(k8sgateway.HTTPRouteFilterExternalAuth), "externalAuth", f.ExternalAuth != nil},
			{string(k8sgateway.HTTPRouteFilterExtensionRef), "extensionRef", f.ExtensionRef != nil},
		}, field+"filters[%d]", here...)
		if f.RequestMirror != nil {
			r.backend(&f.RequestMirror.BackendRef, field+"filters[%d].requestMirror.backendRef", here...)
		}
		if f.URLRewrite != nil {
			r.pathModifier(f.URLRewrite.Path, matches, field+"filters[%d].urlRewrite.path", here...)
		}
		if f.RequestRedirect != nil {
			r.pathModifier(f.RequestRedirect.Path, matches, field+"filters[%d].requestRedirect.path", here...)
			r.redirect(f.RequestRedirect, field+"filters[%d].requestRedirect", here...)
		}
	}
	if slices.Contains(types, string(k8sgateway.HTTPRouteFilterRequestRedirect)) && slices.Contains(types, string(k8sgateway.HTTPRouteFilterURLRewrite)) {
		r.say("a redirect and a rewrite in one list", field+"filters", at...)
	}
}

func (r *refusals) redirect(f *k8sgateway.HTTPRequestRedirectFilter, field string, at ...any) {
	if !slices.Contains([]int{301, 302, 303, 307, 308}, *f.StatusCode) {
		r.say(fmt.Sprintf("%d is not one of 301, 302, 303, 307, 308", *f.StatusCode), field+".statusCode", at...)
	}
	if f.Scheme != nil && *f.Scheme != "http" && *f.Scheme != "https" {
		r.say(fmt.Sprintf("%q is neither http nor https", *f.Scheme), field+".scheme", at...)
	}
}

func (r *refusals) pathModifier(m *k8sgateway.HTTPPathModifier, matches []k8sgateway.HTTPRouteMatch, field string, at ...any) {
	if m == nil {
		return
	}
	full, prefix := m.Type == k8sgateway.FullPathHTTPPathModifier, m.Type == k8sgateway.PrefixMatchHTTPPathModifier
	if full != (m.ReplaceFullPath != nil) || prefix != (m.ReplacePrefixMatch != nil) {
		r.say("its value is not that of its type "+string(m.Type), field, at...)
		return
	}
	if prefix && (len(matches) != 1 || *matches[0].Path.Type != k8sgateway.PathMatchPathPrefix) {
		r.say("ReplacePrefixMatch needs exactly one match, of a path prefix", field, at...)
	}
}
