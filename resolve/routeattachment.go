package resolve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"istio.io/api/label"
	"k8s.io/utils/ptr"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Whether a route attaches to a parent.
//
//  1. A parentRef names a Gateway, ListenerSet, Service or ServiceEntry; anything else is another's affair.
//     A Gateway that is not there, or is not Istio's, has no listener.
//  2. A Service or ServiceEntry must exist. Where its waypoint is another vendor's the parentRef does not count.
//  3. For each listener: port and sectionName must be the listener's; then one hostname of the route must
//     overlap the listener's, and the listener must allow routes of that namespace; then routes of that kind.
//  4. A Gateway's listener that takes no traffic for another reason is a parent all the same; a ListenerSet's is none.
//
// Source: pilot/pkg/config/kube/gateway/conversion.go, extractParentReferenceInfo, referenceAllowed,
// waypointManagedByAnotherController, hostnameAllowedByIsolation; gateway_collection.go, GatewayCollection.

// Rules of attachment.
const (
	RuleRouteNoParent      RuleID = "kuberoute/parent-missing"
	RuleRouteOtherPort     RuleID = "kuberoute/other-port"
	RuleRouteOtherSection  RuleID = "kuberoute/other-section"
	RuleRouteOtherHostname RuleID = "kuberoute/hostname-apart"
	RuleRouteNamespace     RuleID = "kuberoute/namespace-not-allowed"
	RuleRouteKind          RuleID = "kuberoute/kind-not-allowed"
	RuleRouteForeign       RuleID = "kuberoute/waypoint-of-another"
	RuleRouteIsolated      RuleID = "kuberoute/hostname-of-other-listener"
	RuleRouteNoTraffic     RuleID = "kuberoute/listener-without-traffic"
)

var routeAttachmentRules = []Rule{
	{
		ID: RuleRouteNoParent, Stage: StageHost,
		Says:     "A route whose parent does not exist, or is not Istio's, has no effect there, and Istio writes no status for that parent.",
		Template: "has parent %s, which %s: the route has no effect through it",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, extractParentReferenceInfo",
	},
	{
		ID: RuleRouteOtherPort, Stage: StageHost,
		Says:     "A parentRef with a port attaches to listeners of that port.",
		Template: "names port %d, and %s has port %d (NoMatchingParent)",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, referenceAllowed",
	},
	{
		ID: RuleRouteOtherSection, Stage: StageHost,
		Says:     "A parentRef with a sectionName attaches to the listener of that name.",
		Template: "names section %s, and %s is called %s (NoMatchingParent)",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, referenceAllowed",
	},
	{
		ID: RuleRouteOtherHostname, Stage: StageHost,
		Says:     "A route attaches where one of its hostnames overlaps the listener's; no hostname is every hostname.",
		Template: "has no hostname that overlaps that of %s (NoMatchingListenerHostname)",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, referenceAllowed",
	},
	{
		ID: RuleRouteNamespace, Stage: StageHost,
		Says:     "A listener takes routes of the namespaces that allowedRoutes.namespaces allows; by default its own.",
		Template: "is of namespace %[2]s, whose routes %[1]s does not allow (NotAllowedByListeners)",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, referenceAllowed, namespacesFromSelector",
	},
	{
		ID: RuleRouteKind, Stage: StageHost,
		Says:     "A listener takes the kinds of routes that its protocol allows, and allowedRoutes.kinds of them.",
		Template: "is of kind %[2]s, which %[1]s does not take (NotAllowedByListeners)",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, referenceAllowed",
	},
	{
		ID: RuleRouteForeign, Stage: StageHost,
		Says:     "A Service parent whose waypoint is of another vendor's GatewayClass is left to that vendor.",
		Template: "has parent %[2]s, whose waypoint %[1]s is not Istio's: the parent does not count",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, waypointManagedByAnotherController",
	},
	{
		ID: RuleRouteIsolated, Stage: StageHost,
		Says:     "Of listeners with the same port and protocol a hostname of a route belongs to the most specific one alone.",
		Template: "has hostname %s, which is not served through %s: %s",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, hostnameAllowedByIsolation",
	},
	{
		ID: RuleRouteNoTraffic, Stage: StageHost,
		Says:     "A listener that is not in order keeps the routes that attach to it, and takes no traffic.",
		Template: "attaches to %s, which takes no traffic: %s",
		Source:   "pilot/pkg/config/kube/gateway/controller.go, BuildRouteParents",
	},
}

// routeAttachment is what came of one parentRef and one listener, or mesh parent.
type routeAttachment struct {
	route  *kubeRoute
	index  int
	parent k8sgateway.ParentReference
	// target is the object it names.
	target Ref
	// gateway is the internal name of the listener's Gateway, "mesh" for a Service.
	gateway string
	// listener is nil for the mesh, and where the parent is missing.
	listener     *kubeListener
	listenerHost string
	// others are the hostnames of other listeners of the parent with the same port and protocol.
	others []string
	// refused is why it does not attach.
	refused *Step
	steps   []Step
	// apart are the steps of hostnames that are not served through the listener, by hostname.
	apart map[string]Step
}

func (a *routeAttachment) mesh() bool { return a.gateway == MeshGateway }

// accepted are the attachments that took the route, in the order in which VirtualServices are made of them.
// Source: pilot/pkg/config/kube/gateway/conversion.go, filteredReferences.
func (r *kubeRoute) accepted() []*routeAttachment {
	out := slices.DeleteFunc(slices.Clone(r.attachments), func(a *routeAttachment) bool { return a.refused != nil })
	slices.SortStableFunc(out, func(a, b *routeAttachment) int { return cmp.Compare(a.gateway, b.gateway) })
	return out
}

// attach compares the route with all of its parents.
func (s *Snapshot) attach(r *kubeRoute, gateways map[Ref]*kubeGateway) {
	for i, parent := range r.parents {
		kind := kindRef{string(ptr.Deref(parent.Group, k8sgateway.GroupName)), string(ptr.Deref(parent.Kind, "Gateway"))}
		target := Ref{
			Group: kind.group, Kind: kind.kind,
			Namespace: string(ptr.Deref(parent.Namespace, k8sgateway.Namespace(r.ref.Namespace))), Name: string(parent.Name),
		}
		a := routeAttachment{route: r, index: i, parent: parent, target: target}
		switch kind {
		case kindRef{"", "Service"}, kindRef{istioNetworking, "ServiceEntry"}:
			s.attachToMesh(r, a)
		case gatewayKind("Gateway"), gatewayKind("ListenerSet"):
			s.attachToListeners(r, a, gateways)
		}
	}
	slices.SortStableFunc(r.attachments, func(a, b *routeAttachment) int {
		return strings.Compare(parentKey(a.parent, r.ref.Namespace), parentKey(b.parent, r.ref.Namespace))
	})
}

// parentKey is the parentRef of an object of the namespace as istiod writes it to compare.
// Source: pilot/pkg/config/kube/gateway/conversion.go, parentRefString.
func parentKey(p k8sgateway.ParentReference, namespace string) string {
	return fmt.Sprintf("%s/%s/%s/%s/%d.%s", ptr.Deref(p.Group, k8sgateway.GroupName), ptr.Deref(p.Kind, "Gateway"), p.Name,
		ptr.Deref(p.SectionName, ""), ptr.Deref(p.Port, 0), ptr.Deref(p.Namespace, k8sgateway.Namespace(namespace)))
}

func (a *routeAttachment) refuse(rule RuleID, args ...any) {
	step := NewStep(rule, Skipped, a.route.ref.At(a.route.parentField(a)), args...)
	a.refused = &step
}

// attachToMesh is step 2.
func (s *Snapshot) attachToMesh(r *kubeRoute, a routeAttachment) {
	a.gateway = MeshGateway
	labels, exists := s.meshParentLabels(a.target)
	switch waypoint, because := s.foreignWaypoint(a.target, labels); {
	case !exists:
		a.refuse(RuleRouteNoParent, a.target, "does not exist")
	case waypoint != "":
		a.refuse(RuleRouteForeign, waypoint, a.target)
		a.steps = append(a.steps, because...)
	}
	r.attachments = append(r.attachments, &a)
}

// meshParentLabels are the labels of a Service or ServiceEntry.
func (s *Snapshot) meshParentLabels(target Ref) (labels map[string]string, exists bool) {
	if target.Kind == "ServiceEntry" {
		entry, exists := objectNamed(s.ServiceEntries, target.Namespace, target.Name)
		if !exists {
			return nil, false
		}
		return entry.Labels, true
	}
	svc, exists := s.KubeService(target.Namespace, target.Name)
	if !exists {
		return nil, false
	}
	return svc.Labels, true
}

// foreignWaypoint is the waypoint of a mesh parent, if its GatewayClass exists and is another's.
// Source: pilot/pkg/config/kube/gateway/conversion.go, waypointManagedByAnotherController.
func (s *Snapshot) foreignWaypoint(target Ref, labels map[string]string) (string, []Step) {
	name, found := labels[label.IoIstioUseWaypoint.Name]
	if !found && s.Namespaces[target.Namespace] != nil {
		labels = s.Namespaces[target.Namespace].Labels
		name = labels[label.IoIstioUseWaypoint.Name]
	}
	if name == "" || strings.EqualFold(name, "none") {
		return "", nil
	}
	namespace := cmp.Or(labels[label.IoIstioUseWaypoint.Name+"-namespace"], target.Namespace)
	gw, found := objectNamed(s.KubeGateways, namespace, name)
	if !found {
		return "", nil
	}
	class, found := objectNamed(s.GatewayClasses, "", string(gw.Spec.GatewayClassName))
	if !found || class.Spec.ControllerName == controllerWaypoint || class.Spec.ControllerName == controllerGateway {
		return "", nil
	}
	at := refOf(k8sgateway.GroupName, "Gateway", gw).At("spec.gatewayClassName")
	return namespace + "/" + name, []Step{otherClass(class), NewStep(RuleGatewayClassForeign, Skipped, at, class.Name, "controller "+string(class.Spec.ControllerName))}
}

// attachToListeners is steps 1, 3 and 4.
func (s *Snapshot) attachToListeners(r *kubeRoute, a routeAttachment, gateways map[Ref]*kubeGateway) {
	listeners, why := s.listenersOf(a.target, gateways)
	if len(listeners) == 0 {
		a.refuse(RuleRouteNoParent, a.target, why)
		r.attachments = append(r.attachments, &a)
		return
	}
	for _, l := range listeners {
		one := a
		one.listener, one.gateway, one.listenerHost = l, l.parent.Namespace+"/"+l.internalName(), string(ptr.Deref(l.spec.Hostname, ""))
		for _, other := range listeners {
			if host := string(ptr.Deref(other.spec.Hostname, "")); other != l && other.spec.Port == l.spec.Port &&
				other.spec.Protocol == l.spec.Protocol && host != one.listenerHost {
				one.others = append(one.others, host)
			}
		}
		one.compare(r)
		if one.refused == nil && !l.programmed {
			step := NewStep(RuleRouteNoTraffic, Skipped, r.ref.At(r.parentField(&one)), l.ref, strings.TrimSuffix(lastOf(l.steps), takesNoTraffic))
			one.steps = append(one.steps, step)
		}
		r.attachments = append(r.attachments, &one)
	}
}

// listenersOf are the listeners of a Gateway or ListenerSet that routes can attach to, or why there are none.
func (s *Snapshot) listenersOf(target Ref, gateways map[Ref]*kubeGateway) (listeners []*kubeListener, why string) {
	g := gateways[s.gatewayOf(target)]
	switch {
	case g == nil:
		return nil, "does not exist"
	case len(g.services) == 0 && len(g.steps) > 0:
		return nil, lastOf(g.steps)
	}
	if refused := s.listenerSetRefused(target, g); len(refused) > 0 && len(g.services) > 0 {
		return nil, "is not accepted: " + refused[0].Reason()
	}
	var barred []string
	for _, l := range g.listeners {
		switch {
		case l.parent != target:
		case l.server != nil && (l.programmed || target.Kind != "ListenerSet"):
			listeners = append(listeners, l)
		case len(l.steps) > 0:
			barred = append(barred, lastOf(l.steps))
		}
	}
	if len(listeners) == 0 {
		return nil, "has no listener: " + strings.Join(barred, "; ")
	}
	return listeners, ""
}

func lastOf(steps []Step) string {
	if len(steps) == 0 {
		return ""
	}
	return steps[len(steps)-1].Reason()
}

// compare is step 3.
func (a *routeAttachment) compare(r *kubeRoute) {
	l := a.listener
	if port := ptr.Deref(a.parent.Port, 0); port != 0 && port != l.spec.Port {
		a.refuse(RuleRouteOtherPort, port, l.ref, l.spec.Port)
		return
	}
	if section := ptr.Deref(a.parent.SectionName, ""); section != "" && section != l.spec.Name {
		a.refuse(RuleRouteOtherSection, string(section), l.ref, string(l.spec.Name))
		return
	}
	hosts := r.hosts()
	overlaps, allowed := false, false
	for _, qualified := range l.server.Hosts {
		namespace, host, _ := strings.Cut(qualified, "/")
		for _, own := range hosts {
			if HostMatches(host, own) {
				overlaps = true
				allowed = allowed || namespace == "*" || namespace == r.ref.Namespace
			}
		}
	}
	switch {
	case !overlaps:
		a.refuse(RuleRouteOtherHostname, l.ref)
		*a.refused = a.refused.Unlike(listenerHostname(l.spec), strings.Join(hosts, ", "))
	case !allowed:
		a.refuse(RuleRouteNamespace, l.ref, r.ref.Namespace)
		*a.refused = a.refused.Unlike(allowedWords(l), r.ref.Namespace)
	case !slices.Contains(l.kinds, gatewayKind(r.ref.Kind)):
		a.refuse(RuleRouteKind, l.ref, r.ref.Kind)
		*a.refused = a.refused.Unlike(kindWords(l.kinds), r.ref.Kind)
	}
}

// allowedWords are the namespaces whose routes a listener takes.
func allowedWords(l *kubeListener) string {
	var out []string
	for _, h := range l.server.Hosts {
		namespace, _, _ := strings.Cut(h, "/")
		out = append(out, strings.ReplaceAll(namespace, "~", "none"))
	}
	return strings.Join(out, ", ")
}

func kindWords(kinds []kindRef) string {
	var out []string
	for _, k := range kinds {
		out = append(out, k.kind)
	}
	return strings.Join(out, ", ")
}

// takesNoTraffic ends the reasons of listeners.
const takesNoTraffic = ": the listener takes no traffic"

// isolated tells why a hostname of the route is not served through this listener; nothing if it is.
func (a *routeAttachment) isolated(host string) string {
	if a.mesh() || a.listenerHost != "" && !IsWildcardHost(a.listenerHost) {
		return ""
	}
	if a.listenerHost != "" && !HostMatches(host, a.listenerHost) {
		return "the listener has hostname " + a.listenerHost
	}
	if others := a.moreSpecific(host); len(others) > 0 {
		return "it belongs to the listener with hostname " + strings.Join(others, ", ")
	}
	return ""
}

// moreSpecific are the hostnames of other listeners to which a hostname belongs.
func (a *routeAttachment) moreSpecific(host string) []string {
	var out []string
	for _, other := range a.others {
		if len(a.listenerHost) <= len(other) && HostSubsetOf(host, other) {
			out = append(out, other)
		}
	}
	return out
}
