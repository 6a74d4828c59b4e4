package proxies

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// Passage is what a proxy logged of a request or connection. A value that Envoy has none for is empty.
type Passage struct {
	// Machine is where the proxy is, Kind what it is, Direction outbound, inbound or gateway.
	Machine         *evaluator.Machine `json:"-"`
	Kind, Direction string             `json:"-"`
	// By is http, tcp, or listener for a connection that got no further.
	By               string
	Listener, Routes string
	Flags, Details   string
	Status           any
	Chain            string
	Host             string
	Route, Cluster   string
	// Upstream is the endpoint.
	Upstream string
	// Peer is the identity that was verified.
	Peer, PeerName, TLS, SNI                        string
	UpstreamFailure, DownstreamFailure, Termination string
}

const (
	// logTime is how long the proxies have for what they log.
	logTime = 3 * time.Second
	// quietTime is after how long a log is taken to say no more.
	quietTime = 150 * time.Millisecond
)

// logged are the lines that are new.
func (e *envoy) logged() ([]Passage, error) {
	e.reading.Lock()
	defer e.reading.Unlock()
	if e.adaptation == nil {
		return nil, nil // it is being started
	}
	file, err := os.Open(e.adaptation.log)
	if err != nil {
		return nil, nil //nolint:nilerr // as above
	}
	defer file.Close() //nolint:errcheck // it is read only
	info, err := file.Stat()
	if err != nil || info.Size() == e.read {
		return nil, err
	}
	text := make([]byte, info.Size()-e.read)
	if _, err := file.ReadAt(text, e.read); err != nil {
		return nil, err
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	e.read += int64(len(text))
	var out []Passage
	for line := range bytes.Lines(text) {
		p := Passage{Machine: e.machine, Kind: e.machine.Proxy.Kind}
		if err := json.Unmarshal(line, &p); err != nil {
			return nil, fmt.Errorf("the log of %s: %w", e.machine.Name, err)
		}
		for _, s := range []*string{&p.Flags, &p.Details} {
			if *s == "-" {
				*s = ""
			}
		}
		if p.Peer == "" {
			p.Peer = p.PeerName
		}
		if p.By == "listener" && p.DownstreamFailure != "" {
			p.Peer = "" // it was not verified
		}
		p.Direction = e.direction(p.Listener)
		out = append(out, p)
	}
	return out, nil
}

func (e *envoy) direction(listener string) string {
	if e.machine.Proxy.Kind != "sidecar" {
		return "gateway"
	}
	for _, l := range e.machine.Proxy.Listeners {
		if l.GetName() == listener && l.GetTrafficDirection() == core.TrafficDirection_INBOUND {
			return "inbound"
		}
	}
	return "outbound"
}

// passed waits until each proxy that the request reached has logged it, and puts them in order: each names the endpoint
// to which it sent it.
func (l *Lab) passed() ([]Passage, error) {
	var lines []Passage
	last := time.Now()
	for end := time.Now().Add(logTime); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, e := range l.running() {
			more, err := e.logged()
			if err != nil {
				return nil, err
			}
			if len(more) > 0 {
				lines, last = append(lines, more...), time.Now()
			}
		}
		if way, whole := l.order(lines); whole || time.Since(last) > quietTime && len(way) > 0 {
			return way, nil
		}
		if len(lines) == 0 && len(l.seenBy()) == 0 {
			return nil, nil
		}
	}
	way, _ := l.order(lines)
	return way, nil
}

func (l *Lab) seenBy() []visit {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return slices.Clone(l.visited)
}

// order follows the request from the first proxy; whole is set where nothing is missing. Where a Service's address, which
// may stand for anyone, leads the connection on, the next proxy is any other that logged something.
func (l *Lab) order(lines []Passage) (way []Passage, whole bool) {
	visited := l.seenBy()
	if len(visited) == 0 {
		return nil, true
	}
	left := slices.Clone(lines)
	take := func(of func(Passage) bool) *Passage {
		for _, by := range []string{"http", "tcp", "listener"} {
			for i, p := range left {
				if of(p) && p.By == by && (by != "listener" || p.Flags != "" || p.DownstreamFailure != "") {
					left = slices.Delete(left, i, i+1)
					return &p
				}
			}
		}
		return nil
	}
	at := func(m *evaluator.Machine, outbound bool) func(Passage) bool {
		return func(p Passage) bool { return p.Machine.Proxy == m.Proxy && (p.Direction == "outbound") == outbound }
	}
	for next := at(visited[0].envoy.machine, visited[0].outbound); next != nil; {
		p := take(next)
		if p == nil {
			return way, false
		}
		way = append(way, *p)
		next = nil
		to, err := netip.ParseAddrPort(p.Upstream)
		if err != nil || p.Direction == "inbound" {
			continue
		}
		if backends, _, ok := l.world.Service(p.Machine.Address, to); ok {
			for _, b := range backends {
				if m := l.proxied(b); m != nil {
					next = func(p Passage) bool { return p.Direction != "outbound" }
				}
			}
			continue
		}
		if m := l.proxied(to); m != nil {
			next = at(m, false)
		}
	}
	return way, true
}

// proxied is the machine whose proxy takes a connection to an address; nil where none does.
func (l *Lab) proxied(to netip.AddrPort) *evaluator.Machine {
	m := l.world.At(to.Addr())
	if m == nil || m.Proxy == nil {
		return nil
	}
	if listener, _ := m.Incoming(to); listener == nil {
		return nil
	}
	return m
}
