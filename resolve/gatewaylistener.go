package resolve

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Rules of a gateway's listeners and filter chains.
const (
	RuleGatewayListener         RuleID = "gatewaylistener/found"
	RuleGatewayListenerNone     RuleID = "gatewaylistener/none"
	RuleGatewayListenerPorts    RuleID = "gatewaylistener/privileged-port"
	RuleGatewayListenerBind     RuleID = "gatewaylistener/bound-address"
	RuleGatewayListenerWithin   RuleID = "gatewaylistener/loopback"
	RuleGatewayListenerTwice    RuleID = "gatewaylistener/auto-passthrough-twice"
	RuleGatewayListenerWildcard RuleID = "gatewaylistener/partial-wildcard"
	RuleGatewayListenerRefused  RuleID = "gatewaylistener/rejected-by-envoy"
)

var gatewayListenerRules = []Rule{
	{
		ID: RuleGatewayListener, Stage: StageListener,
		Says:     "Every pod port with a server that was kept is one Envoy listener.",
		Template: "listener %s",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayListeners",
	},
	{
		ID: RuleGatewayListenerNone, Stage: StageListener,
		Says:     "A connection to a pod port without a listener is refused.",
		Template: "%s does not listen on pod port %d (it listens on %s): the connection is refused",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayListeners",
	},
	{
		ID: RuleGatewayListenerPorts, Stage: StageListener,
		Says:     "A proxy that declares itself unprivileged gets no listener below port 1024.",
		Template: "the proxy is unprivileged (ISTIO_META_UNPRIVILEGED_POD): no listener on pod port %d",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayListeners",
	},
	{
		ID: RuleGatewayListenerBind, Stage: StageListener,
		Says:     "A server with bind listens on that address alone.",
		Template: "listener %s takes only connections to address %s; it is assumed that the request comes in there",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayListeners",
	},
	{
		ID: RuleGatewayListenerWithin, Stage: StageListener,
		Says:     "A server bound to a loopback address is reached from within the pod alone.",
		Template: "listener %s is bound to a loopback address: nobody outside the pod reaches it",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayListeners",
	},
	{
		ID: RuleGatewayListenerRefused, Stage: StageListener,
		Says:     "Envoy rejects a listener of which two filter chains match the same connections; the port keeps its previous configuration or stays closed.",
		Template: "Envoy rejects listener %s: %s would be taken by %s",
		Source:   "Envoy, listener filter chain match; pilot/pkg/networking/core/gateway_simulation_test.go, duplicate tls gateway",
	},
	{
		ID: RuleGatewayListenerTwice, Stage: StageListener,
		Says:     "Every AUTO_PASSTHROUGH server of a port makes the filter chains of the services that its hosts take, though another has made them.",
		Template: "has filter chains of %s and of %s",
		Source:   "pilot/pkg/networking/core/gateway.go, builtAutoPassthroughFilterChains",
	},
	{
		ID: RuleGatewayListenerWildcard, Stage: StageListener,
		Says:     "Envoy knows no wildcard for a part of a label in a server name: it rejects the whole listener; the port keeps its previous configuration or stays closed.",
		Template: "Envoy rejects listener %s: server name %s has a wildcard for a part of a label",
		Source:   "Envoy, FilterChainMatch server_names",
	},
}

// GatewayChainKind is what a gateway's filter chain does with a connection.
type GatewayChainKind string

// The closed list of kinds.
const (
	// GatewayHTTP is plaintext HTTP: one route table for all servers of the pod port.
	GatewayHTTP GatewayChainKind = "HTTP"
	// GatewayHTTPS terminates TLS and routes HTTP by a table of the one server.
	GatewayHTTPS GatewayChainKind = "HTTPS"
	// GatewayTCP forwards a plaintext connection.
	GatewayTCP GatewayChainKind = "TCP"
	// GatewayTLSTerminated terminates TLS and forwards what is inside as TCP.
	GatewayTLSTerminated GatewayChainKind = "TLS terminated"
	// GatewayTLSPassthrough forwards TLS by server name as a VirtualService's tls routes say.
	GatewayTLSPassthrough GatewayChainKind = "TLS passthrough"
	// GatewayAutoPassthrough forwards mutual TLS of the mesh by the cluster named in SNI.
	GatewayAutoPassthrough GatewayChainKind = "auto passthrough"
)

// GatewayListener is one Envoy listener of a gateway.
type GatewayListener struct {
	// Name is as Envoy shows it: 0.0.0.0_8443.
	Name string
	// Bind is the address of spec.servers[].bind; empty for the wildcard address.
	Bind    string
	PodPort int
	Chains  []*GatewayFilterChain
	// Rejected says why Envoy would refuse the listener; nil if it is valid.
	Rejected *Step
	// clash are the routes of the chains for which it is rejected.
	clash []Step

	gateway *MergedGateway
	byName  map[string]*GatewayFilterChain
	// bySuffix is by ".example.com".
	bySuffix map[string]*GatewayFilterChain
	any      *GatewayFilterChain
	auto     []*GatewayFilterChain
}

// GatewayFilterChain is what one or more servers made of their connections.
type GatewayFilterChain struct {
	Kind GatewayChainKind
	// Servers are in the order they were merged; more than one only for plaintext HTTP.
	Servers []*GatewayServer
	// RouteConfig is the Envoy route configuration; empty unless Kind is GatewayHTTP or GatewayHTTPS.
	RouteConfig string
	// ServerNames are the SNI names that choose the chain; none means that any connection does.
	ServerNames []string
	// L4 is the chosen route of a chain that forwards TCP or TLS; nil for HTTP and auto passthrough.
	L4 *GatewayL4Route

	listener *GatewayListener
}

// Server is the first server of the chain.
func (c *GatewayFilterChain) Server() *GatewayServer { return c.Servers[0] }

// HTTP reports whether the chain routes HTTP requests.
func (c *GatewayFilterChain) HTTP() bool { return c.Kind == GatewayHTTP || c.Kind == GatewayHTTPS }

// Terminates reports whether the chain decrypts TLS.
func (c *GatewayFilterChain) Terminates() bool {
	return c.Kind == GatewayHTTPS || c.Kind == GatewayTLSTerminated
}

// TLSMode is the mode of the server's tls, empty for a plaintext chain.
func (c *GatewayFilterChain) TLSMode() string {
	if c.Kind == GatewayHTTP || c.Kind == GatewayTCP {
		return ""
	}
	return c.Server().TLSMode()
}

// buildListeners makes the listeners of the merged servers.
//
//  1. Ports are taken in the order their first server was merged; an unprivileged proxy skips those below 1024.
//  2. A listener is named by bind address and pod port; groups of servers with the same name share it.
//  3. A group of plaintext HTTP is one filter chain; of any other group each server has its own
//     (gatewayl4.go for those that do not route HTTP).
//  4. A listener without a filter chain is not made.
//  5. Two chains that match the same server name, or two that match any, make Envoy reject the listener;
//     so does a server name with a wildcard for a part of a label ("*-shop.example.com").
//
// Source: pilot/pkg/networking/core/gateway.go, buildGatewayListeners, buildGatewayTCPBasedFilterChains.
func (g *MergedGateway) buildListeners(order []gatewayPortKey, groups map[gatewayPortKey]*gatewayPortGroup) {
	claims := map[int]map[string]gatewayHostClaim{}
	var listeners []*GatewayListener
	for _, key := range order {
		group := groups[key]
		if key.number < 1024 && unprivilegedGateway(g.Workload) {
			g.portSteps[key.number] = append(g.portSteps[key.number], NewStep(RuleGatewayListenerPorts, None, group.servers[0].Ref, key.number))
			continue
		}
		bind := key.bind
		if bind == "" {
			bind = "0.0.0.0"
		}
		name := bind + "_" + strconv.Itoa(key.number)
		i := slices.IndexFunc(listeners, func(l *GatewayListener) bool { return l.Name == name })
		if i < 0 {
			i = len(listeners)
			listeners = append(listeners, &GatewayListener{Name: name, Bind: key.bind, PodPort: key.number, gateway: g})
		}
		listeners[i].Chains = append(listeners[i].Chains, g.chainsOf(key, group, claims)...)
	}
	for _, l := range listeners {
		if len(l.Chains) > 0 {
			l.indexChains()
			g.listeners = append(g.listeners, l)
		}
	}
}

// chainsOf is step 3.
func (g *MergedGateway) chainsOf(key gatewayPortKey, group *gatewayPortGroup, claims map[int]map[string]gatewayHostClaim) []*GatewayFilterChain {
	if ParseProtocol(key.protocol).IsHTTP() {
		return []*GatewayFilterChain{{Kind: GatewayHTTP, Servers: group.servers, RouteConfig: group.routeConfig}}
	}
	var chains []*GatewayFilterChain
	for _, s := range group.servers {
		if s.terminatesHTTPS() {
			chains = append(chains, &GatewayFilterChain{
				Kind: GatewayHTTPS, Servers: []*GatewayServer{s}, RouteConfig: s.RouteConfig, ServerNames: s.serverNames(),
			})
			continue
		}
		made, steps := g.l4Chains(s, claims)
		chains = append(chains, made...)
		g.portSteps[s.PodPort] = append(g.portSteps[s.PodPort], steps...)
	}
	return chains
}

// matchedServerNames are the names that Envoy matches for the list: sorted and in lower case, and none
// at all where one of them is "*". A name that is repeated stays so, and Envoy rejects the listener.
// Source: pilot/pkg/networking/core/listener.go, toFilterChainMatch; Envoy, filter_chain_manager_impl.cc,
// setupFilterChainMatcher.
func matchedServerNames(names []string) []string {
	if slices.Contains(names, "*") {
		return nil
	}
	out := make([]string, 0, len(names))
	for _, n := range names {
		out = append(out, strings.ToLower(n))
	}
	slices.Sort(out)
	return out
}

func (l *GatewayListener) indexChains() {
	l.byName, l.bySuffix = map[string]*GatewayFilterChain{}, map[string]*GatewayFilterChain{}
	for _, c := range l.Chains {
		c.listener = l
		if c.Kind == GatewayAutoPassthrough {
			l.rejectWildcard(c)
			for _, other := range l.auto {
				if svc := l.gateway.passedByBoth(other.Server(), c.Server()); svc != nil {
					l.clash = append(l.clash, NewStep(RuleGatewayListenerTwice, Applied, svc.Ref, other.Server().Ref, c.Server().Ref))
					l.reject("every server name of "+svc.Hostname, other, c)
				}
			}
			l.auto = append(l.auto, c)
			continue
		}
		if len(c.ServerNames) == 0 {
			if l.any == nil {
				l.any = c
			} else {
				l.reject("a connection without a known server name", l.any, c)
			}
		}
		for _, n := range c.ServerNames {
			index, key := l.byName, n
			if rest, ok := strings.CutPrefix(n, "*"); ok {
				if !strings.HasPrefix(rest, ".") && l.Rejected == nil {
					step := NewStep(RuleGatewayListenerWildcard, DeniedBy, c.nameRef(), l.Name, n)
					l.Rejected = &step
				}
				index, key = l.bySuffix, rest
			}
			if other := index[key]; other != nil {
				l.reject("server name "+n, other, c)
			} else {
				index[key] = c
			}
		}
	}
}

// passedByBoth is a service of the mesh for which both AUTO_PASSTHROUGH servers make filter chains; nil without one.
func (g *MergedGateway) passedByBoth(a, b *GatewayServer) *Service {
	for _, svc := range g.snapshot.Services() {
		tcp := slices.ContainsFunc(svc.Ports, func(p Port) bool { return p.Protocol != ProtocolUDP })
		within := func(h string) bool { return HostSubsetOf(svc.Hostname, h[strings.Index(h, "/")+1:]) }
		if tcp && !svc.MeshExternal && svc.ExportTo.VisibleIn(g.Workload.Namespace) &&
			slices.ContainsFunc(a.Hosts, within) && slices.ContainsFunc(b.Hosts, within) {
			return svc
		}
	}
	return nil
}

// nameRef is the field that brings a server name.
func (c *GatewayFilterChain) nameRef() Ref {
	if c.L4 != nil && c.Kind == GatewayTLSPassthrough {
		return c.L4.Ref.At(c.L4.Ref.Field + ".sniHosts")
	}
	ref := c.Server().Ref
	return ref.At(ref.Field + ".hosts")
}

func (l *GatewayListener) reject(what string, a, b *GatewayFilterChain) {
	if l.Rejected == nil {
		both := "both " + a.Server().Ref.String() + " and " + b.Server().Ref.String()
		switch {
		case a == b:
			both = b.nameRef().String() + " twice"
		case a.Server() == b.Server():
			both = "two filter chains of " + b.Server().Ref.String()
		}
		step := NewStep(RuleGatewayListenerRefused, DeniedBy, b.Server().Ref, l.Name, what, both)
		l.Rejected = &step
		for _, c := range []*GatewayFilterChain{a, b} {
			if c.L4 != nil {
				l.clash = append(l.clash, NewStep(RuleGatewayL4Claims, Applied, c.L4.Ref, c.Server().Ref))
			}
		}
		if len(l.clash) == 2 && l.clash[0].Ref == l.clash[1].Ref {
			l.clash = l.clash[:1]
		}
	}
}

// Listener is what listens on the pod port; nil if nothing does, and the connection
// is refused. The steps then tell which ports there are and what became of servers for this one.
func (g *MergedGateway) Listener(podPort int) (*GatewayListener, []Step) {
	var found *GatewayListener
	steps := slices.Clone(g.portSteps[podPort])
	for _, l := range g.listeners {
		switch {
		case l.PodPort != podPort:
		case l.loopback():
			ref := l.Chains[0].Server().Ref
			steps = append(steps, NewStep(RuleGatewayListenerWithin, Skipped, ref.At(ref.Field+".bind"), l.Name))
		case found == nil || l.Name == "0.0.0.0_"+strconv.Itoa(podPort):
			found = l
		}
	}
	if found == nil {
		return nil, append(steps, NewStep(RuleGatewayListenerNone, None, Ref{}, g.Workload.Owner.QualifiedName(), podPort, g.portList()))
	}
	steps = append(steps, NewStep(RuleGatewayListener, Matched, found.Chains[0].Server().Ref, found.Name))
	if found.Bind != "" && found.Bind != "0.0.0.0" {
		ref := found.Chains[0].Server().Ref
		steps = append(steps, NewStep(RuleGatewayListenerBind, Warned, ref.At(ref.Field+".bind"), found.Name, found.Bind))
	}
	return found, steps
}

func (l *GatewayListener) loopback() bool {
	ip, err := netip.ParseAddr(l.Bind)
	return err == nil && ip.IsLoopback()
}

// Listeners are all listeners of the gateway, in the order pilot makes them.
func (g *MergedGateway) Listeners() []*GatewayListener { return g.listeners }

func (g *MergedGateway) portList() string {
	var ports []int
	for _, l := range g.listeners {
		if !l.loopback() {
			ports = append(ports, l.PodPort)
		}
	}
	slices.Sort(ports)
	if len(ports) == 0 {
		return "no port"
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(slices.Compact(ports)), " ", ", "), "[]")
}
