package evaluator

import (
	"net/netip"
	"testing"

	rbac "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
)

const anyone = `principals: [{any: true}]`

// Source: docs + "api-v3/config/rbac/v3/rbac.proto", RBAC, Permission, Principal; docs +
// "configuration/http/http_conn_man/response_code_details", rbac_access_denied_matched_policy.
func TestRBAC(t *testing.T) {
	get := `permissions: [{header: {name: ":method", string_match: {exact: GET}}}]`
	permits := func(rule string) string { return `{policies: {p: {permissions: [` + rule + `], ` + anyone + `}}}` }
	is := func(rule string) string {
		return `{policies: {p: {permissions: [{any: true}], principals: [` + rule + `]}}}`
	}
	const yes, no = "", "rbac_access_denied_matched_policy[none]"
	for _, row := range []struct{ says, rules, want string }{
		{"ALLOW lets pass what a policy takes", `{policies: {p: {` + get + `, ` + anyone + `}}}`, yes},
		{"ALLOW denies the rest", `{policies: {p: {permissions: [{not_rule: {any: true}}], ` + anyone + `}}}`, no},
		{"ALLOW without policies denies", `{action: ALLOW}`, no},
		{"DENY denies what a policy takes, and names it", `{action: DENY, policies: {p: {` + get + `, ` + anyone + `}}}`, "rbac_access_denied_matched_policy[p]"},
		{"policies are tried by name", `{action: DENY, policies: {q: {` + get + `, ` + anyone + `}, a: {` + get + `, ` + anyone + `}}}`, "rbac_access_denied_matched_policy[a]"},
		{"DENY lets pass the rest", `{action: DENY, policies: {p: {permissions: [{not_rule: {any: true}}], ` + anyone + `}}}`, yes},
		{"LOG lets pass everything", `{action: LOG}`, yes},
		{"one permission and one principal are enough", `{policies: {p: {permissions: [{not_rule: {any: true}}, {any: true}], principals: [{not_id: {any: true}}, {any: true}]}}}`, yes},
		{"both are needed", `{policies: {p: {permissions: [{any: true}], principals: [{not_id: {any: true}}]}}}`, no},

		{"and_rules", permits(`{and_rules: {rules: [{any: true}, {not_rule: {any: true}}]}}`), no},
		{"or_rules", permits(`{or_rules: {rules: [{any: true}, {not_rule: {any: true}}]}}`), yes},
		{"url_path is without the query", permits(`{url_path: {path: {exact: /a/b}}}`), yes},
		{"destination_port", permits(`{destination_port: 8080}`), yes},
		{"another destination_port", permits(`{destination_port: 80}`), no},
		{"destination_ip", permits(`{destination_ip: {address_prefix: 10.0.0.0, prefix_len: 24}}`), yes},
		{"another destination_ip", permits(`{destination_ip: {address_prefix: 10.0.1.0, prefix_len: 24}}`), no},
		{"requested_server_name", permits(`{requested_server_name: {exact: name}}`), yes},
		{"a template's segment", permits(uriTemplate(`/a/{*}`)), yes},
		{"a template's segment is one", permits(uriTemplate(`/{*}`)), no},
		{"a template's segments", permits(uriTemplate(`/{**}`)), yes},

		{"authenticated, any certificate", is(`{authenticated: {}}`), yes},
		{"authenticated, by name", is(`{authenticated: {principal_name: {exact: "spiffe://td/ns/a/sa/b"}}}`), yes},
		{"authenticated, by another name", is(`{authenticated: {principal_name: {exact: "spiffe://td/ns/a/sa/c"}}}`), no},
		{"direct_remote_ip is the peer's", is(`{direct_remote_ip: {address_prefix: 10.9.0.1, prefix_len: 32}}`), yes},
		{"direct_remote_ip is not the client's", is(`{direct_remote_ip: {address_prefix: 1.2.3.4, prefix_len: 32}}`), no},
		{"remote_ip is the client's", is(`{remote_ip: {address_prefix: 1.2.3.0, prefix_len: 24}}`), yes},
		{"metadata", is(`{metadata: {filter: envoy.filters.http.jwt_authn, path: [{key: payload}, {key: iss}], value: {string_match: {exact: me}}}}`), yes},
		{"metadata, inverted", is(`{metadata: {filter: envoy.filters.http.jwt_authn, path: [{key: payload}, {key: iss}], value: {string_match: {exact: me}}, invert: true}}`), no},
		{"metadata, one of a list", is(`{metadata: {filter: envoy.filters.http.jwt_authn, path: [{key: payload}, {key: groups}], value: {list_match: {one_of: {string_match: {exact: b}}}}}}`), yes},
		{"metadata that is absent", is(`{metadata: {filter: envoy.filters.http.jwt_authn, path: [{key: payload}, {key: none}], value: {string_match: {exact: b}}}}`), no},
		{"metadata of another filter", is(`{metadata: {filter: other, path: [{key: payload}, {key: iss}], value: {string_match: {exact: me}}}}`), no},
	} {
		t.Run(row.says, func(t *testing.T) {
			f := facts{
				visit:   &visit{destination: netip.MustParseAddrPort("10.0.0.1:8080"), sni: "name", tls: true, peer: "spiffe://td/ns/a/sa/b"},
				request: &Request{Method: "GET", Path: "/a/b?c", Headers: map[string]string{}},
				claims:  map[string]any{"iss": "me", "groups": []any{"a", "b"}},
				source:  netip.MustParseAddr("10.9.0.1"), remote: netip.MustParseAddr("1.2.3.4"),
			}
			ok, details := allowed(xds(t, row.rules, &rbac.RBAC{}), f)
			if details != row.want || ok != (row.want == "") {
				t.Errorf("%v %s, not %s", ok, details, row.want)
			}
		})
	}
	t.Run("without rules everything passes", func(t *testing.T) {
		if ok, _ := allowed(nil, facts{}); !ok {
			t.Error("denied")
		}
	})
	t.Run("bytes that are no HTTP have no header", func(t *testing.T) {
		if ok, _ := allowed(xds(t, `{policies: {p: {`+get+`, `+anyone+`}}}`, &rbac.RBAC{}), facts{visit: &visit{}}); ok {
			t.Error("allowed")
		}
	})
}

func uriTemplate(pattern string) string {
	return `{uri_template: {name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig, path_template: "` + pattern + `"}}}`
}
