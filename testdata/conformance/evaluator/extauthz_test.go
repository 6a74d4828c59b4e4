package evaluator

import (
	"testing"

	rbac "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// Sources: docs + "configuration/http/http_filters/rbac_filter", dynamic metadata; docs +
// "api-v3/extensions/filters/http/ext_authz/v3/ext_authz.proto", filter_enabled_metadata.
func TestAuthorizersAreAskedWhereShadowRulesMatch(t *testing.T) {
	const enabled = `{filter: rbac, path: [{key: my_shadow_effective_policy_id}], value: {string_match: {prefix: ask}}}`
	shadow := func(policy, permission string) string {
		return `{action: DENY, policies: {` + policy + `: {permissions: [` + permission + `], principals: [{any: true}]}}}`
	}
	for _, row := range []struct {
		says, shadow, enabled string
		want                  int
	}{
		{"the policy matches", shadow("ask-0", `{any: true}`), enabled, 1},
		{"it does not match", shadow("ask-0", `{not_rule: {any: true}}`), enabled, 0},
		{"another policy matches", shadow("other", `{any: true}`), enabled, 0},
		{"always", shadow("other", `{any: true}`), "", 1},
	} {
		t.Run(row.says, func(t *testing.T) {
			k, v := &walk{}, &visit{}
			v.shadow("rbac", xds(t, row.shadow, &rbac.RBAC{}), "my_", facts{visit: v})
			var when *matcher.MetadataMatcher
			if row.enabled != "" {
				when = xds(t, row.enabled, &matcher.MetadataMatcher{})
			}
			k.ask(&path{share: 1, bytes: &Bytes{}}, v, when, 403)
			if len(k.outcomes) != row.want {
				t.Fatal(k.outcomes)
			}
			for _, o := range k.outcomes {
				if !o.Refusal || o.Decision != Denied || o.Status != 403 || o.Flag != "UAEX" || o.Details != "ext_authz_denied" {
					t.Error(o)
				}
			}
		})
	}
}
