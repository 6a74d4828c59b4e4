package explain

import "github.com/mesh-trace/kubectl-mesh-trace/resolve"

// boundTo tells of a Gateway that is named as a waypoint: whose requests go through it, and whose do not and why. It reports
// whether anything names it.
func (t *teller) boundTo() bool {
	named := false
	tell := func(b resolve.WaypointBinding, who string) {
		if b.Named.Object() != t.object {
			return
		}
		named = true
		if b.Waypoint != nil {
			t.add(sectionDecides, Finding{Verdict: resolve.Matched, Ref: b.By, Text: "requests to " + who + " go through it"})
			return
		}
		for _, s := range b.Steps {
			t.add(sectionNoSay, Finding{Verdict: s.Verdict, Ref: s.Ref, Text: s.Reason(), Where: "requests to " + who})
		}
	}
	for _, svc := range t.snapshot.Services() {
		tell(t.snapshot.ServiceWaypoint(svc), svc.Hostname)
	}
	for _, w := range t.snapshot.Captured() {
		tell(t.snapshot.WorkloadWaypoint(w), "the pods of "+w.Owner.String())
	}
	return named
}
