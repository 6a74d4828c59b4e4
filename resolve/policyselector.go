package resolve

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"istio.io/api/annotation"
	"istio.io/api/label"
	apimeta "istio.io/api/meta/v1alpha1"
	apisecurity "istio.io/api/security/v1beta1"
	typev1beta1 "istio.io/api/type/v1beta1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const securityGroup = "security.istio.io"

var (
	peerAuthenticationKind    = schema.GroupKind{Group: securityGroup, Kind: "PeerAuthentication"}
	requestAuthenticationKind = schema.GroupKind{Group: securityGroup, Kind: "RequestAuthentication"}
	authorizationPolicyKind   = schema.GroupKind{Group: securityGroup, Kind: "AuthorizationPolicy"}
)

// policyIndex holds the security policies by namespace, oldest first, and what
// they refer to. It is built once a snapshot.
type policyIndex struct {
	peer          map[string]*peerPolicies
	request       map[string][]*requestPolicy
	authorization map[string][]*authorizationPolicy
	// custom are the AuthorizationPolicies of action CUSTOM, which the others do not hold.
	custom      map[string][]*authorizationPolicy
	authorizers map[string]authorizer
	// targeted are the namespaces in which an AuthorizationPolicy or RequestAuthentication has targetRefs.
	targeted map[string]bool
}

// requestPolicy is one RequestAuthentication.
type requestPolicy struct {
	ref      Ref
	spec     *apisecurity.RequestAuthentication
	selector labelSelector
}

// enforcer is who enforces an AuthorizationPolicy, which tells what its rules become.
type enforcer int

const (
	// envoyHTTP and envoyTCP are the filter chains of an Envoy.
	envoyHTTP enforcer = iota
	envoyTCP
	ztunnel
)

// chainOf is the filter chain of an Envoy for TCP or for HTTP.
func chainOf(tcp bool) enforcer {
	if tcp {
		return envoyTCP
	}
	return envoyHTTP
}

// authorizationPolicy is one AuthorizationPolicy with its rules prepared for
// each of its enforcers on first use.
type authorizationPolicy struct {
	ref      Ref
	spec     *apisecurity.AuthorizationPolicy
	selector labelSelector
	dryRun   bool
	// status are the conditions that stand in its status, and generation that of the object; 0 if no API server has had it.
	status     []*apimeta.IstioCondition
	generation int64
	// rules are by enforcer.
	rules [3]func() []*authorizationRule
}

// rulesAt are the rules as the enforcer has them.
func (p *authorizationPolicy) rulesAt(e enforcer) []*authorizationRule { return p.rules[e]() }

func indexPolicies(s *Snapshot) *policyIndex {
	x := &policyIndex{
		peer:          indexPeerAuthentications(s),
		request:       map[string][]*requestPolicy{},
		authorization: map[string][]*authorizationPolicy{},
		custom:        map[string][]*authorizationPolicy{},
		authorizers:   indexAuthorizers(s),
		targeted:      map[string]bool{},
	}
	for _, o := range s.RequestAuthentications {
		p := &requestPolicy{ref: refOf(securityGroup, requestAuthenticationKind.Kind, o), spec: &o.Spec, selector: newLabelSelector(&o.Spec)}
		x.request[o.Namespace] = append(x.request[o.Namespace], p)
		if len(targetRefsOf(&o.Spec)) > 0 {
			x.targeted[o.Namespace] = true
		}
	}
	trustDomains := s.Mesh.TrustDomains()
	for _, o := range s.AuthorizationPolicies {
		p := &authorizationPolicy{ref: refOf(securityGroup, authorizationPolicyKind.Kind, o), spec: &o.Spec, selector: newLabelSelector(&o.Spec)}
		// An annotation that is no boolean counts as false, as in isDryRun.
		p.dryRun, _ = strconv.ParseBool(o.Annotations[annotation.IoIstioDryRun.Name])
		p.status, p.generation = o.Status.GetConditions(), o.Generation
		p.rules[envoyHTTP] = sync.OnceValue(func() []*authorizationRule { return prepareRules(p, false, trustDomains) })
		p.rules[envoyTCP] = sync.OnceValue(func() []*authorizationRule { return prepareRules(p, true, trustDomains) })
		p.rules[ztunnel] = sync.OnceValue(func() []*authorizationRule { return ztunnelRules(p) })
		if len(targetRefsOf(&o.Spec)) > 0 {
			x.targeted[o.Namespace] = true
		}
		if o.Spec.GetAction() == apisecurity.AuthorizationPolicy_CUSTOM {
			x.custom[o.Namespace] = append(x.custom[o.Namespace], p)
		} else {
			x.authorization[o.Namespace] = append(x.authorization[o.Namespace], p)
		}
	}
	return x
}

// policyTarget is the proxy that policies attach to.
type policyTarget struct {
	namespace, rootNamespace string
	labels                   map[string]string
	// gateway is the label gateway.networking.k8s.io/gateway-name; managed is whether it is set.
	gateway  string
	managed  bool
	waypoint bool
	// service is the one before whose pods a waypoint stands; nil for requests to a workload, and for other proxies.
	service *Service
}

func (s *Snapshot) policyTarget(w *Workload) policyTarget {
	gateway, managed := w.Labels[label.IoK8sNetworkingGatewayGatewayName.Name]
	return policyTarget{
		namespace: w.Namespace, rootNamespace: s.Mesh.GetRootNamespace(), labels: w.Labels,
		gateway: gateway, managed: managed, waypoint: w.Dataplane == DataplaneWaypoint && !w.layered, service: w.serving,
	}
}

// namespaces are those in which policies are looked for: the root namespace, the proxy's, and that of the service
// before which a waypoint stands.
func (t policyTarget) namespaces() []string {
	out := []string{t.rootNamespace}
	if t.namespace != t.rootNamespace {
		out = append(out, t.namespace)
	}
	if t.service != nil && !slices.Contains(out, t.service.Namespace) {
		out = append(out, t.service.Namespace)
	}
	return out
}

// targetablePolicy is what RequestAuthentication and AuthorizationPolicy have in common.
type targetablePolicy interface {
	GetTargetRef() *typev1beta1.PolicyTargetReference
	GetTargetRefs() []*typev1beta1.PolicyTargetReference
	GetSelector() *typev1beta1.WorkloadSelector
}

// attachment is whether a policy attaches to a proxy and, if not, why.
type attachment int

const (
	attached attachment = iota
	// otherLabels is a selector that the proxy's labels do not fulfil.
	otherLabels
	// targetRefsElsewhere is a policy whose targetRefs name something else than the proxy.
	targetRefsElsewhere
	// selectorOnWaypoint is a policy without targetRefs, which waypoints never take, though it selects the waypoint, or
	// the pods of the service behind it.
	selectorOnWaypoint
)

// attach decides whether a policy of the namespace attaches to the proxy.
//
//  1. A proxy without the label gateway.networking.k8s.io/gateway-name (sidecars and
//     classic gateways) takes policies without targetRefs whose selector its labels
//     fulfil; policies with targetRefs never attach to it.
//  2. A proxy with that label takes policies without targetRefs in the same way,
//     except that a waypoint takes none of them.
//  3. targetRefs attach to such a proxy if one of them is: GatewayClass istio-waypoint,
//     from the root namespace, for waypoints; or Gateway with the proxy's name, in
//     the proxy's namespace; or, at a waypoint, the Service or ServiceEntry that the
//     request is addressed to, from its namespace.
//
// Source: pilot/pkg/model/policyattachment.go, ShouldAttachPolicy.
func (t policyTarget) attach(namespace string, p targetablePolicy, selector labelSelector) attachment {
	return t.attachRefs(namespace, targetRefsOf(p), selector)
}

// attachRefs is attach for a policy of those targetRefs.
func (t policyTarget) attachRefs(namespace string, refs []*typev1beta1.PolicyTargetReference, selector labelSelector) attachment {
	switch {
	case len(refs) == 0 && t.managed && t.waypoint && (selector.selects(t.labels) || t.service != nil && selector.selects(t.service.Selector)):
		return selectorOnWaypoint
	case len(refs) == 0 && t.managed && t.waypoint:
		return otherLabels
	case len(refs) == 0 && selector.selects(t.labels):
		return attached
	case len(refs) == 0:
		return otherLabels
	case !t.managed:
		return targetRefsElsewhere
	}
	for _, r := range refs {
		if t.waypoint && namespace == t.rootNamespace && r.GetGroup() == targetRefGatewayGroup &&
			r.GetKind() == "GatewayClass" && r.GetName() == "istio-waypoint" {
			return attached
		}
		if namespace == t.namespace && (r.GetNamespace() == "" || r.GetNamespace() == t.namespace) &&
			r.GetGroup() == targetRefGatewayGroup && r.GetKind() == "Gateway" && r.GetName() == t.gateway {
			return attached
		}
		if t.targetsService(r, namespace) {
			return attached
		}
	}
	return targetRefsElsewhere
}

// targetsService reports whether a targetRef is the service before which a waypoint stands.
func (t policyTarget) targetsService(r *typev1beta1.PolicyTargetReference, namespace string) bool {
	if !t.waypoint || t.service == nil || namespace != t.service.Namespace {
		return false
	}
	if t.service.Registry == RegistryKubernetes {
		return cmp.Or(r.GetGroup(), "core") == "core" && r.GetKind() == "Service" && r.GetName() == t.service.Name
	}
	return r.GetGroup() == istioNetworking && r.GetKind() == "ServiceEntry" && r.GetName() == t.service.Ref.Name
}

const targetRefGatewayGroup = "gateway.networking.k8s.io"

// attachmentRules are the rules by which one kind of policy says why it does not attach.
type attachmentRules struct{ otherLabels, targetRefs, waypoint RuleID }

// passedOver is the step for a policy that does not attach to the proxy.
func (t policyTarget) passedOver(a attachment, ref Ref, p targetablePolicy, selector labelSelector, rules attachmentRules, who any) Step {
	switch a {
	case otherLabels:
		expected, actual := selector.miss(t.labels)
		return NewStep(rules.otherLabels, Skipped, ref.At("spec.selector.matchLabels"), expected, who).Unlike(expected, actual)
	case selectorOnWaypoint:
		field := "spec"
		if p.GetSelector() != nil {
			field = "spec.selector"
		}
		return NewStep(rules.waypoint, Skipped, ref.At(field), who).meantFor(true)
	case targetRefsElsewhere, attached:
	}
	list, field := namesOf(p)
	actual := "no label " + label.IoK8sNetworkingGatewayGatewayName.Name
	if t.managed {
		actual = "Gateway " + t.gateway
	}
	if t.service != nil {
		actual += ", " + t.service.Ref.Kind + " " + t.service.Ref.Name
	}
	return NewStep(rules.targetRefs, Skipped, ref.At(field), list, who).Unlike(list, actual)
}

// targetRefsOf are the targetRefs of a policy, or its one targetRef where it has none of these.
// Source: pilot/pkg/model/policyattachment.go, GetTargetRefs.
func targetRefsOf(p targetablePolicy) []*typev1beta1.PolicyTargetReference {
	refs := p.GetTargetRefs()
	if len(refs) == 0 && p.GetTargetRef() != nil {
		refs = []*typev1beta1.PolicyTargetReference{p.GetTargetRef()}
	}
	return refs
}

// namesOf are the targets of a policy as text, and the field they stand in.
func namesOf(p targetablePolicy) (names, field string) {
	var list []string
	for _, r := range targetRefsOf(p) {
		list = append(list, r.GetKind()+" "+r.GetName())
	}
	field = "spec.targetRefs"
	if len(p.GetTargetRefs()) == 0 {
		field = "spec.targetRef"
	}
	return strings.Join(list, ", "), field
}

// labelSelector is matchLabels, by name, so that the label that is told as missing is always the same.
type labelSelector []labelTerm

type labelTerm struct {
	key, value string
	// text is key=value.
	text string
}

func newLabelSelector(p interface {
	GetSelector() *typev1beta1.WorkloadSelector
},
) labelSelector {
	return selectorOf(p.GetSelector().GetMatchLabels())
}

func selectorOf(labels map[string]string) labelSelector {
	var out labelSelector
	for k, v := range labels {
		out = append(out, labelTerm{k, v, k + "=" + v})
	}
	slices.SortFunc(out, func(a, b labelTerm) int { return strings.Compare(a.key, b.key) })
	return out
}

// selects reports whether the labels fulfil the selector; an empty one selects everything.
// Source: pkg/config/labels/instance.go, SubsetOf.
func (l labelSelector) selects(labels map[string]string) bool {
	for _, t := range l {
		if got, ok := labels[t.key]; !ok || got != t.value {
			return false
		}
	}
	return true
}

// miss is the first label that the selector asks for and the labels do not have.
func (l labelSelector) miss(labels map[string]string) (expected, actual string) {
	for _, t := range l {
		switch got, ok := labels[t.key]; {
		case !ok:
			return t.text, "no label " + t.key
		case got != t.value:
			return t.text, t.key + "=" + got
		}
	}
	return "", ""
}
