package resolve

import (
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// Rules of merging servers.
const (
	RuleGatewayServerWithoutPort RuleID = "gateway/server-without-port"
	RuleGatewayServerCrash       RuleID = "gateway/hosts-crash-istiod"
	RuleGatewayServerDuplicate   RuleID = "gateway/tls-host-taken"
	RuleGatewayServerConflict    RuleID = "gateway/port-conflict"
	RuleGatewayServerPortName    RuleID = "gateway/port-name-taken"
	RuleGatewayServerReplaced    RuleID = "gateway/server-replaced"
	RuleGatewayServerKept        RuleID = "gateway/server-kept"
	RuleGatewayAgeUnknown        RuleID = "gateway/age-unknown"
)

var gatewayServerRules = []Rule{
	{
		ID: RuleGatewayServerWithoutPort, Stage: StageGateway,
		Says:     "A server without a port is ignored.",
		Template: "the server has no port and is ignored",
		Source:   "pilot/pkg/model/gateway.go, mergeGateways",
	},
	{
		ID: RuleGatewayServerCrash, Stage: StageGateway,
		Says:     "A server that names a host of its own namespace (./host) or of every namespace (*/host) after */* makes istiod panic while it merges the Gateways of a workload.",
		Template: "host %s after */* makes istiod panic: what the gateway is told before and after is not known",
		Source:   "pilot/pkg/model/gateway.go, sanitizeServerHostNamespace",
	},
	{
		ID: RuleGatewayServerDuplicate, Stage: StageGateway,
		Says:     "A server with tls is dropped as a whole if one of its hosts was claimed by an earlier server with tls on the same pod port and bind address.",
		Template: "host %s is taken on pod port %d by %s: the whole server is dropped",
		Source:   "pilot/pkg/model/gateway.go, mergeGateways, CheckDuplicates",
	},
	{
		ID: RuleGatewayServerConflict, Stage: StageGateway,
		Says:     "Beside a plaintext server on the same pod port and bind address only a plaintext HTTP server is kept, and only if both are HTTP.",
		Template: "pod port %d is taken by %s: the server is dropped",
		Source:   "pilot/pkg/model/gateway.go, mergeGateways, canMergeProtocols",
	},
	{
		ID: RuleGatewayServerPortName, Stage: StageGateway,
		Says:     "An HTTPS server whose port name gives a route configuration name that is taken is dropped.",
		Template: "route configuration %s is taken by %s: the server is dropped",
		Source:   "pilot/pkg/model/gateway.go, mergeGateways",
	},
	{
		ID: RuleGatewayServerReplaced, Stage: StageGateway,
		Says:     "A plaintext server replaces servers with tls of the same protocol, pod port and bind address that came before it.",
		Template: "%s comes later with the same protocol on pod port %d and replaces this server",
		Source:   "pilot/pkg/model/gateway.go, mergeGateways",
	},
	{
		ID: RuleGatewayServerKept, Stage: StageGateway, Detail: true,
		Says:     "A server that conflicts with no earlier one is kept.",
		Template: "%s server on pod port %d for hosts %s",
		Source:   "pilot/pkg/model/gateway.go, mergeGateways",
	},
	{
		ID: RuleGatewayAgeUnknown, Stage: StageGateway,
		Says:     "Gateways of equal creation time are merged in the order of name, then namespace.",
		Template: "%s and %s have the same creation time or none: the name decided which comes first; in a cluster the older one does",
		Source:   "pilot/pkg/model/config.go, configCompareByCreationTime",
	},
}

// gatewayPortKey is what tells servers apart that become one listener part.
// Source: pilot/pkg/model/gateway.go, ServerPort.
type gatewayPortKey struct {
	number         int
	protocol, bind string
}

type gatewayPortGroup struct {
	servers     []*GatewayServer
	routeConfig string
}

type gatewayHostClaim struct {
	bind   string
	server *GatewayServer
}

// gatewayMerge is the state of merging; its maps are those of pilot, because which
// server survives follows from when each is written.
type gatewayMerge struct {
	gateway *MergedGateway
	targets []ServiceTarget
	// taken holds every pod port that a server was seen for.
	taken     map[int]*GatewayServer
	plaintext map[int]gatewayPortKey
	groups    map[gatewayPortKey]*gatewayPortGroup
	order     []gatewayPortKey
	byRoute   map[string][]*GatewayServer
	tlsHosts  map[int]map[string]gatewayHostClaim
}

// mergeServers merges the servers of the Gateways in order.
//
//  1. The server's port number becomes a pod port (resolvePorts); for each of several the server counts anew.
//  2. With tls of any kind: if one of the hosts, as a string, was claimed by an earlier
//     server with tls on that pod port and bind address, the whole server is dropped.
//  3. On a pod port where a plaintext server stands: with the same bind address it is
//     merged if both are HTTP and dropped otherwise; with another one it is on its own.
//  4. On a pod port without a plaintext server: a plaintext server is accepted beside
//     TLS ones (the reverse of 3 is not true).
//  5. TLS after TLS is accepted and told apart by SNI, unless the name of its HTTPS
//     route configuration is taken.
//
// Source: pilot/pkg/model/gateway.go, mergeGateways.
func mergeServers(s *Snapshot, w *Workload, targets []ServiceTarget, gateways []*GatewayConfig, steps []Step) *MergedGateway {
	m := &gatewayMerge{
		gateway: &MergedGateway{Workload: w, Gateways: gateways, Steps: steps, snapshot: s, portSteps: map[int][]Step{}},
		targets: targets,
		taken:   map[int]*GatewayServer{}, plaintext: map[int]gatewayPortKey{},
		groups: map[gatewayPortKey]*gatewayPortGroup{}, byRoute: map[string][]*GatewayServer{},
		tlsHosts: map[int]map[string]gatewayHostClaim{},
	}
	for _, c := range gateways {
		for i, spec := range c.Spec.GetServers() {
			m.add(c, i, spec)
		}
	}
	m.gateway.byRoute = m.byRoute
	m.gateway.buildListeners(m.order, m.groups)
	return m.gateway
}

func (m *gatewayMerge) add(c *GatewayConfig, i int, spec *networking.Server) {
	ref := c.At("spec.servers[" + strconv.Itoa(i) + "]")
	s := &GatewayServer{
		Gateway: c, index: i, Ref: ref, Spec: spec, Hosts: normaliseServerHosts(spec.GetHosts(), c.Namespace),
		Protocol: ParseProtocol(spec.GetPort().GetProtocol()),
	}
	if spec.GetPort() == nil {
		m.tell(s, NewStep(RuleGatewayServerWithoutPort, Skipped, ref))
		return
	}
	if h := crashingHost(spec.GetHosts()); h != "" {
		m.gateway.Crashes = append(m.gateway.Crashes, NewStep(RuleGatewayServerCrash, Warned, ref.At(ref.Field+".hosts"), h))
	}
	for _, r := range m.resolvePorts(s) {
		at := *s
		at.PodPort = r.port
		at.RouteConfig = at.routeConfigName()
		m.tell(&at, r.step)
		if r.step.Verdict == Applied {
			m.addAt(&at)
		}
	}
}

// addAt adds a server to a pod port.
func (m *gatewayMerge) addAt(s *GatewayServer) {
	if m.duplicateHost(s) {
		return
	}
	key := gatewayPortKey{number: s.PodPort, protocol: s.Spec.GetPort().GetProtocol(), bind: s.Spec.GetBind()}
	current, plaintext := m.plaintext[s.PodPort]
	switch first := m.taken[s.PodPort]; {
	case first == nil:
		m.taken[s.PodPort] = s
		m.open(key, s)
	case plaintext:
		m.besidePlaintext(key, current, s)
	case !s.hasTLS():
		m.open(key, s)
	default:
		m.besideTLS(key, s)
	}
}

// duplicateHost is step 2. A server that is dropped later keeps its claims.
func (m *gatewayMerge) duplicateHost(s *GatewayServer) bool {
	if s.Spec.GetTls() == nil {
		return false
	}
	claims := m.tlsHosts[s.PodPort]
	if claims == nil {
		claims = map[string]gatewayHostClaim{}
		m.tlsHosts[s.PodPort] = claims
	}
	for i, h := range s.Hosts {
		if claim, ok := claims[h]; ok && claim.bind == s.Spec.GetBind() {
			m.drop(s, claim.server, NewStep(RuleGatewayServerDuplicate, Skipped, s.At(pathIndex("hosts", i)), h, s.PodPort, claim.server.Ref))
			return true
		}
	}
	for _, h := range s.Hosts {
		claims[h] = gatewayHostClaim{bind: s.Spec.GetBind(), server: s}
	}
	return false
}

// open starts a group of the port; a group of the same key that is there already is lost.
// Source: pilot/pkg/model/gateway.go, addPlainTextServer.
func (m *gatewayMerge) open(key gatewayPortKey, s *GatewayServer) {
	if !s.hasTLS() {
		m.plaintext[s.PodPort] = key
	}
	if s.routesHTTP() {
		m.byRoute[s.RouteConfig] = []*GatewayServer{s}
	}
	if lost := m.groups[key]; lost != nil {
		for _, l := range lost.servers {
			why := NewStep(RuleGatewayServerReplaced, Skipped, l.Ref, s.Ref, s.PodPort)
			m.lost(s.PodPort, why)
		}
	}
	m.groups[key] = &gatewayPortGroup{servers: []*GatewayServer{s}, routeConfig: s.RouteConfig}
	m.order = append(m.order, key)
	m.kept(s)
}

// besidePlaintext is step 3.
func (m *gatewayMerge) besidePlaintext(key, current gatewayPortKey, s *GatewayServer) {
	sameBind := current.bind == key.bind
	mergeable := s.Protocol.IsHTTP() && ParseProtocol(current.protocol).IsHTTP()
	switch group := m.groups[key]; {
	case sameBind && !mergeable:
		other := m.groups[current].servers[0]
		m.drop(s, other, NewStep(RuleGatewayServerConflict, Skipped, s.At("port"), s.PodPort, other.Ref).
			Unlike(gatewayProtocolWord(other)+" (merged only with HTTP)", gatewayProtocolWord(s)))
	case sameBind:
		m.groups[current].servers = append(m.groups[current].servers, s)
		m.byRoute[s.RouteConfig] = append(m.byRoute[s.RouteConfig], s)
		m.kept(s)
	case group == nil:
		m.open(key, s)
	default:
		group.routeConfig = s.RouteConfig
		group.servers = append(group.servers, s)
		m.byRoute[s.RouteConfig] = append(m.byRoute[s.RouteConfig], s)
		m.kept(s)
	}
}

// besideTLS is step 5.
func (m *gatewayMerge) besideTLS(key gatewayPortKey, s *GatewayServer) {
	if s.routesHTTP() {
		if others := m.byRoute[s.RouteConfig]; len(others) > 0 {
			m.drop(s, others[0], NewStep(RuleGatewayServerPortName, Skipped, s.At("port.name"), s.RouteConfig, others[0].Ref))
			return
		}
		m.byRoute[s.RouteConfig] = []*GatewayServer{s}
	}
	if group := m.groups[key]; group != nil {
		group.servers = append(group.servers, s)
	} else {
		m.groups[key] = &gatewayPortGroup{servers: []*GatewayServer{s}}
		m.order = append(m.order, key)
	}
	m.kept(s)
}

// tell notes a step about a server.
func (m *gatewayMerge) tell(s *GatewayServer, step Step) {
	m.gateway.Steps = append(m.gateway.Steps, step)
	m.gateway.told = append(m.gateway.told, serverStep{s, step})
}

// lost notes why a server is not on the pod port.
func (m *gatewayMerge) lost(podPort int, step Step) {
	m.gateway.Steps = append(m.gateway.Steps, step)
	m.gateway.portSteps[podPort] = append(m.gateway.portSteps[podPort], step)
}

func (m *gatewayMerge) kept(s *GatewayServer) {
	m.tell(s, NewStep(RuleGatewayServerKept, Applied, s.Ref, gatewayProtocolWord(s), s.PodPort, strings.Join(s.Hosts, ", ")))
}

// drop tells why the server is dropped, and whether age could have decided otherwise.
func (m *gatewayMerge) drop(s, other *GatewayServer, why Step) {
	m.lost(s.PodPort, why)
	if s.Gateway.Ref != other.Gateway.Ref && s.Gateway.Created.Equal(other.Gateway.Created) && !other.Gateway.ageless() {
		m.lost(s.PodPort, NewStep(RuleGatewayAgeUnknown, Applied, s.Ref.Object(), other.Gateway.Ref, s.Gateway.Ref))
	}
}

// gatewayProtocolWord is the protocol and the TLS mode, as in "HTTPS SIMPLE".
func gatewayProtocolWord(s *GatewayServer) string {
	if s.hasTLS() {
		return s.Spec.GetPort().GetProtocol() + " " + s.TLSMode()
	}
	return s.Spec.GetPort().GetProtocol()
}
