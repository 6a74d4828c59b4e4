package evaluator

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
)

// sniffed is what the listener filters found in the first bytes.
type sniffed struct {
	destination    netip.AddrPort
	transport, sni string
	application    []string
	sourceAddress  netip.Addr
	// state is the filter state of the connection, by its keys.
	state map[string]string
}

func sniff(l *listener.Listener, b *Bytes, to netip.AddrPort, peer netip.Addr) sniffed {
	s := sniffed{destination: to, transport: "raw_buffer", sourceAddress: peer}
	port := int(to.Port())
	if b.TLS != nil && inspects(l, "envoy.filters.listener.tls_inspector", port) {
		s.transport, s.sni, s.application = "tls", strings.ToLower(b.TLS.SNI), b.TLS.ALPN
	}
	if b.TLS == nil && b.HTTP != nil && inspects(l, "envoy.filters.listener.http_inspector", port) {
		s.application = []string{"http/1.1"}
		if b.HTTP.HTTP2 {
			s.application = []string{"h2c"}
		}
	}
	return s
}

// chooseChain narrows the chains criterion by criterion, in the order of FilterChainMatch's
// documentation. At each, chains that name the value most specifically stay; where none does,
// those that do not name the criterion. There is no way back.
func chooseChain(l *listener.Listener, s sniffed) *listener.FilterChain {
	chains := l.GetFilterChains()
	steps := []func(m *listener.FilterChainMatch) (named bool, rank int){
		func(m *listener.FilterChainMatch) (bool, int) {
			return m.GetDestinationPort() != nil, asRank(m.GetDestinationPort().GetValue() == uint32(s.destination.Port()))
		},
		func(m *listener.FilterChainMatch) (bool, int) {
			best := 0
			for _, r := range m.GetPrefixRanges() {
				ip, err := netip.ParseAddr(r.GetAddressPrefix())
				if err != nil {
					continue
				}
				if netip.PrefixFrom(ip, int(r.GetPrefixLen().GetValue())).Contains(s.destination.Addr()) {
					best = max(best, int(r.GetPrefixLen().GetValue())+1)
				}
			}
			return len(m.GetPrefixRanges()) > 0, best
		},
		func(m *listener.FilterChainMatch) (bool, int) {
			best := 0
			for _, n := range m.GetServerNames() {
				best = max(best, serverNameRank(strings.ToLower(n), s.sni))
			}
			return len(m.GetServerNames()) > 0, best
		},
		func(m *listener.FilterChainMatch) (bool, int) {
			return m.GetTransportProtocol() != "", asRank(m.GetTransportProtocol() == s.transport)
		},
		func(m *listener.FilterChainMatch) (bool, int) {
			best := 0
			for i, a := range s.application {
				if slices.Contains(m.GetApplicationProtocols(), a) {
					best = max(best, len(s.application)-i)
				}
			}
			return len(m.GetApplicationProtocols()) > 0, best
		},
	}
	for _, step := range steps {
		chains = narrow(chains, step)
	}
	if len(chains) == 0 {
		return l.GetDefaultFilterChain()
	}
	return chains[0]
}

func asRank(ok bool) int {
	if ok {
		return 1
	}
	return 0
}

// serverNameRank: exact beats *.example.com beats *.com.
func serverNameRank(pattern, sni string) int {
	switch {
	case sni == "":
		return 0
	case pattern == sni:
		return 1 << 20
	case strings.HasPrefix(pattern, "*.") && strings.HasSuffix(sni, pattern[1:]) && len(sni) > len(pattern)-1:
		return len(pattern)
	}
	return 0
}

func narrow(chains []*listener.FilterChain, step func(*listener.FilterChainMatch) (bool, int)) []*listener.FilterChain {
	best := 0
	for _, c := range chains {
		_, rank := step(c.GetFilterChainMatch())
		best = max(best, rank)
	}
	var out []*listener.FilterChain
	for _, c := range chains {
		named, rank := step(c.GetFilterChainMatch())
		if best > 0 && rank == best || best == 0 && !named {
			out = append(out, c)
		}
	}
	return out
}

// rejected says why Envoy would reject the listener: two chains, or one chain twice, name the same
// values (server names in whatever case), or a server name has a wildcard for a part of a label. Empty if it would not.
func rejected(l *listener.Listener) string {
	seen := map[string]bool{}
	for _, c := range l.GetFilterChains() {
		if l.GetFilterChainMatcher() != nil { // what the chains themselves match does not count
			if seen[c.GetName()] {
				return "two filter chains of one name"
			}
			seen[c.GetName()] = true
			continue
		}
		m := c.GetFilterChainMatch()
		prefixes := []string{""}
		if len(m.GetPrefixRanges()) > 0 {
			prefixes = nil
			for _, r := range m.GetPrefixRanges() {
				prefixes = append(prefixes, fmt.Sprint(r.GetAddressPrefix(), "/", r.GetPrefixLen().GetValue()))
			}
		}
		for _, prefix := range prefixes {
			for _, name := range orNone(m.GetServerNames()) {
				name = strings.ToLower(name)
				if strings.Contains(name, "*") && !strings.HasPrefix(name, "*.") {
					return "a server name with a partial wildcard"
				}
				for _, application := range orNone(m.GetApplicationProtocols()) {
					key := fmt.Sprint(m.GetDestinationPort().GetValue(), " ", prefix, " ", name, " ", m.GetTransportProtocol(), " ", application)
					if seen[key] {
						return "two filter chains match the same"
					}
					seen[key] = true
				}
			}
		}
	}
	return ""
}

func orNone(list []string) []string {
	if len(list) == 0 {
		return []string{""}
	}
	return list
}
