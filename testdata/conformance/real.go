package conformance

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
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
	if j.in == nil && j.request.SourceIP.IsValid() {
		return "the client says that its address is another"
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
	for _, h := range j.document.Hops {
		if h.Direction == string(trace.Outbound) && h.Envoy.Listener == "virtualInbound" {
			return "the listener is found by its port, and here it is bound to another"
		}
		if slices.ContainsFunc(h.Steps, notModelled) {
			return "an EnvoyFilter has an effect that the trace says that it does not model"
		}
	}
	return ""
}

func notModelled(s render.Step) bool {
	return s.Rule == string(resolve.RuleEnvoyFilter) && s.Verdict == string(resolve.Warned)
}

// real asks Envoy about what was judged last.
func (b *bench) real(binary string) (diff string, err error) {
	j := b.last
	if why := unasked(j); why != "" {
		return "", skipped{why}
	}
	for _, other := range []*side{&b.mesh, b.outside} {
		if other != j.on {
			other.stop() // one network has room for one mesh
		}
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
		if seen.Arrival == nil { // an Envoy may log the TLS error of another connection for one that succeeds
			seen.Passed = opened(seen.Passed)
		}
		i, diff := want.find(seen, j)
		if diff != "" && closedUnread(seen, j) {
			return "", skipped{"a TCP proxy without endpoint closes the connection before a policy reads a byte"}
		}
		if diff != "" {
			return diff + j.refused(), nil
		}
		found[i]++
	}
	return want.shares(found, n), nil
}

// forget ends the proxies and the control plane's part, which are those of the cluster as it was.
func (s *side) forget() {
	s.stop()
	s.world = nil
}

// stop ends the proxies.
func (s *side) stop() {
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
		hops := listening(d, o)
		for i, h := range hops {
			begin, _, _ := strings.Cut(w.names.step(h, i == len(hops)-1, refuses(o.Decision)).line(), ":")
			e.hops = append(e.hops, begin)
		}
		if len(e.hops) < 2 && o.Decision != string(trace.Delivered) && !sends(o.ResponseFlags) {
			a.cluster = ""
		}
		e.key = plain(a).key()
		for _, h := range d.Hops {
			for _, last := range []bool{true, false} {
				s := w.names.step(h, last, refuses(o.Decision))
				w.told[s.line()] = true
				s.cluster = ""
				w.told[s.line()] = true
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

// listening are the hops of an outcome at which there is an Envoy.
func listening(d *render.Document, o render.Outcome) (out []render.Hop) {
	for _, n := range o.Hops {
		if h := d.Hops[n]; h.Envoy.Listener != "" {
			out = append(out, h)
		}
	}
	return out
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

// sends reports whether a proxy that logs the flags has tried to send the request to its cluster; else the cluster is only
// that of the route, which an Envoy logs or not.
func sends(flags string) bool {
	return slices.ContainsFunc(strings.Split(flags, ","), func(f string) bool { return slices.Contains([]string{"UF", "UC", "UH", "URX"}, f) })
}

// plain leaves out of the details what the TLS library and the system say, but for what the trace knows of it.
func plain(a answer) answer {
	// A token that is signed anew has a header of another length: what is around it is decoded to something else, or not at all.
	a.details = strings.Replace(a.details, "{Jwt_header_is_an_invalid_Base64url_encoded}", "{Jwt_header_is_an_invalid_JSON}", 1)
	begin, rest, ok := strings.Cut(a.details, "|")
	words, after, closed := strings.Cut(rest, "}")
	if ok && closed && !strings.Contains(words, "WRONG_VERSION_NUMBER") && !strings.Contains(words, "not_supplied") {
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
	for _, h := range listening(j.document, j.document.Outcomes[0]) {
		closest = append(closest, "+    "+w.names.step(h, false, false).line())
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
	status := seen.Status
	if seen.GRPC != "" && status == http.StatusOK && seen.GRPC == grpcOf(o.HTTPStatus) {
		status = o.HTTPStatus // for which it stands; the trace says so in a step
	}
	a := answer{decision: end(seen.Arrival != nil, status), location: seen.Location}
	if seen.Arrival != nil {
		a.port = seen.Arrival.Port
		if o.Forwarded != nil && seen.Arrival.HTTP != nil {
			a.forwarded = forwardedSeen(seen.Arrival.HTTP, j.request, o.Forwarded.Headers)
		}
	}
	said := listening(j.document, o)
	var out []string
	for i, p := range seen.Passed {
		last := i == len(seen.Passed)-1
		tls := wire(p)
		if (p.TLS == "" || p.By == "listener") && (p.By != "http" || p.Flags == "DPE") && i < len(said) {
			tls = said[i].TLS // of what it does not terminate an Envoy does not say it
		}
		if last && seen.Arrival == nil && p.Upstream == "" && !sends(p.Flags) && p.Flags != "DF" {
			p.Cluster = ""
		}
		if last && i > 0 && i < len(said) && p.By == "tcp" && p.Flags == "NC" {
			p.Cluster = said[i].Envoy.Cluster // which an Envoy that has no such cluster does not log
		}
		s := step{
			proxy: p.Kind, direction: p.Direction, workload: p.Machine.Name, tls: tls, peer: p.Peer,
			listener: w.names.concrete(p.Listener), chain: w.names.concrete(p.Chain), routeConfig: p.Routes, virtualHost: p.Host, route: p.Route, cluster: p.Cluster,
		}
		if p.Direction != "inbound" && p.Cluster != "" && !(last && refuses(o.Decision)) {
			a.cluster = p.Cluster
		}
		switch {
		case !last:
		case refuses(o.Decision), p.Flags == "DPE" && p.Details == "http1.codec_error", p.By == "tcp" && p.DownstreamFailure != "":
			s = s.ended() // what is no HTTP, or no connection, has no route
		case p.Details == "path_normalization_failed", p.Details == "upgrade_failed":
			s.virtualHost, s.route, s.cluster = "", "", "" // looked up only to log it
		}
		if last && p.Direction == "inbound" {
			s.workload = ""
		}
		out = append(out, s.line())
	}
	if n := len(seen.Passed); n == 1 && seen.Arrival == nil && !sends(seen.Passed[0].Flags) {
		a.cluster = "" // as wantedOf has it
	}
	if p := decided(seen, refuses(o.Decision)); p != nil && seen.Arrival == nil {
		a.flags, a.details = p.Flags, p.Details
		if heldBackAtTimes(j.document) {
			a.flags = strings.TrimPrefix(strings.TrimPrefix(a.flags, resolve.DelayFlag), ",")
		}
		if a.details == "" {
			a.details = p.Termination
		}
		if strings.HasPrefix(a.details, "dns_resolution_failure{") {
			a.details = "dns_resolution_failure" // behind it are the words of the DNS library
		}
	}
	return append([]string{plain(a).key()}, out...)
}

// grpcOf is the gRPC status with which an Envoy answers a gRPC request in place of an HTTP status.
// Source: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md.
func grpcOf(status int) string {
	code, ok := map[int]codes.Code{
		400: codes.Internal, 401: codes.Unauthenticated, 403: codes.PermissionDenied, 404: codes.Unimplemented,
		429: codes.Unavailable, 502: codes.Unavailable, 503: codes.Unavailable, 504: codes.Unavailable,
	}[status]
	if !ok {
		code = codes.Unknown
	}
	return fmt.Sprint(int(code))
}

// wire is how a connection reached a proxy.
func wire(p proxies.Passage) string {
	switch {
	case strings.Contains(p.DownstreamFailure, "WRONG_VERSION_NUMBER"):
		return "plaintext" // where TLS should be
	case p.TLS != "" && p.Peer != "":
		return "mTLS"
	case p.TLS != "" || p.SNI != "":
		return "TLS"
	}
	return "plaintext"
}

// envoys are headers that an Envoy, or the connection, has of its own.
var envoys = []string{"x-request-id", "content-length", "transfer-encoding", "te", "connection", "accept-encoding"}

// computed is a part of a header's value that an Envoy fills in.
var computed = regexp.MustCompile(`%[A-Z_]+(\([^)]*\))?(:\d+)?%`)

// forwardedSeen is what arrived in the words of compare.go; told are the headers that the trace tells of.
func forwardedSeen(got *evaluator.Request, q trace.Request, told map[string]string) string {
	changed, removed := map[string]string{}, []string{}
	for k, v := range got.Headers {
		if computed.MatchString(told[k]) {
			v = told[k] // only that it is there can be compared
		}
		if old, ok := q.Headers[k]; (!ok || old != v) && !slices.Contains(envoys, k) {
			changed[k] = v
		}
	}
	for _, k := range slices.Sorted(maps.Keys(q.Headers)) {
		v, ok := got.Headers[k]
		if k == "connection" && v == "close" {
			ok = false // that is of the new connection, which is for one request
		}
		if !ok && k != "host" && (k == "connection" || !slices.Contains(envoys, k)) {
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
	want, got := map[string]float64{}, map[string]float64{}
	for i, e := range w.ends { // what an Envoy shows no difference between counts together
		key := e.key + strings.Join(e.hops, "\n")
		want[key] += e.share
		got[key] += float64(found[i]) / float64(n)
	}
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(want)) {
		p := min(want[key], 1)
		if off := deviations * math.Sqrt(p*(1-p)/float64(n)); math.Abs(got[key]-p) > off+1e-3 {
			fmt.Fprintf(&b, "%s of %d requests, not %s: %s\n", percent(got[key]), n, percent(p), key)
		}
	}
	return b.String()
}
