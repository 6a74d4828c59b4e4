package resolve

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"istio.io/api/label"
	"k8s.io/apimachinery/pkg/labels"
)

// standardGatewayLabels are on the pods of the ingress gateway that Istio's own installation makes.
// Source: manifests/charts/gateways/istio-ingress/values.yaml.
var standardGatewayLabels = map[string]string{"istio": "ingressgateway", "app": "istio-ingressgateway"}

// assumedGateway is a gateway workload that manifests leave out.
type assumedGateway struct {
	workload *Workload
	service  *Service
	steps    []Step
}

// assumedGateway is what was assumed for the workload; nil for one that exists.
func (s *Snapshot) assumedGateway(w *Workload) *assumedGateway {
	s.gatewayWorkloads()
	return s.index.gateways.assumed[w]
}

// gatewaySearches find the pods that can be gateways: those with the labels that Istio's charts and its controller put
// on every gateway, and those that a Gateway selects. Another one serves nothing.
//
// Source: manifests/charts/gateway/templates/_helpers.tpl; files/kube-gateway.yaml.
func (s *Snapshot) gatewaySearches() []Sought {
	selectors := map[string]bool{"istio": true, label.IoK8sNetworkingGatewayGatewayName.Name: true}
	for _, c := range s.gatewayConfigs() {
		selector := c.Spec.GetSelector()
		if _, standard := selector["istio"]; !c.kubernetes && !standard {
			selectors[labels.FormatLabels(selector)] = true
		}
	}
	var out []Sought
	for _, selector := range slices.Sorted(maps.Keys(selectors)) {
		out = append(out, Sought{Kind: podKind, Selector: selector})
	}
	return out
}

// gatewayCandidates are the workloads among which the gateways are, oldest first.
func (s *Snapshot) gatewayCandidates() []*Workload {
	cache := &s.index.gateways
	cache.candidatesOnce.Do(func() {
		namespaces, gaps := s.runningWith(s.gatewaySearches()...)
		cache.candidates, cache.gaps = s.workloadsAmong(namespaces), gaps
	})
	return cache.candidates
}

// gatewayWorkloads are all gateway workloads, one for each owner, and those assumed.
func (s *Snapshot) gatewayWorkloads() []*Workload {
	cache := &s.index.gateways
	cache.workloadsOnce.Do(func() {
		seen := map[Ref]int{}
		for _, w := range s.gatewayCandidates() {
			if w.Dataplane != DataplaneGateway {
				continue
			}
			i, ok := seen[w.Owner]
			switch {
			case !ok:
				seen[w.Owner] = len(cache.workloads)
				cache.workloads = append(cache.workloads, w)
			case w.Ready && !cache.workloads[i].Ready:
				cache.workloads[i] = w
			}
		}
		cache.assumed = map[*Workload]*assumedGateway{}
		if s.Offline {
			for _, a := range s.assumeGateways() {
				cache.workloads = append(cache.workloads, a.workload)
				cache.assumed[a.workload] = a
			}
		}
	})
	return cache.workloads
}

// assumeGateways makes gateway workloads for Gateways of manifests that hold no workload for them.
//
//  1. A Gateway needs one if its selector matches no workload at all.
//  2. Selectors that Istio's standard ingress gateway fits share that one; any other selector has its own,
//     with the selector's labels, in the namespace of the oldest Gateway that has it.
//  3. If a Service of the manifests selects those labels, it and its namespace count.
//  4. Otherwise a Service is assumed with the port numbers of all servers, each leading to the same pod port;
//     80 and 443 of the standard gateway lead to 8080 and 8443.
func (s *Snapshot) assumeGateways() []*assumedGateway {
	var out []*assumedGateway
	byName := map[string]*assumedGateway{}
	for _, c := range s.gatewayConfigs() {
		selector := c.Spec.GetSelector()
		if c.kubernetes { // kubedeployment.go
			continue
		}
		if slices.ContainsFunc(s.gatewayCandidates(), func(w *Workload) bool {
			return Selects(selector, w.Labels) && (len(selector) > 0 || w.Dataplane == DataplaneGateway)
		}) {
			continue
		}
		labels, namespace, name := selector, c.Namespace, selectorName(selector)
		standard := Selects(selector, standardGatewayLabels)
		if standard {
			labels, namespace, name = standardGatewayLabels, "istio-system", "istio-ingressgateway"
		}
		key := fmt.Sprint(labels)
		a := byName[key]
		if a == nil {
			a = s.assumeGateway(labels, namespace, name)
			byName[key] = a
			out = append(out, a)
		}
		a.addPorts(c, standard)
		a.steps = append(a.steps, NewStep(RuleGatewayEntryAssumed, Warned, c.At("spec.selector"), a.workload.Owner.String(), a.service.Ref.QualifiedName()))
	}
	return out
}

// selectorName is a workload name made of a selector's values.
func selectorName(selector map[string]string) string {
	var values []string
	for _, k := range slices.Sorted(maps.Keys(selector)) {
		values = append(values, selector[k])
	}
	return strings.Join(slices.Compact(values), "-")
}

func (s *Snapshot) assumeGateway(labels map[string]string, namespace, name string) *assumedGateway {
	a := &assumedGateway{}
	for _, svc := range s.Services() {
		if len(svc.Selector) > 0 && svc.Registry == RegistryKubernetes && Selects(svc.Selector, labels) {
			namespace = svc.Namespace
			a.service = svc
			break
		}
	}
	a.workload = &Workload{
		Owner:     Ref{Group: "apps", Kind: "Deployment", Namespace: namespace, Name: name},
		Namespace: namespace, Labels: labels, ServiceAccount: name + "-service-account", Dataplane: DataplaneGateway,
		Replicas: 1, Ready: true, FromTemplate: true,
	}
	if a.service == nil {
		a.service = &Service{
			Hostname: name + "." + namespace + ".svc." + s.Mesh.Domain, Namespace: namespace, Name: name,
			Ref: Ref{Kind: "Service", Namespace: namespace, Name: name}, Registry: RegistryKubernetes,
			Resolution: ClientSideLB, Selector: labels, ExportTo: PublicExport, Index: -1,
		}
	}
	return a
}

// addPorts is step 4.
func (a *assumedGateway) addPorts(c *GatewayConfig, standard bool) {
	if a.service.Index >= 0 { // a Service of the manifests keeps its ports
		return
	}
	if standard && len(a.service.Ports) == 0 {
		a.service.Ports = []Port{
			{Name: "http2", Number: 80, TargetPort: 8080, Protocol: ProtocolHTTP2},
			{Name: "https", Number: 443, TargetPort: 8443, Protocol: ProtocolHTTPS},
		}
	}
	for _, server := range c.Spec.GetServers() {
		n := int(server.GetPort().GetNumber())
		reached := slices.ContainsFunc(a.service.Ports, func(p Port) bool { return p.Number == n || p.TargetPort == n })
		if reached || n == 0 {
			continue
		}
		a.service.Ports = append(a.service.Ports, Port{
			Name: "port-" + strconv.Itoa(n), Number: n, TargetPort: n, Protocol: ParseProtocol(server.GetPort().GetProtocol()),
		})
	}
}
