package conformance

import (
	"fmt"
	"maps"
	"math"
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
//  2. Of each hop that is an Envoy, in the order travelled: proxy, direction, workload, tls, peer, and its
//     listener, filterChain, routeConfig, virtualHost, route and cluster.
//
// What is not, and why:
//
//   - code, reason, by, steps and warnings are the trace's own words; pilot's configuration names no resource.
//   - certainty: an assumption of the trace is one that the bench makes come true; where it says undetermined
//     nothing is claimed.
//   - what Envoy's documentation does not fix: the words after "|" in the details of a connection that fails.
//   - the headers that Envoys write of themselves (x-forwarded-*, x-envoy-*), which forwarded does not list, and
//     authorization, whose signature is not in the trace.
//   - endpoints, where the cluster has no list of them but sends to the address that the client dialled.
//   - addresses that no manifest gives stand for the same in both.
//   - the last hop of a request that is refused: how far the trace looks behind the filter that refuses is for show.
//   - which of several workloads the last hop is at: it is among the destination's workloads.

// fate is what both parties say of a share of the requests; endpoints that differ in nothing else are put together.
type fate struct {
	share     float64
	machines  map[string]bool
	endpoints map[string]bool
	count     int
	// hops are, by their place on the way, the lines that tell of them.
	hops []map[string]bool
}

// fates are by everything that tells outcomes apart.
type fates map[string]*fate

func (f fates) add(key string, share float64, hops []string) *fate {
	for _, h := range hops {
		key += "\n    " + strings.SplitN(h, ":", 2)[0]
	}
	if f[key] == nil {
		f[key] = &fate{machines: map[string]bool{}, endpoints: map[string]bool{}}
		for range hops {
			f[key].hops = append(f[key].hops, map[string]bool{})
		}
	}
	for i, h := range hops {
		f[key].hops[i][h] = true
	}
	f[key].share += share
	return f[key]
}

// lines tell the fates for a comparison. Where the other party puts together what differs in a hop only, it shows
// one of these hops there, and all of them elsewhere: among says which lines it has in all.
func (f fates) lines(other fates) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(f)) {
		v := f[key]
		head, _, _ := strings.Cut(key, "\n")
		out = append(out, fmt.Sprintf("%s  %s  at %s: %s", percent(v.share), head, v.counted(other[key]), strings.Join(slices.Sorted(maps.Keys(v.machines)), ", ")))
		for i, lines := range v.hops {
			if o := other[key]; o != nil && shares(lines, o.hops[i]) {
				lines = intersection(lines, o.hops[i])
			}
			out = append(out, "    "+strings.Join(slices.Sorted(maps.Keys(lines)), " or "))
		}
	}
	return out
}

// counted is the number of endpoints, where either party's cluster has a list of them.
func (f *fate) counted(other *fate) string {
	if len(f.endpoints) == 0 && (other == nil || len(other.endpoints) == 0) {
		return "where it was sent"
	}
	return fmt.Sprint(max(f.count, len(f.endpoints)))
}

func shares(a, b map[string]bool) bool { return len(intersection(a, b)) > 0 }

func intersection(a, b map[string]bool) map[string]bool {
	out := map[string]bool{}
	for k := range a {
		if b[k] {
			out[k] = true
		}
	}
	return out
}

// allHops are the lines of all hops.
func (f fates) allHops() map[string]bool {
	out := map[string]bool{}
	for _, v := range f {
		for _, lines := range v.hops {
			maps.Copy(out, lines)
		}
	}
	return out
}

func percent(share float64) string { return fmt.Sprintf("%g%%", math.Round(share*1000)/10) }

// answer is what tells outcomes apart, in the contract's words.
type answer struct {
	decision                          string
	status                            int
	flags, details, location, cluster string
	port                              int
	forwarded                         string
}

func (a answer) key() string {
	details, inner, failed := strings.Cut(a.details, "|")
	if failed && strings.HasSuffix(inner, "}") {
		details += "}"
	}
	return strings.Join(strings.Fields(fmt.Sprint(a.decision, " ", a.status, " ", a.flags, " ", details, " ", a.location, " → ", a.cluster, " port ", a.port, " ", a.forwarded)), " ")
}

// step is a hop in the contract's words.
type step struct {
	proxy, direction, workload                                string
	listener, chain, routeConfig, virtualHost, route, cluster string
	tls, peer                                                 string
}

func (s step) line() string {
	return fmt.Sprintf("%s %s %s: %s [%s] → %s → %s → %s → %s  from %s", s.proxy, s.direction, s.tls,
		s.listener, s.chain, s.routeConfig, s.virtualHost, s.route, s.cluster, strings.TrimSpace(s.workload+" "+strings.TrimPrefix(s.peer, "spiffe://")))
}

// ended takes off the last hop of a refused request what lies behind the filter that refuses.
func (s step) ended() step {
	s.routeConfig, s.virtualHost, s.route, s.cluster = "", "", "", ""
	return s
}

func refuses(decision string) bool { return decision == string(trace.Denied) }

// said are the tracer's outcomes.
func said(d *render.Document, c *apiserver.Cluster) (out fates, undetermined bool) {
	out = fates{}
	names := symbols(c)
	line := func(o render.Outcome, h render.Hop, last bool) string {
		s := step{
			proxy: h.Proxy, direction: h.Direction, workload: ownerName(h.Workload),
			listener: names.concrete(h.Envoy.Listener), chain: names.concrete(h.Envoy.FilterChain), routeConfig: h.Envoy.RouteConfig,
			virtualHost: h.Envoy.VirtualHost, route: h.Envoy.Route, cluster: names.concrete(h.Envoy.Cluster), tls: h.TLS, peer: h.Peer,
		}
		if last && refuses(o.Decision) {
			s = s.ended()
		}
		if last && h.Direction == "inbound" {
			s.workload = ""
		}
		return s.line()
	}
	for _, o := range d.Outcomes {
		undetermined = undetermined || o.Certainty == string(trace.Undetermined)
		var hops []string
		for i, n := range o.Hops {
			if h := d.Hops[n]; h.Proxy == "sidecar" || h.Proxy == "gateway" {
				if h.Envoy.Listener != "" {
					hops = append(hops, line(o, h, i == len(o.Hops)-1))
				}
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
			f.machines[machineName(ownerName(w))] = true
		}
		if len(o.Destination.Workloads) == 0 {
			f.machines["outside"] = true
		}
	}
	return out, undetermined
}

// machineName: where an endpoint of a ServiceEntry is, no one knows.
func machineName(owner string) string {
	if strings.HasPrefix(owner, "WorkloadEntry ") || strings.HasPrefix(owner, "ServiceEntry ") {
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
		return strings.HasPrefix(name, "x-forwarded") || strings.HasPrefix(name, "x-envoy") || name == "authorization"
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

// addressNames are what addresses that no manifest gives are called by both.
type addressNames struct {
	clusterIPs map[string]string
	invented   map[string]bool
}

func symbols(c *apiserver.Cluster) addressNames {
	n := addressNames{clusterIPs: map[string]string{}, invented: map[string]bool{}}
	for _, s := range c.Services {
		n.clusterIPs["clusterIP-of-"+s.Name+"."+s.Namespace] = s.Spec.ClusterIP
	}
	for _, p := range c.Pods {
		if p.Invented {
			n.invented[p.Address.String()] = true
		}
	}
	return n
}

// concrete replaces the address in a listener's name: the trace calls a Service's clusterIP-of-it, and that of
// a pod of a headless Service podIP-of-it.
func (n addressNames) concrete(name string) string {
	address, port, ok := strings.Cut(name, "_")
	switch {
	case n.clusterIPs[address] != "" && ok:
		return n.clusterIPs[address] + "_" + port
	case strings.HasPrefix(address, "podIP-of-") && ok, address == "podIP" && ok, n.invented[address] && ok:
		return "pod_" + port
	}
	return name
}
