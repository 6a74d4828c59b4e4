package proxies

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// nowhere is a world with one name.
type nowhere struct{ evaluator.World }

func (nowhere) Resolve(_ netip.Addr, host string) ([]netip.Addr, bool) {
	if host == "cart.shop" {
		return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, true
	}
	return nil, host == "gone.shop"
}

func TestResolver(t *testing.T) {
	l := &Lab{world: nowhere{}, outside: map[string]netip.Addr{}, names: map[netip.Addr]string{}}
	r, err := resolve(l, &evaluator.Machine{}, netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for host, want := range map[string]struct {
		code dnsmessage.RCode
		ip   string
	}{
		"cart.shop.":   {0, "10.0.0.1"},
		"gone.shop.":   {dnsmessage.RCodeNameError, ""},
		"example.com.": {0, "198.19.0.1"},
	} {
		q := dnsmessage.Message{
			Header:      dnsmessage.Header{ID: 7, RecursionDesired: true},
			Questions:   []dnsmessage.Question{{Name: dnsmessage.MustNewName(host), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
			Additionals: []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("."), Type: dnsmessage.TypeOPT}, Body: &dnsmessage.OPTResource{Options: []dnsmessage.Option{{Code: 10, Data: []byte("12345678")}}}}},
		}
		text, err := q.Pack()
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("udp", r.socket.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(text); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 1<<12)
		n, err := c.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		var a dnsmessage.Message
		if err := a.Unpack(buffer[:n]); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, x := range a.Answers {
			got = netip.AddrFrom4(x.Body.(*dnsmessage.AResource).A).String()
		}
		if a.RCode != want.code || got != want.ip {
			t.Errorf("%s: %v %s, want %v", host, a.RCode, got, want)
		}
	}
}
