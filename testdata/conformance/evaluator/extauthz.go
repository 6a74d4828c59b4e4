package evaluator

import (
	rbac "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// An external authorizer is asked where the filter is enabled, if need be by what an RBAC filter before it left: its
// shadow rules decide nothing, but the policy of theirs that matches stands in the dynamic metadata. The answer is no
// one's to know: the call goes on as if it were yes, and the refusal is an outcome of its own.
//
// Sources: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/rbac_filter, dynamic metadata;
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/http/ext_authz/v3/ext_authz.proto,
// filter_enabled_metadata; https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage, UAEX.

// shadow leaves the shadow rules' policy that matches.
func (v *visit) shadow(filter string, rules *rbac.RBAC, prefix string, f facts) {
	name := effective(rules, f)
	if name == "" {
		return
	}
	if v.shadows == nil {
		v.shadows = map[string]any{}
	}
	before, _ := v.shadows[filter].(map[string]any)
	if before == nil {
		before = map[string]any{}
		v.shadows[filter] = before
	}
	before[prefix+"shadow_effective_policy_id"] = name
}

// ask ends the share that the authorizer refuses, if it is asked.
func (k *walk) ask(p *path, v *visit, enabled *matcher.MetadataMatcher, status int) {
	if enabled != nil && lookUp(enabled, v.shadows[enabled.GetFilter()]) == enabled.GetInvert() {
		return
	}
	k.end(p.fork(1), Outcome{Decision: Denied, Status: status, Flag: "UAEX", Details: "ext_authz_denied", Refusal: true})
}
