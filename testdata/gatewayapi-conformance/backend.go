package gatewayapi

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Answer is what a client sees, and what the echo server behind the proxies saw.
type Answer struct {
	Status  int
	Headers http.Header
	// Location is that of a redirect.
	Location string
	// Backend is the workload that answered; zero where a proxy did.
	Backend resolve.Ref
	// Port is the pod's.
	Port int
	// Method, Host, Path and Received are the request as it arrived.
	Method, Host, Path string
	Received           http.Header
	// SNI is the server name with which a proxy opened TLS to the pod; empty for none.
	SNI string
	// Outcome is the one of the trace that was taken.
	Outcome trace.Outcome
}

// PodName is the first pod of the workload that answered.
func (a Answer) PodName() string { return a.Backend.Name + "-" + templateHash + "-0" }

// errBroken is a connection that is refused or breaks.
var errBroken = errors.New("connection broken")

// Player makes an answer of a trace: it takes one of the outcomes, lets an echo server answer and mirrors.
type Player struct {
	Cluster *Cluster

	mu sync.Mutex
	// draws count by what is drawn for, so that shares come out evenly.
	draws map[string]int
	logs  map[string][]string
}

// NewPlayer plays on a cluster.
func NewPlayer(c *Cluster) *Player {
	return &Player{Cluster: c, draws: map[string]int{}, logs: map[string][]string{}}
}

// Play sends a request.
func (p *Player) Play(typed trace.Typed, sent http.Header) (Answer, error) {
	return p.PlayAs(typed, sent, nil)
}

// PlayAs sends a request with a client's certificate; nil for none.
func (p *Player) PlayAs(typed trace.Typed, sent http.Header, client *x509.Certificate) (Answer, error) {
	t, err := p.Cluster.Walk(typed)
	if err != nil {
		return Answer{}, err
	}
	o := p.choose(t)
	if client != nil {
		if err := p.Cluster.trustsClient(t, o, client); err != nil {
			return Answer{}, fmt.Errorf("%w: %w", errBroken, err)
		}
	}
	a := Answer{Status: o.HTTPStatus, Headers: http.Header{}, Location: o.Location, Outcome: o}
	for _, h := range o.Hops {
		p.mirror(t.Hops[h], o)
	}
	if o.Decision != trace.Delivered {
		if a.Status == 0 {
			return a, fmt.Errorf("%w: %s %s: %s", errBroken, o.Decision, o.Code, o.Reason)
		}
		changeHeaders(&a, t)
		return a, nil
	}
	if len(o.Destination.Workloads) == 0 {
		return a, fmt.Errorf("%w: delivered to %s, which is no workload", errBroken, o.Destination.Host)
	}
	if err := p.Cluster.trustsBackend(t, o); err != nil {
		a.Status = http.StatusServiceUnavailable
		return a, nil
	}
	a.Backend, a.Port, a.Status, a.SNI = o.Destination.Workloads[0], o.Destination.TargetPort, http.StatusOK, openedTLS(t, o)
	if f := o.Forwarded; f != nil {
		a.Method, a.Host, a.Path, a.Received = f.Method, f.Host, f.Path, sent.Clone()
		for name, value := range f.Headers {
			a.Received.Set(name, value)
		}
		for _, name := range f.Removed {
			a.Received.Del(name)
		}
	}
	p.echo(&a, t)
	return a, nil
}

// openedTLS is the server name of TLS that a proxy opens by itself.
func openedTLS(t *trace.Trace, o trace.Outcome) string {
	for _, h := range o.Hops {
		for _, s := range t.Hops[h].Steps {
			if s.Rule == resolve.RuleClientTLSSimple {
				return fmt.Sprint(s.Args[0])
			}
		}
	}
	return ""
}

// draw is a number from 0 to 1 of a sequence that is spread evenly (multiples of the golden ratio).
func (p *Player) draw(what string) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draws[what]++
	v := float64(p.draws[what]) * 0.6180339887498949
	return v - float64(int(v))
}

// choose takes one of the outcomes by their weights.
func (p *Player) choose(t *trace.Trace) trace.Outcome {
	if len(t.Outcomes) == 1 {
		return t.Outcomes[0]
	}
	v := p.draw(t.Request.Host + t.Request.Path)
	for _, o := range t.Outcomes {
		if v -= o.Weight / 100; v < 0 {
			return o
		}
	}
	return t.Outcomes[len(t.Outcomes)-1]
}

// mirror writes the logs of the backends that get a copy.
func (p *Player) mirror(h trace.Hop, o trace.Outcome) {
	for _, s := range h.Steps {
		if s.Rule != resolve.RuleRouteMirror || o.Forwarded == nil {
			continue
		}
		host, percent := fmt.Sprint(s.Args[0]), fmt.Sprint(s.Args[1])
		share, err := strconv.ParseFloat(strings.TrimSuffix(percent, "%"), 64)
		if err != nil || p.draw("mirror "+host+o.Forwarded.Path) >= share/100 {
			continue
		}
		service := strings.Join(strings.SplitN(host, ".", 3)[:2], "/")
		p.mu.Lock()
		p.logs[service] = append(p.logs[service], "Echoing back request made to "+o.Forwarded.Path+" to client")
		p.mu.Unlock()
	}
}

// Logs are those of the pods of a service, NAME/NAMESPACE.
func (p *Player) Logs(service string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.logs[service])
}

// echo is the suite's echo server, which answers late and with errors where the query asks it to, and the proxy before
// it, which gives up or tries again as the steps of the trace say.
func (p *Player) echo(a *Answer, t *trace.Trace) {
	_, query, _ := strings.Cut(a.Path, "?")
	asked, _ := url.ParseQuery(query)
	if set := a.Received.Get("X-Echo-Set-Header"); set != "" {
		for pair := range strings.SplitSeq(set, ",") {
			name, value, _ := strings.Cut(pair, ":")
			a.Headers.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	changeHeaders(a, t)
	timeout, retries, on := proxyPatience(t, a.Outcome)
	if delay, err := time.ParseDuration(asked.Get("delay")); err == nil && timeout > 0 && delay > timeout {
		a.Status, a.Backend = http.StatusGatewayTimeout, resolve.Ref{}
		return
	}
	if code, err := strconv.Atoi(asked.Get("responseCode")); err == nil {
		failures, _ := strconv.Atoi(asked.Get("succeedAfter"))
		if !slices.Contains(on, strconv.Itoa(code)) {
			retries = 0
		}
		if failures > retries {
			a.Status = code
		}
	}
}

// changeHeaders does to the headers of the answer what the steps of the trace say, the last proxy first.
func changeHeaders(a *Answer, t *trace.Trace) {
	for _, h := range slices.Backward(a.Outcome.Hops) {
		for _, s := range t.Hops[h].Steps {
			switch s.Rule {
			case resolve.RuleResponseHeaderRemove:
				a.Headers.Del(s.Args[0].(string))
			case resolve.RuleResponseHeaderSet:
				a.Headers.Set(s.Args[0].(string), s.Args[1].(string))
			case resolve.RuleResponseHeaderAdd:
				a.Headers.Add(s.Args[0].(string), s.Args[1].(string))
			}
		}
		for _, s := range t.Hops[h].Steps { // the filter of CORS sees the answer after the router
			if s.Rule == resolve.RuleCORSHeader {
				a.Headers.Set(s.Args[0].(string), s.Args[1].(string))
			}
		}
	}
}

// proxyPatience is how long the first proxy that says so waits, how often it tries again, and on what.
func proxyPatience(t *trace.Trace, o trace.Outcome) (timeout time.Duration, retries int, on []string) {
	for _, h := range o.Hops {
		for _, s := range t.Hops[h].Steps {
			switch s.Rule {
			case resolve.RuleRouteTimeout:
				timeout, _ = s.Args[0].(time.Duration)
			case resolve.RuleRouteRetries:
				retries, _ = s.Args[0].(int)
				words, _ := s.Args[1].(string)
				on = strings.Split(words, ", ")
			}
		}
	}
	return timeout, retries, on
}

// typedHeaders are headers as they are typed, by name.
func typedHeaders(h http.Header) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(h)) {
		out = append(out, name+": "+strings.Join(h[name], ","))
	}
	return out
}
