package resolve

import networking "istio.io/api/networking/v1alpha3"

// Where an egress listener of a Sidecar stands, and which services are on it.
//
//  1. At its bind; without one at 127.0.0.1 if its captureMode is NONE. Else each service has its usual address.
//  2. With captureMode NONE it is a socket of the proxy's own, which the application dials as such: the connection is
//     not captured.
//  3. One with a port has the services with that port, read as its protocol says; of HTTP_PROXY all services,
//     whatever ports they have.
//
// Source: pilot/pkg/networking/core/listener.go, buildSidecarOutboundListeners; pilot/pkg/model/sidecar.go, needsPortMatch.

// Rules of egress listeners that stand at an address of their own.
const (
	RuleListenerEgressBind   RuleID = "listener/egress-bind"
	RuleListenerEgressOwner  RuleID = "listener/egress-service"
	RuleListenerEgressSocket RuleID = "listener/egress-socket"
	RuleListenerNoOriginal   RuleID = "listener/no-original-destination"
)

var egressBindRules = []Rule{
	{
		ID: RuleListenerEgressBind, Stage: StageListener,
		Says:     "An egress listener of a Sidecar stands at its bind, or with captureMode NONE at 127.0.0.1, if a service is on it: one with its port, or for HTTP_PROXY any.",
		Template: "this egress listener (%s) is %s",
		Source:   "pilot/pkg/networking/core/listener.go, buildSidecarOutboundListeners",
	},
	{
		ID: RuleListenerEgressOwner, Stage: StageListener, Detail: true,
		Says:     "An egress listener stands if a service is on it; the first one names it.",
		Template: "is on %s, which would not stand without a service",
		Source:   "pilot/pkg/networking/core/listener.go, buildSidecarOutboundListeners",
	},
	{
		ID: RuleListenerEgressSocket, Stage: StageCapture,
		Says:     "An egress listener with captureMode NONE is a socket: what the application sends to its address goes to the sidecar without being captured.",
		Template: "%s is a socket of the sidecar: it takes the connection, though nothing captures it",
		Source:   "pilot/pkg/networking/core/listener.go, buildSidecarOutboundListeners",
	},
	{
		ID: RuleListenerNoOriginal, Stage: StageLoadBalance,
		Says:     "A cluster that forwards to where the application dialled has nowhere to forward to where it dialled the sidecar itself.",
		Template: "%s forwards to where the application dialled, and that is the sidecar itself: there is no host to send to",
		Source:   "Envoy, docs, service discovery, original destination",
	},
}

// proxies reports whether the listener is one for HTTP_PROXY.
func (e *Egress) proxies() bool {
	return e.Port() != 0 && ParseProtocol(e.Listener.GetPort().GetProtocol()) == ProtocolHTTPProxy
}

// socket is step 2.
func (e *Egress) socket() bool { return e.Listener.GetCaptureMode() == networking.CaptureMode_NONE }

// address is step 1; empty for the services' own.
func (e *Egress) address() string {
	if b := e.Listener.GetBind(); b != "" || !e.socket() {
		return b
	}
	return "127.0.0.1"
}

// portOf is step 3: the port under which a service is on a listener of the number.
func (e *Egress) portOf(svc *Service, number int) (Port, bool) {
	p, ok := svc.PortByNumber(number)
	if e.Port() == 0 {
		return p, ok
	}
	if e.proxies() {
		p, ok = Port{Number: number}, true
	}
	p.Protocol = ParseProtocol(e.Listener.GetPort().GetProtocol())
	return p, ok
}

// Ref is what gave the listener its port: the Service's, or the Sidecar's where that names it.
func (l *OutboundListener) Ref() Ref {
	if l.Egress.Port() != 0 {
		return l.Egress.Ref.At(l.Egress.Ref.Field + ".port")
	}
	return l.Owner.Ref.At(l.OwnerPort.Field)
}

// Title is what a listener with a port of its own serves: a Service, or the Sidecar's egress listener.
func (l *OutboundListener) Title() string {
	if l.Egress.Port() != 0 {
		return "the egress listener"
	}
	return l.Owner.Hostname
}

// Socket is the listener that the sidecar of a scope has at one of the pod's own addresses, if it has one, and the
// step that says so.
func (sc *Scope) Socket(d Dialled) (*OutboundListener, Step) {
	if sc == nil {
		return nil, Step{}
	}
	ls := sc.listenersOn(d.Port)
	l := ls.byBind[d.Address.String()]
	if l == nil {
		l = ls.byBind[wildcardBind]
	}
	if l == nil || !l.Egress.socket() {
		return nil, Step{}
	}
	return l, NewStep(RuleListenerEgressSocket, Applied, l.Egress.Ref, l.Name)
}
