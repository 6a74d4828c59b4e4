package resolve

import (
	"fmt"

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
