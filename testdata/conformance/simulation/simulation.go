package simulation

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/core"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/simulation/flags"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/simulation/xds"
)

// Result is what a proxy did with a call, or what a test expects of it.
type Result struct {
	Error              error
	ListenerMatched    string
	FilterChainMatched string
	RouteMatched       string
	RouteConfigMatched string
	VirtualHostMatched string
	ClusterMatched     string
	// StrictMatch is set where an empty field means that there is none.
	StrictMatch bool
	Skip        string

	of   *Simulation
	call Call
	why  string
}

// Matches writes down what is expected and what the evaluator found.
func (r Result) Matches(t *testing.T, want Result) {
	t.Helper()
	c := r.of.situation
	c.Name, c.Call, c.Strict, c.Unplayed = t.Name(), r.call, want.StrictMatch, r.why
	c.Want, c.Got = answerOf(want), answerOf(r)
	write(t, c)
}

func answerOf(r Result) Answer {
	a := Answer{
		Listener: r.ListenerMatched, FilterChain: r.FilterChainMatched, RouteConfig: r.RouteConfigMatched,
		VirtualHost: r.VirtualHostMatched, Route: r.RouteMatched, Cluster: r.ClusterMatched,
	}
	if r.Error != nil {
		a.Error = r.Error.Error()
	}
	return a
}

// Simulation is a proxy with what the control plane sent it.
type Simulation struct {
	t         *testing.T
	Listeners []*listener.Listener
	Clusters  []*cluster.Cluster
	Routes    []*route.RouteConfiguration

	situation Case
	asked     *bool
}

// NewSimulationFromConfigGen is a proxy of a control plane that was given services as Go values.
func NewSimulationFromConfigGen(t *testing.T, s *core.ConfigGenTest, proxy *model.Proxy) *Simulation {
	sim := newSimulation(t, s, proxy)
	sim.situation.Manifests, sim.situation.Unwritten = registered(s, proxy)
	sim.situation.MeshConfig = meshYAML(s.Env().Mesh())
	return sim
}

// NewSimulation is a proxy of a control plane that was given manifests.
func NewSimulation(t *testing.T, s *xds.FakeDiscoveryServer, proxy *model.Proxy) *Simulation {
	sim := newSimulation(t, s.ConfigGenTest, proxy)
	sim.situation.Manifests, sim.situation.Unwritten = manifests(s.Options)
	if s.Options.MeshConfig != nil {
		sim.situation.MeshConfig = meshYAML(s.Options.MeshConfig)
	}
	t.Cleanup(func() {
		if !*sim.asked && !t.Skipped() {
			sim.askAll()
		}
	})
	return sim
}

func newSimulation(t *testing.T, s *core.ConfigGenTest, proxy *model.Proxy) *Simulation {
	sim := &Simulation{t: t, Listeners: s.Listeners(proxy), Clusters: s.Clusters(proxy), asked: new(bool)}
	sim.Routes = s.RoutesFromListeners(proxy, sim.Listeners)
	sim.situation = Case{
		Flag: flags.Turned(t.Name()),
		Proxy: Proxy{
			Gateway: proxy.Type == model.Router, Namespace: proxy.Metadata.Namespace,
			Labels: proxy.Labels, Addresses: proxy.IPAddresses,
		},
	}
	return sim
}

// RunExpectations makes calls, each as a test of its own.
func (sim *Simulation) RunExpectations(list []Expect) {
	for _, e := range list {
		sim.t.Run(e.Name, func(t *testing.T) { sim.Run(e.Call).Matches(t, e.Result) })
	}
}

// Run makes a call.
func (sim *Simulation) Run(call Call) Result {
	*sim.asked = true
	call = call.FillDefaults()
	r := sim.play(call)
	r.of, r.call = sim, call
	return r
}

var routePort = regexp.MustCompile(`^(?:http\.)?([0-9]+)$`)

// askAll is for tests that make no call and look at the routes instead: it asks for every virtual
// host of the plaintext routes by its first domain. What the evaluator finds is then what is wanted.
func (sim *Simulation) askAll() {
	for _, rc := range sim.Routes {
		port := routePort.FindStringSubmatch(rc.GetName())
		if port == nil {
			continue
		}
		n, _ := strconv.Atoi(port[1])
		for _, vh := range rc.GetVirtualHosts() {
			r := sim.Run(Call{Port: n, Protocol: HTTP, HostHeader: within(vh.GetDomains()[0])})
			c := sim.situation
			c.Name, c.Call, c.Unplayed = fmt.Sprintf("%s/%s %s", sim.t.Name(), rc.GetName(), vh.GetName()), r.call, r.why
			c.Want, c.Derived = answerOf(r), true
			write(sim.t, c)
		}
	}
}

// within is a host that a domain takes.
func within(domain string) string {
	switch {
	case domain == "*":
		return "elsewhere.test"
	case strings.HasPrefix(domain, "*"):
		return "any" + domain[1:]
	}
	return domain
}

// addressOf is the address that the call connects to.
func addressOf(call Call) netip.AddrPort {
	ip, _ := netip.ParseAddr(call.Address)
	return netip.AddrPortFrom(ip, uint16(call.Port))
}
