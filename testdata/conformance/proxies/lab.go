package proxies

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// Lab is a mesh in which the proxies run. They are started when the first connection reaches them.
type Lab struct {
	world       evaluator.World
	binary, dir string
	xds         *controlPlane

	mutex   sync.Mutex
	envoys  map[*evaluator.Proxy]*envoy
	inner   map[netip.Addr]*envoy
	sockets map[uint16]net.Listener
	// outside are the addresses of names that are another network's, and names the reverse.
	outside map[string]netip.Addr
	names   map[netip.Addr]string
	// arrivals are by the number that the program's answer bears.
	arrivals map[string]*Arrival
	// expected are the names of which proxies expect one in the certificates of programs.
	expected map[string]bool
	// visits are the connections that have been led to proxies since the last question, refusals those that reached no one.
	visits, refusals []visit
	problems         []error
	// unheard are the listeners without a socket that connections of this question were for.
	unheard []noSocket
}

// New is a mesh of proxies that run the binary; it is closed in the end.
func New(world evaluator.World, binary string) (*Lab, error) {
	dir, err := os.MkdirTemp("", "proxies")
	if err != nil {
		return nil, err
	}
	x, err := serveXDS()
	if err != nil {
		return nil, err
	}
	return &Lab{
		world: world, binary: binary, dir: dir, xds: x,
		envoys: map[*evaluator.Proxy]*envoy{}, inner: map[netip.Addr]*envoy{}, sockets: map[uint16]net.Listener{},
		outside: map[string]netip.Addr{}, names: map[netip.Addr]string{}, arrivals: map[string]*Arrival{}, expected: map[string]bool{},
	}, nil
}

// Close ends the proxies and the network.
func (l *Lab) Close() error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, e := range l.envoys {
		e.stop()
	}
	for _, s := range l.sockets {
		s.Close() //nolint:errcheck // nothing is lost
	}
	l.xds.server.Stop()
	return os.RemoveAll(l.dir)
}

// visit is a connection from an address to an address.
type visit struct {
	from, to netip.AddrPort
	// socket is the end from which it was led to a proxy, which logs it; not valid where there is no proxy, or no socket of it.
	socket netip.AddrPort
}

// count numbers the proxies of this process.
var count atomic.Uint32

// loopback is an address of the loopback device for one purpose of a proxy.
func loopback(purpose byte, number uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{127, purpose, byte(number >> 8), byte(number)})
}

// envoyOf is the machine's proxy, which is running then.
func (l *Lab) envoyOf(m *evaluator.Machine) (*envoy, error) {
	l.mutex.Lock()
	e := l.envoys[m.Proxy]
	if e == nil {
		e = &envoy{lab: l, machine: m, number: count.Add(1)}
		l.envoys[m.Proxy] = e
		l.inner[loopback(innerPurpose, e.number)] = e
	}
	l.mutex.Unlock()
	e.once.Do(func() { e.err = e.start() })
	return e, e.err
}

// running are the proxies that have been started.
func (l *Lab) running() (out []*envoy) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, e := range l.envoys {
		out = append(out, e)
	}
	return out
}

// Start starts proxies at once, which then need not start one after the other.
func (l *Lab) Start(machines []*evaluator.Machine) error {
	errs := make([]error, len(machines))
	var wait sync.WaitGroup
	for i, m := range machines {
		if m.Proxy != nil {
			wait.Go(func() { _, errs[i] = l.envoyOf(m) })
		}
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Refused are the words in which a machine's proxy did not take configuration.
func (l *Lab) Refused(m *evaluator.Machine) []string {
	l.mutex.Lock()
	e := l.envoys[m.Proxy]
	l.mutex.Unlock()
	if e == nil || e.resources == nil {
		return nil
	}
	e.resources.mutex.Lock()
	defer e.resources.mutex.Unlock()
	return append([]string(nil), e.resources.refused...)
}

func (l *Lab) problem(err error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.problems = append(l.problems, err)
}

// named is the address that stands for a name of another network.
func (l *Lab) named(host string) netip.Addr {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	ip, ok := l.outside[host]
	if !ok {
		n := len(l.outside) + 1
		ip = netip.AddrFrom4([4]byte{198, 19, byte(n >> 8), byte(n)})
		l.outside[host], l.names[ip] = ip, host
	}
	return ip
}

// listen takes the connections to a port of any address.
func (l *Lab) listen(port uint16) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.sockets[port] != nil || port == 0 {
		return nil
	}
	s, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return err
	}
	l.sockets[port] = s
	go func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			go l.accepted(c.(*net.TCPConn))
		}
	}()
	return nil
}
