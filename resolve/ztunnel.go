package resolve

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"istio.io/api/annotation"
	mesh "istio.io/api/mesh/v1alpha1"
)

// What the ztunnel of a captured client makes of a connection. It sees an address and a port and no more: no
// VirtualService, DestinationRule, Sidecar, outboundTrafficPolicy or exportTo has a say.
//
//  1. The application's names are answered by ztunnel itself: ServiceEntries resolve to their addresses, or those that
//     istiod gave them. What has no address resolves outside, and its connections pass through.
//  2. An address of a workload is that workload; else the service that has it, and else the ServiceEntry with the narrowest range
//     around it: the client's namespace first.
//  3. A service's port must be declared, and have an endpoint that is ready (or the Service publishes those that are not).
//     internalTrafficPolicy and trafficDistribution count; load balancing is random otherwise.
//  4. A ServiceEntry of resolution NONE passes through; a wildcard host of DYNAMIC_DNS needs a waypoint.
//  5. All else passes through to the address dialled.
//
// Source: ztunnel, src/proxy/outbound.rs, build_request; src/state.rs, find_upstream, load_balance; src/dns/server.rs;
// pilot/pkg/serviceregistry/ambient/services.go, constructService, constructServiceEntries.

// Rules of the client's ztunnel.
const (
	RuleZtunnelService     RuleID = "ztunnel/service"
	RuleZtunnelWorkload    RuleID = "ztunnel/workload"
	RuleZtunnelDNS         RuleID = "ztunnel/dns"
	RuleZtunnelDNSOff      RuleID = "ztunnel/dns-capture-off"
	RuleZtunnelPassthrough RuleID = "ztunnel/passthrough"
	RuleZtunnelNoPort      RuleID = "ztunnel/no-port"
	RuleZtunnelNone        RuleID = "ztunnel/no-healthy-upstream"
	RuleZtunnelDynamic     RuleID = "ztunnel/dynamic-dns"
	RuleZtunnelNoWaypoint  RuleID = "ztunnel/unknown-waypoint"
	RuleZtunnelToWaypoint  RuleID = "ztunnel/to-waypoint"
	RuleZtunnelPlainIn     RuleID = "ztunnel/plaintext-in"
	RuleZtunnelHBONEIn     RuleID = "ztunnel/hbone-in"
	RuleZtunnelBypass      RuleID = "ztunnel/bypass-inbound"
	RuleZtunnelOpaqueMTLS  RuleID = "ztunnel/mtls-passed-on"
	RuleZtunnelL4Only      RuleID = "ztunnel/no-routing"
)

const ztunnelOutbound = "ztunnel, src/proxy/outbound.rs, build_request"

var ztunnelHopRules = []Rule{
	{
		ID: RuleZtunnelService, Stage: StageListener,
		Says:     "A ztunnel takes a connection for the service that has the address dialled, else for the ServiceEntry with the narrowest range around it; of services in several namespaces the client's own first.",
		Template: "%s an address of %s",
		Source:   "ztunnel, src/state.rs, find_address; src/state/service.rs, get_best_by_vip",
	},
	{
		ID: RuleZtunnelWorkload, Stage: StageListener,
		Says:     "A connection to the address of a pod is for that pod: the waypoint of a Service in front of it has no part in it.",
		Template: "%s is the address of %s: no Service and no waypoint of a Service counts%s",
		Source:   "ztunnel, src/state.rs, find_address",
	},
	{
		ID: RuleZtunnelDNS, Stage: StageDNS,
		Says:     "ztunnel answers the names of ServiceEntries with their addresses, or with those that istiod gave them.",
		Template: "ztunnel resolves %s for %s to %s",
		Source:   "ztunnel, src/dns/server.rs",
	},
	{
		ID: RuleZtunnelDNSOff, Stage: StageDNS,
		Says:     "The annotation ambient.istio.io/dns-capture: false leaves the pod's names to the cluster's DNS, which knows no ServiceEntry.",
		Template: "ambient.istio.io/dns-capture is %q: ztunnel does not resolve %s for it",
		Source:   "cni/pkg/util/podutil.go",
	},
	{
		ID: RuleZtunnelPassthrough, Stage: StageListener,
		Says:     "What ztunnel knows no service and no workload for goes to the address dialled as it is, whatever outboundTrafficPolicy says.",
		Template: "ztunnel knows nothing at %s: passed through as it is",
		Source:   ztunnelOutbound,
	},
	{
		ID: RuleZtunnelNoPort, Stage: StageListener,
		Says:     "A port that the service does not declare has no upstream: ztunnel closes the connection.",
		Template: "%s has no port %d, only %s: ztunnel closes the connection (no healthy upstream)",
		Source:   "ztunnel, src/state.rs, load_balance",
	},
	{
		ID: RuleZtunnelNone, Stage: StageLoadBalance,
		Says:     "A service without an endpoint that is ready has no upstream: ztunnel closes the connection.",
		Template: "%s port %d has no endpoint that ztunnel may send to: it closes the connection (no healthy upstream)",
		Source:   "ztunnel, src/proxy/outbound.rs, build_request; src/state.rs, load_balance",
	},
	{
		ID: RuleZtunnelDynamic, Stage: StageLoadBalance,
		Says:     "A wildcard host of resolution DYNAMIC_DNS resolves to nothing for ztunnel, which does not see the name that is meant; a waypoint resolves it.",
		Template: "a wildcard host of resolution DYNAMIC_DNS needs a waypoint, and %s uses none: ztunnel closes the connection (no IP address resolved)",
		Source:   "pilot/pkg/serviceregistry/ambient/services.go, serviceEntriesInfo",
	},
	{
		ID: RuleZtunnelNoWaypoint, Stage: StageWaypoint,
		Says:     "A waypoint without an endpoint that is ready, or without a port 15008, fails the connection: nothing goes past a waypoint that is bound.",
		Template: "waypoint %s has no pod that is ready behind port 15008: ztunnel closes the connection (unknown waypoint)",
		Source:   "ztunnel, src/state.rs, fetch_waypoint",
	},
	{
		ID: RuleZtunnelToWaypoint, Stage: StageWaypoint,
		Says:     "A connection for a service or workload with a waypoint goes to that waypoint, by HBONE, with the address dialled as its target.",
		Template: "HBONE to waypoint %s, for %s",
		Source:   ztunnelOutbound,
	},
	{
		ID: RuleZtunnelPlainIn, Stage: StageTLS,
		Says:     "A connection that is not HBONE reaches a captured pod through its ztunnel's port 15006, without an identity.",
		Template: "plaintext: ztunnel takes it on port 15006, and knows no identity",
		Source:   "ztunnel, src/proxy/inbound_passthrough.rs",
	},
	{
		ID: RuleZtunnelHBONEIn, Stage: StageTLS,
		Says:     "HBONE reaches a captured pod through its ztunnel's port 15008, with the identity of who sends.",
		Template: "HBONE from %s",
		Source:   "ztunnel, src/proxy/inbound.rs",
	},
	{
		ID: RuleZtunnelBypass, Stage: StageCapture,
		Says:     "With ambient.istio.io/bypass-inbound-capture: true a connection that is not HBONE reaches the application without its ztunnel, and no policy sees it.",
		Template: "ambient.istio.io/bypass-inbound-capture is %q: plaintext does not pass ztunnel, and no policy applies",
		Source:   "cni/pkg/iptables/iptables.go",
	},
	{
		ID: RuleZtunnelOpaqueMTLS, Stage: StageTLS,
		Says:     "Istio mTLS to a captured pod is no HBONE: ztunnel passes the bytes on, and the application does not understand them.",
		Template: "Istio mTLS is passed on to %s as it is, which does not speak it",
		Source:   "ztunnel, src/proxy/inbound_passthrough.rs",
	},
	{
		ID: RuleZtunnelL4Only, Stage: StageRoute,
		Says:     "A ztunnel reads no HTTP: routes, retries, faults and subsets of VirtualServices, HTTPRoutes and DestinationRules need a waypoint.",
		Template: "has no effect: ztunnel follows no routes, and no waypoint takes the request",
		Source:   ztunnelOutbound,
	},
}

// ZtunnelResolve is step 1, for what is no Kubernetes Service.
func (s *Snapshot) ZtunnelResolve(w *Workload, r Resolved, host string) (Resolved, []Step) {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || r.Service != nil || r.Unseen {
		return r, nil
	}
	svc := s.ztunnelEntry(w, name)
	if svc == nil {
		return r, nil
	}
	if off := w.Annotations[annotation.AmbientDnsCapture.Name]; off == "false" {
		return r, []Step{NewStep(RuleZtunnelDNSOff, Skipped, w.Owner.At("metadata.annotations["+annotation.AmbientDnsCapture.Name+"]"), off, host)}
	}
	address, ok := s.ztunnelAddress(svc)
	if !ok {
		return r, nil
	}
	r.Found, r.Assumed, r.Service, r.Address = true, false, svc, address
	return r, []Step{NewStep(RuleZtunnelDNS, Matched, svc.Ref, host, svc.Ref.Object(), address)}
}

// ztunnelAddress is the address by which ztunnel knows a host of a ServiceEntry: one of spec.addresses, else of those that istiod
// wrote to the status. Manifests without a status are of a ServiceEntry that is yet to get one.
func (s *Snapshot) ztunnelAddress(svc *Service) (Address, bool) {
	for _, a := range slices.Concat(svc.Addresses, svc.Allocated) {
		if !a.IsCIDR() {
			return a, true
		}
	}
	se := s.index.endpoints().serviceEntry[destinationKey{svc.Ref.Namespace, svc.Ref.Name}]
	if !s.Offline || se == nil || len(se.Status.GetAddresses()) > 0 || !allocates(se) || IsWildcardHost(svc.Hostname) && svc.Resolution != DynamicDNS {
		return Address{}, false
	}
	return Address{Symbol: "address of " + svc.Hostname}, true
}

// ztunnelEntry is the host of a ServiceEntry that a name means; nil for none.
func (s *Snapshot) ztunnelEntry(w *Workload, name string) *Service {
	best := func(host string) *Service {
		var found *Service
		for _, svc := range s.ServicesForHost(host) {
			visibility := s.visibilityAtZtunnel(svc)
			switch {
			case svc.Registry != RegistryExternal, visibility == mesh.ServiceEntryVisibility_NONE:
				continue
			case svc.Namespace == w.Namespace:
				return svc
			case visibility == mesh.ServiceEntryVisibility_NAMESPACE:
				continue
			}
			found = cmp.Or(found, svc)
		}
		return found
	}
	if svc := best(name); svc != nil {
		return svc
	}
	for rest := name; ; {
		_, parent, ok := strings.Cut(rest, ".")
		if !ok {
			return nil
		}
		if svc := best("*." + parent); svc != nil {
			return svc
		}
		rest = parent
	}
}

// ZtunnelRange is the ServiceEntry of step 2 that has a range around the address; nil for none.
func (s *Snapshot) ZtunnelRange(client *Workload, ip netip.Addr) *Service {
	var found *Service
	narrowest := -1
	for _, svc := range s.Services() {
		visibility := s.visibilityAtZtunnel(svc)
		own := svc.Namespace == client.Namespace
		if svc.Registry != RegistryExternal || visibility == mesh.ServiceEntryVisibility_NONE || visibility == mesh.ServiceEntryVisibility_NAMESPACE && !own {
			continue
		}
		for _, a := range svc.Addresses {
			if bits := a.Prefix.Bits(); a.IsCIDR() && a.Prefix.Contains(ip) && (bits > narrowest || bits == narrowest && own && found.Namespace != client.Namespace) {
				found, narrowest = svc, bits
			}
		}
	}
	return found
}

// ZtunnelEndpoints is step 3 for a port that the service has: those that ztunnel may send to, and steps that say why not others.
func (s *Snapshot) ZtunnelEndpoints(client *Workload, svc *Service, port Port) ([]*Endpoint, []Step) {
	all, steps := s.instances(svc, port)
	steps = steps[:len(steps):len(steps)]
	all, whose := s.ofZtunnel(svc, all)
	steps = append(steps, whose...)
	all, stands := s.beyond(svc, all)
	steps = append(steps, stands...)
	if svc.Resolution == DynamicDNS && len(all) == 0 && !IsWildcardHost(svc.Hostname) { // to ztunnel as good as DNS
		number := port.Number
		if port.TargetPort != 0 {
			number = port.TargetPort
		}
		all = []*Endpoint{endpointOf(nil, svc.Hostname, number, svc.Ref)}
	}
	for _, e := range all {
		if e.Health == Unhealthy {
			steps = append(steps, NewStep(RuleEndpointNotReady, Skipped, e.Ref, e.name()))
		}
	}
	eps, own := healthyOf(all), s.asLabelled(svc)
	if own.PublishNotReady {
		eps = all
	}
	if svc.Resolution == DNSLB || svc.Resolution == DNSRoundRobinLB {
		kept, more := s.resolved(client, eps)
		return kept, append(steps, more...)
	}
	if own.InternalTrafficLocal {
		kept, more := onNode(client, own, eps)
		return kept, append(steps, more...)
	}
	eps, near := s.nearFirst(own, eps)
	steps = append(steps, near...)
	if priority, name := s.trafficDistribution(own); priority != nil && len(eps) > 1 && eps[0].Gateway == nil {
		b := balancer{client: client, cluster: &Cluster{Service: svc, Port: port, Type: ClusterEDS}, eps: eps, node: s.node}
		b.setting = trafficDistributionSetting(own, priority, name)
		kept, more := b.balance()
		return kept, append(steps, more...)
	}
	return eps, steps
}

// BypassesZtunnel reports whether plaintext reaches the workload past its ztunnel, with the step that says so.
func (s *Snapshot) BypassesZtunnel(w *Workload) (Step, bool) {
	name := annotation.AmbientBypassInboundCapture.Name
	return NewStep(RuleZtunnelBypass, Applied, w.Owner.At("metadata.annotations["+name+"]"), w.Annotations[name]), w.Annotations[name] == "true"
}
