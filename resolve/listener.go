package resolve

import (
	"strconv"
	"sync"
)

// Rules of the outbound listeners of a sidecar.
const (
	RuleListenerWildcard    RuleID = "listener/wildcard-port"
	RuleListenerWildcardTLS RuleID = "listener/wildcard-tls-port"
	RuleListenerWildcardTCP RuleID = "listener/wildcard-tcp-port"
	RuleListenerAddress     RuleID = "listener/service-address"
	RuleListenerHeadless    RuleID = "listener/headless-endpoint"
	RuleListenerNone        RuleID = "listener/none"
	RuleListenerHTTPChain   RuleID = "listener/http-chain"
	RuleListenerNotHTTP     RuleID = "listener/not-http"
	RuleListenerTCPChain    RuleID = "listener/tcp-chain"
	RuleListenerSNIChain    RuleID = "listener/sni-chain"
	RuleListenerNoChain     RuleID = "listener/default-chain"
	RuleListenerPassthrough RuleID = "listener/passthrough"
	RuleListenerBlackhole   RuleID = "listener/blackhole"
	RuleListenerEgressProxy RuleID = "listener/egress-proxy"
	RuleListenerDynamicDNS  RuleID = "listener/dynamic-dns"
	RuleListenerOlderTakes  RuleID = "listener/older-takes-all"
	RuleListenerOtherAddr   RuleID = "listener/other-address"
)

var listenerRules = []Rule{
	{
		ID: RuleListenerWildcard, Stage: StageListener,
		Says:     "All HTTP services of a port share the listener 0.0.0.0_PORT; there the Host header decides, not the address.",
		Template: "port %d of %s is %s: listener %s, where the Host header decides",
		Source:   "pilot/pkg/networking/core/listener.go, buildSidecarOutboundListener",
	},
	{
		ID: RuleListenerWildcardTLS, Stage: StageListener,
		Says:     "A TLS service without an address of its own is on the listener 0.0.0.0_PORT; there the server name of the handshake decides.",
		Template: "port %d of %s is %s: listener %s, where the TLS server name decides",
		Source:   "pilot/pkg/networking/core/listener.go, buildSidecarOutboundListener",
	},
	{
		ID: RuleListenerWildcardTCP, Stage: StageListener,
		Says:     "A TCP service without an address of its own takes all TCP of its port on the listener 0.0.0.0_PORT.",
		Template: "port %d of %s is %s: listener %s, which takes whatever address was dialled",
		Source:   "pilot/pkg/networking/core/listener.go, buildSidecarOutboundListener",
	},
	{
		ID: RuleListenerAddress, Stage: StageListener,
		Says:     "A TCP, TLS or auto-detected port of a service with an address has a listener of its own on that address; there the Host header does not matter.",
		Template: "port %d of service %s is %s: it has the listener %s of its own",
		Source:   "pilot/pkg/networking/core/listener.go, buildSidecarOutboundListener",
	},
	{
		ID: RuleListenerHeadless, Stage: StageListener,
		Says:     "A TCP, TLS or auto-detected port of a headless service has a listener on each endpoint's address.",
		Template: "port %d of headless service %s is %s: each endpoint has a listener %s of its own",
		Source:   "pilot/pkg/networking/core/listener.go, buildSidecarOutboundListeners",
	},
	{
		ID: RuleListenerNone, Stage: StageListener,
		Says:     "Traffic to an address and port without a listener goes to virtualOutbound, which the outbound traffic policy decides about.",
		Template: "no service this proxy knows has port %d: no listener takes it, the outbound traffic policy decides",
		Source:   "pilot/pkg/networking/core/listener_builder.go, buildOutboundCatchAllNetworkFilterChains",
	},
	{
		ID: RuleListenerOtherAddr, Stage: StageListener,
		Says:     "A listener on one service's address takes only traffic to that address.",
		Template: "the listeners on port %d are on other addresses (%s): none takes %s, the outbound traffic policy decides",
		Source:   "pilot/pkg/networking/core/listener.go, buildSidecarOutboundListener",
	},
	{
		ID: RuleListenerHTTPChain, Stage: StageListener, Detail: true,
		Says:     "Plaintext HTTP takes the listener's HTTP filter chain, if it has one.",
		Template: "plaintext HTTP: route configuration %s",
		Source:   "pilot/pkg/networking/core/listener.go, buildSidecarOutboundHTTPListenerOpts",
	},
	{
		ID: RuleListenerNotHTTP, Stage: StageListener,
		Says:     "The filter chain of a port of protocol HTTP_PROXY, or of an HTTP port at an address that a Sidecar binds, takes every connection that no other chain takes: bytes that are not HTTP are not passed on but break it.",
		Template: "port %d of %s is %s: what no other chain takes listener %s reads as HTTP, and it gets %s",
		Source:   "pilot/pkg/networking/core/listener.go, buildSidecarOutboundListener",
	},
	{
		ID: RuleListenerTCPChain, Stage: StageListener,
		Says:     "Bytes that are not HTTP, or any bytes on a TCP port, are forwarded as a TCP stream; http routes do not apply.",
		Template: "%s goes on as a TCP stream to %s%s",
		Source:   "pilot/pkg/networking/core/tls.go, buildSidecarOutboundTCPFilterChainOpts",
	},
	{
		ID: RuleListenerSNIChain, Stage: StageListener,
		Says:     "TLS is forwarded unopened by its server name: to the service whose host (or alias, or tls route) it names.",
		Template: "TLS with server name %s is forwarded unopened to %s: http routes do not apply",
		Source:   "pilot/pkg/networking/core/tls.go, buildSidecarOutboundTLSFilterChainOpts",
	},
	{
		ID: RuleListenerNoChain, Stage: StageListener,
		Says:     "Bytes that no filter chain of the listener takes go to its default chain, which the outbound traffic policy decides about.",
		Template: "%s fits no filter chain of %s: the outbound traffic policy decides",
		Source:   "pilot/pkg/networking/core/listener.go, buildListenerFromEntry",
	},
	{
		ID: RuleListenerPassthrough, Stage: StageListener,
		Says:     "With outboundTrafficPolicy ALLOW_ANY unmatched traffic goes to the address the application dialled, as it is: no mTLS, no routes, no DestinationRule.",
		Template: "outboundTrafficPolicy %s: forwarded as it is to the address the application dialled (PassthroughCluster): no mTLS, no routes",
		Source:   "pilot/pkg/networking/core/listener_builder.go, buildOutboundCatchAllNetworkFilterChains; httproute.go, buildCatchAllVirtualHost",
	},
	{
		ID: RuleListenerOlderTakes, Stage: StageListener,
		Says:     "Of two TCP ports that share a listener and that nothing tells apart, the older service takes every connection.",
		Template: "port %d of %s gets nothing: %s is on %s before it, and nothing tells their connections apart",
		Source:   "pilot/pkg/networking/core/listener.go, mergeTCPFilterChains",
	},
	{
		ID: RuleListenerDynamicDNS, Stage: StageListener,
		Says:     "With outboundTrafficPolicy ALLOW_ANY_DYNAMIC_DNS plaintext HTTP that no virtual host takes goes to wherever the proxy resolves its Host header to; everything else goes on as with ALLOW_ANY.",
		Template: "outboundTrafficPolicy ALLOW_ANY_DYNAMIC_DNS: the proxy resolves %s itself and forwards in plaintext",
		Source:   "pilot/pkg/networking/core/listener_builder.go, buildOutboundCatchAllNetworkFilterChains; httproute.go, buildCatchAllVirtualHost",
	},
	{
		ID: RuleListenerEgressProxy, Stage: StageListener,
		Says:     "With outboundTrafficPolicy.egressProxy of a Sidecar unmatched traffic goes to that destination.",
		Template: "egressProxy: traffic that no service takes goes to %s",
		Source:   "pilot/pkg/networking/core/listener_builder.go, buildOutboundCatchAllNetworkFiltersOnly; httproute.go, buildCatchAllVirtualHost",
	},
	{
		ID: RuleListenerBlackhole, Stage: StageListener,
		Says:     "With outboundTrafficPolicy REGISTRY_ONLY unmatched traffic is refused: HTTP on a shared listener with 502, everything else by closing the connection.",
		Template: "outboundTrafficPolicy %s: %s",
		Source:   "pilot/pkg/networking/core/listener_builder.go, buildOutboundCatchAllNetworkFilterChains; httproute.go, buildCatchAllVirtualHost",
	},
}

// Payload is what the first bytes of a connection look like to Envoy's inspectors.
type Payload string

// The closed list of payloads.
const (
	// PayloadHTTP is plaintext HTTP/1.1 or HTTP/2.
	PayloadHTTP Payload = "plaintext HTTP"
	// PayloadTLS is a TLS handshake of the application's own.
	PayloadTLS Payload = "TLS"
	// PayloadTCP is anything else.
	PayloadTCP Payload = "TCP"
)

// OutboundListener is a listener of a sidecar for traffic that leaves the workload.
type OutboundListener struct {
	// Name is as Envoy shows it: 0.0.0.0_9080, 10.96.1.5_443.
	Name string
	Port int
	// Wildcard is set for 0.0.0.0_PORT.
	Wildcard bool
	// RouteConfig is the HTTP chain's route configuration; empty without an HTTP chain.
	RouteConfig string
	// Unsniffed is set where the HTTP chain asks for no protocol: it takes every connection that no
	// other chain takes. So it is for HTTP_PROXY, and for HTTP on an address that a Sidecar names.
	Unsniffed bool
	// HTTPService is the service the HTTP chain belongs to where it belongs to only one.
	HTTPService *Service
	TCP         []TCPChain
	// Owner is the service that opened the listener.
	Owner     *Service
	OwnerPort Port
	Egress    *Egress
	// PerEndpoint is set where there is one such listener on each of the owner's endpoints.
	PerEndpoint bool

	state    Protocol
	locked   bool
	shadowed []shadowed
}

// shadowed is a service whose TCP chain an older one keeps away, and the step that says so.
type shadowed struct {
	service *Service
	step    Step
}

// TCPChain forwards bytes to one service.
type TCPChain struct {
	Service *Service
	Port    Port
	// CIDRs limit the chain to destination addresses; empty for any.
	CIDRs []Address
	// SNI limits the chain to server names; empty for any bytes.
	SNI []string
}

// narrowest is the length of the narrowest range that holds the address; -1 if none does.
func (c TCPChain) narrowest(dest Address) int {
	bits := -1
	for _, cidr := range c.CIDRs {
		if dest.Prefix.IsValid() && cidr.Prefix.Contains(dest.Prefix.Addr()) {
			bits = max(bits, cidr.Prefix.Bits())
		}
	}
	return bits
}

// tableCache holds the listeners and route tables of a scope, made on first use.
type tableCache struct {
	sync.Mutex
	listeners map[int]*portListeners
	routes    map[tableKey]*RouteTable
}

// portListeners are the listeners of one port by the address they are on.
type portListeners struct {
	byBind map[string]*OutboundListener
	order  []*OutboundListener
	// onPods are the services that have listeners on their endpoints, in the order in which istiod makes them.
	onPods []podListener
}

const wildcardBind = "0.0.0.0"

// Listeners returns the outbound listeners of the port, made once.
func (sc *Scope) listenersOn(port int) *portListeners {
	sc.tables.Lock()
	defer sc.tables.Unlock()
	if l := sc.tables.listeners[port]; l != nil {
		return l
	}
	l := sc.buildListeners(port)
	if sc.tables.listeners == nil {
		sc.tables.listeners = map[int]*portListeners{}
	}
	sc.tables.listeners[port] = l
	return l
}

// buildListeners makes the listeners of one port.
//
//  1. Egress listeners in order; the catch-all one adds nothing to listeners that
//     a listener with a port has made. Where they stand and what is on them: see egressbind.go.
//  2. Services by age. Aliases and UDP ports make none.
//  3. HTTP ports share 0.0.0.0_PORT. TCP, TLS and auto-detected ports listen on the
//     service's addresses; on 0.0.0.0 if it has none or a CIDR; on each
//     endpoint's address for a headless Service, and for a ServiceEntry of resolution NONE that
//     has endpoints all the same: by a workloadSelector, or those of a Service of its host.
//     To istiod each address of a ServiceEntry is a service of its own: see Unsettled.
//
// Source: pilot/pkg/networking/core/listener.go, buildSidecarOutboundListeners.
func (sc *Scope) buildListeners(port int) *portListeners {
	ls := &portListeners{byBind: map[string]*OutboundListener{}}
	for _, e := range sc.Egress {
		if e.Port() == 0 {
			for _, l := range ls.order {
				l.locked = true
			}
		} else if e.Port() != port {
			continue
		}
		for _, svc := range e.Services {
			p, ok := e.portOf(svc, port)
			if !ok {
				continue
			}
			for _, bind := range sc.bindsFor(svc, p, e) {
				ls.add(bind, svc, p, e)
				if bind.perEndpoint {
					ls.onPods = append(ls.onPods, podListener{svc, p, e})
				}
			}
		}
	}
	return ls
}

// bind is an address a service port listens on, with the CIDR that limits its TCP chain.
type bind struct {
	address string
	cidrs   []Address
	// perEndpoint: the address stands for that of each endpoint.
	perEndpoint bool
}

func (sc *Scope) bindsFor(svc *Service, p Port, e *Egress) []bind {
	if svc.Resolution == Alias || p.Protocol == ProtocolUDP {
		return nil
	}
	if b := e.address(); b != "" {
		return []bind{{address: b}}
	}
	if p.Protocol.IsHTTP() {
		if reservedPorts[p.Number] {
			return nil
		}
		return []bind{{address: wildcardBind}}
	}
	if e.Port() == 0 && sc.listensPerEndpoint(svc, p) {
		return []bind{{address: headlessBind(svc), perEndpoint: true}}
	}
	addresses := sc.addresses(svc)
	if len(addresses) == 0 {
		return []bind{{address: wildcardBind}}
	}
	var out []bind
	for _, a := range addresses {
		if a.IsCIDR() {
			out = append(out, bind{address: wildcardBind, cidrs: []Address{a}})
		} else {
			out = append(out, bind{address: a.String()})
		}
	}
	return out
}

func (sc *Scope) listensPerEndpoint(svc *Service, p Port) bool {
	if svc.Resolution != Passthrough || len(sc.addresses(svc)) > 0 {
		return false
	}
	if svc.Registry == RegistryKubernetes || len(svc.Selector) > 0 {
		return true
	}
	return len(sc.snapshot.indexed(svc, p.Number).endpoints) > 0
}

// reservedPorts are Envoy's own: HTTP services on them get no shared listener.
// Source: pilot/pkg/model/context.go, conflictWithReservedListener.
var reservedPorts = map[int]bool{15001: true, 15006: true, 15021: true, 15090: true}

// headlessBind stands for "the address of each endpoint".
func headlessBind(svc *Service) string { return "podIP-of-" + svc.Name + "." + svc.Namespace }

// add puts a service port on the listener of an address, as istiod settles conflicts:
// HTTP with TCP gives both chains; a second HTTP or auto port joins silently; of two
// TCP chains with the same condition the first is kept; Mongo and MySQL share with nobody.
//
// Source: pilot/pkg/networking/core/listener.go, buildSidecarOutboundListener,
// mergeTCPFilterChains, isConflictWithWellKnownPort.
func (ls *portListeners) add(b bind, svc *Service, p Port, e *Egress) {
	old := ls.byBind[b.address]
	if old != nil && old.locked {
		return
	}
	wildcard := b.address == wildcardBind
	proxy := p.Protocol == ProtocolHTTPProxy
	if old != nil && !proxy && old.state != p.Protocol && (isServerFirst(p.Protocol) || isServerFirst(old.state)) {
		return
	}
	http := p.Protocol.IsHTTP()
	auto := p.Protocol.IsAuto()
	if old == nil || proxy || auto && old.state.IsHTTP() {
		l := &OutboundListener{
			Name: b.address + "_" + strconv.Itoa(p.Number), Port: p.Number, Wildcard: wildcard,
			Owner: svc, OwnerPort: p, Egress: e, PerEndpoint: b.perEndpoint, Unsniffed: proxy || http && !wildcard, state: p.Protocol,
		}
		if http && wildcard && !proxy {
			l.state = ProtocolUnsupported
		}
		l.addChains(b, svc, p)
		if old == nil {
			ls.order = append(ls.order, l)
		} else {
			ls.order[indexOf(ls.order, old)] = l
		}
		ls.byBind[b.address] = l
		return
	}
	switch {
	case (http || auto) && (old.state.IsHTTP() || old.state.IsAuto()):
		return // the route table takes the service; the listener stays as it is
	case http || auto:
		old.addChains(b, svc, p)
		old.state = ProtocolUnsupported
	default:
		old.addTCP(b, svc, p)
		if old.state.IsHTTP() {
			old.state = ProtocolUnsupported
		}
	}
}

func indexOf(list []*OutboundListener, l *OutboundListener) int {
	for i, x := range list {
		if x == l {
			return i
		}
	}
	return 0
}

func isServerFirst(p Protocol) bool { return p == ProtocolMongo || p == ProtocolMySQL }

func (l *OutboundListener) addChains(b bind, svc *Service, p Port) {
	if p.Protocol.IsHTTP() || p.Protocol.IsAuto() {
		if l.RouteConfig == "" {
			l.RouteConfig = strconv.Itoa(p.Number)
			if p.Protocol.IsAuto() && !l.Wildcard {
				l.RouteConfig = svc.Hostname + ":" + strconv.Itoa(p.Number)
				l.HTTPService = svc
			}
		}
	}
	if !p.Protocol.IsHTTP() {
		l.addTCP(b, svc, p)
	}
}

// addTCP adds a service's chain. On the shared listener, and for DYNAMIC_DNS on every one, TLS is told apart by server
// name: the service's host, or an alias in any of its forms.
// Source: pilot/pkg/networking/core/tls.go, buildSidecarOutboundTLSFilterChainOpts.
func (l *OutboundListener) addTCP(b bind, svc *Service, p Port) {
	chain := TCPChain{Service: svc, Port: p, CIDRs: b.cidrs}
	if p.Protocol.IsTLS() && (l.Wildcard || svc.Resolution == DynamicDNS && IsWildcardHost(svc.Hostname)) {
		chain.SNI = append(chain.SNI, svc.Hostname)
		for _, a := range svc.Aliases {
			chain.SNI = append(chain.SNI, a.Hostname)
			chain.SNI = append(chain.SNI, shortForms(a.Hostname, l.Egress.namespace, l.Egress.domain)...)
		}
	}
	if l.Unsniffed && len(chain.CIDRs) == 0 && len(chain.SNI) == 0 {
		l.shadowed = append(l.shadowed, shadowed{svc, NewStep(RuleListenerOlderTakes, Skipped, svc.Ref.At(p.Field), p.Number, svc.Hostname, l.Owner.Hostname, l.Name)})
		return
	}
	for _, old := range l.TCP {
		if sameAddresses(old.CIDRs, chain.CIDRs) && sameStrings(old.SNI, chain.SNI) {
			l.shadowed = append(l.shadowed, shadowed{svc, NewStep(RuleListenerOlderTakes, Skipped, svc.Ref.At(p.Field), p.Number, svc.Hostname, old.Service.Hostname, l.Name)})
			return
		}
	}
	l.TCP = append(l.TCP, chain)
}

func sameAddresses(a, b []Address) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Prefix.Masked() != b[i].Prefix.Masked() {
			return false
		}
	}
	return true
}

func sameStrings(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	seen := map[string]bool{}
	for _, x := range a {
		seen[x] = true
	}
	for _, x := range b {
		if !seen[x] {
			return false
		}
	}
	return true
}

// describeProtocol names a port's protocol as a person would.
func describeProtocol(p Protocol) string {
	if p.IsAuto() {
		return "auto-detected"
	}
	return string(p)
}

// wildcardRule says what decides on a listener 0.0.0.0_PORT for a service of that protocol.
func wildcardRule(p Protocol) RuleID {
	switch {
	case p.IsTLS():
		return RuleListenerWildcardTLS
	case p.IsHTTP(), p.IsAuto():
		return RuleListenerWildcard
	}
	return RuleListenerWildcardTCP
}
