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
	// Upstream is the endpoint.
	Upstream string
	// Peer is the identity that was verified.
	Peer, TLS, SNI                                  string
	UpstreamFailure, DownstreamFailure, Termination string
}

const (
	// logTime is how long the proxies have for what they log.
	logTime = 500 * time.Millisecond
	// quietTime is after how long a log is taken to say no more.
	quietTime = 40 * time.Millisecond
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

func (l *Lab) seenBy() []*envoy {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return slices.Clone(l.visited)
}

// order follows the request from the first proxy; whole is set where nothing is missing.
func (l *Lab) order(lines []Passage) (way []Passage, whole bool) {
	visited := l.seenBy()
	if len(visited) == 0 {
		return nil, true
	}
	left := slices.Clone(lines)
	take := func(m *evaluator.Machine) *Passage {
		for _, by := range []string{"http", "tcp", "listener"} {
			for i, p := range left {
				if p.Machine.Proxy == m.Proxy && p.By == by && (by != "listener" || p.Flags != "" || p.DownstreamFailure != "") {
					left = slices.Delete(left, i, i+1)
					return &p
				}
			}
		}
		return nil
	}
	next := visited[0].machine
	for next != nil {
		p := take(next)
		if p == nil {
			return way, false
		}
		way = append(way, *p)
		next = nil
		at, err := netip.ParseAddrPort(p.Upstream)
		if err != nil || p.Direction == "inbound" || strings.Contains(p.Flags, "UF") {
			continue
		}
		if m := l.world.At(at.Addr()); m != nil && m.Proxy != nil {
			if listener, _ := m.Incoming(at); listener != nil {
				next = m
			}
		}
	}
	return way, true
}
