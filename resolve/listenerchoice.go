package resolve

// Dialled is where the application's connection goes, as its DNS told it.
type Dialled struct {
	// Address is zero where it is not known from here (a name outside the cluster).
	Address Address
	Port    int
	// Service is the service whose name the application looked up; nil if it is none.
	Service *Service
	// Headless is set where the address is one of the service's endpoints.
	Headless bool
	// Unseen is set where the address is of a Service that istiod does not know.
	Unseen bool
	// Pod is the endpoint's own name, where the application looked that up.
	Pod string
	// Pods are those of a headless service's endpoints that are meant; nil for all that have the name.
	Pods []*Endpoint
}

// Meant are the endpoints of a headless service of which the application dialled one.
func (s *Snapshot) Meant(d Dialled) []*Endpoint {
	if d.Pods != nil {
		return d.Pods
	}
	return s.NamedEndpoints(d.Service, d.Pod, d.Port)
}

// OnPort is the same on another port.
func (d Dialled) OnPort(port int) Dialled {
	d.Port = port
	pods := make([]*Endpoint, len(d.Pods))
	for i, e := range d.Pods {
		pod := *e
		pod.Port = port
		pods[i] = &pod
	}
	if d.Pods != nil {
		d.Pods = pods
	}
	return d
}

// Listener returns the listener that takes a captured connection: the one on
// the very address, then 0.0.0.0_PORT, or nil for virtualOutbound.
// Source: Envoy, listener manager (original destination); routing by use_original_dst.
func (sc *Scope) Listener(d Dialled) (*OutboundListener, []Step) {
	ls := sc.listenersOn(d.Port)
	if l := ls.byBind[d.Address.String()]; l != nil && !l.Wildcard && !d.Headless {
		if l.Egress.address() != "" {
			return l, []Step{
				NewStep(RuleListenerEgressBind, Matched, l.Egress.Ref, describeProtocol(l.OwnerPort.Protocol), l.Name),
				NewStep(RuleListenerEgressOwner, Applied, l.Owner.Ref, l.Name),
			}
		}
		return l, []Step{NewStep(RuleListenerAddress, Matched, l.Owner.Ref.At(l.OwnerPort.Field), d.Port, l.Owner.Hostname, describeProtocol(l.OwnerPort.Protocol), l.Name)}
	}
	if l := sc.onEndpoint(ls, d); l != nil {
		return l, append([]Step{NewStep(RuleListenerHeadless, Matched, l.Owner.Ref.At(l.OwnerPort.Field), d.Port, l.Owner.Hostname, describeProtocol(l.OwnerPort.Protocol), l.Name)}, l.shadowedSteps(d)...)
	}
	if l := ls.byBind[wildcardBind]; l != nil {
		owner, port := l.Owner, l.OwnerPort
		if d.Service != nil && l.Egress.imports(d.Service) {
			if p, ok := d.Service.PortByNumber(d.Port); ok && p.Protocol != ProtocolUDP {
				owner, port = d.Service, p
			}
		}
		steps := []Step{NewStep(wildcardRule(port.Protocol), Matched, owner.Ref.At(port.Field), d.Port, owner.Hostname, describeProtocol(port.Protocol), l.Name)}
		return l, append(steps, l.shadowedSteps(d)...)
	}
	if len(ls.order) > 0 {
		var names []string
		var steps []Step
		for _, l := range ls.order {
			names = append(names, l.Name)
			if l.PerEndpoint && l.Owner.Registry != RegistryKubernetes { // its endpoints made it so
				for _, same := range sc.snapshot.sameHost(l.Owner) {
					if same.Ref != l.Owner.Ref {
						steps = append(steps, NewStep(RuleEndpointPooled, Applied, same.Ref.Object(), l.Owner.Ref.Object().String(), l.OwnerPort.Name))
					}
				}
				steps = append(steps, Behind(l.Owner, sc.snapshot.indexed(l.Owner, l.Port).endpoints)...)
			}
		}
		to := d.Address.String()
		if to == "" {
			to = "the dialled address"
		}
		return nil, append(steps, NewStep(RuleListenerOtherAddr, None, Ref{}, d.Port, joinLimited(names, 3), to))
	}
	return nil, []Step{NewStep(RuleListenerNone, None, Ref{}, d.Port)}
}

// shadowedSteps say why the service that was dialled has no filter chain here.
func (l *OutboundListener) shadowedSteps(d Dialled) []Step {
	var steps []Step
	for _, s := range l.shadowed {
		if d.Service != nil && s.service.Ref == d.Service.Ref {
			steps = append(steps, s.step)
		}
	}
	return steps
}

// Chain is the filter chain that takes a connection: HTTP, one service's TCP
// chains to choose from, or neither, which is the default chain.
type Chain struct {
	HTTP bool
	// TCP are the chains that could take it, in order; several only for TLS, where the server name decides.
	TCP []TCPChain
	// Unsniffed is set where an HTTP chain takes what TCP leaves.
	Unsniffed bool
	// Range is the service port whose range of addresses decided; zero where none did.
	Range Ref
}

// Chain returns what takes a connection of that payload: the chains of the narrowest
// destination range first, then the server name, then the protocol, as Envoy matches
// filter chains. A choice is never taken back: where a range holds the address, chains
// of wider ones and of none are out, whatever else the narrow ones ask for. An HTTP chain that
// asks for nothing is the default chain.
// The chains of tcp and tls rules with destinationSubnets have ranges as well.
// Source: Envoy, config.listener.v3.FilterChainMatch.
func (l *OutboundListener) Chain(payload Payload, dest Address, proxy *Workload) Chain {
	var ranged, open []TCPChain
	narrowest := -1
	for _, c := range l.TCP {
		bits := c.narrowest(dest)
		switch {
		case len(c.CIDRs) == 0:
			open = append(open, c)
		case bits > narrowest:
			ranged, narrowest = []TCPChain{c}, bits
		case bits == narrowest && bits >= 0:
			ranged = append(ranged, c)
		}
	}
	if len(ranged) > 0 {
		first := ranged[0]
		ranged = forPayload(ranged, payload)
		return Chain{HTTP: len(ranged) == 0 && l.Unsniffed, TCP: ranged, Unsniffed: l.Unsniffed, Range: first.Service.Ref.At(first.Port.Field)}
	}
	if tcp, within := l.subnetChains(dest, proxy); within && payload == PayloadHTTP {
		return Chain{HTTP: len(tcp) == 0 && l.Unsniffed, TCP: tcp, Unsniffed: l.Unsniffed}
	}
	if payload == PayloadHTTP && l.RouteConfig != "" {
		return Chain{HTTP: true}
	}
	open = forPayload(open, payload)
	return Chain{HTTP: len(open) == 0 && l.Unsniffed, TCP: open, Unsniffed: l.Unsniffed}
}

// forPayload drops the chains that demand a server name where the payload has none.
func forPayload(chains []TCPChain, payload Payload) []TCPChain {
	var out []TCPChain
	for _, c := range chains {
		if len(c.SNI) == 0 || payload == PayloadTLS {
			out = append(out, c)
		}
	}
	return out
}
