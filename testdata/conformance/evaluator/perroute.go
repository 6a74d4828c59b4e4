package evaluator

import (
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httpauthz "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	jwt "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	lua "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	httprbac "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// What a route, its virtual host or the route configuration configures of a filter.
//
//  1. The most specific counts alone. A FilterConfig stands for what is in it, or disables the filter.
//  2. A filter that is disabled in the chain runs where it is configured so.
//
// Source: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/http/http_filters, "Route specific config" and "Route based
// filter chain"; api-v3/config/route/v3/route_components.proto, FilterConfig.

// perRoute is a filter's configuration; nil without one, or where it is disabled.
func (x *exchange) perRoute(name string) *anypb.Any {
	config, _ := x.configured(name)
	return config
}

func (x *exchange) configured(name string) (config *anypb.Any, disabled bool) {
	for _, level := range []map[string]*anypb.Any{x.route.GetTypedPerFilterConfig(), x.host.GetTypedPerFilterConfig(), x.config.GetTypedPerFilterConfig()} {
		if config = level[name]; config != nil {
			break
		}
	}
	if wrapped, ok := unpack(config, &route.FilterConfig{}); ok {
		return wrapped.GetConfig(), wrapped.GetDisabled()
	}
	if c, ok := unpack(config, &httpauthz.ExtAuthzPerRoute{}); ok {
		return config, c.GetDisabled()
	}
	if c, ok := unpack(config, &jwt.PerRouteConfig{}); ok {
		return config, c.GetDisabled()
	}
	if c, ok := unpack(config, &lua.LuaPerRoute{}); ok {
		return config, c.GetDisabled()
	}
	return config, false
}

// runs reports whether a filter of the chain runs for the request: rule 2. Without a route nothing is configured.
func (x *exchange) runs(f *hcm.HttpFilter) bool {
	if x.route == nil {
		return !f.GetDisabled()
	}
	config, disabled := x.configured(f.GetName())
	if disabled {
		return false
	}
	return config != nil || !f.GetDisabled()
}

// rules are those of an RBAC filter.
func (x *exchange) rules(f *hcm.HttpFilter) (*httprbac.RBAC, bool) {
	if x.route != nil {
		if c, ok := unpack(x.perRoute(f.GetName()), &httprbac.RBACPerRoute{}); ok {
			return c.GetRbac(), true
		}
	}
	return unpack(f.GetTypedConfig(), &httprbac.RBAC{})
}
