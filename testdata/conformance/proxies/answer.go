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
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// Arrival is what a program got.
type Arrival struct {
	// Machine is the name of where it runs, an address, or a host name of the outside.
	Machine string
	Port    int
	// HTTP is the request; nil for bytes.
	HTTP *evaluator.Request
}

// arrivalHeader bears the number of an arrival in the program's answer.
const arrivalHeader = "x-mesh-trace-arrival"

var arrivalCount atomic.Uint64

func (l *Lab) arrived(a *Arrival) string {
	id := fmt.Sprint(arrivalCount.Add(1))
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.arrivals[id] = a
	return id
}

// meant is a connection whose first bytes are read again.
type meant struct {
	net.Conn
	reader io.Reader
}

func (c *meant) Read(b []byte) (int, error) { return c.reader.Read(b) }

const tlsHandshake = 0x16

// answer is a program: it takes TLS, HTTP/2, HTTP/1.1 or other bytes, and answers in kind. The TLS of the mesh it does not
// understand, as it is none of its proxies: what speaks HTTP answers so, what does not closes.
func (l *Lab) answer(c net.Conn, machine string, at netip.AddrPort) {
	_ = c.SetDeadline(time.Now().Add(lifetime))
	reader := bufio.NewReader(c)
	first, err := reader.Peek(1)
	if err != nil {
		return
	}
	var plain net.Conn = &meant{c, reader}
	if first[0] == tlsHandshake {
		secure, err := l.accept(plain)
		if err != nil {
			return
		}
		reader = bufio.NewReader(secure)
		plain = &meant{secure, reader}
		if first, err = reader.Peek(1); err != nil || first[0] == tlsHandshake {
			return
		}
	}
	l.speak(plain, reader, &Arrival{Machine: machine, Port: int(at.Port())})
}

// speak answers what is no TLS.
func (l *Lab) speak(plain net.Conn, reader *bufio.Reader, to *Arrival) {
	switch start := peekLine(reader); {
	case bytes.HasPrefix(start, []byte("PRI * HTTP/2")):
		server := &http2.Server{}
		server.ServeConn(plain, &http2.ServeConnOpts{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set(arrivalHeader, l.arrived(to.with(r)))
		})})
	case bytes.Contains(start, []byte(" HTTP/1.")):
		l.answerHTTP(plain, reader, to)
	default:
		_, _ = fmt.Fprintln(plain, l.arrived(to))
		_, _ = io.Copy(io.Discard, reader)
	}
}

// pass plays the gateway of a network that is out of sight, and the proxy and program behind it.
func (l *Lab) pass(c net.Conn, at netip.AddrPort) {
	_ = c.SetDeadline(time.Now().Add(lifetime))
	both, err := authorities()
	if err != nil {
		l.problem(err)
		return
	}
	l.mutex.Lock()
	names := slices.Sorted(maps.Keys(l.expected))
	l.mutex.Unlock()
	made, err := both[0].issue(names...)
	if err != nil {
		l.problem(err)
		return
	}
	secure := tls.Server(c, &tls.Config{
		Certificates: []tls.Certificate{made.pair}, ClientAuth: tls.RequireAnyClientCert,
		NextProtos: []string{"istio-h2", "istio-http/1.1", "istio"},
	})
	if secure.Handshake() != nil || !strings.HasPrefix(secure.ConnectionState().ServerName, "outbound_.") {
		return
	}
	reader := bufio.NewReader(secure)
	l.speak(&meant{secure, reader}, reader, &Arrival{Machine: at.Addr().String(), Port: int(at.Port())})
}

// errMesh is the mesh's TLS at a program.
var errMesh = errors.New("the mesh's TLS")

// accept makes the handshake of a program, whose certificate is for every name that anyone expects.
func (l *Lab) accept(c net.Conn) (net.Conn, error) {
	both, err := authorities()
	if err != nil {
		return nil, err
	}
	var offered []string
	secure := tls.Server(c, &tls.Config{
		ClientAuth: tls.RequestClientCert,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			offered = hello.SupportedProtos
			if slices.ContainsFunc(offered, func(p string) bool { return strings.HasPrefix(p, "istio") }) {
				if slices.ContainsFunc(offered, func(p string) bool { return strings.Contains(p, "http") || strings.Contains(p, "h2") }) {
					_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
				}
				return nil, errMesh
			}
			name := hello.ServerName
			if name == "" {
				name = "program.test"
			}
			l.mutex.Lock()
			names := append([]string{name}, slices.Sorted(maps.Keys(l.expected))...)
			l.mutex.Unlock()
			made, err := both[1].issue(names...)
			out := &tls.Config{Certificates: []tls.Certificate{made.pair}, ClientAuth: tls.RequestClientCert}
			for _, p := range []string{"h2", "http/1.1"} {
				if slices.Contains(offered, p) {
					out.NextProtos = append(out.NextProtos, p)
				}
			}
			return out, err
		},
	})
	err = secure.Handshake()
	return secure, err
}

// peekLine is the first line as far as it is there, or the first bytes.
func peekLine(r *bufio.Reader) []byte {
	for n := 1; ; n = r.Buffered() + 1 {
		b, err := r.Peek(n)
		b, _ = r.Peek(max(len(b), r.Buffered()))
		if bytes.ContainsRune(b, '\n') || err != nil || len(b) > 1<<11 {
			return b
		}
	}
}

// answerHTTP reads requests as they come: a library would refuse some that an Envoy lets pass.
func (l *Lab) answerHTTP(c net.Conn, reader *bufio.Reader, to *Arrival) {
	text := textproto.NewReader(reader)
	for {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		method, rest, _ := strings.Cut(line, " ")
		path, _, _ := strings.Cut(rest, " HTTP/1.")
		head, err := text.ReadMIMEHeader()
		if err != nil {
			return
		}
		q := &evaluator.Request{Method: method, Path: path, Authority: head.Get("host"), Headers: plainHeaders(head)}
		delete(q.Headers, "host")
		if n, err := strconv.ParseInt(head.Get("content-length"), 10, 64); err == nil {
			_, _ = io.CopyN(io.Discard, reader, n)
		}
		arrival := *to
		arrival.HTTP = q
		if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%s: %s\r\ncontent-length: 0\r\n\r\n", arrivalHeader, l.arrived(&arrival)); err != nil {
			return
		}
	}
}

// with is the arrival of a request.
func (a *Arrival) with(r *http.Request) *Arrival {
	out := *a
	out.HTTP = &evaluator.Request{Method: r.Method, Authority: r.Host, Path: r.RequestURI, HTTP2: true, Headers: plainHeaders(r.Header)}
	return &out
}

func plainHeaders[M ~map[string][]string](head M) map[string]string {
	out := map[string]string{}
	for name, values := range head {
		out[strings.ToLower(name)] = strings.Join(values, ",")
	}
	return out
}
