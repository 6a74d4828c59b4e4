package conformance

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// fate is what both parties say of a share of the requests, in one line; endpoints that differ in
// nothing else are put together.
type fate struct {
	share    float64
	machines map[string]bool
	hops     map[string]bool
}

type fates map[string]*fate

func (f fates) add(key string, share float64) *fate {
	if f[key] == nil {
		f[key] = &fate{machines: map[string]bool{}, hops: map[string]bool{}}
	}
	f[key].share += share
	return f[key]
}

func (f fates) lines() []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(f)) {
		v := f[k]
		out = append(out, fmt.Sprintf("%s  %s  at %s", percent(v.share), k, strings.Join(slices.Sorted(maps.Keys(v.machines)), ", ")))
		for _, h := range slices.Sorted(maps.Keys(v.hops)) {
			out = append(out, "    "+h)
		}
	}
	return out
}

func percent(share float64) string { return fmt.Sprintf("%g%%", math.Round(share*1000)/10) }

// firstFlag is the flag that both name; what retries add to it is left out.
func firstFlag(s string) string {
	s, _, _ = strings.Cut(s, ",")
	return s
}

// said are the tracer's outcomes. undetermined is set where one of them claims nothing.
func said(d *render.Document, c *apiserver.Cluster) (out fates, undetermined bool) {
	out = fates{}
	named := map[string]string{}
	for _, s := range c.Services {
		named["clusterIP-of-"+s.Name+"."+s.Namespace] = s.Spec.ClusterIP
	}
	concrete := func(s string) string {
		if symbol, port, ok := strings.Cut(s, "_"); ok && strings.HasPrefix(symbol, "podIP-of-") {
			return "pod_" + port
		}
		for _, symbol := range slices.Sorted(maps.Keys(named)) {
			if strings.HasPrefix(s, symbol+"_") || s == symbol {
				return strings.Replace(s, symbol, named[symbol], 1)
			}
		}
		return s
	}
	for _, o := range d.Outcomes {
		if o.Decision == string(trace.Unavailable) && !proxied(d, o) {
			o.Decision = string(trace.NotRouted)
		}
		if o.Certainty == string(trace.Undetermined) {
			undetermined = true
		}
		f := out.add(key(o.Decision, o.HTTPStatus, o.ResponseFlags, policyOf(o.ResponseCodeDetails), o.Location, portOf(o), forwardedSaid(d, o)), o.Weight/100)
		for _, w := range o.Destination.Workloads {
			if o.Decision == string(trace.Delivered) {
				f.machines[machineName(ownerName(w))] = true
			}
		}
		if len(o.Destination.Workloads) == 0 && o.Decision == string(trace.Delivered) {
			f.machines["outside"] = true
		}
		for _, i := range o.Hops {
			h := d.Hops[i]
			if h.Proxy != "sidecar" && h.Proxy != "gateway" {
				continue
			}
			if h.Envoy.Listener == "" {
				continue
			}
			if h.Direction != "outbound" && endsThere(o.Decision, i == o.Hops[len(o.Hops)-1]) {
				h.Envoy.RouteConfig, h.Envoy.VirtualHost, h.Envoy.Cluster = "", "", ""
			}
			f.hops[hopLine(h.Proxy, h.Direction, concrete(h.Envoy.Listener), h.Envoy.RouteConfig, h.Envoy.VirtualHost, concrete(h.Envoy.Cluster), h.TLS, h.Peer)] = true
		}
	}
	return out, undetermined
}

// endsThere: where a proxy refuses, what it would have done next is for show.
func endsThere(decision string, last bool) bool {
	return last && (decision == string(trace.Denied) || decision == string(trace.Reset))
}

// proxied reports whether the request passed an Envoy.
func proxied(d *render.Document, o render.Outcome) bool {
	return slices.ContainsFunc(o.Hops, func(i int) bool { return d.Hops[i].Proxy != "none" })
}

func portOf(o render.Outcome) int {
	if o.Decision != string(trace.Delivered) {
		return 0
	}
	return o.Destination.TargetPort
}

var policy = regexp.MustCompile(`rbac_access_denied_matched_policy\[.*\]`)

func policyOf(details string) string { return policy.FindString(details) }

// key leaves out what only a program that logs HTTP tells: the flags of a connection that ends
// without an HTTP answer.
func key(decision string, status int, flag, policy, location string, port int, forwarded string) string {
	if status == 0 {
		flag = ""
	}
	return strings.Join(strings.Fields(fmt.Sprint(decision, " ", status, " ", firstFlag(flag), " ", policy, " ", location, " port ", port, " ", forwarded)), " ")
}

func hopLine(kind, direction, listener, routes, host, cluster, tls, peer string) string {
	return fmt.Sprintf("%s %s: %s → %s → %s → %s  %s %s", kind, direction, listener, routes, host, cluster, tls, strings.TrimPrefix(peer, "spiffe://"))
}

// machineName: where an endpoint of a ServiceEntry is, no one knows.
func machineName(owner string) string {
	if strings.HasPrefix(owner, "WorkloadEntry ") || strings.HasPrefix(owner, "ServiceEntry ") {
		return "outside"
	}
	return owner
}

func forwardedSaid(d *render.Document, o render.Outcome) string {
	if o.Forwarded == nil || o.Decision != string(trace.Delivered) {
		return ""
	}
	return forwardedLine(o.Forwarded.Method, o.Forwarded.Host, o.Forwarded.Path, o.Forwarded.Headers)
}

// forwardedLine leaves out what proxies add by themselves.
func forwardedLine(method, host, path string, headers map[string]string) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(headers)) {
		if strings.HasPrefix(k, "x-forwarded") || strings.HasPrefix(k, "x-envoy") || k == "authorization" {
			continue
		}
		list = append(list, k+"="+headers[k])
	}
	return fmt.Sprintf("%s %s%s %v", method, host, path, list)
}

// played are the evaluator's outcomes; unknown is why one could not be played.
func played(outcomes []evaluator.Outcome, q trace.Request, c *apiserver.Cluster) (out fates, unknown string) {
	out = fates{}
	pods, invented := map[string]bool{}, map[string]bool{}
	for _, p := range c.Pods {
		pods[p.Owner] = true
		if p.Invented {
			invented[p.Address.String()] = true
		}
	}
	for _, o := range outcomes {
		if o.Decision == evaluator.Unknown {
			unknown = o.Details
			continue
		}
		if n := len(o.Hops); n > 0 && o.Decision == evaluator.Responded && o.Hops[n-1].VirtualHost == "block_all" {
			o.Decision = evaluator.Unavailable // the contract's word for REGISTRY_ONLY
		}
		if len(o.Hops) == 0 && o.Decision == evaluator.Unavailable {
			o.Decision = evaluator.NotRouted // refused by kube-proxy: not Istio's to name
		}
		port, forwarded := 0, ""
		if o.Decision == evaluator.Delivered {
			port = o.Port
			if o.Forwarded != nil {
				changed := map[string]string{}
				for k, v := range o.Forwarded.Headers {
					if old, ok := q.Headers[k]; !ok || old != v {
						changed[k] = v
					}
				}
				forwarded = forwardedLine(o.Forwarded.Method, o.Forwarded.Authority, o.Forwarded.Path, changed)
			}
		}
		f := out.add(key(string(o.Decision), o.Status, o.Flag, policyOf(o.Details), o.Location, port, forwarded), o.Share)
		if o.Decision == evaluator.Delivered {
			if pods[o.Machine] {
				f.machines[o.Machine] = true
			} else {
				f.machines["outside"] = true
			}
		}
		for i, h := range o.Hops {
			if h.Direction != "outbound" && endsThere(string(o.Decision), i == len(o.Hops)-1) {
				h.RouteConfig, h.VirtualHost, h.Cluster = "", "", ""
			}
			f.hops[hopLine(h.Kind, h.Direction, ofPod(h.Listener, invented), h.RouteConfig, h.VirtualHost, h.Cluster, h.TLS, h.Peer)] = true
		}
	}
	return out, unknown
}

// ofPod takes an address that no manifest has out of a listener's name.
func ofPod(listener string, invented map[string]bool) string {
	if ip, port, ok := strings.Cut(listener, "_"); ok && invented[ip] {
		return "pod_" + port
	}
	return listener
}
