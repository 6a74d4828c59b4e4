package evaluator

import (
	"net/netip"
	"testing"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
)

// Source: docs + "api-v3/config/listener/v3/listener_components.proto", FilterChainMatch.
func TestChooseChainNarrowsCriterionByCriterion(t *testing.T) {
	const port = `[{name: port, filter_chain_match: {destination_port: 80}}, {name: name, filter_chain_match: {server_names: [a.b.com]}}]`
	const ranges = `[{name: wide, filter_chain_match: {prefix_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]}},
		{name: narrow, filter_chain_match: {prefix_ranges: [{address_prefix: 10.1.0.0, prefix_len: 16}]}}, {name: any}]`
	const names = `[{name: com, filter_chain_match: {server_names: ["*.com"]}}, {name: b, filter_chain_match: {server_names: ["*.b.com"]}},
		{name: exact, filter_chain_match: {server_names: [A.b.com]}}, {name: any}]`
	const transport = `[{name: tls, filter_chain_match: {transport_protocol: tls}}, {name: raw, filter_chain_match: {transport_protocol: raw_buffer}}]`
	const alpn = `[{name: h2, filter_chain_match: {application_protocols: [h2]}}, {name: istio, filter_chain_match: {application_protocols: [istio]}}, {name: any}]`
	for _, row := range []struct{ says, chains, to, transport, sni, alpn, want string }{
		{"destination port comes first", port, "10.0.0.1:80", "tls", "a.b.com", "", "port"},
		{"there is no way back to a chain that does not name the port", port, "10.0.0.1:80", "tls", "", "", "port"},
		{"a chain that names another port is out", port, "10.0.0.1:81", "tls", "a.b.com", "", "name"},
		{"the longest prefix", ranges, "10.1.2.3:80", "raw_buffer", "", "", "narrow"},
		{"a shorter prefix", ranges, "10.2.2.3:80", "raw_buffer", "", "", "wide"},
		{"no prefix", ranges, "11.2.2.3:80", "raw_buffer", "", "", "any"},
		{"the exact server name, in any case", names, "10.0.0.1:80", "tls", "a.b.com", "", "exact"},
		{"the longest wildcard", names, "10.0.0.1:80", "tls", "x.y.b.com", "", "b"},
		{"a wildcard does not stand for nothing", names, "10.0.0.1:80", "tls", "b.com", "", "com"},
		{"a chain without server names", names, "10.0.0.1:80", "tls", "b.org", "", "any"},
		{"no server name", names, "10.0.0.1:80", "tls", "", "", "any"},
		{"transport protocol", transport, "10.0.0.1:80", "raw_buffer", "", "", "raw"},
		{"application protocol", alpn, "10.0.0.1:80", "tls", "", "h2", "h2"},
		{"an application protocol that no chain names", alpn, "10.0.0.1:80", "tls", "", "h3", "any"},
		{"nothing matches: the default chain", transport, "10.0.0.1:80", "quic", "", "", "default"},
	} {
		t.Run(row.says, func(t *testing.T) {
			l := xds(t, "{filter_chains: "+row.chains+", default_filter_chain: {name: default}}", &listener.Listener{})
			s := sniffed{destination: netip.MustParseAddrPort(row.to), transport: row.transport, sni: row.sni}
			if row.alpn != "" {
				s.application = []string{row.alpn}
			}
			if got := chooseChain(l, s).GetName(); got != row.want {
				t.Errorf("%s, not %s", got, row.want)
			}
		})
	}
}

// Source: docs + "api-v3/config/listener/v3/listener_components.proto", FilterChainMatch: a listener may not have two
// chains with the same match. Server names are compared in lower case.
func TestRejectedListeners(t *testing.T) {
	for _, row := range []struct {
		says, chains string
		want         bool
	}{
		{"other names", `[{filter_chain_match: {server_names: [a]}}, {filter_chain_match: {server_names: [b]}}]`, false},
		{"the same name", `[{filter_chain_match: {server_names: [a]}}, {filter_chain_match: {server_names: [b, a]}}]`, true},
		{"the same name in another case", `[{filter_chain_match: {server_names: [a]}}, {filter_chain_match: {server_names: [A]}}]`, true},
		{"the same name at another port", `[{filter_chain_match: {server_names: [a]}}, {filter_chain_match: {server_names: [a], destination_port: 1}}]`, false},
		{"one chain, twice", `[{filter_chain_match: {server_names: [a, A]}}]`, true},
		{"a wildcard for a label", `[{filter_chain_match: {server_names: ["*.a"]}}]`, false},
		{"a wildcard for a part of a label", `[{filter_chain_match: {server_names: ["*-a"]}}]`, true},
		{"two without any match", `[{name: a}, {name: b}]`, true},
	} {
		t.Run(row.says, func(t *testing.T) {
			if got := rejected(xds(t, "{filter_chains: "+row.chains+"}", &listener.Listener{})); (got != "") != row.want {
				t.Error(got)
			}
		})
	}
}
