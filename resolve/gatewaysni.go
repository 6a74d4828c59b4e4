package resolve

import (
	"slices"
	"strings"
)

// Rules of the choice of a filter chain.
const (
	RuleGatewayServerName      RuleID = "gatewaylistener/server-name"
	RuleGatewayServerNameWider RuleID = "gatewaylistener/wider-server-name"
	RuleGatewayAnyServerName   RuleID = "gatewaylistener/any-connection"
	RuleGatewayNoFilterChain   RuleID = "gatewaylistener/no-filter-chain"
	RuleGatewayPlaintextToTLS  RuleID = "gatewaylistener/plaintext-to-tls"
	RuleGatewayTLSToPlaintext  RuleID = "gatewaylistener/tls-to-plaintext"
)

var gatewaySNIRules = []Rule{
	{
		ID: RuleGatewayServerName, Stage: StageTLS,
		Says:     "The filter chain is chosen by the server name the client sends: the exact name, else the longest wildcard.",
		Template: "server name %s is taken by %s",
		Source:   "Envoy, FilterChainMatch; pilot/pkg/networking/core/listener.go, toFilterChainMatch",
	},
	{
		ID: RuleGatewayServerNameWider, Stage: StageTLS, Detail: true,
		Says:     "A filter chain with a wider server name is not tried once a narrower one matches.",
		Template: "%s matches %s too, but %s is more specific",
		Source:   "Envoy, FilterChainMatch",
	},
	{
		ID: RuleGatewayAnyServerName, Stage: StageTLS, Detail: true,
		Says:     "A filter chain without server names (plaintext, or a TLS server with host *) takes every connection that no server name takes.",
		Template: "the %s server takes connections of %s",
		Source:   "pilot/pkg/networking/core/listener.go, toFilterChainMatch",
	},
	{
		ID: RuleGatewayNoFilterChain, Stage: StageTLS,
		Says:     "Envoy closes a connection that no filter chain matches (filter_chain_not_found).",
		Template: "no server of listener %s takes %s: Envoy closes the connection",
		Source:   "Envoy, FilterChainMatch",
	},
	{
		ID: RuleGatewayPlaintextToTLS, Stage: StageTLS,
		Says:     "Plaintext bytes fail the handshake of a filter chain that terminates TLS.",
		Template: "the client does not speak TLS, but the server is %s: the handshake fails",
		Source:   "Envoy, transport socket; pilot/pkg/simulation/traffic.go, Run",
	},
	{
		ID: RuleGatewayTLSToPlaintext, Stage: StageTLS,
		Says:     "A TLS handshake is no HTTP: a plaintext HTTP server answers 400 and closes.",
		Template: "the client speaks TLS, but the server is plaintext %s: Envoy answers 400 and closes the connection",
		Source:   "Envoy, HTTP connection manager; pilot/pkg/simulation/traffic.go, Run",
	},
}

// FilterChain chooses the filter chain of a connection as Envoy does.
//
//  1. With a server name: the chain that has the name, else the one with the longest wildcard
//     ("*.example.com" takes any depth below example.com).
//  2. Else, and for clients that send no server name or no TLS: the chain without server names.
//  3. Else none: Envoy closes the connection. Nothing falls back to a wider chain.
//  4. Bytes that do not fit the chain (plaintext where it terminates TLS, TLS where it
//     speaks plaintext HTTP) end the connection.
//
// The chain is nil if the connection ends here; the last step's Rule then is
// RuleGatewayListenerRefused, RuleGatewayNoFilterChain, RuleGatewayPlaintextToTLS or RuleGatewayTLSToPlaintext.
//
// Source: Envoy, config/listener/v3 FilterChainMatch; pilot/pkg/simulation/traffic.go, matchFilterChain.
func (l *GatewayListener) FilterChain(tls bool, sni string) (*GatewayFilterChain, []Step) {
	if l.Rejected != nil {
		return nil, append(slices.Clone(l.clash), *l.Rejected)
	}
	if !tls {
		sni = ""
	}
	sni = strings.ToLower(sni)
	chain, steps := l.chainFor(tls, sni)
	if chain == nil {
		return nil, steps
	}
	ref := chain.Server().Ref
	switch {
	case !tls && chain.Terminates():
		return nil, append(steps, NewStep(RuleGatewayPlaintextToTLS, DeniedBy, ref.At(ref.Field+".tls"), gatewayProtocolWord(chain.Server())).
			Unlike("TLS", "plaintext"))
	case tls && chain.Kind == GatewayHTTP:
		return nil, append(steps, NewStep(RuleGatewayTLSToPlaintext, DeniedBy, ref.At(ref.Field+".port.protocol"), gatewayProtocolWord(chain.Server())).
			Unlike("plaintext", "TLS"))
	}
	return chain, steps
}

// chainFor is steps 1 to 3.
func (l *GatewayListener) chainFor(tls bool, sni string) (*GatewayFilterChain, []Step) {
	type candidate struct {
		name  string
		chain *GatewayFilterChain
	}
	var candidates []candidate
	if sni != "" {
		if c := l.byName[sni]; c != nil {
			candidates = append(candidates, candidate{sni, c})
		}
		if c := l.autoPassthrough(sni); c != nil {
			candidates = append(candidates, candidate{sni, c})
		}
		for i := 1; i < len(sni); i++ {
			if sni[i] == '.' {
				if c := l.bySuffix[sni[i:]]; c != nil {
					candidates = append(candidates, candidate{"*" + sni[i:], c})
				}
			}
		}
	}
	if l.any != nil {
		candidates = append(candidates, candidate{"*", l.any})
	}
	if len(candidates) == 0 {
		return nil, append(l.withoutPassthrough(sni), l.noFilterChain(tls, sni))
	}
	chosen := candidates[0]
	var steps []Step
	for _, c := range candidates[1:] {
		steps = append(steps, NewStep(RuleGatewayServerNameWider, Skipped, c.chain.Server().Ref, c.name, sni, chosen.name))
	}
	server := chosen.chain.Server()
	switch {
	case len(chosen.chain.ServerNames) == 0 && chosen.chain.Kind != GatewayAutoPassthrough:
		steps = append(steps, NewStep(RuleGatewayAnyServerName, Matched, server.Ref, gatewayProtocolWord(server), "every server name and of none"))
	default:
		steps = append(steps, NewStep(RuleGatewayServerName, Matched, server.At("hosts"), sni, chosen.name))
	}
	if chosen.chain.Kind == GatewayAutoPassthrough {
		steps = append(steps, NewStep(RuleGatewayALPN, Warned, server.At("tls.mode")))
	}
	return chosen.chain, steps
}

// noFilterChain is step 3, with the names that come nearest.
func (l *GatewayListener) noFilterChain(tls bool, sni string) Step {
	var names []string
	by := map[string]*GatewayFilterChain{}
	for _, c := range l.Chains {
		names = append(names, c.ServerNames...)
		for _, n := range c.ServerNames {
			by[n] = c
		}
	}
	nearest, ref := nearestNames(sni, names, 3), l.Chains[0].Server().Ref
	if len(nearest) > 0 {
		ref = by[nearest[0]].Server().Ref
		if route := by[nearest[0]].L4; route != nil {
			ref = route.Ref
		}
	}
	what, actual := "plaintext", "plaintext"
	switch {
	case tls && sni == "":
		what, actual = "TLS without a server name", "no server name"
	case tls:
		what, actual = "server name "+sni, sni
	}
	expected := "server name " + strings.Join(nearest, " or ")
	if !tls {
		expected = "TLS with " + expected
	}
	return NewStep(RuleGatewayNoFilterChain, None, ref, l.Name, what).Unlike(expected, actual)
}
