package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// What is compared, field by field of the contract's JSON.
//
//  1. Of an outcome: weight, decision, httpStatus, responseFlags, responseCodeDetails, location, the destination's
//     host, port, subset, envoyCluster, workloads, endpoints and targetPort, and forwarded's method, host, path,
//     headers and removed.
//  2. Of the ends that an outcome has otherwise, because an external authorizer refuses: the same, as far as they have
//     it. Other undetermined outcomes are not compared, nor those for which it is open whether the authorizer is asked
//     or which of two policies refuses.
//  3. Of each hop that is a proxy, in the order travelled: proxy, direction, workload, tls, peer, and of an Envoy its
//     listener, filterChain, routeConfig, virtualHost, route and cluster.
//
// What is not, and why:
//
//   - code, reason, by, steps and warnings are the trace's own words; pilot's configuration names no resource.
//   - certainty: an assumption of the trace is one that the bench makes come true; where it says undetermined
//     nothing is claimed.
//   - the words after "|" in the details of a handshake that fails, where they come from the TLS library and the other
//     side's: the trace then says TLS_error, the bench nothing. That a proxy has no certificate, and that its TLS is
//     answered in plaintext, both know, and the whole string is compared.
//   - the headers that Envoys write of themselves (x-forwarded-*, x-envoy-*), which forwarded does not list.
//   - endpoints, where the cluster has no list of them but sends to the address that the client dialled.
//   - addresses that no manifest gives stand for the same in both, and so do those of pods: of several behind a name
//     the trace names none.
//   - the last hop of a request that is refused: how far the trace looks behind the filter that refuses is for show.
//   - which of several workloads the last hop is at: it is among the destination's workloads.

// said are the tracer's outcomes.
func said(d *render.Document, c *apiserver.Cluster) (out fates, undetermined bool) {
	out = fates{}
	names := symbols(c)
	for _, o := range d.Outcomes {
		undetermined = undetermined || open(d, o)
		var hops []string
		for i, n := range o.Hops {
			if h := d.Hops[n]; h.Proxy == "ztunnel" || h.Envoy.Listener != "" {
				hops = append(hops, names.step(h, i == len(o.Hops)-1, refuses(o.Decision)).line())
			}
		}
		a := answer{
			decision: o.Decision, status: o.HTTPStatus, flags: o.ResponseFlags, details: o.ResponseCodeDetails, location: o.Location,
			cluster: names.concrete(o.Destination.EnvoyCluster), forwarded: forwardedSaid(o),
		}
		if o.Decision == string(trace.Delivered) {
			a.port = o.Destination.TargetPort
		}
		f := out.add(a.key(), o.Weight/100, hops)
		if o.Decision != string(trace.Delivered) {
			continue
		}
		f.count += o.Destination.Endpoints
		for _, w := range o.Destination.Workloads {
			f.machines[machineName(ownerName(w), c)] = true
		}
		if len(o.Destination.Workloads) == 0 {
			f.machines["outside"] = true
		}
	}
	return out, undetermined
}

// step is a hop of the trace; last and refused say where on its way, and with what end.
func (n addressNames) step(h render.Hop, last, refused bool) step {
	s := step{
		proxy: h.Proxy, direction: h.Direction, workload: ownerName(h.Workload), tls: h.TLS, peer: h.Peer,
		listener: n.concrete(h.Envoy.Listener), chain: n.concrete(h.Envoy.FilterChain), routeConfig: h.Envoy.RouteConfig,
		virtualHost: h.Envoy.VirtualHost, route: h.Envoy.Route, cluster: n.concrete(h.Envoy.Cluster),
	}
	if last && refused {
		s = s.ended()
	}
	if last && h.Direction == "inbound" {
		s.workload = ""
	}
	return s
}

// unsaid are the hops that were played and that the trace tells of nowhere: where it puts endpoints together, it
// has the hops of all of them, though only one of each among those of the outcome.
func unsaid(played fates, d *render.Document, c *apiserver.Cluster) []string {
	names, told := symbols(c), map[string]bool{}
	for _, h := range d.Hops {
		for _, last := range []bool{true, false} {
			for _, refused := range []bool{true, false} {
				told[names.step(h, last, refused).line()] = true
			}
		}
	}
	var out []string
	for _, line := range slices.Sorted(maps.Keys(played.allHops())) {
		if !told[line] {
			out = append(out, line)
		}
	}
	return out
}

// machineName: where an endpoint of a ServiceEntry is, no one knows; nor where that of a WorkloadEntry is that is
// no machine of the mesh.
func machineName(owner string, c *apiserver.Cluster) string {
	if podOf(c, owner) == nil && (strings.HasPrefix(owner, "WorkloadEntry ") || strings.HasPrefix(owner, "ServiceEntry ")) {
		return "outside"
	}
	return owner
}

func forwardedSaid(o render.Outcome) string {
	if o.Forwarded == nil || o.Decision != string(trace.Delivered) {
		return ""
	}
	return forwardedLine(o.Forwarded.Method, o.Forwarded.Host, o.Forwarded.Path, o.Forwarded.Headers, o.Forwarded.Removed)
}

func forwardedLine(method, host, path string, changed map[string]string, removed []string) string {
	own := func(name string) bool {
		return strings.HasPrefix(name, "x-forwarded") || strings.HasPrefix(name, "x-envoy")
	}
	var list []string
	for _, k := range slices.Sorted(maps.Keys(changed)) {
		if !own(k) {
			list = append(list, k+"="+changed[k])
		}
	}
	for _, k := range removed {
		if !own(k) {
			list = append(list, "-"+k)
		}
	}
	return fmt.Sprintf("%s %s%s %v", method, host, path, list)
}

// played are the evaluator's outcomes; unknown is why one could not be played.
func played(outcomes []evaluator.Outcome, q trace.Request, c *apiserver.Cluster) (out fates, unknown string) {
	out = fates{}
	names, pods := symbols(c), map[string]bool{}
	for _, p := range c.Pods {
		pods[p.Owner] = true
	}
	for _, o := range outcomes {
		if o.Refusal {
			continue
		}
		if o.Decision == evaluator.Unknown {
			unknown = o.Why
			continue
		}
		if n := len(o.Hops); n > 0 && o.Decision == evaluator.Responded && o.Hops[n-1].VirtualHost == "block_all" {
			o.Decision = evaluator.Unavailable // the contract's word for REGISTRY_ONLY: a blackhole
		}
		a := answer{decision: string(o.Decision), status: o.Status, flags: o.Flag, details: o.Details, location: o.Location, forwarded: forwardedPlayed(o, q)}
		var hops []string
		for i, h := range o.Hops {
			s := step{
				proxy: h.Kind, direction: h.Direction, workload: h.Machine, listener: names.concrete(h.Listener), chain: names.concrete(h.FilterChain),
				routeConfig: h.RouteConfig, virtualHost: h.VirtualHost, route: h.Route, cluster: h.Cluster, tls: h.TLS, peer: h.Peer,
			}
			if h.Direction != "inbound" && h.Cluster != "" {
				a.cluster = h.Cluster
			}
			if i == len(o.Hops)-1 {
				if refuses(a.decision) {
					s = s.ended()
				}
				if h.Direction == "inbound" {
					s.workload = ""
				}
			}
			hops = append(hops, s.line())
		}
		if o.Decision == evaluator.Delivered {
			a.port = o.Port
		}
		f := out.add(a.key(), o.Share, hops)
		if o.Decision != evaluator.Delivered {
			continue
		}
		if o.Endpoint != "" {
			f.endpoints[o.Endpoint] = true
		}
		if pods[o.Machine] {
			f.machines[o.Machine] = true
		} else {
			f.machines["outside"] = true
		}
	}
	return out, unknown
}

func forwardedPlayed(o evaluator.Outcome, q trace.Request) string {
	if o.Forwarded == nil || o.Decision != evaluator.Delivered {
		return ""
	}
	changed, removed := map[string]string{}, []string{}
	for k, v := range o.Forwarded.Headers {
		if old, ok := q.Headers[k]; !ok || old != v {
			changed[k] = v
		}
	}
	for _, k := range slices.Sorted(maps.Keys(q.Headers)) {
		if _, ok := o.Forwarded.Headers[k]; !ok && k != "host" {
			removed = append(removed, k)
		}
	}
	return forwardedLine(o.Forwarded.Method, o.Forwarded.Authority, o.Forwarded.Path, changed, removed)
}

// difference is empty where both parties say the same; else all that they say, marked with who says it.
func difference(pilot, ours []string) string {
	if slices.Equal(pilot, ours) {
		return ""
	}
	var b strings.Builder
	for _, line := range pilot {
		mark := "-"
		if slices.Contains(ours, line) {
			mark = " "
		}
		b.WriteString(mark + line + "\n")
	}
	for _, line := range ours {
		if !slices.Contains(pilot, line) {
			b.WriteString("+" + line + "\n")
		}
	}
	return b.String()
}
