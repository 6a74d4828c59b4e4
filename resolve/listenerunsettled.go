package resolve

import "slices"

// RuleListenerUnsettled is about addresses of one ServiceEntry of which istiod takes one.
const RuleListenerUnsettled RuleID = "listener/one-of-addresses"

var listenerUnsettledRules = []Rule{{
	ID: RuleListenerUnsettled, Stage: StageListener,
	Says:     "Each address of a ServiceEntry is a service to istiod, all of one age. Where one of them is taken, of ranges on a port whose protocol is detected or of a host that a Sidecar writes out, it is not said which.",
	Template: "istiod takes one of the addresses of %s for port %d, and which is not defined",
	Source:   "pilot/pkg/networking/core/listener.go, buildSidecarOutboundListener; pilot/pkg/model/sidecar.go, servicesForExactHosts",
}}

// Unsettled reports whether it is open if the listener takes connections to the address.
//
//  1. Of two ranges on a port whose protocol is detected one has a filter chain.
//  2. Of the addresses of a host that a Sidecar writes out one is known to the proxy.
//
// Source: pilot/pkg/model/push_context.go, SortServicesByCreationTime, which leaves them in any order.
func (l *OutboundListener) Unsettled(dest Address) (Step, bool) {
	for _, c := range l.TCP {
		if c.Service.Registry == RegistryKubernetes || len(c.Service.Addresses) < 2 {
			continue
		}
		ranges := slices.DeleteFunc(slices.Clone(c.Service.Addresses), func(a Address) bool { return !a.IsCIDR() })
		within := TCPChain{CIDRs: c.Service.Addresses}.narrowest(dest) >= 0
		if within && (c.Port.Protocol.IsAuto() && len(ranges) > 1 || l.Egress.hosts.writtenOut()) {
			return NewStep(RuleListenerUnsettled, Warned, c.Service.Ref, c.Service.Ref.Object().String(), l.Port), true
		}
	}
	return Step{}, false
}
