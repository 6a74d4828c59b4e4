package resolve

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each fault of a provider with the change that TestHintsHold would make: what the mesh config can mend, else another
// provider, else an exception.
func TestCustomHint(t *testing.T) {
	const (
		host   = "authz.auth.svc.cluster.local"
		grpc   = "{name: ext, envoyExtAuthzGrpc: {service: " + host + ", port: 9000}}"
		other  = "{name: other, envoyExtAuthzGrpc: {service: " + host + ", port: 9000}}"
		custom = "{action: CUSTOM, provider: {name: ext}, rules: [{to: [{operation: {paths: [/a]}}]}]}"
		path   = `add "/a" to spec.rules[0].to[0].operation.notPaths of AuthorizationPolicy shop/c`
	)
	http := func(more string) string {
		return extensionProviders("{name: ext, envoyExtAuthzHttp: {service: "+host+", "+more+"}}") + authzService + authz("shop/c "+custom)
	}
	tests := []struct{ name, manifests, want string }{
		{"undefined", authz("shop/c " + custom), path},
		{"undefined beside a usable one", extensionProviders(other) + authzService + authz("shop/c "+custom), "set spec.provider.name of AuthorizationPolicy shop/c to other"},
		{"a rule without operation", authz("shop/c {action: CUSTOM, provider: {name: ext}, rules: [{}]}"), path},
		{"only alternatives that match", authz("shop/c {action: CUSTOM, provider: {name: ext}, rules: [{to: [{operation: {paths: [/b]}}, {operation: {methods: [GET]}}]}]}"), `add "/a" to spec.rules[0].to[1].operation.notPaths of AuthorizationPolicy shop/c`},
		{"twice", extensionProviders(grpc, grpc) + authzService + authz("shop/c "+custom), "delete extensionProviders[1] of MeshConfig"},
		{"no port, and the service has one", http("port: 0"), "set extensionProviders[0].envoyExtAuthzHttp.port of MeshConfig to 9000"},
		{"bad statusOnError", http(`port: 9000, statusOnError: "999"`), `set extensionProviders[0].envoyExtAuthzHttp.statusOnError of MeshConfig to "403"`},
		{"bad pathPrefix", http("port: 9000, pathPrefix: x"), "set extensionProviders[0].envoyExtAuthzHttp.pathPrefix of MeshConfig to /x"},
		{"star in headers", http(`port: 9000, headersToUpstreamOnAllow: ["*"]`), `remove "*" from extensionProviders[0].envoyExtAuthzHttp.headersToUpstreamOnAllow of MeshConfig`},
		{"two faults", http(`port: 0, statusOnError: "999"`), path},
		{
			"a service by its short name", extensionProviders("{name: ext, envoyExtAuthzGrpc: {service: authz, port: 9000}}") + authzService + authz("shop/c "+custom),
			"set extensionProviders[0].envoyExtAuthzGrpc.service of MeshConfig to " + host,
		},
		{"no service of that name", extensionProviders(grpc) + authz("shop/c "+custom), path},
		{
			"host in two namespaces", extensionProviders(grpc) + authzService + "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: s, namespace: x}\nspec: {hosts: [" + host + "]}\n---\n" + authz("shop/c "+custom),
			"set extensionProviders[0].envoyExtAuthzGrpc.service of MeshConfig to auth/" + host,
		},
		{
			"several providers", extensionProviders(grpc, other) + authzService + authz("shop/c "+custom, "shop/d {action: CUSTOM, provider: {name: other}, rules: [{to: [{operation: {paths: [/b]}}]}]}"),
			"set spec.provider.name of AuthorizationPolicy shop/d to ext",
		},
		{
			"several providers, none usable", authz("shop/c "+custom, "shop/d {action: CUSTOM, provider: {name: other}, rules: [{}]}"),
			path,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := snapshotOf(t, tt.manifests).AuthorizeCustom(guarded(), &Connection{DestinationPort: 80}, &HTTPRequest{Method: "GET", Path: "/a"})
			if a.Decision != AccessDenied {
				t.Fatalf("not denied: %s", a.Decision)
			}
			var got []string
			for _, c := range a.Hint {
				got = append(got, c.String())
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, ", and ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
