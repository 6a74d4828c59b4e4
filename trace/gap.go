package trace

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// meshConfig says once a path, at its first proxy, that the mesh config is not known.
func (w *walk) meshConfig(p *path) {
	for _, step := range w.snapshot.MeshConfigGaps() {
		if !p.passed(step.Rule) {
			p.note(step)
		}
	}
}

// passed reports whether a step of that rule is on the path already.
func (p *path) passed(rule resolve.RuleID) bool {
	return slices.ContainsFunc(p.hops, func(h *Hop) bool {
		return slices.ContainsFunc(h.Steps, func(s resolve.Step) bool { return s.Rule == rule })
	})
}

// unnamed notes what could not be read and could be the service that a host or an address is.
func (w *walk) unnamed(p *path, stage resolve.Stage, host string, client *resolve.Workload) {
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		p.note(w.snapshot.AddressGaps(stage, ip)...)
		return
	}
	p.note(w.snapshot.NameGaps(stage, strings.ToLower(strings.TrimSuffix(host, ".")), client.Namespace)...)
}

// sidecarGaps notes of a scope's steps those about Sidecars that could not be read.
func (p *path) sidecarGaps(steps []resolve.Step) {
	for _, s := range steps {
		if s.Rule == resolve.RuleGap {
			p.note(s)
		}
	}
}
