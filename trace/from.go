package trace

import "github.com/mesh-trace/kubectl-mesh-trace/resolve"

// WalkFrom is [WalkView] of the request from that client, whatever its From says.
func WalkFrom(s *resolve.Snapshot, req Request, client *resolve.Workload, d Detail) (*Trace, error) {
	w := &walk{snapshot: s, request: req, detail: DetailFull}
	w.describe(client)
	t, err := w.run(sender{workload: client})
	return t.View(d), err
}

// GatewaysFor are the gateways that serve the request to clients outside the cluster, by namespace and name, each by
// one of its pods; where none does, none.
func GatewaysFor(s *resolve.Snapshot, req Request) []resolve.GatewayEntry {
	entries, _ := s.GatewayEntries(req.gatewayQuestion())
	var out []resolve.GatewayEntry
	seen := map[resolve.Ref]bool{}
	for _, e := range entries {
		if e.Fit == resolve.GatewayServes && !seen[e.Workload.Owner] {
			seen[e.Workload.Owner] = true
			out = append(out, e)
		}
	}
	return out
}

// WalkBy is [WalkView] of the request from a client outside the cluster that enters by the gateway.
func WalkBy(s *resolve.Snapshot, req Request, gateway resolve.GatewayEntry, d Detail) (*Trace, error) {
	w := &walk{snapshot: s, request: req, detail: DetailFull, source: Source{Kind: "External"}}
	t, err := w.run(sender{external: true, gateway: &gateway})
	return t.View(d), err
}
