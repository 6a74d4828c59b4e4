package resolve

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// choose is Envoy's choice among filter chains: first by destination address,
// the narrowest subnet wins and there is no way back; then by server name.
// Source: Envoy, docs, FilterChainMatch; pilot/pkg/networking/core/listener.go, toFilterChainMatch.
func choose(chains []*L4Route, q L4Query, kind string, steps []Step) L4Match {
	m := L4Match{Chains: chains, Certain: True, Steps: steps}
	if len(chains) == 0 {
		m.Steps = append(m.Steps, NewStep(RuleL4NoneApplies, None, Ref{}, kind))
		return m
	}
	candidates := m.bySubnet(chains, q)
	best, same := bySNI(candidates, q.SNI)
	for _, c := range candidates {
		if c != best && kind == "tls" && !slices.Contains(same, c) {
			step := NewStep(RuleL4SNI, Skipped, c.Ref, strings.Join(c.SNIHosts, ", "), describeSNI(q.SNI))
			m.Steps = append(m.Steps, step.Unlike("server name "+strings.Join(c.SNIHosts, ", "), describeSNI(q.SNI)))
		}
	}
	if best == nil {
		m.Steps = append(m.Steps, NewStep(RuleL4NoneMatches, None, Ref{}, noneOfL4(len(chains), string(kind))))
		return m
	}
	if kind == "tls" {
		same = nil // OutboundListener.Rejected looks at all of the listener's chains
	}
	for _, c := range same {
		m.Certain = Unknown
		m.Steps = append(m.Steps, NewStep(RuleL4Refused, Warned, c.Ref, best.Ref))
	}
	m.Route = best
	m.Steps = append(m.Steps, NewStep(RuleL4Matched, Matched, best.Ref))
	return m
}

// bySubnet keeps the chains with the narrowest subnet that holds the destination.
func (m *L4Match) bySubnet(chains []*L4Route, q L4Query) []*L4Route {
	narrowest := -1
	width := make([]int, len(chains))
	for i, c := range chains {
		width[i] = c.subnetWidth(q.DestinationIP)
		narrowest = max(narrowest, width[i])
	}
	var kept []*L4Route
	for i, c := range chains {
		subnets := strings.Join(c.Subnets, ", ")
		at := c.Ref.At(c.Ref.Field + ".destinationSubnets")
		switch {
		case width[i] == narrowest && narrowest >= 0:
			kept = append(kept, c)
		case !q.DestinationIP.IsValid():
			m.Certain = Unknown
			m.Steps = append(m.Steps, NewStep(RuleL4SubnetUnknown, Warned, at, subnets))
		default:
			if subnets == "" {
				subnets, at = "of any address", c.Ref
			}
			ip := q.DestinationIP.String()
			m.Steps = append(m.Steps, NewStep(RuleL4Subnet, Skipped, at, subnets, ip).Unlike("destination "+subnets, ip))
		}
	}
	return kept
}

// subnetWidth is the length of the chain's narrowest prefix that holds the
// address, 0 for a chain without subnets, and -1 if none holds it.
func (r *L4Route) subnetWidth(ip netip.Addr) int {
	width, limited := -1, false
	for _, s := range r.Subnets {
		p, ok := parseSubnet(s)
		if !ok || p.Addr() == netip.IPv4Unspecified() {
			continue // istiod leaves these out of the chain
		}
		limited = true
		if ip.IsValid() && p.Contains(ip.Unmap()) {
			width = max(width, p.Bits())
		}
	}
	if !limited {
		return 0
	}
	return width
}

// parseSubnet reads a CIDR or a single address.
func parseSubnet(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, true
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}

// bySNI is the chain for a server name, and every other chain with the same
// claim to it. "*" anywhere in a list stands for no list.
func bySNI(chains []*L4Route, sni string) (best *L4Route, same []*L4Route) {
	rank := -1
	for _, c := range chains {
		switch got := c.sniRank(strings.ToLower(sni)); {
		case got > rank:
			best, same, rank = c, nil, got
		case got == rank && best != nil:
			same = append(same, c)
		}
	}
	return best, same
}

// sniRank orders claims to a server name: -1 none, 0 a chain without server
// names, then wildcards by length, and an exact name above all.
func (r *L4Route) sniRank(sni string) int {
	if len(r.SNIHosts) == 0 || slices.Contains(r.SNIHosts, "*") {
		return 0
	}
	rank := -1
	for _, h := range r.SNIHosts {
		h = strings.ToLower(h)
		switch {
		case sni == "":
		case h == sni:
			return 1 << 20
		case strings.HasPrefix(h, "*.") && strings.HasSuffix(sni, h[1:]):
			rank = max(rank, len(h))
		}
	}
	return rank
}

func describeSNI(sni string) string {
	if sni == "" {
		return "absent"
	}
	return strconv.Quote(sni)
}

// noneOfL4 says in words that none of n tls or tcp rules takes a connection.
func noneOfL4(n int, kind string) string {
	if n == 1 {
		return "the only " + kind + " rule that applies here does not take"
	}
	return "none of the " + strconv.Itoa(n) + " " + kind + " rules that apply here takes"
}
