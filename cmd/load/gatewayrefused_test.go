package load

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRefusedByTheGatewaySchemas(t *testing.T) {
	const refuses = ": an API server refuses this: "
	tests := []struct {
		kind, spec string
		want       []string
	}{
		{"Gateway", `{gatewayClassName: istio, listeners: [
		   {name: a, port: 80, protocol: HTTP}, {name: b, port: 443, protocol: HTTPS, hostname: "*.a.com", tls: {certificateRefs: [{name: c}]}},
		   {name: c, port: 443, protocol: TLS, tls: {mode: Passthrough}}, {name: d, port: 80, protocol: HTTP, hostname: a.com}]}`, nil},
		{"Gateway", `{}`, []string{
			"spec.gatewayClassName" + refuses + "a Gateway needs a class", "spec.listeners" + refuses + "a Gateway needs a listener",
		}},
		{"Gateway", `{gatewayClassName: istio, listeners: [{name: a, protocol: HTTP, hostname: A.com}, {name: a, port: 80}]}`, []string{
			`spec.listeners[0].hostname` + refuses + `"A.com" is no hostname: expected lower case letters, digits, - and ., with *. before them or not`,
			"spec.listeners[1].protocol" + refuses + "a listener needs a protocol",
			`spec.listeners[1].name` + refuses + `the name "a" is that of listeners[0]`,
			"spec.listeners[0].port" + refuses + "a listener needs a port",
		}},
		{"Gateway", `{gatewayClassName: istio, listeners: [{name: a, port: 80, protocol: TCP, hostname: a.com, tls: {mode: Passthrough}},
		   {name: b, port: 80, protocol: TLS}, {name: c, port: 443, protocol: HTTPS, tls: {mode: Passthrough}}, {name: d, port: 444, protocol: HTTPS, tls: {}}]}`, []string{
			"spec.listeners[0].tls" + refuses + "protocol TCP has no tls",
			"spec.listeners[0].hostname" + refuses + "protocol TCP has no hostname",
			"spec.listeners[1]" + refuses + "protocol TLS needs tls.mode",
			"spec.listeners[2].tls.mode" + refuses + "protocol HTTPS needs mode Terminate",
			"spec.listeners[3].tls" + refuses + "mode Terminate needs certificateRefs or options",
		}},
		{"ListenerSet", `{parentRef: {name: web}, listeners: [{name: a, protocol: HTTP}, {name: b, protocol: HTTP}]}`, nil},
		{"ListenerSet", `{parentRef: {name: web}, listeners: [{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}]}`, []string{
			"spec.listeners[1]" + refuses + "port, protocol and hostname are those of listeners[0]",
		}},
		{"TLSRoute", `{rules: [{backendRefs: [{name: a}]}]}`, []string{
			"spec.hostnames" + refuses + "a TLSRoute needs a hostname",
			"spec.rules[0].backendRefs[0]" + refuses + "a Service as a backend needs a port",
		}},
		{"TCPRoute", `{rules: [{backendRefs: [{name: a, kind: Hostname, group: networking.istio.io}, {name: a}]}]}`, []string{
			"spec.rules[0].backendRefs[1]" + refuses + "a Service as a backend needs a port",
		}},
		{"GRPCRoute", `{rules: [{matches: [{method: {}}], backendRefs: [{name: a, filters: [{type: RequestMirror, requestMirror: {backendRef: {name: b}}}]}]}]}`, []string{
			"spec.rules[0].matches[0].method" + refuses + "a method match needs service or method",
			"spec.rules[0].backendRefs[0]" + refuses + "a Service as a backend needs a port",
			"spec.rules[0].backendRefs[0].filters[0].requestMirror.backendRef" + refuses + "a Service as a backend needs a port",
		}},
		{"HTTPRoute", `{hostnames: ["*"], rules: [{matches: [{path: {value: x}}, {path: {type: Exact, value: /a//b}}, {path: {type: RegularExpression, value: x}}],
		   timeouts: {request: 1s, backendRequest: 2s}}, {timeouts: {request: 0s, backendRequest: 2s}}]}`, []string{
			`spec.hostnames[0]` + refuses + `"*" is no hostname: expected lower case letters, digits, - and ., with *. before them or not`,
			`spec.rules[0].matches[0].path.value` + refuses + `"x" does not begin with /`,
			`spec.rules[0].matches[1].path.value` + refuses + `"/a//b" has an empty segment, one of dots, or a character that a path has not`,
			"spec.rules[0].timeouts.backendRequest" + refuses + "backendRequest is longer than request",
		}},
		{"HTTPRoute", `{rules: [{backendRefs: [{name: a, port: 80}], filters: [
		   {type: RequestRedirect, requestRedirect: {statusCode: 300, scheme: ftp}}, {type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replacePrefixMatch: /}}},
		   {type: CORS, urlRewrite: {}}, {type: CORS, cors: {}}]}]}`, []string{
			"spec.rules[0].filters[0].requestRedirect.statusCode" + refuses + "300 is not one of 301, 302, 303, 307, 308",
			`spec.rules[0].filters[0].requestRedirect.scheme` + refuses + `"ftp" is neither http nor https`,
			"spec.rules[0].filters[1].urlRewrite.path" + refuses + "its value is not that of its type ReplaceFullPath",
			"spec.rules[0].filters[2]" + refuses + "a filter of type CORS has cors and nothing else",
			"spec.rules[0].filters[3]" + refuses + "a second filter of type CORS",
			"spec.rules[0].filters" + refuses + "a redirect and a rewrite in one list",
			"spec.rules[0].backendRefs" + refuses + "a rule with a redirect has no backends",
		}},
		{"HTTPRoute", `{rules: [{matches: [{path: {type: Exact, value: /a}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]},
		   {filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]}]}`, []string{
			"spec.rules[0].filters[0].urlRewrite.path" + refuses + "ReplacePrefixMatch needs exactly one match, of a path prefix",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.kind+" "+tt.spec, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "mesh.yaml")
			text := "{apiVersion: gateway.networking.k8s.io/v1, kind: " + tt.kind + ", metadata: {name: web}, spec: " + strings.Join(strings.Fields(tt.spec), " ") + "}\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			in, err := Manifests(ManifestOptions{Paths: []string{file}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, notes(in)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
