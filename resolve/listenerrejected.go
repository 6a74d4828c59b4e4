package resolve

import (
	"slices"
	"strings"
)

// Why Envoy would reject a sidecar's listener, and with it every connection of the port:
//
//  1. Each TLS port on the listener makes filter chains: those of the tls rules that apply, else one for the names of
//     its service.
//  2. A chain with the very names and subnets of another port's, that came earlier, is left out.
//  3. Of those that stay, two must not have a server name and a subnet in common, in whatever case. Nor may a name
//     have a wildcard for a part of a label.
//
// Source: pilot/pkg/networking/core/listener.go, mergeTCPFilterChains; Envoy, FilterChainMatch server_names.

// RuleListenerPartialWildcard is the second part of step 3; the first is RuleL4Refused.
const RuleListenerPartialWildcard RuleID = "l4route/partial-wildcard"

var listenerRejectedRules = []Rule{
	{
		ID: RuleListenerPartialWildcard, Stage: StageRoute,
		Says:     "Envoy knows no wildcard for a part of a label in a server name: it refuses the whole listener.",
		Template: "server name %s has a wildcard for a part of a label: Envoy refuses listener %s",
		Source:   "Envoy, FilterChainMatch server_names",
	},
}

// sniChain is a filter chain as far as it matters here.
type sniChain struct {
	// port is the number, in the listener, of the port that it is for.
	port           int
	ref            Ref
	names, subnets []string
}

// Rejected is why Envoy would reject the listener as the proxy gets it; false if it would not.
func (l *OutboundListener) Rejected(proxy *Workload) (Step, bool) {
	var kept []sniChain
	for _, c := range l.sniChains(proxy) {
		for _, n := range c.names {
			if strings.Contains(n, "*") && !strings.HasPrefix(n, "*.") {
				return NewStep(RuleListenerPartialWildcard, Warned, c.ref, n, l.Name), true
			}
		}
		if len(slices.Compact(slices.Clone(c.names))) < len(c.names) {
			return NewStep(RuleL4Refused, Warned, c.ref, c.ref), true // a name twice is as bad as in two chains
		}
		same := func(other sniChain) bool {
			return c.port != other.port && slices.Equal(c.names, other.names) && slices.Equal(c.subnets, other.subnets)
		}
		if slices.ContainsFunc(kept, same) {
			continue
		}
		for _, other := range kept {
			if shares(c.names, other.names) && shares(c.subnets, other.subnets) {
				return NewStep(RuleL4Refused, Warned, c.ref, other.ref), true
			}
		}
		kept = append(kept, c)
	}
	return Step{}, false
}

// shares reports whether the lists have something in common; an empty one is all, which only another empty one is.
func shares(a, b []string) bool {
	return len(a) == 0 && len(b) == 0 || slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// sniChains is step 1.
func (l *OutboundListener) sniChains(proxy *Workload) []sniChain {
	var out []sniChain
	for i, t := range l.TCP {
		if !t.Port.Protocol.IsTLS() {
			continue
		}
		b := tlsChainsOf(l.Egress.VirtualServices, L4Query{
			Host: t.Service.Hostname, Port: t.Port.Number, Gateways: map[string]bool{"mesh": true}, Proxy: proxy,
		})
		for _, c := range b.chains {
			out = append(out, sniChain{port: i, ref: c.Ref, names: matchedServerNames(c.SNIHosts), subnets: sorted(c.Subnets)})
		}
		if len(b.chains) == 0 {
			var subnets []string
			for _, a := range t.CIDRs {
				subnets = append(subnets, a.Prefix.String())
			}
			out = append(out, sniChain{port: i, ref: t.Service.Ref.At(t.Port.Field), names: matchedServerNames(t.SNI), subnets: sorted(subnets)})
		}
	}
	return out
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }
