package resolve

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	networking "istio.io/api/networking/v1alpha3"
)

const istioNetworkingGroup = "networking.istio.io"

// Rules of which Gateways a gateway workload takes.
const (
	RuleGatewaySelected    RuleID = "gateway/selects-workload"
	RuleGatewayNotSelected RuleID = "gateway/does-not-select-workload"
	RuleGatewayNone        RuleID = "gateway/none-selects-workload"
)

var gatewayRules = slices.Concat([]Rule{
	{
		ID: RuleGatewaySelected, Stage: StageGateway, Detail: true,
		Says:     "A Gateway applies to every gateway workload, in any namespace, that has all labels of its selector; without a selector it applies to all of them.",
		Template: "its selector matches the labels of %s",
		Source:   "pilot/pkg/model/push_context.go, mergeGateways",
	},
	{
		ID: RuleGatewayNotSelected, Stage: StageGateway, Detail: true,
		Says:     "A Gateway does not apply to a gateway workload that lacks a label of its selector.",
		Template: "its selector does not match the labels of %s",
		Source:   "pilot/pkg/model/push_context.go, mergeGateways",
	},
	{
		ID: RuleGatewayNone, Stage: StageGateway,
		Says:     "A gateway workload that no Gateway selects has no listener at all.",
		Template: "no Gateway selects %s: it listens on no port",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayListeners",
	},
}, gatewayServiceRules, gatewayServerRules, gatewayPortRules, gatewayListenerRules, gatewaySNIRules, gatewayAutoPassthroughRules, gatewayTLSRules,
	gatewayL4Rules, gatewayRouteRules, gatewayHostRules, gatewayEntryRules, externalTrafficRules)

// GatewayConfig is one gateway as istiod merges it: an Istio Gateway, or what
// istiod makes of an Ingress or of a Gateway API Gateway.
type GatewayConfig struct {
	// Ref is the resource the user wrote.
	Ref Ref
	// Namespace and Name are those of the internal gateway; they stand in route
	// configuration names.
	Namespace, Name string
	Created         time.Time
	Spec            *networking.Gateway
	// services are the hosts of the services it is bound to instead of by its selector.
	services []string
	// proxyNamespace is where those services are.
	proxyNamespace string
	// kubernetes is set for a Gateway API listener, managed where istiod deploys its workload.
	kubernetes, managed bool
	// written is where the fields were written, if istiod made it of another resource; notes tell what else it hangs on.
	written writtenAs
	notes   []Step
}

// ageless reports whether istiod gives it no creation time, as it does what it makes of an Ingress.
func (c *GatewayConfig) ageless() bool { return c.Ref.Kind == "Ingress" }

// FullName is namespace/name, as the gateways of a VirtualService refer to it.
func (c *GatewayConfig) FullName() string { return c.Namespace + "/" + c.Name }

// MergedGateway is everything that the Gateways which select one workload make of it.
// Source: pilot/pkg/model/gateway.go, MergedGateway.
type MergedGateway struct {
	Workload *Workload
	// Gateways are those that select the workload, oldest first.
	Gateways []*GatewayConfig
	// Steps tell which Gateways were looked at and what became of each of their servers.
	Steps []Step
	// Crashes are the servers at which istiod panics.
	Crashes []Step

	snapshot *Snapshot
	// told are the Steps that are about one server, with it.
	told []serverStep
	// byRoute are the servers of each route configuration, in the order they were merged.
	byRoute   map[string][]*GatewayServer
	listeners []*GatewayListener
	// portSteps tell, by pod port, why a listener or a filter chain was not made.
	portSteps map[int][]Step
	tables    sync.Map
}

// MergedGateway merges the Gateways that select the workload.
//
//  1. All Gateways are taken oldest first.
//  2. One applies if all labels of spec.selector are on the workload, whatever its
//     namespace; one without a selector applies to every gateway workload. One that is
//     bound to services applies to the workloads behind them (gatewayservice.go).
//  3. Their servers are merged in that order, port by port (gatewayserver.go).
//  4. Every pod port with a server that was kept becomes a listener (gatewaylistener.go).
//
// The result is shared by all workloads of one namespace with the same labels
// and container ports.
//
// Source: pilot/pkg/model/push_context.go, initGateways, mergeGateways
// (PILOT_SCOPE_GATEWAY_TO_NAMESPACE is taken as off, its default).
func (s *Snapshot) MergedGateway(w *Workload) *MergedGateway {
	if w == nil {
		return &MergedGateway{snapshot: s, Workload: &Workload{}}
	}
	cache := &s.index.gateways
	if g, ok := cache.byWorkload.Load(w); ok {
		return g.(*MergedGateway)
	}
	build := sync.OnceValue(func() *MergedGateway {
		targets := s.gatewayTargets(w)
		selected, steps := selectGateways(s.gatewayConfigs(), w, targets)
		selected, steps = strictlyMerged(w, selected, steps)
		return mergeServers(s, w, targets, selected, steps)
	})
	cached, _ := cache.merged.LoadOrStore(s.gatewayClass(w), build)
	g := cached.(func() *MergedGateway)()
	cache.byWorkload.Store(w, g)
	return g
}

// selectGateways are the Gateways that apply to the workload, and a step for each that was looked at.
func selectGateways(all []*GatewayConfig, w *Workload, targets []ServiceTarget) ([]*GatewayConfig, []Step) {
	var selected []*GatewayConfig
	var steps []Step
	for _, c := range all {
		if len(c.services) > 0 {
			applies, step := c.selectedByService(w, targets)
			if applies {
				selected = append(selected, c)
			}
			steps = append(steps, step)
			continue
		}
		ref := c.At("spec.selector")
		if !Selects(c.Spec.GetSelector(), w.Labels) {
			expected, actual := gatewayLabelMiss(c.Spec.GetSelector(), w.Labels)
			steps = append(steps, NewStep(RuleGatewayNotSelected, Skipped, ref, w.Owner.QualifiedName()).Unlike(expected, actual))
			continue
		}
		selected = append(selected, c)
		steps = append(steps, selectedGateway(c, w))
	}
	if len(selected) == 0 {
		steps = append(steps, NewStep(RuleGatewayNone, None, Ref{}, w.Owner.QualifiedName()))
	}
	return selected, steps
}

func selectedGateway(c *GatewayConfig, w *Workload) Step {
	return NewStep(RuleGatewaySelected, Matched, c.At("spec.selector"), w.Owner.QualifiedName())
}

// selectedBy tells why a Gateway applies.
func (g *MergedGateway) selectedBy(c *GatewayConfig) Step {
	if len(c.services) > 0 {
		_, step := c.selectedByService(g.Workload, g.snapshot.gatewayTargets(g.Workload))
		return step
	}
	return selectedGateway(c, g.Workload)
}

// serverStep is a step about one server.
type serverStep struct {
	server *GatewayServer
	step   Step
}

// ServerSteps tell of the servers for a pod port that take a host why they are there: the selector
// of their Gateway, how their port became the pod port, and that they were kept. Those
// that were dropped are told by Listener. An empty host is taken by every server.
func (g *MergedGateway) ServerSteps(podPort int, host string) []Step {
	var steps []Step
	named, noted := map[*GatewayConfig]bool{}, map[*GatewayConfig]bool{}
	for _, t := range g.told {
		if t.server.PodPort != podPort && t.server.Spec.GetPort() != nil {
			continue
		}
		c := t.server.Gateway
		if !noted[c] {
			noted[c] = true
			steps = append(steps, c.notes...)
		}
		if !t.server.takesHost(host) {
			continue
		}
		if !named[c] {
			named[c] = true
			steps = append(steps, g.selectedBy(c))
		}
		steps = append(steps, t.step)
	}
	return steps
}

// Servers are the steps about all servers, whether they were kept or not.
func (g *MergedGateway) Servers() []Step {
	steps := make([]Step, 0, len(g.told))
	for _, t := range g.told {
		steps = append(steps, t.step)
	}
	for _, port := range slices.Sorted(maps.Keys(g.portSteps)) {
		steps = append(steps, g.portSteps[port]...)
	}
	return steps
}

// PassedBy are steps for the Gateways that have a server for the host and do not select the
// workload, and one if no Gateway selects it at all. An empty host is taken by every server.
func (g *MergedGateway) PassedBy(host string) []Step {
	takes := map[Ref]bool{}
	for _, c := range g.snapshot.gatewayConfigs() {
		takes[c.Ref] = slices.ContainsFunc(c.Spec.GetServers(), func(spec *networking.Server) bool {
			s := GatewayServer{Hosts: normaliseServerHosts(spec.GetHosts(), c.Namespace)}
			return s.takesHost(host)
		})
	}
	var steps []Step
	for _, s := range g.Steps {
		if s.Rule == RuleGatewayNone || (s.Rule == RuleGatewayNotSelected || s.Rule == RuleGatewayOfOtherService || s.Rule == RuleKubeGatewayStrict) && takes[s.Ref.Object()] {
			steps = append(steps, s)
		}
	}
	return steps
}

// gatewayLabelMiss names the first label of a selector that a workload lacks.
func gatewayLabelMiss(selector, labels map[string]string) (expected, actual string) {
	for _, k := range slices.Sorted(maps.Keys(selector)) {
		got, ok := labels[k]
		switch {
		case !ok:
			return k + "=" + selector[k], "label " + k + " is absent"
		case got != selector[k]:
			return k + "=" + selector[k], k + "=" + got
		}
	}
	return "", ""
}

// gatewayCache holds what is computed once a snapshot about gateways. Its zero
// value is ready, and it is safe for concurrent use.
type gatewayCache struct {
	// merged is by gatewayClass, of func() *MergedGateway.
	merged sync.Map
	// byWorkload spares the making of the class.
	byWorkload sync.Map

	candidatesOnce sync.Once
	candidates     []*Workload
	// gaps are what of the candidates could not be searched.
	gaps []Gap

	configsOnce sync.Once
	configs     []*GatewayConfig
	configNames map[string]*GatewayConfig

	boundOnce sync.Once
	bound     map[string]*boundVirtualServices

	hostsOnce sync.Once
	hosts     *gatewayHostIndex

	workloadsOnce sync.Once
	workloads     []*Workload
	assumed       map[*Workload]*assumedGateway
}

// gatewayConfigs are all gateways of the mesh, oldest first.
func (s *Snapshot) gatewayConfigs() []*GatewayConfig {
	cache := &s.index.gateways
	cache.configsOnce.Do(func() {
		cache.configNames = make(map[string]*GatewayConfig, len(s.Gateways))
		for _, o := range s.Gateways {
			c := &GatewayConfig{
				Ref: refOf(istioNetworkingGroup, "Gateway", o), Namespace: o.Namespace, Name: o.Name,
				Created: o.CreationTimestamp.Time, Spec: &o.Spec, services: boundServices(o.Annotations), proxyNamespace: o.Namespace,
			}
			cache.configs = append(cache.configs, c)
		}
		if made := slices.Concat(s.index.kube().configs, s.index.ingresses().configs); len(made) > 0 {
			cache.configs = append(cache.configs, made...)
			slices.SortStableFunc(cache.configs, compareConfigs)
		}
		for _, c := range cache.configs {
			cache.configNames[c.FullName()] = c
		}
	})
	return cache.configs
}

// gatewayNamed is the gateway that namespace/name refers to; nil if there is none.
func (s *Snapshot) gatewayNamed(name string) *GatewayConfig {
	s.gatewayConfigs()
	return s.index.gateways.configNames[name]
}

// gatewayClass is equal for workloads that merge to the same gateway: one
// namespace, the same labels, and containers that name the same ports.
func (s *Snapshot) gatewayClass(w *Workload) string {
	var b strings.Builder
	b.WriteString(w.Namespace)
	if s.assumedGateway(w) != nil {
		fmt.Fprintf(&b, "\x00assumed %s", w.Owner.Name)
	}
	for _, k := range slices.Sorted(maps.Keys(w.Labels)) {
		b.WriteString("\x00" + k + "\x01" + w.Labels[k])
	}
	if s.namedByAddress(w) {
		fmt.Fprintf(&b, "\x00at %v", w.Addresses)
	}
	if unprivilegedGateway(w) {
		b.WriteString("\x00unprivileged")
	}
	for _, c := range w.Containers {
		for _, p := range c.Ports {
			if p.Name != "" {
				b.WriteString("\x00" + p.Name + "\x01" + string(p.Protocol) + "\x01" + strconv.Itoa(int(p.ContainerPort)))
			}
		}
	}
	return b.String()
}

// unprivilegedGateway reports whether the proxy says of itself that it cannot bind ports below 1024.
// Source: pilot/pkg/model/context.go, IsUnprivileged.
func unprivilegedGateway(w *Workload) bool {
	for _, c := range w.Containers {
		for _, e := range c.Env {
			if e.Name == metaUnprivilegedPod {
				ok, err := strconv.ParseBool(e.Value)
				return ok && err == nil
			}
		}
	}
	return false
}
