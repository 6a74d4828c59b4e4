package trace

import (
	"net/netip"
	"strings"
	"sync"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// One request from many clients. Clients get the same answer by proof, not by sampling:
//
//  1. Clients of one class (resolve.ClientClass) go the same way, so one walk tells what is asked of them on it: asked.
//  2. Of those, the clients that give the same answers to that end alike: the policies of each proxy that receives from
//     the client find the same of its identity and address, and it runs on the same node, where that is asked.
//     Behind a waypoint nobody sees the client.
//  3. Behind a gateway the client's address is in a header, and its identity in a handshake: there every
//     identity and address is walked for itself.
//  4. So is every client that calls itself: a pod of the headless Service, its own address.
//  5. And every client that a filter of an EnvoyFilter looks at.
//
// What is the same are the outcomes, but for words about the client in their reasons, and for hints.

// Client is a workload that sends requests.
type Client struct {
	Workload *resolve.Workload
	// class is what ClientClass says of it, found when first asked: that takes what its proxy sees.
	class     func() string
	principal string
}

// NewClient is the workload as one that sends requests.
func NewClient(s *resolve.Snapshot, w *resolve.Workload) *Client {
	return &Client{
		Workload: w, class: sync.OnceValue(func() string { return s.ClientClass(w) }), principal: w.Principal(s.Mesh.GetTrustDomain()),
	}
}

// Principal is the client's SPIFFE identity without the scheme.
func (c *Client) Principal() string { return c.principal }

// Crowd answers one request for many clients, and walks once for all that are equal. It is for one goroutine.
type Crowd struct {
	snapshot *resolve.Snapshot
	request  Request
	classes  map[string]*crowdClass
	walks    int
}

// crowdClass are the answers to the clients of one class.
type crowdClass struct {
	// asked is nil until somebody was walked who does not call itself.
	asked   *asked
	answers map[string]*Trace
}

// NewCrowd asks one request. Its From and Gateway do not count.
func NewCrowd(s *resolve.Snapshot, req Request) *Crowd {
	return &Crowd{snapshot: s, request: req, classes: map[string]*crowdClass{}}
}

// Walks is how many walks it took so far.
func (c *Crowd) Walks() int { return c.walks }

// Trace is the trace of the request from the client, or from one that ends alike; the same pointer for all of
// these. It keeps no steps that were skipped.
func (c *Crowd) Trace(client *Client) (*Trace, error) {
	class := c.classes[client.class()]
	if class == nil {
		class = &crowdClass{answers: map[string]*Trace{}}
		c.classes[client.class()] = class
	}
	if class.asked != nil {
		if key, alone := class.asked.answer(c.snapshot, client); !alone {
			if t := class.answers[key]; t != nil {
				return t, nil
			}
		}
	}
	c.walks++
	w := &walk{snapshot: c.snapshot, request: c.request, detail: DetailNone, asked: &asked{fixedIP: c.request.SourceIP.IsValid()}}
	w.describe(client.Workload)
	t, err := w.run(sender{workload: client.Workload})
	if err != nil {
		return nil, err
	}
	if key, alone := w.asked.answer(c.snapshot, client); !alone {
		if class.asked == nil {
			class.asked = w.asked
		}
		class.answers[key] = t
	}
	return t, nil
}

// asked is what a walk asked of its client beyond its class.
type asked struct {
	judges  []judge
	dialled []resolve.Dialled
	// node is set where the client's node counts, exact where its identity and address do as such.
	node, exact bool
	// alone is set where a filter looked at the client.
	alone bool
	// fixedIP is set where the request names the client's address.
	fixedIP bool
	// called are the pods of headless Services that were dialled; nil until somebody asks.
	called map[podKey]bool
}

// judge is a proxy whose policies look at the client.
type judge struct {
	proxy      *resolve.Workload
	connection resolve.Connection
	tcp        bool
	// remote is set where the client's address is also the one that X-Forwarded-For would tell.
	remote bool
}

type podKey struct {
	owner resolve.Ref
	pod   string
}

// judged notes that a proxy's policies are asked.
func (a *asked) judged(p *path, proxy *resolve.Workload, c *resolve.Connection, request *resolve.HTTPRequest) {
	if a == nil || p.sender != nil && p.sender.Dataplane == resolve.DataplaneWaypoint {
		return
	}
	unknown := *p
	unknown.senderIP = netip.Addr{}
	a.judges = append(a.judges, judge{proxy, *c, request == nil, !unknown.sidecarRemoteIP(request).IsValid()})
}

// judgedAtZtunnel notes that the ztunnel of the server has policies, which may tell any two clients apart.
func (a *asked) judgedAtZtunnel(p *path, s *resolve.Snapshot, server *resolve.Workload) {
	if a == nil || p.sender != nil && p.sender.Dataplane == resolve.DataplaneWaypoint {
		return
	}
	a.exact = a.exact || len(s.PoliciesAt(server, true).Authorization) > 0
}

// dials notes what is connected to without a proxy's choice.
func (a *asked) dials(d resolve.Dialled) {
	if a == nil {
		return
	}
	a.dialled = append(a.dialled, d)
	a.node = a.node || d.Service != nil && d.Service.InternalTrafficLocal
}

// balances notes a choice among endpoints.
func (a *asked) balances(s *resolve.Snapshot, c *resolve.Cluster) {
	if a != nil {
		a.node = a.node || s.AsksNode(c)
	}
}

// throughGateway is rule 3.
func (a *asked) throughGateway() {
	if a != nil {
		a.exact = true
	}
}

// filtered is rule 5.
func (a *asked) filtered() {
	if a != nil {
		a.alone = true
	}
}

// answer is what the client answers to all that was asked; alone for one whose walk stands for no other.
func (a *asked) answer(s *resolve.Snapshot, client *Client) (key string, alone bool) {
	if a.alone || a.callsItself(s, client.Workload) {
		return "", true
	}
	var b strings.Builder
	if a.node {
		b.WriteString(client.Workload.NodeName + "|")
	}
	address := firstAddress(client.Workload)
	if a.exact {
		b.WriteString(client.principal + "|" + address.String())
		return b.String(), false
	}
	for i := range a.judges {
		j := &a.judges[i]
		c := j.connection
		if c.Peer != "" {
			c.Peer = client.principal
		}
		if !a.fixedIP {
			c.SourceIP = address
			if j.remote {
				c.RemoteIP = address
			}
		}
		b.WriteString(s.SourceSignature(j.proxy, &c, j.tcp))
		b.WriteByte('|')
	}
	return b.String(), false
}

// callsItself is rule 4.
func (a *asked) callsItself(s *resolve.Snapshot, client *resolve.Workload) bool {
	if a.called == nil {
		a.called = map[podKey]bool{}
		for _, d := range a.dialled {
			if d.Service == nil || !d.Headless {
				continue
			}
			for _, pods := range [][]*resolve.Endpoint{s.Meant(d), s.NamedEndpoints(d.Service, d.Pod, d.Port)} {
				for _, e := range pods {
					if e.Workload != nil {
						a.called[podKey{e.Workload.Owner, e.Workload.Pod}] = true
					}
				}
			}
		}
	}
	if a.called[podKey{client.Owner, client.Pod}] {
		return true
	}
	for _, d := range a.dialled {
		prefix := d.Address.Prefix
		if !prefix.IsValid() || !prefix.IsSingleIP() {
			continue
		}
		if prefix.Addr().IsLoopback() {
			return true
		}
		for _, ip := range client.Addresses {
			if ip == prefix.Addr() {
				return true
			}
		}
	}
	return false
}
