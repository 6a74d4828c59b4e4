package resolve

import "cmp"

// RuleOwnPort is of connections to the ports that the proxy itself listens on.
const RuleOwnPort RuleID = "listener/own-port"

var ownPortRules = []Rule{
	{
		ID: RuleOwnPort, Stage: StageListener,
		Says:     "A connection to port 15001 or 15006, on which a sidecar takes what was captured, is closed: forwarded, it would come back for ever.",
		Template: "port %d is the proxy's own: chain %s closes the connection (BlackHoleCluster)",
		Source:   "pilot/pkg/networking/core/listener_builder.go, buildVirtualOutboundListener; listener_inbound.go, buildInboundBlackhole",
	},
}

// OwnPort is the listener, with its filter chain, that closes a connection to one of the proxy's own ports.
type OwnPort struct {
	Listener, FilterChain string
	Step                  Step
}

// OwnOutboundPort tells whether the sidecar of the client has the port for itself; nil if not.
// A connection to the inbound port meets the listener of that port, though it was captured on its way out.
//
// Source: pilot/pkg/networking/core/listener_builder.go, buildVirtualOutboundListener.
func (s *Snapshot) OwnOutboundPort(port int) *OwnPort {
	if port == int(cmp.Or(s.Mesh.GetProxyListenPort(), 15001)) {
		return ownPort(port, "virtualOutbound")
	}
	return s.OwnInboundPort(port)
}

// OwnInboundPort tells whether the sidecar of the server has the port for itself; nil if not.
//
// Source: pilot/pkg/networking/core/listener_inbound.go, buildInboundBlackhole.
func (s *Snapshot) OwnInboundPort(port int) *OwnPort {
	if port == int(cmp.Or(s.Mesh.GetProxyInboundListenPort(), 15006)) {
		return ownPort(port, "virtualInbound")
	}
	return nil
}

func ownPort(port int, listener string) *OwnPort {
	chain := listener + "-blackhole"
	return &OwnPort{Listener: listener, FilterChain: chain, Step: NewStep(RuleOwnPort, None, Ref{}, port, chain)}
}
