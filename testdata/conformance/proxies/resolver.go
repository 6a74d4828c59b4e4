package proxies

import (
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// resolver is the DNS of one machine: that of the cluster, and an address for every name of the outside.
type resolver struct {
	lab     *Lab
	machine *evaluator.Machine
	address netip.AddrPort
	socket  *net.UDPConn
}

func resolve(l *Lab, m *evaluator.Machine, at netip.AddrPort) (*resolver, error) {
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	r := &resolver{lab: l, machine: m, address: at, socket: socket}
	go r.serve()
	return r, nil
}

func (r *resolver) close() { _ = r.socket.Close() }

func (r *resolver) serve() {
	for buffer := make([]byte, 1<<12); ; {
		n, from, err := r.socket.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		var q dnsmessage.Message
		if q.Unpack(buffer[:n]) != nil || len(q.Questions) == 0 {
			continue
		}
		answer := r.answer(q)
		if text, err := answer.Pack(); err == nil {
			_, _ = r.socket.WriteToUDPAddrPort(text, from)
		}
	}
}

func (r *resolver) answer(q dnsmessage.Message) dnsmessage.Message {
	asked := q.Questions[0]
	out := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.ID, Response: true, Authoritative: true, RecursionDesired: q.RecursionDesired, RecursionAvailable: true},
		Questions: []dnsmessage.Question{asked},
	}
	host := strings.ToLower(strings.TrimSuffix(asked.Name.String(), "."))
	ips, own := r.lab.world.Resolve(r.machine.Address, host)
	if !own {
		ips = []netip.Addr{r.lab.named(host)}
	}
	if len(ips) == 0 {
		out.RCode = dnsmessage.RCodeNameError
	}
	for _, ip := range ips {
		head := dnsmessage.ResourceHeader{Name: asked.Name, Class: dnsmessage.ClassINET, TTL: 300}
		switch {
		case asked.Type == dnsmessage.TypeA && ip.Is4():
			out.Answers = append(out.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: ip.As4()}})
		case asked.Type == dnsmessage.TypeAAAA && ip.Is6():
			out.Answers = append(out.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}})
		}
	}
	return out
}
