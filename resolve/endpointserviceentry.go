package resolve

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	api "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
)

const unixPrefix = "unix://"

// serviceEntryInstances adds the endpoints of every ServiceEntry that has the
// service's host in the service's namespace, oldest first.
//
//  1. An endpoint of a ServiceEntry of resolution DNS_ROUND_ROBIN counts only where no other
//     has the port number before it.
//  2. Each address of a ServiceEntry makes a service of its own, with endpoints of its own: a
//     cluster that resolves DNS has them as often.
//
// Source: pilot/pkg/serviceregistry/serviceentry/conversion.go, services, convertServiceEntryToInstances,
// mergeServicesInstancesByNamespaceHost.
func (s *Snapshot) serviceEntryInstances(set *instanceSet, svc *Service, wanted func(name string, number int) bool) {
	numbers := map[uint32]bool{}
	for _, se := range s.index.endpoints().serviceEntries[destinationKey{svc.Namespace, svc.Hostname}] {
		for _, at := range se.Spec.GetPorts() {
			own := &instanceSet{}
			s.instancesOf(own, svc, se, at)
			s.first().markRest(own.endpoints)
			if se.Spec.GetResolution() == api.ServiceEntry_DNS_ROUND_ROBIN { // 1.
				own.keepFirst(!numbers[at.GetNumber()])
			} else if set.repeats { // 2.
				own.repeat(len(validAddresses(se)))
			}
			numbers[at.GetNumber()] = numbers[at.GetNumber()] || len(own.endpoints) > 0
			if !wanted(at.GetName(), int(at.GetNumber())) {
				continue
			}
			if ref := refOf(istioNetworking, "ServiceEntry", se); svc.Ref.Object() != ref {
				set.say(NewStep(RuleEndpointPooled, Applied, ref, svc.Ref.Object().String(), at.GetName()))
			}
			set.steps = append(set.steps, own.steps...)
			set.endpoints = append(set.endpoints, own.endpoints...)
		}
	}
}

// instancesOf adds the endpoints of one ServiceEntry's port.
func (s *Snapshot) instancesOf(set *instanceSet, svc *Service, se *networking.ServiceEntry, at *api.ServicePort) {
	ref := refOf(istioNetworking, "ServiceEntry", se)
	switch {
	case se.Spec.GetWorkloadSelector() != nil:
		for _, m := range s.clusters() {
			before := len(set.endpoints)
			m.selectedByServiceEntry(set, se, at)
			m.mark(set.endpoints[before:])
		}
	case len(se.Spec.GetEndpoints()) > 0:
		for i, we := range se.Spec.GetEndpoints() {
			s.addInline(set, se, we, ref.At(pathIndex("spec.endpoints", i)), at)
		}
	case resolvesByDNS(se):
		set.say(NewStep(RuleEndpointDNSHost, Applied, ref, svc.Hostname))
		set.add(endpointOf(nil, svc.Hostname, int(cmp.Or(at.GetTargetPort(), at.GetNumber())), ref))
	}
}

// keepFirst leaves one endpoint, or none.
func (i *instanceSet) keepFirst(free bool) {
	var kept []*Endpoint
	for _, e := range i.endpoints {
		if free && len(kept) == 0 {
			kept = append(kept, e)
			continue
		}
		i.skip(RuleEndpointRoundRobin, e.Ref, e.name())
	}
	i.endpoints = kept
}

// repeat has each endpoint as often as there are addresses.
func (i *instanceSet) repeat(addresses int) {
	once := i.endpoints
	for range addresses - 1 {
		i.endpoints = append(i.endpoints, once...)
	}
}

func resolvesByDNS(se *networking.ServiceEntry) bool {
	r := se.Spec.GetResolution()
	return r == api.ServiceEntry_DNS || r == api.ServiceEntry_DNS_ROUND_ROBIN
}

// instancePort is unix socket > the endpoint's own port of that name > targetPort > number.
//
// Source: pilot/pkg/serviceregistry/serviceentry/conversion.go, convertWorkloadInstanceToServiceInstance.
func instancePort(p *api.ServicePort, own uint32, address string) int {
	if strings.HasPrefix(address, unixPrefix) {
		return 0
	}
	return int(cmp.Or(own, p.GetTargetPort(), p.GetNumber()))
}

// entryTLSMode is the label, else istio for an entry with a service account.
//
// Source: pilot/pkg/serviceregistry/serviceentry/conversion.go, getTLSModeFromWorkloadEntry.
func entryTLSMode(labels map[string]string, serviceAccount string) string {
	if mode, ok := labels[endpointTLSLabel]; ok {
		return mode
	}
	if serviceAccount != "" {
		return endpointTLSIstio
	}
	return endpointTLSDisabled
}

// addInline adds an endpoint written in the ServiceEntry itself. It says how it is spoken to; who
// takes the connection is who has the address.
func (s *Snapshot) addInline(set *instanceSet, se *networking.ServiceEntry, we *api.WorkloadEntry, ref Ref, p *api.ServicePort) {
	address := strings.TrimPrefix(we.GetAddress(), unixPrefix)
	e := endpointOf(nil, address, instancePort(p, we.GetPorts()[p.GetName()], we.GetAddress()), ref)
	e.Labels, e.TLSMode = we.GetLabels(), entryTLSMode(we.GetLabels(), we.GetServiceAccount())
	e.Network, e.Locality = we.GetNetwork(), splitLocality(we.GetLocality())
	if we.GetWeight() > 0 {
		e.Weight = int(we.GetWeight())
	}
	if se.Spec.GetLocation() == api.ServiceEntry_MESH_INTERNAL {
		e.Workload = inlineWorkload(se, we, e)
	}
	if ip, err := netip.ParseAddr(address); err == nil {
		if w := s.workloadBehind(se.Namespace, ip); w != nil {
			e.Workload, e.Described = w, e.Workload
			set.say(NewStep(RuleEndpointAddressOf, Applied, ref, address, w.Owner))
		}
	}
	set.add(e)
	set.warnUnreachable(s, address, we.GetNetwork(), ref, "ServiceEntry "+se.Name)
}

// inlineWorkload is the workload that an endpoint of a MESH_INTERNAL ServiceEntry stands for.
func inlineWorkload(se *networking.ServiceEntry, we *api.WorkloadEntry, e *Endpoint) *Workload {
	w := &Workload{
		Owner: e.Ref, Namespace: se.Namespace, Labels: we.GetLabels(), ServiceAccount: we.GetServiceAccount(),
		Dataplane: DataplaneNone, Replicas: 1, Ready: true, Locality: e.Locality, Network: e.Network,
	}
	if e.TLSMode == endpointTLSIstio {
		w.Dataplane = DataplaneSidecar
	}
	from := "Istio's default"
	if _, ok := we.GetLabels()[endpointTLSLabel]; ok {
		from = "label " + endpointTLSLabel
	} else if we.GetServiceAccount() != "" {
		from = "serviceAccount " + we.GetServiceAccount()
	}
	w.DataplaneStep = NewStep(RuleEndpointInline, Applied, e.Ref, e.TLSMode, from)
	if ip, err := netip.ParseAddr(e.Address); err == nil {
		w.Addresses = []netip.Addr{ip}
	}
	return w
}

// MachineAt is the workload with a sidecar that an endpoint of a MESH_INTERNAL ServiceEntry says is at the address; nil
// if none does.
func (s *Snapshot) MachineAt(ip netip.Addr) *Workload { return s.index.endpoints().machines[ip] }

// indexMachines finds them: of several at one address the oldest.
func (ix *endpointIndex) indexMachines(all []*networking.ServiceEntry) {
	ix.machines = map[netip.Addr]*Workload{}
	for _, se := range all {
		if se.Spec.GetLocation() != api.ServiceEntry_MESH_INTERNAL {
			continue
		}
		for i, we := range se.Spec.GetEndpoints() {
			ip, err := netip.ParseAddr(we.GetAddress())
			mode := entryTLSMode(we.GetLabels(), we.GetServiceAccount())
			if err != nil || mode != endpointTLSIstio || ix.machines[ip] != nil {
				continue
			}
			ref := refOf("networking.istio.io", "ServiceEntry", se).At(pathIndex("spec.endpoints", i))
			e := &Endpoint{Address: we.GetAddress(), Ref: ref, TLSMode: mode, Network: we.GetNetwork(), Locality: splitLocality(we.GetLocality())}
			ix.machines[ip] = inlineWorkload(se, we, e)
		}
	}
}

// selectedByServiceEntry adds the pods and WorkloadEntries of the namespace that
// the workloadSelector matches; an empty selector matches all. Pods must be
// ready. Entries whose address is no IP count only for DNS.
func (s *Snapshot) selectedByServiceEntry(set *instanceSet, se *networking.ServiceEntry, p *api.ServicePort) {
	selector := se.Spec.GetWorkloadSelector().GetLabels()
	set.sayIdle(s.endpointsIn(se.Namespace).idle, selector)
	s.sayUnregistered(set, se.Namespace, selector)
	var pods []*Workload
	for _, w := range s.WorkloadsIn(se.Namespace) {
		if Selects(selector, w.Labels) {
			pods = append(pods, w)
		}
	}
	slices.SortStableFunc(pods, func(a, b *Workload) int { return CompareRefs(workloadRef(a), workloadRef(b)) })
	for _, w := range pods {
		ref := workloadRef(w)
		own, _ := namedPort(w, p.GetName(), false)
		e := endpointOf(w, firstAddress(w), instancePort(p, uint32(own), ""), ref)
		e.Count = w.Replicas
		switch {
		case w.Terminating:
			set.skip(RuleEndpointTerminating, ref, e.name())
		case !w.Ready:
			set.skip(RuleEndpointNotReady, ref, e.name())
		default:
			set.add(e)
		}
	}
	entries := slices.Clone(s.WorkloadEntriesIn(se.Namespace))
	slices.SortStableFunc(entries, func(a, b *Workload) int { return cmp.Compare(a.Owner.Name, b.Owner.Name) })
	for _, w := range entries {
		we := s.index.endpoints().entries[destinationKey{w.Namespace, w.Owner.Name}]
		if we == nil || !Selects(selector, w.Labels) || !set.healthy(we, w) {
			continue
		}
		address := we.Spec.GetAddress()
		if address != "" && !isIP(address) && !resolvesByDNS(se) {
			set.skip(RuleEndpointNotIP, w.Owner.At("spec.address"), address, se.Name)
			continue
		}
		e := entryEndpoint(we, w, instancePort(p, we.Spec.GetPorts()[p.GetName()], address))
		e.Address = strings.TrimPrefix(address, unixPrefix)
		set.add(e)
		set.warnUnreachable(s, address, we.Spec.GetNetwork(), w.Owner, "ServiceEntry "+se.Name)
	}
}

// splitLocality reads region/zone/subzone.
func splitLocality(l string) Locality {
	parts := append(strings.SplitN(l, "/", 4), "", "")
	return Locality{Region: parts[0], Zone: parts[1], SubZone: parts[2]}
}
