package scale

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// link is a TCP proxy that counts what passes, and may be far away: it then delays every byte in each direction, and a new
// connection by a round trip, which its handshake would take. The machines that tests run on have no netem.
type link struct {
	// address is where it listens.
	address string
	to      string
	delay   time.Duration
	// moved is how many bytes have passed, in both directions.
	moved atomic.Int64
}

func newLink(t testing.TB, to string, delay time.Duration) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) //nolint:errcheck // the test is over
	k := &link{address: l.Addr().String(), to: to, delay: delay}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go k.join(near)
		}
	}()
	return k
}

func (k *link) join(near net.Conn) {
	defer near.Close() //nolint:errcheck // both ends have said that they are done
	far, err := net.Dial("tcp", k.to)
	if err != nil {
		return
	}
	defer far.Close()       //nolint:errcheck // as above
	time.Sleep(2 * k.delay) // the handshake
	back := make(chan struct{})
	go func() {
		k.pass(near, far)
		close(back)
	}()
	k.pass(far, near)
	<-back
}

// pass hands over bytes until there are no more.
func (k *link) pass(to, from net.Conn) {
	type piece struct {
		due   time.Time
		bytes []byte
	}
	under := make(chan piece, 1<<14)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for p := range under {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.bytes); err != nil {
				from.Close() //nolint:errcheck // so that reading ends
			}
		}
	}()
	for {
		b := make([]byte, 32<<10)
		n, err := from.Read(b)
		k.moved.Add(int64(n))
		if n > 0 {
			under <- piece{time.Now().Add(k.delay), b[:n]}
		}
		if err != nil {
			break
		}
	}
	close(under)
	<-done
	if c, ok := to.(*net.TCPConn); ok {
		c.CloseWrite() //nolint:errcheck // it may be closed
	}
}

func TestLinkDelaysAndCounts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the test is over
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		io.Copy(c, c) //nolint:errcheck // an echo
		c.Close()     //nolint:errcheck // the test is over
	}()
	k := newLink(t, l.Addr().String(), 20*time.Millisecond)
	start := time.Now()
	c, err := net.Dial("tcp", k.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // the test is over
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 80*time.Millisecond {
		t.Errorf("a handshake and an answer took %v, and are two round trips of 40 ms", took)
	}
	if n := k.moved.Load(); n != 10 {
		t.Errorf("%d bytes are counted, and 5 went each way", n)
	}
}
