package conformance

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

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

// lines tell the fates for a comparison. Where the other party shows one of several hops at a place on the way,
// that one is compared here, and the others by unsaid.
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
	details := strings.Replace(a.details, "|TLS_error}", "}", 1) // what the trace says of a handshake whose end is not known
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
