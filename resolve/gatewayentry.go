package resolve

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingk8s "k8s.io/api/networking/v1"
)

// Rules of the gateway an external request enters by.
const (
	RuleGatewayEntryPort      RuleID = "gatewayentry/service-port"
	RuleGatewayEntryNoPort    RuleID = "gatewayentry/no-service-port"
	RuleGatewayEntryNoService RuleID = "gatewayentry/no-service"
	RuleGatewayEntryHostPort  RuleID = "gatewayentry/host-network"
	RuleGatewayEntryAssumed   RuleID = "gatewayentry/assumed-workload"
	RuleGatewayEntryUnnamed   RuleID = "gatewayentry/unknown-name"
	RuleGatewayEntryNoProxy   RuleID = "gatewayentry/selects-no-gateway"
	RuleGatewayEntryNone      RuleID = "gatewayentry/none"
)

var gatewayEntryRules = []Rule{
	{
		ID: RuleGatewayEntryPort, Stage: StageGateway,
		Says:     "A client outside the cluster reaches a gateway through a port of a Service that selects its pods; the target port is the pod port.",
		Template: "port %d leads to pod port %d of %s",
		Source:   "Kubernetes, Service",
	},
	{
		ID: RuleGatewayEntryNoPort, Stage: StageGateway,
		Says:     "A port that no Service of the gateway has cannot be reached from outside.",
		Template: "no Service of gateway %s has port %d: the connection is refused",
		Source:   "Kubernetes, Service",
	},
	{
		ID: RuleGatewayEntryNoService, Stage: StageGateway,
		Says:     "Where no Service selects the gateway's pods, the load balancer's port is taken to lead to the same pod port.",
		Template: "no Service selects gateway %s; it is assumed that port %d of a load balancer leads to pod port %[2]d",
		Source:   "assumption of this tool",
	},
	{
		ID: RuleGatewayEntryHostPort, Stage: StageGateway,
		Says:     "A gateway on the host network is reached on its pod ports.",
		Template: "gateway %s runs on the host network: port %d of the node is pod port %[2]d",
		Source:   "Kubernetes, hostNetwork",
	},
	{
		ID: RuleGatewayEntryAssumed, Stage: StageGateway,
		Says:     "Where the manifests hold a Gateway and no workload that its selector matches, a gateway workload is assumed, with Istio's standard labels if they fit.",
		Template: "no workload in the manifests has the labels of its selector; assumed %s, reached on %s",
		Source:   "assumption of this tool; manifests/charts/gateways/istio-ingress",
	},
	{
		ID: RuleGatewayEntryUnnamed, Stage: StageGateway,
		Says:     "A gateway is named by an Istio Gateway, a Gateway of the Gateway API, its workload, or its Service.",
		Template: "no gateway is called %s",
		Source:   "kubectl mesh-trace --gateway",
	},
	{
		ID: RuleGatewayEntryNoProxy, Stage: StageGateway,
		Says:     "A Gateway opens ports of gateway proxies; a workload without one, though selected, takes nothing in by it.",
		Template: "%s selects it, but it runs no gateway",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayListeners",
	},
	{
		ID: RuleGatewayEntryNone, Stage: StageGateway,
		Says:     "Without a gateway workload nothing from outside enters the mesh.",
		Template: "there is no gateway workload",
		Source:   "kubectl mesh-trace --gateway",
	},
}

// GatewayQuestion is what is asked of gateways for a client outside the cluster.
type GatewayQuestion struct {
	// Host is the Host header's name, lower case, without port.
	Host string
	Port int
	// TLS is whether the client speaks TLS, and SNI the name it sends.
	TLS bool
	SNI string
	// HTTP is whether the request is HTTP, inside TLS or not.
	HTTP bool
	// Gateway is --gateway: NAMESPACE/NAME or NAME of an Istio Gateway, a Gateway of the Gateway API, a workload or a Service; empty for any.
	Gateway string
}

// GatewayFit is how well a gateway fits a request, the best first.
type GatewayFit int

// The closed list of fits.
const (
	// GatewayServes has a server that takes the host on the port.
	GatewayServes GatewayFit = iota
	// GatewayListens has a listener on the port.
	GatewayListens
	// GatewayReachable can be reached on the port, but nothing listens.
	GatewayReachable
	// GatewayUnreachable has no Service port of that number.
	GatewayUnreachable
)

// GatewayEntry is one gateway that a request from outside could enter by.
type GatewayEntry struct {
	Workload *Workload
	Gateway  *MergedGateway
	// Service is the one whose port the client reaches; zero without one.
	Service Ref
	// PodPort is 0 where the client's port leads nowhere.
	PodPort int
	Fit     GatewayFit
	// Assumed is set where the workload itself is an assumption.
	Assumed bool
	// Steps tell how the port leads to the pod, and what was assumed.
	Steps []Step
	// external is how the Service is reached from outside; see externaltraffic.go.
	external corev1.ServiceExternalTrafficPolicy
}

// GatewayEntries are the gateways that a client outside the cluster could enter by, the best first:
//
//  1. Every gateway workload (and one assumed for Gateways that no workload in manifests is selected by).
//  2. The client's port is a port of a Service that selects it; the target port is the pod port.
//  3. Order: a gateway that serves the host on the port, one that listens, one that can be reached, others;
//     then namespace and name.
//
// If q.Gateway names none of them the list is empty and the step lists the names there are. The steps tell why Gateways
// for the host are served by no proxy, where none of the entries serves it.
func (s *Snapshot) GatewayEntries(q GatewayQuestion) ([]GatewayEntry, []Step) {
	workloads := s.gatewayWorkloads()
	if len(workloads) == 0 {
		steps := slices.Concat(s.selectedWithoutGateway(), s.gatewaysNotServed(q), s.IngressesApart(q.Host))
		return nil, append(steps, NewStep(RuleGatewayEntryNone, None, Ref{}))
	}
	var entries []GatewayEntry
	var names []string
	for _, w := range workloads {
		known := s.namesOfGateway(w)
		names = append(names, known...)
		if q.Gateway != "" && !slices.ContainsFunc(known, func(n string) bool {
			return n == q.Gateway || strings.HasSuffix(n, "/"+q.Gateway)
		}) {
			continue
		}
		entries = append(entries, s.entriesOf(w, q)...)
	}
	unserved := s.gatewaysNotServed(q)
	switch {
	case len(entries) == 0 && len(unserved) > 0:
		return nil, unserved
	case len(entries) == 0:
		step := NewStep(RuleGatewayEntryUnnamed, None, Ref{}, q.Gateway)
		return nil, []Step{step.Unlike(strings.Join(nearestNames(q.Gateway, names, 5), " or "), q.Gateway)}
	}
	slices.SortStableFunc(entries, func(a, b GatewayEntry) int {
		return cmp.Or(cmp.Compare(a.Fit, b.Fit), cmp.Compare(a.Workload.Owner.Namespace, b.Workload.Owner.Namespace),
			cmp.Compare(a.Workload.Owner.Name, b.Workload.Owner.Name))
	})
	if entries[0].Fit != GatewayServes {
		return entries, unserved
	}
	return entries, nil
}

// selectedWithoutGateway names for each Gateway the first workload that it selects and that is no gateway.
func (s *Snapshot) selectedWithoutGateway() []Step {
	var steps []Step
	for _, c := range s.gatewayConfigs() {
		if len(c.Spec.GetSelector()) == 0 {
			continue
		}
		workloads := s.gatewayCandidates()
		i := slices.IndexFunc(workloads, func(w *Workload) bool { return Selects(c.Spec.GetSelector(), w.Labels) })
		if i >= 0 {
			steps = append(steps, NewStep(RuleGatewayEntryNoProxy, Skipped, workloads[i].Owner, c.Ref))
		}
	}
	return steps
}

// ServedByGateway reports whether a server of some gateway and a VirtualService bound to it take the host.
// A catch-all "*" does not count for names of services of the mesh, and for names without a dot.
func (s *Snapshot) ServedByGateway(host string) bool {
	host = strings.ToLower(host)
	mesh := s.meshName(host)
	for _, w := range s.gatewayWorkloads() {
		g := s.MergedGateway(w)
		for _, l := range g.listeners {
			if domain, ok := l.covers(host); ok && (domain != "*" || !mesh) {
				return true
			}
		}
	}
	return false
}

// covers reports whether a route table or a tls route of the listener takes the name, and by which domain.
func (l *GatewayListener) covers(host string) (domain string, ok bool) {
	for _, c := range l.Chains {
		found := ""
		switch {
		case c.HTTP():
			if d, ok := l.gateway.snapshot.GatewayVirtualHosts(l.gateway, c).Covers(host); ok {
				found = d
			}
		case c.L4 != nil:
			for _, h := range c.L4.VirtualService.Spec.GetHosts() {
				if HostSubsetOf(host, strings.ToLower(h)) {
					found = h
				}
			}
		}
		if found != "" && (domain == "" || CompareHostSpecificity(found, domain) < 0) {
			domain = found
		}
	}
	return domain, domain != ""
}

// meshName reports whether a name is one that workloads of the mesh give to a service.
func (s *Snapshot) meshName(host string) bool {
	if !strings.Contains(host, ".") || strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".svc."+s.Mesh.Domain) {
		return true
	}
	return s.gatewayHostIndex().services[host]
}

// entriesOf are the entries of one gateway workload: one for each Service with the port, or one that says why there is none.
func (s *Snapshot) entriesOf(w *Workload, q GatewayQuestion) []GatewayEntry {
	base := GatewayEntry{Workload: w, Gateway: s.MergedGateway(w)}
	if a := s.assumedGateway(w); a != nil {
		base.Assumed, base.Steps = true, slices.Clone(a.steps)
	}
	base.Steps = append(base.Steps, s.GatewayDeployment(w)...)
	services := s.gatewayServices(w)
	var entries []GatewayEntry
	add := func(service Ref, podPort int, step Step) {
		e := base
		e.Service, e.PodPort = service, podPort
		e.Steps = append(slices.Clone(base.Steps), step)
		e.Fit = e.fit(q)
		entries = append(entries, e)
	}
	for _, svc := range services {
		for _, p := range svc.Ports {
			podPort, ok := workloadPort(w, p)
			if !ok || p.Protocol == ProtocolUDP {
				continue
			}
			if step, leads := svc.byPort(p, q.Port, podPort, w.Owner.QualifiedName()); leads {
				base.external = svc.External
				add(svc.Ref.Object(), podPort, step)
			}
		}
	}
	base.external = ""
	name := w.Owner.QualifiedName()
	switch {
	case len(entries) > 0:
	case w.HostNetwork:
		add(Ref{}, q.Port, NewStep(RuleGatewayEntryHostPort, Matched, w.Owner, name, q.Port))
	case len(services) == 0:
		add(Ref{}, q.Port, NewStep(RuleGatewayEntryNoService, Warned, w.Owner, name, q.Port))
	default:
		add(Ref{}, 0, NewStep(RuleGatewayEntryNoPort, None, services[0].Ref.Object(), name, q.Port))
	}
	return entries
}

// fit is step 3 of GatewayEntries.
func (e *GatewayEntry) fit(q GatewayQuestion) GatewayFit {
	if e.PodPort == 0 {
		return GatewayUnreachable
	}
	l, _ := e.Gateway.Listener(e.PodPort)
	if l == nil {
		return GatewayReachable
	}
	chain, _ := l.FilterChain(q.TLS, q.SNI)
	if chain == nil || q.HTTP && chain.Terminates() && !chain.HTTP() {
		return GatewayListens
	}
	if !chain.HTTP() {
		return GatewayServes
	}
	if _, ok := e.Gateway.snapshot.GatewayVirtualHosts(e.Gateway, chain).Covers(q.Host); !ok || !q.HTTP {
		return GatewayListens
	}
	return GatewayServes
}

// namesOfGateway are the names by which --gateway may call the workload.
func (s *Snapshot) namesOfGateway(w *Workload) []string {
	names := []string{w.Owner.QualifiedName()}
	if w.Pod != "" {
		names = append(names, w.Namespace+"/"+w.Pod)
	}
	for _, svc := range s.gatewayServices(w) {
		names = append(names, svc.Ref.QualifiedName())
	}
	for _, c := range s.MergedGateway(w).Gateways {
		names = append(names, c.Ref.QualifiedName())
	}
	for _, g := range s.gatewaysServedBy(w) {
		names = append(names, g.ref.QualifiedName())
	}
	return names
}

// MeantForGateway is a Gateway API route with a Gateway or ListenerSet as parent, or an Ingress, that names the host,
// whether it is served or not. Hostnames that are "*", and names of services of the mesh, do not count.
func (s *Snapshot) MeantForGateway(host string) (Ref, bool) {
	host = strings.ToLower(host)
	if s.meshName(host) {
		return Ref{}, false
	}
	names := func(name string) bool { return name != "" && name != "*" && HostSubsetOf(host, strings.ToLower(name)) }
	for _, r := range s.index.kube().routesFor(host) {
		if slices.ContainsFunc(r.hostnames, names) && slices.ContainsFunc(r.attachments, func(a *routeAttachment) bool { return !a.mesh() }) {
			return r.ref, true
		}
	}
	for _, o := range s.Ingresses {
		if slices.ContainsFunc(o.Spec.Rules, func(r networkingk8s.IngressRule) bool { return names(r.Host) }) {
			return refOf(ingressGroup, "Ingress", o), true
		}
	}
	return Ref{}, false
}
