package resolve

import (
	"cmp"
	"slices"

	"k8s.io/utils/ptr"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Listeners of one Gateway API Gateway that cannot stand side by side.
//
//  1. The Gateway's own listeners come first, in order; then those of its ListenerSets, oldest set first, then by
//     namespace/name. Each is compared with those accepted before it, and the first clash loses it.
//  2. Different ports never clash. On one port TCP clashes with everything, and HTTP, HTTPS and TLS with each
//     other where the hostname is the same; none is "*".
//  3. Only the specs are compared: a listener whose certificate is missing keeps its place.
//
// Source: pilot/pkg/config/kube/gatewaycommon/listener_conflict.go, ComputeGatewayListenerConflicts.

// RuleListenerConflict is a listener that another one bars.
const RuleListenerConflict RuleID = "kubelistener/conflict"

var listenerConflictRules = []Rule{{
	ID: RuleListenerConflict, Stage: StageGateway,
	Says:     "A listener is dropped if one before it has the same port and the same hostname (an L4 listener: the same port). The Gateway's own listeners come before those of ListenerSets.",
	Template: "%s on port %d: %s has the same %s and comes first, so this listener is dropped",
	Source:   "pilot/pkg/config/kube/gatewaycommon/listener_conflict.go, ComputeGatewayListenerConflicts",
}}

// conflicts marks the listeners, in the order of step 1, that lose.
func markConflicts(listeners []*kubeListener) {
	var accepted []*kubeListener
	for _, l := range listeners {
		i := slices.IndexFunc(accepted, func(a *kubeListener) bool { return clash(l.spec, a.spec) })
		if i < 0 {
			accepted = append(accepted, l)
			continue
		}
		what := "port"
		if isHTTPLike(l.spec.Protocol) && isHTTPLike(accepted[i].spec.Protocol) {
			what = "hostname " + listenerHostname(l.spec)
		}
		l.conflicted = string(k8sgateway.ListenerReasonProtocolConflict)
		if isHTTPLike(l.spec.Protocol) && l.spec.Protocol == accepted[i].spec.Protocol {
			l.conflicted = string(k8sgateway.ListenerReasonHostnameConflict)
		}
		l.conflict, l.accepted = true, l.conflicted
		l.reject(NewStep(RuleListenerConflict, Skipped, l.ref, listenerWord(l.spec), l.spec.Port, accepted[i].ref, what))
	}
}

// clash is step 2.
func clash(a, b k8sgateway.Listener) bool {
	if a.Port != b.Port {
		return false
	}
	switch l4a, l4b, httpA, httpB := isL4(a.Protocol), isL4(b.Protocol), isHTTPLike(a.Protocol), isHTTPLike(b.Protocol); {
	case l4a && (l4b || httpB), httpA && l4b:
		return true
	case httpA && httpB:
		return listenerHostname(a) == listenerHostname(b)
	}
	return a.Protocol == b.Protocol
}

func isL4(p k8sgateway.ProtocolType) bool {
	return p == k8sgateway.TCPProtocolType || p == k8sgateway.UDPProtocolType
}

func isHTTPLike(p k8sgateway.ProtocolType) bool {
	return p == k8sgateway.HTTPProtocolType || p == k8sgateway.HTTPSProtocolType || p == k8sgateway.TLSProtocolType
}

func listenerHostname(l k8sgateway.Listener) string {
	return cmp.Or(string(ptr.Deref(l.Hostname, "")), "*")
}

// listenerWord is the protocol and name, as in "HTTPS listener web".
func listenerWord(l k8sgateway.Listener) string {
	return string(l.Protocol) + " listener " + string(l.Name)
}
