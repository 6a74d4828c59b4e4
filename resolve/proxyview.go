package resolve

import (
	"slices"
)

// ProxyView are sidecars that see the mesh alike, so that what is true of the first of them is true of all.
type ProxyView struct {
	Namespace string
	// Workloads are one for each owner, in the order of their names.
	Workloads []*Workload
}

// SidecarViews are the workloads with a sidecar, put together where their proxies see the mesh alike: those of one
// namespace and Sidecar. Where a VirtualService asks for labels of its callers, or a DestinationRule selects its
// clients, only workloads with the same labels are alike.
func (s *Snapshot) SidecarViews() []ProxyView {
	byLabels := slices.ContainsFunc(s.VirtualServices(), (*VirtualService).asksLabels)
	for _, rule := range s.DestinationRules {
		byLabels = byLabels || rule.Spec.GetWorkloadSelector() != nil
	}
	type view struct {
		scope  *Scope
		labels string
	}
	var out []ProxyView
	for _, namespace := range s.RunningNamespaces() {
		at := map[view]int{}
		owners := map[Ref]bool{}
		workloads := slices.Clone(slices.Concat(s.WorkloadsIn(namespace), s.WorkloadEntriesIn(namespace)))
		slices.SortStableFunc(workloads, func(a, b *Workload) int { return CompareRefs(a.Owner, b.Owner) })
		for _, w := range workloads {
			if w.Dataplane != DataplaneSidecar || owners[w.Owner] {
				continue
			}
			owners[w.Owner] = true
			key := view{}
			key.scope, _ = s.Scope(w)
			if byLabels {
				key.labels = labelKey(w)
			}
			i, ok := at[key]
			if !ok {
				i = len(out)
				at[key] = i
				out = append(out, ProxyView{Namespace: namespace})
			}
			out[i].Workloads = append(out[i].Workloads, w)
		}
	}
	return out
}

// GatewayWorkloads are all gateway workloads, one for each owner, and those that are assumed for Gateways of manifests without one.
func (s *Snapshot) GatewayWorkloads() []*Workload { return slices.Clone(s.gatewayWorkloads()) }

// Captured are the workloads that ztunnel has captured, one for each owner.
func (s *Snapshot) Captured() []*Workload { return s.runningOn(DataplaneAmbient) }

// WaypointView is a waypoint as it stands before one service of its own.
type WaypointView struct {
	Waypoint *Workload
	Service  *Service
}

// Waypoints are the workloads that run waypoints, one for each owner.
func (s *Snapshot) Waypoints() []*Workload { return s.runningOn(DataplaneWaypoint) }

func (s *Snapshot) runningOn(plane Dataplane) []*Workload {
	var out []*Workload
	owners := map[Ref]bool{}
	for _, namespace := range s.RunningNamespaces() {
		for _, w := range s.WorkloadsIn(namespace) {
			if w.Dataplane == plane && !owners[w.Owner] {
				owners[w.Owner] = true
				out = append(out, w)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *Workload) int { return CompareRefs(a.Owner, b.Owner) })
	return out
}

// WaypointViews are all waypoints, before each service that is bound to them.
func (s *Snapshot) WaypointViews() []WaypointView {
	waypoints := s.Waypoints()
	if len(waypoints) == 0 {
		return nil
	}
	var out []WaypointView
	for _, svc := range s.Services() {
		for _, w := range waypoints {
			if s.ServedBy(w, svc) {
				out = append(out, WaypointView{w, svc})
			}
		}
	}
	return out
}
