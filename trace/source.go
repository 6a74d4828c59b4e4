package trace

import (
	"fmt"
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// SourceError says that --from or --gateway names nothing in the snapshot, or several things.
type SourceError struct {
	// Input is --from or --gateway.
	Input Input
	// Problem is the rest of the sentence, and Nearest what could have been meant.
	Problem, Nearest string
	Err              error
}

// Error names the input, the problem and what could have been meant.
func (e *SourceError) Error() string {
	text := "--" + string(e.Input) + ": " + e.Problem
	if e.Err != nil {
		text = "--" + string(e.Input) + ": " + e.Err.Error()
	}
	if e.Nearest != "" {
		text += "; did you mean " + e.Nearest + "?"
	}
	return text
}

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// sender is who sends the request, as found.
type sender struct {
	external bool
	workload *resolve.Workload
	// gateway is the one by which a client outside the cluster enters; nil for the best one.
	gateway *resolve.GatewayEntry
}

// findSource finds who sends the request.
//
//  1. --from external, or --gateway: a client outside the cluster.
//  2. --from names a workload: one of its pods.
//  3. Without --from: outside, where a gateway serves the host, or a Gateway API route or an Ingress is
//     meant to be served for it; else an assumed workload with a sidecar in the current namespace.
func (w *walk) findSource() (sender, error) {
	from := w.request.From
	if err := w.beginIn(from.Cluster); err != nil {
		return sender{}, err
	}
	switch {
	case from.External || !from.Given() && w.request.Gateway != "":
		w.source = Source{Kind: "External"}
		return sender{external: true}, nil
	case from.Given():
		return w.namedSource(from)
	case w.snapshot.ServedByGateway(w.request.HTTPRequest().Hostname()):
		w.source = Source{Kind: "External", Assumed: "no --from: a gateway serves this host, so the client is taken to be outside the cluster"}
		return sender{external: true}, nil
	}
	if ref, ok := w.snapshot.MeantForGateway(w.request.HTTPRequest().Hostname()); ok {
		w.source = Source{Kind: "External", Assumed: fmt.Sprintf("no --from: %s is to publish this host, so the client is taken to be outside the cluster", ref)}
		return sender{external: true}, nil
	}
	client := &resolve.Workload{
		Owner:     resolve.Ref{Kind: "Namespace", Cluster: w.snapshot.RemoteID(), Name: from.DefaultNamespace},
		Namespace: from.DefaultNamespace, ServiceAccount: "default",
		Dataplane: resolve.DataplaneSidecar, Replicas: 1, Ready: true, Anonymous: true, FromTemplate: true,
		Labels: map[string]string{},
	}
	w.describe(client)
	w.source.Kind, w.source.Name = "Anonymous", ""
	w.source.Assumed = fmt.Sprintf("no --from: the client is taken to be a workload with a sidecar and service account default in namespace %s", client.Namespace)
	return sender{workload: client}, nil
}

func (w *walk) namedSource(from SourceSpec) (sender, error) {
	namespace := from.Namespace
	if namespace == "" {
		namespace = from.DefaultNamespace
	}
	found, assumed, err := w.named(from.Kind, namespace, from.Name, from.Cluster != "")
	if err != nil {
		return sender{}, &SourceError{Input: InputFrom, Err: err}
	}
	client := found[0]
	for _, c := range found {
		if c.Ready && !c.Terminating {
			client = c
			break
		}
	}
	w.describe(client)
	w.source.Assumed = assumed
	return sender{workload: client}, nil
}

func (w *walk) describe(client *resolve.Workload) {
	w.source = Source{
		Kind: client.Owner.Kind, Namespace: client.Namespace, Name: client.Owner.Name,
		ServiceAccount: client.ServiceAccount, Dataplane: client.Dataplane, Cluster: client.Owner.Cluster,
	}
	if client.HasProxy() || client.Dataplane == resolve.DataplaneAmbient {
		w.source.Principal = client.Principal(w.snapshot.Mesh.GetTrustDomain())
	}
}

// capture says how the workload's data plane was found.
func (w *walk) capture(workload *resolve.Workload) []resolve.Step {
	var steps []resolve.Step
	for _, step := range []resolve.Step{workload.DataplaneStep, workload.InjectorStep} {
		if step.Rule != "" {
			steps = append(steps, step)
		}
	}
	if missed, ok := w.snapshot.MissedInjection(workload); ok {
		steps = append(steps, missed)
	}
	return steps
}

// leave sends the request from a workload: through its sidecar where it has one
// that captures the connection, else straight to the address.
func (w *walk) leave(p *path, client *resolve.Workload) {
	p.sender = client
	if len(client.Addresses) > 0 && !p.senderIP.IsValid() {
		p.senderIP = client.Addresses[0]
	}
	hop := p.enter(Hop{Proxy: resolve.DataplaneNone, Direction: Outbound, Workload: client.Owner, TLS: TLSPlaintext, met: met{proxy: client}})
	if client.Dataplane == resolve.DataplaneSidecar || client.Dataplane == resolve.DataplaneAmbient {
		hop.Proxy = client.Dataplane
	}
	p.note(w.capture(client)...)
	w.halfCaptured(p, client)
	var scope *resolve.Scope
	var scopeSteps []resolve.Step
	if client.Dataplane == resolve.DataplaneSidecar {
		scope, scopeSteps = w.snapshot.Scope(client)
	}
	dialled, steps := w.resolveName(client, scope)
	p.note(steps...)
	if slices.ContainsFunc(steps, func(s resolve.Step) bool { return s.Rule == resolve.RuleDNSCaptureAll }) {
		p.lower(Undetermined)
	}
	w.asked.dials(dialled.Dialled)
	if dialled.Service == nil || dialled.Service.Registry != resolve.RegistryKubernetes {
		w.unnamed(p, resolve.StageDNS, w.request.Host, client)
	}
	if !dialled.Found {
		last := steps[len(steps)-1]
		w.end(p, Outcome{Decision: NotRouted, Code: CodeNameNotFound, Reason: last.Reason(), By: last.Ref})
		return
	}
	own, socket := w.toSelf(p, client, scope, dialled.Dialled)
	switch {
	case own:
		return
	case client.Dataplane == resolve.DataplaneAmbient:
		w.fromZtunnel(p, client, dialled)
		return
	case !socket:
		captured, step := w.snapshot.CapturesOutbound(client, dialled.Dialled, w.request.Scheme == UDP)
		p.note(step)
		if !captured {
			hop.Proxy = resolve.DataplaneNone
			w.besideWaypoint(p, dialled.Dialled)
			w.dial(p, dialled.Dialled, w.request.Host)
			return
		}
	}
	p.proxied = true
	w.meshConfig(p)
	p.note(scopeSteps...)
	if !dialled.Headless {
		w.outbound(p, client, scope, dialled, socket)
		return
	}
	w.toPods(p, client, scope, dialled)
}

// resolveName is what the application's DNS answers; the ztunnel of a captured client answers for ServiceEntries.
func (w *walk) resolveName(client *resolve.Workload, scope *resolve.Scope) (resolve.Resolved, []resolve.Step) {
	dialled, steps := w.snapshot.ResolveName(client, scope, w.request.Host, w.request.Port)
	if client.Dataplane != resolve.DataplaneAmbient {
		return dialled, steps
	}
	by, more := w.snapshot.ZtunnelResolve(client, dialled, w.request.Host)
	if by.Service != dialled.Service { // ztunnel answered, and nobody else was asked
		steps = nil
	}
	return by, append(steps, more...)
}

// toPods is a connection to one of the pods of a headless Service, of which DNS gives any.
func (w *walk) toPods(p *path, client *resolve.Workload, scope *resolve.Scope, dialled resolve.Resolved) {
	pods := othersOnly(w.snapshot.Meant(dialled.Dialled), client, dialled.Dialled)
	ways, all := scope.Ways(dialled.Dialled, pods), podCount(pods)
	if len(pods) == 0 {
		ways = []resolve.Dialled{dialled.Dialled}
	}
	for _, way := range ways {
		branch, to := p, dialled
		to.Dialled = way
		if len(ways) > 1 {
			some := podCount(way.Pods)
			branch = p.fork(float64(some) / float64(all))
			branch.note(resolve.NewStep(resolve.RuleListenerSomePods, resolve.Applied, way.Service.Ref, some, all, way.Service.Hostname))
		}
		w.outbound(branch, client, scope, to, false)
	}
}

func podCount(pods []*resolve.Endpoint) int {
	n := 0
	for _, e := range pods {
		n += max(e.Count, 1)
	}
	return n
}

// toSelf ends a request to the client's own address, unless its sidecar has a socket there.
func (w *walk) toSelf(p *path, client *resolve.Workload, scope *resolve.Scope, d resolve.Dialled) (ended, socket bool) {
	own, step := w.snapshot.OwnAddress(client, d)
	if own == resolve.True {
		if l, found := scope.Socket(d); l != nil {
			p.note(found)
			return false, true
		}
	}
	if own != resolve.False {
		p.note(step)
	}
	if own != resolve.True {
		return false, false
	}
	p.hop().Proxy = resolve.DataplaneNone
	p.dest = Destination{Host: hostOf(d, w.request.Host), Port: d.Port, Workloads: []resolve.Ref{client.Owner}, Endpoints: 1}
	w.deliver(p, arrival{workload: client, port: d.Port})
	return true, false
}
