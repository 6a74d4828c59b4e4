package proxies

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
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
	// Upstream is the endpoint, Sender the address from which a connection to it was made.
	Upstream, Sender string
	// Socket is the other end of the connection.
	Socket string
	// Peer is the identity that was verified.
	Peer, PeerName, TLS, SNI                        string
	UpstreamFailure, DownstreamFailure, Termination string
}

const (
	// logTime is how long the proxies have for what they log: it is over only where something is wrong.
	logTime = 20 * time.Second
	// quietTime is how long a line may come after the one that says that its connection has ended.
	quietTime = 300 * time.Millisecond
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

// leadsTo reports whether a connection is the one that the proxy made. One that it could not make it does not name: then it
// is known by both addresses.
func (p *Passage) leadsTo(v visit) bool {
	if p.Sender != "" {
		return v.from.String() == p.Sender
	}
	return v.to.String() == p.Upstream && v.from.Addr() == p.Machine.Address
}

// passed waits until the proxies that the request reached have logged it, and puts them in order.
func (l *Lab) passed() ([]Passage, error) {
	var lines []Passage
	ended := map[string]time.Time{}
	for end := time.Now().Add(logTime); ; time.Sleep(time.Millisecond) {
		for _, e := range l.running() {
			more, err := e.logged()
			if err != nil {
				return nil, err
			}
			lines = append(lines, more...)
			for _, p := range more {
				if p.By == "listener" {
					ended[p.Socket] = time.Now()
				}
			}
		}
		way, waits := l.follow(lines, ended)
		if waits == "" {
			return way, nil
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("after %s %s", logTime, waits)
		}
	}
}

// follow goes the way of the request as far as it is known: a line tells the connection of which it is, and the one that
// the proxy made. waits is what is still to come.
func (l *Lab) follow(lines []Passage, ended map[string]time.Time) (way []Passage, waits string) {
	l.mutex.Lock()
	visits := slices.Clone(l.visits)
	l.mutex.Unlock()
	if len(visits) == 0 {
		return nil, ""
	}
	at := visits[0]
	for visits = visits[1:]; ; {
		last, over := ended[at.socket.String()]
		over = over && time.Since(last) > quietTime
		p := said(lines, at.socket.String(), over)
		switch {
		case p == nil && over:
			return way, ""
		case p == nil:
			return way, fmt.Sprintf("a proxy has not logged the connection from %s to %s", at.from, at.to)
		}
		way = append(way, *p)
		to, err := netip.ParseAddrPort(p.Upstream)
		if err != nil || p.Direction == "inbound" || strings.Contains(p.UpstreamFailure, "not_supplied") {
			return way, ""
		}
		next := slices.IndexFunc(visits, p.leadsTo)
		if next < 0 {
			if l.isRefused(p) || !l.meets(p.Machine, to) {
				return way, ""
			}
			return way, fmt.Sprintf("%s has logged a connection to %s that did not come", p.Machine.Name, to)
		}
		at = visits[next]
		visits = slices.Delete(visits, next, next+1) // each once, even where a proxy calls itself
	}
}

// said is the line that tells most of a connection; nil where there is none yet. That of the listener tells of a connection that
// came to no filter; of another only if nothing else does, which is known when it is over.
func said(lines []Passage, socket string, over bool) *Passage {
	for _, by := range []string{"http", "tcp", "listener"} {
		for i, p := range lines {
			if p.Socket != socket || p.By != by {
				continue
			}
			refused := p.Details == "filter_chain_not_found" || p.DownstreamFailure != ""
			if by != "listener" || refused || over && p.Flags != "" {
				return &lines[i]
			}
		}
	}
	return nil
}

func (l *Lab) isRefused(p *Passage) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return slices.ContainsFunc(l.refusals, p.leadsTo)
}

// meets reports whether what a machine sends to an address reaches a proxy in any case.
func (l *Lab) meets(m *evaluator.Machine, to netip.AddrPort) bool {
	backends, _, ok := l.world.Service(m.Address, to)
	if !ok {
		backends, _, ok = l.world.NetworkGateway(to)
	}
	if !ok {
		backends = []netip.AddrPort{to}
	}
	return len(backends) > 0 && !slices.ContainsFunc(backends, func(b netip.AddrPort) bool { return l.proxied(b) == nil })
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
