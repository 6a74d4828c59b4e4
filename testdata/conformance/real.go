package conformance

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/proxies"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// A request on which trace and pilot agree is asked of Envoy itself, and what it does is held against the trace.
//
//  1. A request with one end is sent once. One with several is sent often: each time it has to come to one of
//     them, and to each as often as the trace says, give or take six standard deviations.
//  2. Compared is what an Envoy shows: whether the request arrives, and where; the status, flags, details and location of
//     an answer; the request as it arrived; and of each proxy, from its access log, what compare.go lists of a hop.
//  3. Not compared is the trace's own word for an end: whether one that is closed is a Reset or Unavailable, no Envoy says.

// samples is how often a request with several ends is sent, deviations how far a share may be off.
const samples, deviations = 60, 6

// unasked says in words why Envoy is not asked about a request.
func unasked(j *judged) string {
	if j.on.cluster.Ambient {
		return "ambient: ztunnel is no Envoy, and what a waypoint does with HBONE is Istio's own build's"
	}
	for _, o := range j.document.Outcomes {
		switch {
		case len(o.Otherwise) > 0:
			return "an external authorizer has a say"
		case circle(o):
			return "a circle has no end"
		case eastWest(j.document, o):
			return "what an east-west gateway sends to is another cluster"
		}
	}
	return ""
}

// real asks Envoy about what was judged last.
func (b *bench) real(binary string) (diff string, err error) {
	j := b.last
	if why := unasked(j); why != "" {
		return "", skipped{why}
	}
	if j.on.lab == nil {
		if j.on.lab, err = proxies.New(j.on.world, binary); err != nil {
			return "", err
		}
		on := j.on
		b.t.Cleanup(on.forget)
	}
	ways, err := j.ways()
	if err != nil {
		return "", err
	}
	if err := j.on.lab.Start(j.machines()); err != nil {
		return "", err
	}
	want := wantedOf(j)
	n := 1
	if len(want.ends) > 1 || len(ways) > 1 {
		n = samples
	}
	found := make([]int, len(want.ends))
	for range n {
		w := ways[rand.IntN(len(ways))]
		seen, err := j.on.lab.Send(w.call, w.at)
		if err != nil {
			if u, ok := err.(proxies.Unaskable); ok { //nolint:errorlint // it is never wrapped
				return "", skipped{u.Reason}
			}
			return "", err
		}
		i, diff := want.find(seen, j)
		if diff != "" {
			return diff + j.refused(), nil
		}
		found[i]++
	}
	return want.shares(found, n), nil
}

// forget ends the proxies and the control plane's part, which are those of the cluster as it was.
func (s *side) forget() {
	s.world = nil
	if s.lab != nil {
		s.lab.Close() //nolint:errcheck // only temporary files would stay
		s.lab = nil
	}
}

// way is one of the ways in which the request may be sent, each as likely as the other.
type way struct {
	call evaluator.Call
	at   *evaluator.Machine
}

func (j *judged) ways() ([]way, error) {
	bytes := payload(j.request)
	if j.in != nil {
		call, at, ok := entering(j.on.world, j.on.cluster, j.request, bytes, j.in)
		if !ok {
			return nil, skipped{"the Service has no such port"}
		}
		return []way{{call, at}}, nil
	}
	all, err := calls(j.on.world, j.on.cluster, j.request, bytes, j.anonymous)
	var out []way
	for _, c := range all {
		out = append(out, way{call: c})
	}
	if err == nil && len(out) == 0 {
		err = skipped{"DNS: the name does not resolve"}
	}
	return out, err
}

// machines are some of those whose proxies the request passes.
func (j *judged) machines() (out []*evaluator.Machine) {
	const most = 4
	owners := map[string]bool{}
	for _, h := range j.document.Hops {
		owners[ownerName(h.Workload)] = true
	}
	for _, p := range j.on.cluster.Pods {
		if owners[p.Owner] && p.Proxy != "" && len(out) < most {
			out = append(out, j.on.world.Machine(p))
			delete(owners, p.Owner)
		}
	}
	return out
}

// refused are the words in which the proxies did not take what they were sent.
func (j *judged) refused() string {
	var b strings.Builder
	for _, m := range j.machines() {
		for _, words := range j.on.lab.Refused(m) {
			fmt.Fprintf(&b, "Envoy of %s refused: %s\n", m.Name, words)
		}
	}
	return b.String()
}

// wanted is what the trace says in words in which an Envoy's doings can be put.
type wantedEnds struct {
	names addressNames
	ends  []wantedEnd
	// told are the lines of all hops.
	told map[string]bool
}

type wantedEnd struct {
	outcome  render.Outcome
	key      string
	share    float64
	machines map[string]bool
	// hops are how each hop's line begins.
	hops []string
}

func wantedOf(j *judged) *wantedEnds {
	d, c := j.document, j.on.cluster
	w := &wantedEnds{names: symbols(c), told: map[string]bool{}}
	for _, o := range d.Outcomes {
		e := wantedEnd{outcome: o, share: o.Weight / 100, machines: map[string]bool{}}
		a := answer{
			decision: end(o.Decision == string(trace.Delivered), o.HTTPStatus), flags: o.ResponseFlags, details: o.ResponseCodeDetails, location: o.Location,
			cluster: w.names.concrete(o.Destination.EnvoyCluster), forwarded: forwardedSaid(o),
		}
		if o.Decision == string(trace.Delivered) {
			a.port = o.Destination.TargetPort
		}
		e.key = plain(a).key()
		for i, n := range o.Hops {
			if h := d.Hops[n]; h.Envoy.Listener != "" {
				line := w.names.step(h, i == len(o.Hops)-1, refuses(o.Decision)).line()
				begin, _, _ := strings.Cut(line, ":")
				e.hops = append(e.hops, begin)
				w.told[line] = true
			}
		}
		for _, h := range d.Hops {
			for _, last := range []bool{true, false} {
				w.told[w.names.step(h, last, refuses(o.Decision)).line()] = true
			}
		}
		for _, m := range o.Destination.Workloads {
			e.machines[machineName(ownerName(m), c)] = true
		}
		if len(o.Destination.Workloads) == 0 {
			e.machines["outside"] = true
		}
		w.ends = append(w.ends, e)
	}
	return w
}

// end is what becomes of a request, as far as its sender can tell.
func end(arrived bool, status int) string {
	switch {
	case arrived:
		return "arrives"
	case status != 0:
		return fmt.Sprint("answered ", status)
	}
	return "closed"
}

// plain leaves out of the details what the TLS library says.
func plain(a answer) answer {
	if begin, rest, ok := strings.Cut(a.details, "|TLS_error"); ok {
		_, after, _ := strings.Cut(rest, "}")
		a.details = begin + "}" + after
	}
	return a
}

// find is the end that the trace tells of; diff is what was seen, where it tells of none.
func (w *wantedEnds) find(seen *proxies.Seen, j *judged) (i int, diff string) {
	var closest []string
	for i, e := range w.ends {
		lines := w.lines(seen, e.outcome, j)
		got := map[string]bool{}
		for _, l := range lines {
			got[l] = true
		}
		var missing []string
		want := append([]string{e.key}, e.hops...)
		if lines[0] != e.key || len(lines) != len(want) || seen.Arrival != nil && !e.machines[machineOf(seen, j.on.cluster)] {
			missing = append(missing, "+"+e.key, "+    at "+strings.Join(slices.Sorted(maps.Keys(e.machines)), ", "))
		}
		for n, l := range lines[1:] {
			if begin, _, _ := strings.Cut(l, ":"); n >= len(e.hops) || begin != e.hops[n] || !w.told[l] {
				missing = append(missing, "-    not told: "+l)
			}
		}
		if len(missing) == 0 {
			return i, ""
		}
		closest = append(closest, missing...)
	}
	lines := w.lines(seen, w.ends[0].outcome, j)
	for _, n := range j.document.Outcomes[0].Hops {
		if h := j.document.Hops[n]; h.Envoy.Listener != "" {
			closest = append(closest, "+    "+w.names.step(h, false, false).line())
		}
	}
	return 0, "-" + strings.Join(lines, "\n-    ") + "\n-    at " + machineOf(seen, j.on.cluster) + " " + seen.Failure + "\n" + strings.Join(closest, "\n") +
		fmt.Sprintf("\nlogged: %s\n", logs(seen))
}

func logs(seen *proxies.Seen) string {
	var b strings.Builder
	for _, p := range seen.Passed {
		fmt.Fprintf(&b, "\n  %+v", p)
	}
	return b.String()
}

func machineOf(seen *proxies.Seen, c *apiserver.Cluster) string {
	if seen.Arrival == nil {
		return "no program"
	}
	for _, p := range c.Pods {
		if p.Owner == seen.Arrival.Machine {
			return p.Owner
		}
	}
	return "outside"
}

// lines are what was seen, in the words of compare.go: the end, then each proxy. o is the end that it may be.
func (w *wantedEnds) lines(seen *proxies.Seen, o render.Outcome, j *judged) []string {
	a := answer{decision: end(seen.Arrival != nil, seen.Status), location: seen.Location}
	if seen.Arrival != nil {
		a.port = seen.Arrival.Port
		if o.Forwarded != nil && seen.Arrival.HTTP != nil {
			a.forwarded = forwardedSeen(seen.Arrival.HTTP, j.request)
		}
	}
	var out []string
	for i, p := range seen.Passed {
		last := i == len(seen.Passed)-1
		s := step{
			proxy: p.Kind, direction: p.Direction, workload: p.Machine.Name, tls: wire(p), peer: p.Peer,
			listener: w.names.concrete(p.Listener), chain: w.names.concrete(p.Chain), routeConfig: p.Routes, virtualHost: p.Host, route: p.Route, cluster: p.Cluster,
		}
		if p.Direction != "inbound" && p.Cluster != "" {
			a.cluster = p.Cluster
		}
		if last && seen.Arrival == nil {
			a.flags, a.details = p.Flags, p.Details
			if a.details == "" {
				a.details = p.Termination
			}
		}
		if last && refuses(o.Decision) {
			s = s.ended()
		}
		if last && p.Direction == "inbound" {
			s.workload = ""
		}
		out = append(out, s.line())
	}
	if refuses(o.Decision) && o.Destination.EnvoyCluster == "" {
		a.cluster = ""
	}
	return append([]string{plain(a).key()}, out...)
}

// wire is how a connection reached a proxy.
func wire(p proxies.Passage) string {
	switch {
	case p.TLS != "" && p.Peer != "":
		return "mTLS"
	case p.TLS != "" || p.SNI != "":
		return "TLS"
	}
	return "plaintext"
}

// envoys are headers that an Envoy, or the connection, has of its own.
var envoys = []string{"x-request-id", "content-length", "transfer-encoding", "te", "connection", "accept-encoding"}

func forwardedSeen(got *evaluator.Request, q trace.Request) string {
	changed, removed := map[string]string{}, []string{}
	for k, v := range got.Headers {
		if old, ok := q.Headers[k]; (!ok || old != v) && !slices.Contains(envoys, k) {
			changed[k] = v
		}
	}
	for _, k := range slices.Sorted(maps.Keys(q.Headers)) {
		if _, ok := got.Headers[k]; !ok && k != "host" && !slices.Contains(envoys, k) {
			removed = append(removed, k)
		}
	}
	return forwardedLine(got.Method, got.Authority, got.Path, changed, removed)
}

// shares says which end was found too rarely or too often.
func (w *wantedEnds) shares(found []int, n int) string {
	if n == 1 {
		return ""
	}
	var b strings.Builder
	for i, e := range w.ends {
		got := float64(found[i]) / float64(n)
		if off := deviations * math.Sqrt(e.share*(1-e.share)/float64(n)); math.Abs(got-e.share) > off+1e-9 {
			fmt.Fprintf(&b, "%s of %d requests, not %s: %s\n", percent(got), n, percent(e.share), e.key)
		}
	}
	return b.String()
}
