package evaluator

import (
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	httpauthz "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	mutation "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// HTTP filters that EnvoyFilters and extensions bring, whatever their name: the type of the configuration tells what they are.
//
//  1. RBAC and header mutations are played.
//  2. Code (Lua, Wasm) lets requests pass, and rate limits have a token left: what the tracer assumes comes true here.
//
// Source: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/http_filters.

// passing are types of rule 2, and those that never end a request.
var passing = []string{
	".lua.v3.Lua", ".local_ratelimit.v3.LocalRateLimit", ".ratelimit.v3.RateLimit", ".compressor.v3.Compressor", ".TypedStruct",
	".header_to_metadata.v3.Config", ".decompressor.v3.Decompressor", ".buffer.v3.Buffer",
}

// patched plays a filter that istiod does not make of itself. It reports whether the request goes on.
func (k *walk) patched(p *path, x *exchange, f *hcm.HttpFilter) bool {
	if f.GetConfigDiscovery() != nil {
		return true // Wasm
	}
	kind := f.GetTypedConfig().GetTypeUrl()
	for _, suffix := range passing {
		if strings.HasSuffix(kind, suffix) {
			return true
		}
	}
	switch {
	case strings.HasSuffix(kind, ".rbac.v3.RBAC"):
		return k.rbac(p, x, f)
	case strings.HasSuffix(kind, ".fault.v3.HTTPFault"):
		return k.faultFilter(p, x, f)
	case strings.HasSuffix(kind, ".cors.v3.Cors"):
		return k.cors(p, x, f)
	case strings.HasSuffix(kind, ".ext_authz.v3.ExtAuthz"):
		if c, ok := unpack(f.GetTypedConfig(), &httpauthz.ExtAuthz{}); ok {
			k.ask(p, x.visit, c.GetFilterEnabledMetadata(), 403)
			return true
		}
	case strings.HasSuffix(kind, ".header_mutation.v3.HeaderMutation"):
		if c, ok := unpack(f.GetTypedConfig(), &mutation.HeaderMutation{}); ok {
			for _, m := range c.GetMutations().GetRequestMutations() {
				if name := m.GetRemove(); name != "" {
					mutate(x.q, nil, []string{name})
				} else {
					mutate(x.q, []*core.HeaderValueOption{m.GetAppend()}, nil)
				}
			}
			return true
		}
	}
	k.unknown(p, "HTTP filter "+f.GetName())
	return false
}

// rbac plays an RBAC filter. It reports whether the request goes on.
func (k *walk) rbac(p *path, x *exchange, f *hcm.HttpFilter) bool {
	c, ok := x.rules(f)
	if !ok {
		k.unknown(p, "rbac")
		return false
	}
	about := facts{visit: x.visit, request: x.q, claims: x.claims, source: x.source, remote: x.remote}
	x.shadow(f.GetName(), c.GetShadowRules(), c.GetShadowRulesStatPrefix(), about)
	ok, details := allowed(c.GetRules(), about)
	if !ok {
		k.end(p, Outcome{Decision: Denied, Status: 403, Details: details})
	}
	return ok
}
