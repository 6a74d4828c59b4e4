package resolve

import (
	"slices"
	"strings"
)

// GatewayDoor is a port by which a client outside the cluster reaches a gateway workload that serves a host there.
type GatewayDoor struct {
	// Gateway is the workload's NAMESPACE/NAME.
	Gateway string
	Port    int
	// TLS is whether the client has to speak TLS, and HTTP whether the gateway reads HTTP.
	TLS, HTTP bool
}

// GatewayDoors are the ports of gateways that serve the host, by gateway and port. q.Port 0 stands for any port; what q
// says of TLS and HTTP is not looked at, for that is the answer.
func (s *Snapshot) GatewayDoors(q GatewayQuestion) []GatewayDoor {
	var doors []GatewayDoor
	for _, w := range s.gatewayWorkloads() {
		if q.Gateway != "" && !slices.ContainsFunc(s.namesOfGateway(w), func(n string) bool {
			return n == q.Gateway || strings.HasSuffix(n, "/"+q.Gateway)
		}) {
			continue
		}
		for _, port := range s.gatewayPorts(w) {
			if q.Port != 0 && q.Port != port {
				continue
			}
			if door, ok := s.doorOf(w, q, port); ok {
				doors = append(doors, door)
			}
		}
	}
	return doors
}

// gatewayPorts are the ports on which a client may try the gateway: those of its Services, or its own where it has none.
func (s *Snapshot) gatewayPorts(w *Workload) []int {
	var ports []int
	services := s.gatewayServices(w)
	for _, svc := range services {
		for _, p := range svc.Ports {
			if p.Protocol != ProtocolUDP {
				ports = append(ports, p.Number)
			}
		}
	}
	if len(services) == 0 {
		for _, l := range s.MergedGateway(w).Listeners() {
			ports = append(ports, l.PodPort)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// doorOf tells what a client of the host has to speak on the port; not ok where the gateway does not serve the host there.
func (s *Snapshot) doorOf(w *Workload, q GatewayQuestion, port int) (GatewayDoor, bool) {
	for _, speaks := range []struct{ tls, http bool }{{false, true}, {true, true}, {true, false}, {false, false}} {
		ask := q
		ask.Port, ask.TLS, ask.HTTP, ask.SNI = port, speaks.tls, speaks.http, ""
		if speaks.tls {
			ask.SNI = q.Host
		}
		for _, e := range s.entriesOf(w, ask) {
			if e.Fit != GatewayServes {
				continue
			}
			l, _ := e.Gateway.Listener(e.PodPort)
			chain, _ := l.FilterChain(ask.TLS, ask.SNI)
			if _, covers := l.covers(q.Host); covers && chain.HTTP() == ask.HTTP {
				return GatewayDoor{Gateway: w.Owner.QualifiedName(), Port: port, TLS: speaks.tls, HTTP: speaks.http}, true
			}
		}
	}
	return GatewayDoor{}, false
}
