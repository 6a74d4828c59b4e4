package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// HBONE within HBONE, by an east-west gateway of another network (resolve/eastwest.go):
//
//  1. The outer HBONE ends at the gateway, which takes the hosts of GLOBAL Services. It knows who sends, and enforces nothing.
//  2. What is within it sends on, unopened: to the waypoint of the Service in its cluster, unless it comes from a waypoint, else to a pod of the
//     Service that is ready, on its own network.
//  3. The inner HBONE ends there: at the waypoint, or at the pod's ztunnel. Either knows the identity of who sent, and has the
//     gateway's address for the sender's.
//  4. A ztunnel that sends holds the identities of both against what istiod told it. An Envoy takes any of the mesh's trust domains.
//
// Source: ztunnel, src/proxy/outbound.rs, proxy_to_double_hbone; src/proxy/inbound.rs; pilot/pkg/networking/core/listener_waypoint.go,
// buildWaypointInternal, buildForwardInnerConnectListener; waypoint.go, buildCommonConnectTLSContext.

// hbonePort is where waypoints take HBONE.
const hbonePort = 15008

// nested is what the inner HBONE is for.
type nested struct {
	service *resolve.Service
	port    int
	// accepts is the service, the waypoint's or its own, whose identities a ztunnel wants behind the gateway; nil where an Envoy sends.
	accepts *resolve.Service
	// view is that of the cluster that sends.
	view *resolve.Snapshot
	// by is what sends: a ztunnel, a waypoint or an ingress gateway.
	by resolve.Dataplane
}

// nest is what a ztunnel sends to the gateway of another network, for a service there or its waypoint.
func (w *walk) nest(svc, accepts *resolve.Service, port int) nested {
	return nested{service: svc, port: port, accepts: accepts, view: w.snapshot, by: resolve.DataplaneAmbient}
}

// byEastWest is step 1. The certificates of the tunnel stay those of the sender.
func (w *walk) byEastWest(p *path, gw *resolve.NetworkGateway, in nested) {
	host := in.service.Hostname
	p.dest.TargetPort = 0
	if gw.Service == nil {
		w.endAt(p, Outcome{Decision: Delivered, Certainty: Undetermined, Code: CodeOtherNetwork, Forwarded: p.forwarded(), By: p.by},
			resolve.NewStep(resolve.RuleEastWestBeyond, resolve.Warned, gw.Ref, gw.HBONEAt(), gw.Network, host, in.port))
		return
	}
	if back := w.enterCluster(p, gw.Service.Ref.Cluster); back != nil {
		defer back()
	}
	port, _ := gw.Service.PortByNumber(gw.ServicePort)
	pods, steps := w.snapshot.Backends(nil, gw.Service, port)
	p.note(steps...)
	if len(pods) == 0 {
		o := w.refused(p, CodeNoEndpoints)
		o.Decision, o.Reason, o.By = Unavailable, decisive(steps).Reason(), gw.Service.Ref
		w.end(p, o)
		return
	}
	for _, g := range w.groupEndpoints(pods) {
		w.atEastWest(p.branch(g.part), g, gw, in)
	}
}

// atEastWest is a gateway's pod.
func (w *walk) atEastWest(p *path, g *group, gw *resolve.NetworkGateway, in nested) {
	pod := g.first.Workload
	trust := w.snapshot.Mesh.GetTrustDomain()
	if pod == nil || !pod.IsEastWest() {
		at := g.first.Ref
		if pod != nil {
			at = pod.Owner
		}
		w.endAt(p, w.refused(p, CodeNoGatewayPort), resolve.NewStep(resolve.RuleEastWestOther, resolve.None, at, at.String()))
		return
	}
	hop := p.enter(Hop{Proxy: resolve.DataplaneGateway, Direction: AtGateway, Workload: pod.Owner, TLS: TLSMutual, met: met{proxy: pod}})
	hop.Envoy.Listener, hop.Envoy.FilterChain = "connect_terminate", "default"
	p.note(resolve.NewStep(resolve.RuleEastWestRuns, resolve.Applied, w.snapshot.GatewayOf(pod), pod.Owner))
	if wants := trust + "/ns/" + strings.Replace(gw.Account(), "/", "/sa/", 1); in.accepts != nil && pod.Principal(trust) != wants {
		w.broken(p, CodeUntrustedPeer, "UF", handshakeFailed, resolve.NewStep(resolve.RuleEastWestAccount, resolve.None, gw.Ref, pod.Owner.String(), pod.Principal(trust), wants))
		return
	}
	if p.sender != nil {
		hop.Peer = p.sender.Principal(trust)
	}
	hop.TLS, hop.Envoy.Listener, hop.Envoy.FilterChain = TLSHBONE, "main_internal", ""
	svc, known := w.snapshot.EastWestService(in.service.Hostname)
	port := resolve.Port{}
	if known {
		port, known = svc.PortByNumber(in.port)
	}
	if !known || port.Protocol == resolve.ProtocolUDP {
		step := resolve.NewStep(resolve.RuleEastWestUnknown, resolve.None, in.service.Ref, in.service.Hostname, in.port, w.snapshot.ClusterID())
		w.broken(p, CodeNoFilterChain, "UC", closedByPeer, step)
		return
	}
	p.senderIP = firstAddress(pod)
	w.unnest(p, pod, svc, port, in)
}

// unnest is step 2.
func (w *walk) unnest(p *path, gw *resolve.Workload, svc *resolve.Service, port resolve.Port, in nested) {
	hop := p.hop()
	to, at := svc, port
	waypoint, why, culprit := w.waypointBeyond(svc, in)
	if waypoint != nil {
		to = w.snapshot.WaypointService(waypoint)
		if to == nil {
			to = &resolve.Service{Hostname: waypoint.Address, Ref: waypoint.Ref}
		}
		at, _ = to.PortByNumber(hbonePort)
	}
	cluster := resolve.EastWestCluster(port.Number, svc.Hostname)
	if waypoint != nil {
		cluster = resolve.EastWestCluster(hbonePort, to.Hostname)
	}
	hop.Envoy.FilterChain, hop.Envoy.Cluster, p.dest.EnvoyCluster = cluster, cluster, cluster
	p.note(resolve.NewStep(resolve.RuleEastWestTakes, resolve.Matched, cmp.Or(w.snapshot.OwnService(svc), svc).Ref, cmp.Or(hop.Peer, "any client"), svc.Hostname, port.Number, cluster))
	p.note(why...)
	p.stream = p.stream || p.proxied // for an Envoy behind it: the gateway forwards bytes
	endpoints, steps := w.snapshot.EastWestEndpoints(gw, to, at)
	p.noteNetworks(steps)
	if len(endpoints) == 0 {
		code := CodeNoEndpoints
		if waypoint != nil {
			code = CodeNoWaypoint
		}
		o := Outcome{Decision: Unavailable, Code: code, ResponseFlags: "UH"}
		if p.proxied {
			o = p.failed(o, "UC", closedByPeer)
		}
		w.endAt(p, o, resolve.NewStep(resolve.RuleEastWestNone, resolve.None, cmp.Or(w.snapshot.OwnService(to), to).Ref, to.Hostname, w.snapshot.NetworkName()))
		return
	}
	for _, g := range w.groupEndpoints(endpoints) {
		branch := p.branch(g.part)
		branch.dest.Endpoints, branch.dest.TargetPort, branch.endpoints = g.count, g.first.Port, cluster+" "+g.key
		w.innerEnds(branch, g, culprit, tunnelled{service: svc, port: port.Number, dialled: resolve.Dialled{Service: svc, Port: port.Number}}, in)
	}
}

// waypointBeyond is the waypoint that the gateway sends to, with the label that binds it; nil for none.
func (w *walk) waypointBeyond(svc *resolve.Service, in nested) (*resolve.Waypoint, []resolve.Step, resolve.Ref) {
	binding := w.snapshot.ServiceWaypoint(svc)
	if binding.Waypoint == nil {
		return nil, binding.Steps, resolve.Ref{}
	}
	by := ""
	switch in.by {
	case resolve.DataplaneWaypoint:
		by = "a waypoint, which has enforced policies already"
	case resolve.DataplaneGateway:
		if _, uses := w.snapshot.IngressUsesWaypoint(svc); !uses {
			by = "an ingress gateway, and istio.io/ingress-use-waypoint is not true"
		}
	case resolve.DataplaneAmbient, resolve.DataplaneNone, resolve.DataplaneSidecar:
	}
	if by != "" {
		return nil, []resolve.Step{resolve.NewStep(resolve.RuleEastWestPast, resolve.Skipped, binding.By, binding.Waypoint.Name(), by)}, resolve.Ref{}
	}
	step := resolve.NewStep(resolve.RuleEastWestWaypoint, resolve.Applied, binding.By, svc.Hostname, binding.Waypoint.Name(), w.snapshot.ClusterID())
	to := resolve.NewStep(resolve.RuleZtunnelToWaypoint, resolve.Applied, binding.Waypoint.Ref, binding.Waypoint.Name(), fmt.Sprintf("%s:%d", svc.Hostname, in.port))
	return binding.Waypoint, []resolve.Step{step, to}, binding.By
}

// innerEnds is steps 3 and 4. bound is the label that has the gateway send to a waypoint; zero without one.
func (w *walk) innerEnds(p *path, g *group, bound resolve.Ref, to tunnelled, in nested) {
	server := g.first.Workload
	step, takes := w.snapshot.TakesHBONE(g.first) // as the istiod of the gateway knows
	if back := w.enterCluster(p, g.first.Ref.Cluster); back != nil {
		defer back()
	}
	if server != nil && !takes && server.Dataplane == resolve.DataplaneAmbient { // what is within is TLS that the pod's ztunnel passes on
		p.note(step)
		p.enter(Hop{Proxy: server.Dataplane, Direction: Inbound, Workload: server.Owner, TLS: TLSMutual, met: met{proxy: server}})
		p.note(resolve.NewStep(resolve.RuleZtunnelPlainIn, resolve.Matched, server.Owner))
		c := resolve.ZtunnelConnection{SourceIP: p.senderIP, DestinationIP: firstAddress(server), DestinationPort: g.first.Port}
		if w.admitted(p, w.snapshot.AuthorizeAtZtunnel(server, c)) {
			w.broken(p, CodeMTLSRefused, "UC", closedByPeer, resolve.NewStep(resolve.RuleEastWestPlain, resolve.None, server.Owner, server.Owner.String()))
		}
		return
	}
	if server == nil || !takes || server.Dataplane != resolve.DataplaneAmbient && server.Dataplane != resolve.DataplaneWaypoint {
		at := g.first.Ref
		if server != nil {
			at = server.Owner
		}
		w.broken(p, CodeMTLSRefused, "UC", closedByPeer, resolve.NewStep(resolve.RuleEastWestPlain, resolve.None, at, at.String()))
		return
	}
	p.note(step)
	if in.accepts != nil {
		wanted := in.view.RemoteIdentities(in.accepts)
		if mine := server.Account(); !slices.Contains(wanted, mine) {
			hop := p.enter(Hop{Proxy: server.Dataplane, Direction: Inbound, Workload: server.Owner, TLS: TLSMutual, met: met{proxy: server}})
			if server.Dataplane == resolve.DataplaneWaypoint {
				hop.Direction, hop.Envoy.Listener, hop.Envoy.FilterChain = AtGateway, "connect_terminate", "default"
			}
			step := resolve.NewStep(resolve.RuleEastWestIdentity, resolve.None, cmp.Or(bound, in.accepts.Ref), server.Owner.String(), server.Principal(w.snapshot.Mesh.GetTrustDomain()), in.accepts.Hostname, strings.Join(wanted, ", "))
			w.broken(p, CodeUntrustedPeer, "UF", handshakeFailed, step)
			return
		}
	}
	p.dest.Workloads = []resolve.Ref{server.Owner}
	a := arrival{workload: server, port: g.first.Port, tls: resolve.ClientTLS{Mode: resolve.ClientPlaintext, HBONE: true, Step: step}}
	if !bound.IsZero() {
		w.throughWaypoint(p, a, to)
		return
	}
	w.receive(p, a)
}
