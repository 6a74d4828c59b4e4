package resolve

import (
	networking "istio.io/api/networking/v1alpha3"
	"k8s.io/utils/ptr"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Rules of GRPCRoutes are those of HTTPRoutes on the path /SERVICE/METHOD.
//
//  1. Service and method are an exact path; a service alone is the prefix "/SERVICE/"; a method alone is a
//     regex, which ranks behind every prefix. Regular expressions are put together in the same way.
//  2. No match of the method: any path.
//  3. There are filters for headers and mirrors; a mirror whose backend is not in order drops all rules.
//  4. Nothing asks whether the request is gRPC.
//
// Source: pilot/pkg/config/kube/gateway/conversion.go, convertGRPCRoute, createGRPCURIMatch.

func (s *Snapshot) convertGRPCRoute(o *k8sgateway.GRPCRoute, ref Ref, mesh bool) ruleSet {
	return convertRules(s, ref, mesh, o.Spec.Rules, func(c *ruleConversion, i int, rule k8sgateway.GRPCRouteRule, out *ruleSet) {
		splitByMatch(c, out, c.grpcRule(rule, i), rule.Matches, c.grpcMatch)
	})
}

func (c *ruleConversion) grpcRule(rule k8sgateway.GRPCRouteRule, i int) *networking.HTTPRoute {
	out := &networking.HTTPRoute{Name: c.ruleName(rule.Name, i)}
	c.sessions(rule.SessionPersistence)
	for j, f := range rule.Filters {
		if c.httpFilter(out, grpcFilter(f), c.at("filters[%d]", j)); c.refused != nil {
			return nil
		}
	}
	c.fields["route"] = c.at("backendRefs")
	var weight int32
	var several []backend
	for j, b := range rule.BackendRefs {
		weight += ptr.Deref(b.Weight, 1)
		one := backend{BackendRef: b.BackendRef, ref: c.at("backendRefs[%d]", j)}
		for _, f := range b.Filters {
			one.filters = append(one.filters, grpcFilter(f))
		}
		several = append(several, one)
	}
	if weight == 0 {
		out.DirectResponse = &networking.HTTPDirectResponse{Status: 500}
		c.fields["directResponse"] = c.at("backendRefs")
		return out
	}
	out.Route = c.destinations(several)
	return out
}

// grpcFilter is a GRPCRoute's filter as an HTTPRoute would have it; the types have the same names.
func grpcFilter(f k8sgateway.GRPCRouteFilter) k8sgateway.HTTPRouteFilter {
	out := k8sgateway.HTTPRouteFilter{Type: k8sgateway.HTTPRouteFilterType(f.Type)}
	switch f.Type {
	case k8sgateway.GRPCRouteFilterRequestHeaderModifier:
		out.RequestHeaderModifier = f.RequestHeaderModifier
	case k8sgateway.GRPCRouteFilterResponseHeaderModifier:
		out.ResponseHeaderModifier = f.ResponseHeaderModifier
	case k8sgateway.GRPCRouteFilterRequestMirror:
		out.RequestMirror = f.RequestMirror
	case k8sgateway.GRPCRouteFilterExtensionRef:
		out.ExtensionRef = f.ExtensionRef
	}
	return out
}

// grpcMatch is steps 1 and 2.
func (c *ruleConversion) grpcMatch(m k8sgateway.GRPCRouteMatch, ref Ref) (*networking.HTTPMatchRequest, writtenAs) {
	at := func(field string) Ref { return ref.At(ref.Field + "." + field) }
	clauses := writtenAs{"uri": at("method")}
	out := &networking.HTTPMatchRequest{Uri: c.grpcPath(m.Method, at("method"))}
	for i, h := range m.Headers {
		c.named(&out.Headers, clauses, "headers", string(h.Name), string(ptr.Deref(h.Type, k8sgateway.GRPCHeaderMatchExact)), h.Value, at(pathIndex("headers", i)))
	}
	return out, clauses
}

func (c *ruleConversion) grpcPath(m *k8sgateway.GRPCMethodMatch, ref Ref) *networking.StringMatch {
	if m == nil {
		return nil
	}
	service, method := ptr.Deref(m.Service, ""), ptr.Deref(m.Method, "")
	switch how := ptr.Deref(m.Type, k8sgateway.GRPCMethodMatchExact); {
	case m.Service == nil && m.Method == nil:
		c.refuse(RuleKubeRouteMatchType, ref, "a match without service and method")
	case how != k8sgateway.GRPCMethodMatchExact && how != k8sgateway.GRPCMethodMatchRegularExpression:
		c.refuse(RuleKubeRouteMatchType, ref.At(ref.Field+".type"), string(how))
	case m.Service == nil:
		return regexMatch("/[^/]+/" + method)
	case how == k8sgateway.GRPCMethodMatchRegularExpression && m.Method == nil:
		return regexMatch("/" + service + "/.+")
	case how == k8sgateway.GRPCMethodMatchRegularExpression:
		return regexMatch("/" + service + "/" + method)
	case m.Method == nil:
		return prefixMatch("/" + service + "/")
	default:
		return exactMatch("/" + service + "/" + method)
	}
	return nil
}
