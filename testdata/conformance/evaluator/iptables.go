package evaluator

import (
	"net/netip"
	"slices"
)

// Iptables are the rules of a pod's network, named after the options of istio-iptables that set them:
// which connections they hand to the proxy.
// Source: https://istio.io/latest/docs/reference/config/annotations/ and the chains that
// "istio-iptables --dry-run" prints: the first rule that takes a packet decides.
type Iptables struct {
	// InboundPorts are captured; nil for all but InboundExclude.
	InboundPorts, InboundExclude []uint16
	// OutboundExclude comes first, then RangesExclude, OutboundPorts, and Ranges; nil Ranges are all.
	OutboundExclude, OutboundPorts []uint16
	RangesExclude, Ranges          []netip.Prefix
	// Off is set where there are no rules at all (interception mode NONE).
	Off bool
}

// AnyAddress are the rules for an address that no one knows to be in a range.
func (t *Iptables) AnyAddress() *Iptables {
	if t == nil {
		return nil
	}
	c := *t
	c.RangesExclude = nil
	if len(c.Ranges) > 0 {
		c.Ranges = nil
	}
	return &c
}

// tunnel is the port of HBONE, which no rule captures.
const tunnel = 15008

func (t *Iptables) inbound(port uint16) bool {
	switch {
	case t == nil:
		return true
	case t.Off || port == tunnel:
		return false
	case t.InboundPorts != nil:
		return slices.Contains(t.InboundPorts, port)
	}
	return !slices.Contains(t.InboundExclude, port)
}

func (t *Iptables) outbound(to netip.AddrPort) bool {
	within := func(list []netip.Prefix) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(to.Addr()) })
	}
	switch {
	case t == nil:
		return !to.Addr().IsLoopback()
	case t.Off, slices.Contains(t.OutboundExclude, to.Port()), to.Addr().IsLoopback(), within(t.RangesExclude):
		return false
	case slices.Contains(t.OutboundPorts, to.Port()):
		return true
	}
	return t.Ranges == nil || within(t.Ranges)
}
