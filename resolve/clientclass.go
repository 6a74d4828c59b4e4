package resolve

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"istio.io/api/annotation"
	networking "istio.io/api/networking/v1alpha3"
)

// Which clients a mesh treats alike. The class of a client is all that decides which way a request of its takes, but
// for who it is to those who receive it, and where it runs:
//
//  1. Its namespace: short names, exportTo, the DestinationRules and extensions of its own, sourceNamespace.
//  2. Its data plane, and whether that is an assumption.
//  3. What its proxy sees: the Sidecar that applies, and what stands open about it.
//  4. Which selectors of clients fit its labels: sourceLabels of VirtualServices, workloadSelector of DestinationRules, EnvoyFilters,
//     WasmPlugins and TrafficExtensions.
//  5. The annotations by which its proxy captures connections and reads requests.
//  6. Its locality and network, and the labels that some failoverPriority compares;
//     where a network has gateways, the families of its addresses.
//
// Its identity and its address are told apart by [Snapshot.SourceSignature]; its node, and whether it is what it calls, by the walk.

// clientAnnotations are those of rule 5.
var clientAnnotations = []string{
	annotation.SidecarTrafficExcludeOutboundPorts.Name, annotation.SidecarTrafficExcludeOutboundIPRanges.Name,
	annotation.SidecarTrafficIncludeOutboundIPRanges.Name, annotation.SidecarTrafficIncludeOutboundPorts.Name,
	annotation.SidecarInterceptionMode.Name, annotation.ProxyConfig.Name,
}

// clientQuestions are what the resources of a snapshot ask of the labels of clients.
type clientQuestions struct {
	// selectors are the label sets asked for, each once, by the namespace whose clients are asked; "" for all.
	selectors map[string][]map[string]string
	// compared are the labels whose values are compared with those of endpoints.
	compared []string
}

// ClientClass tells clients apart: two of one class differ for no request but by who they are and where they run.
func (s *Snapshot) ClientClass(w *Workload) string {
	asked := s.index.clients()
	var b strings.Builder
	word := func(texts ...string) {
		for _, text := range texts {
			b.WriteString(strconv.Itoa(len(text)) + ":" + text) // no two lists of words read the same
		}
	}
	flag := func(set bool) { word(map[bool]string{true: "yes", false: "no"}[set]) }
	word(w.Namespace, string(w.Dataplane), string(w.DataplaneStep.Rule), string(w.DataplaneStep.Verdict), string(w.InjectorStep.Rule)) // 1. and 2.
	flag(w.Anonymous)
	scope, steps := s.Scope(w) // 3.
	flag(scope.captured)
	word(scope.Ref.String())
	for _, step := range steps {
		if step.Verdict == Warned {
			word(string(step.Rule), step.Ref.String())
		}
	}
	word("labels") // 4.
	for _, namespace := range []string{w.Namespace, s.Mesh.GetRootNamespace(), ""} {
		for _, selector := range asked.selectors[namespace] {
			flag(Selects(selector, w.Labels))
		}
	}
	for _, name := range clientAnnotations { // 5.
		value, ok := w.Annotations[name]
		flag(ok)
		word(value)
	}
	mine := s.proxyLabels(w) // 6.
	word(w.Locality.Region, w.Locality.Zone, w.Locality.SubZone, mine.network)
	word(s.networkView(w)...)
	if s.severalNetworks() {
		v4, v6 := families(w)
		flag(v4)
		flag(v6)
	}
	flag((&balancer{node: s.node}).knows(w))
	for _, name := range asked.compared {
		value, ok := mine.get(name)
		flag(ok)
		word(value)
	}
	return b.String()
}

// AsksNode reports whether the client's node counts for the choice among the cluster's endpoints.
func (s *Snapshot) AsksNode(c *Cluster) bool {
	if c.Service.InternalTrafficLocal {
		return true
	}
	set := s.localitySetting(c)
	return slices.ContainsFunc(slices.Concat(set.locality.GetFailoverPriority(), set.zoneAware.GetFailoverPriority()), func(label string) bool {
		name, _, override := strings.Cut(label, "=")
		return name == topologyNode && !override
	})
}

// newClientQuestions gathers what the resources ask.
func newClientQuestions(s *Snapshot) *clientQuestions {
	q := &clientQuestions{selectors: map[string][]map[string]string{}}
	q.compare([]string{topologyNetwork, topologyCluster})
	for _, vs := range s.RawVirtualServices {
		for _, entry := range vs.Spec.GetHttp() {
			for _, m := range entry.GetMatch() {
				q.ask("", m.GetSourceLabels())
			}
		}
		for _, entry := range vs.Spec.GetTls() {
			for _, m := range entry.GetMatch() {
				q.ask("", m.GetSourceLabels())
			}
		}
		for _, entry := range vs.Spec.GetTcp() {
			for _, m := range entry.GetMatch() {
				q.ask("", m.GetSourceLabels())
			}
		}
	}
	for _, dr := range s.DestinationRules {
		q.ask(dr.Namespace, dr.Spec.GetWorkloadSelector().GetMatchLabels())
		for _, policy := range trafficPoliciesOf(&dr.Spec) {
			q.compareIn(policy.GetLoadBalancer())
		}
	}
	q.compare(s.Mesh.GetLocalityLbSetting().GetFailoverPriority())
	q.compare(s.Mesh.GetZoneAwareLbSetting().GetFailoverPriority())
	for _, ef := range s.EnvoyFilters {
		q.ask(ef.Namespace, ef.Spec.GetWorkloadSelector().GetLabels())
	}
	for _, wp := range s.WasmPlugins {
		q.ask(wp.Namespace, wp.Spec.GetSelector().GetMatchLabels())
	}
	for _, te := range s.TrafficExtensions {
		q.ask(te.Namespace, te.Spec.GetSelector().GetMatchLabels())
	}
	return q
}

// ask notes that clients of the namespace are asked for the labels.
func (q *clientQuestions) ask(namespace string, labels map[string]string) {
	same := func(other map[string]string) bool { return maps.Equal(other, labels) }
	if len(labels) > 0 && !slices.ContainsFunc(q.selectors[namespace], same) {
		q.selectors[namespace] = append(q.selectors[namespace], labels)
	}
}

func (q *clientQuestions) compareIn(lb *networking.LoadBalancerSettings) {
	q.compare(lb.GetLocalityLbSetting().GetFailoverPriority())
	q.compare(lb.GetZoneAwareLbSetting().GetFailoverPriority())
}

// compare notes the labels of a failoverPriority. Those of the place are in the class, or asked for by the walk.
func (q *clientQuestions) compare(priority []string) {
	for _, label := range priority {
		name, _, override := strings.Cut(label, "=")
		place := slices.Contains([]string{topologyRegion, topologyZone, topologySubZone, topologyNode}, name)
		if !override && !place && !slices.Contains(q.compared, name) {
			q.compared = append(q.compared, name)
		}
	}
}

// trafficPoliciesOf are all traffic policies of a DestinationRule.
func trafficPoliciesOf(dr *networking.DestinationRule) []policyWithPorts {
	policies := []policyWithPorts{dr.GetTrafficPolicy()}
	for _, subset := range dr.GetSubsets() {
		policies = append(policies, subset.GetTrafficPolicy())
	}
	for _, p := range slices.Clone(policies) {
		if p, ok := p.(*networking.TrafficPolicy); ok {
			for _, port := range p.GetPortLevelSettings() {
				policies = append(policies, port)
			}
		}
	}
	return policies
}

// policyWithPorts is a traffic policy, or that of one port.
type policyWithPorts interface {
	GetLoadBalancer() *networking.LoadBalancerSettings
}
