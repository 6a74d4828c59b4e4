package resolve

import (
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// MatchTCPRoute finds the tcp rule of a TCP connection.
//
// 1. VirtualServices count in the order given, if a host of theirs overlaps Host.
// 2. A rule applies if it has no match, or one of its matches has this port and gateway and fits the source. One without destinationSubnets
// (or a rule without match) takes every address and ends the search; those with
// subnets take the addresses within, the narrowest first.
// 3. What is left goes to the service.
//
// Source: pilot/pkg/networking/core/tls.go, buildSidecarOutboundTCPFilterChainOpts.
func MatchTCPRoute(vss []*VirtualService, q L4Query) L4Match {
	var chains []*L4Route
	var steps []Step
	var last *L4Route
	for _, vs := range vss {
		if len(vs.Spec.GetTcp()) == 0 || !q.overlaps(vs) {
			continue
		}
		for i, rule := range vs.Spec.GetTcp() {
			entry := vs.At(fmt.Sprintf("spec.tcp[%d]", i))
			if last != nil {
				steps = append(steps, NewStep(RuleL4BehindFirst, Skipped, entry, last.Ref))
				continue
			}
			if len(rule.GetRoute()) == 0 {
				steps = append(steps, NewStep(RuleL4NoDestination, Skipped, entry))
				continue
			}
			chain, terminal, found := q.tcpChain(rule, entry, func(j int) Ref { return vs.At(fmt.Sprintf("spec.tcp[%d].match[%d]", i, j)) })
			steps = append(steps, found...)
			if chain == nil {
				continue
			}
			chain.VirtualService = vs
			chains = append(chains, chain)
			if terminal {
				last = chain
			}
		}
	}
	m := choose(chains, q, "tcp", steps)
	m.Exclusive = last != nil
	return m
}

// subnetChains are the listener's TCP chains of which a tcp rule takes the address by destinationSubnets; within is set
// where a tls rule does, too. HTTP that goes there is not told by its protocol: Envoy looks at the address first.
// Source: Envoy, config.listener.v3.FilterChainMatch.
func (l *OutboundListener) subnetChains(dest Address, proxy *Workload) (tcp []TCPChain, within bool) {
	if !l.Egress.subnets || !dest.Prefix.IsValid() || !dest.Prefix.IsSingleIP() {
		return nil, false
	}
	ip := dest.Prefix.Addr()
	for _, c := range l.TCP {
		q := L4Query{Host: c.Service.Hostname, Port: c.Port.Number, Gateways: map[string]bool{"mesh": true}, Proxy: proxy, DestinationIP: ip}
		if !c.Port.Protocol.IsTLS() {
			if m := MatchTCPRoute(l.Egress.VirtualServices, q); m.Route != nil && len(m.Route.Subnets) > 0 {
				tcp, within = append(tcp, c), true
			}
			continue
		}
		for _, chain := range tlsChainsOf(l.Egress.VirtualServices, q).chains {
			within = within || len(chain.Subnets) > 0 && listsAddress(strings.Join(chain.Subnets, ","), dest.Prefix)
		}
	}
	return tcp, within
}

// SubnetsUnknown reports whether a tcp rule could take HTTP from the listener by an address that is not known.
func (l *OutboundListener) SubnetsUnknown(dest Address, proxy *Workload) (Step, bool) {
	if !l.Egress.subnets || dest.Prefix.IsValid() || l.RouteConfig == "" {
		return Step{}, false
	}
	for _, c := range l.TCP {
		q := L4Query{Host: c.Service.Hostname, Port: c.Port.Number, Gateways: map[string]bool{"mesh": true}, Proxy: proxy}
		m := MatchTCPRoute(l.Egress.VirtualServices, q)
		if i := slices.IndexFunc(m.Steps, func(s Step) bool { return s.Rule == RuleL4SubnetUnknown }); i >= 0 && !c.Port.Protocol.IsTLS() {
			return m.Steps[i], true
		}
	}
	return Step{}, false
}

// hasSubnets reports whether a tcp or tls rule asks for destinationSubnets.
func (vs *VirtualService) hasSubnets() bool {
	return slices.ContainsFunc(vs.Spec.GetTcp(), func(r *networking.TCPRoute) bool {
		return slices.ContainsFunc(r.GetMatch(), func(m *networking.L4MatchAttributes) bool { return len(m.GetDestinationSubnets()) > 0 })
	}) || slices.ContainsFunc(vs.Spec.GetTls(), func(r *networking.TLSRoute) bool {
		return slices.ContainsFunc(r.GetMatch(), func(m *networking.TLSMatchAttributes) bool { return len(m.GetDestinationSubnets()) > 0 })
	})
}

// tcpChain is the chain that one tcp rule makes; terminal if it takes every address.
func (q *L4Query) tcpChain(rule *networking.TCPRoute, entry Ref, at func(match int) Ref) (chain *L4Route, terminal bool, steps []Step) {
	chain = &L4Route{Ref: entry, Entry: entry, Routes: rule.GetRoute()}
	if len(rule.GetMatch()) == 0 {
		return chain, true, nil
	}
	matched := false
	for j, match := range rule.GetMatch() {
		ref := at(j)
		applies, found := staticMatch(match, ref, q.Port, q.Gateways, q.Proxy)
		steps = append(steps, found...)
		if !applies {
			continue
		}
		if s := match.GetSourceSubnet(); s != "" {
			steps = append(steps, NewStep(RuleL4SourceSubnet, Applied, ref.At(ref.Field+".sourceSubnet"), s))
		}
		if !matched {
			chain.Ref, matched = ref, true
		}
		if len(match.GetDestinationSubnets()) == 0 {
			chain.Ref, chain.Subnets = ref, nil
			return chain, true, steps
		}
		chain.Subnets = append(chain.Subnets, match.GetDestinationSubnets()...)
	}
	if !matched {
		return nil, false, steps
	}
	return chain, false, steps
}
