package gatewayapi

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/conformance/echo-basic/tcpserver"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Sockets are what tests connect to that open connections by themselves: a listener on loopback for each address of
// a Gateway and port of protocol TCP or TLS.
//
//  1. What a connection says first decides where TLS is asked for: its server name is read, and nothing taken away.
//  2. The tracer says to which pod it leads, and whether the gateway ends the TLS; what is not delivered is closed.
//  3. Gateway and pod take their certificates from the Secrets that their objects name.
type Sockets struct {
	Player *Player
	// open are the listeners, by address.
	open map[string]net.Listener
}

// NewSockets answers as a player says. Gateways have listeners from then on.
func NewSockets(p *Player) *Sockets {
	s := &Sockets{Player: p, open: map[string]net.Listener{}}
	p.Cluster.onGateway = s.listen
	return s
}

// Close ends all listeners.
func (s *Sockets) Close() {
	s.Player.Cluster.mu.Lock()
	defer s.Player.Cluster.mu.Unlock()
	for _, l := range s.open {
		_ = l.Close() // it takes no more connections either way
	}
}

// listen opens what a Gateway of that address needs and is not there.
func (s *Sockets) listen(address string, gw *k8sgateway.Gateway) error {
	for _, l := range gw.Spec.Listeners {
		at := net.JoinHostPort(address, strconv.Itoa(int(l.Port)))
		if l.Protocol != k8sgateway.TCPProtocolType && l.Protocol != k8sgateway.TLSProtocolType || s.open[at] != nil {
			continue
		}
		listener, err := net.Listen("tcp", at)
		if err != nil {
			return fmt.Errorf("the tests need port %d of a loopback address: %w", l.Port, err)
		}
		s.open[at] = listener
		gateway, protocol := client.ObjectKeyFromObject(gw).String(), l.Protocol
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return // it was closed
				}
				go s.serve(c, gateway, at, protocol)
			}
		}()
	}
	return nil
}

// serve is one connection.
func (s *Sockets) serve(c net.Conn, gateway, at string, protocol k8sgateway.ProtocolType) {
	defer c.Close()
	typed := trace.Typed{URL: "tcp://" + at, From: trace.External, Gateway: gateway, SourceIP: "203.0.113.7"}
	if protocol == k8sgateway.TLSProtocolType {
		name, replayed, err := serverName(c)
		if err != nil {
			return
		}
		_, port, _ := net.SplitHostPort(at)
		c, typed.URL, typed.SNI = replayed, "tls://"+net.JoinHostPort(name, port), name
	}
	t, err := s.Player.Cluster.Walk(typed)
	if err != nil {
		return
	}
	o := s.Player.choose(t)
	if o.Decision != trace.Delivered || len(o.Destination.Workloads) == 0 {
		return
	}
	if certificate, ends := s.terminated(t, o); ends {
		c = tls.Server(c, certificate)
	}
	s.echo(c, o.Destination.Workloads[0], o.Destination.TargetPort)
}

// errPeeked ends a handshake of which no more than the server name is wanted.
var errPeeked = errors.New("peeked")

// serverName reads the first message of a TLS handshake, and gives the connection as it was.
func serverName(c net.Conn) (string, net.Conn, error) {
	var name string
	seen := &recorder{Conn: c}
	err := tls.Server(seen, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name = h.ServerName
		return nil, errPeeked
	}}).Handshake()
	if !errors.Is(err, errPeeked) {
		return "", nil, fmt.Errorf("no TLS handshake: %w", err)
	}
	return name, &replay{Conn: c, first: seen.read}, nil
}

// recorder keeps what is read, and answers nothing.
type recorder struct {
	net.Conn
	read []byte
}

// Read keeps what it reads.
func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.read = append(r.read, b[:n]...)
	return n, err
}

// Write drops the alert that ends the handshake.
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }

// replay gives what was read before once more.
type replay struct {
	net.Conn
	first []byte
}

// Read gives what was read before, then the connection's.
func (r *replay) Read(b []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(b, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	return r.Conn.Read(b)
}

// terminated is the certificate of the listener that ends the TLS, if the trace has such a step.
func (s *Sockets) terminated(t *trace.Trace, o trace.Outcome) (*tls.Config, bool) {
	for _, h := range o.Hops {
		for _, step := range t.Hops[h].Steps {
			var index int
			if step.Rule != resolve.RuleGatewayTerminates {
				continue
			}
			if _, err := fmt.Sscanf(step.Ref.Field, "spec.listeners[%d]", &index); err != nil {
				return nil, true
			}
			gw := &k8sgateway.Gateway{}
			if !s.Player.Cluster.read(step.Ref.Namespace, step.Ref.Name, gw) {
				return nil, true
			}
			pair, _ := s.Player.Cluster.pair(gw.Namespace, string(gw.Spec.Listeners[index].TLS.CertificateRefs[0].Name))
			return serverConfig(pair), true
		}
	}
	return nil, false
}

func serverConfig(pair tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}

// tlsPort is the one on which the suite's TCP server speaks TLS.
const tlsPort = 8443

// echo is the suite's TCP server.
func (s *Sockets) echo(c net.Conn, backend resolve.Ref, port int) {
	told := tcpserver.TCPAssertions{Context: tcpserver.Context{Namespace: backend.Namespace, Pod: Answer{Backend: backend}.PodName()}}
	if told.IsTLS = port == tlsPort; told.IsTLS {
		pair, held := s.Player.Cluster.podCertificate(backend)
		if !held {
			return
		}
		secured := tls.Server(c, serverConfig(pair))
		if err := secured.Handshake(); err != nil {
			return
		}
		state := secured.ConnectionState()
		told.TLSAssertion = &tcpserver.TLSAssertions{ServerName: state.ServerName, NegotiatedProtocol: state.NegotiatedProtocol}
		c = secured
	}
	payload, err := json.Marshal(told)
	if err != nil {
		return
	}
	lines, answers := bufio.NewScanner(c), map[string]string{"TEST": string(payload), "IS_TLS": strconv.FormatBool(told.IsTLS), "PING": "PONG"}
	_, err = fmt.Fprint(c, tcpserver.WelcomeMessage)
	for err == nil && lines.Scan() {
		if answer, known := answers[strings.TrimSpace(lines.Text())]; known {
			_, err = fmt.Fprintln(c, answer)
		}
	}
}
