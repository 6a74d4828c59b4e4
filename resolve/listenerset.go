package resolve

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// ListenerSets add listeners to a Gateway.
//
//  1. The Gateway must be of a class that takes them, and its spec.allowedListeners must allow the set's
//     namespace; by default it allows none.
//  2. A port of 0 is 80 for HTTP and 443 for HTTPS, and not allowed for others.
//  3. Certificates, ReferenceGrants and allowedRoutes are those of the set's namespace.
//  4. Routes attach by naming the ListenerSet; those that name the Gateway do not reach its listeners.
//
// Source: pilot/pkg/config/kube/gateway/gateway_collection.go, ListenerSetCollection;
// pilot/pkg/config/kube/gatewaycommon/gateway_utils.go, NamespaceAcceptedByAllowListeners.

// Rules of ListenerSets.
const (
	RuleListenerSetNotAllowed RuleID = "listenerset/not-allowed"
	RuleListenerSetClass      RuleID = "listenerset/class-without"
)

var listenerSetRules = []Rule{
	{
		ID: RuleListenerSetNotAllowed, Stage: StageGateway,
		Says:     "A ListenerSet counts only if spec.allowedListeners of its Gateway allows its namespace; by default none is.",
		Template: "%s does not allow ListenerSets of namespace %s",
		Source:   "pilot/pkg/config/kube/gatewaycommon/gateway_utils.go, NamespaceAcceptedByAllowListeners",
	},
	{
		ID: RuleListenerSetClass, Stage: StageGateway,
		Says:     "Gateways of some classes take no ListenerSets.",
		Template: "%s is of class %s, which takes no ListenerSets",
		Source:   "pilot/pkg/config/kube/gateway/gateway_collection.go, ListenerSetCollection",
	},
}

// listenerSetListeners are the listeners of the ListenerSets of a Gateway, oldest set first.
func (s *Snapshot) listenerSetListeners(g *kubeGateway) []*kubeListener {
	var sets []*k8sgateway.ListenerSet
	for _, o := range s.ListenerSets {
		if listenerSetParent(o) == g.ref && len(s.listenerSetRefused(refOf(k8sgateway.GroupName, "ListenerSet", o), g)) == 0 {
			sets = append(sets, o)
		}
	}
	slices.SortStableFunc(sets, func(a, b *k8sgateway.ListenerSet) int {
		return cmp.Or(compareTimes(a.CreationTimestamp.Time, b.CreationTimestamp.Time), cmp.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name))
	})
	var out []*kubeListener
	for _, o := range sets {
		ref := refOf(k8sgateway.GroupName, "ListenerSet", o)
		for i, entry := range o.Spec.Listeners {
			l := k8sgateway.Listener(entry)
			if l.Port == 0 {
				l.Port = map[k8sgateway.ProtocolType]k8sgateway.PortNumber{k8sgateway.HTTPProtocolType: 80, k8sgateway.HTTPSProtocolType: 443}[l.Protocol]
			}
			out = append(out, &kubeListener{
				gateway: g, parent: ref, ref: ref.At(pathIndex("spec.listeners", i)), spec: l,
				labels: o.Labels, created: o.CreationTimestamp.Time,
			})
		}
	}
	return out
}

// listenerSetParent is the Gateway a ListenerSet belongs to; zero if it names something else.
func listenerSetParent(o *k8sgateway.ListenerSet) Ref {
	p := o.Spec.ParentRef
	if string(ptr.Deref(p.Group, k8sgateway.GroupName)) != k8sgateway.GroupName || ptr.Deref(p.Kind, "Gateway") != "Gateway" {
		return Ref{}
	}
	return Ref{
		Group: k8sgateway.GroupName, Kind: "Gateway",
		Namespace: string(ptr.Deref(p.Namespace, k8sgateway.Namespace(o.Namespace))), Name: string(p.Name),
	}
}

// gatewayOf is the Gateway itself, or that of a ListenerSet; zero for a ListenerSet that is not there.
func (s *Snapshot) gatewayOf(target Ref) Ref {
	if target.Kind != "ListenerSet" {
		return target
	}
	if o, found := objectNamed(s.ListenerSets, target.Namespace, target.Name); found {
		return listenerSetParent(o)
	}
	return Ref{}
}

// listenerSetRefused tells why a Gateway does not take a ListenerSet; nothing if it does, or the parent is no ListenerSet.
func (s *Snapshot) listenerSetRefused(parent Ref, g *kubeGateway) []Step {
	switch at := parent.At("spec.parentRef"); {
	case parent.Kind != "ListenerSet":
	case !g.class.ListenerSets:
		return []Step{NewStep(RuleListenerSetClass, Skipped, at, g.ref, g.class.Name)}
	case !s.allowsListeners(g.object, parent.Namespace):
		return []Step{NewStep(RuleListenerSetNotAllowed, Skipped, at, g.ref.At("spec.allowedListeners"), parent.Namespace)}
	}
	return nil
}

// allowsListeners is step 1.
func (s *Snapshot) allowsListeners(o *k8sgateway.Gateway, namespace string) bool {
	if o.Spec.AllowedListeners == nil || o.Spec.AllowedListeners.Namespaces == nil {
		return false
	}
	allowed := o.Spec.AllowedListeners.Namespaces
	switch ptr.Deref(allowed.From, k8sgateway.NamespacesFromSelector) {
	case k8sgateway.NamespacesFromAll:
		return true
	case k8sgateway.NamespacesFromSame:
		return namespace == o.Namespace
	case k8sgateway.NamespacesFromSelector:
		ns := s.Namespaces[namespace]
		return ns != nil && allowed.Selector != nil && selectsNamespace(allowed.Selector, ns.Name, ns.Labels)
	case k8sgateway.NamespacesFromNone:
	}
	return false
}

// selectsNamespace compares a selector with a namespace's labels; every namespace has one with its name.
func selectsNamespace(selector *metav1.LabelSelector, name string, own map[string]string) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return false
	}
	set := labels.Set{}
	for k, v := range own {
		set[k] = v
	}
	set["kubernetes.io/metadata.name"] = name
	return parsed.Matches(set)
}
