package resolve

import (
	"slices"
	"strconv"
)

// Listeners on the addresses of pods.
//
//  1. A headless Service's port that is not HTTP has a listener on the address of each of its endpoints.
//  2. Services that share a pod share its listener, as services with one address do: the oldest comes first, and of
//     chains that nothing tells apart its own stays.
//  3. Services that share some of their pods do so on these only: which listener takes a connection depends on the
//     pod whose address DNS gives.
//
// Source: pilot/pkg/networking/core/listener.go, buildSidecarOutboundListeners.

// RuleListenerSomePods is step 3.
const RuleListenerSomePods RuleID = "listener/some-pods"

var podListenerRules = []Rule{{
	ID: RuleListenerSomePods, Stage: StageListener,
	Says:     "Headless Services that share some of their pods share the listeners on these: the listener depends on the pod whose address DNS gives.",
	Template: "%d of the %d pods of %s are there: another Service has some of them as well, and shares the listeners on those",
	Source:   "pilot/pkg/networking/core/listener.go, buildSidecarOutboundListeners",
}}

// podListener is a service's port on its endpoints.
type podListener struct {
	service *Service
	port    Port
	egress  *Egress
}

// standing are the services that have a listener on the endpoint, and their number in the order of all.
func (sc *Scope) standing(ls *portListeners, at func(*Endpoint) bool) (key string, found []podListener) {
	for i, on := range ls.onPods {
		if slices.ContainsFunc(sc.snapshot.indexed(on.service, on.port.Number).endpoints, at) {
			key += " " + strconv.Itoa(i)
			found = append(found, on)
		}
	}
	return key, found
}

// onEndpoint is the listener that stands on the endpoint that was dialled, the first of them.
func (sc *Scope) onEndpoint(ls *portListeners, d Dialled) *OutboundListener {
	if len(ls.onPods) == 0 {
		return nil
	}
	at := func(e *Endpoint) bool { return e.Address != "" && e.Address == d.Address.String() }
	if d.Headless {
		meant := sc.snapshot.Meant(d)
		if len(meant) == 0 {
			return nil
		}
		at = meant[0].samePod
	}
	_, found := sc.standing(ls, at)
	if len(found) == 0 {
		return nil
	}
	own := &portListeners{byBind: map[string]*OutboundListener{}}
	name := headlessBind(found[0].service)
	if !d.Headless {
		name = d.Address.String()
	}
	for _, on := range found {
		own.add(bind{address: name, perEndpoint: true}, on.service, on.port, on.egress)
	}
	return own.byBind[name]
}

// samePod reports whether both are the same pod, or pods of one template.
func (e *Endpoint) samePod(o *Endpoint) bool {
	return o.Address == e.Address && o.Workload == e.Workload
}

// Ways tells the pods that the name of a headless service has apart by the listener that takes a connection to
// them (3.); pods are those that can be meant.
func (sc *Scope) Ways(d Dialled, pods []*Endpoint) []Dialled {
	ls := sc.listenersOn(d.Port)
	byKey := map[string][]*Endpoint{}
	for _, e := range pods {
		key := ""
		if len(ls.onPods) > 1 {
			key, _ = sc.standing(ls, e.samePod)
		}
		byKey[key] = append(byKey[key], e)
	}
	var out []Dialled
	for _, key := range sortedKeys(byKey) {
		way := d
		way.Pods = byKey[key]
		out = append(out, way)
	}
	return out
}
