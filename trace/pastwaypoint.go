package trace

import (
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// A request that goes past the waypoint of the service it is addressed to is told of what it misses (resolve/waypointpast.go).
// Where that is something, the step that says why the waypoint is not used is what a person looks for.

// pastWaypoint notes that whoever sends goes past a waypoint that could be used, and what is missed there; by is where
// somebody decided that.
func pastWaypoint(p *path, missed []resolve.Step, b resolve.WaypointBinding, by resolve.Ref, sender, why string) {
	step := resolve.NewStep(resolve.RuleWaypointPassedBy, resolve.Skipped, by, sender, b.Waypoint.Name(), why+wouldRefuse(missed))
	step.Meant = slices.ContainsFunc(missed, meant)
	p.note(b.Steps...)
	p.note(step)
	p.note(missed...)
}

// wouldRefuse names what would refuse the request at the waypoint; empty for nothing.
func wouldRefuse(missed []resolve.Step) string {
	text := ""
	for _, s := range missed {
		if s.Rule == resolve.RuleWaypointPolicyMissed {
			text += "; there " + s.Ref.Object().String() + " would refuse the request"
		}
	}
	return text
}

// besideWaypoint is pastWaypoint for a client that has no proxy, and that misses something.
func (w *walk) besideWaypoint(p *path, d resolve.Dialled) {
	if d.Service == nil {
		return
	}
	b := w.waypointOf(d.Service)
	switch {
	case b.Waypoint == nil:
		w.withoutWaypoint(p, d.Service, d.Port, b)
	default:
		if missed := w.missed(p, d.Service, d.Port, b); len(missed) > 0 {
			pastWaypoint(p, missed, b, b.By, "a client that ztunnel does not capture", "kube-proxy knows no waypoint")
		}
	}
}

// missedByPod is what a request misses that is addressed to a pod: what the waypoint would have made of one to the headless Service
// that was dialled, or to a Service that leads to the same port.
func (w *walk) missedByPod(p *path, d resolve.Dialled, server *resolve.Workload) []resolve.Step {
	if d.Service != nil {
		return w.missed(p, d.Service, d.Port, w.snapshot.ServiceWaypoint(d.Service))
	}
	var steps []resolve.Step
	for _, t := range w.snapshot.ServiceTargets(server) {
		if t.TargetPort != d.Port || t.Service.Headless() {
			continue
		}
		for _, s := range w.missed(p, t.Service, t.Port.Number, w.snapshot.ServiceWaypoint(t.Service)) {
			// Who dials a pod expects no route.
			if s.Meant = s.Meant && s.Rule == resolve.RuleWaypointPolicyMissed; s.Meant {
				steps = append(steps, s)
			}
		}
	}
	return steps
}

// waypointOf is the waypoint of a service, and what istiod has written about it.
func (w *walk) waypointOf(svc *resolve.Service) resolve.WaypointBinding {
	b := w.snapshot.ServiceWaypoint(svc)
	b.Steps = append(slices.Clip(b.Steps), w.snapshot.StatusOfServiceWaypoint(svc, b)...)
	return b
}

// withoutWaypoint notes why a service has no waypoint. It is a sidecar's or gateway's concern only where they miss one.
func (w *walk) withoutWaypoint(p *path, svc *resolve.Service, port int, b resolve.WaypointBinding) {
	missed := w.missed(p, svc, port, b)
	if len(missed) == 0 && p.hop().Proxy != resolve.DataplaneAmbient {
		return
	}
	because := slices.Clone(b.Steps)
	for i := range because {
		because[i].Meant = because[i].Verdict == resolve.Skipped && slices.ContainsFunc(missed, meant)
	}
	p.note(because...)
	p.note(missed...)
}

// meant is for slices.ContainsFunc.
func meant(s resolve.Step) bool { return s.Meant }

// missed is what the waypoint would have made of the request.
func (w *walk) missed(p *path, svc *resolve.Service, port int, b resolve.WaypointBinding) []resolve.Step {
	if w.survey != nil {
		return nil
	}
	q := resolve.PastWaypoint{Service: svc, Port: port, Binding: b, Sender: p.hop().Proxy, Payload: p.payload()}
	if p.speaksHTTP() {
		q.Request = p.http
	}
	q.Connection = resolve.Connection{
		SourceIP: p.senderIP, RemoteIP: p.sidecarRemoteIP(q.Request), DestinationIP: svc.DialledIP(), DestinationPort: port, TLS: resolve.TLSOpened,
	}
	if p.sender != nil && p.hop().Proxy != resolve.DataplaneNone {
		q.Connection.Peer = p.sender.Principal(w.snapshot.Mesh.GetTrustDomain())
	}
	return w.snapshot.Missed(q)
}
