package resolve

import (
	"fmt"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// MatchTLSRoute finds the tls rule of a TLS connection that the proxy does not terminate.
//
// 1. VirtualServices count in the order given, if a host of theirs overlaps Host.
// 2. Each match that applies makes one filter chain with its server names and destinationSubnets.
// 3. A match with the server names and subnets of an earlier one is
// left out; destinationSubnets stay in force for later matches.
// 4. Envoy takes the narrowest subnet, and then the exact server name, or the
// longest wildcard, or a chain without server names. Two chains with the same
// server name make it refuse the listener.
// 5. If any match made a chain, nothing else takes connections.
//
// Source: pilot/pkg/networking/core/tls.go, buildSidecarOutboundTLSFilterChainOpts.
func MatchTLSRoute(vss []*VirtualService, q L4Query) L4Match {
	b := tlsChainsOf(vss, q)
	m := choose(b.chains, q, "tls", b.steps)
	m.Exclusive = len(b.chains) > 0
	return m
}

// tlsChainsOf are the chains of steps 1 to 3.
func tlsChainsOf(vss []*VirtualService, q L4Query) *tlsChains {
	b := &tlsChains{query: &q, handled: map[string]Ref{}}
	for _, vs := range vss {
		if len(vs.Spec.GetTls()) == 0 || !q.overlaps(vs) {
			continue
		}
		for i, rule := range vs.Spec.GetTls() {
			entry := vs.At(fmt.Sprintf("spec.tls[%d]", i))
			if len(rule.GetRoute()) == 0 {
				b.steps = append(b.steps, NewStep(RuleL4NoDestination, Skipped, entry))
				continue
			}
			for j, match := range rule.GetMatch() {
				chain := &L4Route{
					Ref: vs.At(fmt.Sprintf("spec.tls[%d].match[%d]", i, j)), Entry: entry,
					SNIHosts: match.GetSniHosts(), Routes: rule.GetRoute(), VirtualService: vs,
				}
				b.add(match, chain)
			}
		}
	}
	return b
}

// tlsChains collects the filter chains of tls rules.
type tlsChains struct {
	query  *L4Query
	chains []*L4Route
	steps  []Step
	// subnets are those of the latest match that had any.
	subnets []string
	handled map[string]Ref
}

func (b *tlsChains) add(match *networking.TLSMatchAttributes, chain *L4Route) {
	applies, found := staticMatch(match, chain.Ref, b.query.Port, b.query.Gateways, b.query.Proxy)
	b.steps = append(b.steps, found...)
	if !applies {
		return
	}
	if own := match.GetDestinationSubnets(); len(own) > 0 {
		b.subnets = own
	}
	same := strings.Join(match.GetSniHosts(), ",") + "|" + strings.Join(match.GetDestinationSubnets(), ",")
	if by, ok := b.handled[same]; ok {
		b.steps = append(b.steps, NewStep(RuleL4Duplicate, Skipped, chain.Ref, by))
		return
	}
	b.handled[same] = chain.Ref
	if len(match.GetDestinationSubnets()) == 0 && len(b.subnets) > 0 {
		b.steps = append(b.steps, NewStep(RuleL4SubnetCarried, Applied, chain.Ref, strings.Join(b.subnets, ", ")))
	}
	chain.Subnets = b.subnets
	b.chains = append(b.chains, chain)
}
