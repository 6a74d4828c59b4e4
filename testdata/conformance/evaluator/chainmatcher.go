package evaluator

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	xdscore "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcher "github.com/cncf/xds/go/xds/type/matcher/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	inputs "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/network/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The filter chain that a tree of matchers names (filter_chain_matcher). A branch that leads nowhere is left for the next:
// a wider range of addresses, then what stands for no match.
//
// Source: https://www.envoyproxy.io/docs/envoy/latest/xds/type/matcher/v3/matcher.proto, ip.proto;
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/matching/common_inputs/network/v3/network_inputs.proto.

// chainByMatcher is nil where the tree names none; unknown is what can not be played.
func chainByMatcher(l *listener.Listener, s sniffed) (chain *listener.FilterChain, unknown string) {
	name, unknown := chainName(l.GetFilterChainMatcher(), s)
	if unknown != "" {
		return nil, unknown
	}
	for _, c := range l.GetFilterChains() {
		if name != "" && c.GetName() == name {
			return c, ""
		}
	}
	return l.GetDefaultFilterChain(), ""
}

func chainName(m *xdsmatcher.Matcher, s sniffed) (name, unknown string) {
	tree := m.GetMatcherTree()
	if tree == nil {
		return "", "a matcher that is no tree"
	}
	value, unknown := input(tree.GetInput(), s)
	if unknown != "" {
		return "", unknown
	}
	var branches []*xdsmatcher.Matcher_OnMatch
	switch t := tree.GetTreeType().(type) {
	case *xdsmatcher.Matcher_MatcherTree_ExactMatchMap:
		branches = append(branches, t.ExactMatchMap.GetMap()[value])
	case *xdsmatcher.Matcher_MatcherTree_CustomMatch:
		ranges, ok := unpack(t.CustomMatch.GetTypedConfig(), &xdsmatcher.IPMatcher{})
		if !ok {
			return "", "matcher " + t.CustomMatch.GetName()
		}
		branches = byRange(ranges, value)
	default:
		return "", fmt.Sprintf("matcher tree %T", t)
	}
	for _, b := range append(branches, m.GetOnNoMatch()) {
		if name, unknown := follow(b, s); name != "" || unknown != "" {
			return name, unknown
		}
	}
	return "", ""
}

func follow(b *xdsmatcher.Matcher_OnMatch, s sniffed) (name, unknown string) {
	if m := b.GetMatcher(); m != nil {
		return chainName(m, s)
	}
	if action := b.GetAction(); action != nil {
		text, ok := unpack(action.GetTypedConfig(), &wrapperspb.StringValue{})
		if !ok {
			return "", "action " + action.GetName()
		}
		return text.GetValue(), ""
	}
	return "", ""
}

// byRange are the branches of the ranges that hold the address, the narrowest first.
func byRange(m *xdsmatcher.IPMatcher, value string) []*xdsmatcher.Matcher_OnMatch {
	ip, err := netip.ParseAddr(value)
	if err != nil {
		return nil
	}
	type branch struct {
		bits int
		to   *xdsmatcher.Matcher_OnMatch
	}
	var found []branch
	for _, r := range m.GetRangeMatchers() {
		bits := -1
		for _, c := range r.GetRanges() {
			base, err := netip.ParseAddr(c.GetAddressPrefix())
			if err == nil && netip.PrefixFrom(base, int(c.GetPrefixLen().GetValue())).Contains(ip) {
				bits = max(bits, int(c.GetPrefixLen().GetValue()))
			}
		}
		if bits >= 0 {
			found = append(found, branch{bits, r.GetOnMatch()})
		}
	}
	slices.SortStableFunc(found, func(a, b branch) int { return b.bits - a.bits })
	var out []*xdsmatcher.Matcher_OnMatch
	for _, b := range found {
		out = append(out, b.to)
	}
	return out
}

// input is what a tree looks at, as text.
func input(c *xdscore.TypedExtensionConfig, s sniffed) (value, unknown string) {
	switch any := c.GetTypedConfig(); {
	case any.MessageIs(&inputs.DestinationIPInput{}):
		return s.destination.Addr().String(), ""
	case any.MessageIs(&inputs.DestinationPortInput{}):
		return strconv.Itoa(int(s.destination.Port())), ""
	case any.MessageIs(&inputs.ApplicationProtocolInput{}):
		var quoted []string
		for _, a := range s.application {
			quoted = append(quoted, "'"+a+"'")
		}
		return strings.Join(quoted, ","), ""
	case any.MessageIs(&inputs.TransportProtocolInput{}):
		return s.transport, ""
	case any.MessageIs(&inputs.ServerNameInput{}):
		return s.sni, ""
	case any.MessageIs(&inputs.FilterStateInput{}):
		key, _ := unpack(any, &inputs.FilterStateInput{})
		return s.state[key.GetKey()], ""
	}
	return "", "matching input " + c.GetName()
}
