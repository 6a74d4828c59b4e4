package proxies

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/http2"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// Seen is what became of one request.
type Seen struct {
	// Status and Location are of the answer; 0 without one that is HTTP.
	Status   int
	Location string
	// GRPC is the grpc-status of an answer that consists of headers only.
	GRPC string
	// Arrival is what the program got that answered; nil where none did.
	Arrival *Arrival
	// Passed are what the proxies logged, in the order of the way.
	Passed []Passage
	// Failure is why there is no answer.
	Failure string
}

// Unaskable is an error for what the lab can not ask; the text says why.
type Unaskable struct{ Reason string }

func (e Unaskable) Error() string { return e.Reason }

// Send makes a call, and waits for what the proxies log of it. at is the machine that is entered from outside; nil
// for a call from within.
func (l *Lab) Send(call evaluator.Call, at *evaluator.Machine) (*Seen, error) {
	was := map[string]string{}
	sent, err := resigned(call.Bytes, was)
	if err != nil {
		return nil, err
	}
	if why := unwritable(sent, false); why != "" {
		return nil, Unaskable{why}
	}
	if err := l.listen(call.To.Port()); err != nil {
		return nil, err
	}
	for _, e := range l.running() {
		if _, err := e.logged(); err != nil {
			return nil, err
		}
	}
	l.mutex.Lock()
	l.visits, l.refusals, l.problems, l.unheard, l.arrivals = nil, nil, nil, nil, map[string]*Arrival{}
	l.mutex.Unlock()
	seen := &Seen{}
	c, err := l.connect(call, at)
	var closed noSocket
	if errors.As(err, &closed) {
		seen.Passed, seen.Failure = []Passage{closed.passage()}, err.Error()
		return seen, nil
	}
	switch {
	case errors.Is(err, syscall.ECONNRESET): // broken off before this end has seen that it stands
		seen.Failure = err.Error()
	case err != nil:
		return nil, err
	default:
		if err := l.exchange(c, sent, seen); err != nil {
			seen.Failure = err.Error()
		}
		_ = c.Close()
	}
	if seen.Arrival != nil && seen.Arrival.HTTP != nil {
		q := seen.Arrival.HTTP
		q.Path = unsigned(q.Path, was)
		for k, v := range q.Headers {
			q.Headers[k] = unsigned(v, was)
		}
	}
	seen.Location = unsigned(seen.Location, was)
	if seen.Passed, err = l.passed(); err != nil {
		return nil, err
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if len(l.problems) > 0 {
		return nil, l.problems[0]
	}
	if len(seen.Passed) == 0 && len(l.unheard) > 0 {
		seen.Passed = []Passage{l.unheard[0].passage()}
		return seen, nil
	}
	if n := len(seen.Passed); n > 0 && slices.ContainsFunc(l.refusals, seen.Passed[n-1].leadsTo) {
		return nil, Unaskable{"a proxy connects to where no one listens, which it can not be told here"}
	}
	return seen, nil
}

// unwritable says why a library for HTTP/2 would not send or take a request; empty if it would.
func unwritable(b *evaluator.Bytes, second bool) string {
	for ; b != nil; b = b.Inner {
		second = second || b.TLS != nil && slices.Contains(b.TLS.ALPN, "h2")
		if q := b.HTTP; q != nil && (second || q.HTTP2) {
			if _, err := url.ParseRequestURI(q.Path); err != nil || strings.HasPrefix(q.Path, "//") {
				return "the test's HTTP/2 takes no such path"
			}
		}
	}
	return ""
}

// resigned are the bytes with tokens that Envoy takes.
func resigned(b *evaluator.Bytes, was map[string]string) (*evaluator.Bytes, error) {
	if b == nil {
		return nil, nil
	}
	out := *b
	var err error
	if out.Inner, err = resigned(b.Inner, was); err != nil || b.HTTP == nil {
		return &out, err
	}
	q := *b.HTTP
	q.Headers = maps.Clone(q.Headers)
	for _, text := range append([]string{""}, slices.Sorted(maps.Keys(q.Headers))...) {
		old := q.Path
		if text != "" {
			old = q.Headers[text]
		}
		made, expired, err := signed(old, was)
		if err != nil {
			return nil, err
		}
		if expired {
			return nil, Unaskable{"a token was valid once, and Envoy's clock says that it is not now"}
		}
		if text == "" {
			q.Path = made
		} else {
			q.Headers[text] = made
		}
	}
	out.HTTP = &q
	return &out, nil
}

// clientPort is the port of a client; no proxy decides by it.
const clientPort = 40000

func (l *Lab) connect(call evaluator.Call, at *evaluator.Machine) (net.Conn, error) {
	from := netip.AddrPortFrom(call.From.Address, clientPort)
	if !from.Addr().IsValid() {
		from = netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, 1}), clientPort)
	}
	if at != nil {
		listener, open := at.Incoming(call.To)
		if !open || listener == nil {
			return nil, Unaskable{"no one listens there"}
		}
		return l.enter(at, listener.GetName(), visit{from: from, to: call.To}, call.To)
	}
	if call.To.Addr() == call.From.Address || call.To.Addr().IsLoopback() {
		return nil, Unaskable{"the client asks itself"} // what filters restore would be the address of another
	}
	if listener := call.From.Outgoing(call.To); listener != nil {
		return l.enter(call.From, listener.GetName(), visit{from: from, to: call.To}, call.To)
	}
	if backends, _, ok := l.world.Service(call.From.Address, call.To); ok && len(backends) == 0 {
		return nil, Unaskable{"no one listens there"}
	}
	return net.DialTCP("tcp", &net.TCPAddr{IP: from.Addr().AsSlice()}, net.TCPAddrFromAddrPort(call.To))
}

// exchange sends the bytes and reads the answer.
func (l *Lab) exchange(c net.Conn, b *evaluator.Bytes, seen *Seen) error {
	_ = c.SetDeadline(time.Now().Add(lifetime))
	second := b.HTTP != nil && b.HTTP.HTTP2
	for b.TLS != nil {
		secure, err := handshake(c, b.TLS)
		if err != nil {
			return err
		}
		c, b = secure, b.Inner
		if b == nil {
			b = &evaluator.Bytes{}
		}
		second = b.HTTP != nil && (b.HTTP.HTTP2 || secure.ConnectionState().NegotiatedProtocol == "h2")
	}
	switch {
	case b.HTTP == nil:
		return l.bytes(c, seen)
	case second:
		return l.http2(c, b, seen)
	}
	return l.http1(c, b.HTTP, seen)
}

func handshake(c net.Conn, h *evaluator.Handshake) (*tls.Conn, error) {
	config := &tls.Config{ServerName: h.SNI, NextProtos: h.ALPN, InsecureSkipVerify: true} //nolint:gosec // the test's own programs
	if h.Identity != "" {
		both, err := authorities()
		if err != nil {
			return nil, err
		}
		by := both[1]
		if strings.HasPrefix(h.Identity, "spiffe://") {
			by = both[0]
		}
		made, err := by.issue(h.Identity)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{made.pair}
	}
	secure := tls.Client(c, config)
	return secure, secure.Handshake()
}

// bytes are such as begin no protocol.
func (l *Lab) bytes(c net.Conn, seen *Seen) error {
	if _, err := io.WriteString(c, "mesh-trace\r\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	l.arrival(strings.TrimSpace(line), seen)
	return nil
}

func (l *Lab) arrival(id string, seen *Seen) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	seen.Arrival = l.arrivals[id]
}

func (l *Lab) answered(r *http.Response, seen *Seen) {
	_, _ = io.Copy(io.Discard, r.Body)
	_ = r.Body.Close()
	seen.Status, seen.Location, seen.GRPC = r.StatusCode, r.Header.Get("location"), r.Header.Get("grpc-status")
	l.arrival(r.Header.Get(arrivalHeader), seen)
}

// http1 writes the request as it is: a library would make it better.
func (l *Lab) http1(c net.Conn, q *evaluator.Request, seen *Seen) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nhost: %s\r\n", q.Method, q.Path, q.Authority)
	for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
		fmt.Fprintf(&b, "%s: %s\r\n", name, q.Headers[name])
	}
	if _, ok := q.Headers["content-length"]; !ok && slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, q.Method) {
		b.WriteString("content-length: 0\r\n")
	}
	b.WriteString("\r\n")
	if _, err := c.Write(b.Bytes()); err != nil {
		return err
	}
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: q.Method})
	if err != nil {
		return err
	}
	l.answered(r, seen)
	return nil
}

func (l *Lab) http2(c net.Conn, b *evaluator.Bytes, seen *Seen) error {
	transport := &http2.Transport{AllowHTTP: true, DisableCompression: true}
	open, err := transport.NewClientConn(c)
	if err != nil {
		return err
	}
	defer open.Close() //nolint:errcheck // the connection is closed anyway
	q := b.HTTP
	scheme := "http"
	if _, ok := c.(*tls.Conn); ok {
		scheme = "https"
	}
	request := &http.Request{
		Method: q.Method, Host: q.Authority, Header: http.Header{"User-Agent": {""}},
		URL: &url.URL{Scheme: scheme, Host: q.Authority, Opaque: q.Path},
	}
	for k, v := range q.Headers {
		request.Header.Set(k, v)
	}
	r, err := open.RoundTrip(request)
	if err != nil {
		return err
	}
	l.answered(r, seen)
	return nil
}
