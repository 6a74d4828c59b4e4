package proxies

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// The network leads a connection from an address to an address, as that of a cluster does:
//
//  1. What a sidecar sends from its inner address is for the program of its pod.
//  2. So is what a pod sends to an address of the loopback device. The address of a Service stands for one of those behind it.
//  3. A machine with a proxy has it take the connection, as its traffic rules say.
//  4. Behind the address of a gateway of another network are its pods, or, where they are not of this mesh, a program with
//     a certificate of the mesh: what becomes of the request in that network is not looked at.
//  5. Anything else reaches a program.

func (l *Lab) accepted(c *net.TCPConn) {
	defer c.Close() //nolint:errcheck // both ends are closed then
	from, to := addressOf(c.RemoteAddr()), addressOf(c.LocalAddr())
	l.mutex.Lock()
	own := l.inner[from.Addr()]
	l.mutex.Unlock()
	if own != nil {
		l.answer(c, own.machine.Name, to)
		return
	}
	l.lead(c, from, to)
}

func addressOf(a net.Addr) netip.AddrPort {
	at := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// lead is the steps after the first.
func (l *Lab) lead(c *net.TCPConn, from, to netip.AddrPort) {
	dialled := to
	if backends, _, ok := l.world.Service(from.Addr(), to); ok {
		if len(backends) == 0 {
			l.refuse(c, from, to)
			return
		}
		to = backends[rand.IntN(len(backends))]
	} else if backends, here, ok := l.world.NetworkGateway(to); ok {
		switch {
		case !here:
			l.pass(c, to)
			return
		case len(backends) == 0:
			l.refuse(c, from, to)
			return
		}
		to = backends[rand.IntN(len(backends))]
	}
	m := l.world.At(to.Addr())
	if self := l.world.At(from.Addr()); to.Addr().IsLoopback() && self != nil {
		l.answer(c, self.Name, to)
		return
	}
	if m == nil {
		l.answer(c, l.nameOf(to.Addr()), to)
		return
	}
	listener, open := m.Incoming(to)
	switch {
	case !open:
		l.refuse(c, from, dialled)
	case listener == nil:
		l.answer(c, m.Name, to)
	default:
		up, err := l.enter(m, listener.GetName(), visit{from: from, to: dialled}, to)
		if err != nil {
			var closed noSocket
			if errors.As(err, &closed) {
				l.mutex.Lock()
				l.unheard = append(l.unheard, closed)
				l.mutex.Unlock()
			} else {
				l.problem(err)
			}
			l.refuse(c, from, dialled)
			return
		}
		splice(c, up)
	}
}

func (l *Lab) nameOf(ip netip.Addr) string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if name, ok := l.names[ip]; ok {
		return name
	}
	return ip.String()
}

// enter connects to a listener of a machine's proxy for a visit, as if to were the connection's other end.
func (l *Lab) enter(m *evaluator.Machine, listener string, v visit, to netip.AddrPort) (*net.TCPConn, error) {
	e, err := l.envoyOf(m)
	if err != nil {
		return nil, err
	}
	if err := l.listen(to.Port()); err != nil {
		return nil, err
	}
	at, ok := e.adaptation.bound[listener]
	if !ok {
		return nil, fmt.Errorf("listener %s of %s has no socket", listener, m.Name)
	}
	from := v.from
	c, err := net.DialTCP("tcp", sender(from.Addr()), net.TCPAddrFromAddrPort(at))
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, noSocket{e.machine, e.direction(listener), listener}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	v.socket = addressOf(c.LocalAddr())
	l.mutex.Lock()
	l.visits = append(l.visits, v)
	l.mutex.Unlock()
	family := "TCP4"
	if from.Addr().Is6() || to.Addr().Is6() {
		family = "TCP6"
		from, to = mapped(from), mapped(to)
	}
	_, err = fmt.Fprintf(c, "PROXY %s %s %s %d %d\r\n", family, from.Addr(), to.Addr(), from.Port(), to.Port())
	return c, err
}

// sender is the address to connect from: whom the first line names is the remote address for an Envoy, but the direct one
// is the socket's. Listeners have sockets of IPv4, which none of IPv6 reaches.
// Source: Envoy, source/common/network/socket_impl.h, directRemoteAddress.
func sender(from netip.Addr) *net.TCPAddr {
	if !from.Is4() {
		return nil
	}
	return &net.TCPAddr{IP: from.AsSlice()}
}

// noSocket is an error for a listener that the proxy refused, or that waits for something.
type noSocket struct {
	machine             *evaluator.Machine
	direction, listener string
}

// passage stands for what the proxy would log.
func (e noSocket) passage() Passage {
	return Passage{Machine: e.machine, Kind: e.machine.Proxy.Kind, Direction: e.direction, Listener: e.listener}
}

func (e noSocket) Error() string {
	return e.machine.Name + " has no socket for the listener " + e.listener
}

func mapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
}

// refuse ends a connection that no one takes, and notes it: the sender has seen it open, and may have gone on.
func (l *Lab) refuse(c *net.TCPConn, from, to netip.AddrPort) {
	l.mutex.Lock()
	l.refusals = append(l.refusals, visit{from: from, to: to})
	l.mutex.Unlock()
	refuse(c)
}

// refuse breaks a connection off.
func refuse(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// splice carries bytes both ways until both ends have closed; one that breaks off breaks the other off.
func splice(a, b *net.TCPConn) {
	defer b.Close() //nolint:errcheck // see accepted
	var wait sync.WaitGroup
	carry := func(to, from *net.TCPConn) {
		if _, err := io.Copy(to, from); errors.Is(err, syscall.ECONNRESET) {
			refuse(to)
			return
		}
		_ = to.CloseWrite()
		_ = to.SetReadDeadline(time.Now().Add(lifetime)) // a half that stays open does not do so for ever
	}
	wait.Go(func() { carry(a, b) })
	wait.Go(func() { carry(b, a) })
	wait.Wait()
}

// lifetime is how long anything may take.
const lifetime = 20 * time.Second
